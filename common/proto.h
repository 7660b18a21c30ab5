/*
 * The contract between supervisor and child: fd number, messages, payloads, who may send what, times,
 * exit codes. Both sides include this file and nothing else of each other.
 *
 * The pipe is a non-blocking stream socketpair. A frame is a header of PROTO_HEADER_SIZE bytes, all
 * fields little-endian,
 *
 *     u16 version | u16 type | u32 payload length | u64 generation
 *
 * and then the payload. The reader checks version, type, the sender's right to send that type, length,
 * then generation: a counter that the supervisor stamps on each spawn and hands to the child on its
 * command line, so that a late frame of a dead child is dropped. Payload encoders and decoders are
 * pairs; a decoder consumes every byte or refuses the frame. A malformed frame from our own child is a
 * bug: the child is killed and the fault logged.
 *
 * What may be missing: nothing that this version knows.
 */
#ifndef SR_COMMON_PROTO_H
#define SR_COMMON_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "common/strbuf.h"

#define PROTO_VERSION     1
#define PROTO_FD          3 /* the child's end of the pipe */
#define PROTO_HEADER_SIZE 16
#define PROTO_MAX_PAYLOAD (1024 * 1024)
#define PROTO_MAX_TEXT    (16 * 1024) /* of a log line, reason or detail: encoders cut, decoders refuse */
#define PROTO_MAX_NAME    1024        /* of a stream or an incident's kind, the same way */

/* Times of the contract, milliseconds. */
#define PROTO_READY_DEADLINE_MS 10000 /* from fork to READY */
#define PROTO_STATS_MS          1000  /* a child sends STATS this often; it is its sign of life */
#define PROTO_LIVENESS_MS       2000  /* interval in which at least one frame is due */
#define PROTO_LIVENESS_MISSES   3     /* so many intervals without one: killed and replaced */
#define PROTO_ALIVE_MS          500   /* an elector hears ALIVE this often */
#define PROTO_SILENT_MS         2000 /* without it an elector campaigns and renews no more: nobody hears it */
#define PROTO_SETTLE_MS         5000 /* a child whose supervisor is gone, or that drains, settles so long */

/* How a child ends; the supervisor turns it into policy and words. */
enum proto_exit {
	PROTO_EXIT_OK = 0,         /* drained on request */
	PROTO_EXIT_FAILED = 1,     /* try again with back-off */
	PROTO_EXIT_USAGE = 2,      /* started by hand */
	PROTO_EXIT_ORPHAN = 3,     /* the pipe ended: supervisor gone */
	PROTO_EXIT_BUG = 70,       /* an invariant did not hold */
	PROTO_EXIT_PERMANENT = 78, /* stays down until reload: configuration or credentials file refused */
	PROTO_EXIT_EXEC = 127,     /* between fork and exec: the program could not be started */
};
const char *proto_exit_text(int code); /* in words, for log and status */

/*
 * What a child is for, the third argument of its command line: `worker GENERATION NAME ROLE`. It decides
 * what follows CONFIG: POSITION for a replicating worker, ELECT for an elector, nothing for the heartbeat.
 */
enum proto_job { JOB_REPLICATE, JOB_ELECT, JOB_HEARTBEAT, JOB_END };
const char *proto_job_name(enum proto_job job); /* "replicate", "elect", "heartbeat" */
/* JOB_END if it is none of these. */
enum proto_job proto_job_find(const char *name);

