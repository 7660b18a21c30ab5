/*
 * Questions with one answer each, in a worker's loop. The client library swallows a 503 and does not say
 * whose it was. So each question that is out has an inbox subscription of its own, a lane; lanes are kept
 * and used again, but never after a question whose answer may still come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nats/conn_impl.h"
#include "common/xalloc.h"

struct lane {
	struct lane *next; /* among the idle ones */
	struct request_table *table;
	struct nats_sub *sub;
	struct nats_request *request; /* NULL while idle */
	uint64_t number;
	uint64_t asked; /* questions so far: the last part of the reply subject */
};

struct nats_request {
	struct nats_request *next, *prev;
	struct request_table *table;
	struct lane *lane;
	struct event *timer;
	int64_t timeout_ms;
	nats_reply_fn *fn;
	void *arg;
};

struct request_table {
	struct nats_conn *conn;
	struct lane *idle;
	struct nats_request *out;
	uint64_t lanes;
};

struct request_table *
request_table_new(struct nats_conn *c)
{
	struct request_table *t = xcalloc(1, sizeof *t);

	t->conn = c;
	return t;
}

/* ---- lanes ----------------------------------------------------------------------------------------- */

static void
lane_free(struct lane *lane)
{
	nats_unsubscribe(&lane->sub);
	free(lane);
}

static void on_reply(void *arg, const struct nats_message *m);

static struct lane *
lane_take(struct request_table *t, struct error *e)
{
	struct lane *lane = t->idle;
	char subject[128];

	if (lane != NULL) {
		t->idle = lane->next;
		return lane;
	}
	lane = xcalloc(1, sizeof *lane);
	lane->table = t;
	lane->number = ++t->lanes;
	snprintf(subject, sizeof subject, "%s.r%llu.*", t->conn->inbox, (unsigned long long)lane->number);
	lane->sub = nats_conn_subscribe(t->conn, subject, on_reply, lane, e);
	if (lane->sub != NULL)
		return lane;
	free(lane);
	return NULL;
}

/* After an answer a lane is clean; else one may still come, which must not meet another question. */
static void
lane_give_back(struct lane *lane, bool answered)
{
	lane->request = NULL;
	if (!answered) {
		lane_free(lane);
		return;
	}
	lane->next = lane->table->idle;
	lane->table->idle = lane;
}

static void
lanes_drop(struct request_table *t)
{
	struct lane *lane;

	while ((lane = t->idle) != NULL) {
		t->idle = lane->next;
		lane_free(lane);
	}
}

/* ---- ends of a question ---------------------------------------------------------------------------- */

/* Takes it out of the table and frees it; its callback is the caller's business. */
static void
request_end(struct nats_request *r, bool answered)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		r->table->out = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	lane_give_back(r->lane, answered);
	event_free(r->timer);
	free(r);
}

static void
request_finish(struct nats_request *r, enum nats_request_result result, const struct nats_message *m)
{
	nats_reply_fn *fn = r->fn;
	void *arg = r->arg;

	request_end(r, result == NATS_REPLY || result == NATS_NO_RESPONDERS_REPLY);
	fn(arg, result, m); /* may free the connection: nothing may follow */
}

static bool
is_no_responders(const struct nats_message *m)
{
	return m->data_len == 0 && m->headers_len >= 12 && memcmp(m->headers, "NATS/1.0 503", 12) == 0;
}

static void
on_reply(void *arg, const struct nats_message *m)
{
	struct lane *lane = arg;
	bool nobody = is_no_responders(m);
	const char *number = strrchr(m->subject, '.');

	/* An answer to the question before, if somebody answered twice. */
	if (!nobody && (number == NULL || strtoull(number + 1, NULL, 10) != lane->asked))
		return;
	if (lane->request != NULL)
		request_finish(lane->request, nobody ? NATS_NO_RESPONDERS_REPLY : NATS_REPLY,
			       nobody ? NULL : m);
}

static void
arm(struct nats_request *r)
{
	struct timeval tv = {r->timeout_ms / 1000, (r->timeout_ms % 1000) * 1000};

	evtimer_add(r->timer, &tv);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct nats_request *r = arg;

	(void)fd;
	(void)what;
	/* The answer may be there: nobody reads. */
	if (r->table->conn->reading_stopped)
		arm(r);
	else
		request_finish(r, NATS_REQUEST_TIMEOUT, NULL);
}

void
request_table_lost(struct request_table *t)
{
	struct nats_conn *c;
	struct nats_request *last;

	if (t == NULL)
		return;
	c = t->conn;
	lanes_drop(t);
	/* A callback may ask anew and be told that we are down, or free the connection with the table. */
	while (c->requests == t && (last = t->out) != NULL)
		request_finish(last, NATS_REQUEST_LOST, NULL);
}

void
request_table_free(struct request_table **tp)
{
	struct request_table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	while (t->out != NULL)
		request_end(t->out, false);
	lanes_drop(t);
	free(t);
}

void
nats_request_cancel(struct nats_request **rp)
{
	struct nats_request *r = *rp;

	*rp = NULL;
	if (r != NULL)
		request_end(r, false);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

struct nats_request *
nats_conn_request(struct nats_conn *c, const char *subject, const char *header_lines, size_t header_lines_len,
		  const void *data, size_t data_len, int64_t timeout_ms, nats_reply_fn *fn, void *arg,
		  struct error *e)
{
	struct request_table *t = c->requests;
	struct lane *lane = lane_take(t, e);
	struct nats_request *r;
	char reply[128];

	if (lane == NULL)
		return NULL;
	snprintf(reply, sizeof reply, "%s.r%llu.%llu", c->inbox, (unsigned long long)lane->number,
		 (unsigned long long)++lane->asked);
	if (nats_conn_publish(c, subject, reply, header_lines, header_lines_len, data, data_len, e) < 0) {
		lane_give_back(lane, true);
		return NULL;
	}
	r = xcalloc(1, sizeof *r);
	r->table = t;
	r->lane = lane;
	r->fn = fn;
	r->arg = arg;
	r->timeout_ms = timeout_ms;
	r->timer = evtimer_new(c->base, on_timeout, r);
	lane->request = r;
	r->next = t->out;
	if (r->next != NULL)
		r->next->prev = r;
	t->out = r;
	arm(r);
	return r;
}
