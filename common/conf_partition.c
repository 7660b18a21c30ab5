/*
 * A topic with partitions becomes so many topics before its values are set: each value is parsed once for
 * each of them with its number put in, so that nothing behind the loader knows of partitions. Used by the
 * loader only. The number has to be known before the section is opened, wherever in it it stands.
 */
#include "common/conf_partition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/subject.h"
#include "common/units.h"
#include "common/xalloc.h"

/* 0 if the text is no number within bounds. */
static size_t
number_of(const struct conf_option *o, const char *text)
{
	uint64_t count;

	if (units_parse_count(text, &count, NULL) != 0 || count < (uint64_t)o->min ||
	    count > (uint64_t)o->max)
		return 0;
	return (size_t)count;
}

/* Notes the number of the value's section. Returns how many topics it adds. */
static size_t
note_value(struct conf_build *b, const struct conf_option *o, const struct conf_parsed_value *v, size_t room)
{
	const struct conf_token *t = &b->scan->tokens[v->token];
	size_t count;

	if (strcmp(b->scan->tokens[t->key].text, o->name) != 0 ||
	    conf_parse_kind(b->scan, t->section) != CONF_TOPIC || b->partitions[t->section] != 0)
		return 0;
	count = number_of(o, v->text);
	if (count == 0)
		count = 1;
	if (count - 1 > room) {
		conf_scan_problem(b->scan, v->token,
				  "%s \"%zu\": makes more than %d topics of the file, use fewer", o->name,
				  count, CONF_TOPICS_MAX);
		count = 1;
	}
	b->partitions[t->section] = count;
	return count - 1;
}

size_t
conf_partition_find(struct conf_build *b)
{
	const struct conf_option *o = conf_option_find(CONF_TOPIC, "partitions");
	size_t total = b->scan->titled; /* topics are among these */

	b->partitions = xcalloc(b->scan->section_count, sizeof *b->partitions);
	for (size_t i = 0; i < b->parsed->value_count; i++)
		total += note_value(b, o, &b->parsed->values[i],
				    total < CONF_TOPICS_MAX ? CONF_TOPICS_MAX - total : 0);
	return total;
}

char *
conf_partition_replace(const char *text, size_t number)
{
	struct strbuf out;

	strbuf_init(&out);
	for (const char *found; (found = strstr(text, CONF_PARTITION_TEXT)) != NULL;) {
		strbuf_add(&out, text, (size_t)(found - text));
		strbuf_addf(&out, "%zu", number);
		text = found + strlen(CONF_PARTITION_TEXT);
	}
	strbuf_adds(&out, text);
	return strbuf_take(&out);
}

/* Braces that are left when all placeholders are replaced. */
static bool
has_other_braces(const char *value)
{
	char *replaced = conf_partition_replace(value, 0);
	bool has = strstr(replaced, "{{") != NULL;

	free(replaced);
	return has;
}

const char *
conf_partition_reason(const struct conf_build *b, const struct conf_option *o, size_t section,
		      const char *value)
{
	bool held = strstr(value, CONF_PARTITION_TEXT) != NULL;

	if (held && (o->flags & CONF_PARTITION) == 0)
		return "{{partition}} can stand in filter_subject, name, dead_letter_subject, "
		       "leader_election_name, election_key, the subject of advisories and the texts of the "
		       "target only";
	if (held && b->partitions[section] == 0)
		return "{{partition}} in a topic without partitions, set partitions or leave it out";
	if ((o->flags & CONF_PARTITION) != 0 && b->partitions[section] != 0 && has_other_braces(value))
		return "only {{partition}} can stand in double braces";
	return NULL;
}

/* ---- partitions against each other ----------------------------------------------------------------- */

/* Filters of two partitions that take the same messages. */
static bool
overlap(const struct conf_topic *a, const struct conf_topic *b, const char **filter)
{
	for (size_t i = 0; i < a->filter_count; i++) {
		for (size_t k = 0; k < b->filter_count; k++) {
			if (!subject_filters_overlap(a->filter_subjects[i], b->filter_subjects[k]))
				continue;
			*filter = a->filter_subjects[i];
			return true;
		}
	}
	return false;
}

/* Two stand for all: they differ by their number alone. */
static void
check_filters(const struct conf_build *b, size_t section, const struct conf_topic *topics)
{
	size_t place = conf_build_place(b, section, "filter_subject"), count = b->partitions[section];
	const char *filter;

	if (place == CONF_NONE)
		conf_scan_problem(b->scan, conf_build_place(b, section, "partitions"),
				  "partitions: every message would be copied %zu times, set filter_subject "
				  "with {{partition}}",
				  count);
	else if (overlap(&topics[0], &topics[1], &filter))
		conf_scan_problem(
		    b->scan, place,
		    "filter_subject \"%.200s\": the messages of one partition are those of "
		    "another, each would be copied %zu times, put {{partition}} in the place of "
		    "the number",
		    filter, count);
}

void
conf_partition_check(const struct conf_build *b, size_t section)
{
	const struct conf_topic *topics = b->sections[section].base;
	size_t name = conf_build_place(b, section, "name");

	if (b->partitions[section] < 2)
		return;
	check_filters(b, section, topics);
	if (name != CONF_NONE && !b->scan->tokens[name].bad && strcmp(topics[0].name, topics[1].name) == 0)
		conf_scan_problem(b->scan, name,
				  "name \"%s\": the same in all partitions, put {{partition}} into it",
				  topics[0].name);
}