enum proto_type {
	/* supervisor to child */
	PROTO_CONFIG = 1, /* text: the configuration of the topic */
	PROTO_POSITION,   /* struct proto_position; sent after CONFIG, always */
	PROTO_PAUSE,      /* empty */
	PROTO_RESUME,     /* empty */
	PROTO_DRAIN,      /* empty: settle what is in flight and exit 0 */
	PROTO_LOG_LEVEL,  /* u8 enum log_level: lines below it need not be sent from now on */
	PROTO_ROLE,       /* struct proto_role: to a worker whose topic is elected */
	PROTO_ELECT,      /* struct proto_elect: to an elector, after CONFIG, instead of POSITION */
	PROTO_ABLE,       /* struct proto_able: to an elector */
	PROTO_STEP_DOWN,  /* struct proto_name: to an elector, a person's wish */
	PROTO_RELEASE,    /* struct proto_term: to an elector, the workers of that term have stopped */
	/* child to supervisor */
	PROTO_HELLO,      /* struct proto_hello: first frame */
	PROTO_READY,      /* empty: configuration understood, at work */
	PROTO_CHECKPOINT, /* struct proto_checkpoint */
	PROTO_STATS,      /* struct proto_stats */
	PROTO_STATE,      /* struct proto_state */
	PROTO_LOG,        /* struct proto_log */
	PROTO_INCIDENT,   /* struct proto_incident */
	PROTO_ROLE_DONE,  /* u64: serial of the ROLE that is in effect now */
	/* elector to supervisor */
	PROTO_WON,      /* struct proto_won: the first time of a term, and again at each renewal */
	PROTO_LOST,     /* struct proto_lost: at once, whatever is in flight */
	PROTO_YIELD,    /* struct proto_lost: let the workers settle, then send RELEASE */
	PROTO_ELECTION, /* struct proto_election: for the status, at each change and each second */
	/* supervisor to elector */
	PROTO_ALIVE, /* empty, every PROTO_ALIVE_MS: what it wins and renews is passed on */
	/* of a sampled topic, child to supervisor */
	PROTO_SAMPLES,  /* struct proto_samples and its rows; the next one after SAMPLES_STORED */
	PROTO_ADVISORY, /* struct proto_advisory: a change of the outbox */
	/* supervisor to child */
	PROTO_SAMPLES_STORED, /* struct proto_samples_stored: that batch is in state.db */
	PROTO_TYPE_END
};
enum proto_side { PROTO_SUPERVISOR, PROTO_CHILD };

const char *proto_type_name(enum proto_type type);

struct proto_frame {
	enum proto_type type;
	uint64_t generation;
	const uint8_t *payload; /* borrowed from the reader's buffer */
	uint32_t len;
};

/* Appends a whole frame. len must not be above PROTO_MAX_PAYLOAD. */
void proto_frame_encode(struct strbuf *out, enum proto_type type, uint64_t generation, const void *payload,
			size_t len);

enum proto_result {
	PROTO_FRAME,  /* *frame is set, *used bytes were taken */
	PROTO_MORE,   /* not a whole frame yet */
	PROTO_BROKEN, /* *e says why; the peer cannot be trusted any more */
};
/* sender: the side that wrote these bytes, for the check of its rights. */
enum proto_result proto_frame_decode(const uint8_t *data, size_t len, enum proto_side sender,
				     struct proto_frame *frame, size_t *used, struct error *e);

/*
 * Payloads. X_encode appends the payload's bytes; X_decode returns 0, or -1 with *e. Strings of a
 * decoded struct are owned by it and freed by X_fini. proto_stats and proto_hello own nothing.
 */
struct proto_hello {
	uint32_t pid;
	char version[32];
};

/* One row of the checkpoint table, up and down. Times: nanoseconds since the epoch for the streams'
 * creation (their identity), milliseconds for updated. */
struct proto_checkpoint {
	char *source_stream;
	int64_t source_created_ns;
	uint64_t source_seq;
	char *target_stream;
	int64_t target_created_ns;
	uint64_t target_seq;
	uint64_t in_flight; /* slots above target_seq that may be taken before the next checkpoint */
	uint64_t map_hash;
	int64_t updated_ms;
};
void proto_checkpoint_fini(struct proto_checkpoint *c);

struct proto_position {
	bool have_checkpoint;
	struct proto_checkpoint checkpoint;
	bool paused;       /* start paused */
	bool apply_resume; /* resume_from of the configuration has not been used yet: use it now */
	uint32_t restarts; /* of this worker since its configuration was loaded */
};
void proto_position_fini(struct proto_position *p);

