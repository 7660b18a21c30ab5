/*
 * What is in flight between source and target: the one owner of it. Pure: no I/O, no clock of its own.
 *
 * Messages are offered in source order. Those that policy passes over take no slot. Those that are
 * copied become entries of a ring and keep their numbers there, not their payload. The position that is
 * proven (settled) is a source sequence S and a target sequence T; it only ever moves forward.
 *
 * CHAIN (a target that only this topic writes to): entry i is published with
 * Nats-Expected-Last-Sequence = slot − 1, where slots follow T without a hole. An accepted reply for
 * slot N therefore proves every entry up to N. A reply is asked for when `reply_every` messages or bytes
 * have gone since the last one, when the source has nothing more at hand, when the window is full, for
 * an entry that is alone in flight (another writer may have come while there was none), and for each
 * entry of the stretch. In the stretch a slot may hold
 * something else than was sent into it, so there a reply proves its own entry alone.
 *
 * SUBJECT (a target that others write to): every entry asks for its reply; one entry a subject is in
 * flight and later ones of that subject wait, with the payload kept by the caller, until it is settled.
 *
 * A fault never changes the map by itself: the answer to every doubt is a verdict REWIND; the caller
 * then proves the position anew and calls pipeline_restart(). Replies of before that carry an older
 * epoch and are dropped.
 */
#ifndef SR_WORKER_PIPELINE_H
#define SR_WORKER_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "worker/seqset.h"

struct pipeline;

enum pipeline_mode { PIPELINE_CHAIN, PIPELINE_SUBJECT };

struct pipeline_config {
	uint32_t window_max;       /* messages in flight */
	uint64_t window_max_bytes; /* bytes in flight */
	uint32_t reply_every_msgs;
	uint64_t reply_every_bytes;
	int64_t ack_timeout_ms;
};

/* Where to go on from: what position.c has proven. */
struct pipeline_start {
	enum pipeline_mode mode;
	uint64_t source_seq;  /* S: everything up to here is settled */
	uint64_t target_seq;  /* T: last sequence of the target */
	uint64_t stretch_end; /* slots up to here may be taken by a late publish of an old chain; 0: none */
	uint64_t used_end;    /* slots up to here may be taken by a late publish in the map of now */
	uint64_t presettled;  /* so many of the next messages are in the slots up to T already */
	bool contiguous;      /* no filters: a jump in the source's sequence is a message that is gone */
	/* Target sequence behind which copies beyond S are: those that were found, up to source sequence
	 * floor_until, and those that may still come, up to late_until but no more than a window. 0: none. */
	uint64_t floor, floor_until, late_until;
};

/* owner: given to whoever frees what an entry holds (the payload of a waiting entry). */
typedef void pipeline_drop_fn(void *owner, void *held);

struct pipeline *pipeline_new(const struct pipeline_config *config, pipeline_drop_fn *drop, void *owner);
void pipeline_free(struct pipeline **p);

/*
 * Forgets what was in flight (held payloads are dropped) and goes on from *start. `settled_beyond` holds
 * what is at the target beyond S, and receives the source sequences beyond S that are known to be settled
 * (SUBJECT mode settles out of order); the floor stays below them until S has passed them. NULL: what was
 * known so far is not of the streams that the restart is for, or there is none. A restart that follows a
 * fault halves the window; it grows back.
 */
void pipeline_stop(struct pipeline *p, struct seqset *settled_beyond, bool fault);
void pipeline_restart(struct pipeline *p, const struct pipeline_start *start);
/* A limit that became known after the start (what the server granted); 0 leaves it as it is. */
void pipeline_limit_window(struct pipeline *p, uint32_t window_max);

/* True while another message may be offered. */
bool pipeline_has_room(const struct pipeline *p);

enum pipeline_mode pipeline_mode(const struct pipeline *p);

/* What is settled, and the last sequence offered since the restart. */
uint64_t pipeline_source_seq(const struct pipeline *p);
uint64_t pipeline_target_seq(const struct pipeline *p);
uint64_t pipeline_offered_seq(const struct pipeline *p);
/*
 * For the checkpoint: a target sequence below every copy of ours that is beyond S. In CHAIN mode the same
 * as pipeline_target_seq, unless copies beyond S were found at the last restart.
 */
