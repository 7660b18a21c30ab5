/* Items, numbers, positions and pages of gossip as text: what is written, what is read, what is refused. */
#include <stdio.h>
#include <string.h>

#include "common/array.h"
#include "common/gossip.h"
#include "tests/unit/unit.h"

#define T_678 INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

/* ---- subjects --------------------------------------------------------------------------------------- */

START_TEST(subjects)
{
	static const struct {
		const char *stream, *topic, *suffix, *subject;
	} rows[] = {
	    {"REG", "nodes", "", "choria.stream-replicator.sync.REG.nodes"},
	    {"REG", "nodes", ".position", "choria.stream-replicator.sync.REG.nodes.position"},
	    {"A B", "no*de>s", ".snapshot", "choria.stream-replicator.sync.A_B.no_de_s.snapshot"},
	    {"A", "eu.nodes", "", "choria.stream-replicator.sync.A.eu.nodes"},
	    {"A", ".eu..nodes.", "", "choria.stream-replicator.sync.A._eu._nodes_"},
	};
	struct strbuf b;

	strbuf_init(&b);
	for (size_t i = 0; i < array_len(rows); i++) {
		strbuf_reset(&b);
		gossip_subject(rows[i].stream, rows[i].topic, rows[i].suffix, &b);
		ck_assert_str_eq(b.data, rows[i].subject);
	}
	strbuf_fini(&b);
}
END_TEST

/* ---- items ------------------------------------------------------------------------------------------ */

/* What the encoder of existing peers gives for these. */
static const struct {
	struct proto_sample row;
	const char *value, *text;
} written[] = {
    {{.seen_ms = T_678, .size = 1024},
     "node1.example.net",
     "{\"seen\":\"2026-01-02T03:04:05.678Z\",\"copied\":\"0001-01-01T00:00:00Z\",\"size\":1024,"
     "\"value\":\"node1.example.net\"}"},
    {{.seen_ms = T_678 - 78, .copied_ms = T_678 - 678, .advised = true},
     "a",
     "{\"seen\":\"2026-01-02T03:04:05.6Z\",\"copied\":\"2026-01-02T03:04:05Z\",\"advised\":true,\"size\":0,"
     "\"value\":\"a\"}"},
    {{.seen_ms = T_678 - 5678, .copied_ms = T_678 - 8, .size = 4294967295},
     "x",
     "{\"seen\":\"2026-01-02T03:04:00Z\",\"copied\":\"2026-01-02T03:04:05.67Z\",\"size\":4294967295,"
     "\"value\":\"x\"}"},
    {{.seen_ms = T_678, .copied_ms = T_678, .size = 1},
     "a<b>&\"\\/\n\r\t\b\f\x01\x7f\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
     "{\"seen\":\"2026-01-02T03:04:05.678Z\",\"copied\":\"2026-01-02T03:04:05.678Z\",\"size\":1,"
     "\"value\":\"a\\u003cb\\u003e\\u0026\\\"\\\\/"
     "\\n\\r\\t\\b\\f\\u0001\x7f\\u2028\\u2029\xe2\x80\xaa\xc3\xa9"
     "\xe2\x82\xac\xf0\x9f\x98\x80\"}"},
};

START_TEST(items_are_written_as_existing_peers_write_them)
{
	struct proto_sample row = written[_i].row, back;
	struct sample_value value;
	struct error e = ERROR_INIT;
	struct strbuf b;

	row.value = written[_i].value;
	row.value_len = strlen(row.value);
	strbuf_init(&b);
	gossip_item_write(&row, &b);
	ck_assert_str_eq(b.data, written[_i].text);
	ck_assert_msg(gossip_item_read(b.data, b.len, &back, &value, &e) == 0, "%s", e.text);
	ck_assert_int_eq(back.seen_ms, row.seen_ms);
	ck_assert_int_eq(back.copied_ms, row.copied_ms);
	ck_assert_uint_eq(back.size, row.size);
	ck_assert_int_eq(back.advised, row.advised);
	ck_assert_str_eq(value.text, written[_i].value);
	ck_assert_ptr_eq(back.value, value.text);
	ck_assert_uint_eq(back.value_len, row.value_len);
	strbuf_fini(&b);
}
END_TEST

