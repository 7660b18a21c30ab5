/* For tests of state.db: a directory of their own, and looking into the file from outside. */
#ifndef SR_TESTS_DBTEST_H
#define SR_TESTS_DBTEST_H

#include <sqlite3.h>
#include <sys/resource.h>

#include "state/state.h"

extern char dbtest_dir[256];
extern char dbtest_path[512]; /* of state.db */

/* Fixture. */
void dbtest_setup(void);
void dbtest_teardown(void);

/* Must succeed. */
struct state *dbtest_open(void);
/* Must succeed and leave nothing to write. */
void dbtest_commit(struct state *s);

/* A connection of the test's own. */
sqlite3 *dbtest_raw_open(void);
void dbtest_raw(sqlite3 *db, const char *sql);
/* What a query says, from a connection of its own, as sqlite3 would print it. */
void dbtest_expect(const char *sql, const char *want);
/* There is one news that has the word. */
void dbtest_expect_news(struct state *s, const char *word);
/* Of this process, RLIM_INFINITY for none: felt like a full disk. */
void dbtest_limit_file_size(rlim_t bytes);

#endif
