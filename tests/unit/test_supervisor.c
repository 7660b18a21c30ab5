/* The real supervisor with the fake worker: starts, deaths, hangs, protocol faults, ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

/* One topic a name, in the order given; the last is NULL. */
static void
configure(const char *top, const char *const *names)
{
	struct strbuf topics;

	strbuf_init(&topics);
	for (size_t i = 0; names[i] != NULL; i++)
		strbuf_adds(&topics, daemon_topic(names[i], ""));
	daemon_configure(top, topics.data);
	strbuf_fini(&topics);
}

static bool
status_ok(void)
{
	json_t *status = daemon_ask("status", NULL);
	bool ok = json_is_true(json_object_get(status, "ok"));

	json_decref(status);
	return ok;
}

START_TEST(status_has_what_is_promised)
{
	static const char *const top[] = {"name",     "node", "version", "pid",
					  "uptime_s", "ok",   "topics",  "elections"};
	static const char *const per_topic[] = {
	    "name",      "worker",          "pid",           "state",      "reason",   "role",
	    "term",      "source_last_seq", "committed_seq", "target_seq", "lag_msgs", "lag_seconds",
	    "rate_msgs", "eta_s",           "inflight",      "window",     "copied",   "skipped",
	    "failed",    "rewinds",         "restarts",      "uptime_s"};
	json_t *status, *topic;

	configure("", (const char *const[]){"a", "b", NULL});
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	daemon_await_number("b", "copied", 30, SOON);
	status = daemon_ask("status", NULL);
	for (size_t i = 0; i < sizeof top / sizeof top[0]; i++)
		ck_assert_msg(json_object_get(status, top[i]) != NULL, "%s", top[i]);
	topic = json_array_get(json_object_get(status, "topics"), 0);
	for (size_t i = 0; i < sizeof per_topic / sizeof per_topic[0]; i++)
		ck_assert_msg(json_object_get(topic, per_topic[i]) != NULL, "%s", per_topic[i]);
	ck_assert_str_eq(json_string_value(json_object_get(topic, "worker")), "a_S");
	ck_assert_str_eq(json_string_value(json_object_get(topic, "role")), "none");
	ck_assert(json_is_true(json_object_get(status, "ok")));
	ck_assert_ptr_null(json_object_get(status, "error"));
	json_decref(status);
}
END_TEST

START_TEST(worker_gets_a_clean_process)
{
	int leak;

	configure("", (const char *const[]){"a", NULL});
	/* What the starting shell left open, and the signals it ignored, must not reach a worker. */
	leak = open("/dev/null", O_RDONLY);
	ck_assert_int_eq(dup2(leak, 57), 57);
	signal(SIGUSR1, SIG_IGN);
	daemon_start(NULL);
	close(57);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_str_eq(daemon_read("a.signals"), "");
	ck_assert_ptr_null(strstr(daemon_read("a.fds"), "57"));
	ck_assert_uint_eq(strlen(daemon_read("a.fds")), strlen("0\n1\n2\n3\n"));
	ck_assert_ptr_nonnull(strstr(daemon_read("a.config"), "stream"));
}
END_TEST

START_TEST(killed_worker_is_replaced_at_once)
{
	long long pid, other, copied;
	struct mono killed;

	configure("", (const char *const[]){"a", "b", NULL});
	daemon_start(NULL);
	daemon_await_number("a", "copied", 50, SOON);
	daemon_await("b", "state", "copying", SOON);
	pid = daemon_number("a", "pid");
	other = daemon_number("b", "pid");
	copied = daemon_number("a", "copied");
	kill((pid_t)pid, SIGKILL);
	killed = mono_now();
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_lt(mono_ms_between(killed, mono_now()), 1000);
	ck_assert_int_ne(daemon_number("a", "pid"), pid);
	ck_assert_int_eq(daemon_number("b", "pid"), other);
	/* Counters survive, and it goes on where it was. */
	ck_assert_int_ge(daemon_number("a", "copied"), copied);
	daemon_await_number("a", "copied", copied + 20, SOON);
	ck_assert_ptr_null(strstr(strchr(daemon_read("a.position"), '\n'), "seq=0"));
	ck_assert_str_eq(daemon_value("a", "last_exit"), "killed by signal 9 (Killed)");
	daemon_await_text("log", "killed by signal 9 (Killed) after", 1000);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "generation 1"));
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "next start in 0.0"));
}
END_TEST

