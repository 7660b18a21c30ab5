/* Connections against a real server: publishing, subscribing, asking, losses, TLS, credentials. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/conn.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

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

START_TEST(connects_and_knows_the_server)
{
	struct test_server server;
	struct owner o;
	const struct nats_server_info *info;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	ck_assert_int_eq(o.ups, 0);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	ck_assert(nats_conn_is_up(o.conn));
	info = nats_conn_info(o.conn);
	ck_assert_int_eq(info->major, 2);
	ck_assert_int_ge(info->minor, 9);
	ck_assert(info->jetstream && info->headers);
	ck_assert_uint_eq(info->max_payload, 1048576);
	ck_assert_str_eq(info->url, server.url);
	ck_assert(nats_conn_server_at_least(o.conn, 2, 9));
	ck_assert(nats_conn_server_at_least(o.conn, 1, 99));
	ck_assert(!nats_conn_server_at_least(o.conn, 3, 0));
	nats_conn_free(&o.conn);
	ck_assert_ptr_null(o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(publishes_and_receives)
{
	struct test_server server;
	struct owner o;
	struct got g;
	struct nats_sub *sub;
	struct error e = ERROR_INIT;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	got_init(&g);
	ck_assert_ptr_null(nats_conn_subscribe(o.conn, "a.*", got_message, &g, &e));
	ck_assert_int_eq(nats_conn_publish(o.conn, "a.b", NULL, NULL, 0, "x", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	sub = nats_conn_subscribe(o.conn, "a.*", got_message, &g, &e);
	ck_assert_ptr_nonnull(sub);
	ck_assert_int_eq(nats_conn_publish(o.conn, "a.b", NULL, NULL, 0, "hello", 5, &e), 0);
	ck_assert(RUN_UNTIL(base, 3000, g.count == 1));
	ck_assert_str_eq(g.subject.data, "a.b");
	ck_assert_str_eq(g.data.data, "hello");
	ck_assert(!g.had_headers && !g.had_reply);
	ck_assert_int_eq(nats_conn_publish(o.conn, "a.c", "r.1", NULL, 0, "", 0, &e), 0);
	ck_assert(RUN_UNTIL(base, 3000, g.count == 2));
	ck_assert_str_eq(g.reply.data, "r.1");
	ck_assert_uint_eq(g.data.len, 0);
	nats_unsubscribe(&sub);
	ck_assert_ptr_null(sub);
	nats_conn_publish(o.conn, "a.c", NULL, NULL, 0, "", 0, &e);
	ck_assert(!RUN_UNTIL(base, 100, g.count == 3));
	nats_conn_free(&o.conn);
	got_fini(&g);
	test_server_stop(&server);
}
END_TEST

struct answer {
	int count;
	enum nats_request_result result;
	char data[256];
};

static void
on_answer(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct answer *a = arg;

	a->count++;
	a->result = result;
	a->data[0] = '\0';
	if (m != NULL)
		snprintf(a->data, sizeof a->data, "%.*s", (int)m->data_len, m->data);
}

static void
echo(void *arg, const struct nats_message *m)
{
	struct owner *o = arg;

	nats_conn_publish(o->conn, m->reply, NULL, NULL, 0, m->data, m->data_len, NULL);
}

START_TEST(asks)
{
	struct test_server server;
	struct owner o;
	struct answer a = {0}, b = {0}, c = {0};
	struct nats_sub *sub, *silent;
	struct nats_request *r;
	struct got g;
	struct error e = ERROR_INIT;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	got_init(&g);
	ck_assert_ptr_null(nats_conn_request(o.conn, "echo", NULL, 0, "1", 1, 500, on_answer, &a, &e));
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	sub = nats_conn_subscribe(o.conn, "echo", echo, &o, &e);
	silent = nats_conn_subscribe(o.conn, "silent", got_message, &g, &e);

	ck_assert_ptr_nonnull(nats_conn_request(o.conn, "echo", NULL, 0, "1", 1, 500, on_answer, &a, &e));
	ck_assert_ptr_nonnull(nats_conn_request(o.conn, "nobody", NULL, 0, "2", 1, 500, on_answer, &b, &e));
	ck_assert_ptr_nonnull(nats_conn_request(o.conn, "silent", NULL, 0, "3", 1, 200, on_answer, &c, &e));
	ck_assert_int_eq(a.count + b.count + c.count, 0);
	ck_assert(RUN_UNTIL(base, 3000, a.count + b.count + c.count == 3));
	ck_assert_int_eq(a.result, NATS_REPLY);
	ck_assert_str_eq(a.data, "1");
	ck_assert_int_eq(b.result, NATS_NO_RESPONDERS_REPLY);
	ck_assert_int_eq(c.result, NATS_REQUEST_TIMEOUT);

	/* The slot of the first is used again; what is cancelled is silent. */
	r = nats_conn_request(o.conn, "echo", NULL, 0, "4", 1, 500, on_answer, &b, &e);
	ck_assert_ptr_nonnull(nats_conn_request(o.conn, "echo", NULL, 0, "5", 1, 500, on_answer, &a, &e));
	nats_request_cancel(&r);
	ck_assert(RUN_UNTIL(base, 3000, a.count == 2));
	ck_assert_str_eq(a.data, "5");
	ck_assert_int_eq(b.count, 1);

	/* Stopping ends what is out. */
	nats_conn_request(o.conn, "silent", NULL, 0, "6", 1, 10000, on_answer, &c, &e);
	nats_conn_stop(o.conn);
	ck_assert_int_eq(c.count, 2);
	ck_assert_int_eq(c.result, NATS_REQUEST_LOST);
	ck_assert_int_eq(o.downs, 0);
	nats_unsubscribe(&sub);
	nats_unsubscribe(&silent);
	nats_conn_free(&o.conn);
	got_fini(&g);
	test_server_stop(&server);
}
END_TEST

