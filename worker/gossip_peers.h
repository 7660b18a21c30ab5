/*
 * Who says what in gossip, and what of it we have: the nodes whose items carry numbers. Pure; a bounded
 * table, whoever sends.
 *
 * We have all of a node if we had its snapshot and every number since. A position of a node counts only then,
 * and only once its number has come: items and positions may overtake each other by a little. While two nodes
 * speak as leaders, neither's position counts: one of them does not know yet that it leads no more.
 */
#ifndef SR_WORKER_GOSSIP_PEERS_H
#define SR_WORKER_GOSSIP_PEERS_H

#include "common/clock.h"
#include "common/gossip.h"

enum {
	GOSSIP_PEERS_MAX = 16,         /* of more, the one that was silent longest is forgotten */
	GOSSIP_PEERS_SPEAKS_MS = 3500, /* a leader that said nothing for so long is none */
	GOSSIP_PEERS_LATE_MS =
	    2000, /* a number that a position speaks of and that does not come was missed */
};

struct gossip_peer {
	bool used;
	struct gossip_nonce nonce;
	struct mono heard;
	uint64_t first, last; /* numbers that came one after the other; last 0: none */
	bool whole;           /* and all before */
	uint64_t round;       /* of the snapshot that made it so */
	bool speaks;          /* as a leader */
	struct mono spoke;
	bool waits; /* for the number of `position`, since `since` */
	bool ready; /* that has come */
	struct mono since;
	struct gossip_position position;
};

struct gossip_peers {
	struct gossip_peer peer[GOSSIP_PEERS_MAX];
};

void gossip_peers_init(struct gossip_peers *p);

void gossip_peers_item(struct gossip_peers *p, const struct gossip_nonce *nonce, uint64_t number,
		       struct mono now);
void gossip_peers_position(struct gossip_peers *p, const struct gossip_position *position, struct mono now);
/* All that this node told until it had sent that number is in. from: of the snapshot's first page. */
void gossip_peers_snapshot(struct gossip_peers *p, const struct gossip_position *from, struct mono now);

/* Exactly one node speaks as a leader, and we have all of it. */
bool gossip_peers_in_step(const struct gossip_peers *p, struct mono now);
/* Somebody speaks as a leader of which we have not all: a snapshot is wanted. */
bool gossip_peers_missed(struct gossip_peers *p, struct mono now);
/* True with a note that came with a position, once each, if it counts. */
bool gossip_peers_take(struct gossip_peers *p, struct mono now, struct sample_note *note);
/* Nobody but that node speaks as a leader. */
bool gossip_peers_alone(const struct gossip_peers *p, const struct gossip_nonce *nonce, struct mono now);

#endif
