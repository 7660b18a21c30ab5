/* Reading and writing the pipe protocol's numbers and strings. Pure; used by both sides of the pipe. */
#include "common/proto_bytes.h"

#include <string.h>

#include "common/text.h"
#include "common/xalloc.h"

static void
put(struct strbuf *out, uint64_t v, size_t width)
{
	uint8_t b[sizeof v];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	strbuf_add(out, b, width);
}

static uint64_t
get(struct bytes *in, size_t width)
{
	uint64_t v = 0;

	if (in->bad || in->left < width) {
		in->bad = true;
		return 0;
	}
	for (size_t i = 0; i < width; i++)
		v |= (uint64_t)in->at[i] << (8 * i);
	in->at += width;
	in->left -= width;
	return v;
}

void
bytes_put_u8(struct strbuf *out, uint8_t v)
{
	put(out, v, sizeof v);
}

void
bytes_put_u16(struct strbuf *out, uint16_t v)
{
	put(out, v, sizeof v);
}

void
bytes_put_u32(struct strbuf *out, uint32_t v)
{
	put(out, v, sizeof v);
}

void
bytes_put_u64(struct strbuf *out, uint64_t v)
{
	put(out, v, sizeof v);
}

void
bytes_put_text(struct strbuf *out, const char *text, size_t max)
{
	size_t len;

	if (text == NULL)
		text = "";
	len = text_cut(text, strlen(text), max);
	bytes_put_u32(out, (uint32_t)len);
	strbuf_add(out, text, len);
}

uint8_t
bytes_get_u8(struct bytes *in)
{
	return (uint8_t)get(in, sizeof(uint8_t));
}

uint16_t
bytes_get_u16(struct bytes *in)
{
	return (uint16_t)get(in, sizeof(uint16_t));
}

uint32_t
bytes_get_u32(struct bytes *in)
{
	return (uint32_t)get(in, sizeof(uint32_t));
}

uint64_t
bytes_get_u64(struct bytes *in)
{
	return get(in, sizeof(uint64_t));
}

bool
bytes_get_bool(struct bytes *in)
{
	uint8_t v = bytes_get_u8(in);

	if (v > 1)
		in->bad = true;
	return v == 1;
}

char *
bytes_get_text(struct bytes *in, size_t max)
{
	uint32_t len = bytes_get_u32(in);
	char *text;

	if (in->bad || len > max || len > in->left || memchr(in->at, '\0', len) != NULL) {
		in->bad = true;
		return xstrdup("");
	}
	text = xstrndup((const char *)in->at, len);
	in->at += len;
	in->left -= len;
	return text;
}

bool
bytes_end(const struct bytes *in)
{
	return !in->bad && in->left == 0;
}
