/*
 * Fuzz target: the scan for fields of a JSON text. The input's first line is up to two paths with a tab
 * between them, the rest is the text. Invariants: nothing is read past the end; two paths at once find what
 * each finds alone; what a text has decided, each longer one has too; and in whatever jansson takes for JSON
 * is found what a plain reader of the whole text finds.
 */
#include <jansson.h>
#include <string.h>

#include "common/json_scan.h"
#include "common/xalloc.h"
#include "tests/fuzz/fuzz.h"

#define PATHS JSON_SCAN_PATHS

struct input {
	struct json_path *paths[PATHS];
	const char *names[PATHS]; /* the paths as text */
	size_t count;
	const char *text; /* alone on the heap */
	size_t len;
};

struct result {
	struct json_found found[PATHS];
	bool whole;
};

/* ---- a plain reader, of texts that are known to be JSON and end in a NUL ------------------------- */

struct value {
	enum json_kind kind;
	const char *text; /* as it is written, quotes and brackets included */
	size_t len;
};

static const char *after_value(const char *p);

static const char *
blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *
after_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

static const char *
after_name(const char *p)
{
	return blanks(blanks(after_string(p)) + 1);
}

/* At the comma or bracket behind an element. */
static const char *
after_element(const char *p, bool named)
{
	return blanks(after_value(named ? after_name(p) : p));
}

static const char *
after_container(const char *p)
{
	bool named = *p == '{';

	p = blanks(p + 1);
	if (*p != ']' && *p != '}')
		while (*(p = after_element(p, named)) == ',')
			p = blanks(p + 1);
	return p + 1;
}

static const char *
after_value(const char *p)
{
	if (*p == '"')
		return after_string(p);
	if (*p == '{' || *p == '[')
		return after_container(p);
	return p + strcspn(p, " \t\r\n,]}");
}

static struct value
value_at(const char *p)
{
	struct value v = {JSON_KIND_NUMBER, p, (size_t)(after_value(p) - p)};

	if (*p == '"')
		v.kind = JSON_KIND_STRING;
	else if (*p == '{' || *p == '[')
		v.kind = JSON_KIND_CONTAINER;
	else if (*p == 't' || *p == 'f')
		v.kind = *p == 't' ? JSON_KIND_TRUE : JSON_KIND_FALSE;
	else if (*p == 'n')
		v.kind = JSON_KIND_NULL;
	return v;
}

static json_t *
load(const char *text, size_t len, size_t flags)
{
	return json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, NULL);
}

static bool
same_name(const char *quoted, const char *name, size_t len)
{
	json_t *s = load(quoted, (size_t)(after_string(quoted) - quoted), 0);
	bool same;

	REQUIRE(s != NULL);
	same = json_string_length(s) == len && memcmp(json_string_value(s), name, len) == 0;
	json_decref(s);
	return same;
}

/* The first field of that name, if p is at an object that has it. */
static struct value
first_field(const char *p, const char *name, size_t len)
{
	const struct value none = {JSON_KIND_NONE, NULL, 0};

	if (*p != '{')
		return none;
	p = blanks(p + 1);
	if (*p == '}')
		return none;
	while (!same_name(p, name, len)) {
		p = after_element(p, true);
		if (*p != ',')
			return none;
		p = blanks(p + 1);
	}
	return value_at(after_name(p));
}

/* Takes the first name of a path, without its backslashes; what is behind its dot, NULL at the end. */
static const char *
split_path(const char *path, char *name, size_t *len)
{
	for (*len = 0; *path != '\0'; path++) {
		if (*path == '.')
			return path + 1;
		if (*path == '\\')
			path++;
		name[(*len)++] = *path;
	}
	return NULL;
}

static struct value
plain_find(const char *text, const char *path)
{
	struct value v = value_at(blanks(text));
	char *name = xmalloc(strlen(path) + 1);

	while (path != NULL && v.kind != JSON_KIND_NONE) {
		size_t len;

		path = split_path(path, name, &len);
		v = first_field(v.text, name, len);
	}
	free(name);
	return v;
}

/* ---- comparing with it and with jansson ---------------------------------------------------------- */

static void
check_string(const struct json_found *found, const json_t *want)
{
	size_t len = json_unescape(found->text, found->len, NULL, 0);
	char *out = xmalloc(len);

	REQUIRE(json_unescape(found->text, found->len, out, len) == len);
	REQUIRE(len == json_string_length(want) && memcmp(out, json_string_value(want), len) == 0);
	REQUIRE(found->escaped == (memchr(found->text, '\\', found->len) != NULL));
	free(out);
}

/* want: the value by jansson; NULL if it is not there. */
static void
check_kind(const struct json_found *found, const json_t *want)
{
	REQUIRE((want == NULL) == (found->kind == JSON_KIND_NONE));
	REQUIRE(json_is_string(want) == (found->kind == JSON_KIND_STRING));
	REQUIRE(json_is_number(want) == (found->kind == JSON_KIND_NUMBER));
	REQUIRE(json_is_true(want) == (found->kind == JSON_KIND_TRUE));
	REQUIRE(json_is_false(want) == (found->kind == JSON_KIND_FALSE));
	REQUIRE(json_is_null(want) == (found->kind == JSON_KIND_NULL));
	REQUIRE((json_is_object(want) || json_is_array(want)) == (found->kind == JSON_KIND_CONTAINER));
	REQUIRE((found->text != NULL) ==
		(json_is_string(want) || json_is_number(want) || json_is_boolean(want)));
	if (found->kind == JSON_KIND_STRING)
		check_string(found, want);
}

