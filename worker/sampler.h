/*
 * Which messages of a sampled topic are copied, and what is known of their senders. Pure: values, sequences
 * and times in; verdicts, events and changed rows out.
 *
 * Each tracked value has two states: settled, and offered (with all that is in flight). A message is judged
 * by the offered state, as if all before it succeeds, and noted in a log of what is in flight. When the
 * position passes it, its part becomes settled, and only then it is told to state.db, gossip and advisories.
 * A rewind drops the rest of the log: what comes again is judged again, from the same state, by the time at
 * which the source stored it: so it comes out the same. See doc/sampling.md for the rules.
 */
#ifndef SR_WORKER_SAMPLER_H
#define SR_WORKER_SAMPLER_H

#include "common/advisory.h"
#include "common/proto.h"
#include "common/sample_note.h"
#include "common/sample_value.h"
#include "worker/listening.h"
#include "worker/tracker.h"

struct sampler;

struct sampler_rules {
	int64_t duration_ms, warn_ms;
	uint64_t size_trigger; /* 0: none */
	uint32_t max_values;
};

struct sampler_callbacks {
	/* Something to advise of: new, recover, timeout, expire. Values and times as struct advisory (now_ms
	 * is not set). Returns true if gossip of the value is to wait for sampler_delivered(): a node that
	 * takes over before that must find it itself. Only called while leading. */
	bool (*advise)(void *arg, const struct advisory *advisory);
};

/* seed: of the hash table. */
struct sampler *sampler_new(const struct sampler_rules *rules, uint64_t seed,
			    const struct sampler_callbacks *callbacks, void *arg);
void sampler_free(struct sampler **s);

/* ---- messages of the source ---------------------------------------------------------------------- */

enum sampler_verdict {
	SAMPLER_SKIP,
	SAMPLER_NEW,       /* copy: the value is new, or was never copied */
	SAMPLER_DUE,       /* copy: copied longer ago than the duration less the value's splay */
	SAMPLER_SIZE,      /* copy: size changed by the trigger or more */
	SAMPLER_FORCED,    /* copy: the message says so */
	SAMPLER_KEPT,      /* copy: it was copied before */
	SAMPLER_UNTRACKED, /* copy: the table is full */
};
struct sampler_message {
	uint64_t seq;
	int64_t stored_ms; /* when the source stored it */
	uint64_t size;     /* of the payload */
	bool forced;
	bool must_copy; /* it was sent or is at the target already: whatever the rules say now */
};
/* Judges a message that has a value, in source order; value has the form of sample_value.h. now_ms: wall
 * clock, which bounds stored_ms. */
enum sampler_verdict sampler_offer(struct sampler *s, const struct sample_value *value,
				   const struct sampler_message *m, int64_t now_ms);
/* The message offered last was not sent after all and never will be (rejected): it counts as seen alone. */
void sampler_not_copied(struct sampler *s, uint64_t seq);
/* False while so much is in flight that nothing more may be offered. */
bool sampler_has_room(const struct sampler *s);

/* The position has passed source_seq; every copy of ours up to target sequence target_floor is of a message up
 * to there (pipeline_floor). */
void sampler_settled(struct sampler *s, uint64_t source_seq, uint64_t target_floor);
/* Everything up to source_seq is settled, what is beyond it comes again. */
void sampler_rewind(struct sampler *s, uint64_t source_seq, uint64_t target_floor);

/* ---- what others know ---------------------------------------------------------------------------- */

/* A row of state.db, at the start. */
void sampler_load(struct sampler *s, const struct proto_sample *row);
/* A row of another node: newer times count, older ones do not. False if the row makes no sense (a time in the
 * future by more than 5 min, no value); times up to that count as now. */
bool sampler_merge(struct sampler *s, const struct proto_sample *row, int64_t now_ms);
/* A copy found at the target, made of a message of that size stored by the source then. raise: a value that
 * was not known is new, one that was advised has recovered: advise. */
void sampler_recall_copied(struct sampler *s, const struct sample_value *value, int64_t stored_ms,
			   uint64_t size, bool raise, int64_t now_ms);
/* A message of the source that was passed over or copied before: it was seen. Gives no event but recover. */
void sampler_recall_seen(struct sampler *s, const struct sample_value *value, int64_t stored_ms,
			 uint64_t size, int64_t now_ms);

/* ---- time ---------------------------------------------------------------------------------------- */

/* The record of listening, to be switched on and off and adopted from others by the owner. */
struct listening *sampler_listening(struct sampler *s);
/*
 * Raises timeouts, forgets values whose time is over. leads: advises of it; else a value is forgotten 5 s
 * later and silently, and nothing is marked as advised, for the leader does that and tells. Bounded work;
 * true if there is more to do at once.
 */
bool sampler_tick(struct sampler *s, bool leads, int64_t now_ms);
/* The advisory of that value, which had gossip wait, is delivered or given up. */
void sampler_delivered(struct sampler *s, const char *value, size_t len);

/* ---- changes ------------------------------------------------------------------------------------- */

/* The next changed row of a queue; its value is borrowed until the next call of any function. False if
 * there is none now. */
bool sampler_take(struct sampler *s, enum tracker_queue q, struct proto_sample *row);
/*
 * A mark says up to where what was taken is whole: sampler_mark() notes the position and listening of now;
 * sampler_marked() is true once all that was changed before it has been taken, and gives the note. One mark
 * a queue; a new one replaces one that was not reached.
 */
void sampler_mark(struct sampler *s, enum tracker_queue q, int64_t source_created_ns,
		  int64_t target_created_ns);
bool sampler_marked(struct sampler *s, enum tracker_queue q, struct sample_note *note);
bool sampler_has_mark(const struct sampler *s, enum tracker_queue q);
/* Everything is to be taken once more (the file was lost). In steps: true while there is more to do. */
bool sampler_queue_all(struct sampler *s, enum tracker_queue q);
/* All rows that are settled, for a snapshot: *cursor is 0 at first; false at the end. */
bool sampler_next(const struct sampler *s, uint64_t *cursor, struct proto_sample *row);

struct sampler_figures {
	uint64_t tracked, advised;
	uint64_t in_flight; /* entries of the log */
	size_t bytes;
};
void sampler_figures(const struct sampler *s, struct sampler_figures *out);

#endif
