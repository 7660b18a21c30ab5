/*
 * Elections in the supervisor: the broker (leaders.h) between the pipes of electors and those of the children
 * that work for a name, and what comes of it in log, incidents and state.db. Also the order in which electors
 * are started, replaced and ended.
 */
#ifndef SR_SUPERVISOR_ELECTIONS_H
#define SR_SUPERVISOR_ELECTIONS_H

#include "supervisor/children.h"
#include "supervisor/leaders.h"

struct elections;

/* table is borrowed and must outlive it; it has its jobs and its store already. */
struct elections *elections_new(struct children *table);
/* Writes the table `leadership` a last time. */
void elections_free(struct elections **e);

/* The table's jobs are others now. */
void elections_set_plan(struct elections *e);

/* ---- from the children's life ---- */

/* ELECT, the log level, which the configuration of an elector does not hold, and the first ALIVE. */
void elections_send_elect(struct elections *e, struct child *elector);
/* A process was started and has been sent what it starts with. */
void elections_child_started(struct elections *e, struct child *c);
/* Its state changed, or what it reports. */
void elections_child_changed(struct elections *e, struct child *c);
/* READY came. */
void elections_child_ready(struct elections *e, struct child *c);
/* Its process is gone; of an elector also: its pipe is. Once a process counts. */
void elections_child_gone(struct elections *e, struct child *c);
/* It will have no process any more. */
void elections_child_removed(struct elections *e, struct child *c);

/* WON, LOST, YIELD and ELECTION of an elector, ROLE_DONE of the others. -1 with *err: it broke the protocol.
 */
int elections_frame(struct elections *e, struct child *c, const struct proto_frame *f, struct error *err);

/* Two electors with the same names would get in each other's way: those that go must have ended first. */
bool elections_must_wait(const struct elections *e, const struct child *elector);
/* Starts and replaces electors that may be now. */
void elections_advance(struct elections *e, struct mono now);
void elections_tick(struct elections *e, struct mono now);

/* ---- for status and verbs ---- */

/* The name that this child works for, NULL if it is not elected. */
const struct leader *elections_of(const struct elections *e, const struct child *c);
const struct leaders *elections_leaders(const struct elections *e);

/* A name as people are told of it. Texts are borrowed until the loop's next turn; "" and 0: not known. */
struct election_view {
	const char *role; /* here: "leader" or "standby" */
	const char *leader, *site;
	uint64_t term;
	uint32_t pid;         /* of the supervisor there */
	int64_t since_ms;     /* epoch */
	int64_t lease_end_ns; /* monotonic */
};
void elections_view(const struct elections *e, const struct leader *n, struct mono now,
		    struct election_view *view);
/* Asks for a hand-over. 0, or -1 with *err: why it cannot be. */
int elections_step_down(struct elections *e, const char *name, struct error *err);

#endif