/* text is JSON, with whatever duplicates, and ends in a NUL. */
static void
check_first(const char *text, const char *path, const struct json_found *found)
{
	struct value want = plain_find(text, path);
	json_t *v = want.kind == JSON_KIND_NONE ? NULL : load(want.text, want.len, 0);

	REQUIRE((v == NULL) == (want.kind == JSON_KIND_NONE));
	check_kind(found, v);
	if (found->text != NULL && found->kind != JSON_KIND_STRING)
		REQUIRE(found->len == want.len && memcmp(found->text, want.text, want.len) == 0);
	json_decref(v);
}

/* Without duplicates jansson's own tree has the answer. */
static void
check_tree(const json_t *tree, const char *path, const struct json_found *found)
{
	char *name = xmalloc(strlen(path) + 1);

	while (path != NULL) {
		size_t len;

		path = split_path(path, name, &len);
		name[len] = '\0';
		tree = json_object_get(tree, name); /* NULL of what is no object */
	}
	check_kind(found, tree);
	free(name);
}

/* No JSON holds a NUL byte; jansson overlooks one behind a number. */
static void
check_with_jansson(const struct input *in, const struct result *r)
{
	json_t *any, *strict;
	char *text;

	if (in->len > 0 && memchr(in->text, '\0', in->len) != NULL)
		return;
	any = load(in->text, in->len, 0);
	strict = load(in->text, in->len, JSON_REJECT_DUPLICATES);
	text = xstrndup(in->text, in->len);
	if (any != NULL)
		REQUIRE(r->whole);
	for (size_t i = 0; i < in->count; i++) {
		if (any != NULL)
			check_first(text, in->names[i], &r->found[i]);
		if (strict != NULL)
			check_tree(strict, in->names[i], &r->found[i]);
	}
	free(text);
	json_decref(any);
	json_decref(strict);
}

/* ---- comparing with itself ----------------------------------------------------------------------- */

static void
scan(const struct input *in, size_t first, size_t count, struct result *r)
{
	const struct json_path *paths[PATHS] = {NULL};

	for (size_t i = 0; i < count; i++)
		paths[i] = in->paths[first + i];
	r->whole = json_scan(in->text, in->len, paths, count, r->found);
	for (size_t i = 0; i < count; i++)
		if (r->found[i].text != NULL)
			REQUIRE(r->found[i].text > in->text &&
				r->found[i].text + r->found[i].len < in->text + in->len);
}

/* Borrowed texts by where they stand, as a and b may be copies of one. */
static void
check_same(const struct json_found *a, const char *a_text, const struct json_found *b, const char *b_text)
{
	REQUIRE(a->kind == b->kind && a->len == b->len && a->escaped == b->escaped);
	REQUIRE((a->text == NULL) == (b->text == NULL));
	if (a->text != NULL)
		REQUIRE(a->text - a_text == b->text - b_text);
}

static void
check_alone(const struct input *in, const struct result *both)
{
	for (size_t i = 0; i < in->count; i++) {
		struct result one;

		scan(in, i, 1, &one);
		check_same(&one.found[0], in->text, &both->found[i], in->text);
		REQUIRE(one.whole || !both->whole);
	}
}

static void
check_cut(const struct input *in, const struct result *all, size_t len)
{
	char *text = memcpy(xmalloc(len), in->text, len);
	struct input cut = *in;
	struct result r;

	cut.text = text;
	cut.len = len;
	scan(&cut, 0, in->count, &r);
	for (size_t i = 0; i < in->count; i++)
		if (r.found[i].kind != JSON_KIND_NONE || (r.whole && memchr(text, '{', len) != NULL))
			check_same(&r.found[i], text, &all->found[i], in->text);
	free(text);
}

static void
check_text(const struct input *in)
{
	struct result all;

	scan(in, 0, in->count, &all);
	check_alone(in, &all);
	for (size_t i = 0; i < 64 && i < in->len; i++)
		check_cut(in, &all, in->len - 1 - i);
	check_with_jansson(in, &all);
}

/* ---- the input ----------------------------------------------------------------------------------- */

static void
add_path(struct input *in, const char *name)
{
	struct json_path *path = json_path_new(name);

	if (path == NULL)
		return;
	in->names[in->count] = name;
	in->paths[in->count++] = path;
}

static void
read_paths(struct input *in, char *line)
{
	char *tab = strchr(line, '\t');

	if (tab != NULL)
		*tab = '\0';
	add_path(in, line);
	if (tab != NULL)
		add_path(in, tab + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
	struct input in = {.count = 0};
	char *line, *text;

	if (newline == NULL)
		return 0;
	line = xstrndup((const char *)data, (size_t)(newline - data));
	in.len = size - (size_t)(newline + 1 - data);
	in.text = text = memcpy(xmalloc(in.len), newline + 1, in.len);
	read_paths(&in, line);
	if (in.count > 0)
		check_text(&in);
	for (size_t i = 0; i < in.count; i++)
		json_path_free(&in.paths[i]);
	free(line);
	free(text);
	return 0;
}