uint64_t pipeline_floor(const struct pipeline *p);
/*
 * True while the target's last message alone tells the position: CHAIN, S has passed all that was found
 * beyond it, and no old chain can take a slot any more.
 */
bool pipeline_in_order(const struct pipeline *p);

/* CHAIN: the value of Nats-Expected-Last-Sequence that the next message will get. */
uint64_t pipeline_expected_last(const struct pipeline *p);

/* A message that takes no slot: settled as soon as all before it are. Does nothing for one that was
 * offered before. */
void pipeline_skip(struct pipeline *p, uint64_t seq);

struct pipeline_ticket {
	uint64_t id; /* names the entry in its epoch */
	bool reply;  /* ask for one */
	bool wait;   /* SUBJECT: do not send now; pipeline_ready will name it */
};

/*
 * A message to copy; seq must be above offered_seq and there must be room. more: the source has more at
 * hand. subject_hash: of the target subject (SUBJECT mode; a collision only costs parallelism). held:
 * dropped when the entry leaves the ring, may be NULL; set it for entries that wait.
 */
struct pipeline_ticket pipeline_send(struct pipeline *p, uint64_t seq, int64_t stored_ms, uint64_t bytes,
				     uint64_t subject_hash, bool more, struct mono now);
/* Attaches what the caller keeps for a waiting entry; taken back by pipeline_ready. */
void pipeline_hold(struct pipeline *p, uint64_t id, void *held);
/* The next waiting entry whose subject has become free; *held is the caller's again. */
bool pipeline_ready(struct pipeline *p, struct mono now, uint64_t *id, void **held);

/* The replies asked for: their epoch. */
uint32_t pipeline_epoch(const struct pipeline *p);

struct pipeline_answer {
	bool accepted;
	bool duplicate;
	uint64_t seq; /* of the target, if accepted */
};
enum pipeline_verdict {
	PIPELINE_GO_ON,
	PIPELINE_REWIND,  /* prove the position anew; *why says the reason */
	PIPELINE_REFUSED, /* the oldest entry was refused by itself: the answer's error is its true cause */
};
/* The newest entry, 0 if the ring is empty; and whether its reply was asked for. */
uint64_t pipeline_last_id(const struct pipeline *p, bool *asked);

/* Takes the reply to entry id. *seq: source sequence of that entry (0 if it is not in the ring). */
enum pipeline_verdict pipeline_reply(struct pipeline *p, uint32_t epoch, uint64_t id,
				     const struct pipeline_answer *answer, uint64_t *seq, const char **why);

/* Looks for replies that are late. */
enum pipeline_verdict pipeline_tick(struct pipeline *p, struct mono now, const char **why);

/* CHAIN: true if a reply since the restart said that the chain is broken. */
bool pipeline_is_broken(const struct pipeline *p);

/* Read-only view for rewinds: the i-th unsettled entry (0 the oldest); false behind the last. */
struct pipeline_entry_view {
	uint64_t seq;
	uint64_t cover_seq; /* up to here everything is settled once this entry is */
	uint64_t slot;      /* CHAIN: where it belongs; SUBJECT: 0 */
	bool settled;
};
bool pipeline_entry(const struct pipeline *p, size_t i, struct pipeline_entry_view *view);

uint32_t pipeline_inflight_msgs(const struct pipeline *p);
uint64_t pipeline_inflight_bytes(const struct pipeline *p);
uint32_t pipeline_window(const struct pipeline *p);
uint64_t pipeline_stretch_end(const struct pipeline *p);
/*
 * CHAIN: the highest slot that anything was sent into, on this connection or an earlier one. Where the map
 * changes (what was sent before does not come again, or gets another slot than it had), the stretch
 * reaches up to here; the pipeline sees to that by itself.
 */
uint64_t pipeline_used_end(const struct pipeline *p);
/* When the source stored the oldest unsettled message; 0 if none is in flight. */
int64_t pipeline_oldest_stored_ms(const struct pipeline *p);

#endif
