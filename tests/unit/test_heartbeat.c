/* The heartbeat role against a real server: what stands on the wire, when, and what is said of failures. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"
#include "worker/heartbeat.h"

static struct event_base *base;
static int warnings, infos;
static char last_warning[1024];

static void
take_log(enum log_level level, const char *text, void *arg)
{
	(void)arg;
	warnings += level == LOG_LEVEL_WARN;
	infos += level == LOG_LEVEL_INFO;
	if (level == LOG_LEVEL_WARN)
		snprintf(last_warning, sizeof last_warning, "%s", text);
}

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	warnings = infos = 0;
	log_to_sink(take_log, NULL, LOG_LEVEL_DEBUG);
}

static void
teardown(void)
{
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	event_base_free(base);
	nats_library_stop();
}

/* ---- a heartbeat and who looks at it -------------------------------------------------------------- */

static char site[] = "SITE", subject_a[] = "hb.a", subject_b[] = "hb.b";
static struct conf_header red[] = {{(char[]){"Colour"}, (char[]){"red"}}, {(char[]){"Empty"}, (char[]){""}}};

struct fixture {
	struct test_server server;
	struct conf conf;
	struct conf_heartbeat_subject subjects[2];
	struct heartbeat *heartbeat;
	enum worker_state state;
	char reason[600];
	int states, drained;
	uint64_t published_then; /* when it was drained */
	uint64_t done;           /* serial of the last ROLE_DONE */
	struct owner reader;
	struct nats_sub *subs[2];
	struct got got[2];
};

static void
on_state(void *arg, enum worker_state state, const char *reason)
{
	struct fixture *f = arg;

	f->state = state;
	f->states++;
	snprintf(f->reason, sizeof f->reason, "%s", reason);
}

static void
on_role_done(void *arg, uint64_t serial)
{
	struct fixture *f = arg;

	f->done = serial;
}

static uint64_t
counter(const struct fixture *f, enum proto_counter c)
{
	struct proto_stats stats;

	heartbeat_stats(f->heartbeat, &stats);
	return stats.counter[c];
}

static void
on_drained(void *arg)
{
	struct fixture *f = arg;

	f->drained++;
	f->published_then = counter(f, COUNTER_HEARTBEAT_PUBLISHED);
}

static void ask_api(struct fixture *f, const char *subject, const char *body);

/* Subjects hb.a every 100 ms and hb.b every 250 ms; both are heard by f->got. */
static void
begin(struct fixture *f, bool elected, bool stream)
{
	static const struct heartbeat_reports reports = {on_state, on_role_done, on_drained};
	struct error e = ERROR_INIT;

	memset(f, 0, sizeof *f);
	test_server_start(&f->server, NULL);
	owner_connect(&f->reader, base, f->server.url, NULL);
	for (size_t i = 0; i < array_len(f->got); i++) {
		got_init(&f->got[i]);
		f->subs[i] = nats_conn_subscribe(f->reader.conn, i == 0 ? "hb.a" : "hb.b", got_message,
						 &f->got[i], &e);
		ck_assert_ptr_nonnull(f->subs[i]);
	}
	if (stream)
		ask_api(f, "$JS.API.STREAM.CREATE.HB", "{\"name\":\"HB\",\"subjects\":[\"hb.*\"]}");
	f->subjects[0] = (struct conf_heartbeat_subject){subject_a, 100, red, array_len(red)};
	f->subjects[1] = (struct conf_heartbeat_subject){subject_b, 250, NULL, 0};
	f->conf.name = site;
	f->conf.heartbeat = (struct conf_heartbeat){.set = true,
						    .url = f->server.url,
						    .leader_election = elected,
						    .subjects = f->subjects,
						    .subject_count = 2};
	f->heartbeat = heartbeat_new(base, &f->conf, "node1", &reports, f, &e);
	ck_assert_msg(f->heartbeat != NULL, "%s", e.text);
}

