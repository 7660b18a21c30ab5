/*
 * Durations, sizes, rates: text to value and back, for the configuration and the command line. Numbers are
 * read digit by digit with an overflow check, so that nothing depends on the locale and nothing wraps.
 */
#include "common/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"

#define DURATION_CURE "write it with ms s m h d w M or Y, like 90s or 1h30m"
#define SIZE_CURE     "write a number of bytes, or one with B KiB MiB or GiB, like 32MiB"
#define RATE_CURE     "write messages as 1000/s or bytes as 10MiB/s"

struct unit {
	const char *name;
	uint64_t factor;
};

#define SECOND UINT64_C(1000)
#define DAY    (24 * 3600 * SECOND)

static const struct unit duration_units[] = {
    {"ms", 1},  {"s", SECOND},  {"m", 60 * SECOND}, {"h", 3600 * SECOND},
    {"d", DAY}, {"w", 7 * DAY}, {"M", 30 * DAY},    {"Y", 365 * DAY},
};
/* What durations are written in, largest first; the others are exact multiples of these. */
static const struct unit duration_output[] = {
    {"d", DAY}, {"h", 3600 * SECOND}, {"m", 60 * SECOND}, {"s", SECOND}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"B", 1},
};

static const struct unit *
find_unit(const struct unit *units, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(units[i].name) == len && memcmp(units[i].name, name, len) == 0)
			return &units[i];
	return NULL;
}

/* Digits at *p, moved behind them. -1: none, or the number is above INT64_MAX. */
static int
read_number(const char **p, uint64_t *value, struct error *e)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**p))
		return error_set(e, ERR_CONFIG, "not a number");
	for (; isdigit((unsigned char)**p); (*p)++) {
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v) || v > INT64_MAX)
			return error_set(e, ERR_CONFIG, "too large");
	}
	*value = v;
	return 0;
}

int
units_parse_count(const char *text, uint64_t *count, struct error *e)
{
	const char *p = text;
	uint64_t v;

	if (read_number(&p, &v, e) != 0)
		return -1;
	if (*p != '\0')
		return error_set(e, ERR_CONFIG, "not a whole number, write digits only");
	*count = v;
	return 0;
}

int
units_parse_duration(const char *text, int64_t *ms, struct error *e)
{
	const char *p = text;
	uint64_t total = 0;

	if (*p == '\0')
		return error_set(e, ERR_CONFIG, "empty, " DURATION_CURE);
	while (*p != '\0') {
		const struct unit *unit;
		uint64_t v;
		size_t len;

		if (read_number(&p, &v, e) != 0)
			return error_set(e, ERR_CONFIG, "%s, " DURATION_CURE,
					 isdigit((unsigned char)*p) ? "too long" : "not a duration");
		len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (len == 0 && *p == '\0')
			return error_set(e, ERR_CONFIG, "no unit, " DURATION_CURE);
		unit = find_unit(duration_units, array_len(duration_units), p, len);
		if (unit == NULL)
			return error_set(e, ERR_CONFIG, "unknown unit, " DURATION_CURE);
		if (__builtin_mul_overflow(v, unit->factor, &v) || __builtin_add_overflow(total, v, &total) ||
		    total > INT64_MAX)
			return error_set(e, ERR_CONFIG, "too long");
		p += len;
	}
	*ms = (int64_t)total;
	return 0;
}

const char *
units_format_duration(char *buf, size_t size, int64_t ms)
{
	uint64_t rest = ms > 0 ? (uint64_t)ms : 0;
	size_t used = 0;

	if (rest == 0)
		snprintf(buf, size, "0s");
	for (size_t i = 0; i < array_len(duration_output) && rest > 0; i++) {
		uint64_t n = rest / duration_output[i].factor;

		if (n == 0)
			continue;
		used +=
		    (size_t)snprintf(buf + used, size - used, "%" PRIu64 "%s", n, duration_output[i].name);
		rest %= duration_output[i].factor;
	}
	return buf;
}

