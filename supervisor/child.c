/*
 * The life of one child: start, liveness, drain, kill, end, and what follows. Runs in the supervisor.
 *
 * Invariants: child_set_state() alone changes the state; an end is judged only when the process is reaped
 * and its pipe was read to the end; a child is never freed here while one of its callbacks runs (see
 * children_drop()). What it says over the pipe is read in child_frames.c.
 */
#include "supervisor/child.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "common/xalloc.h"
#include "supervisor/children.h"
#include "supervisor/elections.h"
#include "supervisor/spawn.h"

/* From one half of an end to the other: reading what is left in a pipe, or leaving after closing it. */
#define HALF_END_MS 1000

/* An elector that drains may live so much longer than the workers. */
#define ELECTOR_LAST_MS 1000

#define LOG_LINES_BURST      2000
#define LOG_LINES_PER_SECOND 200

static void child_ended(struct child *c);

void
child_set_state(struct child *c, enum child_state state)
{
	struct timeval wait = {0, 0};
	int64_t ms;

	c->state = state;
	elections_child_changed(c->table->elections, c);
	evtimer_del(c->timer);
	if (state != CHILD_WAITING)
		return;
	ms = mono_ms_between(mono_now(), c->restart.next);
	if (ms > 0) {
		wait.tv_sec = ms / 1000;
		wait.tv_usec = ms % 1000 * 1000;
	}
	evtimer_add(c->timer, &wait);
}

void
child_set_reported(struct child *c, enum worker_state state, const char *reason)
{
	if (c->reason == NULL || c->reported != state)
		c->reported_since = mono_now();
	c->reported = state;
	free(c->reason);
	c->reason = xstrdup(reason);
	elections_child_changed(c->table->elections, c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	child_start(arg);
}

/* What state.db knows of a topic. */
static void
remember(struct child *c)
{
	char *paused = store_get_note(c->table->store, "paused", c->key);

	c->paused = paused[0] != '\0';
	free(paused);
	c->resume_used = store_get_note(c->table->store, "resume_from", c->key);
	c->have_checkpoint = store_get_checkpoint(c->table->store, c->key, c->worker, &c->checkpoint);
}

struct child *
child_new(struct children *table, const struct job *job)
{
	struct child *c = xcalloc(1, sizeof *c);

	c->table = table;
	c->kind = job->kind;
	c->key = xstrdup(job_key(job));
	child_set_job(c, job);
	c->timer = evtimer_new(table->base, on_timer, c);
	if (c->timer == NULL)
		abort();
	restart_init(&c->restart);
	totals_init(&c->totals);
	throttle_init(&c->log_throttle, LOG_LINES_BURST, LOG_LINES_PER_SECOND, mono_now());
	child_set_reported(c, WORKER_STARTING, "");
	c->last_error = xstrdup("");
	if (c->kind == JOB_REPLICATE)
		remember(c);
	return c;
}

void
child_free(struct child **child)
{
	struct child *c = *child;

	*child = NULL;
	if (c->pid > 0 && !c->reaped)
		kill(c->pid, SIGKILL);
	channel_free(&c->channel);
	event_free(c->timer);
	if (c->have_checkpoint)
		proto_checkpoint_fini(&c->checkpoint);
	free(c->key);
	free(c->worker);
	free(c->reason);
	free(c->last_error);
	free(c->resume_used);
	free(c);
}

void
child_set_job(struct child *c, const struct job *job)
{
	c->wanted = job != NULL;
	c->job = job != NULL ? *job : (struct job){.kind = c->kind};
	if (job == NULL)
		return;
	free(c->worker);
	c->worker = xstrdup(job_worker(job));
}

bool
child_has_process(const struct child *c)
{
	return c->pid > 0;
}

static void
on_closed(void *arg, const struct error *e)
{
	struct child *c = arg;

	channel_free(&c->channel);
	c->channel_ended = mono_now();
	if (c->kind == JOB_ELECT)
		elections_child_gone(c->table->elections, c);
	if (e != NULL)
		child_kill(c, "broke the protocol: %s", e->text);
	if (c->reaped)
		child_ended(c);
}

/* There is no process: what could not be done counts as an end. */
static void
start_failed(struct child *c, const char *why, bool permanent)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = 0;
	snprintf(c->last_exit, sizeof c->last_exit, "not started: %s", why);
	c->last_exit_ms = wall_ms();
	restart_ended(&c->restart, mono_now(), permanent, random);
	log_error(c->key, "%s not started: %s", job_noun(c->kind), why);
	child_set_state(c, permanent ? CHILD_IDLE : CHILD_WAITING);
}

