/*
 * state.db, read by the user's commands: works while the daemon runs, and when it does not, also for users
 * who may read the file and write nothing.
 */
#ifndef SR_STATE_READER_H
#define SR_STATE_READER_H

#include <stdint.h>

#include "common/error.h"
#include "common/proto.h"

struct state_reader;

/* NULL with *e: ERR_NOT_FOUND if there is no such file, ERR_DENIED without the right to read it, ERR_STATE if
 * it cannot be used. Waits up to 2 s for
 * a lock. */
struct state_reader *state_reader_open(const char *dir, struct error *e);
void state_reader_close(struct state_reader **r);

/* The rows of a topic, or of all with topic NULL, in the order of worker names. Everything handed to fn is
 * borrowed. 0, or -1 with *e. */
typedef void state_checkpoint_fn(void *arg, const char *topic, const char *worker,
				 const struct proto_checkpoint *c);
int state_reader_checkpoints(struct state_reader *r, const char *topic, state_checkpoint_fn *fn, void *arg,
			     struct error *e);

struct state_incident {
	int64_t id, at_ms;
	const char *topic, *kind, *detail;
};
/* Oldest first. */
typedef void state_incident_fn(void *arg, const struct state_incident *incident);
int state_reader_incidents(struct state_reader *r, const char *topic, state_incident_fn *fn, void *arg,
			   struct error *e);

#endif
