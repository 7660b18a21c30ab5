/*
 * Rows in and out of statements, for the writer in the supervisor and the reader in the workers and the
 * user's commands. People can write to the file too: what is read is checked.
 */
#include "state/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "common/xalloc.h"

#define NS_PER_MS 1000000

const char *
rows_text(sqlite3_stmt *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	return text != NULL ? text : "";
}

/* A creation time of its two columns; 0, not known, if somebody wrote nonsense there. */
static int64_t
created_ns(sqlite3_stmt *q, int column)
{
	int64_t ms = sqlite3_column_int64(q, column), frac = sqlite3_column_int64(q, column + 1);

	if (ms < 0 || ms >= INT64_MAX / NS_PER_MS || frac < 0 || frac >= NS_PER_MS)
		return 0;
	return ms * NS_PER_MS + frac;
}

void
rows_read_checkpoint(sqlite3_stmt *q, struct proto_checkpoint *c)
{
	c->source_stream = xstrdup(rows_text(q, 2));
	c->source_created_ns = created_ns(q, 3);
	c->source_seq = (uint64_t)sqlite3_column_int64(q, 5);
	c->target_stream = xstrdup(rows_text(q, 6));
	c->target_created_ns = created_ns(q, 7);
	c->target_seq = (uint64_t)sqlite3_column_int64(q, 9);
	c->in_flight = (uint64_t)sqlite3_column_int64(q, 10);
	c->map_hash = strtoull(rows_text(q, 11), NULL, 16);
	c->updated_ms = sqlite3_column_int64(q, 12);
}

static void
bind_text(sqlite3_stmt *q, int place, const char *text)
{
	sqlite3_bind_text(q, place, text, -1, SQLITE_STATIC);
}

int
rows_write_checkpoint(sqlite3_stmt *q, const char *topic, const char *worker,
		      const struct proto_checkpoint *c)
{
	char hash[17];

	snprintf(hash, sizeof hash, "%016" PRIx64, c->map_hash);
	bind_text(q, 1, topic);
	bind_text(q, 2, worker);
	bind_text(q, 3, c->source_stream);
	sqlite3_bind_int64(q, 4, c->source_created_ns / NS_PER_MS);
	sqlite3_bind_int64(q, 5, c->source_created_ns % NS_PER_MS);
	sqlite3_bind_int64(q, 6, (sqlite3_int64)c->source_seq);
	bind_text(q, 7, c->target_stream);
	sqlite3_bind_int64(q, 8, c->target_created_ns / NS_PER_MS);
	sqlite3_bind_int64(q, 9, c->target_created_ns % NS_PER_MS);
	sqlite3_bind_int64(q, 10, (sqlite3_int64)c->target_seq);
	sqlite3_bind_int64(q, 11, (sqlite3_int64)c->in_flight);
	bind_text(q, 12, hash);
	sqlite3_bind_int64(q, 13, c->updated_ms);
	return sqlite3_step(q);
}

/* ---- samples and advisories ---------------------------------------------------------------------- */

/* Whether the column holds a number, and one within these bounds. */
static bool
number_between(sqlite3_stmt *q, int column, int64_t least, int64_t most, int64_t *number)
{
	*number = sqlite3_column_int64(q, column);
	return sqlite3_column_type(q, column) == SQLITE_INTEGER && *number >= least && *number <= most;
}

bool
rows_read_sample(sqlite3_stmt *q, struct proto_sample *row)
{
	int64_t size, advised;

	if (sqlite3_column_type(q, 0) != SQLITE_TEXT || sqlite3_column_type(q, 1) != SQLITE_TEXT ||
	    !number_between(q, 2, 0, INT64_MAX, &row->seen_ms) ||
	    !number_between(q, 3, 0, INT64_MAX, &row->copied_ms) ||
	    !number_between(q, 4, 0, UINT32_MAX, &size) || !number_between(q, 5, 0, 1, &advised))
		return false;
	row->value = rows_text(q, 1);
	row->value_len = (size_t)sqlite3_column_bytes(q, 1);
	row->size = (uint32_t)size;
	row->advised = advised == 1;
	row->forgotten = false;
	return sample_value_valid(row->value, row->value_len);
}

/* A text without NUL; statements hand out what nobody here writes to, so the struct may have it. */
static bool
text_between(sqlite3_stmt *q, int column, size_t least, size_t most, char **text)
{
	size_t len;

	if (sqlite3_column_type(q, column) != SQLITE_TEXT)
		return false;
	*text = (char *)(uintptr_t)sqlite3_column_text(q, column);
	len = (size_t)sqlite3_column_bytes(q, column);
	return *text != NULL && len >= least && len <= most && strlen(*text) == len;
}

bool
rows_read_advisory(sqlite3_stmt *q, struct proto_advisory *row)
{
	int64_t tries;

	if (sqlite3_column_type(q, 0) != SQLITE_TEXT ||
	    !text_between(q, 1, 1, PROTO_MAX_ADVISORY_ID, &row->id) ||
	    !text_between(q, 2, 1, PROTO_MAX_TEXT, &row->subject) ||
	    !text_between(q, 3, 0, PROTO_MAX_TEXT, &row->body) ||
	    !number_between(q, 4, 0, UINT32_MAX, &tries) ||
	    !number_between(q, 5, 0, INT64_MAX, &row->next_try_ms))
		return false;
	row->op = ADVISORY_PUT;
	row->tries = (uint32_t)tries;
	return true;
}
