/* Times in and out of text. */
#include <string.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

START_TEST(formats_milliseconds)
{
	char buf[RFC3339_SIZE];

	ck_assert_str_eq(rfc3339_format(buf, sizeof buf, 1767323045678), "2026-01-02T03:04:05.678Z");
	ck_assert_str_eq(rfc3339_format(buf, sizeof buf, 0), "1970-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(parses_what_servers_write)
{
	int64_t ns;

	ck_assert_int_eq(rfc3339_parse("2026-01-02T03:04:05.123456789Z", &ns), 0);
	ck_assert(ns == INT64_C(1767323045123456789));
	ck_assert_int_eq(rfc3339_parse("2026-01-02T05:04:05+02:00", &ns), 0);
	ck_assert(ns == INT64_C(1767323045000000000));
	ck_assert_int_eq(rfc3339_parse("2026-01-02T03:04:05", &ns), -1);
	ck_assert_int_eq(rfc3339_parse("2026-01-02T03:04:05Zx", &ns), -1);
	ck_assert_int_eq(rfc3339_parse("yesterday", &ns), -1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("rfc3339");

	tcase_add_test(tc, formats_milliseconds);
	tcase_add_test(tc, parses_what_servers_write);
	suite_add_tcase(s, tc);
	return s;
}
