/*
 * Header blocks as raw bytes, and the one table of what a copy does with which header. Pure.
 *
 * A block is what stands on the wire: "NATS/1.0\r\n", lines "name:value\r\n", "\r\n". Names, case,
 * order, blanks and empty values are kept byte by byte; nothing is parsed and written again.
 */
#ifndef SR_COMMON_HEADER_H
#define SR_COMMON_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct header_line {
	const char *line; /* start of the line; borrowed */
	size_t line_len;  /* without CR LF */
	const char *name; /* == line */
	size_t name_len;  /* up to the colon */
	const char *value; /* behind the colon and the blanks that follow it */
	size_t value_len; /* without trailing blanks */
};

/* Whether block is a whole, well-formed block without NUL bytes. len 0 (no headers) is fine. */
bool header_block_valid(const char *block, size_t len);
/* The number behind "NATS/1.0" on the first line, 0 if there is none: status messages of the server. */
int header_inline_status(const char *block, size_t len, const char **description, size_t *description_len);

/* Walks the lines: *offset starts at 0. False at the end or at a line without colon. */
bool header_next(const char *block, size_t len, size_t *offset, struct header_line *line);
/* First line with that name, case as given (the server's rule for its own headers). */
bool header_find(const char *block, size_t len, const char *name, struct header_line *line);

enum header_action { HEADER_KEEP, HEADER_REMOVE, HEADER_RENAME };
/* What the target is known to accept; all false is the safe start. */
struct header_policy {
	bool pass_rollup;    /* target allows rollup and the topic has pass_rollup */
	bool accept_ttl;     /* Nats-TTL */
	bool accept_schedule;/* Nats-Schedule* */
	bool accept_counter; /* Nats-Incr, Nats-Counter-* */
};
/* The rule for one name; with HEADER_RENAME *renamed is the new name's fixed part: the whole name, or a
 * prefix that the old name is put behind (*is_prefix). Names compare without regard to case. */
enum header_action header_rule(const struct header_policy *policy, const char *name, size_t name_len,
    const char **renamed, bool *is_prefix);

/* The table itself, for the manual: returns false behind the last row. */
bool header_rule_row(size_t i, const char **names, const char **action, const char **why);

/*
 * Appends the lines a copy carries over from its source message (block may be NULL with len 0), each
 * with its CR LF, without "NATS/1.0" line and without the final empty line: own lines follow.
 * Returns 0, or -1 if the block is not well-formed.
 */
int header_copy_lines(const struct header_policy *policy, const char *block, size_t len, struct strbuf *out);

/* True if a Choria-SR-Path line of the block lists site. Site names are separated by commas. */
bool header_path_has(const char *block, size_t len, const char *site);

/*
 * The comparison of `verify`: whether target is what header_copy_lines and our own lines would make of
 * source. Own lines (origin, path, Nats-Expected-Last-Sequence, our Nats-Msg-Id) are left out on the
 * target's side. policy rows that depend on the target are tried both ways.
 */
bool header_equal_after_copy(const char *source, size_t source_len, const char *target, size_t target_len);

#endif
