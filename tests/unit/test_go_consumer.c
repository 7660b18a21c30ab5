/* The existing tool's consumer: what it is called, and where one can be kept. */
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/go_consumer.h"
#include "worker/sink.h"

static void
ck_named(const char *key, const char *name)
{
	char out[GO_CONSUMER_NAME];

	go_consumer_name(key, out, sizeof out);
	ck_assert_str_eq(out, name);
}

START_TEST(it_is_named_as_the_tool_names_it)
{
	ck_named("cmdb", "SR_cmdb");
	ck_named("SR_cmdb", "SR_SR_cmdb");
	/* that tool asks the wrong way round whether its prefix is there */
	ck_named("SR_", "SR_");
	ck_named("SR", "SR");
	ck_named("S", "S");
	ck_named("sr", "SR_sr");
}
END_TEST

START_TEST(it_is_kept_on_limits_streams)
{
	static char key[] = "cmdb", own[] = "cmdb_NODE_DATA", same[] = "SR_cmdb";
	struct conf_topic topic = {.key = key, .name = own};
	struct jsapi_stream stream = {.retention = RETENTION_LIMITS};
	const char *why = NULL;

	ck_assert(go_consumer_fits(&topic, &stream, &why));
	stream.retention = RETENTION_WORKQUEUE;
	ck_assert(!go_consumer_fits(&topic, &stream, &why));
	ck_assert_ptr_nonnull(strstr(why, "work-queue"));
	stream.retention = RETENTION_INTEREST;
	ck_assert(!go_consumer_fits(&topic, &stream, &why));
	ck_assert_ptr_nonnull(strstr(why, "interest"));
	stream.retention = RETENTION_LIMITS;
	topic.name = same;
	ck_assert(!go_consumer_fits(&topic, &stream, &why));
	ck_assert_ptr_nonnull(strstr(why, "set name"));
	topic.name = own;
	topic.ephemeral = true;
	ck_assert(!go_consumer_fits(&topic, &stream, &why));
	ck_assert_ptr_nonnull(strstr(why, "ephemeral"));
}
END_TEST

/* Another instance's barrier is heard at the target; it is no writer. */
START_TEST(a_barrier_is_known_by_what_it_expects)
{
	static const struct {
		const char *block;
		bool is;
	} cases[] = {
	    {"NATS/1.0\r\nNats-Expected-Last-Sequence: 9223372036854775807\r\n\r\n", true},
	    {"NATS/1.0\r\nNats-Expected-Last-Sequence: 922337203685477580\r\n\r\n", false},
	    {"NATS/1.0\r\nNats-Expected-Last-Sequence: 7\r\n\r\n", false},
	    {"NATS/1.0\r\nX: 9223372036854775807\r\n\r\n", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_int_eq(sink_is_barrier(cases[i].block, strlen(cases[i].block)), cases[i].is);
	ck_assert(!sink_is_barrier(NULL, 0));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("go_consumer");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, it_is_named_as_the_tool_names_it);
	tcase_add_test(tc, it_is_kept_on_limits_streams);
	tcase_add_test(tc, a_barrier_is_known_by_what_it_expects);
	suite_add_tcase(s, tc);
	return s;
}
