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
#include "state/outbox.h"
#include "state/samples.h"
#include "state/tables.h"

#define DETAIL_MAX 4000

/* Pages in the log, of 4 KiB. */
#define LOG_TIDY  100   /* worth a tidying up */
#define LOG_SMALL 1000  /* it takes no time: with the commit */
#define LOG_LARGE 16384 /* nobody tidies up: with the commit all the same */

struct state {
	char *dir;
	char *path;
	sqlite3 *db; /* NULL while it cannot be opened */
	struct dbfile_id id;
	bool was_read; /* a file was opened once: what memory does not have is not there */
	struct tables tables;
	struct samples samples;
	struct outbox outbox;
	int log_pages;      /* in the log after the last commit */
	int log_pages_tidy; /* as many were there when it was tidied up last */
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
	tables_forget_file(&s->tables);
	samples_forget_file(&s->samples);
	outbox_forget_file(&s->outbox);
}

/* The file's rows into memory, where memory has none. */
static int
read_all(struct state *s)
{
	int rc = tables_read(&s->tables, s->db);

	return rc == SQLITE_OK ? outbox_read(&s->outbox, s->db) : rc;
}

/* ---- memory into the file ------------------------------------------------------------------------ */

static bool
outbox_held(const void *outbox, const char *topic)
{
	return outbox_holds(outbox, topic);
}

/* What may be much. A row that says that an advisory was made never comes before that advisory. */
static int
write_much(struct state *s)
{
	int rc = outbox_write(&s->outbox, s->db);

	return rc == SQLITE_OK ? samples_write(&s->samples, s->db, outbox_held, &s->outbox) : rc;
}

