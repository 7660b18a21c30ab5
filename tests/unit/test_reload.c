/* Reload, and what a person asks of single topics, with the real supervisor and the fake worker. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "tests/unit/daemon.h"
#include "tests/unit/unit.h"

#define SOON 10000

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

static void
add(const char *key, const char *settings)
{
	strbuf_adds(&topics, daemon_topic(key, settings));
}

/* Makes the topics added so far the configuration, and forgets them. */
static void
configure(const char *top)
{
	daemon_configure(top, topics.data);
	strbuf_reset(&topics);
}

/* The answer of reload as compact JSON, without anything else. */
static const char *
reload(void)
{
	static char text[4096];
	json_t *answer = daemon_ask("reload", NULL);
	char *dumped = json_dumps(answer, JSON_COMPACT);

	snprintf(text, sizeof text, "%s", dumped != NULL ? dumped : "");
	free(dumped);
	json_decref(answer);
	return text;
}

START_TEST(only_what_changed_is_touched)
{
	long long stays, changes;

	add("stays", "");
	add("changes", "");
	add("goes", "");
	configure("");
	daemon_start(NULL);
	daemon_await_number("changes", "copied", 30, SOON);
	daemon_await("goes", "state", "copying", SOON);
	daemon_await("stays", "state", "copying", SOON);
	stays = daemon_number("stays", "pid");
	changes = daemon_number("changes", "pid");
	add("comes", "");
	add("changes", "max_inflight = 77");
	add("stays", "");
	configure("");
	ck_assert_str_eq(
	    reload(), "{\"ok\":true,\"added\":[\"comes\"],\"removed\":[\"goes\"],\"changed\":[\"changes\"],"
		      "\"retried\":[],\"untouched\":1}");
	daemon_await("comes", "state", "copying", SOON);
	daemon_await("goes", "state", "(none)", SOON);
	daemon_await("changes", "restarts", "1", SOON);
	daemon_await("changes", "state", "copying", SOON);
	ck_assert_int_eq(daemon_number("stays", "pid"), stays);
	ck_assert_int_ne(daemon_number("changes", "pid"), changes);
	ck_assert_str_eq(daemon_value("stays", "restarts"), "0");
	/* It was drained, went on from its position, and its counters go on too. */
	ck_assert_int_ne(access(daemon_path("changes.orphan"), F_OK), 0);
	ck_assert_ptr_nonnull(strstr(daemon_read("changes.config"), "77"));
	ck_assert_ptr_null(strstr(strchr(daemon_read("changes.position"), '\n'), "seq=0"));
	ck_assert_int_ge(daemon_number("changes", "copied"), 30);
	ck_assert_ptr_nonnull(
	    strstr(daemon_read("log"), "reload: 1 added, 1 removed, 1 changed, 0 retried, 1 untouched"));
}
END_TEST

START_TEST(a_bad_file_changes_nothing)
{
	pid_t supervisor;
	long long pid;

	add("a", "");
	configure("");
	supervisor = daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	pid = daemon_number("a", "pid");
	add("b", "");
	add("c", "max_inflight = many");
	configure("loglevel = loud");
	ck_assert_ptr_nonnull(strstr(reload(), "\"ok\":false"));
	ck_assert_ptr_nonnull(strstr(reload(), "sr.conf:4"));
	ck_assert_ptr_nonnull(strstr(reload(), "max_inflight"));
	ck_assert_int_eq(daemon_command((const char *const[]){"reload", "--socket",
							      daemon_path("state/control.sock"), NULL}),
			 78);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "max_inflight"));
	/* The socket is found even so. */
	ck_assert_int_eq(
	    daemon_command((const char *const[]){"status", "--config", daemon_path("sr.conf"), NULL}), 0);
	unlink(daemon_path("log"));
	kill(supervisor, SIGUSR1);
	daemon_await_text("log", "log reopened", SOON);
	kill(supervisor, SIGHUP);
	daemon_await_text("log", "the old configuration runs on", SOON);
	ck_assert_ptr_nonnull(strstr(daemon_read("log"), "max_inflight"));
	ck_assert_int_eq(daemon_number("a", "pid"), pid);
	ck_assert_str_eq(daemon_value("b", "state"), "(none)");
	ck_assert_str_eq(daemon_value("a", "state"), "copying");
}
END_TEST

