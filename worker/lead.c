/*
 * The right to send of an elected topic; part of the replicator.
 *
 * On standby both ends are connected and that is all: no subscription, nothing asked, nothing read. A gain is
 * a leader's role of a term that is not the present one: all that is known of an earlier term is forgotten,
 * but for the checkpoint that was told last, and the position is proven anew. The same term again moves the
 * end of the lease. A loss stops in the same call: what is in flight is dropped, and if anything may still be
 * on its way to the target, so is the connection with all that is unsent. A hand-over reads no more and lets
 * what is in flight settle first, as a pause does.
 *
 * The end of the lease needs nobody else: a timer, a look at the clock before each message (lead_is_over),
 * and one before bytes are written (nats_conn_write_until), which holds for a process that was stopped
 * between the two. What the system had taken by then may still arrive: the chain refuses it, or it fills the
 * slot that it belongs into. After a loss the source's consumer is the next leader's: it is not acknowledged,
 * changed or deleted here any more.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"
#include "worker/slots.h"

/* A worker that gains later than this after its start was on standby while others could lead: if resume_from
 * was to be used, they have. */
enum { RESUME_WITHIN_MS = 30000 };

static void lease_over(evutil_socket_t fd, short what, void *arg);

void
lead_init(struct replicator *r)
{
	r->lead.elected = r->topic->leader_election_name[0] != '\0';
	r->lead.leads = !r->lead.elected;
	r->lead.end.ns = INT64_MAX;
	r->lead.made = mono_now();
	r->lead.timer = evtimer_new(r->base, lease_over, r);
}

void
lead_fini(struct replicator *r)
{
	if (r->lead.timer != NULL)
		event_free(r->lead.timer);
}

void
lead_show(struct replicator *r)
{
	if (r->want_pause)
		replicator_tell(r, WORKER_PAUSED, "%s", "");
	else if (!ends_both_up(r))
		replicator_tell(r, WORKER_CONNECTING, "%s", "");
	else
		replicator_tell(r, WORKER_STANDBY, "%s", r->lead.reason);
}

static void
set_end(struct replicator *r, struct mono end)
{
	const int64_t left_ns = end.ns - mono_now().ns, left_us = left_ns > 0 ? left_ns / 1000 : 0;
	const struct timeval after = {left_us / 1000000, left_us % 1000000};

	r->lead.end = end;
	evtimer_add(r->lead.timer, &after);
	nats_conn_write_until(r->source_conn, end);
	nats_conn_write_until(r->target_conn, end);
}

static void
clear_end(struct replicator *r)
{
	r->lead.end.ns = INT64_MAX;
	evtimer_del(r->lead.timer);
	nats_conn_write_until(r->source_conn, (struct mono){0});
	nats_conn_write_until(r->target_conn, (struct mono){0});
}

/* ---- forgetting ---------------------------------------------------------------------------------- */

static void
forget_work(struct replicator *r)
{
	poll_cancel(r);
	slots_cancel(&r->readback);
	slots_cancel(&r->tail);
	others_unwatch(r);
	evtimer_del(r->tick_timer);
	evtimer_del(r->checkpoint_timer);
	pipeline_stop(r->pipeline, NULL, false);
	r->checkpoint_dirty = false;
	r->stretch_first = 0;
	r->refused_seq = 0;
	r->fault = r->others_seen = false;
	r->backoff_ms = 0;
}

/* What a later term may know of this one is the checkpoint that was told last. */
static void
forget_position(struct replicator *r)
{
	r->proven_before = r->memory_is_own = false;
	r->have_memory = r->have_told;
	if (r->have_told)
		replicator_remember(&r->memory, &r->told);
	r->presettled = 0;
	seqset_clear(&r->there);
	seqset_clear(&r->decided);
	seqset_clear(&r->passed_over);
	others_forget_pairs(r);
	r->source_last_known = r->pending_known = false;
	r->last_stored_ms = 0;
}

/* ---- losing -------------------------------------------------------------------------------------- */

/* Sends nothing from here on. */
static void
stand_by(struct replicator *r, const char *reason)
{
	struct lead *l = &r->lead;
	bool on_its_way =
	    pipeline_inflight_msgs(r->pipeline) > 0 || r->letter_request != NULL || r->phase == PHASE_BARRIER;

	snprintf(l->reason, sizeof l->reason, "%s", reason);
	l->leads = l->yielding = l->handing_over = false;
	go_consumer_end(r->go_consumer);
	source_forget(r->source);
	replicator_enter(r, PHASE_STANDBY);
	progress_checkpoint_now(r);
	source_leave(r->source);
	if (r->sampling != NULL)
		sampling_stand_by(r);
	forget_work(r);
	forget_position(r);
	sink_close(r->sink);
	if (on_its_way)
		nats_conn_reconnect(r->target_conn, "leadership was lost with messages on their way");
	clear_end(r);
	nats_conn_release_inbox(r->source_conn);
	nats_conn_release_inbox(r->target_conn);
	if (r->want_drain)
		replicator_end_drain(r);
	else
		lead_show(r);
}

bool
lead_is_over(struct replicator *r, struct mono now)
{
	if (!mono_reached(now, r->lead.end))
		return false;
	if (r->lead.leads) {
		uint64_t serial = r->lead.serial;
		bool yielding = r->lead.yielding;

		log_warn("replicator", "the lease ended without renewal: it sends no more");
		stand_by(r, "the lease ended without renewal");
		if (yielding)
			r->reports.role_done(r->arg, serial);
	}
	return true;
}

