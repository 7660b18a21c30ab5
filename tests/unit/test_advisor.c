/* The advisor against a real server: what is sent when, what the outbox is told, and what becomes of faults.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/nats/jsapi.h"
#include "common/xalloc.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"
#include "worker/advisor_internal.h"

#define AT 1767323045678 /* 2026-01-02T03:04:05.678Z */

enum { ROWS = 4096 };

static struct event_base *base;
static int warnings;

static void
take_log(enum log_level level, const char *text, void *arg)
{
	(void)text;
	(void)arg;
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
}

static void
teardown(void)
{
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	event_base_free(base);
	nats_library_stop();
}

/* ---- an advisor, its supervisor, and who looks at the stream --------------------------------------- */

static char site[] = "SITE", key[] = "nodes", field[] = "sender", pattern[] = "sr.advisories.%s.%v";

/* What the supervisor's table would be after all that it was told. */
struct row {
	char id[65], subject[128], body[600];
	uint32_t tries, puts;
	int64_t next_try_ms;
	bool done;
};

struct fixture {
	struct test_server server;
	struct conf conf;
	struct conf_topic topic;
	struct nats_conn *conn;
	struct advisor *advisor;
	struct advisor_limits limits;
	struct row *rows; /* in the order in which they came */
	size_t row_count, done;
	int delivered, incidents;
	char delivered_last[256], incident_kind[64], incident_detail[2048];
	bool raise_again; /* from within `delivered` */
	struct owner reader;
	struct nats_sub *sub;
	struct got got;
	char order[ROWS][40]; /* values, as the subscription hears them */
	uint64_t stored;      /* in the stream, when it was asked last */
};

static struct row *
row_of(struct fixture *f, const char *id)
{
	for (size_t i = 0; i < f->row_count; i++)
		if (!f->rows[i].done && strcmp(f->rows[i].id, id) == 0)
			return &f->rows[i];
	return NULL;
}

static void
on_outbox(void *arg, const struct proto_advisory *change)
{
	struct fixture *f = arg;
	struct row *row = row_of(f, change->id);

	if (change->op == ADVISORY_DONE) {
		ck_assert_str_eq(change->subject, "");
		ck_assert_str_eq(change->body, "");
		f->done++;
		if (row != NULL)
			row->done = true;
		return;
	}
	if (row == NULL) {
		ck_assert_uint_lt(f->row_count, ROWS);
		row = &f->rows[f->row_count++];
		memset(row, 0, sizeof *row);
		snprintf(row->id, sizeof row->id, "%s", change->id);
	}
	snprintf(row->subject, sizeof row->subject, "%s", change->subject);
	snprintf(row->body, sizeof row->body, "%s", change->body);
	row->tries = change->tries;
	row->next_try_ms = change->next_try_ms;
	row->puts++;
}

static bool raise_one(struct fixture *f, enum advisory_event event, const char *value);

static void
on_delivered(void *arg, const char *value, size_t len)
{
	struct fixture *f = arg;

	f->delivered++;
	ck_assert_uint_eq(strlen(value), len);
	snprintf(f->delivered_last, sizeof f->delivered_last, "%s", value);
	if (f->raise_again) {
		f->raise_again = false;
		raise_one(f, ADVISORY_EVENT_EXPIRE, value);
	}
}

static void
on_incident(void *arg, const char *kind, const char *detail)
{
	struct fixture *f = arg;

	f->incidents++;
	snprintf(f->incident_kind, sizeof f->incident_kind, "%s", kind);
	snprintf(f->incident_detail, sizeof f->incident_detail, "%s", detail);
}

static void
conn_up(void *arg)
{
	struct fixture *f = arg;

	if (f->advisor != NULL)
		advisor_up(f->advisor);
}

static void
conn_down(void *arg, bool was_up, const char *reason)
{
	struct fixture *f = arg;

	(void)was_up;
	(void)reason;
	if (f->advisor != NULL)
		advisor_down(f->advisor);
}

static void
hear(void *arg, const struct nats_message *m)
{
	struct fixture *f = arg;
	const char *value = strrchr(m->subject, '.') + 1;

	ck_assert_int_lt(f->got.count, ROWS);
	snprintf(f->order[f->got.count], sizeof f->order[0], "%s", value);
	got_message(&f->got, m);
}

