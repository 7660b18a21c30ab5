/*
 * From the list of what was set to struct conf. All sections and values are gone through in the order of the
 * file; a problem never ends that, so that all are found at once. Sections behind a syntax error are
 * not looked at, and nothing is missing from one that was cut short.
 */
#include "common/conf_build.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_partition.h"
#include "common/conf_sections.h"
#include "common/conf_value.h"
#include "common/nats/endpoint.h"
#include "common/subject.h"
#include "common/text.h"
#include "common/xalloc.h"

#define SHOWN_MAX 200 /* bytes of a value in a problem's text */

/* ---- defaults -------------------------------------------------------------------------------------- */

void
conf_build_defaults(enum conf_section_kind kind, void *base)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind != kind || (o->flags & (CONF_LATER | CONF_OLD)) != 0)
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
has_header(const struct conf_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(headers[i].name, name) == 0)
			return true;
	return false;
}

static void
inherit_headers(struct conf_heartbeat_subject *s, const struct conf_heartbeat *h)
{
	size_t own = s->header_count;

	s->headers = xrealloc(s->headers, (s->header_count + h->header_count + 1) * sizeof *s->headers);
	for (size_t i = 0; i < h->header_count; i++)
		if (!has_header(s->headers, own, h->headers[i].name))
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

/* The first of the partitions that a topic is one of; itself if there are none. */
static size_t
first_of(const struct conf_build *b, size_t topic)
{
	const struct conf_topic *first = b->sections[b->topic_sections[topic]].base;

	return (size_t)(first - b->conf->topics);
}

/* Machines that take turns have to know what the others copied. */
static void
fill_in_sampling(struct conf_topic *t)
{
	struct conf_sampling *s = &t->sampling;

	if (s->warn_ms == 0)
		s->warn_ms = s->duration_ms / 2;
	if (s->inspect != INSPECT_NONE && *t->leader_election_name != '\0')
		s->gossip = true;
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
		fill_in_sampling(t);
		resolve_tls(c, t, &b->tls[first_of(b, i)]);
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
general_reason(const struct conf_build *b, const struct conf_option *o, size_t section, const char *value)
{
	if (strchr(value, '\n') != NULL)
		return "holds a line break, a quote may be missing";
	if (has_control(value))
		return "holds a control character";
	if (*value == '\0' && (o->flags & CONF_REQUIRED) != 0)
		return "empty, give it a value";
	return conf_partition_reason(b, o, section, value);
}

/* Sets the field, of a topic with partitions in each of them. 0, or -1 with *e of the first that fails. */
static int
parse_value(const struct conf_build *b, const struct conf_option *o, size_t section, const char *text,
	    struct error *e)
{
	size_t partitions = b->partitions[section];
	char *base = b->sections[section].base;
	int rc = 0;

	if (partitions == 0)
		return o->type->parse(o, text, base, e);
	for (size_t i = 0; i < partitions && rc == 0; i++) {
		char *own = conf_partition_replace(text, i);

		rc = o->type->parse(o, own, base + i * sizeof(struct conf_topic), e);
		free(own);
	}
	return rc;
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
	const char *first = again ? tokens[tokens[before].key].text : o->name;

	if (again && is_first(b, token) && strcmp(first, o->name) == 0)
		conf_scan_problem(b->scan, token, "%s: set twice, at %s:%u already, leave one out", o->name,
				  b->scan->files[tokens[before].file], tokens[before].line);
	else if (again && is_first(b, token))
		conf_scan_problem(b->scan, token,
				  "%s: the same setting as %s, set at %s:%u already, leave one out", o->name,
				  first, b->scan->files[tokens[before].file], tokens[before].line);
	if (list)
		conf_scan_problem(b->scan, token, "%s: takes one value, not a list", o->name);
	return again || list;
}

/* An old name stands for its setting in all that comes after. */
static const struct conf_option *
setting_of(const struct conf_option *o)
{
	return o->same_as == NULL ? o : conf_option_find(o->kind, o->same_as);
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
	set_at = &s->set_at[setting_of(o) - conf_options];
	if (is_repeated(b, o, *set_at, v->token))
		return;
	*set_at = v->token;
	if (b->scan->tokens[t->key + 1].kind == CONF_TOKEN_APPEND && is_first(b, v->token))
		conf_scan_problem(b->scan, t->key, "%s: += adds to nothing here, want =", o->name);
	if (t->bad)
		return;
	reason = general_reason(b, o, t->section, v->text);
	if (reason == NULL && parse_value(b, o, t->section, v->text, &e) != 0)
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
	size_t topics = conf_partition_find(b); /* at most */

	b->conf = xcalloc(1, sizeof *b->conf);
	b->conf->path = xstrdup(b->scan->text_only || b->scan->file_count == 0 ? "" : b->scan->files[0]);
	b->conf->topics = xcalloc(topics + 1, sizeof *b->conf->topics);
	b->topic_sections = xcalloc(topics + 1, sizeof *b->topic_sections);
	b->tls = xcalloc(topics + 1, sizeof *b->tls);
	b->sections = xcalloc(b->scan->section_count, sizeof *b->sections);
	conf_build_defaults(CONF_TOP, b->conf);
	conf_build_defaults(CONF_TLS, &b->conf->tls);
	conf_build_defaults(CONF_ELECTION, &b->conf->election);
	conf_build_defaults(CONF_TLS, &b->conf->election.tls);
	conf_build_defaults(CONF_HEARTBEAT, &b->conf->heartbeat);
	conf_build_defaults(CONF_TLS, &b->conf->heartbeat.tls);
}

void
conf_build_init(struct conf_build *b, const struct conf_scan *scan, const struct conf_parsed *parsed)
{
	*b = (struct conf_build){.scan = scan, .parsed = parsed};
	allocate(b);
	conf_sections_open(b);
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
	free(b->partitions);
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
conf_build_place(const struct conf_build *b, size_t section, const char *option)
{
	const struct conf_option *o = conf_option_find(b->sections[section].kind, option);

	return b->sections[section].set_at[o - conf_options];
}

const char *
conf_build_name(const struct conf_build *b, size_t section, const char *option)
{
	size_t place = conf_build_place(b, section, option);

	return place == CONF_NONE ? option : b->scan->tokens[b->scan->tokens[place].key].text;
}

size_t
conf_build_topic_place(const struct conf_build *b, size_t topic, const char *option)
{
	return conf_build_place(b, b->topic_sections[topic], option);
}
