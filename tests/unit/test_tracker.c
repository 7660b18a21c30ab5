/* The table of tracked values: the edges of each function, a long random run against a plain model, and the
 * memory of a million values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "tests/unit/tracker_model.h"
#include "tests/unit/unit.h"
#include "worker/tracker.h"

#define SEED 20240229

static struct tracker_entry *
add(struct tracker *t, const char *value)
{
	return tracker_add(t, value, strlen(value));
}

static struct tracker_entry *
find(const struct tracker *t, const char *value)
{
	return tracker_find(t, value, strlen(value));
}

/* ---- values --------------------------------------------------------------------------------------- */

START_TEST(finds_what_was_added)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a"), *ab = add(t, "ab");
	size_t len;

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_eq(find(t, "a"), a);
	ck_assert_ptr_eq(find(t, "ab"), ab);
	ck_assert_ptr_null(find(t, "abc"));
	ck_assert_ptr_null(find(t, ""));
	ck_assert_str_eq(tracker_value(ab, &len), "ab");
	ck_assert_uint_eq(len, 2);
	ck_assert_uint_eq(tracker_count(t), 2);
	tracker_free(&t);
	ck_assert_ptr_null(t);
	tracker_free(&t);
}
END_TEST

START_TEST(all_lengths)
{
	struct tracker *t = tracker_new(1000, SEED);
	char value[SAMPLE_VALUE_MAX + 2];
	struct tracker_entry *made[SAMPLE_VALUE_MAX + 1];
	size_t len;

	memset(value, 'v', sizeof value);
	ck_assert_ptr_null(tracker_add(t, value, 0));
	ck_assert_ptr_null(tracker_add(t, value, SAMPLE_VALUE_MAX + 1));
	for (size_t i = 1; i <= SAMPLE_VALUE_MAX; i++)
		made[i] = tracker_add(t, value, i);
	for (size_t i = 1; i <= SAMPLE_VALUE_MAX; i++) {
		ck_assert_ptr_eq(tracker_find(t, value, i), made[i]);
		ck_assert_ptr_eq(tracker_at(t, tracker_id(t, made[i])), made[i]);
		ck_assert_mem_eq(tracker_value(made[i], &len), value, i);
		ck_assert_uint_eq(len, i);
		ck_assert_uint_eq((uintptr_t)made[i] % _Alignof(struct tracker_entry), 0);
	}
	ck_assert_ptr_null(tracker_find(t, value, SAMPLE_VALUE_MAX + 1));
	tracker_free(&t);
}
END_TEST

START_TEST(new_ones_are_zeros)
{
	struct tracker *t = tracker_new(1, SEED);
	struct tracker_entry *e = add(t, "one");

	memset(&e->settled, 1, sizeof e->settled);
	memset(&e->offered, 1, sizeof e->offered);
	e->pending = 3;
	e->advised = e->forgotten = true;
	e->held = 1;
	tracker_push(t, TRACKER_GOSSIP, e);
	tracker_schedule(t, e, 77);
	tracker_remove(t, e);
	e = add(t, "two");
	ck_assert(e->settled.seen_ms == 0 && e->settled.copied_ms == 0 && e->settled.size == 0);
	ck_assert(e->offered.seen_ms == 0 && e->offered.copied_ms == 0 && e->offered.size == 0);
	ck_assert(e->pending == 0 && !e->advised && !e->forgotten && e->held == 0 && !e->scheduled);
	ck_assert_ptr_null(tracker_pop(t, TRACKER_GOSSIP));
	tracker_free(&t);
}
END_TEST

START_TEST(full_table)
{
	struct tracker *t = tracker_new(2, SEED), *none = tracker_new(0, SEED);
	struct tracker_entry *a = add(t, "a");

	ck_assert_ptr_nonnull(add(t, "b"));
	ck_assert_ptr_null(add(t, "c"));
	ck_assert_ptr_null(find(t, "c"));
	tracker_remove(t, a);
	ck_assert_ptr_null(find(t, "a"));
	ck_assert_ptr_nonnull(add(t, "c"));
	ck_assert_uint_eq(tracker_count(t), 2);
	ck_assert_ptr_null(add(none, "a"));
	tracker_free(&t);
	tracker_free(&none);
}
END_TEST

START_TEST(ids_of_nothing)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a");
	uint32_t id = tracker_id(t, a);

	ck_assert_ptr_null(tracker_at(t, id + 1));
	ck_assert_ptr_null(tracker_at(t, UINT32_MAX));
	tracker_remove(t, a);
	ck_assert_ptr_null(tracker_at(t, id));
	tracker_free(&t);
}
END_TEST

