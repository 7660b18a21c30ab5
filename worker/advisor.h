/*
 * Sends advisories: core ones at once, reliable ones with acknowledgement and back-off, up to 10 tries, in
 * the order in which they came, a bounded number at a time. Part of a replicating worker.
 *
 * Core ones that cannot be sent at once wait for a minute at most, up to 10,000; reliable ones for as long as
 * it takes, up to 100,000.
 *
 * A reliable advisory is told to the supervisor's outbox before it is sent, and again when it is delivered or
 * given up: what a process did not deliver, the next one does. Its Nats-Msg-Id is its event id.
 */
#ifndef SR_WORKER_ADVISOR_H
#define SR_WORKER_ADVISOR_H

#include <event2/event.h>

#include "common/advisory.h"
#include "common/nats/conn.h"
#include "common/proto.h"

struct advisor;

/* None of them may free the advisor. */
struct advisor_callbacks {
	/* A change of the outbox, in the order in which they are to be made. Called from within
	 * advisor_raise() and advisor_load() too. */
	void (*outbox)(void *arg, const struct proto_advisory *change);
	/* A reliable one of that value was delivered or given up; never from within advisor_raise(). */
	void (*delivered)(void *arg, const char *value, size_t len);
	void (*incident)(void *arg, const char *kind, const char *detail);
};

/* conn: of the end that topic->sampling.advisory names; all borrowed, must outlive it. */
struct advisor *advisor_new(struct event_base *base, struct nats_conn *conn, const struct conf *conf,
			    const struct conf_topic *topic, const struct advisor_callbacks *callbacks,
			    void *arg);
void advisor_free(struct advisor **a);

/* Of the outbox in state.db, at the start, before anything is raised. A row that makes no sense is removed.
 * True if it is kept. */
bool advisor_load(struct advisor *a, const struct proto_advisory *row);
/*
 * True if it is reliable and waits now, or waited already: `delivered` follows. False of a core one, and of a
 * reliable one that was dropped because too many wait. now_ms of the advisory is set here.
 */
bool advisor_raise(struct advisor *a, const struct advisory *advisory, int64_t now_ms);

/* Only a leader sends; what waits stays. */
void advisor_lead(struct advisor *a, bool leads);
/* The connection came or went. What was out then is sent anew, and that is no try. */
void advisor_up(struct advisor *a);
void advisor_down(struct advisor *a);

struct advisor_figures {
	uint64_t raised[ADVISORY_EVENT_END]; /* found, whatever became of them */
	uint64_t errors;                     /* tries that failed */
	uint64_t dropped;                    /* given up, or never sent */
	uint64_t waiting;                    /* core ones for a connection, reliable ones for an answer */
};
void advisor_figures(const struct advisor *a, struct advisor_figures *out);

#endif
