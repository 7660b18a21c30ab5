/*
 * The scan for a few fields of a JSON text, once for each message of a sampled topic: so it is written for
 * speed. Used by workers; calls nothing of the project but xalloc.
 *
 * Invariants: nothing is read past the end of the text; no recursion, and depth is only a number; each byte
 * is looked at a bounded number of times. Only objects that a path leads through are entered; so the level
 * is never above the number of names of a path. An undecided path that is active has come as deep as the
 * level: matched[i] == level; the other one, if it is undecided, waits at a level above. What one path finds
 * does not depend on the other: an object that only the other one has entered is passed by its brackets as
 * soon as that one is decided, or what it looks at is broken.
 */
#include "common/json_scan.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

struct json_name {
	const char *text; /* in the path's own memory */
	size_t len;
};

struct json_path {
	char *text;
	struct json_name *names; /* count of them */
	size_t count;
};

/* ---- paths -------------------------------------------------------------------------------------- */

/* Takes the next name out of *from, up to a dot or the end, without its backslashes. */
static bool
path_name(const char **from, char **to, struct json_name *name)
{
	const char *f = *from;
	char *t = *to;

	for (; *f != '\0' && *f != '.'; f++) {
		if (*f == '\\' && *++f == '\0')
			return false;
		*t++ = *f;
	}
	*name = (struct json_name){*to, (size_t)(t - *to)};
	*from = f;
	*to = t;
	return name->len > 0;
}

struct json_path *
json_path_new(const char *text)
{
	struct json_path *p = xcalloc(1, sizeof *p);
	size_t len = strlen(text);
	char *to;

	p->text = to = xmalloc(len + 1);
	p->names = xcalloc(len / 2 + 1, sizeof *p->names);
	while (path_name(&text, &to, &p->names[p->count])) {
		p->count++;
		if (*text == '\0')
			return p;
		text++; /* the dot: another name must follow */
	}
	json_path_free(&p);
	return NULL;
}

void
json_path_free(struct json_path **p)
{
	if (*p == NULL)
		return;
	free((*p)->text);
	free((*p)->names);
	free(*p);
	*p = NULL;
}

/* ---- escapes ------------------------------------------------------------------------------------ */

#define REPLACEMENT 0xfffdu

static size_t
utf8_encode(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX at p; false if it is none. */
static bool
hex_escape(const char *p, const char *end, uint32_t *code)
{
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return false;
	*code = 0;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return false;
		*code = *code << 4 | (uint32_t)digit;
	}
	return true;
}

/* The escape at p, which is \u and four digits: its length, with that of the pair's other half. */
static size_t
unicode_escape(const char *p, const char *end, uint32_t *code)
{
	uint32_t low;

	if (*code < 0xd800 || *code >= 0xe000)
		return 6;
	if (*code < 0xdc00 && hex_escape(p + 6, end, &low) && low >= 0xdc00 && low < 0xe000) {
		*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
		return 12;
	}
	*code = REPLACEMENT;
	return 6;
}

/* The escape at p, where a backslash stands, as UTF-8 in out (4 bytes); its length in the text in *step. */
static size_t
escape_decode(const char *p, const char *end, char *out, size_t *step)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name = end - p >= 2 ? memchr(names, p[1], sizeof names - 1) : NULL;
	uint32_t code;

	if (name != NULL) {
		*step = 2;
		out[0] = values[name - names];
		return 1;
	}
	if (hex_escape(p, end, &code)) {
		*step = unicode_escape(p, end, &code);
	} else {
		*step = 1;
		code = REPLACEMENT;
	}
	return utf8_encode(code, out);
}

size_t
json_unescape(const char *text, size_t len, char *out, size_t size)
{
	const char *p = text, *end = text + len;
	size_t at = 0;

	while (p < end) {
		char code[4], *backslash = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((backslash != NULL ? backslash : end) - p), step, bytes;

		if (at < size)
			memcpy(out + at, p, plain < size - at ? plain : size - at);
		at += plain;
		p += plain;
		if (p == end)
			break;
		bytes = escape_decode(p, end, code, &step);
		for (size_t i = 0; i < bytes; i++, at++)
			if (at < size)
				out[at] = code[i];
		p += step;
	}
	return at;
}

