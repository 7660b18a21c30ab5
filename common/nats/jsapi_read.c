/*
 * Answers of the JetStream API, JSON to structs; used by workers and commands. Pure. Everything comes
 * from outside: a field that is missing or of another type reads as zero, a text that is too long is cut,
 * only an answer that is no object at all makes no sense.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/nats/jsapi.h"
#include "common/xalloc.h"

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

static void
copy_text(const json_t *o, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%s", text_of(o, key));
}

static int64_t
int_of(const json_t *o, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(o, key));
}

static uint64_t
uint_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static bool
bool_of(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static bool
has_items(const json_t *o, const char *key)
{
	return json_array_size(json_object_get(o, key)) > 0;
}

/* 0 for none; the server writes year 1 where there is no message. */
static int64_t
time_of(const json_t *o, const char *key)
{
	const char *text = text_of(o, key);
	int64_t ns;

	if (strncmp(text, "0001-", 5) == 0 || rfc3339_parse(text, &ns) < 0)
		return 0;
	return ns;
}

static void
read_error(const json_t *root, struct jsapi_error *err)
{
	const json_t *o = json_object_get(root, "error");

	err->code = (int)int_of(o, "code");
	err->err_code = (int)int_of(o, "err_code");
	copy_text(o, "description", err->description, sizeof err->description);
	/* An answer may carry an error that has no number of its own. */
	if (json_is_object(o) && err->code == 0 && err->err_code == 0)
		err->code = 500;
}

/* The answer as an object that the caller decrefs. 0, 1 with *err, -1 with *e. */
static int
load(const char *data, size_t len, json_t **root, struct jsapi_error *err, struct error *e)
{
	json_error_t why;

	memset(err, 0, sizeof *err);
	*root = json_loadb(data, len, JSON_DISABLE_EOF_CHECK, &why);
	if (!json_is_object(*root)) {
		json_decref(*root);
		return error_set(e, ERR_PROTOCOL, "JetStream: the answer is no JSON object: %s", why.text);
	}
	if (json_object_get(*root, "error") == NULL)
		return 0;
	read_error(*root, err);
	json_decref(*root);
	return 1;
}

/* ---- streams --------------------------------------------------------------------------------------- */

static enum jsapi_retention
retention_of(const json_t *config)
{
	const char *name = text_of(config, "retention");

	if (strcmp(name, "interest") == 0)
		return RETENTION_INTEREST;
	return strcmp(name, "workqueue") == 0 ? RETENTION_WORKQUEUE : RETENTION_LIMITS;
}

static void
read_flags(const json_t *config, struct jsapi_stream *s)
{
	s->discard_new = strcmp(text_of(config, "discard"), "new") == 0;
	s->discard_new_per_subject = bool_of(config, "discard_new_per_subject");
	s->no_ack = bool_of(config, "no_ack");
	s->sealed = bool_of(config, "sealed");
	s->mirror = json_is_object(json_object_get(config, "mirror"));
	s->has_sources = has_items(config, "sources");
	s->deny_delete = bool_of(config, "deny_delete");
	s->deny_purge = bool_of(config, "deny_purge");
	s->allow_rollup = bool_of(config, "allow_rollup_hdrs");
	s->allow_direct = bool_of(config, "allow_direct");
	s->allow_msg_ttl = bool_of(config, "allow_msg_ttl");
	s->allow_msg_counter = bool_of(config, "allow_msg_counter");
	s->allow_msg_schedules = bool_of(config, "allow_msg_schedules");
	s->subject_delete_markers = int_of(config, "subject_delete_marker_ttl") > 0;
	s->allow_atomic = bool_of(config, "allow_atomic");
	s->has_subject_transform = json_is_object(json_object_get(config, "subject_transform"));
}

static void
read_config(json_t *config, struct jsapi_stream *s)
{
	copy_text(config, "name", s->name, sizeof s->name);
	s->retention = retention_of(config);
	read_flags(config, s);
	s->max_msg_size = int_of(config, "max_msg_size");
	if (s->max_msg_size == 0)
		s->max_msg_size = -1;
	s->max_msgs = int_of(config, "max_msgs");
	s->max_bytes = int_of(config, "max_bytes");
	s->max_msgs_per_subject = int_of(config, "max_msgs_per_subject");
	s->max_age_ns = int_of(config, "max_age");
	s->duplicate_window_ns = int_of(config, "duplicate_window");
	s->replicas = (int)int_of(config, "num_replicas");
	s->config = json_incref(config);
}

