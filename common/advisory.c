/*
 * Advisories written, by the worker that has found something, and read, by whoever follows them. Pure; no
 * clock is read here.
 *
 * What existing consumers rely on stays as it is: names, types and order of the fields of both schemas, whole
 * seconds, -1 for the age of what was never seen. Identity: the form of a KSUID (segmentio/ksuid: 32 bits of
 * seconds since 1400000000, 128 bits, base 62), but with a hash where that has chance, so that nodes that
 * know nothing of each other say the same id for the same event.
 *
 * A value comes from whoever sends a message: it may not choose the subject beyond its place in the pattern.
 */
#include "common/advisory.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/digest.h"
#include "common/text.h"
#include "common/xalloc.h"

#define V2_PROTOCOL "io.choria.sr.v2.age_advisory"
#define V1_SCHEMA   "https://choria.io/schemas/sr/v1/age_advisory.json"

enum { BODY_MAX = 64 * 1024 }; /* a longer one is not parsed */

static const char *const event_names[] = {"new", "timeout", "recover", "expire"};
_Static_assert(array_len(event_names) == ADVISORY_EVENT_END, "each event has a name");

const char *
advisory_event_name(enum advisory_event event)
{
	return event < ADVISORY_EVENT_END ? event_names[event] : "unknown";
}

/* ---- identity ------------------------------------------------------------------------------------ */

enum { ID_EPOCH_S = 1400000000, ID_HASH = 16, ID_WORDS = 1 + ID_HASH / 4 };

/* A number of ID_WORDS times 32 bits, big end first, as 27 digits; it is used up. */
static void
base62(uint32_t number[ID_WORDS], char id[ADVISORY_ID_SIZE])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	id[ADVISORY_ID_SIZE - 1] = '\0';
	for (int place = ADVISORY_ID_SIZE - 2; place >= 0; place--) {
		uint64_t rest = 0;

		for (int i = 0; i < ID_WORDS; i++) {
			uint64_t part = rest << 32 | number[i];

			number[i] = (uint32_t)(part / 62);
			rest = part % 62;
		}
		id[place] = digits[rest];
	}
}

/* Of texts that hold no NUL each, so that no two lists of them give the same bytes. */
static void
hash_texts(const char *const *texts, size_t count, uint8_t hash[ID_HASH])
{
	uint8_t digest[DIGEST_SIZE];
	struct strbuf all;

	strbuf_init(&all);
	for (size_t i = 0; i < count; i++)
		strbuf_add(&all, texts[i], strlen(texts[i]) + 1);
	digest_of(all.data, all.len, digest);
	memcpy(hash, digest, ID_HASH);
	strbuf_fini(&all);
}

void
advisory_id(const char *site, const char *topic, const struct advisory *a, char id[ADVISORY_ID_SIZE])
{
	int64_t seconds = a->at_ms / 1000 - ID_EPOCH_S;
	uint32_t number[ID_WORDS] = {0};
	uint8_t hash[ID_HASH];
	char at[24];
	const char *const texts[] = {site, topic, advisory_event_name(a->event), a->value, at};

	snprintf(at, sizeof at, "%lld", (long long)a->at_ms);
	hash_texts(texts, array_len(texts), hash);
	if (seconds > 0)
		number[0] = seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
	for (int i = 0; i < ID_HASH; i++)
		number[1 + i / 4] = number[1 + i / 4] << 8 | hash[i];
	base62(number, id);
}

/* ---- subject ------------------------------------------------------------------------------------- */

/* What stands in a subject for that byte of a value. A '$' in front of all would reach into the server. */
static char
subject_char(char c, bool first)
{
	unsigned char u = (unsigned char)c;

	return u <= ' ' || u == 0x7f || c == '*' || c == '>' || (first && c == '$') ? '_' : c;
}

static void
put_value(struct strbuf *out, const char *value)
{
	for (; *value != '\0'; value++) {
		char c = subject_char(*value, out->len == 0);

		strbuf_add(out, &c, 1);
	}
}

