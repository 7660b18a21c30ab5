/*
 * Numbers and strings of the pipe protocol in fixed widths, little-endian. Writers append to a strbuf.
 * Readers take from a struct bytes; reading behind the end gives 0 and marks it as bad, so that a decoder
 * checks once, at its end, with bytes_end().
 */
#ifndef SR_COMMON_PROTO_BYTES_H
#define SR_COMMON_PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct bytes {
	const uint8_t *at;
	size_t left;
	bool bad; /* something did not fit; nothing that was read may be used */
};

void bytes_put_u8(struct strbuf *out, uint8_t v);
void bytes_put_u16(struct strbuf *out, uint16_t v);
void bytes_put_u32(struct strbuf *out, uint32_t v);
void bytes_put_u64(struct strbuf *out, uint64_t v);
/* u32 length and the bytes; NULL is written as "". A text longer than max is cut between characters. */
void bytes_put_text(struct strbuf *out, const char *text, size_t max);

uint8_t bytes_get_u8(struct bytes *in);
uint16_t bytes_get_u16(struct bytes *in);
uint32_t bytes_get_u32(struct bytes *in);
uint64_t bytes_get_u64(struct bytes *in);
/* 0 or 1, else bad */
bool bytes_get_bool(struct bytes *in);
/* A copy for the caller to free, never NULL; bad if it is longer than max or holds a NUL. */
char *bytes_get_text(struct bytes *in, size_t max);

/* Whether all was good and every byte was taken. */
bool bytes_end(const struct bytes *in);

#endif
