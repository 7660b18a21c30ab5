/*
 * From the list of what was set to struct conf. All sections and values are gone through in the order of the
 * file; a problem never ends that, so that all are found at once. Sections behind a syntax error are
 * not looked at, and nothing is missing from one that was cut short.
 */
#include "common/conf_build.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"
#include "common/conf_value.h"
#include "common/nats/endpoint.h"
#include "common/subject.h"
#include "common/text.h"
#include "common/xalloc.h"

#define SHOWN_MAX 200 /* bytes of a value in a problem's text */

/* ---- defaults -------------------------------------------------------------------------------------- */

/* Every text is "" or its default, every number its default. */
static void
set_defaults(enum conf_section_kind kind, void *base)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind != kind || (o->flags & CONF_LATER) != 0)
			continue;
		if (o->type->clear != NULL && !o->type->list)
			*(char **)(void *)((char *)base + o->offset) = xstrdup("");
		if (o->initial != NULL)
			o->type->parse(o, o->initial, base, NULL);
	}
}

static void
clear_tls(struct conf_tls *tls)
{
	free(tls->ca);
	free(tls->cert);
	free(tls->key);
	*tls = (struct conf_tls){0};
}

static void
copy_tls(struct conf_tls *to, const struct conf_tls *from)
{
	to->set = from->set;
	to->ca = xstrdup(from->ca);
	to->cert = xstrdup(from->cert);
	to->key = xstrdup(from->key);
}

/* The most specific section wins whole. */
static void
resolve_tls(const struct conf *c, struct conf_topic *t, const struct conf_built_tls *own)
{
	const struct conf_tls *general = own->both.set ? &own->both : &c->tls;

	copy_tls(&t->source_tls, own->source.set ? &own->source : general);
	copy_tls(&t->target_tls, own->target.set ? &own->target : general);
}

/* What a consumer's name cannot hold becomes "_". */
static char *
default_name(const struct conf_topic *t)
{
	char *name = xasprintf("%s_%s", t->key, t->stream);

	for (char *p = name; *p != '\0'; p++)
		if (!subject_name_char_valid(*p))
			*p = '_';
	return name;
}

static void
set_if_empty(char **field, char *value)
{
	if (**field != '\0') {
		free(value);
		return;
	}
	free(*field);
	*field = value;
}

static void
replace_tls(struct conf_tls *to, const struct conf_tls *from)
{
	if (to->set)
		return;
	clear_tls(to);
	copy_tls(to, from);
}

static void
fill_in_election(struct conf *c)
{
	if (*c->election.url != '\0')
		replace_tls(&c->election.tls, &c->tls);
}

static bool
has_header(const struct conf_heartbeat_subject *s, const char *name)
{
	for (size_t i = 0; i < s->header_count; i++)
		if (strcmp(s->headers[i].name, name) == 0)
			return true;
	return false;
}

static void
inherit_headers(struct conf_heartbeat_subject *s, const struct conf_heartbeat *h)
{
	s->headers = xrealloc(s->headers, (s->header_count + h->header_count + 1) * sizeof *s->headers);
	for (size_t i = 0; i < h->header_count; i++)
		if (!has_header(s, h->headers[i].name))
			s->headers[s->header_count++] =
			    (struct conf_header){xstrdup(h->headers[i].name), xstrdup(h->headers[i].value)};
}

static void
fill_in_heartbeat(struct conf *c)
{
	struct conf_heartbeat *h = &c->heartbeat;

	if (!h->set)
		return;
	replace_tls(&h->tls, &c->tls);
	for (size_t i = 0; i < h->subject_count; i++) {
		if (h->subjects[i].interval_ms == 0)
			h->subjects[i].interval_ms = h->interval_ms;
		inherit_headers(&h->subjects[i], h);
	}
}

static void
fill_in(struct conf_build *b)
{
	struct conf *c = b->conf;

	fill_in_election(c);
	fill_in_heartbeat(c);
	set_if_empty(&c->control_socket, xasprintf("%s/control.sock", c->state_dir));
	for (size_t i = 0; i < c->topic_count; i++) {
		struct conf_topic *t = &c->topics[i];

		set_if_empty(&t->target_stream, xstrdup(t->stream));
		set_if_empty(&t->name, default_name(t));
		resolve_tls(c, t, &b->tls[i]);
	}
}

/* ---- sections -------------------------------------------------------------------------------------- */

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

static void
check_title(const struct conf_build *b, size_t section)
{
	size_t title = b->scan->sections[section].title;

	if (title != CONF_NONE && !b->scan->tokens[title].bad &&
	    !conf_word_valid(b->scan->tokens[title].text, ""))
		conf_scan_section_problem(
		    b->scan, section,
		    "no valid name of a topic: 1 to 255 characters, without blanks and control characters");
}

