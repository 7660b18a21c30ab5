/* A row of the checkpoint table in and out of its struct: shared by writer and reader. */
#ifndef SR_STATE_ROWS_H
#define SR_STATE_ROWS_H

#include <sqlite3.h>

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

#endif
