/* rate_limit: a token bucket of messages and one of bytes, each a tenth of a second deep. Pure. */
#ifndef SR_WORKER_THROTTLE_H
#define SR_WORKER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/conf.h"

struct throttle {
	struct conf_rate rate;
	double msgs, bytes; /* tokens left; below 0 is debt that has to be waited for */
	struct mono filled;
};

void throttle_init(struct throttle *t, const struct conf_rate *rate, struct mono now);
/* Milliseconds until the next message may go; 0: now. */
int64_t throttle_wait_ms(struct throttle *t, struct mono now);
void throttle_take(struct throttle *t, uint64_t bytes);

#endif
