/*
 * state.db, written: the supervisor alone opens it for writing. The schema is a contract (see
 * schema.c): people read it with sqlite3 while the daemon runs.
 *
 * No function here ends the process or blocks for long. A database that cannot be written stops
 * nothing but the checkpoints: state_healthy() and state_problem() say so, and writing is tried again.
 */
#ifndef SR_STATE_STATE_H
#define SR_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/proto.h"

struct state;

/*
 * Opens or makes dir/state.db and brings the schema up to date. A damaged file, or one made by a newer
 * version, is set aside as state.db.damaged-<time> and a new one is made: *set_aside is then its new
 * path (freed by the caller), else NULL. NULL with *e if no database can be had at all: the caller goes
 * on without and tries again.
 */
struct state *state_open(const char *dir, char **set_aside, struct error *e);
/* Commits what is pending and closes. */
void state_close(struct state **s);

/* Writes are collected in memory and committed by state_commit: at most one transaction a call. */
void state_put_checkpoint(struct state *s, const char *topic, const char *worker,
    const struct proto_checkpoint *c);
void state_add_incident(struct state *s, int64_t at_ms, const char *topic, const char *kind,
    const char *detail);
void state_put_meta(struct state *s, const char *key, const char *value);

/* Whether anything waits for a commit, and since when (for the caller's once-a-second rule). */
bool state_dirty(const struct state *s);
/* 0, or -1 with *e: what was collected is kept (newest checkpoint a worker, at most 10,000 incidents)
 * and written by a later call. */
int state_commit(struct state *s, struct error *e);
/* Text of the last failure, "" while all is well. */
const char *state_problem(const struct state *s);

/* Reads through the writer's connection, pending writes included. 1 found, 0 none, -1 with *e.
 * A found checkpoint is freed with proto_checkpoint_fini. */
int state_get_checkpoint(struct state *s, const char *topic, const char *worker, struct proto_checkpoint *c,
    struct error *e);
/* *value is the caller's to free. */
int state_get_meta(struct state *s, const char *key, char **value, struct error *e);

#endif
