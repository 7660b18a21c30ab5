/*
 * Items, positions and pages of gossip as text, in workers and in the user's commands. Pure.
 *
 * Items are written by hand, in the very form of existing peers (Go's encoder: fields in that order, times
 * without needless zeros, escapes also of <, > and &), and read with a JSON library behind a limit on their
 * length. Nothing that is read is believed: types, ranges and lengths are checked here, times against a clock
 * by whoever has one.
 */
#include "common/gossip.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/clock.h"
#include "common/header.h"
#include "common/subject.h"

#define NEVER "0001-01-01T00:00:00Z"

/* ---- subjects --------------------------------------------------------------------------------------- */

static void
add_tokens(const char *name, struct strbuf *out)
{
	for (const char *p = name; *p != '\0'; p++) {
		/* A name may have dots, as with existing peers, but no token of it may be empty. */
		bool dot = *p == '.' && p != name && p[-1] != '.' && p[1] != '\0';

		strbuf_add(out, dot || subject_name_char_valid(*p) ? p : "_", 1);
	}
}

void
gossip_subject(const char *stream, const char *topic, const char *suffix, struct strbuf *out)
{
	strbuf_adds(out, GOSSIP_SUBJECT_PREFIX);
	add_tokens(stream, out);
	strbuf_adds(out, ".");
	add_tokens(topic, out);
	strbuf_adds(out, suffix);
}

/* ---- writing an item -------------------------------------------------------------------------------- */

static void
add_time(int64_t epoch_ms, struct strbuf *out)
{
	char text[RFC3339_SIZE];
	size_t len;

	if (epoch_ms <= 0) {
		strbuf_adds(out, "\"" NEVER "\"");
		return;
	}
	rfc3339_format(text, sizeof text, epoch_ms);
	len = strlen(text) - 1; /* without Z */
	while (text[len - 1] == '0' && text[len - 2] != ':' && strchr(text, '.') != NULL &&
	       text + len - 1 > strchr(text, '.'))
		len--;
	if (text[len - 1] == '.')
		len--;
	strbuf_adds(out, "\"");
	strbuf_add(out, text, len);
	strbuf_adds(out, "Z\"");
}

/* The escape of the character at p, or NULL if it is written as it is; *used: its bytes. */
static const char *
escape_of(const char *p, size_t left, size_t *used, char buf[8])
{
	unsigned char c = (unsigned char)*p;

	*used = 1;
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\b':
		return "\\b";
	case '\f':
		return "\\f";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		break;
	}
	if (c < ' ' || c == '<' || c == '>' || c == '&') {
		snprintf(buf, 8, "\\u%04x", c);
		return buf;
	}
	/* U+2028 and U+2029 */
	if (c != 0xe2 || left < 3 || (unsigned char)p[1] != 0x80 || ((unsigned char)p[2] & 0xfe) != 0xa8)
		return NULL;
	*used = 3;
	return (unsigned char)p[2] == 0xa8 ? "\\u2028" : "\\u2029";
}

static void
add_string(const char *text, size_t len, struct strbuf *out)
{
	char buf[8];
	size_t plain = 0, i = 0, used;

	strbuf_adds(out, "\"");
	while (i < len) {
		const char *escape = escape_of(text + i, len - i, &used, buf);

		if (escape != NULL) {
			strbuf_add(out, text + plain, i - plain);
			strbuf_adds(out, escape);
			plain = i + used;
		}
		i += used;
	}
	strbuf_add(out, text + plain, len - plain);
	strbuf_adds(out, "\"");
}