static void
make_advisor(struct fixture *f)
{
	static const struct advisor_callbacks callbacks = {on_outbox, on_delivered, on_incident};

	f->advisor = advisor_new(base, f->conn, &f->conf, &f->topic, &callbacks, f);
	advisor_set_limits(f->advisor, &f->limits);
}

static void
connect_advisor(struct fixture *f)
{
	static const struct nats_conn_callbacks callbacks = {conn_up, conn_down, NULL, NULL};
	struct error e = ERROR_INIT;
	struct endpoint ep;

	ck_assert_msg(endpoint_parse(f->server.url, NULL, &ep, &e) == 0, "%s", e.text);
	f->conn = nats_conn_new(base, &ep, "target", "unit test", &callbacks, f);
	endpoint_fini(&ep);
	nats_conn_start(f->conn);
	ck_assert(RUN_UNTIL(base, 10000, nats_conn_is_up(f->conn)));
}

/* Connected and leading, without a stream; f->limits have short times. */
static struct fixture *
begin(bool reliable)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	f->rows = xcalloc(ROWS, sizeof *f->rows);
	test_server_start(&f->server, NULL);
	owner_connect(&f->reader, base, f->server.url, NULL);
	got_init(&f->got);
	f->conf.name = site;
	f->topic.key = key;
	f->topic.sampling.inspect = INSPECT_FIELD;
	f->topic.sampling.field = field;
	f->topic.sampling.advisory.subject = pattern;
	f->topic.sampling.advisory.reliable = reliable;
	f->limits = advisor_default_limits;
	f->limits.answer_ms = 500;
	f->limits.backoff_first_ms = 20;
	f->limits.backoff_max_ms = 80;
	connect_advisor(f);
	make_advisor(f);
	advisor_lead(f->advisor, true);
	return f;
}

static void
finish(struct fixture *f)
{
	advisor_free(&f->advisor);
	ck_assert_ptr_null(f->advisor);
	RUN_UNTIL(base, 10, false);
	nats_conn_free(&f->conn);
	nats_unsubscribe(&f->sub);
	got_fini(&f->got);
	nats_conn_free(&f->reader.conn);
	test_server_stop(&f->server);
	free(f->rows);
	free(f);
}

/* Hears what is published. From then on somebody listens there, though no stream. */
static void
listen_to_all(struct fixture *f)
{
	f->sub = nats_conn_subscribe(f->reader.conn, "sr.>", hear, f, NULL);
	ck_assert_ptr_nonnull(f->sub);
	RUN_UNTIL(base, 50, false);
}

struct api_answer {
	struct fixture *f;
	bool came;
};

static void
api_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct api_answer *answer = arg;
	struct jsapi_stream info;
	struct jsapi_error error;
	struct error e = ERROR_INIT;

	ck_assert_int_eq(result, NATS_REPLY);
	ck_assert_msg(jsapi_read_stream(m->data, m->data_len, &info, &error, &e) == 0, "%s", m->data);
	answer->f->stored = info.messages;
	jsapi_stream_fini(&info);
	answer->came = true;
}

static void
ask_api(struct fixture *f, const char *subject, const char *body)
{
	struct api_answer answer = {f, false};

	ck_assert_ptr_nonnull(nats_conn_request(f->reader.conn, subject, NULL, 0, body, strlen(body), 5000,
						api_answered, &answer, NULL));
	ck_assert(RUN_UNTIL(base, 6000, answer.came));
}

static void
make_stream(struct fixture *f, const char *more)
{
	char body[256];

	snprintf(body, sizeof body, "{\"name\":\"ADV\",\"subjects\":[\"sr.advisories.>\"]%s}", more);
	ask_api(f, "$JS.API.STREAM.CREATE.ADV", body);
}

static uint64_t
stored(struct fixture *f)
{
	ask_api(f, "$JS.API.STREAM.INFO.ADV", "");
	return f->stored;
}

static bool
raise_one(struct fixture *f, enum advisory_event event, const char *value)
{
	struct advisory a = {event, value, AT - 1000, AT, 0};

	return advisor_raise(f->advisor, &a, AT + 500);
}

static void
raise_many(struct fixture *f, size_t count)
{
	char value[32];

	for (size_t i = 0; i < count; i++) {
		snprintf(value, sizeof value, "n%zu", i);
		raise_one(f, ADVISORY_EVENT_TIMEOUT, value);
	}
}

