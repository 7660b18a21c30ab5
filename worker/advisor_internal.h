/* Inside of the advisor: shared by its files, and by tests that shorten its times. */
#ifndef SR_WORKER_ADVISOR_INTERNAL_H
#define SR_WORKER_ADVISOR_INTERNAL_H

#include <sys/queue.h>

#include "common/clock.h"
#include "worker/advisor.h"
#include "worker/outbox.h"

struct advisor_limits {
	int64_t answer_ms;                        /* a stream has so long to acknowledge */
	int64_t backoff_first_ms, backoff_max_ms; /* between tries */
	uint32_t tries;                           /* then it is given up */
	size_t out_max;                           /* reliable ones on their way at once */
	size_t waiting_max;                       /* reliable ones in memory */
	size_t core_max;                          /* core ones that wait for a connection */
	int64_t core_wait_ms;                     /* and for how long */
	int64_t tell_every_ms;                    /* the same trouble is told at most so often */
};
/* For tests, before anything is raised or loaded. */
void advisor_set_limits(struct advisor *a, const struct advisor_limits *limits);
extern const struct advisor_limits advisor_default_limits;

/* A core advisory that waits for a connection, or for the server to read. */
struct core_item {
	STAILQ_ENTRY(core_item) next;
	struct mono until;
	char *subject, *body;
	size_t body_len;
};
STAILQ_HEAD(core_queue, core_item);

struct advisor {
	struct nats_conn *conn;
	const struct conf *conf;
	const struct conf_topic *topic;
	struct advisor_callbacks callbacks;
	void *arg;
	struct advisor_limits limits;
	struct event *timer;
	bool leads;

	struct outbox *outbox;
	struct core_queue core;
	size_t core_count;
	struct advisor_figures figures;

	bool warned, warned_ever; /* of the present trouble; since the start */
	struct mono warned_at;
	bool overflow_told;
	uint64_t given_up; /* of which no incident tells yet */
	char given_up_last[1200];
	bool given_up_told;
	struct mono given_up_told_at;
};

/* advisor.c */
bool advisor_may_send(const struct advisor *a);
/* Looks at all that waits as soon as the loop is back. */
void advisor_wake(struct advisor *a);
/* Logs the trouble of now, not too often. */
void advisor_warn(struct advisor *a, const char *subject, const char *reason);
/* An advisory was taken by the server or a stream: the trouble is over. */
void advisor_went_well(struct advisor *a);

/* advisor_core.c. The texts are copied. */
void core_raise(struct advisor *a, const char *subject, const struct strbuf *body);
/* Sends what waits, drops what waited too long. */
void core_pump(struct advisor *a);
void core_free(struct advisor *a);

/* advisor_reliable.c */
bool reliable_raise(struct advisor *a, const struct advisory *advisory, const char *subject,
		    const struct strbuf *body);
void reliable_pump(struct advisor *a);
/* Tells of given up ones by an incident, if it is time. */
void reliable_tell(struct advisor *a);
void reliable_free(struct advisor *a);

#endif
