/* What the files of the lease share. Nobody else includes this. */
#ifndef SR_WORKER_LEASE_INTERNAL_H
#define SR_WORKER_LEASE_INTERNAL_H

#include "worker/lease.h"

enum {
	OPERATION_MAX_MS = 2000,
	OWNER_SLACK_MS = 1000, /* after which an operation counts as given up, whatever the owner does */
	BACKOFF_MIN_MS = 250,
	BACKOFF_MAX_MS = 2000,
	REFUSED_MIN_MS = 1000,
	REFUSED_MAX_MS = 30000,
	EXPIRED_MIN_MS = 750, /* after the end of a key's TTL */
	EXPIRED_MAX_MS = 1000,
	TAKEN_MIN_MS = 100, /* of a key that was taken from whoever held it: he learns of it like everybody */
	TAKEN_MAX_MS = 250,
	FREE_LONG_MS = 1000, /* a key that was handed over and that nobody took */
};

struct lease {
	int64_t ttl_ms, reserve_ms;
	uint64_t random, campaigns;
	bool reachable, retired;

	/* The key as seen last. */
	bool known; /* seen holds what is there, in this bucket */
	struct lease_entry seen;
	bool held;               /* somebody's, or it was before it went missing without a marker */
	struct mono held_until;  /* it will have expired then */
	struct mono free_since;  /* with LEASE_FREE */
	struct mono open_at;     /* campaign from then on, plus the reserve */
	struct mono leave_until; /* we handed it over */
	bool prior_other_map;    /* of who held it last and has not given it up in order */
	bool overtaken;          /* the watch told something while a read was out */

	/* The operation that is out. */
	bool out;
	enum lease_output_kind kind;
	uint64_t op, op_epoch;
	struct mono asked, deadline;
	uint64_t epoch; /* counts losses and buckets: answers to writes from before say nothing any more */

	/* The next one. */
	bool must_read, probe; /* probe: read instead of another try to win */
	bool failed;           /* to win, and nothing has changed since */
	struct mono retry_at, refused_until;
	int64_t backoff_ms, refused_ms;

	bool leads, yielding, unconfirmed, releasing, anew;
	enum lease_why why; /* yielding, unconfirmed, releasing */
	uint64_t term;
	uint64_t revision;   /* our key's: leading, unconfirmed, releasing */
	struct mono applied; /* when the newest write known to be applied was asked for */
	struct mono end, renew_at, yield_until;
	bool in_doubt; /* leading: writes on `revision` without a clear answer, the earliest at doubt_since */
	struct mono doubt_since;
	bool create_in_doubt;              /* not leading */
	bool claim_moved, claim_other_map; /* of the create asked for last */

	/* What is still to be told. */
	bool tell_lost, tell_won, tell_yield, tell_renewed;
	uint64_t lost_term;
	const char *lost_reason;
};

static inline struct mono
later(struct mono a, struct mono b)
{
	return a.ns > b.ns ? a : b;
}

static inline struct mono
earlier(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}

static inline int64_t
limited(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

/* lease.c: looks at the clock; the first thing that every entry point does. */
void lease_tick(struct lease *l, struct mono now);

/* lease_answers.c: there is no answer to the operation that is out, and none is waited for any more. */
void lease_give_up(struct lease *l, struct mono now);

/* lease_state.c: times, what the key is, gain and loss. */
/* Of a lease whose newest write was asked for then. */
struct mono lease_right_end(const struct lease *l, struct mono asked);
void lease_back_off(struct lease *l, struct mono now);
void lease_back_off_refused(struct lease *l, struct mono now);
/* The key is something else than before. */
void lease_observe(struct lease *l, struct mono now, const struct lease_entry *entry);
void lease_observe_ours(struct lease *l, struct mono now, uint64_t revision);
void lease_forget_failures(struct lease *l, struct mono now);
void lease_count_from(struct lease *l, struct mono asked);
void lease_win(struct lease *l, struct mono now, uint64_t revision);
/* entry: what is there now, NULL if that is not known. */
void lease_lose(struct lease *l, struct mono now, const char *reason, const struct lease_entry *entry);
void lease_lose_unconfirmed(struct lease *l, struct mono now);
void lease_begin_release(struct lease *l, struct mono now, enum lease_why why);
/* As with lease_lose(). */
void lease_end_release(struct lease *l, struct mono now, const struct lease_entry *entry);

#endif
