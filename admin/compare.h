/*
 * Pairs the messages of a source with their copies at the target and compares them. Pure: is given both
 * streams in order, each at its own pace, and holds only what waits for its other half, up to a limit.
 *
 * What it knows exactly whatever the size: which messages are missing, extra, changed, reordered. Where
 * more than 200,000 messages wait for copies that come out of order, it gives up comparing the oldest of
 * them: a copy that still comes is then reordered, and counted as not compared.
 */
#ifndef SR_ADMIN_COMPARE_H
#define SR_ADMIN_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

struct compare;

struct compare_config {
	const struct conf *conf; /* borrowed, as the topic */
	const struct conf_topic *topic;
	uint64_t from, to;    /* source sequences that are compared */
	uint64_t source_last; /* no copy that stood at the target by then can be of a later one */
	uint64_t target_last; /* what stands behind it came while we read */
	int64_t now_ms;
};

struct compare_message {
	const char *subject;
	const char *headers; /* NULL for none */
	size_t headers_len;
	const void *data;
	size_t data_len;
	uint64_t seq;
	int64_t stored_ms; /* of a source message */
};

struct compare *compare_new(const struct compare_config *config);
void compare_free(struct compare **c);

/* A source message that was rejected for good and is not at the target. Before the first message. */
void compare_add_rejected(struct compare *c, uint64_t seq);

void compare_source(struct compare *c, const struct compare_message *m);
void compare_source_ended(struct compare *c);
void compare_target(struct compare *c, const struct compare_message *m);
void compare_target_ended(struct compare *c);

/* Whether more of that side should be read now; one of the two is always wanted. */
bool compare_wants_source(const struct compare *c);
bool compare_wants_target(const struct compare *c);
/* Source messages that have no copy yet and should have one. */
size_t compare_waiting(const struct compare *c);

/* What differs, for the changed messages: bits. */
enum { COMPARE_SUBJECT = 1, COMPARE_HEADERS = 2, COMPARE_BODY = 4 };

struct compare_item {
	uint64_t seq;
	uint8_t what;
};

#define COMPARE_LIST_MAX 100000
struct compare_list {
	uint64_t count;             /* of all */
	struct compare_item *items; /* the first COMPARE_LIST_MAX that were found, in rising order */
	size_t listed;
};

struct compare_report {
	uint64_t source_msgs;          /* of the source, in range and after the topic's filters */
	uint64_t target_msgs;          /* copies of them, doubled ones too */
	struct compare_list missing;   /* source sequences */
	struct compare_list extra;     /* target sequences */
	struct compare_list changed;   /* source sequences */
	struct compare_list reordered; /* source sequences */
	uint64_t not_compared;         /* of the reordered */

	/* Not at the target, and rightly so. */
	uint64_t loops, too_old, rejected, before_start;
	uint64_t sampled; /* have a value, and a copy of another message with it may stand for them */
	/* Copies whose source message is gone: expired, deleted, of an earlier stream of that name. */
	uint64_t source_gone;
	uint64_t repeats; /* an ephemeral topic's copies of earlier starts */
	uint64_t foreign; /* other writers' messages at a shared target */
	bool equal;
};
/* Ends the comparison: what waits is decided. The report lives as long as c. */
const struct compare_report *compare_finish(struct compare *c);

/* The same while it goes on: counts of what is decided. */
const struct compare_report *compare_progress(const struct compare *c);

#endif
