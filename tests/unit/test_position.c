/*
 * Where to go on: every rule of doc/delivery.md over made-up facts. Each case changes what it is about in
 * the facts of a quiet, healthy topic: source ORDERS with 1…1000, target COPY with 500 messages, the last
 * of which is the copy of 700, and a checkpoint that says so.
 */
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "tests/unit/unit.h"
#include "worker/compose.h"
#include "worker/position.h"

enum { IN_FLIGHT = 100, WINDOW = 50 };
static const uint64_t HASH = UINT64_C(0x7700000000000000);
static const int64_t SOURCE_MADE = INT64_C(1700000000000000000);
static const int64_t TARGET_MADE = INT64_C(1700000001000000000);

static char name_site[] = "SITE", name_topic[] = "orders", name_source[] = "ORDERS", name_target[] = "COPY",
	    name_other[] = "OTHER", nothing[] = "";
static struct conf conf;
static struct conf_topic topic;
static struct jsapi_stream source, target;
static struct position_facts facts;
static struct position position;

static int64_t
stored_ms(uint64_t seq)
{
	return SOURCE_MADE / 1000000 + (int64_t)seq * 1000;
}

static struct position_slot
ours(uint64_t seq)
{
	struct position_slot slot = {.kind = SLOT_OURS};

	snprintf(slot.origin.stream, sizeof slot.origin.stream, "%s", name_source);
	snprintf(slot.origin.site, sizeof slot.origin.site, "%s", name_site);
	snprintf(slot.origin.topic, sizeof slot.origin.topic, "%s", name_topic);
	slot.origin.seq = (int64_t)seq;
	slot.origin.stored_ms = stored_ms(seq);
	return slot;
}

static struct position_slot
unordered(uint64_t seq)
{
	struct position_slot slot = ours(seq);

	slot.unordered = true;
	return slot;
}

static const struct position_slot gone = {.kind = SLOT_GONE}, foreign = {.kind = SLOT_FOREIGN};

static void
setup(void)
{
	memset(&topic, 0, sizeof topic);
	memset(&source, 0, sizeof source);
	memset(&target, 0, sizeof target);
	conf = (struct conf){.name = name_site};
	topic.key = name_topic;
	topic.stream = name_source;
	topic.target_stream = name_target;
	topic.adopt = nothing;
	topic.max_inflight = WINDOW;
	snprintf(source.name, sizeof source.name, "%s", name_source);
	source.created_ns = SOURCE_MADE;
	source.first_seq = 1;
	source.last_seq = source.messages = 1000;
	snprintf(target.name, sizeof target.name, "%s", name_target);
	target.created_ns = TARGET_MADE;
	target.first_seq = 1;
	target.last_seq = target.messages = 500;
	facts = (struct position_facts){
	    .conf = &conf,
	    .topic = &topic,
	    .source = &source,
	    .target = &target,
	    .map_hash = HASH,
	    .have_memory = true,
	    .memory = {.source_stream = name_source,
		       .source_created_ns = SOURCE_MADE,
		       .source_seq = 700,
		       .target_stream = name_target,
		       .target_created_ns = TARGET_MADE,
		       .target_seq = 500,
		       .in_flight = IN_FLIGHT,
		       .map_hash = HASH},
	    .last = ours(700),
	    .have_floor = true,
	    .floor = 600,
	};
}

/* The target has grown since the checkpoint. */
static void
grown(uint64_t last_seq, struct position_slot last)
{
	target.last_seq = target.messages = last_seq;
	facts.last = last;
}

/* The message at the target's last sequence is gone; the newest that is there is `at`, 0 for none. */
static void
last_gone(uint64_t last_seq, uint64_t at, struct position_slot newest)
{
	grown(last_seq, gone);
	target.messages = at;
	facts.newest_seq = at;
	facts.newest = newest;
}

static void
decide(void)
{
	uint64_t seq;

	bool told = facts.have_origin_check;

	/* as locate.c does: the source's message is asked for where it is wanted */
	if (!told && position_wants_origin_check(&facts, &seq)) {
		facts.have_origin_check = true;
		facts.origin_check_ms = stored_ms(seq);
	}
	position_at_start(&facts, &position);
	facts.have_origin_check = told;
}

static void
ck_goes_from(uint64_t source_seq)
{
	decide();
	ck_assert_int_eq(position.outcome, POSITION_GO);
	ck_assert_uint_eq(position.start.source_seq, source_seq);
	ck_assert_uint_eq(position.start.target_seq, target.last_seq);
	ck_assert_int_eq(position.start.mode, PIPELINE_CHAIN);
	ck_assert(!position.configured_start);
	ck_assert_str_ne(position.text, "");
}

static void
ck_scans(uint64_t source_seq, uint64_t scan_from, enum pipeline_mode mode)
{
	decide();
	ck_assert_int_eq(position.outcome, POSITION_SCAN);
	ck_assert_uint_eq(position.start.source_seq, source_seq);
	ck_assert_uint_eq(position.start.target_seq, target.last_seq);
	ck_assert_uint_eq(position.scan_from, scan_from);
	ck_assert_int_eq(position.start.mode, mode);
	/* what the scan may find lies below the next checkpoint's floor */
	ck_assert_uint_eq(position.start.floor, scan_from);
	ck_assert_uint_ge(position.start.floor_until, source_seq);
}

static void
ck_halts(const char *words)
{
	decide();
	ck_assert_int_eq(position.outcome, POSITION_HALT);
	ck_assert_msg(strstr(position.text, words) != NULL, "%s", position.text);
}

static void
ck_begins_anew(void)
{
	decide();
	ck_assert_int_ne(position.outcome, POSITION_HALT);
	ck_assert(position.configured_start);
	ck_assert_uint_eq(position.start.source_seq, 0);
}

static void
ck_incident(const char *kind)
{
	if (kind == NULL) {
		ck_assert_ptr_null(position.incident);
		return;
	}
	ck_assert_ptr_nonnull(position.incident);
	ck_assert_str_eq(position.incident, kind);
	ck_assert_str_ne(position.incident_text, "");
}

/* ---- 1: the message at the last sequence --------------------------------------------------------- */

START_TEST(a_quiet_topic_goes_on_from_its_checkpoint)
{
	ck_goes_from(700);
	ck_incident(NULL);
	ck_assert_uint_eq(position.presettled, 0);
	ck_assert_uint_eq(position.start.stretch_end, 0);
	/* messages behind the last copy that were passed over */
	facts.memory.source_seq = 750;
	ck_goes_from(750);
	ck_incident(NULL);
}
END_TEST

START_TEST(the_last_message_of_ours_is_the_position)
{
	grown(540, ours(740));
	ck_goes_from(740);
	ck_incident(NULL);
	ck_assert_uint_eq(position.start.stretch_end, 0);
	/* without a checkpoint as well */
	facts.have_memory = false;
	ck_goes_from(740);
	ck_incident(NULL);
	ck_assert_uint_eq(position.start.stretch_end, 540 + WINDOW);
	/* and far behind what was in flight: the supervisor was kept from writing */
	setup();
	grown(500 + IN_FLIGHT * 50, ours(990));
	ck_goes_from(990);
}
END_TEST

START_TEST(a_checkpoint_of_another_source_or_name_is_none)
{
	facts.memory.source_stream = name_other; /* the topic had another stream */
	facts.memory.source_seq = 12345;
	grown(500, ours(700));
	ck_goes_from(700);
	ck_incident(NULL);
}
END_TEST

