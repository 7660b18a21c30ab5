/* The one form of a value: what has it stays, what has not is cleaned, cut and told apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static const char *
made(const char *raw, size_t len, bool changed)
{
	static struct sample_value v;
	char *copy = xmalloc(len); /* alone on the heap, so that a sanitizer sees a read past its end */

	if (len > 0)
		memcpy(copy, raw, len);
	memset(&v, 'x', sizeof v);
	sample_value_make(copy, len, &v);
	free(copy);
	ck_assert_int_eq(v.changed, changed);
	ck_assert_uint_eq(strlen(v.text), v.len);
	ck_assert(v.len == 0 || sample_value_valid(v.text, v.len));
	return v.text;
}

START_TEST(keeps_what_has_the_form)
{
	char longest[SAMPLE_VALUE_MAX];

	memset(longest, 'v', sizeof longest);
	ck_assert_str_eq(made("node1.example.net", 17, false), "node1.example.net");
	ck_assert_str_eq(made("a b\n\t", 5, false), "a b\n\t");
	ck_assert_str_eq(made("\xc3\xa9\xf0\x9f\x98\x80", 6, false), "\xc3\xa9\xf0\x9f\x98\x80");
	ck_assert_uint_eq(strlen(made(longest, sizeof longest, false)), SAMPLE_VALUE_MAX);
	ck_assert_str_eq(made("", 0, false), "");
	ck_assert_str_eq(made(NULL, 0, false), "");
}
END_TEST

START_TEST(says_what_has_the_form)
{
	char text[SAMPLE_VALUE_MAX + 1];

	memset(text, 'v', sizeof text);
	ck_assert(sample_value_valid(text, SAMPLE_VALUE_MAX));
	ck_assert(!sample_value_valid(text, SAMPLE_VALUE_MAX + 1));
	ck_assert(!sample_value_valid(text, 0));
	ck_assert(!sample_value_valid("a\0b", 3));
	ck_assert(!sample_value_valid("\xff", 1));
	ck_assert(!sample_value_valid("\xed\xa0\x80", 3));
	ck_assert(sample_value_valid("\x01", 1));
}
END_TEST

/* The hash is kept in files and told to others: it stays as it is. */
START_TEST(cleans_what_is_no_text)
{
	ck_assert_str_eq(made("a\0b", 3, true), "a\xef\xbf\xbd"
						"b~e5d29919042666b2");
	ck_assert_str_eq(made("\xffx\xc3", 3, true), "\xef\xbf\xbdx\xef\xbf\xbd~f7f6381be3189393");
	ck_assert_str_eq(made("\xed\xa0\x80", 3, true),
			 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd~5befa31b8ab04db8");
}
END_TEST

START_TEST(cuts_what_is_too_long)
{
	char raw[4096], first[SAMPLE_VALUE_MAX + 1];

	memset(raw, 'v', sizeof raw);
	strcpy(first, made(raw, sizeof raw, true));
	ck_assert_uint_eq(strlen(first), SAMPLE_VALUE_MAX);
	ck_assert_int_eq(first[SAMPLE_VALUE_MAX - 17], '~');
	ck_assert_uint_eq(strspn(first, "v"), SAMPLE_VALUE_MAX - 17);
	raw[sizeof raw - 1] = 'w'; /* differs only far out */
	ck_assert_str_ne(made(raw, sizeof raw, true), first);
	ck_assert_str_ne(made(raw, SAMPLE_VALUE_MAX + 1, true), first);
	ck_assert_str_eq(made(first, strlen(first), false), first);
}
END_TEST

START_TEST(cuts_no_character_in_two)
{
	char raw[1024];

	for (size_t lead = 0; lead < 4; lead++) {
		const char *text;

		memset(raw, 'v', lead);
		for (size_t i = lead; i + 4 <= sizeof raw; i += 4)
			memcpy(raw + i, "\xf0\x9f\x98\x80", 4);
		text = made(raw, 1000 + lead, true);
		ck_assert_uint_gt(strlen(text), SAMPLE_VALUE_MAX - 4);
		ck_assert_ptr_eq(strchr(text, '~') + 17, text + strlen(text));
	}
	/* the same where bytes are replaced by longer ones */
	memset(raw, 0xff, sizeof raw);
	ck_assert_uint_eq(strlen(made(raw, sizeof raw, true)), (SAMPLE_VALUE_MAX - 17) / 3 * 3 + 17);
}
END_TEST

/* Names that go on by numbers, as senders have them, are spread over a splay. */
START_TEST(hashes_spread)
{
	enum { NAMES = 10000, PARTS = 10, SPLAY = 360001 };
	size_t parts[PARTS] = {0};

	for (int i = 0; i < NAMES; i++) {
		char name[32];
		int len = snprintf(name, sizeof name, "node%05d.example.net", i);

		parts[sample_value_hash(name, (size_t)len) % SPLAY * PARTS / SPLAY]++;
	}
	for (size_t i = 0; i < PARTS; i++) {
		ck_assert_uint_gt(parts[i], NAMES / PARTS * 8 / 10);
		ck_assert_uint_lt(parts[i], NAMES / PARTS * 12 / 10);
	}
	ck_assert(sample_value_hash("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sample_value");
	TCase *tc = tcase_create("sample_value");

	tcase_add_test(tc, keeps_what_has_the_form);
	tcase_add_test(tc, says_what_has_the_form);
	tcase_add_test(tc, cleans_what_is_no_text);
	tcase_add_test(tc, cuts_what_is_too_long);
	tcase_add_test(tc, cuts_no_character_in_two);
	tcase_add_test(tc, hashes_spread);
	suite_add_tcase(s, tc);
	return s;
}
