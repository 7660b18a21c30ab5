/*
 * What the sampler learns otherwise than by messages that it judges: rows of state.db, rows of other nodes,
 * and what is read back after a crash or a gain. Part of the sampler; pure.
 *
 * Known at a start: rows up to some moment, and a note up to where they are whole. The rest is at the target
 * (what was copied, at its origin's time) and in the source (what was seen). Copies are read first, but an
 * event belongs to the first message that caused it, which may have been skipped: so copies wait in the log
 * until the source has been read, and settle at the end for what it did not tell.
 */
#include <string.h>

#include "worker/sampler_internal.h"

/* ---- rows ---------------------------------------------------------------------------------------- */

void
sampler_load(struct sampler *s, const struct proto_sample *row)
{
	struct tracker_entry *e;

	if (row->forgotten || row->seen_ms <= 0 || !sample_value_valid(row->value, row->value_len))
		return;
	e = sampler_entry(s, row->value, row->value_len, true);
	if (e == NULL)
		return;
	if (!sampler_known(e))
		s->known++;
	e->settled = (struct tracker_state){row->seen_ms, row->copied_ms > 0 ? row->copied_ms : 0, row->size};
	e->offered = e->settled;
	sampler_set_advised(s, e, row->advised);
}

void
sampler_load_gone(struct sampler *s, const struct proto_sample *row)
{
	struct tracker_entry *e = NULL;

	if (sample_value_valid(row->value, row->value_len))
		e = sampler_entry(s, row->value, row->value_len, true);
	if (e == NULL)
		return;
	e->forgotten = true;
	sampler_tell_here(s, e);
}

void
sampler_load_held(struct sampler *s, const char *value, size_t len)
{
	struct tracker_entry *e = sampler_entry(s, value, len, false);

	if (e != NULL && sampler_known(e))
		sampler_hold(s, e);
}

static void
merge_state(struct tracker_state *state, const struct tracker_state *other)
{
	/* Of the same moment: a message behind it whose time went back has brought another size. */
	if (other->seen_ms >= state->seen_ms) {
		state->seen_ms = other->seen_ms;
		state->size = other->size;
	}
	if (other->copied_ms > state->copied_ms)
		state->copied_ms = other->copied_ms;
}

static bool
same_state(const struct tracker_state *a, const struct tracker_state *b)
{
	return a->seen_ms == b->seen_ms && a->copied_ms == b->copied_ms && a->size == b->size;
}

