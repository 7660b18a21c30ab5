/* The listening clock: which time counts as silence, and which does not. Times of the wall clock begin at a
 * day of 2026; the tests speak of seconds after that. */
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/listening.h"

#define EPOCH_MS INT64_C(1767225600000)

static struct listening l;
static int64_t wall, mono_ms;

static int64_t
at_s(int64_t s)
{
	return EPOCH_MS + s * 1000;
}

static void
set(bool on)
{
	listening_set(&l, on, wall, (struct mono){mono_ms * 1000000});
}

/* Both clocks go on, with a call every 250 ms. */
static void
pass(int64_t ms, bool on)
{
	int64_t before = listening_now(&l);

	for (; ms > 0; ms -= 250) {
		wall += 250;
		mono_ms += 250;
		set(on);
		ck_assert_int_ge(listening_now(&l), before);
		before = listening_now(&l);
	}
}

static void
to_s(int64_t s, bool on)
{
	pass(at_s(s) - wall, on);
}

/* Age in s of what was seen then. */
static int64_t
age(int64_t seen_s)
{
	return (listening_now(&l) - listening_at(&l, at_s(seen_s))) / 1000;
}

static void
start(void)
{
	listening_init(&l);
	wall = EPOCH_MS;
	mono_ms = 5000;
}

START_TEST(time_before_the_first_moment_does_not_count)
{
	pass(5000, false);
	ck_assert_int_eq(l.heard_ms, 0);
	ck_assert_int_eq(age(-1000), 0);
	set(true);
	ck_assert_int_eq(age(-1000), 0);
	ck_assert_int_eq(age(0), 0);
	to_s(20, true);
	ck_assert_int_eq(age(-1000), 15);
	ck_assert_int_eq(age(3), 15);
	ck_assert_int_eq(age(5), 15);
	ck_assert_int_eq(age(18), 2);
	ck_assert_int_eq(age(20), 0);
	ck_assert_int_eq(age(25), 0);
}
END_TEST

START_TEST(a_gap_does_not_count)
{
	set(true);
	to_s(100, true);
	set(false);
	to_s(1000, false);
	ck_assert_int_eq(age(90), 10);
	ck_assert_int_eq(age(500), 0);
	to_s(1010, true);
	/* The first call that says on is at 1000.25 s. */
	ck_assert_int_eq(listening_now(&l) - listening_at(&l, at_s(90)), 10000 + 9750);
	ck_assert_int_eq(listening_now(&l) - listening_at(&l, at_s(500)), 9750);
	ck_assert_uint_eq(l.gap_count, 2);
	ck_assert_uint_eq(l.edition, 0);
}
END_TEST

START_TEST(going_off_twice_without_hearing_is_one_gap)
{
	set(true);
	to_s(10, true);
	set(false);
	wall += 5000;
	mono_ms += 5000;
	set(true);
	set(false);
	wall += 5000;
	mono_ms += 5000;
	set(true);
	ck_assert_uint_eq(l.gap_count, 2);
	ck_assert_int_eq(age(0), 10);
}
END_TEST

/* ms that both clocks go on, and what the wall clock jumps besides: what of it is heard. */
static const struct {
	int64_t both, jump, heard;
} jumps[] =
    {
	{250, 0, 250},    {250, 400, 650}, {250, 501, 250},  {250, 3600000, 250},
	{2000, 0, 2000},  {2001, 0, 0},    {60000, 0, 0},    {60000, 60000, 0},
	{250, -100, 150}, {250, -250, 0},  {250, -10000, 0}, /* it stands until the wall clock has come back
								to where it was */
};

START_TEST(jumps_and_stalls_are_gaps)
{
	int64_t before;

	set(true);
	to_s(100, true);
	before = listening_now(&l);
	wall += jumps[_i].both + jumps[_i].jump;
	mono_ms += jumps[_i].both;
	set(true);
	ck_assert_int_eq(listening_now(&l) - before, jumps[_i].heard);
	before = listening_now(&l);
	pass(20000, true);
	ck_assert_int_ge(listening_now(&l) - before, 20000 + (jumps[_i].jump < 0 ? jumps[_i].jump : 0));
}
END_TEST

START_TEST(a_clock_that_was_far_ahead_is_not_waited_for)
{
	int64_t before;

	wall = at_s(86400);
	set(true);
	pass(50000, true);
	before = listening_now(&l);
	wall = at_s(100);
	set(true);
	ck_assert_int_eq(listening_now(&l), before);
	ck_assert_uint_eq(l.edition, 1);
	ck_assert_int_eq(age(50), 0);
	ck_assert_int_eq(age(86400), 0);
	pass(10000, true);
	ck_assert_int_eq(age(50), 10);
	ck_assert_int_eq(age(86400), 0);
	ck_assert_int_eq(listening_now(&l), before + 10000);
}
END_TEST

