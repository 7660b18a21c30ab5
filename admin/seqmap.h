/*
 * Two marks for each sequence, in bounded memory: for sequences that are marked in rising order for the
 * first time, and looked up behind that. A stretch in which all are marked costs nothing.
 */
#ifndef SR_ADMIN_SEQMAP_H
#define SR_ADMIN_SEQMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sequences a chunk covers, and how many chunks are kept: at least 67 million sequences, in 16 MiB. */
#define SEQMAP_CHUNK      65536
#define SEQMAP_CHUNKS_MAX 1024

struct seqmap_chunk;

struct seqmap {
	struct seqmap_chunk *chunks; /* rising; the first of them at first */
	size_t first, count, room;
	uint64_t forgotten; /* nothing is known below */
};

enum seqmap_mark {
	SEQMAP_NONE,      /* was never marked */
	SEQMAP_SEEN,      /* first mark */
	SEQMAP_DONE,      /* second mark */
	SEQMAP_FORGOTTEN, /* too long ago */
};

void seqmap_fini(struct seqmap *m);
/* Sequences come in rising order. */
void seqmap_see(struct seqmap *m, uint64_t seq);
/* Of a sequence that was seen; one that is forgotten is let be. */
void seqmap_done(struct seqmap *m, uint64_t seq);
enum seqmap_mark seqmap_look(const struct seqmap *m, uint64_t seq);

#endif
