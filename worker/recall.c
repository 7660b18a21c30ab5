/*
 * Recalling from the target which values were copied; runs in a replicating worker at a start and at a gain
 * of leadership. Reads once (reader.c), and nothing but the headers where they tell the value.
 *
 * A dead letter is no copy: its message counts as seen alone. What begins anew after a failure may tell of
 * the same copy twice, which its receiver does not mind.
 */
#include "worker/recall.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/header.h"
#include "common/nats/fit.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "worker/compose.h"
#include "worker/position.h"
#include "worker/reader.h"

enum {
	LOOK_EVERY = 1024, /* messages */
	TELL_MS = 1000,
};

struct recall {
	struct recall_request in;
	struct recall_callbacks callbacks;
	void *arg;
	struct reader *reader;
	uint64_t read, copies;
	struct mono told;
};

/* Whether it is a copy to recall; with when its message was stored. */
static bool
is_copy(const struct recall *r, const struct nats_message *m, const struct jsack *ack, int64_t *stored_ms)
{
	struct position_slot slot;
	struct header_line line;

	position_classify(r->in.conf, r->in.topic, m->headers, m->headers_len, &slot);
	if (slot.kind != SLOT_OURS && !slot.unnumbered)
		return false;
	if (slot.kind == SLOT_OURS && (uint64_t)slot.origin.seq > r->in.up_to)
		return false;
	*stored_ms = slot.origin.stored_ms > 0 ? slot.origin.stored_ms : ack->stored_ns / 1000000;
	return !header_find(m->headers, m->headers_len, COMPOSE_REJECT_REASON_HEADER, &line);
}

static void
tell_progress(struct recall *r, uint64_t left)
{
	struct mono now = mono_now();

	if (mono_ms_between(r->told, now) < TELL_MS)
		return;
	r->told = now;
	r->callbacks.progress(r->arg, r->read, left);
}

static void
message_read(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct recall *r = arg;
	struct sample_value value;
	int64_t stored_ms;
	uint64_t size;

	if (++r->read % LOOK_EVERY == 0)
		tell_progress(r, ack->pending);
	if (!is_copy(r, m, ack, &stored_ms))
		return;
	copy_value_read(r->in.values, m, &value, &size);
	if (value.len == 0)
		return;
	r->copies++;
	r->callbacks.copied(r->arg, &value, stored_ms, size);
}

static void
all_read(void *arg, const char *failure)
{
	struct recall *r = arg;
	struct recall_callbacks callbacks = r->callbacks;
	uint64_t copies = r->copies;
	void *done_arg = r->arg;

	r->reader = NULL;
	recall_cancel(&r);
	callbacks.done(done_arg, failure, copies);
}

struct recall *
recall_start(const struct ask_end *end, const struct recall_request *request,
	     const struct recall_callbacks *callbacks, void *arg, struct error *e)
{
	const struct reader_callbacks reader_callbacks = {message_read, all_read};
	struct recall *r = xcalloc(1, sizeof *r);
	char filter[SUBJECT_MAX];
	const struct reader_request reader_request = {
	    .stream = request->target->name,
	    .filter = filter,
	    .headers_only = !copy_value_wants_body(request->values),
	    .after = request->after,
	    .since_ms = request->since_ms,
	    .last = request->target->last_seq,
	};

	r->in = *request;
	r->callbacks = *callbacks;
	r->arg = arg;
	r->told = mono_now();
	fit_mapped_filter(request->topic, request->source, request->target, filter, sizeof filter);
	r->reader = reader_start(end, &reader_request, &reader_callbacks, r, e);
	if (r->reader == NULL)
		recall_cancel(&r);
	return r;
}

void
recall_cancel(struct recall **rp)
{
	struct recall *r = *rp;

	if (r == NULL)
		return;
	reader_cancel(&r->reader);
	free(r);
	*rp = NULL;
}
