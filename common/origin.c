/*
 * The origin header in and out of text. Used by workers, which write it and prove positions from it, and
 * by `verify`. Bytes come from a stream that anyone may have written to: every length is checked, and what
 * has not exactly the form is no origin.
 */
#include "common/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/header.h"

enum { FIELDS = 5 };

struct field {
	const char *start;
	size_t len;
};

/* Exactly five fields with one blank between them. */
static bool
split(const char *value, size_t len, struct field *fields)
{
	size_t n = 0, start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && value[i] != ' ')
			continue;
		if (n == FIELDS || i == start)
			return false;
		fields[n++] = (struct field){value + start, i - start};
		start = i + 1;
	}
	return n == FIELDS;
}

/* "-1", which stands for not known, or a number not below min. */
static bool
read_number(const struct field *f, int64_t min, int64_t *value)
{
	int64_t v = 0;

	if (f->len == 2 && memcmp(f->start, "-1", 2) == 0) {
		*value = -1;
		return true;
	}
	if (f->len > 19)
		return false;
	for (size_t i = 0; i < f->len; i++) {
		int digit = f->start[i] - '0';

		if (digit < 0 || digit > 9 || v > (INT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return v >= min;
}

static bool
name_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f;
}

static bool
read_name(const struct field *f, char *out, size_t out_size)
{
	if (f->len >= out_size)
		return false;
	for (size_t i = 0; i < f->len; i++)
		if (!name_char(f->start[i]))
			return false;
	memcpy(out, f->start, f->len);
	out[f->len] = '\0';
	return true;
}

int
origin_parse(const char *value, size_t len, struct origin *o)
{
	struct field f[FIELDS];

	if (!split(value, len, f))
		return -1;
	if (!read_name(&f[0], o->stream, sizeof o->stream) || !read_number(&f[1], 1, &o->seq) ||
	    !read_name(&f[2], o->site, sizeof o->site) || !read_name(&f[3], o->topic, sizeof o->topic) ||
	    !read_number(&f[4], 0, &o->stored_ms))
		return -1;
	return 0;
}

static bool
name_writable(const char *name, size_t max)
{
	size_t len = strnlen(name, max);

	if (len == 0 || len == max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name_char(name[i]))
			return false;
	return true;
}

int
origin_format(const struct origin *o, char *out, size_t out_size)
{
	int len;

	if (!name_writable(o->stream, sizeof o->stream) || !name_writable(o->site, sizeof o->site) ||
	    !name_writable(o->topic, sizeof o->topic))
		return -1;
	len = snprintf(out, out_size, "%s %" PRId64 " %s %s %" PRId64, o->stream, o->seq, o->site, o->topic,
		       o->stored_ms);
	return len < 0 || (size_t)len >= out_size ? -1 : len;
}

int
origin_from_headers(const char *block, size_t len, struct origin *o)
{
	struct header_line line;
	struct origin found;
	size_t offset = 0;
	int result = -1;

	while (header_next(block, len, &offset, &line)) {
		if (!header_name_is(&line, ORIGIN_HEADER))
			continue;
		if (origin_parse(line.value, line.value_len, &found) != 0)
			continue;
		*o = found;
		result = 0;
	}
	return result;
}

bool
origin_is_ours(const struct origin *o, const char *stream, const char *site, const char *topic,
	       const char *adopt)
{
	const char *colon = strchr(adopt, ':');
	size_t site_len;

	if (strcmp(o->stream, stream) != 0 || o->seq <= 0)
		return false;
	if (strcmp(o->site, site) == 0 && strcmp(o->topic, topic) == 0)
		return true;
	if (colon == NULL)
		return false;
	site_len = (size_t)(colon - adopt);
	return strlen(o->site) == site_len && memcmp(o->site, adopt, site_len) == 0 &&
	       strcmp(o->topic, colon + 1) == 0;
}
