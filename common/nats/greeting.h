/*
 * What a server says of itself before anything is asked: its INFO line. The client library keeps the
 * version, the domain and the announced servers to itself, so they are read from a short connection of
 * our own. Used by the helper thread that connects: it blocks.
 */
#ifndef SR_COMMON_NATS_GREETING_H
#define SR_COMMON_NATS_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/nats/conn.h"

struct nats_greeting {
	char server_id[128]; /* "" if nothing was read */
	bool tls_required;
	struct nats_server_info info; /* version "0.0.0" if unknown */
	char **announced;             /* "host:port", announced_count of them */
	size_t announced_count;
};

void nats_greeting_init(struct nats_greeting *g);
void nats_greeting_fini(struct nats_greeting *g);

/* The JSON part of an INFO line, len bytes. 0, or -1 with *e. *g was initialized. */
int nats_greeting_parse(struct nats_greeting *g, const char *json, size_t len, struct error *e);

/* Connects to url ("nats://host:port"), reads the line, closes. 0, or -1 with *e in words. */
int nats_greeting_read(struct nats_greeting *g, const char *url, int64_t timeout_ms, struct error *e);
/* The same from the address that the connected socket fd has at its other end. */
int nats_greeting_read_peer(struct nats_greeting *g, int fd, int64_t timeout_ms, struct error *e);

#endif
