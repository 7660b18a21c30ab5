/* What goes wrong in the simulation, one function each; true if it could be done. */
#include "tests/unit/sim.h"

static struct sim_worker *
worker(struct sim *s)
{
	return &s->workers[0];
}

static int64_t
a_while(struct sim *s)
{
	return s->world.now_ms + 100 + sim_below(&s->world.random, 12000);
}

static bool
drop_publish(struct sim *s)
{
	s->world.target.drop_publishes += 1 + sim_below(&s->world.random, 3);
	return true;
}

static bool
drop_reply(struct sim *s)
{
	if (worker(s)->conn < 0 || worker(s)->phase == SIM_DEAD)
		return false;
	s->world.conns[worker(s)->conn].drop_replies += 1 + sim_below(&s->world.random, 2);
	return true;
}

/* Nothing moves for longer than a reply may take. */
static bool
late(struct sim *s)
{
	s->world.now_ms += 5000 + sim_below(&s->world.random, 2000);
	return true;
}

static bool
lose_target(struct sim *s)
{
	if (worker(s)->conn < 0 || worker(s)->phase == SIM_DEAD)
		return false;
	sim_note_offered(s, worker(s));
	sim_worker_lose_target(worker(s), sim_some_late(s, worker(s)));
	return true;
}

static bool
lose_source(struct sim *s)
{
	sim_worker_lose_source(worker(s));
	return true;
}

static bool
redeliver(struct sim *s)
{
	return sim_worker_redeliver(worker(s),
				    1 + sim_below(&s->world.random, (uint32_t)s->world.source.last));
}

static bool
lie_about_more(struct sim *s)
{
	return s->lie = true;
}

static bool
restart_with(struct sim *s, const struct proto_checkpoint *checkpoint)
{
	sim_kill(s, worker(s));
	sim_start(s, checkpoint, 0);
	return true;
}

static bool
kill_one(struct sim *s)
{
	return restart_with(s, s->have_given ? &s->given : NULL);
}

/* With the supervisor goes what it had not written. */
static bool
kill_all(struct sim *s)
{
	s->given = s->written;
	s->have_given = s->have_written;
	return restart_with(s, s->have_given ? &s->given : NULL);
}

/* Late publishes would need the checkpoint: without it the ten seconds of the user timeout have passed. */
static bool
lose_state(struct sim *s)
{
	sim_kill(s, worker(s));
	sim_kill(s, &s->workers[1]);
	sim_flush_late(&s->world, sim_chance(&s->world.random, 500));
	s->have_given = s->have_written = false;
	return restart_with(s, NULL);
}

static void
take_checkpoint_of_old(void *arg, const struct proto_checkpoint *c)
{
	(void)arg;
	(void)c;
}

/* Another process leads now; the old one goes on for a while. Its checkpoints are another node's. */
static bool
new_leader(struct sim *s)
{
	struct sim_worker old = *worker(s);

	if (old.phase == SIM_DEAD || old.phase == SIM_HALTED)
		return false;
	sim_kill(s, &s->workers[1]);
	s->workers[1] = old;
	s->workers[1].checkpoint = take_checkpoint_of_old;
	s->stale_until = s->steps + 10 + sim_below(&s->world.random, 300);
	worker(s)->phase = SIM_DEAD;
	sim_start(s, s->have_written ? &s->written : NULL, 0);
	return true;
}

static bool
no_leader(struct sim *s)
{
	s->world.target.silent_until_ms = a_while(s);
	return true;
}

static bool
no_quorum(struct sim *s)
{
	s->world.target.quorumless_until_ms = a_while(s);
	return true;
}

static bool
full(struct sim *s)
{
	s->world.target.full_until_ms = a_while(s);
	return true;
}

static bool
busy(struct sim *s)
{
	s->world.target.busy_until_ms = a_while(s);
	return true;
}

static bool
small_queue(struct sim *s)
{
	s->world.target.queue_max = s->world.target.queue_max > 0 ? 0 : 18 + sim_below(&s->world.random, 20);
	return true;
}

