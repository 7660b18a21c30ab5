/*
 * Electors in a test, each with what stands for its supervisor: it notes what it is told, lets the "workers"
 * of a name settle, and releases. And a person beside them, with a connection of his own. On every gain it is
 * checked that nobody else may send for that name.
 */
#ifndef SR_TESTS_ELECTORS_H
#define SR_TESTS_ELECTORS_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/nats/conn.h"
#include "worker/elector.h"

enum { NODE_NAMES_MAX = 64, NODES_MAX = 4 };

/* What a node knows of a name. */
struct node_name {
	char key[64];
	bool holds; /* WON without LOST, YIELD or the end of the lease */
	uint64_t term;
	struct mono lease_end;
	bool map_in_doubt;
	int wins, renewals, losses, yields;
	char reason[256]; /* of the last loss or yield */
	/* ELECTION */
	int reports;
	bool leads;
	uint64_t shown_term;
	char leader[300], site[300], problem[1024];
	uint32_t pid;
	int64_t since_ms, lease_end_ns;
	size_t present;
	uint32_t self_leads, other_leads; /* of present */
};

struct node {
	struct event_base *base;
	struct conf *conf;
	struct elector *el;
	int settle_ms; /* of the workers; 0: released from within YIELD; -1: never */
	struct node_name names[NODE_NAMES_MAX];
	size_t name_count;
	enum worker_state state;
	char reason[1024];
	int incidents;
	char incident_kind[64], incident[1024];
	int drained;
	struct proto_elect elect;
};

/* names: N0, N1, … Every name is able. extra: more lines of configuration, "" for none. */
void node_start(struct node *n, struct event_base *base, int number, const char *url, const char *site,
		int names, const char *extra);
/* The same process again, with the same nonce, after node_vanish(). */
void node_start_again(struct node *n);
/* As kill -9 of the elector: nothing is said, nothing given up. */
void node_vanish(struct node *n);
void node_stop(struct node *n);
void node_able(struct node *n, const char *key, bool able);
struct node_name *node_name(struct node *n, const char *key);
/* Names held now. */
int node_held(const struct node *n);
bool node_holds(struct node *n, const char *key);

/* A person with a connection. */
struct person {
	struct event_base *base;
	struct nats_conn *conn;
	bool up;
};
void person_start(struct person *p, struct event_base *base, const char *url);
void person_stop(struct person *p);
/* Asks the JetStream API; it must not answer with an error. */
void person_asks(struct person *p, const char *verb, const char *body);
/* Writes a key without any condition. headers: whole lines, "" for none. */
void person_writes(struct person *p, const char *bucket, const char *key, const char *headers,
		   const char *value);

#endif