START_TEST(comes_back_after_kill)
{
	struct test_server server;
	struct owner o;
	struct got g;
	struct nats_sub *sub, *again;
	struct error e = ERROR_INIT;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	got_init(&g);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	sub = nats_conn_subscribe(o.conn, "a", got_message, &g, &e);
	test_server_stop(&server);
	ck_assert(RUN_UNTIL(base, 3000, o.downs == 1));
	ck_assert_msg(strstr(o.reason, "closed the connection") != NULL, "%s", o.reason);
	ck_assert(!nats_conn_is_up(o.conn));
	ck_assert_uint_eq(nats_conn_room(o.conn), 0);
	ck_assert(RUN_UNTIL(base, 3000, o.failures >= 2));
	ck_assert_msg(strstr(o.reason, "refused") != NULL, "%s", o.reason);
	test_server_restart(&server, NULL);
	ck_assert(RUN_UNTIL(base, 6000, o.ups == 2));
	again = nats_conn_subscribe(o.conn, "a", got_message, &g, &e);
	nats_conn_publish(o.conn, "a", NULL, NULL, 0, "x", 1, &e);
	ck_assert(RUN_UNTIL(base, 3000, g.count == 1));
	ck_assert(!RUN_UNTIL(base, 50, g.count == 2));
	nats_unsubscribe(&sub);
	nats_unsubscribe(&again);
	nats_conn_free(&o.conn);
	got_fini(&g);
	test_server_stop(&server);
}
END_TEST

