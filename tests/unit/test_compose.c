/* What a copy looks like: subject and header lines, byte by byte. */
#include <stdio.h>
#include <string.h>

#include "common/origin.h"
#include "tests/unit/unit.h"
#include "worker/compose.h"

static char name_site[] = "EAST", name_topic[] = "orders", name_stream[] = "ORDERS", nothing[] = "";
static struct conf conf;
static struct conf_topic topic;
static struct composer *c;

static void
begin(const char *prefix, const char *remove, const char *target_name)
{
	static char texts[3][64];
	const struct header_policy policy = {0};

	snprintf(texts[0], sizeof texts[0], "%s", prefix);
	snprintf(texts[1], sizeof texts[1], "%s", remove);
	snprintf(texts[2], sizeof texts[2], "%s", target_name);
	conf = (struct conf){.name = name_site};
	topic = (struct conf_topic){.key = name_topic,
				    .stream = name_stream,
				    .target_subject_prefix = texts[0],
				    .target_subject_remove = texts[1],
				    .target_name = texts[2],
				    .adopt = nothing};
	compose_free(&c);
	c = compose_new(&conf, &topic);
	compose_set_policy(c, &policy);
	compose_set_source_created(c, INT64_C(1700000000123456789));
}

static void
setup(void)
{
	begin("", "", "");
}

static void
teardown(void)
{
	compose_free(&c);
	ck_assert_ptr_null(c);
}

static struct compose_source
message(const char *headers)
{
	return (struct compose_source){.subject = "orders.new",
				       .headers = headers,
				       .headers_len = headers != NULL ? strlen(headers) : 0,
				       .seq = 18446744073709551615U,
				       .stored_ms = 1767323045678};
}

static const char *
compose(const char *headers, enum compose_mode mode, uint64_t expected_last)
{
	const struct compose_source m = message(headers);
	size_t len;
	const char *lines = compose_headers(c, &m, mode, expected_last, &len);

	if (lines != NULL)
		ck_assert_uint_eq(strlen(lines), len);
	return lines;
}

#define ORIGIN_LINE "Choria-SR-Source: ORDERS 18446744073709551615 EAST orders 1767323045678\r\n"
#define PATH_LINE   "Choria-SR-Path: EAST\r\n"

START_TEST(a_message_without_headers)
{
	ck_assert_str_eq(compose(NULL, COMPOSE_CHAIN, 41),
			 "Nats-Expected-Last-Sequence: 41\r\n" ORIGIN_LINE PATH_LINE);
	ck_assert_str_eq(compose(NULL, COMPOSE_CHAIN, 0),
			 "Nats-Expected-Last-Sequence: 0\r\n" ORIGIN_LINE PATH_LINE);
	ck_assert_str_eq(compose("", COMPOSE_CHAIN, UINT64_MAX),
			 "Nats-Expected-Last-Sequence: 18446744073709551615\r\n" ORIGIN_LINE PATH_LINE);
}
END_TEST

START_TEST(headers_are_carried_as_they_are)
{
	ck_assert_str_eq(compose("NATS/1.0\r\nb:1\r\nA:  two \r\nEmpty:\r\nb: 3\r\n\r\n", COMPOSE_CHAIN, 7),
			 "Nats-Expected-Last-Sequence: 7\r\n" ORIGIN_LINE
			 "b:1\r\nA:  two \r\nEmpty:\r\nb: 3\r\n" PATH_LINE);
}
END_TEST

START_TEST(beside_others_a_copy_has_a_message_id)
{
	ck_assert_str_eq(compose("NATS/1.0\r\nNats-Msg-Id: theirs\r\n\r\n", COMPOSE_SUBJECT, 7),
			 "Nats-Msg-Id: EAST:orders:1700000000123456789:18446744073709551615\r\n" ORIGIN_LINE
			 "Choria-SR-Msg-Id: theirs\r\n" PATH_LINE);
	/* another incarnation of the source has other ids */
	compose_set_source_created(c, 5);
	ck_assert_ptr_nonnull(strstr(compose(NULL, COMPOSE_SUBJECT, 0), "Nats-Msg-Id: EAST:orders:5:1844"));
}
END_TEST

