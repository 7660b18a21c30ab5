/*
 * state.db as a file: opening it, telling damage from other trouble, setting it aside, noticing that
 * somebody removed or changed it under an open connection.
 */
#ifndef SR_STATE_DBFILE_H
#define SR_STATE_DBFILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/error.h"

enum dbfile_result {
	DBFILE_READY,
	DBFILE_DAMAGED, /* this file will not do, however often it is tried: set it aside */
	DBFILE_FAILED,  /* try again later */
};

/* Opens or makes the database for writing, checks it and brings the schema up to date. *db is NULL unless
 * DBFILE_READY, and then closed with dbfile_close; else *e says why. Takes half a second at most, however
 * large the file, and a quarter more if another program holds a lock. */
enum dbfile_result dbfile_open(const char *path, sqlite3 **db, struct error *e);

enum dbfile_close { DBFILE_CHECKPOINT, DBFILE_LEAVE_LOG };
/* DBFILE_LEAVE_LOG does not touch the database: for one that is damaged or was changed by others. */
void dbfile_close(sqlite3 **db, enum dbfile_close how);

/* Fills *e for the code that an SQLite call on path returned, and says what kind of trouble that is. */
enum dbfile_result dbfile_judge(const char *path, sqlite3 *db, int rc, struct error *e);

/* Renames the database, and its log if that is not empty, to path.damaged-<UTC time>. *new_path is the
 * caller's to free. */
int dbfile_set_aside(const char *path, int64_t now_ms, char **new_path, struct error *e);

/* What the files look like after our last write. */
struct dbfile_id {
	dev_t dev;
	ino_t ino, wal_ino, shm_ino; /* 0: there is none */
	off_t size, shm_size;
	struct timespec changed;
};
void dbfile_identify(const char *path, struct dbfile_id *id);

enum dbfile_change {
	DBFILE_SAME,
	DBFILE_TOUCHED, /* somebody else wrote to it, or took its log away */
	DBFILE_GONE,    /* removed, or another file in its place */
};
enum dbfile_change dbfile_compare(const struct dbfile_id *before, const struct dbfile_id *now);

#endif
