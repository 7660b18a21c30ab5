/* The table advisory_outbox in state.db: what is kept, what never gets there, and in which order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "state/reader.h"
#include "tests/unit/dbtest.h"
#include "tests/unit/unit.h"

#define ALL "SELECT topic, id, subject, body, tries, next_try FROM advisory_outbox ORDER BY id"
#define IDS "SELECT group_concat(id, ',') FROM (SELECT id FROM advisory_outbox ORDER BY id)"

static bool
put(struct state *s, const char *topic, const char *id, uint32_t tries)
{
	char name[65], subject[] = "ADVISORY.new", body[] = "{\"value\":\"web1\"}";
	struct proto_advisory a = {ADVISORY_PUT, name, subject, body, tries, INT64_C(1767323045000)};
	bool kept;

	snprintf(name, sizeof name, "%s", id);
	kept = state_put_advisory(s, topic, &a);
	memset(subject, 'x', sizeof subject - 1); /* it was copied */
	return kept;
}

static bool
done(struct state *s, const char *topic, const char *id)
{
	char name[65], none[] = "";
	struct proto_advisory a = {ADVISORY_DONE, name, none, none, 0, 0};

	snprintf(name, sizeof name, "%s", id);
	return state_put_advisory(s, topic, &a);
}

static void
put_sample(struct state *s, const char *topic)
{
	struct proto_sample row = {.value = "web1", .value_len = 4, .advised = true};
	struct proto_samples batch = {.serial = 1};
	struct strbuf b;

	strbuf_init(&b);
	proto_sample_encode(&b, &row);
	batch.rows = (const uint8_t *)b.data;
	batch.rows_len = b.len;
	state_put_samples(s, topic, &batch);
	strbuf_fini(&b);
}

START_TEST(keeps_advisories)
{
	struct state *s = dbtest_open();

	ck_assert(put(s, "cmdb", "1", 0));
	ck_assert(put(s, "cmdb", "2", 3));
	ck_assert(state_dirty(s));
	dbtest_commit(s);
	dbtest_expect(ALL, "cmdb|1|ADVISORY.new|{\"value\":\"web1\"}|0|1767323045000\n"
			   "cmdb|2|ADVISORY.new|{\"value\":\"web1\"}|3|1767323045000\n");
	put(s, "cmdb", "1", 1);
	done(s, "cmdb", "2");
	dbtest_commit(s);
	dbtest_expect(ALL, "cmdb|1|ADVISORY.new|{\"value\":\"web1\"}|1|1767323045000\n");
	done(s, "cmdb", "1");
	put(s, "cmdb", "1", 2); /* back again */
	state_close(&s);
	dbtest_expect(ALL, "cmdb|1|ADVISORY.new|{\"value\":\"web1\"}|2|1767323045000\n");
}
END_TEST

START_TEST(what_is_delivered_at_once_costs_no_write)
{
	struct state *s = dbtest_open();

	/* more of them than are ever kept: they leave memory too */
	for (int i = 0; i < STATE_OUTBOX_KEPT + 10; i++) {
		char id[32];

		snprintf(id, sizeof id, "%08d", i);
		ck_assert(put(s, "cmdb", id, 0));
		ck_assert(done(s, "cmdb", id));
		ck_assert(!state_dirty(s));
	}
	put(s, "cmdb", "stays", 0);
	dbtest_commit(s);
	dbtest_expect(IDS, "stays\n");
	dbtest_expect("SELECT max(rowid) FROM advisory_outbox", "1\n");
	state_close(&s);
}
END_TEST

/* A worker that starts takes rows out that this writer has only read. */
START_TEST(takes_rows_of_before_out)
{
	struct state *s = dbtest_open();

	put(s, "cmdb", "1", 0);
	put(s, "cmdb", "2", 0);
	state_close(&s);
	s = dbtest_open();
	done(s, "cmdb", "1");
	dbtest_commit(s);
	dbtest_expect(IDS, "2\n");
	/* one that nobody knows of */
	done(s, "cmdb", "3");
	done(s, "other", "2");
	dbtest_commit(s);
	dbtest_expect(IDS, "2\n");
	state_close(&s);
}
END_TEST

