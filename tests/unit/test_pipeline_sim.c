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
#include "tests/unit/sim.h"
#include "tests/unit/unit.h"

enum {
	FAULTS_DEFAULT = 100000, /* a scenario */
	FAULTS_A_RUN = 150,
	MESSAGES_A_RUN = 250,
	FAULT_CHANCE = 40, /* in a thousand steps */
	QUIET_STEPS_MAX = 300000,
};

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
		w = &s->workers[0];
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
		sim_write_checkpoint(s);
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
			sim_note_offered(s, &s->workers[i]);
			sim_worker_tick(&s->workers[i]);
		}
	if (s->workers[1].phase != SIM_DEAD && s->steps >= s->stale_until)
		sim_kill(s, &s->workers[1]);
	if (s->workers[0].phase == SIM_HALTED && sim_chance(&s->world.random, 20))
		sim_operate(s);
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
		sim_publish_one(s);
	while (s->failure[0] == '\0' &&
	       !(sim_worker_is_idle(&s->workers[0]) && s->workers[1].phase == SIM_DEAD)) {
		one_step(s);
		if (s->steps > end)
			sim_note(s, "no end is reached, settled up to",
				 s->workers[0].phase != SIM_DEAD ? pipeline_source_seq(s->workers[0].pipeline)
								 : 0);
	}
}

static void
run(struct sim *s)
{
	for (int i = 0; i < 20; i++)
		sim_publish_one(s);
	sim_start(s, NULL, 0);
	while (s->failure[0] == '\0' && (s->faults < FAULTS_A_RUN || s->world.source.last < MESSAGES_A_RUN)) {
		one_step(s);
		if (s->world.source.last < MESSAGES_A_RUN || sim_chance(&s->world.random, 20))
			if (sim_chance(&s->world.random, 60))
				sim_publish_one(s);
		if (sim_chance(&s->world.random, FAULT_CHANCE))
			sim_fault(s);
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

		if (sim_is_missing(s, seq))
			sim_note(s, "lost: message", seq);
		if (s->must[seq] == MUST_NOT && copies > 0)
			sim_note(s, "copied although it must not be: message", seq);
		if (copies > 1 && !s->scenario->may_report)
			sim_note(s, "doubled: message", seq);
		doubled += copies > 1 ? copies - 1 : 0;
		doubled += s->world.letters[seq] > 1 ? s->world.letters[seq] - 1 : 0;
	}
	if (doubled > s->told.repeats + s->told.uncertain)
		sim_note(s, "doubled and not reported, in all", doubled);
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
			sim_note(s, "another content at target sequence", seq);
		if (m->origin <= *before && !(s->scenario->may_report && irregular(s) > 0))
			sim_note(s, "out of order at target sequence", seq);
		*before = m->origin;
	}
}

static void
audit(struct sim *s)
{
	audit_messages(s);
	audit_order(s);
	if (!s->scenario->may_report && irregular(s) > 0)
		sim_note(s, "reported what did not happen, repeats", s->told.repeats);
	if (s->told.foreign > 0 && s->scenario->weight[FOREIGN] == 0 && !s->scenario->letters_in_target)
		sim_note(s, "foreign messages reported that nobody wrote:", s->told.foreign);
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
