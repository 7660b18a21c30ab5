/*
 * Where and how to connect: the value of source_url or target_url with its options, and the TLS files.
 * Pure; the configuration parser checks URLs with it, connections are made from it.
 */
#ifndef SR_COMMON_NATS_ENDPOINT_H
#define SR_COMMON_NATS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/error.h"

struct endpoint {
	char **servers; /* "nats://host:port" or "tls://host:port", server_count of them; no user, no query */
	size_t server_count;
	char *user;        /* "" for none; percent-decoded */
	char *password;
	char *token;
	char *credentials; /* file */
	char *jwt;         /* file, with nkey */
	char *nkey;        /* seed file */
	int64_t connect_timeout_ms; /* default 5000 */
	bool insecure;
	bool tls_handshake_first;
	bool tls; /* any server is tls://, or a tls section is set */
	struct conf_tls tls_files;
};

/*
 * Parses a comma-separated URL list with query options (connect_timeout takes a duration). Returns 0;
 * or -1 with *e: what is wrong, and the cure, without repeating secrets. tls may be NULL.
 */
int endpoint_parse(const char *url, const struct conf_tls *tls, struct endpoint *ep, struct error *e);
void endpoint_fini(struct endpoint *ep);

/* The URL with password, token and user's secrets as "********": for log, status, check --print. */
char *endpoint_mask(const char *url); /* the caller frees it */

#endif
