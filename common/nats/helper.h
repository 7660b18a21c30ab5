/* Helper threads of the connections: detached, with all signals blocked (they are the loop's), counted. */
#ifndef SR_COMMON_NATS_HELPER_H
#define SR_COMMON_NATS_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Runs fn(arg) in a thread of its own. 0, or -1 with *e. */
int helper_start(void (*fn)(void *arg), void *arg, struct error *e);

unsigned helper_running(void);

/* Waits until none runs, timeout_ms at most. True if none does. */
bool helper_wait_all(int64_t timeout_ms);

#endif
