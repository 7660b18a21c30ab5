/* Deliveries waiting for their acknowledgement: a ring in stream order. Pure. */
#include "worker/acklist.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

enum { ACKLIST_MIN = 256 };

static struct jsack *
at(const struct acklist *l, uint64_t i)
{
	return &l->ring[i & (l->cap - 1)];
}

void
acklist_init(struct acklist *l)
{
	memset(l, 0, sizeof *l);
}

void
acklist_fini(struct acklist *l)
{
	free(l->ring);
	acklist_init(l);
}

void
acklist_clear(struct acklist *l)
{
	l->head = l->next;
}

size_t
acklist_count(const struct acklist *l)
{
	return (size_t)(l->next - l->head);
}

static void
grow(struct acklist *l)
{
	struct acklist old = *l;

	l->cap = old.cap > 0 ? old.cap * 2 : ACKLIST_MIN;
	l->ring = xcalloc(l->cap, sizeof *l->ring);
	for (uint64_t i = old.head; i < old.next; i++)
		*at(l, i) = *at(&old, i);
	free(old.ring);
}

/* First position whose sequence is seq or above. */
static uint64_t
lower_bound(const struct acklist *l, uint64_t seq)
{
	uint64_t low = l->head, high = l->next;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (at(l, middle)->stream_seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
acklist_add(struct acklist *l, const struct jsack *ack)
{
	uint64_t place;

	if (acklist_count(l) == l->cap)
		grow(l);
	if (l->head == l->next || at(l, l->next - 1)->stream_seq < ack->stream_seq) {
		*at(l, l->next++) = *ack;
		return;
	}
	place = lower_bound(l, ack->stream_seq);
	if (at(l, place)->stream_seq != ack->stream_seq) {
		for (uint64_t i = l->next++; i > place; i--)
			*at(l, i) = *at(l, i - 1);
	}
	*at(l, place) = *ack;
}

bool
acklist_has(const struct acklist *l, uint64_t seq)
{
	uint64_t place = lower_bound(l, seq);

	return place < l->next && at(l, place)->stream_seq == seq;
}

bool
acklist_take(struct acklist *l, uint64_t seq, struct jsack *ack)
{
	if (l->head == l->next || at(l, l->head)->stream_seq > seq)
		return false;
	*ack = *at(l, l->head++);
	return true;
}
