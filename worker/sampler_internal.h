/* What the files of the sampler share; nothing else includes this. */
#ifndef SR_WORKER_SAMPLER_INTERNAL_H
#define SR_WORKER_SAMPLER_INTERNAL_H

#include "worker/sampler.h"

#define SAMPLER_SKEW_MS (5 * 60000) /* so far ahead clocks of others may be */

/* ---- log of what is in flight (sampler_log.c) ----------------------------------------------------- */

/* A message that was offered and is not settled. It keeps its entry in the table. */
struct sampler_record {
	uint64_t seq;
	int64_t stored_ms;
	uint32_t id; /* of the entry */
	uint32_t size;
	uint8_t verdict; /* enum sampler_verdict */
	bool copied;
};
/* A ring, oldest first. The first `judged` records were offered since the last rewind; those behind them were
 * before it, and say how their messages are judged when they come again. */
struct sampler_log {
	struct sampler_record *records;
	uint32_t cap; /* a power of 2 */
	uint32_t head, count, judged;
};
void sampler_log_fini(struct sampler_log *l);
/* The i-th, 0 is the oldest; i is below count. */
struct sampler_record *sampler_log_at(const struct sampler_log *l, uint32_t i);
/* A new one behind all, judged; only if all are judged. */
struct sampler_record *sampler_log_push(struct sampler_log *l);
void sampler_log_drop_oldest(struct sampler_log *l);
void sampler_log_drop_newest(struct sampler_log *l);

/* ---- marks and queues (sampler_rows.c) ------------------------------------------------------------ */

struct sampler_position {
	uint64_t source_seq, target_seq;
};
struct sampler_mark {
	bool set;
	uint64_t place;
	struct sample_note note;
};
/*
 * Entries that are held belong to the mark before which that began: marks are numbered, modulo 256, and a
 * mark is reached once no entry is held with a number before it. `oldest` is the oldest number that may
 * have any.
 */
struct sampler_holds {
	uint8_t current, oldest;
	uint32_t by_number[256];
};
struct sampler_feed {
	struct sampler_mark mark;
	bool again; /* all rows are to be taken once more: the walk stands at cursor */
	uint64_t cursor;
	uint64_t urgent; /* the place behind the last urgent row; 0: none yet */
};

struct sampler {
	struct sampler_rules rules;
	struct sampler_callbacks callbacks;
	void *arg;
	struct tracker *table;
	struct listening listening;
	struct sampler_log log;

	struct sampler_position position; /* settled */
	bool whole;                       /* what others settled before the position has been read back */
	/* Up to here all rows are in, whoever settled them. It follows the position while that is whole. */
	bool has_noted;
	struct {
		struct sampler_position at;
		int64_t source_created_ns, target_created_ns; /* of the last mark, or of the note adopted */
	} noted;
	bool recalling, recall_raise;

	bool leads;       /* as of the last tick */
	uint32_t edition; /* of listening, that times in the schedule are of */
	bool walking;     /* all times are to be set anew: the walk stands at cursor */
	uint64_t cursor;

	uint32_t known, advised; /* entries that were ever settled; that are advised */
	struct sampler_feed feeds[TRACKER_QUEUES];
	struct sampler_holds holds;
	char value[SAMPLE_VALUE_MAX + 1]; /* of the row taken last: its entry may be gone */
};

/* A time that is not after now, nor 0. */
int64_t sampler_bound(int64_t ms, int64_t now_ms);
/* Whether anything was ever settled of it that is not forgotten. */
static inline bool
sampler_known(const struct tracker_entry *e)
{
	return e->settled.seen_ms > 0;
}
void sampler_set_advised(struct sampler *s, struct tracker_entry *e, bool advised);
/* Times far in the future are of a clock that was wrong: they become now. */
void sampler_repair(struct sampler *s, struct tracker_entry *e, int64_t now_ms);
/* Entry by value, added if add; NULL if it is not in or the table is full. */
struct tracker_entry *sampler_entry(struct sampler *s, const char *value, size_t len, bool add);
/* Removes an entry that nothing keeps any more. */
void sampler_let_go(struct sampler *s, struct tracker_entry *e);

/* What one message says of a value. */
struct sampler_sight {
	int64_t stored_ms;
	uint32_t size;
	bool copied;
};
void sampler_advance(struct tracker_state *state, const struct sampler_sight *sight);
/* It is settled: rows and, with raise, advisories. */
void sampler_settle(struct sampler *s, struct tracker_entry *e, const struct sampler_sight *sight,
		    bool raise);
/* The oldest record is settled, as it was judged. */
void sampler_settle_oldest(struct sampler *s);
void sampler_clear_log(struct sampler *s);

/* (sampler_rows.c) */
/* The row has changed: for all queues, or not for gossip. */
void sampler_tell(struct sampler *s, struct tracker_entry *e);
void sampler_tell_here(struct sampler *s, struct tracker_entry *e);
void sampler_is_urgent(struct sampler *s);
void sampler_hold(struct sampler *s, struct tracker_entry *e);

/* (sampler_time.c) */
/* Gives it a time if it has none; anew: also if it has. */
void sampler_schedule(struct sampler *s, struct tracker_entry *e, bool anew);
/* Before it is heard again at that time: it expires if it was silent for too long then. A leader has said so
 * in time; whoever takes over from it, and still knows the value, must not find that it has recovered. */
void sampler_lapse(struct sampler *s, struct tracker_entry *e, int64_t heard_ms, bool raise);
/* How long it has been silent. */
int64_t sampler_age(const struct sampler *s, int64_t seen_ms);
void sampler_raise(struct sampler *s, struct tracker_entry *e, enum advisory_event event, int64_t at_ms);

#endif
