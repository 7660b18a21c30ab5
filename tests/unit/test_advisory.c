/* What stands in an advisory, where it goes, how it is named, and what is made of those of others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/advisory.h"
#include "common/array.h"
#include "common/text.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define AT 1767323045678 /* 2026-01-02T03:04:05.678Z */

static char site[] = "US-EAST", key[] = "nodes", field[] = "sender.id", header[] = "Sender";

static void
configure(struct conf *conf, struct conf_topic *topic)
{
	memset(conf, 0, sizeof *conf);
	memset(topic, 0, sizeof *topic);
	conf->name = site;
	topic->key = key;
	topic->sampling.inspect = INSPECT_FIELD;
	topic->sampling.field = field;
	topic->sampling.header = header;
	topic->sampling.subject_token = -1;
}

/* ---- bodies --------------------------------------------------------------------------------------- */

static const struct body_case {
	enum conf_advisory_schema schema;
	enum conf_inspect inspect;
	struct advisory a;
	const char *body;
} bodies[] = {
    {ADVISORY_V2,
     INSPECT_FIELD,
     {ADVISORY_EVENT_TIMEOUT, "n1.example.net", AT - 1800000, AT, AT + 900},
     "{\"protocol\":\"io.choria.sr.v2.age_advisory\",\"event_id\":\"37gS6WZ6AXbURhr8AMynSRSWi89\","
     "\"inspect_field\":\"sender.id\",\"age\":1801,\"seen\":1767321245,\"replicator\":\"US-EAST\","
     "\"timestamp\":1767323046,\"event\":\"timeout\",\"value\":\"n1.example.net\"}"},
    {ADVISORY_V2,
     INSPECT_HEADER,
     {ADVISORY_EVENT_NEW, "n1.example.net", AT, AT, AT + 499},
     "{\"protocol\":\"io.choria.sr.v2.age_advisory\",\"event_id\":\"37gS6WQrJbd6OO4Q0ibHjf3QhWI\","
     "\"inspect_field\":\"Sender\",\"age\":0,\"seen\":1767323045,\"replicator\":\"US-EAST\","
     "\"timestamp\":1767323046,\"event\":\"new\",\"value\":\"n1.example.net\"}"},
    {ADVISORY_V1,
     INSPECT_SUBJECT,
     {ADVISORY_EVENT_EXPIRE, "a\"\\<\xc3\xa9\x01/", AT - 500, AT, AT},
     "{\"$schema\":\"https://choria.io/schemas/sr/v1/age_advisory.json\",\"inspect\":\"-1\","
     "\"value\":\"a\\\"\\\\<\xc3\xa9\\u0001/\",\"age\":1,\"seen\":1767323045,\"replicator\":\"US-EAST\","
     "\"timestamp\":1767323045,\"event\":\"expire\"}"},
    /* never seen; and seen in the future, as another clock has it */
    {ADVISORY_V1,
     INSPECT_FIELD,
     {ADVISORY_EVENT_RECOVER, "x", 0, AT, AT},
     "{\"$schema\":\"https://choria.io/schemas/sr/v1/age_advisory.json\",\"inspect\":\"sender.id\","
     "\"value\":\"x\",\"age\":-1,\"seen\":0,\"replicator\":\"US-EAST\",\"timestamp\":1767323045,"
     "\"event\":\"recover\"}"},
    {ADVISORY_V1,
     INSPECT_FIELD,
     {ADVISORY_EVENT_RECOVER, "x", AT + 5000, AT, AT},
     "{\"$schema\":\"https://choria.io/schemas/sr/v1/age_advisory.json\",\"inspect\":\"sender.id\","
     "\"value\":\"x\",\"age\":0,\"seen\":1767323050,\"replicator\":\"US-EAST\",\"timestamp\":1767323045,"
     "\"event\":\"recover\"}"},
};

