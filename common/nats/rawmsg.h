/*
 * The client library's messages with their header blocks as raw bytes. Its own calls keep neither order
 * nor blanks of headers, and cost more than all the rest of a message.
 */
#ifndef SR_COMMON_NATS_RAWMSG_H
#define SR_COMMON_NATS_RAWMSG_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/nats/conn.h"

/* A received message; the view points into it. */
struct raw_message {
	struct nats_message view;
	natsMsg *msg; /* NULL for a 503 that the library kept for itself */
	char *own;    /* what the view holds that is not in msg */
};

/*
 * Takes the next message that waits in sub; false if there is none. subject is what a 503 gets, of a
 * library that does not say where it belongs (overrides.h).
 */
bool raw_message_next(struct raw_message *r, natsSubscription *sub, const char *subject);
void raw_message_fini(struct raw_message *r);

/* Undoes what the library wrote into the block of a message without body. */
void raw_repair(char *block, size_t len);

/*
 * Makes a message whose block is "NATS/1.0", the given lines, and the final empty line, byte by byte. If
 * the last line has no ": " the second one is moved behind it. The caller destroys *msg.
 */
int raw_message_write(natsMsg **msg, const char *subject, const char *reply, const char *lines,
		      size_t lines_len, const void *data, size_t data_len, struct error *e);

#endif
