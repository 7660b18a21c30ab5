/* An election bucket on a real server: made, judged, written to, watched, lost and found again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "tests/unit/loop.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"
#include "worker/bucket_internal.h"

static char bucket_name[] = "B";
static struct event_base *base;
static struct test_server server;

/* A bucket, its connection, and what it told. */
struct holder {
	struct nats_conn *conn;
	struct bucket *bucket;
	struct conf_election election;
	int usables, anews, unusables, gones;
	int64_t ttl_ms;
	char words[1024], doubt[1024];

	int entries; /* delivered by the watch */
	char key[64], value[64], release[32];
	uint64_t revision;
	bool marker;

	int answers; /* of writes and reads */
	enum lease_answer answer;
	uint64_t answer_revision, answer_op;
	char answer_words[640], read_value[64];
	bool read_none, read_marker;
};

static void
on_usable(void *arg, int64_t ttl_ms, bool anew)
{
	struct holder *h = arg;

	h->usables++;
	h->anews += anew;
	h->ttl_ms = ttl_ms;
	h->words[0] = '\0';
}

static void
on_unusable(void *arg, const char *words, bool gone)
{
	struct holder *h = arg;

	h->unusables++;
	h->gones += gone;
	snprintf(h->words, sizeof h->words, "%s", words);
}

static void
on_doubt(void *arg, const char *words)
{
	struct holder *h = arg;

	snprintf(h->doubt, sizeof h->doubt, "%s", words);
}

static void
on_entry(void *arg, const struct bucket_entry *entry)
{
	struct holder *h = arg;

	h->entries++;
	h->revision = entry->revision;
	h->marker = entry->marker;
	snprintf(h->key, sizeof h->key, "%s", entry->key);
	snprintf(h->value, sizeof h->value, "%.*s", (int)entry->len, entry->data);
	snprintf(h->release, sizeof h->release, "%s", entry->release);
}

static void
on_written(void *arg, uint64_t op, enum lease_answer answer, uint64_t revision, const char *words)
{
	struct holder *h = arg;

	h->answers++;
	h->answer = answer;
	h->answer_op = op;
	h->answer_revision = revision;
	snprintf(h->answer_words, sizeof h->answer_words, "%s", words);
}

static void
on_read(void *arg, uint64_t op, const struct bucket_entry *entry, const char *words)
{
	struct holder *h = arg;

	h->answers++;
	h->answer_op = op;
	h->read_none = entry == NULL;
	snprintf(h->answer_words, sizeof h->answer_words, "%s", words);
	if (entry == NULL)
		return;
	h->read_marker = entry->marker;
	h->answer_revision = entry->revision;
	snprintf(h->read_value, sizeof h->read_value, "%.*s", (int)entry->len, entry->data);
}

static void
conn_up(void *arg)
{
	struct holder *h = arg;

	bucket_up(h->bucket);
}

static void
conn_down(void *arg, bool was_up, const char *reason)
{
	struct holder *h = arg;

	(void)was_up;
	(void)reason;
	bucket_down(h->bucket);
}

static void
conn_error(void *arg, const char *text)
{
	struct holder *h = arg;

	bucket_async_error(h->bucket, text);
}

static void
holder_start_in(struct holder *h, const char *url, const char *domain)
{
	static const struct nats_conn_callbacks callbacks = {conn_up, conn_down, NULL, conn_error};
	static const struct bucket_callbacks of_bucket = {on_usable, on_unusable, on_doubt, on_entry};
	struct endpoint ep;
	struct error e = ERROR_INIT;

	if (h->election.bucket == NULL)
		h->election = (struct conf_election){.bucket = bucket_name, .ttl_ms = 10000, .create = true};
	ck_assert_msg(endpoint_parse(url, NULL, &ep, &e) == 0, "%s", e.text);
	h->conn = nats_conn_new(base, &ep, "election", "unit test", &callbacks, h);
	endpoint_fini(&ep);
	h->bucket = bucket_new(base, h->conn, &h->election, domain, &of_bucket, h);
	nats_conn_start(h->conn);
}

static void
holder_start(struct holder *h, const char *url)
{
	holder_start_in(h, url, "");
}

