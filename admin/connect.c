/*
 * The command `check --connect`. Runs in the user's shell, one topic after the other.
 *
 * Rights are told by asking, in forms that can do nothing: requests to the API with a body that the server
 * must refuse, a progress report on no message, and one publish to the target that two expectations keep
 * from being stored (a stream name that cannot exist, and a last sequence that cannot be). Like any
 * publish, that one reaches who subscribes to its subject: an empty message. It carries an origin of the
 * topic, so that a worker at work knows it for one of its own kind and not for another writer.
 */
#include "admin/connect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/connect_election.h"
#include "admin/connect_sampling.h"
#include "admin/connect_say.h"
#include "admin/load.h"
#include "admin/session.h"
#include "admin/values.h"
#include "common/clock.h"
#include "common/nats/fit.h"
#include "common/subject.h"
#include "common/xalloc.h"

#define REFUSED_BODY "{" /* no JSON, and not empty */
/* The sequence is that of a replicator's own question that is never stored, which a running one passes over.
 */
#define NEVER_STORED                                                                                         \
	"Nats-Expected-Stream: stream-replicator check\r\n"                                                  \
	"Nats-Expected-Last-Sequence: 9223372036854775807\r\n"                                               \
	"Choria-SR-Source: %s 1 %s %s -1\r\n"

struct check {
	const struct conf *conf;
	const struct conf_topic *topic;
	struct session *source, *target;
	struct jsapi_stream source_stream, target_stream;
	bool have_source, have_target; /* the streams */
	char subject[SUBJECT_MAX];     /* one that copies may have; "" if none is known */
	unsigned problems;
};

static const char *
count(uint64_t n, char *buf, size_t size)
{
	return values_count((json_int_t)n, buf, size);
}

static const char *
retention_name(enum jsapi_retention retention)
{
	switch (retention) {
	case RETENTION_INTEREST:
		return "kept while consumers want it";
	case RETENTION_WORKQUEUE:
		return "a work queue";
	case RETENTION_LIMITS:
		break;
	}
	return "kept by limits";
}

static void
say_stream(const char *which, const struct jsapi_stream *s)
{
	char n[32], cluster[64] = "";

	if (s->replicas > 1)
		snprintf(cluster, sizeof cluster, ", %d replicas", s->replicas);
	if (s->messages == 0)
		connect_say(which, "stream %s: %s%s, empty, last sequence %" PRIu64, s->name,
			    retention_name(s->retention), cluster, s->last_seq);
	else
		connect_say(which, "stream %s: %s%s, %s messages, sequences %" PRIu64 " to %" PRIu64, s->name,
			    retention_name(s->retention), cluster, count(s->messages, n, sizeof n),
			    s->first_seq, s->last_seq);
}

/* ---- the ends ------------------------------------------------------------------------------------ */

static struct session *
reach(struct check *c, struct event_base *base, enum session_side side)
{
	struct error e = ERROR_INIT;
	struct session *s = session_open(base, c->topic, side, &e);
	const struct nats_server_info *info;

	if (s == NULL) {
		connect_problem(&c->problems, "%s", e.text);
		return NULL;
	}
	info = nats_conn_info(session_end(s)->conn);
	connect_say(session_label(s), "%s: server %s, version %s%s", info->url, info->name, info->version,
		    info->jetstream ? "" : ", which does not offer JetStream itself");
	return s;
}

/* Fills *out; false if the stream is not there or cannot be seen, which is told where it is a problem. */
static bool
see_stream(struct check *c, struct session *s, const char *name, bool must_be, struct jsapi_stream *out)
{
	struct jsapi_error err = {0};
	struct error e = ERROR_INIT;
	int read = session_stream(s, name, out, &err, &e);

	if (read == 0) {
		say_stream(session_label(s), out);
		return true;
	}
	if (read < 0)
		connect_problem(&c->problems, "%s", e.text);
	else if (err.err_code != JSAPI_STREAM_NOT_FOUND)
		connect_problem(&c->problems, "%s: stream %s: %s", session_label(s), name, err.description);
	else if (must_be)
		connect_problem(&c->problems, "%s: stream %s does not exist", session_label(s), name);
	return false;
}

