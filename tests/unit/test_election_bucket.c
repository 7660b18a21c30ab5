/* Buckets of elections: which cannot serve and why, how one is made, how its messages read. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/nats/election_bucket.h"
#include "tests/unit/unit.h"

static char bucket_name[] = "B";

static struct conf_election
election(void)
{
	return (struct conf_election){.bucket = bucket_name, .ttl_ms = 10000, .create = true};
}

/* Checks the bucket as it would be made, with the given settings in the place of its own. */
static int
check_with(const char *changes, struct error *e)
{
	struct conf_election el = election();
	struct jsapi_stream stream = {0};
	struct jsapi_error err;
	struct strbuf config, info;
	json_t *whole;
	char *text;
	int result;

	strbuf_init(&config);
	strbuf_init(&info);
	election_bucket_write_create(&el, 3, &config);
	whole = json_loads(config.data, 0, NULL);
	ck_assert_ptr_nonnull(whole);
	json_object_update_new(whole, json_loads(changes, 0, NULL));
	text = json_dumps(whole, 0);
	strbuf_addf(&info, "{\"config\":%s,\"state\":{},\"created\":\"2026-01-02T03:04:05Z\"}", text);
	free(text);
	json_decref(whole);
	ck_assert_int_eq(jsapi_read_stream(info.data, info.len, &stream, &err, e), 0);
	result = election_bucket_check(&el, &stream, e);
	jsapi_stream_fini(&stream);
	strbuf_fini(&config);
	strbuf_fini(&info);
	return result;
}

START_TEST(what_is_made_will_do)
{
	struct error e = ERROR_INIT;

	ck_assert_msg(check_with("{}", &e) == 0, "%s", e.text);
	ck_assert_msg(check_with("{\"storage\":\"memory\"}", &e) == 0, "%s", e.text);
	ck_assert_msg(check_with("{\"num_replicas\":1}", &e) == 0, "%s", e.text);
	ck_assert_msg(check_with("{\"max_age\":1000000000}", &e) == 0, "%s", e.text);
	ck_assert_msg(check_with("{\"max_age\":3600000000000}", &e) == 0, "%s", e.text);
	ck_assert_msg(check_with("{\"max_bytes\":1000}", &e) == 0, "%s", e.text);
}
END_TEST

static const struct {
	const char *changes, *word, *cure;
} refusals[] = {
    {"{\"max_age\":0}", "no TTL", "1s to 1h"},
    {"{\"max_age\":999000000}", "TTL is 999ms", "1s to 1h"},
    {"{\"max_age\":3601000000000}", "TTL is 1h1s", "max_age of stream KV_B"},
    {"{\"max_msgs_per_subject\":5}", "history is 5", "max_msgs_per_subject"},
    {"{\"max_msgs_per_subject\":-1}", "history is unlimited", "max_msgs_per_subject"},
    {"{\"storage\":\"memory\",\"num_replicas\":1}", "memory", "3 replicas"},
    {"{\"subjects\":[\"orders.>\"]}", "no bucket", "name another"},
    {"{\"subjects\":[\"$KV.B.a\"]}", "no bucket", "name another"},
    {"{\"sealed\":true}", "sealed", "name another"},
    {"{\"mirror\":{\"name\":\"KV_A\"}}", "mirror", "name the bucket it mirrors"},
    {"{\"sources\":[{\"name\":\"KV_A\"}]}", "sources", "name another"},
    {"{\"no_ack\":true}", "no_ack", "change that"},
    {"{\"retention\":\"workqueue\"}", "retention", "name another"},
    {"{\"retention\":\"interest\"}", "retention", "name another"},
    {"{\"discard_new_per_subject\":true}", "replace a key", "change that"},
    {"{\"discard\":\"old\",\"max_bytes\":1000}", "oldest keys", "discard = new"},
    {"{\"discard\":\"old\",\"max_msgs\":10}", "oldest keys", "discard = new"},
    {"{\"max_msg_size\":20}", "20 bytes", "raise max_msg_size"},
    {"{\"allow_msg_counter\":true}", "counters", "name another"},
    {"{\"subject_transform\":{\"src\":\">\",\"dest\":\"x.>\"}}", "other names", "name another"},
};

