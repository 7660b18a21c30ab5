/* Values of a status: out of its JSON, and into words for people. Pure. */
#ifndef SR_ADMIN_VALUES_H
#define SR_ADMIN_VALUES_H

#include <jansson.h>
#include <stddef.h>

/* "" where it is missing or no text; borrowed from o. */
const char *values_text(const json_t *o, const char *key);
/* The same, but "-" where there is nothing to show. */
const char *values_shown(const json_t *o, const char *key);
/* -1 for what is not known. */
double values_number(const json_t *o, const char *key);

/* "2 h 5 m", "3.2 s", "-" for a negative time. Returns buf. */
const char *values_duration(double seconds, char *buf, size_t size);
/* "12,345,678". Returns buf. */
const char *values_count(json_int_t value, char *buf, size_t size);
/* The same for the number at key, "-" if there is none. */
const char *values_count_of(const json_t *o, const char *key, char *buf, size_t size);

#endif
