/*
 * What a sampled topic reads back: each rule over made-up facts. A case changes what it is about in the facts
 * of a worker that starts again a moment after it died: the note is of 900 and 400, the position is 950, the
 * target ends at 420.
 */
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/recall_plan.h"

enum { HOUR_MS = 3600000, SOURCE_MADE = 1111, TARGET_MADE = 2222, OTHER = 3333 };
static const int64_t NOW = INT64_C(1700000000000);

static struct sample_note own, heard;
static struct jsapi_stream source, target;
static struct recall_facts facts;
static struct recall_plan plan;

static struct sample_note
note_of(uint64_t source_seq, uint64_t target_seq, int64_t age_ms)
{
	return (struct sample_note){.source_created_ns = SOURCE_MADE,
				    .source_seq = source_seq,
				    .target_created_ns = TARGET_MADE,
				    .target_seq = target_seq,
				    .heard_ms = NOW - age_ms};
}

static void
setup(void)
{
	own = note_of(900, 400, 5000);
	heard = note_of(940, 415, 1000);
	source = (struct jsapi_stream){.created_ns = SOURCE_MADE,
				       .first_seq = 1,
				       .last_seq = 1000,
				       .messages = 1000,
				       .retention = RETENTION_LIMITS};
	target = (struct jsapi_stream){.created_ns = TARGET_MADE,
				       .first_seq = 1,
				       .last_seq = 420,
				       .messages = 420,
				       .last_time_ns = (NOW - 2000) * 1000000};
	facts = (struct recall_facts){.own = &own,
				      .source = &source,
				      .target = &target,
				      .position = 950,
				      .duration_ms = HOUR_MS,
				      .now_ms = NOW};
}

static void
make(void)
{
	recall_make_plan(&facts, &plan);
}

static void
ck_reads_behind(uint64_t after, bool raise)
{
	make();
	ck_assert(plan.read);
	ck_assert_uint_eq(plan.after, after);
	ck_assert_int_eq(plan.since_ms, 0);
	ck_assert_int_eq(plan.raise, raise);
	ck_assert(!plan.copies_lost);
}

/* Everything of a duration, of which nothing is known to be new. */
static void
ck_reads_since(int64_t since_ms, bool copies_lost)
{
	make();
	ck_assert(plan.read);
	ck_assert_int_eq(plan.since_ms, since_ms);
	ck_assert(!plan.raise);
	ck_assert_int_eq(plan.copies_lost, copies_lost);
	ck_assert_uint_eq(plan.known_until, 0);
}

/* ---- the target ----------------------------------------------------------------------------------- */

START_TEST(after_a_crash_what_is_behind_the_note_is_read)
{
	ck_reads_behind(400, true);
	ck_assert_uint_eq(plan.replay_after, 900);
	ck_assert(!plan.silence_from_now);
	ck_assert_uint_eq(plan.known_until, 0);
}
END_TEST

START_TEST(after_an_orderly_end_nothing_is_read)
{
	own = note_of(950, 420, 30 * HOUR_MS);
	make();
	ck_assert(!plan.read);
	ck_assert_uint_eq(plan.replay_after, 950);
	ck_assert(!plan.silence_from_now);
}
END_TEST

START_TEST(without_a_note_a_duration_is_read)
{
	facts.own = NULL;
	ck_reads_since(NOW - 2000 - HOUR_MS, false);
	ck_assert_uint_eq(plan.replay_after, 950);
	ck_assert(!plan.silence_from_now);             /* nobody has listened before */
	target.last_time_ns = (NOW + 60000) * 1000000; /* a clock that is ahead */
	ck_reads_since(NOW - HOUR_MS, false);
	facts.target_created_ns = TARGET_MADE;
	ck_reads_since(NOW - HOUR_MS, false);
	facts.target_created_ns = OTHER; /* whatever rows there are */
	ck_reads_since(NOW - HOUR_MS, true);
}
END_TEST

START_TEST(an_empty_target_is_not_read)
{
	facts.own = NULL;
	target.messages = target.last_seq = 0;
	target.last_time_ns = 0;
	make();
	ck_assert(!plan.read);
}
END_TEST

START_TEST(another_target_has_nothing_of_the_table)
{
	target.created_ns = OTHER;
	ck_reads_since(NOW - 2000 - HOUR_MS, true);
	ck_assert_uint_eq(plan.replay_after, 900); /* seen they were all the same */
}
END_TEST

START_TEST(a_target_that_went_back_has_lost_copies)
{
	target.last_seq = target.messages = 399;
	facts.position = 895;
	ck_reads_since(NOW - 2000 - HOUR_MS, true);
	ck_assert_uint_eq(plan.replay_after, 895);
}
END_TEST

START_TEST(what_others_may_have_displaced_is_looked_for)
{
	facts.displaced = true;
	facts.position = 880;
	ck_reads_since(NOW - 2000 - HOUR_MS, true);
}
END_TEST