START_TEST(bodies_are_as_existing_consumers_know_them)
{
	const struct body_case *c = &bodies[_i];
	struct conf conf;
	struct conf_topic topic;
	struct strbuf out;

	configure(&conf, &topic);
	topic.sampling.advisory.schema = c->schema;
	topic.sampling.inspect = c->inspect;
	strbuf_init(&out);
	strbuf_adds(&out, "what was there");
	advisory_body(&conf, &topic, &c->a, &out);
	ck_assert_str_eq(out.data, c->body);
	strbuf_fini(&out);
}
END_TEST

START_TEST(bodies_come_of_any_configuration)
{
	static char odd_site[] = "\xff\x01", odd_field[] = "\xc3";
	struct advisory a = {ADVISORY_EVENT_NEW, "x", AT, AT, AT};
	struct advisory_read r;
	struct conf conf;
	struct conf_topic topic;
	struct error e = ERROR_INIT;
	struct strbuf out;

	configure(&conf, &topic);
	conf.name = odd_site;
	topic.sampling.field = odd_field;
	strbuf_init(&out);
	advisory_body(&conf, &topic, &a, &out);
	ck_assert_msg(advisory_read(out.data, out.len, &r, &e) == 0, "%s: %s", e.text, out.data);
	ck_assert_str_eq(r.replicator, "\\xff\\x01");
	advisory_read_fini(&r);
	strbuf_fini(&out);
}
END_TEST

/* ---- identity ------------------------------------------------------------------------------------- */

START_TEST(ids_have_the_known_form)
{
	/* Computed by other means: SHA-256 of the five texts, each with a NUL behind it. */
	static const struct {
		const char *site, *topic;
		struct advisory a;
		const char *id;
	} cases[] = {
	    {site, key, {ADVISORY_EVENT_TIMEOUT, "n1.example.net", 1, AT, 2}, "37gS6WZ6AXbURhr8AMynSRSWi89"},
	    {site, key, {ADVISORY_EVENT_NEW, "n1.example.net", 3, AT, 4}, "37gS6WQrJbd6OO4Q0ibHjf3QhWI"},
	    {site, key, {ADVISORY_EVENT_TIMEOUT, "n1.example.net", 0, 0, 0}, "000002mKBUr1iBEi3RV1yAJm7Wg"},
	    {site,
	     key,
	     {ADVISORY_EVENT_TIMEOUT, "n1.example.net", 0, INT64_MAX, 0},
	     "aWgEPPtKQ86nhr3BRc7lZb2QuX1"},
	    {"", "", {ADVISORY_EVENT_EXPIRE, "\xc3\xa9", 0, 1400000000000, 0}, "0000053gckDiFYJR5CZdvDKhlNz"},
	};
	char id[ADVISORY_ID_SIZE];

	for (size_t i = 0; i < array_len(cases); i++) {
		advisory_id(cases[i].site, cases[i].topic, &cases[i].a, id);
		ck_assert_str_eq(id, cases[i].id);
	}
}
END_TEST

/* Each part counts, and no part runs into the next. */
START_TEST(ids_differ_where_events_differ)
{
	static const struct {
		const char *site, *topic;
		struct advisory a;
	} events[] = {
	    {"s", "t", {ADVISORY_EVENT_NEW, "v", 1, AT, 1}},
	    {"S", "t", {ADVISORY_EVENT_NEW, "v", 1, AT, 1}},
	    {"s", "T", {ADVISORY_EVENT_NEW, "v", 1, AT, 1}},
	    {"st", "", {ADVISORY_EVENT_NEW, "v", 1, AT, 1}},
	    {"", "st", {ADVISORY_EVENT_NEW, "v", 1, AT, 1}},
	    {"s", "t", {ADVISORY_EVENT_EXPIRE, "v", 1, AT, 1}},
	    {"s", "t", {ADVISORY_EVENT_NEW, "V", 1, AT, 1}},
	    {"s", "t", {ADVISORY_EVENT_NEW, "v1", 1, AT, 1}},
	    {"s", "t", {ADVISORY_EVENT_NEW, "v", 1, AT + 1, 1}},
	};
	char id[array_len(events)][ADVISORY_ID_SIZE];

	for (size_t i = 0; i < array_len(events); i++) {
		advisory_id(events[i].site, events[i].topic, &events[i].a, id[i]);
		ck_assert_uint_eq(strlen(id[i]), ADVISORY_ID_SIZE - 1);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(id[i], id[j]);
	}
}
END_TEST

