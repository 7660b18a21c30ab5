/*
 * Keeping the existing Go tool's consumer; runs in a replicating worker that leads in an election shared with
 * that tool. A start sequence cannot be changed, so the consumer is deleted and created. If we die between
 * the two, the tool finds none and starts over; if we die otherwise, it copies again what was settled since
 * the last time, at most 5 s of it. Our own position depends on none of this.
 *
 * Trouble is logged once and tried again with the next position; it holds nothing up.
 */
#include "worker/go_consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nats/ask.h"
#include "common/strbuf.h"
#include "common/subject.h"
#include "common/xalloc.h"

enum { EVERY_MS = 5000, ACK_WAIT_S = 30 };

struct go_consumer {
	struct nats_conn *conn;
	const struct conf_topic *topic;
	struct event *timer;
	char name[GO_CONSUMER_NAME];
	char stream[GO_CONSUMER_NAME];
	bool keeps;      /* we lead, and the stream can have it */
	bool refused;    /* that it cannot was said */
	char told[256];  /* the trouble that was warned of last; "" once it was made */
	uint64_t wanted; /* settled */
	uint64_t making; /* being made behind this sequence */
	bool made_any;
	uint64_t made; /* made last behind this sequence, in this term */
	struct nats_request *request;
	bool deleting; /* that is what the request asks for */
	void (*done)(void *arg);
	void *done_arg;
};

static void refresh(struct go_consumer *g);

void
go_consumer_name(const char *topic_key, char *out, size_t size)
{
	/* That tool takes a name that its prefix begins with as it is. */
	bool as_it_is = strncmp("SR_", topic_key, strlen(topic_key)) == 0;

	snprintf(out, size, "%s%s", as_it_is ? "" : "SR_", topic_key);
}

bool
go_consumer_fits(const struct conf_topic *topic, const struct jsapi_stream *stream, const char **why)
{
	char name[GO_CONSUMER_NAME];

	go_consumer_name(topic->key, name, sizeof name);
	if (topic->ephemeral)
		*why = "the topic is ephemeral: each start copies all";
	else if (stream->retention == RETENTION_WORKQUEUE)
		*why = "a work-queue stream has one consumer; the one that is there says where to go on";
	else if (stream->retention != RETENTION_LIMITS)
		*why = "on an interest stream a consumer that nobody reads keeps every message";
	else if (strcmp(name, topic->name) == 0)
		*why = "this topic's own consumer has that name; set name to another one";
	else
		return true;
	return false;
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	refresh(arg);
}

struct go_consumer *
go_consumer_new(struct event_base *base, struct nats_conn *conn, const struct conf_topic *topic)
{
	struct go_consumer *g;

	if (topic->leader_election_name[0] == '\0' || topic->election_key[0] == '\0')
		return NULL;
	g = xcalloc(1, sizeof *g);
	g->conn = conn;
	g->topic = topic;
	g->timer = evtimer_new(base, timer_fired, g);
	go_consumer_name(topic->key, g->name, sizeof g->name);
	return g;
}

void
go_consumer_free(struct go_consumer **gp)
{
	struct go_consumer *g = *gp;

	if (g == NULL)
		return;
	go_consumer_end(g);
	event_free(g->timer);
	free(g);
	*gp = NULL;
}

/* ---- making it ----------------------------------------------------------------------------------- */

static void
arm(struct go_consumer *g)
{
	const struct timeval after = {EVERY_MS / 1000, 0};

	if (!evtimer_pending(g->timer, NULL))
		evtimer_add(g->timer, &after);
}

/* Whether it stands where we do. */
static bool
is_there(const struct go_consumer *g)
{
	return g->made_any && g->made == g->wanted;
}

/* A request has ended. Whoever waits for it is told, unless it was made for an older position. */
static void
finish(struct go_consumer *g, bool made)
{
	void (*done)(void *arg) = g->done;

	if (done == NULL) {
		if (!is_there(g))
			arm(g);
	} else if (made && !is_there(g)) {
		refresh(g);
	} else {
		g->done = NULL;
		done(g->done_arg);
	}
}

static void
trouble(struct go_consumer *g, const char *text)
{
	/* It is tried again every few seconds, for as long as rights may be missing: once is enough. */
	if (strncmp(g->told, text, sizeof g->told - 1) != 0)
		log_warn("replicator", "consumer %s, which the existing tool goes on from: %s", g->name,
			 text);
	snprintf(g->told, sizeof g->told, "%s", text);
	finish(g, false);
}