static void
finish(struct fixture *f)
{
	heartbeat_free(&f->heartbeat);
	ck_assert_ptr_null(f->heartbeat);
	for (size_t i = 0; i < array_len(f->got); i++) {
		nats_unsubscribe(&f->subs[i]);
		got_fini(&f->got[i]);
	}
	nats_conn_free(&f->reader.conn);
	test_server_stop(&f->server);
}

static void
api_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	int *answered = arg;

	ck_assert_int_eq(result, NATS_REPLY);
	ck_assert_msg(strstr(m->data, "\"error\"") == NULL, "%s", m->data);
	*answered = 1;
}

static void
ask_api(struct fixture *f, const char *subject, const char *body)
{
	int answered = 0;

	ck_assert_ptr_nonnull(nats_conn_request(f->reader.conn, subject, NULL, 0, body, strlen(body), 5000,
						api_answered, &answered, NULL));
	ck_assert(RUN_UNTIL(base, 6000, answered));
}

static void
role(struct fixture *f, uint64_t serial, bool leader, int64_t lease_ms, bool settle)
{
	const struct proto_role r = {.serial = serial,
				     .leader = leader,
				     .term = 7,
				     .lease_end_ns = mono_add_ms(mono_now(), lease_ms).ns,
				     .settle = settle};

	heartbeat_set_role(f->heartbeat, &r);
}

/* ---- tests ---------------------------------------------------------------------------------------- */

START_TEST(beats_at_each_interval)
{
	struct fixture f;
	struct proto_stats stats;
	int64_t now;

	begin(&f, false, true);
	ck_assert_int_eq(f.states, 0);
	heartbeat_start(f.heartbeat);
	ck_assert_int_eq(f.state, WORKER_CONNECTING);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_COPYING && f.got[0].count > 0));
	f.got[0].count = f.got[1].count = 0;
	RUN_UNTIL(base, 1500, false);
	ck_assert_int_ge(f.got[0].count, 12);
	ck_assert_int_le(f.got[0].count, 16);
	ck_assert_int_ge(f.got[1].count, 4);
	ck_assert_int_le(f.got[1].count, 7);

	now = (int64_t)time(NULL);
	ck_assert_int_le(llabs(now - atoll(f.got[0].data.data)), 2);
	ck_assert_uint_eq(f.got[0].data.len, 10);
	assert_bytes(&f.got[0].headers,
		     "NATS/1.0\r\nChoria-SR-Originator: node1\r\nChoria-SR-Subject: hb.a\r\n"
		     "Colour: red\r\nEmpty: \r\n\r\n",
		     strlen("NATS/1.0\r\nChoria-SR-Originator: node1\r\nChoria-SR-Subject: hb.a\r\n"
			    "Colour: red\r\nEmpty: \r\n\r\n"),
		     0);
	assert_bytes(&f.got[1].headers,
		     "NATS/1.0\r\nChoria-SR-Originator: node1\r\nChoria-SR-Subject: hb.b\r\n\r\n",
		     strlen("NATS/1.0\r\nChoria-SR-Originator: node1\r\nChoria-SR-Subject: hb.b\r\n\r\n"), 1);
	ck_assert(f.got[0].had_reply);

	heartbeat_stats(f.heartbeat, &stats);
	ck_assert_uint_ge(stats.counter[COUNTER_HEARTBEAT_PUBLISHED], 16);
	ck_assert_uint_eq(stats.counter[COUNTER_HEARTBEAT_ERRORS], 0);
	ck_assert(stats.gauge[GAUGE_LAG_MSGS] == PROTO_UNKNOWN);
	ck_assert_int_eq(warnings, 0);
	finish(&f);
}
END_TEST

/* Time of the first n beats of hb.a while the loop is served late. */
static int64_t
beats_take_ms(struct fixture *f, int n)
{
	struct mono begun;

	f->got[0].count = 0;
	ck_assert(RUN_UNTIL(base, 3000, f->got[0].count == 1));
	begun = mono_now();
	while (f->got[0].count < n + 1) {
		usleep(70000);
		loop_turn(base);
	}
	return mono_ms_between(begun, mono_now());
}