START_TEST(ids_sort_by_time)
{
	char before[ADVISORY_ID_SIZE] = "", id[ADVISORY_ID_SIZE];

	for (int64_t at = 1400000001000; at < 5600000000000; at = at + at / 50 / 1000 * 1000) {
		struct advisory a = {ADVISORY_EVENT_NEW, "v", at, at, at};

		advisory_id(site, key, &a, id);
		ck_assert_msg(strcmp(before, id) < 0, "%s is not before %s", before, id);
		memcpy(before, id, sizeof id);
	}
}
END_TEST

/* ---- subjects ------------------------------------------------------------------------------------- */

static const struct {
	const char *pattern, *value, *subject;
} subjects[] = {
    {"sr.advisories.%s", "n1", "sr.advisories.timeout"},
    {"sr.advisories.%s.%v", "n1.example.net", "sr.advisories.timeout.n1.example.net"},
    {"%s.%v.%s", "a", "timeout.a.timeout"},
    {"sr", "a", "sr"},
    /* no other sign is one */
    {"sr.%d.%%v.%", "a", "sr.%d.%a.%"},
    {"sr.%v", "%s%v", "sr.%s%v"},
    /* what a subject cannot hold */
    {"sr.%v", "a b\tc\r\nd\x01\x1f\x7f", "sr.a_b_c__d___"},
    {"sr.%v", "*", "sr._"},
    {"sr.%v", ">", "sr._"},
    {"sr.%v", "a.*.>", "sr.a._._"},
    {"sr.%v", "a*b>c", "sr.a_b_c"},
    {"sr.%v", "\xc3\xa9\xe2\x82\xac", "sr.\xc3\xa9\xe2\x82\xac"},
    {"sr.%v", "\"\\/$!~", "sr.\"\\/$!~"},
    /* empty tokens */
    {"sr.%v.x", ".", "sr._._.x"},
    {"sr.%v.x", "..", "sr._._._.x"},
    {"sr.%v", ".a..b.", "sr._.a._.b._"},
    {"sr-%v-x", ".a.", "sr-.a.-x"},
    {"%v", ".", "_._"},
    /* a value does not reach the server's own subjects */
    {"%v", "$JS.API.STREAM.PURGE.X", "_JS.API.STREAM.PURGE.X"},
    {"%s%v", "$JS.API", "timeout$JS.API"},
};

START_TEST(subjects_hold_event_and_value)
{
	struct advisory a = {ADVISORY_EVENT_TIMEOUT, subjects[_i].value, AT, AT, AT};
	struct strbuf out;

	strbuf_init(&out);
	strbuf_adds(&out, "what was there");
	advisory_subject(subjects[_i].pattern, &a, &out);
	ck_assert_str_eq(out.data, subjects[_i].subject);
	ck_assert_uint_eq(strlen(out.data), out.len);
	strbuf_fini(&out);
}
END_TEST

static bool
is_subject(const struct strbuf *s)
{
	if (s->len == 0 || s->data[0] == '.' || s->data[s->len - 1] == '.' || strstr(s->data, "..") != NULL)
		return false;
	for (size_t i = 0; i < s->len; i++)
		if ((unsigned char)s->data[i] <= ' ' || strchr("*>\x7f", s->data[i]) != NULL)
			return false;
	return text_utf8_valid(s->data, s->len) && s->len <= ADVISORY_SUBJECT_MAX;
}

