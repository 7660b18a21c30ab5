/* The configuration as callers use it: defaults, differences, hashes, the manual, and input that no file is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/conf_options.h"
#include "common/conf_scan.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define TOPIC "stream = S source_url = \"nats://joe:pw@a\" target_url = \"nats://b\" "

static struct conf *
load(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_load_text(text, strlen(text), &errors);

	ck_assert_msg(c != NULL, "%s: %s", text, errors.count > 0 ? errors.text[0] : "no reason");
	ck_assert_uint_eq(errors.count, 0);
	conf_errors_fini(&errors);
	return c;
}

/* Refused, and the only reason is this one. */
static void
ck_refused(const char *text, size_t len, const char *reason)
{
	struct conf_errors errors;
	struct conf *c = conf_load_text(text, len, &errors);

	ck_assert_ptr_null(c);
	ck_assert_uint_eq(errors.count, 1);
	ck_assert_msg(strstr(errors.text[0], reason) != NULL, "%s", errors.text[0]);
	conf_errors_fini(&errors);
}

START_TEST(has_defaults)
{
	struct conf *c = load("name = x state_dir = /s topic a.b { " TOPIC "}");
	const struct conf_topic *t = conf_find_topic(c, "a.b");

	ck_assert_str_eq(c->path, "");
	ck_assert_str_eq(c->logfile, "");
	ck_assert_str_eq(c->control_socket, "/s/control.sock");
	ck_assert_int_eq(c->loglevel, LOG_LEVEL_INFO);
	ck_assert_int_eq(c->stop_timeout_ms, 10000);
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(t->name, "a_b_S");
	ck_assert_str_eq(t->target_stream, "S");
	ck_assert_int_eq(t->start, START_ALL);
	ck_assert_int_eq(t->resume_from, RESUME_NONE);
	ck_assert_int_eq(t->target_writers, TARGET_WRITERS_AUTO);
	ck_assert_int_eq(t->on_source_reset, SOURCE_RESET_HALT);
	ck_assert_int_eq(t->on_target_reset, TARGET_RESET_RESTART);
	ck_assert_int_eq(t->on_reject, REJECT_HALT);
	ck_assert_uint_eq(t->max_inflight, 32768);
	ck_assert_uint_eq(t->max_inflight_bytes, 32 << 20);
	ck_assert_int_eq(t->ack_timeout_ms, 5000);
	ck_assert(t->rate_limit.msgs_per_second == 0 && t->rate_limit.bytes_per_second == 0);
	ck_assert(!t->source_tls.set && *t->source_tls.ca == '\0' && *t->adopt == '\0');
	ck_assert_ptr_null(conf_find_topic(c, "a"));
	conf_free(&c);
	ck_assert_ptr_null(c);
	conf_free(&c);
}
END_TEST

START_TEST(takes_values)
{
	struct conf *c = load("name = x topic a { " TOPIC "filter_subject = {\"a.*\", b} start_delta = 2h "
			      "resume_from = 7 rate_limit = \"1MiB/s\" on_reject = skip max_age = 1d "
			      "start_at_end = false target_writers = exclusive on_target_reset = continue }");
	const struct conf_topic *t = &c->topics[0];

	ck_assert_uint_eq(t->filter_count, 2);
	ck_assert_str_eq(t->filter_subjects[0], "a.*");
	ck_assert_str_eq(t->filter_subjects[1], "b");
	ck_assert_int_eq(t->start, START_DELTA);
	ck_assert_int_eq(t->start_delta_ms, 7200000);
	ck_assert(t->resume_from == RESUME_SEQUENCE && t->resume_sequence == 7);
	ck_assert(t->rate_limit.bytes_per_second == 1 << 20 && t->rate_limit.msgs_per_second == 0);
	ck_assert_int_eq(t->on_reject, REJECT_SKIP);
	ck_assert_int_eq(t->target_writers, TARGET_WRITERS_EXCLUSIVE);
	ck_assert_int_eq(t->on_target_reset, TARGET_RESET_CONTINUE);
	ck_assert_int_eq(t->max_age_ms, 86400000);
	conf_free(&c);
}
END_TEST

