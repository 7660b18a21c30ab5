/*
 * What sampling looks at in a message: the value that names its sender, and whether it is to be copied in any
 * case. Pure, over the topic's settings; the rules stand in doc/sampling.md.
 *
 * Field: a string without its escapes, a number as written, true and false as these words; null, an object, a
 * list, an empty string are no value. How a field is found, and what of a broken payload counts: json_scan.h.
 * Header: what header_find() gives for the name, of several lines the first; its value is without the blanks
 * around it, with folded lines as they are. Subject: the token of that number, counted from 1 (a subject with
 * fewer has no value), or the whole. All of them get the form of sample_value.h.
 *
 * The force field is looked for in the payload whatever the value is taken from.
 */
#ifndef SR_WORKER_INSPECT_H
#define SR_WORKER_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/sample_value.h"

struct inspector;

/* sampling is borrowed for the inspector's life. NULL with *e if a path cannot be used (conf_check has
 * refused it before). */
struct inspector *inspect_new(const struct conf_sampling *sampling, struct error *e);
void inspect_free(struct inspector **i);

/* What names the values, as a number that is not 0: of another place, values of the same text are others. */
uint32_t inspect_identity(const struct conf_sampling *sampling);

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
	/* The payload is no JSON as far as it was read, and a field that was wanted may stand where it could
	 * not be read. Never of a payload that is empty or was not read. */
	bool broken;
};
/* Reads the payload only where a field is wanted, and only until the last one is found. */
void inspect_message(const struct inspector *i, const struct inspect_message *m, struct inspect_result *out);

#endif
