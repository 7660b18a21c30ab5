/* Rows in and out of their structs: shared by writer and reader. */
#ifndef SR_STATE_ROWS_H
#define SR_STATE_ROWS_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/proto.h"

/* The columns, in the order of the two functions below. */
#define ROWS_CHECKPOINT_COLUMNS                                                                              \
	"topic, worker, source_stream, source_created, source_created_frac, source_seq, target_stream,"      \
	" target_created, target_created_frac, target_seq, in_flight, map_hash, updated"
#define ROWS_CHECKPOINT_PLACES "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

/* Text of a column, "" for NULL; lives until the statement steps. */
const char *rows_text(sqlite3_stmt *q, int column);
/* Allocates c's strings: proto_checkpoint_fini. Nonsense in the file gives zeros. */
void rows_read_checkpoint(sqlite3_stmt *q, struct proto_checkpoint *c);
/* What is given must live until the statement is stepped. SQLITE_DONE if it was written. */
int rows_write_checkpoint(sqlite3_stmt *q, const char *topic, const char *worker,
			  const struct proto_checkpoint *c);

/* The columns, in the order that the two functions below want. */
#define ROWS_SAMPLE_COLUMNS   "topic, value, seen, copied, size, advised"
#define ROWS_ADVISORY_COLUMNS "topic, id, subject, body, tries, next_try"

/* False if it is not one that this program can have written: to be passed over. What is set is borrowed,
 * until the statement steps. */
bool rows_read_sample(sqlite3_stmt *q, struct proto_sample *row);
bool rows_read_advisory(sqlite3_stmt *q, struct proto_advisory *row);

#endif
