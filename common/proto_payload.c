/*
 * Payloads of the pipe protocol: encoders and decoders in pairs. Pure; used by both sides. Invariant: a
 * decoder takes every byte and checks every value, or refuses the whole payload and leaves nothing to
 * free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/proto_bytes.h"

/* The one way to refuse; what is wrong inside does not matter: it is a bug on the other side. */
static int
refuse(const char *what, size_t len, struct error *e)
{
	return error_set(e, ERR_PROTOCOL, "payload of %s, %zu bytes: malformed", what, len);
}

void
proto_hello_encode(struct strbuf *out, const struct proto_hello *v)
{
	bytes_put_u32(out, v->pid);
	bytes_put_text(out, v->version, sizeof v->version - 1);
}

int
proto_hello_decode(const uint8_t *data, size_t len, struct proto_hello *v, struct error *e)
{
	struct bytes in = {data, len, false};
	char *version;

	v->pid = bytes_get_u32(&in);
	version = bytes_get_text(&in, sizeof v->version - 1);
	snprintf(v->version, sizeof v->version, "%s", version);
	free(version);
	return bytes_end(&in) ? 0 : refuse("HELLO", len, e);
}

static void
put_checkpoint(struct strbuf *out, const struct proto_checkpoint *v)
{
	bytes_put_text(out, v->source_stream, PROTO_MAX_NAME);
	bytes_put_u64(out, (uint64_t)v->source_created_ns);
	bytes_put_u64(out, v->source_seq);
	bytes_put_text(out, v->target_stream, PROTO_MAX_NAME);
	bytes_put_u64(out, (uint64_t)v->target_created_ns);
	bytes_put_u64(out, v->target_seq);
	bytes_put_u64(out, v->in_flight);
	bytes_put_u64(out, v->map_hash);
	bytes_put_u64(out, (uint64_t)v->updated_ms);
}

static void
get_checkpoint(struct bytes *in, struct proto_checkpoint *v)
{
	v->source_stream = bytes_get_text(in, PROTO_MAX_NAME);
	v->source_created_ns = (int64_t)bytes_get_u64(in);
	v->source_seq = bytes_get_u64(in);
	v->target_stream = bytes_get_text(in, PROTO_MAX_NAME);
	v->target_created_ns = (int64_t)bytes_get_u64(in);
	v->target_seq = bytes_get_u64(in);
	v->in_flight = bytes_get_u64(in);
	v->map_hash = bytes_get_u64(in);
	v->updated_ms = (int64_t)bytes_get_u64(in);
}

void
proto_checkpoint_encode(struct strbuf *out, const struct proto_checkpoint *v)
{
	put_checkpoint(out, v);
}

int
proto_checkpoint_decode(const uint8_t *data, size_t len, struct proto_checkpoint *v, struct error *e)
{
	struct bytes in = {data, len, false};

	get_checkpoint(&in, v);
	if (bytes_end(&in))
		return 0;
	proto_checkpoint_fini(v);
	return refuse("CHECKPOINT", len, e);
}

void
proto_checkpoint_fini(struct proto_checkpoint *c)
{
	free(c->source_stream);
	free(c->target_stream);
	c->source_stream = c->target_stream = NULL;
}

void
proto_position_encode(struct strbuf *out, const struct proto_position *v)
{
	bytes_put_u8(out, v->have_checkpoint);
	if (v->have_checkpoint)
		put_checkpoint(out, &v->checkpoint);
	bytes_put_u8(out, v->paused);
	bytes_put_u8(out, v->apply_resume);
	bytes_put_u32(out, v->restarts);
}

int
proto_position_decode(const uint8_t *data, size_t len, struct proto_position *v, struct error *e)
{
	struct bytes in = {data, len, false};

	memset(v, 0, sizeof *v);
	v->have_checkpoint = bytes_get_bool(&in);
	if (v->have_checkpoint)
		get_checkpoint(&in, &v->checkpoint);
	v->paused = bytes_get_bool(&in);
	v->apply_resume = bytes_get_bool(&in);
	v->restarts = bytes_get_u32(&in);
	if (bytes_end(&in))
		return 0;
	proto_position_fini(v);
	return refuse("POSITION", len, e);
}

