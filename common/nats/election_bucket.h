/*
 * The key-value bucket that elections are held in: what it is as a stream, how its messages read, which
 * buckets cannot serve and why. Pure; used by electors and by `check --connect`.
 *
 * Facts (as KV clients have it): bucket B is stream KV_B, key K is subject $KV.B.K. A delete is a message
 * with the header KV-Operation: DEL, a purge one with PURGE; a server that leaves a marker where a key
 * expired or was removed writes the header Nats-Marker-Reason. Our own deletes say in Choria-SR-Release why.
 */
#ifndef SR_COMMON_NATS_ELECTION_BUCKET_H
#define SR_COMMON_NATS_ELECTION_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/error.h"
#include "common/nats/jsapi.h"
#include "common/strbuf.h"

#define ELECTION_TTL_MIN_MS 1000
#define ELECTION_TTL_MAX_MS (60 * 60 * 1000)

#define ELECTION_RELEASE_HEADER "Choria-SR-Release"

/* Each writes a text into out and returns its length, or -1 if out is too small. */
int election_bucket_stream(char *out, size_t size, const char *bucket);
/* Subject that a key is written to; domain "" for none. key ">" makes the filter of them all. */
int election_bucket_subject(char *out, size_t size, const char *domain, const char *bucket, const char *key);
/* Where electors announce themselves. */
int election_bucket_announce_subject(char *out, size_t size, const char *bucket);

/* The key that a stored message's subject is of, within subject; NULL if it is of no key of the bucket. */
const char *election_bucket_key(const char *bucket, const char *subject);
/* Whether a message with these headers (raw block) says that its key is not there. release gets the value of
 * our own header, "" without it. */
bool election_bucket_is_marker(const char *headers, size_t len, char *release, size_t size);

/* Replicas to try first for a bucket that is made. */
uint32_t election_bucket_replicas(const struct conf_election *election);
/* Body of STREAM.CREATE for a bucket that is missing. */
void election_bucket_write_create(const struct conf_election *election, uint32_t replicas,
				  struct strbuf *out);
/* Whether the server refused to make it for its replicas, so that fewer may do. */
bool election_bucket_refused_replicas(const struct jsapi_error *err);
/* The refusal is that of a cluster that has too few servers now. */
bool election_bucket_lacks_servers(const struct jsapi_error *err);

int64_t election_bucket_ttl_ms(const struct jsapi_stream *stream);
/* 0 if elections can be held in it, else -1 with *e: bucket, what is wrong, value, cure. */
int election_bucket_check(const struct conf_election *election, const struct jsapi_stream *stream,
			  struct error *e);

#endif
