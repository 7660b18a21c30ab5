/* rate_limit over a clock of its own. */
#include "tests/unit/unit.h"
#include "worker/throttle.h"

static struct throttle t;
static struct mono now;

static void
begin(double msgs, double bytes)
{
	const struct conf_rate rate = {.msgs_per_second = msgs, .bytes_per_second = bytes};

	now.ns = INT64_C(1000000000000);
	throttle_init(&t, &rate, now);
}

/* Sends messages of that size for so long, each as soon as it may go; returns how many went. */
static uint64_t
send_for(int64_t ms, uint64_t bytes)
{
	struct mono end = mono_add_ms(now, ms);
	uint64_t sent = 0;

	while (now.ns < end.ns) {
		int64_t wait_ms = throttle_wait_ms(&t, now);

		if (wait_ms < 0 || sent > 10000000)
			ck_abort_msg("waits %lld ms after %llu messages", (long long)wait_ms,
				     (unsigned long long)sent);
		if (wait_ms > 0) {
			now = mono_add_ms(now, wait_ms);
			continue;
		}
		throttle_take(&t, bytes);
		sent++;
	}
	return sent;
}

START_TEST(without_a_limit_nothing_waits)
{
	begin(0, 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(throttle_wait_ms(&t, now), 0);
		throttle_take(&t, 1 << 20);
	}
}
END_TEST

START_TEST(messages_keep_their_rate)
{
	static const double rates[] = {0.5, 3, 10, 250, 1000, 20000};

	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		double sent;

		begin(rates[i], 0);
		sent = (double)send_for(100000, 1000000);
		ck_assert_double_le(sent, rates[i] * 100.1 + 1);
		ck_assert_double_ge(sent, rates[i] * 100 * 0.95 - 1);
	}
}
END_TEST

START_TEST(bytes_keep_their_rate)
{
	static const uint64_t sizes[] = {10, 100, 4096, 1000000};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		double bytes;

		begin(0, 50000);
		bytes = (double)send_for(1000000, sizes[i]) * (double)sizes[i];
		ck_assert_double_le(bytes, 50000 * 1000.1 + (double)sizes[i]);
		ck_assert_double_ge(bytes, 50000 * 1000 * 0.95 - (double)sizes[i]);
	}
}
END_TEST

START_TEST(the_stricter_of_both_holds)
{
	uint64_t sent;

	begin(100, 1000);
	sent = send_for(100000, 100); /* ten a second by bytes */
	ck_assert_uint_le(sent, 1003);
	ck_assert_uint_ge(sent, 950);
	begin(100, 1000000);
	sent = send_for(100000, 100);
	ck_assert_uint_le(sent, 10020);
	ck_assert_uint_ge(sent, 9500);
}
END_TEST

START_TEST(a_pause_saves_up_no_more_than_a_burst)
{
	begin(1000, 0);
	send_for(1000, 1);
	now = mono_add_ms(now, 3600 * 1000);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(throttle_wait_ms(&t, now), 0);
		throttle_take(&t, 1);
	}
	ck_assert_int_gt(throttle_wait_ms(&t, now), 0);
}
END_TEST

START_TEST(a_message_larger_than_a_second_goes_and_is_paid_for)
{
	int64_t wait_ms;

	begin(0, 1000);
	ck_assert_int_eq(throttle_wait_ms(&t, now), 0);
	throttle_take(&t, 10000);
	wait_ms = throttle_wait_ms(&t, now);
	ck_assert_int_ge(wait_ms, 9800);
	ck_assert_int_le(wait_ms, 10001);
	now = mono_add_ms(now, wait_ms);
	ck_assert_int_eq(throttle_wait_ms(&t, now), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("throttle");
	TCase *tc = tcase_create("rate");

	tcase_add_test(tc, without_a_limit_nothing_waits);
	tcase_add_test(tc, messages_keep_their_rate);
	tcase_add_test(tc, bytes_keep_their_rate);
	tcase_add_test(tc, the_stricter_of_both_holds);
	tcase_add_test(tc, a_pause_saves_up_no_more_than_a_burst);
	tcase_add_test(tc, a_message_larger_than_a_second_goes_and_is_paid_for);
	suite_add_tcase(s, tc);
	return s;
}