static void
holder_stop(struct holder *h)
{
	bucket_free(&h->bucket);
	nats_conn_free(&h->conn);
}

static void
holder_usable(struct holder *h)
{
	ck_assert_msg(RUN_UNTIL(base, 5000, h->usables == 1), "%s", h->words);
}

/* ---- a person beside it ------------------------------------------------------------------------------ */

struct reply {
	bool done;
	struct strbuf text;
};

static void
on_reply(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct reply *r = arg;

	r->done = true;
	if (result == NATS_REPLY)
		strbuf_add(&r->text, m->data, m->data_len);
}

/* Asks the API by the holder's connection; the answer as JSON, which the caller decrefs. */
static json_t *
api(struct holder *h, const char *verb, const char *body)
{
	const struct ask_end end = {h->conn, ""};
	struct reply r = {false, {NULL, 0, 0}};
	struct error e = ERROR_INIT;
	json_t *answer;

	strbuf_init(&r.text);
	ck_assert(RUN_UNTIL(base, 5000, nats_conn_is_up(h->conn)));
	ck_assert_ptr_nonnull(ask_api(&end, body, strlen(body), on_reply, &r, &e, "%s", verb));
	ck_assert(RUN_UNTIL(base, 6000, r.done));
	answer = json_loads(r.text.data, 0, NULL);
	ck_assert_msg(answer != NULL, "%s: %s", verb, r.text.data);
	strbuf_fini(&r.text);
	return answer;
}

static void
api_does(struct holder *h, const char *verb, const char *body)
{
	json_t *answer = api(h, verb, body);
	char *text = json_dumps(answer, 0);

	ck_assert_msg(json_object_get(answer, "error") == NULL, "%s: %s", verb, text);
	free(text);
	json_decref(answer);
}

static void
wait_answer(struct holder *h)
{
	int before = h->answers;

	ck_assert(RUN_UNTIL(base, 5000, h->answers > before));
	ck_assert_int_eq(h->answers, before + 1);
}

static enum lease_answer
put(struct holder *h, const char *key, uint64_t revision, const char *value)
{
	static uint64_t op;

	bucket_put(h->bucket, key, revision, value, strlen(value), 2000, on_written, h, ++op);
	wait_answer(h);
	ck_assert_uint_eq(h->answer_op, op);
	return h->answer;
}

static void
read_key(struct holder *h, const char *key)
{
	bucket_read(h->bucket, key, 2000, on_read, h, 7);
	wait_answer(h);
	ck_assert_uint_eq(h->answer_op, 7);
}

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
}

static void
teardown(void)
{
	test_server_stop(&server);
	event_base_free(base);
	nats_library_stop();
}

/* ---- found and made -------------------------------------------------------------------------------- */

static int64_t
number(const json_t *o, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(o, key));
}

START_TEST(makes_a_missing_one)
{
	struct holder h = {0};
	json_t *info, *config;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(h.ttl_ms, 10000);
	ck_assert_int_eq(h.unusables, 0);
	info = api(&h, "STREAM.INFO.KV_B", "");
	config = json_object_get(info, "config");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(config, "subjects"), 0)),
			 "$KV.B.>");
	ck_assert_str_eq(json_string_value(json_object_get(config, "storage")), "file");
	ck_assert_str_eq(json_string_value(json_object_get(config, "discard")), "new");
	ck_assert_int_eq(number(config, "max_msgs_per_subject"), 1);
	ck_assert_int_eq(number(config, "max_age"), INT64_C(10000000000));
	ck_assert_int_eq(number(config, "duplicate_window"), INT64_C(10000000000));
	ck_assert_int_eq(number(config, "num_replicas"), 1);
	ck_assert(json_is_true(json_object_get(config, "allow_rollup_hdrs")));
	ck_assert(json_is_true(json_object_get(config, "deny_delete")));
	ck_assert(json_is_true(json_object_get(config, "allow_direct")));
	json_decref(info);
	holder_stop(&h);
}
END_TEST

