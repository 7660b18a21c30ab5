/*
 * A worker that replicates nothing: it speaks the pipe protocol, well or badly, as a test wants it.
 *
 * $FAKE_DIR/<topic> holds one word, read at the start: how to behave. Without it the fake works: every
 * 100 ms ten messages are "copied". It leaves traces for the test: $FAKE_DIR/<topic>.position, one line a
 * start; .fds, what was open; .signals, what was blocked or ignored; .level, the last log level it was given;
 * .orphan, when its pipe ended; .roles, a line for each ROLE. With the role of an elector it is that of
 * fake_elector.c; what it says of samples is in fake_sampler.c.
 */
#include <dirent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/xalloc.h"
#include "tests/unit/fake_worker.h"

#define BEAT_MS 100
#define STEP    10

static struct {
	char topic[128];
	char behaviour[32];
	struct event_base *base;
	struct channel *channel;
	struct event *beat;
	enum proto_job job;
	bool elected; /* works only while it leads */
	bool leads;
	bool draining;
	bool ready;
	bool paused;
	uint64_t seq;
	struct proto_stats stats;
	int exit_code;
} fake;

bool
fake_behaves(const char *word)
{
	return strcmp(fake.behaviour, word) == 0;
}

static FILE *
open_trace(const char *suffix, const char *mode)
{
	char *path = xasprintf("%s/%s%s", getenv("FAKE_DIR"), fake.topic, suffix);
	FILE *f = fopen(path, mode);

	free(path);
	return f;
}

void
fake_trace(const char *suffix, const char *mode, const char *fmt, ...)
{
	FILE *f = open_trace(suffix, mode);
	va_list ap;

	if (f == NULL)
		abort();
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void
trace_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	fake_trace(".fds", "we", "%s", "");
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			fake_trace(".fds", "ae", "%s\n", entry->d_name);
	closedir(dir);
}

static void
trace_signals(void)
{
	struct sigaction action;
	sigset_t blocked;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	fake_trace(".signals", "we", "%s", "");
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&blocked, sig) == 1 ||
		    (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN))
			fake_trace(".signals", "ae", "%d\n", sig);
}

static void
read_behaviour(void)
{
	FILE *f = open_trace("", "re");

	if (f == NULL)
		return;
	if (fscanf(f, "%31s", fake.behaviour) != 1)
		fake.behaviour[0] = '\0';
	fclose(f);
}

void
fake_send(enum proto_type type, struct strbuf *payload)
{
	channel_send(fake.channel, type, payload->data, payload->len);
	strbuf_fini(payload);
}

static void
send_hello(void)
{
	struct proto_hello hello = {.pid = (uint32_t)getpid()};
	struct strbuf payload;

	snprintf(hello.version, sizeof hello.version, "%s", SR_VERSION);
	strbuf_init(&payload);
	proto_hello_encode(&payload, &hello);
	fake_send(PROTO_HELLO, &payload);
}

