/* The table `sample` in state.db: batches, notes, answers, lost files, full disks, kill -9, reading it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "state/reader.h"
#include "tests/unit/dbtest.h"
#include "tests/unit/unit.h"

#define ALL  "SELECT * FROM sample"
#define NOTE "SELECT * FROM meta"

static uint64_t serial;

static void
setup(void)
{
	serial = 0;
	dbtest_setup();
}

/* ---- helpers ------------------------------------------------------------------------------------- */

static void
add(struct strbuf *b, const char *value, int64_t seen, bool forgotten)
{
	struct proto_sample row = {.value = value,
				   .value_len = strlen(value),
				   .seen_ms = seen,
				   .copied_ms = seen / 2,
				   .size = 1024,
				   .advised = seen % 2 == 1,
				   .forgotten = forgotten};

	proto_sample_encode(b, &row);
}

/* Puts what b holds as a batch, and takes it. */
static uint64_t
put(struct state *s, const char *topic, struct strbuf *b, const char *note)
{
	char *copy = xstrdup(note);
	struct proto_samples batch = {
	    .serial = ++serial, .note = copy, .rows = (const uint8_t *)b->data, .rows_len = b->len};

	state_put_samples(s, topic, &batch);
	free(copy);
	memset(b->data, 0xee, b->len); /* it was copied */
	strbuf_fini(b);
	return serial;
}

static uint64_t
put_one(struct state *s, const char *topic, const char *value, int64_t seen, const char *note)
{
	struct strbuf b;

	strbuf_init(&b);
	add(&b, value, seen, false);
	return put(s, topic, &b, note);
}

static uint64_t
put_many(struct state *s, const char *topic, int from, int count, const char *note)
{
	struct strbuf b;

	strbuf_init(&b);
	for (int i = from; i < from + count; i++) {
		char value[32];

		/* not in the order of the table */
		snprintf(value, sizeof value, "host%07d", (int)(i * INT64_C(7919) % 10000019));
		add(&b, value, i, false);
	}
	return put(s, topic, &b, note);
}

static void
expect_stored(struct state *s, const char *topic, uint64_t want, bool again)
{
	struct proto_samples_stored stored;
	char *told;

	ck_assert_msg(state_take_stored(s, &told, &stored), "nothing is told of %s %" PRIu64, topic, want);
	ck_assert_str_eq(told, topic);
	ck_assert_uint_eq(stored.serial, want);
	ck_assert(stored.again == again);
	free(told);
}

static void
expect_silence(struct state *s)
{
	struct proto_samples_stored stored;
	char *told;

	ck_assert(!state_take_stored(s, &told, &stored));
}

static void
start(struct state *s, const char *topic)
{
	struct error e = ERROR_INIT;

	ck_assert_msg(state_flush_samples(s, topic, &e) == 0, "%s", e.text);
}

/* ---- batches ------------------------------------------------------------------------------------- */

START_TEST(keeps_rows)
{
	struct state *s = dbtest_open();
	struct strbuf b;
	uint64_t number;

	strbuf_init(&b);
	add(&b, "web1", 1767323045001, false);
	add(&b, "web2", 1767323045000, false);
	number = put(s, "cmdb", &b, "");
	ck_assert(state_dirty(s));
	expect_silence(s);
	dbtest_commit(s);
	expect_stored(s, "cmdb", number, false);
	expect_silence(s);
	dbtest_expect(ALL, "cmdb|web1|1767323045001|883661522500|1024|1\n"
			   "cmdb|web2|1767323045000|883661522500|1024|0\n");
	/* changed, gone, new, and the same value in another topic */
	strbuf_init(&b);
	add(&b, "web1", 6, false);
	add(&b, "web2", 7, true);
	add(&b, "web3", 8, false);
	put(s, "cmdb", &b, "");
	put_one(s, "other", "web1", 4, "");
	dbtest_commit(s);
	dbtest_expect(ALL, "cmdb|web1|6|3|1024|0\ncmdb|web3|8|4|1024|0\nother|web1|4|2|1024|0\n");
	state_close(&s);
}
END_TEST

