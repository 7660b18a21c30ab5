/*
 * Parsing what a control client sent. Runs in the supervisor; pure. Invariant: bytes of any kind end in a
 * request or in an error, never in anything else.
 */
#include "supervisor/request.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/text.h"
#include "common/xalloc.h"

static const char *const verb_names[REQUEST_VERB_END] = {
    [REQUEST_UNKNOWN] = "unknown", [REQUEST_STATUS] = "status",   [REQUEST_PAUSE] = "pause",
    [REQUEST_RESUME] = "resume",   [REQUEST_RESTART] = "restart", [REQUEST_RELOAD] = "reload",
    [REQUEST_STOP] = "stop",       [REQUEST_VERSION] = "version", [REQUEST_STEP_DOWN] = "step-down",
};

const char *
request_verb_name(enum request_verb verb)
{
	return (unsigned)verb < REQUEST_VERB_END ? verb_names[verb] : "unknown";
}

static enum request_verb
find_verb(const char *name)
{
	for (int v = REQUEST_UNKNOWN + 1; v < REQUEST_VERB_END; v++)
		if (strcmp(verb_names[v], name) == 0)
			return (enum request_verb)v;
	return REQUEST_UNKNOWN;
}

/* A copy of an optional text, "" if it is not there; -1 with *e if it is something else. */
static int
take_text(const json_t *o, const char *key, char **out, struct error *e)
{
	const json_t *value = json_object_get(o, key);

	if (value != NULL && !json_is_string(value))
		return error_set(e, ERR_PROTOCOL, "%s: want a text", key);
	*out = xstrdup(value != NULL ? json_string_value(value) : "");
	return 0;
}

static int
take_values(const json_t *o, struct request *r, struct error *e)
{
	const json_t *verb = json_object_get(o, "verb");

	if (!json_is_string(verb))
		return error_set(e, ERR_PROTOCOL, "verb: want a text, as in {\"verb\":\"status\"}");
	if (take_text(o, "topic", &r->topic, e) != 0 || take_text(o, "name", &r->election, e) != 0)
		return -1;
	r->name = xstrdup(json_string_value(verb));
	r->verb = find_verb(r->name);
	return 0;
}

int
request_parse(const char *line, size_t len, struct request *r, struct error *e)
{
	json_error_t fault;
	json_t *o;
	int rc;

	*r = (struct request){0};
	if (len > REQUEST_MAX_BYTES)
		return error_set(e, ERR_PROTOCOL, "line is longer than %d bytes", REQUEST_MAX_BYTES);
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &fault);
	if (o == NULL)
		return error_set(e, ERR_PROTOCOL, "line is no JSON object: %s", fault.text);
	rc = take_values(o, r, e);
	json_decref(o);
	return rc;
}

void
request_fini(struct request *r)
{
	free(r->name);
	free(r->topic);
	free(r->election);
	r->name = r->topic = r->election = NULL;
}

json_t *
request_refusal(const char *fmt, ...)
{
	struct strbuf raw, clean;
	json_t *o;
	va_list ap;

	strbuf_init(&raw);
	strbuf_init(&clean);
	va_start(ap, fmt);
	strbuf_vaddf(&raw, fmt, ap);
	va_end(ap);
	text_clean(&clean, raw.data, raw.len);
	o = json_pack("{s:b, s:s}", "ok", 0, "error", clean.data);
	strbuf_fini(&raw);
	strbuf_fini(&clean);
	return o;
}
