/*
 * The value and the force field of a message. Runs in a topic's worker, once for each message of a sampled
 * topic; pure but for the memory of long strings with escapes. Calls json_scan, header, sample_value.
 *
 * Invariants: the payload is scanned at most once, and not at all where no field is wanted; a message is
 * never refused, whatever it holds: what makes no sense is a message without a value.
 */
#include "worker/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/json_scan.h"
#include "common/xalloc.h"

enum { VALUE, FORCE, FIELDS };
_Static_assert(FIELDS <= JSON_SCAN_PATHS, "both are found in one scan");

struct inspector {
	const struct conf_sampling *sampling; /* borrowed */
	struct json_path *paths[FIELDS];      /* NULL: not wanted */
};

static int
read_path(struct inspector *i, int field, const char *setting, const char *text, struct error *e)
{
	i->paths[field] = json_path_new(text);
	if (i->paths[field] != NULL)
		return 0;
	return error_set(e, ERR_CONFIG,
			 "%s: \"%s\" is no path of a JSON field, want names joined by dots, as in \"a.b\"",
			 setting, text);
}

struct inspector *
inspect_new(const struct conf_sampling *sampling, struct error *e)
{
	struct inspector *i = xcalloc(1, sizeof *i);

	i->sampling = sampling;
	if (sampling->inspect == INSPECT_FIELD &&
	    read_path(i, VALUE, "inspect_field", sampling->field, e) != 0)
		goto fail;
	if (sampling->force_field[0] != '\0' &&
	    read_path(i, FORCE, "inspect_force_field", sampling->force_field, e) != 0)
		goto fail;
	return i;
fail:
	inspect_free(&i);
	return NULL;
}

void
inspect_free(struct inspector **i)
{
	if (*i == NULL)
		return;
	for (int field = 0; field < FIELDS; field++)
		json_path_free(&(*i)->paths[field]);
	free(*i);
	*i = NULL;
}

/* ---- the payload -------------------------------------------------------------------------------- */

static void
make_unescaped(const struct json_found *f, struct sample_value *out)
{
	char buf[4 * SAMPLE_VALUE_MAX], *text = buf;
	size_t len = json_unescape(f->text, f->len, buf, sizeof buf);

	if (len > sizeof buf) { /* what is cut off of it counts too */
		text = xmalloc(len);
		json_unescape(f->text, f->len, text, len);
	}
	sample_value_make(text, len, out);
	if (text != buf)
		free(text);
}

static void
value_of_field(const struct json_found *f, struct sample_value *out)
{
	switch (f->kind) {
	case JSON_KIND_STRING:
		if (f->escaped) {
			make_unescaped(f, out);
			break;
		}
		/* fall through */
	case JSON_KIND_NUMBER:
	case JSON_KIND_TRUE:
	case JSON_KIND_FALSE:
		sample_value_make(f->text, f->len, out);
		break;
	case JSON_KIND_NONE:
	case JSON_KIND_NULL:
	case JSON_KIND_CONTAINER:
		break;
	}
}

static void
inspect_payload(const struct inspector *i, const struct inspect_message *m, struct inspect_result *out)
{
	const struct json_path *paths[FIELDS];
	struct json_found found[FIELDS];
	int fields[FIELDS]; /* what each of the paths is for */
	size_t count = 0;

	for (int field = 0; field < FIELDS; field++) {
		if (i->paths[field] == NULL)
			continue;
		fields[count] = field;
		paths[count++] = i->paths[field];
	}
	if (count == 0 || m->data_len == 0)
		return;
	out->broken = !json_scan(m->data, m->data_len, paths, count, found);
	for (size_t k = 0; k < count; k++) {
		if (fields[k] == FORCE)
			out->forced = found[k].kind == JSON_KIND_TRUE;
		else
			value_of_field(&found[k], &out->value);
	}
}

/* ---- the rest of the message -------------------------------------------------------------------- */

static void
inspect_header(const char *name, const struct inspect_message *m, struct sample_value *out)
{
	struct header_line line;

	if (m->headers != NULL && header_find(m->headers, m->headers_len, name, &line))
		sample_value_make(line.value, line.value_len, out);
}

/* token: from 1; -1 for the whole. */
static void
inspect_subject(int32_t token, const char *subject, struct sample_value *out)
{
	const char *dot;

	if (token < 0) {
		sample_value_make(subject, strlen(subject), out);
		return;
	}
	for (int32_t n = 1; n < token; n++) {
		dot = strchr(subject, '.');
		if (dot == NULL)
			return;
		subject = dot + 1;
	}
	sample_value_make(subject, strcspn(subject, "."), out);
}

void
inspect_message(const struct inspector *i, const struct inspect_message *m, struct inspect_result *out)
{
	out->value.len = 0;
	out->value.changed = false;
	out->value.text[0] = '\0';
	out->forced = out->broken = false;
	switch (i->sampling->inspect) {
	case INSPECT_HEADER:
		inspect_header(i->sampling->header, m, &out->value);
		break;
	case INSPECT_SUBJECT:
		inspect_subject(i->sampling->subject_token, m->subject, &out->value);
		break;
	case INSPECT_FIELD: /* with the force field, below */
	case INSPECT_NONE:
		break;
	}
	inspect_payload(i, m, out);
}

uint32_t
inspect_identity(const struct conf_sampling *sampling)
{
	struct strbuf text;
	uint32_t identity;

	strbuf_init(&text);
	switch (sampling->inspect) {
	case INSPECT_FIELD:
		strbuf_addf(&text, "field %s", sampling->field);
		break;
	case INSPECT_HEADER:
		strbuf_addf(&text, "header %s", sampling->header);
		break;
	default:
		strbuf_addf(&text, "token %d", (int)sampling->subject_token);
		break;
	}
	identity = (uint32_t)(sample_value_hash(text.data, text.len) >> 32);
	strbuf_fini(&text);
	return identity != 0 ? identity : 1;
}
