/*
 * The inside of the source for a JetStream stream, for the files that make it up and nobody else:
 *
 *   source.c      its life: the consumer, pulling, the order of deliveries
 *   source_ack.c  acknowledging
 */
#ifndef SR_WORKER_SOURCE_INTERNAL_H
#define SR_WORKER_SOURCE_INTERNAL_H

#include "common/clock.h"
#include "common/nats/puller.h"
#include "worker/acklist.h"
#include "worker/source.h"

enum {
	CONSUMER_NAME_MAX = 256,
	ACK_SUBJECT_MAX = 1024,
};

enum source_step { SOURCE_IDLE, SOURCE_ASKING, SOURCE_WAITING, SOURCE_RUNNING };

/* A delivery that waits for older ones. */
struct waiting {
	struct nats_held *held;
	struct jsack ack;
};

struct source {
	struct event_base *base;
	struct nats_conn *conn;
	struct source_config config;
	struct source_callbacks callbacks;
	void *arg;

	enum source_step step;
	struct nats_request *request;
	struct mono asked; /* CONSUMER.INFO: its answer tells the round trip */
	int64_t round_trip_ms;
	struct puller *puller;
	struct event *ack_timer;
	struct event *wait_timer;

	char consumer[CONSUMER_NAME_MAX];
	char stream[CONSUMER_NAME_MAX];
	bool made;      /* an ephemeral consumer of ours exists */
	bool keep;      /* never delete: work queue or interest */
	bool take_over; /* at this start: the consumer was another process's */
	bool filters_here;
	uint64_t after_seq;
	uint32_t max_unacked; /* asked for now; lowered to what the server grants */
	uint32_t granted;
	uint64_t next_consumer_seq; /* deliveries are numbered without a hole */
	/* keep: due deliveries up to sequence due_up_to must come first; those that have come wait. */
	uint64_t due, due_up_to;
	struct mono due_since; /* 0: not waiting for them */
	bool due_said;
	struct waiting *waiting; /* waiting_count of them; those before waiting_next are handed on */
	size_t waiting_count, waiting_next, waiting_cap, waiting_seen;
	bool paused;

	struct acklist unacked;
	struct jsack last_settled; /* the newest one not acknowledged yet; delivered 0: none */
	uint32_t settled_count;
	char ack_prefix[ACK_SUBJECT_MAX / 2]; /* everything before the delivery count */
	char ack_suffix[64];                  /* what follows the pending count, with its dot */
	uint64_t acks_failed;
};

/* Learns what all acknowledgement subjects of this consumer have in common. */
void source_learn_ack_subject(struct source *s, const char *reply);

#endif
