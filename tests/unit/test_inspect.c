/* The value and the force field of messages: each place that they are taken from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "tests/unit/unit.h"
#include "worker/inspect.h"

static char empty[] = "";

static struct conf_sampling
sampling(enum conf_inspect inspect, const char *name, int32_t token, const char *force)
{
	struct conf_sampling s = {
	    .inspect = inspect, .field = empty, .header = empty, .subject_token = token};

	if (inspect == INSPECT_FIELD)
		s.field = xstrdup(name);
	else if (inspect == INSPECT_HEADER)
		s.header = xstrdup(name);
	s.force_field = xstrdup(force);
	return s;
}

static void
fini(struct conf_sampling *s)
{
	if (s->field != empty)
		free(s->field);
	if (s->header != empty)
		free(s->header);
	free(s->force_field);
}

/* Data and headers stand alone on the heap, so that a sanitizer sees a read past their end. */
static struct inspect_result
inspect(struct conf_sampling s, const char *subject, const char *headers, const char *data, size_t data_len)
{
	struct error e = ERROR_INIT;
	struct inspector *i = inspect_new(&s, &e);
	size_t headers_len = headers != NULL ? strlen(headers) : 0;
	char *h = headers != NULL ? memcpy(xmalloc(headers_len), headers, headers_len) : NULL;
	char *d = memcpy(xmalloc(data_len), data, data_len);
	struct inspect_message m = {subject, h, headers_len, d, data_len};
	struct inspect_result r;

	ck_assert_ptr_nonnull(i);
	memset(&r, 0xff, sizeof r);
	inspect_message(i, &m, &r);
	ck_assert_uint_eq(strlen(r.value.text), r.value.len);
	inspect_free(&i);
	ck_assert_ptr_null(i);
	free(h);
	free(d);
	fini(&s);
	return r;
}

static struct inspect_result
inspect_data(const char *field, const char *force, const char *data)
{
	return inspect(sampling(INSPECT_FIELD, field, 0, force), "s", NULL, data, strlen(data));
}

