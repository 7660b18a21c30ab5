/*
 * When a child that ended is started again. Pure: time and chance are arguments.
 *
 * The first end of a child that had been at work costs next to nothing; those that follow double a
 * back-off from RESTART_FIRST_MS to RESTART_MAX_MS, less up to a quarter by chance, so that many children
 * do not return in step. RESTART_HEALTHY_MS of work forget the past. A permanent end is never followed by
 * a start until restart_forgive().
 */
#ifndef SR_SUPERVISOR_RESTART_H
#define SR_SUPERVISOR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define RESTART_QUICK_MS   50
#define RESTART_FIRST_MS   250
#define RESTART_MAX_MS     60000
#define RESTART_HEALTHY_MS 30000

struct restart {
	uint32_t steps;    /* of the back-off taken, without RESTART_HEALTHY_MS of work since */
	bool quick_taken;  /* the quick start, likewise */
	bool at_work;      /* restart_ready() since the last start */
	struct mono ready; /* when */
	bool permanent;    /* stays down */
	struct mono next;  /* time of the next start, valid after restart_ended() unless permanent */
};

void restart_init(struct restart *r);
/* The child is at work from now on. */
void restart_ready(struct restart *r, struct mono now);
/* The child ended, or could not be started. random: any 32 bits. */
void restart_ended(struct restart *r, struct mono now, bool permanent, uint32_t random);
/* A person asked for a start: forget the past. */
void restart_forgive(struct restart *r);

#endif
