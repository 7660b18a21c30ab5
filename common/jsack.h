/*
 * The reply subject of a JetStream delivery, which tells where a message stands:
 *
 *   $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>
 *   $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>
 *           .<time ns>.<pending>[.<token>…]
 *
 * (nats-server ADR-15; 9 tokens, or 11 and more.) Pure.
 */
#ifndef SR_COMMON_JSACK_H
#define SR_COMMON_JSACK_H

#include <stdint.h>

struct jsack {
	uint64_t delivered; /* 1: first delivery */
	uint64_t stream_seq;
	uint64_t consumer_seq;
	int64_t stored_ns; /* since the epoch */
	uint64_t pending;  /* messages behind this one that match the consumer */
};

/* Returns 0, or -1 if reply (which may be NULL) is not of either form. */
int jsack_parse(const char *reply, struct jsack *ack);

#endif
