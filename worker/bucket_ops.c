/*
 * Writes to and reads from the bucket; part of the bucket, in an elector's process.
 *
 * Each is answered once and never from within the call. What a write's answer does not say for certain stays
 * unknown here; the lease settles it by reading. Certain are: stored (with its revision), another revision
 * than expected, and refusals that come before anything is stored.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "worker/bucket_internal.h"

enum { NOT_SENT_MS = 50 }; /* so that trying again cannot become a busy loop */

struct bucket_op {
	struct bucket *bucket;
	struct bucket_op *next;
	struct nats_request *request;
	struct event *not_sent; /* answers what could not be sent */
	char *key, *subject;    /* subject: as the server names it in a complaint */
	char words[512];
	bucket_written_fn *written; /* NULL: a read */
	bucket_read_fn *read;
	void *arg;
	uint64_t op;
};

static struct bucket_op *
op_new(struct bucket *b, const char *key, const char *subject, void *arg, uint64_t op)
{
	struct bucket_op *o = xcalloc(1, sizeof *o);

	o->bucket = b;
	o->key = xstrdup(key);
	o->subject = xstrdup(subject);
	o->arg = arg;
	o->op = op;
	o->next = b->ops;
	b->ops = o;
	return o;
}

static void
op_free(struct bucket_op *o)
{
	struct bucket_op **at = &o->bucket->ops;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	nats_request_cancel(&o->request);
	if (o->not_sent != NULL)
		event_free(o->not_sent);
	free(o->key);
	free(o->subject);
	free(o);
}

void
bucket_ops_free(struct bucket *b)
{
	while (b->ops != NULL)
		op_free(b->ops);
}

static void
finish_write(struct bucket_op *o, enum lease_answer answer, uint64_t revision, const char *words)
{
	bucket_written_fn *fn = o->written;
	void *arg = o->arg;
	uint64_t op = o->op;
	char text[640] = "";

	if (answer != LEASE_APPLIED)
		snprintf(text, sizeof text, "bucket \"%s\", key \"%.100s\": %.400s",
			 o->bucket->election->bucket, o->key, words);
	op_free(o);
	fn(arg, op, answer, revision, text);
}

static void
finish_read(struct bucket_op *o, const struct bucket_entry *entry, const char *words)
{
	bucket_read_fn *fn = o->read;
	void *arg = o->arg;
	uint64_t op = o->op;
	char text[640] = "";
	char *key = o->key;

	if (entry == NULL)
		snprintf(text, sizeof text, "bucket \"%s\", reading key \"%.100s\": %.400s",
			 o->bucket->election->bucket, o->key, words);
	o->key = NULL; /* entry names it */
	op_free(o);
	fn(arg, op, entry, text);
	free(key);
}

static void
finish_refused(struct bucket_op *o, const char *words)
{
	if (o->written != NULL)
		finish_write(o, LEASE_REFUSED, 0, words);
	else
		finish_read(o, NULL, words);
}

static void
not_sent_fired(evutil_socket_t fd, short what, void *arg)
{
	struct bucket_op *o = arg;
	char words[sizeof o->words];

	(void)fd;
	(void)what;
	snprintf(words, sizeof words, "%s", o->words);
	finish_refused(o, words);
}

static void
not_sent(struct bucket_op *o, const char *why)
{
	const struct timeval after = {0, NOT_SENT_MS * 1000};

	snprintf(o->words, sizeof o->words, "%s", why);
	o->not_sent = evtimer_new(o->bucket->base, not_sent_fired, o);
	evtimer_add(o->not_sent, &after);
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* Errors that the server gives before it stores anything. Others (no room, no leader, overload) may come
 * when some of its replicas have stored it. */
static bool
is_certain_refusal(const struct jsapi_error *err)
{
	static const int codes[] = {
	    10054, /* larger than max_msg_size */
	    10060, /* another stream than expected */
	    10097, /* header too large */
	    10109, /* sealed */
	};

	for (size_t i = 0; i < array_len(codes); i++)
		if (err->err_code == codes[i])
			return true;
	return false;
}

static void
write_refused(struct bucket_op *o, const struct jsapi_error *err)
{
	char words[384];

	snprintf(words, sizeof words, "the server does not write it: %s (%d)", err->description,
		 err->err_code);
	if (err->err_code == JSAPI_WRONG_LAST_SEQUENCE ||
	    err->err_code == JSAPI_WRONG_LAST_SEQUENCE_CONSTANT) {
		finish_write(o, LEASE_CONFLICT, 0, words);
		return;
	}
	bucket_look_soon(o->bucket);
	finish_write(o, is_certain_refusal(err) ? LEASE_REFUSED : LEASE_UNKNOWN, 0, words);
}

static void
write_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct bucket_op *o = arg;
	struct jsapi_puback ack;

	o->request = NULL;
	if (result != NATS_REPLY) {
		bucket_look_soon(o->bucket);
		finish_write(o, LEASE_UNKNOWN, 0, ask_failure_text(result));
	} else if (jsapi_read_puback(m->data, m->data_len, &ack) != 0) {
		finish_write(o, LEASE_UNKNOWN, 0, "an answer that makes no sense");
	} else if (ack.error.code != 0 || ack.error.err_code != 0) {
		write_refused(o, &ack.error);
	} else if (ack.seq == 0 || ack.duplicate || strcmp(ack.stream, o->bucket->stream) != 0) {
		bucket_look_soon(o->bucket);
		finish_write(o, LEASE_UNKNOWN, 0, "the answer of another stream");
	} else {
		finish_write(o, LEASE_APPLIED, ack.seq, "");
	}
}