static void
fill_in(const char *pattern, const struct advisory *a, struct strbuf *out)
{
	for (const char *p = pattern; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's')
			strbuf_adds(out, advisory_event_name(a->event));
		else if (p[0] == '%' && p[1] == 'v')
			put_value(out, a->value);
		else
			strbuf_add(out, p, 1);
		if (p[0] == '%' && (p[1] == 's' || p[1] == 'v'))
			p++;
	}
}

void
advisory_subject(const char *pattern, const struct advisory *a, struct strbuf *out)
{
	struct strbuf raw;
	size_t len;

	strbuf_init(&raw);
	strbuf_reset(out);
	fill_in(pattern, a, &raw);
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] == '.' && (i == 0 || raw.data[i - 1] == '.'))
			strbuf_adds(out, "_");
		strbuf_add(out, raw.data + i, 1);
	}
	strbuf_fini(&raw);
	len = text_cut(out->data, out->len, ADVISORY_SUBJECT_MAX - 1);
	out->data[len] = '\0';
	out->len = len;
	if (len == 0 || out->data[len - 1] == '.')
		strbuf_adds(out, "_");
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* Whatever bytes a name of the configuration has, a body must come of it. */
static void
set_text(json_t *o, const char *key, const char *text)
{
	size_t len = strlen(text);
	struct strbuf clean;

	if (text_utf8_valid(text, len)) {
		json_object_set_new_nocheck(o, key, json_stringn_nocheck(text, len));
		return;
	}
	strbuf_init(&clean);
	text_clean(&clean, text, len);
	json_object_set_new(o, key, json_stringn(clean.data, clean.len));
	strbuf_fini(&clean);
}

static void
set_integer(json_t *o, const char *key, int64_t value)
{
	json_object_set_new_nocheck(o, key, json_integer((json_int_t)value));
}

/* What names the senders of that topic's messages. */
static void
set_inspected(json_t *o, const char *key, const struct conf_sampling *s)
{
	char token[16];

	switch (s->inspect) {
	case INSPECT_FIELD:
		set_text(o, key, s->field);
		break;
	case INSPECT_HEADER:
		set_text(o, key, s->header);
		break;
	case INSPECT_SUBJECT:
		snprintf(token, sizeof token, "%d", (int)s->subject_token);
		set_text(o, key, token);
		break;
	case INSPECT_NONE:
		set_text(o, key, "");
		break;
	}
}

/* Whole seconds since it was seen; -1 if it never was. */
static int64_t
age_of(const struct advisory *a)
{
	if (a->seen_ms <= 0)
		return -1;
	return a->now_ms > a->seen_ms ? (a->now_ms - a->seen_ms + 500) / 1000 : 0;
}

static json_t *
body_v2(const struct conf *conf, const struct conf_topic *topic, const struct advisory *a)
{
	char id[ADVISORY_ID_SIZE];
	json_t *o = json_object();

	advisory_id(conf->name, topic->key, a, id);
	set_text(o, "protocol", V2_PROTOCOL);
	set_text(o, "event_id", id);
	set_inspected(o, "inspect_field", &topic->sampling);
	set_integer(o, "age", age_of(a));
	set_integer(o, "seen", a->seen_ms / 1000);
	set_text(o, "replicator", conf->name);
	set_integer(o, "timestamp", a->now_ms / 1000);
	set_text(o, "event", advisory_event_name(a->event));
	set_text(o, "value", a->value);
	return o;
}

static json_t *
body_v1(const struct conf *conf, const struct conf_topic *topic, const struct advisory *a)
{
	json_t *o = json_object();

	set_text(o, "$schema", V1_SCHEMA);
	set_inspected(o, "inspect", &topic->sampling);
	set_text(o, "value", a->value);
	set_integer(o, "age", age_of(a));
	set_integer(o, "seen", a->seen_ms / 1000);
	set_text(o, "replicator", conf->name);
	set_integer(o, "timestamp", a->now_ms / 1000);
	set_text(o, "event", advisory_event_name(a->event));
	return o;
}

