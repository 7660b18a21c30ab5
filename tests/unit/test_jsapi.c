/* The JetStream API's JSON, with answers as servers 2.9 and 2.14 give them. */
#include <stdlib.h>
#include <string.h>

#include "common/nats/jsapi.h"
#include "tests/unit/unit.h"

#define JSON(text) text, sizeof text - 1

START_TEST(writes_subjects)
{
	char out[40];

	ck_assert_int_eq(jsapi_subject(out, sizeof out, "", "STREAM.INFO.%s", "S"), 21);
	ck_assert_str_eq(out, "$JS.API.STREAM.INFO.S");
	ck_assert_int_gt(jsapi_subject(out, sizeof out, "hub", "STREAM.INFO.%s", "S"), 0);
	ck_assert_str_eq(out, "$JS.hub.API.STREAM.INFO.S");
	ck_assert_int_gt(jsapi_subject(out, sizeof out, NULL, "INFO"), 0);
	ck_assert_str_eq(out, "$JS.API.INFO");
	ck_assert_int_eq(jsapi_subject(out, 21, "", "STREAM.INFO.%s", "S"), -1);
	ck_assert_int_eq(jsapi_subject(out, 5, "", "STREAM.INFO.%s", "S"), -1);
}
END_TEST

static const char stream_2_9[] =
    "{\"type\":\"io.nats.jetstream.api.v1.stream_info_response\",\"config\":{\"name\":\"S\",\"subjects\":["
    "\"a.\\u003e\",\"b\"],\"retention\":\"workqueue\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":"
    "1000,\"max_age\":60000000000,\"max_msgs_per_subject\":5,\"max_msg_size\":-1,\"discard\":\"new\","
    "\"storage\":\"file\",\"num_replicas\":3,\"duplicate_window\":120000000000,\"allow_direct\":true,"
    "\"mirror_direct\":false,\"sealed\":false,\"deny_delete\":true,\"deny_purge\":false,"
    "\"allow_rollup_hdrs\":true},\"created\":\"2024-05-06T07:08:09.123456789Z\",\"state\":{\"messages\":7,"
    "\"bytes\":77,\"first_seq\":3,\"first_ts\":\"2024-05-06T07:08:10Z\",\"last_seq\":10,\"last_ts\":"
    "\"2024-05-06T07:08:11.5Z\",\"num_deleted\":1,\"num_subjects\":2,\"consumer_count\":0},\"cluster\":{"
    "\"name\":\"C1\",\"leader\":\"n2\",\"replicas\":[]}}";

START_TEST(reads_streams)
{
	struct jsapi_stream s;
	struct jsapi_error err;
	struct error e = ERROR_INIT;

	ck_assert_int_eq(jsapi_read_stream(JSON(stream_2_9), &s, &err, &e), 0);
	ck_assert_str_eq(s.name, "S");
	ck_assert(s.created_ns == INT64_C(1714979289123456789));
	ck_assert_uint_eq(s.first_seq, 3);
	ck_assert_uint_eq(s.last_seq, 10);
	ck_assert_uint_eq(s.messages, 7);
	ck_assert_uint_eq(s.bytes, 77);
	ck_assert_uint_eq(s.num_deleted, 1);
	ck_assert(s.last_time_ns == INT64_C(1714979291500000000));
	ck_assert_int_eq(s.retention, RETENTION_WORKQUEUE);
	ck_assert(s.discard_new && s.deny_delete && s.allow_rollup && s.allow_direct && s.clustered);
	ck_assert(!s.deny_purge && !s.sealed && !s.no_ack && !s.mirror && !s.has_sources);
	ck_assert_int_eq(s.max_msg_size, -1);
	ck_assert_int_eq(s.max_bytes, 1000);
	ck_assert_int_eq(s.max_msgs_per_subject, 5);
	ck_assert_int_eq(s.replicas, 3);
	ck_assert_str_eq(s.leader, "n2");
	jsapi_stream_fini(&s);
}
END_TEST

