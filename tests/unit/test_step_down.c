/* The verb step-down, against a control socket that answers from a list. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/step_down.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

static char dir[64], path[96], asked[96];
static pid_t server;
static char said[4096];

/* ---- what the status says ------------------------------------------------------------------------- */

static enum step_down_seen
look(const char *text)
{
	json_t *entry = json_loads(text, 0, NULL);
	enum step_down_seen seen = step_down_look(entry, 7);

	ck_assert_ptr_nonnull(entry);
	json_decref(entry);
	return seen;
}

START_TEST(who_leads_is_read_out_of_the_status)
{
	ck_assert_int_eq(step_down_look(NULL, 7), STEP_DOWN_UNKNOWN);
	ck_assert_int_eq(look("{\"role\":\"leader\",\"term\":7,\"leader\":\"a\"}"), STEP_DOWN_STILL_LEADS);
	ck_assert_int_eq(look("{\"role\":\"leader\",\"term\":9,\"leader\":\"a\"}"), STEP_DOWN_BACK);
	ck_assert_int_eq(look("{\"role\":\"standby\",\"term\":null,\"leader\":null}"), STEP_DOWN_FREE);
	ck_assert_int_eq(look("{\"role\":\"standby\",\"term\":null,\"leader\":\"\"}"), STEP_DOWN_FREE);
	/* not heard of the delete yet */
	ck_assert_int_eq(look("{\"role\":\"standby\",\"term\":7,\"leader\":\"a\"}"), STEP_DOWN_FREE);
	ck_assert_int_eq(look("{\"role\":\"standby\",\"term\":9,\"leader\":\"b\"}"), STEP_DOWN_TAKEN);
	/* another program's value has no term that is known */
	ck_assert_int_eq(look("{\"role\":\"standby\",\"term\":null,\"leader\":\"b\"}"), STEP_DOWN_TAKEN);
	ck_assert_int_eq(look("{}"), STEP_DOWN_FREE);
}
END_TEST

/* ---- a supervisor --------------------------------------------------------------------------------- */

static void
setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/sr-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sock", dir);
	snprintf(asked, sizeof asked, "%s/asked", dir);
	server = 0;
}

static void
teardown(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	unlink(path);
	unlink(asked);
	rmdir(dir);
}

/* Answers each line with the next text, and with the last one from then on. */
static void
serve(int listener, const char *const *answers)
{
	char line[4096];
	FILE *in, *out, *log = fopen(asked, "we");
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || log == NULL)
		_exit(1);
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	while (fgets(line, sizeof line, in) != NULL) {
		fputs(line, log);
		fflush(log);
		if (strcmp(*answers, "hang up") == 0)
			_exit(0);
		fprintf(out, "%s\n", *answers);
		fflush(out);
		if (answers[1] != NULL)
			answers++;
	}
	_exit(0);
}

static void
start_server(const char *const *answers)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener, answers);
	}
	close(listener);
}

/* The verb's exit code; what it printed is in said. */
static int
step_down(const char *name, bool json)
{
	const struct command c = {
	    .verb = COMMAND_STEP_DOWN, .config = "/nonexistent", .socket = path, .topic = name, .json = json};
	FILE *f = tmpfile();
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), rc;

	fflush(NULL);
	dup2(fileno(f), STDOUT_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	rc = admin_step_down(&c);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(f);
	said[fread(said, 1, sizeof said - 1, f)] = '\0';
	fclose(f);
	return rc;
}
#define SERVE(...) start_server((const char *const[]){__VA_ARGS__, NULL})

#define LEADS                                                                                                \
	"{\"ok\":true,\"topics\":[],\"elections\":[{\"name\":\"Y\"},{\"name\":\"X\",\"role\":\"leader\","    \
	"\"term\":7,\"leader\":\"a\"}]}"
#define FREE  "{\"elections\":[{\"name\":\"X\",\"role\":\"standby\",\"term\":null,\"leader\":null}]}"
#define AGAIN "{\"elections\":[{\"name\":\"X\",\"role\":\"leader\",\"term\":9,\"leader\":\"a\"}]}"
#define TAKEN                                                                                                \
	"{\"elections\":[{\"name\":\"X\",\"role\":\"standby\",\"term\":8,\"leader\":\"b\\u001b[2J\","        \
	"\"site\":\"EU\",\"pid\":5}]}"