static void
lease_over(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;

	(void)fd;
	(void)what;
	if (!lead_is_over(r, mono_now()))
		set_end(r, r->lead.end); /* the timer's clock is a coarser one */
}

bool
lead_hands_over(struct replicator *r, void (*done)(void *arg))
{
	if (r->go_consumer == NULL || !r->lead.leads || !r->proven_before || r->lead.handing_over)
		return false;
	r->lead.handing_over = true;
	replicator_enter(r, PHASE_SETTLING);
	go_consumer_hand_over(r->go_consumer, pipeline_source_seq(r->pipeline), done, r);
	return true;
}

static void
yield_done(void *arg)
{
	struct replicator *r = arg;
	uint64_t serial = r->lead.serial;

	source_flush_acks(r->source);
	log_info("replicator", "handed over at source sequence %llu, target sequence %llu",
		 (unsigned long long)pipeline_source_seq(r->pipeline),
		 (unsigned long long)pipeline_target_seq(r->pipeline));
	stand_by(r, "");
	r->reports.role_done(r->arg, serial);
}

void
lead_yielded(struct replicator *r)
{
	if (!r->lead.handing_over && !lead_hands_over(r, yield_done))
		yield_done(r);
}

/* Whether something is in flight that may still settle, or of which the target's leader can still say
 * that it was dealt with. */
static bool
can_settle(const struct replicator *r)
{
	return r->lead.leads && pipeline_inflight_msgs(r->pipeline) > 0 && nats_conn_is_up(r->target_conn);
}

static void
yield(struct replicator *r)
{
	r->lead.yielding = true;
	if (r->phase == PHASE_BARRIER || r->phase == PHASE_SETTLING)
		return;
	if (r->phase == PHASE_COPYING || r->phase == PHASE_STARTING || r->phase == PHASE_HALTED) {
		replicator_enter(r, PHASE_SETTLING);
		progress_arm_tick(r);
	} else {
		replicator_go_back(r);
	}
}

static void
lose(struct replicator *r, bool settle)
{
	uint64_t serial = r->lead.serial;

	if (settle && r->lead.leads) {
		if (can_settle(r)) {
			yield(r);
		} else {
			r->lead.yielding = true;
			lead_yielded(r);
		}
		return;
	}
	if (r->lead.leads)
		stand_by(r, "");
	else if (r->phase == PHASE_STANDBY)
		lead_show(r);
	r->reports.role_done(r->arg, serial);
}

/* ---- gaining ------------------------------------------------------------------------------------- */

/* Each node has the setting, but it is for one start of the topic, wherever that is. */
static void
drop_late_resume(struct replicator *r)
{
	if (!r->apply_resume || mono_ms_between(r->lead.made, mono_now()) <= RESUME_WITHIN_MS)
		return;
	r->apply_resume = false;
	log_warn("replicator",
		 "resume_from is not used: this worker has been on standby since it started; for "
		 "another start, change it and reload");
}

static void
begin_term(struct replicator *r)
{
	struct error e;

	drop_late_resume(r);
	r->lead.leads = r->lead.taking_over = true;
	r->lead.reason[0] = '\0';
	forget_position(r);
	if (nats_conn_is_up(r->target_conn) && sink_open(r->sink, &e) != 0)
		log_warn("replicator", "target: %s", e.text);
	replicator_enter(r, PHASE_CONNECTING);
	if (ends_both_up(r))
		replicator_go_back(r);
}

static void
gain(struct replicator *r, const struct proto_role *role)
{
	if (r->lead.leads)
		stand_by(r, ""); /* what is on its way is of another term */
	log_info("replicator", "leads with term %llu%s", (unsigned long long)role->term,
		 role->map_in_doubt ? "; who led before may have copied otherwise, and not have settled"
				    : "");
	r->lead.term = role->term;
	r->lead.map_in_doubt = role->map_in_doubt;
	set_end(r, (struct mono){role->lease_end_ns});
	begin_term(r);
}

/* The hand-over is called off. */
static void
go_on(struct replicator *r)
{
	if (r->lead.handing_over)
		go_consumer_end(r->go_consumer); /* begins again when the source is ready */
	r->lead.yielding = r->lead.handing_over = false;
	if (r->want_pause)
		replicator_check_settled(r);
	else if (r->phase == PHASE_SETTLING)
		replicator_rewind(r, false, NULL);
}

static void
lead(struct replicator *r, const struct proto_role *role)
{
	struct lead *l = &r->lead;
	bool same = l->leads && role->term == l->term;

	if (mono_reached(mono_now(), (struct mono){role->lease_end_ns})) {
		if (l->leads)
			stand_by(r, "the lease had ended when it was told");
	} else if (same) {
		set_end(r, (struct mono){role->lease_end_ns});
		if (l->yielding && !r->want_drain)
			go_on(r);
	} else if (!r->want_drain) {
		gain(r, role);
	}
	r->reports.role_done(r->arg, role->serial);
}

void
replicator_set_role(struct replicator *r, const struct proto_role *role)
{
	r->lead.serial = role->serial;
	if (!r->lead.elected || r->phase == PHASE_DRAINED)
		r->reports.role_done(r->arg, role->serial);
	else if (role->leader)
		lead(r, role);
	else
		lose(r, role->settle);
}
