/* The command line. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/command.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

static struct command c;
static char said[8192];

/* Parses what follows the program's name; what is printed goes into said. */
static int
parse(const char *env, const char *const *args)
{
	char *argv[16] = {(char *)(uintptr_t) "stream-replicator"};
	FILE *f = tmpfile();
	int argc = 1, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), rc;

	for (; args[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	fflush(NULL);
	dup2(fileno(f), STDOUT_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	rc = command_parse(argc, argv, env, &c);
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
#define PARSE(...) parse(NULL, (const char *const[]){__VA_ARGS__, NULL})

static void
teardown(void)
{
	command_fini(&c);
}

START_TEST(without_anything_it_runs)
{
	ck_assert_int_eq(parse(NULL, (const char *const[]){NULL}), -1);
	ck_assert_int_eq(c.verb, COMMAND_RUN);
	ck_assert_str_eq(c.config, COMMAND_DEFAULT_CONFIG);
	ck_assert_uint_eq(c.topic_count, 0);
}
END_TEST

START_TEST(options_of_run)
{
	ck_assert_int_eq(PARSE("--config", "x.conf", "run", "--topic", "a", "--topics=b  c", "--topic=d",
			       "--debug", "--daemonize", "--pidfile", "p"),
			 -1);
	ck_assert_str_eq(c.config, "x.conf");
	ck_assert_str_eq(c.pidfile, "p");
	ck_assert(c.debug && c.daemonize);
	ck_assert_uint_eq(c.topic_count, 4);
	ck_assert_str_eq(c.topics[2], "c");
	ck_assert_str_eq(c.topics[3], "d");
}
END_TEST

START_TEST(environment_selects_where_nothing_else_does)
{
	ck_assert_int_eq(parse("a b", (const char *const[]){NULL}), -1);
	ck_assert_uint_eq(c.topic_count, 2);
	command_fini(&c);
	ck_assert_int_eq(parse("a b", (const char *const[]){"--topic", "x", NULL}), -1);
	ck_assert_uint_eq(c.topic_count, 1);
	command_fini(&c);
	ck_assert_int_eq(parse("  ", (const char *const[]){NULL}), -1);
	ck_assert_uint_eq(c.topic_count, 0);
}
END_TEST

START_TEST(verbs_with_a_topic)
{
	ck_assert_int_eq(PARSE("verify", "cmdb", "--from", "10", "--to", "20", "--json"), -1);
	ck_assert_int_eq(c.verb, COMMAND_VERIFY);
	ck_assert_str_eq(c.topic, "cmdb");
	ck_assert(c.from == 10 && c.to == 20 && c.json);
	ck_assert_int_eq(PARSE("--socket", "s", "pause", "cmdb"), -1);
	ck_assert_int_eq(c.verb, COMMAND_PAUSE);
	ck_assert_str_eq(c.socket, "s");
	ck_assert_int_eq(PARSE("step-down", "X", "--json", "--socket", "s"), -1);
	ck_assert_int_eq(c.verb, COMMAND_STEP_DOWN);
	ck_assert_str_eq(c.topic, "X");
	ck_assert(c.json);
}
END_TEST

START_TEST(verbs_of_sampling)
{
	int64_t now = wall_ms();

	ck_assert_int_eq(
	    PARSE("state", "--topic", "a", "--value", "^x", "--since", "1h", "--advised", "--json"), -1);
	ck_assert_int_eq(c.verb, COMMAND_STATE);
	ck_assert_uint_eq(c.topic_count, 1);
	ck_assert_str_eq(c.value, "^x");
	ck_assert(c.since_ms >= now - 3600000 && c.since_ms < now - 3590000);
	ck_assert(c.advised && c.json && !c.follow);
	command_fini(&c);
	ck_assert_int_eq(parse("a b", (const char *const[]){"state", NULL}), -1);
	ck_assert_uint_eq(c.topic_count, 0); /* the variable is for run */
	ck_assert(c.since_ms == 0 && c.value == NULL);
	ck_assert_int_eq(PARSE("advisories", "ADV", "--follow"), -1);
	ck_assert_int_eq(c.verb, COMMAND_ADVISORIES);
	ck_assert_str_eq(c.topic, "ADV");
	ck_assert_ptr_null(c.value);
	ck_assert(c.follow);
	ck_assert_int_eq(PARSE("advisories", "ADV", "host.a", "--since", "2026-03-01T10:00:00Z"), -1);
	ck_assert_str_eq(c.value, "host.a");
	ck_assert(c.since_ms == INT64_C(1772359200000));
	ck_assert_int_eq(PARSE("gossip", "--json"), -1);
	ck_assert_int_eq(c.verb, COMMAND_GOSSIP);
	ck_assert(c.json);
}
END_TEST

START_TEST(wrong_usage_is_named)
{
	static const struct {
		const char *const args[7];
		const char *word;
	} wrong[] = {
	    {{"--wrong"}, "--wrong"},
	    {{"-x"}, "-x"},
	    {{"run", "--config"}, "--config needs a value"},
	    {{"pause"}, "which topic"},
	    {{"pause", "a", "b"}, "\"b\""},
	    {{"step-down"}, "which election"},
	    {{"step-down", "a", "b"}, "\"b\""},
	    {{"step-down", "a", "--watch"}, "--watch does not go with step-down"},
	    {{"explode"}, "explode"},
	    {{"run", "extra"}, "\"extra\""},
	    {{"pause", "a", "--json"}, "--json does not go with pause"},
	    {{"status", "--topic", "a"}, "--topic does not go with status"},
	    {{"verify", "a", "--from", "x"}, "--from"},
	    {{"verify", "a", "--from", "-1"}, "--from"},
	    {{"verify", "a", "--from", "0"}, "--from"},
	    {{"verify", "a", "--to", "99999999999999999999"}, "--to"},
	    {{"verify", "a", "--from", "5", "--to", "4"}, "--from"},
	    {{"state", "a"}, "\"a\""},
	    {{"state", "--follow"}, "--follow does not go with state"},
	    {{"state", "--since", "yesterday"}, "--since \"yesterday\""},
	    {{"state", "--since", "1"}, "--since \"1\""},
	    {{"advisories"}, "which stream"},
	    {{"advisories", "A", "b", "c"}, "\"c\""},
	    {{"advisories", "A", "--advised"}, "--advised does not go with advisories"},
	    {{"advisories", "A", "--value", "x"}, "--value does not go with advisories"},
	    {{"gossip", "a"}, "\"a\""},
	    {{"gossip", "--since", "1h"}, "--since does not go with gossip"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_int_eq(parse(NULL, wrong[i].args), COMMAND_EXIT_USAGE);
		ck_assert_msg(strstr(said, wrong[i].word) != NULL, "\"%s\" has no \"%s\"", said,
			      wrong[i].word);
		command_fini(&c);
	}
}
END_TEST

START_TEST(verbs_of_later_releases_are_refused)
{
	static const char *const verbs[] = {"enroll", "convert"};

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		ck_assert_int_eq(PARSE(verbs[i], "--since", "1h"), COMMAND_EXIT_USAGE);
		ck_assert_ptr_nonnull(strstr(said, "not supported in this version"));
		ck_assert_int_eq(PARSE("--config", "x", verbs[i]), COMMAND_EXIT_USAGE);
		ck_assert_ptr_nonnull(strstr(said, "not supported in this version"));
	}
}
END_TEST

START_TEST(help_for_all_and_for_each)
{
	ck_assert_int_eq(PARSE("--help"), 0);
	for (int v = 0; v < COMMAND_VERB_END; v++)
		ck_assert_ptr_nonnull(strstr(said, command_verb_name((enum command_verb)v)));
	for (int v = 0; v < COMMAND_VERB_END; v++) {
		ck_assert_int_eq(PARSE(command_verb_name((enum command_verb)v), "--help"), 0);
		ck_assert_ptr_nonnull(strstr(said, "Usage: stream-replicator"));
		ck_assert_ptr_nonnull(strstr(said, "--config FILE"));
	}
	ck_assert_int_eq(PARSE("--version"), 0);
	ck_assert_str_eq(said, "stream-replicator " SR_VERSION "\n");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("command");
	TCase *line = tcase_create("line");

	tcase_add_checked_fixture(line, NULL, teardown);
	tcase_add_test(line, without_anything_it_runs);
	tcase_add_test(line, options_of_run);
	tcase_add_test(line, environment_selects_where_nothing_else_does);
	tcase_add_test(line, verbs_with_a_topic);
	tcase_add_test(line, verbs_of_sampling);
	tcase_add_test(line, wrong_usage_is_named);
	tcase_add_test(line, verbs_of_later_releases_are_refused);
	tcase_add_test(line, help_for_all_and_for_each);
	suite_add_tcase(s, line);
	return s;
}