START_TEST(says_why_another_will_not)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(check_with(refusals[_i].changes, &e), -1);
	ck_assert_msg(strstr(e.text, "bucket \"B\"") == e.text, "%s", e.text);
	ck_assert_msg(strstr(e.text, refusals[_i].word) != NULL, "%s", e.text);
	ck_assert_msg(strstr(e.text, refusals[_i].cure) != NULL, "%s", e.text);
}
END_TEST

START_TEST(names_and_subjects)
{
	char out[64];

	ck_assert_int_eq(election_bucket_stream(out, sizeof out, "B"), 4);
	ck_assert_str_eq(out, "KV_B");
	election_bucket_subject(out, sizeof out, "", "B", "a.b");
	ck_assert_str_eq(out, "$KV.B.a.b");
	election_bucket_subject(out, sizeof out, "hub", "B", "a");
	ck_assert_str_eq(out, "$JS.hub.API.$KV.B.a");
	election_bucket_announce_subject(out, sizeof out, "B");
	ck_assert_str_eq(out, "choria.stream-replicator.election.B");
	ck_assert_int_eq(election_bucket_stream(out, 4, "B"), -1);
	ck_assert_str_eq(election_bucket_key("B", "$KV.B.a.b"), "a.b");
	ck_assert_ptr_null(election_bucket_key("B", "$KV.BB.a"));
	ck_assert_ptr_null(election_bucket_key("B", "$KV.B."));
	ck_assert_ptr_null(election_bucket_key("B", "_INBOX.x"));
}
END_TEST

static bool
is_marker(const char *headers, char *release)
{
	return election_bucket_is_marker(headers, strlen(headers), release, 32);
}

START_TEST(markers)
{
	char release[32];

	ck_assert(!election_bucket_is_marker(NULL, 0, release, sizeof release));
	ck_assert(!is_marker("NATS/1.0\r\nOther: DEL\r\n\r\n", release));
	ck_assert(!is_marker("NATS/1.0\r\nKV-Operation: PUT\r\n\r\n", release));
	ck_assert(is_marker("NATS/1.0\r\nKV-Operation: DEL\r\n\r\n", release));
	ck_assert_str_eq(release, "");
	ck_assert(is_marker("NATS/1.0\r\nKV-Operation: PURGE\r\nNats-Rollup: sub\r\n\r\n", release));
	ck_assert(is_marker("NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 10s\r\n\r\n", release));
	ck_assert(
	    is_marker("NATS/1.0\r\nKV-Operation: DEL\r\nChoria-SR-Release: step-down\r\n\r\n", release));
	ck_assert_str_eq(release, "step-down");
}
END_TEST

START_TEST(replicas)
{
	struct conf_election el = election();
	struct jsapi_error none = {500, 10074, ""}, other = {400, 10025, ""};
	struct strbuf config;

	ck_assert_uint_eq(election_bucket_replicas(&el), 3);
	el.replicas = 1;
	ck_assert_uint_eq(election_bucket_replicas(&el), 1);
	ck_assert(election_bucket_refused_replicas(&none));
	ck_assert(!election_bucket_refused_replicas(&other));
	strbuf_init(&config);
	el.ttl_ms = 600000;
	election_bucket_write_create(&el, 2, &config);
	ck_assert_ptr_nonnull(strstr(config.data, "\"num_replicas\":2"));
	ck_assert_ptr_nonnull(strstr(config.data, "\"duplicate_window\":120000000000"));
	strbuf_fini(&config);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_bucket");
	TCase *t = tcase_create("bucket");

	tcase_add_test(t, what_is_made_will_do);
	tcase_add_loop_test(t, says_why_another_will_not, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(t, names_and_subjects);
	tcase_add_test(t, markers);
	tcase_add_test(t, replicas);
	suite_add_tcase(s, t);
	return s;
}
