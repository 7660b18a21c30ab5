/* Elections in the real supervisor, with an elector and workers that do as the test says. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "tests/unit/daemon.h"
#include "tests/unit/unit.h"

#define SOON 10000
#define LONG 60000 /* a lease that does not end here */

static struct strbuf topics;

static void
setup(void)
{
	daemon_setup();
	strbuf_init(&topics);
}

static void
teardown(void)
{
	strbuf_fini(&topics);
	daemon_teardown();
}

/* A topic that is elected under that name; "" for none. */
static void
add(const char *key, const char *name)
{
	char settings[256] = "";

	if (name[0] != '\0')
		snprintf(settings, sizeof settings, "leader_election_name = %s", name);
	strbuf_adds(&topics, daemon_topic(key, settings));
}

static void
configure(const char *top)
{
	daemon_configure(top, topics.data);
	strbuf_reset(&topics);
}

/* Has the elector say something; it must be there. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", daemon_path("election.ctl"));
	ck_assert_int_gt(sendto(fd, line, strlen(line), 0, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

static unsigned
count(const char *file, const char *text)
{
	unsigned n = 0;

	for (const char *at = daemon_read(file); (at = strstr(at, text)) != NULL; at += strlen(text))
		n++;
	return n;
}

static void
await_count(const char *file, const char *text, unsigned least)
{
	struct mono deadline = mono_add_ms(mono_now(), SOON);

	while (count(file, text) < least) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "%s has \"%s\" %u times, want %u:\n%s\n%s",
			      file, text, count(file, text), least, daemon_read(file), daemon_read("log"));
		daemon_sleep_ms(10);
	}
}

/* One value of an election's status as text. */
static const char *
value(const char *name, const char *key)
{
	static char buf[4096];
	json_t *status = daemon_ask("status", NULL), *entry;
	size_t i;

	snprintf(buf, sizeof buf, "(none)");
	json_array_foreach(json_object_get(status, "elections"), i, entry)
	{
		char *dumped;

		if (strcmp(json_string_value(json_object_get(entry, "name")), name) != 0)
			continue;
		dumped = json_dumps(json_object_get(entry, key), JSON_COMPACT | JSON_ENCODE_ANY);
		snprintf(buf, sizeof buf, "%s", dumped != NULL ? dumped : "(missing)");
		free(dumped);
	}
	json_decref(status);
	return buf;
}

static void
await_value(const char *name, const char *key, const char *want)
{
	struct mono deadline = mono_add_ms(mono_now(), SOON);

	while (strcmp(value(name, key), want) != 0) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "%s of %s is %s, want %s; log:\n%s", key,
			      name, value(name, key), want, daemon_read("log"));
		daemon_sleep_ms(20);
	}
}

static bool
status_ok(void)
{
	json_t *status = daemon_ask("status", NULL);
	bool ok = json_is_true(json_object_get(status, "ok"));

	json_decref(status);
	return ok;
}

/* The pid of a child that is no topic, from the log. */
static pid_t
elector_pid(void)
{
	const char *at, *last = NULL;

	for (at = daemon_read("log"); (at = strstr(at, "elector started, pid ")) != NULL; at++)
		last = at;
	ck_assert_ptr_nonnull(last);
	return (pid_t)atoi(last + strlen("elector started, pid "));
}

/* Topics a and b under the names A and B, c without; the elector is at work. */
static pid_t
begin(void)
{
	pid_t supervisor;

	add("a", "A");
	add("b", "B");
	add("c", "");
	configure("loglevel = debug");
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "standby", SOON);
	daemon_await("b", "state", "standby", SOON);
	daemon_await("c", "state", "copying", SOON);
	await_count("election.heard", "\nable A", 1);
	await_count("election.heard", "\nable B", 1);
	return supervisor;
}

