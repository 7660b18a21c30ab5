/* Fuzz target: a line that a client of the control socket sent. */
#include "supervisor/request.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = ERROR_INIT;
	struct request r;

	if (request_parse((const char *)data, size, &r, &e) == 0) {
		json_t *refusal = request_refusal("%s of %s", r.name, r.topic);

		/* Whatever came in can be said again. */
		REQUIRE(refusal != NULL && r.verb < REQUEST_VERB_END);
		json_decref(refusal);
	} else {
		REQUIRE(e.text[0] != '\0');
	}
	request_fini(&r);
	return 0;
}
