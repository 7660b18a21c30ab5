/* The comparison of `verify` over made-up streams: what it finds, what it lets pass, and in how much memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/compare.h"
#include "admin/seqmap.h"
#include "tests/unit/unit.h"

static char site[] = "SITE", other[] = "ELSEWHERE", key[] = "t", stream[] = "S", empty[] = "", prefix[] = "x";

static struct conf conf;
static struct conf_topic topic;
static struct compare_config config;
static struct compare *c;

static void
setup(void)
{
	conf = (struct conf){.name = site};
	topic = (struct conf_topic){.key = key,
				    .stream = stream,
				    .adopt = empty,
				    .target_name = empty,
				    .target_subject_prefix = empty,
				    .target_subject_remove = empty};
	config = (struct compare_config){.conf = &conf,
					 .topic = &topic,
					 .from = 1,
					 .to = UINT64_MAX,
					 .source_last = 1000000,
					 .target_last = UINT64_MAX,
					 .now_ms = 10000000};
	c = compare_new(&config);
}

static void
teardown(void)
{
	compare_free(&c);
}

static void
again(void)
{
	compare_free(&c);
	c = compare_new(&config);
}

/* ---- messages ------------------------------------------------------------------------------------ */

/* Source message n: subject s.<n mod 10>, a header and a body of its own, stored at n ms. */
static void
give_source(uint64_t n, const char *more_headers)
{
	char subject[32], headers[512], body[32];
	struct compare_message m = {.subject = subject, .headers = headers, .data = body, .seq = n};

	snprintf(subject, sizeof subject, "s.%" PRIu64, n % 10);
	m.headers_len = (size_t)snprintf(headers, sizeof headers, "NATS/1.0\r\nN: %" PRIu64 "\r\n%s\r\n", n,
					 more_headers);
	m.data_len = (size_t)snprintf(body, sizeof body, "body %" PRIu64, n);
	m.stored_ms = (int64_t)n;
	compare_source(c, &m);
}

struct copy {
	uint64_t at, of; /* target sequence, source sequence */
	const char *subject, *header, *body, *site, *own;
	int64_t stored_ms;
};

static void
give_copy(struct copy k)
{
	char subject[64], headers[512], body[32];
	struct compare_message m = {.subject = subject, .headers = headers, .data = body, .seq = k.at};

	snprintf(subject, sizeof subject, "%ss.%" PRIu64, topic.target_subject_prefix[0] != '\0' ? "x." : "",
		 k.of % 10);
	if (k.subject != NULL)
		m.subject = k.subject;
	m.headers_len = (size_t)snprintf(
	    headers, sizeof headers,
	    "NATS/1.0\r\n%s%s%" PRIu64 "\r\nChoria-SR-Path: %s\r\nChoria-SR-Source: S %" PRIu64
	    " %s t %" PRId64 "\r\n\r\n",
	    k.own != NULL ? k.own : "Nats-Expected-Last-Sequence: 7\r\n",
	    k.header != NULL ? k.header : "N: ", k.of, k.site != NULL ? k.site : site, k.of,
	    k.site != NULL ? k.site : site, k.stored_ms != 0 ? k.stored_ms : (int64_t)k.of);
	m.data_len = (size_t)snprintf(body, sizeof body, "body %" PRIu64, k.of);
	if (k.body != NULL) {
		m.data = k.body;
		m.data_len = strlen(k.body);
	}
	compare_target(c, &m);
}

static void
give_stranger(uint64_t at)
{
	compare_target(c, &(struct compare_message){.subject = "s.1", .data = "", .seq = at});
}

static const struct compare_report *
finish(void)
{
	compare_source_ended(c);
	compare_target_ended(c);
	return compare_finish(c);
}

static void
expect(const struct compare_list *l, const char *want)
{
	char have[1024] = "";

	for (size_t i = 0; i < l->listed; i++)
		snprintf(have + strlen(have), sizeof have - strlen(have), "%s%" PRIu64, i > 0 ? " " : "",
			 l->items[i].seq);
	ck_assert_str_eq(have, want);
	ck_assert_uint_eq(l->count, l->listed);
}

