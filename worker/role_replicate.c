/* The role of a process that copies one topic: between the pipe's frames and replicator.h. */
#include "worker/replicator.h"
#include "worker/role.h"

static void
report_checkpoint(void *arg, const struct proto_checkpoint *checkpoint)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_checkpoint_encode(&payload, checkpoint);
	worker_send(arg, PROTO_CHECKPOINT, &payload);
}

static void
report_samples(void *arg, const struct proto_samples *batch)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_samples_encode(&payload, batch->serial, batch->note);
	strbuf_add(&payload, batch->rows, batch->rows_len);
	worker_send(arg, PROTO_SAMPLES, &payload);
}

static void
report_advisory(void *arg, const struct proto_advisory *change)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_advisory_encode(&payload, change);
	worker_send(arg, PROTO_ADVISORY, &payload);
}

static void *
make(struct worker *w, const struct proto_frame *frame, struct error *e)
{
	static const struct replicator_reports reports = {
	    .state = worker_report_state,
	    .checkpoint = report_checkpoint,
	    .incident = worker_report_incident,
	    .samples = report_samples,
	    .advisory = report_advisory,
	    .role_done = worker_report_role_done,
	    .drained = worker_drained,
	};
	const struct conf *conf = worker_conf(w);
	struct proto_position position;
	struct replicator *r;

	if (conf->topic_count != 1) {
		error_set(e, ERR_CONFLICT, "POSITION came without the configuration of one topic");
		return NULL;
	}
	if (proto_position_decode(frame->payload, frame->len, &position, e) != 0)
		return NULL;
	r = replicator_new(worker_base(w), conf, &conf->topics[0], &position, &reports, w, e);
	proto_position_fini(&position);
	return r;
}

static void
start(void *role)
{
	replicator_start(role);
}

static void
stats(const void *role, struct proto_stats *stats)
{
	replicator_stats(role, stats);
}

static void
drain(void *role)
{
	replicator_drain(role);
}

static void
release(void *role)
{
	struct replicator *r = role;

	replicator_free(&r);
}

static void
pause_role(void *role)
{
	replicator_pause(role);
}

static void
resume(void *role)
{
	replicator_resume(role);
}

static void
set_role(void *role, const struct proto_role *told)
{
	replicator_set_role(role, told);
}

/* SAMPLES_STORED alone comes here. */
static int
take_frame(void *role, const struct proto_frame *frame, struct error *e)
{
	struct proto_samples_stored stored;

	if (frame->type != PROTO_SAMPLES_STORED)
		return error_set(e, ERR_PROTOCOL, "%s is not for a replicating worker",
				 proto_type_name(frame->type));
	if (proto_samples_stored_decode(frame->payload, frame->len, &stored, e) != 0)
		return -1;
	replicator_samples_stored(role, &stored);
	return 0;
}

const struct role_ops role_replicate = {
    .begins_with = PROTO_POSITION,
    .make = make,
    .start = start,
    .stats = stats,
    .drain = drain,
    .free = release,
    .pause = pause_role,
    .resume = resume,
    .set_role = set_role,
    .frame = take_frame,
};