/* One transaction; synced if it holds a decision (see the head of schema.c), and then it is short. */
static int
transact(struct state *s, bool much)
{
	bool decision = memory_is_dirty(&s->tables.meta);
	int rc;

	if (decision)
		sqlite3_exec(s->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = tables_write(&s->tables, s->db);
	if (rc == SQLITE_OK && much)
		rc = write_much(s);
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

static int
on_log_grown(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct state *s = arg;

	(void)db;
	(void)name;
	s->log_pages = pages;
	return SQLITE_OK;
}

/* Instead of SQLite's own way, which is to tidy up within the commit, however much that is. */
static void
watch_log(struct state *s)
{
	s->log_pages = s->log_pages_tidy = 0;
	sqlite3_wal_hook(s->db, on_log_grown, s);
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
				watch_log(s);
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
	tables_init(&s->tables);
	samples_init(&s->samples);
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
	while (state_dirty(s) && state_commit(s, NULL) == 0)
		;
	dbfile_close(&s->db, DBFILE_CHECKPOINT);
	samples_fini(&s->samples);
	outbox_fini(&s->outbox);
	tables_fini(&s->tables);
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
	memory_put(&s->tables.checkpoints, topic, worker, memory_copy_checkpoint(c), true);
}

void
state_put_leadership(struct state *s, const struct state_leadership *rows, size_t count)
{
	memory_leadership_put(&s->tables.leadership, rows, count);
}

void
state_add_incident(struct state *s, int64_t at_ms, const char *topic, const char *kind, const char *detail)
{
	memory_incidents_add(&s->tables.incidents, at_ms, topic, kind, detail, DETAIL_MAX);
}

void
state_put_meta(struct state *s, const char *key, const char *value)
{
	memory_put(&s->tables.meta, key, "", xstrdup(value), true);
}

void
state_put_samples(struct state *s, const char *topic, const struct proto_samples *batch)
{
	samples_put(&s->samples, topic, batch);
}

bool
state_take_stored(struct state *s, char **topic, struct proto_samples_stored *stored)
{
	return samples_take(&s->samples, topic, stored);
}

bool
state_put_advisory(struct state *s, const char *topic, const struct proto_advisory *a)
{
	return outbox_put(&s->outbox, topic, a);
}

static bool
dirty_much(const struct state *s)
{
	return samples_dirty(&s->samples) || outbox_dirty(&s->outbox);
}

bool
state_dirty(const struct state *s)
{
	return tables_dirty(&s->tables) || dirty_much(s);
}

/* ---- committing ---------------------------------------------------------------------------------- */

/* The log's content into the database, as far as readers let it: a short wait for the disk. */
static void
tidy_log(struct state *s)
{
	struct mono before = mono_now();

	if (s->log_pages < LOG_TIDY || s->log_pages == s->log_pages_tidy)
		return;
	s->log_pages_tidy = s->log_pages;
	/* what cannot be done now can be done later */
	(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	samples_took(&s->samples, mono_ms_between(before, mono_now()));
}

static void
committed(struct state *s, bool much)
{
	tables_committed(&s->tables);
	if (much) {
		outbox_committed(&s->outbox);
		samples_committed(&s->samples);
	}
}

/* Writes to the file that is open. DBFILE_READY: all is in it that was to be; much: also what may take long.
 */
static enum dbfile_result
write_file(struct state *s, bool much, struct error *e)
{
	struct mono before = mono_now();
	enum dbfile_result result;
	int rc;

	much = much && dirty_much(s) && !memory_is_dirty(&s->tables.meta);
	if (!much && !tables_dirty(&s->tables))
		return DBFILE_READY;
	rc = transact(s, much);
	if (rc != SQLITE_OK) {
		result = dbfile_judge(s->path, s->db, rc, e);
		settle(s);
		return result;
	}
	settle(s);
	committed(s, much);
	if (much)
		samples_took(&s->samples, mono_ms_between(before, mono_now()));
	if (s->log_pages < LOG_SMALL || s->log_pages > LOG_LARGE)
		tidy_log(s);
	dbfile_identify(s->path, &s->id);
	return DBFILE_READY;
}

static int
commit(struct state *s, bool much, struct error *e)
{
	enum dbfile_result result;

	if (have_file(s, e) != 0)
		return -1;
	result = write_file(s, much, e);
	if (result == DBFILE_DAMAGED) {
		struct error why = *e;

		if (set_aside(s, &why, e) != 0 || open_file(s, e) != 0)
			return -1;
		result = write_file(s, much, e);
	}
	return result == DBFILE_READY ? 0 : -1;
}

static int
commit_and_note(struct state *s, bool much, struct error *e)
{
	struct error why = ERROR_INIT;

	if (commit(s, much, &why) == 0) {
		s->problem = (struct error)ERROR_INIT;
		return 0;
	}
	if (e != NULL)
		*e = why;
	return fail(s, &why);
}

int
state_commit(struct state *s, struct error *e)
{
	return commit_and_note(s, true, e);
}

int
state_commit_small(struct state *s, struct error *e)
{
	return commit_and_note(s, false, e);
}

void
state_tidy(struct state *s)
{
	struct dbfile_id now;

	if (s->db == NULL || s->log_pages < LOG_TIDY || s->log_pages == s->log_pages_tidy)
		return;
	dbfile_identify(s->path, &now);
	/* of a file that was changed the next commit takes care */
	if (dbfile_compare(&s->id, &now) != DBFILE_SAME)
		return;
	tidy_log(s);
	dbfile_identify(s->path, &s->id);
}

int
state_flush_samples(struct state *s, const char *topic, struct error *e)
{
	int rc = 0;

	samples_start(&s->samples, topic);
	while (rc == 0 && (samples_wait(&s->samples, topic) || outbox_dirty_of(&s->outbox, topic))) {
		samples_first(&s->samples, topic);
		rc = state_commit(s, e);
	}
	return rc;
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
	const struct memory_row *row = look_up(s, &s->tables.checkpoints, topic, worker, &found, e);
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
	const struct memory_row *row = look_up(s, &s->tables.meta, key, "", &found, e);

	if (row != NULL)
		*value = xstrdup(row->value);
	return found;
}
