/*
 * Making and freeing a replicator: its parts, its timers, and what its process was told at the start; part of
 * the replicator. Nothing here happens while it works.
 */
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"
#include "worker/slots.h"

enum {
	CREDIT_MSGS = 65536, /* half of it must last for a round trip */
	CREDIT_BYTES = 32 * 1024 * 1024,
	REPLY_EVERY_MSGS = 256,
	REPLY_EVERY_BYTES = 1024 * 1024,
};

static void
make_timers(struct replicator *r)
{
	r->backoff_timer = evtimer_new(r->base, replicator_backoff_over, r);
	r->tick_timer = evtimer_new(r->base, progress_tick, r);
	r->checkpoint_timer = evtimer_new(r->base, progress_checkpoint_timer, r);
	r->poll_timer = evtimer_new(r->base, poll_timer, r);
	r->room_timer = evtimer_new(r->base, copy_room_timer, r);
	r->drain_timer = evtimer_new(r->base, replicator_drain_over, r);
}

static void
make_parts(struct replicator *r)
{
	const struct source_callbacks source_callbacks = {replicator_source_ready, copy_message,
							  replicator_source_trouble};
	const struct sink_callbacks sink_callbacks = {progress_reply, progress_replies_done};
	const struct source_config source_config = {
	    .topic = r->topic,
	    .credit_msgs = CREDIT_MSGS,
	    .credit_bytes = CREDIT_BYTES,
	    .max_unacked = r->topic->max_inflight + 2 * CREDIT_MSGS,
	};
	const struct pipeline_config pipeline_config = {
	    .window_max = r->topic->max_inflight,
	    .window_max_bytes = r->topic->max_inflight_bytes,
	    .reply_every_msgs = REPLY_EVERY_MSGS,
	    .reply_every_bytes = REPLY_EVERY_BYTES,
	    .ack_timeout_ms = r->topic->ack_timeout_ms,
	};

	r->source = source_new(r->base, r->source_conn, &source_config, &source_callbacks, r);
	r->sink = sink_new(r->target_conn, &sink_callbacks, r);
	r->composer = compose_new(r->conf, r->topic);
	r->pipeline = pipeline_new(&pipeline_config, copy_drop_held, r);
	throttle_init(&r->throttle, &r->topic->rate_limit, mono_now());
	seqset_init(&r->there);
	seqset_init(&r->decided);
	seqset_init(&r->passed_over);
}

void
replicator_remember(struct proto_checkpoint *to, const struct proto_checkpoint *from)
{
	struct proto_checkpoint copy = *from;

	copy.source_stream = xstrdup(from->source_stream);
	copy.target_stream = xstrdup(from->target_stream);
	proto_checkpoint_fini(to);
	*to = copy;
}

static void
take_position(struct replicator *r, const struct proto_position *position)
{
	r->apply_resume = position->apply_resume;
	r->want_pause = position->paused;
	r->have_memory = position->have_checkpoint;
	if (!r->have_memory)
		return;
	replicator_remember(&r->memory, &position->checkpoint);
	replicator_remember(&r->told, &position->checkpoint);
	r->have_told = true;
}

struct replicator *
replicator_new(struct event_base *base, const struct conf *conf, const struct conf_topic *topic,
	       const struct proto_position *position, const struct replicator_reports *reports, void *arg,
	       struct error *e)
{
	struct replicator *r = xcalloc(1, sizeof *r);

	r->base = base;
	r->conf = conf;
	r->topic = topic;
	r->reports = *reports;
	r->arg = arg;
	r->map_hash = conf_map_hash(conf, topic);
	r->told_state = WORKER_STATE_END;
	take_position(r, position);
	make_timers(r);
	lead_init(r);
	r->source_conn = ends_make(r, true, e);
	if (r->source_conn != NULL)
		r->target_conn = ends_make(r, false, e);
	if (r->target_conn == NULL) {
		replicator_free(&r);
		return NULL;
	}
	make_parts(r);
	if (sampling_make(r, e) != 0) {
		replicator_free(&r);
		return NULL;
	}
	r->go_consumer = go_consumer_new(base, r->source_conn, topic);
	return r;
}

static void
free_timers(struct replicator *r)
{
	struct event **timers[] = {&r->backoff_timer, &r->tick_timer, &r->checkpoint_timer,
				   &r->poll_timer,    &r->room_timer, &r->drain_timer};

	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
		if (*timers[i] != NULL)
			event_free(*timers[i]);
}

void
replicator_free(struct replicator **rp)
{
	struct replicator *r = *rp;

	if (r == NULL)
		return;
	if (r->source != NULL) {
		replicator_enter(r, PHASE_DRAINED);
		poll_cancel(r);
		slots_cancel(&r->readback);
		slots_cancel(&r->tail);
	}
	others_unwatch(r);
	sampling_free(r);
	go_consumer_free(&r->go_consumer);
	source_free(&r->source);
	sink_free(&r->sink);
	pipeline_free(&r->pipeline);
	compose_free(&r->composer);
	nats_conn_free(&r->source_conn);
	nats_conn_free(&r->target_conn);
	free_timers(r);
	lead_fini(r);
	if (r->have_streams) {
		jsapi_stream_fini(&r->source_stream);
		jsapi_stream_fini(&r->target_stream);
	}
	seqset_fini(&r->there);
	seqset_fini(&r->decided);
	seqset_fini(&r->passed_over);
	proto_checkpoint_fini(&r->memory);
	proto_checkpoint_fini(&r->told);
	free(r->stretch_seqs);
	free(r);
	*rp = NULL;
}
