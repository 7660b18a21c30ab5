/*
 * Types of settings that only a topic or its TLS section has: where to start and resume, and what is checked
 * and not kept. Used by the configuration's loader and printer only. A refused value leaves the fields as
 * they were.
 */
#include "common/conf_value.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/units.h"

/* ---- where to start -------------------------------------------------------------------------------- */

static int
parse_start_sequence(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;
	uint64_t seq;

	if (units_parse_count(text, &seq, e) != 0 || conf_value_check_bounds(o, (int64_t)seq, e) != 0)
		return -1;
	t->start_sequence = seq;
	t->start = START_SEQUENCE;
	return 0;
}

static bool
print_start_sequence(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		     struct strbuf *out)
{
	const struct conf_topic *t = base;

	(void)o;
	(void)mode;
	if (t->start == START_SEQUENCE)
		strbuf_addf(out, "%" PRIu64, t->start_sequence);
	return t->start == START_SEQUENCE;
}

static int
parse_start_time(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;
	int64_t ns;

	(void)o;
	if (rfc3339_parse(text, &ns) != 0 || ns < 0)
		return error_set(e, ERR_CONFIG, "no RFC 3339 time, want one like 2026-01-31T12:00:00Z");
	t->start_time_ms = ns / 1000000;
	t->start = START_TIME;
	return 0;
}

static bool
print_start_time(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	const struct conf_topic *t = base;
	char buf[RFC3339_SIZE];

	(void)o;
	(void)mode;
	if (t->start == START_TIME)
		conf_value_write(out, rfc3339_format(buf, sizeof buf, t->start_time_ms));
	return t->start == START_TIME;
}

static int
parse_start_delta(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;

	if (conf_type_duration.parse(o, text, base, e) != 0)
		return -1;
	t->start = START_DELTA;
	return 0;
}

static bool
print_start_delta(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		  struct strbuf *out)
{
	const struct conf_topic *t = base;

	return t->start == START_DELTA && conf_type_duration.print(o, base, mode, out);
}

static int
parse_start_at_end(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;
	bool at_end;

	(void)o;
	if (units_parse_bool(text, &at_end, e) != 0)
		return -1;
	if (at_end)
		t->start = START_AT_END;
	return 0;
}

static bool
print_start_at_end(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		   struct strbuf *out)
{
	const struct conf_topic *t = base;

	(void)o;
	(void)mode;
	if (t->start == START_AT_END)
		strbuf_adds(out, "true");
	return t->start == START_AT_END;
}

static int
parse_resume(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;
	uint64_t seq;

	(void)o;
	if (strcmp(text, "target") == 0) {
		t->resume_from = RESUME_TARGET;
	} else if (strcmp(text, "checkpoint") == 0) {
		t->resume_from = RESUME_CHECKPOINT;
	} else if (units_parse_count(text, &seq, NULL) == 0 && seq > 0) {
		t->resume_from = RESUME_SEQUENCE;
		t->resume_sequence = seq;
	} else {
		return error_set(e, ERR_CONFIG, "want target, checkpoint or a source sequence from 1 on");
	}
	return 0;
}

static bool
print_resume(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	const struct conf_topic *t = base;

	(void)o;
	(void)mode;
	if (t->resume_from == RESUME_SEQUENCE)
		strbuf_addf(out, "%" PRIu64, t->resume_sequence);
	else if (t->resume_from != RESUME_NONE)
		strbuf_adds(out, t->resume_from == RESUME_TARGET ? "target" : "checkpoint");
	return t->resume_from != RESUME_NONE;
}

/* ---- checked and not kept -------------------------------------------------------------------------- */

static int
parse_one_worker(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	uint64_t count;

	(void)o;
	(void)base;
	if (units_parse_count(text, &count, e) != 0)
		return -1;
	if (count == 0)
		return error_set(e, ERR_CONFIG, "want 1");
	return count == 1 ? 0 : error_set(e, ERR_CONFIG, CONF_LATER_TEXT ", want 1");
}

static int
parse_partitions(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	uint64_t count;

	(void)base;
	if (units_parse_count(text, &count, e) != 0)
		return -1;
	return conf_value_check_bounds(o, count > INT64_MAX ? INT64_MAX : (int64_t)count, e);
}

static int
parse_tls_scheme(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	(void)o;
	(void)base;
	if (strcmp(text, "puppet") == 0)
		return error_set(e, ERR_CONFIG, CONF_LATER_TEXT ", want manual");
	return strcmp(text, "manual") == 0 ? 0 : error_set(e, ERR_CONFIG, "want manual");
}

static int
parse_ignored(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	bool value;

	(void)o;
	(void)base;
	return units_parse_bool(text, &value, e);
}

static bool
print_nothing(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	(void)o;
	(void)base;
	(void)mode;
	(void)out;
	return false;
}

/* ---- the types ------------------------------------------------------------------------------------- */

const struct conf_type conf_type_start_sequence = {.argument = "sequence",
						   .parse = parse_start_sequence,
						   .print = print_start_sequence,
						   .print_number = conf_value_count_number};
const struct conf_type conf_type_start_time = {
    .argument = "time", .parse = parse_start_time, .print = print_start_time};
const struct conf_type conf_type_start_delta = {.argument = "duration",
						.parse = parse_start_delta,
						.print = print_start_delta,
						.print_number = conf_value_duration_number};
const struct conf_type conf_type_start_at_end = {
    .argument = "true | false", .parse = parse_start_at_end, .print = print_start_at_end};
const struct conf_type conf_type_resume = {
    .argument = "target | checkpoint | sequence", .parse = parse_resume, .print = print_resume};
const struct conf_type conf_type_one_worker = {
    .argument = "1", .parse = parse_one_worker, .print = print_nothing};
/* What it makes is there in its place: topics. */
const struct conf_type conf_type_partitions = {.argument = "number",
					       .parse = parse_partitions,
					       .print = print_nothing,
					       .print_number = conf_value_count_number};
const struct conf_type conf_type_tls_scheme = {
    .argument = "manual", .parse = parse_tls_scheme, .print = print_nothing};
const struct conf_type conf_type_ignored = {
    .argument = "true | false", .parse = parse_ignored, .print = print_nothing};
