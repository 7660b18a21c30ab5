/*
 * state.db for reading, in the user's commands and in workers that start. Never writes to the file, not even
 * to make its log: where the daemon is not running and the user may not write beside the file, the file is
 * read as it stands.
 */
#include "state/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/xalloc.h"
#include "state/rows.h"
#include "state/schema.h"

#define LOCK_WAIT_MS 2000

struct state_reader {
	char *path;
	sqlite3 *db;
	uint64_t passed_over;
};

static int
fail(const struct state_reader *r, int rc, struct error *e)
{
	switch (rc & 0xff) {
	case SQLITE_SCHEMA:
		return error_set(e, ERR_STATE, "%s: made by a newer version of this program", r->path);
	case SQLITE_ERROR:
	case SQLITE_MISMATCH:
		return error_set(e, ERR_STATE, "%s: not a state file of this version", r->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return error_set(e, ERR_DENIED,
				 "%s: cannot be read with the rights of this user; try as the daemon's user",
				 r->path);
	default:
		return error_set(e, ERR_STATE, "%s: cannot be read: %s", r->path, sqlite3_errstr(rc));
	}
}

/* "file:" and the path with what a URI would take for its own as %XX. */
static void
add_uri(struct strbuf *uri, const char *path, const char *query)
{
	strbuf_adds(uri, "file:");
	for (const char *p = path; *p != '\0'; p++) {
		if (*p == '%' || *p == '?' || *p == '#')
			strbuf_addf(uri, "%%%02X", (unsigned)*p);
		else
			strbuf_add(uri, p, 1);
	}
	strbuf_adds(uri, query);
}

static int
try_open(struct state_reader *r, const char *query)
{
	struct strbuf uri;
	int rc;

	strbuf_init(&uri);
	add_uri(&uri, r->path, query);
	rc = sqlite3_open_v2(uri.data, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			     NULL);
	strbuf_fini(&uri);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(r->db, LOCK_WAIT_MS);
		rc = schema_check(r->db);
	}
	if (rc != SQLITE_OK) {
		sqlite3_close(r->db);
		r->db = NULL;
	}
	return rc;
}

/* A log with something in it: the file alone does not tell all. */
static bool
has_log(const char *path)
{
	char *name = xasprintf("%s-wal", path);
	struct stat st;
	bool there = stat(name, &st) == 0 && st.st_size > 0;

	free(name);
	return there;
}

struct state_reader *
state_reader_open(const char *dir, struct error *e)
{
	struct state_reader *r = xcalloc(1, sizeof *r);
	struct stat st;
	int rc;

	r->path = xasprintf("%s/state.db", dir);
	if (stat(r->path, &st) != 0) {
		error_set_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_STATE, "%s", r->path);
		state_reader_close(&r);
		return NULL;
	}
	rc = try_open(r, "?mode=ro");
	if (((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY) && !has_log(r->path))
		rc = try_open(r, "?immutable=1");
	if (rc != SQLITE_OK) {
		fail(r, rc, e);
		state_reader_close(&r);
	}
	return r;
}

void
state_reader_close(struct state_reader **reader)
{
	struct state_reader *r = *reader;

	*reader = NULL;
	if (r == NULL)
		return;
	sqlite3_close(r->db);
	free(r->path);
	free(r);
}

/* Prepares a query whose one parameter is the topic, NULL for all. */
static sqlite3_stmt *
prepare(struct state_reader *r, const char *sql, const char *topic, struct error *e)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(r->db, sql, -1, &q, NULL);

	if (rc != SQLITE_OK) {
		fail(r, rc, e);
		return NULL;
	}
	if (topic != NULL)
		sqlite3_bind_text(q, 1, topic, -1, SQLITE_STATIC);
	return q;
}

static int
finish(struct state_reader *r, sqlite3_stmt *q, struct error *e)
{
	int rc = sqlite3_finalize(q);

	return rc == SQLITE_OK ? 0 : fail(r, rc, e);
}

