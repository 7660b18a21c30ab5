/*
 * Header blocks as raw bytes, and the one table of what a copy does with which header. Pure.
 *
 * A block is what stands on the wire: "NATS/1.0\r\n", lines "name:value\r\n", "\r\n". Names, case,
 * order, blanks and empty values are kept byte by byte; nothing is parsed and written again. A line ends
 * at CR LF alone. Lines that begin with a blank or a tab belong to the header above them (folding), so
 * that a removed or renamed header takes them along. A line without colon is no header and is kept.
 *
 * A copy's Nats-Expected-Last-Sequence or Nats-Msg-Id must stand in front of the copied lines: server 2.9
 * looks for the first occurrence of that text anywhere in the block and, if it is within another header's
 * name or value, takes the message without any check (2.14 does not). A block may also hold an empty
 * line in its middle, where most readers stop.
 */
#ifndef SR_COMMON_HEADER_H
#define SR_COMMON_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct header_line {
	const char *line;  /* start of the header's first line; borrowed */
	size_t line_len;   /* with its folded lines, without the last CR LF */
	const char *name;  /* == line */
	size_t name_len;   /* up to the colon */
	const char *value; /* behind the colon and the blanks and tabs that follow it */
	size_t value_len;  /* without trailing blanks and tabs */
};

/* Whether block is a whole, well-formed block: version line, lines that end in CR LF, no folded line with
 * nothing above it, an empty line at the end, no NUL byte. len 0 (no headers) is fine. */
bool header_block_valid(const char *block, size_t len);
/* The number behind "NATS/1.0" on the first line, 0 if there is none: status messages of the server.
 * description and description_len may be NULL; "" with length 0 if there is none. */
int header_inline_status(const char *block, size_t len, const char **description, size_t *description_len);

/* Walks the headers: *offset starts at 0. Lines without colon are passed over. False at the end. Reads
 * nothing past len, whatever the block holds. */
bool header_next(const char *block, size_t len, size_t *offset, struct header_line *line);
/* First line with that name, case as given (the server's rule for its own headers). */
bool header_find(const char *block, size_t len, const char *name, struct header_line *line);
/* Whether the line has that name, without regard to case (the table's rule). */
bool header_name_is(const struct header_line *line, const char *name);

enum header_action { HEADER_KEEP, HEADER_REMOVE, HEADER_RENAME };
/* What the target is known to accept; all false is the safe start. */
struct header_policy {
	bool pass_rollup;     /* target allows rollup and the topic has pass_rollup */
	bool accept_ttl;      /* Nats-TTL */
	bool accept_schedule; /* Nats-Schedule* */
	bool accept_counter;  /* Nats-Incr, Nats-Counter-* */
};
/* The rule for one name; with HEADER_RENAME *renamed is the new name's fixed part: the whole name, or a
 * prefix that the old name is put behind (*is_prefix). Names compare without regard to case. */
enum header_action header_rule(const struct header_policy *policy, const char *name, size_t name_len,
			       const char **renamed, bool *is_prefix);

/* The table itself, for the manual: returns false behind the last row. A name that ends with * stands for
 * all names that begin so. */
bool header_rule_row(size_t i, const char **names, const char **action, const char **why);

/*
 * Appends the lines a copy carries over from its source message (block may be NULL with len 0), each
 * with its CR LF, without "NATS/1.0" line and without the final empty line.
 * Returns 0, or -1 with nothing appended if the block is not well-formed, or has an inline status, which
 * the client library cannot write.
 */
int header_copy_lines(const struct header_policy *policy, const char *block, size_t len, struct strbuf *out);

/* The number that the value of the first line of that name begins with, as a server writes it; 0 for none. */
uint64_t header_number(const char *block, size_t len, const char *name);

/* True if a Choria-SR-Path line of the block lists site. Site names are separated by commas. */
bool header_path_has(const char *block, size_t len, const char *site);
/* Appends the one line "Choria-SR-Path: a,b,own_site\r\n": the sites that the block's path lines list
 * (header_copy_lines leaves them out), then own_site. */
void header_path_append(const char *block, size_t len, const char *own_site, struct strbuf *out);

/*
 * The comparison of `verify`: whether target is what header_copy_lines and our own lines would make of
 * source. Own lines (origin, path, value, Nats-Expected-Last-Sequence, our Nats-Msg-Id) are left out on the
 * target's side. policy rows that depend on the target are tried both ways.
 */
bool header_equal_after_copy(const char *source, size_t source_len, const char *target, size_t target_len);

#endif
