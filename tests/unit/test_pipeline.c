/* What is in flight: the chain, subjects, window, stretch, restarts. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/pipeline.h"

enum { TIMEOUT_MS = 5000 };

static struct pipeline *p;
static struct mono now;
static void *dropped[64];
static size_t dropped_count;
static const char *why;

static void
drop(void *owner, void *held)
{
	ck_assert_ptr_eq(owner, &now);
	ck_assert_uint_lt(dropped_count, 64);
	dropped[dropped_count++] = held;
}

static struct pipeline_config config;

static void
setup(void)
{
	config = (struct pipeline_config){.window_max = 1000,
					  .window_max_bytes = 100000,
					  .reply_every_msgs = 8,
					  .reply_every_bytes = 4000,
					  .ack_timeout_ms = TIMEOUT_MS};
	now.ns = INT64_C(1000000000000);
	dropped_count = 0;
	p = pipeline_new(&config, drop, &now);
}

static void
teardown(void)
{
	pipeline_free(&p);
	ck_assert_ptr_null(p);
}

static void
begin(enum pipeline_mode mode, uint64_t source_seq, uint64_t target_seq, uint64_t stretch_end)
{
	const struct pipeline_start start = {mode, source_seq, target_seq, stretch_end, 0, 0, false, 0, 0, 0};

	pipeline_restart(p, &start);
}

static struct pipeline_ticket
send_sized(uint64_t seq, uint64_t bytes, uint64_t subject, bool more)
{
	return pipeline_send(p, seq, (int64_t)seq * 10, bytes, subject, more, now);
}

static struct pipeline_ticket
send(uint64_t seq)
{
	return send_sized(seq, 10, seq * 1000, true);
}

static enum pipeline_verdict
answer(uint64_t id, bool accepted, bool duplicate, uint64_t target_seq)
{
	const struct pipeline_answer a = {accepted, duplicate, target_seq};
	uint64_t seq;

	return pipeline_reply(p, pipeline_epoch(p), id, &a, &seq, &why);
}

static void
ck_position(uint64_t source_seq, uint64_t target_seq)
{
	ck_assert_uint_eq(pipeline_source_seq(p), source_seq);
	ck_assert_uint_eq(pipeline_target_seq(p), target_seq);
}

/* ---- chain --------------------------------------------------------------------------------------- */

START_TEST(slots_follow_the_targets_last_sequence)
{
	begin(PIPELINE_CHAIN, 100, 40, 0);
	ck_position(100, 40);
	ck_assert_uint_eq(pipeline_expected_last(p), 40);
	send(101);
	ck_assert_uint_eq(pipeline_expected_last(p), 41);
	send(105);
	ck_assert_uint_eq(pipeline_expected_last(p), 42);
	pipeline_skip(p, 106);
	ck_assert_uint_eq(pipeline_expected_last(p), 42);
	ck_assert_uint_eq(pipeline_offered_seq(p), 106);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 2);
	ck_assert_uint_eq(pipeline_inflight_bytes(p), 20);
	ck_assert_int_eq(pipeline_oldest_stored_ms(p), 1010);
	ck_position(100, 40);
}
END_TEST

START_TEST(one_reply_proves_all_before_it)
{
	struct pipeline_ticket last = {0};

	begin(PIPELINE_CHAIN, 0, 0, 0);
	for (uint64_t seq = 1; seq <= 5; seq++)
		last = send(seq);
	ck_assert_int_eq(answer(last.id, true, false, 5), PIPELINE_GO_ON);
	ck_position(5, 5);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 0);
	ck_assert_uint_eq(pipeline_inflight_bytes(p), 0);
	ck_assert_int_eq(pipeline_oldest_stored_ms(p), 0);
}
END_TEST

START_TEST(a_reply_settles_nothing_behind_it)
{
	struct pipeline_ticket third;

	begin(PIPELINE_CHAIN, 10, 70, 0);
	send(11);
	send(12);
	third = send(13);
	send(14);
	pipeline_skip(p, 15);
	ck_assert_int_eq(answer(third.id, true, false, 73), PIPELINE_GO_ON);
	ck_position(13, 73);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 1);
	ck_assert_uint_eq(pipeline_expected_last(p), 74);
}
END_TEST

START_TEST(another_sequence_is_a_broken_chain)
{
	static const uint64_t wrong[] = {0, 41, 43, 40, UINT64_MAX};
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 100, 40, 0);
	send(101);
	t = send(102); /* slot 42 */
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_int_eq(answer(t.id, true, false, wrong[i]), PIPELINE_REWIND);
		ck_assert_str_ne(why, "");
		ck_position(100, 40);
	}
	/* also with the mark of a duplicate */
	ck_assert_int_eq(answer(t.id, true, true, 41), PIPELINE_REWIND);
	ck_assert_int_eq(answer(t.id, true, true, 0), PIPELINE_REWIND);
	ck_position(100, 40);
}
END_TEST

START_TEST(a_refusal_of_the_oldest_tells_its_cause)
{
	struct pipeline_ticket first, second;
	const struct pipeline_answer refused = {false, false, 0};
	uint64_t seq;

	begin(PIPELINE_CHAIN, 100, 40, 0);
	first = send(101);
	second = send(102);
	ck_assert_int_eq(pipeline_reply(p, pipeline_epoch(p), second.id, &refused, &seq, &why),
			 PIPELINE_REWIND);
	ck_assert_uint_eq(seq, 102);
	ck_assert_int_eq(pipeline_reply(p, pipeline_epoch(p), first.id, &refused, &seq, &why),
			 PIPELINE_REFUSED);
	ck_assert_uint_eq(seq, 101);
	ck_position(100, 40);
}
END_TEST

