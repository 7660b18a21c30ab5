/* Subjects, filters, names and the mapping. */
#include <string.h>

#include "common/subject.h"
#include "tests/unit/unit.h"

START_TEST(knows_valid_subjects)
{
	static const char *const good[] = {"a",
					   "a.b.c",
					   "a*",
					   "a>b.c",
					   "$JS.API",
					   "\xc3\xa4.b",
					   "a\x01"
					   "b"};
	static const char *const bad[] = {"",     ".",     "a.", ".a",  "a..b", "a b",
					  "a\tb", "a\r\n", "*",  "a.*", "a.>",  ">"};

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert_msg(subject_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!subject_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(knows_valid_filters)
{
	static const char *const good[] = {">", "*", "a.*", "a.>", "*.b.>", "a.*.c"};
	static const char *const bad[] = {"", "a.>.b", ">.a", "a..>", "a .>"};
	char longest[SUBJECT_MAX + 1];

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert_msg(subject_filter_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!subject_filter_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof longest);
	longest[SUBJECT_MAX] = '\0';
	ck_assert(!subject_filter_valid(longest));
	longest[SUBJECT_MAX - 1] = '\0';
	ck_assert(subject_filter_valid(longest));
}
END_TEST

START_TEST(matches_subjects)
{
	ck_assert(subject_matches(">", "a.b"));
	ck_assert(subject_matches("a.>", "a.b.c"));
	ck_assert(!subject_matches("a.>", "a"));
	ck_assert(subject_matches("a.*.c", "a.b.c"));
	ck_assert(!subject_matches("a.*.c", "a.b.d"));
	ck_assert(!subject_matches("a.*", "a.b.c"));
	ck_assert(!subject_matches("a.*", "a"));
	ck_assert(subject_matches("a.b", "a.b"));
	ck_assert(!subject_matches("a.b", "a.bb"));
	ck_assert(!subject_matches("a", "a.b"));
}
END_TEST

START_TEST(compares_filters)
{
	ck_assert(subject_filters_overlap("a.*", "*.b"));
	ck_assert(subject_filters_overlap("a.>", "a.b.c"));
	ck_assert(subject_filters_overlap("a.b", "a.b"));
	ck_assert(!subject_filters_overlap("a.>", "a"));
	ck_assert(!subject_filters_overlap("a.b", "a.c"));
	ck_assert(!subject_filters_overlap("a.*", "a.b.c"));

	ck_assert(subject_filter_contains("a.>", "a.*.b"));
	ck_assert(subject_filter_contains("a.*", "a.b"));
	ck_assert(subject_filter_contains("*.*", "*.b"));
	ck_assert(subject_filter_contains(">", ">"));
	ck_assert(!subject_filter_contains("a.*", "a.>"));
	ck_assert(!subject_filter_contains("a.b", "a.*"));
	ck_assert(!subject_filter_contains("a.>", "a"));
	ck_assert(!subject_filter_contains("a.*.c", "a.*"));
}
END_TEST

START_TEST(knows_valid_names)
{
	ck_assert(subject_name_valid("NODE_DATA-1"));
	ck_assert(!subject_name_valid(""));
	ck_assert(!subject_name_valid("a b"));
	ck_assert(!subject_name_valid("a.b"));
	ck_assert(!subject_name_valid("a*"));
	ck_assert(!subject_name_valid("a>"));
	ck_assert(!subject_name_valid("a/b"));
	ck_assert(!subject_name_valid("a\\b"));
	ck_assert(!subject_name_valid("a\x7f"));
}
END_TEST

static const char *
mapped(const char *prefix, const char *remove, const char *subject)
{
	static char out[SUBJECT_MAX];
	int len = subject_map(prefix, remove, subject, out, sizeof out);

	if (len < 0)
		return NULL;
	ck_assert_uint_eq((size_t)len, strlen(out));
	return out;
}

START_TEST(knows_valid_keys_and_buckets)
{
	char text[300];

	ck_assert(subject_key_valid("SR_a-b/c=d.e_F9"));
	ck_assert(subject_key_valid("a"));
	ck_assert(!subject_key_valid(""));
	ck_assert(!subject_key_valid(".a"));
	ck_assert(!subject_key_valid("a."));
	ck_assert(!subject_key_valid("a..b"));
	ck_assert(!subject_key_valid("a b"));
	ck_assert(!subject_key_valid("a*"));
	ck_assert(!subject_key_valid("\xc3\xa4"));
	memset(text, 'a', sizeof text);
	text[255] = '\0';
	ck_assert(subject_key_valid(text));
	text[255] = 'a';
	text[256] = '\0';
	ck_assert(!subject_key_valid(text));
	ck_assert(subject_bucket_valid("CHORIA_LEADER-ELECTION9"));
	ck_assert(!subject_bucket_valid(""));
	ck_assert(!subject_bucket_valid("a.b"));
	text[201] = '\0';
	ck_assert(!subject_bucket_valid(text));
	text[200] = '\0';
	ck_assert(subject_bucket_valid(text));
}
END_TEST

START_TEST(maps)
{
	ck_assert_str_eq(mapped("", "", "a.b"), "a.b");
	ck_assert_str_eq(mapped("us-east", "", "a.b"), "us-east.a.b");
	ck_assert_str_eq(mapped("us-east.", "", "a.b"), "us-east.a.b");
	ck_assert_str_eq(mapped("", "b", "a.b.c"), "a.c");
	ck_assert_str_eq(mapped("", "b.", "a.b.c.b.d"), "a.c.d");
	ck_assert_str_eq(mapped("x", "redundant.", "redundant.a"), "x.a");
	ck_assert_str_eq(mapped("x.", "a", "a.b"), "x.b");
	ck_assert_str_eq(mapped("x", "", ">"), "x.>");
	ck_assert_str_eq(mapped("", "orders.", "orders.*.new"), "*.new");
	ck_assert_str_eq(mapped("", "aba", "xababay"), "xbay");
}
END_TEST

START_TEST(refuses_to_map)
{
	char small[8];

	ck_assert_ptr_null(mapped("", "a", "a.b"));
	ck_assert_ptr_null(mapped("", "b", "a.b"));
	ck_assert_ptr_null(mapped("", "a.b", "a.b"));
	ck_assert_ptr_null(mapped("a b", "", "a.b"));
	ck_assert_ptr_null(mapped("", "", "a..b"));
	ck_assert_int_eq(subject_map("abcd", "", "efg", small, sizeof small), -1);
	ck_assert_int_eq(subject_map("abcd", "", "ef", small, sizeof small), 7);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("subject");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, knows_valid_subjects);
	tcase_add_test(tc, knows_valid_filters);
	tcase_add_test(tc, matches_subjects);
	tcase_add_test(tc, compares_filters);
	tcase_add_test(tc, knows_valid_names);
	tcase_add_test(tc, knows_valid_keys_and_buckets);
	tcase_add_test(tc, maps);
	tcase_add_test(tc, refuses_to_map);
	suite_add_tcase(s, tc);
	return s;
}
