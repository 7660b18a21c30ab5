/* What the sampler tells others and hears of them: rows and marks, rows of other nodes, reading back. */
#include "tests/unit/sampler_fixture.h"

/* ---- rows, marks ----------------------------------------------------------------------------------- */

START_TEST(a_forgotten_value_goes_when_all_have_heard)
{
	lead_to(1);
	settle("a", 1, 100);
	take_all();
	lead_to(1006);
	take(TRACKER_STATE_DB);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a forgotten");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	/* Revived before all have heard. */
	settle("a", 1006, 100);
	take_all();
	lead_to(2012);
	settle("a", 2012, 100);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 2012 2012 100");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 2012 2012 100");
	/* Revived in flight, and dropped. */
	lead_to(3018);
	ck_assert_int_eq(offer("a", 3018, 100), SAMPLER_NEW);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a forgotten");
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a forgotten");
	strbuf_reset(&events);
	sampler_settled(s, seq, seq);
	happened("new a 3018; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 3018 3018 100");
	lead_to(4024);
	offer("a", 4024, 100);
	take_all();
	sampler_drop(s);
	ck_assert_int_eq(offer("a", 4024, 100), SAMPLER_NEW);
}
END_TEST

START_TEST(without_gossip_state_db_is_enough)
{
	make(1, false);
	sampler_recall_end(s, wall);
	lead_to(1);
	settle("a", 1, 100);
	take(TRACKER_STATE_DB);
	lead_to(1006);
	ck_assert_int_eq(settle("b", 1006, 100), SAMPLER_UNTRACKED);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a forgotten");
	ck_assert_int_eq(settle("b", 1006, 100), SAMPLER_NEW);
}
END_TEST

START_TEST(gossip_waits_for_advisories)
{
	struct sample_note note;
	uint64_t cursor = 0;
	struct proto_sample row;

	lead_to(1);
	settle("x", 1, 100);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "x 1 1 100");
	reliable = true;
	settle("a", 1, 100);
	settle("a", 2, 100);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	take(TRACKER_STATE_DB);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 2 1 100");
	ck_assert(sampler_next(s, &cursor, &row) && strcmp(row.value, "x") == 0);
	ck_assert(!sampler_next(s, &cursor, &row));
	/* So does a mark that says that it knows of it. */
	sampler_mark(s, TRACKER_GOSSIP, 1, 2);
	ck_assert(sampler_has_mark(s, TRACKER_GOSSIP));
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	settle("b", 3, 100); /* held later: does not matter to the mark */
	sampler_delivered(s, "x", 1);
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	sampler_delivered(s, "a", 1);
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 2 1 100");
	ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
	ck_assert_uint_eq(note.source_seq, 3);
	ck_assert(!sampler_has_mark(s, TRACKER_GOSSIP));
	sampler_mark(s, TRACKER_GOSSIP, 1, 2);
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	sampler_delivered(s, "b", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "b 3 3 100");
	ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
	ck_assert_uint_eq(note.source_seq, 4);
}
END_TEST

START_TEST(two_advisories_are_both_waited_for)
{
	lead_to(1);
	reliable = true;
	settle("a", 1, 100);
	lead_to(402);
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 1 100 advised");
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
}
END_TEST

START_TEST(a_row_that_is_held_after_the_mark_is_waited_for)
{
	struct sample_note note;

	lead_to(1);
	settle("a", 1, 100); /* in the queue */
	sampler_mark(s, TRACKER_GOSSIP, 1, 2);
	reliable = true;
	lead_to(402);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 1 100 advised");
	ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
}
END_TEST

START_TEST(a_row_that_a_snapshot_leaves_out_is_told_before_the_mark)
{
	struct sample_note note;
	struct proto_sample row;
	uint64_t cursor = 0;

	lead_to(1);
	settle("a", 1, 100);
	sampler_mark(s, TRACKER_GOSSIP, 1, 2);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 1 100");
	reliable = true;
	lead_to(402); /* held, but of the mark everything was taken */
	ck_assert(!sampler_next(s, &cursor, &row));
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	sampler_delivered(s, "a", 1);
	ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 1 100 advised");
	ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
}
END_TEST

START_TEST(many_marks_pass_while_one_row_is_held)
{
	struct sample_note note;

	lead_to(1);
	reliable = true;
	settle("a", 1, 100);
	for (int i = 0; i < 1000; i++) {
		sampler_mark(s, TRACKER_GOSSIP, 1, 2);
		ck_assert(!sampler_marked(s, TRACKER_GOSSIP, &note));
	}
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 1 1 100");
	ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
	for (int i = 0; i < 1000; i++) {
		sampler_mark(s, TRACKER_GOSSIP, 1, 2);
		ck_assert(sampler_marked(s, TRACKER_GOSSIP, &note));
	}
}
END_TEST

