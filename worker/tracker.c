/*
 * See tracker.h. The table is made of four parts that know nothing of each other: pages (memory and ids),
 * index (by hash), rings (queues), wheel (schedule). Runs in the worker's loop: every call is short, whatever
 * the number of values. An entry is in the index as long as it is in; in rings and wheel as its flags say,
 * and tracker_remove() takes it out of all, so no id that stands anywhere is without its entry.
 */
#include "worker/tracker.h"

#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "common/siphash.h"
#include "common/xalloc.h"
#include "worker/tracker_internal.h"

struct tracker {
	uint32_t max, count;
	struct siphash_key key;
	struct tracker_pages pages;
	struct tracker_index index;
	struct tracker_wheel wheel;
	struct tracker_ring rings[TRACKER_QUEUES];
};

struct tracker *
tracker_new(uint32_t max, uint64_t seed)
{
	struct tracker *t = xcalloc(1, sizeof *t);

	t->max = max;
	t->key = siphash_key(seed);
	tracker_pages_init(&t->pages);
	tracker_index_init(&t->index, max);
	tracker_wheel_init(&t->wheel);
	for (int q = 0; q < TRACKER_QUEUES; q++)
		tracker_ring_init(&t->rings[q]);
	return t;
}

void
tracker_free(struct tracker **t)
{
	if (!*t)
		return;
	tracker_pages_fini(&(*t)->pages);
	tracker_index_fini(&(*t)->index);
	for (int q = 0; q < TRACKER_QUEUES; q++)
		tracker_ring_fini(&(*t)->rings[q]);
	free(*t);
	*t = NULL;
}

uint32_t
tracker_count(const struct tracker *t)
{
	return t->count;
}

size_t
tracker_bytes(const struct tracker *t)
{
	size_t bytes = sizeof *t + tracker_pages_bytes(&t->pages) + tracker_index_bytes(&t->index);

	for (int q = 0; q < TRACKER_QUEUES; q++)
		bytes += tracker_ring_bytes(&t->rings[q]);
	return bytes;
}

static uint32_t
hash_of(const struct tracker *t, const char *value, size_t len)
{
	return (uint32_t)(siphash_1_3(&t->key, value, len) >> 32);
}

struct tracker_entry *
tracker_find(const struct tracker *t, const char *value, size_t len)
{
	struct tracker_probe probe = tracker_index_probe(&t->index, hash_of(t, value, len));
	uint32_t id;

	while ((id = tracker_index_next(&probe)) != TRACKER_NONE) {
		struct tracker_entry *e = tracker_pages_get(&t->pages, id);

		if (e->value_len == len && memcmp(e->value, value, len) == 0)
			return e;
	}
	return NULL;
}

struct tracker_entry *
tracker_add(struct tracker *t, const char *value, size_t len)
{
	if (t->count >= t->max || len == 0 || len > SAMPLE_VALUE_MAX)
		return NULL;
	struct tracker_entry *e = tracker_pages_take(&t->pages, len);

	if (!e)
		return NULL;
	memcpy(e->value, value, len);
	e->value[len] = '\0';
	tracker_index_add(&t->index, hash_of(t, value, len), e->id);
	t->count++;
	return e;
}

static bool
is_queued(const struct tracker_entry *e, enum tracker_queue q)
{
	return q == TRACKER_STATE_DB ? e->queued_state_db : e->queued_gossip;
}

static void
set_queued(struct tracker_entry *e, enum tracker_queue q, bool queued)
{
	if (q == TRACKER_STATE_DB)
		e->queued_state_db = queued;
	else
		e->queued_gossip = queued;
}

void
tracker_remove(struct tracker *t, struct tracker_entry *e)
{
	for (enum tracker_queue q = 0; q < TRACKER_QUEUES; q++)
		if (is_queued(e, q))
			tracker_ring_remove(&t->rings[q], e->place[q]);
	if (e->scheduled)
		tracker_wheel_unlink(&t->wheel, &t->pages, e);
	tracker_index_remove(&t->index, hash_of(t, e->value, e->value_len), e->id);
	tracker_pages_give(&t->pages, e);
	t->count--;
}

const char *
tracker_value(const struct tracker_entry *e, size_t *len)
{
	*len = e->value_len;
	return e->value;
}

uint32_t
tracker_id(const struct tracker *t, const struct tracker_entry *e)
{
	(void)t;
	return e->id;
}

struct tracker_entry *
tracker_at(const struct tracker *t, uint32_t id)
{
	return tracker_pages_at(&t->pages, id);
}

struct tracker_entry *
tracker_next(const struct tracker *t, uint64_t *cursor)
{
	return tracker_pages_next(&t->pages, cursor);
}

/* Put off: it stays where it is, and moves when its slot comes up. */
void
tracker_schedule(struct tracker *t, struct tracker_entry *e, int64_t at_ms)
{
	bool later = e->scheduled && at_ms >= e->at_ms;

	e->at_ms = at_ms;
	if (later)
		return;
	if (e->scheduled)
		tracker_wheel_unlink(&t->wheel, &t->pages, e);
	tracker_wheel_link(&t->wheel, &t->pages, e);
}

struct tracker_entry *
tracker_due(struct tracker *t, int64_t now_ms, uint32_t max_steps, bool *more)
{
	return tracker_wheel_due(&t->wheel, &t->pages, now_ms, max_steps, more);
}

void
tracker_push(struct tracker *t, enum tracker_queue q, struct tracker_entry *e)
{
	if (is_queued(e, q))
		return;
	e->place[q] = tracker_ring_push(&t->rings[q], e->id);
	set_queued(e, q, true);
}

struct tracker_entry *
tracker_pop(struct tracker *t, enum tracker_queue q)
{
	uint32_t id = tracker_ring_pop(&t->rings[q]);

	if (id == TRACKER_NONE)
		return NULL;
	struct tracker_entry *e = tracker_pages_get(&t->pages, id);

	set_queued(e, q, false);
	return e;
}

uint32_t
tracker_queued(const struct tracker *t, enum tracker_queue q)
{
	return t->rings[q].live;
}

uint64_t
tracker_tail(const struct tracker *t, enum tracker_queue q)
{
	return t->rings[q].tail;
}

bool
tracker_passed(const struct tracker *t, enum tracker_queue q, uint64_t place)
{
	return t->rings[q].head >= place;
}
