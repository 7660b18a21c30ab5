/*
 * Drives the client library on the loop of a worker: reads when the socket has something, delivers, and
 * writes once at the end of the turn. The library asks for writing through nats_link.write_wanted, once
 * for as long as it has something to write; instead of adding an event for it, one write is tried at the
 * end of the turn, and only what is left over waits for the socket. Work per wake-up is bounded.
 */
#include "common/nats/conn_impl.h"

#define TURN_MS             10
#define READING_FOR_LONG_MS 3600000 /* longer than any request */

/* ---- writing -------------------------------------------------------------------------------------- */

void
bridge_tell_writable(struct nats_conn *c)
{
	if (!c->wants_room || !publish_room_again(c))
		return;
	c->wants_room = false;
	if (c->callbacks.writable != NULL)
		c->callbacks.writable(c->arg);
}

bool
bridge_found_closed(struct nats_conn *c)
{
	char reason[512];

	if (!natsConnection_IsClosed(c->link->nc))
		return false;
	nats_link_reason(c->link, reason, sizeof reason);
	conn_lost(c, reason);
	return true;
}

static void
flush(struct nats_conn *c)
{
	conn_enter(c);
	if (!publish_flush(c) && c->up)
		event_add(c->write_event, NULL);
	if (c->up)
		bridge_tell_writable(c);
	conn_leave(c);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;

	(void)fd;
	(void)what;
	c->flush_wanted = false;
	/* What was left over waits for the socket. */
	if (c->up && !event_pending(c->write_event, EV_WRITE, NULL))
		flush(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

void
bridge_schedule_flush(struct nats_conn *c)
{
	if (c->flush_wanted)
		return;
	c->flush_wanted = true;
	/* Activated events run in this turn, behind those that are active already. */
	event_active(c->flush_event, EV_TIMEOUT, 0);
}

static void
write_wanted(void *arg)
{
	bridge_schedule_flush(arg);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void
deliver(struct nats_conn *c)
{
	const struct nats_link *link = c->link;
	bool all = subscribe_deliver(c, mono_add_ms(mono_now(), TURN_MS));

	if (c->freed || c->link != link || !c->up)
		return;
	c->backlog = false;
	if (!all)
		bridge_schedule_delivery(c);
	if (subscribe_overfull(c) != c->reading_stopped) {
		c->reading_stopped = !c->reading_stopped;
		c->reading_since = mono_now();
		if (c->reading_stopped)
			event_del(c->read_event);
		else
			event_add(c->read_event, NULL);
	}
}

void
bridge_schedule_delivery(struct nats_conn *c)
{
	struct timeval soon = {0, 0};

	if (c->backlog || !c->up)
		return;
	/* A timer, not an activation: the loop looks at its other descriptors first. */
	c->backlog = true;
	evtimer_add(c->more_event, &soon);
}

static void
on_more(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;

	(void)fd;
	(void)what;
	if (!c->up)
		return;
	conn_enter(c);
	deliver(c);
	conn_leave(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;

	(void)fd;
	(void)what;
	/* What came before is not delivered yet: more_event is at it. */
	if (c->backlog)
		return;
	conn_enter(c);
	c->last_read = mono_now();
	c->unanswered = 0;
	natsConnection_ProcessReadEvent(c->link->nc);
	if (!bridge_found_closed(c))
		deliver(c);
	conn_leave(c);
}

/* ---- life ----------------------------------------------------------------------------------------- */

void
bridge_init(struct nats_conn *c)
{
	c->flush_event = event_new(c->base, -1, 0, on_flush, c);
	c->more_event = evtimer_new(c->base, on_more, c);
	frames_init(&c->frames);
}

void
bridge_fini(struct nats_conn *c)
{
	event_free(c->flush_event);
	event_free(c->more_event);
	frames_fini(&c->frames);
}

void
bridge_start(struct nats_conn *c)
{
	struct nats_link *link = c->link;

	c->backlog = c->reading_stopped = c->wants_room = false;
	c->reading_since = mono_add_ms(mono_now(), -READING_FOR_LONG_MS);
	c->read_event = event_new(c->base, link->fd, EV_READ | EV_PERSIST, on_readable, c);
	c->write_event = event_new(c->base, link->fd, EV_WRITE, on_writable, c);
	event_add(c->read_event, NULL);
	link->arg = c;
	link->write_wanted = write_wanted;
	bridge_schedule_flush(c);
}

void
bridge_stop(struct nats_conn *c)
{
	event_free(c->read_event);
	event_free(c->write_event);
	c->read_event = c->write_event = NULL;
	event_del(c->flush_event);
	event_del(c->more_event);
	frames_reset(&c->frames);
	c->flush_wanted = c->backlog = c->reading_stopped = c->wants_room = false;
}