START_TEST(most_specific_tls_wins_whole)
{
	struct conf *c =
	    load("name = x tls { ca = /top cert = /c key = /k } topic a { " TOPIC "tls { ca = /topic } "
		 "target_tls { } } topic b { name = b " TOPIC "}");

	ck_assert_str_eq(c->topics[0].source_tls.ca, "/topic");
	ck_assert_str_eq(c->topics[0].source_tls.cert, "");
	ck_assert(c->topics[0].target_tls.set);
	ck_assert_str_eq(c->topics[0].target_tls.ca, "");
	ck_assert_str_eq(c->topics[1].target_tls.cert, "/c");
	conf_free(&c);
}
END_TEST

START_TEST(names_values)
{
	ck_assert_str_eq(conf_target_writers_name(TARGET_WRITERS_SHARED), "shared");
	ck_assert_str_eq(conf_on_source_reset_name(SOURCE_RESET_RESTART), "restart");
	ck_assert_str_eq(conf_on_target_reset_name(TARGET_RESET_HALT), "halt");
	ck_assert_str_eq(conf_on_reject_name(REJECT_DEAD_LETTER), "dead_letter");
	ck_assert_ptr_null(conf_on_reject_name((enum conf_on_reject)3));
}
END_TEST

/* Whether a reload would replace the worker. */
static bool
equal(const char *a, const char *b)
{
	struct conf *ca = load(a), *cb = load(b);
	bool result = conf_topic_equal(ca, &ca->topics[0], cb, &cb->topics[0]);

	conf_free(&ca);
	conf_free(&cb);
	return result;
}

#define CONF(top, topic) "name = x " top "topic a { " TOPIC topic " }"

START_TEST(notices_changed_topics)
{
	ck_assert(equal(CONF("", ""), CONF("", "")));
	ck_assert(equal(CONF("", ""), CONF("loglevel = debug stop_timeout = 1s ", "")));
	ck_assert(equal(CONF("", ""), CONF("", "ack_timeout = 5000ms target_initiated = true workers = 1")));
	ck_assert(!equal(CONF("", ""), CONF("", "ack_timeout = 6s")));
	ck_assert(!equal(CONF("", ""), CONF("tls { ca = /x } ", "")));
	ck_assert(!equal(CONF("", "filter_subject = {a, b}"), CONF("", "filter_subject = {a}")));
	ck_assert(!equal(CONF("", ""), "name = y topic a { " TOPIC "}"));
	/* a changed password is a change, though it is masked where it is shown */
	ck_assert(!equal(
	    "name = x topic a { stream = S source_url = \"nats://joe:a@a\" target_url = \"nats://b\" }",
	    "name = x topic a { stream = S source_url = \"nats://joe:b@a\" target_url = \"nats://b\" }"));
}
END_TEST

static uint64_t
hash_of(const char *text)
{
	struct conf *c = load(text);
	uint64_t hash = conf_map_hash(c, &c->topics[0]);

	conf_free(&c);
	return hash;
}

START_TEST(hashes_the_map)
{
	static const char *const deciding[] = {"filter_subject = a",        "target_subject_prefix = p",
					       "target_subject_remove = r", "max_age = 1h",
					       "on_reject = skip",          "target_name = t",
					       "pass_rollup = true",        "target_stream = T"};
	static const char *const others[] = {"ack_timeout = 1m",
					     "max_inflight = 5",
					     "rate_limit = 5",
					     "resume_from = target",
					     "name = other",
					     "start_sequence = 5",
					     "target_writers = shared",
					     "leader_election_name = L",
					     "leader_election_name = L election_key = K"};
	uint64_t plain = hash_of(CONF("", ""));
	char text[512];

	for (size_t i = 0; i < sizeof deciding / sizeof deciding[0]; i++) {
		snprintf(text, sizeof text, "name = x topic a { " TOPIC " %s }", deciding[i]);
		ck_assert_msg(hash_of(text) != plain, "%s", deciding[i]);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		snprintf(text, sizeof text, "name = x topic a { " TOPIC " %s }", others[i]);
		ck_assert_msg(hash_of(text) == plain, "%s", others[i]);
	}
	ck_assert(hash_of("name = y topic a { " TOPIC "}") != plain);
	ck_assert(hash_of("name = x topic b { " TOPIC "}") != plain);
	ck_assert(hash_of("name = x loglevel = debug topic a { " TOPIC "}") == plain);
}
END_TEST

