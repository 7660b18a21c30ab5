/*
 * Messages of one side that wait for their other half: found by source sequence, and the oldest first.
 * Pure; for admin/compare.c.
 */
#ifndef SR_ADMIN_PAIRING_H
#define SR_ADMIN_PAIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/compare.h"
#include "common/digest.h"

/* What is kept of a message: enough to compare it exactly but for the body, of which a SHA-256 stands. */
struct half {
	struct half *chain;         /* in the table */
	struct half *older, *newer; /* in the order of arrival */
	uint64_t seq;               /* source sequence: its own, or the origin's */
	uint64_t target_seq;        /* of a copy */
	int64_t stored_ms;          /* at the source; -1: not known */
	unsigned char body[DIGEST_SIZE];
	uint64_t *skipped; /* counter of the report that says why no copy is needed; NULL: one is */
	bool late;         /* a copy behind later ones */
	size_t subject_len, headers_len;
	char bytes[]; /* subject, headers */
};

struct half *half_new(uint64_t seq, const char *subject, const struct compare_message *m);
void half_free(struct half **h);
size_t half_size(const struct half *h);
/* What differs between a source message (its subject mapped) and its copy. */
uint8_t half_difference(const struct half *source, const struct half *copy);

struct pairing {
	struct half **table; /* PAIRING_SLOTS of them */
	struct half *oldest, *newest;
	size_t count, bytes;
};

void pairing_init(struct pairing *p);
void pairing_fini(struct pairing *p);
/* Takes h. */
void pairing_add(struct pairing *p, struct half *h);
/* The first of that sequence, then (after not NULL) the next one of the same. */
struct half *pairing_find(const struct pairing *p, uint64_t seq, const struct half *after);
/* Out of the pairing; the caller owns it now. */
void pairing_take(struct pairing *p, struct half *h);

#endif
