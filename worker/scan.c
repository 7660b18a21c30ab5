/*
 * Scanning a shared target; runs in a replicating worker at a start and at a rewind. The consumer is
 * ephemeral, in memory, without acknowledgements, and carries headers alone.
 */
#include "worker/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/jsapi.h"
#include "common/nats/puller.h"
#include "common/xalloc.h"

enum {
	CREDIT_MSGS = 8192,
	CREDIT_BYTES = 8 * 1024 * 1024,
};
#define IDLE_NS INT64_C(30000000000)

struct scan {
	struct ask_end end;
	const struct conf *conf;
	const struct conf_topic *topic;
	char stream[256];
	char consumer[64];
	uint64_t last, after_source;
	struct seqset *there;
	struct nats_request *request;
	struct puller *puller;
	struct scan_result result;
	scan_done_fn *done;
	void *arg;
};

static void
finish(struct scan *s, const char *failure)
{
	struct scan_result result = s->result;
	scan_done_fn *done = s->done;
	void *arg = s->arg;
	char text[1024];

	if (failure != NULL) {
		snprintf(text, sizeof text, "reading the target: %s", failure);
		result.failure = text;
	}
	scan_cancel(&s);
	done(arg, &result);
}

static void
message_arrived(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct scan *s = arg;
	struct position_slot slot;
	uint64_t seq;

	position_classify(s->conf, s->topic, m->headers, m->headers_len, &slot);
	if (ack->stream_seq <= s->last && slot.kind == SLOT_OURS) {
		seq = (uint64_t)slot.origin.seq;
		s->result.found++;
		if (seq > s->result.highest)
			s->result.highest = seq;
		if (seq > s->after_source)
			seqset_add(s->there, seq);
		else
			s->result.settled++;
	}
	if (ack->pending == 0 || ack->stream_seq >= s->last)
		finish(s, NULL);
}

static void
puller_reported(void *arg, enum puller_event event, const char *text)
{
	if (event != PULLER_LEADER_CHANGED)
		finish(arg, text);
}

static void
pull(struct scan *s)
{
	const struct puller_callbacks callbacks = {message_arrived, puller_reported};
	const struct puller_config config = {
	    .domain = s->end.domain,
	    .stream = s->stream,
	    .consumer = s->consumer,
	    .max_msgs = CREDIT_MSGS,
	    .max_bytes = CREDIT_BYTES,
	};
	struct error e;

	s->puller = puller_start(s->end.conn, &config, &callbacks, s, &e);
	if (s->puller == NULL)
		finish(s, e.text);
}

static void
consumer_created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct scan *s = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	uint64_t pending;
	int read;

	s->request = NULL;
	if (result != NATS_REPLY) {
		finish(s, ask_failure_text(result));
		return;
	}
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read != 0) {
		finish(s, read == 1 ? err.description : e.text);
		return;
	}
	pending = c.num_pending;
	jsapi_consumer_fini(&c);
	if (pending == 0)
		finish(s, NULL);
	else
		pull(s);
}

struct scan *
scan_start(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
	   const char *stream, const char *filter, uint64_t after, uint64_t last, uint64_t after_source,
	   struct seqset *there, scan_done_fn *done, void *arg, struct error *e)
{
	struct scan *s = xcalloc(1, sizeof *s);
	const struct jsapi_consumer_request request = {
	    .stream = stream,
	    .name = s->consumer,
	    .ack_none = true,
	    .headers_only = true,
	    .memory = true,
	    .filters = &filter,
	    .filter_count = filter[0] != '\0' ? 1 : 0,
	    .start_seq = after + 1,
	    .max_ack_pending = -1,
	    .inactive_threshold_ns = IDLE_NS,
	};
	struct strbuf body;

	s->end = *end;
	s->conf = conf;
	s->topic = topic;
	s->last = last;
	s->after_source = after_source;
	s->there = there;
	s->done = done;
	s->arg = arg;
	snprintf(s->stream, sizeof s->stream, "%s", stream);
	snprintf(s->consumer, sizeof s->consumer, "sr_scan_%ld_%llx", (long)getpid(),
		 (unsigned long long)mono_now().ns);
	strbuf_init(&body);
	jsapi_write_consumer(&request, &body);
	s->request = ask_api(end, body.data, body.len, consumer_created, s, e, "CONSUMER.CREATE.%s.%s",
			     stream, s->consumer);
	strbuf_fini(&body);
	if (s->request == NULL)
		scan_cancel(&s);
	return s;
}

void
scan_cancel(struct scan **sp)
{
	struct scan *s = *sp;
	struct error ignored;

	if (s == NULL)
		return;
	nats_request_cancel(&s->request);
	if (s->puller != NULL) {
		struct strbuf subject;

		puller_stop(&s->puller);
		strbuf_init(&subject);
		strbuf_reserve(&subject, 1024);
		if (jsapi_subject(subject.data, subject.cap, s->end.domain, "CONSUMER.DELETE.%s.%s",
				  s->stream, s->consumer) > 0)
			nats_conn_publish(s->end.conn, subject.data, NULL, NULL, 0, "", 0, &ignored);
		strbuf_fini(&subject);
	}
	free(s);
	*sp = NULL;
}
