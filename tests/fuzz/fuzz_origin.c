/* Fuzz target: an origin's value, and a block that may hold one. What is read can be written again. */
#include <string.h>

#include "common/origin.h"
#include "tests/fuzz/fuzz.h"

static void
check(const struct origin *o)
{
	char value[1024];
	struct origin again;
	int len = origin_format(o, value, sizeof value);

	REQUIRE(len > 0);
	REQUIRE(o->seq == -1 || o->seq > 0);
	REQUIRE(o->stored_ms >= -1);
	REQUIRE(origin_parse(value, (size_t)len, &again) == 0);
	REQUIRE(again.seq == o->seq && again.stored_ms == o->stored_ms);
	REQUIRE(strcmp(again.stream, o->stream) == 0);
	REQUIRE(strcmp(again.site, o->site) == 0);
	REQUIRE(strcmp(again.topic, o->topic) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct origin o;

	if (origin_parse(text, size, &o) == 0)
		check(&o);
	if (origin_from_headers(text, size, &o) == 0)
		check(&o);
	return 0;
}
