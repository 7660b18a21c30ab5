/*
 * One end of the pipe between supervisor and child, on a libevent base: frames in and out, bounded
 * queues. Used by both sides.
 */
#ifndef SR_COMMON_CHANNEL_H
#define SR_COMMON_CHANNEL_H

#include <event2/event.h>

#include "common/proto.h"

/* Output waiting above HIGH: the peer does not read. channel_stuck() is true until it is below LOW. */
#define CHANNEL_HIGH_BYTES (4 * 1024 * 1024)
#define CHANNEL_LOW_BYTES  (256 * 1024)

struct channel;

struct channel_callbacks {
	/* A frame whose version, type, right, length and generation are good. payload lives until return. */
	void (*frame)(void *arg, const struct proto_frame *frame);
	/* The peer closed its end (e NULL) or cannot be trusted any more (e says why). Called once; no
	 * frame follows. The callee may free the channel. */
	void (*closed)(void *arg, const struct error *e);
};

/* Takes ownership of fd, also if it fails. peer: the side that writes at the other end. NULL with *e on
 * failure. */
struct channel *channel_new(struct event_base *base, int fd, enum proto_side peer, uint64_t generation,
			    const struct channel_callbacks *callbacks, void *arg, struct error *e);
void channel_free(struct channel **c);

/* Queues a frame; 0, or -1 if the channel is closed. */
int channel_send(struct channel *c, enum proto_type type, const void *payload, size_t len);
bool channel_stuck(const struct channel *c);
/* Bytes queued and not yet written. */
size_t channel_pending(const struct channel *c);
/* Writes what can be written, waiting at most timeout_ms: for the last words before exit. */
void channel_flush(struct channel *c, int timeout_ms);

#endif
