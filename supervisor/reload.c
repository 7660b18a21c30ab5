/*
 * Reload. Runs in the supervisor. Invariant: before commit() nothing has changed but the open log file;
 * commit() cannot fail; a topic whose settings did not change keeps its process.
 */
#include "supervisor/reload.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "supervisor/elections.h"
#include "supervisor/notify.h"

static void
add_text(json_t *array, const char *value)
{
	struct strbuf clean;

	strbuf_init(&clean);
	text_clean(&clean, value, strlen(value));
	json_array_append_new(array, json_string(clean.data));
	strbuf_fini(&clean);
}

/* Logs each error and makes the answer of them; nothing has been changed. */
static json_t *
refuse(const struct conf_errors *errors)
{
	json_t *texts = json_array();

	for (size_t i = 0; i < errors->count; i++) {
		log_error("supervisor", "reload: %s", errors->text[i]);
		add_text(texts, errors->text[i]);
	}
	log_error("supervisor", "reload: refused, the old configuration runs on");
	return json_pack("{s:b, s:s, s:o}", "ok", 0, "error",
			 "the configuration was refused, the old one runs on", "errors", texts);
}

static json_t *
refuse_one(const char *text)
{
	char *copy = strdup(text);
	struct conf_errors one = {.text = &copy, .count = 1};
	json_t *answer = refuse(&one);

	free(copy);
	return answer;
}

/* What can fail without being an error of the file. Leaves all as it was if it does. */
static int
acquire(struct supervisor *s, const struct conf *new, struct error *e)
{
	struct error ignored = ERROR_INIT;
	const struct conf *old = s->conf;

	if (strcmp(old->state_dir, new->state_dir) != 0)
		return error_set(
		    e, ERR_CONFIG,
		    "state_dir \"%s\": cannot change from \"%s\" while running; stop and start again",
		    new->state_dir, old->state_dir);
	if (supervisor_open_log(s, new, e) != 0)
		return -1;
	if (control_move(s->control, new->control_socket, e) == 0)
		return 0;
	supervisor_open_log(s, old, &ignored);
	return -1;
}

struct changes {
	json_t *added, *removed, *changed, *retried;
	json_int_t untouched;
};

static void
take_job(struct supervisor *s, const struct jobs *old, const struct job *job, struct changes *changes)
{
	struct child *c = children_find(&s->children, job->kind, job_key(job));

	if (c == NULL) {
		children_add(&s->children, job);
		add_text(changes->added, job_key(job));
	} else if (!c->wanted || !job_equal(old, &c->job, &s->jobs, job)) {
		/* One that was on its way out and is back counts as changed: its process is ending. */
		bool ending = !c->wanted;

		child_set_job(c, job);
		c->starts_of_config = 0;
		if (c->kind == JOB_ELECT && !ending)
			c->replace = true;
		else
			child_drain(c, CHILD_START);
		add_text(changes->changed, job_key(job));
	} else if (c->restart.permanent) {
		child_set_job(c, job);
		child_drain(c, CHILD_START);
		add_text(changes->retried, job_key(job));
	} else {
		child_set_job(c, job);
		if (old->conf->loglevel != s->conf->loglevel)
			child_set_log_level(c, s->conf->loglevel);
		changes->untouched++;
	}
}

static void
remove_missing(struct supervisor *s, struct changes *changes)
{
	for (size_t i = 0; i < s->children.count; i++) {
		struct child *c = s->children.list[i];

		if (c->gone || !c->wanted || jobs_find(&s->jobs, c->kind, c->key) != NULL)
			continue;
		child_set_job(c, NULL);
		add_text(changes->removed, c->key);
		child_drain(c, CHILD_REMOVE);
	}
}

/* From here on the new configuration is the one that counts. Order: those that go first, so that their
 * names are free; the table knows the new configuration before any process is started from it. */
static void
commit(struct supervisor *s, struct conf *new, struct changes *changes)
{
	struct conf *old_conf = s->conf;
	struct jobs old = s->jobs;

	s->conf = new;
	jobs_make(&s->jobs, new);
	elections_set_plan(s->children.elections);
	remove_missing(s, changes);
	for (size_t i = 0; i < s->jobs.count; i++)
		take_job(s, &old, &s->jobs.list[i], changes);
	children_order(&s->children);
	elections_advance(s->children.elections, mono_now());
	jobs_fini(&old);
	conf_free(&old_conf);
}

static json_t *
commit_and_tell(struct supervisor *s, struct conf *new)
{
	struct changes changes = {json_array(), json_array(), json_array(), json_array(), 0};

	commit(s, new, &changes);
	log_info("supervisor", "reload: %zu added, %zu removed, %zu changed, %zu retried, %lld untouched",
		 json_array_size(changes.added), json_array_size(changes.removed),
		 json_array_size(changes.changed), json_array_size(changes.retried),
		 (long long)changes.untouched);
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:I}", "ok", 1, "added", changes.added, "removed",
			 changes.removed, "changed", changes.changed, "retried", changes.retried, "untouched",
			 changes.untouched);
}

static json_t *
run(struct supervisor *s)
{
	struct conf_errors errors = {0};
	struct error e = ERROR_INIT;
	struct conf *new = conf_load(s->options->config_path, &errors);
	json_t *answer;

	if (new == NULL) {
		answer = refuse(&errors);
	} else {
		supervisor_note_missing(s->options, new);
		supervisor_prepare_conf(s->options, new);
		if (acquire(s, new, &e) == 0) {
			answer = commit_and_tell(s, new);
		} else {
			conf_free(&new);
			answer = refuse_one(e.text);
		}
	}
	conf_errors_fini(&errors);
	return answer;
}

json_t *
reload_run(struct supervisor *s)
{
	json_t *answer;

	if (s->children.stopping)
		return request_refusal("stream-replicator is stopping");
	notify_reloading();
	answer = run(s);
	notify_ready();
	return answer;
}