static struct advisor_figures
figures(const struct fixture *f)
{
	struct advisor_figures out;

	advisor_figures(f->advisor, &out);
	return out;
}

/* Values n0, n1, … in that order, and no more. */
static void
heard_in_order(struct fixture *f, int count)
{
	char value[32];

	ck_assert(RUN_UNTIL(base, 5000, f->got.count >= count));
	RUN_UNTIL(base, 50, false);
	ck_assert_int_eq(f->got.count, count);
	for (int i = 0; i < count; i++) {
		snprintf(value, sizeof value, "n%d", i);
		ck_assert_str_eq(f->order[i], value);
	}
}

/* ---- core ------------------------------------------------------------------------------------------ */

START_TEST(core_ones_are_published_at_once)
{
	struct fixture *f = begin(false);

	listen_to_all(f);
	ck_assert(!raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0"));
	ck_assert_uint_eq(figures(f).waiting, 0);
	heard_in_order(f, 1);
	ck_assert_str_eq(f->got.subject.data, "sr.advisories.timeout.n0");
	ck_assert(!f->got.had_headers && !f->got.had_reply);
	ck_assert_ptr_nonnull(strstr(f->got.data.data, "\"age\":2,"));
	ck_assert_ptr_nonnull(strstr(f->got.data.data, "\"event\":\"timeout\",\"value\":\"n0\"}"));
	raise_one(f, ADVISORY_EVENT_NEW, "n1");
	raise_one(f, ADVISORY_EVENT_NEW, "n2");
	heard_in_order(f, 3);
	ck_assert_uint_eq(figures(f).raised[ADVISORY_EVENT_TIMEOUT], 1);
	ck_assert_uint_eq(figures(f).raised[ADVISORY_EVENT_NEW], 2);
	ck_assert_uint_eq(figures(f).dropped + figures(f).errors, 0);
	ck_assert_uint_eq(f->row_count, 0);
	ck_assert_int_eq(f->delivered, 0);
	finish(f);
}
END_TEST

/* The reader's connection breaks too: it hears what is sent again after it is back. */
static void
bounce_begin(struct fixture *f)
{
	test_server_stop(&f->server);
	ck_assert(RUN_UNTIL(base, 5000, !nats_conn_is_up(f->conn) && !nats_conn_is_up(f->reader.conn)));
}

static void
bounce_end(struct fixture *f)
{
	bool leads = f->advisor->leads;

	advisor_lead(f->advisor, false); /* not before somebody hears it */
	test_server_restart(&f->server, NULL);
	ck_assert(RUN_UNTIL(base, 10000, nats_conn_is_up(f->conn) && nats_conn_is_up(f->reader.conn)));
	nats_unsubscribe(&f->sub);
	listen_to_all(f);
	advisor_lead(f->advisor, leads);
}

START_TEST(core_ones_wait_for_the_connection)
{
	struct fixture *f = begin(false);

	listen_to_all(f);
	bounce_begin(f);
	raise_many(f, 5);
	ck_assert_uint_eq(figures(f).waiting, 5);
	bounce_end(f);
	heard_in_order(f, 5);
	ck_assert_uint_eq(figures(f).waiting, 0);
	ck_assert_uint_eq(figures(f).dropped, 0);
	finish(f);
}
END_TEST

START_TEST(core_ones_wait_for_leadership)
{
	struct fixture *f = begin(false);

	listen_to_all(f);
	advisor_lead(f->advisor, false);
	raise_many(f, 3);
	ck_assert(!RUN_UNTIL(base, 200, f->got.count > 0));
	advisor_lead(f->advisor, true);
	raise_one(f, ADVISORY_EVENT_TIMEOUT, "n3"); /* not before those that wait */
	heard_in_order(f, 4);

	f->limits.core_wait_ms = 200;
	advisor_set_limits(f->advisor, &f->limits);
	advisor_lead(f->advisor, false);
	raise_many(f, 2);
	RUN_UNTIL(base, 100, false);
	ck_assert_uint_eq(figures(f).waiting, 2);
	ck_assert(RUN_UNTIL(base, 1000, figures(f).waiting == 0));
	ck_assert_uint_eq(figures(f).dropped, 2);
	finish(f);
}
END_TEST

START_TEST(core_ones_do_not_wait_for_ever)
{
	struct fixture *f = begin(false);

	f->limits.core_wait_ms = 300;
	f->limits.core_max = 4;
	advisor_set_limits(f->advisor, &f->limits);
	listen_to_all(f);
	bounce_begin(f);
	raise_many(f, 6);
	ck_assert_uint_eq(figures(f).waiting, 4);
	ck_assert_uint_eq(figures(f).dropped, 2);
	ck_assert(RUN_UNTIL(base, 2000, figures(f).waiting == 0));
	ck_assert_uint_eq(figures(f).dropped, 6);
	ck_assert_uint_eq(figures(f).raised[ADVISORY_EVENT_TIMEOUT], 6);
	ck_assert_int_eq(warnings, 1);
	bounce_end(f);
	raise_many(f, 1);
	heard_in_order(f, 1);
	finish(f);
}
END_TEST

/* More than the connection takes at once; the rest goes as the server reads. */
START_TEST(core_ones_wait_for_room)
{
	struct fixture *f = begin(false);

	f->conf.name = xcalloc(1, 501);
	memset(f->conf.name, 'x', 500);
	listen_to_all(f);
	raise_many(f, 4000);
	ck_assert_uint_gt(figures(f).waiting, 0);
	heard_in_order(f, 4000);
	ck_assert_uint_eq(figures(f).dropped, 0);
	free(f->conf.name);
	finish(f);
}
END_TEST

START_TEST(a_core_one_that_is_refused_is_dropped)
{
	struct fixture *f = begin(false);

	test_server_restart(&f->server, "max_payload: 1024\n");
	ck_assert(RUN_UNTIL(base, 10000, nats_conn_is_up(f->conn) && f->reader.ups == 2));
	f->conf.name = xcalloc(1, 2000);
	memset(f->conf.name, 'x', 1999);
	raise_one(f, ADVISORY_EVENT_NEW, "n0");
	ck_assert_uint_eq(figures(f).dropped, 1);
	ck_assert_uint_eq(figures(f).errors, 1);
	ck_assert_uint_eq(figures(f).waiting, 0);
	free(f->conf.name);
	finish(f);
}
END_TEST

/* ---- reliable -------------------------------------------------------------------------------------- */

START_TEST(reliable_ones_are_stored)
{
	struct fixture *f = begin(true);
	char id[ADVISORY_ID_SIZE], header[64];

	make_stream(f, "");
	listen_to_all(f);
	advisory_id(site, key, &(struct advisory){ADVISORY_EVENT_TIMEOUT, "n0", 0, AT, 0}, id);
	ck_assert(raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0"));
	/* The row is there before anything is sent. */
	ck_assert_uint_eq(f->row_count, 1);
	ck_assert_int_eq(f->got.count, 0);
	ck_assert_str_eq(f->rows[0].id, id);
	ck_assert_str_eq(f->rows[0].subject, "sr.advisories.timeout.n0");
	ck_assert_uint_eq(f->rows[0].tries, 0);
	ck_assert_int_le(f->rows[0].next_try_ms, wall_ms());
	ck_assert_uint_eq(figures(f).waiting, 1);

	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));
	ck_assert_str_eq(f->delivered_last, "n0");
	ck_assert(f->rows[0].done);
	ck_assert_uint_eq(f->rows[0].puts, 1);
	ck_assert_uint_eq(figures(f).waiting, 0);
	ck_assert_uint_eq(figures(f).raised[ADVISORY_EVENT_TIMEOUT], 1);
	ck_assert_uint_eq(stored(f), 1);
	heard_in_order(f, 1);
	ck_assert_str_eq(f->got.data.data, f->rows[0].body);
	snprintf(header, sizeof header, "\r\nNats-Msg-Id: %s\r\n", id);
	ck_assert_ptr_nonnull(strstr(f->got.headers.data, header));
	finish(f);
}
END_TEST

