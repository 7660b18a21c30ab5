/* Classifying gaps; runs in a replicating worker. Nothing that is missing goes uncounted. */
#include "worker/gap.h"

#include <string.h>

void
gap_begin(struct gap *g, bool filtered, uint64_t seq, bool first_start)
{
	g->filtered = filtered;
	g->any = !first_start;
	g->last_seq = seq;
	g->have_pending = false;
}

static void
take_filtered(struct gap *g, const struct jsack *ack, uint64_t missing, struct gap_counts *counts)
{
	uint64_t lost = 0;

	if (g->have_pending && ack->consumer_seq == g->last_consumer_seq + 1 &&
	    g->last_pending > ack->pending + 1)
		lost = g->last_pending - ack->pending - 1;
	if (lost > missing)
		lost = missing;
	counts->filtered += missing - lost;
	counts->expired += lost;
	if (lost > 0)
		counts->expired_range = (struct gap_range){g->last_seq + 1, ack->stream_seq - 1};
}

static void
open_range(struct gap *g, uint64_t from, uint64_t to)
{
	if (g->open_count == GAP_RANGES_MAX) {
		/* More jumps than are worth telling apart: the last range takes in what lies between. */
		g->open[GAP_RANGES_MAX - 1].to = to;
		return;
	}
	g->open[g->open_count++] = (struct gap_range){from, to};
}

bool
gap_take(struct gap *g, const struct jsack *ack, struct gap_counts *counts)
{
	memset(counts, 0, sizeof *counts);
	if (g->any && ack->stream_seq > g->last_seq + 1) {
		if (g->filtered)
			take_filtered(g, ack, ack->stream_seq - g->last_seq - 1, counts);
		else
			open_range(g, g->last_seq + 1, ack->stream_seq - 1);
	}
	g->any = true;
	g->last_seq = ack->stream_seq;
	g->have_pending = true;
	g->last_pending = ack->pending;
	g->last_consumer_seq = ack->consumer_seq;
	return g->open_count > 0;
}

void
gap_classify(struct gap *g, uint64_t first_seq, struct gap_counts *counts)
{
	memset(counts, 0, sizeof *counts);
	for (size_t i = 0; i < g->open_count; i++) {
		const struct gap_range *r = &g->open[i];

		if (r->to < first_seq) {
			counts->expired += r->to - r->from + 1;
			counts->expired_range = *r;
		} else if (r->from < first_seq) {
			counts->expired += first_seq - r->from;
			counts->deleted += r->to - first_seq + 1;
			counts->expired_range = (struct gap_range){r->from, first_seq - 1};
		} else {
			counts->deleted += r->to - r->from + 1;
		}
	}
	g->open_count = 0;
}
