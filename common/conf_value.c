/*
 * Types of settings; each is a parser, a printer and what frees it. Used by the configuration's loader and
 * printer only. A refused value leaves the field as it was.
 */
#include "common/conf_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_lex.h"
#include "common/nats/endpoint.h"
#include "common/subject.h"
#include "common/units.h"
#include "common/xalloc.h"

#define FILTERS_MAX 1000

/* The field of an option in what its section is kept in. */
#define FIELD(type, o, base)       ((type *)(void *)((char *)(base) + (o)->offset))
#define CONST_FIELD(type, o, base) ((type const *)(const void *)((const char *)(base) + (o)->offset))

/* ---- helpers --------------------------------------------------------------------------------------- */

void
conf_value_write(struct strbuf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";

	if (*text != '\0' && text[strspn(text, plain)] == '\0')
		strbuf_adds(out, text);
	else
		conf_lex_quote(text, out);
}

int
conf_value_check_bounds(const struct conf_option *o, int64_t value, struct error *e)
{
	struct strbuf min, max;

	if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max))
		return 0;
	strbuf_init(&min);
	strbuf_init(&max);
	o->type->print_number(o->min, &min);
	o->type->print_number(o->max, &max);
	error_set(e, ERR_CONFIG, "out of bounds, want %s to %s", min.data, max.data);
	strbuf_fini(&min);
	strbuf_fini(&max);
	return -1;
}

bool
conf_word_valid(const char *text, const char *also)
{
	size_t len = strlen(text);

	if (len == 0 || len > SUBJECT_NAME_MAX)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr(also, *p) != NULL)
			return false;
	return true;
}

bool
conf_header_name_valid(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == ':')
			return false;
	return len > 0 && len <= SUBJECT_NAME_MAX;
}

/* ---- texts ----------------------------------------------------------------------------------------- */

int
conf_value_set_text(const struct conf_option *o, const char *text, void *base)
{
	char **field = FIELD(char *, o, base);

	free(*field);
	*field = xstrdup(text);
	return 0;
}

static int
parse_text(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	(void)e;
	return conf_value_set_text(o, text, base);
}

/* Empty is not set, unless that is what the default says. */
bool
conf_value_print_text(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		      struct strbuf *out)
{
	const char *text = *CONST_FIELD(char *, o, base);

	(void)mode;
	if (*text == '\0' && o->initial == NULL)
		return false;
	conf_value_write(out, text);
	return true;
}

void
conf_value_clear_text(const struct conf_option *o, void *base)
{
	char **field = FIELD(char *, o, base);

	free(*field);
	*field = NULL;
}

static int
parse_site(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (*text != '\0' && !conf_word_valid(text, ",:"))
		return error_set(
		    e, ERR_CONFIG,
		    "no name of a site: up to 255 characters, without blanks, commas and colons");
	return conf_value_set_text(o, text, base);
}

static int
parse_name(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (*text != '\0' && !subject_name_valid(text))
		return error_set(e, ERR_CONFIG,
				 "no valid name: up to 255 characters, without blanks and any of . * > / \\");
	return conf_value_set_text(o, text, base);
}

static int
parse_subject(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (*text != '\0' && !subject_valid(text))
		return error_set(
		    e, ERR_CONFIG,
		    "no valid subject: words between dots, none empty, without blanks and wildcards");
	return conf_value_set_text(o, text, base);
}

static bool
has_wildcard(const char *text)
{
	const char *p = text;

	for (size_t len; *p != '\0'; p += len + (p[len] == '.')) {
		len = strcspn(p, ".");
		if (len == 1 && (*p == '*' || *p == '>'))
			return true;
	}
	return false;
}

static int
parse_prefix(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	size_t len = strlen(text);
	char *trimmed = xstrndup(text, len > 1 && text[len - 1] == '.' ? len - 1 : len);
	bool valid = len == 0 || subject_valid(trimmed);

	free(trimmed);
	if (!valid)
		return error_set(
		    e, ERR_CONFIG,
		    "cannot begin a subject: words between dots, none empty, without blanks and wildcards");
	return conf_value_set_text(o, text, base);
}

static int
parse_remove(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (text[strcspn(text, " \t")] != '\0' || has_wildcard(text))
		return error_set(e, ERR_CONFIG,
				 "can stand in no subject, which has neither blanks nor wildcards");
	return conf_value_set_text(o, text, base);
}

static int
parse_adopt(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	const char *colon = strchr(text, ':');
	char *site = colon == NULL ? xstrdup("") : xstrndup(text, (size_t)(colon - text));
	bool valid = conf_word_valid(site, ",:") && conf_word_valid(colon + 1, "");

	free(site);
	if (*text != '\0' && !valid)
		return error_set(e, ERR_CONFIG,
				 "want site:topic, the names that stand in the copies' headers");
	return conf_value_set_text(o, text, base);
}

