/*
 * The decision on each message of a sampled topic, and its settlement: see sampler.h. Runs in a replicating
 * worker's loop; pure, so that tests drive it through crashes and hand-overs.
 *
 * Invariants: an entry is in the table while anything of it is settled or forgotten, a record of the log is
 * of it, a queue has it, or it is held. pending counts its records. Without records offered equals settled;
 * with them it is settled with the judged records laid on. Events and rows come out at settlement and at
 * ticks alone. What is stored where: settled rows go to state.db and gossip, offered state nowhere; after a
 * crash the rows, what the target holds and what the source still has make up the rest (sampler_others.c).
 */
#include "worker/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/sampler_internal.h"

struct sampler *
sampler_new(const struct sampler_rules *rules, uint64_t seed, const struct sampler_callbacks *callbacks,
	    void *arg)
{
	struct sampler *s = xcalloc(1, sizeof *s);

	s->rules = *rules;
	s->callbacks = *callbacks;
	s->arg = arg;
	s->table = tracker_new(rules->max_values, seed);
	s->walking = true;
	listening_init(&s->listening);
	return s;
}

void
sampler_free(struct sampler **s)
{
	if (*s == NULL)
		return;
	tracker_free(&(*s)->table);
	sampler_log_fini(&(*s)->log);
	free(*s);
	*s = NULL;
}

/* ---- entries ------------------------------------------------------------------------------------- */

int64_t
sampler_bound(int64_t ms, int64_t now_ms)
{
	if (ms > now_ms)
		ms = now_ms;
	return ms > 0 ? ms : 1;
}

void
sampler_set_advised(struct sampler *s, struct tracker_entry *e, bool advised)
{
	if (e->advised == advised)
		return;
	e->advised = advised;
	s->advised += advised ? 1 : UINT32_MAX;
}

struct tracker_entry *
sampler_entry(struct sampler *s, const char *value, size_t len, bool add)
{
	struct tracker_entry *e = tracker_find(s->table, value, len);

	return e != NULL || !add ? e : tracker_add(s->table, value, len);
}

void
sampler_let_go(struct sampler *s, struct tracker_entry *e)
{
	if (sampler_known(e) || e->held > 0 || e->queued_state_db || e->queued_gossip)
		return;
	e->forgotten = false; /* all have taken it */
	if (e->pending == 0)
		tracker_remove(s->table, e);
}

static bool
repair_time(int64_t *ms, int64_t now_ms)
{
	if (*ms <= now_ms + SAMPLER_SKEW_MS)
		return false;
	*ms = now_ms;
	return true;
}

void
sampler_repair(struct sampler *s, struct tracker_entry *e, int64_t now_ms)
{
	bool wrong = repair_time(&e->settled.seen_ms, now_ms);

	wrong = repair_time(&e->settled.copied_ms, now_ms) || wrong;
	repair_time(&e->offered.seen_ms, now_ms);
	repair_time(&e->offered.copied_ms, now_ms);
	if (wrong)
		sampler_tell_here(s, e);
}

/* ---- judging ------------------------------------------------------------------------------------- */

void
sampler_advance(struct tracker_state *state, const struct sampler_sight *sight)
{
	if (state->seen_ms < sight->stored_ms)
		state->seen_ms = sight->stored_ms;
	if (sight->copied && state->copied_ms < sight->stored_ms)
		state->copied_ms = sight->stored_ms;
	state->size = sight->size;
}

/* Due earlier than the duration, by up to a tenth, always the same for a value: copies of many values spread
 * out. */
static bool
is_due(const struct sampler *s, const struct tracker_entry *e, int64_t since_copied_ms)
{
	uint64_t most = (uint64_t)s->rules.duration_ms / 10;
	const char *value;
	size_t len;

	if (since_copied_ms < s->rules.duration_ms - (int64_t)most)
		return false;
	value = tracker_value(e, &len);
	return since_copied_ms >=
	       s->rules.duration_ms - (int64_t)(sample_value_hash(value, len) % (most + 1));
}

static bool
size_changed(const struct sampler *s, const struct tracker_entry *e, uint32_t size)
{
	uint32_t before = e->offered.size;

	if (s->rules.size_trigger == 0 || e->offered.seen_ms == 0)
		return false;
	return (size > before ? size - before : before - size) >= s->rules.size_trigger;
}

