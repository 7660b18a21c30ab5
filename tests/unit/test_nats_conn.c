/* Connections against a real server: publishing, subscribing, asking, losses, TLS, credentials. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/conn.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/loop.h"
#include "tests/unit/odd_headers.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

/* An owner of a connection that writes down what it is told. */
struct owner {
	struct event_base *base;
	struct nats_conn *conn;
	int ups, downs, failures, writables;
	char reason[1024], async_error[512];
};

static void
on_up(void *arg)
{
	struct owner *o = arg;

	o->ups++;
}

static void
on_down(void *arg, bool was_up, const char *reason)
{
	struct owner *o = arg;

	if (was_up)
		o->downs++;
	else
		o->failures++;
	snprintf(o->reason, sizeof o->reason, "%s", reason);
}

static void
on_writable(void *arg)
{
	struct owner *o = arg;

	o->writables++;
}

static void
on_async_error(void *arg, const char *text)
{
	struct owner *o = arg;

	snprintf(o->async_error, sizeof o->async_error, "%s", text);
}

static const struct nats_conn_callbacks callbacks = {on_up, on_down, on_writable, on_async_error};

static void
owner_new(struct owner *o, struct event_base *base, const char *url, const struct conf_tls *tls)
{
	struct endpoint ep;
	struct error e = ERROR_INIT;

	memset(o, 0, sizeof *o);
	o->base = base;
	ck_assert_msg(endpoint_parse(url, tls, &ep, &e) == 0, "%s", e.text);
	o->conn = nats_conn_new(base, &ep, "source", "unit test", &callbacks, o);
	endpoint_fini(&ep);
	nats_conn_start(o->conn);
}

static struct event_base *base;

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	worst_turn_ns = 0;
}

static void
teardown(void)
{
	event_base_free(base);
	nats_library_stop();
}

/* Messages that came to a subscription, copied. */
struct got {
	int count;
	struct strbuf subject, reply, headers, data;
	bool had_headers, had_reply;
};

static void
got_init(struct got *g)
{
	g->count = 0;
	strbuf_init(&g->subject);
	strbuf_init(&g->reply);
	strbuf_init(&g->headers);
	strbuf_init(&g->data);
}

static void
got_fini(struct got *g)
{
	strbuf_fini(&g->subject);
	strbuf_fini(&g->reply);
	strbuf_fini(&g->headers);
	strbuf_fini(&g->data);
}

static void
got_message(void *arg, const struct nats_message *m)
{
	struct got *g = arg;

	g->count++;
	strbuf_reset(&g->subject);
	strbuf_adds(&g->subject, m->subject);
	strbuf_reset(&g->reply);
	strbuf_adds(&g->reply, m->reply != NULL ? m->reply : "");
	strbuf_reset(&g->headers);
	strbuf_add(&g->headers, m->headers != NULL ? m->headers : "", m->headers_len);
	strbuf_reset(&g->data);
	strbuf_add(&g->data, m->data, m->data_len);
	g->had_headers = m->headers != NULL;
	g->had_reply = m->reply != NULL;
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

	/* The lane of the first is used again; what is cancelled is silent. */
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

/* ---- odd messages ---------------------------------------------------------------------------------- */

/* A client that speaks the protocol by hand, to send what no library would. */
static int
raw_client(int port)
{
	static const char hello[] = "CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n";
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char greeting[4096];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_gt(read(fd, greeting, sizeof greeting), 0);
	ck_assert_int_eq(write(fd, hello, sizeof hello - 1), sizeof hello - 1);
	return fd;
}

static void
raw_publish(int fd, const char *subject, const char *reply, const char *block, size_t block_len,
	    const char *data, size_t data_len)
{
	struct strbuf b;

	strbuf_init(&b);
	strbuf_addf(&b, "HPUB %s %s %zu %zu\r\n", subject, reply, block_len, block_len + data_len);
	strbuf_add(&b, block, block_len);
	strbuf_add(&b, data, data_len);
	strbuf_adds(&b, "\r\n");
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	strbuf_fini(&b);
}

static void
assert_bytes(const struct strbuf *have, const char *want, size_t len, size_t kind)
{
	ck_assert_msg(have->len == len && memcmp(have->data, want, len) == 0,
		      "kind %zu: \"%s\" is not \"%s\"", kind, have->data, want);
}

/* In from a foreign client, and out again by our own publish. */
static void
odd_message_through(struct owner *o, int fd, struct got *in, struct got *out, size_t kind, const char *reply,
		    const char *data)
{
	const char *lines = odd_headers[kind];
	struct strbuf block;
	struct error e = ERROR_INIT;
	int before = in->count, before_out = out->count;

	strbuf_init(&block);
	strbuf_addf(&block, "NATS/1.0\r\n%s\r\n", lines);
	raw_publish(fd, "in", reply, block.data, block.len, data, strlen(data));
	ck_assert_msg(RUN_UNTIL(base, 2000, in->count > before), "kind %zu does not arrive", kind);
	assert_bytes(&in->headers, block.data, block.len, kind);
	assert_bytes(&in->data, data, strlen(data), kind);
	ck_assert_str_eq(in->reply.data, reply);

	strbuf_reset(&block);
	strbuf_addf(&block, "Own-First: 1\r\nOwn-Second: 2\r\n%s", lines);
	ck_assert_msg(nats_conn_publish(o->conn, "out", *reply != '\0' ? reply : NULL, block.data, block.len,
					data, strlen(data), &e) == 0,
		      "%s", e.text);
	ck_assert_msg(RUN_UNTIL(base, 2000, out->count > before_out), "kind %zu is not sent", kind);
	strbuf_reset(&block);
	/* Where the last line has no blank behind a colon and only the library can write, our second line
	 * goes to the end. */
	if (memcmp(out->headers.data, "NATS/1.0\r\nOwn-First: 1\r\nOwn-Second", 34) == 0)
		strbuf_addf(&block, "NATS/1.0\r\nOwn-First: 1\r\nOwn-Second: 2\r\n%s\r\n", lines);
	else
		strbuf_addf(&block, "NATS/1.0\r\nOwn-First: 1\r\n%sOwn-Second: 2\r\n\r\n", lines);
	assert_bytes(&out->headers, block.data, block.len, kind);
	assert_bytes(&out->data, data, strlen(data), kind);
	strbuf_fini(&block);
}

static void
odd_messages_through(struct owner *o, int port)
{
	struct nats_sub *in_sub, *out_sub;
	struct got in, out;
	size_t kind;
	int fd;

	got_init(&in);
	got_init(&out);
	in_sub = nats_conn_subscribe(o->conn, "in", got_message, &in, NULL);
	out_sub = nats_conn_subscribe(o->conn, "out", got_message, &out, NULL);
	ck_assert(in_sub != NULL && out_sub != NULL);
	RUN_UNTIL(base, 50, false);
	fd = raw_client(port);
	for (kind = 0; kind < sizeof odd_headers / sizeof odd_headers[0]; kind++) {
		odd_message_through(o, fd, &in, &out, kind, "", "body");
		odd_message_through(o, fd, &in, &out, kind, "", "");
		odd_message_through(o, fd, &in, &out, kind, "re.ply", "");
		odd_message_through(o, fd, &in, &out, kind, "re.ply", "NATS/1.0");
	}
	close(fd);
	nats_unsubscribe(&in_sub);
	nats_unsubscribe(&out_sub);
	got_fini(&in);
	got_fini(&out);
}

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
	suite_add_tcase(s, tc);
	return s;
}
