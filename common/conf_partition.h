/* `partitions`: how many topics a section makes, and what a value is in each of them. */
#ifndef SR_COMMON_CONF_PARTITION_H
#define SR_COMMON_CONF_PARTITION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf_build.h"

#define CONF_PARTITION_TEXT "{{partition}}"

/* Fills b->partitions, before any section is opened; returns how many topics there will be at most. A
 * number that is refused counts as 1; its type reports it, and here is reported what is too many in all. */
size_t conf_partition_find(struct conf_build *b);

/* The text with the number in place of each {{partition}}; the caller frees it. */
char *conf_partition_replace(const char *text, size_t number);

/* What is wrong with a {{…}} in that value of a setting, or NULL. */
const char *conf_partition_reason(const struct conf_build *b, const struct conf_option *o, size_t section,
				  const char *value);

/* Partitions that would copy the same messages or cannot stand beside each other; each problem once. */
void conf_partition_check(const struct conf_build *b, size_t section);

#endif
