/* Connections that break, servers that freeze, credentials that change, clusters that shrink. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/xalloc.h"
#include "tests/unit/jwt.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

#define MS INT64_C(1000000)

static struct event_base *base;

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	worst_block_ns = 0;
}

static void
teardown(void)
{
	event_base_free(base);
	nats_library_stop();
}

/* Publishes until the connection takes no more; returns the number of bytes. */
static size_t
fill(struct owner *o)
{
	static char data[1000];
	size_t sent = 0;

	while (nats_conn_room(o->conn) > 0) {
		ck_assert_int_eq(
		    nats_conn_publish(o->conn, "x", NULL, "A: 1\r\n", 6, data, sizeof data, NULL), 0);
		sent += sizeof data;
		if (sent % 100000 == 0)
			loop_turn(base);
		ck_assert_uint_lt(sent, 100 * 1024 * 1024);
	}
	return sent;
}

START_TEST(notices_a_frozen_server)
{
	struct test_server server;
	struct owner o;
	struct mono before;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	/* quiet is not frozen */
	ck_assert(!RUN_UNTIL(base, 3000, o.downs > 0));
	test_server_kill(&server, SIGSTOP);
	before = mono_now();
	fill(&o);
	ck_assert_uint_eq(nats_conn_room(o.conn), 0);
	ck_assert(RUN_UNTIL(base, 12000, o.downs == 1));
	ck_assert_int_le(mono_ms_between(before, mono_now()), 9000);
	ck_assert_int_ge(mono_ms_between(before, mono_now()), 4000);
	ck_assert_msg(strstr(o.reason, "pings") != NULL, "%s", o.reason);
	/* and with unsent data it is gone at once */
	ck_assert_int_lt(worst_block_ns, 10 * MS);
	RUN_UNTIL(base, 300, false);
	test_server_kill(&server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 15000, o.ups == 2));
	nats_conn_free(&o.conn);
	ck_assert_int_lt(worst_block_ns, 10 * MS);
	test_server_stop(&server);
}
END_TEST

