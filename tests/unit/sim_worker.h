/*
 * A worker for the simulation: pipeline.c and position.c, and around them as little as can be of what the
 * replicator does with them. Between any two of its steps the world may change, or it may die.
 */
#ifndef SR_TESTS_SIM_WORKER_H
#define SR_TESTS_SIM_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "tests/unit/sim_model.h"
#include "worker/pipeline.h"
#include "worker/position.h"

struct sim_settings {
	enum conf_target_writers writers;
	enum conf_on_reject on_reject;
	enum conf_on_target_reset on_target_reset;
	uint32_t filter; /* which subjects are copied; see sim_matches */
	uint32_t max_inflight;
	uint32_t reply_every;
	uint32_t supervisor_delay; /* settled messages that a checkpoint may be behind, at most */
	bool read_all_slots;       /* at a rewind, whatever the last one says */
	bool letters_in_target;    /* dead letters go into the target stream */
	bool elected;              /* others with the same settings may have led since its checkpoint */
};
bool sim_matches(uint32_t filter, uint32_t subject);
uint64_t sim_map_hash(const struct sim_settings *settings);

/* What a worker tells. */
struct sim_told {
	uint64_t rewinds, repeats, missing, uncertain, disordered, foreign, halts, resets, rejected;
};

enum sim_phase {
	SIM_DEAD,
	SIM_CONNECTING,
	SIM_BARRIER,
	SIM_LOCATING,
	SIM_STARTING,
	SIM_COPYING,
	SIM_BACKOFF,
	SIM_HALTED,
};
enum sim_locate { LOCATE_INFO, LOCATE_LAST_SLOT, LOCATE_SLOTS, LOCATE_FACTS, LOCATE_SCAN };

struct sim_worker {
	struct sim_world *world;
	struct sim_settings settings;
	struct sim_told *told;
	/* Messages up to `to` have become settled, those up to `from` were before. */
	void (*settled)(void *arg, uint64_t from, uint64_t to);
	void (*checkpoint)(void *arg, const struct proto_checkpoint *c);
	void *arg;

	enum sim_phase phase;
	int conn; /* −1: none */
	int64_t until_ms;
	bool fault, sent_here, proven;
	struct pipeline *pipeline;
	struct seqset there, passed_over;
	uint64_t presettled;
	uint64_t told_settled, told_target_seq;
	bool told_in_order;

	bool have_memory, memory_is_own;
	struct proto_checkpoint memory; /* strings are borrowed */
	uint64_t resume_seq;            /* for one start; 0: none */

	uint64_t refused_seq, last_refused;
	uint64_t letter_seq; /* a dead letter that waits or is on its way; 0: none */
	bool letter_sent, halted_by_message;
	uint64_t next_seq; /* of the source */

	enum sim_locate locate;
	struct position_slot *slots;
	size_t slot_count, slots_read;
	bool scan_is_rewind;
	uint64_t scan_begin, scan_at, scan_settled;
	unsigned int scans;
	int64_t proven_created_ns; /* the target that the pipeline is of */
	uint64_t last_seq;         /* of the target, as read */
	uint64_t ack_floor;        /* of the source's consumer, read before it */
	struct jsapi_stream source_info, target_info;
	struct position position;
	struct position_rewind rewind;
	struct seqset seen;
};

void sim_worker_start(struct sim_worker *w, const struct proto_checkpoint *checkpoint, uint64_t resume_seq);
/* kill -9: so many of its publishes still arrive, later. */
void sim_worker_kill(struct sim_worker *w, size_t arrive_late);
void sim_worker_lose_target(struct sim_worker *w, size_t arrive_late);
void sim_worker_lose_source(struct sim_worker *w);
/* Each does one thing, and returns false if there was nothing to do. */
bool sim_worker_deliver(struct sim_worker *w, bool say_more);
bool sim_worker_redeliver(struct sim_worker *w, uint64_t seq);
bool sim_worker_answer(struct sim_worker *w);
bool sim_worker_step(struct sim_worker *w);
/* Time has passed. */
void sim_worker_tick(struct sim_worker *w);
/* Everything that the source holds is dealt with. */
bool sim_worker_is_idle(const struct sim_worker *w);

#endif