static int
parse_key(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (*text != '\0' && !subject_key_valid(text))
		return error_set(
		    e, ERR_CONFIG,
		    "no valid key: up to 255 letters, digits and any of - _ / = . with no dot at "
		    "the ends and no two in a row");
	return conf_value_set_text(o, text, base);
}

static int
parse_bucket(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	if (!subject_bucket_valid(text))
		return error_set(e, ERR_CONFIG,
				 "no valid name of a bucket: up to 200 letters, digits and any of - _");
	return conf_value_set_text(o, text, base);
}

static int
parse_url(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct endpoint ep;

	if (endpoint_parse(text, NULL, &ep, e) != 0)
		return -1;
	endpoint_fini(&ep);
	return conf_value_set_text(o, text, base);
}

static bool
print_url(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	const char *text = *CONST_FIELD(char *, o, base);
	char *masked;

	if (*text == '\0')
		return false;
	masked = mode == CONF_PRINT_SECRET ? xstrdup(text) : endpoint_mask(text);
	conf_value_write(out, masked);
	free(masked);
	return true;
}

/* ---- filters --------------------------------------------------------------------------------------- */

/* Servers refuse filters of one consumer that overlap. */
static int
check_filter(const struct conf_topic *t, const char *text, struct error *e)
{
	if (!subject_filter_valid(text))
		return error_set(e, ERR_CONFIG,
				 "no valid filter: words between dots, none empty, * for one word, > at the "
				 "end for any more");
	if (t->filter_count == FILTERS_MAX)
		return error_set(e, ERR_CONFIG, "more than %d filters", FILTERS_MAX);
	for (size_t i = 0; i < t->filter_count; i++) {
		if (strcmp(t->filter_subjects[i], text) == 0)
			return error_set(e, ERR_CONFIG, "given twice, leave one out");
		if (subject_filters_overlap(t->filter_subjects[i], text))
			return error_set(e, ERR_CONFIG,
					 "overlaps \"%.200s\", which servers refuse, leave one out",
					 t->filter_subjects[i]);
	}
	return 0;
}

static int
parse_filters(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;

	(void)o;
	if (check_filter(t, text, e) != 0)
		return -1;
	t->filter_subjects = xrealloc(t->filter_subjects, (t->filter_count + 1) * sizeof *t->filter_subjects);
	t->filter_subjects[t->filter_count++] = xstrdup(text);
	return 0;
}

static bool
print_filters(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	const struct conf_topic *t = base;

	(void)o;
	(void)mode;
	if (t->filter_count == 0)
		return false;
	if (t->filter_count > 1)
		strbuf_adds(out, "{");
	for (size_t i = 0; i < t->filter_count; i++) {
		strbuf_adds(out, i > 0 ? ", " : "");
		conf_lex_quote(t->filter_subjects[i], out);
	}
	if (t->filter_count > 1)
		strbuf_adds(out, "}");
	return true;
}

