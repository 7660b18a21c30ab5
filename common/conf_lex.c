/*
 * Lexical part of the configuration. What libconfuse would drop or misread without a word (an unquoted `*`,
 * `+`, `;`, a `#` inside of a value, an unset ${NAME}, a NUL escape) is a problem here, with its cure.
 * Works on a buffer whose end it knows; reads nothing but the environment.
 */
#include "common/conf_lex.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
at(const struct conf_lexer *l, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(l->end - l->p) >= len && memcmp(l->p, text, len) == 0;
}

/* A problem of the word that is being read. */
static void
bad_word(struct conf_lexer *l, unsigned int line, const char *text)
{
	l->bad = true;
	l->problem(l->arg, line, text);
}

static void
put(struct conf_lexer *l, char c)
{
	strbuf_add(&l->word, &c, 1);
}

/* Takes one character, whatever it is. */
static char
take(struct conf_lexer *l)
{
	if (*l->p == '\n')
		l->line++;
	return *l->p++;
}

/* ---- blanks and comments --------------------------------------------------------------------------- */

static bool
skip_block_comment(struct conf_lexer *l)
{
	unsigned int start = l->line;

	for (l->p += 2; l->p < l->end; take(l)) {
		if (!at(l, "*/"))
			continue;
		l->p += 2;
		return true;
	}
	l->problem(l->arg, start, "comment without end, want */ behind it");
	return false;
}

/* False if a comment has no end. */
static bool
skip_blanks(struct conf_lexer *l)
{
	while (l->p < l->end) {
		if (strchr(" \t\r\n", *l->p) != NULL) {
			take(l);
		} else if (*l->p == '#' || at(l, "//")) {
			while (l->p < l->end && *l->p != '\n')
				l->p++;
		} else if (at(l, "/*")) {
			if (!skip_block_comment(l))
				return false;
		} else {
			return true;
		}
	}
	return true;
}

/* ---- environment ----------------------------------------------------------------------------------- */

static size_t
variable_name_length(const char *name, size_t len)
{
	size_t n = 0;

	while (n < len && (isalnum((unsigned char)name[n]) || name[n] == '_'))
		n++;
	return n > 0 && isdigit((unsigned char)name[0]) ? 0 : n;
}

static void
put_variable(struct conf_lexer *l, const char *name, const char *fallback)
{
	const char *value = getenv(name);
	char text[160];

	if (value != NULL) {
		strbuf_adds(&l->word, value);
	} else if (fallback != NULL) {
		strbuf_adds(&l->word, fallback);
	} else {
		snprintf(text, sizeof text,
			 "${%.64s}: not set in the environment, set it or write ${%.24s:-default}", name,
			 name);
		bad_word(l, l->line, text);
	}
}

/* At "${": NAME or NAME:-default and "}", on one line. */
static void
expand(struct conf_lexer *l)
{
	const char *start = l->p + 2, *newline = memchr(start, '\n', (size_t)(l->end - start));
	const char *close = memchr(start, '}', (size_t)((newline == NULL ? l->end : newline) - start));
	char name[256];
	size_t len = close == NULL ? sizeof name : (size_t)(close - start), name_len;

	l->p = close == NULL ? start : close + 1;
	name_len = len < sizeof name ? variable_name_length(start, len) : 0;
	if (name_len == 0 ||
	    (name_len < len && (len < name_len + 2 || memcmp(start + name_len, ":-", 2) != 0))) {
		bad_word(l, l->line,
			 "bad ${...}, want ${NAME} or ${NAME:-default} (\\$ in double quotes for a $)");
		return;
	}
	memcpy(name, start, len);
	name[len] = '\0';
	name[name_len] = '\0';
	put_variable(l, name, name_len < len ? name + name_len + 2 : NULL);
}

/* ---- words ----------------------------------------------------------------------------------------- */

/* Octal digits, at most three. False for a number that is no character. */
static bool
put_octal(struct conf_lexer *l)
{
	unsigned int v = 0;

	for (int i = 0; i < 3 && l->p < l->end && *l->p >= '0' && *l->p <= '7'; i++)
		v = v * 8 + (unsigned int)(*l->p++ - '0');
	if (v == 0 || v > 255)
		return false;
	put(l, (char)v);
	return true;
}

static bool
put_hex(struct conf_lexer *l)
{
	char digits[3] = "";
	unsigned long v;

	for (int i = 0; i < 2 && l->p < l->end && isxdigit((unsigned char)*l->p); i++)
		digits[i] = *l->p++;
	v = strtoul(digits, NULL, 16);
	if (v == 0)
		return false;
	put(l, (char)v);
	return true;
}

