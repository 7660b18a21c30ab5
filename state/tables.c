/*
 * The small tables of state.db, in the supervisor; behind state.h. Memory has all of them, but for incidents
 * that were written; the file follows. Must not log or wait.
 */
#include "state/tables.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "state/rows.h"
#include "state/samples.h"
#include "state/schema.h"

void
tables_init(struct tables *t)
{
	*t = (struct tables){0};
	t->checkpoints.free_value = memory_free_checkpoint;
	t->meta.free_value = free;
}

void
tables_fini(struct tables *t)
{
	memory_table_fini(&t->checkpoints);
	memory_table_fini(&t->meta);
	memory_leadership_fini(&t->leadership);
	memory_incidents_clear(&t->incidents);
}

bool
tables_dirty(const struct tables *t)
{
	return t->incidents.count > 0 || memory_is_dirty(&t->checkpoints) || memory_is_dirty(&t->meta) ||
	       t->leadership.dirty;
}

void
tables_forget_file(struct tables *t)
{
	memory_set_dirty(&t->checkpoints, true);
	memory_set_dirty(&t->meta, true);
	t->leadership.dirty = t->leadership.known;
}

static void
bind_text(sqlite3_stmt *q, int i, const char *text)
{
	sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

/* A step's answer; the statement is ready for the next use. */
static int
done(sqlite3_stmt *q, int rc)
{
	sqlite3_reset(q);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- the file's rows into memory ----------------------------------------------------------------- */

static void
read_checkpoint(struct tables *t, sqlite3_stmt *q)
{
	const char *topic = rows_text(q, 0), *worker = rows_text(q, 1);
	struct proto_checkpoint *c;

	if (memory_find(&t->checkpoints, topic, worker) != NULL)
		return;
	c = xmalloc(sizeof *c);
	rows_read_checkpoint(q, c);
	memory_put(&t->checkpoints, topic, worker, c, false);
}

static void
read_meta(struct tables *t, sqlite3_stmt *q)
{
	const char *key = rows_text(q, 0);

	/* notes of samples are true of the file that they are in, and of no other */
	if (strncmp(key, SAMPLES_NOTE_KEY, strlen(SAMPLES_NOTE_KEY)) == 0)
		return;
	if (memory_find(&t->meta, key, "") == NULL)
		memory_put(&t->meta, key, "", xstrdup(rows_text(q, 1)), false);
}

static int
read_rows(struct tables *t, sqlite3 *db, const char *sql, void (*read_row)(struct tables *, sqlite3_stmt *))
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	while (sqlite3_step(q) == SQLITE_ROW)
		read_row(t, q);
	return sqlite3_finalize(q);
}

int
tables_read(struct tables *t, sqlite3 *db)
{
	int rc = read_rows(t, db, "SELECT " ROWS_CHECKPOINT_COLUMNS " FROM checkpoint", read_checkpoint);

	return rc == SQLITE_OK ? read_rows(t, db, "SELECT key, value FROM meta", read_meta) : rc;
}

/* ---- memory into the file ------------------------------------------------------------------------ */

static int
write_checkpoint(sqlite3_stmt *q, const struct memory_row *row)
{
	return done(q, rows_write_checkpoint(q, row->first, row->second, row->value));
}

static int
write_meta(sqlite3_stmt *q, const struct memory_row *row)
{
	bind_text(q, 1, row->first);
	bind_text(q, 2, row->value);
	return done(q, sqlite3_step(q));
}

static int
write_rows(sqlite3 *db, const struct memory_table *t, const char *sql,
	   int (*write_row)(sqlite3_stmt *, const struct memory_row *))
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

	for (size_t i = 0; rc == SQLITE_OK && i < t->count; i++)
		if (t->rows[i].dirty)
			rc = write_row(q, &t->rows[i]);
	sqlite3_finalize(q);
	return rc;
}

static int
write_leader(sqlite3_stmt *q, const struct state_leadership *row)
{
	bind_text(q, 1, row->name);
	bind_text(q, 2, row->topic);
	bind_text(q, 3, row->role);
	sqlite3_bind_int64(q, 4, (sqlite3_int64)row->term);
	bind_text(q, 5, row->leader);
	sqlite3_bind_int64(q, 6, row->since_ms);
	return done(q, sqlite3_step(q));
}

/* Also gone is what an earlier configuration had. */
static int
write_leadership(sqlite3 *db, const struct memory_leadership *m)
{
	sqlite3_stmt *q;
	int rc;

	if (!m->dirty)
		return SQLITE_OK;
	rc = sqlite3_exec(db, "DELETE FROM leadership", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_prepare_v2(db,
				"INSERT OR REPLACE INTO leadership (name, topic, role, term, leader, since)"
				" VALUES (?, ?, ?, ?, ?, ?)",
				-1, &q, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < m->count; i++)
		rc = write_leader(q, &m->rows[i]);
	sqlite3_finalize(q);
	return rc;
}

static int
prune_incidents(sqlite3 *db)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, "DELETE FROM incident WHERE id <= (SELECT max(id) FROM incident) - ?",
				    -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int(q, 1, STATE_INCIDENTS_KEPT);
	rc = done(q, sqlite3_step(q));
	sqlite3_finalize(q);
	return rc;
}

static int
write_incidents(sqlite3 *db, const struct memory_incidents *m)
{
	sqlite3_stmt *q;
	int rc;

	if (m->count == 0)
		return SQLITE_OK;
	rc = sqlite3_prepare_v2(db, "INSERT INTO incident (at, topic, kind, detail) VALUES (?, ?, ?, ?)", -1,
				&q, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < m->count; i++) {
		const struct memory_incident *incident = memory_incidents_at(m, i);

		sqlite3_bind_int64(q, 1, incident->at_ms);
		bind_text(q, 2, incident->topic);
		bind_text(q, 3, incident->kind);
		bind_text(q, 4, incident->detail);
		rc = done(q, sqlite3_step(q));
	}
	sqlite3_finalize(q);
	return rc == SQLITE_OK ? prune_incidents(db) : rc;
}

int
tables_write(const struct tables *t, sqlite3 *db)
{
	int rc = write_rows(db, &t->checkpoints,
			    "INSERT OR REPLACE INTO checkpoint (" ROWS_CHECKPOINT_COLUMNS
			    ") VALUES (" ROWS_CHECKPOINT_PLACES ")",
			    write_checkpoint);

	if (rc == SQLITE_OK)
		rc = write_rows(db, &t->meta, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
				write_meta);
	if (rc == SQLITE_OK)
		rc = write_leadership(db, &t->leadership);
	return rc == SQLITE_OK ? write_incidents(db, &t->incidents) : rc;
}

void
tables_committed(struct tables *t)
{
	memory_set_dirty(&t->checkpoints, false);
	memory_set_dirty(&t->meta, false);
	t->leadership.dirty = false;
	memory_incidents_clear(&t->incidents);
}
