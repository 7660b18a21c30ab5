/*
 * The supervisor's use of state.db. Invariant: nothing here ends or holds up the process; a trouble is
 * logged when it begins and when it ends. Must not include sqlite3.h: state/ is the one that does.
 */
#include "supervisor/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "state/state.h"

#define COMMIT_MS 1000
#define HURRY_MS  200  /* store_hurry() commits no more often */
#define RETRY_MS  5000 /* between two tries after a failure */

struct store {
	struct state *state;
	char problem[768];
	struct mono last_try;   /* of committing */
	struct mono last_whole; /* of those, with samples and advisories */
};

static void
set_problem(struct store *s, const char *text)
{
	if (text[0] != '\0' && s->problem[0] == '\0')
		log_error("supervisor",
			  "state: %s; copying goes on, positions are not kept until this is cured", text);
	else if (text[0] == '\0' && s->problem[0] != '\0')
		log_info("supervisor", "state: the database is in order again");
	snprintf(s->problem, sizeof s->problem, "%s", text);
}

/* state.db tells once what became of a file: set aside as damaged, or lost. */
static void
tell_news(struct store *s)
{
	char *news = state_take_news(s->state);

	if (news != NULL)
		log_warn("supervisor", "state: %s", news);
	free(news);
}

struct store *
store_new(const char *dir)
{
	struct store *s = xcalloc(1, sizeof *s);
	struct error e = ERROR_INIT;

	s->last_try = s->last_whole = mono_now();
	s->state = state_open(dir, &e);
	set_problem(s, state_problem(s->state));
	tell_news(s);
	return s;
}

/* After each call that may have written. */
static void
note_state(struct store *s)
{
	set_problem(s, state_problem(s->state));
	tell_news(s);
}

void
store_commit(struct store *s, struct mono now)
{
	s->last_try = now;
	(void)state_commit_small(s->state, NULL);
	note_state(s);
}

static void
commit_whole(struct store *s, struct mono now)
{
	s->last_try = s->last_whole = now;
	(void)state_commit(s->state, NULL);
	note_state(s);
}

void
store_free(struct store **store)
{
	struct store *s = *store;

	*store = NULL;
	if (s == NULL)
		return;
	/* what workers have said last is all of it worth keeping */
	do
		commit_whole(s, mono_now());
	while (s->problem[0] == '\0' && state_dirty(s->state));
	state_close(&s->state);
	free(s);
}

void
store_put_checkpoint(struct store *s, const char *topic, const char *worker, const struct proto_checkpoint *c)
{
	state_put_checkpoint(s->state, topic, worker, c);
}

bool
store_get_checkpoint(struct store *s, const char *topic, const char *worker, struct proto_checkpoint *c)
{
	struct error e = ERROR_INIT;
	int found;

	found = state_get_checkpoint(s->state, topic, worker, c, &e);
	if (found < 0)
		set_problem(s, e.text);
	return found > 0;
}

void
store_put_leadership(struct store *s, const struct state_leadership *rows, size_t count)
{
	state_put_leadership(s->state, rows, count);
}

void
store_incident(struct store *s, const char *topic, const char *kind, const char *detail)
{
	state_add_incident(s->state, wall_ms(), topic, kind, detail);
}

void
store_put_note(struct store *s, const char *what, const char *topic, const char *value)
{
	char *key = xasprintf("%s:%s", what, topic);

	state_put_meta(s->state, key, value);
	free(key);
}

char *
store_get_note(struct store *s, const char *what, const char *topic)
{
	struct error e = ERROR_INIT;
	char *key = xasprintf("%s:%s", what, topic), *value = NULL;

	if (state_get_meta(s->state, key, &value, &e) < 0)
		set_problem(s, e.text);
	free(key);
	return value != NULL ? value : xstrdup("");
}

void
store_put_samples(struct store *s, const char *topic, const struct proto_samples *batch)
{
	state_put_samples(s->state, topic, batch);
}

bool
store_take_stored(struct store *s, char **topic, struct proto_samples_stored *stored)
{
	return state_take_stored(s->state, topic, stored);
}

void
store_flush_samples(struct store *s, const char *topic)
{
	(void)state_flush_samples(s->state, topic, NULL);
	note_state(s);
}

bool
store_put_advisory(struct store *s, const char *topic, const struct proto_advisory *a)
{
	return state_put_advisory(s->state, topic, a);
}

/* A commit, or the rest of the work of the one before, never both: each may take a moment. */
void
store_tick(struct store *s, struct mono now)
{
	int64_t pause = s->problem[0] != '\0' ? RETRY_MS : COMMIT_MS;

	if (mono_ms_between(s->last_whole, now) >= pause && (state_dirty(s->state) || s->problem[0] != '\0'))
		commit_whole(s, now);
	else
		state_tidy(s->state);
}

bool
store_hurry(struct store *s, struct mono now)
{
	if (s->problem[0] != '\0' || mono_ms_between(s->last_try, now) < HURRY_MS)
		return false;
	store_commit(s, now);
	return true;
}

const char *
store_problem(const struct store *s)
{
	return s->problem;
}
