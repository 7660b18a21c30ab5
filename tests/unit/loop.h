/* Running an event loop in a test until something has happened. */
#ifndef SR_TESTS_LOOP_H
#define SR_TESTS_LOOP_H

#include <event2/event.h>
#include <unistd.h>

#include "common/clock.h"

/* The longest that a turn of the loop took, without its waiting. */
static int64_t worst_turn_ns __attribute__((unused));

static inline void
loop_turn(struct event_base *base)
{
	struct mono before = mono_now();
	int64_t took;

	event_base_loop(base, EVLOOP_NONBLOCK);
	took = mono_now().ns - before.ns;
	if (took > worst_turn_ns)
		worst_turn_ns = took;
	usleep(100);
}

/* Runs the loop until condition or the deadline; the value is the condition's. */
#define RUN_UNTIL(base, ms, condition)                                                                       \
	__extension__({                                                                                      \
		struct mono end_ = mono_add_ms(mono_now(), ms);                                              \
		while (!(condition) && !mono_reached(mono_now(), end_))                                      \
			loop_turn(base);                                                                     \
		(condition);                                                                                 \
	})

#endif
