/*
 * A copy made of a source message: target subject and header lines. Pure; the hot path of the worker,
 * so nothing here allocates once its buffers have grown.
 */
#ifndef SR_WORKER_COMPOSE_H
#define SR_WORKER_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/header.h"
#include "common/subject.h"

/* Lines that a dead letter has beside those of a copy. */
#define COMPOSE_REJECT_REASON_HEADER  "Choria-SR-Reject-Reason"
#define COMPOSE_REJECT_SUBJECT_HEADER "Choria-SR-Reject-Subject"

struct composer;

/* conf and topic must outlive it. */
struct composer *compose_new(const struct conf *conf, const struct conf_topic *topic);
void compose_free(struct composer **c);

/* What the target accepts, and the identity of the source stream, once they are known. */
void compose_set_policy(struct composer *c, const struct header_policy *policy);
void compose_set_source_created(struct composer *c, int64_t created_ns);

struct compose_source {
	const char *subject;
	const char *headers; /* raw block, NULL for none */
	size_t headers_len;
	uint64_t seq;
	int64_t stored_ms;
	const char *value; /* of a sampled message whose copy is to carry it in a header; NULL for none */
};

enum compose_mode {
	COMPOSE_CHAIN,   /* Nats-Expected-Last-Sequence */
	COMPOSE_SUBJECT, /* Nats-Msg-Id */
};

/* The subject at the target, or NULL if the mapping gives none. Valid until the next call. */
const char *compose_subject(struct composer *c, const char *source_subject);

/*
 * Header lines of the copy; valid until the next call. expected_last is used in CHAIN mode. NULL if the
 * source's header block is not well-formed.
 */
const char *compose_headers(struct composer *c, const struct compose_source *m, enum compose_mode mode,
			    uint64_t expected_last, size_t *len);

/* The lines of a dead letter: the copy's, and why it is one. */
const char *compose_dead_letter(struct composer *c, const struct compose_source *m, const char *reason,
				size_t *len);

/* True if the path of the message says that it has been at the target, or here, before. */
bool compose_is_loop(const struct composer *c, const char *headers, size_t len);

#endif