START_TEST(copies_of_adopted_names_are_ours)
{
	static const struct {
		const char *adopt, *site, *topic, *stream;
		int seq;
		enum position_slot_kind kind;
	} cases[] = {
	    {"", "SITE", "orders", "ORDERS", 5, SLOT_OURS},
	    {"", "SITE", "orders", "ORDERS", -1, SLOT_FOREIGN},
	    {"", "SITE", "orders", "ORDERS", 0, SLOT_FOREIGN},
	    {"", "SITE", "orders", "OTHER", 5, SLOT_FOREIGN},
	    {"", "SITE", "other", "ORDERS", 5, SLOT_FOREIGN},
	    {"", "OLD", "orders", "ORDERS", 5, SLOT_FOREIGN},
	    {"OLD:former", "OLD", "former", "ORDERS", 5, SLOT_OURS},
	    {"OLD:former", "SITE", "orders", "ORDERS", 5, SLOT_OURS},
	    {"OLD:former", "OLD", "orders", "ORDERS", 5, SLOT_FOREIGN},
	    {"OLD:former", "OL", "former", "ORDERS", 5, SLOT_FOREIGN},
	    {"OLD:former", "OLD", "former", "OTHER", 5, SLOT_FOREIGN},
	    {"OLD", "OLD", "former", "ORDERS", 5, SLOT_FOREIGN},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char adopt[64], block[256];
		struct position_slot slot;

		snprintf(adopt, sizeof adopt, "%s", cases[i].adopt);
		topic.adopt = adopt;
		snprintf(block, sizeof block,
			 "NATS/1.0\r\nX: y\r\nChoria-SR-Source: %s %d %s %s 1700\r\n\r\n", cases[i].stream,
			 cases[i].seq, cases[i].site, cases[i].topic);
		position_classify(&conf, &topic, block, strlen(block), &slot);
		ck_assert_msg(slot.kind == cases[i].kind, "case %zu", i);
		if (slot.kind != SLOT_OURS)
			continue;
		ck_assert_int_eq(slot.origin.seq, 5);
		ck_assert_int_eq(slot.origin.stored_ms, 1700);
		ck_assert(!slot.unordered);
	}
}
END_TEST

static struct position_slot
classified(struct composer *c, enum compose_mode mode, const char *reason)
{
	const struct compose_source m = {"a", NULL, 0, 9, 1700, NULL};
	struct position_slot slot;
	struct strbuf block;
	const char *lines;
	size_t len;

	strbuf_init(&block);
	lines = reason != NULL ? compose_dead_letter(c, &m, reason, &len)
			       : compose_headers(c, &m, mode, 41, &len);
	strbuf_adds(&block, "NATS/1.0\r\n");
	strbuf_add(&block, lines, len);
	strbuf_adds(&block, "\r\n");
	position_classify(&conf, &topic, block.data, block.len, &slot);
	strbuf_fini(&block);
	return slot;
}

/* What compose.c writes is what is recognized here. */
START_TEST(a_copy_tells_how_it_was_made)
{
	struct position_slot slot;
	struct composer *c;

	topic.target_subject_prefix = topic.target_subject_remove = topic.target_name = nothing;
	c = compose_new(&conf, &topic);
	compose_set_source_created(c, SOURCE_MADE);
	slot = classified(c, COMPOSE_CHAIN, NULL);
	ck_assert_int_eq(slot.kind, SLOT_OURS);
	ck_assert_int_eq(slot.origin.seq, 9);
	ck_assert(!slot.unordered);
	slot = classified(c, COMPOSE_SUBJECT, NULL);
	ck_assert_int_eq(slot.kind, SLOT_OURS);
	ck_assert(slot.unordered);
	slot = classified(c, COMPOSE_CHAIN, "too large");
	ck_assert_int_eq(slot.kind, SLOT_OURS);
	ck_assert(!slot.unordered);
	compose_free(&c);
	position_classify(&conf, &topic, NULL, 0, &slot);
	ck_assert_int_eq(slot.kind, SLOT_FOREIGN);
}
END_TEST

/* ---- 2: it is gone ------------------------------------------------------------------------------- */

START_TEST(a_checkpoint_at_the_last_sequence_needs_no_message)
{
	last_gone(500, 0, gone);
	ck_goes_from(700);
	ck_assert_uint_eq(position.presettled, 0);
}
END_TEST

START_TEST(what_the_target_grew_by_is_counted)
{
	static const struct {
		uint64_t last, at, newest; /* target's last, newest pair of ours */
		uint64_t seq, presettled;
	} cases[] = {
	    {501, 0, 0, 700, 1},               /* from the checkpoint */
	    {500 + IN_FLIGHT, 0, 0, 700, 100}, /* all that may have been in flight */
	    {510, 300, 500, 700, 10},          /* an older pair says less */
	    {510, 500, 700, 700, 10},          /* the same pair */
	    {520, 515, 731, 731, 5},           /* a newer one says more */
	    {515 + WINDOW, 515, 731, 731, WINDOW},
	    {500 + IN_FLIGHT, 515, 731, 731, IN_FLIGHT - 15}, /* the checkpoint knows that it may be */
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		last_gone(cases[i].last, cases[i].at, cases[i].at > 0 ? ours(cases[i].newest) : gone);
		ck_goes_from(cases[i].seq);
		ck_assert_uint_eq(position.presettled, cases[i].presettled);
		ck_incident(NULL);
	}
	/* without a checkpoint there is only the target's pair */
	setup();
	facts.have_memory = false;
	last_gone(520, 515, ours(731));
	ck_goes_from(731);
	ck_assert_uint_eq(position.presettled, 5);
}
END_TEST

static void
beyond_in_flight(void)
{
	last_gone(500 + IN_FLIGHT + 1, 0, gone);
}

static void
beyond_both(void)
{
	last_gone(501 + IN_FLIGHT, 515, ours(731));
}

static void
beyond_without_checkpoint(void)
{
	facts.have_memory = false;
	last_gone(516 + WINDOW, 515, ours(731));
}

static void
delete_markers(void)
{
	last_gone(510, 0, gone);
	target.subject_delete_markers = true;
}

static void
schedules(void)
{
	last_gone(510, 0, gone);
	target.allow_msg_schedules = true;
}

static void
counters(void)
{
	last_gone(510, 0, gone);
	target.allow_msg_counter = true;
}

static void
sources(void)
{
	last_gone(510, 0, gone);
	target.has_sources = true;
}

static void
other_filters(void)
{
	last_gone(510, 0, gone);
	facts.memory.map_hash = HASH + 1;
}

static void
other_filters_newer_pair(void)
{
	last_gone(520, 515, ours(731));
	facts.memory.map_hash = HASH + 1;
}

static void
age_limit(void)
{
	last_gone(510, 0, gone);
	topic.max_age_ms = 3600000;
}

static void
sampled(void)
{
	last_gone(510, 0, gone);
	topic.sampling.inspect = INSPECT_FIELD;
}

static void
foreign_among_them(void)
{
	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	last_gone(510, 505, foreign);
}

static void
unordered_among_them(void)
{
	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	last_gone(510, 505, unordered(705));
}

START_TEST(what_cannot_be_counted_halts)
{
	static void (*const cases[])(void) = {beyond_in_flight,
					      beyond_both,
					      beyond_without_checkpoint,
					      delete_markers,
					      schedules,
					      counters,
					      sources,
					      other_filters,
					      other_filters_newer_pair,
					      age_limit,
					      sampled,
					      foreign_among_them,
					      unordered_among_them};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char numbers[2][32];

		setup();
		cases[i]();
		ck_halts("resume_from");
		/* both numbers and the choices */
		snprintf(numbers[0], sizeof numbers[0], "%llu", (unsigned long long)target.last_seq);
		snprintf(numbers[1], sizeof numbers[1], "%llu",
			 (unsigned long long)(facts.newest_seq > 500 && facts.newest.kind == SLOT_OURS
						  ? facts.newest.origin.seq
						  : 700));
		ck_assert_msg(strstr(position.text, numbers[0]) != NULL, "%s", position.text);
		ck_assert_msg(strstr(position.text, numbers[1]) != NULL, "%s", position.text);
		ck_assert_msg(strstr(position.text, "checkpoint") != NULL, "%s", position.text);
	}
}
END_TEST

/* A target that has not grown needs no counting, whatever it is. */
START_TEST(what_need_not_be_counted_does_not_halt)
{
	static void (*const cases[])(void) = {delete_markers, schedules,     counters,
					      sources,        other_filters, age_limit};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		cases[i]();
		target.last_seq = 500;
		ck_goes_from(700);
		ck_assert_uint_eq(position.presettled, 0);
	}
}
END_TEST

/* ---- 3: the target went back --------------------------------------------------------------------- */

