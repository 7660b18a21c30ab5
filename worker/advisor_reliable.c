/*
 * Reliable advisories, in a worker: each is published with its id as Nats-Msg-Id and delivered when a stream
 * says that it has it, or had it before.
 *
 * Faults. A row in the supervisor's outbox is there before the first try and goes with the last word, so that
 * whatever ends this process, the next one goes on; then a stream may be told twice, and drops the second by
 * its id. Without a stream, with an error or no answer in time it is a failed try: the row tells of it, and
 * the next one comes after a back-off, up to ten; then it is given up, which is an incident (one for all of a
 * minute). A connection that was lost is no try: nobody refused anything. What is out when leadership is lost
 * keeps its chance of an answer; what is not waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nats/jsapi.h"
#include "common/subject.h"
#include "common/text.h"
#include "worker/advisor_internal.h"

enum { ID_MAX = 64, SUBJECT_SHOWN = 256 };

/* ---- rows of the outbox -------------------------------------------------------------------------- */

static void
tell_row(struct advisor *a, const struct outbox_item *item, int64_t wait_ms)
{
	const struct proto_advisory row = {
	    .op = ADVISORY_PUT,
	    .id = item->id,
	    .subject = item->subject,
	    .body = item->body,
	    .tries = item->tries,
	    .next_try_ms = wall_ms() + wait_ms,
	};

	a->callbacks.outbox(a->arg, &row);
}

static void
tell_done(struct advisor *a, char *id)
{
	char nothing[] = "";
	const struct proto_advisory row = {
	    .op = ADVISORY_DONE, .id = id, .subject = nothing, .body = nothing};

	a->callbacks.outbox(a->arg, &row);
}

/* Delivered or given up: the row goes, and the value is free. */
static void
finish(struct advisor *a, struct outbox_item *item)
{
	struct advisory_read said;
	bool readable = advisory_read(item->body, item->body_len, &said, NULL) == 0;

	tell_done(a, item->id);
	outbox_remove(a->outbox, &item);
	if (outbox_count(a->outbox) <= a->limits.waiting_max / 2)
		a->overflow_told = false;
	if (!readable)
		return;
	a->callbacks.delivered(a->arg, said.value, strlen(said.value));
	advisory_read_fini(&said);
}

/* ---- what became of a try ------------------------------------------------------------------------ */

static void
give_up(struct advisor *a, struct outbox_item *item, const char *reason)
{
	struct strbuf clean;

	strbuf_init(&clean);
	text_clean(&clean, item->subject, strlen(item->subject));
	a->figures.dropped++;
	a->given_up++;
	snprintf(a->given_up_last, sizeof a->given_up_last,
		 "advisory %s to \"%.*s\" was given up after %u tries: %s", item->id,
		 (int)text_cut(clean.data, clean.len, SUBJECT_SHOWN), clean.data, (unsigned)item->tries,
		 reason);
	strbuf_fini(&clean);
	finish(a, item);
}

static void
failed(struct advisor *a, struct outbox_item *item, const char *reason)
{
	int64_t wait_ms;

	item->tries++;
	a->figures.errors++;
	advisor_warn(a, item->subject, reason);
	if (item->tries >= a->limits.tries) {
		give_up(a, item, reason);
		return;
	}
	wait_ms = outbox_backoff_ms(item->tries, a->limits.backoff_first_ms, a->limits.backoff_max_ms);
	tell_row(a, item, wait_ms);
	outbox_return(a->outbox, item, mono_add_ms(mono_now(), wait_ms));
}

static void
read_answer(struct advisor *a, struct outbox_item *item, const struct nats_message *m)
{
	struct jsapi_puback ack;
	struct strbuf text;

	if (jsapi_read_puback(m->data, m->data_len, &ack) != 0) {
		failed(a, item, "whatever listens there is no stream; bind a stream to the subject");
		return;
	}
	if (ack.error.code == 0 && ack.error.err_code == 0 && ack.seq > 0) {
		advisor_went_well(a);
		finish(a, item);
		return;
	}
	strbuf_init(&text);
	strbuf_adds(&text, "the stream refused it: ");
	text_clean(&text, ack.error.description, strlen(ack.error.description));
	strbuf_addf(&text, " (%d)", ack.error.err_code);
	failed(a, item, text.data);
	strbuf_fini(&text);
}

static void
answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct outbox_item *item = arg;
	struct advisor *a = item->owner;

	item->request = NULL;
	switch (result) {
	case NATS_REPLY:
		read_answer(a, item, m);
		break;
	case NATS_NO_RESPONDERS_REPLY:
		failed(a, item, "no stream listens there; bind a stream to the subject");
		break;
	case NATS_REQUEST_TIMEOUT:
		failed(a, item, "no answer by a stream in time");
		break;
	case NATS_REQUEST_LOST:
		outbox_return(a->outbox, item, item->due);
		break;
	}
	advisor_wake(a);
}

