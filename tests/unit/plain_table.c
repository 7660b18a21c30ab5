/* A table of values for tests of those who ask the sampler. */
#include "tests/unit/plain_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"

struct sampler *
plain_table_new(void)
{
	struct sampler *s = xcalloc(1, sizeof *s);

	s->rows = xcalloc(FAKE_ROWS, sizeof *s->rows);
	s->queue = xcalloc(FAKE_ROWS, sizeof *s->queue);
	listening_init(&s->listening);
	return s;
}

void
sampler_free(struct sampler **sp)
{
	free((*sp)->rows);
	free((*sp)->queue);
	free(*sp);
	*sp = NULL;
}

static struct fake_row *
row_at(struct sampler *s, uint32_t n)
{
	struct fake_row *row = &s->rows[n % FAKE_ROWS];

	s->used += !row->used;
	row->used = true;
	return row;
}

void
plain_table_change(struct sampler *s, uint32_t n, int64_t seen_ms, uint64_t target_seq)
{
	struct fake_row *row = row_at(s, n);

	row->seen_ms = seen_ms;
	row->size = n;
	if (target_seq > s->target_seq) {
		row->copied_ms = seen_ms;
		s->target_seq = target_seq;
	}
	s->source_seq++;
	if (row->queued)
		return;
	row->queued = true;
	s->queue[s->put++ % FAKE_ROWS] = n;
}

const struct fake_row *
plain_table_row(const struct sampler *s, uint32_t n)
{
	return s->rows[n].used ? &s->rows[n] : NULL;
}

static void
give(struct sampler *s, uint32_t n, struct proto_sample *out)
{
	const struct fake_row *row = &s->rows[n];
	int len = snprintf(s->value, sizeof s->value, "v%u", (unsigned)n);

	*out = (struct proto_sample){.value = s->value,
				     .value_len = (size_t)len,
				     .seen_ms = row->seen_ms,
				     .copied_ms = row->copied_ms,
				     .size = row->size,
				     .forgotten = row->forgotten};
}

bool
sampler_take(struct sampler *s, enum tracker_queue q, struct proto_sample *row)
{
	uint32_t n;

	if (q != TRACKER_GOSSIP || s->held || s->taken == s->put)
		return false;
	n = s->queue[s->taken++ % FAKE_ROWS];
	s->rows[n].queued = false;
	give(s, n, row);
	return true;
}

void
sampler_mark(struct sampler *s, enum tracker_queue q, int64_t source_created_ns, int64_t target_created_ns)
{
	(void)q;
	s->marked = true;
	s->mark = s->put;
	listening_save(&s->listening, &s->mark_note);
	s->mark_note.source_created_ns = source_created_ns;
	s->mark_note.target_created_ns = target_created_ns;
	s->mark_note.source_seq = s->source_seq;
	s->mark_note.target_seq = s->target_seq;
}

bool
sampler_marked(struct sampler *s, enum tracker_queue q, struct sample_note *note)
{
	(void)q;
	if (!s->marked || s->taken < s->mark)
		return false;
	s->marked = false;
	*note = s->mark_note;
	return true;
}

bool
sampler_has_mark(const struct sampler *s, enum tracker_queue q)
{
	(void)q;
	return s->marked;
}

bool
sampler_merge(struct sampler *s, const struct proto_sample *in, int64_t now_ms)
{
	unsigned n;
	struct fake_row *row;

	if (in->seen_ms > now_ms + 300000 || sscanf(in->value, "v%u", &n) != 1)
		return false;
	row = row_at(s, n);
	if (in->seen_ms > row->seen_ms) {
		row->seen_ms = in->seen_ms;
		row->size = in->size;
	}
	if (in->copied_ms > row->copied_ms)
		row->copied_ms = in->copied_ms;
	s->merged++;
	return true;
}

bool
sampler_next(struct sampler *s, uint64_t *cursor, struct proto_sample *row)
{
	while (*cursor < FAKE_ROWS) {
		uint32_t n = (uint32_t)(*cursor)++;

		if (!s->rows[n].used)
			continue;
		give(s, n, row);
		return true;
	}
	return false;
}

void
sampler_adopt(struct sampler *s, const struct sample_note *note)
{
	listening_restore(&s->listening, note);
	s->adopted_seq = note->target_seq;
}

bool
sampler_urgent(const struct sampler *s, enum tracker_queue q)
{
	(void)q;
	return s->urgent && s->taken != s->put;
}

struct listening *
sampler_listening(struct sampler *s)
{
	return &s->listening;
}

void
sampler_figures(const struct sampler *s, struct sampler_figures *out)
{
	*out = (struct sampler_figures){.tracked = s->used};
}
