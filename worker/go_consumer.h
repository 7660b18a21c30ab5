/*
 * The existing Go tool's consumer on the source stream, while an election is shared with it: that tool goes
 * on from its own durable consumer and starts over if it is missing. So whoever leads here keeps that
 * consumer at its own position: made anew, as the tool makes it, at each hand-over and at most every 5 s.
 */
#ifndef SR_WORKER_GO_CONSUMER_H
#define SR_WORKER_GO_CONSUMER_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/nats/conn.h"
#include "common/nats/jsapi.h"

struct go_consumer;

/* NULL if the topic shares no election with it (election_key). topic and conn are borrowed. */
struct go_consumer *go_consumer_new(struct event_base *base, struct nats_conn *conn,
				    const struct conf_topic *topic);
void go_consumer_free(struct go_consumer **g);

/* The name that the tool gives it; out as large as GO_CONSUMER_NAME. */
enum { GO_CONSUMER_NAME = 256 };
void go_consumer_name(const char *topic_key, char *out, size_t size);
/* Whether one can be kept on that stream; else *why in words. */
bool go_consumer_fits(const struct conf_topic *topic, const struct jsapi_stream *stream, const char **why);

/* We lead, and everything up to seq of that stream is settled. Does nothing if it was called before. These
 * three take NULL. */
void go_consumer_begin(struct go_consumer *g, const struct jsapi_stream *stream, uint64_t seq);
/* Everything up to seq is settled. Cheap. */
void go_consumer_settled(struct go_consumer *g, uint64_t seq);
/* It is somebody else's from now on: touches it no more; done is not called any more. */
void go_consumer_end(struct go_consumer *g);
/* Brings it to seq if it is not there, and then calls done, from the loop or from within, also if it could
 * not be made. */
void go_consumer_hand_over(struct go_consumer *g, uint64_t seq, void (*done)(void *arg), void *arg);

#endif
