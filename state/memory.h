/*
 * What the writer keeps in memory beside the file: the newest checkpoint of each worker, meta, and
 * incidents that wait for a commit. Pure.
 */
#ifndef SR_STATE_MEMORY_H
#define SR_STATE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"
#include "state/state.h"

/* A row, found by its two keys; second is "" for meta. */
struct memory_row {
	char *first, *second;
	bool dirty; /* newer than the file */
	void *value;
};

/* Rows in the order of their keys. */
struct memory_table {
	struct memory_row *rows;
	size_t count, room;
	void (*free_value)(void *value);
};

void memory_table_fini(struct memory_table *t);
/* NULL if there is none. */
struct memory_row *memory_find(const struct memory_table *t, const char *first, const char *second);
/* Takes value; an older one is freed. */
void memory_put(struct memory_table *t, const char *first, const char *second, void *value, bool dirty);
void memory_set_dirty(struct memory_table *t, bool dirty);
bool memory_is_dirty(const struct memory_table *t);

struct memory_incident {
	int64_t at_ms;
	char *topic, *kind, *detail;
};

/* The table `leadership`, replaced as a whole. */
struct memory_leadership {
	struct state_leadership *rows; /* count of them; their texts are owned */
	size_t count;
	bool known; /* it was put once */
	bool dirty;
};

void memory_leadership_put(struct memory_leadership *m, const struct state_leadership *rows, size_t count);
void memory_leadership_fini(struct memory_leadership *m);

/* A ring of the newest; an older one makes room. */
struct memory_incidents {
	struct memory_incident *ring; /* room of them, allocated with the first */
	size_t room, first, count;
};

void memory_incidents_add(struct memory_incidents *m, int64_t at_ms, const char *topic, const char *kind,
			  const char *detail, size_t detail_max);
const struct memory_incident *memory_incidents_at(const struct memory_incidents *m, size_t i);
/* Drops all and gives the memory back. */
void memory_incidents_clear(struct memory_incidents *m);

/* A copy on the heap, for memory_put; freed by memory_free_checkpoint. */
struct proto_checkpoint *memory_copy_checkpoint(const struct proto_checkpoint *c);
void memory_free_checkpoint(void *checkpoint);

#endif