static enum sampler_verdict
judge(const struct sampler *s, const struct tracker_entry *e, const struct sampler_message *m,
      const struct sampler_sight *sight)
{
	if (m->must_copy)
		return SAMPLER_KEPT;
	if (e->offered.copied_ms == 0)
		return SAMPLER_NEW;
	if (is_due(s, e, sight->stored_ms - e->offered.copied_ms))
		return SAMPLER_DUE;
	if (size_changed(s, e, sight->size))
		return SAMPLER_SIZE;
	return m->forced ? SAMPLER_FORCED : SAMPLER_SKIP;
}

static struct sampler_sight
sight_of(const struct sampler_record *r)
{
	return (struct sampler_sight){r->stored_ms, r->size, r->copied};
}

/* The next record of before a rewind is judged, as it was then, or as seen alone. */
static void
judge_again(struct sampler *s, bool copied)
{
	struct sampler_record *r = sampler_log_at(&s->log, s->log.judged);
	struct sampler_sight sight;

	r->copied = r->copied && copied;
	sight = sight_of(r);
	sampler_advance(&tracker_at(s->table, r->id)->offered, &sight);
	s->log.judged++;
}

static void
drop_newest(struct sampler *s)
{
	struct tracker_entry *e = tracker_at(s->table, sampler_log_at(&s->log, s->log.count - 1)->id);

	sampler_log_drop_newest(&s->log);
	e->pending--;
	if (e->pending == 0)
		e->offered = e->settled;
	sampler_schedule(s, e, false);
	sampler_let_go(s, e);
}

/*
 * The record of a message that was offered before the last rewind; NULL for one that was not. Messages that
 * did not come again are gone from the source: they were seen, and whether they were copied nobody knows, so
 * they were not. One that was not judged then, between others that were, ends what is known of that time.
 */
static struct sampler_record *
find_kept(struct sampler *s, uint64_t seq, struct tracker_entry *e)
{
	struct sampler_log *l = &s->log;

	while (l->judged < l->count && sampler_log_at(l, l->judged)->seq < seq)
		judge_again(s, false);
	if (l->judged == l->count)
		return NULL;
	if (sampler_log_at(l, l->judged)->seq == seq && sampler_log_at(l, l->judged)->id == e->id)
		return sampler_log_at(l, l->judged);
	e->pending++; /* it stays, whichever records go */
	while (l->judged < l->count)
		drop_newest(s);
	e->pending--;
	return NULL;
}

static enum sampler_verdict
offer_again(struct sampler *s, struct sampler_record *r, const struct sampler_message *m)
{
	if (m->must_copy && !r->copied) {
		r->copied = true;
		r->verdict = SAMPLER_KEPT;
	}
	judge_again(s, true);
	return (enum sampler_verdict)r->verdict;
}

static enum sampler_verdict
offer_first(struct sampler *s, struct tracker_entry *e, const struct sampler_message *m,
	    struct sampler_sight *sight)
{
	enum sampler_verdict verdict = judge(s, e, m, sight);
	struct sampler_record *r = sampler_log_push(&s->log);

	sight->copied = verdict != SAMPLER_SKIP;
	*r = (struct sampler_record){m->seq,      sight->stored_ms, e->id,
				     sight->size, (uint8_t)verdict, sight->copied};
	e->pending++;
	sampler_advance(&e->offered, sight);
	return verdict;
}

enum sampler_verdict
sampler_offer(struct sampler *s, const struct sample_value *value, const struct sampler_message *m,
	      int64_t now_ms)
{
	struct sampler_sight sight = {sampler_bound(m->stored_ms, now_ms),
				      m->size < UINT32_MAX ? (uint32_t)m->size : UINT32_MAX, false};
	struct sampler_record *kept;
	struct tracker_entry *e;

	if (s->recalling)
		sampler_recall_end(s, now_ms);
	e = sampler_entry(s, value->text, value->len, true);
	if (e == NULL)
		return m->must_copy ? SAMPLER_KEPT : SAMPLER_UNTRACKED;
	sampler_repair(s, e, now_ms);
	kept = s->log.judged < s->log.count ? find_kept(s, m->seq, e) : NULL;
	return kept != NULL ? offer_again(s, kept, m) : offer_first(s, e, m, &sight);
}

bool
sampler_has_room(const struct sampler *s)
{
	return s->log.count < SAMPLER_LOG_MAX || s->log.judged < s->log.count;
}

/* What the entry's offered state says of copies, from the records that are left. */
static void
reckon_copied(struct sampler *s, struct tracker_entry *e)
{
	e->offered.copied_ms = e->settled.copied_ms;
	for (uint32_t i = 0; i < s->log.judged; i++) {
		const struct sampler_record *r = sampler_log_at(&s->log, i);

		if (r->id == e->id && r->copied && r->stored_ms > e->offered.copied_ms)
			e->offered.copied_ms = r->stored_ms;
	}
}

