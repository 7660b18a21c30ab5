/*
 * The replicating role: copies one topic. Owns both connections and everything between them.
 */
#ifndef SR_WORKER_REPLICATOR_H
#define SR_WORKER_REPLICATOR_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/proto.h"

struct replicator;

/* Where a replicator tells what it does; all from the loop. */
struct replicator_reports {
	void (*state)(void *arg, enum worker_state state, const char *reason);
	void (*checkpoint)(void *arg, const struct proto_checkpoint *checkpoint);
	void (*incident)(void *arg, const char *kind, const char *detail);
	/* A sampled topic: rows for state.db, and a change of the outbox. */
	void (*samples)(void *arg, const struct proto_samples *batch);
	void (*advisory)(void *arg, const struct proto_advisory *change);
	/* The role of that serial is in effect: of a standby, nothing is in flight any more. */
	void (*role_done)(void *arg, uint64_t serial);
	/* Everything in flight is settled, or its time is over, after replicator_drain(). */
	void (*drained)(void *arg);
};

/* conf and topic are borrowed and must outlive it; position's strings are copied. NULL with *e if the
 * configuration cannot be used. */
struct replicator *replicator_new(struct event_base *base, const struct conf *conf,
				  const struct conf_topic *topic, const struct proto_position *position,
				  const struct replicator_reports *reports, void *arg, struct error *e);
void replicator_start(struct replicator *r);
void replicator_free(struct replicator **r);

/* Stops reading, settles what is in flight, stays connected. */
void replicator_pause(struct replicator *r);
void replicator_resume(struct replicator *r);
/* Stops reading, settles for at most PROTO_SETTLE_MS, writes the last checkpoint; then `drained`. */
void replicator_drain(struct replicator *r);

/*
 * An elected topic (leader_election_name) begins on standby: connected, without a subscription. A leader of a
 * new term proves its position anew. A standby stops sending at once, or with settle once what is in flight
 * is settled. By itself a leader stops at the lease end that it was told last, whoever else is frozen.
 */
void replicator_set_role(struct replicator *r, const struct proto_role *role);

/* A batch of rows is in state.db. */
void replicator_samples_stored(struct replicator *r, const struct proto_samples_stored *stored);

/* Counters and gauges as of now. */
void replicator_stats(const struct replicator *r, struct proto_stats *stats);

#endif
