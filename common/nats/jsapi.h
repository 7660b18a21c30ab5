/*
 * The JetStream API as JSON: requests written, answers read. Pure; whoever sends them uses
 * nats_conn_request(). Protocol facts: nats-server 2.9 to 2.14, server/jetstream_api.go.
 */
#ifndef SR_COMMON_NATS_JSAPI_H
#define SR_COMMON_NATS_JSAPI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/strbuf.h"

/* "$JS.API." or "$JS.<domain>.API." and the verb; returns its length or -1 if out is too small. */
int jsapi_subject(char *out, size_t out_size, const char *domain, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Error part of an answer. err_code 0: no error. */
struct jsapi_error {
	int code;     /* like HTTP's: 404, 503 */
	int err_code; /* 10059 stream not found, 10014 consumer not found, 10037 no message found, … */
	char description[256];
};
#define JSAPI_STREAM_NOT_FOUND             10059
#define JSAPI_CONSUMER_NOT_FOUND           10014
#define JSAPI_MESSAGE_NOT_FOUND            10037
#define JSAPI_WRONG_LAST_SEQUENCE          10071
#define JSAPI_WRONG_LAST_SEQUENCE_CONSTANT 10164
#define JSAPI_STREAM_NAME_EXISTS           10058

enum jsapi_retention { RETENTION_LIMITS, RETENTION_INTEREST, RETENTION_WORKQUEUE };

struct jsapi_stream {
	char name[256];
	int64_t created_ns; /* identity, with the name */
	uint64_t first_seq, last_seq, messages, bytes;
	uint64_t num_deleted;
	int64_t last_time_ns; /* 0 if empty */
	int64_t first_time_ns;
	enum jsapi_retention retention;
	bool discard_new, discard_new_per_subject;
	bool no_ack, sealed, mirror, has_sources, deny_delete, deny_purge, allow_rollup, allow_direct;
	bool allow_msg_ttl, allow_msg_counter, allow_msg_schedules, subject_delete_markers, allow_atomic;
	bool has_subject_transform;
	int64_t max_msg_size; /* -1 unlimited */
	int64_t max_msgs, max_bytes, max_msgs_per_subject;
	int64_t max_age_ns, duplicate_window_ns;
	int replicas;
	char leader[128]; /* "" if the cluster has none now, or not clustered */
	bool clustered;
	json_t *config; /* the whole configuration as the server gave it */
};
void jsapi_stream_fini(struct jsapi_stream *s);

struct jsapi_consumer {
	char name[256];
	int64_t created_ns;
	uint64_t delivered_stream_seq, delivered_consumer_seq;
	uint64_t ack_floor_stream_seq, ack_floor_consumer_seq;
	uint64_t num_ack_pending, num_pending, num_waiting, num_redelivered;
	int64_t max_ack_pending; /* as granted */
	json_t *config;
};
void jsapi_consumer_fini(struct jsapi_consumer *c);

/*
 * Each reader takes an answer's body. 0: *out is filled. 1: the server answered with an error, *err is
 * filled. -1: no sense in it, *e says what.
 */
int jsapi_read_stream(const char *data, size_t len, struct jsapi_stream *out, struct jsapi_error *err,
		      struct error *e);
int jsapi_read_consumer(const char *data, size_t len, struct jsapi_consumer *out, struct jsapi_error *err,
			struct error *e);
/* Answers that only say success (delete, purge). */
int jsapi_read_success(const char *data, size_t len, struct jsapi_error *err, struct error *e);

/* A stored message, of STREAM.MSG.GET. Owns its bytes. */
struct jsapi_stored {
	char *subject;
	uint64_t seq;
	int64_t stored_ns;
	char *headers; /* decoded raw block, NULL for none */
	size_t headers_len;
	char *data;
	size_t data_len;
};
int jsapi_read_stored(const char *data, size_t len, struct jsapi_stored *out, struct jsapi_error *err,
		      struct error *e);
void jsapi_stored_fini(struct jsapi_stored *m);

/* The answer to a publish. */
struct jsapi_puback {
	uint64_t seq;
	bool duplicate;
	struct jsapi_error error; /* err_code 0 and code 0: accepted */
	char domain[128];
	char stream[256];
};
/* Fast: no allocation for the usual form. 0, or -1 if it is no such answer. */
int jsapi_read_puback(const char *data, size_t len, struct jsapi_puback *out);

struct jsapi_consumer_request {
	const char *stream;
	const char *name; /* durable name; for an ephemeral one the name too (2.9 and newer) */
	bool durable;
	bool ack_explicit; /* else ack all, or with ack_none none */
	bool ack_none;
	bool headers_only;
	bool memory;                /* mem_storage, replicas 1: for our own ephemeral readers */
	const char *const *filters; /* filter_count of them; one goes as filter_subject */
	size_t filter_count;
	uint64_t start_seq;          /* 0: not by sequence */
	int64_t start_time_ns;       /* 0: not by time; neither: deliver all */
	bool last_per_subject;       /* start with the newest message of each subject; needs a filter */
	const char *deliver_subject; /* push to there; NULL: pull */
	int64_t idle_heartbeat_ns;   /* with deliver_subject; 0: none */
	int64_t max_ack_pending;     /* -1 unlimited */
	int64_t ack_wait_ns;
	int64_t inactive_threshold_ns; /* 0: none */
};
/* Appends the body for $JS.API.CONSUMER.DURABLE.CREATE.<stream>.<name> or, not durable,
 * $JS.API.CONSUMER.CREATE.<stream>. */
void jsapi_write_consumer(const struct jsapi_consumer_request *r, struct strbuf *out);
/*
 * Compares what the server echoes with what was asked. 0 if all is there; else -1 and *e lists in words
 * what the server dropped or changed. *filters_ignored tells of filters alone (servers before 2.10 drop
 * filter_subjects without a word).
 */
int jsapi_check_consumer(const struct jsapi_consumer_request *r, const struct jsapi_consumer *got,
			 bool *filters_ignored, struct error *e);

/* Body of CONSUMER.MSG.NEXT. max_bytes 0: none. */
void jsapi_write_pull(struct strbuf *out, uint64_t batch, uint64_t max_bytes, int64_t expires_ns,
		      int64_t idle_heartbeat_ns);

/*
 * Configuration of a target stream made from the source's: mapped subjects, no sources, mirror,
 * placement, nothing that makes it grow or refuse by itself (delete markers, schedules, counters,
 * no_ack, sealed, transforms, republish), at most max_replicas replicas. Returns a new object, or NULL
 * with *e. map: subject_map of the topic.
 */
json_t *jsapi_target_config(const struct jsapi_stream *source, const char *target_name, const char *prefix,
			    const char *remove, const char *const *filters, size_t filter_count,
			    int max_replicas, struct error *e);

#endif
