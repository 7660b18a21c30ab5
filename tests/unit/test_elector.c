/* Two electors and a real server: who leads, and for how long, whatever happens to any of them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/clock.h"
#include "tests/unit/electors.h"
#include "tests/unit/loop.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

#define BUCKET    "CHORIA_LEADER_ELECTION"
#define TTL(text) "election { ttl = " text " }"

static struct event_base *base;
static struct test_server server;
static struct node a, b;
static struct person person;

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	test_server_start(&server, NULL);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
}

static void
teardown(void)
{
	node_stop(&a);
	node_stop(&b);
	if (person.conn != NULL)
		person_stop(&person);
	test_server_stop(&server);
	event_base_free(base);
	nats_library_stop();
}

/* a leads every name, b stands by. */
static void
lead_and_stand_by(int names, const char *extra)
{
	node_start(&a, base, 0, server.url, "HERE", names, extra);
	ck_assert_msg(RUN_UNTIL(base, 5000, node_held(&a) == names), "%s", a.reason);
	node_start(&b, base, 1, server.url, "HERE", names, extra);
	ck_assert(RUN_UNTIL(base, 5000, strcmp(b.names[0].leader, "node0") == 0));
	/* Long before the next announcement that is due anyway. */
	ck_assert(RUN_UNTIL(base, 2500, a.names[0].present == 2 && b.names[0].present == 2));
}

static void
person_comes(void)
{
	person_start(&person, base, server.url);
}

static int64_t
ms_until_b_holds(int64_t most)
{
	struct mono start = mono_now();

	ck_assert_msg(RUN_UNTIL(base, most, node_holds(&b, "N0")), "not within %lld ms: %s", (long long)most,
		      b.reason);
	return mono_ms_between(start, mono_now());
}

/* ---- at rest --------------------------------------------------------------------------------------- */

START_TEST(one_leads_and_one_stands_by)
{
	struct mono start;
	uint64_t term;

	lead_and_stand_by(1, TTL("2s"));
	term = a.names[0].term;
	start = mono_now();
	ck_assert(RUN_UNTIL(base, 6000, a.names[0].renewals >= 6));
	ck_assert_int_ge(mono_ms_between(start, mono_now()), 2000);
	ck_assert_uint_eq(a.names[0].term, term);
	ck_assert_int_eq(a.names[0].wins, 1);
	ck_assert_int_eq(a.names[0].losses, 0);
	ck_assert_int_eq(b.names[0].wins, 0);
	ck_assert_int_eq(a.state, WORKER_STANDBY);
	ck_assert_str_eq(a.reason, "");
	ck_assert_str_eq(b.reason, "");
}
END_TEST

START_TEST(both_tell_who_leads)
{
	struct node_name *leads, *stands;

	lead_and_stand_by(1, TTL("2s"));
	ck_assert(RUN_UNTIL(base, 3000, a.names[0].renewals >= 1));
	ck_assert(RUN_UNTIL(base, 3000, a.names[0].reports >= 4 && b.names[0].other_leads == 1));
	leads = &a.names[0];
	stands = &b.names[0];
	ck_assert(leads->leads && !stands->leads);
	ck_assert_uint_eq(leads->shown_term, leads->term);
	ck_assert_uint_eq(stands->shown_term, leads->term); /* also of one that came later */
	ck_assert_str_eq(leads->leader, "node0");
	ck_assert_str_eq(stands->leader, "node0");
	ck_assert_str_eq(stands->site, "HERE");
	ck_assert_uint_eq(stands->pid, (uint32_t)getppid());
	ck_assert_uint_eq(leads->pid, (uint32_t)getppid());
	ck_assert_int_eq(stands->since_ms, leads->since_ms);
	ck_assert_int_lt(wall_ms() - leads->since_ms, 20000);
	ck_assert_int_gt(stands->lease_end_ns, mono_now().ns);
	ck_assert_int_le(leads->lease_end_ns, mono_now().ns + INT64_C(1800000000));
	ck_assert_uint_eq(leads->self_leads, 1);
	ck_assert_str_eq(leads->problem, "");
	ck_assert_str_eq(stands->problem, "");
}
END_TEST

