/*
 * Gossipers on a real server: what a leader tells, what others take, how one that missed something comes to
 * know it, and what becomes of junk.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "tests/unit/plain_table.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"
#include "worker/gossiper_internal.h"

#define SUBJECT   "choria.stream-replicator.sync.REG.nodes"
#define SOURCE_ID 11
#define TARGET_ID 12

static struct event_base *base;
static struct test_server server;
static int warnings;

static void
take_log(enum log_level level, const char *text, void *arg)
{
	(void)arg;
	(void)text;
	warnings += level == LOG_LEVEL_WARN;
}

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	warnings = 0;
	log_to_sink(take_log, NULL, LOG_LEVEL_DEBUG);
	test_server_start(&server, NULL);
}

static void
teardown(void)
{
	test_server_stop(&server);
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	event_base_free(base);
	nats_library_stop();
}

/* ---- nodes ------------------------------------------------------------------------------------------ */

struct node {
	struct conf_topic topic;
	struct owner owner;
	struct sampler *sampler;
	struct gossiper *gossiper;
};

static char key[] = "nodes", stream[] = "REG";

/* Connected, not up yet for the gossiper. */
static void
node_new(struct node *n)
{
	memset(n, 0, sizeof *n);
	n->topic.key = key;
	n->topic.stream = stream;
	n->topic.sampling.max_values = 2000000;
	owner_connect(&n->owner, base, server.url, NULL);
	n->sampler = plain_table_new();
	n->gossiper = gossiper_new(base, n->owner.conn, &n->topic, n->sampler);
}

static void
node_begin(struct node *n)
{
	node_new(n);
	gossiper_up(n->gossiper);
}

static void
node_end(struct node *n)
{
	gossiper_free(&n->gossiper);
	ck_assert_ptr_null(n->gossiper);
	/* The client library leaks a large message of which a part has come. */
	RUN_UNTIL(base, 20, false);
	nats_conn_free(&n->owner.conn);
	sampler_free(&n->sampler);
}

static struct gossiper_figures
figures(const struct node *n)
{
	struct gossiper_figures f;

	gossiper_figures(n->gossiper, &f);
	return f;
}

static bool
has(const struct node *n, uint32_t value)
{
	return plain_table_row(n->sampler, value) != NULL;
}

static uint64_t
position(const struct node *n)
{
	struct sample_note note;

	return gossiper_position(n->gossiper, &note) ? note.target_seq : 0;
}

static void
lead(struct node *n)
{
	gossiper_lead(n->gossiper, SOURCE_ID, TARGET_ID);
}

/* A leader and a standby that is in step with it; position 1. */
static void
two_in_step(struct node *a, struct node *b)
{
	node_begin(a);
	lead(a);
	plain_table_change(a->sampler, 1, wall_ms(), 1);
	node_begin(b);
	ck_assert(RUN_UNTIL(base, 8000, position(b) == 1 && figures(b).in_step));
}

/* Messages by a client that is no gossiper. */
static void
send_text(struct node *n, const char *suffix, const char *lines, const char *text)
{
	struct error e = ERROR_INIT;
	char subject[200];

	snprintf(subject, sizeof subject, SUBJECT "%s", suffix);
	ck_assert_int_eq(nats_conn_publish(n->owner.conn, subject, NULL, lines,
					   lines != NULL ? strlen(lines) : 0, text, strlen(text), &e),
			 0);
}

/* ---- a leader and its standbys ---------------------------------------------------------------------- */

