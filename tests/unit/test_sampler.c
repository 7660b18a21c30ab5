/* The rules of sampling, one by one: what is copied, what a rewind changes, and what silence comes to. */
#include "tests/unit/sampler_fixture.h"

/* ---- decisions ------------------------------------------------------------------------------------- */

static int64_t
due_ms(const char *value)
{
	return DURATION * 1000 - (int64_t)(sample_value_hash(value, strlen(value)) % (DURATION * 100 + 1));
}

START_TEST(a_new_value_is_copied_and_then_skipped)
{
	ck_assert_int_eq(settle("a", 0, 100), SAMPLER_NEW);
	ck_assert_int_eq(settle("a", 1, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("b", 1, 100), SAMPLER_NEW);
	ck_assert_int_eq(settle("a", 899, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 1000, 100), SAMPLER_DUE);
	ck_assert_int_eq(settle("a", 1899, 100), SAMPLER_SKIP);
	happened("new a 0; new b 1; ");
}
END_TEST

static const char *const splayed[] = {"a", "b", "host1.example.net", "host2.example.net", "x", "y"};

START_TEST(a_value_is_due_at_its_own_moment)
{
	const char *v = splayed[_i];
	int64_t due = due_ms(v);

	ck_assert(due >= 900 * 1000 && due <= 1000 * 1000);
	ck_assert_int_eq(settle(v, 0, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer_as(++seq, v, EPOCH_MS + due - 1, 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(++seq, v, EPOCH_MS + due, 100, false, false), SAMPLER_DUE);
	ck_assert_int_eq(offer_as(++seq, v, EPOCH_MS + 2 * due - 1, 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(++seq, v, EPOCH_MS + 2 * due, 100, false, false), SAMPLER_DUE);
}
END_TEST

START_TEST(a_change_of_size_is_copied)
{
	settle("a", 0, 100);
	ck_assert_int_eq(settle("a", 1, 149), SAMPLER_SKIP);
	/* Against what was seen last, copied or not. */
	ck_assert_int_eq(settle("a", 2, 198), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 3, 248), SAMPLER_SIZE);
	ck_assert_int_eq(settle("a", 4, 199), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 5, 149), SAMPLER_SIZE);
	ck_assert_int_eq(settle("a", 6, UINT64_MAX), SAMPLER_SIZE);
	ck_assert_int_eq(settle("a", 7, UINT64_MAX - 1), SAMPLER_SKIP);
	/* It counts as a copy. */
	ck_assert_int_eq(settle("a", 905, UINT64_MAX), SAMPLER_SKIP);
	/* In flight too. */
	ck_assert_int_eq(offer("b", 0, 0), SAMPLER_NEW);
	ck_assert_int_eq(offer("b", 0, 50), SAMPLER_SIZE);
	ck_assert_int_eq(offer("b", 0, 60), SAMPLER_SKIP);
}
END_TEST

START_TEST(without_a_trigger_size_does_not_matter)
{
	const struct sampler_rules rules = {DURATION * 1000, WARN * 1000, 0, 10, false};
	const struct sampler_callbacks callbacks = {NULL};

	sampler_free(&s);
	s = sampler_new(&rules, 7, &callbacks, NULL);
	ck_assert_int_eq(settle("a", 0, 100), SAMPLER_NEW);
	ck_assert_int_eq(settle("a", 1, 1000000), SAMPLER_SKIP);
}
END_TEST

START_TEST(a_forced_message_is_copied_and_counts)
{
	settle("a", 0, 100);
	ck_assert_int_eq(offer_as(++seq, "a", ms(500), 100, true, false), SAMPLER_FORCED);
	ck_assert_int_eq(offer_as(++seq, "a", ms(1399), 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(++seq, "a", ms(1500), 100, true, false), SAMPLER_DUE);
}
END_TEST

START_TEST(what_must_be_copied_is_copied_and_counts)
{
	settle("a", 0, 100);
	ck_assert_int_eq(offer_as(++seq, "a", ms(500), 100, false, true), SAMPLER_KEPT);
	ck_assert_int_eq(offer_as(++seq, "a", ms(1399), 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(++seq, "b", ms(1399), 100, false, true), SAMPLER_KEPT);
	ck_assert_int_eq(offer_as(++seq, "b", ms(1400), 100, false, false), SAMPLER_SKIP);
}
END_TEST

START_TEST(times_of_the_future_count_as_now)
{
	struct sample_value v;
	const struct sampler_message m = {1, ms(5000), 100, false, false};

	value_of("a", &v);
	ck_assert_int_eq(sampler_offer(s, &v, &m, ms(10)), SAMPLER_NEW);
	sampler_settled(s, 1, 1);
	seq = 1;
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 10 10 100");
	ck_assert_int_eq(settle("a", 1010, 100), SAMPLER_DUE);
}
END_TEST

START_TEST(times_that_go_back_do_no_harm)
{
	wall = ms(500);
	settle("a", 500, 100);
	ck_assert_int_eq(settle("a", 100, 120), SAMPLER_SKIP);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 500 500 120");
	ck_assert_int_eq(settle("a", 1399, 120), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 1500, 120), SAMPLER_DUE);
	/* An older copy does not make the newer one forgotten. */
	wall = ms(1500);
	ck_assert_int_eq(offer_as(++seq, "a", ms(700), 120, true, false), SAMPLER_FORCED);
	ck_assert_int_eq(settle("a", 2399, 120), SAMPLER_SKIP);
}
END_TEST

START_TEST(a_clock_that_was_ahead_does_not_silence_a_sender)
{
	const struct proto_sample row = {
	    .value = "a", .value_len = 1, .seen_ms = ms(86400), .copied_ms = ms(86400), .size = 100};
	struct sample_value v;
	struct sampler_message m = {1, ms(10), 100, false, false};

	sampler_load(s, &row);
	value_of("a", &v);
	ck_assert_int_eq(sampler_offer(s, &v, &m, ms(10)), SAMPLER_SKIP);
	m.seq = 2;
	m.stored_ms = ms(1010);
	ck_assert_int_eq(sampler_offer(s, &v, &m, ms(1010)), SAMPLER_DUE);
}
END_TEST

START_TEST(a_full_table_copies_all)
{
	make(2, false);
	sampler_recall_end(s, wall);
	settle("a", 0, 1);
	settle("b", 0, 1);
	ck_assert_int_eq(settle("c", 0, 1), SAMPLER_UNTRACKED);
	ck_assert_int_eq(settle("c", 1, 1), SAMPLER_UNTRACKED);
	ck_assert_int_eq(settle("a", 1, 1), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(++seq, "c", ms(2), 1, false, true), SAMPLER_KEPT);
	ck_assert_uint_eq(figures().tracked, 2);
	happened("new a 0; new b 0; ");
}
END_TEST

/* ---- settlement and rewinds ------------------------------------------------------------------------ */

START_TEST(nothing_is_told_before_it_is_settled)
{
	offer("a", 0, 100);
	offer("a", 1, 110);
	offer("b", 2, 100);
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert_uint_eq(figures().tracked, 0);
	ck_assert_uint_eq(figures().in_flight, 3);
	sampler_settled(s, 1, 1);
	happened("new a 0; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 0 0 100");
	sampler_settled(s, 2, 1);
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1 0 110");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 0 110");
	sampler_settled(s, 3, 2);
	happened("new b 2; ");
	ck_assert_uint_eq(figures().in_flight, 0);
	ck_assert_uint_eq(figures().tracked, 2);
}
END_TEST

START_TEST(a_rewind_decides_the_same_again)
{
	wall = ms(1000);
	settle("a", 0, 100);
	ck_assert_int_eq(offer("b", 1, 100), SAMPLER_NEW);    /* 2 */
	ck_assert_int_eq(offer("a", 1000, 100), SAMPLER_DUE); /* 3 */
	ck_assert_int_eq(offer("b", 2, 100), SAMPLER_SKIP);   /* 4 */
	ck_assert_int_eq(offer("c", 3, 100), SAMPLER_NEW);    /* 5 */
	sampler_rewind(s, 2, 2);
	happened("new a 0; new b 1; ");
	/* Even though another node has told of copies meanwhile. */
	ck_assert(merge("a", 1000, 1000, 100, false));
	ck_assert(merge("c", 3, 3, 100, false));
	seq = 2;
	ck_assert_int_eq(offer("a", 1000, 100), SAMPLER_DUE);
	ck_assert_int_eq(offer("b", 2, 100), SAMPLER_SKIP);
	ck_assert_int_eq(offer("c", 3, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("d", 4, 100), SAMPLER_NEW);
	/* And once more, from the front. */
	sampler_rewind(s, 2, 2);
	seq = 2;
	ck_assert_int_eq(offer("a", 1000, 100), SAMPLER_DUE);
	sampler_rewind(s, 2, 2);
	seq = 2;
	ck_assert_int_eq(offer("a", 1000, 100), SAMPLER_DUE);
	ck_assert_int_eq(offer("b", 2, 100), SAMPLER_SKIP);
	ck_assert_int_eq(offer("c", 3, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("d", 4, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("d", 5, 100), SAMPLER_SKIP);
	ck_assert_uint_eq(figures().in_flight, 5);
	sampler_settled(s, 7, 5);
	happened("new d 4; "); /* c was known by then */
}
END_TEST

START_TEST(what_landed_after_a_rewind_counts_although_it_did_not_come_again)
{
	offer("a", 0, 100);
	offer("b", 1, 100);
	offer("a", 2, 100);
	sampler_rewind(s, 0, 0);
	sampler_rewind(s, 2, 2); /* now they are found at the target */
	happened("new a 0; new b 1; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 0 0 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "b 1 1 100");
	seq = 2;
	ck_assert_int_eq(offer("a", 2, 100), SAMPLER_SKIP);
}
END_TEST

START_TEST(what_does_not_come_again_was_seen_but_not_copied)
{
	offer("a", 0, 100); /* 1 */
	offer("b", 1, 100); /* 2 */
	offer("c", 2, 100); /* 3 */
	offer("d", 3, 100); /* 4 */
	sampler_rewind(s, 0, 0);
	ck_assert_int_eq(offer_as(3, "c", ms(2), 100, false, false), SAMPLER_NEW);
	sampler_settled(s, 5, 1);
	happened("new a 0; new b 1; new c 2; new d 3; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 0 -1 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "b 1 -1 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "c 2 2 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "d 3 -1 100");
	seq = 5;
	ck_assert_int_eq(offer("a", 4, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("d", 4, 100), SAMPLER_NEW);
}
END_TEST

START_TEST(an_unknown_message_between_those_of_before_is_judged_anew)
{
	offer_as(1, "a", ms(0), 100, false, false);
	offer_as(3, "b", ms(1), 100, false, false);
	offer_as(4, "a", ms(2), 100, false, false);
	sampler_rewind(s, 0, 0);
	ck_assert_int_eq(offer_as(1, "a", ms(0), 100, false, false), SAMPLER_NEW);
	ck_assert_int_eq(offer_as(2, "b", ms(0), 100, false, false), SAMPLER_NEW);
	ck_assert_int_eq(offer_as(3, "b", ms(1), 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(4, "a", ms(2), 100, false, false), SAMPLER_SKIP);
	sampler_settled(s, 4, 2);
	happened("new a 0; new b 0; ");
}
END_TEST

START_TEST(what_was_found_at_the_target_is_kept_whatever_was_decided)
{
	settle("a", 0, 100);
	ck_assert_int_eq(offer("a", 500, 100), SAMPLER_SKIP);
	sampler_rewind(s, 1, 1);
	seq = 1;
	ck_assert_int_eq(offer_as(2, "a", ms(500), 100, false, true), SAMPLER_KEPT);
	seq = 2;
	ck_assert_int_eq(settle("a", 1399, 100), SAMPLER_SKIP);
}
END_TEST

START_TEST(a_rejected_message_was_only_seen)
{
	ck_assert_int_eq(offer("a", 0, 100), SAMPLER_NEW);
	sampler_not_copied(s, 1);
	ck_assert_int_eq(offer("a", 1, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("a", 2, 100), SAMPLER_SKIP);
	sampler_not_copied(s, 3); /* no copy, nothing changes */
	sampler_not_copied(s, 77);
	ck_assert_int_eq(offer_as(++seq, "a", ms(3), 100, true, false), SAMPLER_FORCED);
	sampler_not_copied(s, 4); /* the copy before it counts again */
	ck_assert_int_eq(offer("a", 899, 100), SAMPLER_SKIP);
	sampler_settled(s, 1, 0);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 0 -1 100");
	sampler_settled(s, seq, 1);
	happened("new a 0; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 899 1 100");
}
END_TEST

START_TEST(a_rejected_message_stays_so_after_a_rewind)
{
	offer("a", 0, 100);
	sampler_not_copied(s, 1);
	sampler_rewind(s, 0, 0);
	ck_assert_int_eq(offer_as(1, "a", ms(0), 100, false, false), SAMPLER_SKIP);
	ck_assert_int_eq(offer_as(2, "a", ms(1), 100, false, false), SAMPLER_NEW);
}
END_TEST

START_TEST(what_is_dropped_leaves_nothing)
{
	settle("a", 0, 100);
	take_all();
	offer("a", 950, 100);
	offer("b", 951, 100);
	sampler_drop(s);
	ck_assert_uint_eq(figures().in_flight, 0);
	ck_assert_uint_eq(figures().tracked, 1);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	happened("new a 0; ");
	sampler_rewind(s, 100, 50);
	sampler_recall_end(s, wall);
	seq = 100;
	ck_assert_int_eq(offer("b", 951, 100), SAMPLER_NEW);
	ck_assert_int_eq(offer("a", 899, 100), SAMPLER_SKIP);
}
END_TEST

START_TEST(the_log_is_bounded)
{
	char value[16];

	for (uint32_t i = 0; i < SAMPLER_LOG_MAX; i++) {
		ck_assert(sampler_has_room(s));
		snprintf(value, sizeof value, "%u", i % 997);
		offer(value, 0, 100);
	}
	ck_assert(!sampler_has_room(s));
	ck_assert_uint_eq(figures().in_flight, SAMPLER_LOG_MAX);
	/* What comes again has its place. */
	sampler_rewind(s, 10, 10);
	ck_assert(sampler_has_room(s));
	seq = 10;
	for (uint32_t i = 10; i < SAMPLER_LOG_MAX; i++) {
		snprintf(value, sizeof value, "%u", i % 997);
		ck_assert_int_eq(offer(value, 0, 100), i < 997 ? SAMPLER_NEW : SAMPLER_SKIP);
	}
	ck_assert_uint_eq(figures().in_flight, SAMPLER_LOG_MAX - 10);
	sampler_settled(s, seq, 1);
	ck_assert_uint_eq(figures().tracked, 997);
	ck_assert_uint_eq(figures().in_flight, 0);
}
END_TEST

START_TEST(copies_that_the_target_lost_are_made_again)
{
	settle("a", 100, 100);
	settle("b", 200, 100);
	take_all();
	sampler_copies_lost(s, ms(150));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "b 200 -1 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert_int_eq(settle("a", 201, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("b", 201, 100), SAMPLER_NEW);
	ck_assert_int_eq(settle("b", 202, 100), SAMPLER_SKIP);
	happened("new a 100; new b 200; ");
}
END_TEST

/* ---- silence --------------------------------------------------------------------------------------- */

START_TEST(a_silent_value_times_out_recovers_and_expires)
{
	lead_to(1);
	settle("a", 1, 100);
	lead_to(400);
	happened("new a 1; ");
	lead_to(402);
	happened("timeout a 401; ");
	ck_assert_uint_eq(figures().advised, 1);
	lead_to(500);
	happened("");
	ck_assert_int_eq(settle("a", 500, 100), SAMPLER_SKIP);
	happened("recover a 500; ");
	ck_assert_uint_eq(figures().advised, 0);
	lead_to(899);
	happened("");
	lead_to(902);
	happened("timeout a 900; ");
	lead_to(1502);
	happened("");
	lead_to(1504);
	happened("expire a 1500; ");
	ck_assert_uint_eq(figures().tracked, 0);
	ck_assert_uint_eq(figures().advised, 0);
	lead_to(4000);
	happened("");
	ck_assert_int_eq(settle("a", 4000, 100), SAMPLER_NEW);
	happened("new a 4000; ");
}
END_TEST

START_TEST(a_timeout_is_noticed_soon)
{
	char value[16];

	lead_to(1);
	for (int i = 0; i < 400; i++) {
		snprintf(value, sizeof value, "%d", i);
		offer_as(++seq, value, wall + i * 7, 100, false, false);
	}
	sampler_settled(s, seq, seq);
	strbuf_reset(&events);
	lead_to(WARN);
	for (int i = 0; i < 20; i++) {
		lead_to((wall - EPOCH_MS) / 1000 + 1);
		/* All that fell due 1.5 s ago were told by now. */
		int64_t due = (wall - 1500 - ms(1) - WARN * 1000) / 7;
		snprintf(value, sizeof value, "t %lld ", (long long)(due < 399 ? due : 399));
		ck_assert_msg(due < 0 || strstr(events.data, value) != NULL, "%s", value);
	}
	ck_assert_uint_eq(figures().advised, 400);
}
END_TEST

START_TEST(time_that_nobody_listened_to_ages_nobody)
{
	lead_to(1);
	settle("a", 1, 100);
	lead_to(301);
	run(3000, true, false);
	lead_to(3099);
	happened("new a 1; ");
	/* 300 s before, a quarter of a second lost to the first call after. */
	lead_to(3102);
	happened("timeout a 401; ");
	run(5000, false, false);
	lead_to(5600);
	happened("");
	lead_to(5605);
	happened("expire a 1001; ");
}
END_TEST

START_TEST(a_backlog_does_not_age)
{
	lead_to(1);
	run(5000, true, false);
	/* What was stored hours ago is read now. */
	settle("a", 100, 100);
	settle("b", 4900, 100);
	lead_to(5399);
	happened("new a 100; new b 4900; ");
	lead_to(5403);
	happened("timeout a 500; timeout b 5300; ");
}
END_TEST

START_TEST(a_value_in_flight_is_not_silent)
{
	lead_to(1);
	settle("a", 1, 100);
	offer("a", 2, 100);
	lead_to(3000);
	happened("new a 1; ");
	sampler_rewind(s, 1, 1); /* it is still expected */
	lead_to(5000);
	happened("");
	seq = 1;
	settle("a", 4900, 100); /* the time is the one that it had at first */
	happened("");
	lead_to(5006);
	happened("timeout a 402; expire a 1002; ");
	offer("a", 5003, 100);
	sampler_settled(s, seq, seq);
	offer("a", 5004, 100);
	lead_to(5800);
	happened("new a 5003; ");
	sampler_drop(s);
	lead_to(5802);
	happened("timeout a 5403; ");
}
END_TEST

START_TEST(a_standby_says_nothing_and_forgets_later)
{
	run(1, false, true);
	ck_assert(merge("a", 1, 1, 100, false));
	run(1008, false, true);
	ck_assert_uint_eq(figures().tracked, 1);
	ck_assert_uint_eq(figures().advised, 0);
	run(1012, false, true);
	ck_assert_uint_eq(figures().tracked, 0);
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a forgotten");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
}
END_TEST

START_TEST(who_takes_the_lead_says_what_is_due)
{
	run(1, false, true);
	merge("a", 1, 1, 100, false);
	merge("b", 1, 1, 100, true);
	run(600, false, true);
	merge("c", 500, 500, 100, false);
	merge("d", 1, 1, 100, false);
	run(601, true, true);
	/* In which order does not matter. */
	ck_assert(strstr(events.data, "timeout a 401; ") && strstr(events.data, "timeout d 401; "));
	ck_assert_uint_eq(events.len, strlen("timeout a 401; timeout d 401; "));
	strbuf_reset(&events);
	lead_to(902);
	happened("timeout c 900; ");
	run(1006, false, true);
	happened("");
	lead_to(1007);
	ck_assert_uint_eq(events.len, strlen("expire a 1001; expire b 1001; expire d 1001; "));
}
END_TEST

START_TEST(who_takes_the_lead_late_says_timeout_and_expire)
{
	run(1, false, true);
	merge("a", 1, 1, 100, false);
	run(1006, false, true);
	lead_to(1007);
	happened("timeout a 401; expire a 1001; ");
}
END_TEST

START_TEST(another_record_of_listening_changes_what_is_due)
{
	static struct sample_note note;

	run(1, false, true);
	merge("a", 1, 1, 100, false);
	run(10, false, true);
	/* The leader listened for long before. */
	note.heard_ms = ms(390);
	note.gap_count = 1;
	note.gaps[0] = (struct listening_gap){0, ms(-5000)};
	note.source_seq = 5;
	wall = ms(390);
	sampler_adopt(s, &note);
	lead_to(400);
	happened("");
	lead_to(403);
	happened("timeout a 401; ");
}
END_TEST

START_TEST(a_standby_forgets_by_the_record_that_it_adopted)
{
	static struct sample_note note;

	run(1, false, true);
	merge("a", 1, 1, 100, false);
	run(10, false, true);
	note.heard_ms = ms(1008);
	note.gap_count = 1;
	note.gaps[0] = (struct listening_gap){0, ms(-5000)};
	note.source_seq = 5;
	sampler_adopt(s, &note);
	while (sampler_tick(s, false, ms(1008)))
		;
	ck_assert_uint_eq(figures().tracked, 1);
	note.heard_ms = ms(1010);
	sampler_adopt(s, &note);
	while (sampler_tick(s, false, ms(1010)))
		;
	ck_assert_uint_eq(figures().tracked, 0);
}
END_TEST

START_TEST(who_is_heard_too_late_has_expired_before)
{
	lead_to(1);
	settle("a", 1, 100);
	lead_to(1002);
	happened("new a 1; timeout a 401; ");
	take_all();
	/* Stored in time, and on its way since. */
	settle("a", 1000, 100);
	happened("recover a 1000; ");
	lead_to(2002);
	take_all();
	happened("timeout a 1400; ");
	settle("a", 2001, 100);
	happened("expire a 2000; new a 2001; ");
	ck_assert(sampler_urgent(s, TRACKER_STATE_DB));
	lead_to(2402);
	happened("timeout a 2401; ");
}
END_TEST

/* ---- suite ----------------------------------------------------------------------------------------- */

static void
add_decisions(TCase *tc)
{
	tcase_add_test(tc, a_new_value_is_copied_and_then_skipped);
	tcase_add_loop_test(tc, a_value_is_due_at_its_own_moment, 0, sizeof splayed / sizeof splayed[0]);
	tcase_add_test(tc, a_change_of_size_is_copied);
	tcase_add_test(tc, without_a_trigger_size_does_not_matter);
	tcase_add_test(tc, a_forced_message_is_copied_and_counts);
	tcase_add_test(tc, what_must_be_copied_is_copied_and_counts);
	tcase_add_test(tc, times_of_the_future_count_as_now);
	tcase_add_test(tc, times_that_go_back_do_no_harm);
	tcase_add_test(tc, a_clock_that_was_ahead_does_not_silence_a_sender);
	tcase_add_test(tc, a_full_table_copies_all);
}

static void
add_settlement(TCase *tc)
{
	tcase_add_test(tc, nothing_is_told_before_it_is_settled);
	tcase_add_test(tc, a_rewind_decides_the_same_again);
	tcase_add_test(tc, what_landed_after_a_rewind_counts_although_it_did_not_come_again);
	tcase_add_test(tc, what_does_not_come_again_was_seen_but_not_copied);
	tcase_add_test(tc, an_unknown_message_between_those_of_before_is_judged_anew);
	tcase_add_test(tc, what_was_found_at_the_target_is_kept_whatever_was_decided);
	tcase_add_test(tc, a_rejected_message_was_only_seen);
	tcase_add_test(tc, a_rejected_message_stays_so_after_a_rewind);
	tcase_add_test(tc, what_is_dropped_leaves_nothing);
	tcase_add_test(tc, the_log_is_bounded);
	tcase_add_test(tc, copies_that_the_target_lost_are_made_again);
}

static void
add_silence(TCase *tc)
{
	tcase_add_test(tc, a_silent_value_times_out_recovers_and_expires);
	tcase_add_test(tc, a_timeout_is_noticed_soon);
	tcase_add_test(tc, time_that_nobody_listened_to_ages_nobody);
	tcase_add_test(tc, a_backlog_does_not_age);
	tcase_add_test(tc, a_value_in_flight_is_not_silent);
	tcase_add_test(tc, a_standby_says_nothing_and_forgets_later);
	tcase_add_test(tc, who_takes_the_lead_says_what_is_due);
	tcase_add_test(tc, who_takes_the_lead_late_says_timeout_and_expire);
	tcase_add_test(tc, another_record_of_listening_changes_what_is_due);
	tcase_add_test(tc, a_standby_forgets_by_the_record_that_it_adopted);
	tcase_add_test(tc, who_is_heard_too_late_has_expired_before);
}

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("sampler");

	add_decisions(add_case(suite, "decisions"));
	add_settlement(add_case(suite, "settlement"));
	add_silence(add_case(suite, "silence"));
	return suite;
}
