/*
 * The simulation's supervisor and operator: which checkpoint a worker starts with, what must have become
 * of each message, what a person does about a topic that has halted.
 */
#include "tests/unit/sim.h"

#include <stdio.h>

#include "common/xalloc.h"

void
sim_note(struct sim *s, const char *what, uint64_t seq)
{
	if (s->failure[0] == '\0')
		snprintf(s->failure, sizeof s->failure, "%s %llu (step %llu, %llu faults)", what,
			 (unsigned long long)seq, (unsigned long long)s->steps,
			 (unsigned long long)s->faults);
}

/* ---- what must be ----------------------------------------------------------------------------------- */

enum must
sim_decide(const struct sim *s, uint64_t seq)
{
	const struct sim_source_msg *m = &s->world.source.msgs[seq];

	return m->kind == SIM_PLAIN && sim_matches(s->settings.filter, m->subject) ? MUST : MUST_NOT;
}

void
sim_publish_one(struct sim *s)
{
	struct sim_random *r = &s->world.random;
	uint32_t kind = sim_below(r, 1000);
	uint64_t seq = s->world.source.last + 1;

	sim_source_publish(&s->world, sim_below(r, SIM_SUBJECTS),
			   kind < s->scenario->too_large                        ? SIM_TOO_LARGE
			   : kind < s->scenario->too_large + s->scenario->unfit ? SIM_UNFIT
										: SIM_PLAIN);
	if (seq >= s->must_cap) {
		s->must_cap = s->must_cap * 2 + 512;
		s->must = xrealloc(s->must, s->must_cap);
	}
	s->must[seq] = (uint8_t)sim_decide(s, seq);
}

/* With a letter the message is there in another way. */
bool
sim_is_missing(const struct sim *s, uint64_t seq)
{
	const struct sim_source_msg *m = &s->world.source.msgs[seq];

	if (m->deleted)
		return false;
	if (m->kind != SIM_PLAIN && s->settings.on_reject == REJECT_DEAD_LETTER &&
	    sim_matches(s->settings.filter, m->subject))
		return s->world.letters[seq] == 0;
	return s->must[seq] == MUST && s->world.copies[seq] == 0;
}

static void
note_settled(void *arg, uint64_t from, uint64_t to)
{
	struct sim *s = arg;

	for (uint64_t seq = from + 1; seq <= to; seq++)
		if (sim_is_missing(s, seq))
			sim_note(s, "settled, but not there: message", seq);
}

void
sim_write_checkpoint(struct sim *s)
{
	s->written = s->given;
	s->have_written = s->have_given;
}

/* Written at once where the map changes, and before it is too far behind. */
static void
take_checkpoint(void *arg, const struct proto_checkpoint *c)
{
	struct sim *s = arg;

	s->given = *c;
	s->have_given = true;
	if (!s->have_written || s->written.map_hash != c->map_hash ||
	    s->written.target_created_ns != c->target_created_ns || c->target_seq < s->written.target_seq ||
	    c->target_seq - s->written.target_seq > s->settings.supervisor_delay)
		sim_write_checkpoint(s);
}

/* ---- starting and stopping -------------------------------------------------------------------------- */

void
sim_note_offered(struct sim *s, const struct sim_worker *w)
{
	if (w->phase != SIM_DEAD && pipeline_offered_seq(w->pipeline) > s->max_offered)
		s->max_offered = pipeline_offered_seq(w->pipeline);
}

size_t
sim_some_late(struct sim *s, const struct sim_worker *w)
{
	if (w->phase == SIM_DEAD || w->conn < 0)
		return 0;
	return sim_below(&s->world.random, (uint32_t)s->world.conns[w->conn].out_count + 1);
}

void
sim_kill(struct sim *s, struct sim_worker *w)
{
	sim_note_offered(s, w);
	sim_worker_kill(w, sim_some_late(s, w));
}

void
sim_start(struct sim *s, const struct proto_checkpoint *checkpoint, uint64_t resume_seq)
{
	struct sim_worker *w = &s->workers[0];

	/*
	 * A refusal by the server alone is not in the checkpoint that was written before it: a late publish
	 * that knew of it must not meet a worker that does not. (The worker checks sizes before it sends.)
	 */
	if (w->last_refused > (checkpoint != NULL ? checkpoint->source_seq : 0))
		sim_flush_late(&s->world, sim_chance(&s->world.random, 500));
	w->world = &s->world;
	w->settings = s->settings;
	w->told = &s->told;
	w->settled = note_settled;
	w->checkpoint = take_checkpoint;
	w->arg = s;
	sim_worker_start(w, checkpoint, resume_seq);
}

/* What a person would find out by looking: the first message that is not at the target. */
static uint64_t
first_missing(const struct sim *s)
{
	uint64_t seq = 1;

	while (seq <= s->world.source.last && !sim_is_missing(s, seq))
		seq++;
	return seq;
}

/* A person acts on a topic that has halted. */
void
sim_operate(struct sim *s)
{
	struct sim_worker *w = &s->workers[0];
	bool by_message = w->halted_by_message;

	sim_kill(s, w);
	sim_flush_late(&s->world, false);
	if (by_message)
		s->settings.on_reject = REJECT_SKIP;
	else if (!s->scenario->may_halt)
		sim_note(s, "halted at target sequence", s->world.target.last);
	sim_start(s, s->have_given ? &s->given : NULL, by_message ? 0 : first_missing(s));
}