START_TEST(a_target_that_went_back_is_filled_from_its_own_position)
{
	grown(480, ours(680));
	ck_goes_from(680);
	ck_incident("target_went_back");
	/* slots above may still be taken by what was under way */
	ck_assert_uint_eq(position.start.stretch_end, 500 + IN_FLIGHT);
}
END_TEST

START_TEST(one_that_went_back_to_nothing_begins_anew)
{
	grown(0, gone);
	ck_begins_anew();
	ck_incident("target_went_back");
	/* what was never copied is not passed over */
	ck_assert_uint_eq(position.start_at_most, 700);
}
END_TEST

START_TEST(one_that_went_back_to_no_position_halts)
{
	last_gone(480, 0, gone);
	ck_halts("resume_from");
	ck_incident("target_went_back");
	setup();
	grown(480, foreign);
	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	ck_halts("resume_from");
}
END_TEST

/* Beside other writers the last message does not tell what is there before it. */
START_TEST(a_shared_target_that_went_back_halts)
{
	static const enum conf_target_writers writers[] = {TARGET_WRITERS_SHARED, TARGET_WRITERS_AUTO};

	for (size_t i = 0; i < 2; i++) {
		setup();
		topic.target_writers = writers[i];
		grown(480, i == 0 ? unordered(680) : foreign);
		ck_halts("resume_from");
		ck_incident("target_went_back");
	}
}
END_TEST

/* ---- 4: another target --------------------------------------------------------------------------- */

static void
another_target(uint64_t last_seq, struct position_slot last)
{
	target.created_ns += 1;
	grown(last_seq, last);
}

START_TEST(a_new_target_is_filled_again)
{
	another_target(0, gone);
	ck_begins_anew();
	ck_incident("target_reset");
	ck_assert_uint_eq(position.start_at_most, 700);
	ck_assert_uint_eq(position.start.target_seq, 0);
	/* by name as well */
	setup();
	facts.memory.target_stream = name_other;
	grown(0, gone);
	ck_begins_anew();
	ck_incident("target_reset");
}
END_TEST

START_TEST(the_start_is_found_but_not_behind_what_was_copied)
{
	another_target(0, gone);
	ck_begins_anew();
	position_take_start(&position, 1000);
	ck_assert_uint_eq(position.start.source_seq, 700);
	position_take_start(&position, 650);
	ck_assert_uint_eq(position.start.source_seq, 650);
	/* a first start has no such limit */
	setup();
	facts.have_memory = facts.have_floor = false;
	grown(0, gone);
	ck_begins_anew();
	position_take_start(&position, 1000);
	ck_assert_uint_eq(position.start.source_seq, 1000);
}
END_TEST

/* A worker that died before its first checkpoint of the new target was written. */
START_TEST(what_was_copied_to_a_new_target_counts)
{
	another_target(30, ours(30));
	ck_goes_from(30);
	ck_incident("target_reset");
	another_target(30, gone);
	facts.newest_seq = 20;
	facts.newest = ours(20);
	ck_halts("resume_from");
}
END_TEST

START_TEST(continue_goes_on_from_the_checkpoint)
{
	topic.on_target_reset = TARGET_RESET_CONTINUE;
	another_target(0, gone);
	ck_goes_from(700);
	ck_incident("target_reset");
	/* what it has copied there since */
	another_target(20, ours(720));
	ck_goes_from(720);
	another_target(20, ours(650)); /* restored from a backup */
	ck_goes_from(700);
	/* a checkpoint of another source says nothing */
	setup();
	topic.on_target_reset = TARGET_RESET_CONTINUE;
	facts.memory.source_stream = name_other;
	another_target(0, gone);
	ck_begins_anew();
}
END_TEST

START_TEST(halt_waits_for_a_person)
{
	topic.on_target_reset = TARGET_RESET_HALT;
	another_target(0, gone);
	ck_halts("on_target_reset");
	ck_incident("target_reset");
}
END_TEST

START_TEST(a_new_shared_target_is_read_first)
{
	static const struct {
		enum conf_on_target_reset policy;
		uint64_t seq;
	} cases[] = {{TARGET_RESET_RESTART, 0}, {TARGET_RESET_CONTINUE, 700}};

	for (size_t i = 0; i < 2; i++) {
		setup();
		topic.target_writers = TARGET_WRITERS_SHARED;
		topic.on_target_reset = cases[i].policy;
		another_target(40, unordered(35)); /* of which 34 may be missing */
		ck_scans(cases[i].seq, 0, PIPELINE_SUBJECT);
		ck_assert_int_eq(position.configured_start, i == 0);
		ck_incident("target_reset");
	}
}
END_TEST

/* ---- 5: nothing is known ------------------------------------------------------------------------- */

START_TEST(a_first_start_is_the_configured_one)
{
	facts.have_memory = facts.have_floor = false;
	grown(0, gone);
	ck_begins_anew();
	ck_incident(NULL);
	ck_assert_uint_eq(position.start.stretch_end, 0);
	/* a floor of nothing is none */
	facts.have_floor = true;
	facts.floor = 0;
	ck_begins_anew();
	/* a target that holds nothing of ours any more */
	facts.have_floor = false;
	last_gone(40, 0, gone);
	ck_begins_anew();
}
END_TEST

START_TEST(without_target_and_checkpoint_the_ack_floor_counts)
{
	facts.have_memory = false;
	grown(0, gone);
	ck_goes_from(600);
	last_gone(40, 0, gone);
	ck_goes_from(600);
}
END_TEST

START_TEST(configured_starts)
{
	static const struct {
		enum conf_start start;
		uint64_t sequence, source_seq;
		int64_t by_time_ms;
	} cases[] = {{START_ALL, 0, 0, 0},          {START_SEQUENCE, 1, 0, 0},  {START_SEQUENCE, 300, 299, 0},
		     {START_SEQUENCE, 0, 0, 0},     {START_AT_END, 0, 1000, 0}, {START_TIME, 0, 0, 4000},
		     {START_DELTA, 0, 0, 9000 - 60}};
	int64_t by_time_ms;

	topic.start_time_ms = 4000;
	topic.start_delta_ms = 60;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		topic.start = cases[i].start;
		topic.start_sequence = cases[i].sequence;
		by_time_ms = -1;
		ck_assert_uint_eq(position_configured_start(&topic, &source, 9000, &by_time_ms),
				  cases[i].source_seq);
		ck_assert_int_eq(by_time_ms, cases[i].by_time_ms);
	}
}
END_TEST

/* ---- the source's identity ----------------------------------------------------------------------- */

static void
made_anew(void)
{
	source.created_ns += 1;
	source.last_seq = 900;
}

static void
went_back(void)
{
	source.last_seq = 699;
}

static void
went_back_without_checkpoint(void)
{
	facts.have_memory = false;
	source.last_seq = 699;
}

/* Restored to an older state, and written to since: only the stored time tells. */
static void
restored(void)
{
	facts.have_origin_check = true;
	facts.origin_check_ms = stored_ms(700) + 1;
}

static void
restored_unnoticed_by_checkpoint(void)
{
	restored();
	grown(520, ours(720));
}

static void
restored_without_checkpoint(void)
{
	restored();
	facts.have_memory = false;
}

static void (*const source_resets[])(void) = {made_anew,
					      went_back,
					      went_back_without_checkpoint,
					      restored,
					      restored_unnoticed_by_checkpoint,
					      restored_without_checkpoint};

START_TEST(another_source_halts)
{
	for (size_t i = 0; i < sizeof source_resets / sizeof source_resets[0]; i++) {
		setup();
		source_resets[i]();
		ck_halts("on_source_reset");
		ck_incident("source_reset");
	}
}
END_TEST

START_TEST(another_source_is_copied_from_its_start_if_told_so)
{
	for (size_t i = 0; i < sizeof source_resets / sizeof source_resets[0]; i++) {
		setup();
		topic.on_source_reset = SOURCE_RESET_RESTART;
		source_resets[i]();
		facts.have_origin_check = true; /* 700 is another message now */
		facts.origin_check_ms = stored_ms(700) + 1;
		ck_begins_anew();
		ck_incident("source_reset");
		ck_assert_uint_eq(position.start.target_seq, target.last_seq);
		/* the new source is no longer than the old one: its start is where it says */
		position_take_start(&position, 899);
		ck_assert_uint_eq(position.start.source_seq, 899);
		/* other messages come to the same slots */
		ck_assert_uint_gt(position.start.stretch_end, target.last_seq);
	}
}
END_TEST

