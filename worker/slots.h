/* Reads given messages of the target by sequence, from its leader, many requests at a time. */
#ifndef SR_WORKER_SLOTS_H
#define SR_WORKER_SLOTS_H

#include "common/nats/ask.h"
#include "worker/position.h"

struct slots;

/* slots: count of them, for sequences first … first+count−1; valid until the callback returns. NULL with
 * e's text if the target did not answer. Called once, never from within slots_read. */
typedef void slots_done_fn(void *arg, const struct position_slot *slots, size_t count, const char *failure);

struct slots *slots_read(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
			 const char *stream, uint64_t first, size_t count, slots_done_fn *done, void *arg,
			 struct error *e);
void slots_cancel(struct slots **s);

#endif
