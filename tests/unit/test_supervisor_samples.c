/* The real supervisor with the fake worker: samples, advisories, and what becomes of them. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/daemon.h"
#include "tests/unit/unit.h"

#define SOON    10000
#define SAMPLED "inspect_field = \"sender\"\n\tinspect_duration = \"1h\""

/* The first value of a query; "" if there is no row, or no such file yet. */
static const char *
query(const char *sql)
{
	static char answer[256];
	sqlite3_stmt *q = NULL;
	sqlite3 *db;

	answer[0] = '\0';
	if (sqlite3_open_v2(daemon_path("state/state.db"), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
	sqlite3_close(db);
	return answer;
}

static void
await_query(const char *sql, const char *want)
{
	struct mono deadline = mono_add_ms(mono_now(), SOON);

	while (strcmp(query(sql), want) != 0) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "%s is \"%s\", want \"%s\"; log:\n%s", sql,
			      query(sql), want, daemon_read("log"));
		daemon_sleep_ms(20);
	}
}

static void
run(const char *behaviour)
{
	daemon_behave("a", behaviour);
	daemon_configure("", daemon_topic("a", SAMPLED));
	daemon_start(NULL);
}

START_TEST(samples_are_stored_and_that_is_told)
{
	run("samples");
	daemon_await_text("a.stored", " 3\n", SOON);
	ck_assert_int_ge(atoi(query("SELECT count(*) FROM sample WHERE topic = 'a'")), 5);
	ck_assert_str_eq(query("SELECT value FROM meta WHERE key = 'sampled:a'"), "note 2");
	ck_assert_ptr_null(strstr(daemon_read("a.stored"), "again"));
}
END_TEST

/* Whatever is sent, the file is written once a second. */
START_TEST(one_transaction_a_second)
{
	struct mono before = mono_now();

	run("samples");
	daemon_await_text("a.stored", " 4\n", SOON);
	ck_assert_int_ge(mono_ms_between(before, mono_now()), 3000);
}
END_TEST

START_TEST(a_lost_file_is_asked_for_again)
{
	run("samples");
	daemon_await_text("a.stored", " 2\n", SOON);
	ck_assert_int_eq(unlink(daemon_path("state/state.db")), 0);
	daemon_await_text("a.stored", " again\n", SOON);
	await_query("SELECT count(*) > 3 FROM sample", "1");
	await_query("SELECT count(*) FROM meta WHERE key = 'sampled:a'", "1");
}
END_TEST

/* The next process reads the file: what the one before said last must be in it by then. */
START_TEST(the_next_process_finds_all)
{
	int pid;

	run("samples");
	daemon_await_text("a.stored", " 2\n", SOON);
	pid = (int)daemon_number("a", "pid");
	kill(pid, SIGKILL);
	daemon_await_number("a", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(query("SELECT max(value) FROM sample"), "second"));
	daemon_await_number("a", "copied", 10, SOON);
	/* its serials begin anew, and it is told of no other: it would abort */
	daemon_await("a", "state", "copying", SOON);
	daemon_sleep_ms(1500);
	ck_assert_int_eq(daemon_number("a", "restarts"), 1);
}
END_TEST

START_TEST(last_words_are_kept)
{
	pid_t pid;

	daemon_behave("a", "lastwords");
	daemon_configure("", daemon_topic("a", SAMPLED));
	pid = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	kill(pid, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(pid, SOON), 0);
	ck_assert_str_eq(query("SELECT value FROM meta WHERE key = 'sampled:a'"), "the last");
	ck_assert_str_eq(query("SELECT group_concat(value) FROM sample WHERE value LIKE 'number %'"),
			 "number 1,number 2,number 3");
	ck_assert_str_eq(query("SELECT count(*) FROM sample"), "5");
}
END_TEST

START_TEST(last_words_are_kept_over_a_reload)
{
	run("lastwords");
	daemon_await("a", "state", "copying", SOON);
	daemon_configure("", daemon_topic("a", SAMPLED "\n\tmax_inflight = 17"));
	json_decref(daemon_ask("reload", NULL));
	daemon_await_number("a", "generation", 2, SOON);
	/* the new process was started after they were written */
	ck_assert_str_eq(query("SELECT value FROM meta WHERE key = 'sampled:a'"), "the last");
}
END_TEST

START_TEST(advisories_are_kept)
{
	run("advises");
	daemon_await_text("a.stored", " 1\n", SOON);
	ck_assert_str_eq(query("SELECT group_concat(id || subject || tries) FROM advisory_outbox"),
			 "twoADVISORY.new1");
}
END_TEST