/* ---- schedule ------------------------------------------------------------------------------------- */

#define NOW  INT64_C(1767323045678)
#define HOUR INT64_C(3600000)

static struct tracker_entry *
due(struct tracker *t, int64_t now_ms)
{
	bool more;
	struct tracker_entry *e = tracker_due(t, now_ms, 1000, &more);

	ck_assert(more == (e != NULL));
	return e;
}

START_TEST(due_when_its_time_has_come)
{
	static const int64_t far[] = {
	    1, 249, 250, 251, 64000, 64001, HOUR, 5 * HOUR, 24 * HOUR * 49, 24 * HOUR * 365 * 40};
	static const int64_t begin[] = {NOW, 0, 1, -NOW, INT64_C(16384000) * 3 - 250};

	for (size_t b = 0; b < sizeof begin / sizeof begin[0]; b++) {
		struct tracker *t = tracker_new(10, SEED);
		struct tracker_entry *e = add(t, "a");
		int64_t now = begin[b];

		ck_assert_ptr_null(due(t, now));
		for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
			int64_t at = now + far[i];

			tracker_schedule(t, e, at);
			ck_assert_ptr_null(due(t, now));
			ck_assert_ptr_null(due(t, at - 1));
			ck_assert_ptr_eq(due(t, at + 249), e);
			ck_assert_ptr_null(due(t, at + 249));
			now = at + 249;
		}
		tracker_free(&t);
	}
}
END_TEST

START_TEST(due_without_a_clock_before)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a"), *b = add(t, "b"), *c = add(t, "c");

	tracker_schedule(t, a, NOW);
	tracker_schedule(t, b, NOW - HOUR);
	tracker_schedule(t, c, 0);
	ck_assert_ptr_eq(due(t, NOW), c);
	ck_assert_ptr_eq(due(t, NOW), b);
	ck_assert_ptr_null(due(t, NOW - 1));
	ck_assert_ptr_eq(due(t, NOW + 249), a);
	tracker_free(&t);
}
END_TEST

START_TEST(later_call_counts)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a");

	ck_assert_ptr_null(due(t, NOW));
	tracker_schedule(t, a, NOW + 1000);
	tracker_schedule(t, a, NOW + HOUR);
	ck_assert_ptr_null(due(t, NOW + HOUR - 1));
	tracker_schedule(t, a, NOW + 3 * HOUR);
	tracker_schedule(t, a, NOW + 2 * HOUR);
	ck_assert_ptr_null(due(t, NOW + 2 * HOUR - 1));
	ck_assert_ptr_eq(due(t, NOW + 2 * HOUR + 249), a);
	ck_assert_ptr_null(due(t, NOW + 4 * HOUR));
	/* In the past: at once. */
	tracker_schedule(t, a, NOW);
	ck_assert_ptr_eq(due(t, NOW + 4 * HOUR), a);
	tracker_schedule(t, a, NOW + 5 * HOUR);
	tracker_remove(t, a);
	ck_assert_ptr_null(due(t, NOW + 9 * HOUR));
	tracker_free(&t);
}
END_TEST

START_TEST(extreme_times)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a"), *b = add(t, "b");

	tracker_schedule(t, a, INT64_MAX);
	tracker_schedule(t, b, INT64_MIN);
	ck_assert_ptr_eq(due(t, INT64_MIN + 250), b);
	ck_assert_ptr_null(due(t, NOW));
	ck_assert_ptr_null(due(t, INT64_MAX - 250));
	tracker_free(&t);
}
END_TEST

START_TEST(steps_are_bounded)
{
	struct tracker *t = tracker_new(100, SEED);
	unsigned calls = 0, given = 0;
	bool more = true;

	ck_assert_ptr_null(due(t, NOW));
	for (int i = 0; i < 100; i++) {
		char value[16];

		snprintf(value, sizeof value, "%d", i);
		tracker_schedule(t, add(t, value), NOW + HOUR + i * 250);
	}
	ck_assert_ptr_null(tracker_due(t, NOW + 2 * HOUR, 0, &more));
	ck_assert(more);
	while (more) {
		given += tracker_due(t, NOW + 2 * HOUR, 7, &more) != NULL;
		calls++;
	}
	ck_assert_uint_eq(given, 100);
	/* Each moves down at most twice and is given out; slots are passed singly only where something is. */
	ck_assert_uint_gt(calls, 100);
	ck_assert_uint_lt(calls, 200);
	tracker_free(&t);
}
END_TEST