START_TEST(replies_that_are_not_awaited_change_nothing)
{
	const struct pipeline_answer good = {true, false, 41}, bad = {false, false, 0};
	struct pipeline_ticket t;
	uint64_t seq;
	uint32_t old;

	begin(PIPELINE_CHAIN, 100, 40, 0);
	t = send(101);
	old = pipeline_epoch(p);
	/* ids that are not in the ring */
	ck_assert_int_eq(answer(t.id + 1, true, false, 42), PIPELINE_GO_ON);
	ck_assert_int_eq(answer(t.id - 1, false, false, 0), PIPELINE_GO_ON);
	ck_assert_int_eq(answer(0, false, false, 0), PIPELINE_GO_ON);
	ck_position(100, 40);
	/* of an epoch before */
	pipeline_stop(p, NULL, true);
	begin(PIPELINE_CHAIN, 100, 40, 0);
	ck_assert_uint_ne(pipeline_epoch(p), old);
	t = send(101);
	for (uint64_t id = 0; id < t.id + 3; id++) {
		ck_assert_int_eq(pipeline_reply(p, old, id, &good, &seq, &why), PIPELINE_GO_ON);
		ck_assert_int_eq(pipeline_reply(p, old, id, &bad, &seq, &why), PIPELINE_GO_ON);
		ck_assert_uint_eq(seq, 0);
	}
	ck_position(100, 40);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 1);
}
END_TEST

START_TEST(a_reply_twice_settles_once)
{
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	t = send(1);
	send(2);
	ck_assert_int_eq(answer(t.id, true, false, 1), PIPELINE_GO_ON);
	ck_assert_int_eq(answer(t.id, true, false, 1), PIPELINE_GO_ON);
	ck_assert_int_eq(answer(t.id, false, false, 0), PIPELINE_GO_ON);
	ck_position(1, 1);
}
END_TEST

/* ---- skipping ------------------------------------------------------------------------------------ */

START_TEST(skipped_messages_settle_with_what_is_before_them)
{
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	pipeline_skip(p, 1);
	ck_position(1, 0);
	t = send(2);
	pipeline_skip(p, 3);
	pipeline_skip(p, 9);
	ck_position(1, 0);
	ck_assert_uint_eq(pipeline_offered_seq(p), 9);
	answer(t.id, true, false, 1);
	ck_position(9, 1);
	pipeline_skip(p, 20);
	ck_position(20, 1);
}
END_TEST

START_TEST(nothing_moves_the_position_back)
{
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 50, 10, 0);
	pipeline_skip(p, 50);
	pipeline_skip(p, 3);
	ck_position(50, 10);
	ck_assert_uint_eq(pipeline_offered_seq(p), 50);
	t = send(60);
	pipeline_skip(p, 55);
	pipeline_skip(p, 60);
	ck_assert_uint_eq(pipeline_offered_seq(p), 60);
	answer(t.id, true, false, 11);
	ck_position(60, 11);
}
END_TEST

/* ---- asking -------------------------------------------------------------------------------------- */

START_TEST(the_first_after_a_restart_asks)
{
	begin(PIPELINE_CHAIN, 0, 0, 0);
	ck_assert(send(1).reply);
	ck_assert(!send(2).reply);
	pipeline_stop(p, NULL, false);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	ck_assert(send(1).reply);
	ck_assert(!send(2).reply);
}
END_TEST

START_TEST(every_so_many_messages_one_asks)
{
	begin(PIPELINE_CHAIN, 0, 0, 0);
	send(1);
	for (uint64_t seq = 2; seq <= 100; seq++)
		ck_assert_int_eq(send(seq).reply, (seq - 1) % config.reply_every_msgs == 0);
}
END_TEST

START_TEST(every_so_many_bytes_one_asks)
{
	begin(PIPELINE_CHAIN, 0, 0, 0);
	send(1);
	ck_assert(!send_sized(2, 3999, 0, true).reply);
	ck_assert(send_sized(3, 1, 0, true).reply);
	ck_assert(!send_sized(4, 3999, 0, true).reply);
	ck_assert(send_sized(5, 5000, 0, true).reply);
}
END_TEST

START_TEST(the_last_at_hand_asks)
{
	begin(PIPELINE_CHAIN, 0, 0, 0);
	send(1);
	ck_assert(!send(2).reply);
	ck_assert(send_sized(3, 10, 0, false).reply);
	ck_assert(!send(4).reply);
}
END_TEST

START_TEST(the_one_that_fills_the_window_asks)
{
	uint64_t seq = 0;
	struct pipeline_ticket t = {0};

	pipeline_limit_window(p, 5);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	while (pipeline_has_room(p))
		t = send(++seq);
	ck_assert_uint_eq(seq, 5);
	ck_assert(t.reply);
	answer(t.id, true, false, 5);
	/* by bytes */
	t = send_sized(6, 99999, 0, true);
	ck_assert(pipeline_has_room(p));
	t = send_sized(7, 1, 0, true);
	ck_assert(!pipeline_has_room(p));
	ck_assert(t.reply);
}
END_TEST

START_TEST(a_message_larger_than_the_window_goes_alone)
{
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	t = send_sized(1, config.window_max_bytes * 2, 0, true);
	ck_assert(t.reply);
	ck_assert(!pipeline_has_room(p));
	answer(t.id, true, false, 1);
	ck_assert(pipeline_has_room(p));
	ck_assert_uint_eq(pipeline_inflight_bytes(p), 0);
}
END_TEST

