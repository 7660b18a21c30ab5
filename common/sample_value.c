/*
 * The one form of a value. Runs in workers, for each message of a sampled topic, and wherever values come
 * from a file or the network; calls nothing of the project but text.c.
 *
 * Invariants: what comes out is valid by sample_value_valid(), and comes out again as it is when it is put
 * in; the same bytes give the same value in every version, as it is kept in files and told to other nodes.
 */
#include "common/sample_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define HASH_LEN    17 /* "~" and 16 digits */
#define KEPT_MAX    (SAMPLE_VALUE_MAX - HASH_LEN)
#define NO_UTF8     "\xef\xbf\xbd" /* U+FFFD */
#define NO_UTF8_LEN (sizeof NO_UTF8 - 1)

bool
sample_value_valid(const char *text, size_t len)
{
	return len > 0 && len <= SAMPLE_VALUE_MAX && memchr(text, '\0', len) == NULL &&
	       text_utf8_valid(text, len);
}

uint64_t
sample_value_hash(const char *text, size_t len)
{
	return text_hash(text, len);
}

/* Length of the character at text that may be kept, 0 if there is none. */
static size_t
character(const char *text, size_t len)
{
	if (text[0] == '\0')
		return 0;
	for (size_t n = 1; n <= 4 && n <= len; n++)
		if (text_utf8_valid(text, n))
			return n;
	return 0;
}

/* As much of raw as there is room for in front of the hash; the length that it has. */
static size_t
clean(const char *raw, size_t len, char *out)
{
	size_t at = 0;

	for (size_t i = 0, step; i < len; i += step) {
		size_t keep = character(raw + i, len - i);
		const char *from = keep > 0 ? raw + i : NO_UTF8;
		size_t bytes = keep > 0 ? keep : NO_UTF8_LEN;

		step = keep > 0 ? keep : 1;
		if (at + bytes > KEPT_MAX)
			break;
		memcpy(out + at, from, bytes);
		at += bytes;
	}
	return at;
}

void
sample_value_make(const char *raw, size_t len, struct sample_value *out)
{
	out->len = len;
	out->changed = len > 0 && !sample_value_valid(raw, len);
	if (out->changed) {
		out->len = clean(raw, len, out->text);
		out->len += (size_t)snprintf(out->text + out->len, HASH_LEN + 1, "~%016" PRIx64,
					     sample_value_hash(raw, len));
	} else if (len > 0) {
		memcpy(out->text, raw, len);
	}
	out->text[out->len] = '\0';
}
