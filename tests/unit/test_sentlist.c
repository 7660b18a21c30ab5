/* Whether what was sent before comes again in the same slots. */
#include "tests/unit/unit.h"
#include "worker/sentlist.h"

static struct sentlist l;

static void
sent(uint64_t slot, uint64_t a, uint64_t b, uint64_t c)
{
	sentlist_clear(&l);
	sentlist_push(&l, a);
	sentlist_push(&l, b);
	sentlist_push(&l, c);
	l.slot = slot;
}

START_TEST(the_same_again_is_the_same_map)
{
	sent(41, 10, 12, 15);
	ck_assert(sentlist_skip(&l, 9));
	ck_assert(sentlist_send(&l, 10));
	ck_assert_uint_eq(l.slot, 42);
	ck_assert(sentlist_skip(&l, 11));
	ck_assert(sentlist_send(&l, 12));
	ck_assert(sentlist_send(&l, 15));
	/* behind it everything is new */
	ck_assert(sentlist_send(&l, 16));
	ck_assert(sentlist_skip(&l, 17));
}
END_TEST

START_TEST(anything_else_is_another_map)
{
	sent(41, 10, 12, 15);
	ck_assert(!sentlist_send(&l, 9)); /* was passed over before */
	sent(41, 10, 12, 15);
	ck_assert(!sentlist_send(&l, 12)); /* 10 did not come again */
	sent(41, 10, 12, 15);
	ck_assert(!sentlist_skip(&l, 10)); /* is passed over now */
	sent(41, 10, 12, 15);
	ck_assert(!sentlist_skip(&l, 11)); /* 10 did not come again */
}
END_TEST

START_TEST(what_is_settled_leaves)
{
	sent(41, 10, 12, 15);
	sentlist_settle(&l, 9);
	ck_assert_uint_eq(l.slot, 41);
	sentlist_settle(&l, 13);
	ck_assert_uint_eq(l.slot, 43);
	ck_assert(!sentlist_take(&l, 12));
	ck_assert(sentlist_take(&l, 15));
	ck_assert(!sentlist_take(&l, 15));
	ck_assert_uint_eq(l.slot, 44);
	sentlist_settle(&l, 1000);
	ck_assert_uint_eq(l.slot, 44);
}
END_TEST

START_TEST(holds_a_whole_window)
{
	sentlist_clear(&l);
	l.slot = 1;
	for (uint64_t seq = 1; seq <= 40000; seq++)
		sentlist_push(&l, seq * 2);
	for (uint64_t seq = 1; seq <= 40000; seq++)
		ck_assert_msg(sentlist_send(&l, seq * 2), "%llu", (unsigned long long)seq);
	ck_assert_uint_eq(l.slot, 40001);
}
END_TEST

static void
setup(void)
{
	sentlist_init(&l);
}

static void
teardown(void)
{
	sentlist_fini(&l);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sentlist");
	TCase *tc = tcase_create("map");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_same_again_is_the_same_map);
	tcase_add_test(tc, anything_else_is_another_map);
	tcase_add_test(tc, what_is_settled_leaves);
	tcase_add_test(tc, holds_a_whole_window);
	suite_add_tcase(s, tc);
	return s;
}