/* Makes room for the topic's values; conf->topics is large enough. */
static struct conf_topic *
add_topic(struct conf_build *b, size_t section)
{
	size_t i = b->topic_count++;
	struct conf_topic *t = &b->conf->topics[i];

	b->conf->topic_count = b->topic_count;
	b->topic_sections[i] = section;
	set_defaults(CONF_TOPIC, t);
	set_defaults(CONF_TLS, &b->tls[i].both);
	set_defaults(CONF_TLS, &b->tls[i].source);
	set_defaults(CONF_TLS, &b->tls[i].target);
	t->key = xstrdup(conf_scan_title(b->scan, section));
	t->group = xstrdup(t->key);
	return t;
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

	set_defaults(CONF_HEARTBEAT_SUBJECT, s);
	s->subject = xstrdup(title);
	s->headers = xcalloc(count_inner(b, section, CONF_HEARTBEAT_HEADER) + 1, sizeof *s->headers);
	if (!subject_valid(title) && !b->scan->tokens[b->scan->sections[section].title].bad)
		conf_scan_section_problem(
		    b->scan, section,
		    "no valid subject: words between dots, none empty, without blanks and wildcards");
	return s;
}

static bool
header_name_valid(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == ':')
			return false;
	return len > 0 && len <= SUBJECT_NAME_MAX;
}

