/*
 * Marks by sequence, for `verify`: chunks of two bitmaps, sorted by their number. A chunk that has become
 * full of second marks gives its bitmaps back; when there are too many others, the oldest is forgotten.
 */
#include "admin/seqmap.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

#define WORDS (SEQMAP_CHUNK / 64)

struct seqmap_chunk {
	uint64_t number;
	uint64_t *seen; /* WORDS of them and then those of done; NULL when all are done */
	uint32_t done_count;
};

void
seqmap_fini(struct seqmap *m)
{
	for (size_t i = m->first; i < m->count; i++)
		free(m->chunks[i].seen);
	free(m->chunks);
	*m = (struct seqmap){0};
}

static struct seqmap_chunk *
find(const struct seqmap *m, uint64_t seq)
{
	uint64_t number = seq / SEQMAP_CHUNK;
	size_t low = m->first, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->chunks[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->count && m->chunks[low].number == number ? &m->chunks[low] : NULL;
}

/* Moves the kept chunks to the front when half of the array is behind us. */
static void
make_room(struct seqmap *m)
{
	if (m->first > m->count / 2) {
		memmove(m->chunks, m->chunks + m->first, (m->count - m->first) * sizeof *m->chunks);
		m->count -= m->first;
		m->first = 0;
	}
	if (m->count == m->room) {
		m->room = m->room == 0 ? 64 : m->room * 2;
		m->chunks = xrealloc(m->chunks, m->room * sizeof *m->chunks);
	}
}

static struct seqmap_chunk *
append(struct seqmap *m, uint64_t seq)
{
	make_room(m);
	m->chunks[m->count] =
	    (struct seqmap_chunk){.number = seq / SEQMAP_CHUNK, .seen = xcalloc(2 * WORDS, sizeof(uint64_t))};
	return &m->chunks[m->count++];
}

/* Keeps SEQMAP_CHUNKS_MAX of them; full ones are cheap but count, so that there is an end. */
static void
forget_oldest(struct seqmap *m)
{
	while (m->count - m->first > SEQMAP_CHUNKS_MAX) {
		m->forgotten = (m->chunks[m->first].number + 1) * SEQMAP_CHUNK;
		free(m->chunks[m->first].seen);
		m->first++;
	}
}

static bool
bit(const uint64_t *map, uint64_t seq)
{
	uint64_t i = seq % SEQMAP_CHUNK;

	return (map[i / 64] >> (i % 64) & 1) != 0;
}

static void
set_bit(uint64_t *map, uint64_t seq)
{
	uint64_t i = seq % SEQMAP_CHUNK;

	map[i / 64] |= UINT64_C(1) << (i % 64);
}

void
seqmap_see(struct seqmap *m, uint64_t seq)
{
	struct seqmap_chunk *c = m->count > m->first ? &m->chunks[m->count - 1] : NULL;

	if (c == NULL || c->number != seq / SEQMAP_CHUNK) {
		c = append(m, seq);
		forget_oldest(m);
	}
	set_bit(c->seen, seq);
}

void
seqmap_done(struct seqmap *m, uint64_t seq)
{
	struct seqmap_chunk *c = find(m, seq);

	if (c == NULL || c->seen == NULL || bit(c->seen + WORDS, seq))
		return;
	set_bit(c->seen + WORDS, seq);
	if (++c->done_count == SEQMAP_CHUNK) {
		free(c->seen);
		c->seen = NULL;
	}
}

enum seqmap_mark
seqmap_look(const struct seqmap *m, uint64_t seq)
{
	const struct seqmap_chunk *c;

	if (seq < m->forgotten)
		return SEQMAP_FORGOTTEN;
	c = find(m, seq);
	if (c == NULL)
		return SEQMAP_NONE;
	if (c->seen == NULL || bit(c->seen + WORDS, seq))
		return SEQMAP_DONE;
	return bit(c->seen, seq) ? SEQMAP_SEEN : SEQMAP_NONE;
}