START_TEST(reads_an_empty_stream_of_a_newer_server)
{
	static const char text[] =
	    "{\"config\":{\"name\":\"S\",\"subject_transform\":{\"src\":\"a\",\"dest\":\"b\"},\"mirror\":{"
	    "\"name\":\"O\"},\"sources\":[{\"name\":\"P\"}],\"no_ack\":true,\"sealed\":true,\"allow_msg_"
	    "ttl\":"
	    "true,\"allow_msg_counter\":true,\"allow_msg_schedules\":true,\"subject_delete_marker_ttl\":1000,"
	    "\"allow_atomic\":true,\"new_thing\":{}},\"created\":\"2024-05-06T07:08:09Z\",\"state\":{"
	    "\"first_ts\":\"0001-01-01T00:00:00Z\",\"last_ts\":\"0001-01-01T00:00:00Z\"}}";
	struct jsapi_stream s;
	struct jsapi_error err;

	ck_assert_int_eq(jsapi_read_stream(JSON(text), &s, &err, NULL), 0);
	ck_assert(s.first_time_ns == 0 && s.last_time_ns == 0 && s.last_seq == 0);
	ck_assert(s.no_ack && s.sealed && s.mirror && s.has_sources && s.allow_msg_ttl);
	ck_assert(s.allow_msg_counter && s.allow_msg_schedules && s.subject_delete_markers);
	ck_assert(s.allow_atomic && s.has_subject_transform && !s.clustered && s.leader[0] == '\0');
	ck_assert_int_eq(s.retention, RETENTION_LIMITS);
	jsapi_stream_fini(&s);
}
END_TEST

START_TEST(reads_errors)
{
	static const char text[] = "{\"type\":\"x\",\"error\":{\"code\":404,\"err_code\":10059,"
				   "\"description\":\"stream not found\"}}";
	struct jsapi_stream s;
	struct jsapi_consumer c;
	struct jsapi_stored m;
	struct jsapi_error err;
	struct error e = ERROR_INIT;

	ck_assert_int_eq(jsapi_read_stream(JSON(text), &s, &err, &e), 1);
	ck_assert_int_eq(err.err_code, JSAPI_STREAM_NOT_FOUND);
	ck_assert_int_eq(err.code, 404);
	ck_assert_str_eq(err.description, "stream not found");
	ck_assert_int_eq(jsapi_read_consumer(JSON(text), &c, &err, &e), 1);
	ck_assert_int_eq(jsapi_read_stored(JSON(text), &m, &err, &e), 1);
	ck_assert_int_eq(jsapi_read_success(JSON(text), &err, &e), 1);
	ck_assert_int_eq(jsapi_read_success(JSON("{\"success\":true}"), &err, &e), 0);
	ck_assert_int_eq(jsapi_read_success(JSON("{\"success\":false}"), &err, &e), -1);
	ck_assert_int_eq(jsapi_read_stream(JSON("{\"error\":{}}"), &s, &err, &e), 1);
	ck_assert_int_ne(err.code, 0);
}
END_TEST

START_TEST(refuses_nonsense)
{
	static const char *const bad[] = {"",
					  "x",
					  "[]",
					  "{}",
					  "{\"config\":1}",
					  "{\"config\":{}}",
					  "null",
					  "{\"message\":1}",
					  "{\"message\":{\"seq\":1,\"data\":\"*\"}}",
					  "{\"message\":{\"seq\":0}}",
					  "{\"message\":{\"seq\":1,\"data\":\"AA==\",\"hdrs\":\"#\"}}"};
	struct jsapi_stream s;
	struct jsapi_stored m;
	struct jsapi_puback p;
	struct jsapi_error err;
	struct error e;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		e = (struct error)ERROR_INIT;
		ck_assert_int_eq(jsapi_read_stream(bad[i], strlen(bad[i]), &s, &err, &e), -1);
		ck_assert_int_eq(e.code, ERR_PROTOCOL);
		ck_assert_int_eq(jsapi_read_stored(bad[i], strlen(bad[i]), &m, &err, &e), -1);
		ck_assert_int_eq(jsapi_read_puback(bad[i], strlen(bad[i]), &p), -1);
	}
}
END_TEST

START_TEST(reads_stored_messages)
{
	/* "NATS/1.0\r\nA: 1\r\n\r\n" and "\0a\xff" */
	static const char text[] =
	    "{\"message\":{\"subject\":\"a.b\",\"seq\":12,\"hdrs\":\"TkFUUy8xLjANCkE6IDENCg0K\",\"data\":"
	    "\"AGH/\",\"time\":\"2024-05-06T07:08:09.5Z\"}}";
	struct jsapi_stored m;
	struct jsapi_error err;

	ck_assert_int_eq(jsapi_read_stored(JSON(text), &m, &err, NULL), 0);
	ck_assert_str_eq(m.subject, "a.b");
	ck_assert_uint_eq(m.seq, 12);
	ck_assert(m.stored_ns == INT64_C(1714979289500000000));
	ck_assert_uint_eq(m.headers_len, 18);
	ck_assert_str_eq(m.headers, "NATS/1.0\r\nA: 1\r\n\r\n");
	ck_assert_uint_eq(m.data_len, 3);
	ck_assert_mem_eq(m.data, "\0a\xff", 3);
	jsapi_stored_fini(&m);
}
END_TEST

