/* Pulling from consumers of a real server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/jsapi.h"
#include "common/nats/puller.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/loop.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

static struct event_base *base;
static struct test_server server;
static struct nats_conn *conn;
static int ups;

static void
on_up(void *arg)
{
	(void)arg;
	ups++;
}

static void
start_with(bool jetstream)
{
	static const struct nats_conn_callbacks callbacks = {.up = on_up};
	struct endpoint ep;
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	test_server_start_at(&server, test_free_port(), jetstream, NULL);
	base = event_base_new();
	ck_assert_int_eq(endpoint_parse(server.url, NULL, &ep, &e), 0);
	conn = nats_conn_new(base, &ep, "source", "test", &callbacks, NULL);
	endpoint_fini(&ep);
	nats_conn_start(conn);
	ck_assert(RUN_UNTIL(base, 5000, ups == 1));
}

static void
setup(void)
{
	start_with(true);
}

static void
setup_without_jetstream(void)
{
	start_with(false);
}

static void
teardown(void)
{
	nats_conn_free(&conn);
	event_base_free(base);
	nats_library_stop();
	test_server_stop(&server);
}

static int answers;
static char last_answer[4096];

static void
on_answer(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	(void)arg;
	ck_assert_int_eq(result, NATS_REPLY);
	snprintf(last_answer, sizeof last_answer, "%.*s", (int)m->data_len, m->data);
	answers++;
}

/* Asks and waits for an answer without error. */
static void
ask(const char *subject, const char *body)
{
	int before = answers;

	ck_assert_ptr_nonnull(
	    nats_conn_request(conn, subject, NULL, 0, body, strlen(body), 5000, on_answer, NULL, NULL));
	ck_assert(RUN_UNTIL(base, 6000, answers > before));
	ck_assert_msg(strstr(last_answer, "\"error\"") == NULL, "%s", last_answer);
}

static void
make_stream(void)
{
	ask("$JS.API.STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"storage\":\"memory\"}");
}