/* ---- it goes over ---------------------------------------------------------------------------------- */

START_TEST(a_crash_costs_the_ttl_and_little_more)
{
	int64_t ms;

	lead_and_stand_by(1, TTL("1s"));
	RUN_UNTIL(base, 300 + 130 * _i, false);
	node_vanish(&a);
	ms = ms_until_b_holds(2500);
	ck_assert_int_ge(ms, 500);
	ck_assert_uint_gt(b.names[0].term, a.names[0].term);
	ck_assert(!b.names[0].map_in_doubt); /* the same settings */
}
END_TEST

START_TEST(a_stop_is_quick)
{
	lead_and_stand_by(1, TTL("10s"));
	elector_drain(a.el);
	ck_assert_int_le(ms_until_b_holds(300), 300);
	ck_assert(RUN_UNTIL(base, 1000, a.drained == 1));
	ck_assert_int_eq(a.names[0].yields, 1);
	ck_assert_msg(strstr(a.names[0].reason, "stops") != NULL, "%s", a.names[0].reason);
	RUN_UNTIL(base, 200, false);
	ck_assert_int_eq(a.drained, 1);
	ck_assert(RUN_UNTIL(base, 2000, b.names[0].present == 1)); /* its last word */
}
END_TEST

/* Workers that do not settle: renewed meanwhile, and not given up before their lease has ended. */
START_TEST(a_stop_whose_workers_hang_waits_for_the_lease)
{
	lead_and_stand_by(1, TTL("2s"));
	a.settle_ms = -1;
	elector_drain(a.el);
	ck_assert(!RUN_UNTIL(base, 4500, node_holds(&b, "N0")));
	ck_assert(RUN_UNTIL(base, 2000, a.drained == 1));
	node_vanish(&a);
	ms_until_b_holds(4000);
}
END_TEST

START_TEST(a_standby_that_stops_touches_nothing)
{
	lead_and_stand_by(1, TTL("10s"));
	elector_drain(b.el);
	ck_assert(RUN_UNTIL(base, 1000, b.drained == 1));
	ck_assert_int_eq(b.names[0].yields, 0);
	ck_assert(node_holds(&a, "N0"));
}
END_TEST

START_TEST(a_person_moves_it)
{
	lead_and_stand_by(1, TTL("4s"));
	elector_step_down(a.el, "N0");
	ms_until_b_holds(300);
	RUN_UNTIL(base, 1500, false);
	ck_assert(node_holds(&b, "N0"));
	elector_step_down(a.el, "N0"); /* leads it no more */
	elector_step_down(b.el, "N0");
	ck_assert(
	    RUN_UNTIL(base, 2500, node_holds(&a, "N0"))); /* it has left it alone until nobody took it */
}
END_TEST

START_TEST(alone_it_does_not_step_down)
{
	node_start(&a, base, 0, server.url, "HERE", 1, TTL("2s"));
	ck_assert(RUN_UNTIL(base, 5000, node_holds(&a, "N0")));
	elector_step_down(a.el, "N0");
	RUN_UNTIL(base, 500, false);
	ck_assert(node_holds(&a, "N0"));
	ck_assert_int_eq(a.names[0].yields, 0);
}
END_TEST

/* The supervisor starts another one: it knows its own key. */
START_TEST(an_elector_that_died_takes_its_keys_over)
{
	uint64_t term;

	lead_and_stand_by(1, TTL("10s"));
	term = a.names[0].term;
	node_vanish(&a);
	node_start_again(&a);
	ck_assert(RUN_UNTIL(base, 1500, node_holds(&a, "N0")));
	ck_assert_uint_gt(a.names[0].term, term);
	ck_assert_int_eq(b.names[0].wins, 0);
	ck_assert(!a.names[0].map_in_doubt);
}
END_TEST

