/* What the writer keeps whole in memory: checkpoints, meta, who leads, and incidents that wait. */
#ifndef SR_STATE_TABLES_H
#define SR_STATE_TABLES_H

#include <sqlite3.h>
#include <stdbool.h>

#include "state/memory.h"

struct tables {
	struct memory_table checkpoints;
	struct memory_table meta; /* without the notes of samples */
	struct memory_leadership leadership;
	struct memory_incidents incidents;
};

void tables_init(struct tables *t);
void tables_fini(struct tables *t);
/* Whether the file does not have all of it. */
bool tables_dirty(const struct tables *t);
/* Memory is all there is: everything is to be written. */
void tables_forget_file(struct tables *t);

/* The file's rows that memory does not have. SQLITE_OK or what SQLite said, as of the next. */
int tables_read(struct tables *t, sqlite3 *db);
/* Into the open transaction. */
int tables_write(const struct tables *t, sqlite3 *db);
/* It was committed. */
void tables_committed(struct tables *t);

#endif
