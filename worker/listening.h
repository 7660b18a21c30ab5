/*
 * For how long a sender has been silent: time in which nobody could have heard it does not count. Pure.
 *
 * The listening clock runs with the wall clock while somebody listens and stands still else; it never goes
 * back. Listening means: connected to a source that works, leading, not paused, and not behind (what waits in
 * the stream has been said already). A jump of the wall clock against the monotonic one, and a machine that
 * was suspended, are gaps.
 */
#ifndef SR_WORKER_LISTENING_H
#define SR_WORKER_LISTENING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/sample_note.h"

struct listening {
	bool on;
	int64_t heard_ms; /* last moment of listening, wall clock; 0: never yet */
	struct mono mono; /* at that moment, while on */
	int64_t gone_ms; /* sum of gaps that are not kept singly any more; they are before all that matters */
	struct listening_gap gaps[LISTENING_GAPS];
	uint32_t gap_count;
};

void listening_init(struct listening *l);
/* As of a note: what came after it was not listened to by anybody. */
void listening_restore(struct listening *l, const struct sample_note *note);
/* Fills heard_ms and gaps. */
void listening_save(const struct listening *l, struct sample_note *note);
/* Listens from now on, or no more. Also to be called now and then while nothing changes. */
void listening_set(struct listening *l, bool on, int64_t wall_ms, struct mono now);
/* The listening clock now, and at a moment of the past (not after now). The difference is the age. */
int64_t listening_now(const struct listening *l);
int64_t listening_at(const struct listening *l, int64_t wall_ms);

#endif