START_TEST(tells_what_needs_a_restart)
{
	struct conf *a = load("name = x state_dir = /a"),
		    *b = load("name = y state_dir = /b loglevel = debug");
	struct strbuf out;

	strbuf_init(&out);
	conf_restart_needed(a, a, &out);
	ck_assert_str_eq(out.data, "");
	conf_restart_needed(a, b, &out);
	ck_assert_str_eq(out.data, "state_dir");
	strbuf_fini(&out);
	conf_free(&a);
	conf_free(&b);
}
END_TEST

START_TEST(worker_text_has_no_environment_and_no_include)
{
	struct conf *c;

	setenv("SR_TEST_SITE", "wrong", 1);
	c = load("name = \"${SR_TEST_SITE}\" state_dir = '${NOT_SET}'");
	ck_assert_str_eq(c->name, "${SR_TEST_SITE}");
	conf_free(&c);
	ck_refused("name = x include(\"/etc/passwd\")", 31,
		   "include can stand at the top level of a file only");
}
END_TEST

START_TEST(prints_one_topic)
{
	struct conf *c = load("name = x topic a { " TOPIC "} topic b { name = b " TOPIC "}");
	struct strbuf out;

	strbuf_init(&out);
	conf_print(c, &c->topics[1], CONF_PRINT_SECRET, &out);
	ck_assert_ptr_null(strstr(out.data, "topic \"a\""));
	ck_assert_ptr_nonnull(strstr(out.data, "topic \"b\""));
	ck_assert_ptr_nonnull(strstr(out.data, "nats://joe:pw@a"));
	strbuf_reset(&out);
	conf_print(c, NULL, CONF_PRINT_MASKED, &out);
	ck_assert_ptr_null(strstr(out.data, "pw@"));
	strbuf_fini(&out);
	conf_free(&c);
}
END_TEST

/* ---- partitions, elections, heartbeat -------------------------------------------------------------- */

START_TEST(makes_partitions)
{
	struct conf *c =
	    load("name = x topic a { " TOPIC "partitions = 3 filter_subject = \"a.{{partition}}.>\" "
		 "dead_letter_subject = \"d.{{partition}}\" tls { ca = /a } } topic b { name = b " TOPIC "}");

	ck_assert_uint_eq(c->topic_count, 4);
	ck_assert_str_eq(c->topics[0].key, "a_P0");
	ck_assert_str_eq(c->topics[2].key, "a_P2");
	ck_assert_str_eq(c->topics[2].group, "a");
	ck_assert_str_eq(c->topics[2].filter_subjects[0], "a.2.>");
	ck_assert_str_eq(c->topics[2].dead_letter_subject, "d.2");
	ck_assert_str_eq(c->topics[2].source_tls.ca, "/a");
	ck_assert_str_eq(c->topics[2].source_url, c->topics[0].source_url);
	ck_assert_str_eq(c->topics[3].key, "b");
	ck_assert_str_eq(c->topics[3].group, "b");
	ck_assert_ptr_null(conf_find_topic(c, "a"));
	ck_assert_ptr_eq(conf_find_topic(c, "a_P1"), &c->topics[1]);
	conf_free(&c);
}
END_TEST

#define PARTITIONS(n) "name = x topic a { " TOPIC "partitions = " n " filter_subject = \"a.{{partition}}\" }"

/* Partitions that stay are not touched by a reload that adds one. */
START_TEST(partitions_are_topics_of_their_own)
{
	struct conf *three = load(PARTITIONS("3")), *four = load(PARTITIONS("4"));

	for (size_t i = 0; i < 3; i++) {
		ck_assert(conf_topic_equal(three, &three->topics[i], four, &four->topics[i]));
		ck_assert_uint_eq(conf_map_hash(three, &three->topics[i]),
				  conf_map_hash(four, &four->topics[i]));
	}
	ck_assert(conf_map_hash(four, &four->topics[3]) != conf_map_hash(four, &four->topics[2]));
	conf_free(&three);
	conf_free(&four);
}
END_TEST

