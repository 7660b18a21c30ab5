/*
 * Checks of sampling: one thing names the sender, nothing of it stands where no sender is named, and warnings
 * come before a value is forgotten. Part of the configuration's checks; from the file alone. A setting that
 * was refused is reported already and counts as set.
 */
#include "common/conf_check_sampling.h"

#include <inttypes.h>
#include <string.h>

#include "common/array.h"
#include "common/units.h"

#define INSPECTORS "inspect_field, inspect_header or inspect_subject_token"

static const char *const inspectors[] = {"inspect_field", "inspect_header", "inspect_subject_token"};

/* The section of advisories of the topic, 0 if there is none. */
static size_t
advisory_of(const struct conf_build *b, size_t section)
{
	for (size_t i = section + 1; i < b->scan->section_count; i++)
		if (b->scan->sections[i].parent == section && b->sections[i].base != NULL &&
		    b->sections[i].kind == CONF_ADVISORY)
			return i;
	return 0;
}

/* Reports all but the first; returns whether there is one. */
static bool
check_inspectors(const struct conf_build *b, size_t section)
{
	const char *first = NULL;

	for (size_t k = 0; k < array_len(inspectors); k++) {
		size_t place = conf_build_place(b, section, inspectors[k]);
		const char *name = conf_build_name(b, section, inspectors[k]);

		if (place != CONF_NONE && first != NULL)
			conf_scan_problem(b->scan, place,
					  "%s: set with %s, which says another place of the value, leave one "
					  "out",
					  name, first);
		else if (place != CONF_NONE)
			first = name;
	}
	return first != NULL;
}

/* Without what names a sender, each of these would be ignored. */
static void
refuse_settings(const struct conf_build *b, size_t section, size_t advisory)
{
	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];
		size_t place;

		if (o->kind != CONF_TOPIC || (o->flags & CONF_SAMPLED) == 0)
			continue;
		place = conf_build_place(b, section, o->name);
		if (place != CONF_NONE)
			conf_scan_problem(b->scan, place,
					  "%s: every message is copied without " INSPECTORS
					  ", set one of these or leave it out",
					  conf_build_name(b, section, o->name));
	}
	if (advisory != 0)
		conf_scan_section_problem(b->scan, advisory,
					  "no value is known without " INSPECTORS
					  ", set one of these or leave the section out");
}

/* By whichever name and place it is set; else at its topic. */
static void
check_warn(const struct conf_build *b, size_t i, size_t advisory)
{
	const struct conf_sampling *s = &b->conf->topics[i].sampling;
	size_t section = b->topic_sections[i], place = conf_build_place(b, section, "warn_duration");
	size_t other = advisory == 0 ? CONF_NONE : conf_build_place(b, advisory, "warn_duration");
	char warn[UNITS_SIZE], duration[UNITS_SIZE];

	if (place != CONF_NONE && other != CONF_NONE) {
		conf_scan_problem(
		    b->scan, other,
		    "%s: the same setting as warn_duration of the topic, set at %s:%u, leave one out",
		    conf_build_name(b, advisory, "warn_duration"),
		    b->scan->files[b->scan->tokens[place].file], b->scan->tokens[place].line);
		return;
	}
	if (s->duration_ms == 0 || s->warn_ms < s->duration_ms)
		return;
	conf_scan_problem(
	    b->scan, place != CONF_NONE ? place : other,
	    "%s \"%s\": not below %s \"%s\", when a value that is not seen is forgotten, want less",
	    conf_build_name(b, place != CONF_NONE ? section : advisory, "warn_duration"),
	    units_format_duration(warn, sizeof warn, s->warn_ms),
	    conf_build_name(b, section, "inspect_duration"),
	    units_format_duration(duration, sizeof duration, s->duration_ms));
}

/* How many words every subject has that matches the filter; 0 if there is no such number. */
static size_t
words_of(const char *filter)
{
	size_t words = 1, len = strlen(filter);

	if (filter[len - 1] == '>')
		return 0;
	for (const char *p = filter; *p != '\0'; p++)
		words += *p == '.';
	return words;
}

/* A word that no message has would be the same as no sampling. Messages of some filters may have none. */
static void
check_token(const struct conf_build *b, size_t i)
{
	const struct conf_topic *t = &b->conf->topics[i];
	size_t most = 0;

	for (size_t k = 0; k < t->filter_count; k++) {
		size_t words = words_of(t->filter_subjects[k]);

		if (words == 0 || t->sampling.subject_token <= (int64_t)words)
			return;
		if (words > most)
			most = words;
	}
	if (t->filter_count > 0)
		conf_scan_problem(
		    b->scan, conf_build_topic_place(b, i, "inspect_subject_token"),
		    "inspect_subject_token \"%" PRId32
		    "\": subjects that filter_subject takes have up to %zu words, want one of these",
		    t->sampling.subject_token, most);
}

void
conf_check_sampling(const struct conf_build *b, size_t i)
{
	const struct conf_topic *t = &b->conf->topics[i];
	size_t section = b->topic_sections[i];
	size_t advisory = t->sampling.advisory.set ? advisory_of(b, section) : 0;

	if (!check_inspectors(b, section)) {
		refuse_settings(b, section, advisory);
		return;
	}
	if (conf_build_place(b, section, "inspect_duration") == CONF_NONE && b->parsed->complete[section])
		conf_scan_section_problem(b->scan, section,
					  "inspect_duration: missing, set how often a message of each value "
					  "is to be copied");
	check_warn(b, i, advisory);
	if (t->sampling.inspect == INSPECT_SUBJECT)
		check_token(b, i);
}
