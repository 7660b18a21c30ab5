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
	char *user; /* "" for none; percent-decoded */
	char *password;
	char *token;
	char *credentials;          /* file */
	char *jwt;                  /* file, with nkey */
	char *nkey;                 /* seed file */
	int64_t connect_timeout_ms; /* default 5000 */
	bool insecure;
	bool tls_handshake_first;
	bool no_echo; /* no option of the URL: set by whoever does not want to hear its own publishes */
	bool tls;     /* any server is tls://, or a tls section is set */
	struct conf_tls tls_files;
};

/*
 * Parses a comma-separated URL list with query options (connect_timeout takes a duration); the options
 * may follow any server and hold for all. Returns 0; or -1 with *e: what is wrong, and the cure, without
 * the URL and without secrets (*ep is empty then, and needs no endpoint_fini). tls may be NULL; copied.
 */
int endpoint_parse(const char *url, const struct conf_tls *tls, struct endpoint *ep, struct error *e);
void endpoint_fini(struct endpoint *ep);

/* Whether the two have a server in common (host and port; localhost is 127.0.0.1 and ::1). */
bool endpoint_same_system(const struct endpoint *a, const struct endpoint *b);

/*
 * The URL with password and token as "********": for log, status, check --print, error texts. What
 * is no proper URL loses all that could be a secret. The result of a proper URL is one too. The caller
 * frees it.
 */
char *endpoint_mask(const char *url);

#endif
