/* Running an event loop in a test until something has happened, and how long its turns were blocked. */
#ifndef SR_TESTS_LOOP_H
#define SR_TESTS_LOOP_H

#include <event2/event.h>
#include <stdint.h>

#include "common/clock.h"

/*
 * The longest that a turn of the loop stood still: time in which it neither computed nor waited for a
 * processor, so that a busy machine does not count. Reset by the test.
 */
extern int64_t worst_block_ns;

void loop_turn(struct event_base *base);

/* Runs the loop until condition or the deadline; the value is the condition's. */
#define RUN_UNTIL(base, ms, condition)                                                                       \
	__extension__({                                                                                      \
		struct mono end_ = mono_add_ms(mono_now(), ms);                                              \
		while (!(condition) && !mono_reached(mono_now(), end_))                                      \
			loop_turn(base);                                                                     \
		(condition);                                                                                 \
	})

#endif