#define SEEN   "\"seen\":\"2026-01-02T03:04:05.678Z\""
#define COPIED "\"copied\":\"0001-01-01T00:00:00Z\""
#define REST   COPIED ",\"size\":1,\"value\":\"v\""

static const struct {
	const char *text;
	int64_t seen_ms, copied_ms;
	uint32_t size;
	bool advised;
} good[] = {
    {"{" SEEN "," REST "}", T_678, 0, 1, false},
    {"{\"seen\":\"2026-01-02T03:04:05.678123456Z\"," REST "}", T_678, 0, 1, false},
    {"{\"seen\":\"2026-01-02T05:04:05.678+02:00\"," REST "}", T_678, 0, 1, false},
    {"{\"seen\":\"2026-01-01T21:34:05.678-05:30\"," REST "}", T_678, 0, 1, false},
    {"{" SEEN ",\"copied\":\"2026-01-02T05:04:05.5+02:00\",\"size\":1.9,\"value\":\"v\",\"advised\":true}",
     T_678, T_678 - 178, 1, true},
    {"{" SEEN "," COPIED ",\"size\":1e3,\"value\":\"v\",\"advised\":false}", T_678, 0, 1000, false},
    {" {\"later\":{\"x\":[1,2]},\"n\":99999999999999999999," SEEN "," REST "} ", T_678, 0, 1, false},
    {"{" SEEN ",\"copied\":\"1970-01-01T00:00:00Z\",\"size\":0,\"value\":\"v\"}", T_678, 0, 0, false},
};

START_TEST(items_of_peers_are_read)
{
	struct proto_sample row;
	struct sample_value value;
	struct error e = ERROR_INIT;

	ck_assert_msg(gossip_item_read(good[_i].text, strlen(good[_i].text), &row, &value, &e) == 0, "%s: %s",
		      good[_i].text, e.text);
	ck_assert_int_eq(row.seen_ms, good[_i].seen_ms);
	ck_assert_int_eq(row.copied_ms, good[_i].copied_ms);
	ck_assert_uint_eq(row.size, good[_i].size);
	ck_assert_int_eq(row.advised, good[_i].advised);
	ck_assert_str_eq(value.text, "v");
	ck_assert(!row.forgotten);
}
END_TEST

static const char *const bad[] = {
    "",
    "[]",
    "7",
    "{",
    "{}",
    "{" SEEN "," REST,
    "{" SEEN "," REST "} x",
    "{" REST "}",                            /* no seen */
    "{" SEEN ",\"size\":1,\"value\":\"v\"}", /* no copied */
    "{" SEEN "," COPIED ",\"value\":\"v\"}", /* no size */
    "{" SEEN "," COPIED ",\"size\":1}",      /* no value */
    "{" SEEN "," COPIED ",\"size\":1,\"value\":\"\"}",
    "{" SEEN "," COPIED ",\"size\":1,\"value\":7}",
    "{" SEEN "," COPIED ",\"size\":\"1\",\"value\":\"v\"}",
    "{" SEEN "," COPIED ",\"size\":-1,\"value\":\"v\"}",
    "{" SEEN "," COPIED ",\"size\":4294967296,\"value\":\"v\"}",
    "{" SEEN "," COPIED ",\"size\":1e999,\"value\":\"v\"}",
    "{" SEEN ",\"advised\":1," REST "}",
    "{" SEEN ",\"advised\":null," REST "}",
    "{\"seen\":\"0001-01-01T00:00:00Z\"," REST "}", /* never seen */
    "{\"seen\":\"1969-12-31T23:59:59Z\"," REST "}",
    "{\"seen\":\"1970-01-01T00:00:00Z\"," REST "}",
    "{\"seen\":\"0001-01-01T00:00:01Z\"," REST "}",
    "{\"seen\":\"9999-01-01T00:00:00Z\"," REST "}", /* beyond what times can be */
    "{\"seen\":\"2026-01-02 03:04:05Z\"," REST "}",
    "{\"seen\":\"2026-01-02T03:04:05\"," REST "}",
    "{\"seen\":\"2026-13-02T03:04:05Z\"," REST "}",
    "{\"seen\":\" 2026-1-2T3:4:5Z\"," REST "}",
    "{\"seen\":\"2026\"," REST "}",
    "{\"seen\":\"\"," REST "}",
    "{\"seen\":1767323045," REST "}",
    "{\"seen\":null," REST "}",
    "{" SEEN ",\"copied\":\"1969-12-31T23:59:59Z\",\"size\":1,\"value\":\"v\"}",
    "{" SEEN "," COPIED ",\"size\":1,\"value\":\"\xff\"}", /* no UTF-8: no JSON */
};

