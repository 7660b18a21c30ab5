/* What a jump in the source's sequence means. */
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/gap.h"

static struct gap g;
static struct gap_counts counts;

static void
begin(bool filtered, uint64_t seq, bool first_start)
{
	memset(&g, 0, sizeof g);
	gap_begin(&g, filtered, seq, first_start);
}

static bool
take(uint64_t stream_seq, uint64_t consumer_seq, uint64_t pending)
{
	const struct jsack ack = {
	    .delivered = 1, .stream_seq = stream_seq, .consumer_seq = consumer_seq, .pending = pending};

	return gap_take(&g, &ack, &counts);
}

static void
ck_counts(uint64_t filtered, uint64_t deleted, uint64_t expired)
{
	ck_assert_uint_eq(counts.filtered, filtered);
	ck_assert_uint_eq(counts.deleted, deleted);
	ck_assert_uint_eq(counts.expired, expired);
}

static void
ck_expired_range(uint64_t from, uint64_t to)
{
	ck_assert_uint_eq(counts.expired_range.from, from);
	ck_assert_uint_eq(counts.expired_range.to, to);
}

START_TEST(neighbours_are_no_gap)
{
	begin(false, 41, false);
	ck_assert(!take(42, 1, 10));
	ck_assert(!take(43, 2, 9));
	ck_counts(0, 0, 0);
	gap_classify(&g, 1, &counts);
	ck_counts(0, 0, 0);
}
END_TEST

START_TEST(what_lies_before_a_first_start_is_no_gap)
{
	begin(false, 0, true);
	ck_assert(!take(1000, 1, 1));
	ck_assert(take(1002, 2, 0));
	gap_classify(&g, 1000, &counts);
	ck_counts(0, 1, 0);
}
END_TEST

START_TEST(behind_a_known_position_the_first_jump_counts)
{
	begin(false, 100, false);
	ck_assert(take(111, 1, 0));
	gap_classify(&g, 111, &counts);
	ck_counts(0, 0, 10);
	ck_expired_range(101, 110);
}
END_TEST

START_TEST(the_streams_first_sequence_tells_expired_from_deleted)
{
	begin(false, 100, false);
	ck_assert(take(111, 1, 9));
	gap_classify(&g, 50, &counts);
	ck_counts(0, 10, 0);
	ck_expired_range(0, 0);
	ck_assert(take(121, 2, 8));
	gap_classify(&g, 115, &counts);
	ck_counts(0, 6, 3);
	ck_expired_range(112, 114);
	ck_assert(!take(122, 3, 7));
}
END_TEST

/* The edges: the first sequence is the range's first, its last, and the one behind it. */
START_TEST(edges_of_a_range)
{
	static const struct {
		uint64_t first, deleted, expired;
	} cases[] = {{101, 10, 0}, {102, 9, 1}, {110, 1, 9}, {111, 0, 10}, {0, 10, 0}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(false, 100, false);
		take(111, 1, 0);
		gap_classify(&g, cases[i].first, &counts);
		ck_counts(0, cases[i].deleted, cases[i].expired);
	}
}
END_TEST

START_TEST(a_range_is_classified_once)
{
	begin(false, 1, false);
	ck_assert(take(5, 1, 0));
	ck_assert(take(6, 2, 0)); /* still waits */
	gap_classify(&g, 1, &counts);
	ck_counts(0, 3, 0);
	gap_classify(&g, 1, &counts);
	ck_counts(0, 0, 0);
}
END_TEST

START_TEST(more_ranges_than_are_kept_are_counted_all_the_same)
{
	uint64_t seq = 1;

	begin(false, 0, false);
	take(1, 1, 0);
	for (int i = 0; i < GAP_RANGES_MAX * 3; i++) /* two missing, then two there */
		for (seq += 3, take(seq, 1, 0), seq += 1, take(seq, 1, 0); false;)
			;
	gap_classify(&g, 1, &counts);
	ck_counts(0, (uint64_t)GAP_RANGES_MAX * 3 * 2, 0);
	for (int i = 0; i < GAP_RANGES_MAX * 3; i++) {
		seq += 3;
		take(seq, 1, 0);
	}
	gap_classify(&g, seq, &counts);
	ck_counts(0, 0, (uint64_t)GAP_RANGES_MAX * 3 * 2);
}
END_TEST

