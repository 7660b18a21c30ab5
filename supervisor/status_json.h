/* Values of the status as JSON, for the files that build it. */
#ifndef SR_SUPERVISOR_STATUS_JSON_H
#define SR_SUPERVISOR_STATUS_JSON_H

#include <jansson.h>

#include "common/clock.h"
#include "supervisor/child.h"

/* Whatever bytes it has. */
json_t *status_text(const char *value);
/* null for "" */
json_t *status_text_or_null(const char *value);
/* null for PROTO_UNKNOWN */
json_t *status_number(uint64_t value);
/* null for 0 */
json_t *status_number_or_null(uint64_t value);
/* Two digits behind the point are all that means anything; null below 0. */
json_t *status_real(double value);
/* RFC 3339; null for 0 */
json_t *status_time(int64_t epoch_ms);

/*
 * What is wrong with a child, appended in words after label; false if nothing is. Starting and connecting are
 * a trouble only if they last.
 */
bool status_child_problem(const struct child *c, const char *label, struct mono now, struct strbuf *out);

#endif