START_TEST(a_held_value_that_expires_is_told_at_last)
{
	lead_to(1);
	reliable = true;
	settle("a", 1, 100);
	lead_to(1006);
	happened("new a 1; timeout a 401; expire a 1001; ");
	take_all();
	sampler_delivered(s, "a", 1);
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	sampler_delivered(s, "a", 1);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a forgotten");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
}
END_TEST

START_TEST(a_mark_says_up_to_where_rows_are_whole)
{
	struct sample_note note;

	lead_to(1);
	settle("a", 1, 100);
	settle("b", 1, 100);
	sampler_mark(s, TRACKER_STATE_DB, 11, 22);
	offer("c", 1, 100);
	settle("d", 1, 100);
	lead_to(2);
	take(TRACKER_STATE_DB);
	ck_assert(!sampler_marked(s, TRACKER_STATE_DB, &note));
	take(TRACKER_STATE_DB);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert(!sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_int_eq(note.source_created_ns, 11);
	ck_assert_uint_eq(note.source_seq, 2);
	ck_assert_int_eq(note.target_created_ns, 22);
	ck_assert_uint_eq(note.target_seq, 2);
	ck_assert_int_eq(note.heard_ms, ms(1));
	ck_assert_uint_eq(note.gap_count, 1);
}
END_TEST

START_TEST(a_mark_needs_a_position)
{
	struct sample_note note;
	static struct sample_note other;

	make(10, true);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	ck_assert(!sampler_has_mark(s, TRACKER_STATE_DB));
	/* That of another counts, for its streams alone. */
	other.source_created_ns = 1;
	other.target_created_ns = 2;
	other.source_seq = 50;
	other.target_seq = 20;
	sampler_adopt(s, &other);
	sampler_mark(s, TRACKER_STATE_DB, 1, 3);
	ck_assert(!sampler_has_mark(s, TRACKER_STATE_DB));
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_uint_eq(note.source_seq, 50);
	other.source_seq = 49;
	sampler_adopt(s, &other);
	/* A position that was proven is not known to be whole before what was missed is read back. */
	sampler_rewind(s, 100, 40);
	sampler_recall_begin(s, true);
	sampler_settled(s, 101, 41);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_uint_eq(note.source_seq, 50);
	sampler_recall_end(s, wall);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_uint_eq(note.source_seq, 101);
	ck_assert_uint_eq(note.target_seq, 41);
	/* After the lead was lost, it stays where it was. */
	seq = 101;
	offer("a", 1, 1);
	sampler_drop(s);
	sampler_settled(s, 200, 60);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_uint_eq(note.source_seq, 101);
}
END_TEST

START_TEST(all_rows_are_taken_once_more)
{
	struct sample_note note;
	char value[16];
	int rows = 0;

	for (int i = 0; i < 900; i++) {
		snprintf(value, sizeof value, "%d", i);
		offer(value, 1, 100);
	}
	sampler_settled(s, 600, 600);
	while (*take(TRACKER_STATE_DB) != '\0')
		rows++;
	ck_assert_int_eq(rows, 600);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	sampler_queue_all(s, TRACKER_STATE_DB);
	ck_assert_uint_ge(sampler_waiting(s, TRACKER_STATE_DB), 600);
	for (rows = 0; *take(TRACKER_STATE_DB) != '\0'; rows++)
		ck_assert(rows == 600 - 1 || !sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_int_eq(rows, 600);
	ck_assert(sampler_marked(s, TRACKER_STATE_DB, &note));
	ck_assert_uint_eq(sampler_waiting(s, TRACKER_STATE_DB), 0);
	/* A mark set in between waits too, and the walk ends whatever comes anew. */
	sampler_queue_all(s, TRACKER_STATE_DB);
	take(TRACKER_STATE_DB);
	sampler_mark(s, TRACKER_STATE_DB, 1, 2);
	for (rows = 1; !sampler_marked(s, TRACKER_STATE_DB, &note); rows++) {
		sampler_recall_seen(s, &(struct sample_value){1, false, "0"}, ms(rows + 1), 100, ms(5000));
		ck_assert_str_ne(take(TRACKER_STATE_DB), "");
		ck_assert_int_lt(rows, 2000);
	}
	ck_assert_int_ge(rows, 600);
}
END_TEST

START_TEST(rows_of_silence_are_urgent)
{
	lead_to(1);
	settle("b", 1, 100);
	settle("a", 1, 100);
	ck_assert(!sampler_urgent(s, TRACKER_STATE_DB));
	lead_to(402);
	ck_assert(sampler_urgent(s, TRACKER_STATE_DB));
	ck_assert(sampler_urgent(s, TRACKER_GOSSIP));
	take(TRACKER_STATE_DB);
	ck_assert(sampler_urgent(s, TRACKER_STATE_DB));
	take(TRACKER_STATE_DB);
	ck_assert(!sampler_urgent(s, TRACKER_STATE_DB));
	settle("a", 402, 100);
	ck_assert(sampler_urgent(s, TRACKER_STATE_DB));
	lead_to(802);
	take_all();
	lead_to(1406);
	happened(
	    "new b 1; new a 1; timeout b 401; timeout a 401; recover a 402; timeout a 802; expire b 1001; "
	    "expire a 1402; ");
	ck_assert(sampler_urgent(s, TRACKER_STATE_DB));
}
END_TEST

/* ---- other nodes ----------------------------------------------------------------------------------- */

START_TEST(newer_news_count_and_older_do_not)
{
	lead_to(1);
	wall = ms(600);
	settle("a", 500, 100);
	take_all();
	ck_assert(merge("a", 400, 400, 300, true));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert(merge("a", 550, 400, 120, false));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 550 500 120");
	ck_assert_str_eq(take(TRACKER_GOSSIP), ""); /* never back */
	ck_assert(merge("a", 540, 520, 130, true));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 550 520 120");
	ck_assert(merge("a", 550, 520, 130, true)); /* of the same silence */
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 550 520 130 advised");
	ck_assert(merge("a", 550, 520, 130, false));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert_uint_eq(figures().advised, 1);
	ck_assert(merge("a", 560, 520, 130, false));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 560 520 130");
	ck_assert_uint_eq(figures().advised, 0);
	happened("new a 500; ");
	ck_assert_int_eq(settle("a", 1419, 130), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 1520, 130), SAMPLER_DUE);
}
END_TEST

START_TEST(rows_of_others_are_checked)
{
	struct proto_sample row = {.value = "a", .value_len = 1, .seen_ms = 0, .copied_ms = 0};

	wall = ms(1000);
	ck_assert(!sampler_merge(s, &row, wall));
	row.seen_ms = -5;
	ck_assert(!sampler_merge(s, &row, wall));
	row.seen_ms = wall + 300001;
	ck_assert(!sampler_merge(s, &row, wall));
	row.seen_ms = wall;
	row.copied_ms = wall + 300001;
	ck_assert(!sampler_merge(s, &row, wall));
	row.copied_ms = INT64_MAX;
	ck_assert(!sampler_merge(s, &row, wall));
	row.copied_ms = INT64_MIN;
	row.value_len = 0;
	ck_assert(!sampler_merge(s, &row, wall));
	row.value = "\xff";
	row.value_len = 1;
	ck_assert(!sampler_merge(s, &row, wall));
	ck_assert_uint_eq(figures().tracked, 0);
	row.value = "a";
	row.seen_ms = wall + 300000;
	ck_assert(sampler_merge(s, &row, wall));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1000 -1 0");
	row.copied_ms = wall + 300000;
	row.seen_ms = 5;
	ck_assert(sampler_merge(s, &row, wall));
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1000 1000 0");
}
END_TEST

START_TEST(news_of_what_was_forgotten_are_too_late)
{
	lead_to(1);
	settle("a", 1, 100);
	lead_to(1006);
	take_all();
	ck_assert(merge("a", 1, 1, 100, true));
	ck_assert_uint_eq(figures().tracked, 0);
	ck_assert(merge("a", 500, 1, 100, true));
	ck_assert_uint_eq(figures().tracked, 1);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 500 1 100 advised");
}
END_TEST

START_TEST(news_of_what_is_in_flight_do_not_change_its_decision)
{
	ck_assert_int_eq(offer("a", 10, 100), SAMPLER_NEW);
	wall = ms(20);
	merge("a", 5, 5, 100, false);
	ck_assert_int_eq(offer("a", 12, 100), SAMPLER_SKIP);
	sampler_settled(s, seq, 1);
	happened(""); /* another node had seen it before */
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 12 10 100");
}
END_TEST

START_TEST(a_row_that_was_loaded_is_as_it_was)
{
	struct proto_sample row = {.value = "a",
				   .value_len = 1,
				   .seen_ms = ms(500),
				   .copied_ms = ms(100),
				   .size = 70,
				   .advised = true};

	sampler_load(s, &row);
	ck_assert_uint_eq(figures().tracked, 1);
	ck_assert_uint_eq(figures().advised, 1);
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	row.value = "b";
	row.seen_ms = 0;
	sampler_load(s, &row);
	row.seen_ms = ms(5);
	row.value_len = 0;
	sampler_load(s, &row);
	ck_assert_uint_eq(figures().tracked, 1);
	ck_assert_int_eq(settle("a", 999, 70), SAMPLER_SKIP);
	happened("recover a 999; ");
	ck_assert_int_eq(settle("a", 1100, 70), SAMPLER_DUE);
}
END_TEST

START_TEST(rows_of_other_values_go)
{
	struct proto_sample row = {.value = "a", .value_len = 1, .seen_ms = ms(500), .copied_ms = ms(100)};

	sampler_load_gone(s, &row);
	row.value = "b";
	sampler_load_gone(s, &row);
	ck_assert_uint_eq(figures().tracked, 0);
	ck_assert_int_eq(settle("b", 600, 100), SAMPLER_NEW);
	lead_to(990);
	happened("new b 600; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a forgotten");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "b 600 600 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
}
END_TEST

/* Who takes over before it is delivered finds it by himself, also if this process is not the one that raised
 * it.
 */
START_TEST(gossip_waits_for_advisories_of_before)
{
	const struct proto_sample row = {
	    .value = "a", .value_len = 1, .seen_ms = ms(500), .copied_ms = ms(500)};
	struct proto_sample next;
	uint64_t cursor = 0;

	sampler_load(s, &row);
	sampler_load_held(s, "a", 1);
	sampler_load_held(s, "gone", 4);
	ck_assert_int_eq(settle("a", 600, 0), SAMPLER_SKIP);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "");
	ck_assert(!sampler_next(s, &cursor, &next));
	sampler_delivered(s, "a", 1);
	sampler_delivered(s, "gone", 4);
	ck_assert_str_eq(take(TRACKER_GOSSIP), "a 600 500 0");
}
END_TEST