/* What the start anew left behind: the checkpoint is of the new source, the last message of the old. */
START_TEST(a_start_anew_is_not_begun_again)
{
	static const struct {
		int64_t made_ms; /* after the origin's message */
		uint64_t last, committed;
	} cases[] = {{1000, 5, 0}, {1000, 900, 0}, {1000, 900, 800}, {-1, 900, 10}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		source.created_ns = (stored_ms(700) + cases[i].made_ms) * 1000000;
		facts.memory.source_created_ns = source.created_ns;
		source.last_seq = cases[i].last;
		facts.memory.source_seq = cases[i].committed;
		facts.have_origin_check = true;
		facts.origin_check_ms = cases[i].last >= 700 ? stored_ms(700) + 5000 : 0;
		ck_goes_from(cases[i].committed);
		ck_incident(NULL);
	}
}
END_TEST

/* A worker that died before its first checkpoint of the new source was written. */
START_TEST(what_was_copied_of_a_new_source_counts)
{
	topic.on_source_reset = SOURCE_RESET_RESTART;
	made_anew();
	grown(530, ours(30));
	facts.have_origin_check = true;
	facts.origin_check_ms = stored_ms(30);
	ck_goes_from(30);
	ck_incident("source_reset");
}
END_TEST

START_TEST(a_source_that_only_grew_or_expired_is_the_same)
{
	source.first_seq = 950;
	source.last_seq = 5000;
	facts.have_origin_check = true;
	facts.origin_check_ms = 0; /* expired */
	ck_goes_from(700);
	ck_incident(NULL);
	/* the existing tool may not have known the time */
	setup();
	grown(520, ours(720));
	facts.last.origin.stored_ms = -1;
	facts.have_origin_check = true;
	facts.origin_check_ms = 123;
	ck_goes_from(720);
	ck_incident(NULL);
}
END_TEST

START_TEST(the_origins_message_is_asked_for_where_it_can_be)
{
	uint64_t seq = 0;

	ck_assert(position_wants_origin_check(&facts, &seq));
	ck_assert_uint_eq(seq, 700);
	facts.have_memory = false;
	ck_assert(position_wants_origin_check(&facts, &seq));
	source.first_seq = 701;
	ck_assert(!position_wants_origin_check(&facts, &seq));
	source.first_seq = 1;
	source.last_seq = 699;
	ck_assert(!position_wants_origin_check(&facts, &seq));
	setup();
	facts.last.origin.stored_ms = -1;
	ck_assert(!position_wants_origin_check(&facts, &seq));
	grown(500, foreign);
	ck_assert(!position_wants_origin_check(&facts, &seq));
	last_gone(500, 400, ours(650));
	ck_assert(position_wants_origin_check(&facts, &seq));
	ck_assert_uint_eq(seq, 650);
	last_gone(500, 0, gone);
	ck_assert(!position_wants_origin_check(&facts, &seq));
}
END_TEST

/* ---- settings for one start, ephemeral ------------------------------------------------------------ */

START_TEST(resume_from_decides_once)
{
	beyond_in_flight();
	facts.apply_resume = true;
	topic.resume_from = RESUME_SEQUENCE;
	topic.resume_sequence = 705;
	ck_goes_from(704);
	ck_incident("resume");
	ck_assert_uint_gt(position.start.stretch_end, target.last_seq);
	topic.resume_sequence = 0;
	ck_goes_from(0);
	topic.resume_from = RESUME_CHECKPOINT;
	ck_goes_from(700);
	facts.newest_seq = 400;
	facts.newest = ours(610);
	topic.resume_from = RESUME_TARGET;
	ck_goes_from(610);
	ck_incident("resume");
	facts.apply_resume = false; /* it was used */
	ck_halts("resume_from");
}
END_TEST

START_TEST(resume_from_what_is_not_there_decides_nothing)
{
	beyond_in_flight();
	facts.apply_resume = true;
	topic.resume_from = RESUME_NONE;
	ck_halts("resume_from");
	topic.resume_from = RESUME_TARGET; /* nothing of ours is there */
	ck_halts("resume_from");
	facts.have_memory = false;
	topic.resume_from = RESUME_CHECKPOINT;
	last_gone(40, 0, gone);
	ck_goes_from(600);
}
END_TEST

START_TEST(resume_from_settles_a_source_reset_too)
{
	made_anew();
	facts.apply_resume = true;
	topic.resume_from = RESUME_SEQUENCE;
	topic.resume_sequence = 1;
	ck_goes_from(0);
}
END_TEST

START_TEST(resume_from_the_checkpoint_reads_a_shared_target)
{
	topic.target_writers = TARGET_WRITERS_SHARED;
	grown(540, unordered(730));
	facts.apply_resume = true;
	topic.resume_from = RESUME_CHECKPOINT;
	ck_scans(700, 500, PIPELINE_SUBJECT);
}
END_TEST

START_TEST(an_ephemeral_topic_begins_anew_at_each_start)
{
	topic.ephemeral = true;
	ck_begins_anew();
	ck_incident(NULL);
	ck_assert_uint_gt(position.start.stretch_end, target.last_seq);
	/* what this process has copied is not copied again */
	facts.memory_is_own = true;
	ck_goes_from(700);
}
END_TEST

/* ---- who else writes ------------------------------------------------------------------------------ */

