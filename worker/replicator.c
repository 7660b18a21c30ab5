/*
 * The life of a replicating worker: its connections, its phases, and what happens after a fault.
 *
 * There is one way back from every doubt: stop reading, wait until the target's leader has dealt with
 * what was sent on this connection (the barrier), read both streams and prove the position (locate.c),
 * start the source just behind it. What was in flight and is stored is found there; what is not comes
 * again from the source. The steps change nothing that matters, so a fault in the middle of them begins
 * them again, with back-off from the second time on.
 *
 *   connection to either end lost     CONNECTING, then the way back
 *   late or odd reply, broken chain   the way back at once, the window halved
 *   target cannot store now           BACKOFF (`holding`), then the way back
 *   cannot be decided without a person HALTED: what is in flight still settles
 *   position proven, sampled topic    RECALLING, then the source is started (sampling_start.c)
 *   pause, drain, hand-over           SETTLING: nothing is read, replies are taken
 *   leadership lost                   STANDBY, from wherever it was (lead.c)
 */
#include "worker/replicator_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nats/fit.h"
#include "common/xalloc.h"
#include "worker/sampling.h"
#include "worker/slots.h"

enum {
	BACKOFF_FIRST_MS = 50,
	BACKOFF_MAX_MS = 5000,
	HOLD_FIRST_MS = 250,
	SHOW_TROUBLE_MS = 1000, /* a fault that lasts longer shows in the state */
	/* Servers 2.11 queue 10,000 publishes of a stream and drop the rest; from 2.12 on it is 100,000
	 * (server/stream.go). */
	QUEUED_BY_SERVER = 9500,
};

static void locate_begin(struct replicator *r);

/* ---- telling ------------------------------------------------------------------------------------- */

static void
tell(struct replicator *r, enum worker_state state, const char *reason)
{
	if (state == r->told_state && strcmp(reason, r->told_reason) == 0)
		return;
	r->told_state = state;
	snprintf(r->told_reason, sizeof r->told_reason, "%s", reason);
	r->reports.state(r->arg, state, reason);
}

