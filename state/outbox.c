/*
 * The outbox of reliable advisories, in the supervisor; behind state.h. All of it is in memory, so that a
 * lost file is made anew, and that what is put and done between two commits never costs a write.
 *
 * Ids sort by time, so that new rows come last and rows that are done stand in front: these are only marked,
 * and leave memory many at a time. Must not log or wait.
 */
#include "state/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "state/rows.h"
#include "state/state.h"

#define WRITE_ROWS 4000 /* of a transaction */
#define DEAD_ROWS  64   /* are not worth a sweep */

/* ---- rows ---------------------------------------------------------------------------------------- */

static void
free_texts(struct outbox_row *row)
{
	free(row->subject);
	free(row->body);
	row->subject = row->body = NULL;
}

void
outbox_fini(struct outbox *o)
{
	for (size_t i = 0; i < o->count; i++) {
		struct outbox_topic *t = &o->topics[i];

		for (size_t k = 0; k < t->count; k++) {
			free_texts(&t->rows[k]);
			free(t->rows[k].id);
		}
		free(t->rows);
		free(t->topic);
	}
	free(o->topics);
	*o = (struct outbox){0};
}

static struct outbox_topic *
find_topic(const struct outbox *o, const char *topic)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->topics[i].topic, topic) == 0)
			return &o->topics[i];
	return NULL;
}

static struct outbox_topic *
find_or_add_topic(struct outbox *o, const char *topic)
{
	struct outbox_topic *t = find_topic(o, topic);

	if (t != NULL)
		return t;
	o->topics = xrealloc(o->topics, (o->count + 1) * sizeof *o->topics);
	t = &o->topics[o->count++];
	*t = (struct outbox_topic){.topic = xstrdup(topic)};
	return t;
}

/* Where the row is, or belongs. */
static size_t
place(const struct outbox_topic *t, const char *id, bool *found)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(t->rows[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < t->count && strcmp(t->rows[low].id, id) == 0;
	return low;
}

/* Gone, and not in the file: it has no business in memory. */
static bool
is_dead(const struct outbox_row *row)
{
	return row->gone && !row->dirty;
}

static void
sweep(struct outbox_topic *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (is_dead(&t->rows[i]))
			free(t->rows[i].id);
		else
			t->rows[kept++] = t->rows[i];
	}
	t->count = kept;
	t->dead = 0;
}

/* NULL if the topic has too many. */
static struct outbox_row *
find_or_add(struct outbox_topic *t, const char *id, bool *found)
{
	size_t at = place(t, id, found);

	if (*found)
		return &t->rows[at];
	if (t->count >= STATE_OUTBOX_KEPT && t->dead > 0) {
		sweep(t);
		at = place(t, id, found);
	}
	if (t->count >= STATE_OUTBOX_KEPT)
		return NULL;
	if (t->count == t->room) {
		t->room = t->room == 0 ? 16 : t->room * 2;
		t->rows = xrealloc(t->rows, t->room * sizeof *t->rows);
	}
	memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof *t->rows);
	t->count++;
	t->rows[at] = (struct outbox_row){.id = xstrdup(id)};
	return &t->rows[at];
}

/* What a row is from now on: the one place that keeps the topic's counts. */
static void
set_row(struct outbox_topic *t, struct outbox_row *row, bool gone, bool dirty)
{
	t->dirty -= row->dirty;
	t->dead -= is_dead(row);
	row->gone = gone;
	row->dirty = dirty;
	t->dirty += row->dirty;
	t->dead += is_dead(row);
}

static void
fill(struct outbox_row *row, const struct proto_advisory *a)
{
	free_texts(row);
	row->subject = xstrdup(a->subject);
	row->body = xstrdup(a->body);
	row->tries = a->tries;
	row->next_try_ms = a->next_try_ms;
}

bool
outbox_put(struct outbox *o, const char *topic, const struct proto_advisory *a)
{
	struct outbox_topic *t = find_or_add_topic(o, topic);
	bool found;
	struct outbox_row *row = find_or_add(t, a->id, &found);

	if (row == NULL)
		return false;
	if (a->op == ADVISORY_PUT) {
		fill(row, a);
		set_row(t, row, false, true);
		return true;
	}
	/* of one that memory does not know the file may know */
	row->in_file = row->in_file || !found;
	free_texts(row);
	set_row(t, row, true, row->in_file);
	if (t->dead > DEAD_ROWS && t->dead > t->count / 2)
		sweep(t);
	return true;
}

bool
outbox_dirty(const struct outbox *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->topics[i].dirty > 0)
			return true;
	return false;
}