START_TEST(commands_and_earlier_hops_do_not_pass)
{
	const char *lines = compose(
	    "NATS/1.0\r\nNats-Expected-Last-Sequence: 3\r\nnats-expected-stream: X\r\nNats-Rollup: all\r\n"
	    "Choria-SR-Source: OTHER 3 WEST other 5\r\nChoria-SR-Path: NORTH, WEST\r\nx: 1\r\n\r\n",
	    COMPOSE_CHAIN, 9);

	ck_assert_str_eq(lines, "Nats-Expected-Last-Sequence: 9\r\n" ORIGIN_LINE
				"Choria-SR-Previous-Source: OTHER 3 WEST other 5\r\nx: 1\r\n"
				"Choria-SR-Path: NORTH,WEST,EAST\r\n");
}
END_TEST

/* Server 2.9 takes the first occurrence of the name, wherever it is; many readers stop at an empty line. */
START_TEST(our_lines_come_first)
{
	static const char *const blocks[] = {
	    "NATS/1.0\r\nX: Nats-Expected-Last-Sequence: 1\r\n\r\n",
	    "NATS/1.0\r\nX-Nats-Expected-Last-Sequence: 1\r\n\r\n",
	    "NATS/1.0\r\na: 1\r\n\r\nb: 2\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		static const char first[] = "Nats-Expected-Last-Sequence: 55\r\n" ORIGIN_LINE;
		const char *lines = compose(blocks[i], COMPOSE_CHAIN, 55);

		ck_assert_ptr_nonnull(lines);
		ck_assert_int_eq(strncmp(lines, first, sizeof first - 1), 0);
	}
}
END_TEST

START_TEST(a_block_that_is_not_well_formed_is_refused)
{
	static const char *const blocks[] = {"NATS/1.0\r\na: 1\r\n", "HTTP/1.1\r\n\r\n",
					     "NATS/1.0 503\r\n\r\n", "NATS/1.0\r\n folded\r\n\r\n"};

	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
		ck_assert_ptr_null(compose(blocks[i], COMPOSE_CHAIN, 1));
	/* and leaves nothing behind for the next one */
	ck_assert_str_eq(compose(NULL, COMPOSE_CHAIN, 41),
			 "Nats-Expected-Last-Sequence: 41\r\n" ORIGIN_LINE PATH_LINE);
}
END_TEST

START_TEST(the_origin_is_read_back)
{
	struct compose_source m = message("NATS/1.0\r\nChoria-SR-Source: A 1 B C 2\r\na: 1\r\n\r\n");
	char block[1024];
	struct origin origin;
	size_t len;

	m.seq = 4711;
	snprintf(block, sizeof block, "NATS/1.0\r\n%s\r\n", compose_headers(c, &m, COMPOSE_CHAIN, 1, &len));
	ck_assert_int_eq(origin_from_headers(block, strlen(block), &origin), 0);
	ck_assert_str_eq(origin.stream, "ORDERS");
	ck_assert_str_eq(origin.site, "EAST");
	ck_assert_str_eq(origin.topic, "orders");
	ck_assert_int_eq(origin.seq, 4711);
	ck_assert_int_eq(origin.stored_ms, 1767323045678);
	ck_assert(header_equal_after_copy(m.headers, m.headers_len, block, strlen(block)));
}
END_TEST

START_TEST(the_value_is_carried)
{
	struct compose_source m = message("NATS/1.0\r\nChoria-SR-Value: of an earlier hop\r\na: 1\r\n\r\n");
	size_t len;

	m.value = "node1";
	ck_assert_str_eq(compose_headers(c, &m, COMPOSE_CHAIN, 41, &len),
			 "Nats-Expected-Last-Sequence: 41\r\n" ORIGIN_LINE
			 "Choria-SR-Value: node1\r\na: 1\r\n" PATH_LINE);
	m.value = NULL;
	ck_assert_str_eq(compose_headers(c, &m, COMPOSE_CHAIN, 41, &len),
			 "Nats-Expected-Last-Sequence: 41\r\n" ORIGIN_LINE "a: 1\r\n" PATH_LINE);
}
END_TEST