START_TEST(bounds_the_number_of_topics)
{
	struct conf *c = load(PARTITIONS("1024"));
	struct conf_errors errors;
	struct strbuf text;

	ck_assert_uint_eq(c->topic_count, 1024);
	ck_assert_str_eq(c->topics[1023].filter_subjects[0], "a.1023");
	conf_free(&c);
	strbuf_init(&text);
	strbuf_adds(&text, "name = x\n");
	for (int i = 0; i < 5; i++)
		strbuf_addf(&text,
			    "topic t%d { partitions = 1024 stream = S source_url = \"nats://a\" target_url = "
			    "\"nats://b\" filter_subject = \"t%d.{{partition}}\" }\n",
			    i, i);
	ck_assert_ptr_null(conf_load_text(text.data, text.len, &errors));
	ck_assert_uint_eq(errors.count, 2); /* 3 * 1024 + 1022, and two of one each */
	ck_assert_ptr_nonnull(strstr(errors.text[0], "more than 4096 topics"));
	conf_errors_fini(&errors);
	strbuf_fini(&text);
}
END_TEST

#define ELECTED "leader_election_name = L "

START_TEST(worker_is_sent_its_election_alone)
{
	struct conf *c =
	    load("name = x election { url = \"nats://u:secret@e\" } heartbeat { url = \"nats://h\" "
		 "subject s { } } topic a { " TOPIC ELECTED "} topic b { name = b " TOPIC "}");
	struct strbuf out;

	strbuf_init(&out);
	conf_print(c, &c->topics[0], CONF_PRINT_SECRET, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "leader_election_name = L"));
	ck_assert_ptr_null(strstr(out.data, "secret"));
	ck_assert_ptr_null(strstr(out.data, "heartbeat"));
	strbuf_fini(&out);
	conf_free(&c);
}
END_TEST

#define HEARTBEAT(more) "name = x heartbeat { url = \"nats://u:secret@h\" subject s { } " more " } "

START_TEST(heartbeat_is_sent_whole)
{
	struct conf *c = load(HEARTBEAT("header a { value = b }") "topic a { " TOPIC "}"), *back;
	struct strbuf out;

	strbuf_init(&out);
	conf_print_heartbeat(c, &out);
	back = load(out.data);
	ck_assert_uint_eq(back->topic_count, 0);
	ck_assert_str_eq(back->heartbeat.url, "nats://u:secret@h");
	ck_assert_uint_eq(back->heartbeat.subject_count, 1);
	ck_assert_str_eq(back->heartbeat.subjects[0].headers[0].value, "b");
	ck_assert_int_eq(back->heartbeat.subjects[0].interval_ms, 10000);
	ck_assert(conf_heartbeat_equal(c, back));
	conf_free(&back);
	conf_free(&c);
	strbuf_fini(&out);
}
END_TEST

static bool
heartbeats_equal(const char *a, const char *b)
{
	struct conf *ca = load(a), *cb = load(b);
	bool result = conf_heartbeat_equal(ca, cb);

	conf_free(&ca);
	conf_free(&cb);
	return result;
}

START_TEST(notices_a_changed_heartbeat)
{
	ck_assert(heartbeats_equal("name = x", "name = x loglevel = debug"));
	ck_assert(heartbeats_equal(HEARTBEAT(""), HEARTBEAT("interval = 10s")));
	ck_assert(heartbeats_equal(HEARTBEAT(""), HEARTBEAT("") "stop_timeout = 1s topic a { " TOPIC "}"));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), "name = x"));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), HEARTBEAT("interval = 11s")));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), HEARTBEAT("header a { value = b }")));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), HEARTBEAT("subject t { }")));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), "tls { ca = /x } " HEARTBEAT("")));
	ck_assert(!heartbeats_equal(HEARTBEAT(""), HEARTBEAT("leader_election = true")));
}
END_TEST

START_TEST(election_has_defaults)
{
	struct conf *c = load("name = x tls { ca = /x }");

	ck_assert_str_eq(c->election.url, "");
	ck_assert_str_eq(c->election.bucket, "CHORIA_LEADER_ELECTION");
	ck_assert_int_eq(c->election.ttl_ms, 10000);
	ck_assert(c->election.replicas == 0 && c->election.create && !c->election.tls.set);
	ck_assert(!c->heartbeat.set && *c->heartbeat.url == '\0' && *c->heartbeat.tls.ca == '\0');
	conf_free(&c);
	c = load("name = x tls { ca = /x } election { url = \"nats://e\" }");
	ck_assert_str_eq(c->election.tls.ca, "/x");
	conf_free(&c);
}
END_TEST

