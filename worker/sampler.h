/*
 * Which messages of a sampled topic are copied, and what is known of their senders. Pure: values, sequences
 * and times in; verdicts, events and changed rows out.
 *
 * Each tracked value has two states: settled, and offered (with all that is in flight). A message is judged
 * by the offered state, as if all before it succeeds, and noted in a log of what is in flight. When the
 * position passes it, its part becomes settled, and only then it is told to state.db, gossip and advisories.
 * A rewind goes back in the log: what comes again is judged as it was before, whatever has been heard of
 * others meanwhile. See doc/sampling.md for the rules.
 *
 * Its life: sampler_new, sampler_load for all rows, sampler_adopt of the note. At a start and at each
 * gain of leadership: sampler_rewind to the position that was proven, sampler_recall_begin, what was read
 * back, sampler_recall_end, messages. At a loss of leadership: sampler_drop.
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
	bool gossip; /* somebody takes from the queue TRACKER_GOSSIP */
};

struct sampler_callbacks {
	/* Something to advise of: new, recover, timeout, expire. Values and times as struct advisory (now_ms
	 * is not set). Returns true if gossip of the value is to wait for sampler_delivered(): a node that
	 * takes over before that must find it itself. Only called while leading. Must call nothing of the
	 * sampler, nor cause sampler_delivered() before it returns. */
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
/* A message that was offered was not sent after all and never will be (rejected): it counts as seen alone,
 * also if it is offered again. */
void sampler_not_copied(struct sampler *s, uint64_t seq);
/* False while so much is in flight (SAMPLER_LOG_MAX messages with a value) that nothing more may be offered.
 */
#define SAMPLER_LOG_MAX 262144
bool sampler_has_room(const struct sampler *s);

/* The position has passed source_seq; every copy of ours up to target sequence target_floor is of a message
 * up to there (pipeline_floor). */
void sampler_settled(struct sampler *s, uint64_t source_seq, uint64_t target_floor);
/* Everything up to source_seq is settled, what is beyond it comes again. Also tells the position at a start
 * or gain, before the recall. */
void sampler_rewind(struct sampler *s, uint64_t source_seq, uint64_t target_floor);
/* Leads no more, or the source is another one: what is in flight is forgotten, unsettled. */
void sampler_drop(struct sampler *s);
/* The target has lost what it held of messages stored from then on (it went back, or was made anew): those
 * values count as never copied. Walks all: milliseconds. */
void sampler_copies_lost(struct sampler *s, int64_t since_ms);

/* ---- what others know ---------------------------------------------------------------------------- */

/* A row of state.db, at the start. */
void sampler_load(struct sampler *s, const struct proto_sample *row);
/* A row of another time, when something else named the values: state.db is to forget it. */
void sampler_load_gone(struct sampler *s, const struct proto_sample *row);
/* A reliable advisory of that value waits since before the start: gossip of it waits for
 * sampler_delivered(). */
void sampler_load_held(struct sampler *s, const char *value, size_t len);
/* A row of another node: newer times count, older ones do not. False if the row makes no sense (a time in the
 * future by more than 5 min, no value); times up to that count as now. */
bool sampler_merge(struct sampler *s, const struct proto_sample *row, int64_t now_ms);
/*
 * Reading back what happened after the rows that are known, once a start or gain has told the position:
 * first copies found at the target, in their order, then (where the source still has them) all messages up to
 * the position, in theirs. raise: what was missed is advised of: a value that was not known is new, one that
 * was advised has recovered; without it, advised values stay so until they are heard the next time. From
 * begin to end nothing falls due, and a mark gives the position of before. A rewind between them changes the
 * position alone. sampler_offer() ends it too. Where there is nothing to read back, end alone is called.
 */
void sampler_recall_begin(struct sampler *s, bool raise);
/* A copy of a message of that size, stored by the source then. */
void sampler_recall_copied(struct sampler *s, const struct sample_value *value, int64_t stored_ms,
			   uint64_t size, int64_t now_ms);
/* A message of the source that was passed over or copied before: it was seen. Also outside of a recall, where
 * it makes no value known that was not. */
void sampler_recall_seen(struct sampler *s, const struct sample_value *value, int64_t stored_ms,
			 uint64_t size, int64_t now_ms);
void sampler_recall_end(struct sampler *s, int64_t now_ms);
/* A note up to where all rows were loaded, or merged from another node: it counts in marks if it is newer
 * than what is known, or of other streams, and its record of listening is adopted. Not while leading. */
void sampler_adopt(struct sampler *s, const struct sample_note *note);

/* ---- time ---------------------------------------------------------------------------------------- */

/* The record of listening, to be switched on and off by the owner. */
struct listening *sampler_listening(struct sampler *s);
/*
 * Raises timeouts, forgets values whose time is over (3 s after it, as messages that were stored before may
 * still come). leads: advises of it; else a value is forgotten 5 s later and silently, and nothing is marked
 * as advised, for the leader does that and tells. Bounded work; true if there is more to do at once.
 */
bool sampler_tick(struct sampler *s, bool leads, int64_t now_ms);
/* An advisory of that value that had gossip wait is delivered or given up. */
void sampler_delivered(struct sampler *s, const char *value, size_t len);

/* ---- changes ------------------------------------------------------------------------------------- */

/* The next changed row of a queue; its value is borrowed until the next call of any function. False if
 * there is none now. */
bool sampler_take(struct sampler *s, enum tracker_queue q, struct proto_sample *row);
/* Rows that wait, about. */
uint32_t sampler_waiting(const struct sampler *s, enum tracker_queue q);
/* A row waits that was advised of (timeout, recover, expire): what an advisory said of silence cannot be read
 * back after a crash, and a value that is heard again would not recover. To be taken at once. */
bool sampler_urgent(const struct sampler *s, enum tracker_queue q);
/*
 * A mark says up to where what was taken is whole: sampler_mark() notes the position and listening of now
 * (nothing happens while none is known of these streams); sampler_marked() is true once all that was changed
 * before it has been taken, and gives the note, once. One mark a queue; a new one replaces one that was not
 * reached. The gossip mark also waits for rows that are held for advisories.
 */
void sampler_mark(struct sampler *s, enum tracker_queue q, int64_t source_created_ns,
		  int64_t target_created_ns);
bool sampler_marked(struct sampler *s, enum tracker_queue q, struct sample_note *note);
bool sampler_has_mark(const struct sampler *s, enum tracker_queue q);
/* Everything is to be taken once more (the file was lost): sampler_take() walks all rows again from their
 * beginning; marks are reached at the end of that. */
void sampler_queue_all(struct sampler *s, enum tracker_queue q);
/* All rows that are settled and not held, for a snapshot: *cursor is 0 at first; false at the end. A gossip
 * mark that is reached after it waits for those that were held: they are told before it. */
bool sampler_next(struct sampler *s, uint64_t *cursor, struct proto_sample *row);

struct sampler_figures {
	uint64_t tracked, advised;
	uint64_t in_flight; /* entries of the log */
	size_t bytes;
};
void sampler_figures(const struct sampler *s, struct sampler_figures *out);

#endif