/* Behind a backslash in double quotes. */
static bool
put_escape(struct conf_lexer *l)
{
	static const char letters[] = "nrbfaetv", meaning[] = "\n\r\b\f\a\033\t\v";
	const char *letter;
	char c = take(l);

	if (c == '\n') /* the line goes on */
		return true;
	if (c == 'x')
		return put_hex(l);
	if (isdigit((unsigned char)c)) {
		l->p--;
		return put_octal(l);
	}
	letter = strchr(letters, c);
	put(l, letter != NULL ? meaning[letter - letters] : c);
	return true;
}

static enum conf_lex_result
double_quoted(struct conf_lexer *l)
{
	unsigned int start = l->line;

	for (l->p++; l->p < l->end;) {
		if (*l->p == '"') {
			l->p++;
			return CONF_LEX_TOKEN;
		}
		if (l->environment && at(l, "${")) {
			expand(l);
		} else if (*l->p != '\\') {
			put(l, take(l));
		} else if (++l->p < l->end && !put_escape(l)) {
			bad_word(l, l->line, "bad escape after \\, write \\\\ for a backslash");
		}
	}
	l->problem(l->arg, start, "string without end, want \" behind it");
	return CONF_LEX_BROKEN;
}

static enum conf_lex_result
single_quoted(struct conf_lexer *l)
{
	unsigned int start = l->line;

	for (l->p++; l->p < l->end;) {
		if (*l->p == '\'') {
			l->p++;
			return CONF_LEX_TOKEN;
		}
		if (at(l, "\\\n")) {
			l->p++;
			take(l);
			continue;
		}
		if (at(l, "\\\\") || at(l, "\\'"))
			l->p++;
		put(l, take(l));
	}
	l->problem(l->arg, start, "string without end, want ' behind it");
	return CONF_LEX_BROKEN;
}

/* What cannot stand in a value without quotes, though libconfuse would say nothing. */
static bool
is_bad_bare(char c)
{
	return strchr("*+;#", c) != NULL;
}

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static enum conf_lex_result
bare(struct conf_lexer *l)
{
	char text[96], bad = '\0';

	while (l->p < l->end && strchr(" \t\r\n\"'={}(),", *l->p) == NULL && !at(l, "+=")) {
		if (is_control(*l->p)) {
			snprintf(text, sizeof text, "control character \\x%02x, not a text file",
				 (unsigned int)(unsigned char)*l->p);
			l->problem(l->arg, l->line, text);
			return CONF_LEX_BROKEN;
		}
		if (l->environment && at(l, "${")) {
			expand(l);
			continue;
		}
		if (bad == '\0' && is_bad_bare(*l->p))
			bad = *l->p;
		put(l, take(l));
	}
	if (bad != '\0') {
		snprintf(text, sizeof text, "unquoted %c, put the value in double quotes", bad);
		bad_word(l, l->line, text);
	}
	return CONF_LEX_TOKEN;
}

enum conf_lex_result
conf_lex_next(struct conf_lexer *l, enum conf_token_kind *kind, unsigned int *line)
{
	static const char marks[] = "{}=,()";
	static const enum conf_token_kind mark_kinds[] = {CONF_TOKEN_OPEN,       CONF_TOKEN_CLOSE,
							  CONF_TOKEN_ASSIGN,     CONF_TOKEN_COMMA,
							  CONF_TOKEN_LEFT_PAREN, CONF_TOKEN_RIGHT_PAREN};
	const char *mark;

	strbuf_reset(&l->word);
	l->bad = false;
	if (!skip_blanks(l))
		return CONF_LEX_BROKEN;
	*line = l->line;
	*kind = CONF_TOKEN_WORD;
	if (l->p == l->end)
		return CONF_LEX_END;
	if (*l->p == '"')
		return double_quoted(l);
	if (*l->p == '\'')
		return single_quoted(l);
	if (at(l, "+=")) {
		l->p += 2;
		*kind = CONF_TOKEN_APPEND;
	} else if ((mark = strchr(marks, *l->p)) != NULL) {
		l->p++;
		*kind = mark_kinds[mark - marks];
	} else {
		return bare(l);
	}
	return CONF_LEX_TOKEN;
}

void
conf_lex_quote(const char *text, struct strbuf *out)
{
	strbuf_adds(out, "\"");
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ')
			strbuf_addf(out, "\\x%02x", (unsigned int)(unsigned char)*p);
		else if (strchr("\"\\$", *p) != NULL)
			strbuf_addf(out, "\\%c", *p);
		else
			strbuf_add(out, p, 1);
	}
	strbuf_adds(out, "\"");
}
