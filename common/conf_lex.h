/* The characters of a configuration file as tokens: libconfuse's syntax, without what it drops silently. */
#ifndef SR_COMMON_CONF_LEX_H
#define SR_COMMON_CONF_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

enum conf_token_kind {
	CONF_TOKEN_WORD, /* a name or value, with quotes, escapes and ${NAME} resolved */
	CONF_TOKEN_OPEN,
	CONF_TOKEN_CLOSE,
	CONF_TOKEN_ASSIGN,
	CONF_TOKEN_APPEND, /* += */
	CONF_TOKEN_COMMA,
	CONF_TOKEN_LEFT_PAREN,
	CONF_TOKEN_RIGHT_PAREN,
};

enum conf_lex_result { CONF_LEX_TOKEN, CONF_LEX_END, CONF_LEX_BROKEN };

struct conf_lexer {
	const char *p, *end; /* what is left; holds no NUL; borrowed */
	unsigned int line;
	bool environment;   /* ${NAME} is replaced */
	struct strbuf word; /* text of the last word */
	bool bad;           /* there was a problem in it, so that its text says nothing */
	/* A problem in words; CONF_LEX_BROKEN follows if nothing behind it can be understood. */
	void (*problem)(void *arg, unsigned int line, const char *text);
	void *arg;
};

/* Reads one token; *line is where it starts. */
enum conf_lex_result conf_lex_next(struct conf_lexer *l, enum conf_token_kind *kind, unsigned int *line);

/* Appends text as a word in double quotes, on one line, with nothing in it that would be replaced: what
 * both this scanner and libconfuse read back as the same text. */
void conf_lex_quote(const char *text, struct strbuf *out);

#endif
