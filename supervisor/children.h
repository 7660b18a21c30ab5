/* The table of all children, and what they share. */
#ifndef SR_SUPERVISOR_CHILDREN_H
#define SR_SUPERVISOR_CHILDREN_H

#include "supervisor/child.h"

struct children {
	struct event_base *base;
	struct store *store;     /* borrowed */
	const struct jobs *jobs; /* borrowed; what the configuration asks for now */
	struct elections *elections;
	char *worker_path;
	uint64_t last_generation;
	struct child **list; /* count of them, in the order of the configuration */
	size_t count;
	struct event *sweeper;
	bool stopping;
	void (*stopped)(void *arg); /* stopping, and the last process is gone */
	void *arg;
};

/* worker_path is copied. */
void children_init(struct children *t, struct event_base *base, struct store *store, const struct jobs *jobs,
		   const char *worker_path, void (*stopped)(void *arg), void *arg);
/* Kills what still runs. */
void children_fini(struct children *t);

/* NULL if there is none. */
struct child *children_find(const struct children *t, enum proto_job kind, const char *key);
/* Adds a child and starts it. */
struct child *children_add(struct children *t, const struct job *job);
/* Marks a child as gone; it is freed when the present turn of the loop is over. */
void children_drop(struct children *t, struct child *c);

/* Puts the list into the order of the configuration; those that are leaving come last. */
void children_order(struct children *t);

/* Takes the statuses of all ended processes. */
void children_reap(struct children *t);
/* Tells the children of sampled topics what became of their batches. */
void children_tell_stored(struct children *t);
/* Deadlines and liveness of all. */
void children_check(struct children *t, struct mono now);
/* Drains all; stopped() is called when the last process is gone. */
void children_stop(struct children *t);
/* The same without settling. */
void children_kill(struct children *t);
/* A process ended for good: calls stopped() if it was the last. */
void children_note_end(struct children *t);

#endif