START_TEST(an_unable_leader_hands_over)
{
	lead_and_stand_by(1, TTL("1s"));
	node_able(&b, "N0", false);
	node_able(&a, "N0", false);
	RUN_UNTIL(base, 3500, false);
	ck_assert(node_holds(&a, "N0")); /* nobody else could either */
	node_able(&b, "N0", true);
	ms_until_b_holds(3000);
	ck_assert_int_eq(a.names[0].yields, 1);
}
END_TEST

START_TEST(an_unable_candidate_waits)
{
	lead_and_stand_by(1, TTL("10s"));
	node_able(&b, "N0", false);
	elector_drain(a.el);
	ck_assert_int_ge(ms_until_b_holds(3000), 800);
}
END_TEST

/* ---- balance --------------------------------------------------------------------------------------- */

START_TEST(ten_names_are_shared)
{
	struct mono start;
	int moved = 0;

	lead_and_stand_by(10, TTL("2s"));
	start = mono_now();
	ck_assert(RUN_UNTIL(base, 20000, node_held(&a) == 5 && node_held(&b) == 5));
	ck_assert_int_ge(mono_ms_between(start, mono_now()), 3000); /* one a second */
	for (int i = 0; i < 10; i++)
		moved += a.names[i].yields;
	ck_assert_int_eq(moved, 5);
	RUN_UNTIL(base, 3000, false);
	ck_assert_int_eq(node_held(&a), 5);
	ck_assert_int_eq(node_held(&b), 5);
	ck_assert_uint_eq(a.names[0].self_leads, 5);
	ck_assert_uint_eq(a.names[0].other_leads, 5);
	node_vanish(&b);
	ck_assert(RUN_UNTIL(base, 3500, node_held(&a) == 10));
}
END_TEST

START_TEST(ten_names_are_shared_from_the_start)
{
	node_start(&a, base, 0, server.url, "HERE", 10, TTL("2s"));
	node_start(&b, base, 1, server.url, "HERE", 10, TTL("2s"));
	ck_assert_msg(RUN_UNTIL(base, 15000, node_held(&a) == 5 && node_held(&b) == 5),
		      "%d (%s, sees %zu) and %d (%s, sees %zu)", node_held(&a), a.reason, a.names[0].present,
		      node_held(&b), b.reason, b.names[0].present);
}
END_TEST

/* ---- the bucket ------------------------------------------------------------------------------------ */

START_TEST(a_deleted_bucket_is_made_again)
{
	lead_and_stand_by(2, TTL("3s"));
	person_comes();
	person_asks(&person, "STREAM.DELETE.KV_" BUCKET, "");
	ck_assert(RUN_UNTIL(base, 8000, a.incidents > 0 && b.incidents > 0));
	ck_assert_str_eq(a.incident_kind, "election_bucket_gone");
	ck_assert_msg(strstr(a.incident, BUCKET) != NULL, "%s", a.incident);
	ck_assert(RUN_UNTIL(base, 8000, node_held(&a) + node_held(&b) == 2));
	RUN_UNTIL(base, 4000, false);
	ck_assert_int_eq(node_held(&a) + node_held(&b), 2);
	ck_assert_int_eq(a.incidents, 1);
	ck_assert_str_eq(a.reason, "");
}
END_TEST

