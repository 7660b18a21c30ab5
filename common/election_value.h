/*
 * The value of an election's key: who leads. Ours is JSON
 *
 *   {"node":"…", "site":"…", "pid":N, "since":"<RFC 3339>", "nonce":"<16 hex>", "map":"<16 hex>", "term":N}
 *
 * (term, the revision that won, once it is known: from the first renewal on). Another program's may be any
 * text, its name as a rule. Pure; what is read is hostile input.
 */
#ifndef SR_COMMON_ELECTION_VALUE_H
#define SR_COMMON_ELECTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct election_value {
	bool known;     /* of the form above; else node has the text, and nothing else is set */
	char node[256]; /* fit for a terminal; never "" after reading */
	char site[256];
	uint32_t pid;
	int64_t since_ms; /* epoch; 0: not known */
	char nonce[17];
	bool has_map;
	uint64_t map;
	uint64_t term; /* 0: not known */
};

void election_value_write(const struct election_value *v, struct strbuf *out);
/* Never fails: what is not ours is somebody else's text. */
void election_value_read(const char *data, size_t len, struct election_value *v);

#endif