START_TEST(value_of_field)
{
	static const struct row {
		const char *data, *value;
	} rows[] = {
	    {"{\"sender\":\"n1.example.net\"}", "n1.example.net"},
	    {"{\"sender\":\"n\\u0031\\n\"}", "n1\n"},
	    {"{\"sender\":1.50}", "1.50"},
	    {"{\"sender\":-12e3}", "-12e3"},
	    {"{\"sender\":true}", "true"},
	    {"{\"sender\":false}", "false"},
	    {"{\"sender\":\"true\"}", "true"},
	    {"{\"sender\":\" \"}", " "},
	    {"{\"sender\":\"\"}", ""},
	    {"{\"sender\":null}", ""},
	    {"{\"sender\":{\"sender\":1}}", ""},
	    {"{\"sender\":[\"x\"]}", ""},
	    {"{\"other\":\"x\"}", ""},
	    {"[\"sender\"]", ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct inspect_result r = inspect_data("sender", "", rows[i].data);

		ck_assert_str_eq(r.value.text, rows[i].value);
		ck_assert(!r.value.changed && !r.forced && !r.broken);
	}
	ck_assert_str_eq(inspect_data("a.b", "", "{\"b\":1,\"a\":{\"b\":2}}").value.text, "2");
}
END_TEST

START_TEST(value_that_is_no_text)
{
	struct inspect_result r = inspect_data("s", "", "{\"s\":\"a\\u0000b\"}"), same;

	ck_assert(r.value.changed);
	ck_assert_str_eq(r.value.text, "a\xef\xbf\xbd"
				       "b~e5d29919042666b2");
	same = inspect(sampling(INSPECT_FIELD, "s", 0, ""), "s", NULL, "{\"s\":\"a\0b\"}", 11);
	ck_assert_str_eq(r.value.text, same.value.text);
	r = inspect_data("s", "", "{\"s\":\"\xff\"}");
	ck_assert(r.value.changed && !r.broken && sample_value_valid(r.value.text, r.value.len));
}
END_TEST

/* The same long value, however it is written, and one that differs in its last character. */
START_TEST(value_that_is_long)
{
	enum { LEN = 5000 };
	char plain[LEN + 64], escaped[LEN + 64], other[LEN + 64];
	struct inspect_result a, b, c;

	memset(plain, 'v', sizeof plain);
	memcpy(plain, "{\"s\":\"", 6);
	memcpy(plain + LEN, "w\"}", 4);
	strcpy(other, plain);
	other[LEN] = 'x';
	memcpy(escaped, plain, sizeof plain);
	memcpy(escaped + LEN, "\\u0077\"}", 9);
	a = inspect_data("s", "", plain);
	b = inspect_data("s", "", escaped);
	c = inspect_data("s", "", other);
	ck_assert(a.value.changed);
	ck_assert_uint_eq(a.value.len, SAMPLE_VALUE_MAX);
	ck_assert_str_eq(a.value.text, b.value.text);
	ck_assert_str_ne(a.value.text, c.value.text);
}
END_TEST

START_TEST(force_is_true_alone)
{
	static const char *const no[] = {"false", "null", "1", "\"true\"", "{\"a\":true}", "[true]", "\"\""};

	ck_assert(inspect_data("s", "f", "{\"s\":1,\"f\":true}").forced);
	ck_assert(inspect_data("s", "f", "{\"f\":true,\"s\":1}").forced);
	ck_assert(inspect_data("s", "f.g", "{\"f\":{\"g\":true}}").forced);
	ck_assert(!inspect_data("s", "f", "{\"s\":1,\"g\":true}").forced);
	ck_assert(!inspect_data("s", "", "{\"s\":1,\"f\":true}").forced);
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
		char data[64];

		snprintf(data, sizeof data, "{\"f\":%s,\"s\":\"v\"}", no[i]);
		ck_assert_msg(!inspect_data("s", "f", data).forced, "%s", no[i]);
		ck_assert_str_eq(inspect_data("s", "f", data).value.text, "v");
	}
	ck_assert(inspect_data("s", "s", "{\"s\":true}").forced);
}
END_TEST

START_TEST(broken_payloads)
{
	struct inspect_result r = inspect_data("s", "f", "{\"s\":\"v\",#");

	ck_assert(r.broken && !r.forced);
	ck_assert_str_eq(r.value.text, "v");
	r = inspect_data("s", "", "{\"s\":\"v\",#");
	ck_assert(!r.broken);
	ck_assert_str_eq(r.value.text, "v");
	r = inspect_data("s", "f", "{\"f\":true,\"s\":\"v");
	ck_assert(r.broken && r.forced);
	ck_assert_uint_eq(r.value.len, 0);
	ck_assert(inspect_data("s", "", "no JSON").broken);
	ck_assert(!inspect_data("s", "f", "").broken);
}
END_TEST

static const char *
header_value(const char *name, const char *headers)
{
	static struct inspect_result r;

	r = inspect(sampling(INSPECT_HEADER, name, 0, ""), "s", headers, "no JSON", 7);
	ck_assert(!r.broken && !r.forced);
	return r.value.text;
}

START_TEST(value_of_header)
{
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nX: 1\r\nSender: \t n1 x \r\n\r\n"), "n1 x");
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nSender:n1\r\nSender:n2\r\n\r\n"), "n1");
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nSender:\r\nSender:n2\r\n\r\n"), "");
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nsender:n1\r\n\r\n"), "");
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nSenders:n1\r\n\r\n"), "");
	ck_assert_str_eq(header_value("Sender", "NATS/1.0\r\nSender:a\r\n b\r\n\r\n"), "a\r\n b");
	ck_assert_str_eq(header_value("Sender", "no block"), "");
	ck_assert_str_eq(header_value("Sender", NULL), "");
}
END_TEST

