/* Values of a status and of tables: out of JSON, into words for people, and times into JSON. Pure. */
#ifndef SR_ADMIN_VALUES_H
#define SR_ADMIN_VALUES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

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

/* A time since the epoch in the user's zone, "2026-01-31 12:00:00"; "-" for one that is not known: 0 or less,
 * or behind the year 9999. size: VALUES_TIME_SIZE at least. Returns buf. */
#define VALUES_TIME_SIZE 24
const char *values_time(int64_t epoch_ms, char *buf, size_t size);
/* The same for programs: RFC 3339 in UTC, null for one that is not known. A new reference. */
json_t *values_json_time(int64_t epoch_ms);
/* Of bytes that should be UTF-8; where they are not, escaped. A new reference. */
json_t *values_json_text(const char *text, size_t len);
/* From whole seconds of outsiders: 0 for what is no time. */
int64_t values_ms_of_seconds(int64_t seconds);

#endif