START_TEST(a_dead_letter_says_why)
{
	struct compose_source m = message("NATS/1.0\r\na: 1\r\n\r\n");
	size_t len;
	const char *lines;

	m.seq = 12;
	lines = compose_dead_letter(c, &m, "too large (10054)", &len);
	ck_assert_uint_eq(strlen(lines), len);
	ck_assert_str_eq(lines, "Nats-Msg-Id: EAST:orders:1700000000123456789:12\r\n"
				"Choria-SR-Source: ORDERS 12 EAST orders 1767323045678\r\n"
				"Choria-SR-Reject-Reason: too large (10054)\r\n"
				"Choria-SR-Reject-Subject: orders.new\r\na: 1\r\n" PATH_LINE);
	/* what made it one is left out */
	m = message("no block at all");
	m.seq = 13;
	lines = compose_dead_letter(c, &m, "bad\r\nInjected: 1\x01", &len);
	ck_assert_str_eq(lines, "Nats-Msg-Id: EAST:orders:1700000000123456789:13\r\n"
				"Choria-SR-Source: ORDERS 13 EAST orders 1767323045678\r\n"
				"Choria-SR-Reject-Reason: bad  Injected: 1 \r\n"
				"Choria-SR-Reject-Subject: orders.new\r\n");
}
END_TEST

START_TEST(subjects_are_mapped)
{
	static const char same[] = "a.b.c";

	ck_assert_ptr_eq(compose_subject(c, same), same);
	begin("east", "", "");
	ck_assert_str_eq(compose_subject(c, "a.b"), "east.a.b");
	begin("", ".b", "");
	ck_assert_str_eq(compose_subject(c, "a.b.c"), "a.c");
	begin("east", "a", "");
	ck_assert_str_eq(compose_subject(c, "a.b"),
			 "est.b"); /* every occurrence, as the existing system has it */
	begin("", "gone", "");
	ck_assert_ptr_null(compose_subject(c, "gone"));
	ck_assert_str_eq(compose_subject(c, "kept"), "kept");
}
END_TEST

START_TEST(loops_are_seen)
{
	static const char to_west[] = "NATS/1.0\r\nChoria-SR-Path: NORTH,WEST\r\n\r\n",
			  here[] = "NATS/1.0\r\nChoria-SR-Path: EAST\r\n\r\n",
			  near[] = "NATS/1.0\r\nChoria-SR-Path: EASTERN,FAREAST\r\nX: EAST\r\n\r\n";

	ck_assert(!compose_is_loop(c, NULL, 0));
	ck_assert(!compose_is_loop(c, to_west, strlen(to_west)));
	ck_assert(compose_is_loop(c, here, strlen(here)));
	ck_assert(!compose_is_loop(c, near, strlen(near)));
	begin("", "", "WEST");
	ck_assert(compose_is_loop(c, to_west, strlen(to_west)));
	ck_assert(compose_is_loop(c, here, strlen(here)));
	ck_assert(!compose_is_loop(c, near, strlen(near)));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("compose");
	TCase *tc = tcase_create("copy");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_message_without_headers);
	tcase_add_test(tc, headers_are_carried_as_they_are);
	tcase_add_test(tc, beside_others_a_copy_has_a_message_id);
	tcase_add_test(tc, commands_and_earlier_hops_do_not_pass);
	tcase_add_test(tc, our_lines_come_first);
	tcase_add_test(tc, a_block_that_is_not_well_formed_is_refused);
	tcase_add_test(tc, the_origin_is_read_back);
	tcase_add_test(tc, the_value_is_carried);
	tcase_add_test(tc, a_dead_letter_says_why);
	tcase_add_test(tc, subjects_are_mapped);
	tcase_add_test(tc, loops_are_seen);
	suite_add_tcase(s, tc);
	return s;
}