/* ---- reading back ---------------------------------------------------------------------------------- */

static void
recall_copied(const char *value, int64_t stored_s)
{
	struct sample_value v;

	value_of(value, &v);
	sampler_recall_copied(s, &v, ms(stored_s), 100, ms(100000));
}

static void
recall_seen(const char *value, int64_t stored_s, uint64_t size)
{
	struct sample_value v;

	value_of(value, &v);
	sampler_recall_seen(s, &v, ms(stored_s), size, ms(100000));
}

static void
load(const char *value, int64_t seen_s, int64_t copied_s, bool advised)
{
	const struct proto_sample row = {.value = value,
					 .value_len = strlen(value),
					 .seen_ms = ms(seen_s),
					 .copied_ms = ms(copied_s),
					 .size = 100,
					 .advised = advised};

	sampler_load(s, &row);
}

START_TEST(events_are_of_the_first_message_that_caused_them)
{
	wall = ms(100000);
	load("a", 10, 10, true);
	load("b", 10, 10, true);
	sampler_rewind(s, 50, 20);
	sampler_recall_begin(s, true);
	recall_copied("a", 1010);
	recall_copied("n", 1020);
	recall_copied("b", 1030);
	recall_copied("m", 1040);
	happened("");
	while (sampler_tick(s, true, wall))
		;
	sampler_rewind(s, 50, 20);  /* the source was lost meanwhile */
	recall_seen("a", 700, 110); /* skipped */
	recall_seen("n", 1020, 110);
	recall_seen("a", 1010, 120);
	recall_seen("r", 1011, 110); /* rejected */
	happened("recover a 700; new n 1020; new r 1011; ");
	recall_seen("a", 1050, 130);
	sampler_recall_end(s, wall);
	happened("recover b 1030; new m 1040; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1050 1010 130");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "n 1020 1020 110");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "r 1011 -1 110");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "b 1030 1030 100");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "m 1040 1040 100");
	seq = 50;
	ck_assert_int_eq(settle("n", 1100, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("r", 1100, 100), SAMPLER_NEW);
	happened("");
}
END_TEST

