/* A status for people. Pure: JSON in, text out. */
#ifndef SR_ADMIN_STATUS_TABLE_H
#define SR_ADMIN_STATUS_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "common/strbuf.h"

/* Appends the table. Whatever is missing or of another type is shown as "-". */
void status_table(struct strbuf *out, const json_t *status, bool color);

/* "2 h 5 m", "3.2 s", "-" for a negative time. Returns buf. */
const char *status_duration(double seconds, char *buf, size_t size);
/* "12,345,678". Returns buf. */
const char *status_count(json_int_t value, char *buf, size_t size);

#endif
