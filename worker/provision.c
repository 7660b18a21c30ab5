/*
 * Making the target stream; runs in a replicating worker. A stream that exists is never
 * changed. If making it fails half-way nothing is left: the server makes a stream whole or not at all.
 */
#include "worker/provision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
