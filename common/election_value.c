/*
 * Values of election keys, written by electors and read by electors and commands. Pure.
 *
 * A value that is not exactly of our form is another program's: its text stands for its name. It is never
 * taken for ours, whatever it resembles: only a whole nonce and a node make it so.
 */
#include "common/election_value.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"

enum { VALUE_MAX = 64 * 1024 }; /* a longer one is not parsed */

/* Cleaned, and cut to what fits. */
static void
put_text(char *out, size_t size, const char *text, size_t len)
{
	struct strbuf clean;

	strbuf_init(&clean);
	text_clean(&clean, text, len < 4 * size ? len : 4 * size);
	snprintf(out, size, "%.*s", (int)text_cut(clean.data, clean.len, size - 1), clean.data);
	strbuf_fini(&clean);
}

void
election_value_write(const struct election_value *v, struct strbuf *out)
{
	char node[sizeof v->node], site[sizeof v->site], since[RFC3339_SIZE], map[17], *text;
	json_t *o;

	/* Whatever bytes they are, a value must come of them. */
	put_text(node, sizeof node, v->node, strlen(v->node));
	put_text(site, sizeof site, v->site, strlen(v->site));
	rfc3339_format(since, sizeof since, v->since_ms);
	snprintf(map, sizeof map, "%016llx", (unsigned long long)v->map);
	o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "node", node, "site", site, "pid", (json_int_t)v->pid,
		      "since", since, "nonce", v->nonce, "map", map);
	if (o != NULL && v->term > 0)
		json_object_set_new(o, "term", json_integer((json_int_t)v->term));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text != NULL)
		strbuf_adds(out, text);
	free(text);
}

static void
read_other(const char *data, size_t len, struct election_value *v)
{
	memset(v, 0, sizeof *v);
	put_text(v->node, sizeof v->node, data, len);
	if (v->node[0] == '\0')
		snprintf(v->node, sizeof v->node, "(empty value)");
}

/* 16 hex digits, as written by us. */
static bool
is_hex16(const char *text)
{
	return text != NULL && strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16;
}

static void
read_map(const json_t *o, struct election_value *v)
{
	const char *map = json_string_value(json_object_get(o, "map"));

	v->has_map = is_hex16(map);
	if (v->has_map)
		v->map = strtoull(map, NULL, 16);
}

static int64_t
number_of(const json_t *o, const char *key, int64_t max)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 && n <= max ? (int64_t)n : 0;
}

/* False if it is not of our form. */
static bool
read_ours(const json_t *o, struct election_value *v)
{
	const json_t *node = json_object_get(o, "node"), *site = json_object_get(o, "site");
	const char *nonce = json_string_value(json_object_get(o, "nonce"));
	const char *since = json_string_value(json_object_get(o, "since"));
	int64_t since_ns;

	if (!is_hex16(nonce) || json_string_length(node) == 0)
		return false;
	v->known = true;
	snprintf(v->nonce, sizeof v->nonce, "%s", nonce);
	put_text(v->node, sizeof v->node, json_string_value(node), json_string_length(node));
	if (json_is_string(site))
		put_text(v->site, sizeof v->site, json_string_value(site), json_string_length(site));
	v->pid = (uint32_t)number_of(o, "pid", UINT32_MAX);
	v->term = (uint64_t)number_of(o, "term", INT64_MAX);
	if (since != NULL && rfc3339_parse(since, &since_ns) == 0)
		v->since_ms = since_ns / 1000000;
	read_map(o, v);
	return true;
}

void
election_value_read(const char *data, size_t len, struct election_value *v)
{
	json_error_t why;
	json_t *o = len <= VALUE_MAX ? json_loadb(data, len, 0, &why) : NULL;

	memset(v, 0, sizeof *v);
	if (!json_is_object(o) || !read_ours(o, v))
		read_other(data, len, v);
	json_decref(o);
}
