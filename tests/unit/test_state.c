/* state.db: what is in it, and what happens when it is damaged, lost, locked, full, or its writer killed. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "state/reader.h"
#include "state/state.h"
#include "tests/unit/dbtest.h"
#include "tests/unit/unit.h"

#define NOBODY 65534

/* ---- helpers ------------------------------------------------------------------------------------- */

static void
put(struct state *s, const char *topic, uint64_t seq)
{
	char source[] = "SOURCE", target[] = "TARGET";
	struct proto_checkpoint c = {.source_stream = source,
				     .source_created_ns = INT64_C(1767323045123456789),
				     .source_seq = seq,
				     .target_stream = target,
				     .target_created_ns = INT64_C(1767323046000000001),
				     .target_seq = seq + 1000,
				     .in_flight = 7,
				     .map_hash = UINT64_C(0x0123456789abcdef),
				     .updated_ms = INT64_C(1767323047500)};

	state_put_checkpoint(s, topic, "0", &c);
}

/* The source sequence, 0 if there is no checkpoint. */
static uint64_t
get(const struct state *s, const char *topic)
{
	struct proto_checkpoint c;
	struct error e = ERROR_INIT;
	uint64_t seq;
	int found = state_get_checkpoint(s, topic, "0", &c, &e);

	ck_assert_msg(found >= 0, "%s", e.text);
	if (found == 0)
		return 0;
	seq = c.source_seq;
	ck_assert_uint_eq(c.target_seq, seq + 1000);
	proto_checkpoint_fini(&c);
	return seq;
}

