/*
 * Sampling in a replicator: the table of values and those who feed it and tell of it. Part of the replicator;
 * sampling.c says what is stored, what is known, and what happens next.
 *
 *   sampling.c        making it, the role, both ends, time
 *   sampling_start.c  before the first message: what the table lacks is read back
 *   sampling_copy.c   one message from the source: whether it is copied
 *   sampling_rows.c   what goes to the supervisor
 */
#ifndef SR_WORKER_SAMPLING_H
#define SR_WORKER_SAMPLING_H

#include <event2/event.h>

#include "common/error.h"
#include "common/jsack.h"
#include "common/nats/conn.h"
#include "common/proto.h"
#include "common/sample_note.h"
#include "common/strbuf.h"
#include "worker/advisor.h"
#include "worker/copy_value.h"
#include "worker/gossiper.h"
#include "worker/inspect.h"
#include "worker/locate.h"
#include "worker/recall.h"
#include "worker/recall_plan.h"
#include "worker/sampler.h"

struct replicator;

struct sampling {
	struct inspector *inspector;
	struct sampler *sampler;
	struct gossiper *gossiper; /* NULL for none */
	struct advisor *advisor;   /* NULL for none */
	struct copy_value *values;
	uint32_t inspector_id; /* of notes */
	bool value_line;       /* copies carry their value */

	/* The table is whole up to this: of state.db, or of when the position was held last. */
	bool have_known;
	struct sample_note known;

	/* From a position that was proven anew until the first new message. */
	bool wanted; /* to be recalled before the source is started */
	bool ready;  /* it is whole up to the position */
	struct recall_plan plan;
	struct nats_request *first_request; /* for the first message to come */
	struct recall *recall;
	uint64_t replay_at;   /* messages up to here were seen, when it comes to the replay */
	struct mono replayed; /* when the last one came */

	struct event *tick_timer, *rows_timer;
	struct mono asked; /* when a reply was asked for */
	bool full_told;    /* that the table is full */
	bool error_told;   /* that gossip or advisories lack a right */

	/* rows */
	uint64_t serial;  /* of the last batch */
	bool outstanding; /* it is not stored yet, as far as is known */
	struct strbuf last_note;
};

/* sampling.c */
/* Sets r->sampling, or leaves it NULL for a topic that copies every message. -1 with *e: cannot be used. */
int sampling_make(struct replicator *r, struct error *e);
void sampling_free(struct replicator *r);
/* An end came or went. */
void sampling_end_up(struct replicator *r, bool is_source);
void sampling_end_down(struct replicator *r, bool is_source);
/* Whether the server's complaint is about gossip or advisories: no reason to hold the topic. */
bool sampling_takes_error(struct replicator *r, const char *text);
void sampling_phase_changed(struct replicator *r);
/* Whether the source is listened to may have changed. */
void sampling_listen(struct replicator *r);
/* The position may have moved. */
void sampling_settled(struct replicator *r);
/* What is in flight is dropped: leads no more. Everything is told that the next one needs. */
void sampling_stand_by(struct replicator *r);
/* The process is about to end. */
void sampling_end(struct replicator *r);
void sampling_stats(const struct replicator *r, struct proto_stats *stats);

/* sampling_start.c */
/* Before what was in flight is dropped: what the table is whole up to. */
void sampling_remember(struct replicator *r);
/* The position was proven, and the pipeline started from it. */
void sampling_located(struct replicator *r, const struct locate_result *result);
/* Reads back what the table lacks, and then calls replicator_recalled(). */
void sampling_recall(struct replicator *r);
/* The sequence behind which the source is to be read. */
uint64_t sampling_start_after(const struct replicator *r);
/* The source has been started. */
void sampling_source_ready(struct replicator *r);
/* A message that is settled came again. */
void sampling_replay(struct replicator *r, const struct nats_message *m, const struct jsack *ack);
/* No more of those will come. */
void sampling_replayed(struct replicator *r);
/* Looks whether the replay has ended without a word. */
void sampling_replay_tick(struct replicator *r);

/* sampling_copy.c */
/* Judges a message, in source order. True: it is not to be sent. */
bool sampling_skips(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms);
/* Whether a reply is to be asked for: between copies there may be many messages that are not sent, and all
 * wait for it to be settled. */
bool sampling_wants_reply(const struct replicator *r, struct mono now);
/* The value that the copy of it is to carry, in *value; NULL for none. */
const char *sampling_value_line(const struct replicator *r, const struct nats_message *m,
				struct inspect_result *result);
void sampling_inspect(const struct replicator *r, const struct nats_message *m,
		      struct inspect_result *result);

/* sampling_rows.c */
void sampling_rows_timer(evutil_socket_t fd, short what, void *arg);
/* Sends what waits, if what was sent before is stored. */
void sampling_rows_send(struct replicator *r);
/* Many rows may wait. */
void sampling_rows_look(struct replicator *r);
/* Sends all that waits, whatever is stored already. */
void sampling_rows_flush(struct replicator *r);

#endif