START_TEST(bears_a_short_freeze)
{
	struct test_server server;
	struct owner o;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	test_server_kill(&server, SIGSTOP);
	ck_assert(!RUN_UNTIL(base, 4500, o.downs > 0));
	test_server_kill(&server, SIGCONT);
	ck_assert(!RUN_UNTIL(base, 5000, o.downs > 0));
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(tells_when_there_is_room_again)
{
	struct test_server server;
	struct owner o;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	test_server_kill(&server, SIGSTOP);
	fill(&o);
	ck_assert(!RUN_UNTIL(base, 200, o.writables > 0));
	test_server_kill(&server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 3000, o.writables > 0));
	ck_assert_uint_gt(nats_conn_room(o.conn), 0);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(gives_up_connecting_at_once)
{
	struct test_server server;
	struct mono before;
	struct owner o;
	int i;

	test_server_start(&server, NULL);
	test_server_kill(&server, SIGSTOP);
	before = mono_now();
	for (i = 0; i < 20; i++) {
		owner_new(&o, base, server.url, NULL);
		RUN_UNTIL(base, i, false);
		if (i % 2 == 0)
			nats_conn_stop(o.conn);
		nats_conn_free(&o.conn);
	}
	ck_assert_int_lt(mono_ms_between(before, mono_now()), 2000);
	test_server_kill(&server, SIGCONT);
	/* the threads that are left end by themselves, with their connections */
	RUN_UNTIL(base, 500, false);
	test_server_stop(&server);
}
END_TEST

START_TEST(tells_of_a_server_that_does_not_greet)
{
	char url[128];
	struct test_server server;
	struct owner o;

	test_server_start(&server, NULL);
	test_server_kill(&server, SIGSTOP);
	snprintf(url, sizeof url, "%s?connect_timeout=300ms", server.url);
	owner_new(&o, base, url, NULL);
	ck_assert(RUN_UNTIL(base, 2000, o.failures > 0));
	ck_assert_msg(strstr(o.reason, "in time") != NULL, "%s", o.reason);
	ck_assert_int_lt(worst_block_ns, 10 * MS);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(backs_off)
{
	struct owner o;
	char url[64];

	snprintf(url, sizeof url, "nats://127.0.0.1:%d", test_free_port());
	owner_new(&o, base, url, NULL);
	RUN_UNTIL(base, 3500, false);
	/* at once, then after 100, 200, 400, 800, 1,600 ms at the latest, and a quarter less at the earliest
	 */
	ck_assert_int_ge(o.failures, 5);
	ck_assert_int_le(o.failures, 7);
	nats_conn_free(&o.conn);
}
END_TEST

/* A request whose callback frees the connection. */
static void
free_within_reply(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct owner *o = arg;

	(void)m;
	ck_assert_int_eq(result, NATS_REQUEST_LOST);
	nats_conn_free(&o->conn);
}

static void
stop_within_message(void *arg, const struct nats_message *m)
{
	struct owner *o = arg;

	(void)m;
	o->writables++;
	nats_conn_stop(o->conn);
}

START_TEST(may_end_within_callbacks)
{
	struct test_server server;
	struct nats_sub *sub, *other;
	struct got g;
	struct owner o;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	got_init(&g);
	sub = nats_conn_subscribe(o.conn, "x", stop_within_message, &o, NULL);
	other = nats_conn_subscribe(o.conn, "x", got_message, &g, NULL);
	nats_conn_publish(o.conn, "x", NULL, NULL, 0, "1", 1, NULL);
	nats_conn_publish(o.conn, "x", NULL, NULL, 0, "2", 1, NULL);
	ck_assert(RUN_UNTIL(base, 2000, o.writables == 1));
	ck_assert(!RUN_UNTIL(base, 300, o.writables > 1 || o.downs > 0));
	nats_unsubscribe(&sub);
	nats_unsubscribe(&other);
	got_fini(&g);
	nats_conn_start(o.conn);
	ck_assert(RUN_UNTIL(base, 2000, o.ups == 2));

	nats_conn_request(o.conn, "nobody.answers", NULL, 0, "", 0, 60000, free_within_reply, &o, NULL);
	nats_conn_request(o.conn, "nobody.answers", NULL, 0, "", 0, 60000, free_within_reply, &o, NULL);
	nats_conn_reconnect(o.conn, "because");
	ck_assert_ptr_null(o.conn);
	ck_assert_int_eq(o.downs, 0);
	test_server_stop(&server);
}
END_TEST

START_TEST(reconnects_when_told)
{
	struct test_server server;
	struct owner o;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	nats_conn_reconnect(o.conn, "the watchdog says so");
	ck_assert_int_eq(o.downs, 1);
	ck_assert_msg(strstr(o.reason, "the watchdog says so") != NULL, "%s", o.reason);
	ck_assert(RUN_UNTIL(base, 2000, o.ups == 2));
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

/* ---- credentials ------------------------------------------------------------------------------------ */

START_TEST(takes_a_password_that_becomes_right)
{
	struct test_server server;
	struct owner o;
	char url[128];

	test_server_start(&server, "authorization { user: me, password: other }\n");
	snprintf(url, sizeof url, "nats://me:sesame@127.0.0.1:%d", server.port);
	owner_new(&o, base, url, NULL);
	ck_assert(RUN_UNTIL(base, 8000, o.failures >= 4));
	ck_assert_msg(strstr(o.reason, "refused the login") != NULL, "%s", o.reason);
	ck_assert_msg(strstr(o.reason, "sesame") == NULL, "%s", o.reason);
	ck_assert_int_eq(o.ups, 0);
	test_server_restart(&server, "authorization { user: me, password: sesame }\n");
	ck_assert(RUN_UNTIL(base, 12000, o.ups == 1));
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

#define CREDENTIALS(jwt, seed)                                                                               \
	"-----BEGIN NATS USER JWT-----\n" jwt "\n------END NATS USER JWT------\n\n"                          \
	"-----BEGIN USER NKEY SEED-----\n" seed "\n------END USER NKEY SEED------\n"

START_TEST(reads_credentials_anew)
{
	static const char config[] = "operator: \"" TEST_OPERATOR_JWT "\"\nresolver: MEMORY\n"
				     "resolver_preload { " TEST_ACCOUNT ": \"" TEST_ACCOUNT_JWT "\" }\n";
	struct test_server server;
	struct owner o;
	char url[512], path[300];

	test_server_start_at(&server, test_free_port(), false, config);
	snprintf(path, sizeof path, "%s/creds", server.dir);
	snprintf(url, sizeof url, "%s?credentials=%s", server.url, path);
	owner_new(&o, base, url, NULL);
	ck_assert(RUN_UNTIL(base, 3000, o.failures >= 1));
	ck_assert_msg(strstr(o.reason, "cannot be read") != NULL, "%s", o.reason);
	write_file(path, "nothing of use\n");
	o.failures = 0;
	ck_assert(RUN_UNTIL(base, 8000, o.failures >= 2));
	ck_assert_int_eq(o.ups, 0);
	write_file(path, CREDENTIALS(TEST_STRANGER_JWT, TEST_STRANGER_SEED));
	o.failures = 0;
	ck_assert(RUN_UNTIL(base, 12000, o.failures >= 2));
	ck_assert_msg(strstr(o.reason, "refused the login") != NULL, "%s", o.reason);
	write_file(path, CREDENTIALS(TEST_USER_JWT, TEST_USER_SEED));
	ck_assert(RUN_UNTIL(base, 12000, o.ups == 1));
	nats_conn_free(&o.conn);

	/* the same as two files */
	write_file(path, TEST_USER_JWT);
	snprintf(url, sizeof url, "%s/seed", server.dir);
	write_file(url, TEST_USER_SEED);
	snprintf(url, sizeof url, "%s?jwt=%s&nkey=%s/seed", server.url, path, server.dir);
	owner_connect(&o, base, url, NULL);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(tells_of_each_permission_violation)
{
	static const char *const subjects[] = {"a", "b", "c", "forbidden"};
	struct test_server server;
	struct owner o;
	char url[128];

	test_server_start(&server, "authorization { users: [ { user: me, password: sesame, permissions: { "
				   "publish: \"allowed\" } } ] }\n");
	snprintf(url, sizeof url, "nats://me:sesame@127.0.0.1:%d", server.port);
	owner_connect(&o, base, url, NULL);
	for (size_t i = 0; i < array_len(subjects); i++)
		nats_conn_publish(o.conn, subjects[i], NULL, NULL, 0, "x", 1, NULL);
	ck_assert(RUN_UNTIL(base, 2000, o.async_errors == (int)array_len(subjects)));
	ck_assert_msg(strstr(o.async_error, "forbidden") != NULL, "%s", o.async_error);
	/* and signs of life need no permission */
	ck_assert(!RUN_UNTIL(base, 9000, o.downs > 0));
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

/* ---- clusters --------------------------------------------------------------------------------------- */

static void
start_pair(struct test_server *a, struct test_server *b)
{
	int route_a = test_free_port(), route_b = test_free_port();
	char config[512];

	snprintf(config, sizeof config,
		 "server_name: a\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: "
		 "[\"nats-route://127.0.0.1:%d\"] }\n",
		 route_a, route_b);
	test_server_start_at(a, test_free_port(), false, config);
	snprintf(config, sizeof config,
		 "server_name: b\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: "
		 "[\"nats-route://127.0.0.1:%d\"] }\n",
		 route_b, route_a);
	test_server_start_at(b, test_free_port(), false, config);
}

START_TEST(moves_to_an_announced_server)
{
	struct test_server a, b;
	struct owner o;
	struct mono before;

	start_pair(&a, &b);
	/* long enough for the two to have met */
	RUN_UNTIL(base, 1500, false);
	owner_connect(&o, base, a.url, NULL);
	ck_assert_str_eq(nats_conn_info(o.conn)->name, "a");
	before = mono_now();
	test_server_kill(&a, SIGUSR2);
	ck_assert(RUN_UNTIL(base, 20000, o.ups == 2));
	ck_assert_msg(strstr(o.reason, "lame duck") != NULL, "%s", o.reason);
	ck_assert_str_eq(nats_conn_info(o.conn)->name, "b");
	/* long before the server ends */
	ck_assert_int_lt(mono_ms_between(before, mono_now()), 15000);
	nats_conn_free(&o.conn);
	test_server_stop(&a);
	test_server_stop(&b);
}
END_TEST

START_TEST(finds_a_server_announced_later)
{
	struct test_server a, b;
	struct owner o;

	start_pair(&a, &b);
	test_server_stop(&b);
	owner_connect(&o, base, a.url, NULL);
	test_server_restart(&b, NULL);
	RUN_UNTIL(base, 3000, false);
	test_server_stop(&a);
	ck_assert(RUN_UNTIL(base, 5000, o.ups == 2));
	ck_assert_str_eq(nats_conn_info(o.conn)->name, "b");
	nats_conn_free(&o.conn);
	test_server_stop(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("nats_loss");
	TCase *tc = tcase_create("loss");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, notices_a_frozen_server);
	tcase_add_test(tc, bears_a_short_freeze);
	tcase_add_test(tc, tells_when_there_is_room_again);
	tcase_add_test(tc, gives_up_connecting_at_once);
	tcase_add_test(tc, tells_of_a_server_that_does_not_greet);
	tcase_add_test(tc, backs_off);
	tcase_add_test(tc, may_end_within_callbacks);
	tcase_add_test(tc, reconnects_when_told);
	tcase_add_test(tc, takes_a_password_that_becomes_right);
	tcase_add_test(tc, reads_credentials_anew);
	tcase_add_test(tc, tells_of_each_permission_violation);
	tcase_add_test(tc, moves_to_an_announced_server);
	tcase_add_test(tc, finds_a_server_announced_later);
	suite_add_tcase(s, tc);
	return s;
}