START_TEST(many_keep_their_order)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	listen_to_all(f);
	raise_many(f, 3000);
	ck_assert(RUN_UNTIL(base, 20000, f->delivered == 3000));
	heard_in_order(f, 3000);
	ck_assert_uint_eq(f->done, 3000);
	ck_assert_uint_eq(stored(f), 3000);
	ck_assert_uint_eq(figures(f).errors, 0);
	finish(f);
}
END_TEST

START_TEST(so_many_are_out_at_once)
{
	struct fixture *f = begin(true);

	f->limits.out_max = 4;
	f->limits.answer_ms = 300;
	advisor_set_limits(f->advisor, &f->limits);
	listen_to_all(f); /* and does not answer */
	raise_many(f, 10);
	ck_assert(RUN_UNTIL(base, 1000, f->got.count == 4));
	raise_one(f, ADVISORY_EVENT_NEW, "another");
	ck_assert(!RUN_UNTIL(base, 150, f->got.count > 4));
	ck_assert_uint_eq(figures(f).waiting, 11);
	ck_assert(RUN_UNTIL(base, 1000, f->got.count >= 8));
	ck_assert_uint_ge(figures(f).errors, 4);
	finish(f); /* with answers that have not come */
}
END_TEST

START_TEST(an_event_is_stored_once)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	advisor_lead(f->advisor, false);
	ck_assert(raise_one(f, ADVISORY_EVENT_NEW, "n0"));
	ck_assert(raise_one(f, ADVISORY_EVENT_NEW, "n0"));
	ck_assert_uint_eq(f->row_count, 1);
	ck_assert_uint_eq(f->rows[0].puts, 1);
	ck_assert_uint_eq(figures(f).raised[ADVISORY_EVENT_NEW], 1);
	advisor_lead(f->advisor, true);
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));

	/* Another node finds it too, or this one after a crash: the stream has it, so it is delivered. */
	advisor_free(&f->advisor);
	f->row_count = 0;
	make_advisor(f);
	advisor_lead(f->advisor, true);
	ck_assert(raise_one(f, ADVISORY_EVENT_NEW, "n0"));
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 2));
	ck_assert_uint_eq(figures(f).errors, 0);
	ck_assert_uint_eq(stored(f), 1);
	finish(f);
}
END_TEST

