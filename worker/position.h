/*
 * Where to go on: the rules of doc/delivery.md ("Position") over facts that locate.c has read. Pure.
 *
 * The target decides whenever it can answer; what this process or the checkpoint remembers, and the
 * source's ack floor, serve where the target has nothing of ours.
 *
 * An old checkpoint. Of an elected topic, a checkpoint that is not of the present term is of a time after
 * which other nodes may have led, copied, and gone through a reset of either stream. Rule by rule:
 *
 *   source is another   where the newest copy at the target is of the source as it is now, whoever made it
 *                       has settled the matter: the checkpoint is dropped. A copy that is not of this source
 *                       tells by itself.
 *   target is another   the same: what is ours there was copied since it was made.
 *   target went back    fires only if its last sequence is below the checkpoint's, which no growth brings
 *                       about; the answer is the target's own last message in any case.
 *   last message        needs no checkpoint. Where it confirms the checkpoint's target sequence, nobody
 *                       has copied since, and the checkpoint is not old.
 *   counting            is good up to the bound that the checkpoint promised: whoever led since counted on.
 *                       Beyond it, the source's consumer says where they stood, if all that it delivered is
 *                       acknowledged; else nobody knows, and a person decides.
 *   doubt, others       what is behind the checkpoint is read, as after a crash; of a doubt no more than
 *                       OLD_DOUBT_MAX, as those who led since did not have it.
 *   the map             is that of whoever led last, as far as map_in_doubt tells; what he may have sent
 *                       is bounded by the largest window, not by a checkpoint that he did not write.
 */
#ifndef SR_WORKER_POSITION_H
#define SR_WORKER_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/nats/jsapi.h"
#include "common/origin.h"
#include "common/proto.h"
#include "worker/pipeline.h"

enum position_slot_kind {
	SLOT_GONE,    /* deleted, expired, purged, or taken from a work queue */
	SLOT_OURS,    /* our origin, with a sequence */
	SLOT_FOREIGN, /* no origin, or one that is not ours */
};
struct position_slot {
	enum position_slot_kind kind;
	struct origin origin; /* with SLOT_OURS */
	/* SLOT_OURS: written beside other writers, so that earlier messages may be missing although this one
	 * is there. Its Nats-Msg-Id tells; a dead letter has one too, but is sent after all before it. */
	bool unordered;
	/* SLOT_FOREIGN: a copy of this topic by the existing Go tool, which did not know its sequence. */
	bool unnumbered;
};

/* What a message of the target is to this topic: ours, ours under an adopted name, or foreign. */
void position_classify(const struct conf *conf, const struct conf_topic *topic, const char *headers,
		       size_t headers_len, struct position_slot *slot);

struct position_facts {
	const struct conf *conf;
	const struct conf_topic *topic;
	const struct jsapi_stream *source;
	const struct jsapi_stream *target;
	uint64_t map_hash;

	/* What is remembered: of this process's earlier work, else of the checkpoint. */
	bool have_memory;
	struct proto_checkpoint memory;
	bool memory_is_own; /* of this process, in this term */
	bool elected;       /* memory that is not own may be old: others may have led since */
	bool map_in_doubt;  /* elected: who led before had another map, and may still send */
	bool apply_resume;
	bool others_seen;     /* somebody else was heard writing to the target */
	bool others_expected; /* the target is made to be written by others too */

	struct position_slot last; /* the message at the target's last sequence; SLOT_GONE if there is none */
	/* The newest message under the mapped filter, where `last` is gone; its sequence, 0 if not looked up
	 * or not there. */
	struct position_slot newest;
	uint64_t newest_seq;

	/* The source's message at the origin's sequence, for its stored time; 0: it is gone. */
	bool have_origin_check;
	int64_t origin_check_ms;

	bool have_floor; /* ack floor of the durable consumer */
	uint64_t floor;
	bool floor_is_all; /* all that it delivered is acknowledged */

	/* With last.unnumbered: the same of the existing tool's consumer (go_consumer.h). */
	bool have_tool_floor, tool_floor_is_all;
	uint64_t tool_floor;
};

