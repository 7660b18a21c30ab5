/* A line of a control client as values. Pure. */
#ifndef SR_SUPERVISOR_REQUEST_H
#define SR_SUPERVISOR_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define REQUEST_MAX_BYTES 65536 /* of a line */

enum request_verb {
	REQUEST_UNKNOWN, /* well-formed, but no verb of ours */
	REQUEST_STATUS,
	REQUEST_PAUSE,
	REQUEST_RESUME,
	REQUEST_RESTART,
	REQUEST_RELOAD,
	REQUEST_STOP,
	REQUEST_VERSION,
	REQUEST_STEP_DOWN,
	REQUEST_VERB_END
};

struct request {
	enum request_verb verb;
	char *name;     /* the verb as it came */
	char *topic;    /* "" where none was given */
	char *election; /* its name; "" where none was given */
};

/* 0, or -1 with *e: the line makes no sense and its sender is to be dropped. Free with request_fini(). */
int request_parse(const char *line, size_t len, struct request *r, struct error *e);
void request_fini(struct request *r);

const char *request_verb_name(enum request_verb verb);

/* {"ok": false, "error": text} */
json_t *request_refusal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
