/*
 * The only user of libconfuse. Every setting is declared as a list of strings, so that a wrong number of
 * values is our problem to word and not the end of the parse; unknown settings that the file holds are
 * declared too, for the same reason. Each value comes through a callback, where the line tells the token.
 *
 * libconfuse has state of its own for the file that it scans, and no argument for callbacks: one parse at a
 * time in a process, from one thread.
 */
#include "common/conf_parse.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_options.h"
#include "common/text.h"
#include "common/xalloc.h"

/* Unknown settings beyond so many end the parse like a syntax error. */
#define UNKNOWN_MAX 100

struct parse {
	const struct conf_scan *scan;
	struct conf_parsed *out;
	const char *unknown[UNKNOWN_MAX]; /* names of the scan's tokens */
	size_t unknown_count;
	bool failed; /* and reported */
};

static struct parse *current;

/* ---- what the names mean --------------------------------------------------------------------------- */

const struct conf_section *
conf_parse_section(const struct conf_scan *scan, size_t section)
{
	enum conf_section_kind parent;

	if (section == 0)
		return NULL;
	parent = conf_parse_kind(scan, scan->sections[section].parent);
	return conf_section_find(parent, conf_scan_name(scan, section));
}

enum conf_section_kind
conf_parse_kind(const struct conf_scan *scan, size_t section)
{
	const struct conf_section *found;

	if (section == 0)
		return CONF_TOP;
	found = conf_parse_section(scan, section);
	return found == NULL ? CONF_KIND_UNKNOWN : found->kind;
}

/* ---- callbacks ------------------------------------------------------------------------------------- */

/* The token that libconfuse has read last. */
static size_t
current_token(const cfg_t *cfg)
{
	size_t line = cfg->line > 0 ? (size_t)cfg->line : 1;
	size_t token = line > current->scan->token_count ? current->scan->token_count : line - 1;

	if (token > current->out->reached)
		current->out->reached = token;
	return token;
}

static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct conf_parsed *out = current->out;
	size_t token = current_token(cfg);
	const struct conf_token *t = &current->scan->tokens[token];

	if (token == current->scan->token_count || t->kind != CONF_TOKEN_WORD || t->key == CONF_NONE)
		return 0; /* the end of a list */
	if ((out->value_count & (out->value_count + 1)) == 0)
		out->values = xrealloc(out->values, (out->value_count + 1) * 2 * sizeof *out->values);
	out->values[out->value_count++] =
	    (struct conf_parsed_value){token, xstrdup(cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1))};
	return 0;
}

static int
on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t token = current_token(cfg);

	(void)opt;
	if (token < current->scan->token_count)
		current->out->complete[current->scan->tokens[token].section] = true;
	return 0;
}

void
conf_parse_unknown(const struct conf_scan *scan, size_t token, enum conf_section_kind kind, const char *what)
{
	const char *name = scan->tokens[token].text;
	const char *nearest = conf_option_nearest(kind, name), *home = conf_option_home(name);
	struct strbuf shown;

	strbuf_init(&shown);
	conf_scan_show(name, &shown);
	if (home != NULL)
		conf_scan_problem(scan, token, "%s: not known here, it can stand %s", shown.data, home);
	else if (nearest != NULL)
		conf_scan_problem(scan, token, "%s: unknown %s, did you mean %s?", shown.data, what, nearest);
	else
		conf_scan_problem(scan, token, "%s: unknown %s, leave it out", shown.data, what);
	strbuf_fini(&shown);
}

/* The section whose name the token is, or 0. */
static size_t
section_named_by(const struct conf_scan *scan, size_t token)
{
	for (size_t i = 1; i < scan->section_count; i++)
		if (scan->sections[i].name == token)
			return i;
	return 0;
}

static void
report(size_t token, const char *message)
{
	const struct conf_scan *scan = current->scan;
	size_t section = section_named_by(scan, token);
	enum conf_section_kind parent;
	struct strbuf text;

	if (section != 0) {
		parent = conf_parse_kind(scan, scan->sections[section].parent);
		if (conf_section_find(parent, conf_scan_name(scan, section)) == NULL) {
			conf_parse_unknown(scan, token, parent, "section");
			return;
		}
	}
	strbuf_init(&text);
	text_clean(&text, message, text_cut(message, strlen(message), 200));
	conf_scan_problem(scan, token,
			  "syntax: %s, want name = value or a section (a value with blanks or any of = , { } "
			  "( ) # needs double quotes)",
			  text.data);
	strbuf_fini(&text);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Where the scan is broken, the cause is reported already, and libconfuse misses what follows. */
static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char message[512];
	size_t token = current_token(cfg);

	if (current->failed || (current->scan->broken && token + 1 >= current->scan->token_count))
		return;
	current->failed = true;
	vsnprintf(message, sizeof message, fmt, ap);
	report(token, message);
}

