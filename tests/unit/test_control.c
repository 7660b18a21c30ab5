/* The control socket against clients of every kind, most of them hostile. One process, one loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "supervisor/control.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/sr-test-control-XXXXXX";
static char path[64], other_path[64];
static struct event_base *base;
static struct control *control;
static struct strbuf reply;
static bool break_loop; /* every answer is the last thing that the process does */
static size_t padding;  /* bytes that every answer carries besides */

static json_t *
answer(void *arg, const struct request *r)
{
	char *pad = calloc(1, padding + 1);
	json_t *o;

	(void)arg;
	if (break_loop)
		event_base_loopbreak(base);
	memset(pad, 'x', padding);
	o = json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 1, "verb", r->name, "topic", r->topic, "name",
		      r->election, "pad", pad);
	free(pad);
	return o;
}

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/control.sock", dir);
	snprintf(other_path, sizeof other_path, "%s/other.sock", dir);
	log_set_level(LOG_LEVEL_ERROR);
	strbuf_init(&reply);
	base = event_base_new();
	control = control_new(base, path, answer, NULL, &e);
	ck_assert_msg(control != NULL, "%s", e.text);
}

static void
teardown(void)
{
	control_free(&control);
	event_base_free(base);
	strbuf_fini(&reply);
	unlink(path);
	unlink(other_path);
	rmdir(dir);
}

static int
connect_to(const char *where)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, where);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		return fd;
	}
	close(fd);
	return -1;
}

static void
say(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		event_base_loop(base, EVLOOP_NONBLOCK);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return; /* dropped already: that is what some of the tests are about */
		bytes += n;
		len -= (size_t)n;
	}
}

static void
say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

enum end { LINES, END, NOTHING };

/* Turns the loop until so many lines came from fd (into reply), it ended, or the time is over. */
static enum end
hear(int fd, unsigned lines, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);
	char buf[65536];

	strbuf_reset(&reply);
	while (!mono_reached(mono_now(), deadline)) {
		ssize_t n;

		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, buf, sizeof buf, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return END;
		if (n < 0) {
			struct pollfd p = {.fd = fd, .events = POLLIN};

			poll(&p, 1, 1);
			continue;
		}
		strbuf_add(&reply, buf, (size_t)n);
		for (ssize_t i = 0; i < n; i++)
			lines -= lines > 0 && buf[i] == '\n';
		if (lines == 0)
			return LINES;
	}
	return NOTHING;
}

static bool
reply_has(const char *text)
{
	return strstr(reply.data, text) != NULL;
}

static void
assert_served(int fd)
{
	say_text(fd, "{\"verb\":\"status\"}\n");
	ck_assert_int_eq(hear(fd, 1, 5000), LINES);
	ck_assert(reply_has("\"ok\":true") && reply_has("\"verb\":\"status\""));
}

START_TEST(only_its_owner_may_connect)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(lines_are_answered_in_order)
{
	int fd = connect_to(path);

	say_text(fd,
		 "{\"verb\":\"pause\",\"topic\":\"a\"}\n{\"topic\":\"b\",\"verb\":\"resume\"}\r\n{\"verb\":");
	ck_assert_int_eq(hear(fd, 2, 5000), LINES);
	ck_assert(strstr(reply.data, "\"topic\":\"a\"") < strstr(reply.data, "\"topic\":\"b\""));
	say_text(fd, "\"stop\"}\n");
	ck_assert_int_eq(hear(fd, 1, 5000), LINES);
	ck_assert(reply_has("\"verb\":\"stop\""));
	close(fd);
}
END_TEST

