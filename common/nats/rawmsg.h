/*
 * Header blocks of the client library's messages as raw bytes. Its own calls keep neither order nor
 * blanks of headers, and cost more than all the rest of a message.
 */
#ifndef SR_COMMON_NATS_RAWMSG_H
#define SR_COMMON_NATS_RAWMSG_H

#include <nats/nats.h>
#include <stddef.h>

#include "common/error.h"

/*
 * The block of a received message as it stood on the wire, *len bytes inside the message; NULL without
 * headers. Takes the message's own pointers (reply NULL for none). Repairs what the library wrote into
 * the block of a message without body.
 */
const char *nats_raw_headers(const char *subject, const char *reply, const char *data, size_t data_len,
			     size_t *len);

/*
 * Makes a message whose block is "NATS/1.0", the given lines, and the final empty line, byte by byte. If
 * the last line has no ": " the second one is moved behind it. The caller destroys *msg.
 */
int nats_raw_message(natsMsg **msg, const char *subject, const char *reply, const char *lines,
		     size_t lines_len, const void *data, size_t data_len, struct error *e);

#endif
