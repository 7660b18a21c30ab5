/* The broker of elections: fake electors and children, a fake clock, and a script of what it says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/xalloc.h"
#include "supervisor/leaders.h"
#include "tests/unit/unit.h"

#define SECOND INT64_C(1000000000)

static struct leaders *leaders;
static struct mono now;
static struct strbuf said; /* one word a message, blank after each */

/* Children are texts: their addresses are who they are. */
static char worker_a[] = "a", worker_b[] = "b", worker_c[] = "c", heart[] = "h";

static void
on_role(void *arg, void *child, const struct proto_role *role)
{
	(void)arg;
	if (role->leader)
		strbuf_addf(&said, "%s:lead#%" PRIu64 ",t%" PRIu64 ",%" PRId64 "%s ", (char *)child,
			    role->serial, role->term, role->lease_end_ns / SECOND,
			    role->map_in_doubt ? ",doubt" : "");
	else
		strbuf_addf(&said, "%s:%s#%" PRIu64 " ", (char *)child, role->settle ? "settle" : "stop",
			    role->serial);
}

static void
on_able(void *arg, const struct leader *n, bool able)
{
	(void)arg;
	strbuf_addf(&said, "%s/%s:%s ", n->elector, n->key, able ? "able" : "unable");
}

static void
on_release(void *arg, const struct leader *n, uint64_t term)
{
	(void)arg;
	strbuf_addf(&said, "%s/%s:release,t%" PRIu64 " ", n->elector, n->key, term);
}

static void
on_happened(void *arg, const struct leader *n, enum leader_event event, const char *reason)
{
	static const char *const words[] = {"WON", "LOST", "ENDED", "YIELD", "RELEASED", "SEEN"};

	(void)arg;
	if (event != LEADER_SEEN)
		strbuf_addf(&said, "%s=%s%s%s ", n->name, words[event], reason[0] != '\0' ? "," : "", reason);
}

static const struct leaders_io io = {on_role, on_able, on_release, on_happened};

/* What was said since the last time. */
static void
says(const char *want)
{
	ck_assert_str_eq(said.data, want);
	strbuf_reset(&said);
}

/* Names of one elector "e1", ending with NULL; NAME is elected under key k<NAME>. */
static void
configure(const char *const *names)
{
	struct election_name list[8] = {{0}};
	char id[] = "e1", keys[8][16];
	struct election_group group = {.id = id, .names = list};
	struct election_plan plan = {.groups = &group, .group_count = 1};

	for (size_t i = 0; names[i] != NULL; i++) {
		snprintf(keys[i], sizeof keys[i], "k%s", names[i]);
		list[i].key = keys[i];
		list[i].name = names[i];
		/* "XX" is the work of two topics, "XH" of one and the heartbeat */
		list[i].topic_count = strcmp(names[i], "XX") == 0 ? 2 : 1;
		list[i].heartbeat = strcmp(names[i], "XH") == 0;
		group.name_count++;
	}
	leaders_set_plan(leaders, &plan, now);
}

static void
setup(void)
{
	strbuf_init(&said);
	now = (struct mono){1000 * SECOND};
	leaders = leaders_new(&io, NULL);
}

static void
teardown(void)
{
	leaders_free(&leaders);
	strbuf_fini(&said);
}

static void
won(const char *key, uint64_t term, int seconds)
{
	struct error e = ERROR_INIT;
	char *copy = xstrdup(key);
	struct proto_won w = {copy, term, now.ns + seconds * SECOND, false};

	ck_assert_int_eq(leaders_won(leaders, "e1", &w, now, &e), 0);
	free(copy);
}

static void
lost(const char *key, uint64_t term, const char *reason)
{
	struct error e = ERROR_INIT;
	struct proto_lost v = {xstrdup(key), term, xstrdup(reason)};

	ck_assert_int_eq(leaders_lost(leaders, "e1", &v, now, &e), 0);
	proto_lost_fini(&v);
}

static void
yield(const char *key, uint64_t term, const char *reason)
{
	struct error e = ERROR_INIT;
	struct proto_lost v = {xstrdup(key), term, xstrdup(reason)};

	ck_assert_int_eq(leaders_yield(leaders, "e1", &v, now, &e), 0);
	proto_lost_fini(&v);
}

static void
done(const void *child, uint64_t serial)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(leaders_role_done(leaders, child, serial, now, &e), 0);
}

static void
start(const char *key, void *child)
{
	leaders_child_started(leaders, "e1", key, child);
}

static void
end(const void *child)
{
	leaders_child_ended(leaders, child, now);
}

static const struct leader *
name(const char *key)
{
	return leaders_find(leaders, "e1", key);
}

