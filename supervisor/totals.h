/*
 * What a topic has done since the supervisor started, over all its processes: counters added up, gauges
 * as last reported, and speeds. Pure.
 */
#ifndef SR_SUPERVISOR_TOTALS_H
#define SR_SUPERVISOR_TOTALS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/proto.h"

/* A speed smoothed over about TOTALS_SMOOTH_S seconds. */
#define TOTALS_SMOOTH_S 5.0
struct rate {
	bool started; /* last and at are set */
	uint64_t last;
	struct mono at;
	double per_second;
};

struct totals {
	uint64_t before[COUNTER_END]; /* of processes that have ended */
	uint64_t now[COUNTER_END];    /* of the one that runs */
	uint64_t gauge[GAUGE_END];    /* PROTO_UNKNOWN until reported */
	struct rate copied;
	struct rate settled; /* copied, or passed over by policy: what makes the lag shrink */
};

void totals_init(struct totals *t);
/* The running process reported. */
void totals_report(struct totals *t, const struct proto_stats *stats, struct mono now);
/* The process ended: its counters are kept, what it held in flight is gone, speeds are 0. */
void totals_ended(struct totals *t);
uint64_t totals_counter(const struct totals *t, enum proto_counter c);

/* Seconds until the lag is gone at the present speed; -1 if that cannot be said. */
double totals_eta_s(const struct totals *t);

#endif
