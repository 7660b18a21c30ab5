/*
 * SipHash-1-3: a keyed hash for tables whose keys come from outside. Who does not know the key cannot choose
 * keys that meet in one place of the table. Pure.
 *
 * Written from the description in: Jean-Philippe Aumasson, Daniel J. Bernstein, "SipHash: a fast short-input
 * PRF", 2012. The variant with one round a word and three at the end is what Rust, Python and Ruby use for
 * their tables. Not for signatures, and not for numbers that another machine must find alike.
 */
#ifndef SR_COMMON_SIPHASH_H
#define SR_COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* A key of one secret number. */
struct siphash_key siphash_key(uint64_t seed);
uint64_t siphash_1_3(const struct siphash_key *key, const void *data, size_t len);

#endif