/* Whatever the source does: while anything is in flight, a reply is on its way or the clock runs. */
START_TEST(a_late_reply_is_noticed)
{
	begin(PIPELINE_CHAIN, 0, 0, 0);
	now = mono_add_ms(now, 100000);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON); /* nothing in flight */
	send(1);
	now = mono_add_ms(now, TIMEOUT_MS - 1);
	send(2);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON);
	now = mono_add_ms(now, 1);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_REWIND);
	ck_assert_str_ne(why, "");
}
END_TEST

START_TEST(what_nobody_asked_for_is_late_too)
{
	struct pipeline_ticket first;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	first = send(1);
	now = mono_add_ms(now, 1000);
	send(2);
	answer(first.id, true, false, 1);
	now = mono_add_ms(now, TIMEOUT_MS - 1);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON);
	now = mono_add_ms(now, 1);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_REWIND);
}
END_TEST

START_TEST(the_oldest_reply_counts)
{
	struct pipeline_ticket first;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	first = send(1);
	now = mono_add_ms(now, 4000);
	send_sized(2, 10, 0, false);
	now = mono_add_ms(now, 900);
	answer(first.id, true, false, 1);
	now = mono_add_ms(now, 4000);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON);
	now = mono_add_ms(now, 200);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_REWIND);
}
END_TEST

/* ---- window -------------------------------------------------------------------------------------- */

/* Fills the window and has it acknowledged; returns how many that were. */
static uint32_t
round_trip(uint64_t *seq)
{
	uint64_t sent = 0;
	struct pipeline_ticket t = {0};

	while (pipeline_has_room(p)) {
		t = send_sized(++*seq, 1, 0, true);
		sent++;
	}
	ck_assert_int_eq(answer(t.id, true, false, *seq), PIPELINE_GO_ON);
	return (uint32_t)sent;
}

START_TEST(the_window_halves_and_grows_back)
{
	uint64_t seq = 0;
	uint32_t before;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	before = pipeline_window(p);
	ck_assert_uint_eq(before, 1000);
	pipeline_stop(p, NULL, true);
	ck_assert_uint_eq(pipeline_window(p), 500);
	pipeline_stop(p, NULL, false);
	ck_assert_uint_eq(pipeline_window(p), 500);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	ck_assert_uint_eq(round_trip(&seq), 500);
	ck_assert_uint_eq(pipeline_window(p), 1000);
	ck_assert_uint_eq(round_trip(&seq), 1000);
	ck_assert_uint_eq(pipeline_window(p), 1000);
}
END_TEST

START_TEST(the_window_never_closes)
{
	for (int i = 0; i < 40; i++)
		pipeline_stop(p, NULL, true);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	ck_assert_uint_ge(pipeline_window(p), 16);
	pipeline_limit_window(p, 1);
	for (int i = 0; i < 40; i++)
		pipeline_stop(p, NULL, true);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	ck_assert_uint_eq(pipeline_window(p), 1);
	ck_assert(pipeline_has_room(p));
}
END_TEST

START_TEST(the_window_grows_only_while_it_limits)
{
	uint64_t seq = 0;

	pipeline_stop(p, NULL, true);
	begin(PIPELINE_CHAIN, 0, 0, 0);
	for (int i = 0; i < 1000; i++) {
		struct pipeline_ticket t = send_sized(++seq, 1, 0, false);

		answer(t.id, true, false, seq);
	}
	ck_assert_uint_eq(pipeline_window(p), 500);
}
END_TEST

START_TEST(a_limit_holds)
{
	uint64_t seq = 0;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	pipeline_limit_window(p, 0);
	ck_assert_uint_eq(pipeline_window(p), 1000);
	pipeline_limit_window(p, 70);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(round_trip(&seq), 70);
}
END_TEST

/* The ring grows in the middle of its numbers. */
START_TEST(the_ring_keeps_its_entries_when_it_grows)
{
	uint64_t seq = 0, settled = 0;
	struct pipeline_entry_view view;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	while (pipeline_has_room(p)) {
		struct pipeline_ticket t = send_sized(++seq, 1, 0, true);

		if (seq % 3 == 0) {
			settled++;
			ck_assert_int_eq(answer(t.id - (seq - settled), true, false, settled),
					 PIPELINE_GO_ON);
		}
		if (seq % 50 == 0)
			for (size_t i = 0; i < seq - settled; i++) {
				ck_assert(pipeline_entry(p, i, &view));
				ck_assert_uint_eq(view.seq, settled + i + 1);
				ck_assert_uint_eq(view.slot, settled + i + 1);
			}
	}
	ck_assert(!pipeline_entry(p, seq - settled, &view));
}
END_TEST

/* ---- restart ------------------------------------------------------------------------------------- */

START_TEST(a_restart_goes_on_from_what_was_proven)
{
	struct pipeline_ticket t;

	begin(PIPELINE_CHAIN, 0, 0, 0);
	for (uint64_t seq = 1; seq <= 9; seq++)
		send(seq);
	pipeline_stop(p, NULL, true);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 0);
	ck_assert_uint_eq(pipeline_inflight_bytes(p), 0);
	ck_assert_uint_eq(pipeline_offered_seq(p), 0);
	begin(PIPELINE_CHAIN, 4, 4, 0);
	ck_assert_uint_eq(pipeline_expected_last(p), 4);
	ck_assert_uint_eq(pipeline_offered_seq(p), 4);
	t = send(5);
	ck_assert_int_eq(answer(t.id, true, false, 5), PIPELINE_GO_ON);
	ck_position(5, 5);
}
END_TEST

