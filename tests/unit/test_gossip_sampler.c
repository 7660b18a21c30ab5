/*
 * Gossipers with real samplers: what it is all for. Who takes over copies nothing again that was copied, and
 * says nothing again that was said; and what was not said yet, it finds itself.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"
#include "worker/gossiper.h"

static struct event_base *base;
static struct test_server server;
static bool reliable;

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	reliable = false;
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	test_server_start(&server, NULL);
}

static void
teardown(void)
{
	test_server_stop(&server);
	event_base_free(base);
	nats_library_stop();
}

/* ---- nodes ------------------------------------------------------------------------------------------ */

struct node {
	struct conf_topic topic;
	struct owner owner;
	struct sampler *sampler;
	struct gossiper *gossiper;
	uint64_t seq; /* of the source; the target has as many */
	struct strbuf events;
};

static char key[] = "nodes", stream[] = "REG";

static bool
advise(void *arg, const struct advisory *a)
{
	struct node *n = arg;

	strbuf_addf(&n->events, "%s %s; ", advisory_event_name(a->event), a->value);
	return reliable;
}

static void
node_begin(struct node *n)
{
	static const struct sampler_rules rules = {3600000, 1800000, 0, 100000, true};
	static const struct sampler_callbacks callbacks = {advise};

	memset(n, 0, sizeof *n);
	strbuf_init(&n->events);
	n->topic.key = key;
	n->topic.stream = stream;
	n->topic.sampling.max_values = 100000;
	owner_connect(&n->owner, base, server.url, NULL);
	n->sampler = sampler_new(&rules, 7, &callbacks, n);
	n->gossiper = gossiper_new(base, n->owner.conn, &n->topic, n->sampler);
	gossiper_up(n->gossiper);
}

static void
node_end(struct node *n)
{
	gossiper_free(&n->gossiper);
	RUN_UNTIL(base, 20, false);
	nats_conn_free(&n->owner.conn);
	sampler_free(&n->sampler);
	strbuf_fini(&n->events);
}

/* Leads from that position on. */
static void
lead(struct node *n, uint64_t seq)
{
	n->seq = seq;
	sampler_rewind(n->sampler, seq, seq);
	sampler_recall_end(n->sampler, wall_ms());
	listening_set(sampler_listening(n->sampler), true, wall_ms(), mono_now());
	gossiper_lead(n->gossiper, 11, 12);
}

/* A message of that value comes, and is settled. */
static enum sampler_verdict
message(struct node *n, const char *text)
{
	struct sampler_message m = {.seq = ++n->seq, .stored_ms = wall_ms(), .size = 100};
	enum sampler_verdict verdict;
	struct sample_value value;

	sample_value_make(text, strlen(text), &value);
	verdict = sampler_offer(n->sampler, &value, &m, wall_ms());
	sampler_settled(n->sampler, n->seq, n->seq);
	return verdict;
}

static uint64_t
position(const struct node *n)
{
	struct sample_note note;

	return gossiper_position(n->gossiper, &note) ? note.target_seq : 0;
}

static uint64_t
tracked(const struct node *n)
{
	struct sampler_figures f;

	sampler_figures(n->sampler, &f);
	return f.tracked;
}

/* ---- tests ------------------------------------------------------------------------------------------ */

START_TEST(who_takes_over_goes_on)
{
	struct node a, b;

	node_begin(&a);
	lead(&a, 50);
	ck_assert_int_eq(message(&a, "n1"), SAMPLER_NEW);
	ck_assert_int_eq(message(&a, "n2"), SAMPLER_NEW);
	node_begin(&b);
	ck_assert(RUN_UNTIL(base, 8000, position(&b) == 52));
	ck_assert_int_eq(message(&a, "n3"), SAMPLER_NEW);
	ck_assert_int_eq(message(&a, "n1"), SAMPLER_SKIP);
	ck_assert(gossiper_flush(a.gossiper));
	gossiper_follow(a.gossiper);
	ck_assert(RUN_UNTIL(base, 2000, position(&b) == 54));
	ck_assert_uint_eq(tracked(&b), 3);
	ck_assert_int_eq(sampler_listening(b.sampler)->heard_ms, sampler_listening(a.sampler)->heard_ms);
	lead(&b, 54);
	ck_assert_int_eq(message(&b, "n1"), SAMPLER_SKIP);
	ck_assert_int_eq(message(&b, "n2"), SAMPLER_SKIP);
	ck_assert_int_eq(message(&b, "n3"), SAMPLER_SKIP);
	ck_assert_str_eq(b.events.data, "");
	ck_assert_int_eq(message(&b, "n4"), SAMPLER_NEW);
	ck_assert_str_eq(b.events.data, "new n4; ");
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(what_was_not_said_yet_is_found_again)
{
	struct node a, b;

	node_begin(&a);
	lead(&a, 50);
	ck_assert_int_eq(message(&a, "n1"), SAMPLER_NEW);
	RUN_UNTIL(base, 1500, false);
	reliable = true;
	ck_assert_int_eq(message(&a, "n2"), SAMPLER_NEW);
	/* It joins meanwhile: what waits for its advisory is in no snapshot. */
	node_begin(&b);
	ck_assert(RUN_UNTIL(base, 8000, tracked(&b) == 1));
	RUN_UNTIL(base, 2500, false);
	ck_assert_uint_eq(tracked(&b), 1);
	ck_assert_uint_lt(position(&b), 52);
	sampler_delivered(a.sampler, "n2", 2);
	ck_assert(RUN_UNTIL(base, 5000, position(&b) == 52));
	ck_assert_uint_eq(tracked(&b), 2);
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(many_values)
{
	struct node a, b;
	char value[32];

	node_begin(&a);
	node_begin(&b);
	lead(&a, 0);
	for (int i = 0; i < 30000; i++) {
		snprintf(value, sizeof value, "node%d.example.net", i);
		message(&a, value);
	}
	ck_assert(RUN_UNTIL(base, 20000, position(&b) == 30000));
	ck_assert_uint_eq(tracked(&b), 30000);
	lead(&b, 30000);
	for (int i = 0; i < 30000; i += 7) {
		snprintf(value, sizeof value, "node%d.example.net", i);
		ck_assert_int_eq(message(&b, value), SAMPLER_SKIP);
	}
	node_end(&a);
	node_end(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gossip_sampler");
	TCase *tc = tcase_create("all");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, who_takes_over_goes_on);
	tcase_add_test(tc, what_was_not_said_yet_is_found_again);
	tcase_add_test(tc, many_values);
	suite_add_tcase(s, tc);
	return s;
}
