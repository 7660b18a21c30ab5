/*
 * A worker process: one event loop, the pipe to the supervisor, one role (role.h).
 *
 * It says HELLO, waits for CONFIG and what else its role begins with, makes the role and says READY. From
 * then on everything it does comes from the loop. When the pipe ends the supervisor is gone: what is in
 * flight settles for at most PROTO_SETTLE_MS, and the process exits. It never reads the configuration file
 * and never writes the log: both are the supervisor's.
 */
#include "worker/worker.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/nats/conn.h"
#include "common/xalloc.h"
#include "worker/role.h"

enum { FLUSH_MS = 500 };

struct worker {
	const char *name;
	const struct role_ops *ops;
	void *role; /* NULL before it was made */
	struct event_base *base;
	struct channel *channel;
	struct event *stats_timer;
	struct conf *conf;
	int exit_code;
	bool ending;
};

static const struct role_ops *const jobs[JOB_END] = {
    [JOB_REPLICATE] = &role_replicate,
    [JOB_ELECT] = &role_elect,
    [JOB_HEARTBEAT] = &role_heartbeat,
};

struct event_base *
worker_base(const struct worker *w)
{
	return w->base;
}

const struct conf *
worker_conf(const struct worker *w)
{
	return w->conf;
}

/* ---- telling the supervisor ---------------------------------------------------------------------- */

/* What a supervisor that does not read need not get, for something newer follows; it must not fill our
 * memory. */
static bool
may_be_left_out(enum proto_type type)
{
	return type == PROTO_STATS || type == PROTO_LOG || type == PROTO_ELECTION || type == PROTO_CHECKPOINT;
}

void
worker_send(struct worker *w, enum proto_type type, struct strbuf *payload)
{
	if (w->channel != NULL && !(channel_stuck(w->channel) && may_be_left_out(type)))
		channel_send(w->channel, type, payload->data, payload->len);
	strbuf_fini(payload);
}

static void
send_log(enum log_level level, const char *text, void *arg)
{
	const struct proto_log log = {level, xstrdup(text)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_log_encode(&payload, &log);
	worker_send(arg, PROTO_LOG, &payload);
	free(log.text);
}

static void
send_hello(struct worker *w)
{
	struct proto_hello hello = {.pid = (uint32_t)getpid()};
	struct strbuf payload;

	snprintf(hello.version, sizeof hello.version, "%s", SR_VERSION);
	strbuf_init(&payload);
	proto_hello_encode(&payload, &hello);
	worker_send(w, PROTO_HELLO, &payload);
}

static void
send_stats(struct worker *w)
{
	struct proto_stats stats;
	struct strbuf payload;

	if (w->role == NULL)
		return;
	w->ops->stats(w->role, &stats);
	strbuf_init(&payload);
	proto_stats_encode(&payload, &stats);
	worker_send(w, PROTO_STATS, &payload);
}

/* Numbers first: who sees that a topic is paused must see where it stands. */
void
worker_report_state(void *arg, enum worker_state state, const char *reason)
{
	const struct proto_state message = {state, xstrdup(reason)};
	struct strbuf payload;

	send_stats(arg);
	strbuf_init(&payload);
	proto_state_encode(&payload, &message);
	worker_send(arg, PROTO_STATE, &payload);
	free(message.reason);
}

void
worker_report_incident(void *arg, const char *kind, const char *detail)
{
	const struct proto_incident incident = {xstrdup(kind), xstrdup(detail)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_incident_encode(&payload, &incident);
	worker_send(arg, PROTO_INCIDENT, &payload);
	free(incident.kind);
	free(incident.detail);
}

void
worker_report_role_done(void *arg, uint64_t serial)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_role_done_encode(&payload, serial);
	worker_send(arg, PROTO_ROLE_DONE, &payload);
}

static void
stats_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_stats(arg);
}

/* ---- ending -------------------------------------------------------------------------------------- */

static void
end(struct worker *w, int exit_code)
{
	w->exit_code = exit_code;
	event_base_loopbreak(w->base);
}

void
worker_drained(void *arg)
{
	struct worker *w = arg;

	end(w, w->exit_code);
}

static void
begin_end(struct worker *w, int exit_code)
{
	if (w->ending)
		return;
	w->ending = true;
	w->exit_code = exit_code;
	if (w->role == NULL || (exit_code == PROTO_EXIT_ORPHAN && w->ops->ends_with_supervisor))
		end(w, exit_code);
	else
		w->ops->drain(w->role);
}

/* The configuration cannot be used: only a reload helps. */
static void
refuse(struct worker *w, const char *text)
{
	w->ending = true;
	worker_report_state(w, WORKER_HALTED, text);
	log_error(w->name, "%s", text);
	end(w, PROTO_EXIT_PERMANENT);
}

/* ---- frames from the supervisor ------------------------------------------------------------------ */

static void
take_config(struct worker *w, const struct proto_frame *frame)
{
	struct conf_errors errors = {0};

	w->conf = conf_load_text((const char *)frame->payload, frame->len, &errors);
	if (w->conf == NULL)
		refuse(w, errors.count > 0 ? errors.text[0] : "the configuration cannot be read");
	else
		log_set_level(w->conf->loglevel);
	conf_errors_fini(&errors);
}

