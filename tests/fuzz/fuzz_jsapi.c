/* Fuzz target: answers of the JetStream API. The first byte says which reader gets the rest. */
#include <string.h>

#include "common/nats/jsapi.h"
#include "tests/fuzz/fuzz.h"

static void
read_stream(const char *text, size_t len, struct jsapi_error *err, struct error *e)
{
	static const char *const filters[] = {"a.>", "b.*"};
	struct jsapi_stream s;

	if (jsapi_read_stream(text, len, &s, err, e) != 0)
		return;
	REQUIRE(memchr(s.name, '\0', sizeof s.name) != NULL);
	REQUIRE(memchr(s.leader, '\0', sizeof s.leader) != NULL);
	for (size_t count = 0; count <= 2; count++) {
		json_t *config = jsapi_target_config(&s, "TARGET", "prefix", "x", filters, count, 3, e);

		json_decref(config);
	}
	jsapi_stream_fini(&s);
}

static void
read_consumer(const char *text, size_t len, struct jsapi_error *err, struct error *e)
{
	static const char *const filters[] = {"a.>", "b.*"};
	struct jsapi_consumer_request request = {.stream = "S",
						 .name = "c",
						 .durable = true,
						 .filters = filters,
						 .filter_count = 2,
						 .start_seq = 7,
						 .max_ack_pending = 1000};
	struct jsapi_consumer c;
	bool ignored;

	if (jsapi_read_consumer(text, len, &c, err, e) != 0)
		return;
	REQUIRE(memchr(c.name, '\0', sizeof c.name) != NULL);
	(void)jsapi_check_consumer(&request, &c, &ignored, e);
	jsapi_consumer_fini(&c);
}

static void
read_stored(const char *text, size_t len, struct jsapi_error *err, struct error *e)
{
	struct jsapi_stored m;

	if (jsapi_read_stored(text, len, &m, err, e) != 0)
		return;
	REQUIRE(m.subject != NULL);
	REQUIRE(m.headers != NULL || m.headers_len == 0);
	jsapi_stored_fini(&m);
}

static void
read_puback(const char *text, size_t len)
{
	struct jsapi_puback ack;

	if (jsapi_read_puback(text, len, &ack) != 0)
		return;
	REQUIRE(memchr(ack.stream, '\0', sizeof ack.stream) != NULL);
	REQUIRE(memchr(ack.domain, '\0', sizeof ack.domain) != NULL);
	REQUIRE(memchr(ack.error.description, '\0', sizeof ack.error.description) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct jsapi_error err = {0};
	struct error e = ERROR_INIT;

	if (size == 0)
		return 0;
	switch (data[0] % 5) {
	case 0:
		read_stream(text, size - 1, &err, &e);
		break;
	case 1:
		read_consumer(text, size - 1, &err, &e);
		break;
	case 2:
		read_stored(text, size - 1, &err, &e);
		break;
	case 3:
		read_puback(text, size - 1);
		break;
	default:
		(void)jsapi_read_success(text, size - 1, &err, &e);
	}
	return 0;
}
