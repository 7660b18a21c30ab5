/*
 * From a configuration to what has to run (see the header). Pure code of the supervisor: calls no loop and
 * knows no process.
 */
#include "supervisor/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

#define HEARTBEAT_KEY "heartbeat"

static struct job *
add(struct jobs *j, enum proto_job kind)
{
	j->list = xrealloc(j->list, (j->count + 1) * sizeof *j->list);
	j->list[j->count] = (struct job){.kind = kind};
	return &j->list[j->count++];
}

static void
add_heartbeat(struct jobs *j)
{
	struct job *job = add(j, JOB_HEARTBEAT);

	for (size_t i = 0; i < j->plan.group_count; i++) {
		const struct election_group *g = &j->plan.groups[i];

		for (size_t k = 0; k < g->name_count; k++) {
			if (g->names[k].heartbeat) {
				job->group = g;
				job->name = &g->names[k];
			}
		}
	}
}

void
jobs_make(struct jobs *j, const struct conf *conf)
{
	*j = (struct jobs){.conf = conf};
	election_plan_make(conf, &j->plan);
	for (size_t i = 0; i < conf->topic_count; i++) {
		struct job *job = add(j, JOB_REPLICATE);

		job->topic = &conf->topics[i];
		job->name = election_plan_of_topic(&j->plan, job->topic, &job->group);
	}
	if (conf->heartbeat.set)
		add_heartbeat(j);
	for (size_t i = 0; i < j->plan.group_count; i++)
		add(j, JOB_ELECT)->group = &j->plan.groups[i];
}

void
jobs_fini(struct jobs *j)
{
	free(j->list);
	election_plan_fini(&j->plan);
	*j = (struct jobs){0};
}

const struct job *
jobs_find(const struct jobs *j, enum proto_job kind, const char *key)
{
	for (size_t i = 0; i < j->count; i++)
		if (j->list[i].kind == kind && strcmp(job_key(&j->list[i]), key) == 0)
			return &j->list[i];
	return NULL;
}

const char *
job_key(const struct job *job)
{
	switch (job->kind) {
	case JOB_REPLICATE:
		return job->topic->key;
	case JOB_ELECT:
		return job->group->id;
	case JOB_HEARTBEAT:
	case JOB_END:
		break;
	}
	return HEARTBEAT_KEY;
}

const char *
job_worker(const struct job *job)
{
	return job->kind == JOB_REPLICATE ? job->topic->name : job_key(job);
}

const char *
job_noun(enum proto_job kind)
{
	switch (kind) {
	case JOB_ELECT:
		return "elector";
	case JOB_HEARTBEAT:
		return "heartbeat process";
	case JOB_REPLICATE:
	case JOB_END:
		break;
	}
	return "worker";
}

void
job_print(const struct jobs *j, const struct job *job, struct strbuf *out)
{
	switch (job->kind) {
	case JOB_REPLICATE:
		conf_print(j->conf, job->topic, CONF_PRINT_SECRET, out);
		break;
	case JOB_ELECT:
		election_plan_print(j->conf, job->group, out);
		break;
	case JOB_HEARTBEAT:
		conf_print_heartbeat(j->conf, out);
		break;
	case JOB_END:
		break;
	}
}

static bool
same_text(const struct jobs *ja, const struct job *a, const struct jobs *jb, const struct job *b)
{
	struct strbuf text_a, text_b;
	bool same;

	strbuf_init(&text_a);
	strbuf_init(&text_b);
	job_print(ja, a, &text_a);
	job_print(jb, b, &text_b);
	same = strbuf_equal(&text_a, &text_b);
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
	return same;
}

/* The same elector speaks for it: groups are numbered, and one that goes may leave its number to another. */
static bool
same_election(const struct job *a, const struct job *b)
{
	if (a->name == NULL || b->name == NULL)
		return a->name == b->name;
	return strcmp(a->group->id, b->group->id) == 0 && strcmp(a->name->key, b->name->key) == 0;
}

bool
job_equal(const struct jobs *ja, const struct job *a, const struct jobs *jb, const struct job *b)
{
	switch (a->kind) {
	case JOB_REPLICATE:
		return same_election(a, b) && conf_topic_equal(ja->conf, a->topic, jb->conf, b->topic);
	case JOB_HEARTBEAT:
		return same_election(a, b) && conf_heartbeat_equal(ja->conf, jb->conf);
	case JOB_ELECT:
	case JOB_END:
		break;
	}
	return same_text(ja, a, jb, b);
}