/* Of a value that is in a batch twice the later row counts, also where it goes or comes back. */
START_TEST(keeps_the_later_of_two)
{
	struct state *s = dbtest_open();
	struct strbuf b;

	strbuf_init(&b);
	add(&b, "a", 2, false);
	add(&b, "b", 2, true);
	add(&b, "c", 2, false);
	add(&b, "a", 4, false);
	add(&b, "b", 4, false);
	add(&b, "c", 4, true);
	put(s, "t", &b, "");
	dbtest_commit(s);
	dbtest_expect(ALL, "t|a|4|2|1024|0\nt|b|4|2|1024|0\n");
	state_close(&s);
}
END_TEST

START_TEST(reads_well)
{
	struct state *s = dbtest_open();
	struct strbuf b;

	strbuf_init(&b);
	add(&b, "web2", 1767323045000, false);
	add(&b, "web1", 1, false);
	put(s, "cmdb", &b, "");
	state_close(&s);
	dbtest_expect("SELECT * FROM v_sample", "cmdb|web1|1970-01-01 00:00:00|NULL|1024|1\n"
						"cmdb|web2|2026-01-02 03:04:05|1998-01-01 13:32:02|1024|0\n");
}
END_TEST

START_TEST(keeps_the_note)
{
	struct state *s = dbtest_open();
	char *value;

	put_one(s, "cmdb", "a", 2, "first");
	dbtest_commit(s);
	dbtest_expect(NOTE, "sampled:cmdb|first\n");
	put_one(s, "cmdb", "a", 4, "");
	dbtest_commit(s);
	dbtest_expect(NOTE, "sampled:cmdb|first\n");
	put_many(s, "cmdb", 0, 0, "second");
	dbtest_commit(s);
	dbtest_expect(NOTE, "sampled:cmdb|second\n");
	/* it is the file's alone: memory of this process or the next would outlive the rows */
	ck_assert_int_eq(state_get_meta(s, "sampled:cmdb", &value, NULL), 0);
	state_close(&s);
	s = dbtest_open();
	ck_assert_int_eq(state_get_meta(s, "sampled:cmdb", &value, NULL), 0);
	ck_assert_int_eq(unlink(dbtest_path), 0);
	dbtest_commit(s);
	dbtest_expect(NOTE, "");
	state_close(&s);
}
END_TEST

/* A large batch takes several commits; its note comes with the last, and so does the answer. */
START_TEST(keeps_commits_short)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;
	uint64_t number;
	int commits = 0;

	put_one(s, "cmdb", "a", 2, "old");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 1, false);
	number = put_many(s, "cmdb", 0, 30000, "new");
	while (state_dirty(s)) {
		expect_silence(s);
		dbtest_expect(NOTE, "sampled:cmdb|old\n");
		ck_assert_int_eq(state_commit(s, &e), 0);
		commits++;
	}
	ck_assert_int_ge(commits, 2);
	ck_assert_int_le(commits, 61);
	expect_stored(s, "cmdb", number, false);
	dbtest_expect("SELECT count(*) FROM sample", "30001\n");
	dbtest_expect(NOTE, "sampled:cmdb|new\n");
	state_close(&s);
}
END_TEST

/* Topics take turns, the oldest batch first; a close leaves none behind. */
START_TEST(serves_the_oldest_first)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;
	uint64_t a, b, c;

	a = put_many(s, "z", 0, 7000, "note");
	b = put_many(s, "y", 0, 7000, "note");
	c = put_many(s, "x", 0, 100, "note");
	ck_assert_int_eq(state_commit(s, &e), 0);
	expect_stored(s, "z", a, false);
	expect_silence(s);
	/* one that comes later waits for its turn */
	put_many(s, "z", 0, 7000, "again");
	while (state_dirty(s))
		ck_assert_int_eq(state_commit(s, &e), 0);
	dbtest_expect("SELECT count(*) FROM sample", "14100\n");
	(void)b;
	(void)c;
	put_many(s, "x", 100, 16000, "end");
	put_many(s, "y", 7000, 16000, "end");
	put_many(s, "z", 7000, 16000, "end");
	state_close(&s);
	dbtest_expect("SELECT topic, count(*) FROM sample GROUP BY topic", "x|16100\ny|23000\nz|23000\n");
	dbtest_expect(NOTE, "sampled:x|end\nsampled:y|end\nsampled:z|end\n");
}
END_TEST

