/* Header blocks: byte-exact copying of odd ones, every row of the table, the comparison of `verify`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "tests/unit/unit.h"

#define BLOCK(lines) "NATS/1.0\r\n" lines "\r\n"
#define COUNT(a)     ((int)(sizeof(a) / sizeof(a)[0]))

static const struct header_policy safe;
static const struct header_policy all = {true, true, true, true};

static void
expect_copy(const struct header_policy *policy, const char *lines, const char *want)
{
	struct strbuf block, out;

	strbuf_init(&block);
	strbuf_init(&out);
	strbuf_addf(&block, "NATS/1.0\r\n%s\r\n", lines);
	ck_assert_msg(header_copy_lines(policy, block.data, block.len, &out) == 0, "refused: %s", lines);
	ck_assert_str_eq(out.data, want);
	strbuf_fini(&block);
	strbuf_fini(&out);
}

/* ---- byte-exactness ------------------------------------------------------------------------------ */

static const char *const kept[] = {
    "",
    "A: 1\r\n",
    "A:1\r\n",
    "A:\r\n",
    "A: \r\nNext: n\r\n",
    "A:   lead  inner   trail  \r\n",
    "A:\ttabs\t\r\nB: \t \r\n",
    "B: 1\r\na: x\r\nB: 2\r\nb: low\r\n",
    "Z: 9\r\nY: 8\r\nX: 7\r\nW: 6\r\n",
    "A: v\r\n folded\r\n\tagain: x\r\nB: 1\r\n",
    "A: http://host:4222/?a=b\r\nB: :\r\n",
    "nocolon\r\nA: 1\r\n",
    "Nats-Trace-Onl\r\n y: 1\r\nNats-Msg-Id\r\n :\r\n",
    ": no name\r\n",
    "A : blank before colon\r\n",
    "\xc3\x84rger: \xe2\x82\xac 5 \xf0\x9f\x90\x98\r\n",
    "A: latin \xe4 and \x01 control\r\n",
    "A: bare\nnewline\r\nB: bare\rreturn\r\r\n",
    "A: 1\r\n\r\nB: behind an empty line\r\n",
    "KV-Operation: DEL\r\n",
    "Nats-Marker-Reason: MaxAge\r\nNats-Subject: a\r\nNats-Sequence: 3\r\n",
    "Content-Type: text\r\nStatus: 404\r\nDescription: x\r\n",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=1\r\n",
    "Choria-SR-Previous-Source: A 1 s t 1\r\nChoria-SR-Msg-Id: x\r\nChoria-SR-Nats-TTL: 1s\r\n",
    "X-Nats-Msg-Id: a\r\nNats-Msg-Idx: b\r\nNats-Msg: c\r\nNats-Rollups: d\r\nNats-TTLs: e\r\n",
    "Nats-Expected: a\r\nNats-Batch: b\r\nNats-Trace: c\r\nNats-Counter: d\r\nNats-Increment: e\r\n",
    "X: Nats-Msg-Id: y\r\nY: a\r\n Nats-Msg-Id: folded\r\n",
};

START_TEST(keeps_odd_lines)
{
	expect_copy(&safe, kept[_i], kept[_i]);
	expect_copy(&all, kept[_i], kept[_i]);
}
END_TEST

START_TEST(keeps_very_long)
{
	struct strbuf lines;

	strbuf_init(&lines);
	for (int i = 0; i < 5000; i++)
		strbuf_addf(&lines, "Header-%d: value %d\r\n", i, i);
	strbuf_adds(&lines, "Long: ");
	for (int i = 0; i < 100000; i++)
		strbuf_adds(&lines, "0123456789");
	strbuf_adds(&lines, "\r\n");
	expect_copy(&safe, lines.data, lines.data);
	strbuf_fini(&lines);
}
END_TEST

START_TEST(no_headers_are_fine)
{
	struct strbuf out;

	strbuf_init(&out);
	ck_assert(header_block_valid(NULL, 0));
	ck_assert_int_eq(header_copy_lines(&safe, NULL, 0, &out), 0);
	ck_assert_uint_eq(out.len, 0);
	strbuf_fini(&out);
}
END_TEST

