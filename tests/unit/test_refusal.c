/* What each answer of a target means: the table of the manual, and what is in no table. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/refusal.h"

static struct refusal
classify(int code, int err_code, const char *description, bool reject_subject_full)
{
	struct jsapi_error error = {.code = code, .err_code = err_code};

	snprintf(error.description, sizeof error.description, "%s", description);
	return refusal_classify(&error, reject_subject_full);
}

START_TEST(the_table)
{
	static const struct {
		int code, err_code;
		enum refusal_action action;
	} rows[] = {
	    {400, 10071, REFUSAL_REWIND},    {400, 10164, REFUSAL_REWIND},
	    {409, 10158, REFUSAL_REWIND},    {503, 10008, REFUSAL_REWIND},
	    {503, 0, REFUSAL_REWIND},        {429, 10167, REFUSAL_REWIND_SLOWER},
	    {429, 0, REFUSAL_REWIND_SLOWER}, {503, 10077, REFUSAL_HOLD},
	    {503, 10023, REFUSAL_HOLD},      {500, 10047, REFUSAL_HOLD},
	    {400, 10109, REFUSAL_HOLD},      {400, 10054, REFUSAL_REJECT},
	    {400, 10097, REFUSAL_REJECT},    {400, 10165, REFUSAL_REJECT},
	    {400, 10002, REFUSAL_HOLD},      {429, 10210, REFUSAL_REWIND_SLOWER},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int full = 0; full < 2; full++) {
			struct refusal r = classify(rows[i].code, rows[i].err_code, "words", full != 0);

			ck_assert_msg(r.action == rows[i].action, "%d", rows[i].err_code);
			ck_assert_ptr_nonnull(r.cure);
			/* what a person has to do something about says what */
			if (r.action == REFUSAL_HOLD || r.action == REFUSAL_REJECT)
				ck_assert_str_ne(r.cure, "");
		}
}
END_TEST

/* Nothing is ever passed over because of a code that a newer server invented. */
START_TEST(what_is_not_known_holds)
{
	int never_stored = 0;

	ck_assert_int_eq(classify(400, 10999, "new", true).action, REFUSAL_HOLD);
	ck_assert_int_eq(classify(500, 0, "", true).action, REFUSAL_HOLD);
	ck_assert_str_ne(classify(400, 10999, "new", true).cure, "");
	for (int err_code = 10000; err_code < 11000; err_code++)
		if (classify(400, err_code, "", true).action == REFUSAL_REJECT)
			never_stored++;
	ck_assert_int_eq(never_stored, 3);
}
END_TEST

START_TEST(a_full_subject_holds_unless_on_reject_covers_it)
{
	const char *text = "maximum messages per subject exceeded";

	ck_assert_int_eq(classify(503, 10077, text, false).action, REFUSAL_HOLD);
	ck_assert_int_eq(classify(503, 10077, text, true).action, REFUSAL_REJECT);
	ck_assert_str_ne(classify(503, 10077, text, true).cure, "");
	ck_assert_int_eq(classify(503, 10077, "maximum messages exceeded", true).action, REFUSAL_HOLD);
	ck_assert_int_eq(classify(503, 10077, "maximum bytes exceeded", true).action, REFUSAL_HOLD);
}
END_TEST

START_TEST(a_permission_that_is_missing_holds)
{
	struct refusal r = refusal_of_async_error("Permissions Violation for Publish to \"ORDERS.a\"");

	ck_assert_int_eq(r.action, REFUSAL_HOLD);
	ck_assert_str_ne(r.cure, "");
	ck_assert_int_eq(refusal_of_async_error("Permissions Violation for Subscription to \"x\"").action,
			 REFUSAL_REWIND);
	ck_assert_int_eq(refusal_of_async_error("Slow Consumer").action, REFUSAL_REWIND);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("refusal");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, the_table);
	tcase_add_test(tc, what_is_not_known_holds);
	tcase_add_test(tc, a_full_subject_holds_unless_on_reject_covers_it);
	tcase_add_test(tc, a_permission_that_is_missing_holds);
	suite_add_tcase(s, tc);
	return s;
}