/* The field `state` of status --json. */
enum worker_state {
	WORKER_STARTING,
	WORKER_CONNECTING,
	WORKER_COPYING,
	WORKER_STANDBY,
	WORKER_PAUSED,
	WORKER_HOLDING, /* goes on by itself when the cause is gone */
	WORKER_HALTED,  /* needs a person */
	WORKER_WAITING, /* no process: restart back-off (set by the supervisor) */
	WORKER_STATE_END
};
const char *worker_state_name(enum worker_state state);

/*
 * Elections. A name is known by its key in the bucket. Times on the monotonic clock, which is the same in all
 * processes of a machine.
 *
 * A gain goes elector -> WON -> supervisor -> ROLE leader -> workers. A loss goes LOST -> ROLE standby with
 * settle false: the worker stops sending at once. A hand-over goes YIELD -> ROLE standby with settle true ->
 * the workers settle what is in flight and say ROLE_DONE -> RELEASE -> the elector gives the key up; it keeps
 * renewing meanwhile, for at most PROTO_SETTLE_MS. Whatever is lost on this way, a worker stops by itself at
 * the lease end that it was told last. An elector that ends has LOST all its names.
 */
struct proto_role {
	uint64_t serial; /* counts the ROLE frames to this process */
	bool leader;
	/* leader: */
	uint64_t term;        /* revision of the write that won it; another one is a new gain */
	int64_t lease_end_ns; /* the right to send ends here */
	/* Another program, or one with other settings, led before and may not have settled: its late
	 * publishes may take slots that belong to other messages here. */
	bool map_in_doubt;
	/* standby: */
	bool settle; /* what is in flight may settle first, until the lease ends */
};

struct proto_elect {
	char nonce[17]; /* 16 hex digits, of the supervisor process: a restarted elector knows its own keys */
	char node[256]; /* host name */
};

struct proto_name {
	char *key;
};
void proto_name_fini(struct proto_name *n);

struct proto_able {
	char *key;
	bool able; /* its workers here run and are connected */
};
void proto_able_fini(struct proto_able *a);

struct proto_term {
	char *key;
	uint64_t term;
};
void proto_term_fini(struct proto_term *t);

struct proto_won {
	char *key;
	uint64_t term;
	int64_t lease_end_ns;
	bool map_in_doubt;
};
void proto_won_fini(struct proto_won *w);

struct proto_lost {
	char *key;
	uint64_t term;
	char *reason;
};
void proto_lost_fini(struct proto_lost *l);

/* A node that stands for a name. */
struct proto_candidate {
	char *node, *site;
	uint32_t pid;
	uint32_t leads; /* names of this bucket that it leads */
	bool self;
};
#define PROTO_MAX_CANDIDATES 256 /* of a name, as shown: encoders leave the rest out */

struct proto_election {
	char *key;
	bool leads;       /* this node */
	uint64_t term;    /* revision of the leader's winning write as far as known, 0 if nobody leads */
	char *leader;     /* node, or the whole value of another program's key; "" for nobody or not known */
	char *site;       /* "" if not known */
	uint32_t pid;     /* 0 if not known */
	int64_t since_ms; /* epoch; 0 if not known */
	int64_t lease_end_ns; /* ours, or when the other's key will have expired; 0 if nobody leads */
	char *problem;        /* why it cannot be held now, "" if it can */
	uint64_t campaigns;   /* tries to win, since the elector's start */
	struct proto_candidate *present; /* present_count of them */
	size_t present_count;
};
void proto_election_fini(struct proto_election *e);

struct proto_state {
	enum worker_state state;
	char *reason; /* "" where the state says it all */
};
void proto_state_fini(struct proto_state *s);

/*
 * Counters are cumulative since the child's start (the supervisor adds up over restarts); gauges are
 * as of now. One table: name in code, name in metrics and status.
 */