START_TEST(the_view_shows_what_is_in_flight)
{
	struct pipeline_entry_view v;

	begin(PIPELINE_CHAIN, 100, 40, 0);
	ck_assert(!pipeline_entry(p, 0, &v));
	send(101);
	pipeline_skip(p, 104);
	send(107);
	ck_assert(pipeline_entry(p, 0, &v));
	ck_assert_uint_eq(v.seq, 101);
	ck_assert_uint_eq(v.cover_seq, 104);
	ck_assert_uint_eq(v.slot, 41);
	ck_assert(!v.settled);
	ck_assert(pipeline_entry(p, 1, &v));
	ck_assert_uint_eq(v.seq, 107);
	ck_assert_uint_eq(v.cover_seq, 107);
	ck_assert_uint_eq(v.slot, 42);
	ck_assert(!pipeline_entry(p, 2, &v));
}
END_TEST

/* ---- stretch ------------------------------------------------------------------------------------- */

START_TEST(each_message_of_the_stretch_asks)
{
	begin(PIPELINE_CHAIN, 100, 40, 43);
	ck_assert_uint_eq(pipeline_stretch_end(p), 43);
	ck_assert(!pipeline_in_order(p));
	for (uint64_t seq = 101; seq <= 103; seq++)
		ck_assert(send(seq).reply);
	ck_assert(!send(104).reply);
}
END_TEST

/* A reply that is missing in the stretch: what was sent may not be what is in the slot. */
START_TEST(in_the_stretch_a_reply_proves_only_its_own)
{
	struct pipeline_ticket t[6];

	begin(PIPELINE_CHAIN, 100, 40, 43);
	for (uint64_t i = 0; i < 6; i++)
		t[i] = send(101 + i);
	ck_assert_int_eq(answer(t[1].id, true, false, 42), PIPELINE_REWIND);
	ck_assert_int_eq(answer(t[5].id, true, false, 46), PIPELINE_REWIND);
	ck_position(100, 40);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(answer(t[i].id, true, false, 41 + i), PIPELINE_GO_ON);
	ck_position(103, 43);
	ck_assert(pipeline_in_order(p));
	ck_assert_int_eq(answer(t[5].id, true, false, 46), PIPELINE_GO_ON);
	ck_position(106, 46);
}
END_TEST

/* ---- a map that changes -------------------------------------------------------------------------- */

/* Sends 101 … 100 + count, of which 101 … settled are at the target, and restarts. */
static void
sent_before(uint64_t count, uint64_t settled)
{
	struct seqset there;

	seqset_init(&there);
	begin(PIPELINE_CHAIN, 100, 40, 0);
	for (uint64_t seq = 101; seq <= 100 + count; seq++)
		send(seq);
	pipeline_stop(p, &there, true);
	begin(PIPELINE_CHAIN, 100 + settled, 40 + settled, 0);
	seqset_fini(&there);
}

START_TEST(the_same_again_is_no_stretch)
{
	sent_before(6, 2);
	ck_assert_uint_eq(pipeline_used_end(p), 46);
	ck_assert(pipeline_in_order(p));
	ck_assert(send(103).reply);
	for (uint64_t seq = 104; seq <= 107; seq++)
		ck_assert(!send(seq).reply);
	ck_assert(pipeline_in_order(p));
	ck_assert_uint_eq(pipeline_used_end(p), 47);
}
END_TEST

static void
ck_stretch_from(uint64_t first, uint64_t end)
{
	ck_assert(!pipeline_in_order(p));
	ck_assert_uint_eq(pipeline_expected_last(p), first - 1);
	ck_assert_uint_eq(pipeline_stretch_end(p), end);
	for (uint64_t slot = first, seq = 200; slot <= end; slot++, seq++)
		ck_assert(send(seq).reply);
	ck_assert(!send(300).reply);
}

START_TEST(what_was_sent_and_is_skipped_now_begins_a_stretch)
{
	sent_before(6, 2);
	send(103);
	pipeline_skip(p, 104);
	ck_stretch_from(44, 46);
}
END_TEST

START_TEST(what_was_sent_and_does_not_come_begins_a_stretch)
{
	sent_before(6, 2);
	send(103);
	ck_assert(send(105).reply); /* slot 44, that of 104 */
	ck_stretch_from(45, 46);
}
END_TEST

START_TEST(another_slot_begins_a_stretch)
{
	struct seqset there;

	seqset_init(&there);
	begin(PIPELINE_CHAIN, 100, 40, 0);
	for (uint64_t seq = 101; seq <= 106; seq++)
		send(seq);
	pipeline_stop(p, &there, true);
	begin(PIPELINE_CHAIN, 101, 42, 0); /* somebody else's message took a slot */
	ck_stretch_from(43, 46);
	seqset_fini(&there);
}
END_TEST

/* Publishes of a connection before the last one may be as late. */
START_TEST(all_that_was_ever_sent_counts)
{
	struct seqset there;

	seqset_init(&there);
	sent_before(6, 2);
	send(103);
	pipeline_stop(p, &there, true);
	begin(PIPELINE_CHAIN, 102, 42, 0);
	ck_assert_uint_eq(pipeline_used_end(p), 46);
	send(103);
	pipeline_skip(p, 104);
	ck_stretch_from(44, 46);
	seqset_fini(&there);
}
END_TEST

