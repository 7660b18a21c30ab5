/*
 * Judging and making the target stream; runs in a replicating worker. A stream that exists is never
 * changed. If making it fails half-way nothing is left: the server makes a stream whole or not at all.
 */
#include "worker/provision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/subject.h"
#include "common/xalloc.h"

struct provision {
	struct ask_end end;
	json_t *config;
	struct nats_request *request;
	const struct conf_topic *topic;
	int replicas;
	provision_done_fn *done;
	void *arg;
};

/* ---- judging ------------------------------------------------------------------------------------- */

static const char *
subject_at(const struct jsapi_stream *stream, size_t i)
{
	return json_string_value(json_array_get(json_object_get(stream->config, "subjects"), i));
}

bool
provision_takes_subject(const struct jsapi_stream *target, const char *subject)
{
	const char *filter;

	for (size_t i = 0; (filter = subject_at(target, i)) != NULL; i++)
		if (subject_matches(filter, subject))
			return true;
	return false;
}

static bool
contained(const struct jsapi_stream *target, const struct conf_topic *topic, const char *filter)
{
	char mapped[SUBJECT_MAX];
	const char *have;

	if (subject_map(topic->target_subject_prefix, topic->target_subject_remove, filter, mapped,
			sizeof mapped) < 0)
		return false;
	for (size_t i = 0; (have = subject_at(target, i)) != NULL; i++)
		if (subject_filter_contains(have, mapped))
			return true;
	return false;
}

static bool
has_transform(const struct jsapi_stream *source)
{
	return source->has_subject_transform || source->mirror || source->has_sources;
}

bool
provision_takes_all(const struct conf_topic *topic, const struct jsapi_stream *source,
		    const struct jsapi_stream *target)
{
	const char *subject;
	size_t i;

	for (i = 0; i < topic->filter_count; i++)
		if (!contained(target, topic, topic->filter_subjects[i]))
			return false;
	if (i > 0)
		return true;
	if (has_transform(source) || subject_at(source, 0) == NULL)
		return contained(target, topic, ">");
	for (i = 0; (subject = subject_at(source, i)) != NULL; i++)
		if (!contained(target, topic, subject))
			return false;
	return true;
}

void
provision_mapped_filter(const struct conf_topic *topic, char *out, size_t size)
{
	const char *filter = topic->filter_count == 1 ? topic->filter_subjects[0] : ">";

	out[0] = '\0';
	if (topic->filter_count > 1 ||
	    (topic->filter_count == 0 && topic->target_subject_prefix[0] == '\0') ||
	    topic->target_subject_remove[0] != '\0')
		return;
	if (subject_map(topic->target_subject_prefix, "", filter, out, size) < 0)
		out[0] = '\0';
}

void
provision_header_policy(const struct conf_topic *topic, const struct jsapi_stream *target,
			struct header_policy *policy)
{
	*policy = (struct header_policy){
	    .pass_rollup = topic->pass_rollup && target->allow_rollup,
	    .accept_ttl = target->allow_msg_ttl,
	};
}

static const char *
unfit(const struct jsapi_stream *t)
{
	if (t->no_ack)
		return "it has no_ack set, so that no copy could ever be proven; set no_ack to false";
	if (t->allow_msg_counter)
		return "it counts (allow_msg_counter), so that copies would change; name another stream";
	if (t->mirror)
		return "it is a mirror, which takes no messages; name another stream";
	if (t->sealed)
		return "it is sealed, which takes no messages; name another stream";
	return NULL;
}

const char *
provision_refusal(const struct conf_topic *topic, const struct jsapi_stream *source,
		  const struct jsapi_stream *target, char *buf, size_t size)
{
	const char *why = unfit(target);

	if (source->created_ns == target->created_ns && strcmp(source->name, target->name) == 0) {
		snprintf(buf, size,
			 "source_url and target_url reach the same stream %s; name another target_stream or "
			 "target_url",
			 source->name);
		return buf;
	}
	if (why != NULL) {
		snprintf(buf, size, "target stream %s cannot be used: %s", topic->target_stream, why);
		return buf;
	}
	return NULL;
}

/* ---- making -------------------------------------------------------------------------------------- */

static void created(void *arg, enum nats_request_result result, const struct nats_message *m);

static int
ask_to_create(struct provision *p, struct error *e)
{
	char *body;

	json_object_set_new(p->config, "num_replicas", json_integer(p->replicas));
	body = json_dumps(p->config, JSON_COMPACT);
	if (body == NULL)
		return error_set(e, ERR_MEMORY, "target stream %s: its configuration cannot be written",
				 p->topic->target_stream);
	p->request =
	    ask_api(&p->end, body, strlen(body), created, p, e, "STREAM.CREATE.%s", p->topic->target_stream);
	free(body);
	return p->request != NULL ? 0 : -1;
}

static void
finish(struct provision *p, const char *failure)
{
	provision_done_fn *done = p->done;
	void *arg = p->arg;

	provision_cancel(&p);
	done(arg, failure);
}

/* Fewer replicas are tried only where it is the replicas that the cluster cannot hold. */
static bool
is_about_replicas(const struct jsapi_error *err)
{
	return err->err_code == 10005 || err->err_code == 10074 || err->err_code == 10023 ||
	       err->err_code == 10052;
}

static void
created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct provision *p = arg;
	struct jsapi_stream stream = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	char text[1024];
	int read;

	p->request = NULL;
	if (result != NATS_REPLY) {
		finish(p, ask_failure_text(result));
		return;
	}
	read = jsapi_read_stream(m->data, m->data_len, &stream, &err, &e);
	if (read == 0)
		jsapi_stream_fini(&stream);
	if (read == 0 || (read == 1 && err.err_code == JSAPI_STREAM_NAME_EXISTS)) {
		finish(p, NULL);
		return;
	}
	if (read == 1 && is_about_replicas(&err) && p->replicas > 1) {
		p->replicas--;
		if (ask_to_create(p, &e) == 0)
			return;
	}
	snprintf(text, sizeof text, "%s", read == 1 ? err.description : e.text);
	finish(p, text);
}

struct provision *
provision_start(const struct ask_end *end, const struct conf_topic *topic, const struct jsapi_stream *source,
		provision_done_fn *done, void *arg, struct error *e)
{
	struct provision *p = xcalloc(1, sizeof *p);

	p->end = *end;
	p->topic = topic;
	p->done = done;
	p->arg = arg;
	p->replicas = source->replicas > 0 ? source->replicas : 1;
	p->config = jsapi_target_config(
	    source, topic->target_stream, topic->target_subject_prefix, topic->target_subject_remove,
	    (const char *const *)topic->filter_subjects, topic->filter_count, p->replicas, e);
	if (p->config == NULL || ask_to_create(p, e) != 0)
		provision_cancel(&p);
	return p;
}

void
provision_cancel(struct provision **pp)
{
	struct provision *p = *pp;

	if (p == NULL)
		return;
	nats_request_cancel(&p->request);
	json_decref(p->config);
	free(p);
	*pp = NULL;
}