START_TEST(reads_base64_of_each_length)
{
	static const char *const encoded[] = {"", "YQ==", "YWI=", "YWJj", "YWJjZA=="};
	static const char plain[] = "abcd";
	struct jsapi_stored m;
	struct jsapi_error err;
	char text[200];
	size_t i;

	for (i = 0; i < sizeof encoded / sizeof encoded[0]; i++) {
		snprintf(text, sizeof text, "{\"message\":{\"seq\":1,\"data\":\"%s\"}}", encoded[i]);
		ck_assert_int_eq(jsapi_read_stored(text, strlen(text), &m, &err, NULL), 0);
		ck_assert_uint_eq(m.data_len, i);
		ck_assert_mem_eq(m.data, plain, i);
		ck_assert_ptr_null(m.headers);
		jsapi_stored_fini(&m);
	}
	/* no data at all: an empty message */
	ck_assert_int_eq(jsapi_read_stored(JSON("{\"message\":{\"seq\":1}}"), &m, &err, NULL), 0);
	ck_assert_uint_eq(m.data_len, 0);
	jsapi_stored_fini(&m);
}
END_TEST

START_TEST(reads_pubacks)
{
	struct jsapi_puback p;

	ck_assert_int_eq(jsapi_read_puback(JSON("{\"stream\":\"S\", \"seq\":17}"), &p), 0);
	ck_assert(p.seq == 17 && !p.duplicate && p.error.code == 0 && p.domain[0] == '\0');
	ck_assert_str_eq(p.stream, "S");
	ck_assert_int_eq(jsapi_read_puback(JSON("{\"stream\":\"S\",\"seq\":18446744073709551615}"), &p), -1);
	ck_assert_int_eq(jsapi_read_puback(
			     JSON("{\"stream\":\"S\",\"seq\":17,\"domain\":\"hub\",\"duplicate\":true}"), &p),
			 0);
	ck_assert(p.seq == 17 && p.duplicate);
	ck_assert_str_eq(p.domain, "hub");
	/* not the usual form */
	ck_assert_int_eq(jsapi_read_puback(JSON("{ \"seq\": 5, \"stream\": \"\\u0041\" }"), &p), 0);
	ck_assert_uint_eq(p.seq, 5);
	ck_assert_str_eq(p.stream, "A");
	ck_assert_int_eq(
	    jsapi_read_puback(JSON("{\"stream\":\"S\",\"seq\":5,\"batch\":\"b\",\"count\":2}"), &p), 0);
	ck_assert_uint_eq(p.seq, 5);
	ck_assert_int_eq(jsapi_read_puback(JSON("{\"error\":{\"code\":400,\"err_code\":10071,\"description\":"
						"\"wrong last sequence: 5\"},\"stream\":\"S\",\"seq\":0}"),
					   &p),
			 0);
	ck_assert_int_eq(p.error.err_code, JSAPI_WRONG_LAST_SEQUENCE);
	ck_assert_str_eq(p.error.description, "wrong last sequence: 5");
	/* cut off */
	ck_assert_int_eq(jsapi_read_puback(JSON("{\"stream\":\"S\", \"seq\":17"), &p), -1);
	ck_assert_int_eq(jsapi_read_puback(JSON("{\"stream\":\"S\", \"seq\":"), &p), -1);
}
END_TEST

static void
assert_writes(const struct jsapi_consumer_request *r, const char *wanted)
{
	struct strbuf b;
	json_t *have, *want;

	strbuf_init(&b);
	jsapi_write_consumer(r, &b);
	have = json_loads(b.data, 0, NULL);
	want = json_loads(wanted, 0, NULL);
	ck_assert_ptr_nonnull(want);
	ck_assert_msg(json_equal(have, want), "%s", b.data);
	json_decref(have);
	json_decref(want);
	strbuf_fini(&b);
}

