/* The tables of state.db and how they came about; see schema.c. */
#ifndef SR_STATE_SCHEMA_H
#define SR_STATE_SCHEMA_H

#include <sqlite3.h>

/* The newest incidents that are kept. */
#define STATE_INCIDENTS_KEPT 10000

/* PRAGMA user_version of a database that is up to date. */
int schema_version(void);

/*
 * Brings a database up to date, one transaction a migration. SQLITE_OK, or the code of what failed;
 * SQLITE_SCHEMA if the file was made by a newer version, SQLITE_MISMATCH if by another program.
 */
int schema_migrate(sqlite3 *db);

/* Whether the tables have the columns that this version uses: SQLITE_OK or what preparing said. */
int schema_check(sqlite3 *db);

#endif
