/*
 * The schema of state.db: numbered migrations, used by the writer in the supervisor. Tables, columns and
 * views are a contract with people and programs that read the file with sqlite3 while the daemon runs:
 * they are added to, never renamed.
 *
 * What holds after kill -9 between any two steps:
 *
 * - The file exists and is empty: an empty database, user_version 0, every migration is still to run.
 * - Each migration and the new user_version are one transaction: a database has whole migrations only,
 *   and user_version says how many. Nothing is written before the last one is through.
 * - Each commit of the writer is one transaction: checkpoints, incidents and meta of one state_commit are
 *   all there or none of them is.
 * - Samples come in batches, which may take several commits. Each row is true by itself; the note that says
 *   up to where all rows are in ("sampled:<topic>" in meta) is in the transaction of the last of them. So the
 *   note never claims more than is there: what came after it is read back from the target, rows that are
 * newer than it do no harm. A file that is made anew, or was changed by others, has no note until all rows
 * were sent again.
 * - A row of advisory_outbox is in the same transaction as, or an earlier one than, the sample that says that
 *   its value was advised of. It goes when the advisory was delivered; if that is lost, it is sent twice,
 * with one id.
 * - The journal is a WAL with synchronous=NORMAL: what was committed survives the death of the process.
 *   A crash of the machine may take the last commits along, never their order and never the file. That
 *   costs nothing, because a position is proven from the target first. Rows of meta are decisions that
 *   must not be taken twice: a commit that holds one is synced (synchronous=FULL) before it counts. Notes of
 *   samples are none.
 * - A damaged file is renamed before a new one is made, state.db first, then its -wal and -journal.
 *   In between, a log without its database is left: SQLite deletes it when it makes the new file.
 *
 * Times are milliseconds since the epoch, UTC. The creation time of a stream is its identity and counts
 * to the nanosecond: *_created_frac holds the nanoseconds within the millisecond. map_hash is 16 hex
 * digits. A number above 2^63-1 is stored as its two's complement: -1 in target_seq is "not known".
 */
#include "state/schema.h"

#include <stddef.h>
#include <stdio.h>

/* A time in words; blank where it is not known. */
#define WORDS(column) "datetime(NULLIF(" column ", 0) / 1000, 'unixepoch') AS " column
/* "SRDB": tells our file from another program's. */
#define APPLICATION_ID 0x53524442

static const char *const migrations[] = {
    /* 1 */
    ("PRAGMA application_id = 0x53524442;"
     "CREATE TABLE checkpoint ("
     " topic TEXT NOT NULL,"
     " worker TEXT NOT NULL,"
     " source_stream TEXT NOT NULL,"
     " source_created INTEGER NOT NULL,"
     " source_seq INTEGER NOT NULL,"
     " target_stream TEXT NOT NULL,"
     " target_created INTEGER NOT NULL,"
     " target_seq INTEGER NOT NULL,"
     " in_flight INTEGER NOT NULL,"
     " map_hash TEXT NOT NULL,"
     " updated INTEGER NOT NULL,"
     " source_created_frac INTEGER NOT NULL DEFAULT 0,"
     " target_created_frac INTEGER NOT NULL DEFAULT 0,"
     " PRIMARY KEY (topic, worker)) WITHOUT ROWID;"
     "CREATE TABLE sample ("
     " topic TEXT NOT NULL,"
     " value TEXT NOT NULL,"
     " seen INTEGER NOT NULL,"
     " copied INTEGER NOT NULL,"
     " size INTEGER NOT NULL,"
     " advised INTEGER NOT NULL,"
     " PRIMARY KEY (topic, value)) WITHOUT ROWID;"
     "CREATE TABLE leadership ("
     " name TEXT NOT NULL,"
     " topic TEXT NOT NULL,"
     " role TEXT NOT NULL,"
     " term INTEGER NOT NULL,"
     " leader TEXT NOT NULL,"
     " since INTEGER NOT NULL,"
     " PRIMARY KEY (name, topic)) WITHOUT ROWID;"
     "CREATE TABLE advisory_outbox ("
     " id TEXT PRIMARY KEY NOT NULL,"
     " topic TEXT NOT NULL,"
     " subject TEXT NOT NULL,"
     " body TEXT NOT NULL,"
     " tries INTEGER NOT NULL,"
     " next_try INTEGER NOT NULL);"
     "CREATE TABLE incident ("
     " id INTEGER PRIMARY KEY,"
     " at INTEGER NOT NULL,"
     " topic TEXT NOT NULL,"
     " kind TEXT NOT NULL,"
     " detail TEXT NOT NULL);"
     "CREATE TABLE meta ("
     " key TEXT PRIMARY KEY NOT NULL,"
     " value TEXT NOT NULL) WITHOUT ROWID;"
     "CREATE VIEW v_checkpoint AS SELECT topic, worker,"
     " source_stream, " WORDS(
	 "source_created") ", source_seq,"
			   " target_stream, " WORDS(
			       "target_created") ", target_seq,"
						 " in_flight, map_hash, " WORDS(
						     "updated") " FROM checkpoint;"
								"CREATE VIEW v_sample AS SELECT topic, value,"
								" " WORDS("seen") ", " WORDS(
								    "copied") ", size, advised FROM sample;"
									      "CREATE VIEW v_incident AS "
									      "SELECT id, " WORDS(
										  "at") ", topic, kind, "
											"detail FROM "
											"incident;"),
};