START_TEST(appends_to_what_is_there)
{
	static const char block[] = BLOCK("A: 1\r\n");
	struct strbuf out;

	strbuf_init(&out);
	strbuf_adds(&out, "Own: x\r\n");
	ck_assert_int_eq(header_copy_lines(&safe, block, sizeof block - 1, &out), 0);
	ck_assert_str_eq(out.data, "Own: x\r\nA: 1\r\n");
	strbuf_fini(&out);
}
END_TEST

static const struct {
	const char *block;
	size_t len;
} malformed[] = {
#define BAD(text)                                                                                            \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}
    BAD("N"),
    BAD("NATS/1.0"),
    BAD("NATS/1.0\r\n"),
    BAD("NATS/1.0\r\n\r"),
    BAD("NATS/1.0\n\n"),
    BAD("NATS/2.0\r\nA: 1\r\n\r\n"),
    BAD("A: 1\r\n\r\n"),
    BAD("NATS/1.0\r\nA: 1\r\n"),
    BAD("NATS/1.0\r\nA: 1"),
    BAD("NATS/1.0\r\nA: 1\n\r\n"),
    BAD("NATS/1.0\r\nA: 1\r\n\r\nB"),
    BAD("NATS/1.0\r\nA: \0x\r\n\r\n"),
    BAD("NATS/1.0\r\n folded under nothing\r\n\r\n"),
#undef BAD
};

START_TEST(refuses_malformed)
{
	/* from the heap, so that a sanitizer sees a read past the end */
	char *block = malloc(malformed[_i].len);
	struct strbuf out;

	memcpy(block, malformed[_i].block, malformed[_i].len);
	strbuf_init(&out);
	ck_assert(!header_block_valid(block, malformed[_i].len));
	ck_assert_int_eq(header_copy_lines(&safe, block, malformed[_i].len, &out), -1);
	ck_assert_uint_eq(out.len, 0);
	ck_assert(!header_equal_after_copy(block, malformed[_i].len, block, malformed[_i].len));
	strbuf_fini(&out);
	free(block);
}
END_TEST

/* ---- the table ----------------------------------------------------------------------------------- */

static const struct {
	const char *in;
	const char *plain;    /* with a target that accepts nothing */
	const char *accepted; /* with one that accepts all */
} table[] = {
    {"Nats-Expected-Stream: S", "", ""},
    {"Nats-Expected-Last-Sequence: 7", "", ""},
    {"Nats-Expected-Last-Msg-Id: a", "", ""},
    {"Nats-Expected-Last-Subject-Sequence: 7", "", ""},
    {"Nats-Expected-Last-Subject-Sequence-Subject: a.>", "", ""},
    {"nats-EXPECTED-stream:S", "", ""},
    {"Nats-Expected-Stream : S", "", ""},
    {"Nats-Rollup: sub", "", "Nats-Rollup: sub"},
    {"NATS-rollup:all", "", "NATS-rollup:all"},
    {"Nats-Batch-Id: u", "", ""},
    {"Nats-Batch-Sequence: 1", "", ""},
    {"Nats-Batch-Commit: 1", "", ""},
    {"Nats-Trace-Dest: a.b", "Choria-SR-Nats-Trace-Dest: a.b", "Choria-SR-Nats-Trace-Dest: a.b"},
    {"Nats-Trace-Only:true", "Choria-SR-Nats-Trace-Only:true", "Choria-SR-Nats-Trace-Only:true"},
    {"nats-trace-hop: 1.1", "Choria-SR-nats-trace-hop: 1.1", "Choria-SR-nats-trace-hop: 1.1"},
    {"Nats-Trace-Origin-Account: A", "Choria-SR-Nats-Trace-Origin-Account: A",
     "Choria-SR-Nats-Trace-Origin-Account: A"},
    {"Choria-SR-Source: A 1 s t 5", "Choria-SR-Previous-Source: A 1 s t 5",
     "Choria-SR-Previous-Source: A 1 s t 5"},
    {"CHORIA-sr-source:  x ", "Choria-SR-Previous-Source:  x ", "Choria-SR-Previous-Source:  x "},
    {"Choria-SR-Path: a,b", "", ""},
    {"choria-sr-path:a", "", ""},
    {"Choria-SR-Value: node1", "", ""},
    {"Nats-Msg-Id: 1", "Choria-SR-Msg-Id: 1", "Choria-SR-Msg-Id: 1"},
    {"nats-msg-id:\t1 ", "Choria-SR-Msg-Id:\t1 ", "Choria-SR-Msg-Id:\t1 "},
    {"Nats-Msg-Id:", "Choria-SR-Msg-Id:", "Choria-SR-Msg-Id:"},
    {"Nats-Stream-Source: S 1 > > a", "Choria-SR-Nats-Stream-Source: S 1 > > a",
     "Choria-SR-Nats-Stream-Source: S 1 > > a"},
    {"Nats-TTL: 1h", "Choria-SR-Nats-TTL: 1h", "Nats-TTL: 1h"},
    {"nats-ttl:1h", "Choria-SR-nats-ttl:1h", "nats-ttl:1h"},
    {"Nats-Schedule: @every 1s", "Choria-SR-Nats-Schedule: @every 1s", "Nats-Schedule: @every 1s"},
    {"Nats-Schedule-Target: a", "Choria-SR-Nats-Schedule-Target: a", "Nats-Schedule-Target: a"},
    {"Nats-Scheduler: a", "Choria-SR-Nats-Scheduler: a", "Nats-Scheduler: a"},
    {"Nats-Incr: +1", "Choria-SR-Nats-Incr: +1", "Nats-Incr: +1"},
    {"Nats-Counter-Sources: {}", "Choria-SR-Nats-Counter-Sources: {}", "Nats-Counter-Sources: {}"},
};

