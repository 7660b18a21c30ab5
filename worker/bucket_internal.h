/* What the files of the bucket share; see bucket.h. */
#ifndef SR_WORKER_BUCKET_INTERNAL_H
#define SR_WORKER_BUCKET_INTERNAL_H

#include "common/nats/ask.h"
#include "common/nats/election_bucket.h"
#include "common/subject.h"
#include "worker/bucket.h"
#include "worker/bucket_watch.h"

enum bucket_phase {
	BUCKET_DOWN,     /* no connection */
	BUCKET_LOOKING,  /* STREAM.INFO, or making it, for the first time on this connection */
	BUCKET_UNUSABLE, /* looked at again after a while */
	BUCKET_USABLE,
};

struct bucket {
	struct event_base *base;
	struct ask_end end;
	const struct conf_election *election;
	struct bucket_callbacks callbacks;
	void *arg;
	char stream[SUBJECT_NAME_MAX + 1];

	enum bucket_phase phase;
	struct nats_request *request; /* STREAM.INFO or STREAM.CREATE */
	bool creating;                /* it is the latter */
	struct event *look_timer;
	struct mono looked, look_at; /* the last time; when the timer is due */
	int64_t backoff_ms;          /* of the next look at an unusable one */
	uint32_t replicas;           /* asked for in STREAM.CREATE */
	struct mono short_since;     /* the cluster has too few servers for them; 0: not so */
	int64_t created_ns;          /* of the bucket that was used last; 0: none yet */
	uint64_t highest;            /* revision that was seen in it */
	int64_t ttl_ms;
	bool gone_told, ttl_told;

	char look_doubt[640], watch_doubt[640], told_doubt[640]; /* "" for none */
	struct bucket_watch *watch;
	struct bucket_op *ops; /* writes and reads that are out */
};

/* Something went wrong that a look at the stream may explain: soon, but not more than once a second. */
void bucket_look_soon(struct bucket *b);
/* The server's complaint is about a publish to exactly that subject. */
bool bucket_violates(const char *text, const char *subject);

void bucket_ops_async_error(struct bucket *b, const char *text);
void bucket_ops_free(struct bucket *b);

#endif
