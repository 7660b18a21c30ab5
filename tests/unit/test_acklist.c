/* Which acknowledgement covers a settled sequence. */
#include "tests/unit/unit.h"
#include "worker/acklist.h"

static void
deliver(struct acklist *l, uint64_t stream_seq, uint64_t consumer_seq)
{
	acklist_add(l,
		    &(struct jsack){.delivered = 1, .stream_seq = stream_seq, .consumer_seq = consumer_seq});
}

static void
ck_take(struct acklist *l, uint64_t up_to, uint64_t stream_seq, uint64_t consumer_seq)
{
	struct jsack ack;

	ck_assert(acklist_take(l, up_to, &ack));
	ck_assert_uint_eq(ack.stream_seq, stream_seq);
	ck_assert_uint_eq(ack.consumer_seq, consumer_seq);
}

static void
ck_take_nothing(struct acklist *l, uint64_t up_to)
{
	struct jsack ack;

	ck_assert(!acklist_take(l, up_to, &ack));
}

START_TEST(takes_in_order_up_to_what_is_settled)
{
	struct acklist l;

	acklist_init(&l);
	ck_take_nothing(&l, UINT64_MAX);
	deliver(&l, 10, 1);
	deliver(&l, 12, 2);
	deliver(&l, 20, 3);
	ck_take_nothing(&l, 9);
	ck_take(&l, 13, 10, 1);
	ck_take(&l, 13, 12, 2);
	ck_take_nothing(&l, 13);
	ck_assert_uint_eq(acklist_count(&l), 1);
	ck_take(&l, 20, 20, 3);
	ck_assert_uint_eq(acklist_count(&l), 0);
	acklist_fini(&l);
}
END_TEST

START_TEST(a_redelivery_takes_the_place_of_the_first_one)
{
	struct acklist l;

	acklist_init(&l);
	for (uint64_t i = 1; i <= 5; i++)
		deliver(&l, i * 10, i);
	deliver(&l, 30, 6);
	deliver(&l, 10, 7);
	deliver(&l, 50, 8);
	ck_assert_uint_eq(acklist_count(&l), 5);
	ck_take(&l, 100, 10, 7);
	ck_take(&l, 100, 20, 2);
	ck_take(&l, 100, 30, 6);
	ck_take(&l, 100, 40, 4);
	ck_take(&l, 100, 50, 8);
	acklist_fini(&l);
}
END_TEST

START_TEST(a_late_first_delivery_finds_its_place)
{
	struct acklist l;

	acklist_init(&l);
	deliver(&l, 20, 1);
	deliver(&l, 40, 2);
	deliver(&l, 30, 3);
	deliver(&l, 10, 4);
	ck_assert(acklist_has(&l, 10));
	ck_assert(acklist_has(&l, 30));
	ck_assert(!acklist_has(&l, 25));
	ck_assert(!acklist_has(&l, 50));
	ck_take(&l, 35, 10, 4);
	ck_take(&l, 35, 20, 1);
	ck_take(&l, 35, 30, 3);
	ck_take_nothing(&l, 35);
	ck_assert(!acklist_has(&l, 30));
	acklist_fini(&l);
}
END_TEST

/* What was taken and is delivered again must be acknowledged again. */
START_TEST(one_that_was_taken_can_come_again)
{
	struct acklist l;

	acklist_init(&l);
	deliver(&l, 1, 1);
	deliver(&l, 2, 2);
	ck_take(&l, 1, 1, 1);
	deliver(&l, 1, 3);
	ck_take(&l, 2, 1, 3);
	ck_take(&l, 2, 2, 2);
	acklist_fini(&l);
}
END_TEST

START_TEST(grows_while_it_wraps_around)
{
	struct acklist l;
	uint64_t taken = 0, added = 0;

	acklist_init(&l);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 37 + round; i++, added++)
			deliver(&l, added + 1, added + 1);
		for (int i = 0; i < 30 + round; i++, taken++)
			ck_take(&l, UINT64_MAX, taken + 1, taken + 1);
		ck_assert_uint_eq(acklist_count(&l), added - taken);
		ck_assert(acklist_has(&l, taken + 1));
		ck_assert(!acklist_has(&l, taken));
	}
	acklist_clear(&l);
	ck_assert_uint_eq(acklist_count(&l), 0);
	ck_take_nothing(&l, UINT64_MAX);
	deliver(&l, 3, 1);
	ck_take(&l, 3, 3, 1);
	acklist_fini(&l);
}
END_TEST

/* Inserted in front of a full ring whose head is in its middle. */
START_TEST(inserts_into_a_full_ring)
{
	struct acklist l;

	acklist_init(&l);
	for (uint64_t i = 1; i <= 100; i++)
		deliver(&l, i, i);
	for (uint64_t i = 1; i <= 100; i++)
		ck_take(&l, 100, i, i);
	for (uint64_t i = 1; i <= 256; i++)
		deliver(&l, 1000 + 2 * i, i);
	deliver(&l, 1005, 999);
	ck_assert_uint_eq(acklist_count(&l), 257);
	ck_take(&l, 9999, 1002, 1);
	ck_take(&l, 9999, 1004, 2);
	ck_take(&l, 9999, 1005, 999);
	for (uint64_t i = 3; i <= 256; i++)
		ck_take(&l, 9999, 1000 + 2 * i, i);
	acklist_fini(&l);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("acklist");
	TCase *tc = tcase_create("list");

	tcase_add_test(tc, takes_in_order_up_to_what_is_settled);
	tcase_add_test(tc, a_redelivery_takes_the_place_of_the_first_one);
	tcase_add_test(tc, a_late_first_delivery_finds_its_place);
	tcase_add_test(tc, one_that_was_taken_can_come_again);
	tcase_add_test(tc, grows_while_it_wraps_around);
	tcase_add_test(tc, inserts_into_a_full_ring);
	suite_add_tcase(s, tc);
	return s;
}