#define PROTO_COUNTERS(X)                                                                                    \
	X(RECEIVED_MSGS, "received_msgs")                                                                    \
	X(RECEIVED_BYTES, "received_bytes")                                                                  \
	X(COPIED_MSGS, "copied_msgs")                                                                        \
	X(COPIED_BYTES, "copied_bytes")                                                                      \
	X(SKIPPED_MSGS, "skipped_msgs")                                                                      \
	X(FILTERED_MSGS, "filtered_msgs")                                                                    \
	X(FAILED_MSGS, "failed_msgs")                                                                        \
	X(ACKS_FAILED, "acks_failed")                                                                        \
	X(REWINDS, "rewinds")                                                                                \
	X(REDELIVERED_MSGS, "redelivered_msgs")                                                              \
	X(GAP_FILTERED_MSGS, "gap_filtered_msgs")                                                            \
	X(GAP_DELETED_MSGS, "gap_deleted_msgs")                                                              \
	X(GAP_EXPIRED_MSGS, "gap_expired_msgs")                                                              \
	X(TOO_OLD_MSGS, "too_old_msgs")                                                                      \
	X(LOOP_MSGS, "loop_msgs")                                                                            \
	X(REJECTED_MSGS, "rejected_msgs")                                                                    \
	X(DEAD_LETTER_MSGS, "dead_letter_msgs")                                                              \
	X(DUPLICATE_MSGS, "duplicate_msgs")                                                                  \
	X(RECONNECTIONS, "connection_reconnections")                                                         \
	X(CONNECTION_CLOSED, "connection_closed")                                                            \
	X(CONNECTION_ERRORS, "connection_errors")                                                            \
	X(WATCHDOG_REPULL, "watchdog_repull")                                                                \
	X(WATCHDOG_RESUBSCRIBE, "watchdog_resubscribe")                                                      \
	X(WATCHDOG_RECREATE, "watchdog_recreate")                                                            \
	X(WATCHDOG_RECONNECT, "watchdog_reconnect")                                                          \
	X(WATCHDOG_UNHEALTHY, "watchdog_unhealthy")                                                          \
	X(HEARTBEAT_PUBLISHED, "heartbeat_published")                                                        \
	X(HEARTBEAT_ERRORS, "heartbeat_errors")                                                              \
	X(SAMPLE_SEEN, "limiter_memory_seen") /* messages that the sampler judged */                         \
	X(SAMPLE_SKIPPED, "limiter_memory_skipped")                                                          \
	X(SAMPLE_PASSED, "limiter_memory_passed")                                                            \
	X(SAMPLE_ERRORS, "limiter_memory_errors") /* payload is no JSON as far as it was read */             \
	X(WITHOUT_VALUE_MSGS, "without_value_msgs")                                                          \
	X(FORCED_MSGS, "forced_msgs")                                                                        \
	X(SIZE_TRIGGERED_MSGS, "size_triggered_msgs")                                                        \
	X(UNTRACKED_MSGS, "untracked_msgs") /* copied because the table is full */                           \
	X(VALUES_CUT, "values_cut")         /* values that are kept in another form than they came in */     \
	X(ADVISORIES_NEW, "advisories_new")                                                                  \
	X(ADVISORIES_TIMEOUT, "advisories_timeout")                                                          \
	X(ADVISORIES_RECOVER, "advisories_recover")                                                          \
	X(ADVISORIES_EXPIRE, "advisories_expire")                                                            \
	X(ADVISORIES_ERRORS, "advisories_errors")   /* tries that failed */                                  \
	X(ADVISORIES_DROPPED, "advisories_dropped") /* given up */                                           \
	X(GOSSIP_SENT, "gossip_sent")                                                                        \
	X(GOSSIP_RECEIVED, "gossip_received")                                                                \
	X(GOSSIP_REJECTED, "gossip_rejected")