static void
write_file(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static int
count_names(const char *beginning)
{
	char command[1024];
	FILE *f;
	int count = 0;

	snprintf(command, sizeof command, "ls -d %s* 2>/dev/null | wc -l", beginning);
	f = popen(command, "r");
	ck_assert_int_eq(fscanf(f, "%d", &count), 1);
	pclose(f);
	return count;
}

/* ---- content ------------------------------------------------------------------------------------- */

START_TEST(has_what_the_contract_lists)
{
	struct state *s = dbtest_open();

	ck_assert_ptr_null(state_take_news(s));
	dbtest_expect(
	    "SELECT group_concat(name, ', ') FROM pragma_table_info('checkpoint')",
	    "topic, worker, source_stream, source_created, source_seq, target_stream, target_created,"
	    " target_seq, in_flight, map_hash, updated, source_created_frac, target_created_frac\n");
	dbtest_expect("SELECT group_concat(name, ', ') FROM pragma_table_info('sample')",
		      "topic, value, seen, copied, size, advised\n");
	dbtest_expect("SELECT group_concat(name, ', ') FROM pragma_table_info('leadership')",
		      "name, topic, role, term, leader, since\n");
	dbtest_expect("SELECT group_concat(name, ', ') FROM pragma_table_info('advisory_outbox')",
		      "id, topic, subject, body, tries, next_try\n");
	dbtest_expect("SELECT group_concat(name, ', ') FROM pragma_table_info('incident')",
		      "id, at, topic, kind, detail\n");
	dbtest_expect("SELECT group_concat(name, ', ') FROM pragma_table_info('meta')", "key, value\n");
	dbtest_expect(
	    "SELECT group_concat(name, ', ') FROM pragma_table_info('v_checkpoint')",
	    "topic, worker, source_stream, source_created, source_seq, target_stream, target_created,"
	    " target_seq, in_flight, map_hash, updated\n");
	dbtest_expect("PRAGMA journal_mode", "wal\n");
	dbtest_expect("PRAGMA user_version", "1\n");
	state_close(&s);
	ck_assert_ptr_null(s);
}
END_TEST

START_TEST(keeps_checkpoints)
{
	struct state *s = dbtest_open();
	struct proto_checkpoint c;
	struct error e = ERROR_INIT;

	put(s, "cmdb", 5);
	ck_assert(state_dirty(s));
	ck_assert_uint_eq(get(s, "cmdb"), 5);
	dbtest_commit(s);
	put(s, "cmdb", 6);
	put(s, "other", 7);
	state_close(&s);

	s = dbtest_open();
	ck_assert_uint_eq(get(s, "other"), 7);
	ck_assert_uint_eq(get(s, "none"), 0);
	ck_assert_int_eq(state_get_checkpoint(s, "cmdb", "0", &c, &e), 1);
	ck_assert_str_eq(c.source_stream, "SOURCE");
	ck_assert_str_eq(c.target_stream, "TARGET");
	ck_assert(c.source_created_ns == INT64_C(1767323045123456789));
	ck_assert(c.target_created_ns == INT64_C(1767323046000000001));
	ck_assert_uint_eq(c.source_seq, 6);
	ck_assert_uint_eq(c.in_flight, 7);
	ck_assert(c.map_hash == UINT64_C(0x0123456789abcdef));
	ck_assert(c.updated_ms == INT64_C(1767323047500));
	proto_checkpoint_fini(&c);
	dbtest_expect(
	    "SELECT source_created, target_created, updated, map_hash FROM checkpoint WHERE topic = 'cmdb'",
	    "1767323045123|1767323046000|1767323047500|0123456789abcdef\n");
	dbtest_expect("SELECT * FROM v_checkpoint WHERE topic = 'cmdb'",
		      "cmdb|0|SOURCE|2026-01-02 03:04:05|6|TARGET|2026-01-02 03:04:06|1006|7|0123456789abcdef"
		      "|2026-01-02 03:04:07\n");
	state_close(&s);
}
END_TEST

START_TEST(keeps_extreme_numbers)
{
	char name[] = "";
	struct proto_checkpoint c = {.source_stream = name,
				     .target_stream = name,
				     .source_seq = UINT64_MAX,
				     .target_seq = PROTO_UNKNOWN,
				     .in_flight = UINT64_MAX,
				     .map_hash = UINT64_MAX};
	struct proto_checkpoint back;
	struct state *s = dbtest_open();

	state_put_checkpoint(s, "t", "0", &c);
	state_close(&s);
	s = dbtest_open();
	ck_assert_int_eq(state_get_checkpoint(s, "t", "0", &back, NULL), 1);
	ck_assert(back.source_seq == UINT64_MAX && back.target_seq == PROTO_UNKNOWN);
	ck_assert(back.map_hash == UINT64_MAX && back.source_created_ns == 0);
	proto_checkpoint_fini(&back);
	dbtest_expect("SELECT source_created, updated FROM v_checkpoint", "NULL|NULL\n");
	state_close(&s);
}
END_TEST

START_TEST(keeps_meta)
{
	struct state *s = dbtest_open();
	char *value = NULL;

	ck_assert_int_eq(state_get_meta(s, "paused:cmdb", &value, NULL), 0);
	state_put_meta(s, "paused:cmdb", "1");
	ck_assert_int_eq(state_get_meta(s, "paused:cmdb", &value, NULL), 1);
	free(value);
	dbtest_commit(s);
	dbtest_expect("SELECT * FROM meta", "paused:cmdb|1\n");
	state_put_meta(s, "paused:cmdb", "");
	state_close(&s);
	s = dbtest_open();
	ck_assert_int_eq(state_get_meta(s, "paused:cmdb", &value, NULL), 1);
	ck_assert_str_eq(value, "");
	free(value);
	state_close(&s);
}
END_TEST

static void
put_leaders(struct state *s, size_t count)
{
	char topic[] = "cmdb";
	struct state_leadership rows[] = {{"A", topic, "leader", 17, "node1", 1767323047500},
					  {"B", "other", "standby", 0, "", 0}};

	state_put_leadership(s, rows, count);
	topic[0] = 'x'; /* it is copied */
}

START_TEST(keeps_who_leads)
{
	static const char all[] = "SELECT * FROM leadership ORDER BY name";
	struct state *s = dbtest_open();

	put_leaders(s, 2);
	ck_assert(state_dirty(s));
	dbtest_commit(s);
	ck_assert(!state_dirty(s));
	dbtest_expect(all, "A|cmdb|leader|17|node1|1767323047500\nB|other|standby|0||0\n");
	/* Rows that are left out are gone. */
	put_leaders(s, 1);
	state_close(&s);
	dbtest_expect(all, "A|cmdb|leader|17|node1|1767323047500\n");
	/* Others' rows stay until it is known what is to be there, then they go too. */
	s = dbtest_open();
	put(s, "cmdb", 5);
	dbtest_commit(s);
	dbtest_expect(all, "A|cmdb|leader|17|node1|1767323047500\n");
	put_leaders(s, 0);
	dbtest_commit(s);
	dbtest_expect(all, "");
	/* A lost file gets them again. */
	put_leaders(s, 1);
	dbtest_commit(s);
	ck_assert_int_eq(unlink(dbtest_path), 0);
	dbtest_commit(s);
	dbtest_expect(all, "A|cmdb|leader|17|node1|1767323047500\n");
	state_close(&s);
}
END_TEST

START_TEST(keeps_newest_incidents)
{
	struct state *s = dbtest_open();
	char detail[8001];

	memset(detail, 'x', sizeof detail - 1);
	detail[sizeof detail - 1] = '\0';
	state_add_incident(s, INT64_C(1767323047500), "cmdb", "gap", detail);
	dbtest_commit(s);
	dbtest_expect("SELECT id, at, topic, kind, length(detail) FROM v_incident",
		      "1|2026-01-02 03:04:07|cmdb|gap|4000\n");
	for (int i = 1; i <= 10005; i++) {
		snprintf(detail, sizeof detail, "%d", i);
		state_add_incident(s, i, "cmdb", "gap", detail);
		if (i == 5000)
			dbtest_commit(s);
	}
	dbtest_commit(s);
	dbtest_expect(
	    "SELECT count(*), min(CAST(detail AS INTEGER)), max(CAST(detail AS INTEGER)) FROM incident",
	    "10000|6|10005\n");
	/* more than are kept, in one go */
	for (int i = 1; i <= 12345; i++)
		state_add_incident(s, i, "cmdb", "reject", "later");
	dbtest_commit(s);
	dbtest_expect("SELECT count(*), min(at), max(at) FROM incident WHERE kind = 'reject'",
		      "10000|2346|12345\n");
	state_close(&s);
}
END_TEST

/* ---- damage -------------------------------------------------------------------------------------- */

static void
overwrite(size_t at, size_t len)
{
	int fd = open(dbtest_path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(pwrite(fd, "\xa5", 1, (off_t)(at + i)), 1);
	close(fd);
}

static void
damage_garbage(void)
{
	static char garbage[100000];

	memset(garbage, 'g', sizeof garbage);
	write_file(dbtest_path, garbage, sizeof garbage);
}
static void
damage_truncated(void)
{
	ck_assert_int_eq(truncate(dbtest_path, 5000), 0);
}
static void
damage_header(void)
{
	overwrite(0, 16);
}
static void
damage_page(void)
{
	overwrite(4096, 4096);
}
static void
damage_short(void)
{
	write_file(dbtest_path, "hello\n", 6);
}
static void
damage_directory(void)
{
	unlink(dbtest_path);
	ck_assert_int_eq(mkdir(dbtest_path, 0755), 0);
}
static void
damage_fifo(void)
{
	unlink(dbtest_path);
	ck_assert_int_eq(mkfifo(dbtest_path, 0644), 0);
}
static void
damage_newer(void)
{
	sqlite3 *db = dbtest_raw_open();

	dbtest_raw(db, "PRAGMA user_version = 999");
	sqlite3_close(db);
}
static void
damage_foreign(void)
{
	sqlite3 *db;

	unlink(dbtest_path);
	db = dbtest_raw_open();
	dbtest_raw(db, "CREATE TABLE bookmarks (url TEXT)");
	sqlite3_close(db);
}
static void
damage_table_gone(void)
{
	sqlite3 *db = dbtest_raw_open();

	dbtest_raw(db, "DROP TABLE meta");
	sqlite3_close(db);
}
static void
damage_column_gone(void)
{
	sqlite3 *db = dbtest_raw_open();

	dbtest_raw(db, "DROP TABLE incident; CREATE TABLE incident (id INTEGER PRIMARY KEY)");
	sqlite3_close(db);
}

static const struct {
	void (*damage)(void);
	const char *word;   /* of the news */
	bool while_running; /* a commit meets it, or makes it whole; the others are met at the next start */
} damages[] = {
    {damage_garbage, "not a database", true},  {damage_truncated, "malformed", true},
    {damage_header, "not a database", true},   {damage_page, "malformed", true},
    {damage_short, "not a database", true},    {damage_directory, "not a regular file", true},
    {damage_fifo, "not a regular file", true}, {damage_newer, "newer version", false},
    {damage_foreign, "another program", true}, {damage_table_gone, "tables", true},
    {damage_column_gone, "tables", false},
};
enum { DAMAGES = sizeof damages / sizeof damages[0] };

static void
fill(void)
{
	struct state *s = dbtest_open();

	put(s, "cmdb", 5);
	for (int i = 0; i < 100; i++)
		state_add_incident(s, i, "cmdb", "gap", "some text that fills a page or two of the file");
	state_close(&s);
}

START_TEST(sets_damaged_aside_at_open)
{
	char damaged[600];
	struct state *s;

	fill();
	damages[_i].damage();
	s = dbtest_open();
	dbtest_expect_news(s, damages[_i].word);
	ck_assert_uint_eq(get(s, "cmdb"), 0);
	snprintf(damaged, sizeof damaged, "%s.damaged-20", dbtest_path);
	ck_assert_int_ge(count_names(damaged), 1);
	put(s, "cmdb", 9);
	dbtest_commit(s);
	dbtest_expect("SELECT source_seq FROM checkpoint", "9\n");
	dbtest_expect("SELECT kind, topic, count(*) FROM incident", "state_damaged||1\n");
	state_close(&s);
	s = dbtest_open();
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
}
END_TEST

START_TEST(sets_damaged_aside_while_running)
{
	struct state *s;

	if (!damages[_i].while_running)
		return;
	fill();
	s = dbtest_open();
	put(s, "other", 7);
	state_put_meta(s, "key", "value");
	dbtest_commit(s);
	damages[_i].damage();
	put(s, "cmdb", 9);
	dbtest_commit(s);
	dbtest_expect("SELECT topic, source_seq FROM checkpoint ORDER BY topic", "cmdb|9\nother|7\n");
	dbtest_expect("SELECT * FROM meta", "key|value\n");
	dbtest_expect("PRAGMA integrity_check", "ok\n");
	state_close(&s);
	s = dbtest_open();
	ck_assert_uint_eq(get(s, "cmdb"), 9);
	ck_assert_uint_eq(get(s, "other"), 7);
	state_close(&s);
}
END_TEST

START_TEST(keeps_each_damaged_file)
{
	char damaged[600];

	for (int i = 0; i < 3; i++) {
		struct state *s;

		damage_garbage();
		s = dbtest_open();
		state_close(&s);
	}
	snprintf(damaged, sizeof damaged, "%s.damaged-20*[Z0-9]", dbtest_path);
	ck_assert_int_eq(count_names(damaged), 3);
}
END_TEST

START_TEST(takes_the_log_along)
{
	char damaged[600], wal[600];
	sqlite3 *db;
	struct state *s;

	fill();
	damage_newer();
	db = dbtest_raw_open(); /* a log that is not yet in the file, as a killed writer leaves it */
	dbtest_raw(db, "CREATE TABLE t (x)");
	snprintf(wal, sizeof wal, "%s-wal", dbtest_path);
	ck_assert_int_eq(count_names(wal), 1);
	s = dbtest_open();
	dbtest_expect_news(s, "newer version");
	state_close(&s);
	sqlite3_close(db);
	snprintf(damaged, sizeof damaged, "%s.damaged-20*Z-wal", dbtest_path);
	ck_assert_int_eq(count_names(damaged), 1);
}
END_TEST

START_TEST(an_empty_file_is_a_new_one)
{
	struct state *s;

	write_file(dbtest_path, "", 0);
	s = dbtest_open();
	ck_assert_ptr_null(state_take_news(s));
	put(s, "cmdb", 1);
	dbtest_commit(s);
	state_close(&s);
}
END_TEST

START_TEST(sets_unreadable_aside)
{
	struct state *s;

	fill();
	ck_assert_int_eq(chmod(dbtest_path, 0), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(dbtest_dir, NOBODY, NOBODY), 0);
		ck_assert_int_eq(setresuid(NOBODY, NOBODY, 0), 0);
	}
	s = dbtest_open();
	dbtest_expect_news(s, "set aside");
	put(s, "cmdb", 3);
	dbtest_commit(s);
	state_close(&s);
	if (getuid() == NOBODY)
		ck_assert_int_eq(setresuid(0, 0, 0), 0);
}
END_TEST

START_TEST(goes_on_without_a_directory_it_may_write)
{
	struct error e = ERROR_INIT;
	char *value = NULL;
	struct state *s;

	ck_assert_int_eq(chmod(dbtest_dir, 0555), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(NOBODY, NOBODY, 0), 0);
	s = state_open(dbtest_dir, &e);
	ck_assert_int_eq(e.code, ERR_STATE);
	ck_assert_ptr_nonnull(strstr(e.text, dbtest_path));
	ck_assert_ptr_nonnull(strstr(e.text, "right to write"));
	ck_assert_str_eq(state_problem(s), e.text);
	ck_assert_int_eq(state_get_meta(s, "key", &value, &e), -1);
	put(s, "cmdb", 4);
	ck_assert_uint_eq(get(s, "cmdb"), 4);
	ck_assert_int_eq(state_commit(s, &e), -1);
	ck_assert_int_eq(state_commit(s, &e), -1);
	if (getuid() == NOBODY)
		ck_assert_int_eq(setresuid(0, 0, 0), 0);
	ck_assert_int_eq(chmod(dbtest_dir, 0755), 0);
	dbtest_commit(s);
	dbtest_expect("SELECT source_seq FROM checkpoint", "4\n");
	ck_assert_int_eq(state_get_meta(s, "key", &value, &e), 0);
	state_close(&s);
}
END_TEST

/* ---- loss ---------------------------------------------------------------------------------------- */

static void
lose_file(void)
{
	unlink(dbtest_path);
}
static void
lose_all(void)
{
	char command[600];

	snprintf(command, sizeof command, "rm -rf %s/*", dbtest_dir);
	ck_assert_int_eq(system(command), 0);
}
static void
lose_dir(void)
{
	dbtest_teardown();
}
static void
lose_log(void)
{
	char name[600];

	snprintf(name, sizeof name, "%s-wal", dbtest_path);
	unlink(name);
}
static void
lose_index(void)
{
	char name[600];

	snprintf(name, sizeof name, "%s-shm", dbtest_path);
	unlink(name);
}
static void
cut_index(void)
{
	char name[600];

	snprintf(name, sizeof name, "%s-shm", dbtest_path);
	ck_assert_int_eq(truncate(name, 0), 0);
}
static void
empty_file(void)
{
	ck_assert_int_eq(truncate(dbtest_path, 0), 0);
}

static void (*const losses[])(void) = {lose_file,  lose_all,  lose_dir,  lose_log,
				       lose_index, cut_index, empty_file};
enum { LOSSES = sizeof losses / sizeof losses[0] };

START_TEST(makes_a_lost_file_anew)
{
	struct state *s = dbtest_open();

	put(s, "cmdb", 5);
	put(s, "other", 6);
	state_put_meta(s, "key", "value");
	dbtest_commit(s);
	put(s, "cmdb", 7);
	losses[_i]();
	dbtest_commit(s);
	dbtest_expect("SELECT topic, source_seq FROM checkpoint ORDER BY topic", "cmdb|7\nother|6\n");
	dbtest_expect("SELECT * FROM meta", "key|value\n");
	dbtest_expect("PRAGMA integrity_check", "ok\n");
	put(s, "cmdb", 8);
	dbtest_commit(s);
	state_close(&s);
	s = dbtest_open();
	ck_assert_uint_eq(get(s, "cmdb"), 8);
	ck_assert_uint_eq(get(s, "other"), 6);
	state_close(&s);
}
END_TEST

START_TEST(tells_of_a_lost_file)
{
	struct state *s = dbtest_open();

	put(s, "cmdb", 5);
	dbtest_commit(s);
	unlink(dbtest_path);
	dbtest_commit(s); /* nothing to write, and yet */
	dbtest_expect_news(s, "removed");
	dbtest_expect("SELECT kind FROM incident", "state_lost\n");
	dbtest_expect("SELECT source_seq FROM checkpoint", "5\n");
	state_close(&s);
}
END_TEST

/* ---- full and locked ----------------------------------------------------------------------------- */

START_TEST(full_disk_stops_nothing_but_commits)
{
	struct error e = ERROR_INIT;
	struct state *s = dbtest_open();
	uint64_t seq = 0;

	put(s, "cmdb", 1);
	dbtest_commit(s);
	dbtest_limit_file_size(50000);
	while (state_commit(s, &e) == 0 && seq < 1000)
		put(s, "cmdb", ++seq);
	ck_assert_msg(seq < 1000, "the limit was never felt");
	ck_assert_ptr_nonnull(strstr(e.text, dbtest_path));
	ck_assert_str_eq(state_problem(s), e.text);
	for (int i = 0; i < 20000; i++) {
		put(s, "cmdb", ++seq);
		state_add_incident(s, i, "cmdb", "gap", "while full");
		if (i % 4000 == 0)
			ck_assert_int_eq(state_commit(s, &e), -1);
	}
	ck_assert_uint_eq(get(s, "cmdb"), seq);
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_commit(s);
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
	s = dbtest_open();
	ck_assert_uint_eq(get(s, "cmdb"), seq);
	dbtest_expect("SELECT count(*), min(at), max(at) FROM incident", "10000|10000|19999\n");
	state_close(&s);
}
END_TEST

START_TEST(full_disk_at_the_start)
{
	struct error e = ERROR_INIT;
	struct state *s;

	dbtest_limit_file_size(100);
	s = state_open(dbtest_dir, &e);
	ck_assert_int_eq(e.code, ERR_STATE);
	put(s, "cmdb", 2);
	ck_assert_int_eq(state_commit(s, &e), -1);
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_commit(s);
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
	s = dbtest_open();
	ck_assert_uint_eq(get(s, "cmdb"), 2);
	state_close(&s);
}
END_TEST

START_TEST(a_lock_of_another_program_is_waited_for_briefly)
{
	struct error e = ERROR_INIT;
	struct state *s = dbtest_open();
	sqlite3 *db = dbtest_raw_open();
	struct mono before;

	dbtest_raw(db, "BEGIN IMMEDIATE");
	put(s, "cmdb", 3);
	before = mono_now();
	ck_assert_int_eq(state_commit(s, &e), -1);
	ck_assert_int_lt(mono_ms_between(before, mono_now()), 2000);
	ck_assert_ptr_nonnull(strstr(e.text, "locked"));
	dbtest_raw(db, "ROLLBACK");
	dbtest_commit(s);
	ck_assert_ptr_null(state_take_news(s));
	sqlite3_close(db);
	state_close(&s);
}
END_TEST

START_TEST(another_writer_is_noticed_and_survived)
{
	struct state *s = dbtest_open();
	sqlite3 *db = dbtest_raw_open();

	put(s, "cmdb", 3);
	dbtest_commit(s);
	dbtest_raw(db, "DELETE FROM checkpoint; PRAGMA wal_checkpoint");
	sqlite3_close(db);
	put(s, "other", 4);
	dbtest_commit(s);
	dbtest_expect("SELECT topic, source_seq FROM checkpoint ORDER BY topic", "cmdb|3\nother|4\n");
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
}
END_TEST

/* ---- kill -9 ------------------------------------------------------------------------------------- */

/* Two checkpoints with one number in each commit; tells each number that was committed. */
static void
write_for_ever(int tell)
{
	struct error e = ERROR_INIT;
	struct state *s = state_open(dbtest_dir, &e);

	for (uint64_t seq = get(s, "a") + 1;; seq++) {
		char value[32];

		put(s, "a", seq);
		put(s, "b", seq);
		snprintf(value, sizeof value, "%" PRIu64, seq);
		if (seq % 5 == 0)
			state_put_meta(s, "seq", value);
		state_add_incident(s, (int64_t)seq, "a", "gap", value);
		if (state_commit(s, &e) != 0 || write(tell, &seq, sizeof seq) != sizeof seq)
			_exit(1);
	}
}

static pid_t
start_writer(int *told)
{
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(fds[0]);
		write_for_ever(fds[1]);
	}
	close(fds[1]);
	*told = fds[0];
	return pid;
}

