/*
 * The table advisory_outbox in memory: what is there or is to be, topic by topic, and which rows the file
 * does not have yet.
 */
#ifndef SR_STATE_OUTBOX_H
#define SR_STATE_OUTBOX_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"

struct outbox_row {
	char *id, *subject, *body; /* the latter two NULL of one that is gone */
	uint32_t tries;
	int64_t next_try_ms;
	bool gone;    /* it goes from the file */
	bool in_file; /* or may be */
	bool dirty;   /* the file does not have it as it is here */
	bool open;    /* it is written in the open transaction */
};

struct outbox_topic {
	char *topic;
	struct outbox_row *rows; /* count of them, in the order of their ids */
	size_t count, room;
	size_t dirty;   /* of them */
	size_t dead;    /* of them: gone, and not in the file */
	bool open;      /* all that were dirty are in the open transaction */
	bool open_rows; /* some are */
};

struct outbox {
	struct outbox_topic *topics; /* count of them */
	size_t count;
	size_t turn; /* of whom the next transaction begins with */
};

void outbox_fini(struct outbox *o);
/* See state_put_advisory(). */
bool outbox_put(struct outbox *o, const char *topic, const struct proto_advisory *a);
bool outbox_dirty(const struct outbox *o);
bool outbox_dirty_of(const struct outbox *o, const char *topic);
/* Whether the topic has rows that neither the file nor the open transaction has. */
bool outbox_holds(const struct outbox *o, const char *topic);

/* The file's rows that memory does not know, when it is opened. */
int outbox_read(struct outbox *o, sqlite3 *db);
/* Writes what is dirty into the open transaction, so much that it stays short. SQLITE_OK or what SQLite said.
 */
int outbox_write(struct outbox *o, sqlite3 *db);
/* The transaction was committed. */
void outbox_committed(struct outbox *o);
/* What was committed may be lost. */
void outbox_forget_file(struct outbox *o);

#endif
