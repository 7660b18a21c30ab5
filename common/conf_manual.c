/*
 * The reference part of stream-replicator.conf(5) from the option table, so that the manual has every
 * setting that the parser has. Settings of later versions are not in it.
 */
#include "common/conf.h"

#include <stdio.h>
#include <string.h>

#include "common/conf_options.h"
#include "common/conf_value.h"

#define LINE_MAX_LEN 78

/* Text for mdoc(7): nothing in it is a request or an escape. */
static void
add_plain(struct strbuf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			strbuf_adds(out, "\\e");
		else if (*p == '-')
			strbuf_adds(out, "\\-");
		else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
			strbuf_addf(out, "\\&%c", *p);
		else
			strbuf_add(out, p, 1);
	}
}

/* A new line after each sentence, as mdoc wants it, and where a line would get too long. */
static void
add_sentences(struct strbuf *out, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		char word[LINE_MAX_LEN + 1];

		if (column > 0 && column + 1 + len > LINE_MAX_LEN) {
			strbuf_adds(out, "\n");
			column = 0;
		} else if (column > 0) {
			strbuf_adds(out, " ");
			column++;
		}
		snprintf(word, sizeof word, "%.*s", (int)len, text);
		add_plain(out, word);
		column = word[strlen(word) - 1] == '.' ? LINE_MAX_LEN : column + len;
		text += len + (text[len] == ' ');
	}
	strbuf_adds(out, "\n");
}

static void
add_argument(struct strbuf *out, const struct conf_option *o)
{
	if (o->choices == NULL) {
		add_plain(out, o->type->argument);
		return;
	}
	for (size_t i = 0; o->choices[i] != NULL; i++)
		strbuf_addf(out, "%s%s", i > 0 ? " | " : "", o->choices[i]);
}

static void
add_bounds(struct strbuf *out, const struct conf_option *o)
{
	struct strbuf number;

	if (o->min == 0 && o->max == 0)
		return;
	strbuf_init(&number);
	o->type->print_number(o->min, &number);
	strbuf_addf(out, "From %s", number.data);
	strbuf_reset(&number);
	o->type->print_number(o->max, &number);
	strbuf_addf(out, " to %s.\n", number.data);
	strbuf_fini(&number);
}

static void
add_option(struct strbuf *out, const struct conf_option *o)
{
	strbuf_addf(out, ".It Ic %s No = Ar ", o->name);
	add_argument(out, o);
	strbuf_adds(out, "\n");
	add_sentences(out, o->doc);
	if ((o->flags & CONF_REQUIRED) != 0 && o->initial == NULL)
		strbuf_adds(out, "Required.\n");
	add_bounds(out, o);
	if (o->initial != NULL && *o->initial != '\0') {
		strbuf_adds(out, "The default is\n.Li ");
		add_plain(out, o->initial);
		strbuf_adds(out, " .\n");
	}
	if (o->reload == CONF_RELOAD_RESTART)
		strbuf_adds(out, "A change is taken at the next start of the daemon, not by a reload.\n");
}

static void
add_sections(struct strbuf *out, enum conf_section_kind kind)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = &conf_sections[i];

		if (s->parent != kind || s->later)
			continue;
		strbuf_addf(out, ".It Ic %s%s { No ... Ic }\n", s->name, s->titled ? " Ar name Ic" : "");
		add_sentences(out, s->doc);
	}
}

static void
add_kind(struct strbuf *out, enum conf_section_kind kind, const char *heading)
{
	strbuf_addf(out, ".Ss %s\n.Bl -tag -width Ds\n", heading);
	for (size_t i = 0; i < conf_option_count; i++)
		if (conf_options[i].kind == kind && (conf_options[i].flags & CONF_LATER) == 0)
			add_option(out, &conf_options[i]);
	add_sections(out, kind);
	strbuf_adds(out, ".El\n");
}

void
conf_write_manual(struct strbuf *out)
{
	add_kind(out, CONF_TOP, "Top level");
	add_kind(out, CONF_TOPIC, "Section topic");
	add_kind(out, CONF_ADVISORY, "Section advisory");
	add_kind(out, CONF_TLS, "Sections tls, source_tls and target_tls");
	add_kind(out, CONF_ELECTION, "Section election");
	add_kind(out, CONF_HEARTBEAT, "Section heartbeat");
	add_kind(out, CONF_HEARTBEAT_HEADER, "Section header");
	add_kind(out, CONF_HEARTBEAT_SUBJECT, "Section subject");
}