START_TEST(replicas_that_cannot_be_had_are_refused)
{
	struct holder h = {
	    .election = {.bucket = bucket_name, .ttl_ms = 10000, .replicas = 3, .create = true}};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	ck_assert(RUN_UNTIL(base, 5000, h.unusables > 0));
	ck_assert_msg(strstr(h.words, "cannot be made with 3 replicas") != NULL, "%s", h.words);
	holder_stop(&h);
}
END_TEST

/* Servers of one cluster, which a third may join. */
static void
start_cluster(struct test_server *servers, const int *ports, int from, int to)
{
	char config[512];

	for (int i = from; i < to; i++) {
		snprintf(config, sizeof config,
			 "server_name: s%d\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: [ "
			 "\"nats://127.0.0.1:%d\", \"nats://127.0.0.1:%d\" ] }\n",
			 i, ports[i], ports[0], ports[1]);
		test_server_start(&servers[i], config);
	}
}

/* As many replicas as there are servers; the third one comes in time, or too late. */
START_TEST(a_cluster_has_time_to_become_complete)
{
	struct test_server servers[3] = {{0}};
	const int ports[3] = {test_free_port(), test_free_port(), test_free_port()};
	struct holder h = {0};
	json_t *info;

	start_cluster(servers, ports, 0, 2);
	holder_start(&h, servers[0].url);
	/* Without a leader of the cluster nobody refuses anything. */
	ck_assert_msg(RUN_UNTIL(base, 30000, strstr(h.words, "cannot be made with 3 replicas") != NULL), "%s",
		      h.words);
	if (_i == 1)
		start_cluster(servers, ports, 2, 3);
	ck_assert_msg(RUN_UNTIL(base, 20000, h.usables == 1), "%s", h.words);
	info = api(&h, "STREAM.INFO.KV_B", "");
	ck_assert_int_eq(number(json_object_get(info, "config"), "num_replicas"), _i == 1 ? 3 : 2);
	json_decref(info);
	holder_stop(&h);
	for (int i = 0; i < 3; i++)
		test_server_stop(&servers[i]);
}
END_TEST

START_TEST(waits_for_one_that_it_may_not_make)
{
	struct holder h = {.election = {.bucket = bucket_name, .ttl_ms = 10000, .create = false}};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	ck_assert(RUN_UNTIL(base, 5000, h.unusables > 0));
	ck_assert_msg(strstr(h.words, "bucket \"B\": it does not exist") != NULL, "%s", h.words);
	ck_assert_msg(strstr(h.words, "create") != NULL, "%s", h.words);
	ck_assert_int_eq(h.gones, 0);
	api_does(&h, "STREAM.CREATE.KV_B",
		 "{\"name\":\"KV_B\",\"subjects\":[\"$KV.B.>\"],\"storage\":\"file\",\"max_age\":3000000000,"
		 "\"duplicate_window\":3000000000,\"max_msgs_per_subject\":1}");
	ck_assert(RUN_UNTIL(base, 6000, h.usables == 1));
	ck_assert_int_eq(h.ttl_ms, 3000);
	holder_stop(&h);
}
END_TEST

/* Usable as soon as a person has cured it, and not before. */
START_TEST(an_unfit_one_is_refused_until_it_is_cured)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	h.election = (struct conf_election){.bucket = bucket_name, .ttl_ms = 10000, .create = false};
	holder_start(&h, server.url);
	api_does(&h, "STREAM.CREATE.KV_B",
		 "{\"name\":\"KV_B\",\"subjects\":[\"$KV.B.>\"],\"storage\":\"file\",\"max_age\":3000000000,"
		 "\"duplicate_window\":3000000000,\"max_msgs_per_subject\":5}");
	ck_assert(RUN_UNTIL(base, 6000, strstr(h.words, "history is 5") != NULL));
	ck_assert_int_eq(h.usables, 0);
	ck_assert_int_eq(put(&h, "a", 0, "x"), LEASE_REFUSED);
	api_does(&h, "STREAM.UPDATE.KV_B",
		 "{\"name\":\"KV_B\",\"subjects\":[\"$KV.B.>\"],\"storage\":\"file\",\"max_age\":3000000000,"
		 "\"duplicate_window\":3000000000,\"max_msgs_per_subject\":1}");
	ck_assert_msg(RUN_UNTIL(base, 7000, h.usables == 1), "%s", h.words);
	holder_stop(&h);
}
END_TEST

