/*
 * Jumps in the source's sequence: what they mean, counted. Pure.
 *
 * Without filters a missing sequence was deleted inside the stream, or was gone before it could be
 * copied (expired, purged), which the stream's first sequence tells. With filters it mostly did not
 * match; but if the server said that n matching messages were behind the last one and now says fewer
 * than n − 1, the difference was gone before it could be copied.
 */
#ifndef SR_WORKER_GAP_H
#define SR_WORKER_GAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/jsack.h"

struct gap_range {
	uint64_t from, to; /* source sequences, both missing */
	uint64_t missing;  /* how many; fewer than lie between where several jumps were put together */
};

enum { GAP_RANGES_MAX = 64 };

struct gap {
	bool filtered; /* the topic has filters */
	bool any;      /* a position is known: the first message of a first start is no gap */
	uint64_t last_seq;
	uint64_t begun_seq;   /* where it last began */
	uint64_t counted_seq; /* jumps up to here are counted: a rewind delivers them again */
	bool have_pending;    /* last_pending is of the delivery just before */
	uint64_t last_pending, last_consumer_seq;
	struct gap_range open[GAP_RANGES_MAX]; /* not classified yet */
	size_t open_count;
};

struct gap_counts {
	uint64_t filtered, deleted, expired;
	struct gap_range expired_range; /* the last one, from 0 if there is none */
};

/*
 * From a position: everything up to seq is dealt with. first_start: nothing was copied before. What was
 * counted before is not counted again, unless seq is below where it last began: another stream, or a
 * target that went back.
 */
void gap_begin(struct gap *g, bool filtered, uint64_t seq, bool first_start);
/* A delivery in stream order. True if a range waits for gap_classify. */
bool gap_take(struct gap *g, const struct jsack *ack, struct gap_counts *counts);
/* The stream's first sequence, read after the ranges were seen. */
void gap_classify(struct gap *g, uint64_t first_seq, struct gap_counts *counts);

#endif