START_TEST(applies_each_row)
{
	char in[256], want[256];

	for (int accept = 0; accept < 2; accept++) {
		const char *line = accept != 0 ? table[_i].accepted : table[_i].plain;

		snprintf(in, sizeof in, "%s\r\n", table[_i].in);
		snprintf(want, sizeof want, "%s%s", line, line[0] != '\0' ? "\r\n" : "");
		expect_copy(accept != 0 ? &all : &safe, in, want);
		snprintf(in, sizeof in, "A: 1\r\n%s\r\n folded\r\nB: 2\r\n", table[_i].in);
		snprintf(want, sizeof want, "A: 1\r\n%s%sB: 2\r\n", line,
			 line[0] != '\0' ? "\r\n folded\r\n" : "");
		expect_copy(accept != 0 ? &all : &safe, in, want);
	}
}
END_TEST

START_TEST(applies_to_every_occurrence)
{
	expect_copy(&safe,
		    "Nats-Msg-Id: 1\r\nA: 1\r\nnats-msg-id: 2\r\nNats-Rollup: sub\r\n\r\nNats-Msg-Id: 3\r\n"
		    "Choria-SR-Previous-Source: A 1 s t 1\r\nChoria-SR-Source: B 1 s t 1\r\n",
		    "Choria-SR-Msg-Id: 1\r\nA: 1\r\nChoria-SR-Msg-Id: 2\r\n\r\nChoria-SR-Msg-Id: 3\r\n"
		    "Choria-SR-Previous-Source: A 1 s t 1\r\nChoria-SR-Previous-Source: B 1 s t 1\r\n");
}
END_TEST

START_TEST(table_can_be_printed)
{
	const char *names, *action, *why;
	size_t rows = 0;

	for (; header_rule_row(rows, &names, &action, &why); rows++)
		ck_assert(names[0] != '\0' && action[0] != '\0' && why[0] != '\0');
	ck_assert_uint_ge(rows, 12);
}
END_TEST

/* ---- walking ------------------------------------------------------------------------------------- */

START_TEST(walks_lines)
{
	static const char block[] = BLOCK("A: 1 \r\nnocolon\r\nb:\r\nC:\t x\r\n y\r\n");
	struct header_line l;
	size_t offset = 0, len = sizeof block - 1;

	ck_assert(header_next(block, len, &offset, &l));
	ck_assert(l.name_len == 1 && l.value_len == 1 && l.value[0] == '1' && l.line_len == 5);
	ck_assert(header_next(block, len, &offset, &l));
	ck_assert(l.name[0] == 'b' && l.value_len == 0);
	ck_assert(header_next(block, len, &offset, &l));
	ck_assert(l.name[0] == 'C' && l.value_len == 5 && memcmp(l.value, "x\r\n y", 5) == 0);
	ck_assert(!header_next(block, len, &offset, &l));
	ck_assert(!header_next(block, len, &offset, &l));
	ck_assert(header_find(block, len, "b", &l));
	ck_assert(!header_find(block, len, "B", &l));
}
END_TEST