void
proto_position_fini(struct proto_position *p)
{
	proto_checkpoint_fini(&p->checkpoint);
	p->have_checkpoint = false;
}

void
proto_stats_encode(struct strbuf *out, const struct proto_stats *v)
{
	for (size_t i = 0; i < COUNTER_END; i++)
		bytes_put_u64(out, v->counter[i]);
	for (size_t i = 0; i < GAUGE_END; i++)
		bytes_put_u64(out, v->gauge[i]);
}

int
proto_stats_decode(const uint8_t *data, size_t len, struct proto_stats *v, struct error *e)
{
	struct bytes in = {data, len, false};

	for (size_t i = 0; i < COUNTER_END; i++)
		v->counter[i] = bytes_get_u64(&in);
	for (size_t i = 0; i < GAUGE_END; i++)
		v->gauge[i] = bytes_get_u64(&in);
	return bytes_end(&in) ? 0 : refuse("STATS", len, e);
}

void
proto_log_level_encode(struct strbuf *out, enum log_level level)
{
	bytes_put_u8(out, (uint8_t)level);
}

int
proto_log_level_decode(const uint8_t *data, size_t len, enum log_level *level, struct error *e)
{
	struct bytes in = {data, len, false};

	*level = (enum log_level)bytes_get_u8(&in);
	return bytes_end(&in) && *level <= LOG_LEVEL_ERROR ? 0 : refuse("LOG_LEVEL", len, e);
}

void
proto_state_encode(struct strbuf *out, const struct proto_state *v)
{
	bytes_put_u8(out, (uint8_t)v->state);
	bytes_put_text(out, v->reason, PROTO_MAX_TEXT);
}

int
proto_state_decode(const uint8_t *data, size_t len, struct proto_state *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->state = (enum worker_state)bytes_get_u8(&in);
	v->reason = bytes_get_text(&in, PROTO_MAX_TEXT);
	/* WAITING is the supervisor's word for a topic without process: no child can be in it. */
	if (bytes_end(&in) && v->state < WORKER_WAITING)
		return 0;
	proto_state_fini(v);
	return refuse("STATE", len, e);
}

void
proto_state_fini(struct proto_state *s)
{
	free(s->reason);
	s->reason = NULL;
}

void
proto_log_encode(struct strbuf *out, const struct proto_log *v)
{
	bytes_put_u8(out, (uint8_t)v->level);
	bytes_put_text(out, v->text, PROTO_MAX_TEXT);
}

int
proto_log_decode(const uint8_t *data, size_t len, struct proto_log *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->level = (enum log_level)bytes_get_u8(&in);
	v->text = bytes_get_text(&in, PROTO_MAX_TEXT);
	if (bytes_end(&in) && v->level <= LOG_LEVEL_ERROR)
		return 0;
	proto_log_fini(v);
	return refuse("LOG", len, e);
}

void
proto_log_fini(struct proto_log *l)
{
	free(l->text);
	l->text = NULL;
}

void
proto_incident_encode(struct strbuf *out, const struct proto_incident *v)
{
	bytes_put_text(out, v->kind, PROTO_MAX_NAME);
	bytes_put_text(out, v->detail, PROTO_MAX_TEXT);
}

int
proto_incident_decode(const uint8_t *data, size_t len, struct proto_incident *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->kind = bytes_get_text(&in, PROTO_MAX_NAME);
	v->detail = bytes_get_text(&in, PROTO_MAX_TEXT);
	if (bytes_end(&in) && v->kind[0] != '\0')
		return 0;
	proto_incident_fini(v);
	return refuse("INCIDENT", len, e);
}

void
proto_incident_fini(struct proto_incident *i)
{
	free(i->kind);
	free(i->detail);
	i->kind = i->detail = NULL;
}
