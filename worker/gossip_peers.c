/*
 * What we have of each node that gossips with numbers; in a replicating worker. Pure: values and a clock.
 *
 * Nothing is believed for longer than it was said, and a lie costs no more than a snapshot that is asked for
 * in vain: who may publish on these subjects is trusted with rows anyway, each of which is merged by time.
 */
#include "worker/gossip_peers.h"

#include <string.h>

void
gossip_peers_init(struct gossip_peers *p)
{
	memset(p, 0, sizeof *p);
}

static bool
speaks(const struct gossip_peer *peer, struct mono now)
{
	return peer->used && peer->speaks &&
	       !mono_reached(now, mono_add_ms(peer->spoke, GOSSIP_PEERS_SPEAKS_MS));
}

/* Whose place a new one takes: a free one, or of those that do not speak, if there are any, the one that was
 * heard longest ago. */
static struct gossip_peer *
place_for_new(struct gossip_peers *p, struct mono now)
{
	struct gossip_peer *best = NULL;

	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++) {
		struct gossip_peer *peer = &p->peer[i];

		if (!peer->used)
			return peer;
		if (best == NULL || (speaks(best, now) && !speaks(peer, now)) ||
		    (speaks(best, now) == speaks(peer, now) && peer->heard.ns < best->heard.ns))
			best = peer;
	}
	return best;
}

static struct gossip_peer *
peer_of(struct gossip_peers *p, const struct gossip_nonce *nonce, struct mono now)
{
	struct gossip_peer *peer;

	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++) {
		peer = &p->peer[i];
		if (peer->used && gossip_nonce_equal(&peer->nonce, nonce)) {
			peer->heard = now;
			return peer;
		}
	}
	peer = place_for_new(p, now);
	memset(peer, 0, sizeof *peer);
	peer->used = true;
	peer->nonce = *nonce;
	peer->heard = now;
	return peer;
}

/* ---- what is heard ---------------------------------------------------------------------------------- */

/* The position that waits may be reached now. */
static void
look_at_position(struct gossip_peer *peer)
{
	if (!peer->waits || !peer->whole || peer->last < peer->position.number)
		return;
	peer->waits = false;
	peer->ready = peer->position.has_note && peer->position.round > peer->round;
}

static void
lost_something(struct gossip_peer *peer)
{
	peer->whole = peer->waits = peer->ready = false;
}

void
gossip_peers_item(struct gossip_peers *p, const struct gossip_nonce *nonce, uint64_t number, struct mono now)
{
	struct gossip_peer *peer = peer_of(p, nonce, now);

	if (peer->last == 0 || number > peer->last + 1) {
		/* What came before this run has a snapshot for it, or not. */
		if (!(peer->whole && number == peer->last + 1))
			lost_something(peer);
		peer->first = number;
	}
	if (number > peer->last)
		peer->last = number;
	look_at_position(peer);
}

void
gossip_peers_position(struct gossip_peers *p, const struct gossip_position *position, struct mono now)
{
	struct gossip_peer *peer = peer_of(p, &position->nonce, now);

	peer->speaks = !position->leaves;
	peer->spoke = now;
	/* The one that waits is reached sooner; but a last word has nothing after it. */
	if (!peer->whole || (peer->waits && !position->leaves))
		return;
	if (!peer->waits)
		peer->since = now;
	peer->ready = false;
	peer->waits = true;
	peer->position = *position;
	look_at_position(peer);
}

void
gossip_peers_snapshot(struct gossip_peers *p, const struct gossip_position *from, struct mono now)
{
	struct gossip_peer *peer = peer_of(p, &from->nonce, now);

	if (peer->last == 0)
		peer->first = from->number + 1;
	/* If the run began behind the snapshot, something between them is missing. */
	if (peer->first > from->number + 1)
		return;
	if (peer->last < from->number)
		peer->last = from->number;
	peer->whole = true;
	peer->round = from->round;
	look_at_position(peer);
}

/* ---- what follows ----------------------------------------------------------------------------------- */

/* The only one that speaks, or NULL. */
static const struct gossip_peer *
only_speaker(const struct gossip_peers *p, struct mono now)
{
	const struct gossip_peer *found = NULL;

	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++) {
		if (!speaks(&p->peer[i], now))
			continue;
		if (found != NULL)
			return NULL;
		found = &p->peer[i];
	}
	return found;
}

static bool
late(const struct gossip_peer *peer, struct mono now)
{
	return peer->waits && mono_reached(now, mono_add_ms(peer->since, GOSSIP_PEERS_LATE_MS));
}

bool
gossip_peers_in_step(const struct gossip_peers *p, struct mono now)
{
	const struct gossip_peer *peer = only_speaker(p, now);

	return peer != NULL && peer->whole && !late(peer, now);
}

bool
gossip_peers_missed(struct gossip_peers *p, struct mono now)
{
	bool missed = false;

	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++) {
		struct gossip_peer *peer = &p->peer[i];

		if (peer->used && late(peer, now))
			lost_something(peer);
		missed = missed || (speaks(peer, now) && !peer->whole);
	}
	return missed;
}

bool
gossip_peers_alone(const struct gossip_peers *p, const struct gossip_nonce *nonce, struct mono now)
{
	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++)
		if (speaks(&p->peer[i], now) && !gossip_nonce_equal(&p->peer[i].nonce, nonce))
			return false;
	return true;
}

bool
gossip_peers_take(struct gossip_peers *p, struct mono now, struct sample_note *note)
{
	for (size_t i = 0; i < GOSSIP_PEERS_MAX; i++) {
		struct gossip_peer *peer = &p->peer[i];

		if (!peer->used || !peer->ready || !gossip_peers_alone(p, &peer->nonce, now) ||
		    mono_reached(now, mono_add_ms(peer->spoke, GOSSIP_PEERS_SPEAKS_MS)))
			continue;
		*note = peer->position.note;
		peer->ready = false;
		return true;
	}
	return false;
}
