/*
 * pipeline.c and position.c under faults by the hundred thousand: lost and late publishes and replies,
 * refusals, restarts between any two steps, stale leaders, other filters, targets that lose messages.
 * After each run an auditor compares what the target ever stored with what the source holds: nothing
 * lost, nothing doubled, nothing out of order, and an end is reached.
 *
 * SIM_SEED repeats a finding (it is printed with the scenario), SIM_FAULTS sets how many faults a
 * scenario gets, SIM_SCENARIO picks one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/xalloc.h"
#include "tests/unit/sim_worker.h"
#include "tests/unit/unit.h"

enum {
	FAULTS_DEFAULT = 30000, /* a scenario */
	FAULTS_A_RUN = 150,
	MESSAGES_A_RUN = 250,
	FAULT_CHANCE = 40, /* in a thousand steps */
	QUIET_STEPS_MAX = 300000,
};

enum fault {
	DROP_PUBLISH,
	DROP_REPLY,
	LATE,
	LOSE_TARGET,
	LOSE_SOURCE,
	REDELIVER,
	LIE_ABOUT_MORE,
	KILL_WORKER,
	KILL_ALL,
	LOSE_STATE,
	NEW_LEADER,
	NO_LEADER,
	NO_QUORUM,
	FULL,
	BUSY,
	SMALL_QUEUE,
	SOURCE_DELETES,
	SOURCE_EXPIRES,
	TARGET_EXPIRES,
	TARGET_CONSUMED,
	TAIL_DELETED,
	PURGED,
	WENT_BACK,
	MADE_ANEW,
	FOREIGN,
	OTHER_FILTER,
	LETTER_LOST,
	LONG_PAUSE,
	LIMIT_WINDOW,
	FAULTS
};

/* What a source message must have become. */
enum must { MUST_NOT, MUST, EITHER };

struct scenario {
	const char *name;
	enum conf_target_writers writers;
	enum conf_on_reject on_reject;
	uint32_t too_large, unfit; /* of a thousand messages */
	bool letters_in_target;
	bool foreign_at_any_time;
	bool may_report; /* late publishes of another map: doubles and disorder must be reported */
	bool may_halt;
	uint8_t weight[FAULTS];
};

struct sim {
	const struct scenario *scenario;
	struct sim_world world;
	struct sim_settings settings;
	struct sim_worker workers[2]; /* the second is an old leader that does not know it yet */
	struct sim_told told;
	struct proto_checkpoint given, written; /* to the supervisor, to disk */
	bool have_given, have_written;
	uint8_t *must;
	size_t must_cap;
	uint64_t max_offered;
	uint64_t stale_until, steps;
	uint64_t faults;
	bool lie;
	char failure[400];
};

static void
note(struct sim *s, const char *what, uint64_t seq)
{
	if (s->failure[0] == '\0')
		snprintf(s->failure, sizeof s->failure, "%s %llu (step %llu, %llu faults)", what,
			 (unsigned long long)seq, (unsigned long long)s->steps,
			 (unsigned long long)s->faults);
}

/* ---- what must be ----------------------------------------------------------------------------------- */

static enum must
decide(const struct sim *s, uint64_t seq)
{
	const struct sim_source_msg *m = &s->world.source.msgs[seq];

	return m->kind == SIM_PLAIN && sim_matches(s->settings.filter, m->subject) ? MUST : MUST_NOT;
}

static void
publish_one(struct sim *s)
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
	s->must[seq] = (uint8_t)decide(s, seq);
}

/* With a letter the message is there in another way. */
static bool
is_missing(const struct sim *s, uint64_t seq)
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
		if (is_missing(s, seq))
			note(s, "settled, but not there: message", seq);
}

static void
write_checkpoint(struct sim *s)
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
		write_checkpoint(s);
}

static void
take_checkpoint_of_old(void *arg, const struct proto_checkpoint *c)
{
	(void)arg;
	(void)c;
}

/* ---- starting and stopping -------------------------------------------------------------------------- */