/* ---- what libconfuse is told ----------------------------------------------------------------------- */

static bool
is_unknown_listed(const struct parse *p, const char *name)
{
	for (size_t i = 0; i < p->unknown_count; i++)
		if (strcmp(p->unknown[i], name) == 0)
			return true;
	return false;
}

/* Names before "=" that some section does not know: declared in all. */
static void
find_unknown(struct parse *p)
{
	const struct conf_scan *scan = p->scan;

	for (size_t i = 1; i < scan->token_count && p->unknown_count < UNKNOWN_MAX; i++) {
		const struct conf_token *t = &scan->tokens[i];
		size_t key = t->key;

		if ((t->kind != CONF_TOKEN_ASSIGN && t->kind != CONF_TOKEN_APPEND) || key != i - 1)
			continue;
		if (conf_option_find(conf_parse_kind(scan, t->section), scan->tokens[key].text) == NULL &&
		    !is_unknown_listed(p, scan->tokens[key].text))
			p->unknown[p->unknown_count++] = scan->tokens[key].text;
	}
}

static cfg_opt_t
string_option(const char *name)
{
	cfg_opt_t opt = CFG_STR_LIST(name, NULL, CFGF_NODEFAULT);

	opt.validcb = on_value;
	return opt;
}

static cfg_opt_t *make_options(const struct parse *p, enum conf_section_kind kind);

static cfg_opt_t
section_option(const struct parse *p, const struct conf_section *s)
{
	cfg_flag_t flags = CFGF_MULTI | CFGF_NODEFAULT | (s->titled ? CFGF_TITLE : 0);
	cfg_opt_t opt = CFG_SEC(s->name, make_options(p, s->kind), flags);

	opt.validcb = on_section_end;
	return opt;
}

/* The caller frees it with free_options. */
static cfg_opt_t *
make_options(const struct parse *p, enum conf_section_kind kind)
{
	cfg_opt_t end = CFG_END();
	cfg_opt_t *opts =
	    xcalloc(conf_option_count + conf_section_count + p->unknown_count + 1, sizeof *opts);
	size_t n = 0;

	for (size_t i = 0; i < conf_option_count; i++)
		if (conf_options[i].kind == kind)
			opts[n++] = string_option(conf_options[i].name);
	for (size_t i = 0; i < conf_section_count; i++)
		if (conf_sections[i].parent == kind)
			opts[n++] = section_option(p, &conf_sections[i]);
	for (size_t i = 0; i < p->unknown_count; i++)
		if (conf_option_find(kind, p->unknown[i]) == NULL &&
		    conf_section_find(kind, p->unknown[i]) == NULL)
			opts[n++] = string_option(p->unknown[i]);
	opts[n] = end;
	return opts;
}

static void
free_options(cfg_opt_t *opts)
{
	for (cfg_opt_t *o = opts; o->name != NULL; o++)
		if (o->subopts != NULL)
			free_options(o->subopts);
	free(opts);
}

bool
conf_parse(const struct conf_scan *scan, struct conf_parsed *out)
{
	struct parse p = {.scan = scan, .out = out};
	struct strbuf text;
	cfg_opt_t *opts;
	cfg_t *cfg;
	int rc;

	*out = (struct conf_parsed){.complete = xcalloc(scan->section_count, sizeof *out->complete)};
	find_unknown(&p);
	strbuf_init(&text);
	conf_scan_write(scan, &text);
	opts = make_options(&p, CONF_TOP);
	cfg = cfg_init(opts, CFGF_NONE);
	cfg_set_error_function(cfg, on_error);
	current = &p;
	rc = cfg_parse_buf(cfg, text.data);
	current = NULL;
	cfg_free(cfg);
	free_options(opts);
	strbuf_fini(&text);
	if (rc == CFG_SUCCESS)
		out->reached = scan->token_count;
	out->complete[0] = rc == CFG_SUCCESS && !scan->broken;
	if (rc != CFG_SUCCESS && !p.failed && !scan->broken)
		conf_scan_problem(scan, scan->token_count, "cannot be understood");
	return out->complete[0];
}

void
conf_parsed_fini(struct conf_parsed *p)
{
	for (size_t i = 0; i < p->value_count; i++)
		free(p->values[i].text);
	free(p->values);
	free(p->complete);
	*p = (struct conf_parsed){0};
}
