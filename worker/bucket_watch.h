/*
 * The watch of a bucket: an ephemeral push consumer that delivers the newest message of each key and then
 * every new one. It lives as long as its connection and repairs itself: a delivery that is missing, a
 * heartbeat that does not come, an answer that is an error make it begin anew, so that every key's newest
 * message is delivered once more.
 */
#ifndef SR_WORKER_BUCKET_WATCH_H
#define SR_WORKER_BUCKET_WATCH_H

#include <event2/event.h>

#include "common/nats/ask.h"
#include "common/nats/conn.h"

struct bucket_watch;

struct bucket_watch_callbacks {
	/* A stored message, with its sequence in the stream. */
	void (*message)(void *arg, const struct nats_message *m, uint64_t seq);
	/* It fell silent, or lost something, and begins anew: the bucket may be gone. */
	void (*lost)(void *arg);
	/* It cannot be had, and is tried again; words say why. "" when it works again. */
	void (*trouble)(void *arg, const char *words);
};

/* Copies what it is given; *end's connection must be up and outlive it. */
struct bucket_watch *bucket_watch_start(struct event_base *base, const struct ask_end *end,
					const char *stream, const char *filter,
					const struct bucket_watch_callbacks *callbacks, void *arg);
/* Ends it and nulls *w; the server is told to forget the consumer if the connection is up. Not from within
 * `message`. */
void bucket_watch_stop(struct bucket_watch **w);
/* The server complained: trouble if it is about what the watch asked for. */
void bucket_watch_async_error(struct bucket_watch *w, const char *text);

#endif