static void
clear_filters(const struct conf_option *o, void *base)
{
	struct conf_topic *t = base;

	(void)o;
	for (size_t i = 0; i < t->filter_count; i++)
		free(t->filter_subjects[i]);
	free(t->filter_subjects);
	t->filter_subjects = NULL;
	t->filter_count = 0;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static int
parse_bool(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	return units_parse_bool(text, FIELD(bool, o, base), e);
}

static bool
print_bool(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	(void)mode;
	strbuf_adds(out, *CONST_FIELD(bool, o, base) ? "true" : "false");
	return true;
}

static int
parse_duration(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	int64_t ms;

	if (units_parse_duration(text, &ms, e) != 0 || conf_value_check_bounds(o, ms, e) != 0)
		return -1;
	*FIELD(int64_t, o, base) = ms;
	return 0;
}

void
conf_value_duration_number(int64_t value, struct strbuf *out)
{
	char buf[UNITS_SIZE];

	strbuf_adds(out, units_format_duration(buf, sizeof buf, value));
}

static bool
print_duration(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	int64_t ms = *CONST_FIELD(int64_t, o, base);

	(void)mode;
	if (ms == 0 && o->initial == NULL)
		return false;
	conf_value_duration_number(ms, out);
	return true;
}

static int
parse_size(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	uint64_t bytes;

	if (units_parse_size(text, &bytes, e) != 0 || conf_value_check_bounds(o, (int64_t)bytes, e) != 0)
		return -1;
	*FIELD(uint64_t, o, base) = bytes;
	return 0;
}

static void
print_size_number(int64_t value, struct strbuf *out)
{
	char buf[UNITS_SIZE];

	strbuf_adds(out, units_format_size(buf, sizeof buf, (uint64_t)value));
}

static bool
print_size(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	uint64_t bytes = *CONST_FIELD(uint64_t, o, base);

	(void)mode;
	if (bytes == 0 && o->initial == NULL)
		return false;
	print_size_number((int64_t)bytes, out);
	return true;
}

static int
parse_count(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	uint64_t count;

	if (units_parse_count(text, &count, e) != 0 || conf_value_check_bounds(o, (int64_t)count, e) != 0)
		return -1;
	*FIELD(uint32_t, o, base) = (uint32_t)count;
	return 0;
}

void
conf_value_count_number(int64_t value, struct strbuf *out)
{
	strbuf_addf(out, "%" PRId64, value);
}

static bool
print_count(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	(void)mode;
	conf_value_count_number(*CONST_FIELD(uint32_t, o, base), out);
	return true;
}

static int
parse_rate(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_rate *field = FIELD(struct conf_rate, o, base);
	struct units_rate rate;

	if (units_parse_rate(text, &rate, e) != 0)
		return -1;
	field->bytes_per_second = rate.bytes ? rate.per_second : 0;
	field->msgs_per_second = rate.bytes ? 0 : rate.per_second;
	return 0;
}

static bool
print_rate(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	const struct conf_rate *field = CONST_FIELD(struct conf_rate, o, base);
	struct units_rate rate = {field->msgs_per_second, false};
	char buf[UNITS_SIZE];

	(void)mode;
	if (field->bytes_per_second > 0)
		rate = (struct units_rate){field->bytes_per_second, true};
	if (rate.per_second <= 0)
		return false;
	conf_value_write(out, units_format_rate(buf, sizeof buf, rate));
	return true;
}

/* ---- choices --------------------------------------------------------------------------------------- */

_Static_assert(sizeof(enum conf_on_reject) == sizeof(unsigned int), "choices are kept as unsigned int");

static int
refuse_choice(const struct conf_option *o, struct error *e)
{
	struct strbuf names;

	strbuf_init(&names);
	for (size_t i = 0; o->choices[i] != NULL; i++)
		strbuf_addf(&names, "%s%s",
			    i == 0                      ? ""
			    : o->choices[i + 1] == NULL ? " or "
							: ", ",
			    o->choices[i]);
	error_set(e, ERR_CONFIG, "want %s", names.data);
	strbuf_fini(&names);
	return -1;
}

static int
parse_choice(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	for (unsigned int i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(o->choices[i], text) != 0)
			continue;
		*FIELD(unsigned int, o, base) = i;
		return 0;
	}
	return refuse_choice(o, e);
}

static bool
print_choice(const struct conf_option *o, const void *base, enum conf_print_mode mode, struct strbuf *out)
{
	(void)mode;
	strbuf_adds(out, o->choices[*CONST_FIELD(unsigned int, o, base)]);
	return true;
}

/* ---- the types ------------------------------------------------------------------------------------- */

#define TEXT_TYPE(argument_, parse_)                                                                         \
	{                                                                                                    \
		.argument = argument_, .parse = parse_, .print = conf_value_print_text,                      \
		.clear = conf_value_clear_text                                                               \
	}

const struct conf_type conf_type_text = TEXT_TYPE("text", parse_text);
const struct conf_type conf_type_path = TEXT_TYPE("path", parse_text);
const struct conf_type conf_type_site = TEXT_TYPE("name", parse_site);
const struct conf_type conf_type_name = TEXT_TYPE("name", parse_name);
const struct conf_type conf_type_subject = TEXT_TYPE("subject", parse_subject);
const struct conf_type conf_type_prefix = TEXT_TYPE("subject", parse_prefix);
const struct conf_type conf_type_remove = TEXT_TYPE("text", parse_remove);
const struct conf_type conf_type_adopt = TEXT_TYPE("site:topic", parse_adopt);
const struct conf_type conf_type_key = TEXT_TYPE("key", parse_key);
const struct conf_type conf_type_bucket = TEXT_TYPE("name", parse_bucket);
const struct conf_type conf_type_url = {.argument = "urls",
					.secret = true,
					.parse = parse_url,
					.print = print_url,
					.clear = conf_value_clear_text};
const struct conf_type conf_type_filters = {.argument = "filters",
					    .list = true,
					    .parse = parse_filters,
					    .print = print_filters,
					    .clear = clear_filters};
const struct conf_type conf_type_bool = {
    .argument = "true | false", .parse = parse_bool, .print = print_bool};
const struct conf_type conf_type_duration = {.argument = "duration",
					     .parse = parse_duration,
					     .print = print_duration,
					     .print_number = conf_value_duration_number};
const struct conf_type conf_type_size = {
    .argument = "size", .parse = parse_size, .print = print_size, .print_number = print_size_number};
const struct conf_type conf_type_count = {.argument = "number",
					  .parse = parse_count,
					  .print = print_count,
					  .print_number = conf_value_count_number};
const struct conf_type conf_type_rate = {.argument = "rate", .parse = parse_rate, .print = print_rate};
const struct conf_type conf_type_choice = {
    .argument = "choice", .parse = parse_choice, .print = print_choice};