int
jsapi_read_stream(const char *data, size_t len, struct jsapi_stream *out, struct jsapi_error *err,
		  struct error *e)
{
	json_t *root, *config, *state, *cluster;
	int result = load(data, len, &root, err, e);

	if (result != 0)
		return result;
	config = json_object_get(root, "config");
	state = json_object_get(root, "state");
	cluster = json_object_get(root, "cluster");
	if (!json_is_object(config) || !json_is_object(state)) {
		json_decref(root);
		return error_set(e, ERR_PROTOCOL, "JetStream: the answer is no stream info");
	}
	memset(out, 0, sizeof *out);
	read_config(config, out);
	out->created_ns = time_of(root, "created");
	out->first_seq = uint_of(state, "first_seq");
	out->last_seq = uint_of(state, "last_seq");
	out->messages = uint_of(state, "messages");
	out->bytes = uint_of(state, "bytes");
	out->num_deleted = uint_of(state, "num_deleted");
	out->first_time_ns = time_of(state, "first_ts");
	out->last_time_ns = time_of(state, "last_ts");
	out->clustered = cluster != NULL && *text_of(cluster, "name") != '\0';
	copy_text(cluster, "leader", out->leader, sizeof out->leader);
	json_decref(root);
	return 0;
}

void
jsapi_stream_fini(struct jsapi_stream *s)
{
	json_decref(s->config);
	s->config = NULL;
}

/* ---- consumers ------------------------------------------------------------------------------------- */

int
jsapi_read_consumer(const char *data, size_t len, struct jsapi_consumer *out, struct jsapi_error *err,
		    struct error *e)
{
	json_t *root, *config, *delivered, *floor;
	int result = load(data, len, &root, err, e);

	if (result != 0)
		return result;
	config = json_object_get(root, "config");
	if (!json_is_object(config)) {
		json_decref(root);
		return error_set(e, ERR_PROTOCOL, "JetStream: the answer is no consumer info");
	}
	delivered = json_object_get(root, "delivered");
	floor = json_object_get(root, "ack_floor");
	memset(out, 0, sizeof *out);
	copy_text(root, "name", out->name, sizeof out->name);
	out->created_ns = time_of(root, "created");
	out->delivered_stream_seq = uint_of(delivered, "stream_seq");
	out->delivered_consumer_seq = uint_of(delivered, "consumer_seq");
	out->ack_floor_stream_seq = uint_of(floor, "stream_seq");
	out->ack_floor_consumer_seq = uint_of(floor, "consumer_seq");
	out->num_ack_pending = uint_of(root, "num_ack_pending");
	out->num_pending = uint_of(root, "num_pending");
	out->num_waiting = uint_of(root, "num_waiting");
	out->num_redelivered = uint_of(root, "num_redelivered");
	out->max_ack_pending = int_of(config, "max_ack_pending");
	out->config = json_incref(config);
	json_decref(root);
	return 0;
}

void
jsapi_consumer_fini(struct jsapi_consumer *c)
{
	json_decref(c->config);
	c->config = NULL;
}

int
jsapi_read_success(const char *data, size_t len, struct jsapi_error *err, struct error *e)
{
	json_t *root;
	int result = load(data, len, &root, err, e);

	if (result != 0)
		return result;
	if (!bool_of(root, "success"))
		result = error_set(e, ERR_PROTOCOL, "JetStream: the answer tells neither success nor error");
	json_decref(root);
	return result;
}

/* ---- stored messages ------------------------------------------------------------------------------- */