static void
expect_lists(const struct compare_report *r, const char *missing, const char *extra, const char *changed,
	     const char *reordered)
{
	expect(&r->missing, missing);
	expect(&r->extra, extra);
	expect(&r->changed, changed);
	expect(&r->reordered, reordered);
	ck_assert(r->equal ==
		  (missing[0] == '\0' && extra[0] == '\0' && changed[0] == '\0' && reordered[0] == '\0'));
}

/* In which pace the two sides come, which must make no difference. */
enum pace { SOURCE_FIRST, TARGET_FIRST, IN_TURN, PACES };

/* Gives source messages 1…n and the copies, and finishes. */
static const struct compare_report *
run(enum pace pace, uint64_t n, const struct copy *copies, size_t count)
{
	size_t given = 0;

	if (pace == TARGET_FIRST)
		for (; given < count; given++)
			give_copy(copies[given]);
	for (uint64_t i = 1; i <= n; i++) {
		give_source(i, "");
		if (pace == IN_TURN && given < count)
			give_copy(copies[given++]);
	}
	compare_source_ended(c);
	for (; given < count; given++)
		give_copy(copies[given]);
	return finish();
}

#define RUN(how, n, copies) run((enum pace)(how), n, copies, sizeof(copies) / sizeof(copies)[0])

/* ---- what it finds ------------------------------------------------------------------------------- */

START_TEST(equal)
{
	static const struct copy copies[] = {{.at = 1, .of = 1}, {.at = 2, .of = 2}, {.at = 3, .of = 3}};
	const struct compare_report *r = RUN(_i, 3, copies);

	expect_lists(r, "", "", "", "");
	ck_assert_uint_eq(r->source_msgs, 3);
	ck_assert_uint_eq(r->target_msgs, 3);
}
END_TEST

START_TEST(missing)
{
	static const struct copy copies[] = {{.at = 1, .of = 1}, {.at = 2, .of = 4}};

	expect_lists(RUN(_i, 5, copies), "2 3 5", "", "", "");
}
END_TEST

START_TEST(changed)
{
	static const struct copy copies[] = {{.at = 1, .of = 1, .body = "other"},
					     {.at = 2, .of = 2, .subject = "s.9"},
					     {.at = 3, .of = 3, .header = "n: "},
					     {.at = 4, .of = 4}};
	const struct compare_report *r = RUN(_i, 4, copies);

	expect_lists(r, "", "", "1 2 3", "");
	ck_assert_int_eq(r->changed.items[0].what, COMPARE_BODY);
	ck_assert_int_eq(r->changed.items[1].what, COMPARE_SUBJECT);
	ck_assert_int_eq(r->changed.items[2].what, COMPARE_HEADERS);
}
END_TEST

START_TEST(reordered)
{
	static const struct copy copies[] = {
	    {.at = 1, .of = 1}, {.at = 2, .of = 3}, {.at = 3, .of = 2}, {.at = 4, .of = 4}};

	expect_lists(RUN(_i, 4, copies), "", "", "", "2");
}
END_TEST

START_TEST(doubled)
{
	static const struct copy copies[] = {{.at = 1, .of = 1},
					     {.at = 2, .of = 2},
					     {.at = 3, .of = 1},
					     {.at = 4, .of = 2},
					     {.at = 5, .of = 3}};

	expect_lists(RUN(_i, 3, copies), "", "3 4", "", "");
}
END_TEST

START_TEST(strangers)
{
	for (int writers = TARGET_WRITERS_AUTO; writers <= TARGET_WRITERS_SHARED; writers++) {
		const struct compare_report *r;

		topic.target_writers = (enum conf_target_writers)writers;
		again();
		give_source(1, "");
		give_copy((struct copy){.at = 1, .of = 1});
		give_stranger(2);
		give_copy((struct copy){.at = 3, .of = 1, .site = other});
		r = finish();
		if (writers == TARGET_WRITERS_SHARED)
			expect_lists(r, "", "", "", "");
		else
			expect_lists(r, "", "2 3", "", "");
	}
}
END_TEST

