/* Finding fields in JSON texts: paths, duplicates, escapes, and texts that are broken or hostile. Each text
 * stands alone on the heap, so that a sanitizer sees a read past its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_scan.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

struct row {
	const char *path, *text;
	enum json_kind kind;
	const char *value; /* as json_unescape() gives it; NULL for container, null, none */
	bool broken;
};

static bool
scan_bytes(const char *path, const char *text, size_t len, struct json_found *found, char *value, size_t size)
{
	struct json_path *p = json_path_new(path);
	char *copy = memcpy(xmalloc(len), text, len);
	bool whole;

	ck_assert_ptr_nonnull(p);
	whole = json_scan(copy, len, (const struct json_path *const *)&p, 1, found);
	if (found->text != NULL) {
		size_t n = json_unescape(found->text, found->len, value, size - 1);

		ck_assert_uint_lt(n, size);
		value[n] = '\0';
	}
	free(copy);
	json_path_free(&p);
	ck_assert_ptr_null(p);
	return whole;
}

static void
check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];
		struct json_found found;
		char value[256];
		bool whole = scan_bytes(r->path, r->text, strlen(r->text), &found, value, sizeof value);

		ck_assert_msg(found.kind == r->kind, "%s in %s: kind %d", r->path, r->text, found.kind);
		ck_assert_msg(whole == !r->broken, "%s in %s: broken %d", r->path, r->text, !whole);
		ck_assert_msg((found.text != NULL) == (r->value != NULL), "%s in %s: text", r->path, r->text);
		if (r->value != NULL)
			ck_assert_str_eq(value, r->value);
	}
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

