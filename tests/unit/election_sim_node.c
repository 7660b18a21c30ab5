/*
 * Supervisor and worker of the simulation, and the pipes between the processes of a node. The supervisor
 * turns what the elector says into roles, kills what does not live, and starts it again; the worker copies
 * while it may, and stops by itself at the lease end that it was told last.
 */
#include <string.h>

#include "tests/unit/election_sim.h"

enum { LIVENESS_MS = 6000 };

/* ---- pipes ------------------------------------------------------------------------------------------ */

void
es_push(struct es *es, struct es_pipe *pipe, struct es_frame frame)
{
	size_t last = (pipe->first + pipe->count + ES_PIPE - 1) % ES_PIPE;

	frame.at_ms = es_now(es) + es_below(es, 2);
	if (pipe->count > 0 && pipe->frames[last].at_ms > frame.at_ms)
		frame.at_ms = pipe->frames[last].at_ms;
	if (pipe->count == ES_PIPE) {
		es_fail(es, "a pipe is full");
		return;
	}
	pipe->frames[(pipe->first + pipe->count++) % ES_PIPE] = frame;
}

bool
es_pop(struct es *es, struct es_pipe *pipe, struct es_frame *frame)
{
	if (pipe->count == 0 || pipe->frames[pipe->first].at_ms > es_now(es))
		return false;
	*frame = pipe->frames[pipe->first];
	pipe->first = (pipe->first + 1) % ES_PIPE;
	pipe->count--;
	return true;
}

/* ---- copying ---------------------------------------------------------------------------------------- */

static void
settled(void *arg, uint64_t from, uint64_t to)
{
	struct es_node *n = arg;

	for (uint64_t seq = from + 1; seq <= to; seq++)
		if (n->es->world.copies[seq] == 0)
			es_fail(n->es, "settled, but not there: message %llu", (unsigned long long)seq);
}

static void
checkpoint(void *arg, const struct proto_checkpoint *c)
{
	struct es_node *n = arg;

	n->worker.checkpoint = *c;
	n->worker.have_checkpoint = true;
}

/* Its position is proven anew; what an earlier term knew is at most a hint. */
static void
start_copier(struct es_node *n)
{
	struct sim_worker *w = &n->worker.copier;
	bool remembers = n->worker.have_checkpoint && es_chance(n->es, 700);

	w->world = &n->es->world;
	w->settings = n->es->settings;
	w->settings.elected = true;
	w->told = &n->es->told;
	w->settled = settled;
	w->checkpoint = checkpoint;
	w->arg = n;
	sim_worker_start(w, remembers ? &n->worker.checkpoint : NULL, 0);
}

/* Some of what is on its way still arrives, later. */
static void
stop_copier(struct es_node *n)
{
	struct sim_worker *w = &n->worker.copier;

	if (w->phase == SIM_DEAD)
		return;
	sim_worker_kill(w, w->conn >= 0 ? es_below(n->es, (uint32_t)n->es->world.conns[w->conn].out_count + 1)
					: 0);
}

static bool
is_settled(const struct sim_worker *w)
{
	return w->phase != SIM_COPYING || pipeline_inflight_msgs(w->pipeline) == 0;
}

static void
copy(struct es_node *n)
{
	struct sim_worker *w = &n->worker.copier;
	bool cut = es_now(n->es) < n->cut_target_until_ms;

	if (w->phase == SIM_DEAD)
		return;
	for (uint32_t i = es_below(n->es, 4); i > 0; i--) {
		uint32_t pick = es_below(n->es, 10);

		if (pick < 3 && !cut)
			sim_worker_answer(w);
		else if (pick < 7 && !n->worker.settling)
			sim_worker_deliver(w, false);
		else if (!cut)
			sim_worker_step(w);
	}
	sim_worker_tick(w);
	if (cut && es_chance(n->es, 10))
		sim_worker_lose_target(w, es_below(n->es, 5));
	if (w->phase == SIM_HALTED)
		es_fail(n->es, "node %d has halted", n->index);
}

/* ---- the worker ------------------------------------------------------------------------------------- */

bool
es_worker_leads(const struct es_node *n)
{
	return n->up && n->worker.up && n->worker.leader && es_now(n->es) < n->worker.end_ms;
}

static void
stop_leading(struct es_node *n)
{
	stop_copier(n);
	n->worker.leader = n->worker.settling = false;
}

static void
role_done(struct es_node *n)
{
	es_push(n->es, &n->worker_out, (struct es_frame){.kind = ES_ROLE_DONE, .serial = n->worker.serial});
}

static void
take_role(struct es_node *n, const struct es_frame *role)
{
	struct es_worker *w = &n->worker;

	w->serial = role->serial;
	if (role->leader && es_now(n->es) >= role->end_ms)
		return;
	if (role->leader) {
		if (!w->leader || w->term != role->term || w->settling) {
			stop_copier(n);
			start_copier(n);
		}
		w->leader = true;
		w->settling = false;
		w->term = role->term;
		w->end_ms = role->end_ms;
	} else if (role->settle && w->leader) {
		w->settling = true;
	} else {
		stop_leading(n);
		role_done(n);
	}
}