/* Every byte, at every place, and more of everything than fits. */
START_TEST(any_value_gives_a_subject)
{
	static const char *const patterns[] = {"%v", "sr.%v", "%v.%s", "%v%v%v%v%v%v", "a.%v.%v.%v.%v.%v.z"};
	char value[256];
	struct strbuf out;

	strbuf_init(&out);
	for (unsigned c = 1; c < 0x80; c++) {
		for (size_t len = 1; len < sizeof value; len += len < 4 ? 1 : 50) {
			struct advisory a = {ADVISORY_EVENT_EXPIRE, value, AT, AT, AT};

			memset(value, (int)c, len);
			value[len] = '\0';
			for (size_t i = 0; i < array_len(patterns); i++) {
				advisory_subject(patterns[i], &a, &out);
				ck_assert_msg(is_subject(&out), "%s", out.data);
			}
		}
	}
	for (size_t i = 0; i + 3 < sizeof value; i += 3)
		memcpy(value + i, "\xe2\x82\xac", 4);
	advisory_subject("%v%v%v%v%v", &(struct advisory){ADVISORY_EVENT_NEW, value, AT, AT, AT}, &out);
	ck_assert(is_subject(&out));
	strbuf_fini(&out);
}
END_TEST

/* ---- reading -------------------------------------------------------------------------------------- */

START_TEST(reads_what_it_writes)
{
	const struct body_case *c = &bodies[_i];
	struct error e = ERROR_INIT;
	struct advisory_read r;
	char id[ADVISORY_ID_SIZE] = "";

	if (c->schema == ADVISORY_V2)
		advisory_id(site, key, &c->a, id);
	ck_assert_msg(advisory_read(c->body, strlen(c->body), &r, &e) == 0, "%s", e.text);
	ck_assert_int_eq(r.event, c->a.event);
	ck_assert_str_eq(r.value, c->a.value);
	ck_assert_str_eq(r.replicator, site);
	ck_assert_str_eq(r.event_id, id);
	ck_assert_int_eq(r.seen_s, c->a.seen_ms / 1000);
	ck_assert_int_eq(r.timestamp_s, c->a.now_ms / 1000);
	advisory_read_fini(&r);
	ck_assert_ptr_null(r.value);
}
END_TEST

#define V2 "{\"protocol\":\"io.choria.sr.v2.age_advisory\""
#define V1 "{\"$schema\":\"https://choria.io/schemas/sr/v1/age_advisory.json\""
#define REST                                                                                                 \
	",\"age\":3600.5,\"seen\":-62135596800,\"replicator\":\"R\",\"timestamp\":7,\"event\":\"new\","      \
	"\"value\":\"v\""

START_TEST(reads_what_others_write)
{
	static const char *const texts[] = {
	    V2 REST "}",
	    V2 REST ",\"event_id\":\"\",\"inspect_field\":5,\"later\":{\"a\":[null]}}",
	    V1 REST ",\"inspect\":\"x\"}",
	    "\n " V1 REST ",\"event_id\":17}\n",
	};
	struct error e = ERROR_INIT;
	struct advisory_read r;

	for (size_t i = 0; i < array_len(texts); i++) {
		ck_assert_msg(advisory_read(texts[i], strlen(texts[i]), &r, &e) == 0, "%s", e.text);
		ck_assert_int_eq(r.event, ADVISORY_EVENT_NEW);
		ck_assert_str_eq(r.value, "v");
		ck_assert_str_eq(r.replicator, "R");
		ck_assert_str_eq(r.event_id, "");
		ck_assert_double_eq(r.age_s, 3600.5);
		ck_assert_int_eq(r.seen_s, -62135596800);
		ck_assert_int_eq(r.timestamp_s, 7);
		advisory_read_fini(&r);
	}
}
END_TEST

