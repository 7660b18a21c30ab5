/* Options of the client library for one attempt to connect; files are read anew each time. */
#ifndef SR_COMMON_NATS_OPTIONS_H
#define SR_COMMON_NATS_OPTIONS_H

#include <nats/nats.h>

#include "common/error.h"
#include "common/nats/settings.h"

/* The caller destroys them. NULL with *e: what cannot be used, and why. tls_name may be NULL. */
natsOptions *nats_options_new(const struct nats_settings *s, const char *server, const char *tls_name,
			      struct error *e);

#endif