/* What must be on the disk soon does not wait for what is much. */
START_TEST(small_commits_leave_samples)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	put_one(s, "cmdb", "a", 2, "note");
	state_put_meta(s, "key", "value");
	ck_assert_int_eq(state_commit_small(s, &e), 0);
	dbtest_expect(NOTE, "key|value\n");
	dbtest_expect(ALL, "");
	expect_silence(s);
	dbtest_commit(s);
	dbtest_expect("SELECT count(*) FROM sample", "1\n");
	/* nor does a synced one take them along */
	put_one(s, "cmdb", "b", 2, "note");
	state_put_meta(s, "key", "other");
	ck_assert_int_eq(state_commit(s, &e), 0);
	dbtest_expect("SELECT count(*) FROM sample", "1\n");
	ck_assert(state_dirty(s));
	dbtest_commit(s);
	dbtest_expect("SELECT count(*) FROM sample", "2\n");
	state_close(&s);
}
END_TEST

/* The log does not grow for ever, with nobody but the commits to tidy up, nor with the tick that does. */
START_TEST(the_log_is_bounded)
{
	struct state *s = dbtest_open();
	char name[600];
	struct stat st;

	snprintf(name, sizeof name, "%s-wal", dbtest_path);
	for (int i = 0; i < 60; i++) {
		put_many(s, "cmdb", i * 5000, 5000, "note");
		while (state_dirty(s))
			ck_assert_int_eq(state_commit(s, NULL), 0);
		if (i >= 50)
			state_tidy(s);
		ck_assert_int_eq(stat(name, &st), 0);
		ck_assert_int_lt(st.st_size, i <= 50 ? 85000000 : 30000000);
	}
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
}
END_TEST

/* ---- processes come and go ----------------------------------------------------------------------- */

START_TEST(a_start_finds_all)
{
	struct state *s = dbtest_open();

	put_many(s, "other", 0, 16000, "theirs");
	put_many(s, "cmdb", 0, 16000, "note");
	start(s, "cmdb");
	dbtest_expect("SELECT count(*) FROM sample WHERE topic = 'cmdb'", "16000\n");
	dbtest_expect(NOTE, "sampled:cmdb|note\n"); /* others had to wait */
	/* nobody is there to be told of it */
	while (state_dirty(s))
		ck_assert_int_eq(state_commit(s, NULL), 0);
	expect_stored(s, "other", 1, false);
	expect_silence(s);
	state_close(&s);
}
END_TEST

START_TEST(a_new_process_hears_nothing_of_the_old)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	put_one(s, "cmdb", "a", 2, "note");
	dbtest_commit(s);
	start(s, "cmdb");
	expect_silence(s);
	/* a batch that could not be written when the process started: it is the old one's for ever */
	put_one(s, "cmdb", "b", 2, "old");
	dbtest_limit_file_size(100);
	ck_assert_int_eq(state_flush_samples(s, "cmdb", &e), -1);
	ck_assert_int_eq(e.code, ERR_STATE);
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_commit(s);
	expect_silence(s);
	dbtest_expect(NOTE, "sampled:cmdb|old\n");
	/* and makes room for one of the new */
	put_one(s, "cmdb", "c", 2, "older");
	dbtest_limit_file_size(100);
	ck_assert_int_eq(state_flush_samples(s, "cmdb", &e), -1);
	dbtest_limit_file_size(RLIM_INFINITY);
	put_one(s, "cmdb", "d", 2, "new");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 4, false);
	dbtest_expect("SELECT group_concat(value) FROM sample", "a,b,d\n");
	dbtest_expect(NOTE, "sampled:cmdb|new\n");
	state_close(&s);
}
END_TEST

/* ---- lost files ---------------------------------------------------------------------------------- */

static void
lose_file(void)
{
	unlink(dbtest_path);
}

static void
lose_log(void)
{
	char name[600];

	snprintf(name, sizeof name, "%s-wal", dbtest_path);
	unlink(name);
}

static void
damage(void)
{
	ck_assert_int_eq(truncate(dbtest_path, 5000), 0);
}

static void
change(void)
{
	sqlite3 *db = dbtest_raw_open();

	dbtest_raw(db, "DELETE FROM sample; PRAGMA wal_checkpoint");
	sqlite3_close(db);
}

static void (*const losses[])(void) = {lose_file, lose_log, damage, change};
enum { LOSSES = sizeof losses / sizeof losses[0] };