START_TEST(a_foreign_last_message)
{
	static const struct {
		enum conf_target_writers writers;
		bool checkpoint;
		enum pipeline_mode mode;
		uint64_t seq, scan_from;
		const char *incident;
	} cases[] = {
	    {TARGET_WRITERS_AUTO, true, PIPELINE_SUBJECT, 700, 500, NULL},
	    {TARGET_WRITERS_AUTO, false, PIPELINE_SUBJECT, 600, 0, NULL},
	    {TARGET_WRITERS_SHARED, true, PIPELINE_SUBJECT, 700, 500, NULL},
	    {TARGET_WRITERS_SHARED, false, PIPELINE_SUBJECT, 600, 0, NULL},
	    {TARGET_WRITERS_EXCLUSIVE, true, PIPELINE_CHAIN, 700, 500, "foreign_writer"},
	    {TARGET_WRITERS_EXCLUSIVE, false, PIPELINE_CHAIN, 600, 0, "foreign_writer"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		topic.target_writers = cases[i].writers;
		facts.have_memory = cases[i].checkpoint;
		grown(510, foreign);
		ck_scans(cases[i].seq, cases[i].scan_from, cases[i].mode);
		ck_incident(cases[i].incident);
	}
}
END_TEST

/* Ours at the end says nothing about what is before it: an earlier one may be missing. */
START_TEST(a_shared_target_is_read_behind_the_checkpoint)
{
	topic.target_writers = TARGET_WRITERS_SHARED;
	grown(540, unordered(730));
	ck_scans(700, 500, PIPELINE_SUBJECT);
	grown(540, ours(730));
	ck_scans(700, 500, PIPELINE_SUBJECT);
	last_gone(540, 0, gone);
	ck_scans(700, 500, PIPELINE_SUBJECT);
	facts.have_memory = facts.have_floor = false;
	ck_scans(0, 0, PIPELINE_SUBJECT);
	ck_assert(position.configured_start);
}
END_TEST

START_TEST(auto_stays_shared_over_a_restart)
{
	struct {
		struct position_slot last, newest;
		uint64_t newest_seq;
	} cases[] = {{unordered(730), gone, 0},
		     {foreign, gone, 0},
		     {gone, unordered(720), 530},
		     {gone, foreign, 530},
		     {gone, gone, 0 /* in_flight */}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		topic.target_writers = TARGET_WRITERS_AUTO;
		grown(540, cases[i].last);
		facts.newest = cases[i].newest;
		facts.newest_seq = cases[i].newest_seq;
		facts.memory.map_hash = UINT64_C(0x80000000); /* as the checkpoint of a shared target says */
		ck_scans(700, 500, PIPELINE_SUBJECT);
	}
}
END_TEST

START_TEST(auto_is_exclusive_until_a_foreign_message_is_seen)
{
	topic.target_writers = TARGET_WRITERS_AUTO;
	grown(540, ours(740));
	ck_goes_from(740);
	last_gone(510, 505, ours(705));
	ck_goes_from(705);
	ck_assert_uint_eq(position.presettled, 5);
	/* of this process: nothing in flight does not mean that others write */
	last_gone(500, 0, gone);
	facts.memory_is_own = true;
	facts.memory.in_flight = 0;
	ck_goes_from(700);
}
END_TEST

/* Somebody was heard while the chain was used: what it displaced is read back, whatever the end says. */
START_TEST(others_that_were_heard_make_it_read)
{
	static const enum conf_target_writers writers[] = {TARGET_WRITERS_AUTO, TARGET_WRITERS_EXCLUSIVE};

	facts.others_seen = facts.memory_is_own = true;
	for (size_t i = 0; i < 2; i++) {
		topic.target_writers = writers[i];
		grown(540, ours(739));
		ck_scans(700, 500, i == 0 ? PIPELINE_SUBJECT : PIPELINE_CHAIN);
		grown(540, foreign);
		ck_scans(700, 500, i == 0 ? PIPELINE_SUBJECT : PIPELINE_CHAIN);
		ck_incident(NULL); /* it was told when they were heard */
	}
}
END_TEST

/* Where the target takes more than this topic sends, a first start expects others; later it knows. */
START_TEST(others_that_are_expected_count_at_a_first_start)
{
	topic.target_writers = TARGET_WRITERS_AUTO;
	facts.others_expected = true;
	grown(540, ours(740));
	ck_goes_from(740);
	last_gone(510, 0, gone);
	ck_goes_from(700);
	facts.have_memory = facts.have_floor = false;
	grown(0, gone);
	ck_scans(0, 0, PIPELINE_SUBJECT);
	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	ck_begins_anew();
	ck_assert_int_eq(position.start.mode, PIPELINE_CHAIN);
}
END_TEST

START_TEST(ours_written_beside_others_in_a_target_said_to_be_exclusive)
{
	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	grown(540, unordered(730));
	ck_scans(700, 500, PIPELINE_CHAIN);
	ck_incident(NULL);
}
END_TEST

/* ---- stretch -------------------------------------------------------------------------------------- */

START_TEST(the_stretch_covers_what_the_old_chain_could_use)
{
	const struct {
		uint64_t last, hash;
		int64_t max_age_ms;
		uint64_t end;
	} cases[] = {
	    {500, HASH, 0, 0}, /* the same map */
	    {540, HASH, 0, 0},
	    {500, HASH + 1, 0, 500 + IN_FLIGHT}, /* other filters */
	    {540, HASH + 1, 0, 500 + IN_FLIGHT},
	    {540, 0, 0, 500 + IN_FLIGHT},                             /* in the middle of a stretch */
	    {540, HASH, 1000, 500 + IN_FLIGHT},                       /* decided by the clock */
	    {500 + IN_FLIGHT, HASH + 1, 0, 500 + IN_FLIGHT},          /* nothing more can come */
	    {501 + IN_FLIGHT, HASH + 1, 0, 501 + IN_FLIGHT + WINDOW}, /* a checkpoint that is too old */
	    {900, HASH + 1, 0, 900 + WINDOW},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setup();
		facts.memory.map_hash = cases[i].hash;
		topic.max_age_ms = cases[i].max_age_ms;
		grown(cases[i].last, ours(cases[i].last + 200 < 1000 ? cases[i].last + 200 : 1000));
		target.messages = 1; /* nothing to be read back */
		decide();
		ck_assert_int_eq(position.outcome, POSITION_GO);
		ck_assert_msg(position.start.stretch_end == cases[i].end, "case %zu: %llu", i,
			      (unsigned long long)position.start.stretch_end);
	}
}
END_TEST

START_TEST(without_a_checkpoint_any_chain_may_have_been_there)
{
	facts.have_memory = false;
	ck_goes_from(700);
	ck_assert_uint_eq(position.start.stretch_end, 500 + WINDOW);
	grown(0, gone);
	ck_goes_from(600);
	ck_assert_uint_eq(position.start.stretch_end, 0); /* nobody was ever there */
}
END_TEST

/* What is copied depends on what was copied before: another process may have decided otherwise. */
START_TEST(a_sampled_topic_begins_with_a_stretch)
{
	topic.sampling.inspect = INSPECT_HEADER;
	ck_goes_from(700);
	ck_assert_uint_eq(position.start.stretch_end, 500 + IN_FLIGHT);
}
END_TEST

/* Its copies cannot be counted, but a consumer with nothing open says how far it came. */
START_TEST(a_sampled_topic_asks_the_consumer_instead_of_counting)
{
	sampled();
	facts.floor = 730;
	facts.floor_is_all = true;
	ck_goes_from(730);
	facts.floor = 690; /* behind what the checkpoint says */
	decide();
	ck_assert_int_eq(position.outcome, POSITION_HALT);
}
END_TEST

/* Two chains with different maps may have written since the checkpoint, if it can be read it is. */
START_TEST(behind_another_map_the_target_is_read)
{
	facts.memory.map_hash = 0;
	grown(540, ours(741));
	ck_scans(700, 500, PIPELINE_CHAIN);
	ck_assert_uint_eq(position.start.stretch_end, 500 + IN_FLIGHT);
	ck_incident(NULL);
	/* not all of it is there */
	target.messages--;
	ck_goes_from(741);
	grown(540, ours(741));
	target.first_seq = 502;
	target.messages = 39;
	ck_goes_from(741);
	/* expired before the checkpoint does not matter */
	target.first_seq = 501;
	target.messages = 40;
	ck_scans(700, 500, PIPELINE_CHAIN);
	/* nothing has come since */
	facts.last = ours(700);
	target.last_seq = 500;
	ck_goes_from(700);
}
END_TEST

/* ---- checkpoints ---------------------------------------------------------------------------------- */

static struct pipeline *
pipeline_at(const struct pipeline_start *start)
{
	const struct pipeline_config config = {.window_max = 1000,
					       .window_max_bytes = 1 << 20,
					       .reply_every_msgs = 256,
					       .reply_every_bytes = 1 << 20,
					       .ack_timeout_ms = 5000};
	struct pipeline *p = pipeline_new(&config, NULL, NULL);

	pipeline_restart(p, start);
	return p;
}

START_TEST(a_checkpoint_says_what_may_be_in_flight)
{
	const struct {
		struct pipeline_start start;
		uint64_t hash, covers; /* target_seq + in_flight is at least that */
	} cases[] = {
	    {{PIPELINE_CHAIN, 700, 500, 0, 0, 0, false, 0, 0, 0}, HASH, 500 + 2000 + 16384},
	    {{PIPELINE_CHAIN, 700, 500, 500, 0, 0, false, 0, 0, 0}, HASH, 500 + 2000 + 16384},
	    {{PIPELINE_CHAIN, 700, 500, 0, 999999, 0, false, 0, 0, 0}, HASH, 500 + 2000 + 16384},
	    {{PIPELINE_CHAIN, 700, 500, 999, 0, 0, false, 0, 0, 0}, 0, 500 + 2000 + 16384},
	    {{PIPELINE_CHAIN, 700, 500, 999999, 0, 0, false, 0, 0, 0}, 0, 999999},
	    {{PIPELINE_CHAIN, 700, 500, 0, 0, 0, false, 450, 710, 0}, 50, 500 + 2000 + 16384},
	    {{PIPELINE_CHAIN, 700, 500, 999999, 0, 0, false, 450, 710, 0}, 50, 999999},
	    {{PIPELINE_CHAIN, 700, 500, 0, 0, 0, false, 450, 700, 0}, HASH, 500 + 2000 + 16384},
	};
	struct proto_checkpoint c;
	struct pipeline *p;

	topic.max_inflight = 2000;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p = pipeline_at(&cases[i].start);
		position_checkpoint(p, &topic, HASH, &c);
		ck_assert_uint_eq(c.source_seq, 700);
		ck_assert_uint_eq(c.target_seq, 500);
		ck_assert_uint_eq(c.map_hash, cases[i].hash);
		ck_assert_uint_ge(c.target_seq + c.in_flight, cases[i].covers);
		pipeline_free(&p);
	}
	p = pipeline_at(&(struct pipeline_start){PIPELINE_SUBJECT, 700, 500, 0, 0, 0, false, 480, 800, 0});
	position_checkpoint(p, &topic, HASH, &c);
	ck_assert_uint_eq(c.target_seq, 500);
	ck_assert_uint_eq(c.map_hash, 20 + UINT64_C(0x80000000));
	ck_assert_uint_eq(c.in_flight, 0);
	pipeline_free(&p);
}
END_TEST

