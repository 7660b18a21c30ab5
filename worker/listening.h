/*
 * For how long a sender has been silent: time in which nobody could have heard it does not count. Pure.
 *
 * The listening clock runs with the wall clock while somebody listens and stands still else; it never goes
 * back. Listening means: connected to a source that works, leading, not paused, and not behind (what waits in
 * the stream has been said already). These are gaps too: a jump of the wall clock against the monotonic one,
 * a machine that was suspended, a process that did not get to run, and all the time before the first moment
 * of listening.
 */
#ifndef SR_WORKER_LISTENING_H
#define SR_WORKER_LISTENING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/sample_note.h"

/* While on, listening_set() is due more often than this: a longer time between two calls is a gap. */
#define LISTENING_CALL_MAX_MS 2000

struct listening {
	bool on;
	int64_t heard_ms; /* last moment of listening, wall clock; 0: never yet */
	struct mono mono; /* of the last call, while on */
	/* Of this process: the clock is wall clock less gaps less this. It keeps the clock from going back.
	 */
	int64_t offset_ms;
	struct listening_gap gaps[LISTENING_GAPS]; /* in order, none touches the next, before heard_ms */
	size_t gap_count;
	/* Counts how often the past was told anew: all times of listening_at() are to be asked for again. */
	uint32_t edition;
};

void listening_init(struct listening *l);
/*
 * As of a note: what came after it was not listened to by anybody. Switched off. A note that goes on from
 * what is known leaves all times as they are; else edition changes.
 */
void listening_restore(struct listening *l, const struct sample_note *note);
/* Fills heard_ms and gaps. */
void listening_save(const struct listening *l, struct sample_note *note);
/* Listens from now on, or no more. Also to be called often while nothing changes. */
void listening_set(struct listening *l, bool on, int64_t wall_ms, struct mono now);
/*
 * The listening clock, as of the last listening_set(), and at a moment of the past (a later one counts as
 * now). The difference is the age. Ages grow only by time listened to; some shrink when gaps are joined
 * for want of room.
 */
int64_t listening_now(const struct listening *l);
int64_t listening_at(const struct listening *l, int64_t wall_ms);

#endif
