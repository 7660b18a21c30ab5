/*
 * The children of the supervisor: one struct child for each job that the configuration has, with the process
 * that runs for it, if one does.
 *
 * A child is in one state (child_set_state() alone changes it):
 *
 *   IDLE      no process, and none will be started by itself: it cannot work until a reload
 *   WAITING   no process; the timer runs until the next start
 *   STARTING  process; READY is due by the deadline
 *   RUNNING   process; frames are due in every liveness interval
 *   DRAINING  process; DRAIN was sent, its end is due by the deadline
 *   KILLED    process; SIGKILL was sent, only its end is waited for
 *
 * An end has two halves, the reaped process and the end of its pipe, in any order: what the process said
 * last is read before its death is judged.
 */
#ifndef SR_SUPERVISOR_CHILD_H
#define SR_SUPERVISOR_CHILD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/proto.h"
#include "supervisor/job.h"
#include "supervisor/restart.h"
#include "supervisor/store.h"
#include "supervisor/throttle.h"
#include "supervisor/totals.h"

enum child_state {
	CHILD_IDLE,
	CHILD_WAITING,
	CHILD_STARTING,
	CHILD_RUNNING,
	CHILD_DRAINING,
	CHILD_KILLED,
};

/* What follows the end of the process. */
enum child_next {
	CHILD_BY_POLICY, /* it was not asked to end */
	CHILD_START,     /* again, at once: a changed configuration, or a person's wish */
	CHILD_REMOVE,    /* no longer configured */
	CHILD_STAY_DOWN, /* the supervisor stops */
};

#define CHILD_KINDS 16 /* kinds of incident whose log lines are bounded each by itself */

struct children;

struct child {
	struct children *table;
	enum proto_job kind;
	char *key;      /* of its job */
	char *worker;   /* the process in ps, status and state.db */
	struct job job; /* borrowed from table->jobs; empty unless wanted */
	bool wanted;    /* false: no longer configured, on its way out */
	enum child_state state;
	enum child_next next;
	struct mono deadline; /* STARTING: of READY; DRAINING: of the end */
	struct event *timer;  /* of WAITING */
	struct restart restart;
	uint32_t starts;           /* of processes, ever */
	uint32_t starts_of_config; /* since this configuration was loaded */

	/* the process; pid 0 if there is none */
	pid_t pid;
	uint64_t generation;
	struct mono started;
	bool reaped;
	int status; /* of waitpid(), once reaped */
	struct mono reaped_at;
	struct channel *channel; /* NULL once its end was read */
	struct mono channel_ended;
	struct mono last_frame;
	bool greeted;            /* HELLO came */
	bool gone_told;          /* elections know that it is gone */
	bool sampled;            /* it was started with a topic that is sampled */
	uint64_t samples_serial; /* of its batch that is not stored yet, 0 if there is none */
	bool outbox_full;        /* its advisories are not kept; that was told */
	bool held;               /* elector without a process: starts when others have ended */
	bool replace;            /* elector: its configuration changed since its process was started */
	char kill_reason[256];   /* why we killed it, "" if we did not */

	/* what it reported */
	enum worker_state reported;
	char *reason;     /* never NULL */
	char *last_error; /* text of its last log line of level error; never NULL */
	struct mono reported_since;
	struct totals totals;
	bool have_checkpoint;
	struct proto_checkpoint checkpoint;
	uint64_t hurried_seq; /* source sequence at the last commit ahead of time, 0 before the first */

	bool paused;           /* wanted by a person */
	char *resume_used;     /* value of resume_from that has been used; "" for none */
	char resume_asked[32]; /* value that this process was told to use, "" for none or done */

	/* how the last process ended; "" if none has */
	char last_exit[512];
	int64_t last_exit_ms; /* since the epoch */

	struct throttle log_throttle;
	struct {
		char kind[32];
		struct throttle throttle;
	} incident[CHILD_KINDS];
	bool gone; /* to be freed by children_sweep() */
};

/* Makes a child for a job, without a process. Never NULL. */
struct child *child_new(struct children *table, const struct job *job);
/* Also ends its process, at once. */
void child_free(struct child **c);

/* Another configuration of the same job, for the next process; NULL: it is no longer configured. */
void child_set_job(struct child *c, const struct job *job);

/* Starts a process. From IDLE or WAITING only. */
void child_start(struct child *c);
/* Has the process settle and end, then does what next says; without a process, does it now. */
void child_drain(struct child *c, enum child_next next);
/* SIGKILL; reason is for log and status. Nothing if there is no process. */
void child_kill(struct child *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The supervisor reaped its process. */
void child_reaped(struct child *c, int status);
/* Looks at deadlines and liveness. */
void child_check(struct child *c, struct mono now);
/* The supervisor itself had been held up: nobody is late because of that. */
void child_grant_time(struct child *c, struct mono now, int64_t ms);

void child_pause(struct child *c, bool paused);
/* Sends the log level that is wanted from now on. */
void child_set_log_level(struct child *c, enum log_level level);

bool child_has_process(const struct child *c);
/* Whether its topic is sampled, by its process or else by its configuration. */
bool child_is_sampled(const struct child *c);
/* The field `state` of the status, and why; text may be "". */
enum worker_state child_shown_state(const struct child *c, struct mono now, char *reason, size_t size);

/* For child.c and child_frames.c: */
void child_set_state(struct child *c, enum child_state state);
void child_set_reported(struct child *c, enum worker_state state, const char *reason);
/* Channel callbacks; arg is the child. */
void child_on_frame(void *arg, const struct proto_frame *frame);
/* CONFIG, and what follows it for that kind of job */
void child_send_start(struct child *c, const struct strbuf *config);
int child_send(struct child *c, enum proto_type type, const struct strbuf *payload);

/* child_samples.c: samples and advisories. Before the process is started: */
void child_samples_start(struct child *c);
/* SAMPLES, ADVISORY: 0, or -1 with *e if the frame is malformed or out of place. */
int child_samples_frame(struct child *c, const struct proto_frame *f, struct error *e);
/* The batch of that serial is in the file, 0 for none; again: the file was lost. */
void child_samples_stored(struct child *c, const struct proto_samples_stored *stored);

#endif