/* The rows of `leadership` as "name topic role term leader". */
static const char *
table(void)
{
	static char buf[4096];
	sqlite3_stmt *q;
	sqlite3 *db;

	buf[0] = '\0';
	ck_assert_int_eq(sqlite3_open_v2(daemon_path("state/state.db"), &db, SQLITE_OPEN_READONLY, NULL),
			 SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_prepare_v2(db,
			       "SELECT name || ' ' || topic || ' ' || role || ' ' || term || ' ' ||"
			       " CASE leader WHEN '' THEN '-' WHEN 'far' THEN 'far' ELSE 'us' END || ' ' ||"
			       " (since > 0) FROM leadership ORDER BY name, topic",
			       -1, &q, NULL),
	    SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		strcat(buf, (const char *)sqlite3_column_text(q, 0));
		strcat(buf, "\n");
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
	return buf;
}

static void
await_table(const char *want)
{
	struct mono deadline = mono_add_ms(mono_now(), SOON);

	while (strcmp(table(), want) != 0) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "leadership is\n%swant\n%s", table(),
			      want);
		daemon_sleep_ms(50);
	}
}

START_TEST(a_gain_is_passed_on_and_shown)
{
	static const char *const fields[] = {"name", "role",  "term",     "leader", "site",
					     "pid",  "since", "lease_ms", "present"};
	long long left;

	begin();
	ck_assert_str_eq(daemon_value("a", "role"), "standby");
	ck_assert_str_eq(daemon_value("a", "term"), "null");
	ck_assert_str_eq(daemon_value("a", "lag_msgs"), "null");
	ck_assert_str_eq(daemon_value("c", "role"), "none");
	ck_assert_str_eq(value("A", "leader"), "null");
	/* Standby is how it should be. */
	ck_assert(status_ok());
	say("won A 17 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_str_eq(daemon_value("a", "role"), "leader");
	ck_assert_str_eq(daemon_value("a", "term"), "17");
	daemon_await_number("a", "lag_msgs", 1, SOON);
	ck_assert_str_eq(daemon_value("b", "role"), "standby");
	ck_assert_str_eq(daemon_read("b.roles"), "");
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		ck_assert_str_ne(value("A", fields[i]), "(missing)");
	ck_assert_str_eq(value("A", "role"), "\"leader\"");
	ck_assert_str_eq(value("A", "term"), "17");
	ck_assert_str_eq(value("A", "site"), "\"TEST\"");
	ck_assert_str_eq(value("A", "topics"), "[\"a\"]");
	left = atoll(value("A", "lease_ms"));
	ck_assert(left > LONG - SOON && left <= LONG);
	await_table("A a leader 17 us 1\nB b standby 0 - 0\n");
	daemon_await_text("log", "\"A\": this machine leads, term 17", SOON);
	/* A renewal is passed on, too. */
	say("won A 17 %d", 2 * LONG);
	await_count("a.roles", "leader 2 term 17 lease 1", 1);
}
END_TEST

START_TEST(a_loss_stops_the_worker_and_is_told)
{
	begin();
	say("won A 17 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	say("lost A 17 somebody else has the key");
	daemon_await("a", "state", "standby", SOON);
	ck_assert_ptr_nonnull(strstr(daemon_read("a.roles"), "\nstop 2\n"));
	daemon_await_text("log", "leadership of term 17 lost: somebody else has the key", SOON);
	say("sees A 21 far 1");
	await_value("A", "leader", "\"far\"");
	ck_assert_str_eq(value("A", "role"), "\"standby\"");
	ck_assert_str_eq(value("A", "term"), "21");
	ck_assert_str_eq(value("A", "site"), "\"FAR\"");
	ck_assert_str_eq(value("A", "pid"), "77");
	ck_assert_ptr_nonnull(strstr(value("A", "since"), "2023-11-14T22:13:20"));
	ck_assert_ptr_nonnull(
	    strstr(value("A", "present"), "{\"node\":\"other\",\"site\":\"TEST\",\"pid\":2,"));
	await_table("A a standby 21 far 1\nB b standby 0 - 0\n");
	daemon_await_text("log", "\"A\": far of FAR leads, term 21", SOON);
	ck_assert(status_ok());
}
END_TEST

START_TEST(a_killed_elector_is_a_loss_of_all_its_names)
{
	char nonce[64];
	struct mono killed;

	begin();
	say("won A 1 %d", LONG);
	say("won B 2 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("b", "state", "copying", SOON);
	ck_assert_int_eq(sscanf(daemon_read("election.heard"), "elect %63s", nonce), 1);
	kill(elector_pid(), SIGKILL);
	killed = mono_now();
	await_count("a.roles", "stop 2", 1);
	await_count("b.roles", "stop 2", 1);
	ck_assert_int_lt(mono_ms_between(killed, mono_now()), 500);
	daemon_await_text("log", "lost: its elector is gone", SOON);
	/* The next one is the same to the bucket, and is told what it has to know. */
	await_count("election.heard", "elect ", 2);
	await_count("election.heard", nonce, 2);
	await_count("election.heard", "\nable A", 2);
	ck_assert_str_eq(daemon_value("a", "restarts"), "0");
	say("won A 3 %d", LONG);
	daemon_await("a", "term", "3", SOON);
	daemon_await("a", "state", "copying", SOON);
}
END_TEST

/* It neither renews nor says so: the end of the lease counts, later it is killed for its silence. */
START_TEST(a_frozen_elector_loses_when_the_lease_ends)
{
	pid_t elector;

	begin();
	say("won A 1 1000");
	daemon_await("a", "state", "copying", SOON);
	elector = elector_pid();
	kill(elector, SIGSTOP);
	daemon_await("a", "role", "standby", 3000);
	await_count("a.roles", "stop 2", 1);
	daemon_await_text("log", "lost: the lease ended without renewal", SOON);
	daemon_await_text("log", "silent for 6 s", SOON);
	await_count("election.heard", "elect ", 2);
	ck_assert_int_eq(count("log", "lost:"), 1);
}
END_TEST

START_TEST(leadership_outlives_a_worker)
{
	unsigned able, unable;
	pid_t worker;

	begin();
	able = count("election.heard", "\nable A");
	unable = count("election.heard", "\nunable A");
	say("won A 7 %d doubt", LONG);
	daemon_await("a", "state", "copying", SOON);
	await_count("a.roles", "doubt", 1);
	worker = (pid_t)daemon_number("a", "pid");
	kill(worker, SIGKILL);
	await_count("election.heard", "\nunable A", unable + 1);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_str_eq(daemon_value("a", "role"), "leader");
	/* Numbered anew, for it is another process; in the same term and doubt. */
	ck_assert_uint_eq(count("a.roles", "leader 1 term 7"), 2);
	ck_assert_uint_eq(count("a.roles", "doubt"), 2);
	await_count("election.heard", "\nable A", able + 1);
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "release"));
	/* Neither does a pause give it up. */
	unable = count("election.heard", "\nunable A");
	json_decref(daemon_ask("pause", "a"));
	daemon_await("a", "state", "paused", SOON);
	ck_assert_str_eq(daemon_value("a", "role"), "leader");
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "release"));
	ck_assert_uint_eq(count("election.heard", "\nunable A"), unable);
}
END_TEST