/* Also one that memory had no room for. */
START_TEST(takes_rows_out_that_it_does_not_know)
{
	struct state *s = dbtest_open();
	sqlite3 *db = dbtest_raw_open();

	state_close(&s);
	dbtest_raw(db,
		   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)"
		   " INSERT INTO advisory_outbox SELECT printf('%08d', i), 'cmdb', 's', 'b', 0, 0 FROM n");
	sqlite3_close(db);
	s = dbtest_open();
	ck_assert(!put(s, "cmdb", "1", 0));
	ck_assert(!done(s, "cmdb", "00100001"));
	ck_assert(done(s, "cmdb", "00000001"));
	dbtest_commit(s);
	ck_assert(done(s, "cmdb", "00100001"));
	dbtest_commit(s);
	state_close(&s);
	dbtest_expect("SELECT count(*), min(id), max(id) FROM advisory_outbox", "99999|00000002|00100000\n");
}
END_TEST

START_TEST(topics_take_turns)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	for (int i = 0; i < 40000; i++) {
		char id[32];

		snprintf(id, sizeof id, "%08d", i);
		put(s, i % 2 == 0 ? "a" : "b", id, 0);
	}
	ck_assert_int_eq(state_commit(s, &e), 0);
	ck_assert_int_eq(state_commit(s, &e), 0);
	dbtest_expect("SELECT count(DISTINCT topic) FROM advisory_outbox", "2\n");
	state_close(&s);
	dbtest_expect("SELECT count(*) FROM advisory_outbox", "40000\n");
}
END_TEST

START_TEST(a_lost_file_gets_all_again)
{
	struct state *s = dbtest_open();

	put(s, "cmdb", "1", 0);
	put(s, "other", "2", 0);
	put(s, "cmdb", "3", 0);
	state_close(&s);
	s = dbtest_open();
	put(s, "cmdb", "4", 0);
	dbtest_commit(s);
	done(s, "cmdb", "3");
	ck_assert_int_eq(unlink(dbtest_path), 0);
	dbtest_commit(s);
	dbtest_expect(IDS, "1,2,4\n");
	/* one that was changed is brought in order, what somebody added is kept */
	sqlite3 *db = dbtest_raw_open();
	dbtest_raw(db, "UPDATE advisory_outbox SET tries = 9; DELETE FROM advisory_outbox WHERE id = '1';"
		       "INSERT INTO advisory_outbox VALUES ('5', 'cmdb', 's', 'b', 0, 0);"
		       "PRAGMA wal_checkpoint");
	sqlite3_close(db);
	dbtest_commit(s);
	dbtest_expect("SELECT id, tries FROM advisory_outbox ORDER BY id", "1|0\n2|0\n4|0\n5|0\n");
	state_close(&s);
}
END_TEST

START_TEST(is_bounded)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;
	char id[32];

	for (int i = 0; i < STATE_OUTBOX_KEPT; i++) {
		snprintf(id, sizeof id, "%08d", i);
		ck_assert(put(s, "cmdb", id, 0));
	}
	ck_assert(!put(s, "cmdb", "one more", 0));
	ck_assert(put(s, "cmdb", "00000000", 1)); /* known */
	ck_assert(put(s, "other", "1", 0));
	while (state_dirty(s))
		ck_assert_int_eq(state_commit(s, &e), 0);
	dbtest_expect("SELECT topic, count(*) FROM advisory_outbox GROUP BY topic", "cmdb|100000\nother|1\n");
	done(s, "cmdb", "00000000");
	dbtest_commit(s);
	ck_assert(put(s, "cmdb", "one more", 0));
	dbtest_commit(s);
	state_close(&s);
	dbtest_expect("SELECT count(*) FROM advisory_outbox", "100001\n");
}
END_TEST

/* A sample that says "advised" is in the file only with its advisory, however long that takes. */
START_TEST(samples_wait_for_their_advisories)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;
	int commits = 0;

	for (int i = 0; i < 20000; i++) {
		char id[32];

		snprintf(id, sizeof id, "%08d", i);
		put(s, "cmdb", id, 0);
	}
	put_sample(s, "cmdb");
	put_sample(s, "other");
	ck_assert_int_eq(state_commit(s, &e), 0);
	dbtest_expect("SELECT topic FROM sample", "other\n");
	for (; state_dirty(s); commits++) {
		dbtest_expect("SELECT (SELECT count(*) FROM advisory_outbox) < 20000"
			      " AND (SELECT count(*) FROM sample WHERE topic = 'cmdb') > 0",
			      "0\n");
		ck_assert_int_eq(state_commit(s, &e), 0);
	}
	ck_assert_int_gt(commits, 1);
	dbtest_expect("SELECT count(*) FROM sample WHERE topic = 'cmdb'", "1\n");
	state_close(&s);
}
END_TEST