START_TEST(another_ttl_is_taken)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	api_does(&h, "STREAM.UPDATE.KV_B",
		 "{\"name\":\"KV_B\",\"subjects\":[\"$KV.B.>\"],\"storage\":\"file\",\"discard\":\"new\","
		 "\"max_age\":4000000000,\"duplicate_window\":4000000000,\"max_msgs_per_subject\":1,"
		 "\"allow_rollup_hdrs\":true,\"deny_delete\":true,\"allow_direct\":true}");
	bucket_look_soon(h.bucket);
	ck_assert(RUN_UNTIL(base, 3000, h.usables == 2));
	ck_assert_int_eq(h.ttl_ms, 4000);
	ck_assert_int_eq(h.anews, 0);
	holder_stop(&h);
}
END_TEST

static void
trouble_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	bucket_look_soon(arg);
}

START_TEST(steady_trouble_does_not_put_a_look_off)
{
	const struct timeval often = {0, 20000};
	struct holder h = {0};
	struct mono looked;
	struct event *timer;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	RUN_UNTIL(base, 1100, false); /* trouble soon after a look has to wait */
	looked = h.bucket->looked;
	timer = event_new(base, -1, EV_PERSIST, trouble_again, h.bucket);
	event_add(timer, &often);
	ck_assert(RUN_UNTIL(base, 3000, h.bucket->looked.ns > looked.ns));
	looked = h.bucket->looked;
	ck_assert(RUN_UNTIL(base, 3000, h.bucket->looked.ns > looked.ns));
	ck_assert_int_ge(mono_ms_between(looked, h.bucket->looked), 900);
	event_free(timer);
	holder_stop(&h);
}
END_TEST

/* ---- written and read ------------------------------------------------------------------------------ */

START_TEST(writes_depend_on_the_revision)
{
	struct holder h = {0};
	uint64_t first, second;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	first = h.answer_revision;
	ck_assert_uint_gt(first, 0);
	ck_assert_int_eq(put(&h, "a", 0, "two"), LEASE_CONFLICT);
	ck_assert_int_eq(put(&h, "a", first + 7, "two"), LEASE_CONFLICT);
	ck_assert_msg(strstr(h.answer_words, "key \"a\"") != NULL, "%s", h.answer_words);
	ck_assert_int_eq(put(&h, "b", 0, "other"), LEASE_APPLIED);
	ck_assert_int_eq(put(&h, "a", first, "two"), LEASE_APPLIED);
	second = h.answer_revision;
	ck_assert_uint_gt(second, first);
	ck_assert_int_eq(put(&h, "a", first, "three"), LEASE_CONFLICT);
	read_key(&h, "a");
	ck_assert(!h.read_none && !h.read_marker);
	ck_assert_str_eq(h.read_value, "two");
	ck_assert_uint_eq(h.answer_revision, second);
	ck_assert_str_eq(h.answer_words, "");
	read_key(&h, "nobody");
	ck_assert(!h.read_none && h.read_marker);
	ck_assert_uint_eq(h.answer_revision, 0);
	holder_stop(&h);
}
END_TEST

START_TEST(markers_are_free_keys)
{
	struct holder h = {0};
	uint64_t held;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	held = h.answer_revision;
	bucket_delete(h.bucket, "a", held + 1, "stop", 2000, on_written, &h, 3);
	wait_answer(&h);
	ck_assert_int_eq(h.answer, LEASE_CONFLICT);
	bucket_delete(h.bucket, "a", held, "step-down", 2000, on_written, &h, 4);
	wait_answer(&h);
	ck_assert_int_eq(h.answer, LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.marker));
	ck_assert_str_eq(h.release, "step-down");
	ck_assert_str_eq(h.key, "a");
	ck_assert_uint_eq(h.revision, h.answer_revision);
	read_key(&h, "a");
	ck_assert(h.read_marker);
	ck_assert_uint_eq(h.answer_revision, h.revision);
	ck_assert_int_eq(put(&h, "a", 0, "two"), LEASE_CONFLICT);
	ck_assert_int_eq(put(&h, "a", h.revision, "two"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, !h.marker));
	ck_assert_str_eq(h.value, "two");
	holder_stop(&h);
}
END_TEST