/* What a checkpoint in doubt says is heeded: where to read from, and when the target went back. */
START_TEST(a_checkpoint_in_doubt_reads_from_its_floor)
{
	static const enum conf_target_writers writers[] = {TARGET_WRITERS_EXCLUSIVE, TARGET_WRITERS_SHARED,
							   TARGET_WRITERS_AUTO};

	for (size_t i = 0; i < 3; i++) {
		setup();
		topic.target_writers = writers[i];
		facts.memory.map_hash = i == 0 ? 20 : 20 + UINT64_C(0x80000000);
		facts.memory.in_flight = i == 0 ? IN_FLIGHT : 0;
		facts.last = i == 0 ? ours(710) : unordered(710);
		ck_scans(700, 480, i == 0 ? PIPELINE_CHAIN : PIPELINE_SUBJECT); /* also at its own sequence */
		grown(540, i == 0 ? ours(741) : i == 1 ? gone : foreign);
		ck_scans(700, 480, i == 0 ? PIPELINE_CHAIN : PIPELINE_SUBJECT);
	}
	/* below its target sequence the target went back, also above the floor */
	setup();
	facts.memory.map_hash = 20;
	grown(490, ours(690));
	ck_goes_from(690);
	ck_incident("target_went_back");
	/* copies beyond the position that cannot be read */
	setup();
	facts.memory.map_hash = 20;
	last_gone(500, 0, gone);
	ck_halts("resume_from");
	/* a floor that would lie before the beginning */
	setup();
	facts.memory.map_hash = 9999;
	ck_scans(700, 0, PIPELINE_CHAIN);
}
END_TEST

/* ---- rewinds -------------------------------------------------------------------------------------- */

/*
 * Slots in letters: digits are ours with the sequence of that entry (1 the oldest), z one that was
 * settled before, y one beyond all entries, g gone, f foreign. Entries are 101, 102, …; each is followed
 * by a skipped message in `covers`.
 */
struct rewind_case {
	const char *slots;
	unsigned entries;
	uint64_t stretch_end; /* before */
	uint64_t source_seq;
	unsigned found, repeats, foreign, missing, uncertain;
	uint64_t first_missing;
	const char *there; /* entries that are known to be there afterwards; y too */
};

static uint64_t
entry_seq(char c)
{
	return c == 'z' ? 90 : c == 'y' ? 300 : 100 + (uint64_t)(c - '0') * 2;
}

static struct pipeline *
rewind_pipeline(const struct rewind_case *c)
{
	struct pipeline *p = pipeline_at(
	    &(struct pipeline_start){PIPELINE_CHAIN, 100, 40, c->stretch_end, 0, 0, false, 0, 0, 0});

	for (unsigned i = 1; i <= c->entries; i++) {
		pipeline_send(p, 100 + i * 2, 1, 1, 0, true, (struct mono){1});
		pipeline_skip(p, 101 + i * 2);
	}
	return p;
}

static size_t
slots_of(const char *letters, struct position_slot *slots)
{
	size_t count = strlen(letters);

	for (size_t i = 0; i < count; i++)
		slots[i] = letters[i] == 'g'   ? gone
			   : letters[i] == 'f' ? foreign
					       : ours(entry_seq(letters[i]));
	return count;
}

static const struct rewind_case rewinds[] = {
    /* slots entries stretch  S  found rep for mis unc first there */
    {"", 3, 0, 100, 0, 0, 0, 0, 0, 0, ""},    /* all lost */
    {"123", 3, 0, 107, 3, 0, 0, 0, 0, 0, ""}, /* all there */
    {"12", 3, 0, 105, 2, 0, 0, 0, 0, 0, ""},  /* a prefix */
    {"", 0, 0, 100, 0, 0, 0, 0, 0, 0, ""},    /* nothing in flight */
    {"gg", 3, 0, 105, 2, 0, 0, 0, 0, 0, ""},  /* taken from a work queue */
    {"g2", 3, 0, 105, 2, 0, 0, 0, 0, 0, ""},  /* the chain proves it */
    {"1g", 3, 0, 105, 2, 0, 0, 0, 0, 0, ""},
    {"ggggg", 3, 0, 100, 0, 0, 0, 0, 5, 0, ""}, /* more than were sent */
    {"f", 3, 0, 100, 0, 0, 1, 0, 0, 0, ""},     /* another writer */
    {"1f", 3, 0, 103, 1, 0, 1, 0, 0, 0, ""},
    {"fg", 3, 0, 100, 0, 0, 1, 0, 1, 0, ""}, /* whose may the gone one be? */
    {"gf", 3, 0, 100, 0, 0, 1, 0, 1, 0, ""},
    {"g2f", 3, 0, 100, 1, 0, 1, 1, 1, 102, "2"},
    {"z", 3, 0, 100, 0, 1, 0, 0, 0, 0, ""}, /* late publishes of an old chain */
    {"zg", 3, 0, 100, 0, 1, 0, 0, 1, 0, ""},
    {"1z", 3, 0, 103, 1, 1, 0, 0, 0, 0, ""},
    {"11", 3, 0, 103, 1, 1, 0, 0, 0, 0, ""}, /* doubled */
    {"2", 3, 0, 100, 1, 0, 0, 1, 0, 102, "2"},
    {"2g", 3, 0, 100, 1, 0, 0, 1, 1, 102, "2"},
    {"3", 5, 0, 100, 1, 0, 0, 2, 0, 102, "3"}, /* 4 and 5 were not due */
    {"13", 5, 0, 103, 2, 0, 0, 1, 0, 104, "3"},
    {"31", 5, 0, 103, 2, 0, 0, 1, 0, 104, "3"},
    {"321", 3, 0, 107, 3, 0, 0, 0, 0, 0, ""}, /* all there, in another order */
    {"y", 2, 0, 100, 1, 0, 0, 2, 0, 102, "y"},
    {"1y", 2, 0, 103, 2, 0, 0, 1, 0, 104, "y"},
    {"123", 3, 60, 107, 3, 0, 0, 0, 0, 0, ""}, /* in a stretch */
    {"g", 3, 60, 100, 0, 0, 0, 0, 1, 0, ""},
    {"1g", 3, 60, 103, 1, 0, 0, 0, 1, 0, ""},
    {"12y", 2, 0, 300, 3, 0, 0, 0, 0, 0, ""}, /* sent before an earlier restart */
    {"y", 0, 0, 300, 1, 0, 0, 0, 0, 0, ""},
    {"g2g", 3, 60, 100, 1, 0, 0, 1, 2, 102, "2"},
};

START_TEST(a_rewind_learns_what_is_there)
{
	const struct rewind_case *c = &rewinds[_i];
	struct position_slot slots[8];
	struct position_rewind r;
	struct seqset there;
	struct pipeline *p = rewind_pipeline(c);

	seqset_init(&there);
	position_rewind(p, slots, slots_of(c->slots, slots), &there, &r);
	ck_assert_uint_eq(r.source_seq, c->source_seq);
	ck_assert_uint_eq(r.found, c->found);
	ck_assert_uint_eq(r.repeats, c->repeats);
	ck_assert_uint_eq(r.foreign, c->foreign);
	ck_assert_uint_eq(r.missing, c->missing);
	ck_assert_uint_eq(r.uncertain, c->uncertain);
	ck_assert_uint_eq(r.first_missing, c->first_missing);
	ck_assert_int_eq(r.first_repeat != 0, c->repeats != 0);
	ck_assert_uint_eq(there.count, strlen(c->there));
	for (const char *t = c->there; *t != '\0'; t++)
		ck_assert(seqset_has(&there, entry_seq(*t)));
	seqset_fini(&there);
	pipeline_free(&p);
}
END_TEST

