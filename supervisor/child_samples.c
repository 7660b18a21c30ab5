/*
 * Samples and advisories between the supervisor and the worker of a sampled topic. Runs in the supervisor.
 *
 * Invariants: a worker has one batch outstanding, so that a database that cannot be written costs one batch
 * of memory a topic and the worker goes on; only when it is to end it sends all that it has; what an answer
 * says, it says to the process that sent the batch: when a process is started, what concerned the one before
 * is committed or forgotten. A frame that is malformed or out of turn kills the child, for it is our own
 * program.
 */
#include <inttypes.h>

#include "common/xalloc.h"
#include "supervisor/child.h"
#include "supervisor/children.h"

static bool
is_configured(const struct child *c)
{
	return c->job.topic != NULL && c->job.topic->sampling.inspect != INSPECT_NONE;
}

bool
child_is_sampled(const struct child *c)
{
	return child_has_process(c) ? c->sampled : is_configured(c);
}

void
child_samples_start(struct child *c)
{
	c->sampled = is_configured(c);
	c->samples_serial = 0;
	c->outbox_full = false;
	if (c->sampled)
		store_flush_samples(c->table->store, c->key);
}

static int
on_samples(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_samples batch;

	if (proto_samples_decode(f->payload, f->len, &batch, e) != 0)
		return -1;
	if (c->samples_serial == 0 || c->state == CHILD_DRAINING) {
		c->samples_serial = batch.serial;
		store_put_samples(c->table->store, c->key, &batch);
	} else {
		error_set(e, ERR_PROTOCOL, "SAMPLES %" PRIu64 " before %" PRIu64 " was stored", batch.serial,
			  c->samples_serial);
	}
	proto_samples_fini(&batch);
	return e->code == ERR_NONE ? 0 : -1;
}

/* The worker sends its advisories all the same; what a full outbox costs is the memory of them. */
static void
note_outbox(struct child *c, bool kept)
{
	if (kept || c->outbox_full) {
		c->outbox_full = c->outbox_full && !kept;
		return;
	}
	c->outbox_full = true;
	store_incident(c->table->store, c->key, "outbox_full",
		       "advisories wait for delivery in such numbers that more are not kept over a restart");
	log_warn(c->key, "advisories: %d wait for delivery, more are not kept over a restart",
		 STATE_OUTBOX_KEPT);
}

static int
on_advisory(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_advisory advisory;
	bool kept;

	if (proto_advisory_decode(f->payload, f->len, &advisory, e) != 0)
		return -1;
	kept = store_put_advisory(c->table->store, c->key, &advisory);
	if (advisory.op == ADVISORY_PUT)
		note_outbox(c, kept);
	proto_advisory_fini(&advisory);
	return 0;
}

int
child_samples_frame(struct child *c, const struct proto_frame *f, struct error *e)
{
	if (!c->sampled)
		return error_set(e, ERR_PROTOCOL, "%s of a topic that is not sampled",
				 proto_type_name(f->type));
	return f->type == PROTO_SAMPLES ? on_samples(c, f, e) : on_advisory(c, f, e);
}

void
child_samples_stored(struct child *c, const struct proto_samples_stored *stored)
{
	struct strbuf payload;

	if (!c->sampled || c->channel == NULL)
		return;
	if (stored->serial == c->samples_serial)
		c->samples_serial = 0;
	strbuf_init(&payload);
	proto_samples_stored_encode(&payload, stored);
	child_send(c, PROTO_SAMPLES_STORED, &payload);
	strbuf_fini(&payload);
}