#define PROTO_GAUGES(X)                                                                                      \
	X(SOURCE_LAST_SEQ, "source_last_sequence")                                                           \
	X(COMMITTED_SEQ, "committed_sequence")                                                               \
	X(TARGET_SEQ, "target_sequence")                                                                     \
	X(CURRENT_SEQ, "current_sequence")                                                                   \
	X(LAG_MSGS, "lag_msgs")                                                                              \
	X(LAG_MS, "lag_ms") /* age of the oldest message not yet settled */                                  \
	X(INFLIGHT_MSGS, "inflight_msgs")                                                                    \
	X(INFLIGHT_BYTES, "inflight_bytes")                                                                  \
	X(WINDOW_MSGS, "window_msgs")                                                                        \
	X(TRACKED_VALUES, "tracked_values") /* these three of sampled topics alone */                        \
	X(ADVISED_VALUES, "advised_values") /* of them, silent for longer than warn_duration */              \
	X(OUTBOX_MSGS, "advisory_outbox")   /* advisories not delivered yet */

enum proto_counter {
#define PROTO_ENUM(id, name) COUNTER_##id,
	PROTO_COUNTERS(PROTO_ENUM)
#undef PROTO_ENUM
	    COUNTER_END
};
enum proto_gauge {
#define PROTO_ENUM(id, name) GAUGE_##id,
	PROTO_GAUGES(PROTO_ENUM)
#undef PROTO_ENUM
	    GAUGE_END
};
/* A gauge that is not known yet. */
#define PROTO_UNKNOWN UINT64_MAX

struct proto_stats {
	uint64_t counter[COUNTER_END];
	uint64_t gauge[GAUGE_END];
};
const char *proto_counter_name(enum proto_counter c);
const char *proto_gauge_name(enum proto_gauge g);

/*
 * Sampling. A batch of changed rows of the last-seen table; the payload is a head and then rows up to its
 * end, kept as bytes until it is committed. A worker sends the next batch when it was told that this one is
 * stored.
 */
#define PROTO_MAX_VALUE 255 /* bytes of a value, see common/sample_value.h */
struct proto_sample {
	const char *value; /* value_len bytes, without NUL, not terminated; borrowed */
	size_t value_len;
	int64_t seen_ms;   /* since the epoch */
	int64_t copied_ms; /* 0: never */
	uint32_t size;     /* bytes of the last payload */
	bool advised;
	bool forgotten; /* the row goes; the rest says nothing */
};
struct proto_samples {
	uint64_t serial; /* never 0 */
	/* Not "" if, with this batch, everything up to a position is stored: its text (common/sample_note.h),
	 * kept in meta under "sampled:<topic>" in the same transaction. "": the note that is there stays. */
	char *note;
	const uint8_t *rows; /* rows_len bytes, borrowed: read with proto_sample_decode() */
	size_t rows_len;
	size_t row_count; /* as decoded */
};
struct proto_samples_stored {
	uint64_t serial; /* 0: no batch was waiting, which only comes with again */
	bool again; /* the file was lost: its rows are to be sent anew, all of them, and a note at the end */
};

/* The outbox of reliable advisories, a row of advisory_outbox. */
#define PROTO_MAX_ADVISORY_ID 64
enum proto_advisory_op {
	ADVISORY_PUT,  /* new, or tried again: the row is as told */
	ADVISORY_DONE, /* delivered, or given up: the row goes; all but the id is empty */
	ADVISORY_OP_END
};
struct proto_advisory {
	enum proto_advisory_op op;
	char *id;             /* at most PROTO_MAX_ADVISORY_ID bytes */
	char *subject, *body; /* at most PROTO_MAX_TEXT each: encoders cut, so be below */
	uint32_t tries;
	int64_t next_try_ms; /* since the epoch */
};
void proto_advisory_fini(struct proto_advisory *a);

struct proto_log {
	enum log_level level;
	char *text;
};
void proto_log_fini(struct proto_log *l);

struct proto_incident {
	char *kind; /* one word: gap, reject, source_reset, target_reset, target_went_back, … */
	char *detail;
};
void proto_incident_fini(struct proto_incident *i);

