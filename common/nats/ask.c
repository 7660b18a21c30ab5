/* Asking a JetStream API; runs in workers and in the commands that connect. */
#include "common/nats/ask.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/nats/jsapi.h"
#include "common/subject.h"

struct nats_request *
ask_api(const struct ask_end *end, const void *body, size_t len, nats_reply_fn *fn, void *arg,
	struct error *e, const char *fmt, ...)
{
	char verb[SUBJECT_MAX], subject[SUBJECT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verb, sizeof verb, fmt, ap);
	va_end(ap);
	if (jsapi_subject(subject, sizeof subject, end->domain, "%s", verb) < 0) {
		error_set(e, ERR_CONFIG, "%s: too long for a subject", verb);
		return NULL;
	}
	return nats_conn_request(end->conn, subject, NULL, 0, body, len, ASK_TIMEOUT_MS, fn, arg, e);
}

const char *
ask_failure_text(enum nats_request_result result)
{
	switch (result) {
	case NATS_NO_RESPONDERS_REPLY:
		return "no JetStream answers there";
	case NATS_REQUEST_TIMEOUT:
		return "no answer in time";
	case NATS_REQUEST_LOST:
		return "connection lost";
	case NATS_REPLY:
		break;
	}
	return "answered";
}
