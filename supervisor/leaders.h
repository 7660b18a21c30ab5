/*
 * The broker of elections: what the electors say becomes the role of the children that work for a name, and
 * what these do becomes what the electors must know. Pure: frames, log and state.db are the owner's, through
 * struct leaders_io; time is an argument.
 *
 * A name is known by its elector and its key there. Its members are the child processes that were started
 * for it. A member starts on standby and is told otherwise at once if the name is led here.
 *
 *   WON           members are told to lead, anew at each renewal of the lease
 *   LOST          members are told to stop at once; so they are when the elector's process ends, and when a
 *                 lease end passes without renewal
 *   YIELD         members are told to settle and stop; when each has said so, or has no process any more,
 *                 the key is released
 */
#ifndef SR_SUPERVISOR_LEADERS_H
#define SR_SUPERVISOR_LEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/election_plan.h"
#include "common/proto.h"

enum leader_role {
	LEADER_STANDBY,
	LEADER_LEADS,
	LEADER_YIELDS, /* the key is still ours, the members settle */
};

struct leader_member {
	void *child;   /* the owner's; never looked into */
	uint64_t sent; /* serial of the last ROLE, 0 for none */
	uint64_t done; /* serial of the last ROLE_DONE */
	bool able;     /* at work and connected */
};

struct leader {
	char *elector; /* id of its group */
	char *key;
	char *name;      /* for people */
	size_t expected; /* members that the configuration wants */
	bool wanted;     /* false: no longer configured; forgotten when its elector has ended */

	enum leader_role role;
	uint64_t term;                /* the present one, or the last one that was ours; 0 before */
	int64_t lease_end_ns;         /* of that term */
	struct mono since;            /* when that term became ours */
	bool map_in_doubt;            /* of that term */
	bool released;                /* that term was given up with RELEASE */
	struct mono stopped;          /* when its members had all stopped last */
	bool have_report;             /* the elector that runs has said something about it */
	struct proto_election report; /* the newest; valid with have_report */

	bool told_able;                /* the last ABLE that the running elector was sent */
	struct leader_member *members; /* member_count of them */
	size_t member_count;
};

/* What happened to a name, for log, incidents and state.db. */
enum leader_event {
	LEADER_WON,
	LEADER_LOST,     /* while it led, without having been asked */
	LEADER_ENDED,    /* lost while it was being handed over */
	LEADER_YIELD,    /* hand-over begins */
	LEADER_RELEASED, /* hand-over: all members have stopped, the key is given up */
	LEADER_SEEN,     /* somebody else leads now, or nobody, as far as the elector knows */
};

struct leaders_io {
	void (*role)(void *arg, void *child, const struct proto_role *role);
	void (*able)(void *arg, const struct leader *n, bool able);
	void (*release)(void *arg, const struct leader *n, uint64_t term);
	/* After the fact; reason is "" where the event says it all. */
	void (*happened)(void *arg, const struct leader *n, enum leader_event event, const char *reason);
};

struct leaders;

struct leaders *leaders_new(const struct leaders_io *io, void *arg);
void leaders_free(struct leaders **l);

/*
 * The names that there are from now on. Those that stay keep everything. One that is led here and goes is
 * handed over: its members end by themselves or settle, then it is released.
 */
void leaders_set_plan(struct leaders *l, const struct election_plan *plan, struct mono now);

/* ---- from an elector: 0, or -1 with *e if it broke the protocol ---- */

/* It has read its configuration: it is told who is able. */
void leaders_elector_ready(struct leaders *l, const char *elector);
/* Its process is gone; why: for the reason of the losses. */
void leaders_elector_ended(struct leaders *l, const char *elector, const char *why, struct mono now);
int leaders_won(struct leaders *l, const char *elector, const struct proto_won *won, struct mono now,
		struct error *e);
int leaders_lost(struct leaders *l, const char *elector, const struct proto_lost *lost, struct mono now,
		 struct error *e);
int leaders_yield(struct leaders *l, const char *elector, const struct proto_lost *yield, struct mono now,
		  struct error *e);
/* Takes what report owns in any case. */
int leaders_report(struct leaders *l, const char *elector, struct proto_election *report, struct error *e);

/* ---- from the children that work for a name ---- */

/* A process was started, and its configuration is on the way to it. Nothing if there is no such name. */
void leaders_child_started(struct leaders *l, const char *elector, const char *key, void *child);
/* Its process is gone. Nothing if it works for no name. */
void leaders_child_ended(struct leaders *l, const void *child, struct mono now);
void leaders_child_able(struct leaders *l, const void *child, bool able);
/* -1 with *e: it was never sent that serial. */
int leaders_role_done(struct leaders *l, const void *child, uint64_t serial, struct mono now,
		      struct error *e);

/* Leases that ended without renewal. */
void leaders_tick(struct leaders *l, struct mono now);

/* ---- for others ---- */

size_t leaders_count(const struct leaders *l);
const struct leader *leaders_at(const struct leaders *l, size_t i);
/* NULL if there is none. */
const struct leader *leaders_find(const struct leaders *l, const char *elector, const char *key);
/* By the name for people, of those that are wanted. */
const struct leader *leaders_find_name(const struct leaders *l, const char *name);
/*
 * Whether the elector may be replaced: every name that it is to lose is stopped here, and its key has had a
 * moment to be given up.
 */
bool leaders_may_replace(const struct leaders *l, const char *elector, struct mono now);

#endif