void
gossip_item_write(const struct proto_sample *row, struct strbuf *out)
{
	strbuf_adds(out, "{\"seen\":");
	add_time(row->seen_ms, out);
	strbuf_adds(out, ",\"copied\":");
	add_time(row->copied_ms, out);
	if (row->advised)
		strbuf_adds(out, ",\"advised\":true");
	strbuf_addf(out, ",\"size\":%u,\"value\":", (unsigned)row->size);
	add_string(row->value, row->value_len, out);
	strbuf_adds(out, "}");
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* NULL with *e if it is no object. flags: of the library, besides. */
static json_t *
load(const char *text, size_t len, size_t max, size_t flags, const char *what, struct error *e)
{
	json_error_t why;
	json_t *o;

	if (len > max) {
		error_set(e, ERR_PROTOCOL, "%s: too long, %zu bytes, at most %zu are read", what, len, max);
		return NULL;
	}
	o = json_loadb(text, len, flags, &why);
	if (o != NULL && json_is_object(o))
		return o;
	error_set(e, ERR_PROTOCOL, "%s: no JSON object: %s", what, o != NULL ? "another kind" : why.text);
	json_decref(o);
	return NULL;
}

/* "dddd-dd-ddTdd:dd:dd" in front: the reader of times is more lenient than this should be. */
static bool
looks_like_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";

	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

/* 0 ms for never. */
static int
read_time(const json_t *o, const char *name, int64_t *ms, struct error *e)
{
	const char *text = json_string_value(json_object_get(o, name));
	int64_t ns;

	*ms = 0;
	if (text == NULL)
		return error_set(e, ERR_PROTOCOL, "item: \"%s\" is missing or no text", name);
	if (strcmp(text, NEVER) == 0)
		return 0;
	if (!looks_like_time(text) || rfc3339_parse(text, &ns) != 0)
		return error_set(e, ERR_PROTOCOL, "item: \"%s\" is no RFC 3339 time: \"%.60s\"", name, text);
	if (ns < 0)
		return error_set(e, ERR_PROTOCOL, "item: \"%s\" is before 1970: \"%.60s\"", name, text);
	*ms = ns / 1000000;
	return 0;
}

static int
read_times(const json_t *o, struct proto_sample *row, struct error *e)
{
	if (read_time(o, "seen", &row->seen_ms, e) != 0 || read_time(o, "copied", &row->copied_ms, e) != 0)
		return -1;
	if (row->seen_ms == 0)
		return error_set(e, ERR_PROTOCOL, "item: was never seen");
	return 0;
}

static int
read_size(const json_t *o, struct proto_sample *row, struct error *e)
{
	const json_t *size = json_object_get(o, "size");
	double n;

	if (!json_is_number(size))
		return error_set(e, ERR_PROTOCOL, "item: \"size\" is missing or no number");
	n = json_number_value(size);
	if (!(n >= 0 && n <= (double)UINT32_MAX))
		return error_set(e, ERR_PROTOCOL, "item: \"size\" is not within 0 and 4294967295: %g", n);
	row->size = (uint32_t)n;
	return 0;
}

static int
read_value(const json_t *o, struct proto_sample *row, struct sample_value *value, struct error *e)
{
	const json_t *v = json_object_get(o, "value");

	if (!json_is_string(v) || json_string_length(v) == 0)
		return error_set(e, ERR_PROTOCOL, "item: \"value\" is missing, empty or no text");
	sample_value_make(json_string_value(v), json_string_length(v), value);
	if (value->len == 0)
		return error_set(e, ERR_PROTOCOL, "item: \"value\" holds nothing");
	row->value = value->text;
	row->value_len = value->len;
	return 0;
}

static int
read_item(const json_t *o, struct proto_sample *row, struct sample_value *value, struct error *e)
{
	const json_t *advised = json_object_get(o, "advised");

	if (advised != NULL && !json_is_boolean(advised))
		return error_set(e, ERR_PROTOCOL, "item: \"advised\" is neither true nor false");
	row->advised = json_is_true(advised);
	if (read_times(o, row, e) != 0 || read_size(o, row, e) != 0)
		return -1;
	return read_value(o, row, value, e);
}

int
gossip_item_read(const char *text, size_t len, struct proto_sample *row, struct sample_value *value,
		 struct error *e)
{
	/* A number that is no 64-bit integer is no reason to refuse it; nor is a NUL in a value. */
	json_t *o = load(text, len, GOSSIP_ITEM_MAX, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, "item", e);
	int result;

	*row = (struct proto_sample){0};
	if (o == NULL)
		return -1;
	result = read_item(o, row, value, e);
	json_decref(o);
	return result;
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

bool
gossip_nonce_equal(const struct gossip_nonce *a, const struct gossip_nonce *b)
{
	return strcmp(a->text, b->text) == 0;
}

/* 1 to GOSSIP_NONCE_MAX letters and digits: fit for a subject and a log. */
static int
read_name(const char *text, size_t len, char out[GOSSIP_NONCE_MAX + 1])
{
	if (len == 0 || len > GOSSIP_NONCE_MAX)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) || (unsigned char)text[i] > 0x7f)
			return -1;
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

void
gossip_number_write(const struct gossip_nonce *nonce, uint64_t number, struct strbuf *out)
{
	strbuf_addf(out, GOSSIP_HEADER ": %s %llu\r\n", nonce->text, (unsigned long long)number);
}

/* 1 to INT64_MAX, as JSON has it. */
static int
read_number(const char *text, size_t len, uint64_t *number)
{
	*number = 0;
	if (len == 0 || len > 18)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return -1;
		*number = *number * 10 + (uint64_t)(text[i] - '0');
	}
	return *number > 0 ? 0 : -1;
}

