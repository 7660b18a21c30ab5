/*
 * Sampling in `check --connect`. Runs in the user's shell.
 *
 * Rights are told by asking, in forms that can do nothing: empty gossip, which peers pass over, and empty
 * advisories; both expect a stream whose name cannot exist, so that no stream stores them. Who subscribes to
 * the subject of an advisory gets that empty message, as with any publish. The refusal of a stream tells that
 * it takes the subject, and which stream it is.
 */
#include "admin/connect_sampling.h"

#include <string.h>

#include "admin/connect_say.h"
#include "common/advisory.h"
#include "common/array.h"
#include "common/gossip.h"
#include "common/nats/fit.h"
#include "common/subject.h"

#define NEVER_STORED "Nats-Expected-Stream: stream-replicator check\r\n"
#define REFUSED_BODY "{" /* no JSON, and not empty */
#define VALUE        "stream-replicator-check"

struct sampling_check {
	const struct conf_topic *topic;
	struct session *session; /* the end in question */
	unsigned *problems;
	unsigned granted;
};

static void
try_publish(struct sampling_check *c, const char *subject, const char *headers, const char *body,
	    const char *cost)
{
	struct error e = ERROR_INIT;

	if (session_try_publish(c->session, subject, headers, body, &e) == 0)
		c->granted++;
	else
		connect_problem(c->problems, "%s; %s", e.text, cost);
}

/* ---- reading back ---------------------------------------------------------------------------------- */

/* The consumer that a worker reads the last copies with, at a start. */
static void
check_reading_back(struct sampling_check *c)
{
	static const char *const verbs[] = {"CONSUMER.CREATE", "CONSUMER.MSG.NEXT"};
	char subject[SUBJECT_MAX];

	for (size_t i = 0; i < array_len(verbs); i++)
		if (jsapi_subject(subject, sizeof subject, session_end(c->session)->domain,
				  "%s.%s.sr_scan_check", verbs[i], c->topic->target_stream) > 0)
			try_publish(c, subject, "", REFUSED_BODY,
				    "without it what was copied last is not known after a crash");
}

/* Whether the topic copies messages of that subject, where its stream stores them. */
static bool
is_copied(const struct conf_topic *t, const char *subject)
{
	bool copied = t->filter_count == 0;

	for (size_t i = 0; i < t->filter_count; i++)
		copied = copied || subject_matches(t->filter_subjects[i], subject);
	return copied;
}

/* ---- gossip ---------------------------------------------------------------------------------------- */

/* Each second a message at least, which is copied, and for many inspectors a sender of its own. */
static void
judge_gossip(struct sampling_check *c, const struct jsapi_stream *stream)
{
	static const char *const suffixes[] = {"", ".position"};
	const struct conf_topic *t = c->topic;
	bool found = false;

	for (size_t i = 0; i < array_len(suffixes) && !found; i++) {
		struct strbuf subject;

		strbuf_init(&subject);
		gossip_subject(t->stream, t->key, suffixes[i], &subject);
		found = fit_takes_subject(stream, subject.data) && is_copied(t, subject.data);
		if (found)
			connect_problem(c->problems,
					"source: stream %s, which is copied, stores the topic's own gossip "
					"(%s): take that out of its subjects, or set filter_subject",
					t->stream, subject.data);
		strbuf_fini(&subject);
	}
}

static void
try_gossip(struct sampling_check *c, const char *suffix)
{
	struct error e = ERROR_INIT;
	struct strbuf subject;

	strbuf_init(&subject);
	gossip_subject(c->topic->stream, c->topic->key, suffix, &subject);
	try_publish(c, subject.data, NEVER_STORED, "", "without it others do not know what was copied here");
	if (session_try_subscribe(c->session, subject.data, &e) == 0)
		c->granted++;
	else
		connect_problem(c->problems, "%s; without it what others copied is not known here", e.text);
	strbuf_fini(&subject);
}

static void
check_gossip(struct sampling_check *c)
{
	static const char *const suffixes[] = {"", ".position", ".snapshot"};
	unsigned before = *c->problems;

	c->granted = 0;
	for (size_t i = 0; i < array_len(suffixes); i++)
		try_gossip(c, suffixes[i]);
	try_publish(c, "_INBOX." VALUE, "", "", "without it others that join are told nothing");
	if (*c->problems == before)
		connect_say("gossip", "rights: all %u that were tried", c->granted);
}

