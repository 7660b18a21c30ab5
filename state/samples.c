/*
 * Batches of the table `sample`, in the supervisor; behind state.h.
 *
 * Rows of a batch are the truth as soon as they are in the file, each by itself; its note is true only with
 * all of them, so it is written with the last. Whatever is killed, the note in the file never claims more
 * than the rows there hold: a worker that starts reads back from its target what came after the note.
 *
 * Where rows may be lost (the file was removed, set aside, changed by others), the note is dropped with the
 * next transaction, and the worker is asked for all rows again. Until it has heard that, its notes speak of
 * rows that it believes stored: they are not taken. It has heard it with the answer to a batch; or, told of
 * out of turn, at the latest when it sends the second batch from then on, for it sends one at a time.
 *
 * Memory: one batch a topic, but at the end of its process, which sends all that it has left. Time: the rows
 * of a transaction are as many as took less than a tenth of a second or so before, because the supervisor has
 * elections to attend to. Must not log or wait.
 */
#include "state/samples.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

#define ROWS_MAX   20000 /* of a transaction */
#define ROWS_MIN   500
#define ROWS_FIRST 8000
#define QUICK_MS   60 /* faster: more rows next time */
#define SLOW_MS    120

/* ---- topics -------------------------------------------------------------------------------------- */

void
samples_init(struct samples *s)
{
	*s = (struct samples){.budget = ROWS_FIRST};
}

static void
drop_batch(struct samples_topic *t)
{
	free(t->rows);
	free(t->note);
	t->rows = NULL;
	t->note = NULL;
	t->waiting = false;
}

void
samples_fini(struct samples *s)
{
	for (size_t i = 0; i < s->count; i++) {
		drop_batch(&s->topics[i]);
		free(s->topics[i].topic);
	}
	free(s->topics);
	*s = (struct samples){0};
}

static struct samples_topic *
find(const struct samples *s, const char *topic)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->topics[i].topic, topic) == 0)
			return &s->topics[i];
	return NULL;
}

static struct samples_topic *
find_or_add(struct samples *s, const char *topic)
{
	struct samples_topic *t = find(s, topic);

	if (t != NULL)
		return t;
	s->topics = xrealloc(s->topics, (s->count + 1) * sizeof *s->topics);
	t = &s->topics[s->count++];
	*t = (struct samples_topic){.topic = xstrdup(topic)};
	return t;
}

void
samples_start(struct samples *s, const char *topic)
{
	struct samples_topic *t = find_or_add(s, topic);

	t->orphan = true;
	t->stored = t->again = t->distrust = false;
}

bool
samples_wait(const struct samples *s, const char *topic)
{
	const struct samples_topic *t = find(s, topic);

	return t != NULL && (t->waiting || t->drop_note);
}

void
samples_first(struct samples *s, const char *topic)
{
	find_or_add(s, topic)->order = --s->first_order;
}

/* The same process sends more of them before the last ones are in: it is about to end. */
static void
append_batch(struct samples_topic *t, const struct proto_samples *batch)
{
	t->serial = batch->serial;
	if (batch->note != NULL && batch->note[0] != '\0' && !t->again && !t->distrusted) {
		free(t->note);
		t->note = xstrdup(batch->note);
	}
	t->rows = xrealloc(t->rows, t->rows_len + batch->rows_len + 1);
	memcpy(t->rows + t->rows_len, batch->rows, batch->rows_len);
	t->rows_len += batch->rows_len;
}

void
samples_put(struct samples *s, const char *topic, const struct proto_samples *batch)
{
	struct samples_topic *t = find_or_add(s, topic);

	if (t->waiting && !t->orphan) {
		append_batch(t, batch);
		return;
	}
	drop_batch(t);
	t->waiting = true;
	t->distrusted = t->again || t->distrust;
	t->orphan = false;
	t->order = ++s->last_order;
	t->serial = batch->serial;
	t->note = xstrdup(t->again || t->distrust || batch->note == NULL ? "" : batch->note);
	t->distrust = false;
	t->rows = xmalloc(batch->rows_len + 1);
	memcpy(t->rows, batch->rows, batch->rows_len);
	t->rows_len = batch->rows_len;
	t->written = 0;
}

bool
samples_dirty(const struct samples *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->topics[i].waiting || s->topics[i].drop_note)
			return true;
	return false;
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* What a transaction needs. */
struct writer {
	sqlite3_stmt *put, *remove;
	struct proto_sample *row; /* room for as many as the budget */
};

/* In the order of the table, so that each of its pages is touched once; of a value that is there twice, the
 * later row comes later. */
static int
compare_rows(const void *one, const void *other)
{
	const struct proto_sample *a = one, *b = other;
	size_t len = a->value_len < b->value_len ? a->value_len : b->value_len;
	int order = memcmp(a->value, b->value, len);

	if (order != 0)
		return order;
	if (a->value_len != b->value_len)
		return a->value_len < b->value_len ? -1 : 1;
	return a->value < b->value ? -1 : 1;
}

static int
write_row(const struct writer *w, const char *topic, const struct proto_sample *row)
{
	sqlite3_stmt *q = row->forgotten ? w->remove : w->put;
	int rc;

	sqlite3_bind_text(q, 1, topic, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, row->value, (int)row->value_len, SQLITE_STATIC);
	if (!row->forgotten) {
		sqlite3_bind_int64(q, 3, row->seen_ms);
		sqlite3_bind_int64(q, 4, row->copied_ms);
		sqlite3_bind_int64(q, 5, row->size);
		sqlite3_bind_int(q, 6, row->advised);
	}
	rc = sqlite3_step(q);
	sqlite3_reset(q);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
run(sqlite3 *db, const char *sql, const char *key, const char *value)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	if (value != NULL)
		sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
	sqlite3_step(q);
	return sqlite3_finalize(q);
}

