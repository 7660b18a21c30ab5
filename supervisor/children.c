/*
 * The table of children. Runs in the supervisor. Invariant: a child is freed only from the loop itself
 * (children_sweep()), never while one of its callbacks may be on the stack.
 */
#include "supervisor/children.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/xalloc.h"
#include "supervisor/elections.h"

/* Told to stop at once: so long may an elector live to give its names up. */
#define ELECTOR_HURRY_MS 300

static void
children_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct children *t = arg;
	size_t kept = 0;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < t->count; i++) {
		if (t->list[i]->gone)
			child_free(&t->list[i]);
		else
			t->list[kept++] = t->list[i];
	}
	t->count = kept;
}

void
children_init(struct children *t, struct event_base *base, struct store *store, const struct jobs *jobs,
	      const char *worker_path, void (*stopped)(void *arg), void *arg)
{
	*t = (struct children){.base = base,
			       .store = store,
			       .jobs = jobs,
			       .worker_path = xstrdup(worker_path),
			       .stopped = stopped,
			       .arg = arg};
	t->sweeper = evtimer_new(base, children_sweep, t);
	if (t->sweeper == NULL)
		abort();
	t->elections = elections_new(t);
}

void
children_fini(struct children *t)
{
	for (size_t i = 0; i < t->count; i++)
		child_free(&t->list[i]);
	t->count = 0;
	elections_free(&t->elections);
	free(t->list);
	free(t->worker_path);
	event_free(t->sweeper);
	*t = (struct children){0};
}

struct child *
children_find(const struct children *t, enum proto_job kind, const char *key)
{
	for (size_t i = 0; i < t->count; i++)
		if (!t->list[i]->gone && t->list[i]->kind == kind && strcmp(t->list[i]->key, key) == 0)
			return t->list[i];
	return NULL;
}

struct child *
children_add(struct children *t, const struct job *job)
{
	struct child *c = child_new(t, job);

	t->list = xrealloc(t->list, (t->count + 1) * sizeof *t->list);
	t->list[t->count++] = c;
	child_start(c);
	return c;
}

void
children_drop(struct children *t, struct child *c)
{
	struct timeval now = {0, 0};

	c->gone = true;
	evtimer_add(t->sweeper, &now);
}

void
children_order(struct children *t)
{
	struct child **ordered = xcalloc(t->count + 1, sizeof(struct child *));
	size_t n = 0;

	for (size_t i = 0; i < t->jobs->count; i++) {
		struct child *c = children_find(t, t->jobs->list[i].kind, job_key(&t->jobs->list[i]));

		if (c != NULL && c->wanted)
			ordered[n++] = c;
	}
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i]->gone || !t->list[i]->wanted)
			ordered[n++] = t->list[i];
	free(t->list);
	t->list = ordered;
}

void
children_reap(struct children *t)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
		for (size_t i = 0; i < t->count; i++) {
			if (pid > 0 && t->list[i]->pid == pid && !t->list[i]->reaped) {
				child_reaped(t->list[i], status);
				break;
			}
		}
	}
}

void
children_tell_stored(struct children *t)
{
	struct proto_samples_stored stored;
	char *topic;

	while (store_take_stored(t->store, &topic, &stored)) {
		struct child *c = children_find(t, JOB_REPLICATE, topic);

		if (c != NULL)
			child_samples_stored(c, &stored);
		free(topic);
	}
}

void
children_check(struct children *t, struct mono now)
{
	for (size_t i = 0; i < t->count; i++)
		child_check(t->list[i], now);
	elections_tick(t->elections, now);
}

void
children_note_end(struct children *t)
{
	elections_advance(t->elections, mono_now());
	if (!t->stopping)
		return;
	for (size_t i = 0; i < t->count; i++)
		if (child_has_process(t->list[i]))
			return;
	t->stopped(t->arg);
}

void
children_stop(struct children *t)
{
	t->stopping = true;
	/* All at the same time; an elector gives a name up when those that work for it have ended. */
	for (size_t i = 0; i < t->count; i++)
		child_drain(t->list[i], CHILD_STAY_DOWN);
	children_note_end(t);
}

/* An elector that is at work gets a moment to give up what the killed ones have stopped to work for. */
static void
hurry_elector(struct child *c)
{
	if (c->state == CHILD_STARTING || c->state == CHILD_RUNNING)
		child_drain(c, CHILD_STAY_DOWN);
	if (c->state == CHILD_DRAINING)
		c->deadline = mono_add_ms(mono_now(), ELECTOR_HURRY_MS);
	c->next = CHILD_STAY_DOWN;
}

void
children_kill(struct children *t)
{
	t->stopping = true;
	for (size_t i = 0; i < t->count; i++) {
		if (t->list[i]->kind == JOB_ELECT) {
			hurry_elector(t->list[i]);
			continue;
		}
		t->list[i]->next = CHILD_STAY_DOWN;
		child_kill(t->list[i], "told to stop at once");
	}
	children_note_end(t);
}
