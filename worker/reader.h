/*
 * Reads a part of a stream once, from a place to a sequence, through a short-lived consumer: in memory,
 * without acknowledgements.
 */
#ifndef SR_WORKER_READER_H
#define SR_WORKER_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/jsack.h"
#include "common/nats/ask.h"

struct reader;

struct reader_request {
	const char *stream;
	const char *filter; /* subjects to read, "" for all */
	bool headers_only;  /* a message then comes without body; Nats-Msg-Size says how long it is */
	uint64_t after;     /* reads what is stored behind this sequence, */
	int64_t since_ms;   /* or if not 0, what was stored since then (epoch) */
	uint64_t last;      /* and up to this sequence */
};
struct reader_callbacks {
	/* A message, in order, none behind `last`. It must not cancel the reader. */
	void (*message)(void *arg, const struct nats_message *m, const struct jsack *ack);
	/* Called once, never from within reader_start. failure NULL: all was read. The reader is gone. */
	void (*done)(void *arg, const char *failure);
};

/* Strings are copied. NULL with *e while the connection is down. */
struct reader *reader_start(const struct ask_end *end, const struct reader_request *request,
			    const struct reader_callbacks *callbacks, void *arg, struct error *e);
void reader_cancel(struct reader **r);

#endif