START_TEST(a_purge_by_hand_is_a_marker_or_nothing)
{
	struct holder h = {0};
	static const char headers[] = "KV-Operation: PURGE\r\nNats-Rollup: sub\r\n";
	struct error e = ERROR_INIT;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 1));
	ck_assert_int_eq(nats_conn_publish(h.conn, "$KV.B.a", NULL, headers, sizeof headers - 1, "", 0, &e),
			 0);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 2));
	ck_assert(h.marker);
	ck_assert_str_eq(h.release, "");
	api_does(&h, "STREAM.PURGE.KV_B", "");
	read_key(&h, "a");
	ck_assert(h.read_marker);
	ck_assert_uint_eq(h.answer_revision, 0);
	holder_stop(&h);
}
END_TEST

START_TEST(keys_expire)
{
	struct holder h = {.election = {.bucket = bucket_name, .ttl_ms = 1000, .create = true}};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert_int_eq(put(&h, "a", 0, "two"), LEASE_CONFLICT);
	RUN_UNTIL(base, 1600, false);
	ck_assert_int_eq(put(&h, "a", 0, "two"), LEASE_APPLIED);
	RUN_UNTIL(base, 1600, false);
	read_key(&h, "a");
	ck_assert(h.read_marker);
	ck_assert_uint_eq(h.answer_revision, 0);
	holder_stop(&h);
}
END_TEST

/* Newer servers can leave a marker where a key expired. */
START_TEST(an_expiry_marker_is_a_free_key)
{
	struct holder h = {.election = {.bucket = bucket_name, .ttl_ms = 1000, .create = false}};

	if (!test_server_at_least(2, 11))
		return;
	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	api_does(&h, "STREAM.CREATE.KV_B",
		 "{\"name\":\"KV_B\",\"subjects\":[\"$KV.B.>\"],\"storage\":\"file\",\"max_age\":1000000000,"
		 "\"duplicate_window\":1000000000,\"max_msgs_per_subject\":1,\"allow_msg_ttl\":true,"
		 "\"subject_delete_marker_ttl\":60000000000,\"allow_rollup_hdrs\":true}");
	ck_assert(RUN_UNTIL(base, 6000, h.usables == 1));
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 5000, h.marker));
	ck_assert_str_eq(h.release, "");
	read_key(&h, "a");
	ck_assert(h.read_marker);
	ck_assert_uint_eq(h.answer_revision, h.revision);
	ck_assert_int_eq(put(&h, "a", h.revision, "two"), LEASE_APPLIED);
	holder_stop(&h);
}
END_TEST

START_TEST(a_bucket_in_a_domain)
{
	struct holder h = {0}, other = {0};
	char config[512], dir[256];
	uint64_t first;

	test_directory(dir, sizeof dir);
	snprintf(config, sizeof config, "jetstream { store_dir: \"%s\", domain: hub }\n", dir);
	test_server_start_at(&server, test_free_port(), false, config);
	holder_start_in(&h, server.url, "hub");
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	first = h.answer_revision;
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 1));
	ck_assert_str_eq(h.key, "a");
	ck_assert_uint_eq(h.revision, first);
	ck_assert_int_eq(put(&h, "a", 0, "two"), LEASE_CONFLICT);
	read_key(&h, "a");
	ck_assert_str_eq(h.read_value, "one");
	bucket_delete(h.bucket, "a", first, "stop", 2000, on_written, &h, 4);
	wait_answer(&h);
	ck_assert_int_eq(h.answer, LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.marker));
	holder_start_in(&other, server.url, "nowhere");
	ck_assert(RUN_UNTIL(base, 4000, other.unusables > 0));
	ck_assert_msg(strstr(other.words, "no JetStream answers") != NULL, "%s", other.words);
	holder_stop(&other);
	holder_stop(&h);
}
END_TEST

