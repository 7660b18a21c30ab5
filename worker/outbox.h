/*
 * Reliable advisories that wait for delivery, in memory: which one is next, and when. Pure: the owner sends,
 * and keeps the table in state.db in step.
 *
 * They are ordered by the time from which they may be sent, then by the order in which they were added. One
 * that was taken is out until it is put back or removed.
 */
#ifndef SR_WORKER_OUTBOX_H
#define SR_WORKER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/clock.h"

struct outbox;

struct outbox_item {
	char *id, *subject, *body; /* in the item's own memory */
	size_t body_len;
	uint32_t tries; /* that have failed */
	struct mono due;
	void *owner, *request; /* of the owner, for its own use */

	/* of the outbox: */
	uint64_t serial;
	LIST_ENTRY(outbox_item) out;
};

struct outbox *outbox_new(void);
void outbox_free(struct outbox **o); /* with all items */

bool outbox_has(const struct outbox *o, const char *id);
/* Copies the texts. NULL if the id is there already, waiting or out. */
struct outbox_item *outbox_add(struct outbox *o, const char *id, const char *subject, const char *body,
			       struct mono due);

/* Takes the next item that is due; NULL if none is. */
struct outbox_item *outbox_take(struct outbox *o, struct mono now);
/* Puts one that was taken back, to be taken again from due on: with an older due, in its old place. */
void outbox_return(struct outbox *o, struct outbox_item *item, struct mono due);
/* Removes and frees one that was taken. */
void outbox_remove(struct outbox *o, struct outbox_item **item);

/* When the next one that waits is due; false if none waits. */
bool outbox_next_due(const struct outbox *o, struct mono *due);
size_t outbox_count(const struct outbox *o); /* waiting and out */
size_t outbox_out(const struct outbox *o);
/* Any item that is out, NULL if none is. */
struct outbox_item *outbox_first_out(const struct outbox *o);

/* How long to wait after so many failed tries: first_ms, twice that, and so on up to max_ms. */
int64_t outbox_backoff_ms(uint32_t tries, int64_t first_ms, int64_t max_ms);

#endif