START_TEST(a_hand_over_waits_for_the_worker)
{
	daemon_behave("b", "nosettle");
	begin();
	say("won A 1 %d", LONG);
	say("won B 2 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("b", "state", "copying", SOON);
	say("yield A 1 balance");
	await_count("election.heard", "release A 1", 1);
	ck_assert_ptr_nonnull(strstr(daemon_read("a.roles"), "settle 2"));
	daemon_await_text("log", "\"A\": handing over, term 1: balance", SOON);
	say("yield B 2 balance");
	await_count("b.roles", "settle 2", 1);
	await_value("B", "yielding", "true");
	daemon_sleep_ms(300);
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "release B"));
	/* A worker that is gone has stopped. */
	kill((pid_t)daemon_number("b", "pid"), SIGKILL);
	await_count("election.heard", "release B 2", 1);
	daemon_await("b", "state", "standby", SOON);
	ck_assert_uint_eq(count("b.roles", "leader"), 1);
	await_table("A a standby 0 - 0\nB b standby 0 - 0\n");
}
END_TEST

static json_t *
step_down(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[1024], answer[4096];
	json_t *o;
	ssize_t n;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", daemon_path("state/control.sock"));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	if (name != NULL)
		snprintf(line, sizeof line, "{\"verb\":\"step-down\",\"name\":\"%s\"}\n", name);
	else
		snprintf(line, sizeof line, "{\"verb\":\"step-down\"}\n");
	ck_assert_int_gt(send(fd, line, strlen(line), 0), 0);
	n = recv(fd, answer, sizeof answer - 1, 0);
	ck_assert_int_gt(n, 0);
	answer[n] = '\0';
	close(fd);
	o = json_loads(answer, 0, NULL);
	ck_assert_ptr_nonnull(o);
	return o;
}

