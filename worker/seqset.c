/* A set of sequence numbers: open addressing with backward-shift deletion. Pure. */
#include "worker/seqset.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

enum { SEQSET_MIN = 64 };

static size_t
home_of(const struct seqset *s, uint64_t seq)
{
	return (size_t)((seq * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (s->cap - 1);
}

static size_t
find(const struct seqset *s, uint64_t seq)
{
	size_t i = home_of(s, seq);

	while (s->slots[i] != 0 && s->slots[i] != seq)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static void
grow(struct seqset *s)
{
	struct seqset old = *s;

	s->cap = old.cap > 0 ? old.cap * 2 : SEQSET_MIN;
	s->slots = xcalloc(s->cap, sizeof *s->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i] != 0)
			s->slots[find(s, old.slots[i])] = old.slots[i];
	free(old.slots);
}

void
seqset_init(struct seqset *s)
{
	memset(s, 0, sizeof *s);
}

void
seqset_fini(struct seqset *s)
{
	free(s->slots);
	seqset_init(s);
}

void
seqset_clear(struct seqset *s)
{
	seqset_fini(s);
}

void
seqset_add(struct seqset *s, uint64_t seq)
{
	size_t i;

	if (seq == 0)
		return;
	if ((s->count + 1) * 2 > s->cap)
		grow(s);
	i = find(s, seq);
	if (s->slots[i] == 0) {
		s->slots[i] = seq;
		s->count++;
	}
	if (seq > s->highest)
		s->highest = seq;
}

bool
seqset_has(const struct seqset *s, uint64_t seq)
{
	return s->count > 0 && s->slots[find(s, seq)] != 0;
}

bool
seqset_remove(struct seqset *s, uint64_t seq)
{
	size_t hole, next;

	if (s->count == 0)
		return false;
	hole = find(s, seq);
	if (s->slots[hole] == 0)
		return false;
	s->count--;
	/* Members behind the hole that probed past it move up, so that no search ends too early. */
	for (next = (hole + 1) & (s->cap - 1); s->slots[next] != 0; next = (next + 1) & (s->cap - 1)) {
		size_t home = home_of(s, s->slots[next]);

		if (((next - home) & (s->cap - 1)) >= ((next - hole) & (s->cap - 1))) {
			s->slots[hole] = s->slots[next];
			hole = next;
		}
	}
	s->slots[hole] = 0;
	return true;
}