START_TEST(a_target_that_turned_out_to_be_shared)
{
	const struct compare_report *r;

	give_source(1, "");
	give_source(2, "");
	give_source(12, "");
	give_copy((struct copy){.at = 1, .of = 1});
	give_stranger(2);
	give_copy((struct copy){.at = 3, .of = 12, .own = "Nats-Msg-Id: SITE:t:1:12\r\n"});
	/* another subject's order does not matter, the same one's does */
	give_copy((struct copy){.at = 4, .of = 2, .own = "Nats-Msg-Id: SITE:t:1:2\r\n"});
	r = finish();
	expect_lists(r, "", "", "", "2");
	ck_assert_uint_eq(r->foreign, 1);
	again();
	for (uint64_t i = 1; i <= 3; i++)
		give_source(i, "");
	give_copy((struct copy){.at = 1, .of = 3, .own = "Nats-Msg-Id: SITE:t:1:3\r\n"});
	give_copy((struct copy){.at = 2, .of = 2, .own = "Nats-Msg-Id: SITE:t:1:2\r\n"});
	give_copy((struct copy){.at = 3, .of = 1, .own = "Nats-Msg-Id: SITE:t:1:1\r\n"});
	expect_lists(finish(), "", "", "", "");
}
END_TEST

START_TEST(adopted_names_are_ours)
{
	char adopt[] = "ELSEWHERE:t";
	static const struct copy copies[] = {{.at = 1, .of = 1, .site = other, .own = "Nats-Msg-Id: 5\r\n"},
					     {.at = 2, .of = 2}};

	topic.adopt = adopt;
	again();
	expect_lists(RUN(_i, 2, copies), "", "", "", "");
}
END_TEST

START_TEST(maps_subjects)
{
	static const struct copy copies[] = {{.at = 1, .of = 1}, {.at = 2, .of = 2, .subject = "s.2"}};

	topic.target_subject_prefix = prefix;
	again();
	expect_lists(RUN(_i, 2, copies), "", "", "2", "");
}
END_TEST

/* ---- what it lets pass --------------------------------------------------------------------------- */

START_TEST(skips_what_the_topic_skips)
{
	const struct compare_report *r;

	topic.target_name = other;
	topic.max_age_ms = 1000;
	config.now_ms = 1005;
	again();
	compare_add_rejected(c, 12);
	compare_add_rejected(c, 11);
	for (uint64_t i = 1; i <= 4; i++)
		give_source(i, ""); /* too old */
	give_source(8, "Choria-SR-Path: ELSEWHERE\r\n");
	give_source(9, "Choria-SR-Path: A,SITE\r\n");
	give_source(10, "Choria-SR-Path: A\r\n");
	give_source(11, "");
	give_source(12, "");
	give_copy((struct copy){.at = 1, .of = 3}); /* was young enough at its time */
	r = finish();
	expect_lists(r, "10", "", "", "");
	ck_assert_uint_eq(r->too_old, 3);
	ck_assert_uint_eq(r->loops, 2);
	ck_assert_uint_eq(r->rejected, 2);
	ck_assert_uint_eq(r->source_msgs, 9);
}
END_TEST

/* Messages with a value may be there or not; those without one, and forced ones, have to be. */
START_TEST(knows_sampled_topics)
{
	static char sender[] = "Sender", force[] = "now", none[] = "";
	const struct compare_report *r;
	struct compare_message forced = {.subject = "s.5",
					 .data = "{\"now\":true}",
					 .data_len = 12,
					 .seq = 5,
					 .stored_ms = 5,
					 .headers = "NATS/1.0\r\nSender: a\r\n\r\n",
					 .headers_len = 23};

	topic.sampling = (struct conf_sampling){.inspect = INSPECT_HEADER,
						.field = none,
						.header = sender,
						.force_field = force,
						.duration_ms = 1000};
	again();
	give_source(1, "Sender: a\r\n");
	give_source(2, "Sender: a\r\n");
	give_source(3, "Sender: b\r\n");
	give_source(4, "");
	compare_source(c, &forced);
	give_copy((struct copy){.at = 1, .of = 3, .header = "Sender: b\r\nN: "});
	r = finish();
	expect_lists(r, "4 5", "", "3", "");
	ck_assert_uint_eq(r->sampled, 2);
}
END_TEST

START_TEST(knows_dead_letters)
{
	static const struct copy copies[] = {{.at = 1, .of = 1},
					     {.at = 2, .of = 2, .own = "Choria-SR-Reject-Reason: x\r\n"},
					     {.at = 3, .of = 3}};
	const struct compare_report *r = RUN(_i, 3, copies);

	expect_lists(r, "", "", "", "");
	ck_assert_uint_eq(r->rejected, 1);
}
END_TEST