START_TEST(what_was_sent_before_the_change_needs_no_reply)
{
	struct pipeline_ticket t[4];

	sent_before(6, 0);
	t[0] = send(101);
	t[1] = send(102);
	pipeline_skip(p, 103);
	t[2] = send(104); /* slot 43 */
	t[3] = send(105);
	ck_assert(!t[1].reply && t[2].reply && t[3].reply);
	ck_assert_int_eq(answer(t[3].id, true, false, 44), PIPELINE_REWIND);
	ck_assert_int_eq(answer(t[2].id, true, false, 43), PIPELINE_GO_ON);
	ck_position(104, 43);
	ck_assert_int_eq(answer(t[3].id, true, false, 44), PIPELINE_GO_ON);
}
END_TEST

START_TEST(presettled_messages_keep_the_map)
{
	const struct pipeline_start start = {
	    .mode = PIPELINE_CHAIN, .source_seq = 101, .target_seq = 43, .presettled = 2};
	struct seqset there;

	seqset_init(&there);
	begin(PIPELINE_CHAIN, 100, 40, 0);
	for (uint64_t seq = 101; seq <= 106; seq++)
		send(seq);
	pipeline_stop(p, &there, true);
	pipeline_restart(p, &start);
	pipeline_skip(p, 102);
	/* again before they have all come */
	pipeline_stop(p, &there, true);
	pipeline_restart(p,
			 &(struct pipeline_start){
			     .mode = PIPELINE_CHAIN, .source_seq = 102, .target_seq = 43, .presettled = 1});
	pipeline_skip(p, 103);
	ck_assert(pipeline_in_order(p));
	send(104);
	send(105);
	ck_assert(pipeline_in_order(p));
	pipeline_skip(p, 106);
	ck_assert(!pipeline_in_order(p));
	seqset_fini(&there);
}
END_TEST

START_TEST(a_jump_after_a_start_may_be_what_another_process_sent)
{
	struct pipeline_start start = {
	    .mode = PIPELINE_CHAIN, .source_seq = 100, .target_seq = 40, .used_end = 44, .contiguous = true};

	pipeline_restart(p, &start);
	send(101);
	send(102);
	ck_assert(pipeline_in_order(p));
	send(104); /* slot 43 */
	ck_stretch_from(44, 44);
	/* with filters a jump says nothing */
	pipeline_stop(p, NULL, false);
	start.contiguous = false;
	pipeline_restart(p, &start);
	send(104);
	ck_assert(pipeline_in_order(p));
	/* and not where nobody has sent */
	pipeline_stop(p, NULL, false);
	start.contiguous = true;
	start.used_end = 41;
	pipeline_restart(p, &start);
	send(101);
	send(104);
	ck_assert(pipeline_in_order(p));
}
END_TEST

/* ---- subjects ------------------------------------------------------------------------------------ */

enum { A = 11000, B = 22000, C = 33000 };

START_TEST(one_in_flight_for_a_subject)
{
	struct pipeline_ticket a1, a2, b, a3;
	uint64_t id;
	void *held;
	char payload[2];

	begin(PIPELINE_SUBJECT, 0, 500, 0);
	a1 = send_sized(1, 10, A, true);
	ck_assert(a1.reply && !a1.wait);
	a2 = send_sized(2, 10, A, true);
	ck_assert(a2.wait);
	pipeline_hold(p, a2.id, &payload[0]);
	b = send_sized(3, 10, B, true);
	ck_assert(b.reply && !b.wait);
	a3 = send_sized(4, 10, A, true);
	ck_assert(a3.wait);
	pipeline_hold(p, a3.id, &payload[1]);
	ck_assert(!pipeline_ready(p, now, &id, &held));
	answer(b.id, true, false, 501);
	ck_assert(!pipeline_ready(p, now, &id, &held));
	ck_position(0, 501);
	answer(a1.id, true, false, 502);
	ck_position(1, 502);
	ck_assert(pipeline_ready(p, now, &id, &held));
	ck_assert_uint_eq(id, a2.id);
	ck_assert_ptr_eq(held, &payload[0]);
	ck_assert(!pipeline_ready(p, now, &id, &held));
	answer(a2.id, true, false, 510);
	ck_position(3, 510); /* and the one of B that was settled before */
	ck_assert(pipeline_ready(p, now, &id, &held));
	ck_assert_uint_eq(id, a3.id);
	answer(a3.id, true, false, 511);
	ck_position(4, 511);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 0);
	ck_assert_uint_eq(dropped_count, 0);
	/* the subject is free again */
	ck_assert(!send_sized(5, 10, A, true).wait);
}
END_TEST

START_TEST(an_answer_to_one_that_waits_settles_nothing)
{
	struct pipeline_ticket first, second;

	begin(PIPELINE_SUBJECT, 0, 0, 0);
	first = send_sized(1, 10, A, true);
	second = send_sized(2, 10, A, true);
	ck_assert_int_eq(answer(second.id, true, false, 9), PIPELINE_GO_ON);
	ck_position(0, 0);
	ck_assert_int_eq(answer(first.id, true, false, 1), PIPELINE_GO_ON);
	ck_position(1, 1);
}
END_TEST