static void
refuses_step_down(const char *name, const char *why)
{
	json_t *answer = step_down(name);
	const char *text = json_string_value(json_object_get(answer, "error"));

	ck_assert(json_is_false(json_object_get(answer, "ok")));
	ck_assert_msg(text != NULL && strstr(text, why) != NULL, "%s", text);
	json_decref(answer);
}

START_TEST(step_down_is_refused_with_the_reason)
{
	json_t *answer;

	begin();
	refuses_step_down("X", "there are: A B");
	refuses_step_down(NULL, "no name");
	refuses_step_down("A", "who does is not known");
	say("sees A 21 far 1");
	await_value("A", "leader", "\"far\"");
	refuses_step_down("A", "far does (site FAR)");
	say("won A 22 %d", LONG);
	say("sees A 22 here 0");
	daemon_await("a", "state", "copying", SOON);
	refuses_step_down("A", "no other machine");
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "step-down"));
	say("sees A 22 here 1");
	while (strstr(value("A", "present"), "other") == NULL)
		daemon_sleep_ms(20);
	answer = step_down("A");
	ck_assert(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	await_count("election.heard", "step-down A", 1);
	say("yield A 22 step-down");
	await_count("election.heard", "release A 22", 1);
}
END_TEST

START_TEST(a_stop_releases_at_once)
{
	struct mono told;
	pid_t supervisor = begin();

	say("won A 1 %d", LONG);
	say("won B 2 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("b", "state", "copying", SOON);
	told = mono_now();
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_lt(mono_ms_between(told, mono_now()), 300);
	ck_assert_ptr_nonnull(strstr(daemon_read("election.heard"), "release A 1"));
	ck_assert_ptr_nonnull(strstr(daemon_read("election.heard"), "release B 2"));
	ck_assert_uint_eq(count("log", "elector pid"), 1);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "ended with code 0: ended as asked"));
	ck_assert_ptr_null(strstr(daemon_read("log"), "lost"));
	ck_assert_str_eq(table(), "A a standby 0 - 0\nB b standby 0 - 0\n");
}
END_TEST

/* The key is given up when the worker has settled, no sooner, and the elector lives to do it. */
START_TEST(a_stop_waits_for_what_is_in_flight)
{
	long long settled, released = 0;
	const char *at;
	pid_t supervisor;

	daemon_behave("a", "slowdrain");
	supervisor = begin();
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	settled = atoll(daemon_read("a.settled"));
	at = strstr(daemon_read("election.heard"), "release A 1 at ");
	ck_assert_ptr_nonnull(at);
	released = atoll(at + strlen("release A 1 at "));
	ck_assert_int_gt(settled, 0);
	ck_assert_int_gt(released, settled);
	ck_assert_int_lt((released - settled) / 1000000, 200);
}
END_TEST

START_TEST(a_worker_that_is_killed_at_the_stop_is_released)
{
	pid_t supervisor;

	daemon_behave("a", "nodrain");
	add("a", "A");
	configure("loglevel = debug\nstop_timeout = 1s");
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "standby", SOON);
	await_count("election.heard", "\nable A", 1);
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_ptr_nonnull(strstr(daemon_read("election.heard"), "release A 1"));
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "ended with code 0: ended as asked"));
}
END_TEST

START_TEST(a_second_term_ends_workers_before_the_elector)
{
	struct mono told;
	pid_t supervisor;

	daemon_behave("a", "nodrain");
	supervisor = begin();
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	daemon_await("a", "reason", "draining", SOON);
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "release"));
	kill(supervisor, SIGTERM);
	told = mono_now();
	ck_assert_int_ge(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_lt(mono_ms_between(told, mono_now()), 1000);
	ck_assert_ptr_nonnull(strstr(daemon_read("election.heard"), "release A 1"));
}
END_TEST

