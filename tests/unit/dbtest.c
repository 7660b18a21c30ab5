/* What tests of state.db share: a directory, the file through its writer, and through a connection of their
 * own.
 */
#include "tests/unit/dbtest.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/strbuf.h"
#include "tests/unit/unit.h"

char dbtest_dir[256];
char dbtest_path[512];

void
dbtest_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dbtest_dir, sizeof dbtest_dir, "%s/sr-state-XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dbtest_dir));
	snprintf(dbtest_path, sizeof dbtest_path, "%s/state.db", dbtest_dir);
}

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(name);
}

void
dbtest_teardown(void)
{
	nftw(dbtest_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct state *
dbtest_open(void)
{
	struct error e = ERROR_INIT;
	struct state *s = state_open(dbtest_dir, &e);

	ck_assert_msg(e.code == ERR_NONE, "%s", e.text);
	ck_assert_str_eq(state_problem(s), "");
	return s;
}

void
dbtest_commit(struct state *s)
{
	struct error e = ERROR_INIT;

	ck_assert_msg(state_commit(s, &e) == 0, "%s", e.text);
	ck_assert(!state_dirty(s));
	ck_assert_str_eq(state_problem(s), "");
}

sqlite3 *
dbtest_raw_open(void)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(dbtest_path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	return db;
}

void
dbtest_raw(sqlite3 *db, const char *sql)
{
	char *text = NULL;

	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &text) == SQLITE_OK, "%s: %s", sql, text);
}

static int
add_field(void *arg, int count, char **values, char **names)
{
	struct strbuf *out = arg;

	(void)names;
	for (int i = 0; i < count; i++)
		strbuf_addf(out, "%s%s", i > 0 ? "|" : "", values[i] != NULL ? values[i] : "NULL");
	strbuf_adds(out, "\n");
	return 0;
}

/* What a query says, from a connection of its own, as sqlite3 would print it. */
void
dbtest_expect(const char *sql, const char *want)
{
	sqlite3 *db = dbtest_raw_open();
	struct strbuf out;
	char *text = NULL;

	strbuf_init(&out);
	ck_assert_msg(sqlite3_exec(db, sql, add_field, &out, &text) == SQLITE_OK, "%s", text);
	ck_assert_str_eq(out.data, want);
	strbuf_fini(&out);
	sqlite3_close(db);
}

void
dbtest_expect_news(struct state *s, const char *word)
{
	char *news = state_take_news(s);

	ck_assert_ptr_nonnull(news);
	ck_assert_msg(strstr(news, word) != NULL, "\"%s\" is not in: %s", word, news);
	free(news);
	ck_assert_ptr_null(state_take_news(s));
}

void
dbtest_limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