/* Kills after delay_us; the last number the writer told, 0 if none. */
static uint64_t
kill_writer(pid_t pid, int told, unsigned delay_us)
{
	uint64_t seq, last = 0;
	int status;

	usleep(delay_us);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status), "the writer gave up by itself");
	while (read(told, &seq, sizeof seq) == sizeof seq)
		last = seq;
	close(told);
	return last;
}

START_TEST(survives_kill_9)
{
	uint64_t last = 0;

	srand(4711);
	for (int round = 0; round < 60; round++) {
		int told;
		pid_t pid = start_writer(&told);
		uint64_t seq = kill_writer(pid, told, (unsigned)(rand() % 30000));
		struct state *s = dbtest_open();

		if (seq > 0)
			last = seq;
		ck_assert_ptr_null(state_take_news(s));
		/* what was committed is there; one commit more may be, of which nobody heard */
		ck_assert_uint_ge(get(s, "a"), last);
		ck_assert_uint_le(get(s, "a"), last + 1);
		ck_assert_uint_eq(get(s, "a"), get(s, "b"));
		last = get(s, "a");
		if (round % 10 == 9)
			dbtest_expect("PRAGMA integrity_check", "ok\n");
		state_close(&s);
	}
	ck_assert_uint_gt(last, 60);
}
END_TEST

