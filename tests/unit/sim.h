/*
 * A run of the simulation: the world, a worker and the old leader that does not know it yet, the
 * supervisor's checkpoints, and what must have become of each message. sim_faults.c does harm to it,
 * test_pipeline_sim.c runs and audits it.
 */
#ifndef SR_TESTS_SIM_H
#define SR_TESTS_SIM_H

#include "tests/unit/sim_worker.h"

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

/* Keeps the first failure. */
void sim_note(struct sim *s, const char *what, uint64_t seq);
enum must sim_decide(const struct sim *s, uint64_t seq);
void sim_publish_one(struct sim *s);
/* True if it must be at the target, or among the dead letters, and is not. */
bool sim_is_missing(const struct sim *s, uint64_t seq);
void sim_write_checkpoint(struct sim *s);
void sim_note_offered(struct sim *s, const struct sim_worker *w);

void sim_start(struct sim *s, const struct proto_checkpoint *checkpoint, uint64_t resume_seq);
void sim_kill(struct sim *s, struct sim_worker *w);
/* How many of the publishes on their way still arrive. */
size_t sim_some_late(struct sim *s, const struct sim_worker *w);
/* A person acts on a topic that has halted. */
void sim_operate(struct sim *s);
/* Something goes wrong, as the scenario weighs it. */
void sim_fault(struct sim *s);

#endif
