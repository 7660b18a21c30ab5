/* Advisories that wait: their order, their ids, and what is out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/outbox.h"

static struct outbox *o;

static void
setup(void)
{
	o = outbox_new();
}

static void
teardown(void)
{
	outbox_free(&o);
	ck_assert_ptr_null(o);
}

static struct mono
at(int64_t ms)
{
	return (struct mono){ms * 1000000};
}

static struct outbox_item *
add(const char *id, int64_t due_ms)
{
	return outbox_add(o, id, "sr.a", "{}", at(due_ms));
}

static void
takes(int64_t now_ms, const char *id)
{
	struct outbox_item *item = outbox_take(o, at(now_ms));

	if (id == NULL) {
		ck_assert_ptr_null(item);
		return;
	}
	ck_assert_ptr_nonnull(item);
	ck_assert_str_eq(item->id, id);
}

START_TEST(gives_what_it_got)
{
	struct outbox_item *item = outbox_add(o, "i", "sr.x", "body", at(5));
	struct mono due;

	ck_assert_str_eq(item->id, "i");
	ck_assert_str_eq(item->subject, "sr.x");
	ck_assert_str_eq(item->body, "body");
	ck_assert_uint_eq(item->body_len, 4);
	ck_assert_uint_eq(item->tries, 0);
	ck_assert(outbox_next_due(o, &due));
	ck_assert_int_eq(due.ns, at(5).ns);
	takes(4, NULL);
	takes(5, "i");
	ck_assert(!outbox_next_due(o, &due));
	ck_assert_uint_eq(outbox_count(o), 1);
	ck_assert_uint_eq(outbox_out(o), 1);
	ck_assert_ptr_eq(outbox_first_out(o), item);
	outbox_remove(o, &item);
	ck_assert_ptr_null(item);
	ck_assert_uint_eq(outbox_count(o), 0);
	ck_assert_ptr_null(outbox_first_out(o));
}
END_TEST

START_TEST(goes_by_time_and_then_by_order)
{
	add("d", 7);
	add("b", 5);
	add("a", 5);
	add("c", 6);
	takes(10, "b");
	takes(10, "a");
	takes(10, "c");
	takes(6, NULL);
	takes(7, "d");
	takes(100, NULL);
}
END_TEST

START_TEST(what_comes_back_has_its_old_place)
{
	struct outbox_item *a = add("a", 5), *b = add("b", 5), *c = add("c", 5);

	takes(5, "a");
	takes(5, "b");
	outbox_return(o, b, b->due);
	outbox_return(o, a, a->due);
	takes(5, "a");
	takes(5, "b");
	outbox_return(o, a, at(50));
	takes(5, "c");
	ck_assert_ptr_nonnull(c);
	takes(49, NULL);
	takes(50, "a");
}
END_TEST

START_TEST(knows_ids)
{
	struct outbox_item *item = add("a", 1);

	ck_assert(outbox_has(o, "a"));
	ck_assert(!outbox_has(o, "A") && !outbox_has(o, "") && !outbox_has(o, "aa"));
	ck_assert_ptr_null(add("a", 2));
	takes(1, "a");
	ck_assert(outbox_has(o, "a"));
	ck_assert_ptr_null(add("a", 2));
	outbox_remove(o, &item);
	ck_assert(!outbox_has(o, "a"));
	ck_assert_ptr_nonnull(add("a", 2));
}
END_TEST

/* Against a plain list, over many steps by chance. */
START_TEST(keeps_order_with_many)
{
	enum { ITEMS = 3000 };
	struct outbox_item *items[ITEMS];
	unsigned seed = 17;
	char id[16];

	for (int i = 0; i < ITEMS; i++) {
		snprintf(id, sizeof id, "%d", i);
		items[i] = add(id, rand_r(&seed) % 500);
	}
	for (int64_t now = 0; now < 800; now++) {
		struct outbox_item *item, *last = NULL;

		while ((item = outbox_take(o, at(now))) != NULL) {
			ck_assert_int_le(item->due.ns, at(now).ns);
			if (last != NULL && last->due.ns == item->due.ns)
				ck_assert_uint_lt(last->serial, item->serial);
			last = item;
			item->tries++;
			if (item->tries == 1 && rand_r(&seed) % 2 == 0)
				outbox_return(o, item, at(now + 1 + rand_r(&seed) % 200));
		}
	}
	ck_assert_uint_eq(outbox_out(o), ITEMS);
	for (int i = 0; i < ITEMS; i++) {
		ck_assert(items[i]->tries == 1 || items[i]->tries == 2);
		if (i % 2 == 0)
			outbox_remove(o, &items[i]);
	}
	ck_assert_uint_eq(outbox_count(o), ITEMS / 2);
	ck_assert(outbox_has(o, "1") && !outbox_has(o, "2"));
}
END_TEST

START_TEST(waits_longer_each_time)
{
	static const int64_t wait_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

	for (uint32_t tries = 1; tries <= 9; tries++)
		ck_assert_int_eq(outbox_backoff_ms(tries, 1000, 60000), wait_s[tries - 1] * 1000);
	ck_assert_int_eq(outbox_backoff_ms(UINT32_MAX, 1000, 60000), 60000);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("outbox");
	TCase *tc = tcase_create("outbox");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, gives_what_it_got);
	tcase_add_test(tc, goes_by_time_and_then_by_order);
	tcase_add_test(tc, what_comes_back_has_its_old_place);
	tcase_add_test(tc, knows_ids);
	tcase_add_test(tc, keeps_order_with_many);
	tcase_add_test(tc, waits_longer_each_time);
	suite_add_tcase(s, tc);
	return s;
}
