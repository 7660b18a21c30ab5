/*
 * Changed rows on their way to state.db and gossip, and the marks that say up to where they are whole. Part
 * of the sampler; pure.
 *
 * A mark is a promise: whoever has taken all that came before it knows all up to its note. So it is reached
 * only when everything that was changed before it has been taken, and for gossip also when no entry is held
 * whose change was before it. A note of too early a position costs reading back, one of too late a position
 * loses samples: in doubt the mark waits.
 */
#include <string.h>

#include "worker/sampler_internal.h"

enum { AGAIN_STEPS = 4 }; /* a row that is taken: the walk ends however many rows come anew */

/* ---- what is held -------------------------------------------------------------------------------- */

void
sampler_hold(struct sampler *s, struct tracker_entry *e)
{
	if (e->held == UINT8_MAX)
		return;
	if (e->held++ > 0)
		return;
	e->hold_mark = s->holds.current;
	s->holds.by_number[e->hold_mark]++;
}

static bool
holds_are_over(struct sampler_holds *h)
{
	while (h->oldest != h->current && h->by_number[h->oldest] == 0)
		h->oldest++;
	return h->oldest == h->current;
}

static void
release(struct sampler *s, struct tracker_entry *e)
{
	struct sampler_feed *f = &s->feeds[TRACKER_GOSSIP];

	s->holds.by_number[e->hold_mark]--;
	if (!s->rules.gossip)
		return;
	tracker_push(s->table, TRACKER_GOSSIP, e);
	f->urgent = tracker_tail(s->table, TRACKER_GOSSIP);
	if (e->hold_mark != s->holds.current)
		f->mark.place = f->urgent; /* it was waited for, and now its row is */
}

void
sampler_delivered(struct sampler *s, const char *value, size_t len)
{
	struct tracker_entry *e = tracker_find(s->table, value, len);

	if (e == NULL || e->held == 0)
		return;
	if (--e->held == 0)
		release(s, e);
	sampler_let_go(s, e);
}

/* Was in the queue before the mark and is held since, or somebody is told of all now but of this: the mark
 * waits for it. */
