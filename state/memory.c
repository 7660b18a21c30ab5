/*
 * The writer's memory, in the supervisor. Rows are few (one a worker, a handful of meta), so tables are
 * sorted arrays; incidents are bounded by a ring. No SQLite here.
 */
#include "state/memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "state/schema.h"

/* ---- rows by key --------------------------------------------------------------------------------- */

/* Where the row is, or belongs. */
static size_t
place(const struct memory_table *t, const char *first, const char *second, bool *found)
{
	size_t low = 0, high = t->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(t->rows[middle].first, first);

		if (order == 0)
			order = strcmp(t->rows[middle].second, second);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct memory_row *
insert(struct memory_table *t, size_t at, const char *first, const char *second)
{
	if (t->count == t->room) {
		t->room = t->room == 0 ? 16 : t->room * 2;
		t->rows = xrealloc(t->rows, t->room * sizeof *t->rows);
	}
	memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof *t->rows);
	t->count++;
	t->rows[at] = (struct memory_row){.first = xstrdup(first), .second = xstrdup(second)};
	return &t->rows[at];
}

void
memory_table_fini(struct memory_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->rows[i].first);
		free(t->rows[i].second);
		t->free_value(t->rows[i].value);
	}
	free(t->rows);
	t->rows = NULL;
	t->count = t->room = 0;
}

struct memory_row *
memory_find(const struct memory_table *t, const char *first, const char *second)
{
	bool found;
	size_t at = place(t, first, second, &found);

	return found ? &t->rows[at] : NULL;
}

void
memory_put(struct memory_table *t, const char *first, const char *second, void *value, bool dirty)
{
	bool found;
	size_t at = place(t, first, second, &found);
	struct memory_row *row = found ? &t->rows[at] : insert(t, at, first, second);

	if (row->value != NULL)
		t->free_value(row->value);
	row->value = value;
	row->dirty = dirty;
}

void
memory_set_dirty(struct memory_table *t, bool dirty)
{
	for (size_t i = 0; i < t->count; i++)
		t->rows[i].dirty = dirty;
}

bool
memory_is_dirty(const struct memory_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].dirty)
			return true;
	return false;
}

/* ---- incidents ----------------------------------------------------------------------------------- */

static void
free_incident(struct memory_incident *i)
{
	free(i->topic);
	free(i->kind);
	free(i->detail);
}

/* One slot more, up to STATE_INCIDENTS_KEPT; then the oldest goes. */
static struct memory_incident *
next_slot(struct memory_incidents *m)
{
	if (m->count == m->room && m->room < STATE_INCIDENTS_KEPT) {
		/* until it is full for good, nothing was dropped and the ring starts at 0 */
		m->room = m->room == 0 ? 16 : m->room * 2;
		if (m->room > STATE_INCIDENTS_KEPT)
			m->room = STATE_INCIDENTS_KEPT;
		m->ring = xrealloc(m->ring, m->room * sizeof *m->ring);
	}
	if (m->count == m->room) {
		free_incident(&m->ring[m->first]);
		m->first = (m->first + 1) % m->room;
		m->count--;
	}
	return &m->ring[(m->first + m->count++) % m->room];
}

void
memory_incidents_add(struct memory_incidents *m, int64_t at_ms, const char *topic, const char *kind,
		     const char *detail, size_t detail_max)
{
	struct memory_incident *i = next_slot(m);

	i->at_ms = at_ms;
	i->topic = xstrdup(topic);
	i->kind = xstrdup(kind);
	i->detail = xstrndup(detail, detail_max);
}

const struct memory_incident *
memory_incidents_at(const struct memory_incidents *m, size_t i)
{
	return &m->ring[(m->first + i) % m->room];
}

void
memory_incidents_clear(struct memory_incidents *m)
{
	for (size_t i = 0; i < m->count; i++)
		free_incident(&m->ring[(m->first + i) % m->room]);
	free(m->ring);
	*m = (struct memory_incidents){0};
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

struct proto_checkpoint *
memory_copy_checkpoint(const struct proto_checkpoint *c)
{
	struct proto_checkpoint *copy = xmalloc(sizeof *copy);

	*copy = *c;
	copy->source_stream = xstrdup(c->source_stream != NULL ? c->source_stream : "");
	copy->target_stream = xstrdup(c->target_stream != NULL ? c->target_stream : "");
	return copy;
}

void
memory_free_checkpoint(void *checkpoint)
{
	struct proto_checkpoint *c = checkpoint;

	if (c != NULL) {
		proto_checkpoint_fini(c);
		free(c);
	}
}

/* ---- leadership ---------------------------------------------------------------------------------- */

/* Rows own copies of their texts, which struct state_leadership has as const. */
static void
free_text(const char *text)
{
	free((void *)(uintptr_t)text);
}

static void
free_rows(struct memory_leadership *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free_text(m->rows[i].name);
		free_text(m->rows[i].topic);
		free_text(m->rows[i].role);
		free_text(m->rows[i].leader);
	}
	free(m->rows);
}

void
memory_leadership_put(struct memory_leadership *m, const struct state_leadership *rows, size_t count)
{
	struct state_leadership *copy = xcalloc(count + 1, sizeof *copy);

	for (size_t i = 0; i < count; i++) {
		copy[i] = rows[i];
		copy[i].name = xstrdup(rows[i].name);
		copy[i].topic = xstrdup(rows[i].topic);
		copy[i].role = xstrdup(rows[i].role);
		copy[i].leader = xstrdup(rows[i].leader);
	}
	free_rows(m);
	*m = (struct memory_leadership){.rows = copy, .count = count, .known = true, .dirty = true};
}

void
memory_leadership_fini(struct memory_leadership *m)
{
	free_rows(m);
	*m = (struct memory_leadership){0};
}
