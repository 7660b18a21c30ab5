/*
 * Deliveries that are not acknowledged yet, in order: which acknowledgement covers a settled sequence.
 * Pure.
 */
#ifndef SR_WORKER_ACKLIST_H
#define SR_WORKER_ACKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/jsack.h"

struct acklist {
	struct jsack *ring; /* cap is a power of two, or 0 */
	size_t cap;
	uint64_t head, next;
};

void acklist_init(struct acklist *l);
void acklist_fini(struct acklist *l);
void acklist_clear(struct acklist *l);
size_t acklist_count(const struct acklist *l);
/* A delivery. A redelivery of a sequence that is in the list takes its place (its acknowledgement is the
 * one that counts). */
void acklist_add(struct acklist *l, const struct jsack *ack);
bool acklist_has(const struct acklist *l, uint64_t seq);
/* Takes out the oldest delivery at or below seq; false if there is none. */
bool acklist_take(struct acklist *l, uint64_t seq, struct jsack *ack);

#endif