START_TEST(a_duplicate_counts_only_with_a_sequence)
{
	struct pipeline_ticket t;

	begin(PIPELINE_SUBJECT, 0, 90, 0);
	t = send_sized(1, 10, A, true);
	ck_assert_int_eq(answer(t.id, true, true, 0), PIPELINE_REWIND);
	ck_position(0, 90);
	ck_assert_int_eq(answer(t.id, true, false, 0), PIPELINE_REWIND);
	ck_position(0, 90);
	ck_assert_int_eq(answer(t.id, true, true, 17), PIPELINE_GO_ON);
	ck_position(1, 90); /* the target's sequence does not go back */
}
END_TEST

START_TEST(any_refusal_tells_its_cause_where_order_is_by_subject)
{
	struct pipeline_ticket a, b;

	begin(PIPELINE_SUBJECT, 0, 0, 0);
	a = send_sized(1, 10, A, true);
	b = send_sized(2, 10, B, true);
	ck_assert_int_eq(answer(b.id, false, false, 0), PIPELINE_REFUSED);
	ck_assert_int_eq(answer(a.id, false, false, 0), PIPELINE_REFUSED);
	ck_position(0, 0);
}
END_TEST

START_TEST(each_subject_has_its_own_clock)
{
	struct pipeline_ticket a;
	uint64_t id;
	void *held;

	begin(PIPELINE_SUBJECT, 0, 0, 0);
	a = send_sized(1, 10, A, true);
	now = mono_add_ms(now, 3000);
	send_sized(2, 10, A, true); /* waits: not late, whatever happens */
	send_sized(3, 10, B, true);
	now = mono_add_ms(now, 1999);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON);
	answer(a.id, true, false, 1);
	now = mono_add_ms(now, 2000);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_GO_ON);
	ck_assert(pipeline_ready(p, now, &id, &held));
	now = mono_add_ms(now, 1001);
	ck_assert_int_eq(pipeline_tick(p, now, &why), PIPELINE_REWIND); /* that of B */
}
END_TEST

START_TEST(what_waits_is_dropped_at_a_stop)
{
	char payload[3];
	struct seqset beyond;
	struct pipeline_ticket t, b;
	uint64_t id;
	void *held;

	seqset_init(&beyond);
	begin(PIPELINE_SUBJECT, 10, 0, 0);
	t = send_sized(11, 10, A, true);
	b = send_sized(12, 10, B, true);
	for (size_t i = 0; i < 3; i++)
		pipeline_hold(p, send_sized(13 + i, 10, i == 2 ? B : A, true).id, &payload[i]);
	answer(b.id, true, false, 3);
	pipeline_stop(p, &beyond, true);
	ck_assert_uint_eq(dropped_count, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_eq(dropped[i], &payload[i]);
	ck_assert(seqset_has(&beyond, 12));
	ck_assert_uint_eq(beyond.count, 1);
	/* what was ready is not any more */
	ck_assert(!pipeline_ready(p, now, &id, &held));
	begin(PIPELINE_SUBJECT, 10, 3, 0);
	ck_assert(!pipeline_ready(p, now, &id, &held));
	t = send_sized(11, 10, A, true);
	ck_assert(!t.wait);
	pipeline_hold(p, send_sized(13, 10, A, true).id, &payload[0]);
	pipeline_free(&p);
	ck_assert_uint_eq(dropped_count, 4);
	p = pipeline_new(&config, drop, &now);
	seqset_fini(&beyond);
}
END_TEST

/* Subjects beside a plain model, over many laps of the ring: order in each subject, nobody forgotten. */
START_TEST(many_subjects_keep_their_order)
{
	enum { SUBJECTS = 97, MESSAGES = 40000 };
	static uint64_t sent_id[MESSAGES + 1]; /* by seq; 0: not sent */
	static uint64_t last_sent[SUBJECTS], flying[2000];
	size_t flying_count = 0;
	uint64_t offered = 0, target = 0, id;
	static char held_of[MESSAGES + 1];
	void *held;

	memset(sent_id, 0, sizeof sent_id);
	memset(last_sent, 0, sizeof last_sent);
	srand(11);
	begin(PIPELINE_SUBJECT, 0, 0, 0);
	while (pipeline_source_seq(p) < MESSAGES) {
		if (offered < MESSAGES && pipeline_has_room(p) && rand() % 3 != 0) {
			uint64_t seq = ++offered, subject = (seq * seq) % SUBJECTS;
			/* hashes that fall together in the table */
			struct pipeline_ticket t =
			    send_sized(seq, 1, (subject / 4 << 20) + subject % 4 * 2, true);

			if (t.wait) {
				pipeline_hold(p, t.id, &held_of[seq]);
			} else {
				ck_assert_uint_lt(last_sent[subject], seq);
				last_sent[subject] = seq;
				flying[flying_count++] = t.id;
			}
		} else if (flying_count > 0) {
			size_t i = (size_t)rand() % flying_count;

			ck_assert_int_eq(answer(flying[i], true, false, ++target), PIPELINE_GO_ON);
			flying[i] = flying[--flying_count];
		}
		while (pipeline_ready(p, now, &id, &held)) {
			uint64_t seq = (uint64_t)((char *)held - held_of);
			uint64_t subject = (seq * seq) % SUBJECTS;

			if (last_sent[subject] >= seq)
				ck_abort_msg("%llu was sent before %llu",
					     (unsigned long long)last_sent[subject], (unsigned long long)seq);
			last_sent[subject] = seq;
			flying[flying_count++] = id;
		}
	}
	ck_assert_uint_eq(flying_count, 0);
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 0);
	ck_assert_uint_eq(pipeline_inflight_bytes(p), 0);
}
END_TEST

