/*
 * One name's election as one node sees it: when to write which revision of the key, and who may send until
 * when. Pure: no clock, no I/O, no chance but its own seed; elector.c carries out what it asks for, the
 * simulation in tests/unit does so over a model of the bucket.
 *
 * The owner tells what it saw and what became of its writes, each with the time, and after each call takes
 * outputs with lease_next() until there is none. At lease_wake() it calls lease_next() again.
 *
 * What holds, whatever is lost, late, doubled or stopped:
 *   - The right to lead ends at (moment in which the newest write known to be applied was asked for) + TTL -
 *     margin. No other node can win before that write's key has expired, but by a delete.
 *   - LEASE_LOST comes out before anything else once that instant has passed, also when the process had been
 *     stopped: every call looks at the clock first.
 *   - A write is conditional on a revision; one write or read of a key is out at a time. One without a clear
 *     answer may have been applied, or may still be: the key is read from the bucket's leader before the next
 *     write. If it is a leader's with a revision that it did not know, it counts from the earliest write that
 *     was in doubt. A candidate that finds its own nonce (an answer was lost, or it is a restarted elector of
 *     the same supervisor) updates the key and has won when that is answered.
 *   - A key that is not ours any more, seen in whatever way, is a loss at once.
 *   - Only our own revision is deleted; a candidate never writes to a key that it sees held.
 */
#ifndef SR_WORKER_LEASE_H
#define SR_WORKER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define LEASE_TTL_MIN_MS 1000
#define LEASE_TTL_MAX_MS (60 * 60 * 1000)

struct lease;

/* TTL/10, at least 100 ms and at most 1 s: clocks of servers differ, and each lets a key expire by its own.
 */
int64_t lease_margin_ms(int64_t ttl_ms);

/* seed: of the jitter. ttl_ms: of the bucket. */
struct lease *lease_new(int64_t ttl_ms, uint64_t seed);
void lease_free(struct lease **l);

/* ---- what the owner tells -------------------------------------------------------------------------- */

/*
 * Whether the bucket can be written to: connected, there, usable. The state after lease_new() is false. A
 * leader that is cut off leads until its lease ends. When it turns true the key is read first.
 */
void lease_reachable(struct lease *l, struct mono now, bool reachable);
/* The bucket's TTL has changed: counts from the next write; a shorter one cuts the present lease. */
void lease_set_ttl(struct lease *l, struct mono now, int64_t ttl_ms);
/*
 * The bucket is another one than before (deleted and made anew): its revisions begin again and it knows
 * nothing of who leads. A candidate does not take a key that is missing there for free before the holder
 * it saw last must have stopped; a leader within its lease creates its key again.
 */
void lease_bucket_anew(struct lease *l, struct mono now);

enum lease_holder {
	LEASE_FREE,  /* nothing there, or a marker of a delete or an expiry */
	LEASE_OURS,  /* our nonce is in it */
	LEASE_OTHER, /* anything else, whatever it is */
};
enum lease_why {                    /* why a key was given up; stands in the marker */
		 LEASE_WHY_UNKNOWN, /* expired, or deleted by another program or by hand */
		 LEASE_WHY_STOP,
		 LEASE_WHY_STEP_DOWN,
		 LEASE_WHY_BALANCE,
};
struct lease_entry {
	enum lease_holder holder;
	uint64_t revision;  /* 0: there is no message for that key */
	enum lease_why why; /* with LEASE_FREE */
	bool other_map;     /* with LEASE_OTHER: its map is not ours, or not known */
};
/* The watch delivered this; older revisions than known are ignored. */
void lease_saw(struct lease *l, struct mono now, const struct lease_entry *entry);