START_TEST(a_missing_file_changes_nothing)
{
	add("a", "");
	configure("");
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_eq(rename(daemon_path("sr.conf"), daemon_path("away")), 0);
	ck_assert_ptr_nonnull(strstr(reload(), "\"ok\":false"));
	/* A folder in its place once ended such programs. */
	ck_assert_int_eq(mkdir(daemon_path("sr.conf"), 0700), 0);
	ck_assert_ptr_nonnull(strstr(reload(), "\"ok\":false"));
	ck_assert_int_eq(rmdir(daemon_path("sr.conf")), 0);
	ck_assert_int_eq(rename(daemon_path("away"), daemon_path("sr.conf")), 0);
	ck_assert_ptr_nonnull(strstr(reload(), "\"untouched\":1"));
	ck_assert_str_eq(daemon_value("a", "restarts"), "0");
}
END_TEST

START_TEST(top_level_settings_need_no_restart)
{
	char top[512];
	json_t *answer;

	add("a", "");
	configure("");
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	add("a", "");
	snprintf(top, sizeof top,
		 "loglevel = debug\nlogformat = json\nstop_timeout = 3s\ncontrol_socket = \"%s\"",
		 daemon_path("moved.sock"));
	configure(top);
	ck_assert_ptr_nonnull(strstr(reload(), "\"untouched\":1"));
	daemon_await_text("a.level", "debug", SOON);
	daemon_await_text("log", "\"msg\":\"reload: ", SOON);
	ck_assert_ptr_null(daemon_ask("version", NULL));
	ck_assert_int_eq(daemon_command((const char *const[]){"status", "--json", "--socket",
							      daemon_path("moved.sock"), NULL}),
			 0);
	answer = json_loads(daemon_output(), 0, NULL);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(answer, "topics"), 0), "restarts")),
			 0);
	json_decref(answer);
}
END_TEST

/* What the new file needs but cannot be had is an error like any other. */
START_TEST(what_cannot_be_acquired_refuses_the_reload)
{
	add("a", "");
	configure("");
	daemon_start(NULL);
	add("a", "");
	add("b", "");
	configure("control_socket = \"/nonexistent/sock\"");
	ck_assert_ptr_nonnull(strstr(reload(), "/nonexistent/sock"));
	ck_assert_str_eq(daemon_value("b", "state"), "(none)");
	daemon_await("a", "state", "copying", SOON);
}
END_TEST

START_TEST(permanently_stopped_is_retried)
{
	daemon_behave("a", "permanent");
	add("a", "");
	add("b", "");
	configure("");
	daemon_start(NULL);
	daemon_await("a", "state", "halted", SOON);
	daemon_behave("a", "");
	ck_assert_ptr_nonnull(strstr(reload(), "\"retried\":[\"a\"],\"untouched\":1"));
	daemon_await("a", "state", "copying", SOON);
}
END_TEST

/* Removed and back again before its process has ended. */
START_TEST(gone_and_back_while_draining)
{
	daemon_behave("a", "nodrain");
	add("a", "");
	add("b", "");
	configure("stop_timeout = 2s");
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	add("b", "");
	configure("stop_timeout = 2s");
	ck_assert_ptr_nonnull(strstr(reload(), "\"removed\":[\"a\"]"));
	daemon_behave("a", "");
	add("a", "");
	add("b", "");
	configure("stop_timeout = 2s");
	ck_assert_ptr_nonnull(strstr(reload(), "\"changed\":[\"a\"]"));
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
}
END_TEST

START_TEST(pause_outlives_worker_and_supervisor)
{
	const char *conf = daemon_path("sr.conf");
	pid_t supervisor;
	long long copied;

	add("a", "");
	add("b", "");
	configure("");
	supervisor = daemon_start(NULL);
	daemon_await_number("a", "copied", 20, SOON);
	ck_assert_int_eq(daemon_command((const char *const[]){"pause", "a", "--config", conf, NULL}), 0);
	ck_assert_str_eq(daemon_value("a", "state"), "paused");
	copied = daemon_number("a", "copied");
	kill((pid_t)daemon_number("a", "pid"), SIGKILL);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "paused", SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	daemon_start(NULL);
	daemon_await("a", "state", "paused", SOON);
	daemon_await("b", "state", "copying", SOON);
	daemon_sleep_ms(400);
	ck_assert_int_eq(daemon_number("a", "copied"), 0);
	ck_assert_int_gt(copied, 0);
	/* Paused is no trouble: a person wants it so. */
	ck_assert_int_eq(daemon_command((const char *const[]){"status", "--config", conf, NULL}), 0);
	ck_assert_int_eq(daemon_command((const char *const[]){"resume", "a", "--config", conf, NULL}), 0);
	daemon_await_number("a", "copied", 20, SOON);
}
END_TEST

