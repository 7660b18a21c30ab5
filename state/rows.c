/* Rows in and out of statements, for the writer in the supervisor and the reader in the user's commands. */
#include "state/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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