enum position_outcome {
	POSITION_GO,   /* start and the rest are set */
	POSITION_HALT, /* text says what a person has to decide */
	/* The target must be read for our origins after scan_from first. start.floor_until may then be
	 * lowered to the highest that was found, which makes later starts read less. */
	POSITION_SCAN,
};
struct position {
	enum position_outcome outcome;
	struct pipeline_start start;
	uint64_t
	    presettled; /* the next so many messages that policy does not skip are at the target already */
	uint64_t scan_from; /* SUBJECT mode: target sequence behind which ours are read back */
	/* With scan_from: it may be read from further behind, see position_scan_begin(); 0: it may not. */
	uint64_t scan_enough;
	bool configured_start; /* start.source_seq is to be found by the configured start */
	/* With configured_start: messages behind this sequence were never copied, so the start must not lie
	 * behind it; UINT64_MAX where that does not matter. */
	uint64_t start_at_most;
	char text[640];       /* halt: reason and cure; else how the position was found, for the log */
	const char *incident; /* kind, NULL for none */
	char incident_text[640];
};

/* Whether what is copied depends on more than the settings: on the time (max_age), or on what was copied
 * before (sampling). Then nobody can count what another process copied. */
bool position_map_varies(const struct conf_topic *topic);

/* At a start, after a loss of leadership, and when a rewind finds that a stream is another one. */
void position_at_start(const struct position_facts *facts, struct position *out);

/*
 * Where the attempt-th scan (from 0) begins, of a target that ends at `last`. A copy of a message beyond the
 * position was sent while fewer messages before it than the largest window were not settled. So once
 * scan_enough copies of messages up to the position were read, all beyond it were; scans go back further and
 * further until they are. A node that led long ago need not read all that was copied since.
 */
uint64_t position_scan_begin(const struct position *position, uint64_t last, unsigned int attempt);
/* Whether a scan that began there read all that matters; settled: copies up to the position among it. */
bool position_scan_is_whole(const struct position *position, uint64_t from, uint64_t settled);

/* True if facts need the source's message at origin sequence *seq for its stored time. */
bool position_wants_origin_check(const struct position_facts *facts, uint64_t *seq);

/* True if the target's newest copy is of a message behind the source's last: read it again, once. */
bool position_is_ahead_of_source(const struct position_facts *facts);

/* The source sequence before the first message to copy, as configured, at a first start. START_TIME and
 * START_DELTA are found by the server: *by_time_ms is set then, else 0. */
uint64_t position_configured_start(const struct conf_topic *topic, const struct jsapi_stream *source,
				   int64_t now_ms, int64_t *by_time_ms);

/* The configured start, once it is found, becomes the position's. */
void position_take_start(struct position *position, uint64_t source_seq);

/*
 * Fills what a checkpoint says of the position: sequences, in_flight and map_hash. The promise is that no
 * slot above target_seq + in_flight is taken before the next checkpoint. A map_hash up to
 * POSITION_DOUBT_MAX, which no settings have, says that the target's last message alone does not tell the
 * position: the topmost bit of it that others write too, the others how many messages up to target_seq may
 * hold copies beyond source_seq.
 */
#define POSITION_DOUBT_MAX UINT64_C(0xffffffff)
void position_checkpoint(const struct pipeline *p, const struct conf_topic *topic, uint64_t map_hash,
			 struct proto_checkpoint *checkpoint);

/* What the slots behind T hold, compared with what was in flight. */
struct position_rewind {
	uint64_t source_seq; /* settled now */
	/* So many of the next messages that policy does not skip are there; more than was known so far,
	 * unless source_seq covers that now. */
	uint64_t presettled;
	bool presettled_anew;
	uint64_t found;   /* copies of ours that were not known to be settled */
	uint64_t repeats; /* copies of what was settled before */
	uint64_t foreign;
	uint64_t missing;    /* not there though later ones are: they will be sent again, out of order */
	uint64_t uncertain;  /* slots whose message is gone, and that may have held something else than was
			      * sent into them: what was sent is sent again */
	uint64_t disordered; /* copies behind one of a later message */
	uint64_t first_repeat, first_missing; /* source sequences, 0 for none */
};
/*
 * slots: of target sequences T+1 … T+count in order. The pipeline still holds its entries. Sequences that
 * are at the target beyond the new position go into *there.
 */
void position_rewind(const struct pipeline *p, const struct position_slot *slots, size_t count,
		     struct seqset *there, struct position_rewind *out);
/*
 * The same from the last of count slots alone. It proves all before it where nobody else can have put a
 * message into one of them: outside a stretch, at a target that is said to be exclusive, if no reply has
 * said that the chain is broken. False, with *out as it was, if it is no proof; then all have to be read.
 * (A message of another writer between ours in flight knocks one of them out, and the next follows on it.)
 */
bool position_rewind_by_last(const struct pipeline *p, const struct conf_topic *topic,
			     const struct position_slot *last, size_t count, struct position_rewind *out);

#endif