START_TEST(a_stream_may_come_later)
{
	struct fixture *f = begin(true);

	ck_assert(raise_one(f, ADVISORY_EVENT_NEW, "n0"));
	ck_assert(RUN_UNTIL(base, 3000, f->rows[0].tries == 3));
	ck_assert_uint_eq(f->rows[0].puts, 4);
	ck_assert_int_ge(f->rows[0].next_try_ms, wall_ms() + 40);
	ck_assert_int_eq(f->delivered, 0);
	ck_assert_int_eq(warnings, 1);
	make_stream(f, "");
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));
	ck_assert_uint_ge(figures(f).errors, 3);
	ck_assert_uint_eq(figures(f).dropped, 0);
	ck_assert_uint_eq(stored(f), 1);
	ck_assert_int_eq(f->incidents, 0);
	finish(f);
}
END_TEST

static void
answer_nonsense(void *arg, const struct nats_message *m)
{
	struct fixture *f = arg;

	if (m->reply != NULL)
		nats_conn_publish(f->reader.conn, m->reply, NULL, NULL, 0, "thanks", 6, NULL);
}

START_TEST(only_a_stream_can_take_it)
{
	struct fixture *f = begin(true);
	struct nats_sub *service;

	service = nats_conn_subscribe(f->reader.conn, "sr.>", answer_nonsense, f, NULL);
	RUN_UNTIL(base, 50, false);
	raise_one(f, ADVISORY_EVENT_NEW, "n0");
	ck_assert(RUN_UNTIL(base, 3000, f->rows[0].tries == 2));
	nats_unsubscribe(&service);
	make_stream(f, ",\"max_msgs\":1,\"discard\":\"new\"");
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));

	/* The stream is full: an error, and no word of delivery. */
	raise_one(f, ADVISORY_EVENT_NEW, "n1");
	ck_assert(RUN_UNTIL(base, 3000, f->rows[1].tries == 2));
	ask_api(f, "$JS.API.STREAM.UPDATE.ADV",
		"{\"name\":\"ADV\",\"subjects\":[\"sr.advisories.>\"],\"max_msgs\":5,\"discard\":\"new\"}");
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 2));
	ck_assert_uint_eq(stored(f), 2);
	finish(f);
}
END_TEST

