/*
 * What was sent into which slot before a restart and is not known to be settled. As long as the same
 * messages come again in the same slots, the map from messages to slots is the same, and a late publish of
 * before does no harm. Pure.
 */
#ifndef SR_WORKER_SENTLIST_H
#define SR_WORKER_SENTLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sentlist {
	uint64_t *seqs; /* source sequences in order, from `head` on */
	size_t head, count, cap;
	uint64_t slot; /* of the first one */
};

void sentlist_init(struct sentlist *l);
void sentlist_fini(struct sentlist *l);
void sentlist_clear(struct sentlist *l);
void sentlist_push(struct sentlist *l, uint64_t seq);
/* What is settled up to source_seq leaves it. */
void sentlist_settle(struct sentlist *l, uint64_t source_seq);

/*
 * The message is sent next, or is not sent: false if that is another map than that of before. Then the list
 * is of no use any more.
 */
bool sentlist_send(struct sentlist *l, uint64_t seq);
bool sentlist_skip(struct sentlist *l, uint64_t seq);
/* True if seq is what comes next; it is taken out. */
bool sentlist_take(struct sentlist *l, uint64_t seq);

#endif