/* Every way to go wrong at the same time, beside one that works. */
START_TEST(failing_topics_do_not_disturb_others)
{
	static const char *const names[] = {"good",  "crash",  "segv",      "mute",   "silent", "garbage",
					    "early", "closer", "permanent", "halted", NULL};
	long long pid, permanent_starts;

	for (size_t i = 1; names[i] != NULL; i++)
		daemon_behave(names[i], names[i]);
	configure("", names);
	daemon_start(NULL);
	daemon_await("good", "state", "copying", SOON);
	pid = daemon_number("good", "pid");
	daemon_await("permanent", "state", "halted", SOON);
	ck_assert_str_eq(daemon_value("permanent", "reason"),
			 "credentials file is not readable; cure it and reload");
	permanent_starts = daemon_number("permanent", "restarts");
	daemon_await_number("crash", "restarts", 3, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("crash", "last_exit"), "ended with code 1"));
	daemon_await_number("segv", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("segv", "last_exit"), "signal 11"));
	daemon_await_number("garbage", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("garbage", "last_exit"), "broke the protocol"));
	daemon_await_number("early", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("early", "last_exit"), "STATS before HELLO"));
	daemon_await_number("closer", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("closer", "last_exit"), "closed its pipe"));
	daemon_await_number("silent", "restarts", 1, SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("silent", "last_exit"), "silent for 6 s"));
	daemon_await_number("mute", "restarts", 1, 2 * SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("mute", "last_exit"), "not ready within 10 s"));
	ck_assert_str_eq(daemon_value("halted", "state"), "halted");
	ck_assert_str_eq(daemon_value("halted", "restarts"), "0");
	ck_assert_int_eq(daemon_number("permanent", "restarts"), permanent_starts);
	ck_assert_int_eq(daemon_number("good", "pid"), pid);
	ck_assert_str_eq(daemon_value("good", "state"), "copying");
	ck_assert(!status_ok());
}
END_TEST

START_TEST(waiting_says_why_and_for_how_long)
{
	daemon_behave("a", "crash");
	configure("", (const char *const[]){"a", NULL});
	daemon_start(NULL);
	daemon_await_number("a", "restarts", 3, SOON);
	daemon_await("a", "state", "waiting", SOON);
	ck_assert_ptr_nonnull(strstr(daemon_value("a", "reason"), "ended with code 1"));
	ck_assert_ptr_nonnull(strstr(daemon_value("a", "reason"), "next start in"));
	ck_assert_str_eq(daemon_value("a", "pid"), "null");
	ck_assert(!status_ok());
	/* A person need not wait for the back-off. */
	daemon_behave("a", "");
	json_decref(daemon_ask("restart", "a"));
	daemon_await("a", "state", "copying", 1500);
}
END_TEST

START_TEST(noise_of_a_worker_is_bounded)
{
	size_t lines = 0;

	daemon_behave("flood", "flood");
	daemon_behave("incidents", "incidents");
	configure("", (const char *const[]){"flood", "incidents", "good", NULL});
	daemon_start(NULL);
	daemon_await("good", "state", "copying", SOON);
	daemon_await_number("flood", "copied", 20, 2 * SOON);
	daemon_await_number("incidents", "copied", 20, SOON);
	for (const char *at = daemon_read("log"); (at = strstr(at, "flood line")) != NULL; at++)
		lines++;
	ck_assert_uint_ge(lines, 1000);
	ck_assert_uint_le(lines, 20000);
	lines = 0;
	for (const char *at = daemon_read("log"); (at = strstr(at, "incident gap: a hole")) != NULL; at++)
		lines++;
	ck_assert_uint_ge(lines, 1);
	ck_assert_uint_le(lines, 5);
}
END_TEST