START_TEST(does_not_drift_nor_make_up)
{
	struct fixture f;
	int64_t took;

	begin(&f, false, true);
	heartbeat_start(f.heartbeat);
	took = beats_take_ms(&f, 30);
	ck_assert_msg(took > 2900 && took < 3300, "30 beats of 100 ms took %lld ms", (long long)took);

	usleep(1000000);
	f.got[0].count = 0;
	RUN_UNTIL(base, 150, false);
	ck_assert_int_ge(f.got[0].count, 1);
	ck_assert_int_le(f.got[0].count, 3);
	finish(&f);
}
END_TEST

START_TEST(subjects_do_not_beat_at_once)
{
	struct fixture f;

	begin(&f, false, true);
	f.subjects[1].interval_ms = 100;
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.got[0].count > 1 && f.got[1].count > 1));
	/* Half an interval apart: behind each beat there are 30 ms without one of the other subject. */
	for (int i = 0; i < 10; i++) {
		f.got[0].count = f.got[1].count = 0;
		ck_assert(RUN_UNTIL(base, 1000, f.got[0].count + f.got[1].count > 0));
		ck_assert(!RUN_UNTIL(base, 30, f.got[0].count + f.got[1].count > 1));
	}
	finish(&f);
}
END_TEST

START_TEST(says_that_no_stream_listens)
{
	struct fixture f;

	begin(&f, false, false);
	nats_unsubscribe(&f.subs[0]);
	nats_unsubscribe(&f.subs[1]);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_HOLDING));
	ck_assert_msg(strstr(f.reason, "no stream listens") != NULL, "%s", f.reason);
	ck_assert(RUN_UNTIL(base, 3000, counter(&f, COUNTER_HEARTBEAT_ERRORS) >= 10));
	ck_assert_uint_eq(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), 0);
	ck_assert_int_eq(warnings, 2); /* one a subject */
	ck_assert_ptr_nonnull(strstr(last_warning, "no stream listens"));
	infos = 0;
	ask_api(&f, "$JS.API.STREAM.CREATE.HB", "{\"name\":\"HB\",\"subjects\":[\"hb.*\"]}");
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_COPYING));
	ck_assert_str_eq(f.reason, "");
	ck_assert_int_eq(infos, 2);
	ck_assert_uint_gt(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), 0);
	finish(&f);
}
END_TEST

static void
answer_nonsense(void *arg, const struct nats_message *m)
{
	struct fixture *f = arg;

	nats_conn_publish(f->reader.conn, m->reply, NULL, NULL, 0, "thanks", 6, NULL);
}

START_TEST(only_an_answer_of_a_stream_counts)
{
	struct fixture f;
	struct nats_sub *service;

	/* f.subs hear it and say nothing */
	begin(&f, false, false);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 4000, f.state == WORKER_HOLDING));
	ck_assert_msg(strstr(f.reason, "no answer within 2000 ms") != NULL, "%s", f.reason);

	service = nats_conn_subscribe(f.reader.conn, "hb.*", answer_nonsense, &f, NULL);
	ck_assert(RUN_UNTIL(base, 4000, strstr(f.reason, "is no stream") != NULL));
	ck_assert_uint_eq(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), 0);
	nats_unsubscribe(&service);

	ask_api(&f, "$JS.API.STREAM.CREATE.HB",
		"{\"name\":\"HB\",\"subjects\":[\"hb.*\"],\"max_msgs\":2,\"discard\":\"new\"}");
	ck_assert(RUN_UNTIL(base, 4000, strstr(f.reason, "maximum messages exceeded") != NULL));
	ck_assert(RUN_UNTIL(base, 4000, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) == 2));
	finish(&f);
}
END_TEST

/* With a message id of its own for all of them only the first is stored. */
START_TEST(a_duplicate_is_not_published)
{
	static char name[] = "Nats-Msg-Id", value[] = "x";
	struct conf_header id = {name, value};
	struct fixture f;

	begin(&f, false, true);
	heartbeat_free(&f.heartbeat);
	f.subjects[0] = (struct conf_heartbeat_subject){subject_a, 100, &id, 1};
	f.conf.heartbeat.subject_count = 1;
	f.heartbeat =
	    heartbeat_new(base, &f.conf, "node1",
			  &(struct heartbeat_reports){on_state, on_role_done, on_drained}, &f, NULL);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_HOLDING));
	ck_assert_msg(strstr(f.reason, "duplicate") != NULL, "%s", f.reason);
	ck_assert_uint_eq(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), 1);
	finish(&f);
}
END_TEST

