/* Values of election keys: ours up and down, and whatever else may stand there. */
#include <stdio.h>
#include <string.h>

#include "common/election_value.h"
#include "tests/unit/unit.h"

static struct election_value
ours(void)
{
	return (struct election_value){
	    .known = true,
	    .node = "n1.example",
	    .site = "US-EAST",
	    .pid = 4711,
	    .since_ms = INT64_C(1767323045678),
	    .nonce = "0123456789abcdef",
	    .has_map = true,
	    .map = UINT64_C(0xfedcba9876543210),
	    .term = 17,
	};
}

static struct election_value
read_text(const char *text)
{
	struct election_value v;

	election_value_read(text, strlen(text), &v);
	return v;
}

START_TEST(comes_back_as_it_was_written)
{
	struct election_value v = ours(), back;
	struct strbuf text;

	strbuf_init(&text);
	election_value_write(&v, &text);
	ck_assert_str_eq(text.data, "{\"node\":\"n1.example\",\"site\":\"US-EAST\",\"pid\":4711,"
				    "\"since\":\"2026-01-02T03:04:05.678Z\",\"nonce\":\"0123456789abcdef\","
				    "\"map\":\"fedcba9876543210\",\"term\":17}");
	election_value_read(text.data, text.len, &back);
	ck_assert(back.known && back.has_map);
	ck_assert_str_eq(back.node, v.node);
	ck_assert_str_eq(back.site, v.site);
	ck_assert_str_eq(back.nonce, v.nonce);
	ck_assert_uint_eq(back.pid, v.pid);
	ck_assert_int_eq(back.since_ms, v.since_ms);
	ck_assert_uint_eq(back.map, v.map);
	ck_assert_uint_eq(back.term, 17);
	strbuf_fini(&text);
}
END_TEST

/* Else there would be an empty value, and nobody would know its own key again. */
START_TEST(a_value_comes_of_any_bytes)
{
	struct election_value v = ours(), back;
	struct strbuf text;

	snprintf(v.node, sizeof v.node, "n\xff");
	memset(v.site, 'x', sizeof v.site - 1);
	memcpy(v.site + sizeof v.site - 2, "\xc3", 1); /* a character that was cut */
	strbuf_init(&text);
	election_value_write(&v, &text);
	election_value_read(text.data, text.len, &back);
	ck_assert_msg(back.known, "%s", text.data);
	ck_assert_str_eq(back.nonce, v.nonce);
	ck_assert_str_eq(back.node, "n\\xff");
	strbuf_fini(&text);
}
END_TEST

START_TEST(a_first_value_has_no_term)
{
	struct election_value v = ours();
	struct strbuf text;

	v.term = 0;
	strbuf_init(&text);
	election_value_write(&v, &text);
	ck_assert_ptr_null(strstr(text.data, "term"));
	ck_assert_uint_eq(read_text(text.data).term, 0);
	strbuf_fini(&text);
}
END_TEST

START_TEST(any_text_is_a_name)
{
	struct election_value v = read_text("replicator1.example");

	ck_assert(!v.known && !v.has_map);
	ck_assert_str_eq(v.node, "replicator1.example");
	ck_assert_str_eq(v.nonce, "");
	ck_assert_str_eq(v.site, "");
	ck_assert_str_eq(read_text("").node, "(empty value)");
	ck_assert_str_eq(read_text("a\x1b[2Jb\n\xff").node, "a\\x1b[2Jb\\n\\xff");
	ck_assert_str_eq(read_text("42").node, "42");
	ck_assert_str_eq(read_text("[1]").node, "[1]");
}
END_TEST

/* What only resembles ours is another program's. */
START_TEST(a_part_of_ours_is_not_ours)
{
	static const char *const texts[] = {
	    "{\"node\":\"n\"}",
	    "{\"nonce\":\"0123456789abcdef\"}",
	    "{\"node\":\"\",\"nonce\":\"0123456789abcdef\"}",
	    "{\"node\":\"n\",\"nonce\":\"0123456789abcde\"}",
	    "{\"node\":\"n\",\"nonce\":\"0123456789ABCDEF\"}",
	    "{\"node\":\"n\",\"nonce\":17}",
	    "{\"node\":7,\"nonce\":\"0123456789abcdef\"}",
	    "{\"node\":\"n\",\"nonce\":\"0123456789abcdef\"} x",
	    "{\"node\":\"n\",\"nonce\":\"0123456789abcdef\"",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct election_value v = read_text(texts[i]);

		ck_assert_msg(!v.known, "%s", texts[i]);
		ck_assert_str_eq(v.node, texts[i]);
		ck_assert_str_eq(v.nonce, "");
	}
}
END_TEST

START_TEST(odd_fields_of_ours_are_not_known)
{
	struct election_value v = read_text(
	    "{\"node\":\"n\",\"nonce\":\"0123456789abcdef\",\"site\":7,\"pid\":-3,\"since\":\"soon\","
	    "\"map\":\"12\",\"term\":\"x\",\"more\":{}}");

	ck_assert(v.known && !v.has_map);
	ck_assert_str_eq(v.site, "");
	ck_assert_uint_eq(v.pid, 0);
	ck_assert_int_eq(v.since_ms, 0);
	ck_assert_uint_eq(v.term, 0);
}
END_TEST

START_TEST(long_and_binary_values_are_cut)
{
	static char big[200 * 1024];
	struct election_value v;

	memset(big, 'x', sizeof big);
	election_value_read(big, sizeof big, &v);
	ck_assert(!v.known);
	ck_assert_uint_eq(strlen(v.node), sizeof v.node - 1);
	memset(big, 0, sizeof big);
	election_value_read(big, 3, &v);
	ck_assert_str_eq(v.node, "\\x00\\x00\\x00");
	election_value_read(big, 0, &v);
	ck_assert_str_eq(v.node, "(empty value)");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_value");
	TCase *t = tcase_create("values");

	tcase_add_test(t, comes_back_as_it_was_written);
	tcase_add_test(t, a_value_comes_of_any_bytes);
	tcase_add_test(t, a_first_value_has_no_term);
	tcase_add_test(t, any_text_is_a_name);
	tcase_add_test(t, a_part_of_ours_is_not_ours);
	tcase_add_test(t, odd_fields_of_ours_are_not_known);
	tcase_add_test(t, long_and_binary_values_are_cut);
	suite_add_tcase(s, t);
	return s;
}
