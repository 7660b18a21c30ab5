/* A set of sequence numbers (0 is never a member). Pure. */
#ifndef SR_WORKER_SEQSET_H
#define SR_WORKER_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seqset {
	uint64_t *slots; /* open addressing; 0 is free */
	size_t cap;      /* a power of two, or 0 */
	size_t count;
	uint64_t highest; /* of all that were added since the last clear */
};

void seqset_init(struct seqset *s);
void seqset_fini(struct seqset *s);
void seqset_clear(struct seqset *s);
/* 0 and members that are in already change nothing. */
void seqset_add(struct seqset *s, uint64_t seq);
bool seqset_has(const struct seqset *s, uint64_t seq);
/* Takes seq out; false if it was not in. */
bool seqset_remove(struct seqset *s, uint64_t seq);

#endif