/* The clock first: it may have been stopped. */
static void
worker_step(struct es_node *n)
{
	struct es_worker *w = &n->worker;
	struct es_frame frame;

	if (w->leader && es_now(n->es) >= w->end_ms)
		stop_leading(n);
	while (es_pop(n->es, &n->worker_in, &frame))
		take_role(n, &frame);
	if (!w->leader)
		return;
	copy(n);
	if (w->settling && is_settled(&w->copier)) {
		stop_leading(n);
		role_done(n);
	}
}

void
es_worker_end(struct es_node *n)
{
	stop_leading(n);
	n->worker.up = false;
	n->worker_in.count = n->worker_out.count = 0;
}

static void
worker_start(struct es_node *n)
{
	struct es_worker *w = &n->worker;

	w->up = true;
	w->stopped_until_ms = 0;
	if (n->supervisor.leader)
		es_push(n->es, &n->worker_in,
			(struct es_frame){.kind = ES_ROLE,
					  .serial = ++n->supervisor.roles,
					  .leader = true,
					  .term = n->supervisor.term,
					  .end_ms = n->supervisor.end_ms});
}

/* ---- the supervisor --------------------------------------------------------------------------------- */

static void
release_now(struct es_node *n)
{
	struct es_supervisor *s = &n->supervisor;

	if (s->yields == 0)
		return;
	es_push(n->es, &n->elector_in, (struct es_frame){.kind = ES_RELEASE, .term = s->yields});
	s->released = s->yields;
	s->yields = 0;
}

static void
send_role(struct es_node *n, bool leader, bool settle)
{
	struct es_supervisor *s = &n->supervisor;

	s->leader = leader;
	if (n->worker.up)
		es_push(n->es, &n->worker_in,
			(struct es_frame){.kind = ES_ROLE,
					  .serial = ++s->roles,
					  .leader = leader,
					  .settle = settle,
					  .term = s->term,
					  .end_ms = s->end_ms});
	else if (!leader)
		release_now(n);
}

static void
take_from_elector(struct es_node *n, const struct es_frame *frame)
{
	struct es_supervisor *s = &n->supervisor;

	if (frame->kind == ES_LOST) {
		send_role(n, false, false);
	} else if (frame->kind == ES_YIELD) {
		s->yields = frame->term;
		send_role(n, false, true);
	} else if (frame->term != s->yields && frame->term != s->released) {
		/* Not a renewal that comes while the worker settles, or that has met a release on its way. */
		s->yields = s->released = 0;
		s->term = frame->term;
		s->end_ms = frame->end_ms;
		send_role(n, true, false);
	}
}

static void
watch_over_elector(struct es_node *n)
{
	struct es_elector *el = &n->elector;

	if (el->up && es_now(n->es) < el->stopped_until_ms && es_now(n->es) - el->stopped_ms > LIVENESS_MS) {
		es_trace(n->es, "node %d: its elector does not live", n->index);
		es_elector_end(n);
		el->restart_at_ms = es_now(n->es) + 100 + es_below(n->es, 400);
		n->supervisor.yields = n->supervisor.released = 0;
		send_role(n, false, false);
	}
	if (!el->up && es_now(n->es) >= el->restart_at_ms) {
		/* Its death is a loss, whoever killed it. */
		n->supervisor.yields = n->supervisor.released = 0;
		send_role(n, false, false);
		es_elector_start(n);
	}
}

static void
watch_over_worker(struct es_node *n)
{
	struct es_worker *w = &n->worker;

	if (w->up && es_now(n->es) < w->stopped_until_ms && es_now(n->es) - w->stopped_ms > LIVENESS_MS) {
		es_worker_end(n);
		w->restart_at_ms = es_now(n->es) + 100 + es_below(n->es, 400);
	}
	if (!w->up)
		release_now(n);
	if (!w->up && es_now(n->es) >= w->restart_at_ms)
		worker_start(n);
}

static void
supervisor_step(struct es_node *n)
{
	struct es_frame frame;

	while (es_pop(n->es, &n->elector_out, &frame))
		take_from_elector(n, &frame);
	while (es_pop(n->es, &n->worker_out, &frame))
		if (frame.serial == n->supervisor.roles)
			release_now(n);
	watch_over_elector(n);
	watch_over_worker(n);
}

/* ---- the node --------------------------------------------------------------------------------------- */

void
es_node_start(struct es_node *n)
{
	n->up = true;
	n->nonce = ++n->es->next_nonce;
	memset(&n->supervisor, 0, sizeof n->supervisor);
	if (es_chance(n->es, 300))
		n->worker.have_checkpoint = false;
	es_trace(n->es, "node %d: starts, nonce %llu", n->index, (unsigned long long)n->nonce);
	worker_start(n);
	es_elector_start(n);
}

void
es_node_crash(struct es_node *n)
{
	if (!n->up)
		return;
	es_worker_end(n);
	es_elector_end(n);
	n->elector_out.count = n->elector_in.count = 0;
	n->up = false;
	n->back_at_ms = es_now(n->es) + 100 + es_below(n->es, (uint32_t)n->es->bucket.ttl_ms * 2);
}

void
es_node_step(struct es_node *n)
{
	if (!n->up && es_now(n->es) >= n->back_at_ms)
		es_node_start(n);
	if (n->up && es_elector_acts(n))
		es_elector_step(n);
	if (n->up && es_now(n->es) >= n->supervisor.stopped_until_ms)
		supervisor_step(n);
	if (n->up && n->worker.up && es_now(n->es) >= n->worker.stopped_until_ms)
		worker_step(n);
}