START_TEST(what_makes_no_sense_is_refused)
{
	struct proto_sample row;
	struct sample_value value;
	struct error e = ERROR_INIT;

	ck_assert_msg(gossip_item_read(bad[_i], strlen(bad[_i]), &row, &value, &e) == -1, "%s", bad[_i]);
	ck_assert_str_ne(e.text, "");
}
END_TEST

/* Makes an item of a value of that many "x", read. */
static int
read_long(size_t len, struct proto_sample *row, struct sample_value *value)
{
	struct error e = ERROR_INIT;
	struct strbuf b;
	int result;

	strbuf_init(&b);
	strbuf_adds(&b, "{" SEEN "," COPIED ",\"size\":1,\"value\":\"");
	for (size_t i = 0; i < len; i++)
		strbuf_adds(&b, "x");
	strbuf_adds(&b, "\"}");
	result = gossip_item_read(b.data, b.len, row, value, &e);
	strbuf_fini(&b);
	return result;
}

START_TEST(long_and_odd_values_get_our_form)
{
	static const char with_nul[] = "{" SEEN "," COPIED ",\"size\":1,\"value\":\"a\\u0000b\"}";
	struct proto_sample row;
	struct sample_value value;
	struct error e = ERROR_INIT;

	ck_assert_int_eq(read_long(SAMPLE_VALUE_MAX, &row, &value), 0);
	ck_assert(!value.changed);
	ck_assert_int_eq(read_long(SAMPLE_VALUE_MAX + 1, &row, &value), 0);
	ck_assert(value.changed);
	ck_assert_uint_le(row.value_len, SAMPLE_VALUE_MAX);
	ck_assert(sample_value_valid(row.value, row.value_len));
	ck_assert_int_eq(read_long(GOSSIP_ITEM_MAX, &row, &value), -1);
	ck_assert_msg(gossip_item_read(with_nul, strlen(with_nul), &row, &value, &e) == 0, "%s", e.text);
	ck_assert(sample_value_valid(row.value, row.value_len));
}
END_TEST

/* ---- numbers ---------------------------------------------------------------------------------------- */

START_TEST(numbers_are_written_and_read)
{
	struct gossip_nonce nonce = {"abc123"}, back;
	struct strbuf b;
	uint64_t number;

	strbuf_init(&b);
	strbuf_adds(&b, "NATS/1.0\r\n");
	gossip_number_write(&nonce, 17, &b);
	strbuf_adds(&b, "\r\n");
	ck_assert_str_eq(b.data, "NATS/1.0\r\nChoria-SR-Gossip: abc123 17\r\n\r\n");
	ck_assert_int_eq(gossip_number_read(b.data, b.len, &back, &number), GOSSIP_NUMBERED);
	ck_assert(gossip_nonce_equal(&nonce, &back));
	ck_assert_uint_eq(number, 17);
	ck_assert_int_eq(gossip_number_read(NULL, 0, &back, &number), GOSSIP_NOT_NUMBERED);
	strbuf_fini(&b);
}
END_TEST