static void
write_key(struct bucket *b, const char *key, const struct strbuf *headers, const char *data, size_t len,
	  int64_t timeout_ms, bucket_written_fn *fn, void *arg, uint64_t op)
{
	char subject[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	struct bucket_op *o;

	if (election_bucket_subject(subject, sizeof subject, b->end.domain, b->election->bucket, key) < 0)
		subject[0] = '\0';
	o = op_new(b, key, subject, arg, op);
	o->written = fn;
	if (b->phase != BUCKET_USABLE) {
		not_sent(o, "the bucket cannot be used now");
		return;
	}
	o->request = nats_conn_request(b->end.conn, subject, headers->data, headers->len, data, len,
				       timeout_ms, write_answered, o, &e);
	if (o->request == NULL)
		not_sent(o, e.text);
}

void
bucket_put(struct bucket *b, const char *key, uint64_t revision, const char *data, size_t len,
	   int64_t timeout_ms, bucket_written_fn *fn, void *arg, uint64_t op)
{
	struct strbuf headers;

	strbuf_init(&headers);
	strbuf_addf(&headers, "Nats-Expected-Last-Subject-Sequence: %llu\r\n", (unsigned long long)revision);
	write_key(b, key, &headers, data, len, timeout_ms, fn, arg, op);
	strbuf_fini(&headers);
}

void
bucket_delete(struct bucket *b, const char *key, uint64_t revision, const char *release, int64_t timeout_ms,
	      bucket_written_fn *fn, void *arg, uint64_t op)
{
	struct strbuf headers;

	strbuf_init(&headers);
	strbuf_addf(
	    &headers,
	    "Nats-Expected-Last-Subject-Sequence: %llu\r\nKV-Operation: DEL\r\n" ELECTION_RELEASE_HEADER
	    ": %s\r\n",
	    (unsigned long long)revision, release);
	write_key(b, key, &headers, "", 0, timeout_ms, fn, arg, op);
	strbuf_fini(&headers);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static void
read_stored(struct bucket_op *o, const struct jsapi_stored *stored)
{
	struct bucket_entry entry = {
	    .key = o->key, .revision = stored->seq, .data = stored->data, .len = stored->data_len};

	entry.marker = election_bucket_is_marker(stored->headers, stored->headers_len, entry.release,
						 sizeof entry.release);
	finish_read(o, &entry, "");
}

static void
read_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct bucket_op *o = arg;
	const struct bucket_entry nothing = {.key = o->key, .marker = true, .data = ""};
	struct jsapi_stored stored = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	int read;

	o->request = NULL;
	if (result != NATS_REPLY) {
		bucket_look_soon(o->bucket);
		finish_read(o, NULL, ask_failure_text(result));
		return;
	}
	read = jsapi_read_stored(m->data, m->data_len, &stored, &err, &e);
	if (read == 0) {
		read_stored(o, &stored);
		jsapi_stored_fini(&stored);
	} else if (read == 1 && err.err_code == JSAPI_MESSAGE_NOT_FOUND) {
		finish_read(o, &nothing, "");
	} else {
		bucket_look_soon(o->bucket);
		finish_read(o, NULL, read == 1 ? err.description : e.text);
	}
}

void
bucket_read(struct bucket *b, const char *key, int64_t timeout_ms, bucket_read_fn *fn, void *arg, uint64_t op)
{
	char subject[SUBJECT_MAX], name[SUBJECT_MAX] = "";
	struct error e = ERROR_INIT;
	struct bucket_op *o;
	json_t *body;
	char *text;

	jsapi_subject(subject, sizeof subject, b->end.domain, "STREAM.MSG.GET.%s", b->stream);
	o = op_new(b, key, subject, arg, op);
	o->read = fn;
	if (b->phase != BUCKET_USABLE) {
		not_sent(o, "the bucket cannot be used now");
		return;
	}
	election_bucket_subject(name, sizeof name, "", b->election->bucket, key);
	body = json_pack("{s:s}", "last_by_subj", name);
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	o->request = nats_conn_request(b->end.conn, subject, NULL, 0, text != NULL ? text : "",
				       text != NULL ? strlen(text) : 0, timeout_ms, read_answered, o, &e);
	free(text);
	if (o->request == NULL)
		not_sent(o, e.text);
}

/* ---- rights -------------------------------------------------------------------------------------- */

/* What the server does not let pass is not answered either. Ends one; others are met by their own
 * complaints, or by their time-outs. */
void
bucket_ops_async_error(struct bucket *b, const char *text)
{
	char words[384];

	for (struct bucket_op *o = b->ops; o != NULL; o = o->next) {
		if (o->request == NULL || !bucket_violates(text, o->subject))
			continue;
		snprintf(words, sizeof words, "%.300s; allow the elector's user that", text);
		finish_refused(o, words);
		return;
	}
}
