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

/* All borrowed, and must outlive it. */
struct gossiper *gossiper_new(struct event_base *base, struct nats_conn *source,
			      const struct conf_topic *topic, struct sampler *sampler);
void gossiper_free(struct gossiper **g);

/* The source connection is up again (subscriptions are gone), or lost. */
void gossiper_up(struct gossiper *g);
void gossiper_down(struct gossiper *g);

/* Sends from now on, or only hears. Identities of the streams for positions; 0 while not known. */
void gossiper_lead(struct gossiper *g, int64_t source_created_ns, int64_t target_created_ns);
void gossiper_follow(struct gossiper *g);
/* A hand-over: sends what is queued and the position now, whatever the rate. */
void gossiper_flush(struct gossiper *g);

/* The newest position that was adopted since the last gossiper_lead(), for a gain; false if there is none. */
bool gossiper_position(const struct gossiper *g, struct sample_note *note);

struct gossiper_figures {
	uint64_t sent, received, rejected;
	bool in_step; /* a standby knows all that its leader does */
};
void gossiper_figures(const struct gossiper *g, struct gossiper_figures *out);

#endif