START_TEST(rows_and_position_of_a_leader_reach_standbys)
{
	struct node a, b, c;
	int64_t now = wall_ms();
	struct sample_note note;

	node_begin(&a);
	node_begin(&b);
	node_begin(&c);
	RUN_UNTIL(base, 1200, false);
	ck_assert(!figures(&b).in_step);
	listening_set(sampler_listening(a.sampler), true, now, mono_now());
	lead(&a);
	plain_table_change(a.sampler, 7, now - 1000, 41);
	plain_table_change(a.sampler, 8, now, 0);
	ck_assert(RUN_UNTIL(base, 8000, figures(&b).in_step && figures(&c).in_step));
	ck_assert(RUN_UNTIL(base, 3000, position(&b) == 41 && position(&c) == 41));
	ck_assert_int_eq(plain_table_row(b.sampler, 7)->copied_ms, now - 1000);
	ck_assert_int_eq(plain_table_row(b.sampler, 8)->seen_ms, now);
	ck_assert_int_eq(plain_table_row(c.sampler, 8)->copied_ms, 0);
	ck_assert_int_eq(b.sampler->listening.heard_ms, a.sampler->listening.heard_ms);
	ck_assert_uint_eq(b.sampler->adopted_seq, 41);
	ck_assert(gossiper_position(b.gossiper, &note));
	ck_assert_int_eq(note.source_created_ns, SOURCE_ID);
	ck_assert_int_eq(note.target_created_ns, TARGET_ID);
	plain_table_change(a.sampler, 9, now, 42);
	ck_assert(RUN_UNTIL(base, 3000, position(&b) == 42 && position(&c) == 42));
	ck_assert(has(&b, 9) && has(&c, 9));
	ck_assert_uint_eq(figures(&a).received, 0);
	ck_assert_uint_eq(figures(&a).rejected, 0);
	ck_assert_uint_eq(figures(&b).rejected, 0);
	node_end(&a);
	node_end(&b);
	node_end(&c);
}
END_TEST

START_TEST(a_value_is_sent_once_a_second)
{
	struct node a;
	struct got got;
	struct nats_sub *sub;
	struct mono end;

	node_begin(&a);
	got_init(&got);
	sub = nats_conn_subscribe(a.owner.conn, SUBJECT, got_message, &got, NULL);
	lead(&a);
	end = mono_add_ms(mono_now(), 2500);
	while (!mono_reached(mono_now(), end)) {
		plain_table_change(a.sampler, 1, wall_ms(), 0);
		loop_turn(base);
	}
	ck_assert_int_ge(got.count, 2);
	ck_assert_int_le(got.count, 4);
	nats_unsubscribe(&sub);
	got_fini(&got);
	node_end(&a);
}
END_TEST

START_TEST(positions_come_each_second_without_changes)
{
	struct node a;
	struct got got;
	struct nats_sub *sub;

	node_begin(&a);
	got_init(&got);
	sub = nats_conn_subscribe(a.owner.conn, SUBJECT ".position", got_message, &got, NULL);
	lead(&a);
	ck_assert(RUN_UNTIL(base, 5000, got.count >= 3));
	ck_assert_ptr_nonnull(strstr(got.data.data, "\"note\""));
	/* What a row waits for holds up the note, not the sign of life. */
	a.sampler->held = true;
	plain_table_change(a.sampler, 1, wall_ms(), 5);
	RUN_UNTIL(base, 1500, false);
	got.count = 0;
	ck_assert(RUN_UNTIL(base, 3000, got.count >= 2));
	ck_assert_ptr_null(strstr(got.data.data, "\"note\""));
	a.sampler->held = false;
	ck_assert(RUN_UNTIL(base, 3000,
			    strstr(got.data.data, "\"target_seq\":5") != NULL ||
				strstr(got.data.data, "\"note\"") != NULL));
	nats_unsubscribe(&sub);
	got_fini(&got);
	node_end(&a);
}
END_TEST

START_TEST(what_was_advised_of_is_sent_at_once)
{
	struct node a;
	struct mono began;

	node_begin(&a);
	lead(&a);
	RUN_UNTIL(base, 1300, false);
	a.gossiper->round_at = mono_now();
	a.sampler->urgent = true;
	plain_table_change(a.sampler, 1, wall_ms(), 0);
	began = mono_now();
	ck_assert(RUN_UNTIL(base, 3000, figures(&a).sent == 1));
	ck_assert_int_lt(mono_ms_between(began, mono_now()), 500);
	node_end(&a);
}
END_TEST