/* ---- sending ------------------------------------------------------------------------------------- */

static void
try_item(struct advisor *a, struct outbox_item *item)
{
	struct error e = ERROR_INIT;
	char headers[sizeof "Nats-Msg-Id: \r\n" + ID_MAX];
	int len = snprintf(headers, sizeof headers, "Nats-Msg-Id: %s\r\n", item->id);

	item->request = nats_conn_request(a->conn, item->subject, headers, (size_t)len, item->body,
					  item->body_len, a->limits.answer_ms, answered, item, &e);
	if (item->request != NULL)
		return;
	if (nats_conn_is_up(a->conn))
		failed(a, item, e.text);
	else
		outbox_return(a->outbox, item, item->due);
}

void
reliable_pump(struct advisor *a)
{
	struct outbox_item *item;
	struct mono now = mono_now();

	for (size_t i = 0; i < a->limits.out_max; i++) {
		if (!advisor_may_send(a) || outbox_out(a->outbox) >= a->limits.out_max ||
		    nats_conn_room(a->conn) == 0)
			return;
		item = outbox_take(a->outbox, now);
		if (item == NULL)
			return;
		try_item(a, item);
	}
}

/* ---- what comes in ------------------------------------------------------------------------------- */

/* False if it is one too many: memory is bounded, whatever happens. */
static bool
has_room(struct advisor *a)
{
	if (outbox_count(a->outbox) < a->limits.waiting_max)
		return true;
	a->figures.dropped++;
	if (!a->overflow_told) {
		char detail[160];

		a->overflow_told = true;
		snprintf(
		    detail, sizeof detail,
		    "%zu advisories wait for delivery: further ones are dropped until half of them are gone",
		    outbox_count(a->outbox));
		log_error(a->topic->key, "%s", detail);
		a->callbacks.incident(a->arg, "advisory_overflow", detail);
	}
	return false;
}

bool
reliable_raise(struct advisor *a, const struct advisory *advisory, const char *subject,
	       const struct strbuf *body)
{
	char id[ADVISORY_ID_SIZE];
	struct outbox_item *item;

	advisory_id(a->conf->name, a->topic->key, advisory, id);
	if (outbox_has(a->outbox, id))
		return true;
	a->figures.raised[advisory->event]++;
	if (!has_room(a))
		return false;
	item = outbox_add(a->outbox, id, subject, body->data, mono_now());
	item->owner = a;
	tell_row(a, item, 0);
	advisor_wake(a);
	return true;
}

static bool
id_valid(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++)
		if (id[i] <= ' ' || id[i] >= 0x7f)
			return false;
	return len > 0 && len <= ID_MAX;
}

bool
advisor_load(struct advisor *a, const struct proto_advisory *row)
{
	int64_t wait_ms = row->next_try_ms - wall_ms();
	struct outbox_item *item;

	if (!id_valid(row->id) || !subject_valid(row->subject)) {
		log_warn(a->topic->key, "a row of advisory_outbox makes no sense and is dropped");
		if (strlen(row->id) <= ID_MAX)
			tell_done(a, row->id);
		return false;
	}
	if (outbox_count(a->outbox) >= a->limits.waiting_max)
		return false;
	/* Another clock may have set that time. */
	if (wait_ms > a->limits.backoff_max_ms)
		wait_ms = a->limits.backoff_max_ms;
	item = outbox_add(a->outbox, row->id, row->subject, row->body,
			  mono_add_ms(mono_now(), wait_ms > 0 ? wait_ms : 0));
	if (item == NULL)
		return false;
	item->owner = a;
	item->tries = row->tries < a->limits.tries ? row->tries : a->limits.tries - 1;
	advisor_wake(a);
	return true;
}

/* ---- incidents ----------------------------------------------------------------------------------- */

void
reliable_tell(struct advisor *a)
{
	struct mono now = mono_now();
	char detail[sizeof a->given_up_last + 64];

	if (a->given_up == 0)
		return;
	if (a->given_up_told && !mono_reached(now, mono_add_ms(a->given_up_told_at, a->limits.tell_every_ms)))
		return;
	if (a->given_up > 1)
		snprintf(detail, sizeof detail, "%s; %llu other%s too", a->given_up_last,
			 (unsigned long long)a->given_up - 1, a->given_up == 2 ? "" : "s");
	else
		snprintf(detail, sizeof detail, "%s", a->given_up_last);
	a->given_up = 0;
	a->given_up_told = true;
	a->given_up_told_at = now;
	log_error(a->topic->key, "%s", detail);
	a->callbacks.incident(a->arg, "advisory_given_up", detail);
}

void
reliable_free(struct advisor *a)
{
	struct outbox_item *item;

	while ((item = outbox_first_out(a->outbox)) != NULL) {
		struct nats_request *request = item->request;

		nats_request_cancel(&request);
		outbox_remove(a->outbox, &item);
	}
	outbox_free(&a->outbox);
}