static void
expect_status(const char *block, int want, const char *want_text)
{
	const char *text;
	size_t len;

	ck_assert_int_eq(header_inline_status(block, strlen(block), &text, &len), want);
	ck_assert_int_eq(header_inline_status(block, strlen(block), NULL, NULL), want);
	ck_assert_uint_eq(len, strlen(want_text));
	ck_assert(memcmp(text, want_text, len) == 0);
}

START_TEST(tells_inline_status)
{
	struct strbuf out;

	expect_status("NATS/1.0 503\r\n\r\n", 503, "");
	expect_status("NATS/1.0 404 No Messages\r\n\r\n", 404, "No Messages");
	expect_status("NATS/1.0  100  Idle Heartbeat\r\nNats-Last-Consumer: 5\r\n\r\n", 100,
		      "Idle Heartbeat");
	expect_status("NATS/1.0\r\nStatus: 404\r\nDescription: x\r\n\r\n", 0, "");
	expect_status("NATS/1.0 \r\n\r\n", 0, "");
	expect_status("NATS/1.0 hello\r\n\r\n", 0, "");
	expect_status("NATS/1.0 99999999999999999999\r\n\r\n", 0, "");
	expect_status("NATS/1.0 40\r\n\r\n", 0, "");
	expect_status("NATS/1.0 404", 0, "");
	expect_status("", 0, "");

	strbuf_init(&out);
	ck_assert_int_eq(header_copy_lines(&safe, "NATS/1.0 404\r\n\r\n", 16, &out), -1);
	ck_assert_int_eq(header_copy_lines(&safe, "NATS/1.0 \r\n\r\n", 13, &out), 0);
	strbuf_fini(&out);
}
END_TEST

/* ---- path ---------------------------------------------------------------------------------------- */

START_TEST(path_finds_whole_names)
{
	static const char block[] =
	    BLOCK("Choria-SR-Path: us-east, eu ,x\r\nA: asia\r\nchoria-sr-path:asia-2\r\n");
	static const char *const there[] = {"us-east", "eu", "x", "asia-2"};
	static const char *const not_there[] = {"us", "east", "EU", "asia", "", "us-east, eu", "x,", " eu"};

	for (int i = 0; i < COUNT(there); i++)
		ck_assert_msg(header_path_has(block, sizeof block - 1, there[i]), "%s", there[i]);
	for (int i = 0; i < COUNT(not_there); i++)
		ck_assert_msg(!header_path_has(block, sizeof block - 1, not_there[i]), "%s", not_there[i]);
	ck_assert(!header_path_has(NULL, 0, "a"));
}
END_TEST

static void
expect_path(const char *block, const char *want)
{
	struct strbuf out;

	strbuf_init(&out);
	header_path_append(block, block != NULL ? strlen(block) : 0, "own", &out);
	ck_assert_str_eq(out.data, want);
	strbuf_fini(&out);
}

START_TEST(path_is_written_anew)
{
	expect_path(NULL, "Choria-SR-Path: own\r\n");
	expect_path(BLOCK("A: 1\r\n"), "Choria-SR-Path: own\r\n");
	expect_path(BLOCK("Choria-SR-Path: a\r\n"), "Choria-SR-Path: a,own\r\n");
	expect_path(BLOCK("Choria-SR-Path:a , b,\r\nX: y\r\nCHORIA-SR-PATH: c\r\n"),
		    "Choria-SR-Path: a,b,c,own\r\n");
	expect_path(BLOCK("Choria-SR-Path:\r\n"), "Choria-SR-Path: own\r\n");
	expect_path(BLOCK("Choria-SR-Path: a,\r\n b\r\n"), "Choria-SR-Path: a,b,own\r\n");
	expect_path(BLOCK("Choria-SR-Path: a\r\n\tb\r\n"), "Choria-SR-Path: a,b,own\r\n");
}
END_TEST

/* ---- the comparison of verify -------------------------------------------------------------------- */

static bool
equal(const char *source, const char *target)
{
	return header_equal_after_copy(source, source != NULL ? strlen(source) : 0, target,
				       target != NULL ? strlen(target) : 0);
}

#define OWN                                                                                                  \
	"Nats-Expected-Last-Sequence: 9\r\nChoria-SR-Path: own\r\nChoria-SR-Source: A 1 own t 5\r\n"         \
	"Choria-SR-Value: v\r\n"