START_TEST(survives_kill_9_while_being_made)
{
	srand(815);
	for (int round = 0; round < 60; round++) {
		int told;
		pid_t pid = start_writer(&told);
		uint64_t seq = kill_writer(pid, told, (unsigned)(rand() % 6000));
		struct state *s = dbtest_open();

		ck_assert_ptr_null(state_take_news(s));
		ck_assert_uint_ge(get(s, "a"), seq);
		dbtest_expect("SELECT count(*) FROM sqlite_master WHERE type = 'table'", "6\n");
		state_close(&s);
		lose_all();
	}
}
END_TEST

/* ---- reading ------------------------------------------------------------------------------------- */

struct seen {
	uint64_t a, b;
	int incidents;
	int64_t last_at;
};

static void
see_checkpoint(void *arg, const char *topic, const char *worker, const struct proto_checkpoint *c)
{
	struct seen *seen = arg;

	ck_assert_str_eq(worker, "0");
	ck_assert_str_eq(c->source_stream, "SOURCE");
	*(topic[0] == 'a' ? &seen->a : &seen->b) = c->source_seq;
}

static void
see_incident(void *arg, const struct state_incident *incident)
{
	struct seen *seen = arg;

	ck_assert_str_eq(incident->kind, "gap");
	ck_assert_int_gt(incident->at_ms, seen->last_at);
	seen->last_at = incident->at_ms;
	seen->incidents++;
}