START_TEST(no_position_while_the_streams_are_not_known)
{
	struct node a, b;

	node_begin(&a);
	gossiper_lead(a.gossiper, 0, 0);
	plain_table_change(a.sampler, 1, wall_ms(), 1);
	node_begin(&b);
	ck_assert(RUN_UNTIL(base, 8000, figures(&b).in_step && has(&b, 1)));
	RUN_UNTIL(base, 1500, false);
	ck_assert_uint_eq(position(&b), 0);
	lead(&a);
	ck_assert(RUN_UNTIL(base, 3000, position(&b) == 1));
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(a_hand_over_tells_all_at_once)
{
	struct node a, b;

	two_in_step(&a, &b);
	for (uint32_t i = 0; i < 3000; i++)
		plain_table_change(a.sampler, i, wall_ms(), 100 + i);
	ck_assert(gossiper_flush(a.gossiper));
	gossiper_follow(a.gossiper);
	ck_assert(RUN_UNTIL(base, 1000, position(&b) == 3099));
	ck_assert(has(&b, 2999));
	ck_assert_uint_eq(position(&a), 3099);
	lead(&b);
	ck_assert_uint_eq(position(&b), 0);
	plain_table_change(b.sampler, 5000, wall_ms(), 5000);
	/* The other one has to have a snapshot of the new leader before it is in step. */
	ck_assert(RUN_UNTIL(base, 15000, figures(&a).in_step && position(&a) == 5000 && has(&a, 5000)));
	node_end(&a);
	node_end(&b);
}
END_TEST

/* ---- snapshots -------------------------------------------------------------------------------------- */

/* The longest that a turn computed. */
static int64_t worst_turn_ns;

static bool
run_measured(int64_t ms, bool (*done)(const struct node *), const struct node *n)
{
	struct mono end = mono_add_ms(mono_now(), ms);

	worst_turn_ns = 0;
	while (!done(n) && !mono_reached(mono_now(), end)) {
		struct timespec before, after;
		int64_t took;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
		loop_turn(base);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
		took = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
		if (took > worst_turn_ns)
			worst_turn_ns = took;
	}
	return done(n);
}

static bool
is_in_step(const struct node *n)
{
	return figures(n).in_step;
}

START_TEST(a_large_table_is_taken_page_by_page)
{
	enum { MANY = 50000 };
	struct node a, b;
	struct mono began;

	node_begin(&a);
	for (uint32_t i = 0; i < MANY; i++)
		plain_table_change(a.sampler, i, wall_ms() - i, i);
	a.sampler->taken = a.sampler->put; /* all told before */
	for (uint32_t i = 0; i < MANY; i++)
		a.sampler->rows[i].queued = false;
	lead(&a);
	RUN_UNTIL(base, 1200, false);
	node_begin(&b);
	began = mono_now();
	ck_assert(run_measured(20000, is_in_step, &b));
	printf("snapshot of %d values: %lld ms, longest turn of both nodes %lld us\n", MANY,
	       (long long)mono_ms_between(began, mono_now()), (long long)worst_turn_ns / 1000);
	ck_assert_uint_eq(b.sampler->used, MANY);
	ck_assert_uint_eq(figures(&b).received, MANY);
	ck_assert_uint_eq(figures(&b).rejected, 0);
	ck_assert_uint_eq(figures(&b).taken, 1);
	ck_assert_int_eq(plain_table_row(b.sampler, 49999)->seen_ms,
			 plain_table_row(a.sampler, 49999)->seen_ms);
	ck_assert(RUN_UNTIL(base, 3000, position(&b) == MANY - 1));
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(what_changes_during_a_snapshot_is_known_after_it)
{
	struct node a, b;
	struct mono end;
	uint32_t n = 20000;

	node_begin(&a);
	lead(&a);
	for (uint32_t i = 0; i < n; i++)
		plain_table_change(a.sampler, i, wall_ms(), i);
	node_begin(&b);
	end = mono_add_ms(mono_now(), 3000);
	while (!mono_reached(mono_now(), end)) {
		plain_table_change(a.sampler, n, wall_ms(), n);
		n++;
		loop_turn(base);
	}
	ck_assert(RUN_UNTIL(base, 15000, position(&b) == n - 1));
	for (uint32_t i = 0; i < n; i++)
		ck_assert(has(&b, i));
	node_end(&a);
	node_end(&b);
}
END_TEST

/* Lets the waiting time between two snapshots be over. */
static void
long_ago(struct node *n)
{
	n->gossiper->join.asked_at = mono_add_ms(mono_now(), -400000);
}

START_TEST(a_missed_number_is_made_up_for)
{
	struct node a, b;

	two_in_step(&a, &b);
	/* One that is lost on the way. */
	a.gossiper->number++;
	a.sampler->rows[77] = (struct fake_row){.used = true, .seen_ms = wall_ms()};
	plain_table_change(a.sampler, 2, wall_ms(), 2);
	ck_assert(RUN_UNTIL(base, 4000, !figures(&b).in_step));
	RUN_UNTIL(base, 1500, false);
	ck_assert_uint_eq(position(&b), 1);
	ck_assert(!has(&b, 77));
	long_ago(&b);
	ck_assert(RUN_UNTIL(base, 5000, figures(&b).in_step && position(&b) == 2));
	ck_assert(has(&b, 77));
	/* And the last one before silence. */
	a.gossiper->number++;
	long_ago(&b);
	a.sampler->rows[78] = (struct fake_row){.used = true, .seen_ms = wall_ms()};
	ck_assert(RUN_UNTIL(base, 8000, has(&b, 78) && figures(&b).in_step));
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(snapshots_that_bring_nothing_get_rare)
{
	struct node a, b, other;

	two_in_step(&a, &b);
	node_begin(&other);
	ck_assert_int_eq(b.gossiper->join.wait_ms, 10000);
	/* Somebody speaks as a leader and never answers. */
	for (int i = 0; i < 2; i++) {
		uint64_t before = figures(&b).asked;
		struct mono end = mono_add_ms(mono_now(), 8000);

		long_ago(&b);
		while (figures(&b).asked == before && !mono_reached(mono_now(), end)) {
			send_text(&other, ".position", NULL, "{\"nonce\":\"liar\",\"number\":5,\"round\":1}");
			RUN_UNTIL(base, 300, figures(&b).asked > before);
		}
		ck_assert_uint_eq(figures(&b).asked, before + 1);
		RUN_UNTIL(base, 1500, false);
	}
	ck_assert_int_ge(b.gossiper->join.wait_ms, 20000);
	node_end(&a);
	node_end(&b);
	node_end(&other);
}
END_TEST

START_TEST(without_a_leader_a_standby_answers)
{
	struct node a, b, c;

	two_in_step(&a, &b);
	ck_assert(gossiper_flush(a.gossiper));
	node_end(&a);
	node_begin(&c);
	ck_assert(RUN_UNTIL(base, 3000, has(&c, 1)));
	/* What was adopted there is whole here too. */
	ck_assert(RUN_UNTIL(base, 1000, position(&c) == 1));
	ck_assert(!figures(&c).in_step);
	node_end(&b);
	node_end(&c);
}
END_TEST

START_TEST(who_led_gives_no_position_with_a_snapshot)
{
	struct node a, c;

	node_begin(&a);
	lead(&a);
	plain_table_change(a.sampler, 1, wall_ms(), 1);
	ck_assert(gossiper_flush(a.gossiper));
	gossiper_follow(a.gossiper);
	ck_assert_uint_eq(position(&a), 1);
	/* Rows of it may wait for advisories. */
	node_begin(&c);
	ck_assert(RUN_UNTIL(base, 3000, figures(&c).taken == 1));
	ck_assert(has(&c, 1));
	ck_assert_uint_eq(position(&c), 0);
	node_end(&a);
	node_end(&c);
}
END_TEST

static void
send_offer(struct node *n, const struct got *question, const char *nonce, bool leader)
{
	struct gossip_page offer = {.leader = leader, .next = "start"};
	struct error e = ERROR_INIT;
	struct strbuf b;

	snprintf(offer.from.nonce.text, sizeof offer.from.nonce.text, "%s", nonce);
	strbuf_init(&b);
	gossip_page_write(&offer, &b);
	ck_assert_int_eq(
	    nats_conn_publish(n->owner.conn, question->reply.data, NULL, NULL, 0, b.data, b.len, &e), 0);
	strbuf_fini(&b);
}

/* Whom the node has asked for a page, "" if nobody yet. */
static const char *
asks(const struct node *n)
{
	return n->gossiper->join.phase != JOIN_OFFERS ? n->gossiper->join.page.from.nonce.text : "";
}

START_TEST(the_leaders_offer_is_preferred)
{
	struct node a, others;
	struct got question;
	struct nats_sub *sub;

	node_new(&others);
	got_init(&question);
	sub = nats_conn_subscribe(others.owner.conn, SUBJECT ".snapshot", got_message, &question, NULL);
	RUN_UNTIL(base, 100, false);
	for (int with_leader = 0; with_leader < 2; with_leader++) {
		question.count = 0;
		node_begin(&a);
		ck_assert(RUN_UNTIL(base, 2000, question.count == 1));
		send_offer(&others, &question, "first", false);
		send_offer(&others, &question, "second", false);
		RUN_UNTIL(base, 150, false);
		ck_assert_str_eq(asks(&a), "");
		if (with_leader)
			send_offer(&others, &question, "leader", true);
		ck_assert(RUN_UNTIL(base, 2000, asks(&a)[0] != '\0'));
		ck_assert_str_eq(asks(&a), with_leader ? "leader" : "first");
		node_end(&a);
	}
	nats_unsubscribe(&sub);
	got_fini(&question);
	node_end(&others);
}
END_TEST

START_TEST(a_leader_that_joins_gets_what_others_know)
{
	struct node a, b;

	node_begin(&b);
	plain_table_change(b.sampler, 5, wall_ms(), 5);
	node_new(&a);
	lead(&a);
	gossiper_up(a.gossiper);
	ck_assert(RUN_UNTIL(base, 3000, has(&a, 5)));
	ck_assert(RUN_UNTIL(base, 8000, figures(&b).in_step));
	ck_assert_uint_eq(position(&a), 0);
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(answers_go_to_inboxes_alone)
{
	struct node a, asker;
	struct got got;
	struct nats_sub *subs[2];
	struct error e = ERROR_INIT;
	static const char question[] = "{\"nonce\":\"x\",\"number\":0,\"round\":0}";
	static const char *const replies[] = {"elsewhere", "_INBOX.test.1"};

	node_begin(&a);
	lead(&a);
	node_new(&asker);
	got_init(&got);
	for (size_t i = 0; i < 2; i++)
		subs[i] = nats_conn_subscribe(asker.owner.conn, replies[i], got_message, &got, &e);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(nats_conn_publish(asker.owner.conn, SUBJECT ".snapshot", replies[i], NULL, 0,
						   question, strlen(question), &e),
				 0);
		RUN_UNTIL(base, 500, got.count > 0);
		ck_assert_int_eq(got.count, (int)i);
	}
	ck_assert_uint_eq(figures(&a).rejected, 1);
	ck_assert_ptr_nonnull(strstr(got.data.data, "\"leader\":true"));
	nats_unsubscribe(&subs[0]);
	nats_unsubscribe(&subs[1]);
	got_fini(&got);
	node_end(&a);
	node_end(&asker);
}
END_TEST

/* ---- others ----------------------------------------------------------------------------------------- */

START_TEST(existing_peers_are_merged)
{
	struct node a, b, peer;
	int64_t now = wall_ms();
	char text[300], seen[RFC3339_SIZE];

	two_in_step(&a, &b);
	node_new(&peer);
	rfc3339_format(seen, sizeof seen, now);
	seen[strlen(seen) - 1] = '\0';
	snprintf(text, sizeof text,
		 "{\"seen\":\"%s123Z\",\"copied\":\"0001-01-01T00:00:00Z\",\"size\":12,\"value\":\"v500\"}",
		 seen);
	send_text(&peer, "", NULL, text);
	ck_assert(RUN_UNTIL(base, 2000, has(&a, 500) && has(&b, 500)));
	ck_assert_int_eq(plain_table_row(a.sampler, 500)->seen_ms, now);
	ck_assert_uint_eq(plain_table_row(a.sampler, 500)->size, 12);
	ck_assert(figures(&b).in_step);
	ck_assert_uint_eq(figures(&a).received, 1);
	node_end(&a);
	node_end(&b);
	node_end(&peer);
}
END_TEST

START_TEST(junk_is_counted_and_dropped)
{
	static const char good[] =
	    "{\"seen\":\"2026-01-02T03:04:05Z\",\"copied\":\"0001-01-01T00:00:00Z\",\"size\":1,"
	    "\"value\":\"v9\"}";
	static const char future[] = "{\"seen\":\"2200-01-02T03:04:05Z\",\"copied\":\"0001-01-01T00:00:00Z\","
				     "\"size\":1,\"value\":\"v9\"}";
	struct node a, peer;
	char *large = xcalloc(1, GOSSIP_ITEM_MAX + 200);

	node_begin(&a);
	node_new(&peer);
	RUN_UNTIL(base, 100, false);
	memset(large, ' ', GOSSIP_ITEM_MAX + 1);
	memcpy(large + GOSSIP_ITEM_MAX + 1, good, sizeof good);
	send_text(&peer, "", NULL, "junk");
	send_text(&peer, "", NULL, future);
	send_text(&peer, "", NULL, large);
	send_text(&peer, "", "Choria-SR-Gossip: x y\r\n", good);
	send_text(&peer, ".position", NULL, "junk");
	send_text(&peer, ".position", NULL, "{\"nonce\":\"n\",\"number\":1,\"round\":1,\"note\":{}}");
	send_text(&peer, ".snapshot", NULL, "no reply");
	ck_assert(RUN_UNTIL(base, 2000, figures(&a).rejected == 7));
	ck_assert_uint_eq(figures(&a).received, 0);
	ck_assert(!has(&a, 9));
	send_text(&peer, "", NULL, good);
	ck_assert(RUN_UNTIL(base, 2000, has(&a, 9)));
	ck_assert_int_eq(warnings, 0);
	free(large);
	node_end(&a);
	node_end(&peer);
}
END_TEST

START_TEST(a_flood_is_bounded)
{
	static const char item[] =
	    "{\"seen\":\"2026-01-02T03:04:05Z\",\"copied\":\"0001-01-01T00:00:00Z\",\"size\":1,"
	    "\"value\":\"v9\"}";
	enum { FLOOD = 60000 };
	struct node a, peer;
	struct mono end;
	int sent = 0;
	int64_t took;

	node_begin(&a);
	node_new(&peer);
	RUN_UNTIL(base, 1200, false);
	end = mono_now();
	while (sent < FLOOD) {
		for (int i = 0; i < 3000 && nats_conn_room(peer.owner.conn) > 0; i++, sent++)
			send_text(&peer, "", NULL, item);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	ck_assert(RUN_UNTIL(base, 10000, figures(&a).received + figures(&a).rejected >= FLOOD));
	took = mono_ms_between(end, mono_now());
	printf("flood of %d in %lld ms: %llu taken\n", FLOOD, (long long)took,
	       (unsigned long long)figures(&a).received);
	/* 5,000 each tenth of a second. */
	ck_assert_int_le((int64_t)figures(&a).received, (took / 100 + 2) * 5000);
	node_end(&a);
	node_end(&peer);
}
END_TEST

START_TEST(of_two_leaders_neither_is_adopted)
{
	struct node a, b, c;

	two_in_step(&a, &b);
	node_begin(&c);
	ck_assert(RUN_UNTIL(base, 8000, figures(&c).in_step));
	lead(&c);
	ck_assert(RUN_UNTIL(base, 4000, !figures(&b).in_step));
	plain_table_change(a.sampler, 2, wall_ms(), 2);
	plain_table_change(c.sampler, 3, wall_ms(), 3);
	ck_assert(RUN_UNTIL(base, 3000, has(&b, 2) && has(&b, 3)));
	RUN_UNTIL(base, 1500, false);
	ck_assert_uint_eq(position(&b), 1);
	gossiper_follow(a.gossiper);
	long_ago(&b);
	ck_assert(RUN_UNTIL(base, 10000, position(&b) == 3 && figures(&b).in_step));
	node_end(&a);
	node_end(&b);
	node_end(&c);
}
END_TEST

/* ---- what is adopted -------------------------------------------------------------------------------- */

START_TEST(only_sane_and_newer_positions_are_adopted)
{
	struct sample_note note = {.source_created_ns = 1,
				   .source_seq = 5,
				   .target_created_ns = 2,
				   .target_seq = 7},
			   odd;
	struct sample_note have;
	int64_t now = wall_ms();
	struct node a;

	node_new(&a);
	note.heard_ms = now - 1000;
	gossiper_adopt(a.gossiper, &note);
	ck_assert_uint_eq(position(&a), 7);
	ck_assert_int_eq(a.sampler->listening.heard_ms, now - 1000);
	odd = note;
	odd.target_seq = 8;
	odd.heard_ms = now + GOSSIP_FUTURE_MS + 60000;
	gossiper_adopt(a.gossiper, &odd);
	odd.heard_ms = now;
	odd.gap_count = 2;
	odd.gaps[0] = (struct listening_gap){now - 500, now - 400};
	odd.gaps[1] = (struct listening_gap){now - 450, now - 300};
	gossiper_adopt(a.gossiper, &odd);
	odd.gap_count = 1;
	odd.gaps[0] = (struct listening_gap){now - 300, now - 400};
	gossiper_adopt(a.gossiper, &odd);
	odd.gaps[0] = (struct listening_gap){now - 300, now + 1};
	gossiper_adopt(a.gossiper, &odd);
	odd.gap_count = 0;
	odd.target_created_ns = 0;
	gossiper_adopt(a.gossiper, &odd);
	ck_assert_uint_eq(figures(&a).rejected, 5);
	ck_assert_uint_eq(position(&a), 7);
	odd = note;
	odd.target_seq = 6;
	gossiper_adopt(a.gossiper, &odd);
	ck_assert_uint_eq(position(&a), 7);
	ck_assert_uint_eq(figures(&a).rejected, 5);
	/* Another machine's clock is ahead a little: nobody has heard in our future. */
	odd.target_seq = 9;
	odd.heard_ms = now + GOSSIP_FUTURE_MS / 2;
	odd.gap_count = 1;
	odd.gaps[0] = (struct listening_gap){now - 50, now + 60000};
	gossiper_adopt(a.gossiper, &odd);
	ck_assert(gossiper_position(a.gossiper, &have));
	ck_assert_uint_eq(have.target_seq, 9);
	ck_assert_int_ge(have.heard_ms, now);
	ck_assert_int_le(have.heard_ms, wall_ms());
	ck_assert_int_le(have.gaps[0].to_ms, have.heard_ms);
	/* A stream that was made anew begins at low numbers. */
	odd = note;
	odd.target_created_ns = 3;
	odd.target_seq = 1;
	RUN_UNTIL(base, 5, false);
	odd.heard_ms = wall_ms();
	gossiper_adopt(a.gossiper, &odd);
	ck_assert_uint_eq(position(&a), 1);
	/* A leader knows best. */
	lead(&a);
	gossiper_adopt(a.gossiper, &note);
	ck_assert_uint_eq(position(&a), 0);
	node_end(&a);
}
END_TEST

/* ---- connections ------------------------------------------------------------------------------------ */

static void
all_reconnect(struct node *nodes[], size_t count)
{
	test_server_kill(&server, SIGKILL);
	for (size_t i = 0; i < count; i++) {
		ck_assert(RUN_UNTIL(base, 10000, nodes[i]->owner.downs > 0));
		gossiper_down(nodes[i]->gossiper);
	}
	test_server_restart(&server, NULL);
	for (size_t i = 0; i < count; i++) {
		ck_assert(RUN_UNTIL(base, 15000, nats_conn_is_up(nodes[i]->owner.conn)));
		gossiper_up(nodes[i]->gossiper);
	}
}

START_TEST(a_lost_connection_is_made_up_for)
{
	struct node a, b, *both[] = {&a, &b};
	uint64_t asked;

	two_in_step(&a, &b);
	asked = figures(&b).asked;
	all_reconnect(both, 2);
	RUN_UNTIL(base, 300, false); /* subscribed at the server, too */
	plain_table_change(a.sampler, 2, wall_ms(), 2);
	ck_assert(RUN_UNTIL(base, 15000, position(&b) == 2 && figures(&b).in_step));
	/* Nothing was missed, which the numbers tell. */
	RUN_UNTIL(base, 3000, false);
	ck_assert_uint_eq(figures(&b).asked, asked);
	/* Now something is. */
	gossiper_down(b.gossiper);
	plain_table_change(a.sampler, 3, wall_ms(), 3);
	RUN_UNTIL(base, 2500, false);
	ck_assert(!has(&b, 3));
	ck_assert(!figures(&b).in_step);
	gossiper_up(b.gossiper);
	long_ago(&b);
	ck_assert(RUN_UNTIL(base, 10000, position(&b) == 3 && figures(&b).in_step));
	ck_assert(has(&b, 3));
	ck_assert_uint_eq(figures(&b).asked, asked + 1);
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(after_a_reconnection_without_a_leader_others_are_asked)
{
	struct node a, b;

	node_begin(&b);
	plain_table_change(b.sampler, 5, wall_ms(), 0);
	node_begin(&a);
	ck_assert(RUN_UNTIL(base, 3000, has(&a, 5)));
	gossiper_down(a.gossiper);
	plain_table_change(b.sampler, 6, wall_ms(), 0);
	gossiper_up(a.gossiper);
	ck_assert(RUN_UNTIL(base, 6000, has(&a, 6)));
	node_end(&a);
	node_end(&b);
}
END_TEST

START_TEST(what_the_server_refuses_is_not_tried_on_and_on)
{
	struct node a;
	char text[300];

	node_begin(&a);
	lead(&a);
	snprintf(text, sizeof text, "Permissions Violation for Publish to \"%s\"", SUBJECT);
	gossiper_async_error(a.gossiper, "Permissions Violation for Publish to \"else\"");
	ck_assert_int_eq(warnings, 0);
	gossiper_async_error(a.gossiper, text);
	gossiper_async_error(a.gossiper, text);
	ck_assert_int_eq(warnings, 1);
	plain_table_change(a.sampler, 1, wall_ms(), 1);
	RUN_UNTIL(base, 1500, false);
	ck_assert_uint_eq(figures(&a).sent, 0);
	a.gossiper->muted_until = mono_now();
	ck_assert(RUN_UNTIL(base, 3000, figures(&a).sent == 1));
	node_end(&a);
}
END_TEST

START_TEST(it_may_end_at_any_time)
{
	struct node a, b;

	node_begin(&a);
	for (uint32_t i = 0; i < 20000; i++)
		plain_table_change(a.sampler, i, wall_ms(), i);
	lead(&a);
	for (int64_t ms = 0; ms < 100; ms += 10) {
		node_begin(&b);
		RUN_UNTIL(base, ms, false);
		node_end(&b);
	}
	gossiper_down(a.gossiper);
	node_end(&a);
}
END_TEST

/* ---- how fast --------------------------------------------------------------------------------------- */

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(rate)
{
	enum { MANY = 20000, ROUNDS = 2 };
	struct node a, b;
	double before, sent;

	node_begin(&a);
	lead(&a);
	before = cpu_seconds();
	for (uint32_t r = 0; r < ROUNDS; r++) {
		for (uint32_t i = 0; i < MANY; i++)
			plain_table_change(a.sampler, i, wall_ms(), 0);
		ck_assert(RUN_UNTIL(base, 10000, figures(&a).sent == (r + 1) * MANY));
	}
	sent = cpu_seconds() - before;
	node_begin(&b);
	ck_assert(RUN_UNTIL(base, 10000, figures(&b).in_step));
	before = cpu_seconds();
	for (uint32_t i = 0; i < MANY; i++)
		plain_table_change(a.sampler, i, wall_ms(), 0);
	ck_assert(RUN_UNTIL(base, 10000, figures(&b).received == 2 * MANY));
	printf("items a second of one core: sent (and heard as echo) %.0f, sent, heard as echo and received "
	       "%.0f\n",
	       MANY * ROUNDS / sent, MANY / (cpu_seconds() - before));
	node_end(&a);
	node_end(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gossiper");
	TCase *tc = tcase_create("leader and standbys");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rows_and_position_of_a_leader_reach_standbys);
	tcase_add_test(tc, a_value_is_sent_once_a_second);
	tcase_add_test(tc, positions_come_each_second_without_changes);
	tcase_add_test(tc, what_was_advised_of_is_sent_at_once);
	tcase_add_test(tc, no_position_while_the_streams_are_not_known);
	tcase_add_test(tc, a_hand_over_tells_all_at_once);
	suite_add_tcase(s, tc);
	tc = tcase_create("snapshots");
	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_large_table_is_taken_page_by_page);
	tcase_add_test(tc, what_changes_during_a_snapshot_is_known_after_it);
	tcase_add_test(tc, a_missed_number_is_made_up_for);
	tcase_add_test(tc, snapshots_that_bring_nothing_get_rare);
	tcase_add_test(tc, without_a_leader_a_standby_answers);
	tcase_add_test(tc, who_led_gives_no_position_with_a_snapshot);
	tcase_add_test(tc, the_leaders_offer_is_preferred);
	tcase_add_test(tc, a_leader_that_joins_gets_what_others_know);
	tcase_add_test(tc, answers_go_to_inboxes_alone);
	suite_add_tcase(s, tc);
	tc = tcase_create("others");
	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, existing_peers_are_merged);
	tcase_add_test(tc, junk_is_counted_and_dropped);
	tcase_add_test(tc, a_flood_is_bounded);
	tcase_add_test(tc, of_two_leaders_neither_is_adopted);
	tcase_add_test(tc, only_sane_and_newer_positions_are_adopted);
	suite_add_tcase(s, tc);
	tc = tcase_create("connections");
	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_lost_connection_is_made_up_for);
	tcase_add_test(tc, after_a_reconnection_without_a_leader_others_are_asked);
	tcase_add_test(tc, what_the_server_refuses_is_not_tried_on_and_on);
	tcase_add_test(tc, it_may_end_at_any_time);
	tcase_add_test(tc, rate);
	suite_add_tcase(s, tc);
	return s;
}
