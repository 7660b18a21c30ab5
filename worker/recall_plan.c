/*
 * What has to be read back, decided; runs in a replicating worker, and in its tests over made-up facts.
 *
 * Reading too much costs time; taking a value for copied that was not would be a silence, and taking one for
 * not copied a sample too many. So the target, which knows, is read wherever the table may lack something,
 * and what a note says counts only for the very streams that it was written of. A target that gives away what
 * it holds (a work queue) cannot tell: there the messages since the note are judged once more, with the same
 * result.
 */
#include "worker/recall_plan.h"

/* Messages that are read within seconds. */
enum {
	REPLAY_MAX = 1000000,
	BEHIND_MAX = 100000, /* at the target behind an old note: then the time decides */
};
/* So long a reader of advisories, or the stream that keeps them, knows a repeated one by its id. */
#define RAISE_WITHIN_MS INT64_C(120000)

static bool
of_target(const struct recall_facts *f, const struct sample_note *note)
{
	return note != NULL && note->target_created_ns == f->target->created_ns;
}

/* And it has not gone back. */
static bool
of_source(const struct recall_facts *f, const struct sample_note *note)
{
	return note != NULL && note->source_created_ns == f->source->created_ns &&
	       note->source_seq <= f->source->last_seq;
}

/* It lost what it had acknowledged. */
static bool
went_back(const struct recall_facts *f, const struct sample_note *note)
{
	return f->target->last_seq < note->target_seq;
}

static const struct sample_note *
better_note(const struct recall_facts *f)
{
	bool own = of_target(f, f->own), heard = of_target(f, f->heard);

	if (own && heard)
		return f->heard->target_seq >= f->own->target_seq ? f->heard : f->own;
	if (own || heard)
		return own ? f->own : f->heard;
	return f->own != NULL ? f->own : f->heard;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Without a note: what was copied within a duration. In a backlog the target's clock says more than ours. */
static void
read_by_time(const struct recall_facts *f, struct recall_plan *plan)
{
	int64_t last_ms = f->target->last_time_ns / 1000000;

	plan->read = f->target->messages > 0;
	plan->since_ms = (last_ms > 0 ? earlier(last_ms, f->now_ms) : f->now_ms) - f->duration_ms;
	if (plan->since_ms <= 0)
		plan->since_ms = 1;
}

static void
read_behind_note(const struct recall_facts *f, struct recall_plan *plan)
{
	int64_t age_ms = f->now_ms - plan->note->heard_ms;
	uint64_t last = f->target->last_seq;

	plan->after = plan->note->target_seq;
	plan->read = last > plan->after && f->target->messages > 0;
	plan->raise = !f->elected || age_ms <= RAISE_WITHIN_MS;
	if (plan->read && age_ms > f->duration_ms && last - plan->after > BEHIND_MAX) {
		plan->after = 0;
		plan->raise = false;
		read_by_time(f, plan);
	}
}

/* What comes again although the table knows it. */
static void
plan_repeats(const struct recall_facts *f, struct recall_plan *plan)
{
	if (!f->chosen && of_source(f, plan->note) && plan->note->source_seq > f->position)
		plan->known_until = plan->note->source_seq;
}

static void
plan_replay(const struct recall_facts *f, struct recall_plan *plan)
{
	const struct sample_note *note = plan->note;
	bool can;

	plan->replay_after = f->position;
	if (note == NULL)
		return; /* nothing is known of listening either */
	if (of_source(f, note) && note->source_seq >= f->position)
		return;
	can = of_source(f, note) && f->source->retention == RETENTION_LIMITS &&
	      f->position - note->source_seq <= REPLAY_MAX && f->source->first_seq <= note->source_seq + 1;
	if (can)
		plan->replay_after = note->source_seq;
	else
		plan->silence_from_now = true;
}

/* Without a note: whether the rows may be of the target that is there now. */
static bool
is_another(const struct recall_facts *f)
{
	return f->target_created_ns != 0 && f->target_created_ns != f->target->created_ns;
}

void
recall_make_plan(const struct recall_facts *f, struct recall_plan *plan)
{
	*plan = (struct recall_plan){.note = better_note(f)};

	if (of_target(f, plan->note) && !went_back(f, plan->note) && !f->displaced) {
		read_behind_note(f, plan);
		plan_repeats(f, plan);
	} else {
		plan->copies_lost = plan->note != NULL || is_another(f);
		read_by_time(f, plan);
	}
	plan_replay(f, plan);
	if (f->target->retention != RETENTION_LIMITS) {
		plan->read = false;
		plan->replay_judges = true;
	}
}