/* What an earlier rewind found beyond the position is not counted again, nor forgotten. */
START_TEST(a_second_rewind_adds_to_the_first)
{
	struct rewind_case c = {.entries = 2};
	struct position_slot slots[2];
	struct position_rewind r;
	struct seqset there;
	struct pipeline *p = rewind_pipeline(&c);

	seqset_init(&there);
	seqset_add(&there, 300);
	position_rewind(p, slots, 0, &there, &r);
	ck_assert_uint_eq(r.missing, 0);
	position_rewind(p, slots, slots_of("1y", slots), &there, &r);
	ck_assert_uint_eq(r.repeats, 1);
	ck_assert_uint_eq(r.first_repeat, 300);
	ck_assert_uint_eq(r.source_seq, 103);
	ck_assert(seqset_has(&there, 300));
	seqset_fini(&there);
	pipeline_free(&p);
}
END_TEST

START_TEST(the_last_slot_alone_can_prove_all)
{
	static const struct {
		const char *last;
		unsigned count, entries;
		uint64_t stretch_end, source_seq; /* 0: no proof */
	} cases[] = {{"3", 3, 5, 0, 107},  {"3", 2, 5, 0, 0}, {"3", 4, 5, 0, 0}, {"3", 6, 5, 0, 0},
		     {"z", 1, 5, 0, 0},    {"g", 3, 5, 0, 0}, {"f", 3, 5, 0, 0}, {"3", 3, 5, 41, 0},
		     {"3", 3, 5, 40, 107}, {"1", 0, 5, 0, 0}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rewind_case c = {.entries = cases[i].entries, .stretch_end = cases[i].stretch_end};
		struct pipeline *p = rewind_pipeline(&c);
		struct position_rewind r = {0};
		struct position_slot last;

		slots_of(cases[i].last, &last);
		topic.target_writers = TARGET_WRITERS_AUTO;
		ck_assert(!position_rewind_by_last(p, &topic, &last, cases[i].count, &r));
		topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
		ck_assert_int_eq(position_rewind_by_last(p, &topic, &last, cases[i].count, &r),
				 cases[i].source_seq != 0);
		ck_assert_uint_eq(r.source_seq, cases[i].source_seq);
		pipeline_free(&p);
	}
}
END_TEST

/* One that was refused may have left a hole that the next one has jumped over. */
START_TEST(a_broken_chain_proves_nothing_by_its_end)
{
	const struct rewind_case c = {.entries = 3};
	const struct pipeline_answer answers[] = {{false, false, 0}, {true, false, 9999}};
	struct position_rewind r;
	struct position_slot last;
	const char *why;
	uint64_t seq;

	topic.target_writers = TARGET_WRITERS_EXCLUSIVE;
	slots_of("3", &last);
	for (size_t i = 0; i < 2; i++) {
		struct pipeline *p = rewind_pipeline(&c);

		ck_assert(position_rewind_by_last(p, &topic, &last, 3, &r));
		pipeline_reply(p, pipeline_epoch(p), 1, &answers[i], &seq, &why);
		ck_assert(!position_rewind_by_last(p, &topic, &last, 3, &r));
		pipeline_free(&p);
	}
}
END_TEST

/* ---- checkpoints of an earlier term --------------------------------------------------------------- */

/* Others have led since the checkpoint, and are at 500 + more now. */
static void
others_led(uint64_t more)
{
	facts.elected = true;
	if (more > 0)
		grown(500 + more, ours(700 + more));
	facts.floor = 700 + more;
	facts.floor_is_all = true;
	source.last_seq = source.messages = 1000 + more;
}

START_TEST(who_led_since_is_found_at_the_target)
{
	static const uint64_t grown_by[] = {0, 1, 40, 100000};

	for (size_t i = 0; i < sizeof grown_by / sizeof grown_by[0]; i++) {
		setup();
		others_led(grown_by[i]);
		ck_goes_from(700 + grown_by[i]);
		ck_incident(NULL);
		ck_assert_uint_eq(position.presettled, 0);
		ck_assert_uint_eq(position.start.stretch_end, 0);
		ck_assert_uint_eq(position.start.used_end, target.last_seq + 32768);
		/* without any checkpoint it is the same */
		facts.have_memory = false;
		ck_goes_from(700 + grown_by[i]);
		ck_assert_uint_eq(position.start.stretch_end, 0);
	}
}
END_TEST

START_TEST(another_map_before_us_is_a_stretch)
{
	others_led(40);
	facts.map_in_doubt = true;
	ck_goes_from(740);
	ck_assert_uint_eq(position.start.stretch_end, 540 + 32768);
	topic.max_inflight = 100000;
	ck_goes_from(740);
	ck_assert_uint_eq(position.start.stretch_end, 540 + 100000);
	/* at an empty target as well */
	facts.have_memory = facts.have_floor = false;
	grown(0, gone);
	decide();
	ck_assert_uint_eq(position.start.stretch_end, 100000);
	/* later in the term it is known what was sent */
	setup();
	others_led(0);
	facts.map_in_doubt = facts.memory_is_own = true;
	ck_goes_from(700);
	ck_assert_uint_eq(position.start.stretch_end, 0);
	/* our own map has changed since our last term */
	setup();
	others_led(40);
	facts.map_hash++;
	ck_goes_from(740);
	ck_assert_uint_eq(position.start.stretch_end, 540 + 32768);
}
END_TEST

/* A reset of the source that whoever led since has dealt with. */
START_TEST(an_old_checkpoint_of_another_source_is_dropped)
{
	others_led(40);
	facts.memory.source_created_ns--;
	ck_goes_from(740);
	ck_incident(NULL);
	/* it went back, and the newest copy is of what it is now */
	setup();
	others_led(0);
	facts.memory.source_seq = 5000;
	grown(540, ours(740));
	ck_goes_from(740);
	ck_incident(NULL);
	/* the message is gone there; it was stored since the stream was made */
	source.first_seq = 900;
	ck_goes_from(740);
	/* nobody has copied from the new one yet */
	setup();
	others_led(0);
	facts.memory.source_created_ns--;
	facts.have_origin_check = true;
	facts.origin_check_ms = stored_ms(700) + 1;
	ck_halts("deleted and created again");
	/* a checkpoint of this term counts */
	setup();
	others_led(40);
	facts.memory_is_own = true;
	facts.memory.source_created_ns--;
	ck_halts("deleted and created again");
}
END_TEST

START_TEST(an_old_checkpoint_of_another_target_is_dropped)
{
	static const enum conf_on_target_reset policies[] = {TARGET_RESET_RESTART, TARGET_RESET_CONTINUE,
							     TARGET_RESET_HALT};

	for (size_t i = 0; i < 3; i++) {
		setup();
		others_led(0);
		topic.on_target_reset = policies[i];
		another_target(30, ours(30));
		ck_goes_from(30);
		ck_incident(NULL);
		/* nobody has copied anything to it */
		another_target(0, gone);
		decide();
		ck_incident("target_reset");
	}
}
END_TEST

START_TEST(a_target_below_an_old_checkpoint_went_back)
{
	others_led(0);
	grown(480, ours(680));
	ck_goes_from(680);
	ck_incident("target_went_back");
	/* it has grown again since */
	setup();
	others_led(0);
	grown(501, ours(700));
	ck_goes_from(700);
	ck_incident(NULL);
}
END_TEST

START_TEST(an_old_pair_counts_within_its_bounds)
{
	others_led(0);
	last_gone(500 + IN_FLIGHT, 0, gone);
	ck_goes_from(700);
	ck_assert_uint_eq(position.presettled, IN_FLIGHT);
	/* beyond: the consumer knows, if nothing of it is open */
	last_gone(500 + IN_FLIGHT + 1, 0, gone);
	facts.floor = 900;
	ck_goes_from(900);
	ck_assert_uint_eq(position.presettled, 0);
	facts.floor_is_all = false;
	ck_halts("resume_from");
	facts.floor_is_all = true;
	facts.floor = 650; /* made anew by a person */
	ck_halts("resume_from");
	facts.floor = 900;
	facts.have_floor = false;
	ck_halts("resume_from");
	/* nobody can have led since a checkpoint of this term */
	facts.have_floor = facts.memory_is_own = true;
	ck_halts("resume_from");
	/* no checkpoint at all, and the newest copy is not the last */
	setup();
	others_led(0);
	facts.have_memory = false;
	last_gone(600, 520, ours(720));
	facts.floor = 790;
	ck_goes_from(790);
}
END_TEST

