/* What the files of the tracker share. Each part knows nothing of the others: ids in, ids out. */
#ifndef SR_WORKER_TRACKER_INTERNAL_H
#define SR_WORKER_TRACKER_INTERNAL_H

#include "common/siphash.h"
#include "worker/tracker.h"

#define TRACKER_NONE UINT32_MAX

/* ---- pages: memory of entries, with their values (tracker_pages.c) -------------------------------- */

/* An id is the number of a page and, in the low bits, the entry's number in it. Less than 2^31. */
#define TRACKER_INDEX_BITS 10
#define TRACKER_INDEX_MASK ((UINT32_C(1) << TRACKER_INDEX_BITS) - 1)
#define TRACKER_PAGES_MAX  (UINT32_C(1) << (31 - TRACKER_INDEX_BITS))
#define TRACKER_CLASSES    33

struct tracker_page {
	char *base;
	uint32_t entry_bytes; /* 0: in the pool of pages that hold nothing */
	uint16_t made;        /* entries from the start that were in use once */
	uint16_t used;
	uint32_t free;       /* head of the list of free entries below `made`, by index */
	uint32_t next, prev; /* pages with room of the same size; next also of the pool */
};
struct tracker_pages {
	struct tracker_page *pages;
	uint32_t count, cap;
	uint32_t pool;                  /* head of the list of pages that hold nothing */
	uint32_t room[TRACKER_CLASSES]; /* heads of the lists of pages with room, by size */
};

void tracker_pages_init(struct tracker_pages *p);
void tracker_pages_fini(struct tracker_pages *p);
/* Zeroed but for id and value_len; the value is for the caller to write. NULL if ids have run out. */
struct tracker_entry *tracker_pages_take(struct tracker_pages *p, size_t value_len);
void tracker_pages_give(struct tracker_pages *p, struct tracker_entry *e);
/* NULL if no such entry is in use. */
struct tracker_entry *tracker_pages_at(const struct tracker_pages *p, uint32_t id);
struct tracker_entry *tracker_pages_next(const struct tracker_pages *p, uint64_t *cursor);
size_t tracker_pages_bytes(const struct tracker_pages *p);

/* Of an id that is in use. */
static inline struct tracker_entry *
tracker_pages_get(const struct tracker_pages *p, uint32_t id)
{
	const struct tracker_page *page = &p->pages[id >> TRACKER_INDEX_BITS];
	uint32_t index = id & TRACKER_INDEX_MASK;

	return (struct tracker_entry *)(void *)(page->base + (size_t)index * page->entry_bytes);
}

/* ---- index: from hash to id (tracker_index.c) ----------------------------------------------------- */

struct tracker_slot {
	uint32_t hash, id; /* id TRACKER_NONE: empty */
};
struct tracker_part {
	struct tracker_slot *slots;
	uint32_t cap, used;
};
struct tracker_index {
	struct tracker_part *parts;
	unsigned bits; /* log2 of the number of parts */
};
/* Where a walk over the ids of one hash stands. */
struct tracker_probe {
	const struct tracker_part *part;
	uint32_t hash, slot;
};

void tracker_index_init(struct tracker_index *x, uint32_t max);
void tracker_index_fini(struct tracker_index *x);
void tracker_index_add(struct tracker_index *x, uint32_t hash, uint32_t id);
void tracker_index_remove(struct tracker_index *x, uint32_t hash, uint32_t id);
struct tracker_probe tracker_index_probe(const struct tracker_index *x, uint32_t hash);
/* The next id with that hash; TRACKER_NONE if there are no more. */
uint32_t tracker_index_next(struct tracker_probe *probe);
size_t tracker_index_bytes(const struct tracker_index *x);

/* ---- queues (tracker_queue.c) --------------------------------------------------------------------- */

#define TRACKER_CHUNK 1024u

struct tracker_chunk {
	uint32_t live; /* ids in it that are not TRACKER_NONE */
	uint32_t ids[TRACKER_CHUNK];
};
/* Places count up for ever; entries keep the low 32 bits of theirs. */
struct tracker_ring {
	uint64_t head, tail;
	uint32_t live;
	uint32_t chunk_count;
	struct tracker_chunk *
	    *chunks;  /* of place: chunks[place / TRACKER_CHUNK % cap]; NULL: nothing in it */
	uint32_t cap; /* a power of 2 */
};

void tracker_ring_init(struct tracker_ring *r);
void tracker_ring_fini(struct tracker_ring *r);
/* Returns the low bits of its place. */
uint32_t tracker_ring_push(struct tracker_ring *r, uint32_t id);
/* TRACKER_NONE if it is empty. */
uint32_t tracker_ring_pop(struct tracker_ring *r);
void tracker_ring_remove(struct tracker_ring *r, uint32_t place);
size_t tracker_ring_bytes(const struct tracker_ring *r);

/* ---- schedule (tracker_wheel.c) ------------------------------------------------------------------- */

#define TRACKER_WHEEL_LEVELS 7
#define TRACKER_WHEEL_SLOTS  5632u /* of all levels */

struct tracker_wheel {
	uint64_t tick; /* everything before it was given out */
	uint32_t heads[TRACKER_WHEEL_SLOTS];
	uint64_t taken[TRACKER_WHEEL_SLOTS / 64]; /* a bit a slot that is not empty */
};

void tracker_wheel_init(struct tracker_wheel *w);
void tracker_wheel_link(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e);
void tracker_wheel_unlink(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e);
struct tracker_entry *tracker_wheel_due(struct tracker_wheel *w, const struct tracker_pages *p,
					int64_t now_ms, uint32_t max_steps, bool *more);

#endif
