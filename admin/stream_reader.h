/*
 * Reads a stream from a sequence on, in order and without gaps, through a short-lived consumer that is made
 * anew behind the last message whenever it, its server or the connection is lost.
 */
#ifndef SR_ADMIN_STREAM_READER_H
#define SR_ADMIN_STREAM_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/session.h"
#include "common/jsack.h"

struct stream_reader;

struct stream_reader_config {
	const char *stream;         /* borrowed, as the filters */
	const char *const *filters; /* filter_count of them; a server that cannot filter so is helped */
	size_t filter_count;
	uint64_t start;        /* first sequence; 0: by time */
	int64_t start_time_ns; /* first moment of storing, with start 0; 0: from the stream's first message */
	uint64_t last;         /* sequence at which everything that is wanted has been read */
	bool patient;          /* trouble that may pass, such as a lost connection, never fails it */
};

struct stream_reader_callbacks {
	void (*message)(void *arg, const struct nats_message *m, const struct jsack *ack);
	/* Everything up to `last` was delivered. Messages behind it go on coming. Called once. */
	void (*ended)(void *arg);
	/* It cannot be read; text says why and of which end. Nothing follows. */
	void (*failed)(void *arg, const char *text);
};

/* Takes the session's watch. The callbacks are not called from within this or from pause and resume; they
 * may pause and resume any reader, and may not free one. */
struct stream_reader *stream_reader_new(struct session *s, const struct stream_reader_config *config,
					const struct stream_reader_callbacks *callbacks, void *arg);
void stream_reader_free(struct stream_reader **r);

/* Both may be called as often as one likes. */
void stream_reader_pause(struct stream_reader *r);
void stream_reader_resume(struct stream_reader *r);

/* How many messages there were to read when it began; 0 while that is not known. */
uint64_t stream_reader_total(const struct stream_reader *r);

#endif
