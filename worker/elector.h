/*
 * The electing role: campaigns for the names of one bucket and tells who won. One connection, one bucket, a
 * lease for each name (lease.h), presence (presence.h). Runs in an elector process; the workers are in
 * others.
 */
#ifndef SR_WORKER_ELECTOR_H
#define SR_WORKER_ELECTOR_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/proto.h"

struct elector;

/* Where an elector tells what it does; all from the loop. */
struct elector_reports {
	void (*state)(void *arg, enum worker_state state, const char *reason);
	void (*won)(void *arg, const struct proto_won *won);
	void (*lost)(void *arg, const struct proto_lost *lost);
	void (*yield)(void *arg, const struct proto_lost *yield);
	void (*election)(void *arg, const struct proto_election *election);
	void (*incident)(void *arg, const char *kind, const char *detail);
	/* Nothing is held any more, after elector_drain(). */
	void (*drained)(void *arg);
};

/* conf: of one election group (election_plan.h); borrowed, must outlive it. NULL with *e if it cannot be
 * used. */
struct elector *elector_new(struct event_base *base, const struct conf *conf, const struct proto_elect *elect,
			    const struct elector_reports *reports, void *arg, struct error *e);
void elector_start(struct elector *el);
void elector_free(struct elector **el);

/* The supervisor lives. From the first time on, PROTO_SILENT_MS without it mean that nobody passes on what
 * is won and renewed: nothing is campaigned for or renewed until it comes again. */
void elector_supervisor_alive(struct elector *el);
void elector_able(struct elector *el, const struct proto_able *able);
void elector_step_down(struct elector *el, const char *key);
void elector_release(struct elector *el, const struct proto_term *term);
/* Campaigns no more; hands over what it leads (YIELD for each), and is drained when every key is given up or
 * PROTO_SETTLE_MS are over. */
void elector_drain(struct elector *el);

void elector_stats(const struct elector *el, struct proto_stats *stats);

#endif
