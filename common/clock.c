/* Reading clocks and writing times; used by every process. */
#include "common/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct mono
mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){(int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec};
}

int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *
rfc3339_format(char *buf, size_t size, int64_t epoch_ms)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	int ms = (int)(epoch_ms % 1000);
	struct tm tm;
	size_t used;

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	used = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + used, size - used, ".%03dZ", ms);
	return buf;
}

/* Reads the fraction after the seconds, "." and digits, if there is one; returns where it ends. */
static const char *
parse_fraction(const char *p, int64_t *ns)
{
	int64_t scale = 100000000;

	*ns = 0;
	if (*p != '.')
		return p;
	for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
		*ns += (*p - '0') * scale;
	return p;
}

/* "Z" or "+hh:mm" at p, and nothing behind it. */
static int
parse_zone(const char *p, int64_t *offset_seconds)
{
	int hours, minutes, used = 0;
	char sign;

	*offset_seconds = 0;
	if ((*p == 'Z' || *p == 'z') && p[1] == '\0')
		return 0;
	if (sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || p[used] != '\0')
		return -1;
	if ((sign != '+' && sign != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -1;
	*offset_seconds = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return 0;
}

int
rfc3339_parse(const char *text, int64_t *epoch_ns)
{
	struct tm tm = {0};
	int64_t fraction_ns, offset_seconds, ns;
	const char *p;

	p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p == NULL)
		return -1;
	p = parse_fraction(p, &fraction_ns);
	if (parse_zone(p, &offset_seconds) != 0)
		return -1;
	if (__builtin_mul_overflow((int64_t)timegm(&tm) - offset_seconds, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, fraction_ns, &ns))
		return -1; /* not between the years 1678 and 2262 */
	*epoch_ns = ns;
	return 0;
}