static void
join(struct strbuf *out, const json_t *subjects)
{
	for (size_t i = 0; i < json_array_size(subjects); i++)
		strbuf_addf(out, "%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(subjects, i)));
}

/* A target stream that is missing: what the worker would make. */
static void
say_creation(struct check *c)
{
	const struct conf_topic *t = c->topic;
	struct error e = ERROR_INIT;
	struct strbuf subjects;
	json_t *config;

	if (t->no_target_create) {
		connect_problem(&c->problems, "target: stream %s does not exist, and no_target_create is set",
				t->target_stream);
		return;
	}
	if (!c->have_source)
		return;
	config = jsapi_target_config(&c->source_stream, t->target_stream, t->target_subject_prefix,
				     t->target_subject_remove, (const char *const *)t->filter_subjects,
				     t->filter_count, c->source_stream.replicas, &e);
	if (config == NULL) {
		connect_problem(&c->problems, "%s", e.text);
		return;
	}
	strbuf_init(&subjects);
	join(&subjects, json_object_get(config, "subjects"));
	connect_say(
	    "target",
	    "stream %s does not exist; it would be created with subjects %s, storage %s, and %s%d replica%s",
	    t->target_stream, subjects.data, json_string_value(json_object_get(config, "storage")),
	    c->source_stream.replicas > 1 ? "up to " : "", c->source_stream.replicas,
	    c->source_stream.replicas == 1 ? "" : "s");
	strbuf_fini(&subjects);
	json_decref(config);
}

static void
judge(struct check *c)
{
	char text[1024];

	if (!c->have_source || !c->have_target)
		return;
	if (fit_refusal(c->topic, &c->source_stream, &c->target_stream, text, sizeof text) != NULL)
		connect_problem(&c->problems, "%s", text);
	else if (!fit_takes_all(c->topic, &c->source_stream, &c->target_stream))
		connect_problem(
		    &c->problems,
		    "target: the subjects of stream %s do not take all that the topic's subjects map to; add "
		    "them, or narrow filter_subject",
		    c->topic->target_stream);
}

/* ---- rights -------------------------------------------------------------------------------------- */

static bool
matches_filters(const struct conf_topic *t, const char *subject)
{
	for (size_t i = 0; i < t->filter_count; i++)
		if (subject_matches(t->filter_subjects[i], subject))
			return true;
	return t->filter_count == 0;
}

/* A subject under a filter: its wildcards made a name that nobody will have used. */
static void
subject_under(const char *filter, char *out, size_t size)
{
	static const char name[] = "stream-replicator-check";
	size_t len = 0;

	out[0] = '\0';
	for (; *filter != '\0' && len + sizeof name < size; filter++) {
		bool wildcard = *filter == '*' || *filter == '>';

		len += (size_t)snprintf(out + len, size - len, "%.*s", wildcard ? (int)sizeof name - 1 : 1,
					wildcard ? name : filter);
	}
}

/* The mapped subject of the newest source message, else one made of a filter. */
static void
choose_subject(struct check *c)
{
	const struct conf_topic *t = c->topic;
	const char *filter =
	    t->filter_count > 0
		? t->filter_subjects[0]
		: json_string_value(json_array_get(json_object_get(c->source_stream.config, "subjects"), 0));
	char subject[SUBJECT_MAX] = "";
	struct jsapi_stored m = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;

	if (filter != NULL)
		subject_under(filter, subject, sizeof subject);
	if (c->source_stream.messages > 0 &&
	    session_message(c->source, c->source_stream.name, c->source_stream.last_seq, NULL, &m, &err,
			    &e) == 0) {
		if (matches_filters(t, m.subject))
			snprintf(subject, sizeof subject, "%s", m.subject);
		jsapi_stored_fini(&m);
	}
	if (e.code == ERR_DENIED)
		connect_problem(&c->problems,
				"%s; grant it, or positions cannot be checked against the source", e.text);
	if (subject_map(t->target_subject_prefix, t->target_subject_remove, subject, c->subject,
			sizeof c->subject) < 0)
		c->subject[0] = '\0';
}

/* Tries a request that can do nothing. Counts those that pass; a refusal is a problem. */
static void try_api(struct check *c, struct session *s, unsigned *granted, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
try_api(struct check *c, struct session *s, unsigned *granted, const char *fmt, ...)
{
	char verb[SUBJECT_MAX], subject[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verb, sizeof verb, fmt, ap);
	va_end(ap);
	if (jsapi_subject(subject, sizeof subject, session_end(s)->domain, "%s", verb) < 0)
		return;
	if (session_try_publish(s, subject, "", REFUSED_BODY, &e) == 0)
		(*granted)++;
	else
		connect_problem(&c->problems, "%s", e.text);
}

static void
try_source(struct check *c)
{
	const char *stream = c->topic->stream, *name = c->topic->name;
	char ack[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	unsigned granted = 0, before = c->problems;

	if (c->topic->ephemeral) {
		try_api(c, c->source, &granted, "CONSUMER.CREATE.%s", stream);
	} else {
		try_api(c, c->source, &granted, "CONSUMER.INFO.%s.%s", stream, name);
		try_api(c, c->source, &granted, "CONSUMER.DURABLE.CREATE.%s.%s", stream, name);
		try_api(c, c->source, &granted, "CONSUMER.MSG.NEXT.%s.%s", stream, name);
		if (c->source_stream.retention == RETENTION_LIMITS)
			try_api(c, c->source, &granted, "CONSUMER.DELETE.%s.%s", stream, name);
		snprintf(ack, sizeof ack, "$JS.ACK.%s.%s.0.0.0.0.0", stream, name);
		if (session_try_publish(c->source, ack, "", "+WPI", &e) == 0)
			granted++;
		else
			connect_problem(&c->problems, "%s", e.text);
	}
	if (c->problems == before)
		connect_say("source", "rights: all %u that were tried", granted);
}

static void
try_publish(struct check *c, unsigned *granted)
{
	struct strbuf headers, reply;
	struct error e = ERROR_INIT;

	if (c->subject[0] == '\0') {
		connect_say("target", "publishing was not tried: no subject is known that a copy would have");
		return;
	}
	strbuf_init(&reply);
	strbuf_init(&headers);
	strbuf_addf(&headers, NEVER_STORED, c->topic->stream, c->conf->name, c->topic->key);
	/* without a stream there nobody answers: that it may be published is all that is asked */
	if (session_publish(c->target, c->subject, headers.data, &reply, &e) != 0 &&
	    (e.code == ERR_DENIED || (c->have_target && e.code != ERR_NOT_FOUND)))
		connect_problem(&c->problems, "%s (publishing to %s)", e.text, c->subject);
	else
		(*granted)++;
	strbuf_fini(&headers);
	strbuf_fini(&reply);
}

static void
try_target(struct check *c)
{
	const char *stream = c->topic->target_stream;
	unsigned granted = 0, before = c->problems;

	try_api(c, c->target, &granted, "STREAM.MSG.GET.%s", stream);
	if (!c->have_target && !c->topic->no_target_create)
		try_api(c, c->target, &granted, "STREAM.CREATE.%s", stream);
	try_publish(c, &granted);
	if (c->problems == before)
		connect_say("target", "rights: all %u that were tried", granted);
}

/* ---- how much there is to copy ------------------------------------------------------------------- */

/* The newest copy at the target: by its last sequence, else under the topic's mapped filter. */
static bool
find_copy(struct check *c, uint64_t *seq)
{
	char filter[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	struct origin o;
	bool ordered;
	int read;

	if (!c->have_target || c->target_stream.messages == 0)
		return false;
	read =
	    session_origin(c->target, c->conf, c->topic, c->target_stream.last_seq, NULL, &o, &ordered, &e);
	fit_mapped_filter(c->topic, &c->source_stream, &c->target_stream, filter, sizeof filter);
	if (read > 0 && filter[0] != '\0')
		read = session_origin(c->target, c->conf, c->topic, 0, filter, &o, &ordered, &e);
	if (read == 0)
		*seq = (uint64_t)o.seq;
	return read == 0;
}

static bool
find_floor(struct check *c, uint64_t *seq)
{
	struct jsapi_consumer consumer = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	struct strbuf reply;
	int read;

	strbuf_init(&reply);
	read =
	    session_ask(c->source, "", &reply, &e, "CONSUMER.INFO.%s.%s", c->topic->stream, c->topic->name);
	if (read == 0)
		read = jsapi_read_consumer(reply.data, reply.len, &consumer, &err, &e);
	if (read == 0) {
		*seq = consumer.ack_floor_stream_seq;
		jsapi_consumer_fini(&consumer);
	}
	strbuf_fini(&reply);
	return read == 0 && *seq > 0;
}

/* Asks the source for what a consumer that begins there would get. */
static bool
count_behind(struct check *c, struct jsapi_consumer_request *request, uint64_t *messages)
{
	struct jsapi_consumer consumer = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	struct strbuf reply;
	char name[64];

	snprintf(name, sizeof name, "sr_check_%ld_%llx", (long)getpid(), (unsigned long long)mono_now().ns);
	request->stream = c->topic->stream;
	request->name = name;
	request->ack_none = request->memory = true;
	request->max_ack_pending = -1;
	request->inactive_threshold_ns = INT64_C(5000000000);
	request->filters = (const char *const *)c->topic->filter_subjects;
	request->filter_count = c->topic->filter_count;
	if (session_consumer(c->source, request, &consumer, &err, &e) != 0)
		return false;
	*messages = consumer.num_pending;
	jsapi_consumer_fini(&consumer);
	strbuf_init(&reply);
	(void)session_ask(c->source, "", &reply, &e, "CONSUMER.DELETE.%s.%s", c->topic->stream, name);
	strbuf_fini(&reply);
	return true;
}

static const char *
configured_start(const struct check *c, struct jsapi_consumer_request *request)
{
	const struct conf_topic *t = c->topic;

	switch (t->start) {
	case START_SEQUENCE:
		request->start_seq = t->start_sequence;
		return "from start_sequence on";
	case START_TIME:
		request->start_time_ns = t->start_time_ms * 1000000;
		return "from start_time on";
	case START_DELTA:
		request->start_time_ns = (wall_ms() - t->start_delta_ms) * 1000000;
		return "from start_delta on";
	case START_AT_END:
		request->start_seq = c->source_stream.last_seq + 1;
		return "from the end on";
	case START_ALL:
		break;
	}
	return "everything";
}

static void
say_amount(struct check *c)
{
	struct jsapi_consumer_request request = {0};
	uint64_t at = 0, messages;
	char n[32], where[96];

	if (find_copy(c, &at))
		snprintf(where, sizeof where, "behind source sequence %" PRIu64 ", as the target says", at);
	else if (!c->topic->ephemeral && find_floor(c, &at))
		snprintf(where, sizeof where,
			 "behind source sequence %" PRIu64 ", as the source's consumer says", at);
	else
		snprintf(where, sizeof where, "%s", configured_start(c, &request));
	if (at > 0)
		request.start_seq = at + 1;
	if (c->source_stream.messages == 0 || at >= c->source_stream.last_seq)
		connect_say("to copy", "nothing now (%s)", where);
	else if (count_behind(c, &request, &messages))
		connect_say("to copy", "%s messages (%s)", count(messages, n, sizeof n), where);
	else
		connect_say("to copy", "at most %s messages (%s)",
			    count(c->source_stream.last_seq - at, n, sizeof n), where);
}

/* ---- the run ------------------------------------------------------------------------------------- */

static void
check_target(struct check *c, struct event_base *base)
{
	c->target = reach(c, base, SESSION_TARGET);
	if (c->target == NULL)
		return;
	c->have_target = see_stream(c, c->target, c->topic->target_stream, false, &c->target_stream);
	if (!c->have_target && c->problems == 0)
		say_creation(c);
	try_target(c);
	judge(c);
}

static void
check_ends(struct check *c, struct event_base *base)
{
	const struct conf_topic *t = c->topic;

	c->source = reach(c, base, SESSION_SOURCE);
	if (c->source != NULL)
		c->have_source = see_stream(c, c->source, t->stream, true, &c->source_stream);
	if (c->have_source) {
		choose_subject(c);
		try_source(c);
	}
	check_target(c, base);
	connect_sampling(t, c->source, c->have_source ? &c->source_stream : NULL, c->target, &c->problems);
	if (c->have_source && c->target != NULL)
		say_amount(c);
}

static bool
check_topic(const struct conf *conf, const struct conf_topic *topic, struct event_base *base)
{
	struct check c = {.conf = conf, .topic = topic};

	printf("%s\n", topic->key);
	check_ends(&c, base);
	if (c.problems == 0)
		connect_say("fine", "nothing stands in its way");
	fflush(stdout);
	session_free(&c.source);
	session_free(&c.target);
	jsapi_stream_fini(&c.source_stream);
	jsapi_stream_fini(&c.target_stream);
	return c.problems == 0;
}

static int
check_all(const struct conf *conf)
{
	struct event_base *base = event_base_new();
	struct error e = ERROR_INIT;
	bool fine = true;

	if (nats_library_start(&e) != 0) {
		fprintf(stderr, "stream-replicator: %s\n", e.text);
		event_base_free(base);
		return COMMAND_EXIT_FAILED;
	}
	for (size_t i = 0; i < conf->topic_count; i++)
		fine &= check_topic(conf, &conf->topics[i], base);
	fine &= connect_elections(conf, base);
	event_base_free(base);
	nats_library_stop();
	return fine && fflush(stdout) == 0 ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

int
admin_check_connect(const char *config_path)
{
	struct conf *conf = load_conf(config_path);
	int rc = conf != NULL ? check_all(conf) : COMMAND_EXIT_CONFIG;

	conf_free(&conf);
	return rc;
}