START_TEST(finds_values_of_each_kind)
{
	static const struct row rows[] = {
	    {"a", "{\"a\":\"x\"}", JSON_KIND_STRING, "x", false},
	    {"a", "{\"a\":\"\"}", JSON_KIND_STRING, "", false},
	    {"a", " \t\r\n{ \"a\"\n:\r\"x y\"\t}", JSON_KIND_STRING, "x y", false},
	    {"a", "{\"a\":0}", JSON_KIND_NUMBER, "0", false},
	    {"a", "{\"a\":-0}", JSON_KIND_NUMBER, "-0", false},
	    {"a", "{\"a\":1.50,\"b\":1}", JSON_KIND_NUMBER, "1.50", false},
	    {"a", "{\"a\":-12E+07 }", JSON_KIND_NUMBER, "-12E+07", false},
	    {"a", "{\"a\":1e5}", JSON_KIND_NUMBER, "1e5", false},
	    {"a", "{\"a\":123456789012345678901234567890}", JSON_KIND_NUMBER,
	     "123456789012345678901234567890", false},
	    {"a", "{\"a\":true}", JSON_KIND_TRUE, "true", false},
	    {"a", "{\"a\":false}", JSON_KIND_FALSE, "false", false},
	    {"a", "{\"a\":null}", JSON_KIND_NULL, NULL, false},
	    {"a", "{\"a\":{}}", JSON_KIND_CONTAINER, NULL, false},
	    {"a", "{\"a\":[1]}", JSON_KIND_CONTAINER, NULL, false},
	    {"a", "{}", JSON_KIND_NONE, NULL, false},
	    {"a", "{ }", JSON_KIND_NONE, NULL, false},
	    {"a", "{\"b\":1}", JSON_KIND_NONE, NULL, false},
	    {"a", "{\"A\":1,\"aa\":2,\"\":3,\"a \":4}", JSON_KIND_NONE, NULL, false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(follows_paths)
{
	static const struct row rows[] = {
	    {"a.b", "{\"a\":{\"b\":1}}", JSON_KIND_NUMBER, "1", false},
	    {"a.b", "{\"b\":2,\"a\":{\"a\":{\"b\":3},\"b\":1}}", JSON_KIND_NUMBER, "1", false},
	    {"a.b.c", "{\"a\":{\"x\":{\"c\":0},\"b\":{\"c\":\"y\"}}}", JSON_KIND_STRING, "y", false},
	    {"a.b", "{\"a\":{\"c\":1},\"b\":2}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a\":[{\"b\":1}]}", JSON_KIND_NONE, NULL, false},
	    {"a.0", "{\"a\":[1]}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a\":\"b\"}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a\":1}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a.b\":1}", JSON_KIND_NONE, NULL, false},
	    {"a\\.b", "{\"a.b\":1}", JSON_KIND_NUMBER, "1", false},
	    {"a\\\\", "{\"a\\\\\":1}", JSON_KIND_NUMBER, "1", false},
	    {"\\a.b\\.c.d", "{\"a\":{\"b.c\":{\"d\":1}}}", JSON_KIND_NUMBER, "1", false},
	    {"c", "{\"a\":{\"c\":1},\"b\":[{\"c\":2}],\"c\":3}", JSON_KIND_NUMBER, "3", false},
	    {"*", "{\"a\":1,\"*\":2}", JSON_KIND_NUMBER, "2", false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(refuses_what_is_no_path)
{
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a\\", "\\"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(json_path_new(bad[i]) == NULL, "%s", bad[i]);
}
END_TEST

START_TEST(first_of_a_name_counts)
{
	static const struct row rows[] = {
	    {"a", "{\"a\":1,\"a\":2}", JSON_KIND_NUMBER, "1", false},
	    {"a", "{\"a\":null,\"a\":2}", JSON_KIND_NULL, NULL, false},
	    {"a.b", "{\"a\":{\"b\":1,\"b\":2},\"a\":{\"b\":3}}", JSON_KIND_NUMBER, "1", false},
	    /* a second "a" is not looked at */
	    {"a.b", "{\"a\":{\"c\":1},\"a\":{\"b\":3}}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a\":1,\"a\":{\"b\":3}}", JSON_KIND_NONE, NULL, false},
	    {"a.b", "{\"a\":{},\"a\":{\"b\":3}", JSON_KIND_NONE, NULL, false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(knows_escapes)
{
	static const struct row rows[] = {
	    {"a", "{\"\\u0061\":\"x\"}", JSON_KIND_STRING, "x", false},
	    {"ab", "{\"a\\u0062\":1,\"ab\":2}", JSON_KIND_NUMBER, "1", false},
	    {"ab", "{\"a\\u0062c\":1,\"\\u0061\":3,\"ab\":2}", JSON_KIND_NUMBER, "2", false},
	    {"a/\"\\\\\n", "{\"a\\/\\\"\\\\\\n\":1}", JSON_KIND_NUMBER, "1", false},
	    {"\xf0\x9f\x98\x80", "{\"\\ud83d\\ude00\":1}", JSON_KIND_NUMBER, "1", false},
	    {"a", "{\"\\u0000a\":1,\"a\\u0000\":2,\"a\":3}", JSON_KIND_NUMBER, "3", false},
	    {"a", "{\"\\u0061\\ud83d\\ude00\":1,\"a\":3}", JSON_KIND_NUMBER, "3", false},
	    {"x", "{\"a\":\"\\\"x\\\":1\",\"x\":2}", JSON_KIND_NUMBER, "2", false},
	    {"x", "{\"a\":\"\\\\\",\"x\":2}", JSON_KIND_NUMBER, "2", false},
	    {"x", "{\"a\":[\"]\\\"}\",{\"]\":\"\\\\\"}],\"x\":2}", JSON_KIND_NUMBER, "2", false},
	    {"a", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", JSON_KIND_STRING, "\"\\/\b\f\n\r\t", false},
	    {"a", "{\"a\":\"\\u00e9\\u20AC\\ud83D\\uDe00\"}", JSON_KIND_STRING,
	     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", false},
	    /* halves of pairs */
	    {"a", "{\"a\":\"\\ud83dx\"}", JSON_KIND_STRING, "\xef\xbf\xbdx", false},
	    {"a", "{\"a\":\"\\ude00\\ud83d\"}", JSON_KIND_STRING, "\xef\xbf\xbd\xef\xbf\xbd", false},
	    {"a", "{\"a\":\"\\ud83d\\ud83d\\ude00\"}", JSON_KIND_STRING, "\xef\xbf\xbd\xf0\x9f\x98\x80",
	     false},
	    {"a", "{\"a\":\"\\ud83d\\u0041\"}", JSON_KIND_STRING,
	     "\xef\xbf\xbd"
	     "A",
	     false},
	    /* no escapes */
	    {"a", "{\"a\":\"\\q\"}", JSON_KIND_STRING, "\xef\xbf\xbdq", false},
	    {"a", "{\"a\":\"\\u12\"}", JSON_KIND_STRING, "\xef\xbf\xbdu12", false},
	    {"a", "{\"a\":\"\\u12g4\"}", JSON_KIND_STRING, "\xef\xbf\xbdu12g4", false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(unescapes_into_what_room_there_is)
{
	static const char text[] = "ab\\u20accd";
	char out[16];

	for (size_t size = 0; size <= 7; size++) {
		memset(out, '#', sizeof out);
		ck_assert_uint_eq(json_unescape(text, strlen(text), out, size), 7);
		ck_assert(memcmp(out,
				 "ab\xe2\x82\xac"
				 "cd",
				 size) == 0);
		ck_assert_int_eq(out[size], '#');
	}
	ck_assert_uint_eq(json_unescape("a\\u0000b", 8, out, sizeof out), 3);
	ck_assert(memcmp(out, "a\0b", 3) == 0);
	ck_assert_uint_eq(json_unescape("a\\", 2, out, sizeof out), 4);
	ck_assert_uint_eq(json_unescape("", 0, out, sizeof out), 0);
}
END_TEST

/* Each cut stands alone on the heap. */
START_TEST(unescapes_what_is_cut)
{
	static const char text[] = "\\ud83d\\ude00";
	static const size_t whole[] = {0, 3, 4, 5, 6, 7, 3, 6, 7, 8, 9, 10, 4};

	for (size_t len = 0; len < sizeof text; len++) {
		char *copy = memcpy(xmalloc(len), text, len), out[16];

		ck_assert_uint_eq(json_unescape(copy, len, out, sizeof out), whole[len]);
		free(copy);
	}
}
END_TEST

START_TEST(stops_when_all_is_decided)
{
	static const struct row rows[] = {
	    {"a", "{\"a\":1} garbage", JSON_KIND_NUMBER, "1", false},
	    {"a", "{\"a\":1,garbage", JSON_KIND_NUMBER, "1", false},
	    {"a", "{\"a\":\"x\"garbage", JSON_KIND_STRING, "x", false},
	    {"a", "{\"a\":[garbage", JSON_KIND_CONTAINER, NULL, false},
	    {"a", "{\"a\":{", JSON_KIND_CONTAINER, NULL, false},
	    {"a", "{\"b\":1}{\"a\":1}", JSON_KIND_NONE, NULL, false},
	    {"a", "{}garbage", JSON_KIND_NONE, NULL, false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(says_where_texts_are_broken)
{
	static const struct row rows[] = {
	    {"a", "", JSON_KIND_NONE, NULL, true},
	    {"a", " \n", JSON_KIND_NONE, NULL, true},
	    {"a", "{", JSON_KIND_NONE, NULL, true},
	    {"a", "\xef\xbb\xbf{\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "hello", JSON_KIND_NONE, NULL, true},
	    {"a", "}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\"", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\": ", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":,\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\" 1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{a:1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{'a':1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{,\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":1,}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":1,,\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":1 \"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":\"x\"\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":1]", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":/**/1,\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":[,\"a\":1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"b\":[\"}]", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":\"x", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":\"x\\", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":\"x\\\"", JSON_KIND_NONE, NULL, true},
	    /* it may go on */
	    {"a", "{\"a\":12", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":true", JSON_KIND_NONE, NULL, true},
	    /* values that paths lead to are read with care */
	    {"a", "{\"a\":01}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":+1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":-}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":1.}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":.5}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":1e}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":1e+}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":0x1}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":NaN}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":True}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":truetrue}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":1\"x\"}", JSON_KIND_NONE, NULL, true},
	    {"a", "{\"a\":true:1}", JSON_KIND_NONE, NULL, true},
	    {"a.b", "{\"a\":01,\"b\":1}", JSON_KIND_NONE, NULL, true},
	    /* others are passed over */
	    {"a", "{\"b\":01,\"c\":NaN,\"d\":[},\"a\":1}", JSON_KIND_NUMBER, "1", false},
	    {"a", "{\"b\":[1 2,,:\"x\\q\n\"],\"a\":1}", JSON_KIND_NUMBER, "1", false},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(other_values_have_no_fields)
{
	static const struct row rows[] = {
	    {"a", "[{\"a\":1}]", JSON_KIND_NONE, NULL, false}, {"a", "[garbage", JSON_KIND_NONE, NULL, false},
	    {"a", "\"a\"", JSON_KIND_NONE, NULL, false},       {"a", " 12", JSON_KIND_NONE, NULL, false},
	    {"a", "-1.5e3\n", JSON_KIND_NONE, NULL, false},    {"a", "true", JSON_KIND_NONE, NULL, false},
	    {"a", "null ", JSON_KIND_NONE, NULL, false},       {"a", "nul", JSON_KIND_NONE, NULL, true},
	    {"a", "12x", JSON_KIND_NONE, NULL, true},          {"a", "12:", JSON_KIND_NONE, NULL, true},
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(any_bytes_in_strings_pass)
{
	static const char text[] = "{\"\0\xff\":\"\0\",\"a\":\"x\0\x01\n\xff\xc3y\"}";
	struct json_found found;
	char value[16];

	ck_assert(scan_bytes("a", text, sizeof text - 1, &found, value, sizeof value));
	ck_assert_int_eq(found.kind, JSON_KIND_STRING);
	ck_assert(!found.escaped);
	ck_assert_uint_eq(found.len, 7);
	ck_assert(memcmp(value, "x\0\x01\n\xff\xc3y", 7) == 0);
}
END_TEST

START_TEST(finds_two_at_once)
{
	struct json_path *a = json_path_new("a.b"), *b = json_path_new("c");
	const struct json_path *const paths[] = {a, b}, *const same[] = {b, b};
	static const char both[] = "{\"x\":1,\"c\":true,\"a\":{\"c\":false,\"b\":\"v\"},#",
			  cut[] = "{\"a\":{\"c\":1,\"b\":\"v\"},\"d\":[", gone[] = "{\"a\":{},\"c\":7#",
			  bad[] = "{\"a\":{\"b\":01},\"c\":7}";
	struct json_found found[2];

	ck_assert(json_scan(both, strlen(both), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_STRING);
	ck_assert_int_eq(found[1].kind, JSON_KIND_TRUE);
	ck_assert(!json_scan(cut, strlen(cut), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_STRING);
	ck_assert_int_eq(found[1].kind, JSON_KIND_NONE);
	ck_assert(!json_scan(gone, strlen(gone), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_NONE);
	ck_assert(json_scan(both, strlen(both), same, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_TRUE);
	ck_assert_ptr_eq(found[0].text, found[1].text);
	ck_assert(!json_scan(bad, strlen(bad), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_NONE);
	ck_assert_int_eq(found[1].kind, JSON_KIND_NUMBER);
	ck_assert(json_scan(NULL, 0, paths, 0, found));
	ck_assert(!json_scan(NULL, 0, paths, 2, found));
	ck_assert_int_eq(found[1].kind, JSON_KIND_NONE);
	json_path_free(&a);
	json_path_free(&b);
}
END_TEST

/* Each finds what it finds alone, where what the other one leads through is broken. */
START_TEST(what_is_broken_for_one_is_passed_by_the_other)
{
	struct json_path *a = json_path_new("a.b.d"), *b = json_path_new("c");
	const struct json_path *const paths[] = {a, b};
	static const char *const texts[] = {
	    "{\"a\":{\"x\"{},\"b\":{}},\"c\":1}",
	    "{\"a\":{\"b\":{\"d\" 1}},\"c\":1}",
	    "{\"a\":{\"b\":{\"d\":#}},\"c\":1}",
	    "{\"a\":{\"b\":{\"e\":1 \"d\":2}},\"c\":1}",
	    "{\"a\":{,},\"c\":1}",
	};
	static const char behind[] = "{\"a\":{\"b\":{\"d\":2,#},\"x\"[\"}\"]},\"c\":1}",
			  never[] = "{\"a\":{\"b\":{#},\"c\":1}";
	struct json_found found[2];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct json_found alone;
		bool whole = json_scan(texts[i], strlen(texts[i]), &paths[1], 1, &alone);

		ck_assert_msg(!json_scan(texts[i], strlen(texts[i]), paths, 2, found), "%s", texts[i]);
		ck_assert_int_eq(found[0].kind, JSON_KIND_NONE);
		ck_assert_msg(found[1].kind == alone.kind, "%s", texts[i]);
		ck_assert_msg(whole == (alone.kind == JSON_KIND_NUMBER), "%s", texts[i]);
	}
	ck_assert(json_scan(behind, strlen(behind), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_NUMBER);
	ck_assert_int_eq(found[1].kind, JSON_KIND_NUMBER);
	ck_assert(!json_scan(never, strlen(never), paths, 2, found));
	ck_assert_int_eq(found[1].kind, JSON_KIND_NONE);
	json_path_free(&a);
	json_path_free(&b);
}
END_TEST

START_TEST(one_path_may_lead_through_the_other)
{
	struct json_path *a = json_path_new("a"), *b = json_path_new("a.b");
	const struct json_path *const paths[] = {a, b}, *const turned[] = {b, a};
	static const char text[] = "{\"a\":{\"b\":1}}", flat[] = "{\"a\":1,\"a\":{\"b\":2}}";
	struct json_found found[2];

	ck_assert(json_scan(text, strlen(text), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_CONTAINER);
	ck_assert_int_eq(found[1].kind, JSON_KIND_NUMBER);
	ck_assert(json_scan(text, strlen(text), turned, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_NUMBER);
	ck_assert_int_eq(found[1].kind, JSON_KIND_CONTAINER);
	ck_assert(json_scan(flat, strlen(flat), paths, 2, found));
	ck_assert_int_eq(found[0].kind, JSON_KIND_NUMBER);
	ck_assert_int_eq(found[1].kind, JSON_KIND_NONE);
	json_path_free(&a);
	json_path_free(&b);
}
END_TEST

/* Quotes and backslashes at each place of the eight bytes that are looked at together. */
START_TEST(strings_of_each_length)
{
	for (size_t len = 0; len < 40; len++) {
		for (size_t at = 0; at <= len; at++) {
			struct json_found found;
			char text[128], value[64], want[64];
			int n;

			memset(want, 'z', sizeof want);
			want[len] = '\0';
			n = snprintf(text, sizeof text, "{\"k\":\"%.*s%s%s\",\"a\":\"%s\"}", (int)at, want,
				     at < len ? "\\\"" : "", want + at, want);
			ck_assert(scan_bytes("a", text, (size_t)n, &found, value, sizeof value));
			ck_assert_int_eq(found.kind, JSON_KIND_STRING);
			ck_assert_str_eq(value, want);
		}
	}
}
END_TEST

START_TEST(depth_is_no_matter)
{
	enum { DEPTH = 1000000, ROOM = 2 * DEPTH + 64 };
	char *text = xmalloc(ROOM), value[8];
	size_t len = 0;
	struct json_found found;

	len += (size_t)sprintf(text, "{\"x\":");
	memset(text + len, '[', DEPTH);
	len += DEPTH;
	ck_assert(!scan_bytes("a", text, len, &found, value, sizeof value));
	memset(text + len, ']', DEPTH);
	len += DEPTH;
	len += (size_t)sprintf(text + len, ",\"a\":1}");
	ck_assert(scan_bytes("a", text, len, &found, value, sizeof value));
	ck_assert_int_eq(found.kind, JSON_KIND_NUMBER);
	free(text);
}
END_TEST

START_TEST(paths_may_be_deep)
{
	enum { DEPTH = 2000 };
	char *path = xcalloc(1, 2 * DEPTH), *text = xcalloc(1, 8 * DEPTH), value[8], *t = text;
	struct json_found found;

	for (size_t i = 0; i < DEPTH; i++) {
		memcpy(path + 2 * i, i + 1 < DEPTH ? "a." : "a", i + 1 < DEPTH ? 2 : 1);
		t += sprintf(t, "{\"a\":");
	}
	t += sprintf(t, "7");
	memset(t, '}', DEPTH);
	ck_assert(scan_bytes(path, text, strlen(text), &found, value, sizeof value));
	ck_assert_int_eq(found.kind, JSON_KIND_NUMBER);
	memcpy(t - 1, "{}", 2);
	ck_assert(scan_bytes(path, text, strlen(text), &found, value, sizeof value));
	ck_assert_int_eq(found.kind, JSON_KIND_CONTAINER);
	free(path);
	free(text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("json_scan");
	TCase *tc = tcase_create("json_scan");

	tcase_add_test(tc, finds_values_of_each_kind);
	tcase_add_test(tc, follows_paths);
	tcase_add_test(tc, refuses_what_is_no_path);
	tcase_add_test(tc, first_of_a_name_counts);
	tcase_add_test(tc, knows_escapes);
	tcase_add_test(tc, unescapes_into_what_room_there_is);
	tcase_add_test(tc, unescapes_what_is_cut);
	tcase_add_test(tc, stops_when_all_is_decided);
	tcase_add_test(tc, says_where_texts_are_broken);
	tcase_add_test(tc, other_values_have_no_fields);
	tcase_add_test(tc, any_bytes_in_strings_pass);
	tcase_add_test(tc, finds_two_at_once);
	tcase_add_test(tc, what_is_broken_for_one_is_passed_by_the_other);
	tcase_add_test(tc, one_path_may_lead_through_the_other);
	tcase_add_test(tc, strings_of_each_length);
	tcase_add_test(tc, depth_is_no_matter);
	tcase_add_test(tc, paths_may_be_deep);
	suite_add_tcase(s, tc);
	return s;
}
