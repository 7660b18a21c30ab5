/* What was sent before a restart, in the order of its slots. Pure. */
#include "worker/sentlist.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

enum { SENTLIST_MIN = 64 };

void
sentlist_init(struct sentlist *l)
{
	memset(l, 0, sizeof *l);
}

void
sentlist_fini(struct sentlist *l)
{
	free(l->seqs);
	sentlist_init(l);
}

void
sentlist_clear(struct sentlist *l)
{
	l->head = l->count = 0;
}

void
sentlist_push(struct sentlist *l, uint64_t seq)
{
	if (l->count == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : SENTLIST_MIN;
		l->seqs = xrealloc(l->seqs, l->cap * sizeof *l->seqs);
	}
	l->seqs[l->count++] = seq;
}

void
sentlist_settle(struct sentlist *l, uint64_t source_seq)
{
	while (l->head < l->count && l->seqs[l->head] <= source_seq) {
		l->head++;
		l->slot++;
	}
}

bool
sentlist_take(struct sentlist *l, uint64_t seq)
{
	if (l->head == l->count || l->seqs[l->head] != seq)
		return false;
	l->head++;
	l->slot++;
	return true;
}

bool
sentlist_send(struct sentlist *l, uint64_t seq)
{
	return l->head == l->count || sentlist_take(l, seq);
}

bool
sentlist_skip(struct sentlist *l, uint64_t seq)
{
	return l->head == l->count || seq < l->seqs[l->head];
}
