/*
 * The two connections of a replicator: what their coming and going means; part of the replicator.
 *
 * A lost connection stops reading and nothing else: what is in flight is proven when both ends are there
 * again. Of the target's connection everything that was on its way is unknown then.
 */
#include "common/log.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"
#include "worker/slots.h"

bool
ends_both_up(const struct replicator *r)
{
	return nats_conn_is_up(r->source_conn) && nats_conn_is_up(r->target_conn);
}

static void
end_up(struct replicator *r, const struct nats_conn *conn, const char *which)
{
	const struct nats_server_info *info = nats_conn_info(conn);

	log_info("replicator", "connected to the %s: %s, server %s", which, info->url, info->version);
	if (r->sampling != NULL)
		sampling_end_up(r, conn == r->source_conn);
	if (r->phase == PHASE_STANDBY)
		lead_show(r);
	else if (r->phase == PHASE_CONNECTING && ends_both_up(r))
		replicator_go_back(r);
}

static void
end_down(struct replicator *r, bool was_up, const char *which, const char *reason)
{
	r->stats.counter[was_up ? COUNTER_CONNECTION_CLOSED : COUNTER_CONNECTION_ERRORS]++;
	if (was_up)
		r->stats.counter[COUNTER_RECONNECTIONS]++;
	if (r->want_drain) {
		replicator_drain(r);
		return;
	}
	if (r->lead.yielding && !nats_conn_is_up(r->target_conn)) {
		lead_yielded(r);
		return;
	}
	if (r->lead.yielding)
		return;
	if (r->phase != PHASE_HALTED && r->phase != PHASE_STANDBY)
		replicator_enter(r, PHASE_CONNECTING);
	if ((r->phase == PHASE_CONNECTING || r->phase == PHASE_STANDBY) && !r->want_pause)
		replicator_tell(r, WORKER_CONNECTING, "%s: %s", which, reason);
}

static void
source_up(void *arg)
{
	struct replicator *r = arg;

	end_up(r, r->source_conn, "source");
}

static void
source_down(void *arg, bool was_up, const char *reason)
{
	struct replicator *r = arg;

	poll_cancel(r);
	if (r->sampling != NULL)
		sampling_end_down(r, true);
	end_down(r, was_up, "source", reason);
}

static void
target_up(void *arg)
{
	struct replicator *r = arg;
	struct error e;

	r->sent_on_this_connection = false;
	if (r->lead.leads && sink_open(r->sink, &e) != 0) {
		log_warn("replicator", "target: %s", e.text);
		return;
	}
	end_up(r, r->target_conn, "target");
}

static void
target_down(void *arg, bool was_up, const char *reason)
{
	struct replicator *r = arg;

	slots_cancel(&r->readback);
	slots_cancel(&r->tail);
	others_unwatch(r);
	sink_close(r->sink);
	if (r->sampling != NULL)
		sampling_end_down(r, false);
	r->fault |= pipeline_inflight_msgs(r->pipeline) > 0;
	end_down(r, was_up, "target", reason);
}

static void
target_writable(void *arg)
{
	struct replicator *r = arg;

	r->room = 0;
	copy_go_on(r);
}

static void
target_async_error(void *arg, const char *text)
{
	struct replicator *r = arg;
	struct refusal refusal = refusal_of_async_error(text);

	if (r->sampling != NULL && sampling_takes_error(r, text))
		return;
	if (refusal.action == REFUSAL_HOLD)
		replicator_hold(r, WORKER_HOLDING, "target: %s; %s", text, refusal.cure);
	else
		log_warn("replicator", "target: %s", text);
}

static void
source_async_error(void *arg, const char *text)
{
	struct replicator *r = arg;

	if (r->sampling != NULL && sampling_takes_error(r, text))
		return;
	replicator_hold(r, WORKER_HOLDING, "source: %s; allow the replicator's user what it asked for", text);
}

struct nats_conn *
ends_make(struct replicator *r, bool is_source, struct error *e)
{
	static const struct nats_conn_callbacks source = {source_up, source_down, NULL, source_async_error};
	static const struct nats_conn_callbacks target = {target_up, target_down, target_writable,
							  target_async_error};
	const struct conf_topic *t = r->topic;
	struct endpoint ep;
	struct nats_conn *conn;

	if (endpoint_parse(is_source ? t->source_url : t->target_url,
			   is_source ? &t->source_tls : &t->target_tls, &ep, e) != 0)
		return NULL;
	/* others.c listens for other writers, gossip for other nodes */
	ep.no_echo = !is_source || t->sampling.gossip;
	conn = nats_conn_new(r->base, &ep, is_source ? "source" : "target", t->name,
			     is_source ? &source : &target, r);
	endpoint_fini(&ep);
	return conn;
}
