/*
 * Questions with one answer each, in a worker's loop: one wildcard subscription on an inbox, made with the
 * first question, and a table of slots. The reply subject ends in the slot's place and in a number that is
 * never used twice, so a late answer meets nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/nats/conn_impl.h"
#include "common/xalloc.h"

#define NOBODY 503 /* the server's status if nobody listens there */

struct nats_request {
	struct request_table *table;
	size_t slot;
	uint64_t number;
	struct event *timer;
	int64_t timeout_ms;
	nats_reply_fn *fn;
	void *arg;
};

struct request_table {
	struct nats_conn *conn;
	struct nats_sub *sub; /* NULL before the first question */
	struct nats_request **slots;
	size_t slot_count, out;
	uint64_t last_number;
};

struct request_table *
request_table_new(struct nats_conn *c)
{
	struct request_table *t = xcalloc(1, sizeof *t);

	t->conn = c;
	return t;
}

static size_t
free_slot(struct request_table *t)
{
	size_t i, grown;

	if (t->out < t->slot_count)
		for (i = 0; i < t->slot_count; i++)
			if (t->slots[i] == NULL)
				return i;
	grown = t->slot_count > 0 ? t->slot_count * 2 : 16;
	t->slots = xrealloc(t->slots, grown * sizeof *t->slots);
	memset(t->slots + t->slot_count, 0, (grown - t->slot_count) * sizeof *t->slots);
	i = t->slot_count;
	t->slot_count = grown;
	return i;
}

/* Takes it out of the table and frees it; its callback is the caller's business. */
static void
request_end(struct nats_request *r)
{
	r->table->slots[r->slot] = NULL;
	r->table->out--;
	event_free(r->timer);
	free(r);
}

static void
request_finish(struct nats_request *r, enum nats_request_result result, const struct nats_message *m)
{
	nats_reply_fn *fn = r->fn;
	void *arg = r->arg;

	request_end(r);
	fn(arg, result, m); /* may free the connection: nothing may follow */
}

/* The request that a reply subject, "<inbox>.q.<slot>-<number>", belongs to. */
static struct nats_request *
find(const struct request_table *t, const char *subject)
{
	const char *dot = strrchr(subject, '.');
	unsigned long long slot, number;
	char *end;

	if (dot == NULL)
		return NULL;
	slot = strtoull(dot + 1, &end, 10);
	if (*end != '-' || slot >= t->slot_count || t->slots[slot] == NULL)
		return NULL;
	number = strtoull(end + 1, NULL, 10);
	return t->slots[slot]->number == number ? t->slots[slot] : NULL;
}

static void
on_reply(void *arg, const struct nats_message *m)
{
	struct request_table *t = arg;
	struct nats_request *r = find(t, m->subject);

	if (r == NULL)
		return;
	if (m->data_len == 0 && header_inline_status(m->headers, m->headers_len, NULL, NULL) == NOBODY)
		request_finish(r, NATS_NO_RESPONDERS_REPLY, NULL);
	else
		request_finish(r, NATS_REPLY, m);
}

static void
arm(struct nats_request *r, int64_t ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(r->timer, &tv);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct nats_request *r = arg;
	struct nats_conn *c = r->table->conn;
	int64_t reading_ms;

	(void)fd;
	(void)what;
	/* While nobody reads, and until all that came meanwhile can have been read, time does not count. */
	reading_ms = c->reading_stopped ? 0 : mono_ms_between(c->reading_since, mono_now());
	if (reading_ms < r->timeout_ms) {
		arm(r, r->timeout_ms - reading_ms);
		return;
	}
	conn_enter(c);
	request_finish(r, NATS_REQUEST_TIMEOUT, NULL);
	conn_leave(c);
}

void
request_table_lost(struct request_table *t)
{
	struct nats_conn *c;
	size_t i;

	if (t == NULL)
		return;
	c = t->conn;
	nats_unsubscribe(&t->sub);
	/* A callback may ask anew and be told that we are down, or free the connection with the table. */
	for (i = 0; c->requests == t && i < t->slot_count; i++)
		if (t->slots[i] != NULL)
			request_finish(t->slots[i], NATS_REQUEST_LOST, NULL);
}

void
request_table_release(struct request_table *t)
{
	if (t->out == 0)
		nats_unsubscribe(&t->sub);
}

void
request_table_free(struct request_table **tp)
{
	struct request_table *t = *tp;
	size_t i;

	*tp = NULL;
	if (t == NULL)
		return;
	for (i = 0; i < t->slot_count; i++)
		if (t->slots[i] != NULL)
			request_end(t->slots[i]);
	nats_unsubscribe(&t->sub);
	free(t->slots);
	free(t);
}

void
nats_request_cancel(struct nats_request **rp)
{
	struct nats_request *r = *rp;

	*rp = NULL;
	if (r != NULL)
		request_end(r);
}

static int
subscribe(struct request_table *t, struct error *e)
{
	char subject[128];

	if (t->sub != NULL)
		return 0;
	snprintf(subject, sizeof subject, "%s.q.*", t->conn->inbox);
	t->sub = nats_conn_subscribe(t->conn, subject, on_reply, t, e);
	return t->sub != NULL ? 0 : -1;
}

struct nats_request *
nats_conn_request(struct nats_conn *c, const char *subject, const char *header_lines, size_t header_lines_len,
		  const void *data, size_t data_len, int64_t timeout_ms, nats_reply_fn *fn, void *arg,
		  struct error *e)
{
	struct request_table *t = c->requests;
	struct nats_request *r;
	uint64_t number;
	size_t slot;
	char reply[128];

	if (!c->up) {
		error_set(e, ERR_IO, "request to \"%s\": the %s is not connected", subject,
			  c->settings->label);
		return NULL;
	}
	if (subscribe(t, e) < 0)
		return NULL;
	slot = free_slot(t);
	number = ++t->last_number;
	snprintf(reply, sizeof reply, "%s.q.%zu-%llu", c->inbox, slot, (unsigned long long)number);
	if (nats_conn_publish(c, subject, reply, header_lines, header_lines_len, data, data_len, e) < 0)
		return NULL;
	r = xcalloc(1, sizeof *r);
	r->table = t;
	r->slot = slot;
	r->number = number;
	r->fn = fn;
	r->arg = arg;
	r->timeout_ms = timeout_ms;
	r->timer = evtimer_new(c->base, on_timeout, r);
	t->slots[slot] = r;
	t->out++;
	arm(r, timeout_ms);
	return r;
}