/* ---- pieces of the text ------------------------------------------------------------------------- */

enum { BLANK = 1, SCALAR = 2, AFTER_SCALAR = 4, QUOTE = 8, OPEN = 16, CLOSE = 32 };
#define STRUCTURE (QUOTE | OPEN | CLOSE)

static const uint8_t classes[256] = {
    [' '] = BLANK | AFTER_SCALAR,
    ['\t'] = BLANK | AFTER_SCALAR,
    ['\n'] = BLANK | AFTER_SCALAR,
    ['\r'] = BLANK | AFTER_SCALAR,
    [','] = AFTER_SCALAR,
    ['"'] = QUOTE,
    ['{'] = OPEN,
    ['['] = OPEN,
    ['}'] = CLOSE | AFTER_SCALAR,
    [']'] = CLOSE | AFTER_SCALAR,
    ['+'] = SCALAR,
    ['-'] = SCALAR,
    ['.'] = SCALAR,
    ['0' ... '9'] = SCALAR,
    ['A' ... 'Z'] = SCALAR,
    ['a' ... 'z'] = SCALAR,
};

static bool
is(char c, unsigned mask)
{
	return (classes[(unsigned char)c] & mask) != 0;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is(*p, BLANK))
		p++;
	return p;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Bit 7 of the lowest byte of word that is c, and perhaps of bytes above it; 0 if there is none. */
static uint64_t
bytes_equal(uint64_t word, uint8_t c)
{
	uint64_t x = word ^ EACH_BYTE(c);

	return (x - EACH_BYTE(1)) & ~x & EACH_BYTE(0x80);
}

/* The first quote or backslash; end if there is none. Eight bytes at a time: most strings are so short that
 * two calls of memchr() would cost more than they save. */
static const char *
find_quote(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t word, hits;

		memcpy(&word, p, sizeof word);
		word = le64toh(word);
		hits = bytes_equal(word, '"') | bytes_equal(word, '\\');
		if (hits != 0)
			return p + __builtin_ctzll(hits) / 8;
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* p: behind the opening quote. The closing one, NULL if there is none. */
static const char *
string_end(const char *p, const char *end, bool *escaped)
{
	*escaped = false;
	while ((p = find_quote(p, end)) < end && *p != '"') {
		*escaped = true;
		do {
			if (end - p < 2)
				return NULL;
			p += 2;
		} while (p < end && *p == '\\');
	}
	return p < end ? p : NULL;
}

/* p: behind the opening bracket. Behind the closing one; NULL if there is none. */
static const char *
container_end(const char *p, const char *end)
{
	size_t depth = 1;
	bool escaped;

	while (p < end) {
		unsigned class = classes[(unsigned char)*p++] & STRUCTURE;

		if (class == 0)
			continue;
		if (class == QUOTE) {
			p = string_end(p, end, &escaped);
			if (p == NULL)
				return NULL;
			p++;
		} else if (class == OPEN) {
			depth++;
		} else if (--depth == 0) {
			return p;
		}
	}
	return NULL;
}

/* The end of a number or word; NULL if there is none, or the text ends with it. */
static const char *
scalar_end(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && is(*p, SCALAR))
		p++;
	return p > start && p < end ? p : NULL;
}

/* ---- the value that a path leads to ------------------------------------------------------------- */

static const char *
digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Whether all of it is a number by JSON's grammar. */
static bool
is_number(const char *p, const char *end)
{
	const char *start;

	if (p < end && *p == '-')
		p++;
	start = p;
	p = digits(p, end);
	if (p == start || (*start == '0' && p - start > 1))
		return false;
	if (p < end && *p == '.') {
		start = ++p;
		p = digits(p, end);
		if (p == start)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		start = p;
		p = digits(p, end);
		if (p == start)
			return false;
	}
	return p == end;
}

static bool
is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

