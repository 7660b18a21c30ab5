/*
 * Overlapping pull requests on one consumer: messages come as fast as the link allows, without a gap
 * between batches. Used to read sources, and by whoever scans a stream (position, verify).
 *
 * At least two requests are out while more is wanted. What is asked for and not delivered yet (the
 * credit) follows the measured rate: some time's worth of it, between 2,000 messages or 1 MiB and the
 * given maxima, so that a far source is read at full speed and a slow one never has more on its way than
 * it can drain. Requests carry an idle heartbeat; a missed one (the server lost them, or the consumer
 * is gone: 2.9 says nothing at all) is reported, not repaired.
 */
#ifndef SR_COMMON_NATS_PULLER_H
#define SR_COMMON_NATS_PULLER_H

#include "common/jsack.h"
#include "common/nats/conn.h"

struct puller;

enum puller_event {
	PULLER_MISSED_HEARTBEAT, /* nothing for two heartbeats and a half though requests are out; told again
				    after as long again */
	PULLER_CONSUMER_GONE,    /* 409 consumer deleted, 404 no such consumer, 503: no more is asked until
				    puller_repull */
	PULLER_LEADER_CHANGED,   /* 409 leadership change: requests were dropped; they are repeated */
	PULLER_REFUSED,          /* another status; text says it; asked again after a second */
};

struct puller_callbacks {
	/* ack was parsed from m->reply. */
	void (*message)(void *arg, const struct nats_message *m, const struct jsack *ack);
	/* text in words, with the server's status. The owner may stop or free the puller. */
	void (*event)(void *arg, enum puller_event event, const char *text);
};

struct puller_config {
	const char *domain;   /* "" for none */
	const char *stream;   /* copied */
	const char *consumer; /* copied */
	uint32_t max_msgs;    /* credit maximum */
	uint64_t max_bytes;
	int64_t heartbeat_ms; /* 0: default 1,000 */
	int64_t credit_ms;    /* the credit is so long's worth of the measured rate; 0: default 1,000 */
};

/*
 * Subscribes and sends the first requests; NULL with *e while the connection is down. The callbacks are
 * not called from within. It ends with the connection: after a loss only puller_stop is of use.
 */
struct puller *puller_start(struct nats_conn *c, const struct puller_config *config,
			    const struct puller_callbacks *callbacks, void *arg, struct error *e);
/* Ends it and drops what waits; nulls *p. */
void puller_stop(struct puller **p);
/* Delivery stops and goes on; no new requests are sent while paused. */
void puller_pause(struct puller *p);
void puller_resume(struct puller *p);
/* Another message waits behind the one being delivered. */
bool puller_has_more(const struct puller *p);
/* Sends fresh requests although earlier ones may still be out: the watchdog's first step. */
void puller_repull(struct puller *p);
/* When the last message or heartbeat came. */
struct mono puller_last_seen(const struct puller *p);

#endif