START_TEST(gives_up_after_ten_tries)
{
	struct fixture *f = begin(true);
	struct mono began = mono_now();

	f->limits.tell_every_ms = 1500;
	advisor_set_limits(f->advisor, &f->limits);
	raise_one(f, ADVISORY_EVENT_EXPIRE, "n0");
	ck_assert(RUN_UNTIL(base, 5000, f->delivered == 1));
	/* 20 + 40 + 7 * 80 between them */
	ck_assert_int_ge(mono_ms_between(began, mono_now()), 20 + 40 + 7 * 80);
	ck_assert(f->rows[0].done);
	ck_assert_uint_eq(f->rows[0].tries, 9);
	ck_assert_uint_eq(figures(f).errors, 10);
	ck_assert_uint_eq(figures(f).dropped, 1);
	ck_assert_uint_eq(figures(f).waiting, 0);
	ck_assert(RUN_UNTIL(base, 100, f->incidents == 1));
	ck_assert_str_eq(f->incident_kind, "advisory_given_up");
	ck_assert_msg(strstr(f->incident_detail, "sr.advisories.expire.n0") != NULL &&
			  strstr(f->incident_detail, "10 tries") != NULL &&
			  strstr(f->incident_detail, "no stream listens there") != NULL,
		      "%s", f->incident_detail);

	/* Those that follow share an incident. */
	raise_many(f, 7);
	ck_assert(RUN_UNTIL(base, 5000, f->delivered == 8));
	ck_assert_int_eq(f->incidents, 1);
	ck_assert(RUN_UNTIL(base, 3000, f->incidents == 2));
	ck_assert_ptr_nonnull(strstr(f->incident_detail, "; 6 others too"));
	ck_assert(!RUN_UNTIL(base, 1700, f->incidents > 2));
	finish(f);
}
END_TEST

START_TEST(may_raise_again_when_told_of_delivery)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	f->raise_again = true;
	raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0");
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 2));
	ck_assert_uint_eq(stored(f), 2);
	finish(f);
}
END_TEST

/* ---- outages ----------------------------------------------------------------------------------------- */

START_TEST(an_outage_is_no_try)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	bounce_begin(f);
	raise_many(f, 3);
	RUN_UNTIL(base, 300, false);
	ck_assert_uint_eq(figures(f).waiting, 3);
	bounce_end(f);
	ck_assert(RUN_UNTIL(base, 5000, f->delivered == 3));
	heard_in_order(f, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(f->rows[i].puts, 1);
	ck_assert_uint_eq(figures(f).errors, 0);
	finish(f);
}
END_TEST

START_TEST(what_was_out_at_a_loss_is_sent_again)
{
	struct fixture *f = begin(true);

	f->limits.answer_ms = 5000;
	advisor_set_limits(f->advisor, &f->limits);
	make_stream(f, "");
	test_server_kill(&f->server, SIGSTOP);
	raise_many(f, 300); /* more than may be out */
	RUN_UNTIL(base, 300, false);
	ck_assert_uint_eq(outbox_out(f->advisor->outbox), 256);
	test_server_kill(&f->server, SIGKILL);
	bounce_begin(f);
	ck_assert_uint_eq(outbox_out(f->advisor->outbox), 0);
	ck_assert_uint_eq(figures(f).waiting, 300);
	bounce_end(f);
	ck_assert(RUN_UNTIL(base, 5000, f->delivered == 300));
	heard_in_order(f, 300);
	ck_assert_uint_eq(figures(f).errors, 0);
	ck_assert_uint_eq(stored(f), 300);
	finish(f);
}
END_TEST

START_TEST(a_server_that_does_not_answer_costs_tries)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	test_server_kill(&f->server, SIGSTOP);
	raise_one(f, ADVISORY_EVENT_NEW, "n0");
	ck_assert(RUN_UNTIL(base, 3000, f->rows[0].tries == 2));
	test_server_kill(&f->server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 5000, f->delivered == 1));
	/* Both tries that had no answer are in the server now: one of them counts. */
	ck_assert_uint_eq(stored(f), 1);
	finish(f);
}
END_TEST

/* ---- leadership -------------------------------------------------------------------------------------- */