/* Rows are wanted again, from all who ever sent or started, and no note is there before one is due. */
START_TEST(a_lost_file_is_filled_again)
{
	struct state *s = dbtest_open();

	start(s, "silent");
	put_one(s, "cmdb", "a", 2, "note 1");
	put_one(s, "other", "a", 2, "note 2");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 1, false);
	expect_stored(s, "other", 2, false);
	state_tidy(s);
	/* its batch waits, and knows of rows that are lost */
	put_one(s, "cmdb", "b", 4, "note 3");
	losses[_i]();
	dbtest_commit(s);
	dbtest_expect(NOTE, "");
	expect_stored(s, "silent", 0, true);
	expect_stored(s, "cmdb", 3, true);
	expect_stored(s, "other", 0, true);
	expect_silence(s);
	/* heard with the answer: the next note holds */
	put_one(s, "cmdb", "a", 2, "note 4");
	/* told of in between: the next batch may have been on its way, the one after it was not */
	put_one(s, "other", "b", 4, "note 5");
	dbtest_commit(s);
	dbtest_expect(NOTE, "sampled:cmdb|note 4\n");
	expect_stored(s, "cmdb", 4, false);
	expect_stored(s, "other", 5, false);
	put_one(s, "other", "a", 2, "note 6");
	dbtest_commit(s);
	dbtest_expect(NOTE, "sampled:cmdb|note 4\nsampled:other|note 6\n");
	dbtest_expect("SELECT topic, value, seen FROM sample ORDER BY topic, value",
		      "cmdb|a|2\ncmdb|b|4\nother|a|2\nother|b|4\n");
	state_close(&s);
}
END_TEST

/* A batch that came before the loss was told is taken, its note is not. */
START_TEST(a_batch_of_before_brings_no_note)
{
	struct state *s = dbtest_open();

	start(s, "cmdb");
	put_one(s, "cmdb", "a", 2, "one");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 1, false);
	lose_file();
	dbtest_commit(s);
	put_one(s, "cmdb", "b", 2, "two");
	expect_silence(s); /* it hears with the answer */
	dbtest_commit(s);
	dbtest_expect(NOTE, "");
	expect_stored(s, "cmdb", 2, true);
	/* a process that starts now has read the file: nothing is to be sent again, its note holds */
	lose_file();
	dbtest_commit(s);
	start(s, "cmdb");
	expect_silence(s);
	put_one(s, "cmdb", "c", 2, "three");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 3, false);
	dbtest_expect(NOTE, "sampled:cmdb|three\n");
	state_close(&s);
}
END_TEST

/* A batch of a process that is gone, and a database that cannot be written: the one that runs hears at once.
 */
START_TEST(a_loss_is_told_past_a_batch_of_the_dead)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	put_one(s, "cmdb", "a", 2, "one");
	dbtest_limit_file_size(100);
	ck_assert_int_eq(state_flush_samples(s, "cmdb", &e), -1);
	expect_silence(s);
	lose_file();
	ck_assert_int_eq(state_commit(s, &e), -1);
	expect_stored(s, "cmdb", 0, true);
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_commit(s);
	expect_silence(s);
	dbtest_expect(NOTE, "");
	state_close(&s);
}
END_TEST

/* Half of a batch was in the file that is lost: all of it comes into the new one. */
START_TEST(a_batch_half_written_begins_anew)
{
	struct state *s = dbtest_open();

	put_many(s, "cmdb", 0, 16000, "note");
	ck_assert_int_eq(state_commit(s, NULL), 0);
	ck_assert(state_dirty(s));
	lose_file();
	while (state_dirty(s))
		ck_assert_int_eq(state_commit(s, NULL), 0);
	dbtest_expect("SELECT count(*) FROM sample", "16000\n");
	dbtest_expect(NOTE, "");
	expect_stored(s, "cmdb", 1, true);
	state_close(&s);
}
END_TEST

START_TEST(full_disk_loses_nothing)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	put_one(s, "cmdb", "a", 2, "one");
	dbtest_commit(s);
	expect_stored(s, "cmdb", 1, false);
	put_many(s, "cmdb", 0, 16000, "two");
	dbtest_limit_file_size(200000);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(state_commit(s, &e), -1);
	expect_silence(s);
	ck_assert(state_dirty(s));
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_expect("SELECT count(*) FROM sample", "1\n");
	dbtest_expect(NOTE, "sampled:cmdb|one\n");
	while (state_dirty(s))
		ck_assert_int_eq(state_commit(s, &e), 0);
	expect_stored(s, "cmdb", 2, false);
	dbtest_expect("SELECT count(*) FROM sample", "16001\n");
	dbtest_expect(NOTE, "sampled:cmdb|two\n");
	ck_assert_ptr_null(state_take_news(s));
	state_close(&s);
}
END_TEST

