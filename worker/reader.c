/*
 * Reading a part of a stream once; runs in a replicating worker at a start and at a rewind.
 *
 * The consumer is ephemeral: it is deleted at the end, and the server forgets it by itself if that is lost.
 * Nothing is repaired: any trouble ends the run, and its owner begins again. What is stored behind `last`
 * meanwhile is not given to the owner.
 *
 * The last message says that none is pending. Not always: servers 2.9 sometimes count one too many while
 * others write to the stream (seen on 2.9.10), and then nothing comes any more. So when it is quiet, the
 * consumer is asked.
 */
#include "worker/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/nats/jsapi.h"
#include "common/nats/puller.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

enum {
	CREDIT_MSGS = 8192,
	CREDIT_BYTES = 8 * 1024 * 1024,
	QUIET_MS = 250,
};
#define IDLE_NS INT64_C(30000000000)

struct reader {
	struct ask_end end;
	char stream[256];
	char consumer[64];
	uint64_t last;
	struct nats_request *request;
	struct puller *puller;
	struct event *quiet_timer;
	uint64_t delivered;     /* consumer sequence of the last message */
	uint64_t was_delivered; /* at the last look */
	struct reader_callbacks callbacks;
	void *arg;
};

static void
finish(struct reader *r, const char *failure)
{
	struct reader_callbacks callbacks = r->callbacks;
	void *arg = r->arg;
	char text[1024];

	if (failure != NULL)
		snprintf(text, sizeof text, "%s", failure);
	reader_cancel(&r);
	callbacks.done(arg, failure != NULL ? text : NULL);
}

static void
message_arrived(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct reader *r = arg;

	r->delivered = ack->consumer_seq;
	if (ack->stream_seq <= r->last)
		r->callbacks.message(r->arg, m, ack);
	if (ack->pending == 0 || ack->stream_seq >= r->last)
		finish(r, NULL);
}

static void
puller_reported(void *arg, enum puller_event event, const char *text)
{
	if (event != PULLER_LEADER_CHANGED)
		finish(arg, text);
}

/* ---- when nothing comes ---------------------------------------------------------------------------- */

static void
arm_quiet(struct reader *r)
{
	const struct timeval after = {0, QUIET_MS * 1000};

	r->was_delivered = r->delivered;
	evtimer_add(r->quiet_timer, &after);
}

static void
consumer_told(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct reader *r = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	bool all_came;

	r->request = NULL;
	if (result != NATS_REPLY || jsapi_read_consumer(m->data, m->data_len, &c, &err, &e) != 0) {
		arm_quiet(r); /* the puller finds out what is wrong */
		return;
	}
	all_came = c.num_pending == 0 && c.delivered_consumer_seq <= r->delivered;
	jsapi_consumer_fini(&c);
	if (all_came)
		finish(r, NULL);
	else
		arm_quiet(r);
}

static void
look_if_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r = arg;
	struct error e;

	(void)fd;
	(void)what;
	if (r->delivered == r->was_delivered)
		r->request = ask_api(&r->end, "", 0, consumer_told, r, &e, "CONSUMER.INFO.%s.%s", r->stream,
				     r->consumer);
	if (r->request == NULL)
		arm_quiet(r);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void
pull(struct reader *r)
{
	const struct puller_callbacks callbacks = {message_arrived, puller_reported};
	const struct puller_config config = {
	    .domain = r->end.domain,
	    .stream = r->stream,
	    .consumer = r->consumer,
	    .max_msgs = CREDIT_MSGS,
	    .max_bytes = CREDIT_BYTES,
	};
	struct error e;

	r->puller = puller_start(r->end.conn, &config, &callbacks, r, &e);
	if (r->puller == NULL) {
		finish(r, e.text);
		return;
	}
	r->quiet_timer = evtimer_new(nats_conn_base(r->end.conn), look_if_quiet, r);
	arm_quiet(r);
}

static void
consumer_created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct reader *r = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	uint64_t pending;
	int read;

	r->request = NULL;
	if (result != NATS_REPLY) {
		finish(r, ask_failure_text(result));
		return;
	}
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read != 0) {
		finish(r, read == 1 ? err.description : e.text);
		return;
	}
	pending = c.num_pending;
	jsapi_consumer_fini(&c);
	if (pending == 0)
		finish(r, NULL);
	else
		pull(r);
}

struct reader *
reader_start(const struct ask_end *end, const struct reader_request *request,
	     const struct reader_callbacks *callbacks, void *arg, struct error *e)
{
	struct reader *r = xcalloc(1, sizeof *r);
	const struct jsapi_consumer_request consumer = {
	    .stream = request->stream,
	    .name = r->consumer,
	    .ack_none = true,
	    .headers_only = request->headers_only,
	    .memory = true,
	    .filters = &request->filter,
	    .filter_count = request->filter[0] != '\0' ? 1 : 0,
	    .start_seq = request->since_ms != 0 ? 0 : request->after + 1,
	    .start_time_ns = request->since_ms * 1000000,
	    .max_ack_pending = -1,
	    .inactive_threshold_ns = IDLE_NS,
	};
	struct strbuf body;

	r->end = *end;
	r->last = request->last;
	r->callbacks = *callbacks;
	r->arg = arg;
	snprintf(r->stream, sizeof r->stream, "%s", request->stream);
	snprintf(r->consumer, sizeof r->consumer, "sr_scan_%ld_%llx", (long)getpid(),
		 (unsigned long long)mono_now().ns);
	strbuf_init(&body);
	jsapi_write_consumer(&consumer, &body);
	r->request = ask_api(end, body.data, body.len, consumer_created, r, e, "CONSUMER.CREATE.%s.%s",
			     r->stream, r->consumer);
	strbuf_fini(&body);
	if (r->request == NULL)
		reader_cancel(&r);
	return r;
}

/* Best effort: the server forgets it after IDLE_NS by itself. */
static void
delete_consumer(const struct reader *r)
{
	struct strbuf subject;
	struct error ignored;

	strbuf_init(&subject);
	strbuf_reserve(&subject, 1024);
	if (jsapi_subject(subject.data, subject.cap, r->end.domain, "CONSUMER.DELETE.%s.%s", r->stream,
			  r->consumer) > 0)
		nats_conn_publish(r->end.conn, subject.data, NULL, NULL, 0, "", 0, &ignored);
	strbuf_fini(&subject);
}

void
reader_cancel(struct reader **rp)
{
	struct reader *r = *rp;

	if (r == NULL)
		return;
	nats_request_cancel(&r->request);
	if (r->quiet_timer != NULL)
		event_free(r->quiet_timer);
	if (r->puller != NULL) {
		puller_stop(&r->puller);
		delete_consumer(r);
	}
	free(r);
	*rp = NULL;
}
