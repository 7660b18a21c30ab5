/* What is done about a topic that makes no progress, over a clock of its own. */
#include "tests/unit/unit.h"
#include "worker/watchdog.h"

static struct watchdog w;
static struct mono now;

static void
begin(uint64_t progress)
{
	now.ns = INT64_C(5000000000000);
	watchdog_init(&w, now);
	ck_assert_int_eq(watchdog_look(&w, progress, true, now), WATCHDOG_FINE);
}

/* Looks twice a second until a step is due; returns the milliseconds that took. */
static int64_t
until(uint64_t progress, enum watchdog_step want)
{
	struct mono start = now;

	for (;;) {
		enum watchdog_step step;

		now = mono_add_ms(now, 500);
		step = watchdog_look(&w, progress, true, now);
		if (step == WATCHDOG_FINE) {
			ck_assert_int_lt(mono_ms_between(start, now), 300000);
			continue;
		}
		ck_assert_int_eq(step, want);
		return mono_ms_between(start, now);
	}
}

START_TEST(each_step_is_stronger_and_comes_once)
{
	begin(7);
	ck_assert_int_eq(until(7, WATCHDOG_REPULL), 5000);
	ck_assert_int_eq(until(7, WATCHDOG_RESUBSCRIBE), 5000);
	ck_assert_int_eq(until(7, WATCHDOG_RECREATE), 5000);
	ck_assert_int_eq(until(7, WATCHDOG_RECONNECT), 10000);
	ck_assert_int_eq(until(7, WATCHDOG_UNHEALTHY), 15000);
}
END_TEST

START_TEST(after_unhealthy_it_goes_on_trying)
{
	begin(0);
	for (int step = WATCHDOG_REPULL; step <= WATCHDOG_UNHEALTHY; step++)
		until(0, (enum watchdog_step)step);
	for (int round = 0; round < 5; round++) {
		ck_assert_int_eq(until(0, WATCHDOG_RECREATE), 30000);
		ck_assert_int_eq(until(0, WATCHDOG_RECONNECT), 10000);
		ck_assert_int_eq(until(0, WATCHDOG_UNHEALTHY), 15000);
	}
}
END_TEST

START_TEST(progress_begins_anew)
{
	begin(1);
	until(1, WATCHDOG_REPULL);
	until(1, WATCHDOG_RESUBSCRIBE);
	ck_assert_int_eq(watchdog_look(&w, 2, true, now), WATCHDOG_FINE);
	ck_assert_int_eq(until(2, WATCHDOG_REPULL), 5000);
}
END_TEST

/* The committed sequence may also go back: a target that lost messages. */
START_TEST(any_change_is_progress)
{
	begin(100);
	until(100, WATCHDOG_REPULL);
	ck_assert_int_eq(watchdog_look(&w, 50, true, now), WATCHDOG_FINE);
	ck_assert_int_eq(until(50, WATCHDOG_REPULL), 5000);
}
END_TEST

START_TEST(without_work_nothing_is_wrong)
{
	begin(1);
	for (int i = 0; i < 1000; i++) {
		now = mono_add_ms(now, 1000);
		ck_assert_int_eq(watchdog_look(&w, 1, false, now), WATCHDOG_FINE);
	}
	ck_assert_int_eq(until(1, WATCHDOG_REPULL), 5000);
	now = mono_add_ms(now, 1000);
	ck_assert_int_eq(watchdog_look(&w, 1, false, now), WATCHDOG_FINE);
	ck_assert_int_eq(until(1, WATCHDOG_REPULL), 5000);
}
END_TEST

/* Nobody looked for a long time (a stopped machine): the weakest step is the first all the same. */
START_TEST(a_late_look_skips_no_step)
{
	begin(1);
	now = mono_add_ms(now, 60000);
	ck_assert_int_eq(watchdog_look(&w, 1, true, now), WATCHDOG_REPULL);
	ck_assert_int_eq(watchdog_look(&w, 1, true, now), WATCHDOG_RESUBSCRIBE);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("watchdog");
	TCase *tc = tcase_create("steps");

	tcase_add_test(tc, each_step_is_stronger_and_comes_once);
	tcase_add_test(tc, after_unhealthy_it_goes_on_trying);
	tcase_add_test(tc, progress_begins_anew);
	tcase_add_test(tc, any_change_is_progress);
	tcase_add_test(tc, without_work_nothing_is_wrong);
	tcase_add_test(tc, a_late_look_skips_no_step);
	suite_add_tcase(s, tc);
	return s;
}
