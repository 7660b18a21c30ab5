/* Counters over restarts, speeds, and the bound on log lines; the clock is the test's own. */
#include <math.h>
#include <string.h>

#include "supervisor/throttle.h"
#include "supervisor/totals.h"
#include "tests/unit/unit.h"

static struct totals t;
static struct proto_stats stats;
static struct mono now;

static void
setup(void)
{
	totals_init(&t);
	memset(&stats, 0, sizeof stats);
	now = (struct mono){INT64_C(1000000000)};
}

static void
report(uint64_t copied, int64_t after_ms)
{
	now = mono_add_ms(now, after_ms);
	stats.counter[COUNTER_COPIED_MSGS] = copied;
	totals_report(&t, &stats, now);
}

START_TEST(counters_survive_an_end)
{
	report(100, 1000);
	totals_ended(&t);
	ck_assert_uint_eq(totals_counter(&t, COUNTER_COPIED_MSGS), 100);
	report(0, 1000);
	ck_assert_uint_eq(totals_counter(&t, COUNTER_COPIED_MSGS), 100);
	report(7, 1000);
	ck_assert_uint_eq(totals_counter(&t, COUNTER_COPIED_MSGS), 107);
	totals_ended(&t);
	totals_ended(&t);
	ck_assert_uint_eq(totals_counter(&t, COUNTER_COPIED_MSGS), 107);
}
END_TEST

START_TEST(gauges_are_unknown_until_told)
{
	ck_assert(t.gauge[GAUGE_COMMITTED_SEQ] == PROTO_UNKNOWN);
	stats.gauge[GAUGE_COMMITTED_SEQ] = 12;
	stats.gauge[GAUGE_INFLIGHT_MSGS] = 5;
	stats.gauge[GAUGE_LAG_MS] = 700;
	report(1, 1000);
	ck_assert_uint_eq(t.gauge[GAUGE_COMMITTED_SEQ], 12);
	/* A position stays true without a process; what was in flight and the lag in time do not. */
	totals_ended(&t);
	ck_assert_uint_eq(t.gauge[GAUGE_COMMITTED_SEQ], 12);
	ck_assert_uint_eq(t.gauge[GAUGE_INFLIGHT_MSGS], 0);
	ck_assert(t.gauge[GAUGE_LAG_MS] == PROTO_UNKNOWN);
}
END_TEST

START_TEST(speed_follows_within_seconds)
{
	report(0, 1000);
	report(1000, 1000);
	ck_assert_double_gt(t.copied.per_second, 150);
	for (uint64_t i = 2; i <= 30; i++)
		report(i * 1000, 1000);
	ck_assert_double_gt(t.copied.per_second, 980);
	ck_assert_double_lt(t.copied.per_second, 1001);
	for (int i = 0; i < 15; i++)
		report(30000, 1000);
	ck_assert_double_lt(t.copied.per_second, 60);
	for (int i = 0; i < 60; i++)
		report(30000, 1000);
	ck_assert(t.copied.per_second == 0);
}
END_TEST

/* The counters of a new process start at 0; the speed must not see a fall. */
START_TEST(speed_starts_anew_after_an_end)
{
	report(0, 1000);
	report(1000000, 1000);
	totals_ended(&t);
	ck_assert(t.copied.per_second == 0);
	report(10, 5000);
	report(20, 1000);
	ck_assert_double_ge(t.copied.per_second, 0);
	ck_assert_double_lt(t.copied.per_second, 11);
}
END_TEST

START_TEST(reports_at_one_instant_do_no_harm)
{
	report(10, 1000);
	report(20, 0);
	report(30, 0);
	ck_assert(isfinite(t.copied.per_second));
	/* Also not a moment apart, as before a change of state. */
	report(1030, 1);
	ck_assert_double_lt(t.copied.per_second, 1);
	report(1030, 999);
	ck_assert_double_gt(t.copied.per_second, 150);
	ck_assert_double_lt(t.copied.per_second, 1100);
}
END_TEST

START_TEST(eta_is_lag_by_speed)
{
	stats.gauge[GAUGE_LAG_MSGS] = PROTO_UNKNOWN;
	report(0, 1000);
	ck_assert(totals_eta_s(&t) < 0);
	stats.gauge[GAUGE_LAG_MSGS] = 5000;
	report(0, 1000);
	ck_assert(totals_eta_s(&t) < 0);
	/* What policy passes over shrinks the lag as well. */
	for (uint64_t i = 1; i <= 60; i++) {
		stats.counter[COUNTER_SKIPPED_MSGS] = i * 500;
		report(i * 500, 1000);
	}
	ck_assert_double_gt(totals_eta_s(&t), 4.9);
	ck_assert_double_lt(totals_eta_s(&t), 5.1);
	stats.gauge[GAUGE_LAG_MSGS] = 0;
	report(30000, 1000);
	ck_assert(totals_eta_s(&t) == 0);
}
END_TEST

START_TEST(throttle_bounds_and_counts)
{
	struct throttle th;
	uint64_t held_back = 99, passed = 0;

	throttle_init(&th, 3, 1, now);
	for (int i = 0; i < 10; i++)
		passed += throttle_pass(&th, now, &held_back);
	ck_assert_uint_eq(passed, 3);
	ck_assert_uint_eq(held_back, 0);
	now = mono_add_ms(now, 1000);
	ck_assert(throttle_pass(&th, now, &held_back));
	ck_assert_uint_eq(held_back, 7);
	ck_assert(!throttle_pass(&th, now, &held_back));
	/* Time saves up no more than the burst. */
	now = mono_add_ms(now, 3600000);
	for (int i = 0; i < 10; i++)
		passed += throttle_pass(&th, now, &held_back);
	ck_assert_uint_eq(passed, 6);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("totals");
	TCase *tc = tcase_create("totals");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, counters_survive_an_end);
	tcase_add_test(tc, gauges_are_unknown_until_told);
	tcase_add_test(tc, speed_follows_within_seconds);
	tcase_add_test(tc, speed_starts_anew_after_an_end);
	tcase_add_test(tc, reports_at_one_instant_do_no_harm);
	tcase_add_test(tc, eta_is_lag_by_speed);
	tcase_add_test(tc, throttle_bounds_and_counts);
	suite_add_tcase(s, tc);
	return s;
}
