/*
 * From the scan's sections to the structs that they fill: makes room for each, names it, and reports
 * sections that cannot stand where they do. Values come later; what a section fills does not move any more.
 */
#include "common/conf_sections.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"
#include "common/conf_value.h"
#include "common/subject.h"
#include "common/xalloc.h"

static bool
is_reached(const struct conf_build *b, size_t section)
{
	return section == 0 || b->scan->sections[section].name <= b->parsed->reached;
}

/* An earlier section of the same name and title in the same place, or 0. */
static size_t
find_twin(const struct conf_build *b, size_t section)
{
	const struct conf_scan *scan = b->scan;
	size_t parent = scan->sections[section].parent;

	for (size_t i = parent + 1; i < section; i++)
		if (scan->sections[i].parent == parent &&
		    strcmp(conf_scan_name(scan, i), conf_scan_name(scan, section)) == 0 &&
		    strcmp(conf_scan_title(scan, i), conf_scan_title(scan, section)) == 0)
			return i;
	return 0;
}

static void
check_twin(const struct conf_build *b, size_t section)
{
	size_t twin = find_twin(b, section);
	const struct conf_token *first;

	if (twin == 0)
		return;
	first = &b->scan->tokens[b->scan->sections[twin].name];
	if (conf_parse_kind(b->scan, section) == CONF_TOPIC)
		conf_scan_section_problem(
		    b->scan, section, "there is a topic of that name at %s:%u already, give one another name",
		    b->scan->files[first->file], first->line);
	else
		conf_scan_section_problem(b->scan, section,
					  "there is such a section at %s:%u already, leave one out",
					  b->scan->files[first->file], first->line);
}

/* With the ending that partitions put on it. */
static void
check_title(const struct conf_build *b, size_t section)
{
	size_t title = b->scan->sections[section].title, count = b->partitions[section];
	char *longest;

	if (title == CONF_NONE || b->scan->tokens[title].bad)
		return;
	longest = count == 0 ? xstrdup(b->scan->tokens[title].text)
			     : xasprintf("%s_P%zu", b->scan->tokens[title].text, count - 1);
	if (*b->scan->tokens[title].text == '\0' || !conf_word_valid(longest, ""))
		conf_scan_section_problem(b->scan, section,
					  "no valid name of a topic: 1 to 255 characters, without blanks and "
					  "control characters%s",
					  count == 0 ? "" : ", with _P and the partition's number");
	free(longest);
}

/* Makes room for the topic's values; conf->topics is large enough. */
static struct conf_topic *
add_topic(struct conf_build *b, size_t section, char *key)
{
	size_t i = b->topic_count++;
	struct conf_topic *t = &b->conf->topics[i];

	b->conf->topic_count = b->topic_count;
	b->topic_sections[i] = section;
	conf_build_defaults(CONF_TOPIC, t);
	conf_build_defaults(CONF_ADVISORY, t);
	conf_build_defaults(CONF_TLS, &b->tls[i].both);
	conf_build_defaults(CONF_TLS, &b->tls[i].source);
	conf_build_defaults(CONF_TLS, &b->tls[i].target);
	t->key = key;
	t->group = xstrdup(conf_scan_title(b->scan, section));
	return t;
}

/* One topic, or its partitions one behind the other. */
static struct conf_topic *
open_topic(struct conf_build *b, size_t section)
{
	const char *title = conf_scan_title(b->scan, section);
	struct conf_topic *first = &b->conf->topics[b->topic_count];

	check_title(b, section);
	if (b->partitions[section] == 0)
		return add_topic(b, section, xstrdup(title));
	for (size_t i = 0; i < b->partitions[section]; i++)
		add_topic(b, section, xasprintf("%s_P%zu", title, i));
	return first;
}

/* Sections of that kind in a section: no more can be added to it. */
static size_t
count_inner(const struct conf_build *b, size_t section, enum conf_section_kind kind)
{
	size_t count = 0;

	for (size_t i = section + 1; i < b->scan->section_count; i++)
		if (b->scan->sections[i].parent == section && conf_parse_kind(b->scan, i) == kind)
			count++;
	return count;
}

/* Room for all that stand in it at once: what sections fill must not move. */
static struct conf_heartbeat *
open_heartbeat(struct conf_build *b, size_t section)
{
	struct conf_heartbeat *h = &b->conf->heartbeat;

	if (h->set)
		return NULL; /* a twin */
	h->set = true;
	h->headers = xcalloc(count_inner(b, section, CONF_HEARTBEAT_HEADER) + 1, sizeof *h->headers);
	h->subjects = xcalloc(count_inner(b, section, CONF_HEARTBEAT_SUBJECT) + 1, sizeof *h->subjects);
	return h;
}

static struct conf_heartbeat_subject *
add_subject(struct conf_build *b, size_t section)
{
	struct conf_heartbeat *h = &b->conf->heartbeat;
	struct conf_heartbeat_subject *s = &h->subjects[h->subject_count++];
	const char *title = conf_scan_title(b->scan, section);

	conf_build_defaults(CONF_HEARTBEAT_SUBJECT, s);
	s->subject = xstrdup(title);
	s->headers = xcalloc(count_inner(b, section, CONF_HEARTBEAT_HEADER) + 1, sizeof *s->headers);
	if (!subject_valid(title) && !b->scan->tokens[b->scan->sections[section].title].bad)
		conf_scan_section_problem(
		    b->scan, section,
		    "no valid subject: words between dots, none empty, without blanks and wildcards");
	return s;
}

