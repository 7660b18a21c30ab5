/* Why a connection failed or ended, in words, from what the client library says. Pure. */
#ifndef SR_COMMON_NATS_REASON_H
#define SR_COMMON_NATS_REASON_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/nats/settings.h"

/* text: the library's, may be NULL. ERR_DENIED if the server refused us, else ERR_IO. */
void nats_reason_connect(struct error *e, natsStatus status, const char *text, bool tls,
			 const struct nats_settings *s);
void nats_reason_closed(natsStatus status, const char *text, char *out, size_t size);

#endif