bool
outbox_dirty_of(const struct outbox *o, const char *topic)
{
	const struct outbox_topic *t = find_topic(o, topic);

	return t != NULL && t->dirty > 0;
}

bool
outbox_holds(const struct outbox *o, const char *topic)
{
	const struct outbox_topic *t = find_topic(o, topic);

	return t != NULL && t->dirty > 0 && !t->open;
}

/* ---- the file's rows into memory ----------------------------------------------------------------- */

static void
read_row(struct outbox *o, sqlite3_stmt *q)
{
	struct proto_advisory a;
	struct outbox_topic *t;
	struct outbox_row *row;
	bool found;

	if (!rows_read_advisory(q, &a))
		return;
	t = find_or_add_topic(o, rows_text(q, 0));
	row = find_or_add(t, a.id, &found);
	if (row == NULL || found)
		return;
	fill(row, &a);
	row->in_file = true;
}

int
outbox_read(struct outbox *o, sqlite3 *db)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, "SELECT " ROWS_ADVISORY_COLUMNS " FROM advisory_outbox ORDER BY id",
				    -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	while (sqlite3_step(q) == SQLITE_ROW)
		read_row(o, q);
	return sqlite3_finalize(q);
}

/* ---- memory into the file ------------------------------------------------------------------------ */

struct writer {
	sqlite3_stmt *put, *remove;
	size_t room; /* rows that this transaction still takes */
};

static int
write_row(const struct writer *w, const char *topic, const struct outbox_row *row)
{
	sqlite3_stmt *q = row->gone ? w->remove : w->put;
	int rc;

	sqlite3_bind_text(q, 1, topic, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, row->id, -1, SQLITE_STATIC);
	if (!row->gone) {
		sqlite3_bind_text(q, 3, row->subject, -1, SQLITE_STATIC);
		sqlite3_bind_text(q, 4, row->body, -1, SQLITE_STATIC);
		sqlite3_bind_int64(q, 5, row->tries);
		sqlite3_bind_int64(q, 6, row->next_try_ms);
	}
	rc = sqlite3_step(q);
	sqlite3_reset(q);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
write_topic(struct outbox_topic *t, struct writer *w)
{
	size_t left = t->dirty;
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && left > 0 && w->room > 0 && i < t->count; i++) {
		if (!t->rows[i].dirty)
			continue;
		rc = write_row(w, t->topic, &t->rows[i]);
		t->rows[i].open = t->open_rows = true;
		w->room--;
		left--;
	}
	t->open = left == 0;
	return rc;
}

/* What a transaction that failed has left. */
static void
close_rows(struct outbox_topic *t)
{
	t->open = t->open_rows = false;
	for (size_t i = 0; i < t->count; i++)
		t->rows[i].open = false;
}

static int
write_topics(struct outbox *o, struct writer *w)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < o->count; i++) {
		struct outbox_topic *t = &o->topics[(o->turn + i) % o->count];

		if (t->dirty == 0)
			continue;
		close_rows(t);
		rc = write_topic(t, w);
	}
	return rc;
}

int
outbox_write(struct outbox *o, sqlite3 *db)
{
	struct writer w = {.room = WRITE_ROWS};
	int rc;

	if (!outbox_dirty(o))
		return SQLITE_OK;
	rc = sqlite3_prepare_v2(db,
				"INSERT OR REPLACE INTO advisory_outbox (" ROWS_ADVISORY_COLUMNS
				") VALUES (?, ?, ?, ?, ?, ?)",
				-1, &w.put, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "DELETE FROM advisory_outbox WHERE topic = ? AND id = ?", -1,
					&w.remove, NULL);
	if (rc == SQLITE_OK)
		rc = write_topics(o, &w);
	sqlite3_finalize(w.put);
	sqlite3_finalize(w.remove);
	return rc;
}

static void
topic_committed(struct outbox_topic *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct outbox_row *row = &t->rows[i];

		if (!row->open)
			continue;
		set_row(t, row, row->gone, false);
		row->in_file = !row->gone;
		row->open = false;
	}
	t->open = t->open_rows = false;
	if (t->dead > 0)
		sweep(t);
}

void
outbox_committed(struct outbox *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->topics[i].open_rows)
			topic_committed(&o->topics[i]);
	if (o->count > 0)
		o->turn = (o->turn + 1) % o->count;
}

void
outbox_forget_file(struct outbox *o)
{
	for (size_t i = 0; i < o->count; i++) {
		struct outbox_topic *t = &o->topics[i];

		/* a row that is gone may be in a file that was changed */
		for (size_t k = 0; k < t->count; k++)
			set_row(t, &t->rows[k], t->rows[k].gone, !t->rows[k].gone || t->rows[k].in_file);
	}
}