static bool
answered(struct go_consumer *g, enum nats_request_result result)
{
	g->request = NULL;
	if (result == NATS_REPLY)
		return true;
	trouble(g, ask_failure_text(result));
	return false;
}

static void
created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct go_consumer *g = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(g, result))
		return;
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read != 0) {
		trouble(g, read == 1 ? err.description : e.text);
		return;
	}
	jsapi_consumer_fini(&c);
	log_debug("replicator", "consumer %s made anew behind sequence %llu", g->name,
		  (unsigned long long)g->making);
	g->made_any = true;
	g->told[0] = '\0';
	g->made = g->making;
	finish(g, true);
}

static void
ask(struct go_consumer *g, const char *verb, const char *body, size_t len, nats_reply_fn *fn)
{
	const struct ask_end end = {g->conn, g->topic->source_domain};
	struct error e;

	g->request = ask_api(&end, body, len, fn, g, &e, "%s.%s.%s", verb, g->stream, g->name);
	if (g->request != NULL)
		return;
	g->deleting = false;
	trouble(g, e.text);
}

/* Appends the request that makes it behind g->making. */
static void
write_request(const struct go_consumer *g, struct strbuf *body)
{
	const struct jsapi_consumer_request request = {
	    .stream = g->stream,
	    .name = g->name,
	    .durable = true,
	    .ack_explicit = true,
	    .filters = (const char *const *)g->topic->filter_subjects,
	    .filter_count = g->topic->filter_count,
	    .start_seq = g->making + 1,
	    .max_ack_pending = 1,
	    .ack_wait_ns = ACK_WAIT_S * INT64_C(1000000000),
	};

	jsapi_write_consumer(&request, body);
}

/* Deleted, or not there: both are fine. */
static void
deleted(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct go_consumer *g = arg;
	struct strbuf body;

	(void)m;
	g->deleting = false;
	if (!answered(g, result))
		return;
	g->making = g->wanted;
	strbuf_init(&body);
	write_request(g, &body);
	ask(g, "CONSUMER.DURABLE.CREATE", body.data, body.len, created);
	strbuf_fini(&body);
}

/* Leadership ends while it is being deleted: it is made behind that, and nobody waits for the answer. If the
 * tool was faster, ours is refused. */
static void
make_blindly(struct go_consumer *g)
{
	char subject[SUBJECT_MAX];
	struct strbuf body;
	struct error e;

	g->making = g->wanted;
	strbuf_init(&body);
	write_request(g, &body);
	if (jsapi_subject(subject, sizeof subject, g->topic->source_domain, "CONSUMER.DURABLE.CREATE.%s.%s",
			  g->stream, g->name) > 0)
		(void)nats_conn_publish(g->conn, subject, NULL, NULL, 0, body.data, body.len, &e);
	strbuf_fini(&body);
}

static void
refresh(struct go_consumer *g)
{
	if (!g->keeps || g->request != NULL)
		return;
	if (!nats_conn_is_up(g->conn) || is_there(g)) {
		finish(g, false);
		return;
	}
	g->deleting = true;
	ask(g, "CONSUMER.DELETE", "", 0, deleted);
}

/* ---- for the replicator --------------------------------------------------------------------------- */

void
go_consumer_begin(struct go_consumer *g, const struct jsapi_stream *stream, uint64_t seq)
{
	const char *why;

	if (g == NULL || g->keeps)
		return;
	if (go_consumer_fits(g->topic, stream, &why)) {
		snprintf(g->stream, sizeof g->stream, "%s", stream->name);
		g->keeps = true;
		g->wanted = seq;
		refresh(g);
	} else if (!g->refused) {
		log_warn("replicator", "consumer %s, which the existing tool goes on from, is not kept: %s",
			 g->name, why);
		g->refused = true;
	}
}

void
go_consumer_settled(struct go_consumer *g, uint64_t seq)
{
	if (g == NULL || !g->keeps)
		return;
	g->wanted = seq;
	if (g->request == NULL && !is_there(g))
		arm(g);
}

void
go_consumer_hand_over(struct go_consumer *g, uint64_t seq, void (*done)(void *arg), void *arg)
{
	g->wanted = seq;
	if (!g->keeps) {
		done(arg);
		return;
	}
	g->done = done;
	g->done_arg = arg;
	refresh(g);
}

void
go_consumer_end(struct go_consumer *g)
{
	if (g == NULL)
		return;
	if (g->deleting && nats_conn_is_up(g->conn))
		make_blindly(g);
	nats_request_cancel(&g->request);
	evtimer_del(g->timer);
	g->keeps = g->made_any = g->deleting = false;
	g->done = NULL;
}