/* ---- advisories ------------------------------------------------------------------------------------ */

static const char *
label(const struct sampling_check *c)
{
	return session_label(c->session);
}

/* Advisories that come to the topic itself: at its source as messages without a sender, or of one; at its
 * target they take places of copies. */
static void
judge_stream(struct sampling_check *c, const char *subject, const char *stream)
{
	const struct conf_topic *t = c->topic;
	bool source = t->sampling.advisory.cluster == ADVISORY_SOURCE;

	if (source && is_copied(t, subject) && strcmp(stream, t->stream) == 0)
		connect_problem(c->problems,
				"source: stream %s, which is copied, stores the topic's own advisories (%s): "
				"change subject in section advisory, or set filter_subject",
				stream, subject);
	else if (!source && strcmp(stream, t->target_stream) == 0 &&
		 t->target_writers == TARGET_WRITERS_EXCLUSIVE)
		connect_problem(
		    c->problems,
		    "target: stream %s stores the topic's own advisories (%s), and target_writers "
		    "is exclusive: change subject in section advisory, or set shared",
		    stream, subject);
}

/* The stream that takes a subject; "" if there is none. False without the right to publish. */
static bool
ask_stream(struct sampling_check *c, const char *subject, char *stream, size_t size)
{
	struct error e = ERROR_INIT;
	struct jsapi_puback ack;
	struct strbuf reply;
	bool granted;

	stream[0] = '\0';
	strbuf_init(&reply);
	granted = session_publish(c->session, subject, NEVER_STORED, &reply, &e) == 0 || e.code != ERR_DENIED;
	if (!granted)
		connect_problem(c->problems, "%s (publishing to %s)", e.text, subject);
	else if (reply.len > 0 && jsapi_read_puback(reply.data, reply.len, &ack) == 0)
		snprintf(stream, size, "%s", ack.stream[0] != '\0' ? ack.stream : "one");
	strbuf_fini(&reply);
	return granted;
}

static void
check_subject(struct sampling_check *c, const char *subject)
{
	char stream[256];

	if (!ask_stream(c, subject, stream, sizeof stream))
		return;
	c->granted++;
	if (stream[0] != '\0') {
		connect_say("advisory", "%s: %s, stored by stream %s", label(c), subject, stream);
		judge_stream(c, subject, stream);
	} else if (c->topic->sampling.advisory.reliable) {
		connect_problem(
		    c->problems,
		    "%s: no stream takes %s, and reliable is set: add the subject to a stream, or leave "
		    "reliable out",
		    label(c), subject);
	} else {
		connect_say("advisory", "%s: %s, stored by no stream", label(c), subject);
	}
}

static void
check_advisories(struct sampling_check *c)
{
	const char *pattern = c->topic->sampling.advisory.subject;
	bool one = strstr(pattern, "%s") == NULL;
	struct strbuf subject;

	strbuf_init(&subject);
	for (int i = 0; i < (one ? 1 : ADVISORY_EVENT_END); i++) {
		const struct advisory a = {.event = (enum advisory_event)i, .value = VALUE};

		advisory_subject(pattern, &a, &subject);
		check_subject(c, subject.data);
	}
	strbuf_fini(&subject);
}

/* ---- whole ----------------------------------------------------------------------------------------- */

void
connect_sampling(const struct conf_topic *topic, struct session *source, const struct jsapi_stream *stream,
		 struct session *target, unsigned *problems)
{
	struct sampling_check c = {.topic = topic, .session = source, .problems = problems};

	if (topic->sampling.inspect == INSPECT_NONE)
		return;
	if (topic->sampling.gossip && source != NULL)
		check_gossip(&c);
	if (topic->sampling.gossip && stream != NULL)
		judge_gossip(&c, stream);
	c.session = target;
	if (target != NULL)
		check_reading_back(&c);
	if (topic->sampling.advisory.cluster == ADVISORY_SOURCE)
		c.session = source;
	if (topic->sampling.advisory.set && c.session != NULL)
		check_advisories(&c);
}