void proto_hello_encode(struct strbuf *out, const struct proto_hello *v);
int proto_hello_decode(const uint8_t *data, size_t len, struct proto_hello *v, struct error *e);
void proto_position_encode(struct strbuf *out, const struct proto_position *v);
int proto_position_decode(const uint8_t *data, size_t len, struct proto_position *v, struct error *e);
void proto_checkpoint_encode(struct strbuf *out, const struct proto_checkpoint *v);
int proto_checkpoint_decode(const uint8_t *data, size_t len, struct proto_checkpoint *v, struct error *e);
void proto_stats_encode(struct strbuf *out, const struct proto_stats *v);
int proto_stats_decode(const uint8_t *data, size_t len, struct proto_stats *v, struct error *e);
void proto_log_level_encode(struct strbuf *out, enum log_level level);
int proto_log_level_decode(const uint8_t *data, size_t len, enum log_level *level, struct error *e);
void proto_state_encode(struct strbuf *out, const struct proto_state *v);
int proto_state_decode(const uint8_t *data, size_t len, struct proto_state *v, struct error *e);
void proto_log_encode(struct strbuf *out, const struct proto_log *v);
int proto_log_decode(const uint8_t *data, size_t len, struct proto_log *v, struct error *e);
void proto_incident_encode(struct strbuf *out, const struct proto_incident *v);
int proto_incident_decode(const uint8_t *data, size_t len, struct proto_incident *v, struct error *e);
void proto_role_encode(struct strbuf *out, const struct proto_role *v);
int proto_role_decode(const uint8_t *data, size_t len, struct proto_role *v, struct error *e);
void proto_role_done_encode(struct strbuf *out, uint64_t serial);
int proto_role_done_decode(const uint8_t *data, size_t len, uint64_t *serial, struct error *e);
void proto_elect_encode(struct strbuf *out, const struct proto_elect *v);
int proto_elect_decode(const uint8_t *data, size_t len, struct proto_elect *v, struct error *e);
void proto_name_encode(struct strbuf *out, const struct proto_name *v);
int proto_name_decode(const uint8_t *data, size_t len, struct proto_name *v, struct error *e);
void proto_able_encode(struct strbuf *out, const struct proto_able *v);
int proto_able_decode(const uint8_t *data, size_t len, struct proto_able *v, struct error *e);
void proto_term_encode(struct strbuf *out, const struct proto_term *v);
int proto_term_decode(const uint8_t *data, size_t len, struct proto_term *v, struct error *e);
void proto_won_encode(struct strbuf *out, const struct proto_won *v);
int proto_won_decode(const uint8_t *data, size_t len, struct proto_won *v, struct error *e);
void proto_lost_encode(struct strbuf *out, const struct proto_lost *v);
int proto_lost_decode(const uint8_t *data, size_t len, struct proto_lost *v, struct error *e);
void proto_election_encode(struct strbuf *out, const struct proto_election *v);
int proto_election_decode(const uint8_t *data, size_t len, struct proto_election *v, struct error *e);

/* Head, then any number of rows appended one by one; the whole must not exceed PROTO_MAX_PAYLOAD. */
void proto_samples_encode(struct strbuf *out, uint64_t serial, const char *note);
void proto_sample_encode(struct strbuf *out, const struct proto_sample *row);
/* Checks all rows too. *v borrows from data but for note, which is freed with proto_samples_fini. */
int proto_samples_decode(const uint8_t *data, size_t len, struct proto_samples *v, struct error *e);
void proto_samples_fini(struct proto_samples *v);
/* The next row of those that *rows and *len point at, which move on; false behind the last. */
bool proto_sample_decode(const uint8_t **rows, size_t *len, struct proto_sample *row);
void proto_samples_stored_encode(struct strbuf *out, const struct proto_samples_stored *v);
int proto_samples_stored_decode(const uint8_t *data, size_t len, struct proto_samples_stored *v,
				struct error *e);
void proto_advisory_encode(struct strbuf *out, const struct proto_advisory *v);
int proto_advisory_decode(const uint8_t *data, size_t len, struct proto_advisory *v, struct error *e);

#endif