static void
send_log(enum log_level level, const char *text)
{
	struct proto_log log = {level, xstrdup(text)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_log_encode(&payload, &log);
	proto_log_fini(&log);
	fake_send(PROTO_LOG, &payload);
}

void
fake_send_state(enum worker_state state, const char *reason)
{
	struct proto_state s = {state, xstrdup(reason)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_state_encode(&payload, &s);
	proto_state_fini(&s);
	fake_send(PROTO_STATE, &payload);
}

static void
send_incident(const char *kind, const char *detail)
{
	struct proto_incident in = {xstrdup(kind), xstrdup(detail)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_incident_encode(&payload, &in);
	proto_incident_fini(&in);
	fake_send(PROTO_INCIDENT, &payload);
}

static void
send_checkpoint(void)
{
	char source[] = "SOURCE", target[] = "TARGET";
	struct proto_checkpoint c = {
	    .source_stream = source,
	    .source_created_ns = 1,
	    .source_seq = fake.seq,
	    .target_stream = target,
	    .target_created_ns = 2,
	    .target_seq = fake.seq,
	    .updated_ms = wall_ms(),
	};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_checkpoint_encode(&payload, &c);
	fake_send(PROTO_CHECKPOINT, &payload);
}

static void
send_stats(void)
{
	struct strbuf payload;

	fake.stats.gauge[GAUGE_COMMITTED_SEQ] = fake.seq;
	fake.stats.gauge[GAUGE_TARGET_SEQ] = fake.seq;
	fake.stats.gauge[GAUGE_SOURCE_LAST_SEQ] = 1000000;
	fake.stats.gauge[GAUGE_LAG_MSGS] = 1000000 - fake.seq;
	strbuf_init(&payload);
	proto_stats_encode(&payload, &fake.stats);
	fake_send(PROTO_STATS, &payload);
}

void
fake_end(int code)
{
	fake.exit_code = code;
	event_base_loopbreak(fake.base);
}

static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if ((!fake.ready && fake.job != JOB_ELECT) || fake.channel == NULL || fake_behaves("silent"))
		return;
	if (fake.job == JOB_HEARTBEAT && (!fake.elected || fake.leads))
		fake.stats.counter[COUNTER_HEARTBEAT_PUBLISHED]++;
	if (fake.job == JOB_REPLICATE && !fake.paused && (!fake.elected || fake.leads)) {
		fake.seq += STEP;
		fake.stats.counter[COUNTER_COPIED_MSGS] += STEP;
		fake.stats.counter[COUNTER_SAMPLE_SKIPPED] += STEP;
		fake.stats.gauge[GAUGE_TRACKED_VALUES] = 3;
		send_checkpoint();
		fake_sampler_beat();
	}
	send_stats();
}

static enum worker_state
state_now(void)
{
	if (fake.paused)
		return WORKER_PAUSED;
	return fake.elected && !fake.leads ? WORKER_STANDBY : WORKER_COPYING;
}

/* What it does once it is at work. */
static void
at_work(void)
{
	struct strbuf payload;
	char line[64];

	channel_send(fake.channel, PROTO_READY, NULL, 0);
	fake.ready = true;
	fake_send_state(WORKER_CONNECTING, "");
	fake_send_state(state_now(), "");
	if (fake_behaves("halted"))
		fake_send_state(WORKER_HALTED, "message 7 is too large for the target");
	if (fake_behaves("flood")) {
		for (int i = 0; i < 100000; i++) {
			snprintf(line, sizeof line, "flood line %d", i);
			send_log(LOG_LEVEL_WARN, line);
		}
	}
	if (fake_behaves("incidents")) {
		for (int i = 0; i < 500; i++)
			send_incident("gap", "a hole");
	}
	if (fake_behaves("usurper")) {
		strbuf_init(&payload);
		fake_send(PROTO_WON, &payload);
	}
	if (fake_behaves("closer")) {
		channel_free(&fake.channel);
		alarm(10); /* nothing else would end it if its supervisor is gone */
	}
}

static void
take_position(const struct proto_frame *f)
{
	struct proto_position p;

	if (proto_position_decode(f->payload, f->len, &p, NULL) != 0)
		abort();
	fake_trace(".position", "ae", "seq=%" PRIu64 " paused=%d resume=%d restarts=%u\n",
		   p.have_checkpoint ? p.checkpoint.source_seq : 0, p.paused, p.apply_resume, p.restarts);
	fake.paused = p.paused;
	fake.seq = p.have_checkpoint ? p.checkpoint.source_seq : 0;
	proto_position_fini(&p);
	if (fake_behaves("permanent")) {
		send_log(LOG_LEVEL_ERROR, "credentials file is not readable");
		fake_end(PROTO_EXIT_PERMANENT);
	} else if (!fake_behaves("mute")) {
		at_work();
	}
}

static void
take_config(const struct proto_frame *f)
{
	char *text = xasprintf("%.*s", (int)f->len, (const char *)f->payload);

	fake_trace(".config", "we", "%s", text);
	fake.elected =
	    strstr(text, "leader_election_name = ") != NULL || strstr(text, "leader_election = true") != NULL;
	free(text);
	/* Nothing follows. */
	if (fake.job == JOB_HEARTBEAT)
		at_work();
}

static void
take_role(const struct proto_frame *f)
{
	struct proto_role role;
	struct strbuf payload;

	if (proto_role_decode(f->payload, f->len, &role, NULL) != 0)
		abort();
	if (role.leader)
		fake_trace(".roles", "ae", "leader %" PRIu64 " term %" PRIu64 " lease %" PRId64 "%s\n",
			   role.serial, role.term, (role.lease_end_ns - mono_now().ns) / 1000000,
			   role.map_in_doubt ? " doubt" : "");
	else
		fake_trace(".roles", "ae", "%s %" PRIu64 "\n", role.settle ? "settle" : "stop", role.serial);
	fake.leads = role.leader;
	fake_send_state(state_now(), "");
	/* What it holds in flight it settles once, and then it ends. */
	if (fake_behaves("nosettle") || fake_behaves("lingers") || fake.draining)
		return;
	strbuf_init(&payload);
	proto_role_done_encode(&payload, fake_behaves("ahead") ? role.serial + 1 : role.serial);
	fake_send(PROTO_ROLE_DONE, &payload);
}

static void
set_paused(bool paused)
{
	fake.paused = paused;
	fake_send_state(state_now(), "");
}

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fake_trace(".settled", "we", "%" PRId64, mono_now().ns);
	fake_end(PROTO_EXIT_OK);
}

static void
on_frame(void *arg, const struct proto_frame *f)
{
	static const struct timeval settling = {0, 300000};
	enum log_level level;

	(void)arg;
	if (fake.job == JOB_ELECT && f->type != PROTO_CONFIG && f->type != PROTO_LOG_LEVEL) {
		fake_elector_frame(f);
		return;
	}
	switch (f->type) {
	case PROTO_CONFIG:
		take_config(f);
		break;
	case PROTO_ROLE:
		take_role(f);
		break;
	case PROTO_POSITION:
		take_position(f);
		break;
	case PROTO_PAUSE:
		set_paused(true);
		break;
	case PROTO_RESUME:
		set_paused(false);
		break;
	case PROTO_SAMPLES_STORED:
		fake_sampler_frame(f);
		break;
	case PROTO_DRAIN:
		fake.draining = true;
		fake_sampler_drain();
		if (fake_behaves("slowdrain") || fake_behaves("lingers"))
			event_base_once(fake.base, -1, EV_TIMEOUT, on_settled, NULL, &settling);
		else if (!fake_behaves("nodrain"))
			fake_end(PROTO_EXIT_OK);
		break;
	case PROTO_LOG_LEVEL:
		if (proto_log_level_decode(f->payload, f->len, &level, NULL) == 0)
			fake_trace(".level", "we", "%s", log_level_name(level));
		break;
	default:
		abort();
	}
}

static void
on_closed(void *arg, const struct error *e)
{
	(void)arg;
	(void)e;
	fake_trace(".orphan", "we", "%d", (int)getpid());
	fake_end(PROTO_EXIT_ORPHAN);
}

/* Things that go wrong before anything else. */
static void
misbehave_at_once(void)
{
	if (fake_behaves("crash"))
		_exit(PROTO_EXIT_FAILED);
	if (fake_behaves("segv")) {
		signal(SIGSEGV, SIG_DFL); /* also where a sanitizer would have its own words */
		raise(SIGSEGV);
	}
	if (fake_behaves("garbage") && write(PROTO_FD, "HTTP/1.1 200 OK\r\n\r\n", 19) < 0)
		abort();
	if (fake_behaves("early"))
		send_stats();
}

int
main(int argc, char **argv)
{
	static const struct channel_callbacks callbacks = {on_frame, on_closed};
	static const struct timeval beat = {0, BEAT_MS * 1000};
	struct error e = ERROR_INIT;

	if (argc != 4 || getenv("FAKE_DIR") == NULL)
		return PROTO_EXIT_USAGE;
	snprintf(fake.topic, sizeof fake.topic, "%s", argv[2]);
	if (strrchr(fake.topic, '_') != NULL)
		*strrchr(fake.topic, '_') = '\0';
	fake.job = proto_job_find(argv[3]);
	trace_fds();
	trace_signals();
	read_behaviour();
	fake.base = event_base_new();
	fake.channel = channel_new(fake.base, PROTO_FD, PROTO_SUPERVISOR, strtoull(argv[1], NULL, 10),
				   &callbacks, NULL, &e);
	if (fake.channel == NULL)
		return PROTO_EXIT_FAILED;
	if (fake.job == JOB_ELECT)
		fake_elector_init(fake.base, fake.topic);
	misbehave_at_once();
	send_hello();
	fake.beat = event_new(fake.base, -1, EV_PERSIST, on_beat, NULL);
	event_add(fake.beat, &beat);
	event_base_dispatch(fake.base);
	if (fake.channel != NULL)
		channel_flush(fake.channel, 1000);
	channel_free(&fake.channel);
	event_free(fake.beat);
	fake_elector_fini();
	event_base_free(fake.base);
	return fake.exit_code;
}
