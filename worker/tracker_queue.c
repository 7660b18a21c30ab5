/*
 * A queue of ids, in chunks that come and go, so that nothing is ever copied to make room but the small table
 * of chunks. Each id has a place, a number that only counts up. What is removed leaves a gap; a chunk that
 * has only gaps goes away wherever it is, so that gaps do not add up while the head is not taken. The head
 * always stands at an id that is in, or at the tail. Pure.
 */
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/tracker_internal.h"

static struct tracker_chunk **
chunk_of(const struct tracker_ring *r, uint64_t place)
{
	return &r->chunks[place / TRACKER_CHUNK & (r->cap - 1)];
}

void
tracker_ring_init(struct tracker_ring *r)
{
	/* Not 0, so that 0 can mean no place. */
	*r = (struct tracker_ring){.head = TRACKER_CHUNK, .tail = TRACKER_CHUNK, .cap = 4};
	r->chunks = xcalloc(r->cap, sizeof(struct tracker_chunk *));
}

void
tracker_ring_fini(struct tracker_ring *r)
{
	for (uint32_t i = 0; i < r->cap; i++)
		free(r->chunks[i]);
	free(r->chunks);
}

static void
grow(struct tracker_ring *r)
{
	uint64_t first = r->head / TRACKER_CHUNK;
	struct tracker_ring old = *r;

	r->cap *= 2;
	r->chunks = xcalloc(r->cap, sizeof(struct tracker_chunk *));
	for (uint64_t i = first; i < first + old.cap; i++)
		r->chunks[i & (r->cap - 1)] = old.chunks[i & (old.cap - 1)];
	free(old.chunks);
}

/* Room for the next place, which is the first of a chunk. */
static void
new_chunk(struct tracker_ring *r)
{
	if (r->tail / TRACKER_CHUNK - r->head / TRACKER_CHUNK == r->cap)
		grow(r);
	*chunk_of(r, r->tail) = xmalloc(sizeof(struct tracker_chunk));
	(*chunk_of(r, r->tail))->live = 0;
	r->chunk_count++;
}

uint32_t
tracker_ring_push(struct tracker_ring *r, uint32_t id)
{
	uint64_t place = r->tail;

	if (place % TRACKER_CHUNK == 0)
		new_chunk(r);
	struct tracker_chunk *chunk = *chunk_of(r, place);

	chunk->ids[place % TRACKER_CHUNK] = id;
	chunk->live++;
	r->live++;
	r->tail++;
	return (uint32_t)place;
}

/* Never longer than two chunks and the table of chunks: a chunk with nothing in it is not there. */
static void
pass_gaps(struct tracker_ring *r)
{
	while (r->head < r->tail) {
		const struct tracker_chunk *chunk = *chunk_of(r, r->head);

		if (!chunk)
			r->head += TRACKER_CHUNK - r->head % TRACKER_CHUNK;
		else if (chunk->ids[r->head % TRACKER_CHUNK] == TRACKER_NONE)
			r->head++;
		else
			return;
	}
}

static void
clear(struct tracker_ring *r, uint64_t place)
{
	struct tracker_chunk **chunk = chunk_of(r, place);

	(*chunk)->ids[place % TRACKER_CHUNK] = TRACKER_NONE;
	r->live--;
	/* The one at the tail stays: more comes. When it is full, something is in it. */
	if (--(*chunk)->live == 0 && place / TRACKER_CHUNK != r->tail / TRACKER_CHUNK) {
		free(*chunk);
		*chunk = NULL;
		r->chunk_count--;
	}
	if (place == r->head)
		pass_gaps(r);
}

uint32_t
tracker_ring_pop(struct tracker_ring *r)
{
	if (r->head == r->tail)
		return TRACKER_NONE;
	uint32_t id = (*chunk_of(r, r->head))->ids[r->head % TRACKER_CHUNK];

	clear(r, r->head);
	return id;
}

void
tracker_ring_remove(struct tracker_ring *r, uint32_t place)
{
	clear(r, r->head + (place - (uint32_t)r->head));
}

size_t
tracker_ring_bytes(const struct tracker_ring *r)
{
	return r->chunk_count * (sizeof(struct tracker_chunk) + 16) + r->cap * sizeof(struct tracker_chunk *);
}