START_TEST(a_note_brings_the_record_to_the_next_process)
{
	static struct sample_note n;

	set(true);
	to_s(100, true);
	set(false);
	to_s(200, false);
	to_s(300, true);
	listening_save(&l, &n);
	listening_init(&l);
	listening_restore(&l, &n);
	ck_assert(!l.on);
	ck_assert_int_eq(l.heard_ms, at_s(300));
	ck_assert_int_eq(age(50), 149); /* and 750 ms: 50 before the gap, 99.75 after it */
	wall = at_s(1000);
	mono_ms = 7;
	set(true);
	to_s(1010, true);
	ck_assert_int_eq(age(50), 159);
	ck_assert_int_eq(age(600), 10);
}
END_TEST

START_TEST(a_note_that_goes_on_changes_no_time)
{
	static struct sample_note n, later;
	uint32_t edition;
	int64_t then;

	set(true);
	to_s(100, true);
	set(false);
	to_s(200, false);
	to_s(250, true);
	listening_save(&l, &n);
	to_s(300, true);
	set(false);
	to_s(310, false);
	to_s(320, true);
	listening_save(&l, &later);

	listening_init(&l);
	wall = at_s(250);
	set(true); /* some clock of its own before */
	to_s(251, true);
	edition = l.edition;
	listening_restore(&l, &n);
	ck_assert(!l.on);
	ck_assert_uint_ne(l.edition, edition);
	edition = l.edition;
	then = listening_at(&l, at_s(80));
	listening_restore(&l, &n);
	listening_restore(&l, &later);
	ck_assert_uint_eq(l.edition, edition);
	ck_assert_int_eq(listening_at(&l, at_s(80)), then);
	ck_assert_int_eq(age(80), 20 + 99 + 10);
	/* One that says less, or something else, tells the past anew. */
	then = listening_now(&l);
	listening_restore(&l, &n);
	ck_assert_uint_ne(l.edition, edition);
	ck_assert_int_ge(listening_now(&l), then);
}
END_TEST

START_TEST(a_gap_that_reached_to_the_end_may_have_grown)
{
	static struct sample_note n;
	uint32_t edition;

	n.heard_ms = at_s(100);
	n.gap_count = 1;
	n.gaps[0] = (struct listening_gap){at_s(50), at_s(100)};
	listening_restore(&l, &n);
	edition = l.edition;
	n.heard_ms = at_s(140);
	n.gaps[0].to_ms = at_s(130);
	listening_restore(&l, &n);
	ck_assert_uint_eq(l.edition, edition);
	ck_assert_int_eq(age(40), 20);
	n.gaps[0].from_ms = at_s(49);
	listening_restore(&l, &n);
	ck_assert_uint_ne(l.edition, edition);
}
END_TEST

START_TEST(many_gaps_are_joined_and_the_clock_goes_on)
{
	set(true);
	to_s(1000, true);
	for (int i = 0; i < 500; i++) {
		int64_t before = listening_now(&l);

		set(false);
		pass(1000, false);
		set(true);
		ck_assert_int_eq(listening_now(&l), before);
		pass(9000, true);
		ck_assert_int_eq(listening_now(&l), before + 9000);
		ck_assert_uint_le(l.gap_count, LISTENING_GAPS);
		/* What is not long ago is known well. */
		if (i > 20)
			ck_assert_int_eq(age((wall - EPOCH_MS) / 1000 - 100), 90);
	}
	ck_assert_int_eq(age(900), 100 + 4500);
	/* Never older than it is, and not much younger. */
	for (int64_t s = 1000; s < 6000; s += 7) {
		int64_t heard = 4500 - (s - 1000) / 10 * 9;

		ck_assert_int_le(age(s), heard);
		ck_assert_int_ge(age(s), heard - 9 - heard / 10);
	}
	for (size_t i = 0; i + 1 < l.gap_count; i++)
		ck_assert_int_lt(l.gaps[i].to_ms, l.gaps[i + 1].from_ms);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("listening");
	TCase *tc = tcase_create("clock");

	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, time_before_the_first_moment_does_not_count);
	tcase_add_test(tc, a_gap_does_not_count);
	tcase_add_test(tc, going_off_twice_without_hearing_is_one_gap);
	tcase_add_loop_test(tc, jumps_and_stalls_are_gaps, 0, sizeof jumps / sizeof jumps[0]);
	tcase_add_test(tc, a_clock_that_was_far_ahead_is_not_waited_for);
	tcase_add_test(tc, a_note_brings_the_record_to_the_next_process);
	tcase_add_test(tc, a_note_that_goes_on_changes_no_time);
	tcase_add_test(tc, a_gap_that_reached_to_the_end_may_have_grown);
	tcase_add_test(tc, many_gaps_are_joined_and_the_clock_goes_on);
	suite_add_tcase(s, tc);
	return s;
}