void
advisory_body(const struct conf *conf, const struct conf_topic *topic, const struct advisory *a,
	      struct strbuf *out)
{
	bool v1 = topic->sampling.advisory.schema == ADVISORY_V1;
	json_t *o = v1 ? body_v1(conf, topic, a) : body_v2(conf, topic, a);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	strbuf_reset(out);
	if (text != NULL)
		strbuf_adds(out, text);
	free(text);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int
read_text(const json_t *o, const char *key, bool needed, char **out, struct error *e)
{
	const json_t *field = json_object_get(o, key);

	if (field == NULL && !needed) {
		*out = xstrdup("");
		return 0;
	}
	if (!json_is_string(field))
		return error_set(e, ERR_PROTOCOL, "advisory: \"%s\" is no text", key);
	*out = xstrdup(json_string_value(field));
	return 0;
}

static int
read_seconds(const json_t *o, const char *key, int64_t *out, struct error *e)
{
	const json_t *field = json_object_get(o, key);

	if (!json_is_integer(field))
		return error_set(e, ERR_PROTOCOL, "advisory: \"%s\" is no whole number", key);
	*out = (int64_t)json_integer_value(field);
	return 0;
}

static int
read_event(const json_t *o, enum advisory_event *event, struct error *e)
{
	const char *name = json_string_value(json_object_get(o, "event"));

	for (size_t i = 0; name != NULL && i < array_len(event_names); i++) {
		if (strcmp(name, event_names[i]) != 0)
			continue;
		*event = (enum advisory_event)i;
		return 0;
	}
	return error_set(e, ERR_PROTOCOL, "advisory: \"event\" is none of new, timeout, recover, expire");
}

static int
read_schema(const json_t *o, bool *v2, struct error *e)
{
	const char *protocol = json_string_value(json_object_get(o, "protocol"));
	const char *schema = json_string_value(json_object_get(o, "$schema"));

	*v2 = protocol != NULL && strcmp(protocol, V2_PROTOCOL) == 0;
	if (*v2 || (schema != NULL && strcmp(schema, V1_SCHEMA) == 0))
		return 0;
	return error_set(e, ERR_PROTOCOL,
			 "advisory: neither \"protocol\" nor \"$schema\" is one that is known");
}

static int
read_fields(const json_t *o, struct advisory_read *out, struct error *e)
{
	const json_t *age = json_object_get(o, "age");
	bool v2;

	if (read_schema(o, &v2, e) != 0 || read_event(o, &out->event, e) != 0 ||
	    read_text(o, "value", true, &out->value, e) != 0 ||
	    read_text(o, "replicator", true, &out->replicator, e) != 0 ||
	    read_seconds(o, "seen", &out->seen_s, e) != 0 ||
	    read_seconds(o, "timestamp", &out->timestamp_s, e) != 0)
		return -1;
	if (out->value[0] == '\0')
		return error_set(e, ERR_PROTOCOL, "advisory: \"value\" is empty");
	if (!json_is_number(age))
		return error_set(e, ERR_PROTOCOL, "advisory: \"age\" is no number");
	out->age_s = json_number_value(age);
	if (v2)
		return read_text(o, "event_id", false, &out->event_id, e);
	out->event_id = xstrdup("");
	return 0;
}

int
advisory_read(const char *body, size_t len, struct advisory_read *out, struct error *e)
{
	json_error_t why;
	json_t *o;
	int result;

	memset(out, 0, sizeof *out);
	if (len > BODY_MAX)
		return error_set(e, ERR_PROTOCOL, "advisory: %zu bytes are more than %d", len, (int)BODY_MAX);
	o = json_loadb(body, len, 0, &why);
	if (!json_is_object(o)) {
		json_decref(o);
		return error_set(e, ERR_PROTOCOL, "advisory: no JSON object");
	}
	result = read_fields(o, out, e);
	json_decref(o);
	if (result != 0)
		advisory_read_fini(out);
	return result;
}

void
advisory_read_fini(struct advisory_read *r)
{
	free(r->value);
	free(r->replicator);
	free(r->event_id);
	memset(r, 0, sizeof *r);
}