/* ---- queues --------------------------------------------------------------------------------------- */

START_TEST(first_in_first_out)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a"), *b = add(t, "b");

	ck_assert_ptr_null(tracker_pop(t, TRACKER_STATE_DB));
	tracker_push(t, TRACKER_STATE_DB, b);
	tracker_push(t, TRACKER_STATE_DB, a);
	tracker_push(t, TRACKER_STATE_DB, b);
	tracker_push(t, TRACKER_GOSSIP, a);
	ck_assert_uint_eq(tracker_queued(t, TRACKER_STATE_DB), 2);
	ck_assert_uint_eq(tracker_queued(t, TRACKER_GOSSIP), 1);
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_STATE_DB), b);
	tracker_push(t, TRACKER_STATE_DB, b);
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_STATE_DB), a);
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_STATE_DB), b);
	ck_assert_ptr_null(tracker_pop(t, TRACKER_STATE_DB));
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_GOSSIP), a);
	tracker_free(&t);
}
END_TEST

START_TEST(places)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *a = add(t, "a"), *b = add(t, "b"), *c = add(t, "c");
	uint64_t empty = tracker_tail(t, TRACKER_GOSSIP), two, three;

	ck_assert(empty > 0);
	ck_assert(tracker_passed(t, TRACKER_GOSSIP, empty));
	tracker_push(t, TRACKER_GOSSIP, a);
	tracker_push(t, TRACKER_GOSSIP, b);
	two = tracker_tail(t, TRACKER_GOSSIP);
	tracker_push(t, TRACKER_GOSSIP, c);
	three = tracker_tail(t, TRACKER_GOSSIP);
	ck_assert(!tracker_passed(t, TRACKER_GOSSIP, two));
	tracker_remove(t, b);
	ck_assert(!tracker_passed(t, TRACKER_GOSSIP, two));
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_GOSSIP), a);
	ck_assert(tracker_passed(t, TRACKER_GOSSIP, two));
	ck_assert(!tracker_passed(t, TRACKER_GOSSIP, three));
	/* The id of b is used again: that is another place. */
	tracker_push(t, TRACKER_GOSSIP, add(t, "b"));
	tracker_remove(t, c);
	ck_assert(tracker_passed(t, TRACKER_GOSSIP, three));
	ck_assert_uint_eq(tracker_queued(t, TRACKER_GOSSIP), 1);
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_GOSSIP), find(t, "b"));
	tracker_free(&t);
}
END_TEST

/* The head is not taken while others come and go: what they leave behind does not add up. */
START_TEST(gaps_do_not_add_up)
{
	struct tracker *t = tracker_new(10, SEED);
	struct tracker_entry *first = add(t, "first");
	size_t before = tracker_bytes(t);

	tracker_push(t, TRACKER_STATE_DB, first);
	for (int i = 0; i < 1000000; i++) {
		struct tracker_entry *e = add(t, "other");

		tracker_push(t, TRACKER_STATE_DB, e);
		tracker_remove(t, e);
	}
	ck_assert_uint_lt(tracker_bytes(t), before + 100000);
	ck_assert_uint_eq(tracker_queued(t, TRACKER_STATE_DB), 1);
	ck_assert(!tracker_passed(t, TRACKER_STATE_DB, tracker_tail(t, TRACKER_STATE_DB)));
	ck_assert_ptr_eq(tracker_pop(t, TRACKER_STATE_DB), first);
	ck_assert(tracker_passed(t, TRACKER_STATE_DB, tracker_tail(t, TRACKER_STATE_DB)));
	tracker_free(&t);
}
END_TEST

/* Longer than the ring's table of chunks, with what is in it wrapped. */
START_TEST(long_queue)
{
	struct tracker *t = tracker_new(50000, SEED);
	char value[16];
	uint64_t place;

	for (int i = 0; i < 50000; i++) {
		snprintf(value, sizeof value, "%d", i);
		tracker_push(t, TRACKER_GOSSIP, add(t, value));
		if (i % 3 == 0)
			tracker_push(t, TRACKER_GOSSIP, tracker_pop(t, TRACKER_GOSSIP));
	}
	place = tracker_tail(t, TRACKER_GOSSIP);
	ck_assert_uint_eq(tracker_queued(t, TRACKER_GOSSIP), 50000);
	for (int i = 0; i < 50000; i++) {
		MUST(!tracker_passed(t, TRACKER_GOSSIP, place));
		MUST(tracker_pop(t, TRACKER_GOSSIP));
	}
	ck_assert(tracker_passed(t, TRACKER_GOSSIP, place));
	ck_assert_ptr_null(tracker_pop(t, TRACKER_GOSSIP));
	tracker_free(&t);
}
END_TEST

