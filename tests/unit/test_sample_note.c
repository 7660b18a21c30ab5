/* Notes on what is whole: out and in, and what is not believed. */
#include <string.h>

#include "common/sample_note.h"
#include "tests/unit/unit.h"

static int
read_text(const char *text, struct sample_note *n)
{
	struct error e = ERROR_INIT;
	int result = sample_note_read(text, strlen(text), n, &e);

	ck_assert_msg((result < 0) == (e.text[0] != '\0'), "%s", e.text);
	return result;
}

START_TEST(reads_what_it_wrote)
{
	static struct sample_note n, back;
	struct strbuf text;

	n.source_created_ns = INT64_C(1767323045123456789);
	n.source_seq = INT64_C(9007199254740993);
	n.target_created_ns = INT64_MAX;
	n.target_seq = INT64_MAX;
	n.inspector = UINT32_MAX;
	n.heard_ms = INT64_C(1767323045678);
	n.gap_count = LISTENING_GAPS;
	for (int i = 0; i < LISTENING_GAPS; i++)
		n.gaps[i] = (struct listening_gap){i * 10, i * 10 + 7};
	strbuf_init(&text);
	sample_note_write(&n, &text);
	ck_assert_int_eq(read_text(text.data, &back), 0);
	ck_assert_mem_eq(&n, &back, sizeof n);
	ck_assert_uint_lt(text.len, 4096);
	strbuf_fini(&text);
}
END_TEST

START_TEST(passes_over_unknown_fields)
{
	struct sample_note n;

	ck_assert_int_eq(
	    read_text("{\"new\":{\"a\":[1]},\"source_created\":1,\"source_seq\":2,\"target_created\":3,"
		      "\"target_seq\":4,\"heard\":50,\"gaps\":[[0,5],[6,50]]}",
		      &n),
	    0);
	ck_assert_int_eq(n.source_created_ns, 1);
	ck_assert_uint_eq(n.source_seq, 2);
	ck_assert_int_eq(n.target_created_ns, 3);
	ck_assert_uint_eq(n.target_seq, 4);
	ck_assert_int_eq(n.heard_ms, 50);
	ck_assert_uint_eq(n.inspector, 0); /* of a note without it */
	ck_assert_uint_eq(n.gap_count, 2);
	ck_assert_int_eq(n.gaps[1].from_ms, 6);
	ck_assert_int_eq(n.gaps[1].to_ms, 50);
}
END_TEST

#define NOTE(seq, heard, gaps)                                                                               \
	"{\"source_created\":1,\"source_seq\":" seq                                                          \
	",\"target_created\":3,\"target_seq\":4,\"heard\":" heard ",\"gaps\":" gaps "}"

static const char *const refused[] = {
    "",
    "x",
    "[]",
    "null",
    "{}",
    NOTE("2", "50", "[]") "x",
    NOTE("-1", "50", "[]"),
    NOTE("2.0", "50", "[]"),
    NOTE("\"2\"", "50", "[]"),
    NOTE("18446744073709551615", "50", "[]"),
    NOTE("2,\"source_seq\":3", "50", "[]"),
    NOTE("2", "-50", "[]"),
    NOTE("2", "50", "{}"),
    NOTE("2", "50", "[1]"),
    NOTE("2", "50", "[[1]]"),
    NOTE("2", "50", "[[1,2,3]]"),
    NOTE("2", "50", "[[-1,2]]"),
    NOTE("2", "50", "[[2,2]]"),
    NOTE("2", "50", "[[3,2]]"),
    NOTE("2", "50", "[[1,\"2\"]]"),
    NOTE("2", "50", "[[1,51]]"),
    NOTE("2", "50", "[[1,5],[4,6]]"),
    NOTE("2", "50", "[[1,5],[5,6]]"),
    NOTE("2", "50", "[[10,11],[1,5]]"),
    NOTE("2", "50", "[],\"inspector\":-1"),
    NOTE("2", "50", "[],\"inspector\":4294967296"),
    NOTE("2", "50", "[],\"inspector\":\"x\""),
};

START_TEST(refuses_what_it_cannot_believe)
{
	static const struct sample_note none;
	struct sample_note n;

	memset(&n, 1, sizeof n);
	ck_assert_int_eq(read_text(NOTE("2", "50", "[[1,50]]"), &n), 0);
	ck_assert_msg(read_text(refused[_i], &n) < 0, "%s", refused[_i]);
	ck_assert_mem_eq(&n, &none, sizeof n);
}
END_TEST

START_TEST(refuses_too_many_gaps_and_too_long_texts)
{
	struct sample_note n;
	struct strbuf text;

	strbuf_init(&text);
	strbuf_adds(&text, "[");
	for (int i = 0; i <= LISTENING_GAPS; i++)
		strbuf_addf(&text, "%s[%d,%d]", i > 0 ? "," : "", 2 * i, 2 * i + 1);
	strbuf_adds(&text, "]");
	char *whole = text.data;
	struct strbuf note;

	strbuf_init(&note);
	strbuf_addf(&note, NOTE("2", "5000", "%s"), whole);
	ck_assert_int_lt(read_text(note.data, &n), 0);
	strbuf_reset(&note);
	strbuf_adds(&note, NOTE("2", "5000", "[]"));
	for (int i = 0; i < 20000; i++)
		strbuf_adds(&note, " ");
	ck_assert_int_lt(read_text(note.data, &n), 0);
	strbuf_fini(&note);
	strbuf_fini(&text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sample_note");
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, reads_what_it_wrote);
	tcase_add_test(tc, passes_over_unknown_fields);
	tcase_add_loop_test(tc, refuses_what_it_cannot_believe, 0, sizeof refused / sizeof refused[0]);
	tcase_add_test(tc, refuses_too_many_gaps_and_too_long_texts);
	suite_add_tcase(s, tc);
	return s;
}