static const struct {
	const char *behaviour, *settings, *word;
} faults[] = {
    {"hasty", SAMPLED, "SAMPLES 2 before 1 was stored"},
    {"nonsense", SAMPLED, "payload of SAMPLES"},
    {"samples", "", "SAMPLES of a topic that is not sampled"},
    {"advises", "", "ADVISORY of a topic that is not sampled"},
};

START_TEST(faults_of_the_worker_end_it)
{
	daemon_behave("a", faults[_i].behaviour);
	daemon_configure("", daemon_topic("a", faults[_i].settings));
	daemon_start(NULL);
	daemon_await_text("log", faults[_i].word, SOON);
	daemon_await_number("a", "restarts", 1, SOON);
}
END_TEST

/* Where nothing can be written, the worker goes on with its batch outstanding, and is answered in the end. */
START_TEST(a_database_that_cannot_be_written_stops_nothing)
{
	sqlite3 *db;
	long long copied;

	run("samples");
	daemon_await_text("a.stored", " 1\n", SOON);
	ck_assert_int_eq(sqlite3_open(daemon_path("state/state.db"), &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	daemon_await_text("log", "state: ", SOON);
	copied = daemon_number("a", "copied");
	daemon_await_number("a", "copied", copied + 100, SOON);
	ck_assert_int_eq(daemon_number("a", "restarts"), 0);
	sqlite3_close(db);
	daemon_await_text("log", "in order again", 2 * SOON);
	daemon_await_text("a.stored", " 4\n", SOON);
	ck_assert_ptr_null(strstr(daemon_read("a.stored"), "again"));
}
END_TEST

static json_t *
topic_of(json_t *status, size_t i)
{
	return json_array_get(json_object_get(status, "topics"), i);
}

START_TEST(status_tells_of_sampling)
{
	static const char *const fields[] = {"tracked",        "advised",       "seen",
					     "copied",         "skipped",       "forced",
					     "size_triggered", "without_value", "untracked"};
	static const char *const of_advisories[] = {"new",    "timeout", "recover", "expire",
						    "errors", "dropped", "waiting"};
	static const char *const of_gossip[] = {"sent", "received", "rejected"};
	char topics[4096];
	json_t *status, *sampling;

	snprintf(topics, sizeof topics, "%s%s", daemon_topic("a", SAMPLED), daemon_topic("b", ""));
	daemon_configure("", topics);
	pid_t pid = daemon_start(NULL);
	daemon_await_number("a", "copied", 20, SOON);
	status = daemon_ask("status", NULL);
	ck_assert(json_is_null(json_object_get(topic_of(status, 1), "sampling")));
	sampling = json_object_get(topic_of(status, 0), "sampling");
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		ck_assert_msg(json_is_integer(json_object_get(sampling, fields[i])), "%s", fields[i]);
	ck_assert_int_eq(json_integer_value(json_object_get(sampling, "tracked")), 3);
	ck_assert_int_ge(json_integer_value(json_object_get(sampling, "skipped")), 20);
	for (size_t i = 0; i < sizeof of_advisories / sizeof of_advisories[0]; i++)
		ck_assert_msg(json_object_get(json_object_get(sampling, "advisories"), of_advisories[i]) !=
				  NULL,
			      "%s", of_advisories[i]);
	for (size_t i = 0; i < sizeof of_gossip / sizeof of_gossip[0]; i++)
		ck_assert_msg(
		    json_is_integer(json_object_get(json_object_get(sampling, "gossip"), of_gossip[i])), "%s",
		    of_gossip[i]);
	json_decref(status);
	kill(pid, SIGUSR2);
	daemon_await_text("log", "0 restarts, 3 values tracked", SOON);
	daemon_await_text("log", "0 restarts\n", SOON);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("supervisor_samples");
	TCase *tc = tcase_create("samples");

	tcase_add_checked_fixture(tc, daemon_setup, daemon_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, samples_are_stored_and_that_is_told);
	tcase_add_test(tc, one_transaction_a_second);
	tcase_add_test(tc, a_lost_file_is_asked_for_again);
	tcase_add_test(tc, the_next_process_finds_all);
	tcase_add_test(tc, last_words_are_kept);
	tcase_add_test(tc, last_words_are_kept_over_a_reload);
	tcase_add_test(tc, advisories_are_kept);
	tcase_add_loop_test(tc, faults_of_the_worker_end_it, 0, sizeof faults / sizeof faults[0]);
	tcase_add_test(tc, a_database_that_cannot_be_written_stops_nothing);
	tcase_add_test(tc, status_tells_of_sampling);
	suite_add_tcase(s, tc);
	return s;
}