START_TEST(says_what_the_server_refused)
{
	struct fixture f;

	begin(&f, false, true);
	test_server_restart(&f.server, "authorization { users = [{user: a, password: b, permissions: {\n"
				       "  publish: { deny: [\"hb.a\"] } } }] }\n");
	f.conf.heartbeat.url = xasprintf("nats://a:b@127.0.0.1:%d", f.server.port);
	heartbeat_free(&f.heartbeat);
	f.heartbeat =
	    heartbeat_new(base, &f.conf, "node1",
			  &(struct heartbeat_reports){on_state, on_role_done, on_drained}, &f, NULL);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 5000, f.state == WORKER_HOLDING));
	ck_assert_msg(strstr(f.reason, "hb.a") != NULL && strstr(f.reason, "ermissions") != NULL, "%s",
		      f.reason);
	ck_assert_uint_gt(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), 0); /* hb.b */
	free(f.conf.heartbeat.url);
	finish(&f);
}
END_TEST

START_TEST(survives_the_loss_of_the_server)
{
	struct fixture f;
	uint64_t published;

	begin(&f, false, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > 2));
	test_server_stop(&f.server);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_CONNECTING));
	ck_assert_str_ne(f.reason, "");
	ck_assert(RUN_UNTIL(base, 3000, counter(&f, COUNTER_HEARTBEAT_ERRORS) >= 20));
	published = counter(&f, COUNTER_HEARTBEAT_PUBLISHED);
	test_server_restart(&f.server, NULL);
	ck_assert(RUN_UNTIL(base, 10000, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > published));
	/* what was missed does not come now: at most the two subjects' next ones */
	ck_assert_uint_le(counter(&f, COUNTER_HEARTBEAT_PUBLISHED), published + 2);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_COPYING));
	ck_assert_uint_ge(counter(&f, COUNTER_RECONNECTIONS), 1);
	finish(&f);
}
END_TEST

START_TEST(never_waits_in_a_frozen_server)
{
	struct fixture f;
	uint64_t errors;

	begin(&f, false, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > 2));
	test_server_kill(&f.server, SIGSTOP);
	ck_assert(RUN_UNTIL(base, 4000, f.state == WORKER_HOLDING));
	ck_assert_msg(strstr(f.reason, "no answer within") != NULL, "%s", f.reason);
	errors = counter(&f, COUNTER_HEARTBEAT_ERRORS);
	ck_assert(RUN_UNTIL(base, 4000, counter(&f, COUNTER_HEARTBEAT_ERRORS) > errors + 5));
	test_server_kill(&f.server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 5000, f.state == WORKER_COPYING));
	finish(&f);
}
END_TEST

/* ---- election ------------------------------------------------------------------------------------- */