static void
note_offered(struct sim *s, const struct sim_worker *w)
{
	if (w->phase != SIM_DEAD && pipeline_offered_seq(w->pipeline) > s->max_offered)
		s->max_offered = pipeline_offered_seq(w->pipeline);
}

/* How many of the publishes on their way still arrive. */
static size_t
some_late(struct sim *s, const struct sim_worker *w)
{
	if (w->phase == SIM_DEAD || w->conn < 0)
		return 0;
	return sim_below(&s->world.random, (uint32_t)s->world.conns[w->conn].out_count + 1);
}

static void
kill_worker(struct sim *s, struct sim_worker *w)
{
	note_offered(s, w);
	sim_worker_kill(w, some_late(s, w));
}

static void
start_worker(struct sim *s, const struct proto_checkpoint *checkpoint, uint64_t resume_seq)
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

	while (seq <= s->world.source.last && !is_missing(s, seq))
		seq++;
	return seq;
}

/* A person acts on a topic that has halted. */
static void
operate(struct sim *s)
{
	struct sim_worker *w = &s->workers[0];
	bool by_message = w->halted_by_message;

	kill_worker(s, w);
	sim_flush_late(&s->world, false);
	if (by_message)
		s->settings.on_reject = REJECT_SKIP;
	else if (!s->scenario->may_halt)
		note(s, "halted at target sequence", s->world.target.last);
	start_worker(s, s->have_given ? &s->given : NULL, by_message ? 0 : first_missing(s));
}

/* ---- faults ----------------------------------------------------------------------------------------- */

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
	note_offered(s, worker(s));
	sim_worker_lose_target(worker(s), some_late(s, worker(s)));
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
	kill_worker(s, worker(s));
	start_worker(s, checkpoint, 0);
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
	kill_worker(s, worker(s));
	kill_worker(s, &s->workers[1]);
	sim_flush_late(&s->world, sim_chance(&s->world.random, 500));
	s->have_given = s->have_written = false;
	return restart_with(s, NULL);
}

/* Another process leads now; the old one goes on for a while. Its checkpoints are another node's. */
static bool
new_leader(struct sim *s)
{
	struct sim_worker old = *worker(s);

	if (old.phase == SIM_DEAD || old.phase == SIM_HALTED)
		return false;
	kill_worker(s, &s->workers[1]);
	s->workers[1] = old;
	s->workers[1].checkpoint = take_checkpoint_of_old;
	s->stale_until = s->steps + 10 + sim_below(&s->world.random, 300);
	worker(s)->phase = SIM_DEAD;
	start_worker(s, s->have_written ? &s->written : NULL, 0);
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

	kill_worker(s, &s->workers[1]);
	sim_flush_late(&s->world, true);
	sim_worker_lose_target(worker(s), 0);
	sim_flush_late(&s->world, true);
	sim_target_go_back(&s->world, last > lost ? last - lost : 0);
	return true;
}