START_TEST(a_rewind_does_not_count_them_again)
{
	for (int filtered = 0; filtered < 2; filtered++) {
		begin(filtered != 0, 10, false);
		take(15, 1, 100); /* 4 missing */
		ck_counts(filtered ? 4 : 0, 0, 0);
		take(20, 2, 99); /* 4 missing */
		gap_classify(&g, 1, &counts);
		ck_assert_uint_eq(counts.deleted, filtered ? 0 : 8);
		gap_begin(&g, filtered != 0, 12, false);
		ck_assert(!take(15, 1, 100));
		ck_counts(0, 0, 0);
		ck_assert(!take(20, 2, 99));
		ck_counts(0, 0, 0);
		take(25, 3, 98); /* and four new ones */
		ck_assert_uint_eq(counts.filtered, filtered ? 4 : 0);
		gap_classify(&g, 1, &counts);
		ck_assert_uint_eq(counts.deleted, filtered ? 0 : 4);
	}
}
END_TEST

/* A message that was there before and is not there when it should come again. */
START_TEST(a_rewind_counts_what_is_new_of_a_jump)
{
	begin(false, 10, false);
	take(11, 1, 0);
	take(12, 2, 0);
	gap_begin(&g, false, 10, false);
	ck_assert(take(20, 1, 0));
	gap_classify(&g, 1, &counts);
	ck_counts(0, 7, 0);
}
END_TEST

START_TEST(another_stream_begins_anew)
{
	begin(false, 1000, false);
	take(1005, 1, 0);
	gap_begin(&g, false, 0, false);
	ck_assert(take(10, 1, 0));
	gap_classify(&g, 1, &counts);
	ck_counts(0, 9, 0);
}
END_TEST

START_TEST(with_filters_a_jump_did_not_match)
{
	begin(true, 10, false);
	ck_assert(!take(100, 1, 50));
	ck_counts(89, 0, 0);
	ck_assert(!take(200, 2, 49));
	ck_counts(99, 0, 0);
	ck_assert(!take(300, 3, 60)); /* new ones have come */
	ck_counts(99, 0, 0);
}
END_TEST

START_TEST(with_filters_the_pending_count_tells_what_was_lost)
{
	begin(true, 10, false);
	take(100, 1, 50);
	ck_assert(!take(200, 2, 39)); /* 49 were to follow: ten are gone */
	ck_counts(89, 0, 10);
	ck_expired_range(101, 199);
	take(203, 3, 20); /* no more can be gone than lie between */
	ck_counts(0, 0, 2);
	take(300, 5, 0); /* a delivery was passed over: the count says nothing */
	ck_counts(96, 0, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gap");
	TCase *tc = tcase_create("gap");

	tcase_add_test(tc, neighbours_are_no_gap);
	tcase_add_test(tc, what_lies_before_a_first_start_is_no_gap);
	tcase_add_test(tc, behind_a_known_position_the_first_jump_counts);
	tcase_add_test(tc, the_streams_first_sequence_tells_expired_from_deleted);
	tcase_add_test(tc, edges_of_a_range);
	tcase_add_test(tc, a_range_is_classified_once);
	tcase_add_test(tc, more_ranges_than_are_kept_are_counted_all_the_same);
	tcase_add_test(tc, a_rewind_does_not_count_them_again);
	tcase_add_test(tc, a_rewind_counts_what_is_new_of_a_jump);
	tcase_add_test(tc, another_stream_begins_anew);
	tcase_add_test(tc, with_filters_a_jump_did_not_match);
	tcase_add_test(tc, with_filters_the_pending_count_tells_what_was_lost);
	suite_add_tcase(s, tc);
	return s;
}
