/* What is had of each node that gossips with numbers: runs, snapshots, positions, two leaders. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/gossip_peers.h"

static struct gossip_peers peers;
static struct mono now;
static uint64_t rounds;
static const struct gossip_nonce a = {"a"}, b = {"b"};

static void
setup(void)
{
	gossip_peers_init(&peers);
	rounds = 7;
	now = (struct mono){1000000000};
}

static void
later(int64_t ms)
{
	now = mono_add_ms(now, ms);
}

static void
items(const struct gossip_nonce *who, uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		gossip_peers_item(&peers, who, from, now);
}

static void
snapshot(const struct gossip_nonce *who, uint64_t number)
{
	struct gossip_position from = {.nonce = *who, .number = number, .round = rounds};

	gossip_peers_snapshot(&peers, &from, now);
}

static void
says(const struct gossip_nonce *who, uint64_t number, uint64_t target_seq, bool leaves)
{
	struct gossip_position p = {
	    .nonce = *who, .number = number, .round = ++rounds, .leaves = leaves, .has_note = target_seq > 0};

	p.note.target_seq = target_seq;
	gossip_peers_position(&peers, &p, now);
}

/* The target sequence of the position that counts now, 0 for none. */
static uint64_t
taken(void)
{
	struct sample_note note;

	return gossip_peers_take(&peers, now, &note) ? note.target_seq : 0;
}

START_TEST(a_snapshot_and_all_numbers_since_are_all)
{
	items(&a, 8, 12);
	says(&a, 12, 100, false);
	ck_assert(!gossip_peers_in_step(&peers, now));
	ck_assert(gossip_peers_missed(&peers, now));
	ck_assert_uint_eq(taken(), 0);
	snapshot(&a, 9);
	ck_assert(gossip_peers_in_step(&peers, now));
	ck_assert(!gossip_peers_missed(&peers, now));
	says(&a, 12, 101, false);
	ck_assert_uint_eq(taken(), 101);
	ck_assert_uint_eq(taken(), 0);
	items(&a, 13, 13);
	says(&a, 13, 102, false);
	ck_assert_uint_eq(taken(), 102);
}
END_TEST

START_TEST(a_snapshot_from_before_the_run_is_not_enough)
{
	items(&a, 8, 12);
	says(&a, 12, 100, false);
	snapshot(&a, 6);
	ck_assert(!gossip_peers_in_step(&peers, now));
	snapshot(&a, 7);
	ck_assert(gossip_peers_in_step(&peers, now));
}
END_TEST

START_TEST(items_may_come_after_the_snapshot_that_holds_them)
{
	snapshot(&a, 5);
	items(&a, 4, 6);
	says(&a, 6, 100, false);
	ck_assert_uint_eq(taken(), 100);
}
END_TEST