static enum json_kind
scalar_kind(const char *text, size_t len)
{
	if (is_word(text, len, "true"))
		return JSON_KIND_TRUE;
	if (is_word(text, len, "false"))
		return JSON_KIND_FALSE;
	if (is_word(text, len, "null"))
		return JSON_KIND_NULL;
	return is_number(text, text + len) ? JSON_KIND_NUMBER : JSON_KIND_NONE;
}

/* ---- the scan ----------------------------------------------------------------------------------- */

struct scan {
	const char *p, *end;
	const struct json_path *const *paths;
	struct json_found *found;
	size_t count;
	size_t matched[JSON_SCAN_PATHS]; /* names of the path that lead to the object it waits in */
	bool open[JSON_SCAN_PATHS];      /* not decided */
	size_t undecided;
	size_t level; /* objects around the one that p is in */
	bool first;   /* p is behind its opening bracket */
	bool broken;  /* a path led to a value that is none */
};

static void
decide(struct scan *s, size_t i, const struct json_found *found)
{
	s->open[i] = false;
	s->undecided--;
	if (found != NULL)
		s->found[i] = *found;
}

static bool
is_active(const struct scan *s, size_t i)
{
	return s->open[i] && s->matched[i] == s->level;
}

static bool
has_active(const struct scan *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (is_active(s, i))
			return true;
	return false;
}

static bool
is_last_name(const struct scan *s, size_t i)
{
	return s->matched[i] + 1 == s->paths[i]->count;
}

/* A name of the text with escapes in it. */
static bool
escaped_name_equal(const char *text, size_t len, const struct json_name *want)
{
	const char *p = text, *end = text + len;
	size_t at = 0;

	while (p < end) {
		char code[4] = {*p};
		size_t bytes = 1, step = 1;

		if (*p == '\\')
			bytes = escape_decode(p, end, code, &step);
		if (want->len - at < bytes || memcmp(want->text + at, code, bytes) != 0)
			return false;
		at += bytes;
		p += step;
	}
	return at == want->len;
}

/* Bit i: path i goes on by this name. */
static unsigned
match_name(const struct scan *s, const char *text, size_t len, bool escaped)
{
	unsigned mask = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct json_name *want;

		if (!is_active(s, i))
			continue;
		want = &s->paths[i]->names[s->matched[i]];
		if (escaped ? escaped_name_equal(text, len, want)
			    : len == want->len && memcmp(text, want->text, len) == 0)
			mask |= 1u << i;
	}
	return mask;
}

/* A value that is no object: found where the path ends, and a dead end for one that goes on. */
static void
decide_value(struct scan *s, unsigned mask, const struct json_found *found)
{
	for (size_t i = 0; i < s->count; i++)
		if ((mask & 1u << i) != 0)
			decide(s, i, is_last_name(s, i) ? found : NULL);
}

/* p is at a [ or {. */
static bool
take_container(struct scan *s, unsigned mask)
{
	static const struct json_found container = {.kind = JSON_KIND_CONTAINER};
	bool enter = false;

	for (size_t i = 0; i < s->count; i++) {
		if ((mask & 1u << i) == 0)
			continue;
		if (*s->p == '{' && !is_last_name(s, i)) {
			s->matched[i]++;
			enter = true;
		} else {
			decide(s, i, is_last_name(s, i) ? &container : NULL);
		}
	}
	s->p++;
	if (enter) {
		s->level++;
		s->first = true;
	} else if (s->undecided > 0) {
		s->p = container_end(s->p, s->end);
	}
	return s->p != NULL;
}

static bool
take_string(struct scan *s, unsigned mask)
{
	struct json_found found = {.kind = JSON_KIND_STRING, .text = s->p + 1};
	const char *quote = string_end(s->p + 1, s->end, &found.escaped);

	if (quote == NULL)
		return false;
	found.len = (size_t)(quote - found.text);
	s->p = quote + 1;
	decide_value(s, mask, &found);
	return true;
}

