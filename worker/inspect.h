/*
 * What sampling looks at in a message: the value that names its sender, and whether it is to be copied in any
 * case. Pure, over the topic's settings; the rules stand in doc/sampling.md.
 */
#ifndef SR_WORKER_INSPECT_H
#define SR_WORKER_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/sample_value.h"

struct inspector;

/* sampling is borrowed. NULL with *e if a path cannot be used (conf_check has refused it before). */
struct inspector *inspect_new(const struct conf_sampling *sampling, struct error *e);
void inspect_free(struct inspector **i);

struct inspect_message {
	const char *subject;
	const char *headers; /* raw block, NULL for none */
	size_t headers_len;
	const char *data;
	size_t data_len;
};
struct inspect_result {
	struct sample_value value; /* len 0: without a value */
	bool forced;               /* the force field is JSON true */
	bool broken; /* the payload is no JSON as far as it was read, and something is missing */
};
/* Reads the payload only where a field is wanted. */
void inspect_message(const struct inspector *i, const struct inspect_message *m, struct inspect_result *out);

#endif
