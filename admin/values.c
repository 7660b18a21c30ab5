/* Values of a status for people. Pure code of the user's commands; a status of another version may lack
 * anything. */
#include "admin/values.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"

#define YEAR_10000_MS INT64_C(253402300800000)

const char *
values_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

const char *
values_shown(const json_t *o, const char *key)
{
	const char *text = values_text(o, key);

	return text[0] != '\0' ? text : "-";
}

double
values_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : -1;
}

const char *
values_count(json_int_t value, char *buf, size_t size)
{
	char digits[32];
	size_t len, out = 0;

	snprintf(digits, sizeof digits, "%lld", (long long)value);
	len = strlen(digits);
	for (size_t i = 0; i < len && out + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

const char *
values_duration(double seconds, char *buf, size_t size)
{
	static const struct {
		double seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

	if (seconds < 0) {
		snprintf(buf, size, "-");
		return buf;
	}
	if (seconds < 60) {
		snprintf(buf, size, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
		return buf;
	}
	for (size_t i = 0; i + 1 < sizeof units / sizeof units[0]; i++) {
		double whole = floor(seconds / units[i].seconds);

		if (whole < 1)
			continue;
		snprintf(buf, size, "%.0f %c %.0f %c", whole, units[i].unit,
			 floor((seconds - whole * units[i].seconds) / units[i + 1].seconds),
			 units[i + 1].unit);
		break;
	}
	return buf;
}

const char *
values_count_of(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		return values_count(json_integer_value(v), buf, size);
	snprintf(buf, size, "-");
	return buf;
}

json_t *
values_json_text(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	struct strbuf clean;

	if (value != NULL)
		return value;
	strbuf_init(&clean);
	text_clean(&clean, text, len);
	value = json_stringn(clean.data, clean.len);
	strbuf_fini(&clean);
	return value;
}

/* ---- times --------------------------------------------------------------------------------------- */

static bool
is_known(int64_t epoch_ms)
{
	return epoch_ms > 0 && epoch_ms < YEAR_10000_MS;
}

const char *
values_time(int64_t epoch_ms, char *buf, size_t size)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm tm;

	if (!is_known(epoch_ms) || localtime_r(&seconds, &tm) == NULL ||
	    strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, size, "-");
	return buf;
}

json_t *
values_json_time(int64_t epoch_ms)
{
	char buf[RFC3339_SIZE];

	return is_known(epoch_ms) ? json_string(rfc3339_format(buf, sizeof buf, epoch_ms)) : json_null();
}

int64_t
values_ms_of_seconds(int64_t seconds)
{
	return seconds > 0 && seconds < YEAR_10000_MS / 1000 ? seconds * 1000 : 0;
}
