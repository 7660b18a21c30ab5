/*
 * The one writer of state.db, in the supervisor; behind state.h. What was put is in memory first; a commit
 * brings the file up to it in one transaction.
 *
 * Invariants: a row is clean only if the transaction that wrote it was committed to the file that has the
 * name now. Rows of the file that memory does not have are read whenever a file is opened; where both have
 * one, memory is newer. Must not log, wait or exit.
 */
#include "state/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/strbuf.h"
#include "common/xalloc.h"
#include "state/dbfile.h"
#include "state/memory.h"
#include "state/rows.h"
#include "state/schema.h"

#define DETAIL_MAX 4000

struct state {
	char *dir;
	char *path;
	sqlite3 *db; /* NULL while it cannot be opened */
	struct dbfile_id id;
	bool was_read; /* a file was opened once: what memory does not have is not there */
	struct memory_table checkpoints;
	struct memory_table meta;
	struct memory_leadership leadership;
	struct memory_incidents incidents;
	struct strbuf news;
	struct error problem;
};

/* ---- small things -------------------------------------------------------------------------------- */

static void
add_news(struct state *s, const char *kind, const char *text)
{
	if (s->news.len > 0)
		strbuf_adds(&s->news, "; ");
	strbuf_adds(&s->news, text);
	state_add_incident(s, wall_ms(), "", kind, text);
}

/* Memory is all there is: everything is to be written. */
static void
forget_file(struct state *s)
{
	memory_set_dirty(&s->checkpoints, true);
	memory_set_dirty(&s->meta, true);
	s->leadership.dirty = s->leadership.known;
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
read_checkpoint(struct state *s, sqlite3_stmt *q)
{
	const char *topic = rows_text(q, 0), *worker = rows_text(q, 1);
	struct proto_checkpoint *c;

	if (memory_find(&s->checkpoints, topic, worker) != NULL)
		return;
	c = xmalloc(sizeof *c);
	rows_read_checkpoint(q, c);
	memory_put(&s->checkpoints, topic, worker, c, false);
}

static void
read_meta(struct state *s, sqlite3_stmt *q)
{
	const char *key = rows_text(q, 0);

	if (memory_find(&s->meta, key, "") == NULL)
		memory_put(&s->meta, key, "", xstrdup(rows_text(q, 1)), false);
}

static int
read_rows(struct state *s, const char *sql, void (*read_row)(struct state *, sqlite3_stmt *))
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	while (sqlite3_step(q) == SQLITE_ROW)
		read_row(s, q);
	return sqlite3_finalize(q);
}

