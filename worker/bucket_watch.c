/*
 * The watch of a bucket; runs in an elector's process.
 *
 * The consumer is the server's memory alone: a change of the stream's leader, a restart or a deleted bucket
 * end it without a word to us, so silence is what tells. Each delivery carries the consumer's own count,
 * which must rise by one; a heartbeat says how far it is. Whatever does not fit is answered in one way, by a
 * new consumer. What a lost watch may have missed costs time, never safety: leases are kept by conditional
 * writes.
 */
#include "worker/bucket_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/header.h"
#include "common/jsack.h"
#include "common/log.h"
#include "common/nats/jsapi.h"
#include "common/strbuf.h"
#include "common/subject.h"
#include "common/xalloc.h"

enum {
	HEARTBEAT_MS = 1000,
	SILENCE_MS = 2500, /* without message or heartbeat: it is gone */
	FORGET_MS = 5000,  /* the server forgets a consumer that nobody listens to */
	RETRY_FIRST_MS = 100,
	RETRY_MAX_MS = 5000,
};

struct bucket_watch {
	struct event_base *base;
	struct ask_end end;
	struct bucket_watch_callbacks callbacks;
	void *arg;
	char *stream, *filter;

	char name[64]; /* of the consumer, another one each time */
	char inbox[128];
	struct nats_sub *sub;
	struct nats_request *request;
	struct event *timer; /* looks for silence, or begins anew */
	bool running;        /* the consumer is there */
	uint64_t consumer_seq;
	struct mono heard;
	int64_t retry_ms;
	unsigned made;
	bool in_trouble;
};

static void begin(struct bucket_watch *w);

static void
arm(struct bucket_watch *w, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(w->timer, &after);
}

static void
forget_consumer(struct bucket_watch *w)
{
	char subject[SUBJECT_MAX];
	struct error e;

	nats_request_cancel(&w->request);
	nats_unsubscribe(&w->sub);
	if (w->name[0] != '\0' && nats_conn_is_up(w->end.conn) &&
	    jsapi_subject(subject, sizeof subject, w->end.domain, "CONSUMER.DELETE.%s.%s", w->stream,
			  w->name) > 0)
		nats_conn_publish(w->end.conn, subject, NULL, NULL, 0, "", 0, &e);
	w->name[0] = '\0';
	w->running = false;
}

static void
tell(struct bucket_watch *w, const char *words)
{
	bool trouble = *words != '\0';

	if (trouble || w->in_trouble)
		w->callbacks.trouble(w->arg, words);
	w->in_trouble = trouble;
}

/* Ends this consumer; another one is made after a pause that grows as long as none works. */
static void
begin_again(struct bucket_watch *w)
{
	forget_consumer(w);
	w->retry_ms = w->retry_ms == 0 ? RETRY_FIRST_MS : w->retry_ms * 2;
	if (w->retry_ms > RETRY_MAX_MS)
		w->retry_ms = RETRY_MAX_MS;
	arm(w, w->retry_ms);
}

static void
failed(struct bucket_watch *w, const char *words)
{
	char text[640];

	snprintf(text, sizeof text, "it cannot be watched: %s", words);
	begin_again(w);
	tell(w, text);
}

/* Worth no word as long as the next one works. */
static void
lost(struct bucket_watch *w)
{
	begin_again(w);
	w->callbacks.lost(w->arg);
}

/* ---- what arrives -------------------------------------------------------------------------------- */

static void
status_arrived(struct bucket_watch *w, const struct nats_message *m)
{
	int status = header_inline_status(m->headers, m->headers_len, NULL, NULL);
	uint64_t last = header_number(m->headers, m->headers_len, "Nats-Last-Consumer");

	if (status == 100 && last == w->consumer_seq)
		return;
	log_debug("elector", "watch: status %d, delivery %llu of %llu: watching anew", status,
		  (unsigned long long)w->consumer_seq, (unsigned long long)last);
	lost(w);
}

static void
arrived(void *arg, const struct nats_message *m)
{
	struct bucket_watch *w = arg;
	struct jsack ack;

	w->heard = mono_now();
	if (jsack_parse(m->reply, &ack) != 0) {
		if (m->headers != NULL)
			status_arrived(w, m);
		return;
	}
	if (ack.consumer_seq != w->consumer_seq + 1) {
		log_debug("elector", "watch: delivery %llu came after %llu: watching anew",
			  (unsigned long long)ack.consumer_seq, (unsigned long long)w->consumer_seq);
		lost(w);
		return;
	}
	w->consumer_seq = ack.consumer_seq;
	w->callbacks.message(w->arg, m, ack.stream_seq);
}

