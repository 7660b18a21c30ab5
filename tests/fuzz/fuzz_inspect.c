/*
 * Fuzz target: the value of a message. The first byte chooses where it is taken from and whether there is a
 * force field; the rest is headers, subject and payload with a NUL between them. Invariants: what comes out
 * has the form of a value, and has it again; the force field makes no other value; and what has the form
 * already comes out as it is.
 */
#include <string.h>

#include "common/xalloc.h"
#include "tests/fuzz/fuzz.h"
#include "worker/inspect.h"

static void
check_value(const struct sample_value *v)
{
	struct sample_value again;

	REQUIRE(v->len <= SAMPLE_VALUE_MAX && v->text[v->len] == '\0');
	if (v->len == 0) {
		REQUIRE(!v->changed);
		return;
	}
	REQUIRE(sample_value_valid(v->text, v->len));
	sample_value_make(v->text, v->len, &again);
	REQUIRE(!again.changed && again.len == v->len && memcmp(again.text, v->text, v->len) == 0);
}

/* Any bytes as a value: they stay if they have the form, and have another end if they have not. */
static void
check_raw(const char *raw, size_t len)
{
	struct sample_value v;

	sample_value_make(raw, len, &v);
	check_value(&v);
	REQUIRE((v.len == 0) == (len == 0));
	REQUIRE(v.changed == (len > 0 && !sample_value_valid(raw, len)));
	if (v.changed)
		REQUIRE(v.len >= 17 && v.text[v.len - 17] == '~');
	else
		REQUIRE(v.len == len && memcmp(v.text, raw, len) == 0);
}

static void
inspect(struct conf_sampling *conf, const char *force, const struct inspect_message *m,
	struct inspect_result *out)
{
	struct inspector *i;

	conf->force_field = xstrdup(force);
	i = inspect_new(conf, NULL);
	REQUIRE(i != NULL);
	memset(out, 0xff, sizeof *out);
	inspect_message(i, m, out);
	check_value(&out->value);
	inspect_free(&i);
	free(conf->force_field);
}

static void
check_message(struct conf_sampling *conf, const char *force, const struct inspect_message *m)
{
	struct inspect_result r, plain;

	inspect(conf, force, m, &r);
	inspect(conf, "", m, &plain);
	REQUIRE(!plain.forced && (r.broken || !plain.broken));
	REQUIRE(r.value.len == plain.value.len && memcmp(r.value.text, plain.value.text, r.value.len) == 0);
	if (conf->inspect != INSPECT_FIELD)
		REQUIRE(!plain.broken);
}

/* The part up to the next NUL, or the rest, alone on the heap. */
static char *
take_part(const uint8_t **at, size_t *left, size_t *len)
{
	const uint8_t *end = *left > 0 ? memchr(*at, '\0', *left) : NULL;
	char *part;

	*len = end != NULL ? (size_t)(end - *at) : *left;
	part = xmalloc(*len);
	if (*len > 0)
		memcpy(part, *at, *len);
	*left -= *len;
	*at += *len;
	if (end != NULL) {
		++*at;
		--*left;
	}
	return part;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char field[] = "a.b", header[] = "Sender";
	struct conf_sampling conf = {.field = field, .header = header};
	struct inspect_message m = {.subject = NULL};
	char *headers, *subject, *part, *payload;
	size_t left, subject_len;

	if (size == 0)
		return 0;
	check_raw((const char *)data + 1, size - 1);
	conf.inspect = (enum conf_inspect)(data[0] % 4);
	conf.subject_token = (data[0] >> 4) > 0 ? data[0] >> 4 : -1;
	left = size - 1;
	data++;
	m.headers = headers = take_part(&data, &left, &m.headers_len);
	part = take_part(&data, &left, &subject_len);
	m.subject = subject = xstrndup(part, subject_len);
	m.data = payload = xmalloc(left);
	m.data_len = left;
	if (left > 0)
		memcpy(payload, data, left);
	check_message(&conf, "f", &m);
	free(headers);
	free(part);
	free(subject);
	free(payload);
	return 0;
}
