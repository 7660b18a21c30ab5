/*
 * The value of a message read from its copy: for each way to name it, what compose.c makes of the message
 * shows the same value as the message itself.
 */
#include <string.h>

#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"
#include "worker/compose.h"
#include "worker/copy_value.h"
#include "worker/inspect.h"

struct way {
	enum conf_inspect inspect;
	char name[24]; /* of field or header */
	int32_t token;
	char prefix[12], remove[12];
	bool carried; /* in a header of its own */
};

static struct way ways[] = {
    {INSPECT_FIELD, "data.host", 0, "", "", false},
    {INSPECT_FIELD, "data.host", 0, "far.away", "nodes.", false},
    {INSPECT_HEADER, "Sender", 0, "", "", false},
    {INSPECT_HEADER, "Nats-Msg-Id", 0, "", "", false},      /* renamed, and ours is another */
    {INSPECT_HEADER, "Choria-SR-Source", 0, "", "", false}, /* of the hop before */
    {INSPECT_HEADER, "Nats-TTL", 0, "", "", false},         /* renamed unless the target takes it */
    {INSPECT_HEADER, "Nats-Trace-Dest", 0, "", "", false},  /* always renamed */
    {INSPECT_HEADER, "Nats-Rollup", 0, "", "", true},       /* removed */
    {INSPECT_HEADER, "Nats-Expected-Stream", 0, "", "", true},
    {INSPECT_SUBJECT, "", 2, "", "", false},
    {INSPECT_SUBJECT, "", 2, "far", "", false},
    {INSPECT_SUBJECT, "", 2, "far.away.", "", false},
    {INSPECT_SUBJECT, "", -1, "far", "", false},
    {INSPECT_SUBJECT, "", 2, "", "nodes.", true},
    {INSPECT_SUBJECT, "", -1, "far", "n", true},
};

static const char headers[] = "NATS/1.0\r\nSender: node1\r\nNats-Msg-Id: node1\r\nChoria-SR-Source: node1\r\n"
			      "Nats-TTL: node1\r\nNats-Trace-Dest: node1\r\nNats-Rollup: node1\r\n"
			      "Nats-Expected-Stream: node1\r\nChoria-SR-Value: of an earlier hop\r\n\r\n";
static const char body[] = "{\"data\":{\"host\":\"node1\"}}";

static char here[] = "HERE", title[] = "t", stream[] = "S", nothing[] = "";
static struct conf conf;
static struct conf_topic topic;

static void
set_up(struct way *w)
{
	conf = (struct conf){.name = here};
	topic = (struct conf_topic){
	    .key = title,
	    .stream = stream,
	    .adopt = nothing,
	    .target_name = nothing,
	    .target_subject_prefix = w->prefix,
	    .target_subject_remove = w->remove,
	    .sampling = {.inspect = w->inspect,
			 .field = w->name,
			 .header = w->name,
			 .subject_token = w->token,
			 .force_field = nothing},
	};
}

static void
inspect_source(struct inspect_result *found)
{
	const struct inspect_message m = {"nodes.node1", headers, sizeof headers - 1, body, sizeof body - 1};
	struct inspector *i = inspect_new(&topic.sampling, NULL);

	ck_assert_ptr_nonnull(i);
	inspect_message(i, &m, found);
	ck_assert_uint_gt(found->value.len, 0);
	inspect_free(&i);
}

/* The copy's header block; *subject is its subject. */
static void
copy(struct composer *c, const struct header_policy *policy, const char *value, enum compose_mode mode,
     struct strbuf *block, const char **subject)
{
	const struct compose_source m = {"nodes.node1", headers, sizeof headers - 1, 7, 1700, value};
	const char *lines;
	size_t len;

	compose_set_policy(c, policy);
	compose_set_source_created(c, 1);
	lines = compose_headers(c, &m, mode, 6, &len);
	ck_assert_ptr_nonnull(lines);
	strbuf_adds(block, "NATS/1.0\r\n");
	strbuf_add(block, lines, len);
	strbuf_adds(block, "\r\n");
	*subject = compose_subject(c, m.subject);
	ck_assert_ptr_nonnull(*subject);
}