/* What many sections inside of each other could make of a small file. */
START_TEST(bounds_headers)
{
	struct conf_errors errors;
	struct strbuf text;

	strbuf_init(&text);
	strbuf_adds(&text,
		    "name = x heartbeat { url = \"nats://a\" subject s { header own { value = x } }\n");
	for (int i = 0; i < 101; i++)
		strbuf_addf(&text, "header h%d { value = x }\n", i);
	strbuf_adds(&text, "}");
	ck_assert_ptr_null(conf_load_text(text.data, text.len, &errors));
	ck_assert_uint_eq(errors.count, 2);
	ck_assert_ptr_nonnull(strstr(errors.text[0], "more than 100 headers, with those"));
	ck_assert_ptr_nonnull(strstr(errors.text[1], "more than 100 headers, leave"));
	conf_errors_fini(&errors);
	strbuf_fini(&text);
}
END_TEST

/* ---- input that is no configuration ---------------------------------------------------------------- */

static char folder[] = "/tmp/sr-test-conf-XXXXXX";

static void
make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
remove_folder(void)
{
	unlink("file.conf");
	unlink("fifo");
	rmdir("dir");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(folder);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static void
ck_file_refused(const char *path, const char *reason)
{
	struct conf_errors errors;

	ck_assert_ptr_null(conf_load(path, &errors));
	ck_assert_uint_eq(errors.count, 1);
	ck_assert_msg(strstr(errors.text[0], reason) != NULL, "%s", errors.text[0]);
	ck_assert_msg(strncmp(errors.text[0], path, strlen(path)) == 0, "%s", errors.text[0]);
	conf_errors_fini(&errors);
}

START_TEST(refuses_what_is_no_file)
{
	struct conf_errors errors;
	struct conf *c;
	FILE *f;

	ck_assert_int_eq(mkdir("dir", 0700), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_file_refused("dir", "not a regular file");
	ck_file_refused("fifo", "not a regular file");
	ck_file_refused("/dev/zero", "not a regular file");
	ck_file_refused("none.conf", "No such file");
	ck_assert_ptr_nonnull(f = fopen("file.conf", "w"));
	ck_assert_int_eq(ftruncate(fileno(f), CONF_FILE_MAX + 1), 0);
	ck_file_refused("file.conf", "too large");
	rewind(f);
	fputs("name = x\n", f);
	ck_assert_int_eq(fflush(f), 0);
	ck_assert_int_eq(ftruncate(fileno(f), 9), 0);
	fclose(f);
	c = conf_load("file.conf", &errors);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->path, "file.conf");
	conf_free(&c);
}
END_TEST

/* What a broken file leaves behind must not reach the next one. */
START_TEST(broken_text_leaves_nothing_behind)
{
	static const char *const broken[] = {"name = \"x",
					     "name = 'x",
					     "/* x",
					     "topic a {",
					     "name = {x",
					     "name = x }",
					     "name = \"\\9\"",
					     "topic a { b { c {",
					     "= = =",
					     "{{{{",
					     "}}}}",
					     "name",
					     "\x01",
					     "name = \"${",
					     "topic \"",
					     "a { b = c }",
					     "topic a { stream = \"",
					     "include(",
					     "include(\"",
					     "+=",
					     ",",
					     "(",
					     "\\",
					     "\"\\",
					     "name = \"\\"};
	char huge[64];

	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		struct conf_errors errors;
		struct conf *c = conf_load_text(broken[i], strlen(broken[i]), &errors);

		ck_assert_msg(c == NULL && errors.count > 0, "%s", broken[i]);
		conf_errors_fini(&errors);
		snprintf(huge, sizeof huge, "name = n%zu", i);
		c = load(huge);
		ck_assert_str_eq(c->name, huge + 7);
		conf_free(&c);
	}
}
END_TEST

