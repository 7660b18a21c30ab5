/* Fuzz target: a line that a client of the control socket sent. */
#include <stdint.h>
#include <stdlib.h>

#include "supervisor/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = ERROR_INIT;
	struct request r;

	if (request_parse((const char *)data, size, &r, &e) == 0) {
		json_t *refusal = request_refusal("%s of %s", r.name, r.topic);

		/* Whatever came in can be said again. */
		if (refusal == NULL || r.verb >= REQUEST_VERB_END)
			abort();
		json_decref(refusal);
	} else if (e.text[0] == '\0') {
		abort();
	}
	request_fini(&r);
	return 0;
}