static void
make_consumer(bool durable)
{
	struct jsapi_consumer_request r = {.stream = "S", .name = "C", .durable = durable, .memory = true};
	struct jsapi_consumer c;
	struct jsapi_error err;
	struct strbuf b;
	struct error e = ERROR_INIT;
	bool ignored;

	r.max_ack_pending = -1;
	r.inactive_threshold_ns = durable ? 0 : INT64_C(60000000000);
	strbuf_init(&b);
	jsapi_write_consumer(&r, &b);
	ask(durable ? "$JS.API.CONSUMER.DURABLE.CREATE.S.C" : "$JS.API.CONSUMER.CREATE.S", b.data);
	strbuf_fini(&b);
	ck_assert_int_eq(jsapi_read_consumer(last_answer, strlen(last_answer), &c, &err, &e), 0);
	ck_assert_msg(jsapi_check_consumer(&r, &c, &ignored, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.name, "C");
	jsapi_consumer_fini(&c);
}

static void
publish(int from, int count, size_t size)
{
	char *data = xcalloc(1, size + 32);
	int i;

	for (i = from; i < from + count; i++) {
		snprintf(data, 32, "%d", i);
		RUN_UNTIL(base, 5000, nats_conn_room(conn) > 0);
		ck_assert_int_eq(nats_conn_publish(conn, "s.x", NULL, NULL, 0, data, size, NULL), 0);
	}
	free(data);
}

/* An owner of a puller. */
struct pulling {
	struct puller *puller;
	int count, bad_order, events[4];
	bool stop_at_message, pause_at_message;
	uint64_t last_pending;
	size_t largest;
	char text[256];
};

static void
on_message(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct pulling *o = arg;

	if (strtol(m->data, NULL, 10) != o->count)
		o->bad_order++;
	o->count++;
	o->last_pending = ack->pending;
	if (m->data_len > o->largest)
		o->largest = m->data_len;
	if (o->stop_at_message)
		puller_stop(&o->puller);
	else if (o->pause_at_message)
		puller_pause(o->puller);
}

static void
on_event(void *arg, enum puller_event event, const char *text)
{
	struct pulling *o = arg;

	o->events[event]++;
	snprintf(o->text, sizeof o->text, "%s", text);
}

static void
start(struct pulling *o, uint32_t max_msgs, uint64_t max_bytes)
{
	static const struct puller_callbacks callbacks = {on_message, on_event};
	struct puller_config config = {.domain = "", .stream = "S", .consumer = "C"};
	struct error e = ERROR_INIT;

	config.max_msgs = max_msgs;
	config.max_bytes = max_bytes;
	config.heartbeat_ms = 500;
	memset(o, 0, sizeof *o);
	o->puller = puller_start(conn, &config, &callbacks, o, &e);
	ck_assert_msg(o->puller != NULL, "%s", e.text);
}

START_TEST(pulls_all_in_order)
{
	struct pulling o;

	make_stream();
	publish(0, 30000, 256);
	make_consumer(true);
	start(&o, 10000, 4 * 1024 * 1024);
	ck_assert(RUN_UNTIL(base, 20000, o.count == 30000));
	ck_assert_int_eq(o.bad_order, 0);
	ck_assert_uint_eq(o.last_pending, 0);
	publish(30000, 10, 256);
	ck_assert(RUN_UNTIL(base, 3000, o.count == 30010));
	ck_assert_int_eq(o.bad_order, 0);
	ck_assert_int_eq(o.events[0] + o.events[1] + o.events[2] + o.events[3], 0);
	puller_stop(&o.puller);
	ck_assert_ptr_null(o.puller);
}
END_TEST

START_TEST(pulls_with_little_credit)
{
	struct pulling o;

	make_stream();
	publish(0, 500, 100);
	make_consumer(false);
	start(&o, 1, 1000);
	ck_assert(RUN_UNTIL(base, 20000, o.count == 500));
	ck_assert_int_eq(o.bad_order, 0);
	puller_stop(&o.puller);
}
END_TEST

START_TEST(messages_larger_than_a_request_get_through)
{
	struct pulling o;

	make_stream();
	publish(0, 10, 100);
	publish(10, 3, 700000);
	publish(13, 100, 30000);
	publish(113, 2, 1000000);
	publish(115, 5000, 10);
	make_consumer(true);
	start(&o, 2000, 50000);
	ck_assert(RUN_UNTIL(base, 30000, o.count == 5115));
	ck_assert_int_eq(o.bad_order, 0);
	ck_assert_uint_eq(o.largest, 1000000);
	ck_assert_msg(o.events[PULLER_REFUSED] == 0, "%s", o.text);
	puller_stop(&o.puller);
}
END_TEST

START_TEST(stays_calm_on_a_quiet_stream)
{
	struct pulling o;
	struct mono before;

	make_stream();
	make_consumer(true);
	start(&o, 1000, 100000);
	before = mono_now();
	ck_assert(!RUN_UNTIL(base, 3000, o.events[0] + o.events[1] + o.events[2] + o.events[3] > 0));
	ck_assert_int_ge(mono_ms_between(before, puller_last_seen(o.puller)), 2000);
	publish(0, 1, 10);
	ck_assert(RUN_UNTIL(base, 1000, o.count == 1));
	puller_stop(&o.puller);
}
END_TEST

START_TEST(tells_that_the_consumer_is_gone)
{
	struct pulling o;

	make_stream();
	make_consumer(true);
	start(&o, 1000, 100000);
	RUN_UNTIL(base, 700, false);
	ask("$JS.API.CONSUMER.DELETE.S.C", "");
	ck_assert(RUN_UNTIL(base, 3000, o.events[PULLER_CONSUMER_GONE] > 0));
	ck_assert_msg(strstr(o.text, "deleted") != NULL, "%s", o.text);
	/* asked again there is nobody: newer servers say so, older ones nothing */
	memset(o.events, 0, sizeof o.events);
	puller_repull(o.puller);
	ck_assert(
	    RUN_UNTIL(base, 3000, o.events[PULLER_CONSUMER_GONE] + o.events[PULLER_MISSED_HEARTBEAT] > 0));
	/* and made anew it works again */
	make_consumer(true);
	publish(0, 10, 10);
	puller_repull(o.puller);
	ck_assert(RUN_UNTIL(base, 3000, o.count == 10));
	puller_stop(&o.puller);
}
END_TEST

START_TEST(pauses_and_goes_on)
{
	struct pulling o;
	int i;

	make_stream();
	publish(0, 5000, 100);
	make_consumer(true);
	start(&o, 1000, 100000);
	o.pause_at_message = true;
	ck_assert(RUN_UNTIL(base, 3000, o.count == 1));
	ck_assert(!RUN_UNTIL(base, 2000, o.count > 1));
	ck_assert(puller_has_more(o.puller));
	for (i = 2; i < 5; i++) {
		puller_resume(o.puller);
		ck_assert(RUN_UNTIL(base, 3000, o.count == i));
	}
	o.pause_at_message = false;
	puller_resume(o.puller);
	ck_assert(RUN_UNTIL(base, 5000, o.count == 5000));
	ck_assert_int_eq(o.bad_order, 0);
	ck_assert(!puller_has_more(o.puller));
	ck_assert_int_eq(o.events[PULLER_MISSED_HEARTBEAT], 0);
	puller_stop(&o.puller);
}
END_TEST

START_TEST(stops_within_a_message)
{
	struct pulling o;

	make_stream();
	publish(0, 100, 100);
	make_consumer(true);
	start(&o, 1000, 100000);
	o.stop_at_message = true;
	ck_assert(RUN_UNTIL(base, 3000, o.count == 1));
	ck_assert(!RUN_UNTIL(base, 200, o.count > 1));
	ck_assert_ptr_null(o.puller);
}
END_TEST

START_TEST(outlives_its_requests)
{
	struct pulling o;

	make_stream();
	make_consumer(true);
	start(&o, 10, 1000);
	/* longer than a request: none of them may be missing in between */
	ck_assert(!RUN_UNTIL(base, 32000, o.events[0] + o.events[1] + o.events[2] + o.events[3] > 0));
	publish(0, 100, 100);
	ck_assert(RUN_UNTIL(base, 1000, o.count == 100));
	puller_stop(&o.puller);
}
END_TEST

/* ---- a consumer that is played by the test ---------------------------------------------------------- */

/* The requests that came, and what they asked for. */
struct played {
	struct nats_sub *sub;
	int count, raw;
	char reply[160];
	unsigned long long batch, max_bytes;
};

static void
on_pull(void *arg, const struct nats_message *m)
{
	struct played *p = arg;

	p->count++;
	snprintf(p->reply, sizeof p->reply, "%s", m->reply);
	ck_assert_int_eq(sscanf(m->data, "{\"batch\":%llu,\"max_bytes\":%llu,\"expires\":30000000000,",
				&p->batch, &p->max_bytes),
			 2);
	ck_assert_ptr_nonnull(strstr(m->data, "\"idle_heartbeat\":500000000}"));
}

static void
play(struct played *p, struct pulling *o)
{
	memset(p, 0, sizeof *p);
	p->sub = nats_conn_subscribe(conn, "$JS.API.CONSUMER.MSG.NEXT.S.C", on_pull, p, NULL);
	p->raw = raw_client(server.port);
	start(o, 1000, 100000);
	ck_assert(RUN_UNTIL(base, 2000, p->count == 2));
	ck_assert_uint_eq(p->batch, 500);
	ck_assert_uint_eq(p->max_bytes, 50000);
}

static void
play_end(struct played *p, struct pulling *o)
{
	puller_stop(&o->puller);
	nats_unsubscribe(&p->sub);
	close(p->raw);
}

/* A status as answer to the last request. */
static void
answer(struct played *p, const char *first_line, const char *lines)
{
	char block[512];

	snprintf(block, sizeof block, "NATS/1.0 %s\r\n%s\r\n", first_line, lines);
	raw_publish(p->raw, p->reply, "", block, strlen(block), "", 0);
}

static int
events_of(const struct pulling *o)
{
	return o->events[0] + o->events[1] + o->events[2] + o->events[3];
}

START_TEST(understands_statuses)
{
	struct played p;
	struct pulling o;

	play(&p, &o);
	/* heartbeats and expiry are silent; what has expired is asked for again */
	answer(&p, "100 Idle Heartbeat", "Nats-Last-Consumer: 0\r\n");
	ck_assert(!RUN_UNTIL(base, 200, p.count > 2));
	answer(&p, "408 Request Timeout", "Nats-Pending-Messages: 500\r\nNats-Pending-Bytes: 50000\r\n");
	ck_assert(RUN_UNTIL(base, 1000, p.count == 3));
	/* the same again is about nobody */
	snprintf(p.reply + strlen(p.reply) - 1, 2, "2");
	answer(&p, "408 Request Timeout", "Nats-Pending-Messages: 500\r\nNats-Pending-Bytes: 50000\r\n");
	ck_assert(!RUN_UNTIL(base, 200, p.count > 3));
	ck_assert_int_eq(events_of(&o), 0);
	play_end(&p, &o);

	play(&p, &o);
	answer(&p, "409 Leadership Change", "");
	ck_assert(RUN_UNTIL(base, 1000, o.events[PULLER_LEADER_CHANGED] == 1));
	ck_assert(RUN_UNTIL(base, 1000, p.count == 4));
	answer(&p, "409 Exceeded MaxRequestBatch of 10", "");
	ck_assert(RUN_UNTIL(base, 1000, p.batch == 5));
	ck_assert_int_eq(events_of(&o), 1);
	play_end(&p, &o);
}
END_TEST

START_TEST(tells_of_refusals)
{
	static const char *const refusals[] = {"409 Exceeded MaxWaiting", "400 Bad Request",
					       "423 Nats-Wrong-Pin-Id", "409 Consumer is push based"};
	struct mono before;
	struct played p;
	struct pulling o;
	size_t i;

	for (i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		play(&p, &o);
		before = mono_now();
		answer(&p, refusals[i], "Nats-Pending-Messages: 500\r\nNats-Pending-Bytes: 50000\r\n");
		ck_assert(RUN_UNTIL(base, 1000, o.events[PULLER_REFUSED] == 1));
		ck_assert_msg(strstr(o.text, refusals[i]) != NULL, "%s", o.text);
		/* again, but not at once */
		ck_assert(RUN_UNTIL(base, 3000, p.count == 3));
		ck_assert_int_ge(mono_ms_between(before, mono_now()), 900);
		play_end(&p, &o);
	}
}
END_TEST

START_TEST(misses_heartbeats)
{
	struct mono before = mono_now();
	struct played p;
	struct pulling o;

	play(&p, &o);
	ck_assert(RUN_UNTIL(base, 3000, o.events[PULLER_MISSED_HEARTBEAT] == 1));
	ck_assert_int_ge(mono_ms_between(before, mono_now()), 1200);
	ck_assert_int_eq(p.count, 2);
	puller_repull(o.puller);
	ck_assert(RUN_UNTIL(base, 1000, p.count == 4));
	ck_assert(RUN_UNTIL(base, 3000, o.events[PULLER_MISSED_HEARTBEAT] == 2));
	play_end(&p, &o);
}
END_TEST

START_TEST(takes_messages_that_look_like_statuses)
{
	static const char *const blocks[] = {"NATS/1.0 409 Consumer Deleted\r\nA: 1\r\n\r\n",
					     "NATS/1.0 503\r\n\r\n", "NATS/1.0\r\nStatus: 503\r\n\r\n"};
	struct pulling o;
	size_t i;
	int raw;

	make_stream();
	raw = raw_client(server.port);
	for (i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
		raw_publish(raw, "s.x", "", blocks[i], strlen(blocks[i]), "", 0);
	make_consumer(true);
	start(&o, 1000, 100000);
	ck_assert(RUN_UNTIL(base, 2000, o.count == (int)(sizeof blocks / sizeof blocks[0])));
	ck_assert_int_eq(events_of(&o), 0);
	puller_stop(&o.puller);
	close(raw);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("puller");
	TCase *tc = tcase_create("server");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 90);
	tcase_add_test(tc, pulls_all_in_order);
	tcase_add_test(tc, pulls_with_little_credit);
	tcase_add_test(tc, messages_larger_than_a_request_get_through);
	tcase_add_test(tc, stays_calm_on_a_quiet_stream);
	tcase_add_test(tc, tells_that_the_consumer_is_gone);
	tcase_add_test(tc, pauses_and_goes_on);
	tcase_add_test(tc, stops_within_a_message);
	tcase_add_test(tc, takes_messages_that_look_like_statuses);
	/* Half a minute: only when asked for. */
	if (getenv("SLOW_TESTS") != NULL)
		tcase_add_test(tc, outlives_its_requests);
	suite_add_tcase(s, tc);
	tc = tcase_create("played");
	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup_without_jetstream, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, understands_statuses);
	tcase_add_test(tc, tells_of_refusals);
	tcase_add_test(tc, misses_heartbeats);
	suite_add_tcase(s, tc);
	return s;
}