/* ---- watched --------------------------------------------------------------------------------------- */

START_TEST(the_watch_begins_with_what_is_there)
{
	struct holder h = {0}, late = {0};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert_int_eq(put(&h, "a", h.answer_revision, "two"), LEASE_APPLIED);
	ck_assert_int_eq(put(&h, "b.c", 0, "three"), LEASE_APPLIED);
	holder_start(&late, server.url);
	ck_assert(RUN_UNTIL(base, 5000, late.entries == 2));
	ck_assert_str_eq(late.key, "b.c");
	ck_assert_str_eq(late.value, "three");
	ck_assert_int_eq(put(&h, "a", 2, "four"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 1000, late.entries == 3));
	ck_assert_str_eq(late.value, "four");
	ck_assert(!RUN_UNTIL(base, 3000, late.entries > 3)); /* heartbeats keep it alive */
	holder_stop(&late);
	holder_stop(&h);
}
END_TEST

START_TEST(a_lost_watch_is_made_anew)
{
	struct holder h = {0};
	char verb[256];
	json_t *list;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 1));
	list = api(&h, "CONSUMER.NAMES.KV_B", "");
	ck_assert_uint_eq(json_array_size(json_object_get(list, "consumers")), 1);
	snprintf(verb, sizeof verb, "CONSUMER.DELETE.KV_B.%s",
		 json_string_value(json_array_get(json_object_get(list, "consumers"), 0)));
	json_decref(list);
	api_does(&h, verb, "");
	ck_assert(RUN_UNTIL(base, 5000, h.entries == 2)); /* the newest of each key once more */
	ck_assert_int_eq(put(&h, "a", h.revision, "two"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 3));
	ck_assert_str_eq(h.value, "two");
	ck_assert_int_eq(h.usables, 1);
	ck_assert_str_eq(h.doubt, "");
	holder_stop(&h);
}
END_TEST

/* A heartbeat that counts more deliveries than came: something was lost on the way. */
START_TEST(a_hole_in_the_watch_is_noticed)
{
	struct holder h = {0};
	static const char heartbeat[] = "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 2\r\n\r\n";
	char verb[256], inbox[128];
	json_t *list, *info;
	int fd;

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 1));
	list = api(&h, "CONSUMER.NAMES.KV_B", "");
	snprintf(verb, sizeof verb, "CONSUMER.INFO.KV_B.%s",
		 json_string_value(json_array_get(json_object_get(list, "consumers"), 0)));
	info = api(&h, verb, "");
	snprintf(inbox, sizeof inbox, "%s",
		 json_string_value(json_object_get(json_object_get(info, "config"), "deliver_subject")));
	json_decref(list);
	json_decref(info);
	fd = raw_client(server.port);
	raw_publish(fd, inbox, "", heartbeat, sizeof heartbeat - 1, "", 0);
	ck_assert(RUN_UNTIL(base, 2000, h.entries == 2));
	close(fd);
	ck_assert_str_eq(h.value, "one");
	ck_assert_str_eq(h.doubt, "");
	holder_stop(&h);
}
END_TEST

/* ---- lost and found -------------------------------------------------------------------------------- */

START_TEST(a_deleted_one_is_made_again)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	api_does(&h, "STREAM.DELETE.KV_B", "");
	ck_assert_int_eq(put(&h, "a", h.answer_revision, "two"), LEASE_UNKNOWN);
	ck_assert(RUN_UNTIL(base, 5000, h.usables == 2));
	ck_assert_int_eq(h.gones, 1);
	ck_assert_int_eq(h.anews, 1);
	ck_assert_int_eq(put(&h, "a", 0, "three"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 5000, strcmp(h.value, "three") == 0));
	holder_stop(&h);
}
END_TEST

