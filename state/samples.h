/*
 * Batches of rows of `sample` that wait for a commit: one a topic, as the bytes that came over the pipe. What
 * became of them is told afterwards.
 */
#ifndef SR_STATE_SAMPLES_H
#define SR_STATE_SAMPLES_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"

/* Keys of meta that say up to where a topic's rows are whole. */
#define SAMPLES_NOTE_KEY "sampled:"

/* A topic that sends samples, from its first worker's start on. */
struct samples_topic {
	char *topic;
	/* The batch; nothing of it holds unless waiting. */
	bool waiting;
	bool orphan;   /* its process is gone: nobody is to be told */
	bool open;     /* a part of it, or all, is in the open transaction */
	int64_t order; /* of the batches, oldest first */
	uint64_t serial;
	char *note;
	uint8_t *rows; /* rows_len bytes */
	size_t rows_len;
	size_t written; /* of them, so many bytes are in the file */
	size_t writing; /* and so many when the open transaction is committed */

	bool stored; /* to be told: the batch stored_serial is in */
	uint64_t stored_serial;
	bool again;      /* to be told: the file was lost, all rows are wanted anew */
	bool distrust;   /* the next batch may have been made before that was heard: its note does not hold */
	bool distrusted; /* the one that waits is such a batch */
	bool drop_note;  /* the note in the file no longer holds */
};

struct samples {
	struct samples_topic *topics; /* count of them */
	size_t count;
	int64_t first_order, last_order;
	size_t budget; /* rows of the next transaction */
	size_t rows;   /* of the open one, or the last */
};

void samples_init(struct samples *s);
void samples_fini(struct samples *s);

/* A process of the topic starts: it reads the file, and what another was to be told concerns nobody now. */
void samples_start(struct samples *s, const char *topic);
/* Whether something of the topic is to be written before it does. */
bool samples_wait(const struct samples *s, const char *topic);
/* The topic's batch goes before all others. */
void samples_first(struct samples *s, const char *topic);
/* Copies the batch. Behind one that waits still it goes if it is of the same process; that of another one is
 * replaced: the one that runs now began without it. */
void samples_put(struct samples *s, const char *topic, const struct proto_samples *batch);
bool samples_dirty(const struct samples *s);

/*
 * Writes what waits into the open transaction, as much as the budget allows, at least something. A batch may
 * take several transactions; its note comes with its last row. Batches of a topic that held() speaks of stay.
 * SQLITE_OK or what SQLite said.
 */
int samples_write(struct samples *s, sqlite3 *db, bool (*held)(const void *arg, const char *topic),
		  const void *arg);
/* The transaction was committed. */
void samples_committed(struct samples *s);
/* So long it took, or the log's way into the database afterwards: the next ones are to fit. */
void samples_took(struct samples *s, int64_t ms);
/* What was committed may be lost. */
void samples_forget_file(struct samples *s);

/* See state_take_stored(). */
bool samples_take(struct samples *s, char **topic, struct proto_samples_stored *stored);

#endif