START_TEST(a_deleted_bucket_that_is_not_made_is_a_loss)
{
	person_comes();
	person_asks(&person, "STREAM.CREATE.KV_" BUCKET,
		    "{\"name\":\"KV_" BUCKET "\",\"subjects\":[\"$KV." BUCKET ".>\"],\"storage\":\"file\","
		    "\"max_age\":2000000000,\"duplicate_window\":2000000000,\"max_msgs_per_subject\":1}");
	lead_and_stand_by(1, "election { ttl = 2s create = false }");
	person_asks(&person, "STREAM.DELETE.KV_" BUCKET, "");
	ck_assert(RUN_UNTIL(base, 4000, a.names[0].losses == 1));
	ck_assert_int_eq(a.state, WORKER_HOLDING);
	ck_assert_msg(strstr(a.reason, "was deleted") != NULL, "%s", a.reason);
	ck_assert(RUN_UNTIL(base, 2000, strstr(a.names[0].problem, "was deleted") != NULL));
	ck_assert(RUN_UNTIL(base, 4000, a.names[0].leader[0] == '\0' && b.names[0].leader[0] == '\0'));
	person_asks(&person, "STREAM.CREATE.KV_" BUCKET,
		    "{\"name\":\"KV_" BUCKET "\",\"subjects\":[\"$KV." BUCKET ".>\"],\"storage\":\"file\","
		    "\"max_age\":2000000000,\"duplicate_window\":2000000000,\"max_msgs_per_subject\":1}");
	ck_assert(RUN_UNTIL(base, 8000, node_held(&a) + node_held(&b) == 1));
	ck_assert(RUN_UNTIL(base, 6000, a.reason[0] == '\0' && b.reason[0] == '\0'));
}
END_TEST

START_TEST(a_bucket_with_history_is_refused_in_words)
{
	person_comes();
	person_asks(&person, "STREAM.CREATE.KV_" BUCKET,
		    "{\"name\":\"KV_" BUCKET "\",\"subjects\":[\"$KV." BUCKET ".>\"],\"storage\":\"file\","
		    "\"max_age\":2000000000,\"duplicate_window\":2000000000,\"max_msgs_per_subject\":5}");
	node_start(&a, base, 0, server.url, "HERE", 1, TTL("2s"));
	ck_assert(RUN_UNTIL(base, 4000, strstr(a.reason, "history is 5") != NULL));
	ck_assert_int_eq(a.state, WORKER_HOLDING);
	ck_assert(RUN_UNTIL(base, 2000, strstr(a.names[0].problem, "history is 5") != NULL));
	ck_assert(!RUN_UNTIL(base, 1500, node_held(&a) > 0));
	/* Nobody has to be told when it is cured. */
	person_asks(&person, "STREAM.UPDATE.KV_" BUCKET,
		    "{\"name\":\"KV_" BUCKET "\",\"subjects\":[\"$KV." BUCKET ".>\"],\"storage\":\"file\","
		    "\"max_age\":2000000000,\"duplicate_window\":2000000000,\"max_msgs_per_subject\":1}");
	ck_assert(RUN_UNTIL(base, 8000, node_holds(&a, "N0")));
}
END_TEST

START_TEST(the_server_goes_and_comes)
{
	lead_and_stand_by(1, TTL("2s"));
	if (_i == 0)
		test_server_stop(&server);
	else
		test_server_kill(&server, SIGSTOP);
	ck_assert(RUN_UNTIL(base, 2200, a.names[0].losses == 1));
	ck_assert(mono_reached(mono_now(), a.names[0].lease_end));
	ck_assert_int_lt(mono_ms_between(a.names[0].lease_end, mono_now()), 100);
	ck_assert_int_eq(node_held(&b), 0);
	ck_assert(RUN_UNTIL(base, 10000, a.reason[0] != '\0' && b.reason[0] != '\0'));
	if (_i == 0)
		test_server_restart(&server, NULL);
	else
		test_server_kill(&server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 15000, node_held(&a) + node_held(&b) == 1));
	ck_assert(RUN_UNTIL(base, 5000, a.reason[0] == '\0' && b.reason[0] == '\0'));
}
END_TEST

START_TEST(a_short_absence_costs_nothing)
{
	lead_and_stand_by(3, TTL("8s"));
	for (int i = 0; i < 3; i++) {
		test_server_restart(&server, NULL);
		ck_assert(RUN_UNTIL(base, 6000, a.state == WORKER_STANDBY && b.state == WORKER_STANDBY));
		RUN_UNTIL(base, 500, false);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(a.names[i].wins, 1);
		ck_assert_int_eq(a.names[i].losses, 0);
	}
}
END_TEST