/* A limit that is raised later must not overfill what was made for the limit of before. */
START_TEST(raising_the_limit_does_not_overfill_the_subjects)
{
	uint64_t seq = 0;

	pipeline_limit_window(p, 40);
	begin(PIPELINE_SUBJECT, 0, 0, 0);
	pipeline_limit_window(p, 100000);
	for (int round = 0; round < 20; round++) {
		uint64_t first = 0, last = 0;

		while (pipeline_has_room(p)) {
			seq++;
			last = send_sized(seq, 1, seq * 7919, true).id;
			if (first == 0)
				first = last;
		}
		for (uint64_t id = first; id <= last; id++)
			ck_assert_int_eq(answer(id, true, false, id), PIPELINE_GO_ON);
	}
	ck_assert_uint_eq(pipeline_inflight_msgs(p), 0);
}
END_TEST

/* ---- floor --------------------------------------------------------------------------------------- */

START_TEST(the_floor_lies_below_what_is_settled_out_of_order)
{
	struct pipeline_ticket a, b;

	begin(PIPELINE_SUBJECT, 0, 100, 0);
	ck_assert_uint_eq(pipeline_floor(p), 100);
	a = send_sized(1, 1, A, true);
	b = send_sized(2, 1, B, true);
	answer(b.id, true, false, 120);
	ck_assert_uint_eq(pipeline_floor(p), 100);
	send_sized(3, 1, C, true);
	ck_assert_uint_eq(pipeline_floor(p), 100);
	answer(a.id, true, false, 121);
	ck_position(2, 121);
	ck_assert_uint_eq(pipeline_floor(p), 120); /* known when message 3 was offered */
}
END_TEST

START_TEST(the_floor_stays_low_over_a_rewind)
{
	struct seqset there;
	struct pipeline_ticket a, b;

	seqset_init(&there);
	begin(PIPELINE_SUBJECT, 0, 100, 0);
	a = send_sized(1, 1, A, true);
	b = send_sized(2, 1, B, true);
	answer(b.id, true, false, 150);
	pipeline_stop(p, &there, true);
	begin(PIPELINE_SUBJECT, 0, 200, 0); /* the target's last sequence is far behind our copy now */
	ck_assert_uint_eq(pipeline_floor(p), 100);
	a = send_sized(1, 1, A, true);
	pipeline_skip(p, 2);
	ck_assert_uint_eq(pipeline_floor(p), 100);
	pipeline_stop(p, &there, true);
	begin(PIPELINE_SUBJECT, 0, 300, 0);
	ck_assert_uint_eq(pipeline_floor(p), 100);
	a = send_sized(1, 1, A, true);
	pipeline_skip(p, 2);
	answer(a.id, true, false, 301);
	ck_position(2, 301);
	ck_assert_uint_eq(pipeline_floor(p), 301);
	seqset_fini(&there);
}
END_TEST

START_TEST(the_floor_of_a_start_holds_until_it_is_passed)
{
	const struct pipeline_start start = {PIPELINE_CHAIN, 10, 500, 0, 0, 0, false, 450, 12, 0};
	struct seqset there;

	seqset_init(&there);
	pipeline_restart(p, &start);
	ck_assert_uint_eq(pipeline_floor(p), 450);
	ck_assert(!pipeline_in_order(p));
	answer(send(11).id, true, false, 501);
	ck_assert_uint_eq(pipeline_floor(p), 450);
	/* over a rewind of the same streams too */
	pipeline_stop(p, &there, true);
	begin(PIPELINE_CHAIN, 11, 501, 0);
	ck_assert_uint_eq(pipeline_floor(p), 450);
	pipeline_skip(p, 12);
	ck_assert_uint_eq(pipeline_floor(p), 501);
	ck_assert(pipeline_in_order(p));
	/* not when the streams are others */
	pipeline_stop(p, &there, true);
	pipeline_restart(p, &start);
	pipeline_stop(p, NULL, false);
	begin(PIPELINE_CHAIN, 10, 500, 0);
	ck_assert_uint_eq(pipeline_floor(p), 500);
	seqset_fini(&there);
}
END_TEST

/* What an old process sent may still come; it is no more than a window. */
START_TEST(the_floor_waits_for_what_may_come_late)
{
	const struct pipeline_start start = {.mode = PIPELINE_SUBJECT,
					     .source_seq = 10,
					     .target_seq = 500,
					     .floor = 450,
					     .late_until = 100000};
	uint64_t target = 500;

	pipeline_limit_window(p, 3); /* the window of now does not matter, that of before does */
	pipeline_restart(p, &start);
	for (uint64_t seq = 11; seq <= 10 + config.window_max; seq++) {
		ck_assert_uint_eq(pipeline_floor(p), 450);
		answer(send_sized(seq, 1, seq * 1000, true).id, true, false, ++target);
	}
	ck_assert_uint_eq(pipeline_floor(p), target);
	/* or until all is passed that the source held then */
	pipeline_stop(p, NULL, false);
	pipeline_restart(p, &(struct pipeline_start){.mode = PIPELINE_SUBJECT,
						     .source_seq = 10,
						     .target_seq = 500,
						     .floor = 450,
						     .late_until = 12});
	pipeline_skip(p, 11);
	ck_assert_uint_eq(pipeline_floor(p), 450);
	pipeline_skip(p, 12);
	ck_assert_uint_eq(pipeline_floor(p), 500);
}
END_TEST

