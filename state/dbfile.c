/*
 * state.db as a file, for the writer in the supervisor. Never waits long: checks are bounded in time and
 * locks of other programs are waited for a quarter of a second.
 *
 * Invariant: no descriptor of the database is opened or closed here but through SQLite. Closing one would
 * drop the locks that the process holds on the file.
 */
#include "state/dbfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "state/schema.h"

#define LOCK_WAIT_MS  250
#define CHECK_MS      500
#define CHECK_OPCODES 20000 /* a millisecond or so between two looks at the clock */

/* ---- words --------------------------------------------------------------------------------------- */

static const char *
words(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_SCHEMA:
		return "it was made by a newer version";
	case SQLITE_MISMATCH:
		return "it is the database of another program";
	case SQLITE_ERROR:
		return "its tables are not those of this program";
	default:
		return sqlite3_errstr(rc);
	}
}

static const char *
cure(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return "; free space on its file system";
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return "; give the daemon's user the right to write there";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "; another program holds a lock on it, end that";
	default:
		return "";
	}
}

/* Codes that say that the file itself is wrong, and not only the moment. */
static bool
is_damage(int rc, int system_errno)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
		return true;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return system_errno == EACCES || system_errno == EPERM || system_errno == EISDIR ||
		       system_errno == ELOOP || system_errno == ENOTDIR;
	default:
		return false;
	}
}

enum dbfile_result
dbfile_judge(const char *path, sqlite3 *db, int rc, struct error *e)
{
	int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;
	bool damage = is_damage(rc, system_errno);
	bool tell_errno = system_errno != 0 && !damage && (rc & 0xff) != SQLITE_FULL;

	error_set(e, ERR_STATE, "%s: %s%s%s%s", path, words(rc), tell_errno ? ": " : "",
		  tell_errno ? strerror(system_errno) : "", damage ? "" : cure(rc));
	return damage ? DBFILE_DAMAGED : DBFILE_FAILED;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static int
past_deadline(void *arg)
{
	const struct mono *deadline = arg;

	return mono_reached(mono_now(), *deadline) ? 1 : 0;
}

/* SQLITE_OK also if there was no time to look at everything. */
static int
quick_check(sqlite3 *db)
{
	struct mono deadline = mono_add_ms(mono_now(), CHECK_MS);
	sqlite3_stmt *q;
	bool good = true;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_progress_handler(db, CHECK_OPCODES, past_deadline, &deadline);
	if (sqlite3_step(q) == SQLITE_ROW) {
		const char *answer = (const char *)sqlite3_column_text(q, 0);

		good = answer != NULL && strcmp(answer, "ok") == 0;
	}
	rc = sqlite3_finalize(q);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	if (rc == SQLITE_INTERRUPT)
		rc = SQLITE_OK;
	return rc == SQLITE_OK && !good ? SQLITE_CORRUPT : rc;
}

/* The log's mode last: nothing is written to a file that is not ours. */
static int
prepare(sqlite3 *db)
{
	int rc;

	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, LOCK_WAIT_MS);
	rc = quick_check(db);
	if (rc == SQLITE_OK)
		rc = schema_migrate(db);
	if (rc == SQLITE_OK)
		rc = schema_check(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
				  "PRAGMA journal_mode = WAL;"
				  "PRAGMA synchronous = NORMAL;"
				  "PRAGMA journal_size_limit = 4194304;"
				  "PRAGMA temp_store = MEMORY",
				  NULL, NULL, NULL);
	return rc;
}

enum dbfile_result
dbfile_open(const char *path, sqlite3 **db, struct error *e)
{
	enum dbfile_result result;
	struct stat st;
	int rc;

	*db = NULL;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		error_set(e, ERR_STATE, "%s: not a regular file", path);
		return DBFILE_DAMAGED;
	}
	rc =
	    sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = prepare(*db);
	if (rc == SQLITE_OK)
		return DBFILE_READY;
	result = dbfile_judge(path, *db, rc, e);
	dbfile_close(db, DBFILE_LEAVE_LOG);
	return result;
}

void
dbfile_close(sqlite3 **db, enum dbfile_close how)
{
	if (*db == NULL)
		return;
	if (how == DBFILE_LEAVE_LOG)
		sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close_v2(*db);
	*db = NULL;
}

/* ---- setting aside ------------------------------------------------------------------------------- */

/* "path.damaged-20260102T030405Z", with a number behind it if that is taken. */
static char *
free_name(const char *path, int64_t now_ms)
{
	time_t now = (time_t)(now_ms / 1000);
	struct stat st;
	struct tm tm;
	char when[32];
	char *name;

	gmtime_r(&now, &tm);
	strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
	name = xasprintf("%s.damaged-%s", path, when);
	for (int i = 2; lstat(name, &st) == 0; i++) {
		free(name);
		name = xasprintf("%s.damaged-%s-%d", path, when, i);
	}
	return name;
}

/* The log goes along with its database, if there is anything in it; the rest is of no use to anybody. */
static void
move_companion(const char *path, const char *new_path, const char *suffix)
{
	char *from = xasprintf("%s%s", path, suffix), *to = xasprintf("%s%s", new_path, suffix);
	struct stat st;
	bool keep = lstat(from, &st) == 0 && st.st_size > 0 && strcmp(suffix, "-shm") != 0;

	/* one that stays does not matter: see schema.c */
	if (keep || remove(from) != 0)
		(void)rename(from, to);
	free(from);
	free(to);
}

int
dbfile_set_aside(const char *path, int64_t now_ms, char **new_path, struct error *e)
{
	static const char *const companions[] = {"-wal", "-shm", "-journal"};
	char *name = free_name(path, now_ms);

	if (rename(path, name) != 0) {
		error_set_errno(e, ERR_STATE, "%s: damaged, and cannot be renamed to %s", path, name);
		free(name);
		return -1;
	}
	for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++)
		move_companion(path, name, companions[i]);
	*new_path = name;
	return 0;
}

/* ---- noticing changes ---------------------------------------------------------------------------- */

static bool
stat_companion(const char *path, const char *suffix, struct stat *st)
{
	char name[4096];
	int len = snprintf(name, sizeof name, "%s%s", path, suffix);

	return len > 0 && (size_t)len < sizeof name && stat(name, st) == 0;
}

void
dbfile_identify(const char *path, struct dbfile_id *id)
{
	struct stat st;

	memset(id, 0, sizeof *id);
	if (stat(path, &st) == 0) {
		id->dev = st.st_dev;
		id->ino = st.st_ino;
		id->size = st.st_size;
		id->changed = st.st_mtim;
	}
	if (stat_companion(path, "-wal", &st))
		id->wal_ino = st.st_ino;
	if (stat_companion(path, "-shm", &st)) {
		id->shm_ino = st.st_ino;
		id->shm_size = st.st_size;
	}
}

enum dbfile_change
dbfile_compare(const struct dbfile_id *before, const struct dbfile_id *now)
{
	if (now->ino != before->ino || now->dev != before->dev)
		return DBFILE_GONE;
	if (now->size != before->size || now->changed.tv_sec != before->changed.tv_sec ||
	    now->changed.tv_nsec != before->changed.tv_nsec || now->wal_ino != before->wal_ino ||
	    now->shm_ino != before->shm_ino || now->shm_size < before->shm_size)
		return DBFILE_TOUCHED;
	return DBFILE_SAME;
}
