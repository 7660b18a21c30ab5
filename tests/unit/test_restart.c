/* The restart policy over a clock of the test's own. */
#include "supervisor/restart.h"
#include "tests/unit/unit.h"

static struct restart r;
static struct mono now;

static void
setup(void)
{
	restart_init(&r);
	now = (struct mono){INT64_C(5000000000)};
}

/* Lets the child work so long, then end; returns the milliseconds until its next start. */
static int64_t
ends_after(int64_t worked_ms, uint32_t random)
{
	restart_ready(&r, now);
	now = mono_add_ms(now, worked_ms);
	restart_ended(&r, now, false, random);
	return mono_ms_between(now, r.next);
}

/* The child ends before it is ready. */
static int64_t
fails(uint32_t random)
{
	restart_ended(&r, now, false, random);
	return mono_ms_between(now, r.next);
}

START_TEST(back_off_doubles_to_its_bound)
{
	static const int64_t expect[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

	for (size_t i = 0; i < sizeof expect / sizeof expect[0]; i++)
		ck_assert_int_eq(fails(0), expect[i]);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(fails(0), 60000);
}
END_TEST

START_TEST(chance_takes_at_most_a_quarter)
{
	ck_assert_int_eq(fails(UINT32_MAX), 250 - 62);
	ck_assert_int_eq(fails(UINT32_MAX), 375);
	ck_assert_int_eq(fails(UINT32_MAX / 2), 876);
}
END_TEST

/* A single end of a working child must not keep anybody waiting. */
START_TEST(first_end_at_work_is_quick)
{
	ck_assert_int_le(ends_after(1000, 0), RESTART_QUICK_MS);
	ck_assert_int_eq(ends_after(1000, 0), 250);
	ck_assert_int_eq(ends_after(1000, 0), 500);
	ck_assert_int_eq(fails(0), 1000);
}
END_TEST

START_TEST(healthy_work_forgets_the_past)
{
	for (int i = 0; i < 20; i++)
		fails(0);
	ck_assert_int_eq(ends_after(RESTART_HEALTHY_MS - 1, 0), 60000);
	ck_assert_int_le(ends_after(RESTART_HEALTHY_MS, 0), RESTART_QUICK_MS);
	ck_assert_int_eq(fails(0), 250);
}
END_TEST

/* Work is what counts, not the time since the start. */
START_TEST(time_without_ready_is_no_work)
{
	fails(0);
	now = mono_add_ms(now, 10 * RESTART_HEALTHY_MS);
	ck_assert_int_eq(fails(0), 500);
}
END_TEST

START_TEST(permanent_until_forgiven)
{
	fails(0);
	fails(0);
	restart_ended(&r, now, true, 0);
	ck_assert(r.permanent);
	restart_forgive(&r);
	ck_assert(!r.permanent);
	ck_assert_int_eq(fails(0), 250);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("restart");
	TCase *tc = tcase_create("policy");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, back_off_doubles_to_its_bound);
	tcase_add_test(tc, chance_takes_at_most_a_quarter);
	tcase_add_test(tc, first_end_at_work_is_quick);
	tcase_add_test(tc, healthy_work_forgets_the_past);
	tcase_add_test(tc, time_without_ready_is_no_work);
	tcase_add_test(tc, permanent_until_forgiven);
	suite_add_tcase(s, tc);
	return s;
}
