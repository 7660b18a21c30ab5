/*
 * state.db, read by the user's commands and by workers that start: works while the daemon runs, and when it
 * does not, also for users who may read the file and write nothing.
 */
#ifndef SR_STATE_READER_H
#define SR_STATE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/proto.h"

struct state_reader;

/* NULL with *e: ERR_NOT_FOUND if there is no such file, ERR_DENIED without the right to read it, ERR_STATE if
 * it cannot be used. Waits up to 2 s for a lock. */
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

/* From here to state_reader_close() all reads see one and the same moment of the file. 0, or -1 with *e. */
int state_reader_begin(struct state_reader *r, struct error *e);

/* Rows of `sample`, of a topic or of all with topic NULL, in the order of topic and value. Borrowed; a
 * million of one topic take less than a second. fn returns false to stop. 0, or -1 with *e. */
typedef bool state_sample_fn(void *arg, const char *topic, const struct proto_sample *row);
int state_reader_samples(struct state_reader *r, const char *topic, state_sample_fn *fn, void *arg,
			 struct error *e);

/* Rows of the outbox of a topic, oldest id first. Borrowed. */
typedef void state_advisory_fn(void *arg, const struct proto_advisory *row);
int state_reader_outbox(struct state_reader *r, const char *topic, state_advisory_fn *fn, void *arg,
			struct error *e);

/* A row of meta; *value is the caller's to free, NULL if there is none. 0, or -1 with *e. */
int state_reader_meta(struct state_reader *r, const char *key, char **value, struct error *e);

/* Rows of samples and outbox that were not handed out because no version of this program wrote them so. */
uint64_t state_reader_passed_over(const struct state_reader *r);

#endif
