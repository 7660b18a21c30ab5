/* A set of sequence numbers, beside a plain array of flags that says what it should hold. */
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "worker/seqset.h"

START_TEST(holds_what_was_added)
{
	struct seqset s;

	seqset_init(&s);
	ck_assert(!seqset_has(&s, 1));
	ck_assert(!seqset_remove(&s, 1));
	seqset_add(&s, 7);
	seqset_add(&s, 7);
	seqset_add(&s, UINT64_MAX);
	ck_assert_uint_eq(s.count, 2);
	ck_assert_uint_eq(s.highest, UINT64_MAX);
	ck_assert(seqset_has(&s, 7));
	ck_assert(seqset_has(&s, UINT64_MAX));
	ck_assert(!seqset_has(&s, 8));
	ck_assert(seqset_remove(&s, 7));
	ck_assert(!seqset_remove(&s, 7));
	ck_assert(!seqset_has(&s, 7));
	ck_assert_uint_eq(s.count, 1);
	seqset_fini(&s);
}
END_TEST

START_TEST(zero_is_never_a_member)
{
	struct seqset s;

	seqset_init(&s);
	seqset_add(&s, 0);
	ck_assert_uint_eq(s.count, 0);
	ck_assert(!seqset_has(&s, 0));
	seqset_add(&s, 1);
	ck_assert(!seqset_has(&s, 0));
	ck_assert(!seqset_remove(&s, 0));
	ck_assert_uint_eq(s.count, 1);
	seqset_fini(&s);
}
END_TEST

START_TEST(clear_forgets_all)
{
	struct seqset s;

	seqset_init(&s);
	for (uint64_t seq = 1; seq <= 1000; seq++)
		seqset_add(&s, seq);
	ck_assert_uint_eq(s.highest, 1000);
	seqset_clear(&s);
	ck_assert_uint_eq(s.count, 0);
	ck_assert_uint_eq(s.highest, 0);
	for (uint64_t seq = 1; seq <= 1000; seq++)
		ck_assert(!seqset_has(&s, seq));
	seqset_add(&s, 3);
	ck_assert(seqset_has(&s, 3));
	seqset_fini(&s);
}
END_TEST

enum { UNIVERSE = 3000 };

/* Runs of neighbours and multiples of large powers of two fall together in a table. */
static uint64_t
member(size_t i)
{
	return i % 3 == 0 ? i + 1 : i % 3 == 1 ? (uint64_t)(i + 1) << 20 : (uint64_t)(i + 1) << 44;
}

START_TEST(agrees_with_a_plain_array)
{
	struct seqset s;
	bool there[UNIVERSE] = {false};
	size_t count = 0;

	seqset_init(&s);
	srand(5);
	for (int step = 0; step < 200000; step++) {
		size_t i = (size_t)rand() % UNIVERSE;
		bool add = rand() % 100 < (step / 20000 % 2 == 0 ? 60 : 40);

		ck_assert_int_eq(seqset_has(&s, member(i)), there[i]);
		if (add)
			seqset_add(&s, member(i));
		else
			ck_assert_int_eq(seqset_remove(&s, member(i)), there[i]);
		count += (size_t)add - (size_t)there[i];
		there[i] = add;
		ck_assert_uint_eq(s.count, count);
		ck_assert_uint_ge(s.cap, s.count * 2);
	}
	for (size_t i = 0; i < UNIVERSE; i++)
		ck_assert_int_eq(seqset_has(&s, member(i)), there[i]);
	seqset_fini(&s);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("seqset");
	TCase *tc = tcase_create("set");

	tcase_add_test(tc, holds_what_was_added);
	tcase_add_test(tc, zero_is_never_a_member);
	tcase_add_test(tc, clear_forgets_all);
	tcase_add_test(tc, agrees_with_a_plain_array);
	suite_add_tcase(s, tc);
	return s;
}