/* A message that is not known to be settled, sent or not. */
static bool
source_deletes(struct sim *s)
{
	uint64_t seq;

	if (worker(s)->phase == SIM_DEAD)
		return false;
	seq = pipeline_source_seq(worker(s)->pipeline) + 1 + sim_below(&s->world.random, 40);
	if (seq >= s->world.source.last)
		return false;
	s->world.source.msgs[seq].deleted = true;
	return true;
}

/* The source drops its oldest messages faster than they are copied. */
static bool
source_expires(struct sim *s)
{
	uint64_t last;

	if (worker(s)->phase == SIM_DEAD)
		return false;
	last = pipeline_source_seq(worker(s)->pipeline) + sim_below(&s->world.random, 4);
	for (uint64_t seq = 1; seq <= last && seq < s->world.source.last; seq++)
		s->world.source.msgs[seq].deleted = true;
	return true;
}

static bool
target_expires(struct sim *s)
{
	sim_target_delete(&s->world, 1, sim_below(&s->world.random, (uint32_t)s->world.target.last + 1));
	return true;
}

/* A work queue: nearly all of it. */
static bool
target_consumed(struct sim *s)
{
	uint64_t last = s->world.target.last;
	uint32_t keep = sim_below(&s->world.random, 4);

	sim_target_delete(&s->world, 1, last > keep ? last - keep : 0);
	return true;
}

static bool
tail_deleted(struct sim *s)
{
	uint64_t last = s->world.target.last;
	uint32_t count = 1 + sim_below(&s->world.random, 6);

	sim_target_delete(&s->world, last > count ? last - count : 1, last);
	return true;
}

static bool
purged(struct sim *s)
{
	sim_target_delete(&s->world, 1, s->world.target.last);
	return true;
}

/* A crash that loses what was acknowledged. What was on its way is lost with it. */
static bool
went_back(struct sim *s)
{
	uint64_t last = s->world.target.last;
	uint32_t lost = 1 + sim_below(&s->world.random, 12);

	sim_kill(s, &s->workers[1]);
	sim_flush_late(&s->world, true);
	sim_worker_lose_target(worker(s), 0);
	sim_flush_late(&s->world, true);
	sim_target_go_back(&s->world, last > lost ? last - lost : 0);
	return true;
}

static bool
made_anew(struct sim *s)
{
	sim_kill(s, &s->workers[1]);
	sim_flush_late(&s->world, true);
	sim_worker_lose_target(worker(s), 0);
	sim_flush_late(&s->world, true);
	sim_target_make_anew(&s->world);
	return true;
}

static bool
nothing_is_on_its_way(const struct sim *s)
{
	const struct sim_worker *w = &s->workers[0];

	for (size_t i = 0; i < SIM_CONNS; i++)
		if (s->world.conns[i].out_count > 0)
			return false;
	return w->phase == SIM_COPYING && pipeline_inflight_msgs(w->pipeline) == 0 &&
	       s->workers[1].phase == SIM_DEAD;
}

/*
 * Another writer. A message of its that comes between ours in flight knocks one of them out, and the next
 * one follows on it, which the chain does not notice: a chain's target must be ours alone. So a chain
 * meets it only while nothing is on its way, and looks at once.
 */
static bool
foreign(struct sim *s)
{
	if (!s->scenario->foreign_at_any_time && !nothing_is_on_its_way(s))
		return false;
	sim_target_foreign(&s->world, sim_below(&s->world.random, SIM_SUBJECTS));
	if (!s->scenario->foreign_at_any_time)
		sim_worker_lose_source(worker(s));
	return true;
}

/*
 * A restart with another filter. What the old worker had taken and not reported as settled may have been
 * decided by either.
 */