/* ---- all together --------------------------------------------------------------------------------- */

START_TEST(as_the_model)
{
	tracker_model_run((uint64_t)_i, 300000);
}
END_TEST

#define MANY      1000000u
#define BYTES_MAX 110 /* a value; 160 are promised */

static size_t
nth(char *value, size_t size, unsigned i)
{
	return (size_t)snprintf(value, size, "node%07u.site%02u.example.net", i, i % 10);
}

/* With everything queued and scheduled. */
static size_t
fill(struct tracker *t)
{
	size_t value_bytes = 0;
	char value[64];

	for (unsigned i = 0; i < MANY; i++) {
		size_t len = nth(value, sizeof value, i);
		struct tracker_entry *e = tracker_add(t, value, len);

		MUST(e);
		e->offered.size = i;
		tracker_push(t, TRACKER_STATE_DB, e);
		tracker_push(t, TRACKER_GOSSIP, e);
		tracker_schedule(t, e, NOW + i % 7200 * 1000);
		value_bytes += len;
	}
	return value_bytes;
}

START_TEST(a_million)
{
	struct tracker *t = tracker_new(2 * MANY, SEED);
	size_t value_bytes = fill(t), bytes = tracker_bytes(t);
	char value[64];

	ck_assert_uint_eq(tracker_count(t), MANY);
	ck_assert_uint_le(bytes - value_bytes, (size_t)BYTES_MAX * MANY);
	for (unsigned i = 0; i < MANY; i++)
		MUST(tracker_find(t, value, nth(value, sizeof value, i))->offered.size == i);
	for (unsigned i = 0; i < MANY; i += 2)
		tracker_remove(t, tracker_find(t, value, nth(value, sizeof value, i)));
	for (unsigned i = 0; i < MANY; i++) {
		struct tracker_entry *e = tracker_find(t, value, nth(value, sizeof value, i));

		MUST(i % 2 == 0 ? !e : e && e->offered.size == i);
	}
	for (unsigned i = 0; i < MANY; i += 2)
		MUST(tracker_add(t, value, nth(value, sizeof value, i)));
	/* What was removed left room for it. */
	ck_assert_uint_le(tracker_bytes(t), bytes);
	tracker_free(&t);
}
END_TEST

/* All lengths, and then all of them longer: pages of one length serve another. */
START_TEST(lengths_change)
{
	struct tracker *t = tracker_new(20000, SEED);
	char value[SAMPLE_VALUE_MAX + 1];
	size_t most = 0;

	memset(value, 'x', sizeof value);
	for (size_t len = 8; len <= SAMPLE_VALUE_MAX; len++) {
		uint64_t cursor = 0;
		struct tracker_entry *e;

		while ((e = tracker_next(t, &cursor)))
			tracker_remove(t, e);
		for (unsigned i = 0; i < 20000; i++) {
			snprintf(value, 8, "%07u", i);
			MUST(tracker_add(t, value, len));
		}
	}
	most = tracker_bytes(t);
	ck_assert_uint_lt(most, (size_t)20000 * (BYTES_MAX + SAMPLE_VALUE_MAX));
	tracker_free(&t);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tracker");
	TCase *tc = tcase_create("values");

	tcase_add_test(tc, finds_what_was_added);
	tcase_add_test(tc, all_lengths);
	tcase_add_test(tc, new_ones_are_zeros);
	tcase_add_test(tc, full_table);
	tcase_add_test(tc, ids_of_nothing);
	suite_add_tcase(s, tc);
	tc = tcase_create("schedule");
	tcase_add_test(tc, due_when_its_time_has_come);
	tcase_add_test(tc, due_without_a_clock_before);
	tcase_add_test(tc, later_call_counts);
	tcase_add_test(tc, extreme_times);
	tcase_add_test(tc, steps_are_bounded);
	suite_add_tcase(s, tc);
	tc = tcase_create("queues");
	tcase_add_test(tc, first_in_first_out);
	tcase_add_test(tc, places);
	tcase_add_test(tc, gaps_do_not_add_up);
	tcase_add_test(tc, long_queue);
	suite_add_tcase(s, tc);
	tc = tcase_create("whole");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, as_the_model, 1, 9);
	tcase_add_test(tc, a_million);
	tcase_add_test(tc, lengths_change);
	suite_add_tcase(s, tc);
	return s;
}
