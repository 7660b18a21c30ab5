/* What the files of the elector share; see elector.h. elector.c is its life, elector_names.c the names and
 * their leases, elector_presence.c who else is there and what follows from it. */
#ifndef SR_WORKER_ELECTOR_INTERNAL_H
#define SR_WORKER_ELECTOR_INTERNAL_H

#include "common/election_plan.h"
#include "common/election_value.h"
#include "common/nats/conn.h"
#include "worker/bucket.h"
#include "worker/elector.h"
#include "worker/lease.h"
#include "worker/presence.h"

enum {
	TICK_MS = 200, /* balance */
	REPORT_TICKS = 5,
};

/* A name that is elected here. */
struct elector_name {
	struct elector *el;
	char *key;
	uint64_t map;
	struct lease *lease;
	struct event *wake;
	bool pumping;

	bool able;
	struct mono able_since; /* or unable since */

	/* this node */
	int64_t since_ms; /* of our value */
	struct mono won_at;
	bool leads, moved, map_in_doubt; /* of the term that was told last */
	uint64_t warned_map;             /* of another leader */
	bool gave_up;                    /* the key, and nobody has taken it since */
	enum lease_why yield_why;
	const char *yield_words; /* static; NULL: the lease's own */
	uint64_t yield_term;     /* of the last YIELD; its RELEASE may come late */

	/* whoever holds the key, as seen last */
	bool held;
	struct election_value holder;
	uint64_t holder_first; /* the first revision that was seen of it */

	char refused[640];    /* the last write was refused; "" once one was not */
	char unanswered[640]; /* the last question had no clear answer; "" once one had */
	bool changed;         /* to be reported */
};

struct elector {
	struct event_base *base;
	const struct conf *conf;
	struct election_plan plan;
	const struct election_group *group;
	struct proto_elect self;
	uint32_t pid; /* of the supervisor: the process that people know */
	struct elector_reports reports;
	void *arg;

	struct nats_conn *conn;
	struct bucket *bucket;
	char connecting[512]; /* why there is no connection */
	char unusable[1024];  /* why the bucket cannot be used; "" if it can */
	char doubt[1024];     /* what does not work though it is used */
	bool bucket_gone_told;
	bool usable;       /* the bucket is, as told last */
	bool silent;       /* the supervisor is */
	struct mono alive; /* when it was heard last; 0 before the first time */
	int64_t ttl_ms;

	struct presence *presence;
	struct nats_sub *heard;
	char announce_subject[320];
	struct event *announce_timer;
	struct mono announced, announce_at;
	bool announce_warned;

	char warned_site[256];      /* of another leader */
	struct elector_name *names; /* name_count of them */
	size_t name_count;
	struct event *tick, *report_timer;
	unsigned int ticks;

	enum worker_state told_state;
	char told_reason[1024];
	bool told;

	bool draining, drained;
	struct event *drain_timer;
	uint64_t connections_lost, connection_errors;
};

/* ---- elector.c */
/* Works out what state the elector is in, and tells it if it is another one. */
void elector_tell_state(struct elector *el);
void elector_check_drained(struct elector *el);
void elector_incident(struct elector *el, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- elector_names.c */
void elector_names_init(struct elector *el);
void elector_names_fini(struct elector *el);
struct elector_name *elector_name_find(struct elector *el, const char *key);
/* Carries out what the lease wants, tells what it says, and sets its clock. After every call of the lease. */
void elector_name_pump(struct elector_name *n);
/* What stands under the key, by watch or read. */
void elector_name_saw(struct elector_name *n, const struct bucket_entry *entry);
void elector_names_reachable(struct elector *el, bool reachable);
/* Hands the name over: YIELD, and the key is given up once the workers have stopped. words: what people are
 * told of the reason, static; NULL for what the lease says. */
void elector_name_hand_over(struct elector_name *n, enum lease_why why, const char *words);
/* Has its ELECTION sent within some milliseconds. */
void elector_name_changed(struct elector_name *n);
void elector_names_changed(struct elector *el);
void elector_names_report(struct elector *el, bool all);

/* ---- elector_presence.c */
void elector_presence_up(struct elector *el);
void elector_presence_down(struct elector *el);
void elector_presence_async_error(struct elector *el, const char *text);
/* This node's part in the name has changed. */
void elector_presence_of_name(struct elector_name *n);
void elector_presence_gone(struct elector *el);
/* At once, and from then on every half TTL. */
void elector_announce(struct elector *el);
void elector_announce_timer(evutil_socket_t fd, short what, void *arg);
/* How long the name waits with a campaign, for a key that was given up for that reason. */
void elector_set_reserve(struct elector_name *n, enum lease_why why);
void elector_balance(struct elector *el);

#endif