int
units_parse_size(const char *text, uint64_t *bytes, struct error *e)
{
	const char *p = text;
	const struct unit *unit;
	uint64_t v;

	if (read_number(&p, &v, e) != 0)
		return error_set(e, ERR_CONFIG, "%s, " SIZE_CURE,
				 isdigit((unsigned char)*p) ? "too large" : "not a size");
	unit = *p == '\0' ? &size_units[array_len(size_units) - 1]
			  : find_unit(size_units, array_len(size_units), p, strlen(p));
	if (unit == NULL)
		return error_set(e, ERR_CONFIG, "unknown unit, " SIZE_CURE);
	if (__builtin_mul_overflow(v, unit->factor, &v) || v > INT64_MAX)
		return error_set(e, ERR_CONFIG, "too large");
	*bytes = v;
	return 0;
}

const char *
units_format_size(char *buf, size_t size, uint64_t bytes)
{
	for (size_t i = 0; i < array_len(size_units); i++) {
		if (bytes % size_units[i].factor != 0 || (bytes == 0 && size_units[i].factor != 1))
			continue;
		snprintf(buf, size, "%" PRIu64 "%s", bytes / size_units[i].factor, size_units[i].name);
		break;
	}
	return buf;
}

/* Messages a second: digits, and up to three decimals. */
static int
parse_message_rate(const char *number, double *per_second)
{
	const char *p = number;
	uint64_t whole, thousandths = 0, scale = 100;

	if (read_number(&p, &whole, NULL) != 0 || whole > UINT64_C(1000000000))
		return -1;
	if (*p == '.' && strlen(p) >= 2 && strlen(p) <= 4)
		for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
			thousandths += (uint64_t)(*p - '0') * scale;
	*per_second = (double)(whole * 1000 + thousandths) / 1000;
	return *p == '\0' ? 0 : -1;
}

int
units_parse_rate(const char *text, struct units_rate *rate, struct error *e)
{
	char number[UNITS_SIZE];
	size_t len = strlen(text);
	bool per = len > 2 && strcmp(text + len - 2, "/s") == 0;
	uint64_t bytes;

	if (per)
		len -= 2;
	if (len == 0 || len >= sizeof number)
		return error_set(e, ERR_CONFIG, "not a rate, " RATE_CURE);
	memcpy(number, text, len);
	number[len] = '\0';
	rate->bytes = false;
	if (parse_message_rate(number, &rate->per_second) != 0) {
		if (!per || units_parse_size(number, &bytes, NULL) != 0)
			return error_set(e, ERR_CONFIG, "not a rate, " RATE_CURE);
		rate->bytes = true;
		rate->per_second = (double)bytes;
	}
	if (rate->per_second <= 0)
		return error_set(e, ERR_CONFIG, "nothing would ever be copied, leave it out for no limit");
	return 0;
}

const char *
units_format_rate(char *buf, size_t size, struct units_rate rate)
{
	size_t used;

	if (rate.bytes) {
		units_format_size(buf, size, (uint64_t)rate.per_second);
	} else {
		snprintf(buf, size, "%.3f", rate.per_second);
		used = strlen(buf);
		while (used > 0 && buf[used - 1] == '0')
			buf[--used] = '\0';
		if (used > 0 && buf[used - 1] == '.')
			buf[--used] = '\0';
	}
	used = strlen(buf);
	snprintf(buf + used, size - used, "/s");
	return buf;
}

int
units_parse_bool(const char *text, bool *value, struct error *e)
{
	static const char *const names[][2] = {{"true", "false"}, {"yes", "no"}, {"on", "off"}};

	for (size_t i = 0; i < array_len(names); i++) {
		for (int no = 0; no < 2; no++) {
			if (strcasecmp(text, names[i][no]) != 0)
				continue;
			*value = no == 0;
			return 0;
		}
	}
	return error_set(e, ERR_CONFIG, "want true or false");
}