START_TEST(begins_where_the_topic_began)
{
	static const struct copy copies[] = {{.at = 1, .of = 4}, {.at = 2, .of = 6}};

	topic.start = START_AT_END;
	again();
	expect_lists(RUN(_i, 6, copies), "5", "", "", "");
	topic.start = START_TIME;
	topic.start_time_ms = 3;
	again();
	expect_lists(RUN(_i, 6, copies), "3 5", "", "", "");
	topic.start = START_ALL;
	again();
	expect_lists(RUN(_i, 6, copies), "1 2 3 5", "", "", "");
}
END_TEST

START_TEST(copies_may_outlive_their_source)
{
	const struct compare_report *r;

	give_source(5, "");
	give_source(8, "");
	for (uint64_t i = 1; i <= 9; i++)
		give_copy((struct copy){.at = i, .of = i});
	r = finish();
	expect_lists(r, "", "", "", "");
	ck_assert_uint_eq(r->source_gone, 7);
}
END_TEST

START_TEST(a_source_that_was_made_again)
{
	static const struct copy copies[] = {{.at = 1, .of = 1, .stored_ms = -1},
					     {.at = 2, .of = 2, .stored_ms = 1},
					     {.at = 3, .of = 3, .stored_ms = 1},
					     {.at = 4, .of = 2},
					     {.at = 5, .of = 3}};
	const struct compare_report *r = RUN(_i, 3, copies);

	expect_lists(r, "", "", "", "");
	ck_assert_uint_eq(r->source_gone, 2);
}
END_TEST

START_TEST(looks_at_the_range_alone)
{
	static const struct copy copies[] = {
	    {.at = 1, .of = 1}, {.at = 2, .of = 2}, {.at = 3, .of = 4}, {.at = 4, .of = 6, .body = "x"}};
	const struct compare_report *r;

	config.from = 2;
	config.to = 5;
	again();
	r = RUN(_i, 6, copies);
	expect_lists(r, "3 5", "", "", "");
	ck_assert_uint_eq(r->source_msgs, 4);
	ck_assert_uint_eq(r->target_msgs, 2);
}
END_TEST

START_TEST(what_came_while_reading_is_let_be)
{
	static const struct copy copies[] = {{.at = 1, .of = 1}, {.at = 2, .of = 2}, {.at = 3, .of = 3}};

	config.to = config.source_last = 2;
	config.target_last = 2;
	again();
	expect_lists(RUN(_i, 2, copies), "", "", "", "");
	/* at the target from the start, and of no message that there could be */
	config.target_last = 3;
	again();
	expect_lists(RUN(_i, 2, copies), "", "3", "", "");
}
END_TEST

START_TEST(an_ephemeral_topic_copies_again)
{
	static const struct copy copies[] = {
	    {.at = 1, .of = 1}, {.at = 2, .of = 2}, {.at = 3, .of = 1}, {.at = 4, .of = 2}};

	topic.ephemeral = true;
	again();
	expect_lists(RUN(_i, 2, copies), "", "", "", "");
}
END_TEST

/* ---- size ---------------------------------------------------------------------------------------- */

/* As the command does: reads whichever side is wanted. next_copy gives 0 at the end. */
static void
drive(uint64_t n, uint64_t (*next_copy)(uint64_t at))
{
	uint64_t sent = 0, at = 0;
	bool target_open = true;

	while (sent < n || target_open) {
		bool moved = false;

		if (sent < n && compare_wants_source(c)) {
			give_source(++sent, "");
			if (sent == n)
				compare_source_ended(c);
			moved = true;
		}
		if (target_open && compare_wants_target(c)) {
			uint64_t of = next_copy(++at);

			if (of > 0) {
				give_copy((struct copy){.at = at, .of = of});
			} else {
				target_open = false;
				compare_target_ended(c);
			}
			moved = true;
		}
		ck_assert_msg(moved, "both sides are held up");
	}
}

static uint64_t
behind_a_hole(uint64_t at)
{
	return at <= 100 ? at : at + 300000 <= 500000 ? at + 300000 : 0;
}