static struct seen
look(const char *topic)
{
	struct error e = ERROR_INIT;
	struct state_reader *r = state_reader_open(dbtest_dir, &e);
	struct seen seen = {0};

	ck_assert_msg(r != NULL, "%s", e.text);
	ck_assert_msg(state_reader_checkpoints(r, topic, see_checkpoint, &seen, &e) == 0, "%s", e.text);
	ck_assert_msg(state_reader_incidents(r, "a", see_incident, &seen, &e) == 0, "%s", e.text);
	state_reader_close(&r);
	return seen;
}

START_TEST(reads_while_it_is_written)
{
	uint64_t first, last = 0, seq;
	int told;
	pid_t pid = start_writer(&told);

	ck_assert_int_eq(read(told, &first, sizeof first), sizeof first);
	for (int i = 0; i < 200; i++) {
		struct seen seen = look(NULL);

		ck_assert_uint_eq(seen.a, seen.b);
		ck_assert_uint_ge(seen.a, last);
		ck_assert_int_ge(seen.incidents, 1);
		last = seen.a;
		/* the writer is not held up */
		ck_assert_int_eq(read(told, &seq, sizeof seq), sizeof seq);
	}
	ck_assert_uint_gt(last, first);
	ck_assert_uint_eq(look("b").a, 0);
	kill_writer(pid, told, 0);
	ck_assert_uint_ge(look(NULL).a, last);
}
END_TEST