START_TEST(writes_consumers)
{
	static const char *const filters[] = {"a.>", "b"};
	struct jsapi_consumer_request r = {.stream = "S", .name = "C", .durable = true};

	r.max_ack_pending = 1000;
	r.start_seq = 42;
	r.filters = filters;
	r.filter_count = 1;
	assert_writes(&r, "{\"stream_name\":\"S\",\"config\":{\"name\":\"C\",\"durable_name\":\"C\","
			  "\"ack_policy\":\"all\",\"replay_policy\":\"instant\",\"deliver_policy\":"
			  "\"by_start_sequence\",\"opt_start_seq\":42,\"filter_subject\":\"a.>\","
			  "\"max_ack_pending\":1000}}");
	r.durable = false;
	r.ack_none = r.memory = r.headers_only = true;
	r.start_seq = 0;
	r.start_time_ns = INT64_C(1714979289000000007);
	r.filter_count = 2;
	r.inactive_threshold_ns = 5;
	assert_writes(&r,
		      "{\"stream_name\":\"S\",\"config\":{\"name\":\"C\",\"ack_policy\":\"none\","
		      "\"replay_policy\":\"instant\",\"deliver_policy\":\"by_start_time\","
		      "\"opt_start_time\":\"2024-05-06T07:08:09.000000007Z\",\"filter_subjects\":[\"a.>\","
		      "\"b\"],\"headers_only\":true,\"mem_storage\":true,\"num_replicas\":1,"
		      "\"inactive_threshold\":5}}");
}
END_TEST

static int
check_against(const struct jsapi_consumer_request *r, const char *config, bool *ignored, struct error *e)
{
	struct jsapi_consumer got = {.config = json_loads(config, 0, NULL)};
	int result;

	ck_assert_ptr_nonnull(got.config);
	result = jsapi_check_consumer(r, &got, ignored, e);
	jsapi_consumer_fini(&got);
	return result;
}

START_TEST(compares_what_the_server_made)
{
	static const char *const filters[] = {"a.>", "b"};
	struct jsapi_consumer_request r = {.stream = "S", .name = "C", .durable = true, .start_seq = 42};
	struct error e = ERROR_INIT;
	bool ignored;

	r.filters = filters;
	r.filter_count = 2;
	ck_assert_int_eq(
	    check_against(
		&r,
		"{\"durable_name\":\"C\",\"ack_policy\":\"all\",\"deliver_policy\":\"by_start_sequence\","
		"\"opt_start_seq\":42,\"filter_subjects\":[\"b\",\"a.>\"]}",
		&ignored, &e),
	    0);
	ck_assert(!ignored);
	/* as 2.9 does: no filter at all */
	ck_assert_int_eq(
	    check_against(
		&r,
		"{\"durable_name\":\"C\",\"ack_policy\":\"all\",\"deliver_policy\":\"by_start_sequence\","
		"\"opt_start_seq\":42}",
		&ignored, &e),
	    -1);
	ck_assert(ignored);
	ck_assert_msg(strstr(e.text, "filter_subjects") != NULL, "%s", e.text);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	r.filter_count = 1;
	ck_assert_int_eq(
	    check_against(
		&r,
		"{\"durable_name\":\"C\",\"ack_policy\":\"all\",\"deliver_policy\":\"by_start_sequence\","
		"\"opt_start_seq\":42,\"filter_subject\":\"a.>\"}",
		&ignored, &e),
	    0);
	ck_assert_int_eq(
	    check_against(&r,
			  "{\"durable_name\":\"C\",\"ack_policy\":\"explicit\",\"deliver_policy\":\"all\","
			  "\"filter_subject\":\"a.>\"}",
			  &ignored, &e),
	    -1);
	ck_assert(!ignored);
	ck_assert_msg(strstr(e.text, "ack_policy: asked for all, got explicit") != NULL, "%s", e.text);
	ck_assert_msg(strstr(e.text, "opt_start_seq: asked for 42, got 0") != NULL, "%s", e.text);
}
END_TEST

START_TEST(reads_consumers)
{
	static const char text[] =
	    "{\"stream_name\":\"S\",\"name\":\"C\",\"created\":\"2024-05-06T07:08:09Z\",\"config\":{"
	    "\"max_ack_pending\":1000},\"delivered\":{\"consumer_seq\":4,\"stream_seq\":5},\"ack_floor\":{"
	    "\"consumer_seq\":2,\"stream_seq\":3},\"num_ack_pending\":6,\"num_redelivered\":7,"
	    "\"num_waiting\":8,\"num_pending\":9}";
	struct jsapi_consumer c;
	struct jsapi_error err;

	ck_assert_int_eq(jsapi_read_consumer(JSON(text), &c, &err, NULL), 0);
	ck_assert_str_eq(c.name, "C");
	ck_assert(c.delivered_consumer_seq == 4 && c.delivered_stream_seq == 5);
	ck_assert(c.ack_floor_consumer_seq == 2 && c.ack_floor_stream_seq == 3);
	ck_assert(c.num_ack_pending == 6 && c.num_redelivered == 7 && c.num_waiting == 8);
	ck_assert(c.num_pending == 9 && c.max_ack_pending == 1000);
	jsapi_consumer_fini(&c);
}
END_TEST

