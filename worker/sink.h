/*
 * Where copies go. The interface is small so that another kind of target, or another way of publishing
 * (atomic batches), can stand behind it; sink.c is the one for a JetStream stream.
 *
 * A sink publishes and hands back answers. It keeps nothing of a message, decides nothing, and never
 * tries again by itself: that is the pipeline's and its owner's.
 */
#ifndef SR_WORKER_SINK_H
#define SR_WORKER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/nats/conn.h"
#include "common/nats/jsapi.h"

struct sink;

struct sink_answer {
	bool no_responders; /* nobody listens on that subject */
	struct jsapi_puback ack;
};

struct sink_callbacks {
	/* The reply to a publish that asked for it, by the epoch and id it was given. */
	void (*reply)(void *arg, uint32_t epoch, uint64_t id, const struct sink_answer *answer);
	/* All replies that were at hand have been given. */
	void (*replies_done)(void *arg);
};

struct sink *sink_new(struct nats_conn *conn, const struct sink_callbacks *callbacks, void *arg);
void sink_free(struct sink **s);

/* Subscribes for replies; once for each connection, before the first publish. 0, or -1 with *e. */
int sink_open(struct sink *s, struct error *e);
void sink_close(struct sink *s);

struct sink_message {
	const char *subject;
	const char *lines; /* header lines, as nats_conn_publish wants them */
	size_t lines_len;
	const void *data;
	size_t data_len;
};
/* Publishes without a reply. 0, or -1 with *e. */
int sink_publish(struct sink *s, const struct sink_message *m, struct error *e);
/* Publishes and asks for a reply. */
int sink_publish_asking(struct sink *s, const struct sink_message *m, uint32_t epoch, uint64_t id,
			struct error *e);

/*
 * Asks for a reply that can only be a refusal: a publish that expects an impossible last sequence. When
 * its reply is there, the target's leader has dealt with everything published before on this
 * connection. The answer comes as that of epoch and id.
 */
int sink_barrier(struct sink *s, const char *subject, uint32_t epoch, uint64_t id, struct error *e);
/* Whether these are the headers of a barrier, ours or that of another instance: it is never stored. */
bool sink_is_barrier(const char *headers, size_t headers_len);

#endif