static bool
other_filter(struct sim *s)
{
	const struct proto_checkpoint *c;
	uint64_t settled;

	sim_kill(s, worker(s));
	sim_kill(s, &s->workers[1]);
	if (sim_chance(&s->world.random, 300)) {
		s->given = s->written;
		s->have_given = s->have_written;
	}
	sim_write_checkpoint(s); /* a reload begins with what is known on disk */
	c = s->have_given ? &s->given : NULL;
	settled = c != NULL ? c->source_seq : 0;
	s->settings.filter = (s->settings.filter + 1 + sim_below(&s->world.random, 2)) % 3;
	for (uint64_t seq = settled + 1; seq <= s->world.source.last; seq++) {
		enum must now = sim_decide(s, seq);

		s->must[seq] = (uint8_t)(seq <= s->max_offered && now != s->must[seq] ? EITHER : now);
	}
	sim_start(s, c, 0);
	return true;
}

static bool
letter_lost(struct sim *s)
{
	return s->world.letters_lost = true;
}

/* Longer than the target remembers message ids; what was on its way is not any more. */
static bool
long_pause(struct sim *s)
{
	sim_flush_late(&s->world, sim_chance(&s->world.random, 500));
	if (sim_chance(&s->world.random, 700)) {
		sim_kill(s, &s->workers[1]);
		kill_all(s);
		sim_flush_late(&s->world, sim_chance(&s->world.random, 500));
	}
	for (size_t i = 0; i < SIM_CONNS; i++)
		s->world.conns[i].out_count = s->world.conns[i].open ? s->world.conns[i].out_count : 0;
	if (worker(s)->phase != SIM_DEAD && worker(s)->conn >= 0)
		sim_worker_lose_target(worker(s), 0);
	if (s->workers[1].phase != SIM_DEAD)
		sim_worker_lose_target(&s->workers[1], 0);
	s->world.now_ms += SIM_DUPLICATE_WINDOW_MS + 1000;
	return true;
}

static bool
limit_window(struct sim *s)
{
	if (worker(s)->phase == SIM_DEAD)
		return false;
	pipeline_limit_window(worker(s)->pipeline, 1 + sim_below(&s->world.random, s->settings.max_inflight));
	return true;
}

static bool (*const inject[FAULTS])(struct sim *) = {
    [DROP_PUBLISH] = drop_publish,
    [DROP_REPLY] = drop_reply,
    [LATE] = late,
    [LOSE_TARGET] = lose_target,
    [LOSE_SOURCE] = lose_source,
    [REDELIVER] = redeliver,
    [LIE_ABOUT_MORE] = lie_about_more,
    [KILL_WORKER] = kill_one,
    [KILL_ALL] = kill_all,
    [LOSE_STATE] = lose_state,
    [NEW_LEADER] = new_leader,
    [NO_LEADER] = no_leader,
    [NO_QUORUM] = no_quorum,
    [FULL] = full,
    [BUSY] = busy,
    [SMALL_QUEUE] = small_queue,
    [SOURCE_DELETES] = source_deletes,
    [SOURCE_EXPIRES] = source_expires,
    [TARGET_EXPIRES] = target_expires,
    [TARGET_CONSUMED] = target_consumed,
    [TAIL_DELETED] = tail_deleted,
    [PURGED] = purged,
    [WENT_BACK] = went_back,
    [MADE_ANEW] = made_anew,
    [FOREIGN] = foreign,
    [OTHER_FILTER] = other_filter,
    [LETTER_LOST] = letter_lost,
    [LONG_PAUSE] = long_pause,
    [LIMIT_WINDOW] = limit_window,
};

void
sim_fault(struct sim *s)
{
	uint32_t sum = 0, pick;

	for (size_t i = 0; i < FAULTS; i++)
		sum += s->scenario->weight[i];
	pick = sim_below(&s->world.random, sum);
	for (size_t i = 0; i < FAULTS; i++) {
		if (pick >= s->scenario->weight[i]) {
			pick -= s->scenario->weight[i];
			continue;
		}
		s->faults += inject[i](s);
		return;
	}
}