START_TEST(another_ttl_counts_at_once)
{
	lead_and_stand_by(1, TTL("20s"));
	person_comes();
	person_asks(&person, "STREAM.UPDATE.KV_" BUCKET,
		    "{\"name\":\"KV_" BUCKET "\",\"subjects\":[\"$KV." BUCKET ".>\"],\"storage\":\"file\","
		    "\"discard\":\"new\",\"max_age\":2000000000,\"duplicate_window\":2000000000,"
		    "\"max_msgs_per_subject\":1,\"allow_rollup_hdrs\":true,\"deny_delete\":true,"
		    "\"allow_direct\":true}");
	ck_assert(RUN_UNTIL(base, 15000,
			    node_held(&a) + node_held(&b) == 1 &&
				(node_holds(&a, "N0") ? a : b).names[0].lease_end.ns <
				    mono_now().ns + INT64_C(2000000000)));
	if (node_holds(&a, "N0")) {
		node_vanish(&a);
		ms_until_b_holds(3500);
	}
}
END_TEST

/* ---- the keys -------------------------------------------------------------------------------------- */

START_TEST(a_key_deleted_by_hand_is_told)
{
	lead_and_stand_by(1, TTL("3s"));
	person_comes();
	person_writes(&person, BUCKET, "N0", "KV-Operation: DEL\r\n", "");
	ck_assert(RUN_UNTIL(base, 300, a.names[0].losses == 1));
	ck_assert_int_eq(a.incidents, 1);
	ck_assert_str_eq(a.incident_kind, "election_key_lost");
	ck_assert_msg(strstr(a.incident, "deleted") != NULL, "%s", a.incident);
	ck_assert(RUN_UNTIL(base, 3000, node_held(&a) + node_held(&b) == 1));
	ck_assert_int_eq(b.incidents, 0);
}
END_TEST

/* The stream is emptied: no marker, nothing to watch. */
START_TEST(a_purged_bucket_is_told)
{
	lead_and_stand_by(1, TTL("3s"));
	person_comes();
	person_asks(&person, "STREAM.PURGE.KV_" BUCKET, "");
	ck_assert(RUN_UNTIL(base, 3000, a.names[0].losses == 1));
	ck_assert_int_eq(a.incidents, 1);
	ck_assert_str_eq(a.incident_kind, "election_key_lost");
	ck_assert(RUN_UNTIL(base, 8000, node_held(&a) + node_held(&b) == 1));
}
END_TEST

/* Any text is somebody who leads. */
START_TEST(another_program_is_not_overwritten)
{
	static const char *const values[] = {"go-node-7", "", "{\"node\":5}", "\xff\x01"};
	static const char *const shown[] = {"go-node-7", "(empty value)", "{\"node\":5}", "\\xff\\x01"};

	node_start(&a, base, 0, server.url, "HERE", 1, TTL("2s"));
	ck_assert(RUN_UNTIL(base, 5000, node_holds(&a, "N0")));
	person_comes();
	person_writes(&person, BUCKET, "N0", "", values[_i]);
	ck_assert(RUN_UNTIL(base, 300, a.names[0].losses == 1));
	for (int i = 0; i < 10; i++) {
		person_writes(&person, BUCKET, "N0", "", values[_i]);
		ck_assert(!RUN_UNTIL(base, 400, node_held(&a) > 0));
		ck_assert_str_eq(a.names[0].leader, shown[_i]);
		ck_assert(!a.names[0].leads);
	}
	ck_assert(RUN_UNTIL(base, 3500, node_holds(&a, "N0")));
	ck_assert(a.names[0].map_in_doubt);
	ck_assert_int_eq(a.incidents, 1);
}
END_TEST

/* Not with the next report that is due anyway. */
START_TEST(who_holds_the_key_is_told_at_once)
{
	static const char *const values[] = {"one", "two", "three", "four", "five"};

	lead_and_stand_by(1, TTL("10s"));
	person_comes();
	for (size_t i = 0; i < array_len(values); i++) {
		person_writes(&person, BUCKET, "N0", "", values[i]);
		ck_assert_msg(RUN_UNTIL(base, 300, strcmp(b.names[0].leader, values[i]) == 0), "%s: \"%s\"",
			      values[i], b.names[0].leader);
	}
}
END_TEST

