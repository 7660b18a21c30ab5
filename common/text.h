/* Text from outside made fit for a log line, a terminal and JSON. Pure. */
#ifndef SR_COMMON_TEXT_H
#define SR_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

/* Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool text_utf8_valid(const char *text, size_t len);

/*
 * Appends text with everything harmful escaped: control characters as \n, \t or \x1b, bytes that are no
 * UTF-8 as \xff. What comes out is one line of valid UTF-8.
 */
void text_clean(struct strbuf *out, const char *text, size_t len);

/* The longest prefix of text of at most max bytes that does not cut a character in two. */
size_t text_cut(const char *text, size_t len, size_t max);

/* FNV-1a of the bytes: the same for ever, as it is kept in states and buckets. */
uint64_t text_hash(const char *text, size_t len);

#endif
