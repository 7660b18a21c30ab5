/* The origin header: its form, its limits, and finding it in a block. */
#include <stdio.h>
#include <string.h>

#include "common/origin.h"
#include "tests/unit/unit.h"

START_TEST(reads_what_the_existing_tool_writes)
{
	static const char value[] = "NODE_DATA 12345 US-EAST cmdb 1767323045678";
	static const char unknown[] = "orders -1 site topic -1";
	struct origin o;

	ck_assert_int_eq(origin_parse(value, sizeof value - 1, &o), 0);
	ck_assert_str_eq(o.stream, "NODE_DATA");
	ck_assert_int_eq(o.seq, 12345);
	ck_assert_str_eq(o.site, "US-EAST");
	ck_assert_str_eq(o.topic, "cmdb");
	ck_assert_int_eq(o.stored_ms, INT64_C(1767323045678));
	ck_assert_int_eq(origin_parse(unknown, sizeof unknown - 1, &o), 0);
	ck_assert_int_eq(o.seq, -1);
	ck_assert_int_eq(o.stored_ms, -1);
}
END_TEST

static const char *const refused[] = {
    "",
    "S 1 site topic",
    "S 1 site topic 5 more",
    "S 1 site topic 5 ",
    " S 1 site topic 5",
    "S  1 site topic 5",
    "S 1  topic 5",
    "S\t1\tsite\ttopic\t5",
    "S one site topic 5",
    "S 0 site topic 5",
    "S -2 site topic 5",
    "S +1 site topic 5",
    "S 1 site topic -5",
    "S 1 site topic 5x",
    "S 9223372036854775808 site topic 5",
    "S 99999999999999999999 site topic 5",
    "S 1 site topic 9223372036854775808",
    "S 1 si\tte topic 5",
    "S 1 site to\rpic 5",
    "S 1 site topic\x7f 5",
};

START_TEST(refuses_other_forms)
{
	struct origin o;

	ck_assert_int_eq(origin_parse(refused[_i], strlen(refused[_i]), &o), -1);
}
END_TEST

START_TEST(stays_within_len)
{
	static const char value[] = "S 12 site topic 56";
	struct origin o;

	ck_assert_int_eq(origin_parse(value, sizeof value - 2, &o), 0);
	ck_assert_int_eq(o.stored_ms, 5);
	ck_assert_int_eq(origin_parse(value, 5, &o), -1);
}
END_TEST

START_TEST(names_have_a_limit)
{
	char value[1024], name[300];
	struct origin o;
	int len;

	memset(name, 'n', sizeof name);
	len = snprintf(value, sizeof value, "%.255s 1 %.255s %.255s 5", name, name, name);
	ck_assert_int_eq(origin_parse(value, (size_t)len, &o), 0);
	ck_assert_uint_eq(strlen(o.topic), 255);
	len = snprintf(value, sizeof value, "%.256s 1 site topic 5", name);
	ck_assert_int_eq(origin_parse(value, (size_t)len, &o), -1);
	len = snprintf(value, sizeof value, "S 1 %.256s topic 5", name);
	ck_assert_int_eq(origin_parse(value, (size_t)len, &o), -1);
}
END_TEST

START_TEST(writes_what_it_reads)
{
	struct origin o = {
	    .stream = "S\xc3\xa4", .seq = INT64_MAX, .site = "site", .topic = "t", .stored_ms = -1};
	struct origin back;
	char value[1024];
	int len;

	len = origin_format(&o, value, sizeof value);
	ck_assert_int_eq(len, (int)strlen(value));
	ck_assert_str_eq(value, "S\xc3\xa4 9223372036854775807 site t -1");
	ck_assert_int_eq(origin_parse(value, (size_t)len, &back), 0);
	ck_assert_int_eq(back.seq, o.seq);
	ck_assert_str_eq(back.stream, o.stream);
	ck_assert_int_eq(origin_format(&o, value, (size_t)len + 1), len);
	ck_assert_int_eq(origin_format(&o, value, (size_t)len), -1);
}
END_TEST