/* Name X with worker a, led until 10 s from now in term 5. */
static void
lead(void)
{
	configure((const char *const[]){"X", NULL});
	start("kX", worker_a);
	won("kX", 5, 10);
	done(worker_a, 1);
	says("a:lead#1,t5,1010 X=WON ");
}

START_TEST(a_gain_reaches_children_that_run_and_those_that_start)
{
	configure((const char *const[]){"XX", "Y", NULL});
	start("kXX", worker_a);
	start("kY", worker_c);
	says("");
	won("kXX", 5, 10);
	says("a:lead#1,t5,1010 XX=WON ");
	start("kXX", worker_b);
	says("b:lead#1,t5,1010 ");
	end(worker_a);
	start("kXX", worker_a);
	says("a:lead#1,t5,1010 ");
	ck_assert_int_eq(name("kXX")->role, LEADER_LEADS);
	ck_assert_int_eq(name("kY")->role, LEADER_STANDBY);
}
END_TEST

START_TEST(renewals_carry_the_lease_end_on)
{
	lead();
	now = mono_add_ms(now, 2000);
	won("kX", 5, 10);
	says("a:lead#2,t5,1012 ");
	/* The end of the first lease is nothing any more. */
	now = mono_add_ms(now, 9000);
	leaders_tick(leaders, now);
	says("");
	now = mono_add_ms(now, 1000);
	leaders_tick(leaders, now);
	says("a:stop#3 X=LOST,the lease ended without renewal ");
	leaders_tick(leaders, now);
	says("");
	/* The elector says the same, late. */
	lost("kX", 5, "lease ended");
	says("");
}
END_TEST

START_TEST(a_renewal_that_comes_after_the_end_is_none)
{
	lead();
	now = mono_add_ms(now, 10000);
	won("kX", 5, 0);
	says("");
	leaders_tick(leaders, now);
	says("a:stop#2 X=LOST,the lease ended without renewal ");
	/* Held up for so long that the next renewal came after our verdict: it is a gain again. */
	won("kX", 5, 7);
	says("a:lead#3,t5,1017 X=WON ");
}
END_TEST

START_TEST(another_term_is_another_gain)
{
	struct error e = ERROR_INIT;
	char key[] = "kX";
	const struct proto_won in_doubt = {key, 9, now.ns + 10 * SECOND, true};

	lead();
	ck_assert_int_eq(leaders_won(leaders, "e1", &in_doubt, now, &e), 0);
	says("a:lead#2,t9,1010,doubt X=WON ");
	/* A worker that starts in that term is in the same doubt; a renewal does not take it away. */
	won("kX", 9, 10);
	says("a:lead#3,t9,1010,doubt ");
}
END_TEST

START_TEST(a_loss_stops_at_once)
{
	lead();
	lost("kX", 5, "the key was deleted");
	says("a:stop#2 X=LOST,the key was deleted ");
	ck_assert_int_eq(name("kX")->role, LEADER_STANDBY);
	/* One that starts now stays on standby, untold. */
	end(worker_a);
	start("kX", worker_b);
	says("");
	won("kX", 8, 10);
	says("b:lead#1,t8,1010 X=WON ");
}
END_TEST

START_TEST(the_end_of_an_elector_loses_all_its_names)
{
	configure((const char *const[]){"X", "Y", "Z", NULL});
	start("kX", worker_a);
	start("kY", worker_b);
	start("kZ", worker_c);
	won("kX", 1, 10);
	won("kZ", 2, 10);
	strbuf_reset(&said);
	leaders_elector_ended(leaders, "e2", "killed", now);
	says("");
	leaders_elector_ended(leaders, "e1", "killed", now);
	says("a:stop#2 X=LOST,killed c:stop#2 Z=LOST,killed ");
	/* The next one takes them over in new terms. */
	won("kX", 3, 10);
	says("a:lead#3,t3,1010 X=WON ");
}
END_TEST

START_TEST(yield_waits_for_every_child)
{
	configure((const char *const[]){"XX", NULL});
	start("kXX", worker_a);
	start("kXX", worker_b);
	won("kXX", 5, 10);
	strbuf_reset(&said);
	yield("kXX", 5, "balance");
	says("a:settle#2 b:settle#2 XX=YIELD,balance ");
	ck_assert_int_eq(name("kXX")->role, LEADER_YIELDS);
	/* An answer to an earlier ROLE is not the one. */
	done(worker_a, 1);
	done(worker_b, 2);
	says("");
	/* Renewed meanwhile: nobody is told to lead again. */
	won("kXX", 5, 12);
	says("");
	/* One that starts now has nothing to settle. */
	start("kXX", worker_c);
	done(worker_a, 2);
	says("e1/kXX:release,t5 XX=RELEASED ");
	/* What crossed the release does not bring it back, a new term does. */
	won("kXX", 5, 12);
	says("");
	won("kXX", 6, 12);
	says("a:lead#3,t6,1012 b:lead#3,t6,1012 c:lead#1,t6,1012 XX=WON ");
}
END_TEST