/* An answer is no proof that it was our bucket that stored it. */
START_TEST(another_stream_may_take_its_subjects)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	h.election = (struct conf_election){.bucket = bucket_name, .ttl_ms = 10000, .create = true};
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	api_does(&h, "STREAM.DELETE.KV_B", "");
	api_does(&h, "STREAM.CREATE.X", "{\"name\":\"X\",\"subjects\":[\"$KV.B.>\"]}");
	ck_assert_int_eq(put(&h, "b", 0, "two"), LEASE_UNKNOWN);
	ck_assert(RUN_UNTIL(base, 5000, strstr(h.words, "cannot be made") != NULL));
	ck_assert_msg(strstr(h.words, "overlap") != NULL, "%s", h.words);
	ck_assert_int_eq(h.gones, 1);
	holder_stop(&h);
}
END_TEST

/* Nobody writes: the silence of the watch tells. */
START_TEST(a_deleted_one_is_missed_at_rest)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	h.election = (struct conf_election){.bucket = bucket_name, .ttl_ms = 10000, .create = true};
	holder_start(&h, server.url);
	holder_usable(&h);
	h.election.create = false;
	ck_assert(RUN_UNTIL(base, 2000, h.bucket->watch != NULL));
	api_does(&h, "STREAM.DELETE.KV_B", "");
	ck_assert(RUN_UNTIL(base, 6000, h.gones == 1));
	ck_assert_msg(strstr(h.words, "was deleted") != NULL, "%s", h.words);
	ck_assert(!bucket_is_usable(h.bucket));
	RUN_UNTIL(base, 1500, false);
	ck_assert_int_eq(h.gones, 1);
	holder_stop(&h);
}
END_TEST

START_TEST(comes_back_with_the_server)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, h.entries == 1));
	bucket_put(h.bucket, "a", 1, "two", 3, 2000, on_written, &h, 9);
	test_server_stop(&server);
	wait_answer(&h);
	ck_assert(h.answer == LEASE_UNKNOWN || h.answer == LEASE_APPLIED);
	ck_assert(RUN_UNTIL(base, 3000, !bucket_is_usable(h.bucket)));
	ck_assert_int_eq(put(&h, "a", 1, "two"), LEASE_REFUSED);
	bucket_read(h.bucket, "a", 2000, on_read, &h, 1);
	wait_answer(&h);
	ck_assert(h.read_none);
	test_server_restart(&server, NULL);
	ck_assert(RUN_UNTIL(base, 8000, h.usables == 2));
	ck_assert_int_eq(h.anews, 0);
	ck_assert(RUN_UNTIL(base, 5000, h.entries >= 2));
	ck_assert_str_eq(h.key, "a");
	holder_stop(&h);
}
END_TEST

/* ---- rights ---------------------------------------------------------------------------------------- */

static void
start_with_denied(struct holder *h, const char *denied)
{
	char config[512], url[128];

	snprintf(config, sizeof config,
		 "authorization { users: [ {user: all, password: x}, {user: some, password: x, "
		 "permissions: {publish: {deny: \"%s\"}}} ] }\n",
		 denied);
	test_server_start(&server, config);
	snprintf(url, sizeof url, "nats://some:x@127.0.0.1:%d", server.port);
	holder_start(h, url);
}

START_TEST(may_not_look)
{
	struct holder h = {0};

	start_with_denied(&h, "$JS.API.STREAM.INFO.>");
	ck_assert(RUN_UNTIL(base, 4000, h.unusables > 0));
	ck_assert_msg(strstr(h.words, "bucket \"B\"") != NULL, "%s", h.words);
	ck_assert_msg(strcasestr(h.words, "permissions violation") != NULL, "%s", h.words);
	ck_assert_msg(strstr(h.words, "STREAM.INFO.KV_B") != NULL, "%s", h.words);
	holder_stop(&h);
}
END_TEST

START_TEST(may_not_make)
{
	struct holder h = {0};

	start_with_denied(&h, "$JS.API.STREAM.CREATE.>");
	ck_assert(RUN_UNTIL(base, 4000, h.unusables > 0));
	ck_assert_msg(strstr(h.words, "STREAM.CREATE.KV_B") != NULL, "%s", h.words);
	ck_assert_msg(strstr(h.words, "by hand") != NULL, "%s", h.words);
	holder_stop(&h);
}
END_TEST

