/*
 * Payloads of the pipe protocol for sampled topics: encoders and decoders in pairs, like those in
 * proto_payload.c. Pure; used by both sides. Invariant: a decoder takes every byte and checks every value, or
 * refuses the whole payload and leaves nothing to free; rows that proto_samples_decode() has let through are
 * whole, so that they may be kept as bytes and read later.
 *
 * A row: u8 flags, u8 length of the value, the value, u64 seen, u64 copied, u32 size.
 */
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/proto_bytes.h"
#include "common/xalloc.h"

#define FLAG_ADVISED   1U
#define FLAG_FORGOTTEN 2U

_Static_assert(PROTO_MAX_VALUE <= UINT8_MAX, "the length of a value is one byte");

static int
refuse(const char *what, size_t len, struct error *e)
{
	return error_set(e, ERR_PROTOCOL, "payload of %s, %zu bytes: malformed", what, len);
}

/* ---- samples ------------------------------------------------------------------------------------- */

void
proto_samples_encode(struct strbuf *out, uint64_t serial, const char *note)
{
	bytes_put_u64(out, serial);
	bytes_put_text(out, note, PROTO_MAX_TEXT);
}

void
proto_sample_encode(struct strbuf *out, const struct proto_sample *row)
{
	bytes_put_u8(out,
		     (uint8_t)((row->advised ? FLAG_ADVISED : 0) | (row->forgotten ? FLAG_FORGOTTEN : 0)));
	bytes_put_u8(out, (uint8_t)row->value_len);
	strbuf_add(out, row->value, row->value_len);
	bytes_put_u64(out, (uint64_t)row->seen_ms);
	bytes_put_u64(out, (uint64_t)row->copied_ms);
	bytes_put_u32(out, row->size);
}

static void
get_value(struct bytes *in, struct proto_sample *row)
{
	row->value_len = bytes_get_u8(in);
	row->value = (const char *)in->at;
	if (row->value_len == 0 || row->value_len > in->left ||
	    memchr(row->value, '\0', row->value_len) != NULL) {
		in->bad = true;
		return;
	}
	in->at += row->value_len;
	in->left -= row->value_len;
}

static void
get_row(struct bytes *in, struct proto_sample *row)
{
	uint8_t flags = bytes_get_u8(in);

	if (flags > (FLAG_ADVISED | FLAG_FORGOTTEN))
		in->bad = true;
	row->advised = (flags & FLAG_ADVISED) != 0;
	row->forgotten = (flags & FLAG_FORGOTTEN) != 0;
	get_value(in, row);
	row->seen_ms = (int64_t)bytes_get_u64(in);
	row->copied_ms = (int64_t)bytes_get_u64(in);
	row->size = bytes_get_u32(in);
}

bool
proto_sample_decode(const uint8_t **rows, size_t *len, struct proto_sample *row)
{
	struct bytes in = {*rows, *len, false};

	if (*len == 0)
		return false;
	get_row(&in, row);
	*rows = in.at;
	*len = in.left;
	return !in.bad;
}

int
proto_samples_decode(const uint8_t *data, size_t len, struct proto_samples *v, struct error *e)
{
	struct bytes in = {data, len, false};
	struct proto_sample row;

	v->serial = bytes_get_u64(&in);
	v->note = bytes_get_text(&in, PROTO_MAX_TEXT);
	v->rows = in.at;
	v->rows_len = in.left;
	v->row_count = 0;
	while (!in.bad && in.left > 0) {
		get_row(&in, &row);
		v->row_count++;
	}
	/* 0 is the serial of what answers no batch */
	if (bytes_end(&in) && v->serial != 0)
		return 0;
	proto_samples_fini(v);
	return refuse("SAMPLES", len, e);
}

void
proto_samples_fini(struct proto_samples *v)
{
	free(v->note);
	v->note = NULL;
}

void
proto_samples_stored_encode(struct strbuf *out, const struct proto_samples_stored *v)
{
	bytes_put_u64(out, v->serial);
	bytes_put_u8(out, v->again);
}

int
proto_samples_stored_decode(const uint8_t *data, size_t len, struct proto_samples_stored *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->serial = bytes_get_u64(&in);
	v->again = bytes_get_bool(&in);
	return bytes_end(&in) ? 0 : refuse("SAMPLES_STORED", len, e);
}

/* ---- advisories ---------------------------------------------------------------------------------- */

void
proto_advisory_encode(struct strbuf *out, const struct proto_advisory *v)
{
	bool done = v->op == ADVISORY_DONE;

	bytes_put_u8(out, (uint8_t)v->op);
	bytes_put_text(out, v->id, PROTO_MAX_ADVISORY_ID);
	bytes_put_text(out, done ? "" : v->subject, PROTO_MAX_TEXT);
	bytes_put_text(out, done ? "" : v->body, PROTO_MAX_TEXT);
	bytes_put_u32(out, done ? 0 : v->tries);
	bytes_put_u64(out, done ? 0 : (uint64_t)v->next_try_ms);
}

/* What has no subject cannot be sent; what is done has nothing but its id. */
static bool
makes_sense(const struct proto_advisory *v)
{
	if (v->id[0] == '\0')
		return false;
	if (v->op == ADVISORY_PUT)
		return v->subject[0] != '\0';
	return v->op == ADVISORY_DONE && v->subject[0] == '\0' && v->body[0] == '\0' && v->tries == 0 &&
	       v->next_try_ms == 0;
}

int
proto_advisory_decode(const uint8_t *data, size_t len, struct proto_advisory *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->op = (enum proto_advisory_op)bytes_get_u8(&in);
	v->id = bytes_get_text(&in, PROTO_MAX_ADVISORY_ID);
	v->subject = bytes_get_text(&in, PROTO_MAX_TEXT);
	v->body = bytes_get_text(&in, PROTO_MAX_TEXT);
	v->tries = bytes_get_u32(&in);
	v->next_try_ms = (int64_t)bytes_get_u64(&in);
	if (bytes_end(&in) && makes_sense(v))
		return 0;
	proto_advisory_fini(v);
	return refuse("ADVISORY", len, e);
}

void
proto_advisory_fini(struct proto_advisory *a)
{
	free(a->id);
	free(a->subject);
	free(a->body);
	a->id = a->subject = a->body = NULL;
}
