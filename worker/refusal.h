/*
 * What a target's answer other than "stored" means, in one table (doc/delivery.md has it in words).
 * Pure. Codes: nats-server 2.9 to 2.14, server/errors.json.
 */
#ifndef SR_WORKER_REFUSAL_H
#define SR_WORKER_REFUSAL_H

#include <stdbool.h>

#include "common/nats/jsapi.h"

enum refusal_action {
	REFUSAL_REWIND,        /* not known, or ours was lost: prove the position and go on */
	REFUSAL_REWIND_SLOWER, /* the server's queue was full: the same with a smaller window */
	REFUSAL_HOLD,          /* cannot be stored now: keep trying, with back-off */
	REFUSAL_REJECT,        /* this message can never be stored */
};

struct refusal {
	enum refusal_action action;
	const char *cure; /* for a person; "" where it passes by itself */
};

/* reject_subject_full: on_reject covers a subject that is full (discard_new_per_subject). */
struct refusal refusal_classify(const struct jsapi_error *error, bool reject_subject_full);

/* A permission violation that the server reports beside the replies: it holds the topic. */
struct refusal refusal_of_async_error(const char *text);

#endif
