/*
 * The table of values that are tracked: found by value, walked in the order in which they fall due, queued
 * for those who want to know what changed. Pure and without rules of its own; sampler.c has those. It owns
 * its entries; a pointer to one is good until that entry is removed. No call takes long: nothing is moved or
 * walked as a whole.
 */
#ifndef SR_WORKER_TRACKER_H
#define SR_WORKER_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a value at some point of the stream. Times in ms since the epoch; 0: never. */
struct tracker_state {
	int64_t seen_ms, copied_ms;
	uint32_t size;
};

/* Who is told of changes, each by a queue of its own. */
enum tracker_queue { TRACKER_STATE_DB, TRACKER_GOSSIP, TRACKER_QUEUES };

struct tracker_entry {
	struct tracker_state settled; /* up to the settled position */
	struct tracker_state offered; /* with all that is in flight */
	uint32_t pending;             /* messages of it that are not settled */
	/* The table's own, but for the flags and what is held. */
	uint32_t id;
	int64_t at_ms;
	uint32_t next, prev; /* of the same slot of the schedule; next also of the list of free entries */
	uint32_t place[TRACKER_QUEUES];
	bool advised : 1;
	bool forgotten : 1; /* kept only until its queues have taken it */
	bool scheduled : 1;
	bool queued_state_db : 1, queued_gossip : 1;
	uint8_t held;      /* advisories that gossip of it waits for */
	uint8_t hold_mark; /* number of the gossip mark before which that began */
	uint8_t value_len; /* 0: a free entry */
	char value[];      /* NUL-terminated */
};

struct tracker;

/* max: of entries. seed: of the hash table, which outsiders must not know. */
struct tracker *tracker_new(uint32_t max, uint64_t seed);
void tracker_free(struct tracker **t);
uint32_t tracker_count(const struct tracker *t);
/* Bytes in use, for figures. */
size_t tracker_bytes(const struct tracker *t);

/* NULL if it is not in. */
struct tracker_entry *tracker_find(const struct tracker *t, const char *value, size_t len);
/* A value that is not in (it is not looked for), all zeros; NULL if the table is full, or for a length that
 * is not 1 to SAMPLE_VALUE_MAX. */
struct tracker_entry *tracker_add(struct tracker *t, const char *value, size_t len);
/* Also takes it out of queues and schedule. */
void tracker_remove(struct tracker *t, struct tracker_entry *e);
const char *tracker_value(const struct tracker_entry *e, size_t *len);

/* Small numbers that stand for entries, stable while the entry is in, used again when it
 * was removed. Less than 2^31. tracker_at() is NULL for one that stands for nothing now. */
uint32_t tracker_id(const struct tracker *t, const struct tracker_entry *e);
struct tracker_entry *tracker_at(const struct tracker *t, uint32_t id);
/* Walks all: *cursor is 0 at first; NULL at the end. Entries may be added and removed meanwhile; what was in
 * all the time is met once. */
struct tracker_entry *tracker_next(const struct tracker *t, uint64_t *cursor);

/*
 * Schedule. An entry has at most one time; the later call counts. Times may be of any clock that does not go
 * back (the sampler's listening clock, ms). tracker_due() gives entries whose time has come by `now`, in
 * about the order of their times, exact to 250 ms, and takes them out of the schedule; NULL if there is none,
 * or if max_steps steps of work were done in this call. *more is false once nothing is due any more. Best
 * called once before many are scheduled at first: what is within 3 days of `now` is then in its place, and
 * need not be moved as a whole when the time is learned.
 */
void tracker_schedule(struct tracker *t, struct tracker_entry *e, int64_t at_ms);
struct tracker_entry *tracker_due(struct tracker *t, int64_t now_ms, uint32_t max_steps, bool *more);

/*
 * Queues, first in first out; an entry is in each at most once and keeps its place. tracker_tail() is a place
 * behind all that are in now, never 0; tracker_passed() is true once everything before that place was taken
 * or removed.
 */
void tracker_push(struct tracker *t, enum tracker_queue q, struct tracker_entry *e);
struct tracker_entry *tracker_pop(struct tracker *t, enum tracker_queue q);
uint32_t tracker_queued(const struct tracker *t, enum tracker_queue q);
uint64_t tracker_tail(const struct tracker *t, enum tracker_queue q);
bool tracker_passed(const struct tracker *t, enum tracker_queue q, uint64_t place);

#endif