static int
write_note(sqlite3 *db, const char *topic, const char *note)
{
	char *key = xasprintf("%s%s", SAMPLES_NOTE_KEY, topic);
	int rc = note[0] == '\0'
		     ? run(db, "DELETE FROM meta WHERE key = ?", key, NULL)
		     : run(db, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, note);

	free(key);
	return rc;
}

/* The next rows of the batch, in the order of the table; t->writing says where they end. */
static size_t
take_rows(struct samples_topic *t, struct proto_sample *row, size_t room)
{
	const uint8_t *at = t->rows + t->written;
	size_t left = t->rows_len - t->written, count = 0;

	while (count < room && proto_sample_decode(&at, &left, &row[count]))
		count++;
	t->writing = t->rows_len - left;
	t->open = true;
	qsort(row, count, sizeof *row, compare_rows);
	return count;
}

static int
write_batch(struct samples *s, const struct writer *w, sqlite3 *db, struct samples_topic *t)
{
	size_t count = take_rows(t, w->row, s->budget - s->rows);
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
		rc = write_row(w, t->topic, &w->row[i]);
	s->rows += count;
	if (rc == SQLITE_OK && t->writing == t->rows_len && t->note[0] != '\0')
		rc = write_note(db, t->topic, t->note);
	return rc;
}

static int
prepare(const struct samples *s, struct writer *w, sqlite3 *db)
{
	static const char put[] = "INSERT INTO sample (topic, value, seen, copied, size, advised)"
				  " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (topic, value) DO UPDATE SET"
				  " seen = excluded.seen, copied = excluded.copied, size = excluded.size,"
				  " advised = excluded.advised";
	int rc = sqlite3_prepare_v2(db, put, -1, &w->put, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "DELETE FROM sample WHERE topic = ? AND value = ?", -1,
					&w->remove, NULL);
	if (rc == SQLITE_OK)
		w->row = xcalloc(s->budget, sizeof *w->row);
	return rc;
}

static void
finish(struct writer *w)
{
	sqlite3_finalize(w->put);
	sqlite3_finalize(w->remove);
	free(w->row);
}

/* The oldest batch that is younger than the one written last, NULL behind the youngest. */
static struct samples_topic *
next_batch(const struct samples *s, const struct samples_topic *last)
{
	struct samples_topic *next = NULL;

	for (size_t i = 0; i < s->count; i++) {
		struct samples_topic *t = &s->topics[i];

		if (t->waiting && (last == NULL || t->order > last->order) &&
		    (next == NULL || t->order < next->order))
			next = t;
	}
	return next;
}

static int
write_batches(struct samples *s, sqlite3 *db, bool (*held)(const void *arg, const char *topic),
	      const void *arg)
{
	struct writer w = {0};
	struct samples_topic *t = next_batch(s, NULL);
	int rc = t != NULL ? prepare(s, &w, db) : SQLITE_OK;

	for (; rc == SQLITE_OK && t != NULL && s->rows < s->budget; t = next_batch(s, t))
		if (!held(arg, t->topic))
			rc = write_batch(s, &w, db, t);
	finish(&w);
	return rc;
}

int
samples_write(struct samples *s, sqlite3 *db, bool (*held)(const void *arg, const char *topic),
	      const void *arg)
{
	int rc = SQLITE_OK;

	s->rows = 0;
	for (size_t i = 0; i < s->count; i++)
		s->topics[i].open = false;
	for (size_t i = 0; rc == SQLITE_OK && i < s->count; i++)
		if (s->topics[i].drop_note)
			rc = write_note(db, s->topics[i].topic, "");
	return rc == SQLITE_OK ? write_batches(s, db, held, arg) : rc;
}

/* ---- afterwards ---------------------------------------------------------------------------------- */

static void
batch_committed(struct samples_topic *t)
{
	t->written = t->writing;
	if (t->written < t->rows_len)
		return;
	if (!t->orphan) {
		t->stored = true;
		t->stored_serial = t->serial;
	}
	drop_batch(t);
}

void
samples_committed(struct samples *s)
{
	for (size_t i = 0; i < s->count; i++) {
		s->topics[i].drop_note = false;
		if (s->topics[i].open)
			batch_committed(&s->topics[i]);
		s->topics[i].open = false;
	}
}

void
samples_took(struct samples *s, int64_t ms)
{
	if (s->rows == 0)
		return;
	if (ms > SLOW_MS)
		s->budget = s->rows / 2 > ROWS_MIN ? s->rows / 2 : ROWS_MIN;
	else if (ms < QUICK_MS && s->rows == s->budget)
		s->budget = s->budget * 3 / 2 < ROWS_MAX ? s->budget * 3 / 2 : ROWS_MAX;
}

void
samples_forget_file(struct samples *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct samples_topic *t = &s->topics[i];

		t->again = t->drop_note = true;
		t->written = 0;
		/* it relies on rows that may be gone */
		if (t->waiting)
			t->note[0] = '\0';
	}
}

bool
samples_take(struct samples *s, char **topic, struct proto_samples_stored *stored)
{
	for (size_t i = 0; i < s->count; i++) {
		struct samples_topic *t = &s->topics[i];
		bool answer = t->stored;

		/* a batch that waits is an occasion to come */
		if (!answer && (!t->again || (t->waiting && !t->orphan)))
			continue;
		*topic = xstrdup(t->topic);
		*stored = (struct proto_samples_stored){answer ? t->stored_serial : 0, t->again};
		t->distrust = t->again && !answer;
		t->stored = t->again = false;
		return true;
	}
	return false;
}
