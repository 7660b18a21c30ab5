/*
 * Frames of the pipe between supervisor and child, and the names of what goes over it. Used by both
 * sides. Invariant: one table says for each type who may send it and how long it may be; a frame that
 * the table does not allow never reaches a payload decoder (those are in proto_payload.c).
 */
#include "common/proto.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto_bytes.h"

struct rule {
	const char *name;
	enum proto_side sender;
	uint32_t min; /* payload bytes */
	uint32_t max;
};

#define STATS_SIZE ((uint32_t)sizeof(uint64_t) * (COUNTER_END + GAUGE_END))

static const struct rule rules[PROTO_TYPE_END] = {
    [PROTO_CONFIG] = {"CONFIG", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_POSITION] = {"POSITION", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_PAUSE] = {"PAUSE", PROTO_SUPERVISOR, 0, 0},
    [PROTO_RESUME] = {"RESUME", PROTO_SUPERVISOR, 0, 0},
    [PROTO_DRAIN] = {"DRAIN", PROTO_SUPERVISOR, 0, 0},
    [PROTO_LOG_LEVEL] = {"LOG_LEVEL", PROTO_SUPERVISOR, 1, 1},
    [PROTO_ROLE] = {"ROLE", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_ELECT] = {"ELECT", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_ABLE] = {"ABLE", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_STEP_DOWN] = {"STEP_DOWN", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_RELEASE] = {"RELEASE", PROTO_SUPERVISOR, 1, PROTO_MAX_PAYLOAD},
    [PROTO_HELLO] = {"HELLO", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_READY] = {"READY", PROTO_CHILD, 0, 0},
    [PROTO_CHECKPOINT] = {"CHECKPOINT", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_STATS] = {"STATS", PROTO_CHILD, STATS_SIZE, STATS_SIZE},
    [PROTO_STATE] = {"STATE", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_LOG] = {"LOG", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_INCIDENT] = {"INCIDENT", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_ROLE_DONE] = {"ROLE_DONE", PROTO_CHILD, 8, 8},
    [PROTO_WON] = {"WON", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_LOST] = {"LOST", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_YIELD] = {"YIELD", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_ELECTION] = {"ELECTION", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_ALIVE] = {"ALIVE", PROTO_SUPERVISOR, 0, 0},
    [PROTO_SAMPLES] = {"SAMPLES", PROTO_CHILD, 12, PROTO_MAX_PAYLOAD},
    [PROTO_ADVISORY] = {"ADVISORY", PROTO_CHILD, 1, PROTO_MAX_PAYLOAD},
    [PROTO_SAMPLES_STORED] = {"SAMPLES_STORED", PROTO_SUPERVISOR, 9, 9},
};

const char *
proto_type_name(enum proto_type type)
{
	return (unsigned)type < PROTO_TYPE_END && rules[type].name != NULL ? rules[type].name : "unknown";
}

static const char *const job_names[JOB_END] = {
    [JOB_REPLICATE] = "replicate",
    [JOB_ELECT] = "elect",
    [JOB_HEARTBEAT] = "heartbeat",
};

const char *
proto_job_name(enum proto_job job)
{
	return (unsigned)job < JOB_END ? job_names[job] : "unknown";
}

enum proto_job
proto_job_find(const char *name)
{
	int job = 0;

	while (job < JOB_END && strcmp(job_names[job], name) != 0)
		job++;
	return (enum proto_job)job;
}

void
proto_frame_encode(struct strbuf *out, enum proto_type type, uint64_t generation, const void *payload,
		   size_t len)
{
	if (len > PROTO_MAX_PAYLOAD) {
		fprintf(stderr, "frame %s of %zu bytes is longer than the protocol allows\n",
			proto_type_name(type), len);
		abort();
	}
	bytes_put_u16(out, PROTO_VERSION);
	bytes_put_u16(out, (uint16_t)type);
	bytes_put_u32(out, (uint32_t)len);
	bytes_put_u64(out, generation);
	if (len > 0)
		strbuf_add(out, payload, len);
}

static int
check_header(uint16_t version, uint16_t type, uint32_t len, enum proto_side sender, struct error *e)
{
	const struct rule *rule;

	if (version != PROTO_VERSION)
		return error_set(e, ERR_PROTOCOL, "frame of protocol version %u, this is %d", version,
				 PROTO_VERSION);
	if (type >= PROTO_TYPE_END || rules[type].name == NULL)
		return error_set(e, ERR_PROTOCOL, "frame of unknown type %u", type);
	rule = &rules[type];
	if (rule->sender != sender)
		return error_set(e, ERR_PROTOCOL, "frame %s from the side that may not send it", rule->name);
	if (len < rule->min || len > rule->max)
		return error_set(e, ERR_PROTOCOL,
				 "frame %s of %" PRIu32 " bytes, want %" PRIu32 " to %" PRIu32, rule->name,
				 len, rule->min, rule->max);
	return 0;
}

enum proto_result
proto_frame_decode(const uint8_t *data, size_t len, enum proto_side sender, struct proto_frame *frame,
		   size_t *used, struct error *e)
{
	struct bytes in = {data, len, false};
	uint16_t version, type;
	uint32_t payload_len;

	if (len < PROTO_HEADER_SIZE)
		return PROTO_MORE;
	version = bytes_get_u16(&in);
	type = bytes_get_u16(&in);
	payload_len = bytes_get_u32(&in);
	frame->generation = bytes_get_u64(&in);
	if (check_header(version, type, payload_len, sender, e) != 0)
		return PROTO_BROKEN;
	if (in.left < payload_len)
		return PROTO_MORE;
	frame->type = (enum proto_type)type;
	frame->payload = in.at;
	frame->len = payload_len;
	*used = PROTO_HEADER_SIZE + (size_t)payload_len;
	return PROTO_FRAME;
}

const char *
proto_exit_text(int code)
{
	switch (code) {
	case PROTO_EXIT_OK:
		return "ended as asked";
	case PROTO_EXIT_FAILED:
		return "failed, worth another try";
	case PROTO_EXIT_USAGE:
		return "wrongly started";
	case PROTO_EXIT_ORPHAN:
		return "lost its supervisor";
	case PROTO_EXIT_BUG:
		return "stopped itself: an invariant did not hold";
	case PROTO_EXIT_PERMANENT:
		return "cannot work with this configuration";
	case PROTO_EXIT_EXEC:
		return "program could not be started";
	}
	return "unexpected exit code";
}

const char *
worker_state_name(enum worker_state state)
{
	static const char *const names[WORKER_STATE_END] = {
	    [WORKER_STARTING] = "starting", [WORKER_CONNECTING] = "connecting", [WORKER_COPYING] = "copying",
	    [WORKER_STANDBY] = "standby",   [WORKER_PAUSED] = "paused",         [WORKER_HOLDING] = "holding",
	    [WORKER_HALTED] = "halted",     [WORKER_WAITING] = "waiting",
	};

	return (unsigned)state < WORKER_STATE_END ? names[state] : "unknown";
}

const char *
proto_counter_name(enum proto_counter c)
{
	static const char *const names[COUNTER_END] = {
#define PROTO_NAME(id, name) name,
	    PROTO_COUNTERS(PROTO_NAME)
#undef PROTO_NAME
	};

	return (unsigned)c < COUNTER_END ? names[c] : "unknown";
}

const char *
proto_gauge_name(enum proto_gauge g)
{
	static const char *const names[GAUGE_END] = {
#define PROTO_NAME(id, name) name,
	    PROTO_GAUGES(PROTO_NAME)
#undef PROTO_NAME
	};

	return (unsigned)g < GAUGE_END ? names[g] : "unknown";
}
