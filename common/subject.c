/*
 * NATS subjects: what the server takes as a subject, filter or name, how filters relate, and the mapping
 * from source to target. Every process uses it, the worker once a message: nothing here allocates.
 *
 * A token is a wildcard only if it is "*" or ">" and nothing else: "a*" is an ordinary token, and messages
 * with such subjects have to be copied as they are.
 */
#include "common/subject.h"

#include <string.h>

/* One token of a subject, and what follows it. */
struct token {
	const char *start;
	size_t len;
	const char *rest; /* after the dot, NULL if this is the last one */
};

static struct token
token_at(const char *p)
{
	size_t len = strcspn(p, ".");

	return (struct token){p, len, p[len] == '.' ? p + len + 1 : NULL};
}

static bool
token_is(struct token t, char wildcard)
{
	return t.len == 1 && t.start[0] == wildcard;
}

static bool
token_equal(struct token a, struct token b)
{
	return a.len == b.len && memcmp(a.start, b.start, a.len) == 0;
}

/* Blanks end a subject in the protocol; a token may not be empty. */
static bool
tokens_valid(const char *subject, bool wildcards)
{
	const char *p = subject;

	if (strlen(subject) >= SUBJECT_MAX || subject[strcspn(subject, " \t\r\n\f")] != '\0')
		return false;
	while (p != NULL) {
		struct token t = token_at(p);

		if (t.len == 0)
			return false;
		if (token_is(t, '*') && !wildcards)
			return false;
		if (token_is(t, '>') && (!wildcards || t.rest != NULL))
			return false;
		p = t.rest;
	}
	return true;
}

bool
subject_valid(const char *subject)
{
	return tokens_valid(subject, false);
}

bool
subject_filter_valid(const char *filter)
{
	return tokens_valid(filter, true);
}

bool
subject_matches(const char *filter, const char *subject)
{
	for (;;) {
		struct token f = token_at(filter), s = token_at(subject);

		if (token_is(f, '>'))
			return true;
		if (!token_is(f, '*') && !token_equal(f, s))
			return false;
		if (f.rest == NULL || s.rest == NULL)
			return f.rest == NULL && s.rest == NULL;
		filter = f.rest;
		subject = s.rest;
	}
}

bool
subject_filters_overlap(const char *a, const char *b)
{
	for (;;) {
		struct token ta = token_at(a), tb = token_at(b);

		if (token_is(ta, '>') || token_is(tb, '>'))
			return true;
		if (!token_is(ta, '*') && !token_is(tb, '*') && !token_equal(ta, tb))
			return false;
		if (ta.rest == NULL || tb.rest == NULL)
			return ta.rest == NULL && tb.rest == NULL;
		a = ta.rest;
		b = tb.rest;
	}
}

bool
subject_filter_contains(const char *outer, const char *inner)
{
	for (;;) {
		struct token o = token_at(outer), i = token_at(inner);

		if (token_is(o, '>'))
			return true;
		if (token_is(i, '>') || (token_is(i, '*') && !token_is(o, '*')))
			return false;
		if (!token_is(o, '*') && !token_equal(o, i))
			return false;
		if (o.rest == NULL || i.rest == NULL)
			return o.rest == NULL && i.rest == NULL;
		outer = o.rest;
		inner = i.rest;
	}
}

bool
subject_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SUBJECT_NAME_MAX)
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!subject_name_char_valid(*p))
			return false;
	return true;
}

bool
subject_name_char_valid(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr(".*>/\\", c) == NULL;
}

/* The client libraries' rule, but for ".." which makes no subject of it. */
bool
subject_key_valid(const char *key)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_=.";
	size_t len = strlen(key);

	return len > 0 && len <= SUBJECT_NAME_MAX && key[strspn(key, set)] == '\0' && key[0] != '.' &&
	       key[len - 1] != '.' && strstr(key, "..") == NULL;
}

bool
subject_bucket_valid(const char *bucket)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(bucket);

	return len > 0 && len <= SUBJECT_BUCKET_MAX && bucket[strspn(bucket, set)] == '\0';
}

/* Deletes every occurrence of what, which is not empty, from left to right, in place. */
static void
delete_all(char *text, const char *what)
{
	size_t what_len = strlen(what);
	char *to = text;
	const char *from = text, *hit;

	while ((hit = strstr(from, what)) != NULL) {
		memmove(to, from, (size_t)(hit - from));
		to += hit - from;
		from = hit + what_len;
	}
	memmove(to, from, strlen(from) + 1);
}

/* Each ".." becomes ".", from left to right and once: what the existing system does. */
static size_t
join_dots(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		if (from[0] == '.' && from[1] == '.')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return (size_t)(to - text);
}

int
subject_map(const char *prefix, const char *remove, const char *subject, char *out, size_t out_size)
{
	size_t prefix_len = strlen(prefix), subject_len = strlen(subject);
	size_t dot = prefix_len > 0 ? 1 : 0, len = prefix_len + dot + subject_len;

	if (len >= out_size || len >= SUBJECT_MAX)
		return -1;
	memcpy(out, prefix, prefix_len);
	if (dot > 0)
		out[prefix_len] = '.';
	memcpy(out + prefix_len + dot, subject, subject_len + 1);
	if (prefix_len > 0)
		len = join_dots(out); /* a prefix may end in a dot */
	if (*remove != '\0') {
		delete_all(out, remove);
		len = join_dots(out);
	}
	return subject_filter_valid(out) ? (int)len : -1;
}