START_TEST(an_elector_that_does_not_drain_does_not_hold_the_end)
{
	struct mono told;
	pid_t supervisor;

	daemon_behave("election", "nodrain");
	supervisor = begin();
	kill(supervisor, SIGTERM);
	daemon_await_text("election.heard", "drain", SOON);
	kill(supervisor, SIGTERM);
	told = mono_now();
	ck_assert_int_ge(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_lt(mono_ms_between(told, mono_now()), 1500);
}
END_TEST

static void
reload(const char *want)
{
	json_t *answer = daemon_ask("reload", NULL);
	char *text = json_dumps(answer, JSON_COMPACT);

	ck_assert_msg(strstr(text, want) != NULL, "%s", text);
	free(text);
	json_decref(answer);
}

/* The elector is replaced; the names that stay come back with the next one. */
START_TEST(a_name_is_added)
{
	char nonce[64];

	begin();
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_eq(sscanf(daemon_read("election.heard"), "elect %63s", nonce), 1);
	add("a", "A");
	add("b", "B");
	add("c", "");
	add("d", "D");
	configure("loglevel = debug");
	reload("\"added\":[\"d\"],\"removed\":[],\"changed\":[\"election\"]");
	await_count("election.heard", nonce, 2);
	await_count("election.heard", "\nable D", 1);
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "drain"));
	ck_assert_ptr_null(strstr(daemon_read("election.heard"), "release"));
	ck_assert_ptr_null(strstr(daemon_read("log"), "lost:"));
	ck_assert_ptr_nonnull(strstr(daemon_read("election.config"), "leader_election_name = D"));
	say("won A 2 %d", LONG);
	say("won D 3 %d", LONG);
	daemon_await("a", "term", "2", SOON);
	daemon_await("d", "state", "copying", SOON);
	ck_assert_str_eq(daemon_value("a", "restarts"), "0");
}
END_TEST

