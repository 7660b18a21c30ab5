/*
 * The replicator's state, shared by the files that make it up:
 *
 *   replicator.c       its life: connections, phases, proving the position, holding, halting
 *   replicator_make.c  making and freeing it
 *   lead.c             the right to send of an elected topic: standby, gain, loss, the lease's end
 *   copy.c             one message from the source: policy, composing, publishing
 *   reject.c           a message that can never be stored
 *   progress.c         replies, settling, checkpoints
 *   others.c           other writers at a target that is used as ours alone
 *   ends.c             the two connections
 *   figures.c          counters and gauges
 *   sampling.h         which messages of a sampled topic are copied, and what is known of their senders
 *   poll.c             the source's last sequence, lag, the watchdog, gaps
 *
 * Nobody else includes this.
 */
#ifndef SR_WORKER_REPLICATOR_INTERNAL_H
#define SR_WORKER_REPLICATOR_INTERNAL_H

#include "common/nats/conn.h"
#include "worker/compose.h"
#include "worker/gap.h"
#include "worker/go_consumer.h"
#include "worker/locate.h"
#include "worker/pipeline.h"
#include "worker/refusal.h"
#include "worker/replicator.h"
#include "worker/seqset.h"
#include "worker/sink.h"
#include "worker/source.h"
#include "worker/throttle.h"
#include "worker/watchdog.h"

/* Two sequences that were settled together. */
struct proven_pair {
	struct mono at;
	uint64_t source_seq, target_seq;
};

/*
 * One function changes it: replicator_enter(). The source delivers in COPYING alone; replies are taken
 * in COPYING, SETTLING, PAUSED and HALTED, where the pipeline's entries are what is in flight, and
 * dropped in the others, where the target is being read instead.
 */
enum phase {
	PHASE_IDLE,       /* before start */
	PHASE_STANDBY,    /* another process leads, or may: connected, nothing is read or sent */
	PHASE_CONNECTING, /* an end is not connected */
	PHASE_BARRIER,    /* waits until the target's leader has dealt with all that was sent */
	PHASE_LOCATING,   /* the position is being proven */
	PHASE_RECALLING,  /* a sampled topic: what was copied is read back from the target */
	PHASE_STARTING,   /* the source's consumer is being made */
	PHASE_COPYING,
	PHASE_BACKOFF,  /* a fault: begins again when the timer is over */
	PHASE_SETTLING, /* nothing more is read; what is in flight settles: pause, drain or hand-over */
	PHASE_PAUSED,
	PHASE_HALTED, /* needs a person */
	PHASE_DRAINED,
	PHASE_END
};

enum { REASON_SIZE = 1024 };

/* The right to send (lead.c). A topic that is not elected has it at all times. */
struct lead {
	bool elected;
	bool leads;
	bool handing_over; /* settled; the existing tool's consumer is brought to where we are */
	bool yielding;     /* to stand by as soon as what is in flight is settled */
	bool taking_over;  /* the source's consumer may still be another process's */
	uint64_t serial;   /* of the role told last */
	uint64_t term;     /* while it leads */
	struct mono end;   /* of the right; far away if not elected */
	bool map_in_doubt;
	struct event *timer;
	struct mono made; /* when the worker started */
	char reason[256]; /* why it stands by, "" if that says it all */
};

struct sampling;

struct replicator {
	struct event_base *base;
	const struct conf *conf;
	const struct conf_topic *topic;
	struct replicator_reports reports;
	void *arg;
	uint64_t map_hash;

	struct nats_conn *source_conn, *target_conn;
	struct source *source;
	struct sink *sink;
	struct composer *composer;
	struct pipeline *pipeline;
	struct locate *locate;
	struct throttle throttle;
	struct watchdog watchdog;
	struct lead lead;
	struct go_consumer *go_consumer; /* NULL for none */
	struct gap gap;
	struct sampling *sampling; /* NULL: the topic copies every message */

	enum phase phase;
	bool want_pause, want_drain;
	bool paused_for_room; /* the source is paused until the target takes more */
	enum worker_state told_state;
	char told_reason[REASON_SIZE];
	char halt_reason[REASON_SIZE];

	/* What is known of the streams, from the last proof. */
	bool have_streams;
	struct jsapi_stream source_stream, target_stream;
	bool takes_all;    /* the target's subjects cover all that the topic can send */
	bool filters_here; /* the server ignored the filters */
	enum compose_mode mode;

	/* Position. memory.target_seq and source_seq are updated when it is used. */
	bool have_memory, memory_is_own;
	struct proto_checkpoint memory;
	/* As it was told last, or came with the start: what is left of an earlier term. */
	bool have_told;
	struct proto_checkpoint told;
	bool apply_resume;
	bool proven_before;    /* this process has been copying */
	bool first_start;      /* the position is the configured start, and nothing came from it yet */
	uint64_t presettled;   /* that many more are at the target already */
	struct seqset there;   /* at the target already, beyond the settled prefix */
	struct seqset decided; /* were sent before a rewind: age and sampling must not decide otherwise now */
	struct seqset passed_over; /* rejected: not sent again */

	/* Other writers at the target (others.c). */
	struct nats_sub *watches[64];
	size_t watch_count;
	bool others_seen;             /* the position is to be proven from a pair of before */
	struct proven_pair pairs[64]; /* a ring; pair_next counts all */
	size_t pair_next;

	/* A message that the target refused by itself; it is dealt with when it comes again. */
	uint64_t refused_seq;
	struct jsapi_error refused;

	/* A dead letter on its way. */
	struct nats_held *letter;
	uint64_t letter_seq;
	int64_t letter_stored_ms;
	char letter_reason[512];
	struct nats_request *letter_request;

