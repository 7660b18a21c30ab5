/*
 * The value that names a sender, in the one form that tracker, state.db, gossip and advisories know: 1 to
 * SAMPLE_VALUE_MAX bytes of UTF-8 without control characters that end texts (NUL). Pure.
 *
 * What comes in is kept as it is where it has that form. Where it has not (too long, no UTF-8, a NUL in it)
 * it is cleaned and cut, and "~" with 16 hex digits of a hash of all that came in is put behind: two values
 * that differ only far out are different.
 */
#ifndef SR_COMMON_SAMPLE_VALUE_H
#define SR_COMMON_SAMPLE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_VALUE_MAX 255

struct sample_value {
	size_t len;                      /* 0: the message has none */
	bool changed;                    /* it is kept in another form than it came in */
	char text[SAMPLE_VALUE_MAX + 1]; /* NUL-terminated */
};

void sample_value_make(const char *raw, size_t len, struct sample_value *out);
/* Whether it has the form already: for what comes from a file or the network. */
bool sample_value_valid(const char *text, size_t len);
/* The same number on every machine and in every version: splay, and identities that several nodes must find
 * alike. Not for hash tables, whose input is hostile. */
uint64_t sample_value_hash(const char *text, size_t len);

#endif