int
state_reader_checkpoints(struct state_reader *r, const char *topic, state_checkpoint_fn *fn, void *arg,
			 struct error *e)
{
	sqlite3_stmt *q =
	    prepare(r,
		    "SELECT " ROWS_CHECKPOINT_COLUMNS " FROM checkpoint WHERE ?1 IS NULL OR topic = ?1"
		    " ORDER BY topic, worker",
		    topic, e);

	if (q == NULL)
		return -1;
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct proto_checkpoint c;

		rows_read_checkpoint(q, &c);
		fn(arg, rows_text(q, 0), rows_text(q, 1), &c);
		proto_checkpoint_fini(&c);
	}
	return finish(r, q, e);
}

int
state_reader_incidents(struct state_reader *r, const char *topic, state_incident_fn *fn, void *arg,
		       struct error *e)
{
	sqlite3_stmt *q = prepare(
	    r, "SELECT id, at, topic, kind, detail FROM incident WHERE ?1 IS NULL OR topic = ?1 ORDER BY id",
	    topic, e);

	if (q == NULL)
		return -1;
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct state_incident incident = {.id = sqlite3_column_int64(q, 0),
						  .at_ms = sqlite3_column_int64(q, 1),
						  .topic = rows_text(q, 2),
						  .kind = rows_text(q, 3),
						  .detail = rows_text(q, 4)};

		fn(arg, &incident);
	}
	return finish(r, q, e);
}

int
state_reader_begin(struct state_reader *r, struct error *e)
{
	/* the moment is that of the first read */
	int rc = sqlite3_exec(r->db, "BEGIN; SELECT 1 FROM meta LIMIT 1", NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(r, rc, e);
}

/* Not "?1 IS NULL OR topic = ?1", with which no index is used. */
static sqlite3_stmt *
prepare_samples(struct state_reader *r, const char *topic, struct error *e)
{
	return prepare(r,
		       topic != NULL ? "SELECT " ROWS_SAMPLE_COLUMNS
				       " FROM sample WHERE topic = ?1 ORDER BY value"
				     : "SELECT " ROWS_SAMPLE_COLUMNS " FROM sample ORDER BY topic, value",
		       topic, e);
}

int
state_reader_samples(struct state_reader *r, const char *topic, state_sample_fn *fn, void *arg,
		     struct error *e)
{
	sqlite3_stmt *q = prepare_samples(r, topic, e);
	struct proto_sample row;
	bool more = true;

	if (q == NULL)
		return -1;
	while (more && sqlite3_step(q) == SQLITE_ROW) {
		if (rows_read_sample(q, &row))
			more = fn(arg, rows_text(q, 0), &row);
		else
			r->passed_over++;
	}
	return finish(r, q, e);
}

int
state_reader_outbox(struct state_reader *r, const char *topic, state_advisory_fn *fn, void *arg,
		    struct error *e)
{
	sqlite3_stmt *q =
	    prepare(r, "SELECT " ROWS_ADVISORY_COLUMNS " FROM advisory_outbox WHERE topic = ?1 ORDER BY id",
		    topic, e);
	struct proto_advisory row;

	if (q == NULL)
		return -1;
	while (sqlite3_step(q) == SQLITE_ROW) {
		if (rows_read_advisory(q, &row))
			fn(arg, &row);
		else
			r->passed_over++;
	}
	return finish(r, q, e);
}

int
state_reader_meta(struct state_reader *r, const char *key, char **value, struct error *e)
{
	sqlite3_stmt *q = prepare(r, "SELECT value FROM meta WHERE key = ?1", key, e);

	*value = NULL;
	if (q == NULL)
		return -1;
	if (sqlite3_step(q) == SQLITE_ROW)
		*value = xstrdup(rows_text(q, 0));
	if (finish(r, q, e) == 0)
		return 0;
	free(*value);
	*value = NULL;
	return -1;
}

uint64_t
state_reader_passed_over(const struct state_reader *r)
{
	return r->passed_over;
}