static void
merge_entry(struct sampler *s, struct tracker_entry *e, const struct tracker_state *other, bool advised)
{
	const struct tracker_state before = e->settled;
	bool was_advised = e->advised;

	/* Of one silence, the news is that it was advised of. */
	if (other->seen_ms > before.seen_ms)
		sampler_set_advised(s, e, advised);
	else if (other->seen_ms == before.seen_ms && advised)
		sampler_set_advised(s, e, true);
	merge_state(&e->settled, other);
	merge_state(&e->offered, other);
	if (before.seen_ms == 0) {
		e->forgotten = false;
		s->known++;
	}
	if (was_advised != e->advised || !same_state(&before, &e->settled))
		sampler_tell_here(s, e);
	sampler_schedule(s, e, before.seen_ms == 0 || was_advised != e->advised);
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

bool
sampler_merge(struct sampler *s, const struct proto_sample *row, int64_t now_ms)
{
	struct tracker_state other = {0, 0, row->size};
	struct tracker_entry *e;

	if (larger(row->seen_ms, row->copied_ms) <= 0 ||
	    larger(row->seen_ms, row->copied_ms) > now_ms + SAMPLER_SKEW_MS ||
	    !sample_value_valid(row->value, row->value_len))
		return false;
	if (row->copied_ms > 0)
		other.copied_ms = sampler_bound(row->copied_ms, now_ms);
	other.seen_ms = larger(sampler_bound(row->seen_ms, now_ms), other.copied_ms);
	e = sampler_entry(s, row->value, row->value_len, false);
	if (e == NULL || !sampler_known(e)) {
		/* Old news of what was forgotten. */
		if (sampler_age(s, other.seen_ms) >= s->rules.duration_ms)
			return true;
		e = sampler_entry(s, row->value, row->value_len, true);
	}
	if (e != NULL)
		merge_entry(s, e, &other, row->advised);
	return true;
}

void
sampler_adopt(struct sampler *s, const struct sample_note *note)
{
	bool same = note->source_created_ns == s->noted.source_created_ns &&
		    note->target_created_ns == s->noted.target_created_ns;

	listening_restore(&s->listening, note);
	if (s->has_noted && same && note->source_seq <= s->noted.at.source_seq)
		return;
	s->has_noted = true;
	s->noted.at = (struct sampler_position){note->source_seq, note->target_seq};
	s->noted.source_created_ns = note->source_created_ns;
	s->noted.target_created_ns = note->target_created_ns;
}

/* ---- reading back -------------------------------------------------------------------------------- */

void
sampler_recall_begin(struct sampler *s, bool raise)
{
	sampler_clear_log(s);
	s->recalling = true;
	s->recall_raise = raise;
	s->whole = false;
}

static struct sampler_sight
make_sight(int64_t stored_ms, uint64_t size, bool copied, int64_t now_ms)
{
	return (struct sampler_sight){sampler_bound(stored_ms, now_ms),
				      size < UINT32_MAX ? (uint32_t)size : UINT32_MAX, copied};
}

/* Directly, without a record of its own; those that it has stay. */
static void
settle_now(struct sampler *s, struct tracker_entry *e, const struct sampler_sight *sight)
{
	sampler_settle(s, e, sight, s->recalling ? s->recall_raise : true);
	if (e->pending == 0)
		e->offered = e->settled;
	else
		sampler_advance(&e->offered, sight);
}

static void
keep_for_later(struct sampler *s, struct tracker_entry *e, const struct sampler_sight *sight)
{
	struct sampler_record *r;

	if (s->log.count == SAMPLER_LOG_MAX)
		sampler_settle_oldest(s);
	r = sampler_log_push(&s->log);
	*r = (struct sampler_record){0, sight->stored_ms, e->id, sight->size, SAMPLER_KEPT, true};
	e->pending++;
}

void
sampler_recall_copied(struct sampler *s, const struct sample_value *value, int64_t stored_ms, uint64_t size,
		      int64_t now_ms)
{
	struct sampler_sight sight = make_sight(stored_ms, size, true, now_ms);
	struct tracker_entry *e;

	if (!s->recalling)
		return;
	e = sampler_entry(s, value->text, value->len, true);
	if (e == NULL || sight.stored_ms <= e->settled.copied_ms)
		return; /* its row has it */
	if (s->recall_raise)
		keep_for_later(s, e, &sight);
	else
		settle_now(s, e, &sight);
}

void
sampler_recall_seen(struct sampler *s, const struct sample_value *value, int64_t stored_ms, uint64_t size,
		    int64_t now_ms)
{
	struct sampler_sight sight = make_sight(stored_ms, size, false, now_ms);
	struct tracker_entry *e = sampler_entry(s, value->text, value->len, s->recalling);

	if (e == NULL)
		return;
	if (s->recalling || (sampler_known(e) && sight.stored_ms > e->settled.seen_ms))
		settle_now(s, e, &sight);
}

/* A copy that the source did not tell of. If it did, its size is that of a later message. */
static void
settle_recalled(struct sampler *s)
{
	struct sampler_record *r = sampler_log_at(&s->log, 0);
	const struct tracker_entry *e = tracker_at(s->table, r->id);

	if (r->stored_ms <= e->settled.seen_ms)
		r->size = e->settled.size;
	sampler_settle_oldest(s);
}

void
sampler_recall_end(struct sampler *s, int64_t now_ms)
{
	(void)now_ms;
	while (s->recalling && s->log.count > 0)
		settle_recalled(s);
	s->recalling = false;
	s->whole = true;
	s->has_noted = true;
	s->noted.at = s->position;
}