START_TEST(odd_numbers_are_refused)
{
	static const char *const odd[] = {"",
					  "abc",
					  "abc ",
					  "abc x",
					  " 1",
					  "abc 0",
					  "abc -1",
					  "a.c 1",
					  "a*c 1",
					  "abc 1 2",
					  "abc 1x",
					  "abcdefghijabcdefghijabcdefghijabc 1",
					  "abc 99999999999999999999"};
	struct gossip_nonce nonce;
	uint64_t number;
	char block[256];

	for (size_t i = 0; i < array_len(odd); i++) {
		int len = snprintf(block, sizeof block, "NATS/1.0\r\nChoria-SR-Gossip: %s\r\n\r\n", odd[i]);

		ck_assert_msg(gossip_number_read(block, (size_t)len, &nonce, &number) == GOSSIP_NUMBER_ODD,
			      "%s", odd[i]);
	}
}
END_TEST

/* ---- positions and pages ---------------------------------------------------------------------------- */

static const struct sample_note some_note = {
    .source_created_ns = 11,
    .source_seq = 500,
    .target_created_ns = 12,
    .target_seq = 60,
    .heard_ms = T_678,
    .gaps = {{T_678 - 9000, T_678 - 8000}, {T_678 - 5000, T_678 - 4000}},
    .gap_count = 2,
};

static void
assert_note(const struct sample_note *note)
{
	ck_assert_int_eq(note->source_created_ns, 11);
	ck_assert_uint_eq(note->source_seq, 500);
	ck_assert_uint_eq(note->target_seq, 60);
	ck_assert_int_eq(note->heard_ms, T_678);
	ck_assert_uint_eq(note->gap_count, 2);
	ck_assert_int_eq(note->gaps[1].to_ms, T_678 - 4000);
}

START_TEST(positions_come_back_as_written)
{
	struct gossip_position p = {.nonce = {"n1"},
				    .number = 7,
				    .round = 3,
				    .has_note = true,
				    .note = some_note},
			       back;
	struct error e = ERROR_INIT;
	struct strbuf b;

	strbuf_init(&b);
	gossip_position_write(&p, &b);
	ck_assert_msg(gossip_position_read(b.data, b.len, &back, &e) == 0, "%s: %s", b.data, e.text);
	ck_assert_str_eq(back.nonce.text, "n1");
	ck_assert_uint_eq(back.number, 7);
	ck_assert_uint_eq(back.round, 3);
	ck_assert(back.has_note && !back.note_refused && !back.leaves);
	assert_note(&back.note);
	p.has_note = false;
	p.leaves = true;
	strbuf_reset(&b);
	gossip_position_write(&p, &b);
	ck_assert_str_eq(b.data, "{\"nonce\":\"n1\",\"number\":7,\"round\":3,\"leaves\":true}");
	ck_assert_int_eq(gossip_position_read(b.data, b.len, &back, &e), 0);
	ck_assert(back.leaves && !back.has_note && !back.note_refused);
	strbuf_fini(&b);
}
END_TEST

START_TEST(odd_positions_are_refused)
{
	static const char *const odd[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"nonce\":\"n\",\"round\":1}",
	    "{\"number\":1,\"round\":1}",
	    "{\"nonce\":1,\"number\":1,\"round\":1}",
	    "{\"nonce\":\"\",\"number\":1,\"round\":1}",
	    "{\"nonce\":\"a.b\",\"number\":1,\"round\":1}",
	    "{\"nonce\":\"n\",\"number\":1}",
	    "{\"nonce\":\"n\",\"number\":1,\"round\":-1}",
	    "{\"nonce\":\"n\",\"number\":-1,\"round\":1}",
	    "{\"nonce\":\"n\",\"number\":1.5,\"round\":1}",
	    "{\"nonce\":\"n\",\"number\":99999999999999999999,\"round\":1}",
	};
	static const char strange_note[] = "{\"nonce\":\"n\",\"number\":1,\"round\":1,\"note\":[]}";
	struct gossip_position p;
	struct error e = ERROR_INIT;

	for (size_t i = 0; i < array_len(odd); i++)
		ck_assert_msg(gossip_position_read(odd[i], strlen(odd[i]), &p, &e) == -1, "%s", odd[i]);
	/* The number counts all the same. */
	ck_assert_int_eq(gossip_position_read(strange_note, strlen(strange_note), &p, &e), 0);
	ck_assert(!p.has_note && p.note_refused);
	ck_assert_uint_eq(p.number, 1);
}
END_TEST