/* A duplicate: an old connection or another process has put it there before it was offered here. */
START_TEST(the_floor_goes_below_a_duplicate)
{
	struct pipeline_ticket a, b, c;

	begin(PIPELINE_SUBJECT, 0, 100, 0);
	c = send_sized(1, 1, C, true);
	answer(c.id, true, false, 120);
	a = send_sized(2, 1, A, true);
	b = send_sized(3, 1, B, true);
	ck_assert_uint_eq(pipeline_floor(p), 120);
	answer(b.id, true, true, 111);
	ck_assert_uint_eq(pipeline_floor(p), 110);
	answer(a.id, true, false, 121);
	ck_position(3, 121);
	ck_assert_uint_eq(pipeline_floor(p), 121);
}
END_TEST

/* Several subjects become free at once. */
START_TEST(what_becomes_ready_keeps_its_order)
{
	struct pipeline_ticket t[4];
	char payload[4];
	uint64_t id;
	void *held;

	begin(PIPELINE_SUBJECT, 0, 0, 0);
	for (uint64_t i = 0; i < 4; i++)
		t[i] = send_sized(1 + i, 1, (i + 1) << 20, true);
	for (uint64_t i = 0; i < 4; i++)
		pipeline_hold(p, send_sized(5 + i, 1, (i + 1) << 20, true).id, &payload[i]);
	for (uint64_t i = 0; i < 4; i++)
		answer(t[i].id, true, false, i + 1);
	for (uint64_t i = 0; i < 4; i++) {
		ck_assert(pipeline_ready(p, now, &id, &held));
		ck_assert_ptr_eq(held, &payload[i]);
		ck_assert_uint_eq(id, t[0].id + 4 + i);
	}
	ck_assert(!pipeline_ready(p, now, &id, &held));
}
END_TEST

/* A drain gives up what is in flight: what it leaves as the checkpoint must say so. */
START_TEST(the_floor_is_good_after_a_stop)
{
	struct pipeline_ticket b;

	begin(PIPELINE_SUBJECT, 0, 100, 0);
	send_sized(1, 1, A, true);
	b = send_sized(2, 1, B, true);
	answer(b.id, true, false, 150);
	pipeline_stop(p, NULL, false);
	ck_position(0, 150);
	ck_assert_uint_eq(pipeline_floor(p), 100);
}
END_TEST

static void
add_tests(Suite *s, const char *name, const TTest *const *tests)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	for (; *tests != NULL; tests++)
		tcase_add_test(tc, *tests);
	suite_add_tcase(s, tc);
}

Suite *
unit_suite(void)
{
	const TTest *const chain[] = {slots_follow_the_targets_last_sequence,
				      one_reply_proves_all_before_it,
				      a_reply_settles_nothing_behind_it,
				      another_sequence_is_a_broken_chain,
				      a_refusal_of_the_oldest_tells_its_cause,
				      replies_that_are_not_awaited_change_nothing,
				      a_reply_twice_settles_once,
				      skipped_messages_settle_with_what_is_before_them,
				      nothing_moves_the_position_back,
				      NULL};
	const TTest *const asking[] = {the_first_after_a_restart_asks,
				       every_so_many_messages_one_asks,
				       every_so_many_bytes_one_asks,
				       the_last_at_hand_asks,
				       the_one_that_fills_the_window_asks,
				       a_message_larger_than_the_window_goes_alone,
				       a_late_reply_is_noticed,
				       what_nobody_asked_for_is_late_too,
				       the_oldest_reply_counts,
				       NULL};
	const TTest *const window[] = {
	    the_window_halves_and_grows_back,           the_window_never_closes,
	    the_window_grows_only_while_it_limits,      a_limit_holds,
	    the_ring_keeps_its_entries_when_it_grows,   a_restart_goes_on_from_what_was_proven,
	    the_view_shows_what_is_in_flight,           each_message_of_the_stretch_asks,
	    in_the_stretch_a_reply_proves_only_its_own, NULL};
	const TTest *const maps[] = {the_same_again_is_no_stretch,
				     what_was_sent_and_is_skipped_now_begins_a_stretch,
				     what_was_sent_and_does_not_come_begins_a_stretch,
				     another_slot_begins_a_stretch,
				     all_that_was_ever_sent_counts,
				     what_was_sent_before_the_change_needs_no_reply,
				     presettled_messages_keep_the_map,
				     a_jump_after_a_start_may_be_what_another_process_sent,
				     NULL};
	const TTest *const subjects[] = {one_in_flight_for_a_subject,
					 an_answer_to_one_that_waits_settles_nothing,
					 a_duplicate_counts_only_with_a_sequence,
					 any_refusal_tells_its_cause_where_order_is_by_subject,
					 each_subject_has_its_own_clock,
					 what_waits_is_dropped_at_a_stop,
					 many_subjects_keep_their_order,
					 raising_the_limit_does_not_overfill_the_subjects,
					 the_floor_lies_below_what_is_settled_out_of_order,
					 the_floor_stays_low_over_a_rewind,
					 the_floor_of_a_start_holds_until_it_is_passed,
					 the_floor_is_good_after_a_stop,
					 the_floor_waits_for_what_may_come_late,
					 the_floor_goes_below_a_duplicate,
					 what_becomes_ready_keeps_its_order,
					 NULL};
	Suite *s = suite_create("pipeline");

	add_tests(s, "chain", chain);
	add_tests(s, "asking", asking);
	add_tests(s, "window", window);
	add_tests(s, "maps", maps);
	add_tests(s, "subjects", subjects);
	return s;
}