/* Everything that the role needs is here. */
static void
begin_role(struct worker *w, const struct proto_frame *frame)
{
	struct error e = ERROR_INIT;

	if (w->conf == NULL || w->role != NULL) {
		refuse(w, "the role's frames came twice, or without a configuration");
		return;
	}
	w->role = w->ops->make(w, frame, &e);
	if (w->role == NULL) {
		refuse(w, e.text);
		return;
	}
	channel_send(w->channel, PROTO_READY, NULL, 0);
	w->ops->start(w->role);
	send_stats(w);
}

static void
take_log_level(struct worker *w, const struct proto_frame *frame)
{
	enum log_level level;
	struct error e = ERROR_INIT;

	if (proto_log_level_decode(frame->payload, frame->len, &level, &e) == 0)
		log_set_level(level);
	else
		log_error(w->name, "%s", e.text);
}

static void
pause_or_resume(struct worker *w, void (*op)(void *role))
{
	if (w->role != NULL && op != NULL)
		op(w->role);
}

/* It counts while draining, too. */
static void
take_role(struct worker *w, const struct proto_frame *frame)
{
	struct proto_role told;
	struct error e = ERROR_INIT;

	if (proto_role_decode(frame->payload, frame->len, &told, &e) != 0)
		log_error(w->name, "%s", e.text);
	else if (w->role != NULL && w->ops->set_role != NULL)
		w->ops->set_role(w->role, &told);
}

/* ABLE and the like. */
static void
pass_on(struct worker *w, const struct proto_frame *frame)
{
	struct error e = ERROR_INIT;

	if (w->role != NULL && w->ops->frame != NULL && w->ops->frame(w->role, frame, &e) != 0)
		log_error(w->name, "%s", e.text);
}

static void
frame_arrived(void *arg, const struct proto_frame *frame)
{
	struct worker *w = arg;

	switch (frame->type) {
	case PROTO_CONFIG:
		if (!w->ending)
			take_config(w, frame);
		break;
	case PROTO_PAUSE:
		pause_or_resume(w, w->ops->pause);
		break;
	case PROTO_RESUME:
		pause_or_resume(w, w->ops->resume);
		break;
	case PROTO_DRAIN:
		begin_end(w, PROTO_EXIT_OK);
		break;
	case PROTO_LOG_LEVEL:
		take_log_level(w, frame);
		break;
	case PROTO_ROLE:
		take_role(w, frame);
		break;
	default:
		if (frame->type != w->ops->begins_with)
			pass_on(w, frame);
		break;
	}
	if (frame->type == w->ops->begins_with && !w->ending)
		begin_role(w, frame);
}

static void
pipe_closed(void *arg, const struct error *e)
{
	struct worker *w = arg;

	(void)e; /* nobody is left to tell */
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	channel_free(&w->channel);
	begin_end(w, PROTO_EXIT_ORPHAN);
}

/* ---- the process --------------------------------------------------------------------------------- */

static int
open_pipe(struct worker *w, uint64_t generation, struct error *e)
{
	static const struct channel_callbacks callbacks = {frame_arrived, pipe_closed};

	w->channel = channel_new(w->base, PROTO_FD, PROTO_SUPERVISOR, generation, &callbacks, w, e);
	if (w->channel == NULL)
		return -1;
	log_to_sink(send_log, w, LOG_LEVEL_INFO);
	return 0;
}

static void
run_loop(struct worker *w)
{
	const struct timeval every = {PROTO_STATS_MS / 1000, (PROTO_STATS_MS % 1000) * 1000};

	send_hello(w);
	w->stats_timer = event_new(w->base, -1, EV_PERSIST, stats_due, w);
	event_add(w->stats_timer, &every);
	event_base_dispatch(w->base);
	if (w->channel != NULL) {
		send_stats(w);
		channel_flush(w->channel, FLUSH_MS);
	}
}

int
worker_run(uint64_t generation, const char *name, enum proto_job job)
{
	struct worker w = {.name = name, .ops = jobs[job], .exit_code = PROTO_EXIT_FAILED};
	struct error e;

	if (w.ops == NULL) {
		fprintf(stderr, "stream-replicator worker: it has no role %s\n", proto_job_name(job));
		return PROTO_EXIT_USAGE;
	}

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is the supervisor's to deal with */
	w.base = event_base_new();
	if (w.base == NULL || nats_library_start(&e) != 0)
		return PROTO_EXIT_FAILED;
	if (open_pipe(&w, generation, &e) != 0) {
		fprintf(stderr, "stream-replicator worker: %s\n", e.text);
		event_base_free(w.base);
		return PROTO_EXIT_USAGE;
	}
	run_loop(&w);
	if (w.role != NULL)
		w.ops->free(w.role);
	event_free(w.stats_timer);
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	channel_free(&w.channel);
	conf_free(&w.conf);
	nats_library_stop();
	event_base_free(w.base);
	return w.exit_code;
}
