/*
 * Notices that a topic which has work to do makes no progress, whatever its connections say, and what to
 * do about it: each step is stronger than the one before. Pure.
 */
#ifndef SR_WORKER_WATCHDOG_H
#define SR_WORKER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

enum watchdog_step {
	WATCHDOG_FINE,
	WATCHDOG_REPULL,
	WATCHDOG_RESUBSCRIBE,
	WATCHDOG_RECREATE,
	WATCHDOG_RECONNECT,
	WATCHDOG_UNHEALTHY,
};

struct watchdog {
	uint64_t progress;       /* the last value that was seen */
	struct mono progress_at; /* when it last changed, or when there last was nothing to do */
	enum watchdog_step step; /* the last step that was taken */
};

void watchdog_init(struct watchdog *w, struct mono now);
/*
 * progress: any number that changes when something is settled or skipped. has_work: the source holds
 * more than is settled. Returns the step to take now; FINE most of the time. 30 s after UNHEALTHY it
 * begins again with RECREATE.
 */
enum watchdog_step watchdog_look(struct watchdog *w, uint64_t progress, bool has_work, struct mono now);

#endif
