/*
 * Types of settings: how the text of a value becomes a field, and the field text again. A parser and a
 * printer are a pair: what one writes, the other reads back as the same value. Pure.
 */
#ifndef SR_COMMON_CONF_VALUE_H
#define SR_COMMON_CONF_VALUE_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/conf_options.h"
#include "common/error.h"
#include "common/strbuf.h"

struct conf_type {
	const char *argument; /* what the manual calls the value */
	bool list;            /* takes several values */
	bool secret;          /* a value may hold secrets: errors show it masked */
	/* Sets the field of base (a list: adds to it). Returns 0, or -1 with *e: what is wrong and the cure.
	 */
	int (*parse)(const struct conf_option *o, const char *text, void *base, struct error *e);
	/* Appends the value as it stands behind "=". False, and nothing appended: it is not set. */
	bool (*print)(const struct conf_option *o, const void *base, enum conf_print_mode mode,
		      struct strbuf *out);
	/* Frees what the field owns and leaves it empty; NULL if it owns nothing. */
	void (*clear)(const struct conf_option *o, void *base);
	/* Bounds in words for the manual and for errors, if the option has any; NULL: no bounds. */
	void (*print_number)(int64_t value, struct strbuf *out);
};

extern const struct conf_type conf_type_text, conf_type_path, conf_type_site, conf_type_name,
    conf_type_subject, conf_type_prefix, conf_type_remove, conf_type_filters, conf_type_url, conf_type_bool,
    conf_type_duration, conf_type_size, conf_type_count, conf_type_rate, conf_type_choice,
    conf_type_start_sequence, conf_type_start_time, conf_type_start_delta, conf_type_start_at_end,
    conf_type_resume, conf_type_adopt, conf_type_key, conf_type_bucket, conf_type_one_worker,
    conf_type_partitions, conf_type_tls_scheme, conf_type_ignored, conf_type_inspect_field,
    conf_type_inspect_header, conf_type_inspect_token, conf_type_json_path, conf_type_advisory_subject;

#define CONF_LATER_TEXT "not supported in this version"

/* For the types themselves. Appends a value, without quotes where it is plain, so that people find it as they
 * would have written it. */
void conf_value_write(struct strbuf *out, const char *text);
/* Returns 0, or -1 with *e if the value is out of the option's bounds. */
int conf_value_check_bounds(const struct conf_option *o, int64_t value, struct error *e);
/* Printers of numbers, as struct conf_type has them. */
void conf_value_count_number(int64_t value, struct strbuf *out);
void conf_value_duration_number(int64_t value, struct strbuf *out);

/* What the types of texts are made of; set keeps a copy. */
int conf_value_set_text(const struct conf_option *o, const char *text, void *base);
bool conf_value_print_text(const struct conf_option *o, const void *base, enum conf_print_mode mode,
			   struct strbuf *out);
void conf_value_clear_text(const struct conf_option *o, void *base);

#define CONF_HEADER_NAME_TEXT                                                                                \
	"no valid name of a header: 1 to 255 ASCII characters, without blanks and colons"
bool conf_header_name_valid(const char *name);

/* Whether the text can stand in headers and between others: no blank, control character, or any of also. */
bool conf_word_valid(const char *text, const char *also);

#endif