static void
report(const char *key, bool leads)
{
	struct proto_election r = {.key = xstrdup(key), .leads = leads, .leader = xstrdup("")};
	struct error e = ERROR_INIT;

	r.site = xstrdup("");
	r.problem = xstrdup("");
	ck_assert_int_eq(leaders_report(leaders, "e1", &r, &e), 0);
}

/* Revisions begin again in a bucket that was made anew. */
START_TEST(a_term_that_was_released_may_come_again)
{
	lead();
	yield("kX", 5, "balance");
	done(worker_a, 2);
	report("kX", true);
	strbuf_reset(&said);
	won("kX", 5, 10);
	says("");
	report("kX", false);
	won("kX", 5, 10);
	says("a:lead#3,t5,1010 X=WON ");
	yield("kX", 5, "balance");
	done(worker_a, 4);
	lost("kX", 5, "given up");
	strbuf_reset(&said);
	won("kX", 5, 10);
	says("a:lead#5,t5,1010 X=WON ");
	yield("kX", 5, "balance");
	done(worker_a, 6);
	leaders_elector_ended(leaders, "e1", "killed", now);
	strbuf_reset(&said);
	won("kX", 5, 10);
	says("a:lead#7,t5,1010 X=WON ");
}
END_TEST

START_TEST(a_child_without_process_has_settled)
{
	lead();
	yield("kX", 5, "step-down");
	says("a:settle#2 X=YIELD,step-down ");
	end(worker_a);
	says("e1/kX:release,t5 X=RELEASED ");
	/* None at all: at once. */
	won("kX", 7, 10);
	says("X=WON ");
	yield("kX", 7, "step-down");
	says("X=YIELD,step-down e1/kX:release,t7 X=RELEASED ");
	/* Asked for what we do not hold: nothing stands in the way. */
	yield("kX", 8, "drain");
	says("e1/kX:release,t8 ");
}
END_TEST

START_TEST(a_loss_while_yielding_stops_at_once)
{
	lead();
	yield("kX", 5, "balance");
	says("a:settle#2 X=YIELD,balance ");
	lost("kX", 5, "the lease ended");
	says("a:stop#3 X=ENDED,the lease ended ");
	done(worker_a, 2);
	done(worker_a, 3);
	says("");
	/* The lease may end by itself, too. */
	won("kX", 6, 10);
	yield("kX", 6, "balance");
	strbuf_reset(&said);
	now = mono_add_ms(now, 10000);
	leaders_tick(leaders, now);
	says("a:stop#6 X=ENDED,the lease ended without renewal ");
}
END_TEST

START_TEST(able_is_told_at_each_change)
{
	configure((const char *const[]){"XH", "Y", NULL});
	start("kXH", worker_a);
	leaders_child_able(leaders, worker_a, true);
	says("");
	leaders_elector_ready(leaders, "e1");
	says("e1/kXH:unable e1/kY:unable ");
	start("kXH", heart);
	says("");
	leaders_child_able(leaders, heart, true);
	says("e1/kXH:able ");
	leaders_child_able(leaders, heart, true);
	says("");
	leaders_child_able(leaders, worker_a, false);
	says("e1/kXH:unable ");
	leaders_child_able(leaders, worker_a, true);
	says("e1/kXH:able ");
	end(worker_a);
	says("e1/kXH:unable ");
	start("kXH", worker_a);
	leaders_child_able(leaders, worker_a, true);
	says("e1/kXH:able ");
	/* A new elector has to be told again. */
	leaders_elector_ended(leaders, "e1", "killed", now);
	leaders_child_able(leaders, worker_a, false);
	leaders_child_able(leaders, worker_a, true);
	says("");
	leaders_elector_ready(leaders, "e1");
	says("e1/kXH:able e1/kY:unable ");
}
END_TEST