START_TEST(says_who_leads_now)
{
	char line[256] = "";
	FILE *f;

	SERVE(LEADS, "{\"ok\":true}", LEADS, FREE, FREE, TAKEN);
	ck_assert_int_eq(step_down("X", false), 0);
	ck_assert_msg(strncmp(said, "X: b\\x1b[2J (site EU) leads now, term 8, 0.", 42) == 0, "%s", said);
	f = fopen(asked, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
	ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
	ck_assert_str_eq(line, "{\"verb\":\"step-down\",\"name\":\"X\"}\n");
	fclose(f);
}
END_TEST

START_TEST(says_it_as_json)
{
	json_t *o;

	SERVE(LEADS, "{\"ok\":true}", TAKEN);
	ck_assert_int_eq(step_down("X", true), 0);
	o = json_loads(said, 0, NULL);
	ck_assert_msg(o != NULL, "%s", said);
	ck_assert(json_is_true(json_object_get(o, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(o, "name")), "X");
	ck_assert_str_eq(json_string_value(json_object_get(o, "site")), "EU");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "term")), 8);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "pid")), 5);
	ck_assert(json_is_real(json_object_get(o, "seconds")));
	json_decref(o);
}
END_TEST

START_TEST(a_refusal_is_told)
{
	SERVE(LEADS, "{\"ok\":false,\"error\":\"nobody else stands for it\"}");
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_str_eq(said, "stream-replicator: nobody else stands for it\n");
}
END_TEST

START_TEST(a_refusal_is_told_as_json)
{
	json_t *o;

	SERVE("{\"ok\":true,\"topics\":[]}", "{\"ok\":false,\"error\":\"no such election\"}");
	ck_assert_int_eq(step_down("Z\xff", true), 1);
	o = json_loads(said, 0, NULL);
	ck_assert_msg(o != NULL, "%s", said);
	ck_assert(json_is_false(json_object_get(o, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(o, "name")), "Z\\xff");
	ck_assert_ptr_nonnull(json_object_get(o, "error"));
	json_decref(o);
}
END_TEST

START_TEST(nobody_took_over)
{
	struct mono begun = mono_now();

	SERVE(LEADS, "{\"ok\":true}", FREE, AGAIN);
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_ptr_nonnull(strstr(said, "this node leads again"));
	ck_assert_int_lt(mono_ms_between(begun, mono_now()), 5000);
}
END_TEST

START_TEST(nobody_has_taken_over_yet)
{
	SERVE(LEADS, "{\"ok\":true}", FREE);
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_ptr_nonnull(strstr(said, "nobody has taken over yet"));
}
END_TEST

START_TEST(an_election_that_goes)
{
	SERVE(LEADS, "{\"ok\":true}", "{\"elections\":[]}");
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_ptr_nonnull(strstr(said, "the election is gone"));
}
END_TEST

START_TEST(a_supervisor_that_goes)
{
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_ptr_nonnull(strstr(said, "is it running?"));
	SERVE(LEADS, "{\"ok\":true}", FREE, "hang up");
	ck_assert_int_eq(step_down("X", false), 1);
	ck_assert_ptr_nonnull(strstr(said, "closed the connection"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("step_down");
	TCase *tc = tcase_create("verb");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, who_leads_is_read_out_of_the_status);
	tcase_add_test(tc, says_who_leads_now);
	tcase_add_test(tc, says_it_as_json);
	tcase_add_test(tc, a_refusal_is_told);
	tcase_add_test(tc, a_refusal_is_told_as_json);
	tcase_add_test(tc, nobody_took_over);
	tcase_add_test(tc, nobody_has_taken_over_yet);
	tcase_add_test(tc, an_election_that_goes);
	tcase_add_test(tc, a_supervisor_that_goes);
	suite_add_tcase(s, tc);
	return s;
}