START_TEST(keeps_odd_headers)
{
	struct test_server server;
	struct owner o;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	odd_messages_through(&o, server.port);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(keeps_odder_blocks)
{
	/* No lines at all; an inline status that is no server's; a NUL, which a later check refuses. */
	static const struct {
		const char *block;
		size_t len;
	} blocks[] = {{"NATS/1.0\r\n\r\n", 12},
		      {"NATS/1.0 404 Not here\r\nA: 1\r\n\r\n", 31},
		      {"NATS/1.0 503\r\n\r\n", 16},
		      {"NATS/1.0\r\nA: a\0b\r\n\r\n", 20},
		      {"NATS/1.0\r\nA\0: a\r\n\r\n", 19}};
	struct test_server server;
	struct owner o;
	struct nats_sub *sub;
	struct got in;
	size_t i;
	int fd;

	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	got_init(&in);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	sub = nats_conn_subscribe(o.conn, "in", got_message, &in, NULL);
	RUN_UNTIL(base, 50, false);
	fd = raw_client(server.port);
	for (i = 0; i < 2 * sizeof blocks / sizeof blocks[0]; i++) {
		const char *data = i % 2 == 0 ? "" : "d";

		raw_publish(fd, "in", "", blocks[i / 2].block, blocks[i / 2].len, data, strlen(data));
		ck_assert_msg(RUN_UNTIL(base, 2000, in.count == (int)i + 1), "%zu does not arrive", i);
		assert_bytes(&in.headers, blocks[i / 2].block, blocks[i / 2].len, i);
	}
	close(fd);
	nats_unsubscribe(&sub);
	got_fini(&in);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(sends_large_messages_and_refuses_larger_ones)
{
	struct test_server server;
	struct owner o;
	struct nats_sub *sub;
	struct got in;
	struct error e = ERROR_INIT;
	size_t max = 1048576, headers = strlen("NATS/1.0\r\nA: 1\r\n\r\n");
	char *data = xcalloc(1, max + 1), *subject = xcalloc(1, 5000);

	memset(data, 'x', max);
	memset(subject, 's', 4999);
	test_server_start(&server, NULL);
	owner_new(&o, base, server.url, NULL);
	got_init(&in);
	ck_assert(RUN_UNTIL(base, 3000, o.ups == 1));
	sub = nats_conn_subscribe(o.conn, "in", got_message, &in, NULL);
	ck_assert_int_eq(nats_conn_publish(o.conn, "in", NULL, NULL, 0, data, max, &e), 0);
	ck_assert(RUN_UNTIL(base, 5000, in.count == 1));
	ck_assert_uint_eq(in.data.len, max);
	ck_assert_uint_eq(nats_publish_size(strlen("A: 1\r\n"), 5), headers + 5);
	ck_assert_int_eq(nats_conn_publish(o.conn, "in", NULL, "A: 1\r\n", 6, data, max - headers, &e), 0);
	ck_assert(RUN_UNTIL(base, 5000, in.count == 2));
	ck_assert_int_eq(nats_conn_publish(o.conn, "in", NULL, "A: 1\r\n", 6, data, max - headers + 1, &e),
			 -1);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	ck_assert_int_eq(nats_conn_publish(o.conn, subject, NULL, NULL, 0, data, 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	ck_assert_int_eq(nats_conn_publish(o.conn, "a b", NULL, NULL, 0, data, 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	/* the connection has not suffered */
	ck_assert_int_eq(nats_conn_publish(o.conn, "in", NULL, NULL, 0, data, 1, &e), 0);
	ck_assert(RUN_UNTIL(base, 5000, in.count == 3));
	ck_assert_int_eq(o.downs, 0);
	nats_unsubscribe(&sub);
	got_fini(&in);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
	free(data);
	free(subject);
}
END_TEST

/* ---- much to deliver -------------------------------------------------------------------------------- */

static void
count_slowly(void *arg, const struct nats_message *m)
{
	struct mono end = mono_add_ms(mono_now(), 1);
	int *count = arg;

	(void)m;
	++*count;
	while (!mono_reached(mono_now(), end))
		;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	int *ticks = arg;

	(void)fd;
	(void)what;
	++*ticks;
}

START_TEST(lets_others_run_while_much_waits)
{
	struct timeval tv = {0, 5000};
	struct test_server server;
	struct event *ticker;
	struct nats_sub *sub, *other;
	struct owner o;
	struct got g;
	int count = 0, ticks = 0, i;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	got_init(&g);
	other = nats_conn_subscribe(o.conn, "y", got_message, &g, NULL);
	sub = nats_conn_subscribe(o.conn, "x", count_slowly, &count, NULL);
	for (i = 0; i < 1000; i++)
		nats_conn_publish(o.conn, "x", NULL, NULL, 0, "x", 1, NULL);
	nats_conn_publish(o.conn, "y", NULL, NULL, 0, "y", 1, NULL);
	ticker = event_new(base, -1, EV_PERSIST, on_tick, &ticks);
	event_add(ticker, &tv);
	ck_assert(RUN_UNTIL(base, 3000, count > 0));
	ck_assert(RUN_UNTIL(base, 10000, count == 1000));
	/* a slice of 10 ms is up to 16 messages of 1 ms */
	ck_assert_int_ge(ticks, 40);
	ck_assert_int_eq(g.count, 1);
	event_free(ticker);
	nats_unsubscribe(&sub);
	nats_unsubscribe(&other);
	got_fini(&g);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(stops_reading_for_a_paused_subscription)
{
	struct test_server server;
	struct answer a = {0};
	struct nats_sub *sub, *echo_sub;
	struct owner o, sender;
	struct got g;
	long sent = 0;
	static char data[1000];

	test_server_start(&server, "write_deadline: 60s\n");
	owner_connect(&o, base, server.url, NULL);
	owner_connect(&sender, base, server.url, NULL);
	got_init(&g);
	sub = nats_conn_subscribe(o.conn, "x", got_message, &g, NULL);
	echo_sub = nats_conn_subscribe(o.conn, "echo", echo, &o, NULL);
	RUN_UNTIL(base, 100, false);
	nats_sub_pause(sub);
	for (; sent < 20000; sent++) {
		ck_assert(RUN_UNTIL(base, 5000, nats_conn_room(sender.conn) > 0));
		nats_conn_publish(sender.conn, "x", NULL, NULL, 0, data, sizeof data, NULL);
	}
	RUN_UNTIL(base, 500, false);
	/* Neither is the connection lost nor the question, though nobody reads for long. */
	ck_assert_ptr_nonnull(nats_conn_request(o.conn, "echo", NULL, 0, "1", 1, 3000, on_answer, &a, NULL));
	ck_assert(!RUN_UNTIL(base, 10000, o.downs > 0 || a.count > 0));
	ck_assert_int_eq(g.count, 0);
	nats_sub_resume(sub);
	ck_assert(RUN_UNTIL(base, 10000, g.count == sent && a.count == 1));
	ck_assert_int_eq(a.result, NATS_REPLY);
	ck_assert_int_eq(o.downs, 0);
	nats_unsubscribe(&sub);
	nats_unsubscribe(&echo_sub);
	got_fini(&g);
	nats_conn_free(&o.conn);
	nats_conn_free(&sender.conn);
	test_server_stop(&server);
}
END_TEST

static void
hold_message(void *arg, const struct nats_message *m)
{
	struct nats_held ***next = arg;

	*(*next)++ = nats_message_hold(m);
}

START_TEST(keeps_held_messages)
{
	struct test_server server;
	struct owner o;
	struct nats_sub *sub;
	struct nats_held *held[2] = {NULL, NULL};
	struct nats_held **next = held;

	test_server_start(&server, NULL);
	owner_connect(&o, base, server.url, NULL);
	sub = nats_conn_subscribe(o.conn, "x.*", hold_message, &next, NULL);
	nats_conn_publish(o.conn, "x.1", NULL, "A: 1\r\n", 6, "one", 3, NULL);
	nats_conn_publish(o.conn, "x.2", "r", NULL, 0, "two", 3, NULL);
	ck_assert(RUN_UNTIL(base, 2000, held[1] != NULL));
	nats_unsubscribe(&sub);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
	ck_assert_str_eq(nats_held_message(held[0])->subject, "x.1");
	ck_assert_int_eq(memcmp(nats_held_message(held[0])->headers, "NATS/1.0\r\nA: 1\r\n\r\n", 18), 0);
	ck_assert_str_eq(nats_held_message(held[0])->data, "one");
	ck_assert_str_eq(nats_held_message(held[1])->reply, "r");
	nats_held_free(&held[0]);
	nats_held_free(&held[1]);
	ck_assert_ptr_null(held[1]);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("nats_conn");
	TCase *tc = tcase_create("plain");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, connects_and_knows_the_server);
	tcase_add_test(tc, publishes_and_receives);
	tcase_add_test(tc, asks);
	tcase_add_test(tc, comes_back_after_kill);
	tcase_add_test(tc, keeps_odd_headers);
	tcase_add_test(tc, keeps_odder_blocks);
	tcase_add_test(tc, sends_large_messages_and_refuses_larger_ones);
	tcase_add_test(tc, lets_others_run_while_much_waits);
	tcase_add_test(tc, stops_reading_for_a_paused_subscription);
	tcase_add_test(tc, keeps_held_messages);
	suite_add_tcase(s, tc);
	return s;
}
