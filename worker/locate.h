/*
 * Reads the facts from which a position is proven, and proves it: from both streams' infos, the messages
 * at the target's end, the source's consumer. One run at a time; position.h has the rules.
 */
#ifndef SR_WORKER_LOCATE_H
#define SR_WORKER_LOCATE_H

#include "common/nats/conn.h"
#include "worker/pipeline.h"
#include "worker/position.h"

struct locate;

struct locate_inputs {
	struct event_base *base;
	struct nats_conn *source;
	struct nats_conn *target;
	const struct conf *conf;
	const struct conf_topic *topic;
	uint64_t map_hash;
	/* Remembered; NULL for none. Borrowed until the run ends. */
	const struct proto_checkpoint *memory;
	bool memory_is_own;
	bool elected;      /* other processes may have led since memory was true, unless it is own */
	bool map_in_doubt; /* of the one before this term, as far as it may still send */
	bool apply_resume;
	bool others_seen; /* memory is of before somebody else wrote to the target */
	/* A rewind: what is in flight, and how it settled. NULL at a start. */
	const struct pipeline *pipeline;
	bool read_all_slots; /* rewind: trust no chain (a stretch) */
};

struct locate_result {
	struct jsapi_stream source, target; /* moved out by the receiver if it keeps them, else freed */
	bool target_made;
	/* How to go on. At a rewind of the same streams `rewind` is filled too. */
	struct position position;
	bool rewound;
	struct position_rewind rewind;
};

enum locate_failure {
	LOCATE_AGAIN, /* try again with back-off */
	LOCATE_HOLD,  /* try again, but a person may have to do something: state `holding` */
	LOCATE_HALT,  /* needs a person */
};

struct locate_callbacks {
	void (*done)(void *arg, struct locate_result *result);
	void (*failed)(void *arg, enum locate_failure failure, const char *text);
};

/* there: our copies beyond the position are added. Callbacks come once, and may come from within. */
struct locate *locate_new(const struct locate_inputs *inputs, struct seqset *there,
			  const struct locate_callbacks *callbacks, void *arg);
void locate_run(struct locate *l);
void locate_free(struct locate **l);

#endif