static void
ck_reads_the_same(const struct header_policy *policy, enum compose_mode mode)
{
	struct composer *c = compose_new(&conf, &topic);
	struct copy_value *v = copy_value_new(&topic, NULL);
	struct nats_message m = {.data = body, .data_len = sizeof body - 1};
	struct inspect_result wanted;
	struct sample_value value;
	struct strbuf block;
	uint64_t size;

	inspect_source(&wanted);
	strbuf_init(&block);
	copy(c, policy, copy_value_needs_line(&topic) ? wanted.value.text : NULL, mode, &block, &m.subject);
	m.headers = block.data;
	m.headers_len = block.len;
	copy_value_read(v, &m, &value, &size);
	ck_assert_str_eq(value.text, wanted.value.text);
	strbuf_fini(&block);
	copy_value_free(&v);
	compose_free(&c);
}

START_TEST(a_copy_shows_the_value)
{
	static const struct header_policy policies[] = {{0}, {true, true, true, true}};

	set_up(&ways[_i]);
	ck_assert_int_eq(copy_value_needs_line(&topic), ways[_i].carried);
	for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
		ck_reads_the_same(&policies[i], COMPOSE_CHAIN);
		ck_reads_the_same(&policies[i], COMPOSE_SUBJECT);
	}
}
END_TEST

START_TEST(the_size_is_that_of_the_body)
{
	static const char block[] = "NATS/1.0\r\nSender: node1\r\nNats-Msg-Size: 4711\r\n\r\n";
	struct nats_message m = {"a", NULL, block, sizeof block - 1, "", 0, NULL};
	struct copy_value *v;
	struct sample_value value;
	uint64_t size;

	set_up(&ways[2]);
	v = copy_value_new(&topic, NULL);
	ck_assert(!copy_value_wants_body(v));
	copy_value_read(v, &m, &value, &size);
	ck_assert_str_eq(value.text, "node1");
	ck_assert_uint_eq(size, 4711);
	copy_value_free(&v);
	set_up(&ways[0]);
	v = copy_value_new(&topic, NULL);
	ck_assert(copy_value_wants_body(v));
	m.data = body;
	m.data_len = sizeof body - 1;
	copy_value_read(v, &m, &value, &size);
	ck_assert_str_eq(value.text, "node1");
	ck_assert_uint_eq(size, sizeof body - 1);
	copy_value_free(&v);
}
END_TEST

/* Messages of other topics, and of before the mapping was changed. */
START_TEST(what_shows_no_value_has_none)
{
	static const char *const subjects[] = {"near.nodes.node1", "fa.nodes.x", "far", "far.",
					       "farther.nodes.x"};
	struct nats_message m = {.data = "", .headers = NULL};
	struct sample_value value;
	struct copy_value *v;
	uint64_t size;

	set_up(&ways[10]);
	v = copy_value_new(&topic, NULL);
	for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
		m.subject = subjects[i];
		copy_value_read(v, &m, &value, &size);
		ck_assert_msg(value.len == 0, "%s: %s", subjects[i], value.text);
	}
	copy_value_free(&v);
	set_up(&ways[13]);
	v = copy_value_new(&topic, NULL);
	m.subject = "node1";
	copy_value_read(v, &m, &value, &size);
	ck_assert_uint_eq(value.len, 0);
	copy_value_free(&v);
}
END_TEST

Suite *
unit_suite(void)
{
	TCase *tc = tcase_create("copy_value");
	Suite *s = suite_create("copy_value");

	tcase_add_loop_test(tc, a_copy_shows_the_value, 0, sizeof ways / sizeof ways[0]);
	tcase_add_test(tc, the_size_is_that_of_the_body);
	tcase_add_test(tc, what_shows_no_value_has_none);
	suite_add_tcase(s, tc);
	return s;
}
