/*
 * What a child is for, and all that depends on it: a worker copies one topic, an elector campaigns for the
 * names of one group, one process publishes heartbeats. Pure.
 */
#ifndef SR_SUPERVISOR_JOB_H
#define SR_SUPERVISOR_JOB_H

#include "common/conf.h"
#include "common/election_plan.h"
#include "common/proto.h"

/* Everything is borrowed from the configuration and its plan. */
struct job {
	enum proto_job kind;
	const struct conf_topic *topic;     /* JOB_REPLICATE */
	const struct election_group *group; /* JOB_ELECT: its own; others: that of their election, or NULL */
	const struct election_name *name;   /* the election that it works for; NULL for none */
};

/* All that a configuration asks for. */
struct jobs {
	const struct conf *conf; /* borrowed */
	struct election_plan plan;
	struct job *list; /* count of them: topics in the order of the file, the heartbeat, electors */
	size_t count;
};

void jobs_make(struct jobs *j, const struct conf *conf);
void jobs_fini(struct jobs *j);
/* NULL if there is none. */
const struct job *jobs_find(const struct jobs *j, enum proto_job kind, const char *key);

/* Unique among those of its kind: topic, group, "heartbeat". What people call it. */
const char *job_key(const struct job *job);
/* Name of the process, as in ps. */
const char *job_worker(const struct job *job);
/* "worker", "elector", "heartbeat process" */
const char *job_noun(enum proto_job kind);
/* Appends what CONFIG holds. */
void job_print(const struct jobs *j, const struct job *job, struct strbuf *out);
/* Whether a running process may stay as it is when job a of ja becomes job b of jb; both have the same key.
 */
bool job_equal(const struct jobs *ja, const struct job *a, const struct jobs *jb, const struct job *b);

#endif