START_TEST(writes_no_name_that_breaks_the_form)
{
	struct origin o = {.stream = "S", .seq = 1, .site = "my site", .topic = "t", .stored_ms = 1};
	char value[1024];

	ck_assert_int_eq(origin_format(&o, value, sizeof value), -1);
	strcpy(o.site, "");
	ck_assert_int_eq(origin_format(&o, value, sizeof value), -1);
	strcpy(o.site, "a\r\nNats-Rollup: all");
	ck_assert_int_eq(origin_format(&o, value, sizeof value), -1);
	memset(o.site, 'x', sizeof o.site);
	ck_assert_int_eq(origin_format(&o, value, sizeof value), -1);
}
END_TEST

#define BLOCK(lines) "NATS/1.0\r\n" lines "\r\n"

static int
from(const char *block, struct origin *o)
{
	return origin_from_headers(block, strlen(block), o);
}

START_TEST(last_one_of_a_block_counts)
{
	struct origin o;

	ck_assert_int_eq(
	    from(BLOCK("Choria-SR-Source: A 1 s t 1\r\nX: y\r\nChoria-SR-Source:B 2 s t 2\r\n"), &o), 0);
	ck_assert_str_eq(o.stream, "B");
	ck_assert_int_eq(from(BLOCK("Choria-SR-Source: A 1 s t 1\r\nChoria-SR-Source: nonsense\r\n"), &o), 0);
	ck_assert_str_eq(o.stream, "A");
	ck_assert_int_eq(from(BLOCK("choria-sr-source:  A 7 s t 1 \t\r\n"), &o), 0);
	ck_assert_int_eq(o.seq, 7);
}
END_TEST

START_TEST(others_are_not_taken_for_it)
{
	struct origin o;

	ck_assert_int_eq(from("", &o), -1);
	ck_assert_int_eq(from(BLOCK(""), &o), -1);
	ck_assert_int_eq(from("Choria-SR-Source: A 1 s t 1\r\n", &o), -1);
	ck_assert_int_eq(from(BLOCK("Choria-SR-Previous-Source: A 1 s t 1\r\n"), &o), -1);
	ck_assert_int_eq(from(BLOCK("X-Choria-SR-Source: A 1 s t 1\r\n"), &o), -1);
	ck_assert_int_eq(from(BLOCK("Choria-SR-Source : A 1 s t 1\r\n"), &o), -1);
	ck_assert_int_eq(from(BLOCK("X: a\r\n Choria-SR-Source: A 1 s t 1\r\n"), &o), -1);
	ck_assert_int_eq(from(BLOCK("X: a\nChoria-SR-Source: A 1 s t 1\r\n"), &o), -1);
}
END_TEST

START_TEST(ours_is_of_our_names_or_adopted_ones)
{
	struct origin o = {.stream = "S", .seq = 1, .site = "site", .topic = "t", .stored_ms = 1};

	ck_assert(origin_is_ours(&o, "S", "site", "t", ""));
	ck_assert(!origin_is_ours(&o, "OTHER", "site", "t", ""));
	ck_assert(!origin_is_ours(&o, "S", "other", "t", ""));
	ck_assert(!origin_is_ours(&o, "S", "site", "other", ""));
	ck_assert(origin_is_ours(&o, "S", "other", "other", "site:t"));
	ck_assert(!origin_is_ours(&o, "S", "other", "other", "site:tt"));
	ck_assert(!origin_is_ours(&o, "S", "other", "other", "sit:t"));
	ck_assert(!origin_is_ours(&o, "S", "other", "other", "site"));
	o.seq = -1;
	ck_assert(!origin_is_ours(&o, "S", "site", "t", ""));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("origin");
	TCase *tc = tcase_create("origin");

	tcase_add_test(tc, reads_what_the_existing_tool_writes);
	tcase_add_loop_test(tc, refuses_other_forms, 0, (int)(sizeof refused / sizeof refused[0]));
	tcase_add_test(tc, stays_within_len);
	tcase_add_test(tc, names_have_a_limit);
	tcase_add_test(tc, writes_what_it_reads);
	tcase_add_test(tc, writes_no_name_that_breaks_the_form);
	tcase_add_test(tc, last_one_of_a_block_counts);
	tcase_add_test(tc, others_are_not_taken_for_it);
	tcase_add_test(tc, ours_is_of_our_names_or_adopted_ones);
	suite_add_tcase(s, tc);
	return s;
}
