/* The role of the process that holds elections: between the pipe's frames and elector.h. */
#include "common/strbuf.h"
#include "worker/elector.h"
#include "worker/role.h"

static void
tell_won(void *arg, const struct proto_won *won)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_won_encode(&payload, won);
	worker_send(arg, PROTO_WON, &payload);
}

static void
tell_lost(void *arg, const struct proto_lost *lost)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_lost_encode(&payload, lost);
	worker_send(arg, PROTO_LOST, &payload);
}

static void
tell_yield(void *arg, const struct proto_lost *yield)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_lost_encode(&payload, yield);
	worker_send(arg, PROTO_YIELD, &payload);
}

static void
tell_election(void *arg, const struct proto_election *election)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_election_encode(&payload, election);
	worker_send(arg, PROTO_ELECTION, &payload);
}

static void *
make(struct worker *w, const struct proto_frame *frame, struct error *e)
{
	static const struct elector_reports reports = {
	    worker_report_state,    tell_won,      tell_lost, tell_yield, tell_election,
	    worker_report_incident, worker_drained};
	struct proto_elect elect;

	if (proto_elect_decode(frame->payload, frame->len, &elect, e) != 0)
		return NULL;
	return elector_new(worker_base(w), worker_conf(w), &elect, &reports, w, e);
}

static void
start(void *role)
{
	elector_start(role);
}

static void
stats(const void *role, struct proto_stats *stats)
{
	elector_stats(role, stats);
}

static void
drain(void *role)
{
	elector_drain(role);
}

static void
release(void *role)
{
	struct elector *el = role;

	elector_free(&el);
}

static int
take_able(struct elector *el, const struct proto_frame *frame, struct error *e)
{
	struct proto_able able;

	if (proto_able_decode(frame->payload, frame->len, &able, e) != 0)
		return -1;
	elector_able(el, &able);
	proto_able_fini(&able);
	return 0;
}

static int
take_step_down(struct elector *el, const struct proto_frame *frame, struct error *e)
{
	struct proto_name name;

	if (proto_name_decode(frame->payload, frame->len, &name, e) != 0)
		return -1;
	elector_step_down(el, name.key);
	proto_name_fini(&name);
	return 0;
}

static int
take_release(struct elector *el, const struct proto_frame *frame, struct error *e)
{
	struct proto_term term;

	if (proto_term_decode(frame->payload, frame->len, &term, e) != 0)
		return -1;
	elector_release(el, &term);
	proto_term_fini(&term);
	return 0;
}

static int
take_frame(void *role, const struct proto_frame *frame, struct error *e)
{
	switch (frame->type) {
	case PROTO_ABLE:
		return take_able(role, frame, e);
	case PROTO_STEP_DOWN:
		return take_step_down(role, frame, e);
	case PROTO_RELEASE:
		return take_release(role, frame, e);
	case PROTO_ALIVE:
		elector_supervisor_alive(role);
		return 0;
	default:
		return 0;
	}
}

/*
 * Nobody is left to say that the workers have stopped, so no key can be given up: renewing while they settle
 * would only make others wait longer. The workers stop by themselves when the lease ends.
 */
const struct role_ops role_elect = {
    .begins_with = PROTO_ELECT,
    .make = make,
    .start = start,
    .stats = stats,
    .drain = drain,
    .ends_with_supervisor = true,
    .free = release,
    .frame = take_frame,
};