static bool
made_anew(struct sim *s)
{
	kill_worker(s, &s->workers[1]);
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

	kill_worker(s, worker(s));
	kill_worker(s, &s->workers[1]);
	if (sim_chance(&s->world.random, 300)) {
		s->given = s->written;
		s->have_given = s->have_written;
	}
	write_checkpoint(s); /* a reload begins with what is known on disk */
	c = s->have_given ? &s->given : NULL;
	settled = c != NULL ? c->source_seq : 0;
	s->settings.filter = (s->settings.filter + 1 + sim_below(&s->world.random, 2)) % 3;
	for (uint64_t seq = settled + 1; seq <= s->world.source.last; seq++) {
		enum must now = decide(s, seq);

		s->must[seq] = (uint8_t)(seq <= s->max_offered && now != s->must[seq] ? EITHER : now);
	}
	start_worker(s, c, 0);
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
		kill_worker(s, &s->workers[1]);
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

static void
one_fault(struct sim *s)
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

/* ---- a run ------------------------------------------------------------------------------------------ */

/* A late publish comes when it does most harm: it waits until its slot is the next one. */
static bool
waits(struct sim *s, int conn)
{
	const struct sim_conn *c = &s->world.conns[conn];
	const struct sim_publish *p = c->out;

	if (c->open || c->out_count == 0 || !p->has_expected)
		return false;
	if (p->expected_last > s->world.target.last)
		return !sim_chance(&s->world.random, 5);
	return p->expected_last == s->world.target.last && !sim_chance(&s->world.random, 300);
}

static bool
one_delivery(struct sim *s)
{
	int first = (int)sim_below(&s->world.random, SIM_CONNS), conn;

	for (int i = 0; i < SIM_CONNS; i++) {
		conn = (first + i) % SIM_CONNS;
		if (!waits(s, conn) && sim_deliver_publish(&s->world, conn))
			return true;
	}
	return false;
}

static bool
one_action(struct sim *s)
{
	struct sim_worker *w = &s->workers[sim_chance(&s->world.random, 300)];
	uint32_t pick = sim_below(&s->world.random, 100);
	bool lie = s->lie;

	if (w->phase == SIM_DEAD)
		w = worker(s);
	if (pick < 30)
		return one_delivery(s);
	if (pick < 50)
		return sim_worker_answer(w);
	if (pick < 80) {
		s->lie = false;
		return sim_worker_deliver(w, lie);
	}
	if (pick < 97)
		return sim_worker_step(w);
	if (pick < 98 && s->have_given)
		write_checkpoint(s);
	return false;
}

static void
one_step(struct sim *s)
{
	s->steps++;
	s->world.now_ms +=
	    one_action(s) ? sim_below(&s->world.random, 3) : 5 + sim_below(&s->world.random, 60);
	for (size_t i = 0; i < array_len(s->workers); i++)
		if (s->workers[i].phase != SIM_DEAD) {
			note_offered(s, &s->workers[i]);
			sim_worker_tick(&s->workers[i]);
		}
	if (s->workers[1].phase != SIM_DEAD && s->steps >= s->stale_until)
		kill_worker(s, &s->workers[1]);
	if (worker(s)->phase == SIM_HALTED && sim_chance(&s->world.random, 20))
		operate(s);
}

static void
heal(struct sim *s)
{
	struct sim_target *t = &s->world.target;

	t->silent_until_ms = t->full_until_ms = t->busy_until_ms = t->quorumless_until_ms = 0;
	t->drop_publishes = t->queue_max = 0;
	s->world.letters_lost = s->lie = false;
	for (size_t i = 0; i < SIM_CONNS; i++)
		s->world.conns[i].drop_replies = 0;
}

/* Without faults everything that is there must be dealt with soon. */
static void
run_quietly(struct sim *s)
{
	uint64_t end = s->steps + QUIET_STEPS_MAX;

	for (int i = 0; i < 5; i++)
		publish_one(s);
	while (s->failure[0] == '\0' && !(sim_worker_is_idle(worker(s)) && s->workers[1].phase == SIM_DEAD)) {
		one_step(s);
		if (s->steps > end)
			note(s, "no end is reached, settled up to",
			     worker(s)->phase != SIM_DEAD ? pipeline_source_seq(worker(s)->pipeline) : 0);
	}
}

static void
run(struct sim *s)
{
	for (int i = 0; i < 20; i++)
		publish_one(s);
	start_worker(s, NULL, 0);
	while (s->failure[0] == '\0' && (s->faults < FAULTS_A_RUN || s->world.source.last < MESSAGES_A_RUN)) {
		one_step(s);
		if (s->world.source.last < MESSAGES_A_RUN || sim_chance(&s->world.random, 20))
			if (sim_chance(&s->world.random, 60))
				publish_one(s);
		if (sim_chance(&s->world.random, FAULT_CHANCE))
			one_fault(s);
	}
	heal(s);
	run_quietly(s);
	sim_flush_late(&s->world, false);
	run_quietly(s);
}

/* ---- audit ------------------------------------------------------------------------------------------ */

static void
audit_messages(struct sim *s)
{
	uint64_t doubled = 0;

	for (uint64_t seq = 1; seq <= s->world.source.last; seq++) {
		uint32_t copies = s->world.copies[seq];

		if (is_missing(s, seq))
			note(s, "lost: message", seq);
		if (s->must[seq] == MUST_NOT && copies > 0)
			note(s, "copied although it must not be: message", seq);
		if (copies > 1 && !s->scenario->may_report)
			note(s, "doubled: message", seq);
		doubled += copies > 1 ? copies - 1 : 0;
		doubled += s->world.letters[seq] > 1 ? s->world.letters[seq] - 1 : 0;
	}
	if (doubled > s->told.repeats + s->told.uncertain)
		note(s, "doubled and not reported, in all", doubled);
}

static uint64_t
irregular(const struct sim *s)
{
	return s->told.repeats + s->told.missing + s->told.uncertain + s->told.disordered;
}

/* CHAIN keeps the whole order; beside other writers each subject keeps its own. */
static void
audit_order(struct sim *s)
{
	const struct sim_target *t = &s->world.target;
	const bool whole = s->scenario->writers == TARGET_WRITERS_EXCLUSIVE;
	uint64_t last[SIM_SUBJECTS] = {0};

	for (uint64_t seq = 1; seq <= t->last; seq++) {
		const struct sim_stored *m = &t->msgs[seq];
		uint64_t *before = &last[whole ? 0 : m->subject];

		if (m->origin == 0 || m->letter || s->must[m->origin] == EITHER)
			continue;
		if (m->content != sim_content(m->origin) ||
		    m->subject != s->world.source.msgs[m->origin].subject)
			note(s, "another content at target sequence", seq);
		if (m->origin <= *before && !(s->scenario->may_report && irregular(s) > 0))
			note(s, "out of order at target sequence", seq);
		*before = m->origin;
	}
}

static void
audit(struct sim *s)
{
	audit_messages(s);
	audit_order(s);
	if (!s->scenario->may_report && irregular(s) > 0)
		note(s, "reported what did not happen, repeats", s->told.repeats);
	if (s->told.foreign > 0 && s->scenario->weight[FOREIGN] == 0 && !s->scenario->letters_in_target)
		note(s, "foreign messages reported that nobody wrote:", s->told.foreign);
}

static void
sim_end(struct sim *s)
{
	for (size_t i = 0; i < array_len(s->workers); i++)
		sim_worker_kill(&s->workers[i], 0);
	sim_world_fini(&s->world);
	free(s->must);
}

static uint64_t
one_run(const struct scenario *scenario, uint64_t seed)
{
	struct sim s = {.scenario = scenario};
	struct sim_random *r = &s.world.random;
	uint64_t faults;

	sim_world_init(&s.world, seed);
	s.settings = (struct sim_settings){
	    .writers = scenario->writers,
	    .on_reject = scenario->on_reject,
	    .max_inflight = 1 + sim_below(r, sim_chance(r, 500) ? 12 : 90),
	    .reply_every = 1 + sim_below(r, 20),
	    .supervisor_delay = sim_below(r, 60),
	    .read_all_slots = scenario->weight[FOREIGN] > 0 || sim_chance(r, 300),
	    .letters_in_target = scenario->letters_in_target,
	};
	run(&s);
	if (s.failure[0] == '\0')
		audit(&s);
	faults = s.faults;
	if (s.failure[0] != '\0')
		ck_abort_msg("%s: %s; repeat with SIM_SCENARIO=%s SIM_SEED=%llu", scenario->name, s.failure,
			     scenario->name, (unsigned long long)seed);
	sim_end(&s);
	return faults;
}

/* ---- scenarios -------------------------------------------------------------------------------------- */

#define TRANSPORT                                                                                            \
	[DROP_PUBLISH] = 6, [DROP_REPLY] = 6, [LATE] = 3, [LOSE_TARGET] = 6, [LOSE_SOURCE] = 3,              \
	[REDELIVER] = 4, [LIE_ABOUT_MORE] = 4, [NO_LEADER] = 1, [NO_QUORUM] = 1, [FULL] = 1, [BUSY] = 1,     \
	[SMALL_QUEUE] = 1, [LIMIT_WINDOW] = 2
#define KILLS [KILL_WORKER] = 4, [KILL_ALL] = 4

static const struct scenario scenarios[] = {
    {.name = "chain",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .weight = {TRANSPORT, KILLS, [LOSE_STATE] = 2, [NEW_LEADER] = 4, [LONG_PAUSE] = 1}},
    {.name = "gone",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .weight = {TRANSPORT,
		KILLS, [TARGET_EXPIRES] = 2, [TARGET_CONSUMED] = 6, [TAIL_DELETED] = 4, [PURGED] = 4}},
    {.name = "back",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .weight = {TRANSPORT, KILLS, [WENT_BACK] = 4, [MADE_ANEW] = 1}},
    {.name = "deleted", /* a message that was sent does not come again */
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .may_report = true,
     .weight = {TRANSPORT, [SOURCE_DELETES] = 8}},
    {.name = "expired",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [SOURCE_EXPIRES] = 12}},
    {.name = "skip",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .on_reject = REJECT_SKIP,
     .too_large = 60,
     .unfit = 40,
     .may_report = true,
     .weight = {TRANSPORT, KILLS}},
    {.name = "letter",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .on_reject = REJECT_DEAD_LETTER,
     .too_large = 40,
     .unfit = 40,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [LETTER_LOST] = 3}},
    {.name = "letter_in_target",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .on_reject = REJECT_DEAD_LETTER,
     .too_large = 20,
     .unfit = 40,
     .letters_in_target = true,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [LETTER_LOST] = 3}},
    {.name = "halt",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .on_reject = REJECT_HALT,
     .too_large = 10,
     .unfit = 10,
     .may_report = true,
     .weight = {TRANSPORT, KILLS}},
    {.name = "filter",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [OTHER_FILTER] = 12}},
    {.name = "shared",
     .writers = TARGET_WRITERS_SHARED,
     .foreign_at_any_time = true,
     .weight = {TRANSPORT, KILLS, [FOREIGN] = 20, [SOURCE_DELETES] = 2, [LONG_PAUSE] = 3, [LOSE_STATE] = 1}},
    {.name = "shared_leaders",
     .writers = TARGET_WRITERS_SHARED,
     .foreign_at_any_time = true,
     .weight = {TRANSPORT, KILLS, [FOREIGN] = 20, [NEW_LEADER] = 6}},
    {.name = "shared_rejects",
     .writers = TARGET_WRITERS_SHARED,
     .on_reject = REJECT_DEAD_LETTER,
     .too_large = 40,
     .unfit = 20,
     .foreign_at_any_time = true,
     .weight = {TRANSPORT, KILLS, [FOREIGN] = 20, [LETTER_LOST] = 3, [LONG_PAUSE] = 2}},
    {.name = "auto",
     .writers = TARGET_WRITERS_AUTO,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [FOREIGN] = 2, [NEW_LEADER] = 2, [LONG_PAUSE] = 1, [LOSE_STATE] = 1}},
    {.name = "foreign",
     .writers = TARGET_WRITERS_EXCLUSIVE,
     .may_report = true,
     .weight = {TRANSPORT, KILLS, [FOREIGN] = 10}},
};

static uint64_t
from_environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? strtoull(value, NULL, 10) : otherwise;
}

START_TEST(nothing_is_lost_doubled_or_reordered)
{
	const struct scenario *scenario = &scenarios[_i];
	const char *only = getenv("SIM_SCENARIO");
	uint64_t seed = from_environment("SIM_SEED", 0),
		 want = from_environment("SIM_FAULTS", FAULTS_DEFAULT);
	uint64_t faults = 0;

	if (only != NULL && only[0] != '\0' && strcmp(only, scenario->name) != 0)
		return;
	if (seed != 0) {
		one_run(scenario, seed);
		return;
	}
	for (seed = 1; faults < want; seed++)
		faults += one_run(scenario, seed);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("pipeline_sim");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 3600);
	tcase_add_loop_test(tc, nothing_is_lost_doubled_or_reordered, 0, (int)array_len(scenarios));
	suite_add_tcase(s, tc);
	return s;
}
