/*
 * The sending side of the gossiper: rounds of a second. A round marks the sampler's queue, sends what is in
 * it up to the mark, and then the position that belongs to it; so a value is sent once a second at most,
 * however often it changes.
 *
 * A number is used up only by an item that went into the connection. What the connection loses afterwards,
 * peers miss. A turn is short, and leaves room in the connection to what replicates.
 */
#include <string.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/gossiper_internal.h"

enum {
	ROUND_MS = 1000,
	URGENT_MS = 200,
	TURN_MS = 25,
	LOOK_MS = 100,      /* between rounds */
	ITEMS_A_TURN = 500, /* 20,000 a second */
	SIGN_MS = 1500,     /* a position without a note, if a round takes longer */
	ROOM_LEFT = 64 * 1024,
	ITEMS_A_FLUSH = 20000,
};

static bool
muted(struct gossiper *g)
{
	if (g->muted && mono_reached(mono_now(), g->muted_until))
		g->muted = false;
	return g->muted;
}

/* ---- one message ------------------------------------------------------------------------------------ */

static void
send_item(struct gossiper *g, const struct proto_sample *row)
{
	struct error e = ERROR_INIT;

	strbuf_reset(&g->line);
	strbuf_reset(&g->text);
	gossip_number_write(&g->nonce, g->number + 1, &g->line);
	gossip_item_write(row, &g->text);
	if (nats_conn_publish(g->conn, g->subject, NULL, g->line.data, g->line.len, g->text.data, g->text.len,
			      &e) != 0) {
		log_debug("gossip", "%s", e.text);
		return;
	}
	g->number++;
	g->figures.sent++;
}

static void
send_position(struct gossiper *g, const struct sample_note *note, bool leaves)
{
	struct gossip_position p = {
	    .nonce = g->nonce, .number = g->number, .round = g->round, .leaves = leaves};
	struct error e = ERROR_INIT;

	g->spoke_at = mono_now();
	if (note != NULL && note->source_created_ns > 0 && note->target_created_ns > 0) {
		p.has_note = true;
		p.note = *note;
		p.note.inspector = g->inspector;
		g->sent_note = *note;
		g->has_sent_note = true;
	}
	strbuf_reset(&g->text);
	gossip_position_write(&p, &g->text);
	if (nats_conn_publish(g->conn, g->position_subject, NULL, NULL, 0, g->text.data, g->text.len, &e) !=
	    0)
		log_debug("gossip", "%s", e.text);
}

/* ---- rounds ----------------------------------------------------------------------------------------- */

enum drained { DRAIN_MORE, DRAIN_ALL, DRAIN_MARK };

/* Sends up to max items. DRAIN_MARK with the note: all that was changed before the mark is sent; DRAIN_ALL:
 * nothing waits, though the mark is not reached. */
static enum drained
drain(struct gossiper *g, uint32_t max, size_t room_left, struct sample_note *note)
{
	struct proto_sample row;

	for (uint32_t i = 0; i < max; i++) {
		if (sampler_marked(g->sampler, TRACKER_GOSSIP, note))
			return DRAIN_MARK;
		if (nats_conn_room(g->conn) <= room_left)
			return DRAIN_MORE;
		if (!sampler_take(g->sampler, TRACKER_GOSSIP, &row))
			return sampler_marked(g->sampler, TRACKER_GOSSIP, note) ? DRAIN_MARK : DRAIN_ALL;
		/* There is no word for it; everybody forgets by the same rules. */
		if (!row.forgotten)
			send_item(g, &row);
	}
	return DRAIN_MORE;
}

static void
mark(struct gossiper *g)
{
	g->round++;
	sampler_mark(g->sampler, TRACKER_GOSSIP, g->source_created_ns, g->target_created_ns);
}

static void
begin_round(struct gossiper *g, struct mono now)
{
	g->round_at = now;
	g->draining = true;
	/* A mark that is not reached stays: what holds it up may hold up the next one too. */
	if (!sampler_has_mark(g->sampler, TRACKER_GOSSIP))
		mark(g);
}

/* A second after the last one; sooner if a row waits that was advised of, since who takes over would advise
 * once more. */
static bool
is_time(const struct gossiper *g, struct mono now)
{
	return mono_reached(now, mono_add_ms(g->round_at, ROUND_MS)) ||
	       (sampler_urgent(g->sampler, TRACKER_GOSSIP) &&
		mono_reached(now, mono_add_ms(g->round_at, URGENT_MS)));
}

static void
go_on(struct gossiper *g)
{
	struct sample_note note;
	enum drained drained = drain(g, ITEMS_A_TURN, ROOM_LEFT, &note);

	g->draining = drained == DRAIN_MORE;
	if (drained != DRAIN_MORE)
		send_position(g, drained == DRAIN_MARK ? &note : NULL, false);
}

static void
arm(struct gossiper *g, int64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	event_add(g->send_timer, &tv);
}

static void
on_send(evutil_socket_t fd, short what, void *arg)
{
	struct gossiper *g = arg;
	struct mono now = mono_now();

	(void)fd;
	(void)what;
	if (!g->up || !g->leads || !nats_conn_is_up(g->conn))
		return;
	if (muted(g)) {
		arm(g, ROUND_MS);
		return;
	}
	if (!g->draining && is_time(g, now))
		begin_round(g, now);
	if (g->draining)
		go_on(g);
	if (mono_reached(now, mono_add_ms(g->spoke_at, SIGN_MS)))
		send_position(g, NULL, false);
	arm(g, g->draining ? TURN_MS : LOOK_MS);
}

bool
gossiper_flush(struct gossiper *g)
{
	struct sample_note note;
	enum drained drained;

	if (!g->up || !g->leads || !nats_conn_is_up(g->conn) || muted(g))
		return false;
	mark(g);
	g->draining = false;
	drained = drain(g, ITEMS_A_FLUSH, 0, &note);
	send_position(g, drained == DRAIN_MARK ? &note : NULL, true);
	return drained == DRAIN_MARK;
}

/* ---- life ------------------------------------------------------------------------------------------- */

void
gossiper_send_init(struct gossiper *g)
{
	strbuf_init(&g->line);
	strbuf_init(&g->text);
	g->send_timer = event_new(g->base, -1, 0, on_send, g);
}

void
gossiper_send_fini(struct gossiper *g)
{
	event_free(g->send_timer);
	strbuf_fini(&g->line);
	strbuf_fini(&g->text);
}

void
gossiper_send_start(struct gossiper *g)
{
	g->draining = false;
	g->spoke_at = mono_now();
	arm(g, 0);
}

void
gossiper_send_stop(struct gossiper *g)
{
	event_del(g->send_timer);
	g->draining = false;
}