START_TEST(value_of_subject)
{
	static const struct row {
		int32_t token;
		const char *subject, *value;
	} rows[] = {
	    {1, "a.bb.c", "a"}, {2, "a.bb.c", "bb"},      {3, "a.bb.c", "c"}, {4, "a.bb.c", ""},
	    {1, "a", "a"},      {-1, "a.bb.c", "a.bb.c"}, {2, "a", ""},       {INT32_MAX, "a.b", ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct inspect_result r = inspect(sampling(INSPECT_SUBJECT, "", rows[i].token, ""),
						  rows[i].subject, NULL, "no JSON", 7);

		ck_assert_str_eq(r.value.text, rows[i].value);
		ck_assert(!r.broken && !r.forced);
	}
}
END_TEST

START_TEST(force_with_other_inspectors)
{
	static const char yes[] = "{\"f\":true", headers[] = "NATS/1.0\r\nS:n1\r\n\r\n";
	struct inspect_result r = inspect(sampling(INSPECT_SUBJECT, "", 1, "f"), "a.b", NULL, yes,
					  strlen(yes)),
			      h;

	ck_assert(!r.forced && r.broken); /* true may go on */
	r = inspect(sampling(INSPECT_SUBJECT, "", 1, "f"), "a.b", NULL, "{\"f\":true}", 10);
	ck_assert(r.forced && !r.broken);
	ck_assert_str_eq(r.value.text, "a");
	h = inspect(sampling(INSPECT_HEADER, "S", 0, "f"), "a.b", headers, "{\"f\":true}", 10);
	ck_assert(h.forced && !h.broken);
	ck_assert_str_eq(h.value.text, "n1");
	h = inspect(sampling(INSPECT_HEADER, "S", 0, "f"), "a.b", headers, "no JSON", 7);
	ck_assert(!h.forced && h.broken);
	ck_assert_str_eq(h.value.text, "n1");
}
END_TEST

START_TEST(refuses_what_is_no_path)
{
	struct error e = ERROR_INIT;
	struct conf_sampling s = sampling(INSPECT_FIELD, "a..b", 0, "");

	ck_assert_ptr_null(inspect_new(&s, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "inspect_field: \"a..b\""));
	fini(&s);
	s = sampling(INSPECT_FIELD, "a", 0, "b.");
	ck_assert_ptr_null(inspect_new(&s, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "inspect_force_field: \"b.\""));
	fini(&s);
}
END_TEST

static uint32_t
identity(enum conf_inspect inspect, const char *name, int32_t token, const char *force)
{
	struct conf_sampling s = sampling(inspect, name, token, force);
	uint32_t id = inspect_identity(&s);

	fini(&s);
	return id;
}

START_TEST(identity_is_of_what_names_the_values)
{
	uint32_t field = identity(INSPECT_FIELD, "a", 0, "");

	ck_assert_uint_ne(field, 0);
	ck_assert_uint_eq(identity(INSPECT_FIELD, "a", 0, "f"), field);
	ck_assert_uint_ne(identity(INSPECT_FIELD, "b", 0, ""), field);
	ck_assert_uint_ne(identity(INSPECT_HEADER, "a", 0, ""), field);
	ck_assert_uint_ne(identity(INSPECT_SUBJECT, "", 1, ""), identity(INSPECT_SUBJECT, "", -1, ""));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("inspect");
	TCase *tc = tcase_create("inspect");

	tcase_add_test(tc, value_of_field);
	tcase_add_test(tc, value_that_is_no_text);
	tcase_add_test(tc, value_that_is_long);
	tcase_add_test(tc, force_is_true_alone);
	tcase_add_test(tc, broken_payloads);
	tcase_add_test(tc, value_of_header);
	tcase_add_test(tc, value_of_subject);
	tcase_add_test(tc, force_with_other_inspectors);
	tcase_add_test(tc, refuses_what_is_no_path);
	tcase_add_test(tc, identity_is_of_what_names_the_values);
	suite_add_tcase(s, tc);
	return s;
}
