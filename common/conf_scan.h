/*
 * A configuration file, its includes and the environment, as one list of tokens that know where they stand.
 *
 * libconfuse parses what this makes of the files and never the files themselves: it would end the process
 * for a directory, cut values at a NUL byte, drop an unquoted `*`, take an unset ${NAME} for nothing, crash
 * on deep nesting, and keep its scanner's state over a file that ended inside of a string. The text for it
 * has one token a line, so that its line number is the index of a token here and every problem gets
 * the file and line of the very word it is about.
 */
#ifndef SR_COMMON_CONF_SCAN_H
#define SR_COMMON_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf_lex.h"
#include "common/conf_report.h"
#include "common/strbuf.h"

#define CONF_FILE_MAX     (4 * 1024 * 1024)  /* bytes of one file */
#define CONF_TOTAL_MAX    (16 * 1024 * 1024) /* bytes of all files together */
#define CONF_TOKENS_MAX   500000
#define CONF_WORD_MAX     16384 /* bytes of a name or value */
#define CONF_INCLUDE_MAX  8     /* files inside of files */
#define CONF_FILES_MAX    1000
#define CONF_DEPTH_MAX    8 /* braces inside of braces */
#define CONF_SECTIONS_MAX 16384
#define CONF_TITLED_MAX   4096 /* sections with a title: topics */
#define CONF_TOPICS_MAX   4096 /* with their partitions */

#define CONF_NONE SIZE_MAX

struct conf_token {
	enum conf_token_kind kind;
	unsigned int line;
	size_t file;    /* index in files */
	size_t section; /* index in sections: where it stands; a brace belongs to its section */
	size_t key;     /* a value: index of the token that names its setting; else CONF_NONE */
	char *text;     /* of a word, else NULL */
	bool bad;       /* a problem with the text is reported already */
};

struct conf_scan_section {
	size_t parent;
	size_t name;  /* index of its token; CONF_NONE for the top level, which is section 0 */
	size_t title; /* CONF_NONE if it has none */
};

struct conf_scan {
	char **files;
	size_t file_count;
	struct conf_token *tokens;
	size_t token_count;
	struct conf_scan_section *sections;
	size_t section_count;
	bool broken; /* a problem that nothing behind it can be understood after; it is reported */
	struct conf_report *report; /* borrowed */

	/* for scanning only */
	bool text_only; /* no include, no environment */
	size_t bytes;
	size_t titled;
	size_t open[CONF_DEPTH_MAX]; /* sections that are open, CONF_NONE for the brace of a list */
	size_t depth;
};

/* Problems go to report, which is borrowed until conf_scan_fini. */
void conf_scan_init(struct conf_scan *s, struct conf_report *report);
void conf_scan_fini(struct conf_scan *s);

/* Reads a file with its includes. */
void conf_scan_file(struct conf_scan *s, const char *path);
/* The same from text, without includes and environment: ${NAME} stands for itself. */
void conf_scan_text(struct conf_scan *s, const char *text, size_t len);

/* The text for libconfuse: token i stands on line i + 1. */
void conf_scan_write(const struct conf_scan *s, struct strbuf *out);

/* Reports a problem of the token: "file:line: ", the topic and section it stands in, and the text. */
void conf_scan_problem(const struct conf_scan *s, size_t token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of a section as a whole, at its name. */
void conf_scan_section_problem(const struct conf_scan *s, size_t section, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a name as it may be shown in a problem: clean and not too long. */
void conf_scan_show(const char *name, struct strbuf *out);

/* The name of a section and its title as text; "" for the top level or without title. */
const char *conf_scan_name(const struct conf_scan *s, size_t section);
const char *conf_scan_title(const struct conf_scan *s, size_t section);

#endif
