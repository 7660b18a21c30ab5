/*
 * A worker process: one event loop, the pipe to the supervisor, one role.
 *
 * It says HELLO, waits for CONFIG and POSITION, makes its role and says READY. From then on everything it
 * does comes from the loop. When the pipe ends the supervisor is gone: what is in flight settles for at
 * most PROTO_SETTLE_MS, and the process exits. It never reads the configuration file and never writes
 * the log: both are the supervisor's.
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
#include "worker/replicator.h"

enum { FLUSH_MS = 500 };

struct worker {
	const char *name;
	enum proto_job job;
	struct event_base *base;
	struct channel *channel;
	struct event *stats_timer;
	struct conf *conf;
	struct replicator *replicator;
	int exit_code;
	bool ending;
};

/* ---- telling the supervisor ---------------------------------------------------------------------- */

static void
send_payload(struct worker *w, enum proto_type type, struct strbuf *payload)
{
	if (w->channel != NULL)
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
	send_payload(arg, PROTO_LOG, &payload);
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
	send_payload(w, PROTO_HELLO, &payload);
}

static void
send_stats(struct worker *w)
{
	struct proto_stats stats;
	struct strbuf payload;

	if (w->replicator == NULL)
		return;
	replicator_stats(w->replicator, &stats);
	strbuf_init(&payload);
	proto_stats_encode(&payload, &stats);
	send_payload(w, PROTO_STATS, &payload);
}

/* Numbers first: who sees that a topic is paused must see where it stands. */
static void
report_state(void *arg, enum worker_state state, const char *reason)
{
	const struct proto_state message = {state, xstrdup(reason)};
	struct strbuf payload;

	send_stats(arg);
	strbuf_init(&payload);
	proto_state_encode(&payload, &message);
	send_payload(arg, PROTO_STATE, &payload);
	free(message.reason);
}

static void
report_checkpoint(void *arg, const struct proto_checkpoint *checkpoint)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_checkpoint_encode(&payload, checkpoint);
	send_payload(arg, PROTO_CHECKPOINT, &payload);
}

static void
report_incident(void *arg, const char *kind, const char *detail)
{
	const struct proto_incident incident = {xstrdup(kind), xstrdup(detail)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_incident_encode(&payload, &incident);
	send_payload(arg, PROTO_INCIDENT, &payload);
	free(incident.kind);
	free(incident.detail);
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

static void
report_drained(void *arg)
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
	if (w->replicator != NULL)
		replicator_drain(w->replicator);
	else
		end(w, exit_code);
}

/* The configuration cannot be used: only a reload helps. */
static void
refuse(struct worker *w, const char *text)
{
	report_state(w, WORKER_HALTED, text);
	log_error(w->name, "%s", text);
	end(w, PROTO_EXIT_PERMANENT);
}

/* ---- frames from the supervisor ------------------------------------------------------------------ */

static void
take_config(struct worker *w, const struct proto_frame *frame)
{
	struct conf_errors errors = {0};

	if (w->job != JOB_REPLICATE) {
		refuse(w, "this worker program has no such role");
		return;
	}
	w->conf = conf_load_text((const char *)frame->payload, frame->len, &errors);
	if (w->conf == NULL)
		refuse(w, errors.count > 0 ? errors.text[0] : "the configuration cannot be read");
	else
		log_set_level(w->conf->loglevel);
	conf_errors_fini(&errors);
}

static void
take_position(struct worker *w, const struct proto_frame *frame)
{
	static const struct replicator_reports reports = {report_state, report_checkpoint, report_incident,
							  NULL, report_drained};
	struct proto_position position;
	struct error e;

	if (w->conf == NULL || w->conf->topic_count != 1 || w->replicator != NULL) {
		refuse(w, "POSITION came without the configuration of one topic");
		return;
	}
	if (proto_position_decode(frame->payload, frame->len, &position, &e) != 0) {
		refuse(w, e.text);
		return;
	}
	w->replicator = replicator_new(w->base, w->conf, &w->conf->topics[0], &position, &reports, w, &e);
	proto_position_fini(&position);
	if (w->replicator == NULL) {
		refuse(w, e.text);
		return;
	}
	channel_send(w->channel, PROTO_READY, NULL, 0);
	replicator_start(w->replicator);
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
frame_arrived(void *arg, const struct proto_frame *frame)
{
	struct worker *w = arg;

	if (w->ending)
		return;
	switch (frame->type) {
	case PROTO_CONFIG:
		take_config(w, frame);
		break;
	case PROTO_POSITION:
		take_position(w, frame);
		break;
	case PROTO_PAUSE:
		if (w->replicator != NULL)
			replicator_pause(w->replicator);
		break;
	case PROTO_RESUME:
		if (w->replicator != NULL)
			replicator_resume(w->replicator);
		break;
	case PROTO_DRAIN:
		begin_end(w, PROTO_EXIT_OK);
		break;
	case PROTO_LOG_LEVEL:
		take_log_level(w, frame);
		break;
	default:
		break;
	}
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
	struct worker w = {.name = name, .job = job, .exit_code = PROTO_EXIT_FAILED};
	struct error e;

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
	replicator_free(&w.replicator);
	event_free(w.stats_timer);
	log_to_sink(NULL, NULL, LOG_LEVEL_ERROR);
	channel_free(&w.channel);
	conf_free(&w.conf);
	nats_library_stop();
	event_base_free(w.base);
	return w.exit_code;
}