/* ---- the consumer -------------------------------------------------------------------------------- */

static void
fill_request(const struct bucket_watch *w, struct jsapi_consumer_request *r)
{
	*r = (struct jsapi_consumer_request){
	    .stream = w->stream,
	    .name = w->name,
	    .ack_none = true,
	    .memory = true,
	    .last_per_subject = true,
	    .deliver_subject = w->inbox,
	    .idle_heartbeat_ns = HEARTBEAT_MS * INT64_C(1000000),
	    .inactive_threshold_ns = FORGET_MS * INT64_C(1000000),
	    .filters = (const char *const *)&w->filter,
	    .filter_count = 1,
	};
}

/* The only subject of a bucket is the filter: a server may leave it out. */
static bool
is_as_asked(const struct bucket_watch *w, const struct jsapi_consumer *c, struct error *e)
{
	struct jsapi_consumer_request r;
	bool filters_ignored;

	fill_request(w, &r);
	return jsapi_check_consumer(&r, c, &filters_ignored, e) == 0;
}

static void
made(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct bucket_watch *w = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	int read;

	w->request = NULL;
	if (result != NATS_REPLY) {
		failed(w, ask_failure_text(result));
		return;
	}
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read != 0) {
		failed(w, read == 1 ? err.description : e.text);
		return;
	}
	w->running = is_as_asked(w, &c, &e);
	jsapi_consumer_fini(&c);
	if (!w->running) {
		failed(w, e.text);
		return;
	}
	w->heard = mono_now();
	arm(w, HEARTBEAT_MS);
	tell(w, "");
}

static void
ask_for_consumer(struct bucket_watch *w)
{
	struct jsapi_consumer_request r;
	struct error e = ERROR_INIT;
	struct strbuf body;

	fill_request(w, &r);
	strbuf_init(&body);
	jsapi_write_consumer(&r, &body);
	w->request = ask_api(&w->end, body.data, body.len, made, w, &e, "CONSUMER.CREATE.%s", w->stream);
	strbuf_fini(&body);
	if (w->request == NULL)
		failed(w, e.text);
}

static void
begin(struct bucket_watch *w)
{
	struct error e = ERROR_INIT;

	w->consumer_seq = 0;
	snprintf(w->name, sizeof w->name, "sr_elector_%ld_%llx_%u", (long)getpid(),
		 (unsigned long long)wall_ms(), ++w->made);
	nats_conn_new_inbox(w->end.conn, w->inbox, sizeof w->inbox);
	w->sub = nats_conn_subscribe(w->end.conn, w->inbox, arrived, w, &e);
	if (w->sub == NULL)
		failed(w, e.text);
	else
		ask_for_consumer(w);
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct bucket_watch *w = arg;

	(void)fd;
	(void)what;
	if (!w->running) {
		if (w->request == NULL)
			begin(w);
	} else if (mono_ms_between(w->heard, mono_now()) < SILENCE_MS) {
		w->retry_ms = 0; /* it works */
		arm(w, HEARTBEAT_MS / 2);
	} else {
		log_debug("elector", "watch: neither changes nor heartbeats: watching anew");
		lost(w);
	}
}

struct bucket_watch *
bucket_watch_start(struct event_base *base, const struct ask_end *end, const char *stream, const char *filter,
		   const struct bucket_watch_callbacks *callbacks, void *arg)
{
	struct bucket_watch *w = xcalloc(1, sizeof *w);

	w->base = base;
	w->end = *end;
	w->callbacks = *callbacks;
	w->arg = arg;
	w->stream = xstrdup(stream);
	w->filter = xstrdup(filter);
	w->timer = evtimer_new(base, timer_fired, w);
	begin(w);
	return w;
}

void
bucket_watch_stop(struct bucket_watch **wp)
{
	struct bucket_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	forget_consumer(w);
	event_free(w->timer);
	free(w->stream);
	free(w->filter);
	free(w);
}

void
bucket_watch_async_error(struct bucket_watch *w, const char *text)
{
	char subject[SUBJECT_MAX];

	if (w->request == NULL)
		return;
	snprintf(subject, sizeof subject, "CONSUMER.CREATE.%s", w->stream);
	if (strstr(text, subject) == NULL && strstr(text, w->inbox) == NULL)
		return;
	snprintf(subject, sizeof subject, "%.300s; allow the elector's user that", text);
	failed(w, subject);
}
