/*
 * Durations, sizes and rates as operators write them, in and out of text. Pure.
 *
 * Parsers return 0, or -1 with *e: what is wrong and the cure, without the text itself (the caller names
 * setting and value). Formatters write the shortest exact form, which parses to the same value again; buf
 * holds UNITS_SIZE bytes at least, and is what they return.
 */
#ifndef SR_COMMON_UNITS_H
#define SR_COMMON_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define UNITS_SIZE 64

/* "1h30m": numbers each with one of ms s m h d w M Y (M is 30 days, Y 365). A number without a unit is
 * refused. Milliseconds. */
int units_parse_duration(const char *text, int64_t *ms, struct error *e);
const char *units_format_duration(char *buf, size_t size, int64_t ms);

/* A number, of bytes or with B KiB MiB GiB. */
int units_parse_size(const char *text, uint64_t *bytes, struct error *e);
const char *units_format_size(char *buf, size_t size, uint64_t bytes);

/* A whole number, decimal. */
int units_parse_count(const char *text, uint64_t *count, struct error *e);

struct units_rate {
	double per_second; /* above 0 */
	bool bytes;        /* else messages */
};

/* "1000/s" or "1000" (messages, up to three decimals), "10MiB/s" (bytes). */
int units_parse_rate(const char *text, struct units_rate *rate, struct error *e);
const char *units_format_rate(char *buf, size_t size, struct units_rate rate);

/* true yes on, false no off, in any case of letters. */
int units_parse_bool(const char *text, bool *value, struct error *e);

#endif
