/*
 * Gossip of one topic over its source connection: tells peers what changed, hears what they tell, and asks
 * for all of it when it joins. Part of a replicating worker; its state is the sampler's.
 *
 * A leader sends changed rows (at most once a second each, and so many a second in all), each with a number
 * in a header of its own, and then a position: up to where that is whole (struct sample_note). A standby that
 * has a snapshot and every number since is in step: it adopts the position and the record of listening, and
 * knows when it takes over that everything up to there is in its table. One that missed a number asks for a
 * snapshot again. Peers that know nothing of numbers and positions (the existing tool) are merged from all
 * the same.
 */
#ifndef SR_WORKER_GOSSIPER_H
#define SR_WORKER_GOSSIPER_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/nats/conn.h"
#include "worker/sampler.h"

struct gossiper;

/* All borrowed, and must outlive it. The connection should not echo; if it does, what is our own is passed
 * over. It may be up already: gossiper_up() is to be called in any case. */
struct gossiper *gossiper_new(struct event_base *base, struct nats_conn *source,
			      const struct conf_topic *topic, struct sampler *sampler);
/* Not from within a callback of its own messages, of which there are none outside. */
void gossiper_free(struct gossiper **g);

/* The source connection is up again (subscriptions are gone), or lost. */
void gossiper_up(struct gossiper *g);
void gossiper_down(struct gossiper *g);
/* The server complained. If it is about a subject of gossip, that is logged once, and after a refused publish
 * nothing is sent for a minute. */
void gossiper_async_error(struct gossiper *g, const char *text);

/* Sends from now on, or only hears (as at first). Identities of the streams for positions; 0 while not known:
 * rows are sent then, and no positions. May be called again when they are known. */
void gossiper_lead(struct gossiper *g, int64_t source_created_ns, int64_t target_created_ns);
void gossiper_follow(struct gossiper *g);
/* A hand-over: sends what is queued and the position now, as much as the connection takes at once. True if
 * that was all. */
bool gossiper_flush(struct gossiper *g);

/*
 * The newest position up to which our own table is known to be whole: adopted from a leader, or from a
 * snapshot, since the last gossiper_lead(), or the last that we sent before gossiper_follow(). For a gain,
 * before gossiper_lead(); false if there is none.
 */
bool gossiper_position(const struct gossiper *g, struct sample_note *note);

struct gossiper_figures {
	uint64_t sent, received; /* items, those of snapshots too */
	uint64_t rejected;       /* messages and items that make no sense or were too many */
	uint64_t asked, taken;   /* snapshots */
	bool in_step;            /* a standby knows all that its leader does; true of a leader */
};
void gossiper_figures(const struct gossiper *g, struct gossiper_figures *out);

#endif