START_TEST(writes_pulls)
{
	struct strbuf b;

	strbuf_init(&b);
	jsapi_write_pull(&b, 10, 0, 0, 0);
	ck_assert_str_eq(b.data, "{\"batch\":10}");
	strbuf_reset(&b);
	jsapi_write_pull(&b, 10, 20, 30, 40);
	ck_assert_str_eq(b.data, "{\"batch\":10,\"max_bytes\":20,\"expires\":30,\"idle_heartbeat\":40}");
	strbuf_fini(&b);
}
END_TEST

static void
assert_target(const char *source_config, const char *prefix, const char *remove, const char *const *filters,
	      size_t filter_count, int max_replicas, const char *wanted)
{
	struct strbuf b;
	struct jsapi_stream s;
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	json_t *have, *want;

	strbuf_init(&b);
	strbuf_addf(&b, "{\"config\":%s,\"state\":{},\"created\":\"\"}", source_config);
	ck_assert_int_eq(jsapi_read_stream(b.data, b.len, &s, &err, &e), 0);
	have = jsapi_target_config(&s, "T", prefix, remove, filters, filter_count, max_replicas, &e);
	if (wanted == NULL) {
		ck_assert_ptr_null(have);
		ck_assert_int_eq(e.code, ERR_CONFIG);
	} else {
		want = json_loads(wanted, 0, NULL);
		ck_assert_ptr_nonnull(want);
		ck_assert_msg(json_equal(have, want), "%s", have ? json_dumps(have, 0) : e.text);
		json_decref(want);
	}
	json_decref(have);
	jsapi_stream_fini(&s);
	strbuf_fini(&b);
}

START_TEST(makes_target_configurations)
{
	static const char *const filters[] = {"a.b", "a.>"};

	assert_target(
	    "{\"name\":\"S\",\"subjects\":[\"a.>\",\"b\"],\"retention\":\"limits\",\"storage\":"
	    "\"file\",\"num_replicas\":3,\"no_ack\":true,\"sealed\":true,\"subject_transform\":{},"
	    "\"republish\":{},\"placement\":{},\"allow_msg_counter\":true,\"allow_msg_schedules\":"
	    "true,\"subject_delete_marker_ttl\":5,\"metadata\":{\"_nats.ver\":\"2\",\"own\":\"x\"},"
	    "\"max_bytes\":5,\"max_msg_size\":100,\"unheard_of\":1}",
	    "p", "", NULL, 0, 1,
	    "{\"name\":\"T\",\"subjects\":[\"p.a.>\",\"p.b\"],\"retention\":\"limits\",\"storage\":\"file\","
	    "\"num_replicas\":1,\"metadata\":{\"own\":\"x\"},\"max_bytes\":5}");
	assert_target("{\"name\":\"S\",\"subjects\":[\"a.>\"],\"num_replicas\":3,\"retention\":\"interest\"}",
		      "", "", filters, 2, 5,
		      "{\"name\":\"T\",\"subjects\":[\"a.>\"],\"num_replicas\":3,\"retention\":\"limits\"}");
	/* no subjects to be known */
	assert_target("{\"name\":\"S\",\"mirror\":{\"name\":\"O\"}}", "", "", NULL, 0, 1, NULL);
	/* nothing is left of the subject */
	assert_target("{\"name\":\"S\",\"subjects\":[\"a\"]}", "", "a", NULL, 0, 1, NULL);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("jsapi");
	TCase *tc = tcase_create("json");

	tcase_add_test(tc, writes_subjects);
	tcase_add_test(tc, reads_streams);
	tcase_add_test(tc, reads_an_empty_stream_of_a_newer_server);
	tcase_add_test(tc, reads_errors);
	tcase_add_test(tc, refuses_nonsense);
	tcase_add_test(tc, reads_stored_messages);
	tcase_add_test(tc, reads_base64_of_each_length);
	tcase_add_test(tc, reads_pubacks);
	tcase_add_test(tc, writes_consumers);
	tcase_add_test(tc, compares_what_the_server_made);
	tcase_add_test(tc, reads_consumers);
	tcase_add_test(tc, writes_pulls);
	tcase_add_test(tc, makes_target_configurations);
	suite_add_tcase(s, tc);
	return s;
}