START_TEST(publishes_only_while_it_leads)
{
	struct fixture f;
	struct mono told;
	int n;

	begin(&f, true, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_STANDBY));
	ck_assert(!RUN_UNTIL(base, 500, f.got[0].count > 0));

	told = mono_now();
	role(&f, 1, true, 600, false);
	ck_assert_uint_eq(f.done, 1);
	ck_assert_int_eq(f.state, WORKER_COPYING);
	ck_assert(RUN_UNTIL(base, 500, f.got[0].count > 1));

	/* By itself it ends with the lease, whatever the rest of the machine does. */
	ck_assert(RUN_UNTIL(base, 1000, f.state == WORKER_STANDBY));
	ck_assert_int_ge(mono_ms_between(told, mono_now()), 599);
	ck_assert_int_le(mono_ms_between(told, mono_now()), 700);
	RUN_UNTIL(base, 20, false);
	n = f.got[0].count;
	ck_assert(!RUN_UNTIL(base, 300, f.got[0].count > n));

	/* One that has ended already is none; a new one is. */
	role(&f, 2, true, -1, false);
	ck_assert_uint_eq(f.done, 2);
	ck_assert_int_eq(f.state, WORKER_STANDBY);
	role(&f, 3, true, 400, false);
	RUN_UNTIL(base, 300, false);
	role(&f, 4, true, 400, false);
	RUN_UNTIL(base, 300, false);
	ck_assert_int_eq(f.state, WORKER_COPYING);
	ck_assert_int_ge(f.got[0].count, n + 4);
	ck_assert_uint_eq(counter(&f, COUNTER_HEARTBEAT_ERRORS), 0);

	/* Lost: at once. */
	role(&f, 5, false, 0, false);
	ck_assert_uint_eq(f.done, 5);
	ck_assert_int_eq(f.state, WORKER_STANDBY);
	RUN_UNTIL(base, 20, false);
	n = f.got[0].count;
	ck_assert(!RUN_UNTIL(base, 300, f.got[0].count > n));
	finish(&f);
}
END_TEST

START_TEST(unsent_beats_end_with_the_lease)
{
	struct fixture f;
	int n;

	begin(&f, true, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_STANDBY));
	role(&f, 1, true, 700, false);
	ck_assert(RUN_UNTIL(base, 600, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > 1));
	test_server_kill(&f.server, SIGSTOP);
	RUN_UNTIL(base, 200, false);
	ck_assert(RUN_UNTIL(base, 1000, f.state != WORKER_COPYING));
	ck_assert_uint_ge(counter(&f, COUNTER_CONNECTION_CLOSED), 1);
	test_server_kill(&f.server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 5000, f.state == WORKER_STANDBY));
	RUN_UNTIL(base, 100, false);
	n = f.got[0].count;
	ck_assert(!RUN_UNTIL(base, 300, f.got[0].count > n));
	finish(&f);
}
END_TEST

START_TEST(stops_at_the_lease_end_when_it_stood_still)
{
	struct fixture f;
	int n;

	begin(&f, true, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_STANDBY));
	role(&f, 1, true, 300, false);
	ck_assert(RUN_UNTIL(base, 250, f.got[0].count > 0));
	RUN_UNTIL(base, 20, false);
	n = f.got[0].count;
	usleep(500000);
	RUN_UNTIL(base, 300, false);
	ck_assert_int_eq(f.got[0].count, n);
	ck_assert_int_eq(f.state, WORKER_STANDBY);
	finish(&f);
}
END_TEST

START_TEST(settles_before_it_hands_over)
{
	struct fixture f;

	begin(&f, true, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_STANDBY));
	role(&f, 1, true, 10000, false);
	ck_assert(RUN_UNTIL(base, 3000, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > 2));

	/* A beat that is out is waited for, at most until its answer is overdue. */
	test_server_kill(&f.server, SIGSTOP);
	RUN_UNTIL(base, 250, false);
	role(&f, 2, false, 0, true);
	ck_assert_uint_eq(f.done, 1);
	ck_assert_int_eq(f.state, WORKER_STANDBY);
	test_server_kill(&f.server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 1500, f.done == 2));
	ck_assert_uint_eq(counter(&f, COUNTER_HEARTBEAT_ERRORS), 0);

	/* The lease ends that wait, too. */
	role(&f, 3, true, 700, false);
	ck_assert(RUN_UNTIL(base, 3000, f.state == WORKER_COPYING));
	test_server_kill(&f.server, SIGSTOP);
	RUN_UNTIL(base, 300, false);
	role(&f, 4, false, 0, true);
	ck_assert_uint_eq(f.done, 3);
	ck_assert(RUN_UNTIL(base, 600, f.done == 4));
	test_server_kill(&f.server, SIGCONT);
	finish(&f);
}
END_TEST

START_TEST(is_not_led_by_a_role_it_did_not_ask_for)
{
	struct fixture f;

	begin(&f, false, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.got[0].count > 0));
	role(&f, 1, false, 0, false);
	ck_assert_uint_eq(f.done, 0);
	ck_assert_int_eq(f.state, WORKER_COPYING);
	finish(&f);
}
END_TEST

