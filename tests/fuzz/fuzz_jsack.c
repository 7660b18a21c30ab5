/* Fuzz target: the reply subject of a delivery. What is read can be written and read again. */
#include <inttypes.h>
#include <string.h>

#include "common/jsack.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *reply = malloc(size + 1), again[256];
	struct jsack a, b;

	REQUIRE(reply != NULL);
	memcpy(reply, data, size);
	reply[size] = '\0';
	if (jsack_parse(reply, &a) == 0) {
		REQUIRE(a.stored_ns >= 0);
		snprintf(again, sizeof again,
			 "$JS.ACK._.h.S.c.%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRId64 ".%" PRIu64 ".x",
			 a.delivered, a.stream_seq, a.consumer_seq, a.stored_ns, a.pending);
		REQUIRE(jsack_parse(again, &b) == 0);
		REQUIRE(memcmp(&a, &b, sizeof a) == 0);
	}
	free(reply);
	return 0;
}