	int64_t room; /* bytes that the target's connection takes, as last asked less what was sent since */
	int64_t backoff_ms; /* before the next try; 0 once something was settled */
	bool fault;         /* the proof under way follows a fault */
	bool barrier_answered;
	char last_subject[SUBJECT_MAX]; /* of the last publish: where a barrier goes */
	bool sent_on_this_connection;

	struct event *backoff_timer, *tick_timer, *checkpoint_timer, *poll_timer, *room_timer, *drain_timer;
	bool checkpoint_dirty;
	uint64_t checkpoint_target_seq;

	/* The last entry's slot being read, because its reply was not asked for. */
	struct slots *tail;
	uint64_t tail_id, tail_slot, tick_last_id;
	uint32_t tail_epoch;

	/* stretch: what was sent into which slot, to be read back */
	struct slots *readback;
	uint64_t stretch_first, stretch_checked; /* slots; 0: no stretch */
	uint64_t *stretch_seqs;                  /* source sequence of slot stretch_first + i */
	size_t stretch_count, stretch_cap;

	/* poll */
	struct nats_request *poll_request, *pending_request;
	uint64_t source_last;
	bool source_last_known;
	bool pending_known;
	uint64_t pending;       /* behind the last delivery, as far as known */
	int64_t last_stored_ms; /* of the newest delivery */
	bool unhealthy;

	struct proto_stats stats;
};

/* replicator.c */
void replicator_tell(struct replicator *r, enum worker_state state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void replicator_incident(struct replicator *r, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Proves the position anew and goes on. fault: the target may have lost something, so the window is
 * halved. why NULL: nothing went wrong, so nothing is counted and there is no back-off. */
void replicator_rewind(struct replicator *r, bool fault, const char *why);
/* Stops for a while and then proves the position anew. */
void replicator_hold(struct replicator *r, enum worker_state state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void replicator_halt(struct replicator *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The one place where the phase changes. */
void replicator_enter(struct replicator *r, enum phase phase);
/* The way back from a doubt, from whatever phase: waits for the connections, then for the barrier. */
void replicator_go_back(struct replicator *r);
/* After something was settled while pausing, draining or handing over. */
void replicator_check_settled(struct replicator *r);
/* Nothing is in flight any more, or nothing more can be done about it. */
void replicator_end_drain(struct replicator *r);
/* For timers and the source. */
void replicator_backoff_over(evutil_socket_t fd, short what, void *arg);
void replicator_drain_over(evutil_socket_t fd, short what, void *arg);
/* A sampled topic knows what it has to know. */
void replicator_recalled(struct replicator *r);
void replicator_source_ready(void *arg, bool filters_here, uint32_t granted);
void replicator_source_trouble(void *arg, bool permanent, const char *text);
/* Copies *from to *to, which was empty or owns its strings. */
void replicator_remember(struct proto_checkpoint *to, const struct proto_checkpoint *from);

/* lead.c */
void lead_init(struct replicator *r);
void lead_fini(struct replicator *r);
/* The time is over: stands by. False if the right still holds. To be asked before anything is sent. */
bool lead_is_over(struct replicator *r, struct mono now);
/* While handing over: nothing is in flight any more, or nobody can tell any more. */
void lead_yielded(struct replicator *r);
/* Settled, and about to stop leading: true if `done` will be called when that may go on. */
bool lead_hands_over(struct replicator *r, void (*done)(void *arg));
/* Says what a topic on standby does: connects, or waits. */
void lead_show(struct replicator *r);

/* copy.c */
void copy_message(void *arg, const struct nats_message *m, const struct jsack *ack);
/* Sends what waited for its subject, and lets the source go on if there is room. */
void copy_go_on(struct replicator *r);
void copy_drop_held(void *owner, void *held);
/* A timer for the rate limit or for room that nobody announces. */
void copy_room_timer(evutil_socket_t fd, short what, void *arg);

/* Whether filters or the path of the message say that it is none to copy; *why counts such. */
bool copy_is_none(const struct replicator *r, const struct nats_message *m, enum proto_counter *why);

/* reject.c */
void reject_message(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms,
		    int code, const char *reason, const char *cure);
void reject_cancel(struct replicator *r);

/* progress.c */
void progress_reply(void *arg, uint32_t epoch, uint64_t id, const struct sink_answer *answer);
void progress_replies_done(void *arg);
void progress_tick(evutil_socket_t fd, short what, void *arg);
void progress_arm_tick(struct replicator *r);
void progress_checkpoint_timer(evutil_socket_t fd, short what, void *arg);
/* Something was settled: acknowledgements, checkpoint. */
void progress_settled(struct replicator *r);
void progress_checkpoint_now(struct replicator *r);
/* The stretch: notes what went into which slot; reads back what is settled. */
void progress_stretch_begin(struct replicator *r, uint64_t first_slot);
void progress_stretch_note(struct replicator *r, uint64_t slot, uint64_t seq);
void progress_stretch_check(struct replicator *r);

/* others.c */
void others_note_pair(struct replicator *r);
void others_forget_pairs(struct replicator *r);
/* Takes what is remembered back to a pair that was proven before others were heard. */
void others_go_back(struct replicator *r);
/* Listens while the chain is used. */
void others_watch(struct replicator *r);
void others_unwatch(struct replicator *r);

/* ends.c */
/* NULL with *e if the URL cannot be used. */
struct nats_conn *ends_make(struct replicator *r, bool is_source, struct error *e);
bool ends_both_up(const struct replicator *r);

/* poll.c */
void poll_begin(struct replicator *r);
void poll_timer(evutil_socket_t fd, short what, void *arg);
void poll_gap(struct replicator *r, const struct jsack *ack);
void poll_cancel(struct replicator *r);

#endif
