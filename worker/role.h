/*
 * What a worker process does, behind one table for each job (enum proto_job): worker.c knows the pipe and the
 * process, a role knows its work. One file a role: role_replicate.c, role_elect.c, role_heartbeat.c.
 */
#ifndef SR_WORKER_ROLE_H
#define SR_WORKER_ROLE_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/conf.h"
#include "common/proto.h"

struct worker;

struct role_ops {
	/* The frame that completes what the role needs: CONFIG, POSITION or ELECT. */
	enum proto_type begins_with;
	/* Makes the role of that frame; NULL with *e: the configuration cannot be used, only a reload helps.
	 */
	void *(*make)(struct worker *w, const struct proto_frame *frame, struct error *e);
	void (*start)(void *role);
	void (*stats)(const void *role, struct proto_stats *stats);
	/* Ends in worker_drained(). */
	void (*drain)(void *role);
	/* Draining needs the supervisor: without it the process ends at once. */
	bool ends_with_supervisor;
	void (*free)(void *role);
	/* The rest may be NULL. */
	void (*pause)(void *role);
	void (*resume)(void *role);
	/* ROLE, to a role that is elected; also while draining. */
	void (*set_role)(void *role, const struct proto_role *told);
	/* A frame that only roles of this kind know, also while draining. 0, or -1 with *e: it is malformed.
	 */
	int (*frame)(void *role, const struct proto_frame *frame, struct error *e);
};

extern const struct role_ops role_replicate;
extern const struct role_ops role_elect;
extern const struct role_ops role_heartbeat;

/* ---- for the roles ------------------------------------------------------------------------------- */

struct event_base *worker_base(const struct worker *w);
/* What CONFIG said; outlives the role. */
const struct conf *worker_conf(const struct worker *w);
/* Sends a frame and empties payload. */
void worker_send(struct worker *w, enum proto_type type, struct strbuf *payload);
/* These take the worker as void * to serve as a role's reports. */
void worker_report_state(void *worker, enum worker_state state, const char *reason);
void worker_report_incident(void *worker, const char *kind, const char *detail);
void worker_report_role_done(void *worker, uint64_t serial);
void worker_drained(void *worker);

#endif
