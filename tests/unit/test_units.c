/* Durations, sizes, rates: text to value, and back to the same value. */
#include <string.h>

#include "common/units.h"
#include "tests/unit/unit.h"

static int64_t
duration(const char *text)
{
	struct error e = ERROR_INIT;
	int64_t ms = -1;

	if (units_parse_duration(text, &ms, &e) != 0)
		ck_assert_msg(e.text[0] != '\0', "no reason for %s", text);
	return ms;
}

START_TEST(reads_durations)
{
	ck_assert_int_eq(duration("5s"), 5000);
	ck_assert_int_eq(duration("250ms"), 250);
	ck_assert_int_eq(duration("1h30m"), 5400000);
	ck_assert_int_eq(duration("2d"), INT64_C(2) * 86400000);
	ck_assert_int_eq(duration("1w"), INT64_C(7) * 86400000);
	ck_assert_int_eq(duration("1M"), INT64_C(30) * 86400000);
	ck_assert_int_eq(duration("1Y"), INT64_C(365) * 86400000);
	ck_assert_int_eq(duration("0s"), 0);
}
END_TEST

START_TEST(refuses_durations)
{
	static const char *const bad[] = {"",
					  "5",
					  "0",
					  "s",
					  "5x",
					  "-5s",
					  " 5s",
					  "5 s",
					  "5s ",
					  "1.5h",
					  "1h30",
					  "5S",
					  "99999999999999999999s",
					  "999999999999999Y",
					  "9223372036854775807ms1ms",
					  "9000000000000000000ms12000000000000000s"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(duration(bad[i]) == -1, "%s", bad[i]);
}
END_TEST

START_TEST(writes_durations_that_read_back)
{
	static const int64_t values[] = {0, 1, 999, 1000, 60000, 5400000, 86400000, 90061001, INT64_MAX};
	char buf[UNITS_SIZE];

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		ck_assert_int_eq(duration(units_format_duration(buf, sizeof buf, values[i])), values[i]);
	ck_assert_str_eq(units_format_duration(buf, sizeof buf, 5400000), "1h30m");
	ck_assert_str_eq(units_format_duration(buf, sizeof buf, 720000), "12m");
}
END_TEST

START_TEST(reads_and_writes_sizes)
{
	struct error e;
	uint64_t v;
	char buf[UNITS_SIZE];

	ck_assert_int_eq(units_parse_size("32MiB", &v, &e), 0);
	ck_assert_uint_eq(v, 32 << 20);
	ck_assert_int_eq(units_parse_size("1000", &v, &e), 0);
	ck_assert_uint_eq(v, 1000);
	ck_assert_int_eq(units_parse_size("7B", &v, &e), 0);
	ck_assert_uint_eq(v, 7);
	ck_assert_str_eq(units_format_size(buf, sizeof buf, 3 << 10), "3KiB");
	ck_assert_str_eq(units_format_size(buf, sizeof buf, 1000), "1000B");
	ck_assert_str_eq(units_format_size(buf, sizeof buf, 0), "0B");
	ck_assert_int_eq(units_parse_size("1MB", &v, &e), -1);
	ck_assert_int_eq(units_parse_size("1.5MiB", &v, &e), -1);
	ck_assert_int_eq(units_parse_size("-1", &v, &e), -1);
	ck_assert_int_eq(units_parse_size("9999999999GiB", &v, &e), -1);
	ck_assert_int_eq(units_parse_size("", &v, &e), -1);
}
END_TEST

static void
check_rate(const char *text, double per_second, bool bytes, const char *written)
{
	struct error e;
	struct units_rate r;
	char buf[UNITS_SIZE];

	ck_assert_msg(units_parse_rate(text, &r, &e) == 0, "%s", text);
	ck_assert_msg(r.per_second == per_second && r.bytes == bytes, "%s", text);
	ck_assert_str_eq(units_format_rate(buf, sizeof buf, r), written);
	ck_assert_int_eq(units_parse_rate(buf, &r, &e), 0);
	ck_assert(r.per_second == per_second && r.bytes == bytes);
}

START_TEST(reads_and_writes_rates)
{
	check_rate("1000/s", 1000, false, "1000/s");
	check_rate("1000", 1000, false, "1000/s");
	check_rate("0.5/s", 0.5, false, "0.5/s");
	check_rate("0.125", 0.125, false, "0.125/s");
	check_rate("10MiB/s", 10 << 20, true, "10MiB/s");
	check_rate("100B/s", 100, true, "100B/s");
}
END_TEST

START_TEST(refuses_rates)
{
	static const char *const bad[] = {
	    "",       "/s",     "fast",    "0",      "0/s", "-1/s", "10MiB",
	    "10MB/s", "1000/m", "1000 /s", "0.1234", "1.",  "1e3",  "99999999999999999999",
	    "nan",    "inf"};
	struct error e;
	struct units_rate r;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(units_parse_rate(bad[i], &r, &e) == -1, "%s", bad[i]);
}
END_TEST

START_TEST(reads_booleans)
{
	struct error e;
	bool v = false;

	ck_assert(units_parse_bool("yes", &v, &e) == 0 && v);
	ck_assert(units_parse_bool("OFF", &v, &e) == 0 && !v);
	ck_assert(units_parse_bool("True", &v, &e) == 0 && v);
	ck_assert_int_eq(units_parse_bool("1", &v, &e), -1);
	ck_assert_int_eq(units_parse_bool("", &v, &e), -1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("units");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, reads_durations);
	tcase_add_test(tc, refuses_durations);
	tcase_add_test(tc, writes_durations_that_read_back);
	tcase_add_test(tc, reads_and_writes_sizes);
	tcase_add_test(tc, reads_and_writes_rates);
	tcase_add_test(tc, refuses_rates);
	tcase_add_test(tc, reads_booleans);
	suite_add_tcase(s, tc);
	return s;
}