START_TEST(restart_replaces_one_worker)
{
	const char *conf = daemon_path("sr.conf");
	long long a, b;

	add("a", "");
	add("b", "");
	configure("");
	daemon_start(NULL);
	daemon_await("a", "state", "copying", SOON);
	daemon_await("b", "state", "copying", SOON);
	a = daemon_number("a", "pid");
	b = daemon_number("b", "pid");
	ck_assert_int_eq(daemon_command((const char *const[]){"restart", "a", "--config", conf, NULL}), 0);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_int_ne(daemon_number("a", "pid"), a);
	ck_assert_int_eq(daemon_number("b", "pid"), b);
	ck_assert_int_eq(daemon_command((const char *const[]){"restart", "nobody", "--config", conf, NULL}),
			 1);
	ck_assert_ptr_nonnull(strstr(daemon_output(), "\"nobody\""));
}
END_TEST

static unsigned
starts_with_resume(const char *topic)
{
	char file[64];
	unsigned n = 0;

	snprintf(file, sizeof file, "%s.position", topic);
	for (const char *at = daemon_read(file); (at = strstr(at, "resume=1")) != NULL; at++)
		n++;
	return n;
}

/* resume_from is for one start, however often worker and supervisor start afterwards. */
START_TEST(resume_from_is_used_once)
{
	pid_t supervisor;

	add("a", "resume_from = 50");
	configure("");
	supervisor = daemon_start(NULL);
	daemon_await_number("a", "copied", 20, SOON);
	ck_assert_uint_eq(starts_with_resume("a"), 1);
	kill((pid_t)daemon_number("a", "pid"), SIGKILL);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(daemon_wait_exit(supervisor, SOON), 0);
	daemon_start(NULL);
	daemon_await_number("a", "copied", 20, SOON);
	ck_assert_uint_eq(starts_with_resume("a"), 1);
	/* Another value is another wish; so is the same one after it was taken out. */
	add("a", "resume_from = target");
	configure("");
	reload();
	daemon_await("a", "restarts", "1", SOON);
	daemon_await("a", "state", "copying", SOON);
	daemon_sleep_ms(300);
	ck_assert_uint_eq(starts_with_resume("a"), 2);
	add("a", "");
	configure("");
	reload();
	daemon_await("a", "restarts", "2", SOON);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_uint_eq(starts_with_resume("a"), 2);
	add("a", "resume_from = target");
	configure("");
	reload();
	daemon_await("a", "restarts", "3", SOON);
	daemon_await("a", "state", "copying", SOON);
	ck_assert_uint_eq(starts_with_resume("a"), 3);
}
END_TEST

/* A start that came to nothing has not used it. */
START_TEST(resume_from_waits_for_a_position)
{
	daemon_behave("a", "crash");
	add("a", "resume_from = 50");
	configure("");
	daemon_start(NULL);
	daemon_await_number("a", "restarts", 2, SOON);
	daemon_behave("a", "");
	daemon_await("a", "state", "copying", SOON);
	ck_assert_uint_eq(starts_with_resume("a"), 1);
}
END_TEST

/* A database that cannot be had is told, and stops nothing. */
START_TEST(no_state_stops_nothing)
{
	long long pid;
	json_t *status;

	add("a", "");
	configure("");
	mkdir(daemon_path("state"), 0700);
	mkdir(daemon_path("state/state.db"), 0700); /* a folder: no database can be opened there */
	mkdir(daemon_path("state/state.db/x"), 0500);
	chmod(daemon_path("state"), 0700);
	daemon_start(NULL);
	daemon_await_number("a", "copied", 20, SOON);
	status = daemon_ask("status", NULL);
	pid = daemon_number("a", "pid");
	ck_assert_int_gt(pid, 0);
	json_decref(status);
	kill((pid_t)pid, SIGKILL);
	daemon_await("a", "restarts", "1", SOON);
	daemon_await_number("a", "copied", 40, SOON);
	/* The position was kept in memory. */
	ck_assert_ptr_null(strstr(strchr(daemon_read("a.position"), '\n'), "seq=0"));
	rmdir(daemon_path("state/state.db/x"));
	rmdir(daemon_path("state/state.db"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("reload");
	TCase *tc = tcase_create("daemon");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, only_what_changed_is_touched);
	tcase_add_test(tc, a_bad_file_changes_nothing);
	tcase_add_test(tc, a_missing_file_changes_nothing);
	tcase_add_test(tc, top_level_settings_need_no_restart);
	tcase_add_test(tc, what_cannot_be_acquired_refuses_the_reload);
	tcase_add_test(tc, permanently_stopped_is_retried);
	tcase_add_test(tc, gone_and_back_while_draining);
	tcase_add_test(tc, pause_outlives_worker_and_supervisor);
	tcase_add_test(tc, restart_replaces_one_worker);
	tcase_add_test(tc, resume_from_is_used_once);
	tcase_add_test(tc, resume_from_waits_for_a_position);
	tcase_add_test(tc, no_state_stops_nothing);
	suite_add_tcase(s, tc);
	return s;
}
