/*
 * Text from outside made fit for a log line, a terminal and JSON: a server's error text or a subject may
 * hold line feeds, escape sequences or broken UTF-8. Used by every process; calls nothing of the project
 * but strbuf.
 */
#include "common/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed character at s, 0 if there is none. */
static size_t
utf8_length(const uint8_t *s, size_t len)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t need;

	if (s[0] < 0x80)
		return 1;
	need = s[0] >= 0xf0 && s[0] < 0xf8 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc0 || s[0] >= 0xf8 || need > len)
		return 0;
	code = s[0] & (0xffu >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if (code < lowest[need] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return need;
}

bool
text_utf8_valid(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;

	for (size_t i = 0, step; i < len; i += step) {
		step = utf8_length(s + i, len - i);
		if (step == 0)
			return false;
	}
	return true;
}

static void
add_escaped(struct strbuf *out, uint8_t byte)
{
	switch (byte) {
	case '\n':
		strbuf_adds(out, "\\n");
		break;
	case '\r':
		strbuf_adds(out, "\\r");
		break;
	case '\t':
		strbuf_adds(out, "\\t");
		break;
	default:
		strbuf_addf(out, "\\x%02x", byte);
		break;
	}
}

/* C1 controls (U+0080 to U+009F) drive some terminals as well as ESC does. */
static bool
is_control(const uint8_t *s, size_t step)
{
	return s[0] < 0x20 || s[0] == 0x7f || (step == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void
text_clean(struct strbuf *out, const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;

	for (size_t i = 0, step; i < len; i += step) {
		step = utf8_length(s + i, len - i);
		if (step != 0 && !is_control(s + i, step)) {
			strbuf_add(out, text + i, step);
			continue;
		}
		if (step == 0)
			step = 1;
		for (size_t k = 0; k < step; k++)
			add_escaped(out, s[i + k]);
	}
}

size_t
text_cut(const char *text, size_t len, size_t max)
{
	const uint8_t *s = (const uint8_t *)text;

	if (len <= max)
		return len;
	len = max;
	/* Step back over continuation bytes, at most as many as a character has. */
	for (int i = 0; i < 3 && len > 0 && (s[len] & 0xc0) == 0x80; i++)
		len--;
	return len;
}

uint64_t
text_hash(const char *text, size_t len)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < len; i++) {
		hash ^= (unsigned char)text[i];
		hash *= UINT64_C(1099511628211);
	}
	return hash;
}
