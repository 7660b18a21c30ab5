/* Counters that survive a worker's restart, and speeds. Pure code of the supervisor. */
#include "supervisor/totals.h"

#include <math.h>
#include <string.h>

void
totals_init(struct totals *t)
{
	memset(t, 0, sizeof *t);
	for (size_t i = 0; i < GAUGE_END; i++)
		t->gauge[i] = PROTO_UNKNOWN;
}

#define SHORTEST_S 0.2

static void
rate_report(struct rate *r, uint64_t total, struct mono now)
{
	double seconds = (double)(now.ns - r->at.ns) / 1e9, speed, keep;

	/* Two reports in one moment say nothing about a speed; the next one has both. */
	if (r->started && seconds < SHORTEST_S)
		return;
	if (r->started && total >= r->last) {
		speed = (double)(total - r->last) / seconds;
		/* The first interval is all there is to know; later ones move the average. */
		keep = r->per_second > 0 ? exp(-seconds / TOTALS_SMOOTH_S) : 0;
		r->per_second = r->per_second * keep + speed * (1 - keep);
		/* Nothing moves any more: an average that never reaches 0 would be noise. */
		if (r->per_second < 0.01)
			r->per_second = 0;
	}
	r->started = true;
	r->last = total;
	r->at = now;
}

static uint64_t
settled_count(const struct totals *t)
{
	static const enum proto_counter passed[] = {COUNTER_COPIED_MSGS, COUNTER_SKIPPED_MSGS,
						    COUNTER_FILTERED_MSGS, COUNTER_TOO_OLD_MSGS,
						    COUNTER_LOOP_MSGS};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
		sum += totals_counter(t, passed[i]);
	return sum;
}

void
totals_report(struct totals *t, const struct proto_stats *stats, struct mono now)
{
	memcpy(t->now, stats->counter, sizeof t->now);
	memcpy(t->gauge, stats->gauge, sizeof t->gauge);
	rate_report(&t->copied, totals_counter(t, COUNTER_COPIED_MSGS), now);
	rate_report(&t->settled, settled_count(t), now);
}

void
totals_ended(struct totals *t)
{
	for (size_t i = 0; i < COUNTER_END; i++)
		t->before[i] += t->now[i];
	memset(t->now, 0, sizeof t->now);
	t->gauge[GAUGE_INFLIGHT_MSGS] = 0;
	t->gauge[GAUGE_INFLIGHT_BYTES] = 0;
	t->gauge[GAUGE_LAG_MS] = PROTO_UNKNOWN;
	memset(&t->copied, 0, sizeof t->copied);
	memset(&t->settled, 0, sizeof t->settled);
}

uint64_t
totals_counter(const struct totals *t, enum proto_counter c)
{
	return t->before[c] + t->now[c];
}

double
totals_eta_s(const struct totals *t)
{
	uint64_t lag = t->gauge[GAUGE_LAG_MSGS];

	if (lag == 0)
		return 0;
	if (lag == PROTO_UNKNOWN || t->settled.per_second <= 0)
		return -1;
	return (double)lag / t->settled.per_second;
}