/* `stop`, where there is nothing to wait for. */
START_TEST(the_last_answer_is_written)
{
	int fd = connect_to(path);
	const char *line = "{\"verb\":\"stop\"}\n";

	event_base_loop(base, EVLOOP_NONBLOCK); /* it is accepted */
	break_loop = true;
	ck_assert_int_eq(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
	event_base_dispatch(base);
	break_loop = false;
	control_free(&control);
	ck_assert_int_eq(hear(fd, 1, 1000), LINES);
	ck_assert(reply_has("\"verb\":\"stop\""));
	close(fd);
}
END_TEST

/* As a shell pipe through socat does it. */
START_TEST(client_that_shut_down_its_side_is_answered)
{
	static const char lines[] = "{\"verb\":\"status\"}\n{\"verb\":\"version\"}\n";
	int fd = connect_to(path);

	padding = 1000000; /* more than the socket takes at once */
	/* All of it is there before the loop looks for the first time. */
	ck_assert_int_eq(send(fd, lines, sizeof lines - 1, 0), sizeof lines - 1);
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(hear(fd, 3, 5000), END);
	ck_assert(reply_has("status") && reply_has("version"));
	ck_assert_uint_gt(reply.len, 2000000);
	close(fd);
}
END_TEST

START_TEST(an_election_is_named)
{
	int fd = connect_to(path);

	say_text(fd, "{\"verb\":\"step-down\",\"name\":\"A\"}\n");
	ck_assert_int_eq(hear(fd, 1, 5000), LINES);
	ck_assert(reply_has("\"verb\":\"step-down\"") && reply_has("\"name\":\"A\""));
	assert_served(fd);
	ck_assert(reply_has("\"name\":\"\""));
	close(fd);
}
END_TEST

START_TEST(unknown_verb_is_refused_and_no_more)
{
	int fd = connect_to(path);

	say_text(fd, "{\"verb\":\"explode\"}\n");
	ck_assert_int_eq(hear(fd, 1, 5000), LINES);
	ck_assert(reply_has("\"ok\":false") && reply_has("explode"));
	assert_served(fd);
	close(fd);
}
END_TEST

static void
costs_the_connection(const char *bytes, size_t len)
{
	int good = connect_to(path), bad = connect_to(path);

	assert_served(good);
	say(bad, bytes, len);
	ck_assert_msg(hear(bad, 2, 5000) == END, "not dropped: %.40s", bytes);
	ck_assert(reply.len == 0 || reply_has("\"ok\":false"));
	assert_served(good);
	close(bad);
	close(good);
}

START_TEST(malformed_lines_cost_the_connection)
{
	static const char *const lines[] = {
	    "\n",
	    "nonsense\n",
	    "[]\n",
	    "\"status\"\n",
	    "{}\n",
	    "{\"verb\":1}\n",
	    "{\"verb\":null}\n",
	    "{\"verb\":\"status\",\"verb\":\"stop\"}\n",
	    "{\"verb\":\"pause\",\"topic\":7}\n",
	    "{\"verb\":\"step-down\",\"name\":[\"A\"]}\n",
	    "{\"verb\":\"status\"} trailing\n",
	    "{\"verb\":\"\xff\xfe\"}\n",
	    "{\"verb\":\"sta\\u0000tus\"}\n",
	    "GET / HTTP/1.1\r\n",
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		costs_the_connection(lines[i], strlen(lines[i]));
	costs_the_connection("{\"verb\":\0\"status\"}\n", 19);
}
END_TEST

START_TEST(deep_nesting_costs_the_connection)
{
	static char line[60000];

	memset(line, '[', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	costs_the_connection(line, sizeof line);
}
END_TEST

START_TEST(a_long_line_costs_the_connection)
{
	static char line[4 * REQUEST_MAX_BYTES];

	memset(line, ' ', sizeof line);
	costs_the_connection(line, sizeof line);
	line[sizeof line - 1] = '\n';
	costs_the_connection(line, sizeof line);
}
END_TEST

START_TEST(too_many_clients_are_turned_away)
{
	int fds[CONTROL_MAX_CLIENTS], extra;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		fds[i] = connect_to(path);
		assert_served(fds[i]);
	}
	extra = connect_to(path);
	ck_assert_int_eq(hear(extra, 1, 5000), END);
	close(extra);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		assert_served(fds[i]);
	close(fds[0]);
	for (int i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	fds[0] = connect_to(path);
	assert_served(fds[0]);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
}
END_TEST

/* Bytes that trickle in do not buy more time: a whole line does. */
START_TEST(slow_senders_lose_their_connection)
{
	int slow, good;

	control_set_patience(control, 300, 300);
	slow = connect_to(path);
	good = connect_to(path);
	for (int i = 0; i < 20; i++) {
		say_text(slow, "{");
		if (hear(slow, 1, 50) == END)
			break;
		assert_served(good);
	}
	ck_assert_int_eq(hear(slow, 1, 2000), END);
	close(slow);
	close(good);
}
END_TEST

START_TEST(who_does_not_read_is_dropped)
{
	static const char line[] = "{\"verb\":\"status\"}\n";
	int deaf, good;

	padding = 100000;
	control_set_patience(control, 60000, 300);
	deaf = connect_to(path);
	good = connect_to(path);
	for (int i = 0; i < 1000; i++)
		if (send(deaf, line, sizeof line - 1, MSG_NOSIGNAL) < 0)
			break;
	for (struct mono end = mono_add_ms(mono_now(), 2000); !mono_reached(mono_now(), end);)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_served(good);
	/* What was sent before the end is there, the rest never came. */
	ck_assert_int_eq(hear(deaf, 1000, 5000), END);
	close(deaf);
	close(good);
}
END_TEST

START_TEST(a_dead_process_leaves_nothing_in_the_way)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct error e = ERROR_INIT;
	struct control *second;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, other_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd); /* the file stays, nobody listens */
	second = control_new(base, other_path, answer, NULL, &e);
	ck_assert_msg(second != NULL, "%s", e.text);
	fd = connect_to(other_path);
	assert_served(fd);
	close(fd);
	control_free(&second);
	ck_assert_int_ne(access(other_path, F_OK), 0);
}
END_TEST

START_TEST(a_live_process_keeps_its_socket)
{
	struct error e = ERROR_INIT;
	int fd;

	ck_assert_ptr_null(control_new(base, path, answer, NULL, &e));
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	fd = connect_to(path);
	assert_served(fd);
	close(fd);
}
END_TEST

START_TEST(what_is_no_socket_is_not_removed)
{
	struct error e = ERROR_INIT;

	close(open(other_path, O_CREAT | O_WRONLY, 0600));
	ck_assert_ptr_null(control_new(base, other_path, answer, NULL, &e));
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	ck_assert_int_eq(access(other_path, F_OK), 0);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_named)
{
	char long_path[200];
	struct error e = ERROR_INIT;

	memset(long_path, 'x', sizeof long_path - 1);
	long_path[0] = '/';
	long_path[sizeof long_path - 1] = '\0';
	ck_assert_ptr_null(control_new(base, long_path, answer, NULL, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "107"));
}
END_TEST

START_TEST(moving_keeps_connections)
{
	struct error e = ERROR_INIT;
	int old = connect_to(path), new;

	assert_served(old);
	ck_assert_int_eq(control_move(control, "/nonexistent/x.sock", &e), -1);
	assert_served(old);
	ck_assert_int_eq(control_move(control, other_path, &e), 0);
	ck_assert_int_lt(connect_to(path), 0);
	new = connect_to(other_path);
	assert_served(new);
	assert_served(old);
	close(old);
	close(new);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("control");
	TCase *clients = tcase_create("clients"), *paths = tcase_create("paths");

	tcase_set_timeout(clients, 60);
	tcase_add_checked_fixture(clients, setup, teardown);
	tcase_add_test(clients, only_its_owner_may_connect);
	tcase_add_test(clients, lines_are_answered_in_order);
	tcase_add_test(clients, the_last_answer_is_written);
	tcase_add_test(clients, client_that_shut_down_its_side_is_answered);
	tcase_add_test(clients, an_election_is_named);
	tcase_add_test(clients, unknown_verb_is_refused_and_no_more);
	tcase_add_test(clients, malformed_lines_cost_the_connection);
	tcase_add_test(clients, deep_nesting_costs_the_connection);
	tcase_add_test(clients, a_long_line_costs_the_connection);
	tcase_add_test(clients, too_many_clients_are_turned_away);
	tcase_add_test(clients, slow_senders_lose_their_connection);
	tcase_add_test(clients, who_does_not_read_is_dropped);
	suite_add_tcase(s, clients);
	tcase_add_checked_fixture(paths, setup, teardown);
	tcase_add_test(paths, a_dead_process_leaves_nothing_in_the_way);
	tcase_add_test(paths, a_live_process_keeps_its_socket);
	tcase_add_test(paths, what_is_no_socket_is_not_removed);
	tcase_add_test(paths, a_path_that_is_too_long_is_named);
	tcase_add_test(paths, moving_keeps_connections);
	suite_add_tcase(s, paths);
	return s;
}