static int
start_process(struct child *c, struct error *e)
{
	static const struct channel_callbacks callbacks = {child_on_frame, on_closed};
	int fd;

	child_samples_start(c);
	c->generation = ++c->table->last_generation;
	if (spawn_worker(c->table->worker_path, c->generation, c->worker, c->kind, &c->pid, &fd, e) != 0) {
		c->pid = 0;
		return -1;
	}
	c->starts++;
	c->starts_of_config++;
	c->reaped = false;
	c->greeted = false;
	c->gone_told = false;
	c->kill_reason[0] = '\0';
	c->channel = channel_new(c->table->base, fd, PROTO_CHILD, c->generation, &callbacks, c, e);
	/* A process without pipe ends by itself; it is reaped like any other. */
	if (c->channel == NULL)
		child_kill(c, "%s", e->text);
	return 0;
}

void
child_start(struct child *c)
{
	struct error e = ERROR_INIT;
	struct strbuf config;

	if (c->table->stopping || !c->wanted || c->gone)
		return;
	if (c->kind == JOB_ELECT && elections_must_wait(c->table->elections, c)) {
		c->held = true;
		child_set_state(c, CHILD_IDLE);
		return;
	}
	strbuf_init(&config);
	job_print(c->table->jobs, &c->job, &config);
	if (config.len > PROTO_MAX_PAYLOAD) {
		start_failed(c, "its configuration is longer than 1 MiB", true);
	} else if (start_process(c, &e) != 0) {
		start_failed(c, e.text, false);
	} else {
		c->replace = false; /* this one has the configuration of now */
		c->started = c->last_frame = mono_now();
		c->deadline = mono_add_ms(c->started, PROTO_READY_DEADLINE_MS);
		child_set_reported(c, WORKER_STARTING, "");
		child_set_state(c, CHILD_STARTING);
		log_debug(c->key, "%s started, pid %d, generation %" PRIu64, job_noun(c->kind), (int)c->pid,
			  c->generation);
		child_send_start(c, &config);
		elections_child_started(c->table->elections, c);
	}
	strbuf_fini(&config);
}

void
child_kill(struct child *c, const char *fmt, ...)
{
	va_list ap;

	if (!child_has_process(c) || c->reaped)
		return;
	if (c->kill_reason[0] == '\0') {
		va_start(ap, fmt);
		vsnprintf(c->kill_reason, sizeof c->kill_reason, fmt, ap);
		va_end(ap);
	}
	kill(c->pid, SIGKILL);
	child_set_state(c, CHILD_KILLED);
}

/* Does what was asked to follow an end; log_how is for the log line of CHILD_BY_POLICY. */
static void
follow(struct child *c, enum child_next next)
{
	switch (next) {
	case CHILD_BY_POLICY:
		child_set_state(c, c->restart.permanent ? CHILD_IDLE : CHILD_WAITING);
		break;
	case CHILD_START:
		restart_forgive(&c->restart);
		child_set_state(c, CHILD_IDLE);
		child_start(c);
		break;
	case CHILD_REMOVE:
		child_set_state(c, CHILD_IDLE);
		elections_child_removed(c->table->elections, c);
		children_drop(c->table, c);
		break;
	case CHILD_STAY_DOWN:
		child_set_state(c, CHILD_IDLE);
		break;
	}
	children_note_end(c->table);
}

static bool
is_bug(int status)
{
	int sig;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status) == PROTO_EXIT_BUG;
	sig = WTERMSIG(status);
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGFPE || sig == SIGILL;
}

static void
describe_end(struct child *c)
{
	char how[160];

	spawn_status_text(c->status, how, sizeof how);
	if (c->kill_reason[0] != '\0')
		snprintf(c->last_exit, sizeof c->last_exit, "%s; %s", c->kill_reason, how);
	else
		snprintf(c->last_exit, sizeof c->last_exit, "%s", how);
	c->last_exit_ms = wall_ms();
}

/* Every death is told with how, which process, how long it lived, and what comes next. */
static void
log_end(const struct child *c, enum child_next next, struct mono now)
{
	enum log_level level = LOG_LEVEL_INFO;
	char what_next[80] = "";

	if (next == CHILD_START) {
		snprintf(what_next, sizeof what_next, "; next start now");
	} else if (next == CHILD_BY_POLICY && c->restart.permanent) {
		level = LOG_LEVEL_ERROR;
		snprintf(what_next, sizeof what_next, "; stays down until reload");
	} else if (next == CHILD_BY_POLICY) {
		level = is_bug(c->status) ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;
		snprintf(what_next, sizeof what_next, "; next start in %.2f s",
			 (double)(c->restart.next.ns - now.ns) / 1e9);
	} else if (!WIFEXITED(c->status) || WEXITSTATUS(c->status) != 0) {
		level = LOG_LEVEL_WARN;
	}
	log_f(level, c->key, "%s pid %d, generation %" PRIu64 ", %s after %.1f s%s", job_noun(c->kind),
	      (int)c->pid, c->generation, c->last_exit, (double)(now.ns - c->started.ns) / 1e9, what_next);
}