START_TEST(only_a_leader_sends)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	listen_to_all(f);
	raise_one(f, ADVISORY_EVENT_NEW, "n0");
	advisor_lead(f->advisor, false);
	ck_assert(!RUN_UNTIL(base, 300, f->got.count > 0));
	ck_assert_uint_eq(figures(f).waiting, 1);
	ck_assert_uint_eq(f->rows[0].puts, 1);
	ck_assert(!f->rows[0].done);
	advisor_lead(f->advisor, true);
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));

	/* Retries stop too. */
	ask_api(f, "$JS.API.STREAM.UPDATE.ADV", "{\"name\":\"ADV\",\"subjects\":[\"elsewhere\"]}");
	nats_unsubscribe(&f->sub);
	RUN_UNTIL(base, 50, false);
	raise_one(f, ADVISORY_EVENT_NEW, "n1");
	ck_assert(RUN_UNTIL(base, 3000, f->rows[1].tries == 1));
	advisor_lead(f->advisor, false);
	ck_assert(!RUN_UNTIL(base, 300, f->rows[1].tries > 2));
	ck_assert_uint_le(figures(f).errors, 2);
	finish(f);
}
END_TEST

START_TEST(an_answer_counts_after_leadership_too)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	test_server_kill(&f->server, SIGSTOP);
	raise_one(f, ADVISORY_EVENT_NEW, "n0");
	RUN_UNTIL(base, 100, false);
	ck_assert_uint_eq(outbox_out(f->advisor->outbox), 1);
	advisor_lead(f->advisor, false);
	test_server_kill(&f->server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 2000, f->delivered == 1));
	ck_assert(f->rows[0].done);
	finish(f);
}
END_TEST

/* ---- restart ----------------------------------------------------------------------------------------- */

static void
load(struct fixture *f, const char *id, const char *subject, uint32_t tries, int64_t next_try_ms)
{
	struct proto_advisory row = {.op = ADVISORY_PUT,
				     .id = xstrdup(id),
				     .subject = xstrdup(subject),
				     .body = xstrdup(f->rows[0].body),
				     .tries = tries,
				     .next_try_ms = next_try_ms};

	advisor_load(f->advisor, &row);
	proto_advisory_fini(&row);
}

/* A new process: f->rows hold what the one before has left. */
static void
restart(struct fixture *f)
{
	advisor_free(&f->advisor);
	make_advisor(f);
	f->done = 0;
	f->delivered = f->incidents = 0;
}

START_TEST(goes_on_where_the_last_process_was)
{
	struct fixture *f = begin(true);
	struct row *row = &f->rows[0];

	raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0");
	ck_assert(RUN_UNTIL(base, 3000, row->tries == 4));
	restart(f);
	load(f, row->id, row->subject, row->tries, row->next_try_ms);
	ck_assert_uint_eq(figures(f).waiting, 1);
	ck_assert(!RUN_UNTIL(base, 200, row->tries > 4)); /* it does not lead yet */
	advisor_lead(f->advisor, true);
	/* Told again meanwhile: it waits already. */
	ck_assert(raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0"));
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 1));
	ck_assert_uint_eq(figures(f).errors, 6);
	ck_assert_uint_eq(figures(f).dropped, 1);
	ck_assert_str_eq(f->delivered_last, "n0");
	ck_assert(row->done);
	finish(f);
}
END_TEST

START_TEST(loaded_ones_are_sent)
{
	struct fixture *f = begin(true);

	make_stream(f, "");
	advisor_lead(f->advisor, false);
	raise_many(f, 1);
	restart(f);
	listen_to_all(f);
	load(f, "id0", "sr.advisories.new.n0", 0, wall_ms() - 100000);
	load(f, "id1", "sr.advisories.new.n1", 0, wall_ms() - 100001);
	load(f, "id2", "sr.advisories.new.n2", 99, wall_ms() + 250);
	load(f, "id2", "sr.advisories.new.n2", 1, 0);                    /* twice: once */
	load(f, "id3", "sr.advisories.new.n3", 0, wall_ms() + 99999999); /* at most the longest back-off */
	f->limits.backoff_max_ms = 400;
	advisor_set_limits(f->advisor, &f->limits);
	load(f, "id4", "sr.advisories.new.n4", 0, INT64_MAX / 2);
	ck_assert_uint_eq(figures(f).waiting, 5);
	advisor_lead(f->advisor, true);
	ck_assert(RUN_UNTIL(base, 1000, f->delivered == 2));
	ck_assert(RUN_UNTIL(base, 1000, f->delivered == 5));
	ck_assert_str_eq(f->delivered_last, "n0"); /* as the bodies say */
	ck_assert_uint_eq(f->done, 5);
	ck_assert_uint_eq(figures(f).dropped, 0);
	ck_assert_uint_eq(stored(f), 5);
	ck_assert_str_eq(f->order[0], "n0");
	ck_assert_str_eq(f->order[1], "n1");
	finish(f);
}
END_TEST