/* Value of a base64 digit, -1 for others. */
static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Base64 to bytes with a NUL behind them, *len without it. NULL if it is none. */
static char *
decode(const json_t *text, size_t *len)
{
	const char *in = json_string_value(text);
	size_t in_len = json_string_length(text), i;
	char *out = xmalloc(in_len / 4 * 3 + 4), *to = out;
	uint32_t bits = 0;
	int d;

	while (in_len > 0 && in[in_len - 1] == '=')
		in_len--;
	for (i = 0; i < in_len; i++) {
		d = digit(in[i]);
		if (d < 0) {
			free(out);
			return NULL;
		}
		bits = bits << 6 | (uint32_t)d;
		/* Each digit but the first of four completes a byte. */
		if (i % 4 != 0)
			*to++ = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*to = '\0';
	*len = (size_t)(to - out);
	return out;
}

static int
read_message(const json_t *message, struct jsapi_stored *out)
{
	const json_t *headers = json_object_get(message, "hdrs");

	out->subject = xstrdup(text_of(message, "subject"));
	out->seq = uint_of(message, "seq");
	out->stored_ns = time_of(message, "time");
	out->data = decode(json_object_get(message, "data"), &out->data_len);
	if (json_string_length(headers) > 0) {
		out->headers = decode(headers, &out->headers_len);
		if (out->headers == NULL)
			return -1;
	}
	return out->data != NULL && out->seq > 0 ? 0 : -1;
}

int
jsapi_read_stored(const char *data, size_t len, struct jsapi_stored *out, struct jsapi_error *err,
		  struct error *e)
{
	json_t *root;
	int result = load(data, len, &root, err, e);

	if (result != 0)
		return result;
	memset(out, 0, sizeof *out);
	if (read_message(json_object_get(root, "message"), out) < 0) {
		jsapi_stored_fini(out);
		result = error_set(e, ERR_PROTOCOL, "JetStream: the answer holds no stored message");
	}
	json_decref(root);
	return result;
}

void
jsapi_stored_fini(struct jsapi_stored *m)
{
	free(m->subject);
	free(m->headers);
	free(m->data);
	memset(m, 0, sizeof *m);
}

/* ---- answers to publishes -------------------------------------------------------------------------- */

/* Reads of the usual form, in place: at moves on only if what is wanted is there. */
struct scan {
	const char *at, *end;
};

static bool
scan_literal(struct scan *s, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, literal, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* Up to the closing quote; with an escape or too long it is not the usual form. */
static bool
scan_text(struct scan *s, char *out, size_t size)
{
	const char *quote = memchr(s->at, '"', (size_t)(s->end - s->at));
	size_t len;

	if (quote == NULL)
		return false;
	len = (size_t)(quote - s->at);
	if (len >= size || memchr(s->at, '\\', len) != NULL)
		return false;
	memcpy(out, s->at, len);
	out[len] = '\0';
	s->at = quote + 1;
	return true;
}

static bool
scan_number(struct scan *s, uint64_t *number)
{
	const char *start = s->at;

	for (*number = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
		*number = *number * 10 + (uint64_t)(*s->at - '0');
	return s->at > start && s->at - start <= 19;
}

/* {"stream":"S","seq":1} with "domain" and "duplicate" behind it, as servers write it. */
static bool
scan_puback(struct scan *s, struct jsapi_puback *out)
{
	if (!scan_literal(s, "{\"stream\":\"") || !scan_text(s, out->stream, sizeof out->stream))
		return false;
	if (!scan_literal(s, ",") || (scan_literal(s, " "), !scan_literal(s, "\"seq\":")) ||
	    !scan_number(s, &out->seq))
		return false;
	if (scan_literal(s, ",\"domain\":\"") && !scan_text(s, out->domain, sizeof out->domain))
		return false;
	if (scan_literal(s, ",\"duplicate\":true") || scan_literal(s, ",\"duplicate\": true"))
		out->duplicate = true;
	return scan_literal(s, "}");
}

static void
puback_clear(struct jsapi_puback *out)
{
	out->seq = 0;
	out->duplicate = false;
	out->error.code = out->error.err_code = 0;
	out->error.description[0] = out->domain[0] = out->stream[0] = '\0';
}

int
jsapi_read_puback(const char *data, size_t len, struct jsapi_puback *out)
{
	struct scan s = {data, data + len};
	json_error_t why;
	json_t *root;
	int result = 0;

	puback_clear(out);
	if (scan_puback(&s, out))
		return 0;
	puback_clear(out);
	root = json_loadb(data, len, JSON_DISABLE_EOF_CHECK, &why);
	if (json_object_get(root, "error") != NULL)
		read_error(root, &out->error);
	else if (!json_is_integer(json_object_get(root, "seq")))
		result = -1;
	out->seq = uint_of(root, "seq");
	out->duplicate = bool_of(root, "duplicate");
	copy_text(root, "domain", out->domain, sizeof out->domain);
	copy_text(root, "stream", out->stream, sizeof out->stream);
	json_decref(root);
	return result;
}
