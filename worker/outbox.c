/*
 * Advisories that wait, in a worker: a heap by due time and serial, and the C library's balanced tree to
 * find ids, which come from files too and so must not be able to make a search slow. An item is in the tree
 * always, and either in the heap or in the list of those that are out. Knows no connection and no clock.
 */
#include "worker/outbox.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

struct outbox {
	void *by_id; /* of tsearch() */
	struct outbox_item **heap;
	size_t waiting, heap_size;
	LIST_HEAD(, outbox_item) out;
	size_t out_count;
	uint64_t last_serial;
};

static int
compare_ids(const void *a, const void *b)
{
	const struct outbox_item *x = a, *y = b;

	return strcmp(x->id, y->id);
}

struct outbox *
outbox_new(void)
{
	struct outbox *o = xcalloc(1, sizeof *o);

	LIST_INIT(&o->out);
	return o;
}

/* ---- heap ---------------------------------------------------------------------------------------- */

static bool
before(const struct outbox_item *a, const struct outbox_item *b)
{
	return a->due.ns != b->due.ns ? a->due.ns < b->due.ns : a->serial < b->serial;
}

static void
heap_push(struct outbox *o, struct outbox_item *item)
{
	size_t place = o->waiting++;

	if (o->waiting > o->heap_size) {
		o->heap_size = o->heap_size > 0 ? o->heap_size * 2 : 64;
		o->heap = xrealloc(o->heap, o->heap_size * sizeof(struct outbox_item *));
	}
	for (; place > 0 && before(item, o->heap[(place - 1) / 2]); place = (place - 1) / 2)
		o->heap[place] = o->heap[(place - 1) / 2];
	o->heap[place] = item;
}

static struct outbox_item *
heap_pop(struct outbox *o)
{
	struct outbox_item *top = o->heap[0], *last = o->heap[--o->waiting];
	size_t place = 0, child;

	while ((child = 2 * place + 1) < o->waiting) {
		if (child + 1 < o->waiting && before(o->heap[child + 1], o->heap[child]))
			child++;
		if (!before(o->heap[child], last))
			break;
		o->heap[place] = o->heap[child];
		place = child;
	}
	o->heap[place] = last;
	return top;
}

/* ---- items --------------------------------------------------------------------------------------- */

static struct outbox_item *
item_new(const char *id, const char *subject, const char *body)
{
	size_t id_size = strlen(id) + 1, subject_size = strlen(subject) + 1, body_size = strlen(body) + 1;
	struct outbox_item *item = xmalloc(sizeof *item + id_size + subject_size + body_size);

	memset(item, 0, sizeof *item);
	item->id = (char *)(item + 1);
	item->subject = item->id + id_size;
	item->body = item->subject + subject_size;
	item->body_len = body_size - 1;
	memcpy(item->id, id, id_size);
	memcpy(item->subject, subject, subject_size);
	memcpy(item->body, body, body_size);
	return item;
}

bool
outbox_has(const struct outbox *o, const char *id)
{
	char *copy = xstrdup(id);
	struct outbox_item probe = {.id = copy};
	bool found = tfind(&probe, &o->by_id, compare_ids) != NULL;

	free(copy);
	return found;
}

struct outbox_item *
outbox_add(struct outbox *o, const char *id, const char *subject, const char *body, struct mono due)
{
	struct outbox_item *item = item_new(id, subject, body);
	struct outbox_item **found = tsearch(item, &o->by_id, compare_ids);

	if (found == NULL)
		abort(); /* no memory, as everywhere */
	if (*found != item) {
		free(item);
		return NULL;
	}
	item->serial = ++o->last_serial;
	item->due = due;
	heap_push(o, item);
	return item;
}

struct outbox_item *
outbox_take(struct outbox *o, struct mono now)
{
	struct outbox_item *item;

	if (o->waiting == 0 || !mono_reached(now, o->heap[0]->due))
		return NULL;
	item = heap_pop(o);
	LIST_INSERT_HEAD(&o->out, item, out);
	o->out_count++;
	return item;
}

static void
not_out(struct outbox *o, struct outbox_item *item)
{
	LIST_REMOVE(item, out);
	o->out_count--;
}

void
outbox_return(struct outbox *o, struct outbox_item *item, struct mono due)
{
	not_out(o, item);
	item->due = due;
	heap_push(o, item);
}

void
outbox_remove(struct outbox *o, struct outbox_item **item)
{
	not_out(o, *item);
	tdelete(*item, &o->by_id, compare_ids);
	free(*item);
	*item = NULL;
}

void
outbox_free(struct outbox **op)
{
	struct outbox *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->waiting; i++)
		LIST_INSERT_HEAD(&o->out, o->heap[i], out);
	o->out_count += o->waiting;
	while (!LIST_EMPTY(&o->out)) {
		struct outbox_item *item = LIST_FIRST(&o->out);

		outbox_remove(o, &item);
	}
	free(o->heap);
	free(o);
}

/* ---- questions ----------------------------------------------------------------------------------- */

bool
outbox_next_due(const struct outbox *o, struct mono *due)
{
	if (o->waiting > 0)
		*due = o->heap[0]->due;
	return o->waiting > 0;
}

size_t
outbox_count(const struct outbox *o)
{
	return o->waiting + o->out_count;
}

size_t
outbox_out(const struct outbox *o)
{
	return o->out_count;
}

struct outbox_item *
outbox_first_out(const struct outbox *o)
{
	return LIST_FIRST(&o->out);
}

int64_t
outbox_backoff_ms(uint32_t tries, int64_t first_ms, int64_t max_ms)
{
	int64_t wait = first_ms;

	for (uint32_t i = 1; i < tries && wait < max_ms; i++)
		wait *= 2;
	return wait < max_ms ? wait : max_ms;
}