/* Much was stored since: what was copied longer ago than a duration does not matter. */
START_TEST(an_old_note_is_not_read_from)
{
	own = note_of(900, 400, 2 * HOUR_MS);
	ck_reads_behind(400, true);
	target.last_seq = target.messages = 400 + 200000;
	ck_reads_since(NOW - 2000 - HOUR_MS, false);
	own = note_of(900, 400, HOUR_MS / 2);
	ck_reads_behind(400, true);
}
END_TEST

/* ---- two notes ------------------------------------------------------------------------------------ */

START_TEST(the_note_that_knows_more_of_the_target_counts)
{
	facts.heard = &heard;
	ck_reads_behind(415, true);
	ck_assert_ptr_eq(plan.note, &heard);
	ck_assert_uint_eq(plan.replay_after, 940);
	heard.target_seq = 390;
	ck_reads_behind(400, true);
	heard = note_of(940, 415, 1000);
	heard.target_created_ns = OTHER;
	ck_reads_behind(400, true);
	own.target_created_ns = OTHER;
	heard.target_created_ns = TARGET_MADE;
	ck_reads_behind(415, true);
}
END_TEST

/* Whoever led since the note was written has advised of what he saw. */
START_TEST(an_old_note_of_an_elected_topic_raises_nothing)
{
	facts.elected = true;
	ck_reads_behind(400, true);
	own = note_of(900, 400, 10 * 60000);
	ck_reads_behind(400, false);
	facts.heard = &heard;
	ck_reads_behind(415, true);
}
END_TEST

/* ---- what comes again ------------------------------------------------------------------------------ */

START_TEST(what_the_leader_before_passed_over_is_not_judged_again)
{
	facts.elected = true;
	facts.heard = &heard;
	heard = note_of(960, 420, 500);
	make();
	ck_assert(!plan.read);
	ck_assert_uint_eq(plan.known_until, 960);
	ck_assert_uint_eq(plan.replay_after, 950);
	facts.chosen = true; /* a person said where to begin */
	make();
	ck_assert_uint_eq(plan.known_until, 0);
}
END_TEST

START_TEST(sequences_of_another_source_say_nothing)
{
	own.source_seq = 990;
	source.created_ns = OTHER;
	ck_reads_behind(400, true);
	ck_assert_uint_eq(plan.known_until, 0);
	ck_assert_uint_eq(plan.replay_after, 950);
	ck_assert(plan.silence_from_now);
	source.created_ns = SOURCE_MADE; /* the same, but it went back */
	source.last_seq = 980;
	make();
	ck_assert_uint_eq(plan.known_until, 0);
	ck_assert(plan.silence_from_now);
}
END_TEST

/* ---- what was said meanwhile ----------------------------------------------------------------------- */

START_TEST(what_cannot_be_heard_again_silences_nobody)
{
	source.retention = RETENTION_WORKQUEUE;
	make();
	ck_assert_uint_eq(plan.replay_after, 950);
	ck_assert(plan.silence_from_now);
	setup();
	source.retention = RETENTION_INTEREST;
	make();
	ck_assert(plan.silence_from_now);
	setup();
	source.first_seq = 902; /* 901 is gone */
	make();
	ck_assert(plan.silence_from_now);
	source.first_seq = 901;
	make();
	ck_assert(!plan.silence_from_now);
	ck_assert_uint_eq(plan.replay_after, 900);
}
END_TEST

/* A work queue gives away what it holds: reading it would take it from its reader. */
START_TEST(a_target_that_keeps_nothing_is_not_read)
{
	target.retention = RETENTION_WORKQUEUE;
	make();
	ck_assert(!plan.read);
	ck_assert(plan.replay_judges);
	ck_assert_uint_eq(plan.replay_after, 900);
	facts.own = NULL;
	make();
	ck_assert(!plan.read);
	target.retention = RETENTION_LIMITS;
	make();
	ck_assert(!plan.replay_judges);
}
END_TEST

START_TEST(too_much_is_not_heard_again)
{
	facts.position = 900 + 1000000;
	source.last_seq = facts.position;
	make();
	ck_assert_uint_eq(plan.replay_after, 900);
	facts.position++;
	source.last_seq++;
	make();
	ck_assert_uint_eq(plan.replay_after, facts.position);
	ck_assert(plan.silence_from_now);
}
END_TEST

Suite *
unit_suite(void)
{
	const TTest *const tests[] = {after_a_crash_what_is_behind_the_note_is_read,
				      after_an_orderly_end_nothing_is_read,
				      without_a_note_a_duration_is_read,
				      an_empty_target_is_not_read,
				      another_target_has_nothing_of_the_table,
				      a_target_that_went_back_has_lost_copies,
				      what_others_may_have_displaced_is_looked_for,
				      an_old_note_is_not_read_from,
				      the_note_that_knows_more_of_the_target_counts,
				      an_old_note_of_an_elected_topic_raises_nothing,
				      what_the_leader_before_passed_over_is_not_judged_again,
				      sequences_of_another_source_say_nothing,
				      what_cannot_be_heard_again_silences_nobody,
				      a_target_that_keeps_nothing_is_not_read,
				      too_much_is_not_heard_again};
	TCase *tc = tcase_create("recall_plan");
	Suite *s = suite_create("recall_plan");

	tcase_add_checked_fixture(tc, setup, NULL);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	return s;
}
