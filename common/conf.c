/*
 * Loading and freeing a configuration: scan, parse, build, check, each in a file of its own; every one
 * reports all that it finds, and a configuration comes out only if none did. Used by supervisor, commands
 * and, for the text that its supervisor sent, a worker. Never exits, whatever the input.
 */
#include "common/conf.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_build.h"
#include "common/conf_check.h"
#include "common/conf_options.h"
#include "common/conf_parse.h"
#include "common/conf_report.h"
#include "common/conf_scan.h"
#include "common/conf_value.h"
#include "common/xalloc.h"

/* What was scanned to a configuration, or NULL. */
static struct conf *
load_scanned(const struct conf_scan *scan)
{
	struct conf_parsed parsed;
	struct conf_build build;
	struct conf *c = NULL;

	conf_parse(scan, &parsed);
	conf_build_init(&build, scan, &parsed);
	conf_check(&build);
	if (scan->report->count == 0)
		c = conf_build_take(&build);
	conf_build_fini(&build);
	conf_parsed_fini(&parsed);
	return c;
}

struct conf *
conf_load(const char *path, struct conf_errors *errors)
{
	struct conf_report report = {0};
	struct conf *c = NULL;
	struct conf_scan scan;

	conf_scan_init(&scan, &report);
	conf_scan_file(&scan, path);
	if (scan.file_count > 0)
		c = load_scanned(&scan);
	conf_scan_fini(&scan);
	conf_report_finish(&report, errors);
	return c;
}

struct conf *
conf_load_text(const char *text, size_t len, struct conf_errors *errors)
{
	struct conf_report report = {0};
	struct conf_scan scan;
	struct conf *c;

	conf_scan_init(&scan, &report);
	conf_scan_text(&scan, text, len);
	c = load_scanned(&scan);
	conf_scan_fini(&scan);
	conf_report_finish(&report, errors);
	return c;
}

void
conf_errors_fini(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->text[i]);
	free(errors->text);
	*errors = (struct conf_errors){0};
}

static void
clear(enum conf_section_kind kind, void *base)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind == kind && (o->flags & (CONF_LATER | CONF_OLD)) == 0 && o->type->clear != NULL)
			o->type->clear(o, base);
	}
}

static void
clear_topic(struct conf_topic *t)
{
	clear(CONF_TOPIC, t);
	clear(CONF_ADVISORY, t);
	clear(CONF_TLS, &t->source_tls);
	clear(CONF_TLS, &t->target_tls);
	free(t->key);
	free(t->group);
}

static void
clear_headers(struct conf_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		clear(CONF_HEARTBEAT_HEADER, &headers[i]);
		free(headers[i].name);
	}
	free(headers);
}

static void
clear_heartbeat(struct conf_heartbeat *h)
{
	for (size_t i = 0; i < h->subject_count; i++) {
		struct conf_heartbeat_subject *s = &h->subjects[i];

		clear(CONF_HEARTBEAT_SUBJECT, s);
		clear_headers(s->headers, s->header_count);
		free(s->subject);
	}
	free(h->subjects);
	clear_headers(h->headers, h->header_count);
	clear(CONF_TLS, &h->tls);
	clear(CONF_HEARTBEAT, h);
}

void
conf_keep_topics(struct conf *c, bool (*keep)(const void *arg, const struct conf_topic *topic),
		 const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->topic_count; i++) {
		if (keep(arg, &c->topics[i]))
			c->topics[kept++] = c->topics[i];
		else
			clear_topic(&c->topics[i]);
	}
	c->topic_count = kept;
}

void
conf_free(struct conf **c)
{
	if (*c == NULL)
		return;
	for (size_t i = 0; i < (*c)->topic_count; i++)
		clear_topic(&(*c)->topics[i]);
	free((*c)->topics);
	clear(CONF_TLS, &(*c)->election.tls);
	clear(CONF_ELECTION, &(*c)->election);
	clear_heartbeat(&(*c)->heartbeat);
	clear(CONF_TOP, *c);
	clear(CONF_TLS, &(*c)->tls);
	free((*c)->path);
	free(*c);
	*c = NULL;
}

const struct conf_topic *
conf_find_topic(const struct conf *c, const char *key)
{
	for (size_t i = 0; i < c->topic_count; i++)
		if (strcmp(c->topics[i].key, key) == 0)
			return &c->topics[i];
	return NULL;
}

static const char *
choice_name(const char *option, unsigned int value)
{
	const struct conf_option *o = conf_option_find(CONF_TOPIC, option);

	for (unsigned int i = 0; o->choices[i] != NULL; i++)
		if (i == value)
			return o->choices[i];
	return NULL;
}

const char *
conf_target_writers_name(enum conf_target_writers v)
{
	return choice_name("target_writers", v);
}

const char *
conf_on_source_reset_name(enum conf_on_source_reset v)
{
	return choice_name("on_source_reset", v);
}

const char *
conf_on_target_reset_name(enum conf_on_target_reset v)
{
	return choice_name("on_target_reset", v);
}

const char *
conf_on_reject_name(enum conf_on_reject v)
{
	return choice_name("on_reject", v);
}
