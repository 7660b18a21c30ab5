/* One question to a JetStream API: subject with domain, time-out, and the failures that have no body. */
#ifndef SR_COMMON_NATS_ASK_H
#define SR_COMMON_NATS_ASK_H

#include "common/nats/conn.h"

#define ASK_TIMEOUT_MS 5000

struct ask_end {
	struct nats_conn *conn;
	const char *domain; /* "" for none */
};

/* fmt: the API's subject behind "$JS.API.". As nats_conn_request. */
struct nats_request *ask_api(const struct ask_end *end, const void *body, size_t len, nats_reply_fn *fn,
			     void *arg, struct error *e, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* Why there is no answer to read. */
const char *ask_failure_text(enum nats_request_result result);

#endif
