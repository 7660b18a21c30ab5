/*
 * The supervisor's use of state.db: opened when it can be, written at most once a second, its troubles
 * told once and tried again. Without a database everything goes on; only what it would keep is not kept.
 */
#ifndef SR_SUPERVISOR_STORE_H
#define SR_SUPERVISOR_STORE_H

#include <stdbool.h>

#include "common/clock.h"
#include "common/proto.h"
#include "state/state.h"

struct store;

/* Never NULL: a database that cannot be opened is logged, and tried again by store_tick(). */
struct store *store_new(const char *dir);
/* Commits and closes. */
void store_free(struct store **s);

void store_put_checkpoint(struct store *s, const char *topic, const char *worker,
			  const struct proto_checkpoint *c);
/* Whether there is one; *c is then the caller's, to free with proto_checkpoint_fini(). */
bool store_get_checkpoint(struct store *s, const char *topic, const char *worker, struct proto_checkpoint *c);
/* The whole table `leadership` as it is now. */
void store_put_leadership(struct store *s, const struct state_leadership *rows, size_t count);
void store_incident(struct store *s, const char *topic, const char *kind, const char *detail);

/* What is remembered about a topic: value "" is the same as none. */
void store_put_note(struct store *s, const char *what, const char *topic, const char *value);
/* "" if there is none; the caller frees it. */
char *store_get_note(struct store *s, const char *what, const char *topic);

/* Samples and advisories, see state/state.h. */
void store_put_samples(struct store *s, const char *topic, const struct proto_samples *batch);
bool store_take_stored(struct store *s, char **topic, struct proto_samples_stored *stored);
/* Before a process of a sampled topic is started: it reads the file. */
void store_flush_samples(struct store *s, const char *topic);
bool store_put_advisory(struct store *s, const char *topic, const struct proto_advisory *a);

/* Commits what waits if a second has gone by since the last time; call it a few times a second. */
void store_tick(struct store *s, struct mono now);
/* Much has changed: commits now, all but samples and advisories, unless it was done a moment ago. Returns
 * whether it did. */
bool store_hurry(struct store *s, struct mono now);

/* Something that must not be forgotten: commits now, all but samples and advisories. */
void store_commit(struct store *s, struct mono now);

/* What is wrong with the database, "" if nothing is. */
const char *store_problem(const struct store *s);

#endif
