/* A bound on how often something is let through: so many at once, so many a second on the long run. Pure. */
#ifndef SR_SUPERVISOR_THROTTLE_H
#define SR_SUPERVISOR_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

struct throttle {
	double burst;
	double per_second;
	double left;
	struct mono at;
	uint64_t held_back; /* since one was let through last */
};

void throttle_init(struct throttle *t, double burst, double per_second, struct mono now);

/* Whether one more may pass. If so, *held_back is how many did not since the last one that did. */
bool throttle_pass(struct throttle *t, struct mono now, uint64_t *held_back);

#endif
