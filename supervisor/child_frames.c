/*
 * What goes over the pipe between the supervisor and one child. Runs in the supervisor.
 *
 * Invariants: HELLO is first, but for a LOG of a child that could not become a worker; a malformed payload
 * kills the child, for it is our own program; nothing a child sends can fill the log or the memory: lines
 * and incidents in the log are bounded a worker, and only the newest of everything else is kept.
 */
#include "supervisor/child.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto_bytes.h"
#include "common/xalloc.h"
#include "supervisor/children.h"
#include "supervisor/elections.h"

/* A checkpoint that has moved so far is committed ahead of the once-a-second rule. */
#define HURRY_MSGS 16384

#define INCIDENT_LINES_BURST      3
#define INCIDENT_LINES_PER_SECOND 0.1

/* ---- down ---- */

int
child_send(struct child *c, enum proto_type type, const struct strbuf *payload)
{
	if (c->channel == NULL)
		return -1;
	return channel_send(c->channel, type, payload != NULL ? payload->data : NULL,
			    payload != NULL ? payload->len : 0);
}

/* The value of resume_from as it is remembered, "" for none. */
static void
resume_text(const struct conf_topic *topic, char *buf, size_t size)
{
	switch (topic->resume_from) {
	case RESUME_NONE:
		snprintf(buf, size, "%s", "");
		break;
	case RESUME_TARGET:
		snprintf(buf, size, "target");
		break;
	case RESUME_CHECKPOINT:
		snprintf(buf, size, "checkpoint");
		break;
	case RESUME_SEQUENCE:
		snprintf(buf, size, "%" PRIu64, topic->resume_sequence);
		break;
	}
}

static void
set_resume_used(struct child *c, const char *value)
{
	if (strcmp(c->resume_used, value) == 0)
		return;
	free(c->resume_used);
	c->resume_used = xstrdup(value);
	store_put_note(c->table->store, "resume_from", c->key, value);
}

static void
send_position(struct child *c)
{
	struct proto_position position = {.have_checkpoint = c->have_checkpoint,
					  .checkpoint = c->checkpoint,
					  .paused = c->paused,
					  .restarts = c->starts_of_config - 1};
	char resume[32];
	struct strbuf payload;

	resume_text(c->job.topic, resume, sizeof resume);
	/* Taken out of the file again: should it come back with the same value, it is meant anew. */
	if (resume[0] == '\0')
		set_resume_used(c, "");
	position.apply_resume = strcmp(resume, c->resume_used) != 0;
	snprintf(c->resume_asked, sizeof c->resume_asked, "%s", position.apply_resume ? resume : "");
	strbuf_init(&payload);
	proto_position_encode(&payload, &position);
	child_send(c, PROTO_POSITION, &payload);
	strbuf_fini(&payload);
}

void
child_send_start(struct child *c, const struct strbuf *config)
{
	child_send(c, PROTO_CONFIG, config);
	if (c->kind == JOB_REPLICATE)
		send_position(c);
	else if (c->kind == JOB_ELECT)
		elections_send_elect(c->table->elections, c);
}

void
child_set_log_level(struct child *c, enum log_level level)
{
	struct strbuf payload;

	if (c->state != CHILD_STARTING && c->state != CHILD_RUNNING)
		return;
	strbuf_init(&payload);
	proto_log_level_encode(&payload, level);
	child_send(c, PROTO_LOG_LEVEL, &payload);
	strbuf_fini(&payload);
}

/* ---- up: each returns 0, or -1 with *e if the payload is malformed ---- */

static int
on_hello(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_hello hello;

	if (proto_hello_decode(f->payload, f->len, &hello, e) != 0)
		return -1;
	c->greeted = true;
	if (strcmp(hello.version, SR_VERSION) != 0)
		log_warn(c->key,
			 "worker program is version %s, the supervisor is %s: restart stream-replicator "
			 "after an upgrade",
			 hello.version, SR_VERSION);
	return 0;
}

static void
on_ready(struct child *c)
{
	if (c->state != CHILD_STARTING)
		return;
	restart_ready(&c->restart, mono_now());
	child_set_state(c, CHILD_RUNNING);
	elections_child_ready(c->table->elections, c);
}

