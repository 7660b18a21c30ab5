/*
 * The bucket of elections as a stream; used by electors and by `check --connect`. Pure.
 *
 * A bucket that was made by somebody else is used as it is or not at all, never changed. What is refused
 * here is what would let a key outlive its leader, vanish before its time, or never be written; whoever
 * reads the refusal must know which setting of which bucket to change.
 */
#include "common/nats/election_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/subject.h"
#include "common/units.h"

#define MS_NS              INT64_C(1000000)
#define DUPLICATES_MAX_NS  (INT64_C(120) * 1000 * MS_NS)
#define REPLICAS_WANTED    3
#define VALUE_BYTES        512 /* a value with its headers, unless names are very long */
#define ERR_NO_PEERS       10005
#define ERR_NO_RESOURCES   10023
#define ERR_NO_CLUSTER     10074 /* replicas > 1 on a server that stands alone */
#define ERR_STREAM_INVALID 10052 /* the same, by other servers */

static int
fits(int len, size_t size)
{
	return len < 0 || (size_t)len >= size ? -1 : len;
}

int
election_bucket_stream(char *out, size_t size, const char *bucket)
{
	return fits(snprintf(out, size, "KV_%s", bucket), size);
}

int
election_bucket_subject(char *out, size_t size, const char *domain, const char *bucket, const char *key)
{
	if (domain == NULL || *domain == '\0')
		return fits(snprintf(out, size, "$KV.%s.%s", bucket, key), size);
	return fits(snprintf(out, size, "$JS.%s.API.$KV.%s.%s", domain, bucket, key), size);
}

int
election_bucket_announce_subject(char *out, size_t size, const char *bucket)
{
	return fits(snprintf(out, size, "choria.stream-replicator.election.%s", bucket), size);
}

const char *
election_bucket_key(const char *bucket, const char *subject)
{
	size_t len = strlen(bucket);

	if (strncmp(subject, "$KV.", 4) != 0 || strncmp(subject + 4, bucket, len) != 0 ||
	    subject[4 + len] != '.' || subject[5 + len] == '\0')
		return NULL;
	return subject + 5 + len;
}

static bool
value_is(const struct header_line *line, const char *text)
{
	return line->value_len == strlen(text) && memcmp(line->value, text, line->value_len) == 0;
}

bool
election_bucket_is_marker(const char *headers, size_t len, char *release, size_t size)
{
	struct header_line line;

	release[0] = '\0';
	if (headers == NULL)
		return false;
	if (header_find(headers, len, ELECTION_RELEASE_HEADER, &line))
		snprintf(release, size, "%.*s", (int)line.value_len, line.value);
	if (header_find(headers, len, "KV-Operation", &line) &&
	    (value_is(&line, "DEL") || value_is(&line, "PURGE")))
		return true;
	return header_find(headers, len, "Nats-Marker-Reason", &line);
}

/* ---- making one ---------------------------------------------------------------------------------- */

uint32_t
election_bucket_replicas(const struct conf_election *election)
{
	return election->replicas > 0 ? election->replicas : REPLICAS_WANTED;
}

static json_t *
create_config(const struct conf_election *election, uint32_t replicas)
{
	char stream[SUBJECT_MAX], subject[SUBJECT_MAX];
	int64_t ttl_ns = election->ttl_ms * MS_NS;

	election_bucket_stream(stream, sizeof stream, election->bucket);
	election_bucket_subject(subject, sizeof subject, "", election->bucket, ">");
	return json_pack("{s:s, s:[s], s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:b, s:b, s:b}",
			 "name", stream, "subjects", subject, "retention", "limits", "storage", "file",
			 "discard", "new", "num_replicas", (int)replicas, "max_consumers", -1, "max_msgs", -1,
			 "max_bytes", -1, "max_msg_size", -1, "max_msgs_per_subject", 1, "max_age",
			 (json_int_t)ttl_ns, "duplicate_window",
			 (json_int_t)(ttl_ns < DUPLICATES_MAX_NS ? ttl_ns : DUPLICATES_MAX_NS),
			 "allow_rollup_hdrs", 1, "deny_delete", 1, "allow_direct", 1);
}

void
election_bucket_write_create(const struct conf_election *election, uint32_t replicas, struct strbuf *out)
{
	json_t *config = create_config(election, replicas);
	char *text = json_dumps(config, JSON_COMPACT);

	json_decref(config);
	if (text != NULL)
		strbuf_adds(out, text);
	free(text);
}

bool
election_bucket_refused_replicas(const struct jsapi_error *err)
{
	return err->err_code == ERR_NO_PEERS || err->err_code == ERR_NO_RESOURCES ||
	       err->err_code == ERR_NO_CLUSTER || err->err_code == ERR_STREAM_INVALID;
}

bool
election_bucket_lacks_servers(const struct jsapi_error *err)
{
	return err->err_code == ERR_NO_PEERS;
}

/* ---- whether one will do ------------------------------------------------------------------------- */