enum lease_answer {
	LEASE_APPLIED,  /* revision is set (writes) */
	LEASE_CONFLICT, /* the key has another revision: 10071, 10164 */
	LEASE_UNKNOWN,  /* no answer, or one that leaves it open */
	LEASE_REFUSED,  /* certainly not applied: no rights, bucket gone; tried again with back-off */
};
/* Answer to the write `op`; unknown ops are ignored. */
void lease_answered(struct lease *l, struct mono now, uint64_t op, enum lease_answer answer,
		    uint64_t revision);
/* Answer to the read `op`; entry NULL: no answer. */
void lease_read_answered(struct lease *l, struct mono now, uint64_t op, const struct lease_entry *entry);

/*
 * How eager a candidate is: 0 campaigns for a key at once when it was given up, otherwise so many
 * milliseconds later (it has its fair share already, or its workers are not connected). Expired keys are
 * campaigned for 0.75 to 1 s after the end of their TTL in any case, plus this.
 */
void lease_set_reserve(struct lease *l, int64_t ms);

/*
 * Hands leadership over: LEASE_YIELDED comes out, and renewals go on until lease_release(). If that does not
 * come within PROTO_SETTLE_MS, LEASE_LOST does; the key is not deleted then, since nobody knows whether the
 * workers have stopped, but expires by itself, unless lease_release() comes after all. Ignored unless
 * leading. Having given up a name by step-down or for balance, the node leaves its key alone for two TTLs,
 * unless it has been free for a second, or another node has taken it meanwhile.
 */
void lease_yield(struct lease *l, struct mono now, enum lease_why why);
/*
 * The workers have stopped: the key is deleted, tried until our lease ends; no LEASE_LOST. Ignored unless
 * leading, or yielded and lost for lack of this call; also without lease_yield().
 */
void lease_release(struct lease *l, struct mono now, enum lease_why why);
/* Never campaign again (the process ends); a leader has to be released by itself. */
void lease_retire(struct lease *l);

/* ---- what comes out -------------------------------------------------------------------------------- */

enum lease_output_kind {
	LEASE_CREATE,  /* write our value, expecting `revision` (0: no message for that key) */
	LEASE_UPDATE,  /* the same, the key is ours */
	LEASE_DELETE,  /* write a delete marker with `why`, expecting `revision` */
	LEASE_READ,    /* read the key from the bucket's leader */
	LEASE_WON,     /* term, end, other_map, moved */
	LEASE_RENEWED, /* term, end: later than before; earlier when the TTL was cut */
	LEASE_LOST,    /* term, reason: stop sending at once */
	LEASE_YIELDED, /* term, reason: let the workers settle, then lease_release() */
};
struct lease_output {
	enum lease_output_kind kind;
	uint64_t op; /* of writes and reads, counting from 1 */
	uint64_t revision;
	enum lease_why why;
	uint64_t term;      /* revision of the write that won */
	struct mono end;    /* of the right to lead */
	bool other_map;     /* who led before had another map, and its key expired: it may not have settled */
	bool moved;         /* it was given to us for balance or by step-down: it stays */
	const char *reason; /* static text */
};
/* The next output, oldest first; false if there is none. */
bool lease_next(struct lease *l, struct mono now, struct lease_output *out);
/* When lease_next() is to be called again if nothing else happens; a time in the past: now. */
struct mono lease_wake(const struct lease *l);
/* Of the write or read that came out last: the owner gives it up after this many milliseconds, as
 * LEASE_UNKNOWN. One that it forgets counts as given up a second later. */
int64_t lease_timeout_ms(const struct lease *l);

/* ---- what it is ------------------------------------------------------------------------------------ */

struct lease_view {
	bool leads, yielding;
	bool giving_up;  /* our key is, or may be, still there and is being deleted: do not end yet */
	uint64_t term;   /* leading */
	struct mono end; /* leading: of our right; else when the key seen last will have expired */
	enum lease_holder holder; /* of the key as seen last */
	uint64_t campaigns;       /* creates tried */
	struct mono free_since;   /* with LEASE_FREE */
};
void lease_view(const struct lease *l, struct mono now, struct lease_view *view);

#endif