START_TEST(what_is_in_the_rows_is_not_told_again)
{
	wall = ms(100000);
	load("a", 500, 500, false);
	load("b", 500, 400, true);
	sampler_rewind(s, 50, 20);
	sampler_recall_begin(s, true);
	recall_copied("a", 400);
	recall_copied("a", 500);
	recall_copied("b", 400);
	recall_seen("a", 400, 100);
	recall_seen("a", 500, 100);
	recall_seen("b", 500, 100);
	sampler_recall_end(s, wall);
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	ck_assert_uint_eq(figures().advised, 1);
}
END_TEST

START_TEST(without_a_note_nothing_is_raised)
{
	wall = ms(100000);
	load("a", 10, 10, true);
	sampler_rewind(s, 50, 20);
	sampler_recall_begin(s, false);
	recall_copied("a", 1010);
	recall_copied("b", 1020);
	recall_seen("a", 1015, 100);
	recall_seen("c", 1015, 100);
	sampler_recall_end(s, wall);
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1015 1010 100 advised");
	ck_assert_uint_eq(figures().tracked, 3);
	seq = 50;
	ck_assert_int_eq(settle("b", 1100, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("a", 1100, 100), SAMPLER_SKIP);
	ck_assert_int_eq(settle("c", 1100, 100), SAMPLER_NEW);
	happened("recover a 1100; ");
}
END_TEST

START_TEST(a_message_ends_a_recall)
{
	wall = ms(2000);
	sampler_rewind(s, 50, 20);
	sampler_recall_begin(s, true);
	recall_copied("a", 1010);
	seq = 50;
	ck_assert_int_eq(offer("a", 1100, 100), SAMPLER_SKIP);
	happened("new a 1010; ");
}
END_TEST

START_TEST(a_recall_longer_than_the_log_forgets_nothing)
{
	char value[16];

	wall = ms(2000);
	make(2 * SAMPLER_LOG_MAX, true);
	sampler_recall_begin(s, true);
	for (int i = 0; i < SAMPLER_LOG_MAX + 1000; i++) {
		snprintf(value, sizeof value, "%d", i);
		recall_copied(value, 1010);
	}
	sampler_recall_end(s, wall);
	ck_assert_uint_eq(figures().tracked, SAMPLER_LOG_MAX + 1000);
	ck_assert_int_eq(offer("0", 1100, 100), SAMPLER_SKIP);
	ck_assert_int_eq(offer("262143", 1100, 100), SAMPLER_SKIP);
}
END_TEST

START_TEST(redelivered_messages_are_seen_alone)
{
	lead_to(1);
	settle("a", 1, 100);
	lead_to(402);
	strbuf_reset(&events);
	recall_seen("a", 1, 500);
	recall_seen("b", 1, 500); /* not known, not made known */
	happened("");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 1 1 100 advised");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "");
	recall_seen("a", 402, 110);
	happened("recover a 402; ");
	ck_assert_str_eq(take(TRACKER_STATE_DB), "a 402 1 110");
}
END_TEST

/* ---- suite ----------------------------------------------------------------------------------------- */

static void
add_rows(TCase *tc)
{
	tcase_add_test(tc, a_forgotten_value_goes_when_all_have_heard);
	tcase_add_test(tc, without_gossip_state_db_is_enough);
	tcase_add_test(tc, gossip_waits_for_advisories);
	tcase_add_test(tc, two_advisories_are_both_waited_for);
	tcase_add_test(tc, a_row_that_is_held_after_the_mark_is_waited_for);
	tcase_add_test(tc, a_row_that_a_snapshot_leaves_out_is_told_before_the_mark);
	tcase_add_test(tc, many_marks_pass_while_one_row_is_held);
	tcase_add_test(tc, a_held_value_that_expires_is_told_at_last);
	tcase_add_test(tc, a_mark_says_up_to_where_rows_are_whole);
	tcase_add_test(tc, a_mark_needs_a_position);
	tcase_add_test(tc, all_rows_are_taken_once_more);
	tcase_add_test(tc, rows_of_silence_are_urgent);
}

static void
add_others(TCase *tc)
{
	tcase_add_test(tc, newer_news_count_and_older_do_not);
	tcase_add_test(tc, rows_of_others_are_checked);
	tcase_add_test(tc, news_of_what_was_forgotten_are_too_late);
	tcase_add_test(tc, news_of_what_is_in_flight_do_not_change_its_decision);
	tcase_add_test(tc, a_row_that_was_loaded_is_as_it_was);
	tcase_add_test(tc, rows_of_other_values_go);
	tcase_add_test(tc, gossip_waits_for_advisories_of_before);
	tcase_add_test(tc, events_are_of_the_first_message_that_caused_them);
	tcase_add_test(tc, what_is_in_the_rows_is_not_told_again);
	tcase_add_test(tc, without_a_note_nothing_is_raised);
	tcase_add_test(tc, a_message_ends_a_recall);
	tcase_add_test(tc, a_recall_longer_than_the_log_forgets_nothing);
	tcase_add_test(tc, redelivered_messages_are_seen_alone);
}

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("sampler_rows");

	add_rows(add_case(suite, "rows"));
	add_others(add_case(suite, "others"));
	return suite;
}
