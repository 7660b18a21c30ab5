/*
 * Fuzz target: the repair of a header block that the client library has parsed in place. A block that it
 * did not touch comes back as it was.
 */
#include <string.h>

#include "common/nats/rawmsg.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* as the library lays a message out: subject, block, and then data, each with a NUL */
	char *message = malloc(size + 4);
	const char *block;
	size_t len = 0;

	REQUIRE(message != NULL);
	memcpy(message, "s", 2);
	memcpy(message + 2, data, size);
	memcpy(message + 2 + size, "\0", 2);
	for (int body = 1; body >= 0; body--) {
		block = nats_raw_headers(message, NULL, message + 3 + size, (size_t)body, &len);
		if (block == NULL)
			continue;
		REQUIRE(block == message + 2 && len == size);
		if (body == 1 || memchr(data, '\0', size) == NULL)
			REQUIRE(memcmp(block, data, size) == 0);
	}
	free(message);
	return 0;
}