START_TEST(reads_without_the_right_to_write)
{
	struct state *s = dbtest_open();

	put(s, "a", 5);
	state_close(&s);
	ck_assert_int_eq(chmod(dbtest_path, 0444), 0);
	ck_assert_int_eq(chmod(dbtest_dir, 0555), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(NOBODY, NOBODY, 0), 0);
	ck_assert_uint_eq(look(NULL).a, 5);
	if (getuid() == NOBODY)
		ck_assert_int_eq(setresuid(0, 0, 0), 0);
	ck_assert_int_eq(chmod(dbtest_dir, 0755), 0);
}
END_TEST

START_TEST(reader_says_what_is_wrong)
{
	struct error e = ERROR_INIT;

	ck_assert_ptr_null(state_reader_open(dbtest_dir, &e));
	ck_assert_int_eq(e.code, ERR_NOT_FOUND);
	damage_garbage();
	ck_assert_ptr_null(state_reader_open(dbtest_dir, &e));
	ck_assert_int_eq(e.code, ERR_STATE);
	ck_assert_ptr_nonnull(strstr(e.text, "not a database"));
	damage_foreign();
	ck_assert_ptr_null(state_reader_open(dbtest_dir, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "not a state file"));
}
END_TEST

static void
add_case(Suite *s, TCase *tc)
{
	tcase_add_checked_fixture(tc, dbtest_setup, dbtest_teardown);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("state");
	TCase *content = tcase_create("content"), *damage = tcase_create("damage"),
	      *loss = tcase_create("loss");
	TCase *trouble = tcase_create("trouble"), *reading = tcase_create("reading");

	tcase_add_test(content, has_what_the_contract_lists);
	tcase_add_test(content, keeps_checkpoints);
	tcase_add_test(content, keeps_extreme_numbers);
	tcase_add_test(content, keeps_meta);
	tcase_add_test(content, keeps_who_leads);
	tcase_add_test(content, keeps_newest_incidents);
	tcase_add_loop_test(damage, sets_damaged_aside_at_open, 0, DAMAGES);
	tcase_add_loop_test(damage, sets_damaged_aside_while_running, 0, DAMAGES);
	tcase_add_test(damage, keeps_each_damaged_file);
	tcase_add_test(damage, takes_the_log_along);
	tcase_add_test(damage, an_empty_file_is_a_new_one);
	tcase_add_test(damage, sets_unreadable_aside);
	tcase_add_test(damage, goes_on_without_a_directory_it_may_write);
	tcase_add_loop_test(loss, makes_a_lost_file_anew, 0, LOSSES);
	tcase_add_test(loss, tells_of_a_lost_file);
	tcase_add_test(trouble, full_disk_stops_nothing_but_commits);
	tcase_add_test(trouble, full_disk_at_the_start);
	tcase_add_test(trouble, a_lock_of_another_program_is_waited_for_briefly);
	tcase_add_test(trouble, another_writer_is_noticed_and_survived);
	tcase_add_test(trouble, survives_kill_9);
	tcase_add_test(trouble, survives_kill_9_while_being_made);
	tcase_add_test(reading, reads_while_it_is_written);
	tcase_add_test(reading, reads_without_the_right_to_write);
	tcase_add_test(reading, reader_says_what_is_wrong);
	add_case(s, content);
	add_case(s, damage);
	add_case(s, loss);
	add_case(s, trouble);
	add_case(s, reading);
	return s;
}
