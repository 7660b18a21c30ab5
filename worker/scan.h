/* Reads back which of our copies a target holds behind a sequence: for targets that others write to. */
#ifndef SR_WORKER_SCAN_H
#define SR_WORKER_SCAN_H

#include "common/nats/ask.h"
#include "worker/position.h"

struct scan;

struct scan_result {
	const char *failure; /* NULL if all was read */
	uint64_t found;      /* our copies */
	uint64_t settled;    /* those among them that are not above after_source */
	uint64_t highest;    /* source sequence of the newest; 0 for none */
};
/* Called once, never from within scan_start. The found source sequences above after_source are in the
 * set by then. */
typedef void scan_done_fn(void *arg, const struct scan_result *result);

/*
 * Reads the headers of what the target stores above `after` and up to `last`, through a short-lived
 * consumer. filter: the mapped subjects of the topic, "" for all. singly: by one question a message, from a
 * work queue, which lets no consumer look at what it holds.
 */
struct scan *scan_start(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
			const char *stream, const char *filter, bool singly, uint64_t after, uint64_t last,
			uint64_t after_source, struct seqset *there, scan_done_fn *done, void *arg,
			struct error *e);
void scan_cancel(struct scan **s);

#endif