START_TEST(may_not_watch)
{
	struct holder h = {0};

	start_with_denied(&h, "$JS.API.CONSUMER.CREATE.>");
	ck_assert(RUN_UNTIL(base, 4000, h.doubt[0] != '\0'));
	ck_assert_msg(strstr(h.doubt, "cannot be watched") != NULL, "%s", h.doubt);
	ck_assert_msg(strstr(h.doubt, "CONSUMER.CREATE.KV_B") != NULL, "%s", h.doubt);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_APPLIED);
	holder_stop(&h);
}
END_TEST

START_TEST(may_not_write)
{
	struct holder h = {0};

	start_with_denied(&h, "$KV.>");
	holder_usable(&h);
	ck_assert_int_eq(put(&h, "a", 0, "one"), LEASE_REFUSED);
	ck_assert_msg(strstr(h.answer_words, "bucket \"B\", key \"a\"") != NULL, "%s", h.answer_words);
	ck_assert_msg(strcasestr(h.answer_words, "permissions violation") != NULL, "%s", h.answer_words);
	holder_stop(&h);
}
END_TEST

START_TEST(may_not_read)
{
	struct holder h = {0};

	start_with_denied(&h, "$JS.API.STREAM.MSG.GET.>");
	holder_usable(&h);
	read_key(&h, "a");
	ck_assert(h.read_none);
	ck_assert_msg(strstr(h.answer_words, "STREAM.MSG.GET.KV_B") != NULL, "%s", h.answer_words);
	holder_stop(&h);
}
END_TEST

/* Freed with everything under way. */
START_TEST(may_be_freed_at_any_time)
{
	struct holder h = {0};

	test_server_start(&server, NULL);
	holder_start(&h, server.url);
	bucket_put(h.bucket, "a", 0, "x", 1, 2000, on_written, &h, 1);
	holder_stop(&h);
	memset(&h, 0, sizeof h);
	holder_start(&h, server.url);
	holder_usable(&h);
	bucket_put(h.bucket, "a", 0, "x", 1, 2000, on_written, &h, 1);
	bucket_read(h.bucket, "a", 2000, on_read, &h, 2);
	holder_stop(&h);
	RUN_UNTIL(base, 200, false);
	ck_assert_int_eq(h.answers, 0);
}
END_TEST

static TCase *
server_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_unchecked_fixture(t, test_servers_begin, test_servers_end);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t;
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("bucket");
	TCase *t = server_case(s, "found");

	tcase_add_test(t, makes_a_missing_one);
	tcase_add_test(t, replicas_that_cannot_be_had_are_refused);
	tcase_add_loop_test(t, a_cluster_has_time_to_become_complete, 0, 2);
	tcase_add_test(t, waits_for_one_that_it_may_not_make);
	tcase_add_test(t, an_unfit_one_is_refused_until_it_is_cured);
	tcase_add_test(t, another_ttl_is_taken);
	tcase_add_test(t, steady_trouble_does_not_put_a_look_off);
	t = server_case(s, "written");
	tcase_add_test(t, writes_depend_on_the_revision);
	tcase_add_test(t, markers_are_free_keys);
	tcase_add_test(t, a_purge_by_hand_is_a_marker_or_nothing);
	tcase_add_test(t, keys_expire);
	tcase_add_test(t, an_expiry_marker_is_a_free_key);
	tcase_add_test(t, a_bucket_in_a_domain);
	t = server_case(s, "watched");
	tcase_add_test(t, the_watch_begins_with_what_is_there);
	tcase_add_test(t, a_lost_watch_is_made_anew);
	tcase_add_test(t, a_hole_in_the_watch_is_noticed);
	t = server_case(s, "lost");
	tcase_add_test(t, a_deleted_one_is_made_again);
	tcase_add_test(t, another_stream_may_take_its_subjects);
	tcase_add_test(t, a_deleted_one_is_missed_at_rest);
	tcase_add_test(t, comes_back_with_the_server);
	tcase_add_test(t, may_be_freed_at_any_time);
	t = server_case(s, "rights");
	tcase_add_test(t, may_not_look);
	tcase_add_test(t, may_not_make);
	tcase_add_test(t, may_not_watch);
	tcase_add_test(t, may_not_write);
	tcase_add_test(t, may_not_read);
	return s;
}