/* A supervisor that was stopped for a while must not blame its workers for it. */
START_TEST(time_of_our_own_is_nobodys_silence)
{
	pid_t supervisor;
	long long pid;

	configure("", (const char *const[]){"a", NULL});
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	pid = daemon_number("a", "pid");
	kill(supervisor, SIGSTOP);
	kill((pid_t)pid, SIGSTOP);
	daemon_sleep_ms(8000);
	kill(supervisor, SIGCONT);
	daemon_sleep_ms(1500);
	kill((pid_t)pid, SIGCONT);
	daemon_sleep_ms(1000);
	ck_assert_int_eq(daemon_number("a", "pid"), pid);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "held up"));
}
END_TEST

START_TEST(term_drains_and_exits_0)
{
	const char *const pidfile[] = {"--pidfile", daemon_path("pid"), NULL};
	char pid_text[32];
	pid_t supervisor;

	configure("", (const char *const[]){"a", "b", NULL});
	supervisor = daemon_start(pidfile);
	snprintf(pid_text, sizeof pid_text, "%d\n", (int)supervisor);
	ck_assert_str_eq(daemon_read("pid"), pid_text);
	daemon_await_number("b", "copied", 20, SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_ne(access(daemon_path("pid"), F_OK), 0);
	ck_assert_int_ne(access(daemon_path("state/control.sock"), F_OK), 0);
	ck_assert_int_ne(access(daemon_path("a.orphan"), F_OK), 0);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "ended with code 0: ended as asked"));
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "supervisor: stopped"));
}
END_TEST

START_TEST(stop_timeout_ends_those_that_do_not_settle)
{
	struct mono told;
	pid_t supervisor;

	daemon_behave("a", "nodrain");
	configure("stop_timeout = 1s", (const char *const[]){"a", "b", NULL});
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGINT);
	told = mono_now();
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_ge(mono_ms_between(told, mono_now()), 900);
	ck_assert_int_lt(mono_ms_between(told, mono_now()), 3000);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "did not settle within stop_timeout"));
}
END_TEST

START_TEST(second_term_stops_at_once)
{
	struct mono told;
	pid_t supervisor;

	daemon_behave("a", "nodrain");
	configure("stop_timeout = 1m", (const char *const[]){"a", NULL});
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	daemon_await("a", "reason", "draining", SOON);
	kill(supervisor, SIGTERM);
	told = mono_now();
	ck_assert_int_ge(daemon_wait_exit(supervisor, SOON), 0);
	ck_assert_int_lt(mono_ms_between(told, mono_now()), 1000);
}
END_TEST

START_TEST(stop_verb_returns_after_the_end)
{
	pid_t supervisor;

	configure("", (const char *const[]){"a", NULL});
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_eq(
	    daemon_command((const char *const[]){"stop", "--config", daemon_path("sr.conf"), NULL}), 0);
	ck_assert_int_eq(daemon_wait_exit(supervisor, 200), 0);
}
END_TEST

START_TEST(workers_end_with_a_killed_supervisor)
{
	pid_t supervisor;
	long long committed;

	configure("", (const char *const[]){"a", "b", NULL});
	supervisor = daemon_start(NULL);
	daemon_await_number("a", "copied", 200, SOON);
	daemon_sleep_ms(1500); /* longer than a commit may wait */
	kill(supervisor, SIGKILL);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 128 + SIGKILL);
	daemon_await_text("a.orphan", "", 2000);
	daemon_await_text("b.orphan", "", 2000);
	/* The next one starts over the socket that was left, with the positions that were kept. */
	unlink(daemon_path("a.position"));
	daemon_start(NULL);
	daemon_await_text("a.position", "seq=", SOON);
	committed = atoll(strstr(daemon_read("a.position"), "seq=") + 4);
	ck_assert_int_ge(committed, 200);
}
END_TEST