static int
read_all(struct state *s)
{
	int rc = read_rows(s, "SELECT " ROWS_CHECKPOINT_COLUMNS " FROM checkpoint", read_checkpoint);

	return rc == SQLITE_OK ? read_rows(s, "SELECT key, value FROM meta", read_meta) : rc;
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

static int
write_all(struct state *s)
{
	int rc = write_rows(s->db, &s->checkpoints,
			    "INSERT OR REPLACE INTO checkpoint (" ROWS_CHECKPOINT_COLUMNS
			    ") VALUES (" ROWS_CHECKPOINT_PLACES ")",
			    write_checkpoint);

	if (rc == SQLITE_OK)
		rc = write_rows(s->db, &s->meta, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
				write_meta);
	if (rc == SQLITE_OK)
		rc = write_leadership(s->db, &s->leadership);
	return rc == SQLITE_OK ? write_incidents(s->db, &s->incidents) : rc;
}

/* One transaction; synced if it holds a decision (see the head of schema.c). */
static int
transact(struct state *s)
{
	bool decision = memory_is_dirty(&s->meta);
	int rc;

	if (decision)
		sqlite3_exec(s->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = write_all(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

/* After transact(), whose trouble was judged by then: the calls here overwrite SQLite's last error. */
static void
settle(struct state *s)
{
	if (sqlite3_get_autocommit(s->db) == 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_exec(s->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
}

/* ---- having a file ------------------------------------------------------------------------------- */

/* The file at path is unfit for the reason in *why: it goes out of the way. */
static int
set_aside(struct state *s, const struct error *why, struct error *e)
{
	char *name, *text;

	dbfile_close(&s->db, DBFILE_LEAVE_LOG);
	if (dbfile_set_aside(s->path, wall_ms(), &name, e) != 0)
		return -1;
	text = xasprintf("%s; it was set aside as %s and a new one is made", why->text, name);
	add_news(s, "state_damaged", text);
	free(text);
	free(name);
	forget_file(s);
	return 0;
}

/* Opens the file and reads it; what is damaged is set aside, once. */
static int
open_file(struct state *s, struct error *e)
{
	for (int tries = 0; tries < 2; tries++) {
		enum dbfile_result result = dbfile_open(s->path, &s->db, e);

		if (result == DBFILE_READY) {
			int rc = read_all(s);

			if (rc == SQLITE_OK) {
				s->was_read = true;
				dbfile_identify(s->path, &s->id);
				return 0;
			}
			result = dbfile_judge(s->path, s->db, rc, e);
			dbfile_close(&s->db, DBFILE_LEAVE_LOG);
		}
		if (result == DBFILE_FAILED || tries > 0)
			break;
		struct error why = *e;
		if (set_aside(s, &why, e) != 0)
			break;
	}
	return -1;
}

static int
make_dir(const struct state *s, struct error *e)
{
	if (mkdir(s->dir, 0750) == 0 || errno == EEXIST)
		return 0;
	return error_set_errno(e, ERR_STATE, "state_dir %s: cannot be made", s->dir);
}

/* An open connection to the file that has the name now. */
static int
have_file(struct state *s, struct error *e)
{
	struct dbfile_id now;
	enum dbfile_change change;

	if (s->db != NULL) {
		dbfile_identify(s->path, &now);
		change = dbfile_compare(&s->id, &now);
		if (change == DBFILE_SAME)
			return 0;
		/* a changed file is looked at afresh; of a lost one SQLite also removes the log */
		dbfile_close(&s->db, change == DBFILE_GONE ? DBFILE_CHECKPOINT : DBFILE_LEAVE_LOG);
		forget_file(s);
		if (change == DBFILE_GONE) {
			char *text = xasprintf("%s: was removed or replaced while in use; it was written "
					       "anew from memory",
					       s->path);

			add_news(s, "state_lost", text);
			free(text);
		}
	}
	if (make_dir(s, e) != 0)
		return -1;
	return open_file(s, e);
}

/* ---- state.h ------------------------------------------------------------------------------------- */

static int
fail(struct state *s, const struct error *why)
{
	s->problem = *why;
	return -1;
}

struct state *
state_open(const char *dir, struct error *e)
{
	struct state *s = xcalloc(1, sizeof *s);
	struct error why = ERROR_INIT;

	s->dir = xstrdup(dir);
	s->path = xasprintf("%s/state.db", dir);
	s->checkpoints.free_value = memory_free_checkpoint;
	s->meta.free_value = free;
	strbuf_init(&s->news);
	if (have_file(s, &why) != 0) {
		fail(s, &why);
		*e = why;
	}
	return s;
}

void
state_close(struct state **state)
{
	struct state *s = *state;

	*state = NULL;
	if (s == NULL)
		return;
	if (state_dirty(s))
		(void)state_commit(s, NULL);
	dbfile_close(&s->db, DBFILE_CHECKPOINT);
	memory_table_fini(&s->checkpoints);
	memory_table_fini(&s->meta);
	memory_leadership_fini(&s->leadership);
	memory_incidents_clear(&s->incidents);
	strbuf_fini(&s->news);
	free(s->path);
	free(s->dir);
	free(s);
}

char *
state_take_news(struct state *s)
{
	return s->news.len > 0 ? strbuf_take(&s->news) : NULL;
}

void
state_put_checkpoint(struct state *s, const char *topic, const char *worker, const struct proto_checkpoint *c)
{
	memory_put(&s->checkpoints, topic, worker, memory_copy_checkpoint(c), true);
}

void
state_put_leadership(struct state *s, const struct state_leadership *rows, size_t count)
{
	memory_leadership_put(&s->leadership, rows, count);
}

void
state_add_incident(struct state *s, int64_t at_ms, const char *topic, const char *kind, const char *detail)
{
	memory_incidents_add(&s->incidents, at_ms, topic, kind, detail, DETAIL_MAX);
}

void
state_put_meta(struct state *s, const char *key, const char *value)
{
	memory_put(&s->meta, key, "", xstrdup(value), true);
}

bool
state_dirty(const struct state *s)
{
	return s->incidents.count > 0 || memory_is_dirty(&s->checkpoints) || memory_is_dirty(&s->meta) ||
	       s->leadership.dirty;
}

/* Writes to the file that is open. DBFILE_READY: all of memory is in it. */
static enum dbfile_result
write_file(struct state *s, struct error *e)
{
	enum dbfile_result result;
	int rc;

	if (!state_dirty(s))
		return DBFILE_READY;
	rc = transact(s);
	if (rc != SQLITE_OK) {
		result = dbfile_judge(s->path, s->db, rc, e);
		settle(s);
		return result;
	}
	settle(s);
	dbfile_identify(s->path, &s->id);
	memory_set_dirty(&s->checkpoints, false);
	memory_set_dirty(&s->meta, false);
	s->leadership.dirty = false;
	memory_incidents_clear(&s->incidents);
	return DBFILE_READY;
}

static int
commit(struct state *s, struct error *e)
{
	enum dbfile_result result;

	if (have_file(s, e) != 0)
		return -1;
	result = write_file(s, e);
	if (result == DBFILE_DAMAGED) {
		struct error why = *e;

		if (set_aside(s, &why, e) != 0 || open_file(s, e) != 0)
			return -1;
		result = write_file(s, e);
	}
	return result == DBFILE_READY ? 0 : -1;
}

int
state_commit(struct state *s, struct error *e)
{
	struct error why = ERROR_INIT;

	if (commit(s, &why) == 0) {
		s->problem = (struct error)ERROR_INIT;
		return 0;
	}
	if (e != NULL)
		*e = why;
	return fail(s, &why);
}

const char *
state_problem(const struct state *s)
{
	return s->problem.text;
}

/* The row; or NULL, with *found 0 if there is none and -1 if nobody knows. */
static const struct memory_row *
look_up(const struct state *s, const struct memory_table *t, const char *first, const char *second,
	int *found, struct error *e)
{
	const struct memory_row *row = memory_find(t, first, second);

	*found = row != NULL;
	if (row == NULL && !s->was_read) {
		if (e != NULL)
			*e = s->problem;
		*found = -1;
	}
	return row;
}

int
state_get_checkpoint(const struct state *s, const char *topic, const char *worker, struct proto_checkpoint *c,
		     struct error *e)
{
	int found;
	const struct memory_row *row = look_up(s, &s->checkpoints, topic, worker, &found, e);
	struct proto_checkpoint *copy;

	if (row == NULL)
		return found;
	copy = memory_copy_checkpoint(row->value);
	*c = *copy; /* the strings go along */
	free(copy);
	return 1;
}

int
state_get_meta(const struct state *s, const char *key, char **value, struct error *e)
{
	int found;
	const struct memory_row *row = look_up(s, &s->meta, key, "", &found, e);

	if (row != NULL)
		*value = xstrdup(row->value);
	return found;
}
