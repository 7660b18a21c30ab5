/*
 * What the source holds beyond what came from it: its last sequence, what is pending, gaps, and the
 * progress watchdog that judges by it. Runs in a replicating worker; nothing here changes a position.
 */
#include "worker/replicator_internal.h"

#include "common/nats/ask.h"

enum { POLL_MS = 2000 };

static void
arm(struct replicator *r)
{
	const struct timeval after = {POLL_MS / 1000, (POLL_MS % 1000) * 1000};

	evtimer_add(r->poll_timer, &after);
}

static bool
has_work(const struct replicator *r)
{
	if (pipeline_inflight_msgs(r->pipeline) > 0)
		return true;
	return r->source_last > pipeline_source_seq(r->pipeline) && (!r->pending_known || r->pending > 0);
}

static void
watch(struct replicator *r)
{
	uint64_t progress = pipeline_source_seq(r->pipeline) + r->stats.counter[COUNTER_REDELIVERED_MSGS];
	bool work = r->phase == PHASE_COPYING && !evtimer_pending(r->room_timer, NULL) && has_work(r);

	switch (watchdog_look(&r->watchdog, progress, work, mono_now())) {
	case WATCHDOG_FINE:
		break;
	case WATCHDOG_REPULL:
		r->stats.counter[COUNTER_WATCHDOG_REPULL]++;
		source_repull(r->source);
		break;
	case WATCHDOG_RESUBSCRIBE:
		r->stats.counter[COUNTER_WATCHDOG_RESUBSCRIBE]++;
		replicator_rewind(r, false, "no progress");
		break;
	case WATCHDOG_RECREATE:
		r->stats.counter[COUNTER_WATCHDOG_RECREATE]++;
		replicator_rewind(r, true, "no progress");
		break;
	case WATCHDOG_RECONNECT:
		r->stats.counter[COUNTER_WATCHDOG_RECONNECT]++;
		nats_conn_reconnect(r->source_conn, "no progress");
		break;
	case WATCHDOG_UNHEALTHY:
		r->stats.counter[COUNTER_WATCHDOG_UNHEALTHY]++;
		replicator_hold(r, WORKER_HOLDING,
				"no progress for 40 s although the source holds messages; it goes on trying");
		break;
	}
}

/* ---- gaps ---------------------------------------------------------------------------------------- */

static void
count_gap(struct replicator *r, const struct gap_counts *counts)
{
	r->stats.counter[COUNTER_GAP_FILTERED_MSGS] += counts->filtered;
	r->stats.counter[COUNTER_GAP_DELETED_MSGS] += counts->deleted;
	r->stats.counter[COUNTER_GAP_EXPIRED_MSGS] += counts->expired;
	if (counts->expired > 0)
		replicator_incident(
		    r, "gap", "%llu messages were gone before they were copied, within %llu to %llu",
		    (unsigned long long)counts->expired, (unsigned long long)counts->expired_range.from,
		    (unsigned long long)counts->expired_range.to);
}

void
poll_gap(struct replicator *r, const struct jsack *ack)
{
	struct gap_counts counts;
	const struct timeval at_once = {0, 0};

	if (gap_take(&r->gap, ack, &counts) && r->poll_request == NULL)
		evtimer_add(r->poll_timer, &at_once);
	if (counts.filtered + counts.expired > 0)
		count_gap(r, &counts);
}

/* ---- asking -------------------------------------------------------------------------------------- */

static void
pending_arrived(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct replicator *r = arg;
	struct jsapi_consumer consumer = {0};
	struct jsapi_error err;
	struct error e;

	r->pending_request = NULL;
	if (result == NATS_REPLY && jsapi_read_consumer(m->data, m->data_len, &consumer, &err, &e) == 0) {
		r->pending_known = true;
		r->pending = consumer.num_pending + consumer.num_ack_pending;
		jsapi_consumer_fini(&consumer);
	}
	watch(r);
}

/* The stream's last sequence is above ours though nothing is in flight: only the consumer knows whether
 * what lies between matches at all. */
static void
ask_pending(struct replicator *r)
{
	const struct ask_end end = {r->source_conn, r->topic->source_domain};
	struct error e;

	r->pending_request = ask_api(&end, "", 0, pending_arrived, r, &e, "CONSUMER.INFO.%s.%s",
				     r->topic->stream, r->topic->name);
}

static bool
is_another(const struct replicator *r, const struct jsapi_stream *stream)
{
	return stream->created_ns != r->source_stream.created_ns ||
	       stream->last_seq < pipeline_source_seq(r->pipeline);
}

static void
info_arrived(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct replicator *r = arg;
	struct jsapi_stream stream = {0};
	struct jsapi_error err;
	struct error e;
	struct gap_counts counts;

	r->poll_request = NULL;
	arm(r);
	if (result != NATS_REPLY || jsapi_read_stream(m->data, m->data_len, &stream, &err, &e) != 0) {
		watch(r);
		return;
	}
	if (stream.last_seq > r->source_last)
		r->source_last = stream.last_seq;
	gap_classify(&r->gap, stream.first_seq, &counts);
	count_gap(r, &counts);
	if (r->phase == PHASE_COPYING && is_another(r, &stream)) {
		jsapi_stream_fini(&stream);
		replicator_rewind(r, false, "the source stream is another one now, or went back");
		return;
	}
	if (r->phase == PHASE_COPYING && !has_work(r)) {
		r->backoff_ms = 0;
		replicator_tell(r, WORKER_COPYING, "%s", "");
	}
	jsapi_stream_fini(&stream);
	if (r->source_last > pipeline_source_seq(r->pipeline) && pipeline_inflight_msgs(r->pipeline) == 0 &&
	    r->phase == PHASE_COPYING && r->pending_request == NULL && !r->topic->ephemeral)
		ask_pending(r);
	else
		watch(r);
}

void
poll_timer(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;
	const struct ask_end end = {r->source_conn, r->topic->source_domain};
	struct error e;

	(void)fd;
	(void)what;
	progress_stretch_check(r);
	if (r->poll_request != NULL)
		return;
	if (nats_conn_is_up(r->source_conn))
		r->poll_request =
		    ask_api(&end, "", 0, info_arrived, r, &e, "STREAM.INFO.%s", r->topic->stream);
	if (r->poll_request == NULL)
		arm(r);
}

void
poll_begin(struct replicator *r)
{
	watchdog_init(&r->watchdog, mono_now());
	if (r->poll_request == NULL && !evtimer_pending(r->poll_timer, NULL))
		arm(r);
}

void
poll_cancel(struct replicator *r)
{
	nats_request_cancel(&r->poll_request);
	nats_request_cancel(&r->pending_request);
	evtimer_del(r->poll_timer);
}
