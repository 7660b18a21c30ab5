/*
 * Types of settings of sampling and advisories: what names a sender, paths in JSON, and subjects with
 * placeholders. Used by the configuration's loader and printer only. A refused value leaves the fields as
 * they were.
 */
#include "common/conf_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/advisory.h"
#include "common/array.h"
#include "common/gossip.h"
#include "common/json_scan.h"
#include "common/sample_value.h"
#include "common/subject.h"
#include "common/units.h"

/* ---- what names a sender --------------------------------------------------------------------------- */

static int
check_path(const char *text, struct error *e)
{
	struct json_path *path = json_path_new(text);
	bool valid = path != NULL;

	json_path_free(&path);
	if (valid)
		return 0;
	return error_set(e, ERR_CONFIG,
			 "no path of a JSON field: names with dots between them, none empty, a dot inside "
			 "of a name as \\\\.");
}

static int
parse_inspect_field(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;

	if (check_path(text, e) != 0)
		return -1;
	t->sampling.inspect = INSPECT_FIELD;
	return conf_value_set_text(o, text, base);
}

static bool
print_inspect_field(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		    struct strbuf *out)
{
	const struct conf_topic *t = base;

	return t->sampling.inspect == INSPECT_FIELD && conf_value_print_text(o, base, mode, out);
}

static int
parse_inspect_header(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;

	if (!conf_header_name_valid(text))
		return error_set(e, ERR_CONFIG, CONF_HEADER_NAME_TEXT);
	t->sampling.inspect = INSPECT_HEADER;
	return conf_value_set_text(o, text, base);
}

static bool
print_inspect_header(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		     struct strbuf *out)
{
	const struct conf_topic *t = base;

	return t->sampling.inspect == INSPECT_HEADER && conf_value_print_text(o, base, mode, out);
}

static int
parse_inspect_token(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct conf_topic *t = base;
	bool whole = strcmp(text, "-1") == 0;
	uint64_t token = 0;

	if (!whole && (units_parse_count(text, &token, NULL) != 0 || token < (uint64_t)o->min ||
		       token > (uint64_t)o->max))
		return error_set(e, ERR_CONFIG,
				 "want %" PRId64 " for the first word of the subject, up to %" PRId64
				 ", or -1 for the whole subject",
				 o->min, o->max);
	t->sampling.inspect = INSPECT_SUBJECT;
	t->sampling.subject_token = whole ? -1 : (int32_t)token;
	return 0;
}

static bool
print_inspect_token(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		    struct strbuf *out)
{
	const struct conf_topic *t = base;

	(void)o;
	(void)mode;
	if (t->sampling.inspect == INSPECT_SUBJECT)
		strbuf_addf(out, "%" PRId32, t->sampling.subject_token);
	return t->sampling.inspect == INSPECT_SUBJECT;
}

static int
parse_json_path(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	return *text != '\0' && check_path(text, e) != 0 ? -1 : conf_value_set_text(o, text, base);
}

/* ---- subjects of advisories ------------------------------------------------------------------------ */

/* The longest subject that the pattern can give. -1 if there are placeholders of other kinds. */
static int
fill_pattern(const char *pattern, struct strbuf *out)
{
	for (const char *p = pattern; *p != '\0'; p++) {
		if (*p != '%') {
			strbuf_add(out, p, 1);
			continue;
		}
		p++;
		if (*p == 's')
			strbuf_adds(out, "timeout");
		else if (*p == 'v')
			strbuf_addf(out, "%0*d", SAMPLE_VALUE_MAX, 0);
		else
			return -1;
	}
	return 0;
}

/* Where servers and clients listen for their own: a sender whose value ends such a subject would give orders.
 */
static bool
belongs_to_others(const char *text)
{
	static const char *const theirs[] = {"$", "_INBOX.", GOSSIP_SUBJECT_PREFIX};

	for (size_t i = 0; i < array_len(theirs); i++)
		if (strncmp(text, theirs[i], strlen(theirs[i])) == 0)
			return true;
	return false;
}

static int
parse_advisory_subject(const struct conf_option *o, const char *text, void *base, struct error *e)
{
	struct strbuf filled;
	int rc = 0;

	strbuf_init(&filled);
	if (fill_pattern(text, &filled) != 0)
		rc = error_set(e, ERR_CONFIG, "behind a %% want s for the event or v for the value");
	else if (filled.len >= ADVISORY_SUBJECT_MAX)
		rc = error_set(e, ERR_CONFIG, "too long with the longest value put in, %d characters",
			       SAMPLE_VALUE_MAX);
	else if (strpbrk(text, "*>") != NULL || !subject_valid(filled.data))
		rc = error_set(
		    e, ERR_CONFIG,
		    "no valid subject: words between dots, none empty, without blanks and wildcards");
	else if (belongs_to_others(text))
		rc = error_set(e, ERR_CONFIG,
			       "in front want words of your own, not $, _INBOX. or " GOSSIP_SUBJECT_PREFIX);
	strbuf_fini(&filled);
	return rc != 0 ? -1 : conf_value_set_text(o, text, base);
}

/* ---- the types ------------------------------------------------------------------------------------- */

const struct conf_type conf_type_inspect_field = {.argument = "path",
						  .parse = parse_inspect_field,
						  .print = print_inspect_field,
						  .clear = conf_value_clear_text};
const struct conf_type conf_type_inspect_header = {.argument = "name",
						   .parse = parse_inspect_header,
						   .print = print_inspect_header,
						   .clear = conf_value_clear_text};
const struct conf_type conf_type_inspect_token = {.argument = "number",
						  .parse = parse_inspect_token,
						  .print = print_inspect_token,
						  .print_number = conf_value_count_number};
const struct conf_type conf_type_json_path = {.argument = "path",
					      .parse = parse_json_path,
					      .print = conf_value_print_text,
					      .clear = conf_value_clear_text};
const struct conf_type conf_type_advisory_subject = {.argument = "subject",
						     .parse = parse_advisory_subject,
						     .print = conf_value_print_text,
						     .clear = conf_value_clear_text};
