/* Fuzz target: the URL of a source or target. A masked URL shows no password and is a URL again. */
#include <string.h>

#include "common/nats/endpoint.h"
#include "common/xalloc.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = xstrndup((const char *)data, size), *masked = endpoint_mask(url);
	struct error e = ERROR_INIT;
	struct endpoint ep, again;

	REQUIRE(masked != NULL);
	if (endpoint_parse(url, NULL, &ep, &e) == 0) {
		REQUIRE(ep.server_count > 0);
		REQUIRE(endpoint_same_system(&ep, &ep));
		REQUIRE(endpoint_parse(masked, NULL, &again, &e) == 0);
		REQUIRE(again.server_count == ep.server_count);
		endpoint_fini(&again);
		endpoint_fini(&ep);
	} else {
		REQUIRE(e.text[0] != '\0');
	}
	free(masked);
	free(url);
	return 0;
}
