/* Token buckets; runs in a replicating worker. A message larger than a second's bytes goes and leaves a
 * debt, so that the long-term rate holds and nothing waits for ever. */
#include "worker/throttle.h"

void
throttle_init(struct throttle *t, const struct conf_rate *rate, struct mono now)
{
	t->rate = *rate;
	t->msgs = rate->msgs_per_second / 10;
	t->bytes = rate->bytes_per_second / 10;
	t->filled = now;
}

static void
fill(double *tokens, double rate, double seconds)
{
	double burst = rate / 10 > 1 ? rate / 10 : 1;

	*tokens += rate * seconds;
	if (*tokens > burst)
		*tokens = burst;
}

/* Milliseconds until there is something in the bucket again, rounded up. */
static int64_t
wait_for(double tokens, double rate, double need)
{
	if (rate <= 0 || tokens >= need)
		return 0;
	return (int64_t)((need - tokens) / rate * 1000) + 1;
}

int64_t
throttle_wait_ms(struct throttle *t, struct mono now)
{
	double seconds = (double)(now.ns - t->filled.ns) / 1e9;
	int64_t for_msgs, for_bytes;

	if (t->rate.msgs_per_second <= 0 && t->rate.bytes_per_second <= 0)
		return 0;
	fill(&t->msgs, t->rate.msgs_per_second, seconds);
	fill(&t->bytes, t->rate.bytes_per_second, seconds);
	t->filled = now;
	for_msgs = wait_for(t->msgs, t->rate.msgs_per_second, 1);
	for_bytes = wait_for(t->bytes, t->rate.bytes_per_second, 0.000001);
	return for_msgs > for_bytes ? for_msgs : for_bytes;
}

void
throttle_take(struct throttle *t, uint64_t bytes)
{
	t->msgs -= 1;
	t->bytes -= (double)bytes;
}
