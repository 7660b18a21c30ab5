/*
 * The heartbeat role: publishes the Unix time to each configured subject at its interval, so that a reader
 * far away sees how old what reaches it is. Elected, if so configured: then it publishes while it leads.
 */
#ifndef SR_WORKER_HEARTBEAT_H
#define SR_WORKER_HEARTBEAT_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/proto.h"

struct heartbeat;

struct heartbeat_reports {
	void (*state)(void *arg, enum worker_state state, const char *reason);
	void (*role_done)(void *arg, uint64_t serial);
	void (*drained)(void *arg);
};

/* conf is borrowed and must outlive it. node: host name, for the header Choria-SR-Originator. */
struct heartbeat *heartbeat_new(struct event_base *base, const struct conf *conf, const char *node,
				const struct heartbeat_reports *reports, void *arg, struct error *e);
void heartbeat_start(struct heartbeat *h);
void heartbeat_free(struct heartbeat **h);
void heartbeat_set_role(struct heartbeat *h, const struct proto_role *role);
void heartbeat_pause(struct heartbeat *h);
void heartbeat_resume(struct heartbeat *h);
void heartbeat_drain(struct heartbeat *h);
void heartbeat_stats(const struct heartbeat *h, struct proto_stats *stats);

#endif