START_TEST(refuses_what_is_none)
{
	static const char *const texts[] = {
	    "",
	    "{}",
	    "null",
	    "[" V2 REST "}]",
	    "{\"age\":0" REST "}",
	    "{\"protocol\":\"io.choria.sr.v3.age_advisory\"" REST "}",
	    "{\"protocol\":7" REST "}",
	    "{\"$schema\":\"https://choria.io/schemas/sr/v2/age_advisory.json\"" REST "}",
	    V2 REST ",\"event_id\":17}",
	    V2 REST ",\"event\":\"seen\"}",
	    V2 REST ",\"event\":null}",
	    V2 REST ",\"value\":\"\"}",
	    V2 REST ",\"value\":12}",
	    V2 REST ",\"value\":\"a\\u0000b\"}",
	    V2 REST ",\"value\":\"\xff\"}",
	    V2 REST ",\"replicator\":null}",
	    V2 REST ",\"age\":\"1\"}",
	    V2 REST ",\"age\":1e999}",
	    V2 REST ",\"seen\":1.5}",
	    V2 REST ",\"seen\":99999999999999999999}",
	    V2 REST ",\"timestamp\":\"2026\"}",
	    V2 REST,
	    V2 REST "} x",
	    V2 ",\"age\":1,\"seen\":1,\"timestamp\":1,\"event\":\"new\",\"value\":\"v\"}",
	    V2 ",\"age\":1,\"seen\":1,\"replicator\":\"R\",\"event\":\"new\",\"value\":\"v\"}",
	};

	for (size_t i = 0; i < array_len(texts); i++) {
		struct error e = ERROR_INIT;
		struct advisory_read r;

		ck_assert_msg(advisory_read(texts[i], strlen(texts[i]), &r, &e) == -1, "%s", texts[i]);
		ck_assert_msg(strncmp(e.text, "advisory: ", 10) == 0, "%s", e.text);
		ck_assert_ptr_null(r.value);
		ck_assert_ptr_null(r.replicator);
	}
}
END_TEST

START_TEST(does_not_parse_what_is_too_long)
{
	size_t len = 65 * 1024;
	char *text = xmalloc(len + 1);
	struct error e = ERROR_INIT;
	struct advisory_read r;

	memset(text, ' ', len);
	text[len] = '\0';
	memcpy(text, V2 REST "}", strlen(V2 REST "}"));
	ck_assert_int_eq(advisory_read(text, len, &r, &e), -1);
	ck_assert_int_eq(advisory_read(text, len / 2, &r, &e), 0);
	advisory_read_fini(&r);
	free(text);
}
END_TEST

START_TEST(events_have_the_known_names)
{
	ck_assert_str_eq(advisory_event_name(ADVISORY_EVENT_NEW), "new");
	ck_assert_str_eq(advisory_event_name(ADVISORY_EVENT_TIMEOUT), "timeout");
	ck_assert_str_eq(advisory_event_name(ADVISORY_EVENT_RECOVER), "recover");
	ck_assert_str_eq(advisory_event_name(ADVISORY_EVENT_EXPIRE), "expire");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("advisory");
	TCase *tc = tcase_create("advisory");

	tcase_add_loop_test(tc, bodies_are_as_existing_consumers_know_them, 0, (int)array_len(bodies));
	tcase_add_test(tc, bodies_come_of_any_configuration);
	tcase_add_test(tc, ids_have_the_known_form);
	tcase_add_test(tc, ids_differ_where_events_differ);
	tcase_add_test(tc, ids_sort_by_time);
	tcase_add_loop_test(tc, subjects_hold_event_and_value, 0, (int)array_len(subjects));
	tcase_add_test(tc, any_value_gives_a_subject);
	tcase_add_loop_test(tc, reads_what_it_writes, 0, (int)array_len(bodies));
	tcase_add_test(tc, reads_what_others_write);
	tcase_add_test(tc, refuses_what_is_none);
	tcase_add_test(tc, does_not_parse_what_is_too_long);
	tcase_add_test(tc, events_have_the_known_names);
	suite_add_tcase(s, tc);
	return s;
}
