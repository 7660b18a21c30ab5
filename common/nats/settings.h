/*
 * What it takes to connect, copied from the endpoint once and then never changed: the connection and the
 * helper threads that connect share one, each holding a reference.
 */
#ifndef SR_COMMON_NATS_SETTINGS_H
#define SR_COMMON_NATS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/nats/endpoint.h"

struct nats_settings {
	int refs; /* atomic */
	char *label;
	char *client_name;
	char *user, *password, *token; /* "" for none, as all texts here */
	char *credentials, *jwt, *nkey;
	char *ca, *cert, *key;
	int64_t connect_timeout_ms;
	bool insecure, tls, tls_handshake_first, no_echo;
};

struct nats_settings *nats_settings_new(const struct endpoint *ep, const char *label,
					const char *client_name);
struct nats_settings *nats_settings_ref(struct nats_settings *s);
/* Drops a reference and nulls *s. */
void nats_settings_unref(struct nats_settings **s);

/* Replaces what is secret in text by asterisks, in place. */
void nats_settings_mask(const struct nats_settings *s, char *text);

#endif