/* ---- kill -9 ------------------------------------------------------------------------------------- */

/* Batch after batch: rows numbered on, each seen at the number of its batch, which is also the note. */
static void
write_for_ever(void)
{
	struct state *s = state_open(dbtest_dir, &(struct error){0});

	for (int n = 1;; n++) {
		char note[32];
		struct strbuf b;

		snprintf(note, sizeof note, "%d", n);
		strbuf_init(&b);
		for (int i = 0; i < 3000; i++) {
			char value[32];

			snprintf(value, sizeof value, "%d", (i * 7919 + n) % 5000);
			add(&b, value, n, false);
		}
		put(s, "cmdb", &b, note);
		while (state_dirty(s))
			if (state_commit(s, NULL) != 0)
				_exit(1);
		state_tidy(s);
	}
}

START_TEST(a_note_never_claims_more_than_is_there)
{
	int64_t last = 0;

	srand(4711);
	for (int round = 0; round < 30; round++) {
		pid_t pid = fork();
		int status;
		sqlite3 *db;
		sqlite3_stmt *q;

		if (pid == 0)
			write_for_ever();
		usleep((useconds_t)(20000 + rand() % 60000));
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		db = dbtest_raw_open();
		/* all 3,000 rows of the batch of the note, or newer ones */
		ck_assert_int_eq(sqlite3_prepare_v2(db,
						    "SELECT n, (SELECT count(*) FROM sample WHERE seen >= n)"
						    " FROM (SELECT CAST(value AS INTEGER) AS n FROM meta)",
						    -1, &q, NULL),
				 SQLITE_OK);
		if (sqlite3_step(q) == SQLITE_ROW) {
			last = sqlite3_column_int64(q, 0);
			ck_assert_int_ge(sqlite3_column_int64(q, 1), 3000);
		}
		sqlite3_finalize(q);
		dbtest_raw(db, "DELETE FROM sample; DELETE FROM meta");
		sqlite3_close(db);
	}
	ck_assert_int_gt(last, 0);
}
END_TEST

/* ---- reading ------------------------------------------------------------------------------------- */

struct seen {
	struct strbuf text;
	uint64_t count, most;
};

static bool
see(void *arg, const char *topic, const struct proto_sample *row)
{
	struct seen *seen = arg;

	seen->count++;
	if (seen->count <= 10)
		strbuf_addf(&seen->text, "%s %.*s %" PRId64 " %" PRId64 " %" PRIu32 " %d\n", topic,
			    (int)row->value_len, row->value, row->seen_ms, row->copied_ms, row->size,
			    row->advised);
	return seen->count < seen->most;
}

static struct state_reader *
read_begin(void)
{
	struct error e = ERROR_INIT;
	struct state_reader *r = state_reader_open(dbtest_dir, &e);

	ck_assert_msg(r != NULL, "%s", e.text);
	ck_assert_msg(state_reader_begin(r, &e) == 0, "%s", e.text);
	return r;
}

static uint64_t
read_samples(struct state_reader *r, const char *topic, uint64_t most, const char *want)
{
	struct error e = ERROR_INIT;
	struct seen seen = {.most = most};

	strbuf_init(&seen.text);
	ck_assert_msg(state_reader_samples(r, topic, see, &seen, &e) == 0, "%s", e.text);
	if (want != NULL)
		ck_assert_str_eq(seen.text.data, want);
	strbuf_fini(&seen.text);
	return seen.count;
}

START_TEST(reads_rows)
{
	struct state *s = dbtest_open();
	struct state_reader *r;
	struct error e = ERROR_INIT;
	char *value;

	put_one(s, "cmdb", "b", 7, "note");
	put_one(s, "other", "a", 4, "");
	dbtest_commit(s);
	put_one(s, "cmdb", "a", 2, "note");
	dbtest_commit(s);
	r = read_begin();
	/* what is committed now is of another moment */
	put_one(s, "cmdb", "c", 2, "later");
	dbtest_commit(s);
	read_samples(r, "cmdb", 9, "cmdb a 2 1 1024 0\ncmdb b 7 3 1024 1\n");
	read_samples(r, NULL, 9, "cmdb a 2 1 1024 0\ncmdb b 7 3 1024 1\nother a 4 2 1024 0\n");
	read_samples(r, NULL, 1, "cmdb a 2 1 1024 0\n");
	read_samples(r, "none", 9, "");
	ck_assert_int_eq(state_reader_meta(r, "sampled:cmdb", &value, &e), 0);
	ck_assert_str_eq(value, "note");
	free(value);
	ck_assert_int_eq(state_reader_meta(r, "sampled:other", &value, &e), 0);
	ck_assert_ptr_null(value);
	ck_assert_uint_eq(state_reader_passed_over(r), 0);
	state_reader_close(&r);
	r = read_begin();
	ck_assert_uint_eq(read_samples(r, "cmdb", 9, NULL), 3);
	state_reader_close(&r);
	state_close(&s);
}
END_TEST

