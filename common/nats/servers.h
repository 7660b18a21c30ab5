/*
 * The servers of one NATS system: those of the configuration and those that the cluster announced. Says
 * which one to try next. Pure.
 */
#ifndef SR_COMMON_NATS_SERVERS_H
#define SR_COMMON_NATS_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_server_entry {
	char *url; /* "nats://host:port" or "tls://host:port" */
	bool configured;
};

struct nats_servers {
	struct nats_server_entry *list; /* in the order in which they are tried */
	size_t count;
	size_t tried; /* since the last success */
};

/* Copies the URLs; random (any number) decides which of them comes first. */
void nats_servers_init(struct nats_servers *s, char *const *urls, size_t count, uint64_t random);
void nats_servers_fini(struct nats_servers *s);

/*
 * The server to try now; it goes to the end of the list, so that after a failure or a loss another one
 * is next. Valid until the list changes.
 */
const char *nats_servers_next(struct nats_servers *s);
/* True once all of them were tried since the last nats_servers_connected: time to wait. */
bool nats_servers_all_tried(const struct nats_servers *s);
void nats_servers_connected(struct nats_servers *s);

/*
 * What the cluster announced, "host:port" each: new ones are added, announced ones that it no longer has
 * are forgotten, configured ones stay. An empty list says nothing (a server may not announce).
 */
void nats_servers_announced(struct nats_servers *s, char *const *hosts, size_t count, bool tls);

#endif
