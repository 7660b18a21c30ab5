/* Lines of the log as they reach a file or a sink, and text from outside made harmless. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/sr-test-log-XXXXXX";
static char path[64], moved[64];
static char content[8192];

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/log", dir);
	snprintf(moved, sizeof moved, "%s/log.1", dir);
}

static void
teardown(void)
{
	log_close();
	unlink(path);
	unlink(moved);
	rmdir(dir);
}

static const char *
read_file(const char *name)
{
	FILE *f = fopen(name, "re");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(content, 1, sizeof content - 1, f);
	content[n] = '\0';
	fclose(f);
	return content;
}

static void
open_log(enum log_format format, enum log_level level)
{
	struct error e = ERROR_INIT;

	ck_assert_msg(log_open(path, format, level, &e) == 0, "%s", e.text);
}

START_TEST(text_line_names_time_level_subject)
{
	char expect[] = "Z warn  cmdb: 3 messages held\n";

	open_log(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	log_warn("cmdb", "%d messages held", 3);
	ck_assert_uint_eq(strlen(read_file(path)), 23 + strlen(expect));
	ck_assert_str_eq(content + 23, expect);
}
END_TEST

START_TEST(lines_below_the_level_are_left_out)
{
	open_log(LOG_FORMAT_TEXT, LOG_LEVEL_WARN);
	log_info("cmdb", "not this");
	ck_assert(!log_wants(LOG_LEVEL_INFO));
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("cmdb", "but this");
	ck_assert_ptr_null(strstr(read_file(path), "not this"));
	ck_assert_ptr_nonnull(strstr(content, "but this"));
}
END_TEST

/* One line stays one line, whatever a server or a header put into it. */
START_TEST(outside_text_cannot_forge_lines)
{
	open_log(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	log_line(LOG_LEVEL_INFO, "a\nb", "one\ntwo\r\x1b[31m\xff");
	read_file(path);
	ck_assert_ptr_eq(strchr(content, '\n'), content + strlen(content) - 1);
	ck_assert_ptr_nonnull(strstr(content, "a\\nb: one\\ntwo\\r\\x1b[31m\\xff\n"));
}
END_TEST

START_TEST(json_line_is_json)
{
	json_t *o;

	open_log(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_line(LOG_LEVEL_ERROR, "cmdb", "a \"quoted\" \xff text");
	o = json_loads(read_file(path), 0, NULL);
	ck_assert_ptr_nonnull(o);
	ck_assert_str_eq(json_string_value(json_object_get(o, "level")), "error");
	ck_assert_str_eq(json_string_value(json_object_get(o, "subject")), "cmdb");
	ck_assert_str_eq(json_string_value(json_object_get(o, "msg")), "a \"quoted\" \\xff text");
	json_decref(o);
}
END_TEST

START_TEST(reopen_follows_a_rotated_file)
{
	struct error e = ERROR_INIT;

	open_log(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	log_info("x", "before");
	ck_assert_int_eq(rename(path, moved), 0);
	log_info("x", "still the old file");
	ck_assert_int_eq(log_reopen(&e), 0);
	log_info("x", "after");
	ck_assert_ptr_nonnull(strstr(read_file(moved), "still the old file"));
	ck_assert_ptr_null(strstr(content, "after"));
	ck_assert_ptr_nonnull(strstr(read_file(path), "after"));
}
END_TEST

START_TEST(a_failed_open_keeps_the_old_log)
{
	struct error e = ERROR_INIT;

	open_log(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	ck_assert_int_eq(log_open("/nonexistent/dir/log", LOG_FORMAT_JSON, LOG_LEVEL_ERROR, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/dir/log"));
	log_info("x", "goes on");
	ck_assert_ptr_nonnull(strstr(read_file(path), "x: goes on"));
}
END_TEST

static char sunk[64];

static void
sink(enum log_level level, const char *text, void *arg)
{
	snprintf(sunk, sizeof sunk, "%s %s %s", (const char *)arg, log_level_name(level), text);
}

START_TEST(sink_gets_what_the_level_lets_through)
{
	char arg[] = "pipe";

	log_to_sink(sink, arg, LOG_LEVEL_WARN);
	log_info("cmdb", "quiet");
	ck_assert_str_eq(sunk, "");
	log_warn("cmdb", "loud");
	ck_assert_str_eq(sunk, "pipe warn loud");
}
END_TEST

START_TEST(utf8_is_checked)
{
	static const char *const good[] = {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	static const char *const bad[] = {"\xff",
					  "\x80",
					  "\xc3",
					  "\xc0\x80",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xf8\x88\x80\x80\x80",
					  "\xe2\x82"};

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert(text_utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!text_utf8_valid(bad[i], strlen(bad[i])), "%zu", i);
}
END_TEST

START_TEST(text_is_cut_between_characters)
{
	const char *text = "a\xe2\x82\xac";

	ck_assert_uint_eq(text_cut(text, 4, 4), 4);
	ck_assert_uint_eq(text_cut(text, 4, 3), 1);
	ck_assert_uint_eq(text_cut(text, 4, 2), 1);
	ck_assert_uint_eq(text_cut(text, 4, 1), 1);
	ck_assert_uint_eq(text_cut(text, 4, 0), 0);
}
END_TEST

/* Published values of the algorithm: what is kept must not change its meaning. */
START_TEST(hash_is_fnv_1a)
{
	ck_assert_uint_eq(text_hash("", 0), UINT64_C(0xcbf29ce484222325));
	ck_assert_uint_eq(text_hash("a", 1), UINT64_C(0xaf63dc4c8601ec8c));
	ck_assert_uint_eq(text_hash("foobar", 6), UINT64_C(0x85944171f73967e8));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, text_line_names_time_level_subject);
	tcase_add_test(tc, lines_below_the_level_are_left_out);
	tcase_add_test(tc, outside_text_cannot_forge_lines);
	tcase_add_test(tc, json_line_is_json);
	tcase_add_test(tc, reopen_follows_a_rotated_file);
	tcase_add_test(tc, a_failed_open_keeps_the_old_log);
	tcase_add_test(tc, sink_gets_what_the_level_lets_through);
	tcase_add_test(tc, utf8_is_checked);
	tcase_add_test(tc, text_is_cut_between_characters);
	tcase_add_test(tc, hash_is_fnv_1a);
	suite_add_tcase(s, tc);
	return s;
}