/* ---- life ----------------------------------------------------------------------------------------- */

START_TEST(pauses_and_drains)
{
	struct fixture f;
	uint64_t published;
	int n;

	begin(&f, false, true);
	heartbeat_start(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 3000, f.got[0].count > 1));
	heartbeat_pause(f.heartbeat);
	ck_assert_int_eq(f.state, WORKER_PAUSED);
	RUN_UNTIL(base, 20, false);
	n = f.got[0].count;
	ck_assert(!RUN_UNTIL(base, 300, f.got[0].count > n));
	heartbeat_resume(f.heartbeat);
	ck_assert(RUN_UNTIL(base, 500, f.got[0].count > n));

	/* All that is out is waited for. */
	ck_assert(RUN_UNTIL(base, 500, counter(&f, COUNTER_HEARTBEAT_PUBLISHED) > 2));
	test_server_kill(&f.server, SIGSTOP);
	RUN_UNTIL(base, 300, false);
	published = counter(&f, COUNTER_HEARTBEAT_PUBLISHED);
	heartbeat_drain(f.heartbeat);
	ck_assert_int_eq(f.drained, 0);
	test_server_kill(&f.server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 2000, f.drained == 1));
	ck_assert_uint_ge(f.published_then, published + 3);
	n = f.got[0].count;
	ck_assert(!RUN_UNTIL(base, 300, f.got[0].count > n));
	ck_assert_int_eq(f.drained, 1);
	finish(&f);
}
END_TEST

START_TEST(ends_in_every_state)
{
	struct fixture f;

	begin(&f, false, true);
	heartbeat_drain(f.heartbeat);
	ck_assert_int_eq(f.drained, 1);
	finish(&f);

	begin(&f, true, true);
	heartbeat_start(f.heartbeat);
	role(&f, 1, true, 10000, false);
	ck_assert(RUN_UNTIL(base, 3000, f.got[0].count > 0));
	test_server_kill(&f.server, SIGSTOP);
	RUN_UNTIL(base, 200, false);
	heartbeat_free(&f.heartbeat); /* with answers that have not come */
	RUN_UNTIL(base, 50, false);
	finish(&f);
}
END_TEST

START_TEST(refuses_a_url_that_is_none)
{
	static const struct heartbeat_reports reports = {on_state, on_role_done, on_drained};
	struct conf conf = {.name = site, .heartbeat = {.set = true, .url = (char[]){"foo"}}};
	struct error e = ERROR_INIT;

	ck_assert_ptr_null(heartbeat_new(base, &conf, "node1", &reports, NULL, &e));
	ck_assert_msg(strncmp(e.text, "heartbeat: url", 14) == 0, "%s", e.text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("heartbeat");
	TCase *tc = tcase_create("server");

	tcase_add_unchecked_fixture(tc, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, beats_at_each_interval);
	tcase_add_test(tc, does_not_drift_nor_make_up);
	tcase_add_test(tc, subjects_do_not_beat_at_once);
	tcase_add_test(tc, says_that_no_stream_listens);
	tcase_add_test(tc, only_an_answer_of_a_stream_counts);
	tcase_add_test(tc, a_duplicate_is_not_published);
	tcase_add_test(tc, says_what_the_server_refused);
	tcase_add_test(tc, survives_the_loss_of_the_server);
	tcase_add_test(tc, never_waits_in_a_frozen_server);
	tcase_add_test(tc, publishes_only_while_it_leads);
	tcase_add_test(tc, unsent_beats_end_with_the_lease);
	tcase_add_test(tc, stops_at_the_lease_end_when_it_stood_still);
	tcase_add_test(tc, settles_before_it_hands_over);
	tcase_add_test(tc, is_not_led_by_a_role_it_did_not_ask_for);
	tcase_add_test(tc, pauses_and_drains);
	tcase_add_test(tc, ends_in_every_state);
	tcase_add_test(tc, refuses_a_url_that_is_none);
	suite_add_tcase(s, tc);
	return s;
}
