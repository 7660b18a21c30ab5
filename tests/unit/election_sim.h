/*
 * The simulation of elections: nodes with an elector, a supervisor and a worker each, the bucket in which
 * they elect, and what they say to each other. A node's worker copies to the target of sim_model.h while it
 * may.
 *
 * election_sim_bucket.c is the server's side and the network to it, election_sim_elector.c what elector.c
 * does around lease.c and presence.c, election_sim_node.c supervisor and worker, election_sim_faults.c does
 * harm; test_election_sim.c runs and audits.
 */
#ifndef SR_TESTS_ELECTION_SIM_H
#define SR_TESTS_ELECTION_SIM_H

#include "tests/unit/sim_worker.h"
#include "worker/lease.h"
#include "worker/presence.h"

enum { ES_NODES = 5, ES_KEYS = 3, ES_SERVERS = 3, ES_PIPE = 256 };

enum es_fault {
	ES_CUT_BUCKET,
	ES_CUT_TARGET,
	ES_STOP_NODE,
	ES_STOP_ELECTOR,
	ES_STOP_SUPERVISOR,
	ES_STOP_WORKER,
	ES_CRASH_NODE,
	ES_CRASH_ELECTOR,
	ES_CRASH_WORKER,
	ES_END_NODE,
	ES_STEP_DOWN,
	ES_LEADERLESS,
	ES_OTHER_LEADER,
	ES_LOSE_REQUESTS,
	ES_LOSE_REPLIES,
	ES_LATE_REQUESTS,
	ES_LATE_REPLIES,
	ES_DOUBLE_REPLIES,
	ES_BREAK_WATCH,
	ES_LATE_WATCH,
	/* By an operator: two may lead for a while then. */
	ES_DELETE_KEY,
	ES_DELETE_BUCKET,
	ES_CHANGE_TTL,
	ES_FAULTS
};

/* ---- the bucket ------------------------------------------------------------------------------------- */

struct es_entry {
	uint64_t revision; /* 0: nothing is there */
	bool marker;
	uint64_t nonce;
	enum lease_why why;
};
struct es_bucket {
	uint64_t id; /* another one when it was made anew */
	bool exists;
	int64_t ttl_ms, back_at_ms;
	uint64_t last;
	struct {
		struct es_entry entry;
		int64_t stored_ms; /* by the clock of the server that took it */
	} keys[ES_KEYS];
	int64_t skew_ms[ES_SERVERS]; /* of the servers' clocks */
	int leader;
	int64_t leaderless_until_ms;
	bool expiry_markers;
	uint32_t lose_requests, lose_replies, late_requests, late_replies, double_replies;
};

struct es_message {
	enum { ES_REQUEST, ES_REPLY, ES_WATCH, ES_ANNOUNCEMENT } kind;
	int64_t at_ms;
	int node; /* whose request it is, or who gets it */
	uint32_t incarnation, watch;
	int key;
	struct lease_output op;
	uint64_t nonce, bucket; /* of a request: for which bucket it was meant */
	enum lease_answer answer;
	struct es_entry entry;
	char *text;
};

/* ---- a node ----------------------------------------------------------------------------------------- */

struct es_frame {
	enum { ES_WON, ES_LOST, ES_YIELD, ES_RELEASE, ES_ROLE, ES_ROLE_DONE } kind;
	int64_t at_ms;
	uint64_t term, serial; /* serial: of roles, and of what is said of them */
	int64_t end_ms;
	bool leader, settle;
};
struct es_pipe {
	struct es_frame frames[ES_PIPE];
	size_t first, count;
};