static void
child_ended(struct child *c)
{
	struct mono now = mono_now();
	enum child_next next = c->next;
	bool permanent = WIFEXITED(c->status) && WEXITSTATUS(c->status) == PROTO_EXIT_PERMANENT;
	uint32_t random = 0;

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = 0;
	if (next == CHILD_BY_POLICY)
		restart_ended(&c->restart, now, permanent, random);
	describe_end(c);
	log_end(c, next, now);
	totals_ended(&c->totals);
	c->pid = 0;
	c->next = CHILD_BY_POLICY;
	follow(c, next);
}

void
child_reaped(struct child *c, int status)
{
	c->reaped = true;
	c->status = status;
	c->reaped_at = mono_now();
	elections_child_gone(c->table->elections, c);
	if (c->channel == NULL)
		child_ended(c);
}

void
child_drain(struct child *c, enum child_next next)
{
	c->next = next;
	switch (c->state) {
	case CHILD_IDLE:
	case CHILD_WAITING:
		c->next = CHILD_BY_POLICY;
		follow(c, next);
		break;
	case CHILD_STARTING:
	case CHILD_RUNNING:
		child_set_state(c, CHILD_DRAINING);
		c->deadline = mono_add_ms(mono_now(), c->table->jobs->conf->stop_timeout_ms);
		/* It gives up what the others have stopped to work for, so it ends after them. */
		if (c->kind == JOB_ELECT)
			c->deadline = mono_add_ms(c->deadline, ELECTOR_LAST_MS);
		child_send(c, PROTO_DRAIN, NULL);
		break;
	case CHILD_DRAINING:
	case CHILD_KILLED:
		break;
	}
}

static void
check_halves(struct child *c, struct mono now)
{
	if (c->reaped && c->channel != NULL && mono_ms_between(c->reaped_at, now) > HALF_END_MS) {
		/* Somebody else has its end of the pipe open; the process is gone all the same. */
		channel_free(&c->channel);
		child_ended(c);
	} else if (!c->reaped && c->channel == NULL && mono_ms_between(c->channel_ended, now) > HALF_END_MS) {
		child_kill(c, "closed its pipe and did not end");
	}
}

void
child_check(struct child *c, struct mono now)
{
	if (!child_has_process(c))
		return;
	if (c->channel != NULL && channel_stuck(c->channel))
		child_kill(c, "does not read its pipe");
	switch (c->state) {
	case CHILD_STARTING:
		if (mono_reached(now, c->deadline))
			child_kill(c, "not ready within %d s", PROTO_READY_DEADLINE_MS / 1000);
		break;
	case CHILD_RUNNING:
		if (mono_ms_between(c->last_frame, now) >= PROTO_LIVENESS_MS * PROTO_LIVENESS_MISSES)
			child_kill(c, "silent for %d s", PROTO_LIVENESS_MS * PROTO_LIVENESS_MISSES / 1000);
		break;
	case CHILD_DRAINING:
		if (mono_reached(now, c->deadline))
			child_kill(c, "did not settle within stop_timeout");
		break;
	case CHILD_IDLE:
	case CHILD_WAITING:
	case CHILD_KILLED:
		break;
	}
	check_halves(c, now);
}

void
child_grant_time(struct child *c, struct mono now, int64_t ms)
{
	if (c->state == CHILD_STARTING)
		c->deadline = mono_add_ms(c->deadline, ms);
	c->last_frame = now;
}

void
child_pause(struct child *c, bool paused)
{
	c->paused = paused;
	store_put_note(c->table->store, "paused", c->key, paused ? "1" : "");
	if (c->state == CHILD_STARTING || c->state == CHILD_RUNNING)
		child_send(c, paused ? PROTO_PAUSE : PROTO_RESUME, NULL);
}

/* Why a child that cannot work cannot: what it said itself is better than its exit code. */
static const char *
complaint(const struct child *c)
{
	if (c->reason[0] != '\0')
		return c->reason;
	return c->last_error[0] != '\0' ? c->last_error : c->last_exit;
}

enum worker_state
child_shown_state(const struct child *c, struct mono now, char *reason, size_t size)
{
	switch (c->state) {
	case CHILD_IDLE:
		if (c->held) {
			snprintf(reason, size, "starts when the electors that are removed have ended");
			return WORKER_WAITING;
		}
		if (!c->restart.permanent)
			break;
		snprintf(reason, size, "%s; cure it and reload", complaint(c));
		return WORKER_HALTED;
	case CHILD_WAITING:
		snprintf(reason, size, "%s; next start in %.1f s", c->last_exit,
			 (double)(c->restart.next.ns - now.ns) / 1e9);
		return WORKER_WAITING;
	case CHILD_STARTING:
	case CHILD_RUNNING:
		snprintf(reason, size, "%s", c->reason);
		return c->reported;
	case CHILD_DRAINING:
		snprintf(reason, size, "draining");
		return c->reported;
	case CHILD_KILLED:
		snprintf(reason, size, "%s; being killed", c->kill_reason);
		return WORKER_WAITING;
	}
	snprintf(reason, size, "stopped");
	return WORKER_WAITING;
}