START_TEST(the_first_item_of_a_life_follows_a_snapshot_of_none)
{
	snapshot(&a, 0);
	items(&a, 1, 2);
	says(&a, 2, 100, false);
	ck_assert_uint_eq(taken(), 100);
	setup();
	snapshot(&a, 0);
	items(&a, 2, 2);
	says(&a, 2, 100, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(gossip_peers_missed(&peers, now));
}
END_TEST

START_TEST(a_missing_number_needs_a_snapshot)
{
	snapshot(&a, 5);
	says(&a, 5, 100, false);
	ck_assert_uint_eq(taken(), 100);
	items(&a, 6, 6);
	items(&a, 8, 9);
	says(&a, 9, 101, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(!gossip_peers_in_step(&peers, now));
	ck_assert(gossip_peers_missed(&peers, now));
	snapshot(&a, 9);
	says(&a, 9, 102, false);
	ck_assert_uint_eq(taken(), 102);
}
END_TEST

START_TEST(a_position_waits_for_its_number)
{
	snapshot(&a, 5);
	items(&a, 6, 6);
	says(&a, 8, 100, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(gossip_peers_in_step(&peers, now));
	items(&a, 7, 7);
	ck_assert_uint_eq(taken(), 0);
	/* A later one does not take its place before it is reached. */
	says(&a, 9, 101, false);
	items(&a, 8, 8);
	ck_assert_uint_eq(taken(), 100);
	says(&a, 9, 102, false);
	items(&a, 9, 9);
	ck_assert_uint_eq(taken(), 102);
}
END_TEST

START_TEST(a_position_that_was_not_taken_is_not_mixed_with_the_next)
{
	snapshot(&a, 5);
	says(&a, 5, 100, false);
	says(&a, 7, 101, false);
	ck_assert_uint_eq(taken(), 0);
	items(&a, 6, 7);
	ck_assert_uint_eq(taken(), 101);
}
END_TEST

START_TEST(the_last_numbers_can_be_missed_too)
{
	snapshot(&a, 5);
	says(&a, 7, 100, false);
	later(GOSSIP_PEERS_LATE_MS - 1);
	says(&a, 7, 100, false);
	ck_assert(!gossip_peers_missed(&peers, now));
	ck_assert(gossip_peers_in_step(&peers, now));
	later(1);
	ck_assert(!gossip_peers_in_step(&peers, now));
	ck_assert(gossip_peers_missed(&peers, now));
	snapshot(&a, 7);
	says(&a, 7, 101, false);
	ck_assert_uint_eq(taken(), 101);
}
END_TEST

START_TEST(a_mark_from_before_the_snapshot_does_not_count)
{
	snapshot(&a, 5);
	rounds--;
	says(&a, 5, 100, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(gossip_peers_in_step(&peers, now));
	says(&a, 5, 101, false);
	ck_assert_uint_eq(taken(), 101);
}
END_TEST

START_TEST(of_two_leaders_neither_counts_until_one_is_silent)
{
	snapshot(&a, 5);
	snapshot(&b, 0);
	says(&a, 5, 100, false);
	ck_assert_uint_eq(taken(), 100);
	says(&b, 0, 90, false);
	says(&a, 5, 101, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(!gossip_peers_in_step(&peers, now));
	ck_assert(!gossip_peers_alone(&peers, &b, now));
	later(GOSSIP_PEERS_SPEAKS_MS - 100);
	says(&b, 0, 91, false);
	ck_assert_uint_eq(taken(), 0);
	later(100);
	ck_assert(gossip_peers_alone(&peers, &b, now));
	ck_assert_uint_eq(taken(), 91);
	ck_assert(gossip_peers_in_step(&peers, now));
}
END_TEST

START_TEST(a_leader_that_leaves_makes_way_at_once)
{
	snapshot(&a, 5);
	snapshot(&b, 0);
	says(&a, 5, 100, false);
	says(&a, 6, 101, true);
	ck_assert_uint_eq(taken(), 0);
	items(&a, 6, 6);
	ck_assert_uint_eq(taken(), 101);
	says(&b, 0, 102, false);
	ck_assert_uint_eq(taken(), 102);
	ck_assert(gossip_peers_in_step(&peers, now));
}
END_TEST

START_TEST(a_number_alone_says_nothing_of_the_position)
{
	snapshot(&a, 5);
	says(&a, 5, 0, false);
	ck_assert_uint_eq(taken(), 0);
	ck_assert(gossip_peers_in_step(&peers, now));
}
END_TEST

START_TEST(a_flood_of_names_does_not_push_out_who_speaks)
{
	snapshot(&a, 5);
	says(&a, 5, 100, false);
	for (int i = 0; i < 1000; i++) {
		struct gossip_nonce n;

		snprintf(n.text, sizeof n.text, "flood%d", i);
		later(1);
		items(&n, 1, 1);
	}
	items(&a, 6, 6);
	says(&a, 6, 101, false);
	ck_assert_uint_eq(taken(), 101);
	ck_assert(gossip_peers_in_step(&peers, now));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gossip_peers");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_snapshot_and_all_numbers_since_are_all);
	tcase_add_test(tc, a_snapshot_from_before_the_run_is_not_enough);
	tcase_add_test(tc, items_may_come_after_the_snapshot_that_holds_them);
	tcase_add_test(tc, the_first_item_of_a_life_follows_a_snapshot_of_none);
	tcase_add_test(tc, a_missing_number_needs_a_snapshot);
	tcase_add_test(tc, a_position_waits_for_its_number);
	tcase_add_test(tc, a_position_that_was_not_taken_is_not_mixed_with_the_next);
	tcase_add_test(tc, the_last_numbers_can_be_missed_too);
	tcase_add_test(tc, a_mark_from_before_the_snapshot_does_not_count);
	tcase_add_test(tc, of_two_leaders_neither_counts_until_one_is_silent);
	tcase_add_test(tc, a_leader_that_leaves_makes_way_at_once);
	tcase_add_test(tc, a_number_alone_says_nothing_of_the_position);
	tcase_add_test(tc, a_flood_of_names_does_not_push_out_who_speaks);
	suite_add_tcase(s, tc);
	return s;
}