START_TEST(full_disk_loses_nothing)
{
	struct state *s = dbtest_open();
	struct error e = ERROR_INIT;

	put(s, "cmdb", "1", 0);
	dbtest_commit(s);
	dbtest_limit_file_size(100);
	put(s, "cmdb", "2", 0);
	done(s, "cmdb", "1");
	ck_assert_int_eq(state_commit(s, &e), -1);
	put(s, "cmdb", "3", 0);
	done(s, "cmdb", "2");
	ck_assert_int_eq(state_commit(s, &e), -1);
	dbtest_limit_file_size(RLIM_INFINITY);
	dbtest_commit(s);
	dbtest_expect(IDS, "3\n");
	state_close(&s);
}
END_TEST

/* ---- reading ------------------------------------------------------------------------------------- */

static void
see(void *arg, const struct proto_advisory *a)
{
	ck_assert_int_eq(a->op, ADVISORY_PUT);
	strbuf_addf(arg, "%s %s %s %" PRIu32 " %" PRId64 "\n", a->id, a->subject, a->body, a->tries,
		    a->next_try_ms);
}

START_TEST(is_read)
{
	struct state *s = dbtest_open();
	struct state_reader *r;
	struct error e = ERROR_INIT;
	struct strbuf out;
	sqlite3 *db;

	put(s, "cmdb", "2", 4);
	put(s, "cmdb", "1", 0);
	put(s, "other", "0", 0);
	state_close(&s);
	db = dbtest_raw_open();
	dbtest_raw(db,
		   "INSERT INTO advisory_outbox VALUES ('', 'cmdb', 's', 'b', 0, 0);"
		   "INSERT INTO advisory_outbox VALUES ('3', 'cmdb', '', 'b', 0, 0);"
		   "INSERT INTO advisory_outbox VALUES ('4', 'cmdb', 's', x'00', 0, 0);"
		   "INSERT INTO advisory_outbox VALUES ('5', 'cmdb', 's', 'b', 'many', 0);"
		   "INSERT INTO advisory_outbox VALUES ('6', 'cmdb', 's', 'b', 0, -1);"
		   "INSERT INTO advisory_outbox VALUES (printf('%.*c', 65, '7'), 'cmdb', 's', 'b', 0, 0)");
	sqlite3_close(db);
	r = state_reader_open(dbtest_dir, &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	strbuf_init(&out);
	ck_assert_int_eq(state_reader_outbox(r, "cmdb", see, &out, &e), 0);
	ck_assert_str_eq(out.data, "1 ADVISORY.new {\"value\":\"web1\"} 0 1767323045000\n"
				   "2 ADVISORY.new {\"value\":\"web1\"} 4 1767323045000\n");
	ck_assert_uint_eq(state_reader_passed_over(r), 6);
	strbuf_fini(&out);
	state_reader_close(&r);
	/* the writer lives with them too */
	s = dbtest_open();
	done(s, "cmdb", "1");
	dbtest_commit(s);
	state_close(&s);
	dbtest_expect("SELECT count(*) FROM advisory_outbox", "8\n");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("state_outbox");
	TCase *tc = tcase_create("outbox");

	tcase_add_checked_fixture(tc, dbtest_setup, dbtest_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, keeps_advisories);
	tcase_add_test(tc, what_is_delivered_at_once_costs_no_write);
	tcase_add_test(tc, takes_rows_of_before_out);
	tcase_add_test(tc, takes_rows_out_that_it_does_not_know);
	tcase_add_test(tc, topics_take_turns);
	tcase_add_test(tc, a_lost_file_gets_all_again);
	tcase_add_test(tc, is_bounded);
	tcase_add_test(tc, samples_wait_for_their_advisories);
	tcase_add_test(tc, full_disk_loses_nothing);
	tcase_add_test(tc, is_read);
	suite_add_tcase(s, tc);
	return s;
}