START_TEST(a_name_that_goes_is_released_when_its_children_end)
{
	lead();
	configure((const char *const[]){"Y", NULL});
	says("a:settle#2 X=YIELD,it is no longer configured here ");
	ck_assert(!leaders_may_replace(leaders, "e1", now));
	ck_assert_ptr_null(leaders_find_name(leaders, "X"));
	ck_assert_ptr_nonnull(leaders_find_name(leaders, "Y"));
	end(worker_a);
	says("e1/kX:release,t5 X=RELEASED ");
	ck_assert(!leaders_may_replace(leaders, "e1", now));
	now = mono_add_ms(now, 300);
	ck_assert(leaders_may_replace(leaders, "e1", now));
	/* The old elector wins it once more before it ends. */
	won("kX", 9, 10);
	says("e1/kX:release,t9 ");
	leaders_elector_ended(leaders, "e1", "replaced", now);
	says("");
	ck_assert_uint_eq(leaders_count(leaders), 1);
	ck_assert_str_eq(leaders_at(leaders, 0)->name, "Y");
	ck_assert(leaders_may_replace(leaders, "e1", now));
}
END_TEST

START_TEST(names_that_stay_keep_everything)
{
	lead();
	configure((const char *const[]){"Y", "X", NULL});
	says("");
	ck_assert_int_eq(name("kX")->role, LEADER_LEADS);
	ck_assert_str_eq(leaders_at(leaders, 0)->name, "Y");
	ck_assert_str_eq(leaders_at(leaders, 1)->name, "X");
	ck_assert(leaders_may_replace(leaders, "e1", now));
	/* Gone and back before anything came of it. */
	configure((const char *const[]){"Y", NULL});
	configure((const char *const[]){"X", "Y", NULL});
	says("a:settle#2 X=YIELD,it is no longer configured here ");
	done(worker_a, 2);
	says("e1/kX:release,t5 X=RELEASED ");
	won("kX", 6, 10);
	says("a:lead#3,t6,1010 X=WON ");
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct error e = ERROR_INIT;
	char key[] = "kZ", why[] = "";
	const struct proto_won w = {key, 1, now.ns + SECOND, false};
	const struct proto_lost v = {key, 1, why};
	struct proto_election report = {.key = xstrdup("kZ")};

	lead();
	ck_assert_int_eq(leaders_won(leaders, "e1", &w, now, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "kZ"));
	ck_assert_int_eq(leaders_lost(leaders, "e1", &v, now, &e), -1);
	ck_assert_int_eq(leaders_yield(leaders, "e1", &v, now, &e), -1);
	ck_assert_int_eq(leaders_report(leaders, "e1", &report, &e), -1);
	ck_assert_int_eq(leaders_role_done(leaders, worker_a, 2, now, &e), -1);
	/* Of a child that works for no name, and of one that is none. */
	ck_assert_int_eq(leaders_role_done(leaders, worker_b, 2, now, &e), 0);
	end(worker_b);
	leaders_child_able(leaders, worker_b, true);
	start("kZ", worker_b);
	says("");
}
END_TEST

START_TEST(the_newest_report_is_kept)
{
	struct proto_election report = {.key = xstrdup("kX"), .leader = xstrdup("far"), .term = 3};
	struct error e = ERROR_INIT;

	configure((const char *const[]){"X", NULL});
	ck_assert(!name("kX")->have_report);
	report.site = xstrdup("");
	report.problem = xstrdup("");
	ck_assert_int_eq(leaders_report(leaders, "e1", &report, &e), 0);
	ck_assert(name("kX")->have_report);
	ck_assert_str_eq(name("kX")->report.leader, "far");
	report = (struct proto_election){.key = xstrdup("kX"), .leader = xstrdup(""), .site = xstrdup("")};
	report.problem = xstrdup("no bucket");
	ck_assert_int_eq(leaders_report(leaders, "e1", &report, &e), 0);
	ck_assert_str_eq(name("kX")->report.problem, "no bucket");
	leaders_elector_ended(leaders, "e1", "killed", now);
	ck_assert(!name("kX")->have_report);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("leaders");
	TCase *tc = tcase_create("broker");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_gain_reaches_children_that_run_and_those_that_start);
	tcase_add_test(tc, renewals_carry_the_lease_end_on);
	tcase_add_test(tc, a_renewal_that_comes_after_the_end_is_none);
	tcase_add_test(tc, another_term_is_another_gain);
	tcase_add_test(tc, a_loss_stops_at_once);
	tcase_add_test(tc, the_end_of_an_elector_loses_all_its_names);
	tcase_add_test(tc, yield_waits_for_every_child);
	tcase_add_test(tc, a_term_that_was_released_may_come_again);
	tcase_add_test(tc, a_child_without_process_has_settled);
	tcase_add_test(tc, a_loss_while_yielding_stops_at_once);
	tcase_add_test(tc, able_is_told_at_each_change);
	tcase_add_test(tc, a_name_that_goes_is_released_when_its_children_end);
	tcase_add_test(tc, names_that_stay_keep_everything);
	tcase_add_test(tc, what_makes_no_sense_is_refused);
	tcase_add_test(tc, the_newest_report_is_kept);
	suite_add_tcase(s, tc);
	return s;
}
