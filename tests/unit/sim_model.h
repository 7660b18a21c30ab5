/*
 * A plain model of what surrounds a worker: a source stream, a target stream with the server's rules, and
 * connections that lose and delay. It knows nothing of how the worker works; it remembers everything that
 * was ever stored, so that the result can be audited. One thread, its own clock, its own random numbers.
 */
#ifndef SR_TESTS_SIM_MODEL_H
#define SR_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"

enum { SIM_SUBJECTS = 12, SIM_CONNS = 12, SIM_DUPLICATE_WINDOW_MS = 120000, SIM_LATE_MS = 10000 };

/* ---- random numbers ------------------------------------------------------------------------------- */

struct sim_random {
	uint64_t state;
};
/* 0 … below − 1 */
uint32_t sim_below(struct sim_random *r, uint32_t below);
bool sim_chance(struct sim_random *r, uint32_t in_thousand);

/* ---- source --------------------------------------------------------------------------------------- */

enum sim_kind {
	SIM_PLAIN,
	SIM_TOO_LARGE, /* the target refuses it, whenever it comes */
	SIM_UNFIT,     /* the worker itself sees that it can never be stored */
};
struct sim_source_msg {
	uint32_t subject;
	enum sim_kind kind;
	int64_t stored_ms;
	bool deleted;
};
struct sim_source {
	struct sim_source_msg *msgs; /* by sequence, from 1 */
	size_t cap;
	uint64_t last;
	uint64_t ack_floor;
};
/* What the body of a source message is. */
uint64_t sim_content(uint64_t seq);

/* ---- target --------------------------------------------------------------------------------------- */

struct sim_stored {
	uint64_t origin; /* source sequence; 0: of another writer */
	uint64_t content;
	uint32_t subject;
	bool unordered; /* it had a message id */
	bool letter;
	bool gone;
};
struct sim_target {
	int64_t created_ns;
	struct sim_stored *msgs; /* by sequence, from 1 */
	size_t cap;
	uint64_t last;
	bool size_before_sequence; /* which check the server does first */
	/* Until then: no leader, no room, too busy, no quorum. */
	int64_t silent_until_ms, full_until_ms, busy_until_ms, quorumless_until_ms;
	uint32_t drop_publishes; /* the next so many vanish in the server */
	uint32_t queue_max;      /* publishes beyond that are dropped; 0: none are */
};

/* ---- connections ----------------------------------------------------------------------------------- */

struct sim_publish {
	bool barrier;
	bool letter; /* into the target stream if it is a link of the chain, else into another */
	uint64_t origin, content;
	uint64_t expected_last; /* chain: with has_expected */
	bool has_expected, has_id;
	bool reply;
	uint32_t epoch;
	uint64_t id;
};
struct sim_answer {
	uint32_t epoch;
	uint64_t id; /* 0: of the barrier */
	bool letter;
	bool no_responders;
	int code, err_code;
	uint64_t seq;
	bool duplicate;
};
struct sim_conn {
	bool used, open; /* open: the client still has it */
	int64_t late_until_ms;
	struct sim_publish *out;
	size_t out_count, out_cap;
	struct sim_answer *in;
	size_t in_count, in_cap;
	uint32_t drop_replies;
};

/* ---- all of it ------------------------------------------------------------------------------------- */

struct sim_world {
	struct sim_random random;
	int64_t now_ms;
	struct sim_source source;
	struct sim_target target;
	struct sim_conn conns[SIM_CONNS];
	/* By source sequence: copies at the target as it is, when the message id was seen there and as what,
	 * dead letters. */
	uint32_t *copies, *letters;
	int64_t *id_ms;
	uint64_t *id_seq;
	size_t by_seq_cap;
	bool letters_lost; /* the next dead letter vanishes */
};

void sim_world_init(struct sim_world *w, uint64_t seed);
void sim_world_fini(struct sim_world *w);
struct mono sim_now(const struct sim_world *w);

/* Appends a message to the source. */
void sim_source_publish(struct sim_world *w, uint32_t subject, enum sim_kind kind);

/* A new connection; one that was closed longest ago is forgotten if all are in use. */
int sim_connect(struct sim_world *w);
/* Of what is on its way, so many publishes still arrive, later; the rest and all answers are lost. */
void sim_disconnect(struct sim_world *w, int conn, size_t arrive_late);
void sim_send(struct sim_world *w, int conn, const struct sim_publish *p);
/* The target takes the oldest publish of the connection; false if there is none. */
bool sim_deliver_publish(struct sim_world *w, int conn);
/* The oldest answer on its way; false if there is none. */
bool sim_take_answer(struct sim_world *w, int conn, struct sim_answer *answer);
/* Everything that could still arrive late does, or is lost. */
void sim_flush_late(struct sim_world *w, bool lose);

/* What happens to the target by itself or by others. */
void sim_target_foreign(struct sim_world *w, uint32_t subject);
void sim_target_go_back(struct sim_world *w, uint64_t last);
void sim_target_make_anew(struct sim_world *w);
void sim_target_delete(struct sim_world *w, uint64_t from, uint64_t to);
uint64_t sim_target_first(const struct sim_world *w, uint64_t *messages);

#endif