START_TEST(equal_what_copying_makes)
{
	for (int i = 0; i < COUNT(table); i++) {
		for (int accept = 0; accept < 2; accept++) {
			struct strbuf source, target;

			strbuf_init(&source);
			strbuf_init(&target);
			strbuf_addf(&source, "NATS/1.0\r\nA: 1\r\n%s\r\n x\r\nB:2 \r\n\r\n", table[i].in);
			strbuf_adds(&target, "NATS/1.0\r\n" OWN);
			header_copy_lines(accept != 0 ? &all : &safe, source.data, source.len, &target);
			strbuf_adds(&target, "Nats-Msg-Id: own:t:1:1\r\n\r\n");
			ck_assert_msg(equal(source.data, target.data), "%s", target.data);
			strbuf_fini(&source);
			strbuf_fini(&target);
		}
	}
	ck_assert(equal(NULL, BLOCK(OWN)));
	ck_assert(equal(BLOCK(""), BLOCK(OWN)));
	ck_assert(equal(BLOCK("A: 1\r\nB: 2\r\n"), BLOCK("A: 1\r\n" OWN "B: 2\r\n")));
	ck_assert(equal(NULL, NULL));
}
END_TEST

START_TEST(unequal_when_anything_differs)
{
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN)));
	ck_assert(!equal(BLOCK("A: 1\r\n"), NULL));
	ck_assert(!equal(NULL, BLOCK(OWN "A: 1\r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN "A: 2\r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN "a: 1\r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN "A:1\r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN "A: 1 \r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\n"), BLOCK(OWN "A: 1\r\nA: 1\r\n")));
	ck_assert(!equal(BLOCK("A: 1\r\nB: 2\r\n"), BLOCK(OWN "B: 2\r\nA: 1\r\n")));
	ck_assert(!equal(BLOCK("Nats-Msg-Id: 1\r\n"), BLOCK(OWN)));
	ck_assert(!equal(BLOCK("Nats-Msg-Id: 1\r\n"), BLOCK(OWN "Nats-Msg-Id: 1\r\n")));
	ck_assert(!equal(BLOCK("Nats-Trace-Only: 1\r\n"), BLOCK(OWN "Nats-Trace-Only: 1\r\n")));
	ck_assert(!equal(NULL, BLOCK(OWN "Nats-Expected-Stream: S\r\n")));
	/* one policy for the whole message: no server accepts one Nats-TTL and not the other */
	ck_assert(!equal(BLOCK("Nats-TTL: 1\r\nNats-TTL: 2\r\n"),
			 BLOCK("Nats-TTL: 1\r\nChoria-SR-Nats-TTL: 2\r\n")));
}
END_TEST

/* A value ends with its line, whatever the next one begins with. */
START_TEST(numbers_are_read)
{
	const char *block = "NATS/1.0 100\r\nNats-Last-Consumer: 4711\r\nEmpty:\r\n12: x\r\nWord: no\r\n\r\n";
	size_t len = strlen(block);

	ck_assert_uint_eq(header_number(block, len, "Nats-Last-Consumer"), 4711);
	ck_assert_uint_eq(header_number(block, len, "Empty"), 0);
	ck_assert_uint_eq(header_number(block, len, "Word"), 0);
	ck_assert_uint_eq(header_number(block, len, "Missing"), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("header");
	TCase *tc = tcase_create("header");

	tcase_add_loop_test(tc, keeps_odd_lines, 0, COUNT(kept));
	tcase_add_test(tc, keeps_very_long);
	tcase_add_test(tc, numbers_are_read);
	tcase_add_test(tc, no_headers_are_fine);
	tcase_add_test(tc, appends_to_what_is_there);
	tcase_add_loop_test(tc, refuses_malformed, 0, COUNT(malformed));
	tcase_add_loop_test(tc, applies_each_row, 0, COUNT(table));
	tcase_add_test(tc, applies_to_every_occurrence);
	tcase_add_test(tc, table_can_be_printed);
	tcase_add_test(tc, walks_lines);
	tcase_add_test(tc, tells_inline_status);
	tcase_add_test(tc, path_finds_whole_names);
	tcase_add_test(tc, path_is_written_anew);
	tcase_add_test(tc, equal_what_copying_makes);
	tcase_add_test(tc, unequal_when_anything_differs);
	suite_add_tcase(s, tc);
	return s;
}