/* Two of them are written in any case. */
static void
check_header_name(const struct conf_build *b, size_t section, const char *name)
{
	static const char *const own[] = {"Choria-SR-Originator", "Choria-SR-Subject"};

	if (b->scan->tokens[b->scan->sections[section].title].bad)
		return;
	if (!conf_header_name_valid(name))
		conf_scan_section_problem(b->scan, section, CONF_HEADER_NAME_TEXT);
	for (size_t i = 0; i < array_len(own); i++)
		if (strcasecmp(own[i], name) == 0)
			conf_scan_section_problem(b->scan, section,
						  "every heartbeat has that header already, leave it out");
}

static struct conf_header *
add_header(struct conf_build *b, size_t section)
{
	size_t parent = b->scan->sections[section].parent;
	struct conf_heartbeat_subject *s = b->sections[parent].base;
	struct conf_heartbeat *h = b->sections[parent].base;
	bool general = b->sections[parent].kind == CONF_HEARTBEAT;
	struct conf_header *headers = general ? h->headers : s->headers, *header;
	size_t *count = general ? &h->header_count : &s->header_count;

	if (*count == CONF_HEADERS_MAX) {
		conf_scan_section_problem(b->scan, section, "more than %d headers, leave some out",
					  CONF_HEADERS_MAX);
		return NULL;
	}
	header = &headers[(*count)++];
	conf_build_defaults(CONF_HEARTBEAT_HEADER, header);
	header->name = xstrdup(conf_scan_title(b->scan, section));
	check_header_name(b, section, header->name);
	return header;
}

/* The TLS files that a section fills. */
static struct conf_tls *
tls_of_section(const struct conf_build *b, size_t section)
{
	size_t parent = b->scan->sections[section].parent;
	const char *name = conf_scan_name(b->scan, section);
	const struct conf_topic *topic;
	struct conf_built_tls *own;

	if (parent == 0)
		return &b->conf->tls;
	if (b->sections[parent].kind == CONF_ELECTION)
		return &b->conf->election.tls;
	if (b->sections[parent].kind == CONF_HEARTBEAT)
		return &b->conf->heartbeat.tls;
	topic = b->sections[parent].base;
	own = &b->tls[topic - b->conf->topics];
	if (strcmp(name, "source_tls") == 0)
		return &own->source;
	return strcmp(name, "target_tls") == 0 ? &own->target : &own->both;
}

static struct conf_tls *
open_tls(struct conf_build *b, size_t section)
{
	struct conf_tls *tls = tls_of_section(b, section);

	tls->set = true;
	return tls;
}

/* It fills fields of its topic, of all partitions if there are any. */
static struct conf_topic *
open_advisory(struct conf_build *b, size_t section)
{
	size_t parent = b->scan->sections[section].parent;
	struct conf_topic *topics = b->sections[parent].base;

	b->partitions[section] = b->partitions[parent];
	for (size_t i = 0; i == 0 || i < b->partitions[section]; i++)
		topics[i].sampling.advisory.set = true;
	return topics;
}

/* Makes room for what the section sets; NULL if it is not looked at. */
static void *
open_kind(struct conf_build *b, size_t section, enum conf_section_kind kind)
{
	switch (kind) {
	case CONF_TOPIC:
		return open_topic(b, section);
	case CONF_TLS:
		return open_tls(b, section);
	case CONF_ELECTION:
		b->conf->election.set = true;
		return &b->conf->election;
	case CONF_HEARTBEAT:
		return open_heartbeat(b, section);
	case CONF_HEARTBEAT_HEADER:
		return add_header(b, section);
	case CONF_HEARTBEAT_SUBJECT:
		return add_subject(b, section);
	case CONF_ADVISORY:
		return open_advisory(b, section);
	default:
		return NULL;
	}
}

static void
open_section(struct conf_build *b, size_t section)
{
	struct conf_built_section *s = &b->sections[section];
	size_t parent = b->scan->sections[section].parent;
	const struct conf_section *row = conf_parse_section(b->scan, section);

	if (row == NULL || b->sections[parent].base == NULL)
		return;
	if (row->later) {
		conf_scan_problem(b->scan, b->scan->sections[section].name,
				  "%s: " CONF_LATER_TEXT ", leave it out", row->name);
		return;
	}
	s->kind = row->kind;
	check_twin(b, section);
	s->base = open_kind(b, section, row->kind);
}

void
conf_sections_open(struct conf_build *b)
{
	for (size_t i = 0; i < b->scan->section_count; i++) {
		struct conf_built_section *s = &b->sections[i];

		if (i == 0)
			s->base = b->conf;
		else if (is_reached(b, i))
			open_section(b, i);
		if (s->base == NULL)
			continue;
		s->set_at = xcalloc(conf_option_count, sizeof *s->set_at);
		for (size_t k = 0; k < conf_option_count; k++)
			s->set_at[k] = CONF_NONE;
	}
}
