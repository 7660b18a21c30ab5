/* The reply subject of a delivery, in both its forms and in none. */
#include <string.h>

#include "common/jsack.h"
#include "tests/unit/unit.h"

static void
expect(const char *reply)
{
	struct jsack a;

	memset(&a, 0xff, sizeof a);
	ck_assert_msg(jsack_parse(reply, &a) == 0, "refused: %s", reply);
	ck_assert_uint_eq(a.delivered, 2);
	ck_assert_uint_eq(a.stream_seq, 3000000001);
	ck_assert_uint_eq(a.consumer_seq, 4);
	ck_assert_int_eq(a.stored_ns, INT64_C(1767323045123456789));
	ck_assert_uint_eq(a.pending, 6);
}

START_TEST(reads_both_forms)
{
	expect("$JS.ACK.STREAM.consumer.2.3000000001.4.1767323045123456789.6");
	expect("$JS.ACK._.hash.STREAM.consumer.2.3000000001.4.1767323045123456789.6");
	expect("$JS.ACK.hub.hash.STREAM.consumer.2.3000000001.4.1767323045123456789.6.random");
	expect("$JS.ACK.hub.hash.STREAM.consumer.2.3000000001.4.1767323045123456789.6.a.b.c..d");
}
END_TEST

START_TEST(reads_largest_numbers)
{
	struct jsack a;

	ck_assert_int_eq(jsack_parse("$JS.ACK.S.c.18446744073709551615.18446744073709551615."
				     "18446744073709551615.9223372036854775807.18446744073709551615",
				     &a),
			 0);
	ck_assert(a.delivered == UINT64_MAX && a.stream_seq == UINT64_MAX && a.consumer_seq == UINT64_MAX);
	ck_assert(a.stored_ns == INT64_MAX && a.pending == UINT64_MAX);
	ck_assert_int_eq(jsack_parse("$JS.ACK.S.c.0.0.0.0.0", &a), 0);
	ck_assert(a.pending == 0);
}
END_TEST

static const char *const refused[] = {
    "",
    "_INBOX.abc.1",
    "$JS.ACK",
    "$JS.ACK.",
    "$JS.ACK.S.c.1.2.3.4",                       /* a number short */
    "$JS.ACK.S.c.1.2.3.4.5.6",                   /* ten tokens are of neither form */
    "$JS.ACK.hub.hash.S.c.1.2.3.4",              /* ten again */
    "$JS.ACK.S.c.1.2.3.4.",                      /* empty number */
    "$JS.ACK..c.1.2.3.4.5",                      /* empty name */
    "$JS.ACK.S..1.2.3.4.5",                      /* empty name */
    "$JS.ACK.hub.hash..c.1.2.3.4.5",             /* empty name */
    "$JS.ACK.S.c.1.2x.3.4.5",                    /* no number */
    "$JS.ACK.S.c.1.-2.3.4.5",                    /* sign */
    "$JS.ACK.S.c.1. 2.3.4.5",                    /* blank */
    "$JS.ACK.S.c.1.18446744073709551616.3.4.5",  /* does not fit */
    "$JS.ACK.S.c.1.99999999999999999999.3.4.5",  /* does not fit */
    "$JS.ACK.S.c.1.000000000000000000001.3.4.5", /* more digits than any number has */
    "$JS.ACK.S.c.1.2.3.9223372036854775808.5",   /* a time that does not fit */
    "$js.ack.S.c.1.2.3.4.5",                     /* subjects have case */
    " $JS.ACK.S.c.1.2.3.4.5",
};

START_TEST(refuses_the_rest)
{
	struct jsack a;

	ck_assert_int_eq(jsack_parse(refused[_i], &a), -1);
}
END_TEST

START_TEST(refuses_null_and_long)
{
	static char text[100000];
	struct jsack a;

	ck_assert_int_eq(jsack_parse(NULL, &a), -1);
	memset(text, '.', sizeof text - 1);
	memcpy(text, "$JS.ACK.", 8);
	ck_assert_int_eq(jsack_parse(text, &a), -1);
	memset(text + 8, '1', sizeof text - 9);
	ck_assert_int_eq(jsack_parse(text, &a), -1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("jsack");
	TCase *tc = tcase_create("parse");

	tcase_add_test(tc, reads_both_forms);
	tcase_add_test(tc, reads_largest_numbers);
	tcase_add_loop_test(tc, refuses_the_rest, 0, (int)(sizeof refused / sizeof refused[0]));
	tcase_add_test(tc, refuses_null_and_long);
	suite_add_tcase(s, tc);
	return s;
}