enum gossip_numbered
gossip_number_read(const char *headers, size_t len, struct gossip_nonce *nonce, uint64_t *number)
{
	struct header_line line;
	const char *blank;
	size_t name_len;

	if (headers == NULL || !header_find(headers, len, GOSSIP_HEADER, &line))
		return GOSSIP_NOT_NUMBERED;
	blank = memchr(line.value, ' ', line.value_len);
	if (blank == NULL)
		return GOSSIP_NUMBER_ODD;
	name_len = (size_t)(blank - line.value);
	if (read_name(line.value, name_len, nonce->text) != 0 ||
	    read_number(blank + 1, line.value_len - name_len - 1, number) != 0)
		return GOSSIP_NUMBER_ODD;
	return GOSSIP_NUMBERED;
}

/* ---- positions and heads of pages --------------------------------------------------------------------- */

static void
write_position(const struct gossip_position *p, struct strbuf *out)
{
	strbuf_addf(out, "\"nonce\":\"%s\",\"number\":%llu,\"round\":%llu", p->nonce.text,
		    (unsigned long long)p->number, (unsigned long long)p->round);
	if (p->has_note) {
		strbuf_adds(out, ",\"note\":");
		sample_note_write(&p->note, out);
	}
}

void
gossip_position_write(const struct gossip_position *p, struct strbuf *out)
{
	strbuf_adds(out, "{");
	write_position(p, out);
	strbuf_adds(out, p->leaves ? ",\"leaves\":true}" : "}");
}

/* A note that is not understood, as one of a later version, is no reason not to count numbers. */
static void
read_note(const json_t *note, struct gossip_position *p)
{
	char *text;

	if (note == NULL)
		return;
	text = json_dumps(note, JSON_COMPACT | JSON_ENCODE_ANY);
	p->has_note = text != NULL && sample_note_read(text, strlen(text), &p->note, NULL) == 0;
	p->note_refused = !p->has_note;
	free(text);
}

static int
read_position(const json_t *o, struct gossip_position *p, struct error *e)
{
	const json_t *nonce = json_object_get(o, "nonce"), *number = json_object_get(o, "number");
	const json_t *round = json_object_get(o, "round");

	memset(p, 0, sizeof *p);
	if (!json_is_string(nonce) ||
	    read_name(json_string_value(nonce), json_string_length(nonce), p->nonce.text) != 0)
		return error_set(e, ERR_PROTOCOL,
				 "position: \"nonce\" is missing or not 1 to %d letters and digits",
				 GOSSIP_NONCE_MAX);
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return error_set(e, ERR_PROTOCOL, "position: \"number\" is missing or no number from 0");
	if (!json_is_integer(round) || json_integer_value(round) < 0)
		return error_set(e, ERR_PROTOCOL, "position: \"round\" is missing or no number from 0");
	p->number = (uint64_t)json_integer_value(number);
	p->round = (uint64_t)json_integer_value(round);
	p->leaves = json_is_true(json_object_get(o, "leaves"));
	read_note(json_object_get(o, "note"), p);
	return 0;
}

int
gossip_position_read(const char *text, size_t len, struct gossip_position *p, struct error *e)
{
	json_t *o = load(text, len, GOSSIP_HEAD_MAX, 0, "position", e);
	int result = o != NULL ? read_position(o, p, e) : -1;

	json_decref(o);
	return result;
}

void
gossip_page_write(const struct gossip_page *p, struct strbuf *out)
{
	strbuf_adds(out, "{");
	write_position(&p->from, out);
	strbuf_addf(out, ",\"leader\":%s", p->leader ? "true" : "false");
	if (p->next[0] != '\0')
		strbuf_addf(out, ",\"next\":\"%s\"", p->next);
	strbuf_adds(out, "}\n");
}

static int
read_page(const json_t *o, struct gossip_page *p, struct error *e)
{
	const json_t *next = json_object_get(o, "next");

	if (read_position(o, &p->from, e) != 0)
		return -1;
	p->leader = json_is_true(json_object_get(o, "leader"));
	p->next[0] = '\0';
	if (next != NULL && (!json_is_string(next) ||
			     read_name(json_string_value(next), json_string_length(next), p->next) != 0))
		return error_set(e, ERR_PROTOCOL, "page: \"next\" is not 1 to %d letters and digits",
				 GOSSIP_NONCE_MAX);
	return 0;
}

int
gossip_page_read(const char *text, size_t len, struct gossip_page *p, size_t *used, struct error *e)
{
	size_t look = len < GOSSIP_HEAD_MAX + 1 ? len : GOSSIP_HEAD_MAX + 1;
	const char *end = len > 0 ? memchr(text, '\n', look) : NULL;
	json_t *o;
	int result;

	if (end == NULL)
		return error_set(e, ERR_PROTOCOL, "page: no head of at most %d bytes", GOSSIP_HEAD_MAX);
	*used = (size_t)(end - text) + 1;
	o = load(text, *used - 1, GOSSIP_HEAD_MAX, 0, "page", e);
	result = o != NULL ? read_page(o, p, e) : -1;
	json_decref(o);
	return result;
}
