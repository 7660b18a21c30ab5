/*
 * What a replicator says of itself in figures; part of the replicator. Reads its state and changes nothing.
 */
#include "common/clock.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"

static uint64_t
lag_msgs(const struct replicator *r)
{
	uint64_t settled = pipeline_source_seq(r->pipeline);

	if (!r->source_last_known)
		return PROTO_UNKNOWN;
	if (r->pending_known && r->phase == PHASE_COPYING &&
	    (r->topic->filter_count > 0 || pipeline_inflight_msgs(r->pipeline) == 0))
		return r->pending + pipeline_inflight_msgs(r->pipeline);
	return r->source_last > settled ? r->source_last - settled : 0;
}

static uint64_t
lag_ms(const struct replicator *r, uint64_t lag)
{
	int64_t stored_ms = pipeline_oldest_stored_ms(r->pipeline), now_ms = wall_ms();

	if (lag == PROTO_UNKNOWN || lag == 0)
		return lag;
	if (stored_ms == 0)
		stored_ms = r->last_stored_ms;
	if (stored_ms == 0)
		return PROTO_UNKNOWN;
	return now_ms > stored_ms ? (uint64_t)(now_ms - stored_ms) : 0;
}

void
replicator_stats(const struct replicator *r, struct proto_stats *stats)
{
	uint64_t *gauge = stats->gauge;

	*stats = r->stats;
	stats->counter[COUNTER_ACKS_FAILED] = source_acks_failed(r->source);
	for (size_t i = 0; i < GAUGE_END; i++)
		gauge[i] = PROTO_UNKNOWN;
	if (r->sampling != NULL)
		sampling_stats(r, stats); /* a standby knows the values too */
	if (!r->lead.leads)
		return;
	gauge[GAUGE_SOURCE_LAST_SEQ] = r->source_last_known ? r->source_last : PROTO_UNKNOWN;
	gauge[GAUGE_COMMITTED_SEQ] = r->proven_before ? pipeline_source_seq(r->pipeline) : PROTO_UNKNOWN;
	gauge[GAUGE_TARGET_SEQ] = r->proven_before ? pipeline_target_seq(r->pipeline) : PROTO_UNKNOWN;
	gauge[GAUGE_CURRENT_SEQ] = r->proven_before ? pipeline_offered_seq(r->pipeline) : PROTO_UNKNOWN;
	gauge[GAUGE_LAG_MSGS] = lag_msgs(r);
	gauge[GAUGE_LAG_MS] = lag_ms(r, gauge[GAUGE_LAG_MSGS]);
	gauge[GAUGE_INFLIGHT_MSGS] = pipeline_inflight_msgs(r->pipeline);
	gauge[GAUGE_INFLIGHT_BYTES] = pipeline_inflight_bytes(r->pipeline);
	gauge[GAUGE_WINDOW_MSGS] = pipeline_window(r->pipeline);
}