void
replicator_tell(struct replicator *r, enum worker_state state, const char *fmt, ...)
{
	char reason[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	tell(r, state, reason);
}

void
replicator_incident(struct replicator *r, const char *kind, const char *fmt, ...)
{
	char detail[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	r->reports.incident(r->arg, kind, detail);
}

/* ---- phases -------------------------------------------------------------------------------------- */

static void
stop_reading(struct replicator *r)
{
	source_stop(r->source);
	source_flush_acks(r->source);
	reject_cancel(r);
	evtimer_del(r->room_timer);
	r->paused_for_room = false;
}

/* The one place where the phase changes. */
void
replicator_enter(struct replicator *r, enum phase phase)
{
	static const char *const names[PHASE_END] = {
	    "idle",    "standby", "connecting", "barrier", "locating", "recalling", "starting",
	    "copying", "backoff", "settling",   "paused",  "halted",   "drained"};

	if (phase == r->phase)
		return;
	log_debug("replicator", "phase %s to %s", names[r->phase], names[phase]);
	r->phase = phase;
	if (phase != PHASE_LOCATING)
		locate_free(&r->locate);
	if (phase != PHASE_BACKOFF && phase != PHASE_BARRIER)
		evtimer_del(r->backoff_timer);
	if (phase != PHASE_COPYING && phase != PHASE_STARTING)
		stop_reading(r);
	if (r->sampling != NULL)
		sampling_phase_changed(r);
}

static void
arm_backoff(struct replicator *r, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(r->backoff_timer, &after);
}

/* The wait before the next try, and the one after it. */
static int64_t
next_backoff(struct replicator *r, int64_t first_ms)
{
	int64_t wait_ms = r->backoff_ms > first_ms ? r->backoff_ms : first_ms;

	r->backoff_ms = wait_ms * 2 < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS;
	return wait_ms;
}

void
replicator_hold(struct replicator *r, enum worker_state state, const char *fmt, ...)
{
	char reason[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	if (r->phase == PHASE_DRAINED || r->phase == PHASE_HALTED || r->phase == PHASE_STANDBY)
		return;
	if (r->lead.yielding) {
		log_info("replicator", "%s", reason);
		replicator_go_back(r);
		return;
	}
	replicator_enter(r, PHASE_BACKOFF);
	r->fault = true;
	arm_backoff(r, next_backoff(r, HOLD_FIRST_MS));
	if (state != WORKER_COPYING || r->backoff_ms > SHOW_TROUBLE_MS)
		tell(r, state == WORKER_COPYING ? WORKER_HOLDING : state, reason);
	else
		log_info("replicator", "%s", reason);
}

void
replicator_halt(struct replicator *r, const char *fmt, ...)
{
	char reason[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	snprintf(r->halt_reason, sizeof r->halt_reason, "%s", reason);
	replicator_enter(r, PHASE_HALTED);
	tell(r, WORKER_HALTED, reason);
	progress_arm_tick(r);
}

/* ---- the way back -------------------------------------------------------------------------------- */

/* Waits for the answer to a publish sent last; without one the connection may still hold some. */
static bool
send_barrier(struct replicator *r)
{
	struct error e;

	r->barrier_answered = !r->sent_on_this_connection;
	if (!r->sent_on_this_connection || pipeline_inflight_msgs(r->pipeline) == 0)
		return false;
	if (sink_barrier(r->sink, r->last_subject, pipeline_epoch(r->pipeline), 0, &e) != 0)
		return false;
	replicator_enter(r, PHASE_BARRIER);
	arm_backoff(r, r->topic->ack_timeout_ms);
	return true;
}

void
replicator_go_back(struct replicator *r)
{
	if (r->lead.yielding) {
		/* What the leader has dealt with cannot arrive late; more is not to be had. */
		if (r->phase == PHASE_BARRIER || !nats_conn_is_up(r->target_conn) || !send_barrier(r))
			lead_yielded(r);
	} else if (!ends_both_up(r)) {
		replicator_enter(r, PHASE_CONNECTING);
	} else if (r->want_pause && !r->want_drain && r->phase != PHASE_BARRIER &&
		   pipeline_inflight_msgs(r->pipeline) == 0) {
		replicator_enter(r, PHASE_PAUSED);
		tell(r, WORKER_PAUSED, "");
	} else if (!send_barrier(r)) {
		locate_begin(r);
	}
}

void
replicator_rewind(struct replicator *r, bool fault, const char *why)
{
	if (r->phase == PHASE_DRAINED || r->phase == PHASE_IDLE || r->phase == PHASE_STANDBY ||
	    r->phase == PHASE_HALTED)
		return;                  /* only a new process leaves HALTED, or a new term */
	if (r->phase == PHASE_BARRIER) { /* answered, or waited for long enough */
		locate_begin(r);
		return;
	}
	if (why != NULL) {
		r->stats.counter[COUNTER_REWINDS]++;
		log_info("replicator", "rewind: %s", why);
	}
	if (r->want_drain) {
		replicator_drain(r);
		return;
	}
	r->fault |= fault;
	if (why != NULL && r->backoff_ms > 0 && !r->lead.yielding) {
		replicator_enter(r, PHASE_BACKOFF);
		arm_backoff(r, next_backoff(r, BACKOFF_FIRST_MS));
		if (r->backoff_ms > SHOW_TROUBLE_MS)
			tell(r, WORKER_HOLDING, why);
		return;
	}
	if (why != NULL)
		r->backoff_ms = BACKOFF_FIRST_MS;
	replicator_go_back(r);
}

void
replicator_backoff_over(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;

	(void)fd;
	(void)what;
	if (r->phase == PHASE_BARRIER) {
		log_info("replicator", "the target did not answer the barrier in time");
		locate_begin(r);
	} else {
		replicator_go_back(r);
	}
}

static void
locate_failed(void *arg, enum locate_failure failure, const char *text)
{
	struct replicator *r = arg;

	if (failure == LOCATE_HALT)
		replicator_halt(r, "%s", text);
	else
		replicator_hold(r, failure == LOCATE_HOLD ? WORKER_HOLDING : WORKER_COPYING, "%s", text);
}

/* What was read of the two streams is kept, and remembered as what positions belong to. */
static void
take_streams(struct replicator *r, struct locate_result *result)
{
	if (r->have_streams) {
		jsapi_stream_fini(&r->source_stream);
		jsapi_stream_fini(&r->target_stream);
	}
	r->have_streams = true;
	r->source_stream = result->source;
	r->target_stream = result->target;
	r->takes_all = fit_takes_all(r->topic, &r->source_stream, &r->target_stream);
	r->source_last = r->source_stream.last_seq;
	r->source_last_known = true;
}

static void
remember(struct replicator *r, const struct pipeline_start *start)
{
	proto_checkpoint_fini(&r->memory);
	r->memory = (struct proto_checkpoint){
	    .source_stream = xstrdup(r->source_stream.name),
	    .source_created_ns = r->source_stream.created_ns,
	    .source_seq = start->source_seq,
	    .target_stream = xstrdup(r->target_stream.name),
	    .target_created_ns = r->target_stream.created_ns,
	    .target_seq = start->target_seq,
	};
	r->have_memory = r->memory_is_own = true;
}

static void
report_findings(struct replicator *r, const struct locate_result *result)
{
	const struct position_rewind *rewind = &result->rewind;

	if (result->target_made)
		log_info("replicator", "made target stream %s", r->target_stream.name);
	if (result->position.incident != NULL)
		replicator_incident(r, result->position.incident, "%s", result->position.incident_text);
	if (rewind->repeats > 0)
		replicator_incident(r, "repeat",
				    "%llu messages are at the target twice, the first is %llu: late "
				    "publishes of an old connection",
				    (unsigned long long)rewind->repeats,
				    (unsigned long long)rewind->first_repeat);
	if (rewind->missing > 0)
		replicator_incident(r, "missing",
				    "%llu messages were not at the target though later ones are, the first "
				    "is %llu; sent again",
				    (unsigned long long)rewind->missing,
				    (unsigned long long)rewind->first_missing);
	if (rewind->foreign > 0)
		replicator_incident(
		    r, "foreign_writer", "%llu messages of another writer at target stream %s%s",
		    (unsigned long long)rewind->foreign, r->target_stream.name,
		    r->topic->target_writers == TARGET_WRITERS_AUTO ? "; it is used as shared from now on"
								    : "");
}

/* What has been sent keeps its decision, or the map would change under publishes still on their way. */
static void
keep_decisions(struct replicator *r)
{
	struct pipeline_entry_view entry;

	if (!position_map_varies(r->topic))
		return;
	for (size_t i = 0; pipeline_entry(r->pipeline, i, &entry); i++)
		seqset_add(&r->decided, entry.seq);
}

/* What was in flight and has been found at the target. */
static void
count_found(struct replicator *r, uint64_t source_seq)
{
	struct pipeline_entry_view entry;

	for (size_t i = 0; pipeline_entry(r->pipeline, i, &entry) && entry.seq <= source_seq; i++)
		r->stats.counter[COUNTER_COPIED_MSGS]++;
}

static void
restart_pipeline(struct replicator *r, const struct locate_result *result)
{
	struct pipeline_start start = result->position.start;
	uint64_t old_end = pipeline_target_seq(r->pipeline) + pipeline_inflight_msgs(r->pipeline);
	uint32_t window = r->topic->max_inflight;

	/* A message is about to leave the map, and what was sent with it in may still arrive. */
	if (r->refused_seq != 0 && !r->barrier_answered && old_end > start.stretch_end)
		start.stretch_end = old_end;
	if (r->mode == COMPOSE_CHAIN && start.mode == PIPELINE_SUBJECT)
		log_info("replicator", "target stream %s has other writers: order is kept per subject",
			 r->target_stream.name);
	if (nats_conn_server_at_least(r->target_conn, 2, 11) &&
	    !nats_conn_server_at_least(r->target_conn, 2, 12) && window > QUEUED_BY_SERVER)
		window = QUEUED_BY_SERVER;
	keep_decisions(r);
	count_found(r, start.source_seq);
	pipeline_stop(r->pipeline, result->rewound ? &r->there : NULL, r->fault);
	pipeline_limit_window(r->pipeline, window);
	pipeline_restart(r->pipeline, &start);
	if (start.stretch_end > start.target_seq)
		progress_stretch_begin(r, start.target_seq + 1);
	r->mode = start.mode == PIPELINE_SUBJECT ? COMPOSE_SUBJECT : COMPOSE_CHAIN;
}

static void
start_source(struct replicator *r)
{
	struct header_policy policy;
	uint64_t position = pipeline_source_seq(r->pipeline);

	fit_header_policy(r->topic, &r->target_stream, &policy);
	compose_set_policy(r->composer, &policy);
	compose_set_source_created(r->composer, r->source_stream.created_ns);
	gap_begin(&r->gap, r->topic->filter_count > 0, position, r->first_start);
	r->first_start = false;
	r->proven_before = true;
	r->fault = false;
	r->pending_known = false;
	r->room = 0;
	replicator_enter(r, PHASE_STARTING);
	others_watch(r);
	source_start(r->source, &r->source_stream, r->sampling != NULL ? sampling_start_after(r) : position,
		     r->lead.taking_over);
	poll_begin(r);
}

void
replicator_recalled(struct replicator *r)
{
	if (r->want_drain)
		replicator_drain(r);
	else if (r->want_pause)
		replicator_go_back(r);
	else
		start_source(r);
}

/* The proven position is ours from here on. */
static void
adopt_position(struct replicator *r, const struct locate_result *result)
{
	if (!r->proven_before)
		r->first_start = result->position.configured_start;
	restart_pipeline(r, result);
	if (r->sampling != NULL)
		sampling_located(r, result);
	remember(r, &result->position.start);
	if (!result->rewound) {
		r->presettled = result->position.presettled;
		others_forget_pairs(r);
	}
	r->others_seen = false;
	r->apply_resume = false;
	r->checkpoint_dirty = true;
	progress_checkpoint_now(r);
}

static void
locate_done(void *arg, struct locate_result *result)
{
	struct replicator *r = arg;
	struct locate_result kept = *result; /* freed with the locate by replicator_enter() */

	if (r->sampling != NULL && !kept.rewound)
		sampling_remember(r); /* of the streams as they were */
	take_streams(r, &kept);
	report_findings(r, &kept);
	if (kept.position.outcome == POSITION_HALT) {
		replicator_halt(r, "%s", kept.position.text);
		return;
	}
	if (kept.rewound && kept.rewind.foreign > 0) {
		/* What the chain said since they began to write is in doubt. */
		r->others_seen = true;
		locate_begin(r);
		return;
	}
	log_info("replicator", "copying from source sequence %llu, target sequence %llu: %s",
		 (unsigned long long)kept.position.start.source_seq + 1,
		 (unsigned long long)kept.position.start.target_seq, kept.position.text);
	adopt_position(r, &kept);
	if (r->sampling == NULL || r->want_drain || r->want_pause) {
		replicator_recalled(r);
		return;
	}
	r->proven_before = true; /* what the pipeline was started with counts, if the recall fails */
	replicator_enter(r, PHASE_RECALLING);
	sampling_recall(r);
}

static void
locate_begin(struct replicator *r)
{
	const struct locate_callbacks callbacks = {locate_done, locate_failed};
	struct locate_inputs inputs = {
	    .base = r->base,
	    .source = r->source_conn,
	    .target = r->target_conn,
	    .conf = r->conf,
	    .topic = r->topic,
	    .map_hash = r->map_hash,
	    .memory = r->have_memory ? &r->memory : NULL,
	    .memory_is_own = r->memory_is_own,
	    .elected = r->lead.elected,
	    .map_in_doubt = r->lead.map_in_doubt,
	    .apply_resume = r->apply_resume,
	    .others_seen = r->others_seen,
	    .pipeline = r->proven_before && !r->others_seen ? r->pipeline : NULL,
	    .read_all_slots = pipeline_stretch_end(r->pipeline) > pipeline_target_seq(r->pipeline),
	};

	if (r->lead.yielding) {
		lead_yielded(r);
		return;
	}
	if (!ends_both_up(r)) {
		replicator_enter(r, PHASE_CONNECTING);
		return;
	}
	if (r->proven_before) {
		position_checkpoint(r->pipeline, r->topic, r->map_hash, &r->memory);
		r->memory.in_flight = pipeline_inflight_msgs(r->pipeline);
	}
	if (r->others_seen)
		others_go_back(r);
	locate_free(&r->locate);
	replicator_enter(r, PHASE_LOCATING);
	r->locate = locate_new(&inputs, &r->there, &callbacks, r);
	locate_run(r->locate);
}

/* ---- source -------------------------------------------------------------------------------------- */

void
replicator_source_ready(void *arg, bool filters_here, uint32_t granted)
{
	struct replicator *r = arg;

	if (filters_here && !r->filters_here)
		log_info("replicator", "the source's server takes no list of filters; they are applied here");
	r->filters_here = filters_here;
	r->lead.taking_over = false;
	pipeline_limit_window(r->pipeline, granted > 0 && granted < r->topic->max_inflight ? granted : 0);
	replicator_enter(r, PHASE_COPYING);
	if (r->sampling != NULL)
		sampling_source_ready(r);
	/* After a hold it is only known to copy once something is settled again. */
	if (r->told_state != WORKER_HOLDING)
		tell(r, WORKER_COPYING, "");
	go_consumer_begin(r->go_consumer, &r->source_stream, pipeline_source_seq(r->pipeline));
	copy_go_on(r);
}

void
replicator_source_trouble(void *arg, bool permanent, const char *text)
{
	struct replicator *r = arg;

	if (permanent)
		replicator_hold(r, WORKER_HOLDING, "source: %s", text);
	else
		replicator_rewind(r, false, text);
}

/* ---- start, pause and drain -----------------------------------------------------------------------------
 */

void
replicator_start(struct replicator *r)
{
	replicator_enter(r, r->lead.leads ? PHASE_CONNECTING : PHASE_STANDBY);
	if (r->want_pause)
		tell(r, WORKER_PAUSED, "");
	else
		tell(r, WORKER_CONNECTING, "");
	nats_conn_start(r->source_conn);
	nats_conn_start(r->target_conn);
}

void
replicator_drain_over(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;

	(void)fd;
	(void)what;
	log_info("replicator", "%u messages in flight were not settled in time",
		 pipeline_inflight_msgs(r->pipeline));
	replicator_end_drain(r);
}

static void
hand_over_done(void *arg)
{
	replicator_end_drain(arg);
}

void
replicator_end_drain(struct replicator *r)
{
	if (r->phase == PHASE_DRAINED || lead_hands_over(r, hand_over_done))
		return;
	evtimer_del(r->drain_timer);
	replicator_enter(r, PHASE_DRAINED);
	progress_checkpoint_now(r);
	source_flush_acks(r->source);
	source_leave(r->source);
	if (r->sampling != NULL)
		sampling_end(r);
	if (r->lead.yielding)
		r->reports.role_done(r->arg, r->lead.serial);
	r->reports.drained(r->arg);
}

void
replicator_check_settled(struct replicator *r)
{
	if (r->phase != PHASE_SETTLING || pipeline_inflight_msgs(r->pipeline) > 0 || r->lead.handing_over)
		return;
	if (r->want_drain) {
		replicator_end_drain(r);
		return;
	}
	if (r->lead.yielding) {
		lead_yielded(r);
		return;
	}
	progress_checkpoint_now(r);
	replicator_enter(r, PHASE_PAUSED);
	tell(r, WORKER_PAUSED, "");
}

void
replicator_pause(struct replicator *r)
{
	r->want_pause = true;
	if (r->phase == PHASE_COPYING || r->phase == PHASE_STARTING) {
		replicator_enter(r, PHASE_SETTLING);
		progress_arm_tick(r);
		replicator_check_settled(r);
	} else if (r->phase == PHASE_BACKOFF || r->phase == PHASE_CONNECTING || r->phase == PHASE_HALTED ||
		   r->phase == PHASE_STANDBY) {
		tell(r, WORKER_PAUSED, "");
	}
}

void
replicator_resume(struct replicator *r)
{
	if (!r->want_pause)
		return;
	r->want_pause = false;
	r->backoff_ms = 0;
	if (r->lead.yielding)
		return;
	if (r->phase == PHASE_STANDBY)
		lead_show(r);
	else if (r->phase == PHASE_HALTED)
		tell(r, WORKER_HALTED, r->halt_reason);
	else if (r->phase == PHASE_CONNECTING)
		tell(r, WORKER_CONNECTING, "");
	else if (r->phase != PHASE_LOCATING && r->phase != PHASE_RECALLING && r->phase != PHASE_BARRIER)
		replicator_rewind(r, false, NULL);
}

void
replicator_drain(struct replicator *r)
{
	const struct timeval after = {PROTO_SETTLE_MS / 1000, (PROTO_SETTLE_MS % 1000) * 1000};
	bool known = r->phase == PHASE_COPYING || r->phase == PHASE_STARTING || r->phase == PHASE_SETTLING ||
		     r->phase == PHASE_PAUSED || r->phase == PHASE_HALTED;

	if (r->phase == PHASE_DRAINED)
		return;
	r->want_drain = true;
	/* What is in flight cannot settle while an end is lost or the target is being read: the next start
	 * finds out. */
	if (!known || !nats_conn_is_up(r->target_conn))
		pipeline_stop(r->pipeline, NULL, false);
	replicator_enter(r, PHASE_SETTLING);
	if (!evtimer_pending(r->drain_timer, NULL))
		evtimer_add(r->drain_timer, &after);
	progress_arm_tick(r);
	replicator_check_settled(r);
}