START_TEST(a_long_stretch_is_missing)
{
	const struct compare_report *r;

	drive(500000, behind_a_hole);
	r = compare_finish(c);
	ck_assert_uint_eq(r->missing.count, 300000);
	ck_assert_uint_eq(r->missing.listed, COMPARE_LIST_MAX);
	ck_assert_uint_eq(r->missing.items[0].seq, 101);
	ck_assert(r->extra.count == 0 && r->changed.count == 0 && r->reordered.count == 0 && !r->equal);
}
END_TEST

/* The first 300,000 come last. */
static uint64_t
turned_around(uint64_t at)
{
	return at <= 200000 ? at + 300000 : at <= 500000 ? at - 200000 : 0;
}

START_TEST(a_long_stretch_comes_late)
{
	const struct compare_report *r;

	drive(500000, turned_around);
	r = compare_finish(c);
	ck_assert_uint_eq(r->reordered.count, 300000);
	ck_assert_uint_gt(r->not_compared, 0);
	ck_assert(r->missing.count == 0 && r->extra.count == 0 && r->changed.count == 0 && !r->equal);
	ck_assert_uint_eq(r->source_msgs, 500000);
	ck_assert_uint_eq(r->target_msgs, 500000);
}
END_TEST

static uint64_t
every_one(uint64_t at)
{
	return at <= 400000 ? at : 0;
}

START_TEST(many_are_equal)
{
	const struct compare_report *r;

	drive(400000, every_one);
	r = compare_finish(c);
	ck_assert(r->equal);
	ck_assert_uint_eq(r->target_msgs, 400000);
}
END_TEST

START_TEST(marks_are_bounded)
{
	struct seqmap m = {0};
	uint64_t step = SEQMAP_CHUNK, last = step * (SEQMAP_CHUNKS_MAX + 5);

	for (uint64_t seq = 1; seq <= last; seq += step)
		seqmap_see(&m, seq);
	ck_assert_int_eq(seqmap_look(&m, 1), SEQMAP_FORGOTTEN);
	ck_assert_int_eq(seqmap_look(&m, last - step + 1), SEQMAP_SEEN);
	ck_assert_int_eq(seqmap_look(&m, last - step + 2), SEQMAP_NONE);
	seqmap_done(&m, 1);
	seqmap_done(&m, last - step + 1);
	ck_assert_int_eq(seqmap_look(&m, last - step + 1), SEQMAP_DONE);
	seqmap_fini(&m);
	for (uint64_t seq = 0; seq < 3 * step; seq++) {
		seqmap_see(&m, seq);
		seqmap_done(&m, seq);
	}
	ck_assert_int_eq(seqmap_look(&m, step + 7), SEQMAP_DONE);
	ck_assert_int_eq(seqmap_look(&m, 3 * step), SEQMAP_NONE);
	seqmap_fini(&m);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("compare");
	TCase *tc = tcase_create("compare");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, equal, 0, PACES);
	tcase_add_loop_test(tc, missing, 0, PACES);
	tcase_add_loop_test(tc, changed, 0, PACES);
	tcase_add_loop_test(tc, reordered, 0, PACES);
	tcase_add_loop_test(tc, doubled, 0, PACES);
	tcase_add_test(tc, strangers);
	tcase_add_test(tc, a_target_that_turned_out_to_be_shared);
	tcase_add_loop_test(tc, adopted_names_are_ours, 0, PACES);
	tcase_add_loop_test(tc, maps_subjects, 0, PACES);
	tcase_add_test(tc, skips_what_the_topic_skips);
	tcase_add_test(tc, knows_sampled_topics);
	tcase_add_loop_test(tc, knows_dead_letters, 0, PACES);
	tcase_add_loop_test(tc, begins_where_the_topic_began, 0, PACES);
	tcase_add_test(tc, copies_may_outlive_their_source);
	tcase_add_loop_test(tc, a_source_that_was_made_again, 0, PACES);
	tcase_add_loop_test(tc, looks_at_the_range_alone, 0, PACES);
	tcase_add_loop_test(tc, what_came_while_reading_is_let_be, 0, PACES);
	tcase_add_loop_test(tc, an_ephemeral_topic_copies_again, 0, PACES);
	tcase_add_test(tc, a_long_stretch_is_missing);
	tcase_add_test(tc, a_long_stretch_comes_late);
	tcase_add_test(tc, many_are_equal);
	tcase_add_test(tc, marks_are_bounded);
	suite_add_tcase(s, tc);
	return s;
}