START_TEST(rows_that_make_no_sense_go)
{
	struct fixture *f = begin(true);
	char long_id[66];

	make_stream(f, "");
	memset(long_id, 'x', 65);
	long_id[65] = '\0';
	snprintf(f->rows[0].body, sizeof f->rows[0].body, "%s", "no advisory");
	load(f, "a\r\nEvil: 1", "sr.advisories.new.n0", 0, 0);
	load(f, "", "sr.advisories.new.n0", 0, 0);
	load(f, "b", "sr..new", 0, 0);
	load(f, "c", "", 0, 0);
	load(f, "d", "sr.*", 0, 0);
	ck_assert_uint_eq(f->done, 5);
	load(f, long_id, "sr.advisories.new.n0", 0, 0); /* too long for a frame */
	ck_assert_uint_eq(f->done, 5);
	ck_assert_uint_eq(figures(f).waiting, 0);

	/* A body that nobody can read is sent as it is. */
	load(f, "e", "sr.advisories.new.n0", 0, 0);
	ck_assert(RUN_UNTIL(base, 2000, f->done == 6));
	ck_assert_int_eq(f->delivered, 0);
	ck_assert_uint_eq(stored(f), 1);
	finish(f);
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct fixture *f = begin(true);

	f->limits.waiting_max = 10;
	advisor_set_limits(f->advisor, &f->limits);
	make_stream(f, "");
	advisor_lead(f->advisor, false);
	raise_many(f, 10);
	ck_assert_int_eq(f->incidents, 0);
	for (int i = 0; i < 3; i++)
		ck_assert(!raise_one(f, ADVISORY_EVENT_NEW, "more"));
	load(f, "id", "sr.advisories.new.n0", 0, 0);
	ck_assert_int_eq(f->incidents, 1);
	ck_assert_str_eq(f->incident_kind, "advisory_overflow");
	ck_assert_uint_eq(figures(f).dropped, 3);
	ck_assert_uint_eq(figures(f).waiting, 10);
	ck_assert_uint_eq(f->row_count, 10);
	ck_assert(raise_one(f, ADVISORY_EVENT_TIMEOUT, "n0")); /* waits already */
	advisor_lead(f->advisor, true);
	ck_assert(RUN_UNTIL(base, 3000, f->delivered == 10));

	/* The next flood is another incident. */
	advisor_lead(f->advisor, false);
	raise_many(f, 10);
	ck_assert(!raise_one(f, ADVISORY_EVENT_NEW, "more"));
	ck_assert_int_eq(f->incidents, 2);
	finish(f);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("advisor");
	TCase *tc = tcase_create("server");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, core_ones_are_published_at_once);
	tcase_add_test(tc, core_ones_wait_for_the_connection);
	tcase_add_test(tc, core_ones_wait_for_leadership);
	tcase_add_test(tc, core_ones_do_not_wait_for_ever);
	tcase_add_test(tc, core_ones_wait_for_room);
	tcase_add_test(tc, a_core_one_that_is_refused_is_dropped);
	tcase_add_test(tc, reliable_ones_are_stored);
	tcase_add_test(tc, many_keep_their_order);
	tcase_add_test(tc, so_many_are_out_at_once);
	tcase_add_test(tc, an_event_is_stored_once);
	tcase_add_test(tc, a_stream_may_come_later);
	tcase_add_test(tc, only_a_stream_can_take_it);
	tcase_add_test(tc, gives_up_after_ten_tries);
	tcase_add_test(tc, may_raise_again_when_told_of_delivery);
	tcase_add_test(tc, an_outage_is_no_try);
	tcase_add_test(tc, what_was_out_at_a_loss_is_sent_again);
	tcase_add_test(tc, a_server_that_does_not_answer_costs_tries);
	tcase_add_test(tc, only_a_leader_sends);
	tcase_add_test(tc, an_answer_counts_after_leadership_too);
	tcase_add_test(tc, goes_on_where_the_last_process_was);
	tcase_add_test(tc, loaded_ones_are_sent);
	tcase_add_test(tc, rows_that_make_no_sense_go);
	tcase_add_test(tc, memory_is_bounded);
	suite_add_tcase(s, tc);
	return s;
}
