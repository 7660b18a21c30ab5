/*
 * Fuzz target: the repair of a header block that the client library has parsed in place. A block that it
 * did not touch stays as it was, and a byte that is no NUL is never changed.
 */
#include <string.h>

#include "common/nats/rawmsg.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *block = malloc(size + 1);

	REQUIRE(block != NULL);
	memcpy(block, data, size);
	raw_repair(block, size);
	for (size_t i = 0; i < size; i++)
		REQUIRE(block[i] == (char)data[i] || data[i] == '\0');
	free(block);
	return 0;
}
