/* Classifying gaps; runs in a replicating worker. Nothing that is missing goes uncounted. */
#include "worker/gap.h"

#include <string.h>

void
gap_begin(struct gap *g, bool filtered, uint64_t seq, bool first_start)
{
	g->filtered = filtered;
	g->any = !first_start;
	g->have_pending = false;
	if (first_start || seq < g->begun_seq) {
		g->counted_seq = 0;
		g->open_count = 0;
	}
	g->begun_seq = g->last_seq = seq;
}

static void
take_filtered(struct gap *g, const struct jsack *ack, uint64_t from, struct gap_counts *counts)
{
	uint64_t lost = 0, missing = ack->stream_seq - from;

	if (g->have_pending && ack->consumer_seq == g->last_consumer_seq + 1 &&
	    g->last_pending > ack->pending + 1)
		lost = g->last_pending - ack->pending - 1;
	if (lost > missing)
		lost = missing;
	counts->filtered += missing - lost;
	counts->expired += lost;
	if (lost > 0)
		counts->expired_range = (struct gap_range){from, ack->stream_seq - 1, lost};
}

static void
open_range(struct gap *g, uint64_t from, uint64_t to)
{
	struct gap_range *last = &g->open[GAP_RANGES_MAX - 1];

	if (g->open_count == GAP_RANGES_MAX) {
		/* More jumps than are worth telling apart: the last range takes this one in. */
		last->to = to;
		last->missing += to - from + 1;
		return;
	}
	g->open[g->open_count++] = (struct gap_range){from, to, to - from + 1};
}

/* A jump from the last delivery to this one, or what of it is not counted yet. */
static void
take_jump(struct gap *g, const struct jsack *ack, struct gap_counts *counts)
{
	uint64_t from = (g->last_seq > g->counted_seq ? g->last_seq : g->counted_seq) + 1;

	if (ack->stream_seq <= from)
		return;
	if (g->filtered)
		take_filtered(g, ack, from, counts);
	else
		open_range(g, from, ack->stream_seq - 1);
}

bool
gap_take(struct gap *g, const struct jsack *ack, struct gap_counts *counts)
{
	memset(counts, 0, sizeof *counts);
	if (g->any)
		take_jump(g, ack, counts);
	g->any = true;
	g->last_seq = ack->stream_seq;
	if (ack->stream_seq > g->counted_seq)
		g->counted_seq = ack->stream_seq;
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
		uint64_t before = first_seq > r->from ? first_seq - r->from : 0;
		uint64_t expired = before < r->missing ? before : r->missing;

		counts->expired += expired;
		counts->deleted += r->missing - expired;
		if (expired > 0)
			counts->expired_range =
			    (struct gap_range){r->from, r->to < first_seq ? r->to : first_seq - 1, expired};
	}
	g->open_count = 0;
}