/* People can write to the file: what is no row of ours is passed over. */
START_TEST(reader_passes_over_nonsense)
{
	struct state *s = dbtest_open();
	struct state_reader *r;
	sqlite3 *db;

	put_one(s, "t", "good", 2, "");
	state_close(&s);
	db = dbtest_raw_open();
	dbtest_raw(db, "PRAGMA ignore_check_constraints = ON;"
		       "INSERT INTO sample VALUES ('t', '', 1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', x'ff', 1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', CAST(x'ff' AS TEXT), 1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', CAST(x'610062' AS TEXT), 1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', printf('%.*c', 256, 'x'), 1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', 'b', 'now', 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', 'c', 1, 1.5, 1, 0);"
		       "INSERT INTO sample VALUES ('t', 'd', 1, 1, -1, 0);"
		       "INSERT INTO sample VALUES ('t', 'e', 1, 1, 4294967296, 0);"
		       "INSERT INTO sample VALUES ('t', 'f', 1, 1, 1, 2);"
		       "INSERT INTO sample VALUES ('t', 'g', -1, 1, 1, 0);"
		       "INSERT INTO sample VALUES ('t', 'zero', 0, 0, 0, 0)");
	sqlite3_close(db);
	r = read_begin();
	read_samples(r, "t", 99, "t good 2 1 1024 0\nt zero 0 0 0 0\n");
	ck_assert_uint_eq(state_reader_passed_over(r), 11);
	state_reader_close(&r);
}
END_TEST

START_TEST(reads_a_million)
{
	struct state *s = dbtest_open();
	sqlite3 *db = dbtest_raw_open();
	struct state_reader *r;
	struct mono before;

	dbtest_raw(db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
		       " INSERT INTO sample SELECT 'cmdb', printf('host%07d.example.net', i), i, i, 1024, 0"
		       " FROM n");
	sqlite3_close(db);
	r = read_begin();
	before = mono_now();
	ck_assert_uint_eq(read_samples(r, "cmdb", UINT64_MAX, NULL), 1000000);
	printf("a million rows read in %" PRId64 " ms\n", mono_ms_between(before, mono_now()));
	state_reader_close(&r);
	state_close(&s);
}
END_TEST

static void
add_case(Suite *s, TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, dbtest_teardown);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("state_samples");
	TCase *batches = tcase_create("batches"), *trouble = tcase_create("trouble");
	TCase *reading = tcase_create("reading");

	tcase_add_test(batches, keeps_rows);
	tcase_add_test(batches, keeps_the_later_of_two);
	tcase_add_test(batches, reads_well);
	tcase_add_test(batches, keeps_the_note);
	tcase_add_test(batches, keeps_commits_short);
	tcase_add_test(batches, serves_the_oldest_first);
	tcase_add_test(batches, small_commits_leave_samples);
	tcase_add_test(batches, the_log_is_bounded);
	tcase_add_test(batches, a_start_finds_all);
	tcase_add_test(batches, a_new_process_hears_nothing_of_the_old);
	tcase_add_loop_test(trouble, a_lost_file_is_filled_again, 0, LOSSES);
	tcase_add_test(trouble, a_batch_of_before_brings_no_note);
	tcase_add_test(trouble, a_loss_is_told_past_a_batch_of_the_dead);
	tcase_add_test(trouble, a_batch_half_written_begins_anew);
	tcase_add_test(trouble, full_disk_loses_nothing);
	tcase_add_test(trouble, a_note_never_claims_more_than_is_there);
	tcase_add_test(reading, reads_rows);
	tcase_add_test(reading, reader_passes_over_nonsense);
	tcase_add_test(reading, reads_a_million);
	add_case(s, batches);
	add_case(s, trouble);
	add_case(s, reading);
	return s;
}
