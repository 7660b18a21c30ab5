/*
 * One election bucket over one connection: found or made, checked, watched, read and written to. It knows
 * nothing of elections but what a bucket for them must be (common/nats/election_bucket.h), and decides
 * nothing: who may write what is the lease's.
 *
 * The owner of the connection tells when it is up and down and what the server complained of. While the
 * connection is up the bucket looks after itself: it is looked at every 10 s, after each reconnect and when
 * something seems wrong, made if it is missing and may be made, and its watch is set up anew whenever it fell
 * silent or lost something.
 */
#ifndef SR_WORKER_BUCKET_H
#define SR_WORKER_BUCKET_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/nats/conn.h"
#include "worker/lease.h"

struct bucket;

/* What stands under a key; borrowed, valid until the callback returns. */
struct bucket_entry {
	const char *key;
	uint64_t revision; /* 0: there is no message for that key */
	bool marker;       /* of a delete or an expiry, or there is no message: the key is free */
	char release[32];  /* of a marker: why it was given up, as written; "" for not known */
	const char *data;  /* never NULL */
	size_t len;
};

struct bucket_callbacks {
	/* It can be used: found, or found again, or with another TTL. anew: it is another bucket than
	 * before. */
	void (*usable)(void *arg, int64_t ttl_ms, bool anew);
	/* It cannot be used; words name it and the cure. gone: it was there, and does not exist any more. Not
	 * called for a lost connection. */
	void (*unusable)(void *arg, const char *words, bool gone);
	/* It is used, but something about it does not work (questions go without an answer, it cannot be
	 * watched). "" when all is well again. */
	void (*doubt)(void *arg, const char *words);
	/* The watch delivered what stands under a key, or was written to it. */
	void (*entry)(void *arg, const struct bucket_entry *entry);
};

/* conn, election and domain ("" for none) are borrowed and must outlive it. */
struct bucket *bucket_new(struct event_base *base, struct nats_conn *conn,
			  const struct conf_election *election, const char *domain,
			  const struct bucket_callbacks *callbacks, void *arg);
/* Writes and reads that are out end without a callback. */
void bucket_free(struct bucket **b);

/* The connection's callbacks of the same names. */
void bucket_up(struct bucket *b);
void bucket_down(struct bucket *b);
void bucket_async_error(struct bucket *b, const char *text);

bool bucket_is_usable(const struct bucket *b);

/*
 * Writes. Each is conditional on the key's revision (0: there is no message for it) and answered once, later:
 * `op` as given, the revision with LEASE_APPLIED, else words. One that cannot be sent is LEASE_REFUSED.
 */
typedef void bucket_written_fn(void *arg, uint64_t op, enum lease_answer answer, uint64_t revision,
			       const char *words);
void bucket_put(struct bucket *b, const char *key, uint64_t revision, const char *data, size_t len,
		int64_t timeout_ms, bucket_written_fn *fn, void *arg, uint64_t op);
/* release: for the marker, why it is given up. */
void bucket_delete(struct bucket *b, const char *key, uint64_t revision, const char *release,
		   int64_t timeout_ms, bucket_written_fn *fn, void *arg, uint64_t op);
/* Reads a key from the bucket's leader; entry NULL with words: no answer. */
typedef void bucket_read_fn(void *arg, uint64_t op, const struct bucket_entry *entry, const char *words);
void bucket_read(struct bucket *b, const char *key, int64_t timeout_ms, bucket_read_fn *fn, void *arg,
		 uint64_t op);

#endif