START_TEST(pages_come_back_as_written)
{
	struct gossip_page
	    page = {.from = {.nonce = {"n1"}, .number = 7, .round = 3, .has_note = true, .note = some_note},
		    .leader = true,
		    .next = "abc"},
	    back;
	struct error e = ERROR_INIT;
	struct strbuf b;
	size_t used;

	strbuf_init(&b);
	gossip_page_write(&page, &b);
	ck_assert_uint_eq(b.data[b.len - 1], '\n');
	strbuf_adds(&b, "item");
	ck_assert_msg(gossip_page_read(b.data, b.len, &back, &used, &e) == 0, "%s", e.text);
	ck_assert_str_eq(b.data + used, "item");
	ck_assert_str_eq(back.next, "abc");
	ck_assert(back.leader);
	ck_assert_uint_eq(back.from.number, 7);
	assert_note(&back.from.note);
	strbuf_fini(&b);
}
END_TEST

START_TEST(odd_pages_are_refused)
{
	static const char *const odd[] = {
	    "",
	    "\n",
	    "{\"nonce\":\"n\",\"number\":1,\"round\":1}", /* no end of line */
	    "{\"number\":1,\"round\":1}\n",
	    "{\"nonce\":\"n\",\"number\":1,\"round\":1,\"next\":\"a.>\"}\n",
	    "{\"nonce\":\"n\",\"number\":1,\"round\":1,\"next\":7}\n",
	};
	struct gossip_page page;
	struct error e = ERROR_INIT;
	struct strbuf b;
	size_t used;

	for (size_t i = 0; i < array_len(odd); i++)
		ck_assert_msg(gossip_page_read(odd[i], strlen(odd[i]), &page, &used, &e) == -1, "%s", odd[i]);
	strbuf_init(&b);
	strbuf_adds(&b, "{\"x\":\"");
	while (b.len <= GOSSIP_HEAD_MAX)
		strbuf_adds(&b, "xxxxxxxxxxxxxxxxxxxx");
	strbuf_adds(&b, "\",\"nonce\":\"n\",\"number\":1,\"round\":1}\n");
	ck_assert_int_eq(gossip_page_read(b.data, b.len, &page, &used, &e), -1);
	strbuf_fini(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gossip");
	TCase *tc = tcase_create("items");

	tcase_add_test(tc, subjects);
	tcase_add_loop_test(tc, items_are_written_as_existing_peers_write_them, 0, (int)array_len(written));
	tcase_add_loop_test(tc, items_of_peers_are_read, 0, (int)array_len(good));
	tcase_add_loop_test(tc, what_makes_no_sense_is_refused, 0, (int)array_len(bad));
	tcase_add_test(tc, long_and_odd_values_get_our_form);
	suite_add_tcase(s, tc);
	tc = tcase_create("numbers, positions, pages");
	tcase_add_test(tc, numbers_are_written_and_read);
	tcase_add_test(tc, odd_numbers_are_refused);
	tcase_add_test(tc, positions_come_back_as_written);
	tcase_add_test(tc, odd_positions_are_refused);
	tcase_add_test(tc, pages_come_back_as_written);
	tcase_add_test(tc, odd_pages_are_refused);
	suite_add_tcase(s, tc);
	return s;
}