/* A worker that was told to use resume_from has done so when it knows its position. */
static void
note_resume_used(struct child *c)
{
	if (c->resume_asked[0] == '\0')
		return;
	set_resume_used(c, c->resume_asked);
	c->resume_asked[0] = '\0';
	/* Used twice it would copy twice. */
	store_commit(c->table->store, mono_now());
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static int
on_checkpoint(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_checkpoint checkpoint;

	if (c->kind != JOB_REPLICATE)
		return error_set(e, ERR_PROTOCOL, "CHECKPOINT has no business here");
	if (proto_checkpoint_decode(f->payload, f->len, &checkpoint, e) != 0)
		return -1;
	if (c->have_checkpoint)
		proto_checkpoint_fini(&c->checkpoint);
	c->checkpoint = checkpoint;
	c->have_checkpoint = true;
	store_put_checkpoint(c->table->store, c->key, c->worker, &c->checkpoint);
	note_resume_used(c);
	/* a sampled topic passes over so much that it would hurry all the time */
	if (c->sampled)
		return 0;
	if ((c->hurried_seq == 0 || distance(checkpoint.source_seq, c->hurried_seq) > HURRY_MSGS) &&
	    store_hurry(c->table->store, mono_now()))
		c->hurried_seq = checkpoint.source_seq;
	return 0;
}

static int
on_stats(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_stats stats;

	if (proto_stats_decode(f->payload, f->len, &stats, e) != 0)
		return -1;
	totals_report(&c->totals, &stats, mono_now());
	return 0;
}

static bool
may_log(struct child *c)
{
	uint64_t held_back;

	if (!throttle_pass(&c->log_throttle, mono_now(), &held_back))
		return false;
	if (held_back > 0)
		log_warn(c->key, "%" PRIu64 " log lines of this worker were left out: it wrote too many",
			 held_back);
	return true;
}

/* The states are named for topics; of others the log says what they do. */
static const char *
state_word(const struct child *c, enum worker_state state)
{
	if (c->kind == JOB_HEARTBEAT && state == WORKER_COPYING)
		return "publishing";
	if (c->kind == JOB_ELECT && state == WORKER_STANDBY)
		return "ready";
	return worker_state_name(state);
}

static void
log_state_change(struct child *c, const struct proto_state *s)
{
	enum log_level level = s->state == WORKER_HALTED    ? LOG_LEVEL_ERROR
			       : s->state == WORKER_HOLDING ? LOG_LEVEL_WARN
							    : LOG_LEVEL_INFO;

	if (s->state == c->reported && strcmp(s->reason, c->reason) == 0)
		return;
	if (log_wants(level) && may_log(c))
		log_f(level, c->key, "%s%s%s", state_word(c, s->state), s->reason[0] != '\0' ? ": " : "",
		      s->reason);
}

static int
on_state(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_state s;

	if (proto_state_decode(f->payload, f->len, &s, e) != 0)
		return -1;
	log_state_change(c, &s);
	child_set_reported(c, s.state, s.reason);
	proto_state_fini(&s);
	return 0;
}

static int
on_log(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct proto_log l;

	if (proto_log_decode(f->payload, f->len, &l, e) != 0)
		return -1;
	if (l.level == LOG_LEVEL_ERROR) {
		free(c->last_error);
		c->last_error = xstrdup(l.text);
	}
	if (log_wants(l.level) && may_log(c))
		log_line(l.level, c->key, l.text);
	proto_log_fini(&l);
	return 0;
}

/* The throttle of a kind; the last one serves all kinds that came too late for one of their own. */
static struct throttle *
incident_throttle(struct child *c, const char *kind, struct mono now)
{
	size_t i;

	for (i = 0; i < CHILD_KINDS; i++) {
		if (c->incident[i].kind[0] == '\0') {
			snprintf(c->incident[i].kind, sizeof c->incident[i].kind, "%s", kind);
			throttle_init(&c->incident[i].throttle, INCIDENT_LINES_BURST,
				      INCIDENT_LINES_PER_SECOND, now);
			return &c->incident[i].throttle;
		}
		if (strncmp(c->incident[i].kind, kind, sizeof c->incident[i].kind - 1) == 0)
			return &c->incident[i].throttle;
	}
	return &c->incident[CHILD_KINDS - 1].throttle;
}

static int
on_incident(struct child *c, const struct proto_frame *f, struct error *e)
{
	struct mono now = mono_now();
	struct proto_incident in;
	uint64_t held_back;

	if (proto_incident_decode(f->payload, f->len, &in, e) != 0)
		return -1;
	store_incident(c->table->store, c->key, in.kind, in.detail);
	if (throttle_pass(incident_throttle(c, in.kind, now), now, &held_back)) {
		log_warn(c->key, "incident %s: %s", in.kind, in.detail);
		if (held_back > 0)
			log_warn(c->key, "incident %s: %" PRIu64 " more of them stand in state.db alone",
				 in.kind, held_back);
	}
	proto_incident_fini(&in);
	return 0;
}

static int
dispatch(struct child *c, const struct proto_frame *f, struct error *e)
{
	switch (f->type) {
	case PROTO_HELLO:
		return on_hello(c, f, e);
	case PROTO_READY:
		on_ready(c);
		return 0;
	case PROTO_CHECKPOINT:
		return on_checkpoint(c, f, e);
	case PROTO_STATS:
		return on_stats(c, f, e);
	case PROTO_STATE:
		return on_state(c, f, e);
	case PROTO_LOG:
		return on_log(c, f, e);
	case PROTO_INCIDENT:
		return on_incident(c, f, e);
	case PROTO_ROLE_DONE:
	case PROTO_WON:
	case PROTO_LOST:
	case PROTO_YIELD:
	case PROTO_ELECTION:
		return elections_frame(c->table->elections, c, f, e);
	case PROTO_SAMPLES:
	case PROTO_ADVISORY:
		return child_samples_frame(c, f, e);
	default:
		return error_set(e, ERR_PROTOCOL, "%s has no business here", proto_type_name(f->type));
	}
}

void
child_on_frame(void *arg, const struct proto_frame *f)
{
	struct child *c = arg;
	struct error e = ERROR_INIT;

	c->last_frame = mono_now();
	if (!c->greeted && f->type != PROTO_HELLO && f->type != PROTO_LOG) {
		child_kill(c, "broke the protocol: %s before HELLO", proto_type_name(f->type));
		return;
	}
	if (c->greeted && f->type == PROTO_HELLO) {
		child_kill(c, "broke the protocol: a second HELLO");
		return;
	}
	if (dispatch(c, f, &e) != 0)
		child_kill(c, "broke the protocol: %s", e.text);
}