START_TEST(a_name_that_is_removed_is_released_first)
{
	daemon_behave("a", "slowdrain");
	begin();
	say("won A 1 %d", LONG);
	say("won B 2 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("b", "state", "copying", SOON);
	add("b", "B");
	add("c", "");
	configure("loglevel = debug");
	reload("\"removed\":[\"a\"],\"changed\":[\"election\"]");
	ck_assert_uint_eq(count("election.heard", "elect "), 1);
	await_count("election.heard", "release A 1", 1);
	ck_assert_uint_eq(count("election.heard", "elect "), 1);
	ck_assert_str_eq(daemon_value("b", "role"), "leader");
	await_count("election.heard", "elect ", 2);
	/* B is lost and comes back; nothing of A is left. */
	await_count("b.roles", "stop", 1);
	await_count("election.heard", "\nable B", 2);
	say("won B 3 %d", LONG);
	daemon_await("b", "term", "3", SOON);
	ck_assert_str_eq(value("A", "role"), "(none)");
	await_table("B b leader 3 us 1\n");
	ck_assert_ptr_null(strstr(daemon_read("log"), "lost:"));
}
END_TEST

START_TEST(the_last_name_takes_its_elector_along)
{
	daemon_behave("a", "slowdrain");
	begin();
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	add("a", "");
	add("c", "");
	configure("loglevel = debug");
	reload("\"removed\":[\"b\",\"election\"],\"changed\":[\"a\"]");
	await_count("election.heard", "release A 1", 1);
	await_count("a.roles", "settle 2", 1);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("a", "role", "none", SOON);
	daemon_await_text("log", "elector pid", SOON);
	await_table("");
	ck_assert(status_ok());
	/* And back. */
	add("a", "A");
	add("b", "B");
	add("c", "");
	configure("loglevel = debug");
	reload("\"added\":[\"b\",\"election\"],\"removed\":[],\"changed\":[\"a\"]");
	await_count("election.heard", "elect ", 2);
	await_count("election.heard", "\nable A", 2);
	say("won A 5 %d", LONG);
	daemon_await("a", "term", "5", SOON);
}
END_TEST

/* Its last name is taken out, and another one put in while the workers of the first still settle. */
START_TEST(an_elector_that_is_wanted_again_while_it_ends_comes_back)
{
	daemon_behave("a", "lingers");
	begin();
	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	add("a", "");
	add("c", "");
	configure("loglevel = debug");
	reload("\"removed\":[\"b\",\"election\"],\"changed\":[\"a\"]");
	add("a", "");
	add("b", "B");
	add("c", "");
	configure("loglevel = debug");
	reload("\"removed\":[]");
	await_count("election.heard", "release A 1", 1);
	await_count("election.heard", "elect ", 2);
	await_count("election.heard", "\nable B", 2);
	say("won B 2 %d", LONG);
	daemon_await("b", "term", "2", SOON);
	ck_assert(status_ok());
}
END_TEST

START_TEST(other_settings_leave_the_elector_alone)
{
	pid_t elector;

	begin();
	elector = elector_pid();
	strbuf_adds(&topics, daemon_topic("a", "leader_election_name = A max_inflight = 77"));
	add("b", "B");
	add("c", "");
	configure("loglevel = info\nstop_timeout = 3s");
	reload("\"changed\":[\"a\"],\"retried\":[],\"untouched\":3");
	daemon_await("a", "restarts", "1", SOON);
	daemon_await_text("election.level", "info", SOON);
	ck_assert_int_eq(kill(elector, 0), 0);
	ck_assert_uint_eq(count("election.heard", "elect "), 1);
}
END_TEST

START_TEST(only_what_runs_here_is_campaigned_for)
{
	const char *const extra[] = {"--topic", "p", "--topic", "b", NULL};
	static const char partitions[] = "partitions = 2 filter_subject = \"x.{{partition}}.>\" name = "
					 "\"{{partition}}_S\" leader_election_name = \"P{{partition}}\"";

	add("a", "A");
	add("b", "B");
	strbuf_adds(&topics, daemon_topic("p", partitions));
	strbuf_adds(&topics, "heartbeat { url = \"nats://127.0.0.1:4\" subject \"h\" { } }\n");
	configure("");
	daemon_start(extra);
	daemon_await("p_P0", "state", "standby", SOON);
	daemon_await("p_P1", "state", "standby", SOON);
	daemon_await("b", "state", "standby", SOON);
	ck_assert_str_eq(daemon_value("a", "state"), "(none)");
	await_count("election.heard", "\nable P1", 1);
	ck_assert_ptr_null(strstr(daemon_read("election.config"), "leader_election_name = A"));
	ck_assert_ptr_nonnull(strstr(daemon_read("election.config"), "leader_election_name = P1"));
	ck_assert_str_eq(value("A", "role"), "(none)");
	ck_assert_int_ne(access(daemon_path("heartbeat.config"), F_OK), 0);
	reload("\"changed\":[],\"retried\":[],\"untouched\":4");
}
END_TEST

static const char *
heartbeat(const char *key)
{
	static char buf[256];
	json_t *status = daemon_ask("status", NULL);
	char *dumped = json_dumps(json_object_get(json_object_get(status, "heartbeat"), key),
				  JSON_COMPACT | JSON_ENCODE_ANY);

	snprintf(buf, sizeof buf, "%s", dumped != NULL ? dumped : "(missing)");
	free(dumped);
	json_decref(status);
	return buf;
}

START_TEST(a_heartbeat_runs_beside_the_topics)
{
	strbuf_adds(&topics, "heartbeat { url = \"nats://127.0.0.1:4\" subject \"h\" { } }\n");
	configure("loglevel = debug");
	daemon_start(NULL);
	while (atoi(heartbeat("published")) < 3)
		daemon_sleep_ms(50);
	ck_assert_str_eq(heartbeat("state"), "\"copying\"");
	ck_assert_str_eq(heartbeat("role"), "\"none\"");
	ck_assert_str_eq(heartbeat("errors"), "0");
	ck_assert_ptr_nonnull(strstr(daemon_read("heartbeat.config"), "subject \"h\""));
	ck_assert_str_eq(daemon_read("heartbeat.position"), "");
	ck_assert(status_ok());
	/* It is a child like others: replaced when it dies, changed and removed by a reload. */
	kill((pid_t)atoi(heartbeat("pid")), SIGKILL);
	while (strcmp(heartbeat("restarts"), "1") != 0)
		daemon_sleep_ms(20);
	strbuf_adds(&topics, "heartbeat { url = \"nats://127.0.0.1:4\" subject \"i\" { } }\n");
	configure("loglevel = debug");
	reload("\"changed\":[\"heartbeat\"]");
	daemon_await_text("heartbeat.config", "subject \"i\"", SOON);
	add("a", "");
	configure("loglevel = debug");
	reload("\"added\":[\"a\"],\"removed\":[\"heartbeat\"]");
	daemon_await("a", "state", "copying", SOON);
	ck_assert_str_eq(heartbeat("state"), "(missing)");
}
END_TEST

START_TEST(an_elected_heartbeat_is_told_its_role)
{
	strbuf_adds(&topics, "heartbeat { url = \"nats://127.0.0.1:4\" leader_election = true "
			     "subject \"h\" { } }\n");
	configure("loglevel = debug");
	daemon_start(NULL);
	await_count("election.heard", "\nable SR_TEST_HB", 1);
	ck_assert_str_eq(heartbeat("role"), "\"standby\"");
	ck_assert_str_eq(heartbeat("published"), "0");
	say("won SR_TEST_HB 4 %d", LONG);
	while (atoi(heartbeat("published")) < 2)
		daemon_sleep_ms(50);
	ck_assert_str_eq(heartbeat("role"), "\"leader\"");
	ck_assert_str_eq(heartbeat("term"), "4");
	ck_assert_str_eq(value("SR_TEST_HB", "heartbeat"), "true");
	await_table("SR_TEST_HB heartbeat leader 4 us 1\n");
	say("yield SR_TEST_HB 4 balance");
	await_count("election.heard", "release SR_TEST_HB 4", 1);
	ck_assert_str_eq(heartbeat("role"), "\"standby\"");
}
END_TEST

/* Waits until the first problem of the status begins so. */
static void
await_problem(const char *start)
{
	struct mono deadline = mono_add_ms(mono_now(), SOON);
	bool found = false;

	while (!found && !mono_reached(mono_now(), deadline)) {
		json_t *status = daemon_ask("status", NULL);
		const char *text = json_string_value(json_array_get(json_object_get(status, "problems"), 0));

		found = text != NULL && strncmp(text, start, strlen(start)) == 0;
		json_decref(status);
	}
	ck_assert_msg(found, "no problem that begins with %s", start);
}

START_TEST(trouble_with_a_bucket_is_a_problem)
{
	json_t *status;
	const char *text;

	begin();
	say("sees A 0 - 0 bucket \"X\" does not exist");
	say("sees B 0 - 0 bucket \"X\" does not exist");
	await_value("A", "problem", "\"bucket \\\"X\\\" does not exist\"");
	await_value("B", "problem", "\"bucket \\\"X\\\" does not exist\"");
	status = daemon_ask("status", NULL);
	ck_assert(json_is_false(json_object_get(status, "ok")));
	ck_assert_uint_eq(json_array_size(json_object_get(status, "problems")), 1);
	text = json_string_value(json_array_get(json_object_get(status, "problems"), 0));
	ck_assert_str_eq(text, "election \"A\" and 1 more: bucket \"X\" does not exist");
	json_decref(status);
	say("sees A 0 - 0");
	say("sees B 0 - 0");
	await_value("B", "problem", "null");
	ck_assert(status_ok());
	/* So is an elector that does not stay up. */
	daemon_behave("election", "crash");
	kill(elector_pid(), SIGKILL);
	await_problem("elector \"election\": waiting: ");
	ck_assert_str_eq(value("A", "leader"), "null");
}
END_TEST

START_TEST(nonsense_of_a_child_ends_it)
{
	begin();
	say("won Z 1 1000");
	daemon_await_text("log", "broke the protocol: WON for key \"Z\", which is none of its names", SOON);
	await_count("election.heard", "elect ", 2);
	/* A worker cannot make itself the leader, nor answer what it was not told. */
	daemon_behave("a", "usurper");
	json_decref(daemon_ask("restart", "a"));
	daemon_await_text("log", "broke the protocol: WON", SOON);
	daemon_behave("a", "ahead");
	daemon_await("a", "state", "standby", 2 * SOON);
	say("won A 1 %d", LONG);
	daemon_await_text("log", "broke the protocol: ROLE_DONE for ROLE 2, 1 was the last sent", SOON);
	daemon_await("b", "restarts", "0", SOON);
}
END_TEST

/* What came while the supervisor was held up is taken in order; the lease that ended meanwhile has ended. */
START_TEST(a_supervisor_that_was_held_up_catches_up)
{
	pid_t supervisor = begin();

	say("won A 1 500");
	say("won B 2 %d", LONG);
	daemon_await("b", "state", "copying", SOON);
	kill(supervisor, SIGSTOP);
	say("lost B 2 somebody else has the key");
	say("won B 3 %d", LONG);
	daemon_sleep_ms(800);
	kill(supervisor, SIGCONT);
	daemon_await("b", "term", "3", SOON);
	daemon_await("b", "state", "copying", SOON);
	daemon_await("a", "state", "standby", SOON);
	ck_assert_ptr_nonnull(strstr(daemon_read("b.roles"), "stop 2\nleader 3 term 3"));
}
END_TEST

/* An elector that hears nothing must not hold what nobody here would be told of. */
START_TEST(electors_hear_that_the_supervisor_lives)
{
	pid_t supervisor;
	unsigned before;

	supervisor = begin();
	await_count("election.alive", "alive", 4);
	kill(supervisor, SIGSTOP);
	daemon_sleep_ms(300);
	before = count("election.alive", "alive");
	daemon_sleep_ms(1200);
	ck_assert_uint_eq(count("election.alive", "alive"), before);
	kill(supervisor, SIGCONT);
	await_count("election.alive", "alive", before + 2);
}
END_TEST

START_TEST(usr2_tells_of_elections)
{
	pid_t supervisor = begin();

	say("won A 1 %d", LONG);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGUSR2);
	daemon_await_text("log", "status: \"A\": leader; led by ", SOON);
	daemon_await_text("log", "status: \"B\": standby; led by nobody known", SOON);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("elections");
	TCase *tc = tcase_create("daemon");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_gain_is_passed_on_and_shown);
	tcase_add_test(tc, a_loss_stops_the_worker_and_is_told);
	tcase_add_test(tc, a_killed_elector_is_a_loss_of_all_its_names);
	tcase_add_test(tc, a_frozen_elector_loses_when_the_lease_ends);
	tcase_add_test(tc, leadership_outlives_a_worker);
	tcase_add_test(tc, a_hand_over_waits_for_the_worker);
	tcase_add_test(tc, step_down_is_refused_with_the_reason);
	tcase_add_test(tc, a_stop_releases_at_once);
	tcase_add_test(tc, a_stop_waits_for_what_is_in_flight);
	tcase_add_test(tc, a_worker_that_is_killed_at_the_stop_is_released);
	tcase_add_test(tc, a_second_term_ends_workers_before_the_elector);
	tcase_add_test(tc, an_elector_that_does_not_drain_does_not_hold_the_end);
	tcase_add_test(tc, a_name_is_added);
	tcase_add_test(tc, a_name_that_is_removed_is_released_first);
	tcase_add_test(tc, the_last_name_takes_its_elector_along);
	tcase_add_test(tc, an_elector_that_is_wanted_again_while_it_ends_comes_back);
	tcase_add_test(tc, other_settings_leave_the_elector_alone);
	tcase_add_test(tc, only_what_runs_here_is_campaigned_for);
	tcase_add_test(tc, a_heartbeat_runs_beside_the_topics);
	tcase_add_test(tc, an_elected_heartbeat_is_told_its_role);
	tcase_add_test(tc, trouble_with_a_bucket_is_a_problem);
	tcase_add_test(tc, nonsense_of_a_child_ends_it);
	tcase_add_test(tc, a_supervisor_that_was_held_up_catches_up);
	tcase_add_test(tc, electors_hear_that_the_supervisor_lives);
	tcase_add_test(tc, usr2_tells_of_elections);
	suite_add_tcase(s, tc);
	return s;
}