START_TEST(a_second_supervisor_is_refused)
{
	const char *const pidfile[] = {"--pidfile", daemon_path("pid"), NULL};
	pid_t supervisor;

	configure("", (const char *const[]){"a", NULL});
	supervisor = daemon_start(pidfile);
	ck_assert_int_eq(
	    daemon_command((const char *const[]){"run", "--config", daemon_path("sr.conf"), NULL}), 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "control.sock"));
	ck_assert_int_eq(daemon_command((const char *const[]){"run", "--config", daemon_path("sr.conf"),
							      "--pidfile", daemon_path("pid"), NULL}),
			 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "pidfile"));
	ck_assert_int_eq(access(daemon_path("pid"), F_OK), 0);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
}
END_TEST

START_TEST(topics_are_selected)
{
	const char *const extra[] = {"--topic", "b", "--topics", " c  d ", NULL};

	configure("", (const char *const[]){"a", "b", "c", "d", NULL});
	setenv("TOPICS", "a", 1);
	daemon_start(extra);
	daemon_await("b", "state", "copying", SOON);
	daemon_await("c", "state", "copying", SOON);
	daemon_await("d", "state", "copying", SOON);
	ck_assert_str_eq(daemon_value("a", "state"), "(none)");
	ck_assert_int_eq(
	    daemon_command((const char *const[]){"pause", "a", "--config", daemon_path("sr.conf"), NULL}), 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "\"a\""));
}
END_TEST

START_TEST(topics_come_from_the_environment)
{
	configure("", (const char *const[]){"a", "b", "c", NULL});
	setenv("TOPICS", "a c", 1);
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("c", "state", "copying", SOON);
	ck_assert_str_eq(daemon_value("b", "state"), "(none)");
}
END_TEST

START_TEST(unknown_topic_is_named_with_those_there_are)
{
	configure("", (const char *const[]){"cmdb", "monitor", NULL});
	ck_assert_int_eq(daemon_command((const char *const[]){"--config", daemon_path("sr.conf"), "--topic",
							      "cmbd", NULL}),
			 2);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "\"cmbd\""));
	ck_assert_ptr_nonnull(strstr(daemon_output(), "cmdb monitor"));
}
END_TEST

START_TEST(refused_configuration_exits_78)
{
	daemon_configure("nonsense = 1", "");
	ck_assert_int_eq(daemon_command((const char *const[]){"--config", daemon_path("sr.conf"), NULL}), 78);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "sr.conf:4"));
	ck_assert_int_eq(daemon_command((const char *const[]){"--config", "/nonexistent", NULL}), 78);
}
END_TEST

START_TEST(missing_worker_program_is_named)
{
	configure("", (const char *const[]){"a", NULL});
	setenv("STREAM_REPLICATOR_WORKER", "/nonexistent/worker", 1);
	ck_assert_int_eq(daemon_command((const char *const[]){"--config", daemon_path("sr.conf"), NULL}), 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "/nonexistent/worker"));
}
END_TEST

/* It was there at the start, and is not when it is needed. */
START_TEST(vanished_worker_program_is_tried_again)
{
	const char *worker = daemon_path("worker");
	char real[4096];

	configure("", (const char *const[]){"a", NULL});
	snprintf(real, sizeof real, "%s", getenv("STREAM_REPLICATOR_WORKER"));
	ck_assert_int_eq(symlink(real, worker), 0);
	setenv("STREAM_REPLICATOR_WORKER", worker, 1);
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	unlink(worker);
	kill((pid_t)daemon_number("a", "pid"), SIGKILL);
	daemon_await_text("log", "cannot execute", SOON);
	daemon_await_text("log", "ended with code 127: program could not be started", SOON);
	ck_assert_int_eq(symlink(real, worker), 0);
	daemon_await("a", "state", "copying", SOON);
}
END_TEST