void
sampler_not_copied(struct sampler *s, uint64_t seq)
{
	uint32_t i = s->log.judged;

	while (i > 0 && sampler_log_at(&s->log, i - 1)->seq > seq)
		i--;
	if (i > 0 && sampler_log_at(&s->log, i - 1)->seq == seq) {
		struct sampler_record *r = sampler_log_at(&s->log, i - 1);

		r->copied = false;
		r->verdict = SAMPLER_SKIP;
		reckon_copied(s, tracker_at(s->table, r->id));
	}
}

/* ---- settling ------------------------------------------------------------------------------------ */

void
sampler_settle(struct sampler *s, struct tracker_entry *e, const struct sampler_sight *sight, bool raise)
{
	struct tracker_state before;
	bool newer, is_new, recovers;

	sampler_lapse(s, e, sight->stored_ms, raise);
	before = e->settled;
	newer = sight->stored_ms > before.seen_ms;
	is_new = !sampler_known(e);
	recovers = newer && e->advised && raise;
	sampler_advance(&e->settled, sight);
	if (is_new) {
		e->forgotten = false;
		s->known++;
	}
	if (recovers)
		sampler_set_advised(s, e, false);
	if (raise && is_new)
		sampler_raise(s, e, ADVISORY_EVENT_NEW, sight->stored_ms);
	if (recovers)
		sampler_raise(s, e, ADVISORY_EVENT_RECOVER, sight->stored_ms);
	if (newer || e->settled.copied_ms != before.copied_ms || e->settled.size != before.size)
		sampler_tell(s, e);
	if (recovers)
		sampler_is_urgent(s);
	sampler_schedule(s, e, is_new || recovers);
}

void
sampler_settle_oldest(struct sampler *s)
{
	const struct sampler_record *r = sampler_log_at(&s->log, 0);
	struct tracker_entry *e = tracker_at(s->table, r->id);
	struct sampler_sight sight = sight_of(r);

	sampler_log_drop_oldest(&s->log);
	e->pending--;
	sampler_settle(s, e, &sight, s->recalling ? s->recall_raise : true);
	if (e->pending == 0)
		e->offered = e->settled;
}

static bool
oldest_is_within(const struct sampler *s, uint64_t source_seq)
{
	return s->log.count > 0 && sampler_log_at(&s->log, 0)->seq <= source_seq;
}

void
sampler_settled(struct sampler *s, uint64_t source_seq, uint64_t target_floor)
{
	if (source_seq > s->position.source_seq)
		s->position = (struct sampler_position){source_seq, target_floor};
	if (s->recalling)
		return;
	while (oldest_is_within(s, source_seq)) {
		if (s->log.judged == 0)
			judge_again(s, false);
		sampler_settle_oldest(s);
	}
	if (s->whole)
		s->noted.at = s->position;
}

void
sampler_rewind(struct sampler *s, uint64_t source_seq, uint64_t target_floor)
{
	s->position = (struct sampler_position){source_seq, target_floor};
	if (s->recalling)
		return;
	while (oldest_is_within(s, source_seq))
		sampler_settle_oldest(s);
	for (uint32_t i = 0; i < s->log.count; i++) {
		struct tracker_entry *e = tracker_at(s->table, sampler_log_at(&s->log, i)->id);

		e->offered = e->settled;
	}
	s->log.judged = 0;
}

void
sampler_clear_log(struct sampler *s)
{
	while (s->log.count > 0)
		drop_newest(s);
}

void
sampler_drop(struct sampler *s)
{
	sampler_clear_log(s);
	s->recalling = false;
	s->whole = false;
}

void
sampler_copies_lost(struct sampler *s, int64_t since_ms)
{
	struct tracker_entry *e;
	uint64_t cursor = 0;

	while ((e = tracker_next(s->table, &cursor)) != NULL) {
		if (e->offered.copied_ms >= since_ms)
			e->offered.copied_ms = 0;
		if (e->settled.copied_ms < since_ms || !sampler_known(e))
			continue;
		e->settled.copied_ms = 0;
		sampler_tell_here(s, e);
	}
}

void
sampler_figures(const struct sampler *s, struct sampler_figures *out)
{
	out->tracked = s->known;
	out->advised = s->advised;
	out->in_flight = s->log.count;
	out->bytes = tracker_bytes(s->table) + s->log.cap * sizeof *s->log.records + sizeof *s;
}