START_TEST(other_settings_are_in_doubt)
{
	node_start(&a, base, 0, server.url, "HERE", 1, TTL("1s"));
	ck_assert(RUN_UNTIL(base, 5000, node_held(&a) == 1));
	node_start(&b, base, 1, server.url, "THERE", 1, TTL("1s"));
	ck_assert(RUN_UNTIL(base, 3000, strcmp(b.names[0].leader, "node0") == 0));
	node_vanish(&a);
	ms_until_b_holds(2500);
	ck_assert(b.names[0].map_in_doubt); /* another site: other origins */
}
END_TEST

/* ---- rights ---------------------------------------------------------------------------------------- */

START_TEST(without_the_right_to_write_nobody_leads)
{
	char url[128];

	test_server_restart(&server,
			    "authorization { users: [ {user: all, password: x}, "
			    "{user: some, password: x, permissions: {publish: {deny: \"$KV.>\"}}} ] }\n");
	snprintf(url, sizeof url, "nats://some:x@127.0.0.1:%d", server.port);
	node_start(&a, base, 0, url, "HERE", 1, TTL("2s"));
	ck_assert(
	    RUN_UNTIL(base, 5000, a.state == WORKER_HOLDING && strcasestr(a.reason, "permission") != NULL));
	ck_assert_msg(strstr(a.reason, "N0") != NULL && strstr(a.reason, BUCKET) != NULL, "%s", a.reason);
	ck_assert(RUN_UNTIL(base, 2000, strcasestr(a.names[0].problem, "permission") != NULL));
	RUN_UNTIL(base, 2500, false);
	ck_assert_int_eq(a.state, WORKER_HOLDING); /* not now and then */
	ck_assert_int_eq(node_held(&a), 0);
}
END_TEST

static TCase *
server_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_unchecked_fixture(t, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 90);
	suite_add_tcase(s, t);
	return t;
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("elector");
	TCase *t = server_case(s, "rest");

	tcase_add_test(t, one_leads_and_one_stands_by);
	tcase_add_test(t, both_tell_who_leads);
	t = server_case(s, "moves");
	tcase_add_loop_test(t, a_crash_costs_the_ttl_and_little_more, 0, 3);
	tcase_add_test(t, a_stop_is_quick);
	tcase_add_test(t, a_stop_whose_workers_hang_waits_for_the_lease);
	tcase_add_test(t, a_standby_that_stops_touches_nothing);
	tcase_add_test(t, a_person_moves_it);
	tcase_add_test(t, alone_it_does_not_step_down);
	tcase_add_test(t, an_elector_that_died_takes_its_keys_over);
	tcase_add_test(t, an_unable_leader_hands_over);
	tcase_add_test(t, an_unable_candidate_waits);
	t = server_case(s, "balance");
	tcase_add_test(t, ten_names_are_shared);
	tcase_add_test(t, ten_names_are_shared_from_the_start);
	t = server_case(s, "bucket");
	tcase_add_test(t, a_deleted_bucket_is_made_again);
	tcase_add_test(t, a_deleted_bucket_that_is_not_made_is_a_loss);
	tcase_add_test(t, a_bucket_with_history_is_refused_in_words);
	tcase_add_loop_test(t, the_server_goes_and_comes, 0, 2);
	tcase_add_test(t, a_short_absence_costs_nothing);
	tcase_add_test(t, another_ttl_counts_at_once);
	t = server_case(s, "keys");
	tcase_add_test(t, a_key_deleted_by_hand_is_told);
	tcase_add_test(t, a_purged_bucket_is_told);
	tcase_add_loop_test(t, another_program_is_not_overwritten, 0, 4);
	tcase_add_test(t, who_holds_the_key_is_told_at_once);
	tcase_add_test(t, other_settings_are_in_doubt);
	tcase_add_test(t, without_the_right_to_write_nobody_leads);
	return s;
}