int64_t
election_bucket_ttl_ms(const struct jsapi_stream *stream)
{
	return stream->max_age_ns / MS_NS;
}

static bool
holds_keys(const struct conf_election *election, const struct jsapi_stream *s)
{
	const json_t *subjects = json_object_get(s->config, "subjects");
	char filter[SUBJECT_MAX];
	const char *subject;

	election_bucket_subject(filter, sizeof filter, "", election->bucket, ">");
	for (size_t i = 0; i < json_array_size(subjects); i++) {
		subject = json_string_value(json_array_get(subjects, i));
		if (subject != NULL && subject_filter_contains(subject, filter))
			return true;
	}
	return false;
}

static bool
in_memory(const struct jsapi_stream *s)
{
	const char *storage = json_string_value(json_object_get(s->config, "storage"));

	return storage != NULL && strcmp(storage, "memory") == 0;
}

static int
check_ttl(const char *bucket, const struct jsapi_stream *s, struct error *e)
{
	int64_t ttl = election_bucket_ttl_ms(s);
	char text[UNITS_SIZE];

	if (s->max_age_ns <= 0)
		return error_set(e, ERR_CONFLICT,
				 "bucket \"%s\": it has no TTL, so that the key of a leader that died would "
				 "stay; give it one of 1s to 1h (max_age of stream KV_%s)",
				 bucket, bucket);
	if (ttl >= ELECTION_TTL_MIN_MS && ttl <= ELECTION_TTL_MAX_MS)
		return 0;
	return error_set(
	    e, ERR_CONFLICT,
	    "bucket \"%s\": its TTL is %s, elections need one of 1s to 1h; change max_age of stream KV_%s",
	    bucket, units_format_duration(text, sizeof text, ttl), bucket);
}

static int
check_history(const char *bucket, const struct jsapi_stream *s, struct error *e)
{
	char text[32] = "unlimited";

	if (s->max_msgs_per_subject == 1)
		return 0;
	if (s->max_msgs_per_subject > 0)
		snprintf(text, sizeof text, "%lld", (long long)s->max_msgs_per_subject);
	return error_set(e, ERR_CONFLICT,
			 "bucket \"%s\": its history is %s, elections need 1; change max_msgs_per_subject of "
			 "stream KV_%s, or name another bucket",
			 bucket, text, bucket);
}

static int
check_size(const char *bucket, const struct jsapi_stream *s, struct error *e)
{
	if (s->max_msg_size < 0 || s->max_msg_size >= VALUE_BYTES)
		return 0;
	return error_set(
	    e, ERR_CONFLICT,
	    "bucket \"%s\": its messages may have %lld bytes, elections need %d; raise max_msg_size "
	    "of stream KV_%s",
	    bucket, (long long)s->max_msg_size, VALUE_BYTES, bucket);
}

/* What a stream may be that no bucket for elections can be; NULL: nothing of it. */
static const char *
unfit(const struct jsapi_stream *s)
{
	if (s->mirror)
		return "it is a mirror, which cannot be written to; name the bucket it mirrors";
	if (s->has_sources)
		return "it has sources, which write its keys beside the elections; name another bucket";
	if (s->sealed)
		return "it is sealed, so that nothing can be written; name another bucket";
	if (s->no_ack)
		return "it answers no writes (no_ack); change that, or name another bucket";
	if (s->retention != RETENTION_LIMITS)
		return "its retention is not limits, so that keys vanish when they were read; name another "
		       "bucket";
	if (s->discard_new_per_subject)
		return "it refuses to replace a key (discard_new_per_subject); change that, or name another "
		       "bucket";
	if (!s->discard_new && (s->max_msgs > 0 || s->max_bytes > 0))
		return "when it is full it drops its oldest keys, held or not; set discard = new, or name "
		       "another bucket";
	if (s->allow_msg_counter)
		return "it holds counters; name another bucket";
	if (s->has_subject_transform)
		return "it stores keys under other names (subject_transform); name another bucket";
	return NULL;
}

int
election_bucket_check(const struct conf_election *election, const struct jsapi_stream *stream,
		      struct error *e)
{
	const char *bucket = election->bucket, *why = unfit(stream);

	if (why != NULL)
		return error_set(e, ERR_CONFLICT, "bucket \"%s\": %s", bucket, why);
	if (!holds_keys(election, stream))
		return error_set(e, ERR_CONFLICT,
				 "bucket \"%s\": stream KV_%s is no bucket, its subjects lack $KV.%s.>; name "
				 "another bucket",
				 bucket, bucket, bucket);
	if (check_ttl(bucket, stream, e) != 0 || check_history(bucket, stream, e) != 0 ||
	    check_size(bucket, stream, e) != 0)
		return -1;
	if (in_memory(stream) && stream->replicas <= 1)
		return error_set(
		    e, ERR_CONFLICT,
		    "bucket \"%s\": it is kept in memory by one server, so that a restart forgets "
		    "who leads; use file storage or 3 replicas",
		    bucket);
	return 0;
}