START_TEST(an_old_doubt_is_looked_at_if_it_is_not_far)
{
	others_led(40);
	facts.memory.map_hash = 3;
	ck_scans(700, 497, PIPELINE_CHAIN);
	others_led(262144);
	ck_goes_from(700 + 262144);
}
END_TEST

START_TEST(an_old_checkpoint_of_a_shared_target_is_read_behind)
{
	others_led(40);
	topic.target_writers = TARGET_WRITERS_SHARED;
	ck_scans(740, 500, PIPELINE_SUBJECT);
	facts.floor = 600;
	ck_scans(700, 500, PIPELINE_SUBJECT);
}
END_TEST

/* The existing tool keeps the ids that the source's messages had, and writes without a condition. */
START_TEST(copies_of_the_existing_tool_are_a_position)
{
	static const struct {
		const char *id;
		bool unordered;
	} cases[] = {{"", false},
		     {"Nats-Msg-Id: an-id-of-the-publisher\r\n", false},
		     {"Nats-Msg-Id: SITE:orders:1700000000000000000:740\r\n", true},
		     {"Nats-Msg-Id: SITE:orders:1700000000000000000:741\r\n", false},
		     {"Nats-Msg-Id: SITE:orders:740\r\n", false},
		     {"Nats-Msg-Id: :740\r\n", false}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct position_slot slot;
		char block[256];

		snprintf(block, sizeof block,
			 "NATS/1.0\r\n%sChoria-SR-Source: ORDERS 740 SITE orders %lld\r\n\r\n", cases[i].id,
			 (long long)stored_ms(740));
		setup();
		others_led(40);
		position_classify(&conf, &topic, block, strlen(block), &slot);
		ck_assert_int_eq(slot.kind, SLOT_OURS);
		ck_assert_int_eq(slot.unordered, cases[i].unordered);
		facts.last = slot;
		facts.have_memory = false;
		facts.map_in_doubt = true; /* its map is not known */
		decide();
		ck_assert_int_eq(position.outcome, cases[i].unordered ? POSITION_SCAN : POSITION_GO);
		if (!cases[i].unordered) {
			ck_goes_from(740);
			ck_assert_uint_eq(position.start.stretch_end, 540 + 32768);
		}
	}
}
END_TEST

START_TEST(a_copy_without_a_sequence_needs_the_tools_consumer)
{
	static const char block[] = "NATS/1.0\r\nChoria-SR-Source: ORDERS -1 SITE orders -1\r\n\r\n";
	static const char other[] = "NATS/1.0\r\nChoria-SR-Source: ORDERS -1 SITE others -1\r\n\r\n";
	struct position_slot slot;

	position_classify(&conf, &topic, other, strlen(other), &slot);
	ck_assert(slot.kind == SLOT_FOREIGN && !slot.unnumbered);
	position_classify(&conf, &topic, block, strlen(block), &slot);
	ck_assert(slot.kind == SLOT_FOREIGN && slot.unnumbered);
	others_led(40);
	facts.last = slot;
	ck_halts("resume_from");
	ck_halts("is not there");
	facts.have_tool_floor = true;
	facts.tool_floor = 741;
	ck_halts("not acknowledged");
	facts.tool_floor_is_all = true;
	ck_goes_from(741);
	/* our own checkpoint knows what was there then */
	facts.memory.target_seq = 540;
	facts.memory.source_seq = 739;
	ck_goes_from(739);
	/* a person has decided */
	setup();
	grown(540, slot);
	facts.apply_resume = true;
	topic.resume_from = RESUME_SEQUENCE;
	topic.resume_sequence = 742;
	ck_goes_from(741);
}
END_TEST

static void
add_tests(Suite *s, const char *name, const TTest *const *tests)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, NULL);
	for (; *tests != NULL; tests++)
		tcase_add_test(tc, *tests);
	suite_add_tcase(s, tc);
}

Suite *
unit_suite(void)
{
	const TTest *const there[] = {a_quiet_topic_goes_on_from_its_checkpoint,
				      the_last_message_of_ours_is_the_position,
				      a_checkpoint_of_another_source_or_name_is_none,
				      copies_of_adopted_names_are_ours,
				      a_copy_tells_how_it_was_made,
				      a_checkpoint_at_the_last_sequence_needs_no_message,
				      what_the_target_grew_by_is_counted,
				      what_cannot_be_counted_halts,
				      what_need_not_be_counted_does_not_halt,
				      NULL};
	const TTest *const target_tests[] = {a_target_that_went_back_is_filled_from_its_own_position,
					     one_that_went_back_to_nothing_begins_anew,
					     one_that_went_back_to_no_position_halts,
					     a_shared_target_that_went_back_halts,
					     a_new_target_is_filled_again,
					     the_start_is_found_but_not_behind_what_was_copied,
					     what_was_copied_to_a_new_target_counts,
					     continue_goes_on_from_the_checkpoint,
					     halt_waits_for_a_person,
					     a_new_shared_target_is_read_first,
					     NULL};
	const TTest *const starts[] = {a_first_start_is_the_configured_one,
				       without_target_and_checkpoint_the_ack_floor_counts,
				       configured_starts,
				       another_source_halts,
				       another_source_is_copied_from_its_start_if_told_so,
				       a_start_anew_is_not_begun_again,
				       what_was_copied_of_a_new_source_counts,
				       a_source_that_only_grew_or_expired_is_the_same,
				       the_origins_message_is_asked_for_where_it_can_be,
				       resume_from_decides_once,
				       resume_from_what_is_not_there_decides_nothing,
				       resume_from_settles_a_source_reset_too,
				       resume_from_the_checkpoint_reads_a_shared_target,
				       an_ephemeral_topic_begins_anew_at_each_start,
				       NULL};
	const TTest *const writers[] = {a_foreign_last_message,
					a_shared_target_is_read_behind_the_checkpoint,
					auto_stays_shared_over_a_restart,
					auto_is_exclusive_until_a_foreign_message_is_seen,
					others_that_were_heard_make_it_read,
					others_that_are_expected_count_at_a_first_start,
					ours_written_beside_others_in_a_target_said_to_be_exclusive,
					the_stretch_covers_what_the_old_chain_could_use,
					a_sampled_topic_begins_with_a_stretch,
					a_sampled_topic_asks_the_consumer_instead_of_counting,
					without_a_checkpoint_any_chain_may_have_been_there,
					behind_another_map_the_target_is_read,
					a_checkpoint_says_what_may_be_in_flight,
					a_checkpoint_in_doubt_reads_from_its_floor,
					a_second_rewind_adds_to_the_first,
					the_last_slot_alone_can_prove_all,
					a_broken_chain_proves_nothing_by_its_end,
					NULL};
	const TTest *const elected[] = {who_led_since_is_found_at_the_target,
					another_map_before_us_is_a_stretch,
					an_old_checkpoint_of_another_source_is_dropped,
					an_old_checkpoint_of_another_target_is_dropped,
					a_target_below_an_old_checkpoint_went_back,
					an_old_pair_counts_within_its_bounds,
					an_old_doubt_is_looked_at_if_it_is_not_far,
					an_old_checkpoint_of_a_shared_target_is_read_behind,
					copies_of_the_existing_tool_are_a_position,
					a_copy_without_a_sequence_needs_the_tools_consumer,
					NULL};
	Suite *s = suite_create("position");
	TCase *tc = tcase_create("rewind");

	add_tests(s, "target", there);
	add_tests(s, "reset", target_tests);
	add_tests(s, "start", starts);
	add_tests(s, "writers", writers);
	add_tests(s, "elected", elected);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, a_rewind_learns_what_is_there, 0, sizeof rewinds / sizeof rewinds[0]);
	suite_add_tcase(s, tc);
	return s;
}