static bool
take_scalar(struct scan *s, unsigned mask)
{
	struct json_found found = {.text = s->p};
	const char *stop = scalar_end(s->p, s->end);

	if (stop == NULL)
		return false;
	s->p = stop;
	if (mask == 0)
		return true;
	found.len = (size_t)(stop - found.text);
	found.kind = is(*stop, AFTER_SCALAR) ? scalar_kind(found.text, found.len) : JSON_KIND_NONE;
	if (found.kind == JSON_KIND_NONE)
		s->broken = true;
	if (found.kind == JSON_KIND_NONE || found.kind == JSON_KIND_NULL)
		found = (struct json_found){.kind = found.kind};
	decide_value(s, mask, &found);
	return true;
}

/* The value at p, of a field that the paths in mask go on by. */
static bool
take_value(struct scan *s, unsigned mask)
{
	if (*s->p == '"')
		return take_string(s, mask);
	if (is(*s->p, OPEN))
		return take_container(s, mask);
	return take_scalar(s, mask);
}

/* What is looked for in this object is not there. */
static void
decide_active(struct scan *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (is_active(s, i))
			decide(s, i, NULL);
}

static void
go_up(struct scan *s)
{
	if (s->level > 0)
		s->level--;
	s->first = false;
}

/* p is at the closing bracket of an object. */
static void
leave_object(struct scan *s)
{
	decide_active(s);
	s->p++;
	go_up(s);
}

/* Nothing is looked for in the rest of this object. */
static bool
pass_object(struct scan *s)
{
	s->p = container_end(s->p, s->end);
	go_up(s);
	return s->p != NULL;
}

/* The grammar is broken at p. True if another path waits above, for which that does not matter. */
static bool
give_up_object(struct scan *s)
{
	if (s->p == NULL || s->level == 0)
		return false;
	s->broken = true;
	decide_active(s);
	return true;
}

/* Moves p over blanks to a c and behind it, and to what is there. False if there is none. */
static bool
expect(struct scan *s, char c)
{
	const char *p = skip_blanks(s->p, s->end);

	if (p == s->end || *p != c)
		return false;
	s->p = skip_blanks(p + 1, s->end);
	return s->p < s->end;
}

/* The next field of the object, or its end. False if the text is broken. */
static bool
step(struct scan *s)
{
	const char *name, *quote;
	bool escaped;

	s->p = skip_blanks(s->p, s->end);
	if (s->p == s->end)
		return false;
	if (*s->p == '}') {
		leave_object(s);
		return true;
	}
	if (!s->first && !expect(s, ','))
		return false;
	s->first = false;
	if (*s->p != '"')
		return false;
	name = s->p + 1;
	quote = string_end(name, s->end, &escaped);
	if (quote == NULL)
		return false;
	s->p = quote + 1;
	return expect(s, ':') && take_value(s, match_name(s, name, (size_t)(quote - name), escaped));
}

/* A text that is no object: whether it begins like another value. */
static bool
is_other_value(const char *p, const char *end)
{
	const char *stop = p;

	if (*p == '"' || *p == '[')
		return true;
	while (stop < end && is(*stop, SCALAR))
		stop++;
	if (stop < end && !is(*stop, AFTER_SCALAR))
		return false;
	return scalar_kind(p, (size_t)(stop - p)) != JSON_KIND_NONE;
}

bool
json_scan(const char *text, size_t len, const struct json_path *const *paths, size_t count,
	  struct json_found *found)
{
	struct scan s = {.p = text, .paths = paths, .found = found, .count = count, .undecided = count};

	for (size_t i = 0; i < count; i++) {
		found[i] = (struct json_found){.kind = JSON_KIND_NONE};
		s.open[i] = true;
	}
	if (count == 0)
		return true;
	if (len == 0)
		return false;
	s.end = text + len;
	s.p = skip_blanks(s.p, s.end);
	if (s.p == s.end)
		return false;
	if (*s.p != '{')
		return is_other_value(s.p, s.end);
	s.p++;
	s.first = true;
	while (s.undecided > 0)
		if (!(has_active(&s) ? step(&s) || give_up_object(&s) : pass_object(&s)))
			return false;
	return !s.broken;
}