/* Every column that this version reads or writes. */
static const char *const uses[] = {
    ("SELECT topic, worker, source_stream, source_created, source_seq, target_stream, target_created,"
     " target_seq, in_flight, map_hash, updated, source_created_frac, target_created_frac FROM checkpoint"),
    "SELECT id, at, topic, kind, detail FROM incident",
    "SELECT name, topic, role, term, leader, since FROM leadership",
    "SELECT key, value FROM meta",
    "SELECT topic, value, seen, copied, size, advised FROM sample",
    "SELECT id, topic, subject, body, tries, next_try FROM advisory_outbox",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int
schema_version(void)
{
	return (int)COUNT(migrations);
}

static int
read_int(sqlite3 *db, const char *sql, int *value)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

	if (rc != SQLITE_OK)
		return rc;
	if (sqlite3_step(q) == SQLITE_ROW)
		*value = sqlite3_column_int(q, 0);
	return sqlite3_finalize(q);
}

/* Sets *version; SQLITE_MISMATCH if the file has content and is not ours. */
static int
read_version(sqlite3 *db, int *version)
{
	int ours = 0, tables = 0;
	int rc = read_int(db, "PRAGMA user_version", version);

	if (rc == SQLITE_OK)
		rc = read_int(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (rc == SQLITE_OK)
		rc = read_int(db, "PRAGMA application_id", &ours);
	if (rc == SQLITE_OK && (tables > 0 || *version != 0) && ours != APPLICATION_ID)
		return SQLITE_MISMATCH;
	return rc;
}

static int
migrate_to(sqlite3 *db, int version)
{
	char text[64];
	int rc;

	snprintf(text, sizeof text, "PRAGMA user_version = %d; COMMIT", version);
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, migrations[version - 1], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	if (rc != SQLITE_OK && sqlite3_get_autocommit(db) == 0)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
schema_migrate(sqlite3 *db)
{
	int version = 0;
	int rc = read_version(db, &version);

	if (rc == SQLITE_OK && (version > schema_version() || version < 0))
		return SQLITE_SCHEMA;
	while (rc == SQLITE_OK && version < schema_version())
		rc = migrate_to(db, ++version);
	return rc;
}

int
schema_check(sqlite3 *db)
{
	for (size_t i = 0; i < COUNT(uses); i++) {
		sqlite3_stmt *q;
		int rc = sqlite3_prepare_v2(db, uses[i], -1, &q, NULL);

		if (rc != SQLITE_OK)
			return rc;
		sqlite3_finalize(q);
	}
	return SQLITE_OK;
}