START_TEST(survives_hostile_text)
{
	static const char *const pieces[] = {"{",
					     "}",
					     "a {",
					     "topic a {",
					     "a = {",
					     "=",
					     "tls {} ",
					     "a=b ",
					     "\"",
					     "'",
					     "/*",
					     "${A",
					     "topic a {} ",
					     "include(",
					     "\\",
					     "{{",
					     "heartbeat { header x { } } "};
	size_t size = 1024 * 1024;
	char *text = xmalloc(size + 64);

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		struct conf_errors errors;
		size_t len = 0, piece = strlen(pieces[i]);

		for (; len + piece <= size; len += piece)
			memcpy(text + len, pieces[i], piece);
		ck_assert_ptr_null(conf_load_text(text, len, &errors));
		ck_assert_uint_gt(errors.count, 0);
		ck_assert_uint_le(errors.count, CONF_REPORT_MAX + 1);
		conf_errors_fini(&errors);
	}
	free(text);
	ck_refused("name = x\n\0name = y", 18, "NUL byte");
}
END_TEST

START_TEST(bounds_the_number_of_problems)
{
	struct conf_errors errors;
	struct strbuf text;

	strbuf_init(&text);
	for (int i = 0; i < 1000; i++)
		strbuf_adds(&text, "name = \"x y\"\n");
	ck_assert_ptr_null(conf_load_text(text.data, text.len, &errors));
	ck_assert_uint_eq(errors.count, CONF_REPORT_MAX + 1);
	ck_assert_str_eq(errors.text[CONF_REPORT_MAX], "and 800 more problems");
	conf_errors_fini(&errors);
	strbuf_fini(&text);
}
END_TEST

/* ---- the table ------------------------------------------------------------------------------------- */

START_TEST(manual_has_every_setting)
{
	struct strbuf manual;
	char item[128];

	strbuf_init(&manual);
	conf_write_manual(&manual);
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		snprintf(item, sizeof item, ".It Ic %s No = ", o->name);
		if ((o->flags & CONF_LATER) == 0)
			ck_assert_msg(strstr(manual.data, item) != NULL, "%s", o->name);
	}
	ck_assert_ptr_null(strstr(manual.data, "queue_group"));
	strbuf_fini(&manual);
}
END_TEST

START_TEST(table_is_sound)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		ck_assert_ptr_eq(conf_option_find(o->kind, o->name), o); /* none twice */
		ck_assert_ptr_null(conf_section_find(o->kind, o->name));
		ck_assert_msg((o->flags & CONF_LATER) != 0 || o->doc != NULL, "%s", o->name);
	}
	ck_assert_str_eq(conf_option_nearest(CONF_TOPIC, "taget_url"), "target_url");
	ck_assert_ptr_null(conf_option_nearest(CONF_TOPIC, "xxxxxxxxxxxx"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("conf");
	TCase *tc = tcase_create("values"), *input = tcase_create("input");

	tcase_add_test(tc, has_defaults);
	tcase_add_test(tc, takes_values);
	tcase_add_test(tc, most_specific_tls_wins_whole);
	tcase_add_test(tc, names_values);
	tcase_add_test(tc, notices_changed_topics);
	tcase_add_test(tc, hashes_the_map);
	tcase_add_test(tc, tells_what_needs_a_restart);
	tcase_add_test(tc, worker_text_has_no_environment_and_no_include);
	tcase_add_test(tc, prints_one_topic);
	tcase_add_test(tc, manual_has_every_setting);
	tcase_add_test(tc, table_is_sound);
	tcase_add_test(tc, makes_partitions);
	tcase_add_test(tc, partitions_are_topics_of_their_own);
	tcase_add_test(tc, bounds_the_number_of_topics);
	tcase_add_test(tc, worker_is_sent_its_election_alone);
	tcase_add_test(tc, heartbeat_is_sent_whole);
	tcase_add_test(tc, notices_a_changed_heartbeat);
	tcase_add_test(tc, election_has_defaults);
	tcase_add_test(tc, bounds_headers);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(input, make_folder, remove_folder);
	tcase_add_test(input, refuses_what_is_no_file);
	tcase_add_test(input, broken_text_leaves_nothing_behind);
	tcase_add_test(input, survives_hostile_text);
	tcase_add_test(input, bounds_the_number_of_problems);
	tcase_set_timeout(input, 60);
	suite_add_tcase(s, input);
	return s;
}