/* Two of them are written in any case. */
static void
check_header_name(const struct conf_build *b, size_t section, const char *name)
{
	static const char *const own[] = {"Choria-SR-Originator", "Choria-SR-Subject"};

	if (b->scan->tokens[b->scan->sections[section].title].bad)
		return;
	if (!header_name_valid(name))
		conf_scan_section_problem(b->scan, section,
					  "no valid name of a header: 1 to 255 ASCII characters, without "
					  "blanks and colons");
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
	struct conf_header *header;

	if (b->sections[parent].kind == CONF_HEARTBEAT)
		header = &h->headers[h->header_count++];
	else
		header = &s->headers[s->header_count++];
	set_defaults(CONF_HEARTBEAT_HEADER, header);
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

/* Makes room for what the section sets; NULL if it is not looked at. */
static void *
open_kind(struct conf_build *b, size_t section, enum conf_section_kind kind)
{
	switch (kind) {
	case CONF_TOPIC:
		check_title(b, section);
		return add_topic(b, section);
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

static void
open_sections(struct conf_build *b)
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

/* ---- values ---------------------------------------------------------------------------------------- */

/* `name "value": reason`, secrets masked. */
static void
refuse_value(const struct conf_build *b, size_t token, const char *name, const char *value, bool secret,
	     const char *reason)
{
	char *masked = secret ? endpoint_mask(value) : xstrdup(value);
	size_t len = strlen(masked), shown = text_cut(masked, len, SHOWN_MAX);
	struct strbuf text;

	strbuf_init(&text);
	text_clean(&text, masked, shown);
	conf_scan_problem(b->scan, token, "%s \"%s%s\": %s", name, text.data, shown < len ? "..." : "",
			  reason);
	strbuf_fini(&text);
	free(masked);
}

static bool
has_control(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			return true;
	return false;
}

/* What holds for a value of any type. */
static const char *
general_reason(const struct conf_option *o, const char *value)
{
	if (strchr(value, '\n') != NULL)
		return "holds a line break, a quote may be missing";
	if (has_control(value))
		return "holds a control character";
	if (*value == '\0' && (o->flags & CONF_REQUIRED) != 0)
		return "empty, give it a value";
	if (o->kind == CONF_TOPIC && strstr(value, "{{partition}}") != NULL)
		return "{{partition}} is " CONF_LATER_TEXT;
	return NULL;
}

/* The first value of a setting: problems with the setting itself are reported once. */
static bool
is_first(const struct conf_build *b, size_t token)
{
	size_t key = b->scan->tokens[token].key;

	return token == key + 2 || (token == key + 3 && b->scan->tokens[key + 2].kind == CONF_TOKEN_OPEN);
}

/* The same setting again, or several values where one belongs. */
static bool
is_repeated(const struct conf_build *b, const struct conf_option *o, size_t before, size_t token)
{
	const struct conf_token *tokens = b->scan->tokens;
	bool again = before != CONF_NONE && tokens[before].key != tokens[token].key;
	bool list = before != CONF_NONE && !again && !o->type->list;

	if (again && is_first(b, token))
		conf_scan_problem(b->scan, token, "%s: set twice, at %s:%u already, leave one out", o->name,
				  b->scan->files[tokens[before].file], tokens[before].line);
	if (list)
		conf_scan_problem(b->scan, token, "%s: takes one value, not a list", o->name);
	return again || list;
}

static void
set_value(struct conf_build *b, const struct conf_parsed_value *v)
{
	const struct conf_token *t = &b->scan->tokens[v->token];
	struct conf_built_section *s = &b->sections[t->section];
	const struct conf_option *o = conf_option_find(s->kind, b->scan->tokens[t->key].text);
	struct error e = ERROR_INIT;
	const char *reason;
	size_t *set_at;

	if (o == NULL || (o->flags & CONF_LATER) != 0) {
		if (o == NULL && is_first(b, v->token))
			conf_parse_unknown(b->scan, t->key, s->kind, "setting");
		else if (is_first(b, v->token))
			conf_scan_problem(b->scan, t->key, "%s: " CONF_LATER_TEXT ", leave it out", o->name);
		return;
	}
	set_at = &s->set_at[o - conf_options];
	if (is_repeated(b, o, *set_at, v->token))
		return;
	*set_at = v->token;
	if (b->scan->tokens[t->key + 1].kind == CONF_TOKEN_APPEND && is_first(b, v->token))
		conf_scan_problem(b->scan, t->key, "%s: += adds to nothing here, want =", o->name);
	if (t->bad)
		return;
	reason = general_reason(o, v->text);
	if (reason == NULL && o->type->parse(o, v->text, s->base, &e) != 0)
		reason = e.text;
	if (reason != NULL)
		refuse_value(b, v->token, o->name, v->text, o->type->secret, reason);
}

/* ---- what is missing ------------------------------------------------------------------------------- */

static bool
is_set(const struct conf_built_section *s, const char *name)
{
	return s->set_at[conf_option_find(s->kind, name) - conf_options] != CONF_NONE;
}

static void
check_missing(const struct conf_build *b, size_t section)
{
	const struct conf_built_section *s = &b->sections[section];

	if (s->base == NULL || !b->parsed->complete[section])
		return;
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind == s->kind && (o->flags & CONF_REQUIRED) != 0 && o->initial == NULL &&
		    s->set_at[i] == CONF_NONE)
			conf_scan_section_problem(b->scan, section, "%s: missing, set it", o->name);
	}
	if (s->kind == CONF_TLS && is_set(s, "cert") != is_set(s, "key"))
		conf_scan_section_problem(b->scan, section, "%s: missing, cert and key belong together",
					  is_set(s, "cert") ? "key" : "cert");
}

/* ---- whole ----------------------------------------------------------------------------------------- */

static void
allocate(struct conf_build *b)
{
	size_t titled = b->scan->titled; /* topics are among these */

	b->conf = xcalloc(1, sizeof *b->conf);
	b->conf->path = xstrdup(b->scan->text_only || b->scan->file_count == 0 ? "" : b->scan->files[0]);
	b->conf->topics = xcalloc(titled + 1, sizeof *b->conf->topics);
	b->topic_sections = xcalloc(titled + 1, sizeof *b->topic_sections);
	b->tls = xcalloc(titled + 1, sizeof *b->tls);
	b->sections = xcalloc(b->scan->section_count, sizeof *b->sections);
	set_defaults(CONF_TOP, b->conf);
	set_defaults(CONF_TLS, &b->conf->tls);
	set_defaults(CONF_ELECTION, &b->conf->election);
	set_defaults(CONF_TLS, &b->conf->election.tls);
	set_defaults(CONF_HEARTBEAT, &b->conf->heartbeat);
	set_defaults(CONF_TLS, &b->conf->heartbeat.tls);
}

void
conf_build_init(struct conf_build *b, const struct conf_scan *scan, const struct conf_parsed *parsed)
{
	*b = (struct conf_build){.scan = scan, .parsed = parsed};
	allocate(b);
	open_sections(b);
	for (size_t i = 0; i < parsed->value_count; i++)
		if (b->sections[scan->tokens[parsed->values[i].token].section].base != NULL)
			set_value(b, &parsed->values[i]);
	for (size_t i = 0; i < scan->section_count; i++)
		check_missing(b, i);
	fill_in(b);
}

void
conf_build_fini(struct conf_build *b)
{
	for (size_t i = 0; i < b->topic_count; i++) {
		clear_tls(&b->tls[i].both);
		clear_tls(&b->tls[i].source);
		clear_tls(&b->tls[i].target);
	}
	for (size_t i = 0; i < b->scan->section_count; i++)
		free(b->sections[i].set_at);
	free(b->sections);
	free(b->topic_sections);
	free(b->tls);
	conf_free(&b->conf);
}

struct conf *
conf_build_take(struct conf_build *b)
{
	struct conf *c = b->conf;

	b->conf = NULL;
	return c;
}

size_t
conf_build_topic_place(const struct conf_build *b, size_t topic, const char *option)
{
	const struct conf_option *o = conf_option_find(CONF_TOPIC, option);

	return b->sections[b->topic_sections[topic]].set_at[o - conf_options];
}
