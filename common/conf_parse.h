/*
 * The grammar: scanned tokens through libconfuse, which knows all settings and sections of the option
 * table, into one list of what was set. What a value means is not looked at here.
 */
#ifndef SR_COMMON_CONF_PARSE_H
#define SR_COMMON_CONF_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf_options.h"
#include "common/conf_scan.h"

struct conf_parsed_value {
	size_t token; /* the value's; its section and key are in the scan */
	char *text;
};

struct conf_parsed {
	struct conf_parsed_value *values; /* in the order of the file */
	size_t value_count;
	bool *complete; /* of each section of the scan: whether its end was reached */
	size_t reached; /* tokens behind this one were not looked at */
};

/*
 * Reports syntax errors and unknown sections, each of which ends the parse, to the scan's report; unknown
 * settings are values like others. Returns false if it did not come to the end.
 */
bool conf_parse(const struct conf_scan *scan, struct conf_parsed *out);
void conf_parsed_fini(struct conf_parsed *p);

/* Reports a name that a section of that kind does not know; what: "setting" or "section". */
void conf_parse_unknown(const struct conf_scan *scan, size_t token, enum conf_section_kind kind,
			const char *what);

/* The kind of a section of the scan, by the names from the top level down to it. */
enum conf_section_kind conf_parse_kind(const struct conf_scan *scan, size_t section);
/* Its row in the table; NULL for the top level and for unknown ones. */
const struct conf_section *conf_parse_section(const struct conf_scan *scan, size_t section);

#endif
