/*
 * state.db, written: the supervisor alone opens it for writing. The schema is a contract (see
 * schema.c): people read it with sqlite3 while the daemon runs.
 *
 * Checkpoints, meta and the outbox live in memory; the file follows. So a database that cannot be written
 * stops nothing but the checkpoints (state_problem() says so, and writing is tried again with each
 * commit), and one that is lost is made anew from memory. Samples are too many for that: the workers have
 * them, and are asked for them again.
 *
 * No function here ends the process or blocks for long. The process ignores SIGXFSZ, so that a file size
 * limit is an error like a full disk.
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
 * Opens or makes dir/state.db (and dir, if only that is missing) and brings the schema up to date. Never
 * NULL: if no database can be had now, *e says why, state_problem() too, and each state_commit tries
 * again. The caller sets *e to ERROR_INIT before and looks at e->code.
 */
struct state *state_open(const char *dir, struct error *e);
/* Commits what is pending and closes. */
void state_close(struct state **s);

/*
 * What happened to the file since the last call, in words for the log: set aside as damaged (or as made by
 * a newer version) and begun anew, or lost and made anew. NULL if nothing did; the caller frees it. Each
 * is an incident in the new file already (kinds state_damaged and state_lost).
 */
char *state_take_news(struct state *s);

/* Writes are collected in memory and committed by state_commit: at most one transaction a call. */
void state_put_checkpoint(struct state *s, const char *topic, const char *worker,
			  const struct proto_checkpoint *c);

/* Who leads what; one row for each topic of an elected name. */
struct state_leadership {
	const char *name, *topic;
	const char *role;   /* of this machine: leader, standby */
	uint64_t term;      /* 0: nobody leads, as far as is known */
	const char *leader; /* node; "" if not known */
	int64_t since_ms;   /* 0 if not known */
};
/* The whole table as it is to be from now on; texts are copied. Before the first call the file's stays. */
void state_put_leadership(struct state *s, const struct state_leadership *rows, size_t count);

/* detail is cut at 4,000 bytes. topic is "" for what concerns no topic. */
void state_add_incident(struct state *s, int64_t at_ms, const char *topic, const char *kind,
			const char *detail);
/* A commit that holds meta is on the disk when it returns; others survive the process, not the machine. */
void state_put_meta(struct state *s, const char *key, const char *value);

/*
 * A batch of changed rows of `sample`, as its frame came; rows and note are copied. The next calls of
 * state_commit write it, several if that keeps each of them short, oldest batches first; its note comes with
 * its last row. A topic's process sends one batch at a time, until it ends: one that still waits is that of a
 * process that is gone, and is replaced, or of this one, which sends the rest of what it has. A note that the
 * rows in the file would not bear out is left out.
 */
void state_put_samples(struct state *s, const char *topic, const struct proto_samples *batch);
/*
 * What became of batches since the last call, one a call: *topic is the caller's to free. again: the file
 * that held the topic's rows is lost, so all are wanted anew (with serial 0 if no batch of the topic waits).
 * False if there is nothing to tell.
 */
bool state_take_stored(struct state *s, char **topic, struct proto_samples_stored *stored);
/*
 * A process of a sampled topic is about to start, and will read the file: commits all that waits of the
 * topic, now. From here on the topic's rows are looked after: its processes are told of a lost file. 0, or -1
 * with *e: a batch that could not be written waits on, until the new process sends one.
 */
int state_flush_samples(struct state *s, const char *topic, struct error *e);

/*
 * A change of advisory_outbox. All of it is kept in memory; a row that is put and done between two commits
 * never reaches the file. It is committed before, or with, batches of samples of the topic that are put
 * later. False: the topic has STATE_OUTBOX_KEPT rows, and this one is not kept.
 */
#define STATE_OUTBOX_KEPT 100000
bool state_put_advisory(struct state *s, const char *topic, const struct proto_advisory *a);

/* Whether anything waits for a commit. */
bool state_dirty(const struct state *s);
/*
 * Writes what waits, of samples and advisories as much as keeps it short; also the place where a lost or
 * changed file is noticed, so it is called now and then without anything to write. 0, or -1 with *e: what was
 * collected is kept (newest checkpoint of each worker, newest 10,000 incidents) and written by a later call.
 */
int state_commit(struct state *s, struct error *e);
/* The same without samples and advisories. */
int state_commit_small(struct state *s, struct error *e);
/* Much was committed: moves it from the log into the database. To be called between two commits, so that
 * neither of both is a long wait. */
void state_tidy(struct state *s);
/* Text of the last failure, "" while all is well. */
const char *state_problem(const struct state *s);

/* Reads, pending writes included. 1 found, 0 none, -1 with *e: the file could not be read so far, and
 * nobody knows. A found checkpoint is freed with proto_checkpoint_fini. */
int state_get_checkpoint(const struct state *s, const char *topic, const char *worker,
			 struct proto_checkpoint *c, struct error *e);
/* *value is the caller's to free. */
int state_get_meta(const struct state *s, const char *key, char **value, struct error *e);

#endif
