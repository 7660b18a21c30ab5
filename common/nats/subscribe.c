/*
 * Subscriptions, in a worker: synchronous ones of the client library, emptied by the bridge after each
 * read. One message is fetched ahead, so that a callback can be told whether another one waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nats/conn_impl.h"
#include "common/nats/rawmsg.h"
#include "common/xalloc.h"

#define LOOK_AT_CLOCK_EVERY 16
#define WAITING_MAX_BYTES   (1024 * 1024)
#define WAITING_MAX_MSGS    8192

struct nats_held {
	struct raw_message raw;
};

/* ---- fetching and delivering ----------------------------------------------------------------------- */

/* Fetches one message ahead if there is one. */
static void
look_ahead(struct nats_sub *s)
{
	if (s->sub != NULL && !s->has_ahead)
		s->has_ahead = raw_message_next(&s->ahead, s->sub, s->subject);
}

static void
unlink_sub(struct nats_sub *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		s->conn->subs = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

static void
sub_free(struct nats_sub *s)
{
	free(s->subject);
	free(s);
}

/* Delivers the message that was fetched ahead. False if the subscription is gone. */
static bool
deliver_one(struct nats_sub *s)
{
	struct raw_message now = s->ahead;

	now.view.handle = &now;
	s->has_ahead = false;
	look_ahead(s);
	s->delivering = true;
	s->fn(s->arg, &now.view);
	s->delivering = false;
	raw_message_fini(&now);
	if (!s->ended)
		return true;
	sub_free(s);
	return false;
}

/* The others get their turn first. */
static void
move_to_end(struct nats_conn *c, struct nats_sub *s)
{
	struct nats_sub **last;

	unlink_sub(s);
	for (last = &c->subs; *last != NULL; last = &(*last)->next)
		s->prev = *last;
	s->next = NULL;
	*last = s;
}

/* Delivers what waits in one subscription. False at the deadline or if the list of subscriptions
 * changed under us. */
static bool
deliver_sub(struct nats_conn *c, struct nats_sub *s, struct mono deadline)
{
	unsigned n = 0;

	look_ahead(s);
	while (s->has_ahead && !s->paused) {
		if (!deliver_one(s) || !c->up || c->subs_changed)
			return false;
		if (++n % LOOK_AT_CLOCK_EVERY == 0 && mono_reached(mono_now(), deadline)) {
			move_to_end(c, s);
			return false;
		}
	}
	return true;
}

bool
subscribe_deliver(struct nats_conn *c, struct mono deadline)
{
	struct nats_sub *s, *next;

	c->subs_changed = false;
	for (s = c->subs; s != NULL; s = next) {
		next = s->next;
		if (!deliver_sub(c, s, deadline))
			return false;
	}
	return true;
}

bool
subscribe_overfull(const struct nats_conn *c)
{
	const struct nats_sub *s;
	int msgs, bytes;

	for (s = c->subs; s != NULL; s = s->next) {
		if (!s->paused || s->bounded || s->sub == NULL)
			continue;
		if (natsSubscription_GetPending(s->sub, &msgs, &bytes) != NATS_OK)
			continue;
		if (msgs > WAITING_MAX_MSGS || bytes > WAITING_MAX_BYTES)
			return true;
	}
	return false;
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct nats_sub *
nats_conn_subscribe(struct nats_conn *c, const char *subject, nats_message_fn *fn, void *arg, struct error *e)
{
	struct nats_sub *s;
	natsSubscription *sub = NULL;

	if (!c->up) {
		error_set(e, ERR_IO, "subscribe to \"%s\": the %s is not connected", subject,
			  c->settings->label);
		return NULL;
	}
	if (natsConnection_SubscribeSync(&sub, c->link->nc, subject) != NATS_OK) {
		error_set(e, ERR_IO, "subscribe to \"%s\": %s", subject, nats_GetLastError(NULL));
		return NULL;
	}
	natsSubscription_SetPendingLimits(sub, -1, -1);
	s = xcalloc(1, sizeof *s);
	s->conn = c;
	s->sub = sub;
	s->subject = xstrdup(subject);
	s->fn = fn;
	s->arg = arg;
	s->next = c->subs;
	if (s->next != NULL)
		s->next->prev = s;
	c->subs = s;
	return s;
}

/* Drops what waits and the library's part of it. */
static void
sub_end(struct nats_sub *s)
{
	if (s->has_ahead)
		raw_message_fini(&s->ahead);
	s->has_ahead = false;
	natsSubscription_Destroy(s->sub);
	s->sub = NULL;
}

void
subscribe_lost(struct nats_conn *c)
{
	struct nats_sub *s;

	for (s = c->subs; s != NULL; s = s->next)
		sub_end(s);
}

void
nats_unsubscribe(struct nats_sub **sp)
{
	struct nats_sub *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	sub_end(s);
	if (s->conn != NULL) {
		unlink_sub(s);
		s->conn->subs_changed = true;
		/* It may have been what kept the socket from being read. */
		if (s->conn->reading_stopped)
			bridge_schedule_delivery(s->conn);
	}
	s->ended = true;
	if (!s->delivering)
		sub_free(s);
}

void
nats_sub_pause(struct nats_sub *s)
{
	s->paused = true;
}

void
nats_sub_resume(struct nats_sub *s)
{
	if (!s->paused)
		return;
	s->paused = false;
	if (s->conn != NULL)
		bridge_schedule_delivery(s->conn);
}

bool
nats_sub_has_more(const struct nats_sub *s)
{
	return s->has_ahead;
}

/* ---- keeping messages ------------------------------------------------------------------------------ */

struct nats_held *
nats_message_hold(const struct nats_message *m)
{
	struct raw_message *raw = m->handle;
	struct nats_held *h = xmalloc(sizeof *h);

	h->raw = *raw;
	h->raw.view.handle = NULL;
	raw->msg = NULL;
	raw->own = NULL;
	return h;
}

const struct nats_message *
nats_held_message(const struct nats_held *h)
{
	return &h->raw.view;
}

void
nats_held_free(struct nats_held **hp)
{
	struct nats_held *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	raw_message_fini(&h->raw);
	free(h);
}