static void
keep_back(struct sampler *s, struct tracker_entry *e)
{
	struct sampler_holds *h = &s->holds;

	if (!s->feeds[TRACKER_GOSSIP].mark.set || e->hold_mark != h->current)
		return;
	h->by_number[h->current]--;
	if (h->oldest == h->current)
		h->oldest--;
	e->hold_mark = (uint8_t)(h->current - 1);
	h->by_number[e->hold_mark]++;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

void
sampler_tell_here(struct sampler *s, struct tracker_entry *e)
{
	tracker_push(s->table, TRACKER_STATE_DB, e);
}

void
sampler_tell(struct sampler *s, struct tracker_entry *e)
{
	sampler_tell_here(s, e);
	if (s->rules.gossip && e->held == 0)
		tracker_push(s->table, TRACKER_GOSSIP, e);
}

void
sampler_is_urgent(struct sampler *s)
{
	for (int q = 0; q < TRACKER_QUEUES; q++)
		if (tracker_queued(s->table, (enum tracker_queue)q) > 0)
			s->feeds[q].urgent = tracker_tail(s->table, (enum tracker_queue)q);
}

bool
sampler_urgent(const struct sampler *s, enum tracker_queue q)
{
	return s->feeds[q].urgent != 0 && !tracker_passed(s->table, q, s->feeds[q].urgent);
}

uint32_t
sampler_waiting(const struct sampler *s, enum tracker_queue q)
{
	return tracker_queued(s->table, q) + (s->feeds[q].again ? s->known : 0);
}

static void
fill_row(const struct tracker_entry *e, struct proto_sample *row)
{
	row->value = tracker_value(e, &row->value_len);
	row->seen_ms = e->settled.seen_ms;
	row->copied_ms = e->settled.copied_ms;
	row->size = e->settled.size;
	row->advised = e->advised;
	row->forgotten = e->forgotten;
}

/* Puts some more rows of the walk into the queue. */
static void
walk_again(struct sampler *s, enum tracker_queue q)
{
	struct sampler_feed *f = &s->feeds[q];

	for (int i = 0; i < AGAIN_STEPS; i++) {
		struct tracker_entry *e = tracker_next(s->table, &f->cursor);

		if (e == NULL) {
			f->again = false;
			f->mark.place = tracker_tail(s->table, q);
			return;
		}
		if (sampler_known(e))
			tracker_push(s->table, q, e);
	}
}

static struct tracker_entry *
pop(struct sampler *s, enum tracker_queue q)
{
	struct sampler_feed *f = &s->feeds[q];

	do {
		if (f->again)
			walk_again(s, q);
	} while (f->again && tracker_queued(s->table, q) == 0);
	return tracker_pop(s->table, q);
}

bool
sampler_take(struct sampler *s, enum tracker_queue q, struct proto_sample *row)
{
	struct tracker_entry *e;

	while ((e = pop(s, q)) != NULL) {
		bool gives = q == TRACKER_STATE_DB || e->held == 0;

		if (!gives)
			keep_back(s, e);
		gives = gives && (sampler_known(e) || e->forgotten);
		if (gives) {
			fill_row(e, row);
			memcpy(s->value, row->value, row->value_len + 1);
			row->value = s->value;
		}
		sampler_let_go(s, e);
		if (gives)
			return true;
	}
	return false;
}

void
sampler_queue_all(struct sampler *s, enum tracker_queue q)
{
	s->feeds[q].again = true;
	s->feeds[q].cursor = 0;
}

bool
sampler_next(struct sampler *s, uint64_t *cursor, struct proto_sample *row)
{
	struct tracker_entry *e;

	while ((e = tracker_next(s->table, cursor)) != NULL) {
		if (e->held > 0) {
			keep_back(s, e);
		} else if (sampler_known(e)) {
			fill_row(e, row);
			return true;
		}
	}
	return false;
}

/* ---- marks --------------------------------------------------------------------------------------- */

/* What is held from now on has the next number. False if all numbers are in use. */
static bool
number_holds(struct sampler_holds *h)
{
	holds_are_over(h);
	if ((uint8_t)(h->current + 1) == h->oldest)
		return false;
	h->current++;
	return true;
}

void
sampler_mark(struct sampler *s, enum tracker_queue q, int64_t source_created_ns, int64_t target_created_ns)
{
	struct sampler_mark *m = &s->feeds[q].mark;

	if (s->whole) {
		s->noted.source_created_ns = source_created_ns;
		s->noted.target_created_ns = target_created_ns;
	}
	if (s->noted.source_created_ns != source_created_ns ||
	    s->noted.target_created_ns != target_created_ns || !s->has_noted ||
	    (q == TRACKER_GOSSIP && !number_holds(&s->holds)))
		return;
	m->set = true;
	m->place = tracker_tail(s->table, q);
	m->note.source_created_ns = s->noted.source_created_ns;
	m->note.source_seq = s->noted.at.source_seq;
	m->note.target_created_ns = s->noted.target_created_ns;
	m->note.target_seq = s->noted.at.target_seq;
	listening_save(&s->listening, &m->note);
}

bool
sampler_marked(struct sampler *s, enum tracker_queue q, struct sample_note *note)
{
	struct sampler_feed *f = &s->feeds[q];

	if (!f->mark.set || f->again || !tracker_passed(s->table, q, f->mark.place) ||
	    (q == TRACKER_GOSSIP && !holds_are_over(&s->holds)))
		return false;
	*note = f->mark.note;
	f->mark.set = false;
	return true;
}

bool
sampler_has_mark(const struct sampler *s, enum tracker_queue q)
{
	return s->feeds[q].mark.set;
}