struct es_name {
	struct lease *lease;
	bool out, leads, moved;
	enum lease_output_kind kind;
	uint64_t op, term;
	int64_t deadline_ms, release_at_ms;
	struct mono won_at;
	enum lease_why why;
	/* What the lease must keep to, as its owner sees it. */
	bool in_doubt;    /* of the last write it is not known what became */
	uint64_t lost_op; /* what was out at a loss is of no interest */
	int64_t end_ms;   /* as told */
};
struct es_elector {
	bool up, draining;
	uint32_t incarnation, watch; /* watch: counts subscriptions, what the ones before get is dropped */
	int64_t stopped_until_ms, stopped_ms, restart_at_ms, drain_until_ms;
	bool reachable, watches;
	int64_t notice_at_ms, watch_back_ms, watch_at_ms, announce_at_ms, balance_at_ms;
	uint64_t bucket;
	int64_t ttl_ms, ttl_notice_ms;
	struct presence *presence;
	struct es_name names[ES_KEYS];
};
struct es_supervisor {
	int64_t stopped_until_ms;
	bool leader;
	uint64_t roles;                  /* sent */
	uint64_t term, yields, released; /* yields: the term whose release is wanted, or 0 */
	int64_t end_ms;
};
struct es_worker {
	bool up, leader, settling;
	uint64_t term, serial;
	int64_t end_ms, stopped_until_ms, stopped_ms, restart_at_ms;
	struct sim_worker copier;
	struct proto_checkpoint checkpoint;
	bool have_checkpoint;
};
struct es_node {
	int index;
	bool up;
	int64_t back_at_ms, cut_bucket_until_ms, cut_target_until_ms;
	bool cut_loses; /* else what is on its way comes when the cut ends */
	uint64_t nonce;
	struct es_elector elector;
	struct es_supervisor supervisor;
	struct es_worker worker;
	struct es_pipe elector_out, elector_in, worker_out, worker_in;
	struct es *es;
};

/* ---- all of it -------------------------------------------------------------------------------------- */

struct es {
	struct sim_world world; /* its clock and its chance are the simulation's */
	struct sim_settings settings;
	struct sim_told told;
	struct es_bucket bucket;
	struct es_node nodes[ES_NODES];
	int node_count, key_count;
	struct es_message *messages;
	size_t message_count, message_cap;
	uint64_t next_nonce;
	bool operates, quiet;
	uint32_t burst; /* steps in which one fault follows upon another */
	int64_t exempt_until_ms, overlap_ms;
	uint64_t faults[ES_FAULTS], terms, moves;
	char failure[300];
};

static inline int64_t
es_now(const struct es *es)
{
	return es->world.now_ms;
}
uint32_t es_below(struct es *es, uint32_t below);
bool es_chance(struct es *es, uint32_t in_thousand);
/* Keeps the first failure. */
void es_fail(struct es *es, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With SIM_TRACE in the environment. */
void es_trace(const struct es *es, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The bucket and the network. */
void es_bucket_init(struct es *es);
void es_bucket_step(struct es *es);
bool es_bucket_is_cut(const struct es_node *n);
void es_request(struct es_node *n, int key, const struct lease_output *op);
void es_announce(struct es_node *n, bool gone);
/* The watch begins: it tells what is there. */
void es_watch(struct es_node *n);
void es_delete_key(struct es *es, int key);
void es_delete_bucket(struct es *es);
void es_deliver_messages(struct es *es);
void es_forget_messages(struct es *es);

/* An operator did something: two may lead until the longest lease that anybody has must be over. */
void es_exempt(struct es *es);

/* The elector. */
void es_elector_start(struct es_node *n);
void es_elector_end(struct es_node *n);
bool es_elector_acts(const struct es_node *n);
void es_elector_step(struct es_node *n);
/* true: taken; false: later. */
bool es_elector_message(struct es_node *n, const struct es_message *m);
/* The bucket is gone, and with it its watch; it has not noticed yet. */
void es_elector_forget(struct es_node *n);
void es_elector_drain(struct es_node *n);
bool es_elector_step_down(struct es_node *n, int key);
bool es_elector_leads(const struct es_node *n, int key);

/* Supervisor and worker. */
void es_push(struct es *es, struct es_pipe *pipe, struct es_frame frame);
bool es_pop(struct es *es, struct es_pipe *pipe, struct es_frame *frame);
void es_node_start(struct es_node *n);
void es_node_crash(struct es_node *n);
void es_worker_end(struct es_node *n);
void es_node_step(struct es_node *n);
/* The worker may send as it knows. */
bool es_worker_leads(const struct es_node *n);

/* Something goes wrong. */
void es_fault(struct es *es);
void es_heal(struct es *es);

#endif
