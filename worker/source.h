/*
 * Where messages come from. The interface is small so that another kind of source can stand behind it;
 * source.c is the one for a JetStream stream read by a durable pull consumer.
 *
 * A source delivers in stream order what lies behind the sequence it was started from, again from the
 * start whenever it is started again, and tells the server what is settled. It repairs nothing by
 * itself: trouble is reported, and its owner starts it again.
 */
#ifndef SR_WORKER_SOURCE_H
#define SR_WORKER_SOURCE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/jsack.h"
#include "common/nats/conn.h"
#include "common/nats/jsapi.h"

struct source;

struct source_callbacks {
	/* started: from now on messages come. filters_here: the server ignored the filters (before 2.10),
	 * so the owner has to apply them. granted: messages that may be unacknowledged, 0 if unlimited. */
	void (*ready)(void *arg, bool filters_here, uint32_t granted);
	/* Stream order, each delivery once; a redelivery of what was delivered before is possible. */
	void (*message)(void *arg, const struct nats_message *m, const struct jsack *ack);
	/* It has stopped by itself; start it again. permanent: a person has to do something first. */
	void (*trouble)(void *arg, bool permanent, const char *text);
};

struct source_config {
	const struct conf_topic *topic; /* borrowed, must outlive it */
	uint32_t credit_msgs;           /* asked for and not delivered yet, at most */
	uint64_t credit_bytes;
	uint32_t max_unacked; /* what the window and the credit need */
};

struct source *source_new(struct event_base *base, struct nats_conn *conn, const struct source_config *config,
			  const struct source_callbacks *callbacks, void *arg);
void source_free(struct source **s);

/*
 * Delivers what lies behind after_seq. stream: as just read. On limits streams the consumer is made anew
 * unless it stands exactly there; on work-queue and interest streams it is never deleted, what comes
 * again is the owner's to drop. Trouble may be reported from within. Fine to call while it runs.
 * take_over: another process has read with the same consumer, and may have requests waiting there still,
 * which would take what is ours: on limits streams it is made anew in any case. On the others a delivery that
 * went elsewhere is noticed by the hole in their numbers.
 */
void source_start(struct source *s, const struct jsapi_stream *stream, uint64_t after_seq, bool take_over);
void source_stop(struct source *s);
/* Deletes an ephemeral consumer, so that none is left when the worker ends. */
void source_leave(struct source *s);

void source_pause(struct source *s);
void source_resume(struct source *s);
bool source_has_more(const struct source *s);
void source_repull(struct source *s);

/* Everything up to seq is settled, also what was delivered again because an acknowledgement was lost.
 * Acknowledgements go out at most every 250 ms or 1,000 messages. */
void source_settled(struct source *s, uint64_t seq);
void source_flush_acks(struct source *s);

/* The consumer is another process's from now on: acknowledges nothing more, what is not sent yet included. */
void source_forget(struct source *s);

uint64_t source_acks_failed(const struct source *s);

#endif