START_TEST(daemonize_tells_whether_it_works)
{
	const char *conf = daemon_path("sr.conf"), *pidfile = daemon_path("pid");
	const char *const argv[] = {"--daemonize", "--config", conf, "--pidfile", pidfile, NULL};
	json_t *version;

	configure("", (const char *const[]){"a", NULL});
	ck_assert_int_eq(daemon_command(argv), 0);
	/* No waiting: it works when the command has returned. */
	version = daemon_ask("version", NULL);
	ck_assert_ptr_nonnull(version);
	json_decref(version);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_gt(atoi(daemon_read("pid")), 1);
	ck_assert_int_eq(daemon_command(argv), 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "pidfile"));
	ck_assert_int_eq(daemon_command((const char *const[]){"stop", "--config", conf, NULL}), 0);
	ck_assert_int_ne(access(pidfile, F_OK), 0);
	configure("control_socket = \"/nonexistent/dir/sock\"", (const char *const[]){"a", NULL});
	ck_assert_int_eq(daemon_command(argv), 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "/nonexistent/dir/sock"));
	daemon_configure("nonsense = 1", "");
	ck_assert_int_eq(daemon_command(argv), 78);
}
END_TEST

START_TEST(service_manager_is_told)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {10, 0};
	char text[256] = "";
	pid_t supervisor;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", daemon_path("notify"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	configure("", (const char *const[]){"a", NULL});
	supervisor = daemon_start(NULL);
	ck_assert_int_gt(recv(fd, text, sizeof text - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "READY=1"));
	kill(supervisor, SIGHUP);
	memset(text, 0, sizeof text);
	ck_assert_int_gt(recv(fd, text, sizeof text - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "RELOADING=1\nMONOTONIC_USEC="));
	memset(text, 0, sizeof text);
	ck_assert_int_gt(recv(fd, text, sizeof text - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "READY=1"));
	kill(supervisor, SIGTERM);
	memset(text, 0, sizeof text);
	ck_assert_int_gt(recv(fd, text, sizeof text - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "STOPPING=1"));
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	close(fd);
}
END_TEST

START_TEST(usr1_and_usr2)
{
	pid_t supervisor;

	configure("", (const char *const[]){"a", NULL});
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_eq(rename(daemon_path("log"), daemon_path("log.1")), 0);
	kill(supervisor, SIGUSR1);
	daemon_await_text("log", "log reopened", SOON);
	kill(supervisor, SIGUSR2);
	daemon_await_text("log", "status: copying", SOON);
	ck_assert_ptr_null(strstr(daemon_read("log.1"), "status: copying"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("supervisor");
	TCase *tc = tcase_create("daemon");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, daemon_setup, daemon_teardown);
	tcase_add_test(tc, status_has_what_is_promised);
	tcase_add_test(tc, worker_gets_a_clean_process);
	tcase_add_test(tc, killed_worker_is_replaced_at_once);
	tcase_add_test(tc, failing_topics_do_not_disturb_others);
	tcase_add_test(tc, waiting_says_why_and_for_how_long);
	tcase_add_test(tc, noise_of_a_worker_is_bounded);
	tcase_add_test(tc, time_of_our_own_is_nobodys_silence);
	tcase_add_test(tc, term_drains_and_exits_0);
	tcase_add_test(tc, stop_timeout_ends_those_that_do_not_settle);
	tcase_add_test(tc, second_term_stops_at_once);
	tcase_add_test(tc, stop_verb_returns_after_the_end);
	tcase_add_test(tc, workers_end_with_a_killed_supervisor);
	tcase_add_test(tc, a_second_supervisor_is_refused);
	tcase_add_test(tc, topics_are_selected);
	tcase_add_test(tc, topics_come_from_the_environment);
	tcase_add_test(tc, unknown_topic_is_named_with_those_there_are);
	tcase_add_test(tc, refused_configuration_exits_78);
	tcase_add_test(tc, missing_worker_program_is_named);
	tcase_add_test(tc, vanished_worker_program_is_tried_again);
	tcase_add_test(tc, daemonize_tells_whether_it_works);
	tcase_add_test(tc, service_manager_is_told);
	tcase_add_test(tc, usr1_and_usr2);
	suite_add_tcase(s, tc);
	return s;
}
