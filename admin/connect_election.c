/*
 * Elections in `check --connect`. Runs in the user's shell, one bucket after the other.
 *
 * Rights are told by asking, in forms that can do nothing: requests with a body that the server must refuse,
 * a publish to a key that expects a stream whose name cannot exist, an empty announcement, which electors
 * drop. Keys are read from the bucket's leader; nothing here campaigns.
 */
#include "admin/connect_election.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin/connect_say.h"
#include "admin/session.h"
#include "common/clock.h"
#include "common/election_plan.h"
#include "common/election_value.h"
#include "common/nats/election_bucket.h"
#include "common/subject.h"
#include "common/units.h"

#define REFUSED_BODY "{" /* no JSON, and not empty */
#define NEVER_STORED "Nats-Expected-Stream: stream-replicator check\r\n"

#define SESSION_NAME "election"

struct place {
	const struct conf *conf;
	const struct election_group *group;
	const struct conf_election *election;
	struct session *session;
	char stream[SUBJECT_MAX];
	bool there; /* the bucket */
	unsigned problems;
};

/* ---- the bucket ---------------------------------------------------------------------------------- */

static const char *
ttl_text(int64_t ms, char *buf, size_t size)
{
	return units_format_duration(buf, size, ms);
}

static void
say_bucket(struct place *p, const struct jsapi_stream *s)
{
	const char *storage = json_string_value(json_object_get(s->config, "storage"));
	char is[UNITS_SIZE], configured[UNITS_SIZE], note[UNITS_SIZE + 32] = "";
	int64_t ttl_ms = election_bucket_ttl_ms(s);

	if (ttl_ms != p->election->ttl_ms)
		snprintf(note, sizeof note, " (configured is %s)",
			 ttl_text(p->election->ttl_ms, configured, sizeof configured));
	connect_say("bucket", "%s: TTL %s%s, %s storage, %d replica%s", p->election->bucket,
		    ttl_text(ttl_ms, is, sizeof is), note, storage != NULL ? storage : "unknown", s->replicas,
		    s->replicas == 1 ? "" : "s");
}

static void
say_creation(struct place *p)
{
	uint32_t replicas = election_bucket_replicas(p->election);
	char ttl[UNITS_SIZE];

	if (!p->election->create) {
		connect_problem(&p->problems,
				"bucket \"%s\" does not exist, and election.create is false: make it by "
				"hand, or set create = true",
				p->election->bucket);
		return;
	}
	connect_say("bucket",
		    "%s does not exist; it would be created with a TTL of %s, history 1, file storage and "
		    "%s%u replica%s",
		    p->election->bucket, ttl_text(p->election->ttl_ms, ttl, sizeof ttl),
		    p->election->replicas == 0 ? "up to " : "", replicas, replicas == 1 ? "" : "s");
}

static int64_t
round_trip_ms(struct place *p)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		struct mono asked = mono_now();
		int64_t ms;

		session_flush(p->session);
		ms = mono_ms_between(asked, mono_now());
		if (ms < least)
			least = ms;
	}
	return least;
}

/* The elector waits for answers for a quarter of the TTL, if that is not too long. */
static void
check_distance(struct place *p, int64_t ttl_ms)
{
	int64_t took_ms = round_trip_ms(p);
	char ttl[UNITS_SIZE];

	if (ttl_ms > 0 && took_ms * 4 >= ttl_ms)
		connect_problem(
		    &p->problems,
		    "bucket \"%s\": an answer takes %lld ms, and elections with a TTL of %s wait %lld ms for "
		    "one; over this distance a longer TTL is needed",
		    p->election->bucket, (long long)took_ms, ttl_text(ttl_ms, ttl, sizeof ttl),
		    (long long)(ttl_ms / 4));
}

/* The session's errors begin with its name, which the heading says. */
static const char *
without_name(const char *text)
{
	static const char name[] = SESSION_NAME ": ";

	return strncmp(text, name, sizeof name - 1) == 0 ? text + sizeof name - 1 : text;
}

/* False if it cannot be seen. */
static bool
see_bucket(struct place *p)
{
	struct jsapi_stream s = {0};
	struct jsapi_error err = {0};
	struct error e = ERROR_INIT;
	int read = session_stream(p->session, p->stream, &s, &err, &e);

	if (read < 0) {
		connect_problem(&p->problems, "bucket \"%s\": %s", p->election->bucket, without_name(e.text));
		return false;
	}
	if (read == 1 && err.err_code != JSAPI_STREAM_NOT_FOUND) {
		connect_problem(&p->problems, "bucket \"%s\": %s", p->election->bucket, err.description);
		return false;
	}
	if (read == 1) {
		say_creation(p);
		check_distance(p, p->election->ttl_ms);
		return true;
	}
	check_distance(p, election_bucket_ttl_ms(&s));
	p->there = true;
	say_bucket(p, &s);
	if (election_bucket_check(p->election, &s, &e) != 0)
		connect_problem(&p->problems, "%s", e.text);
	jsapi_stream_fini(&s);
	return true;
}

/* ---- rights -------------------------------------------------------------------------------------- */

/* Counts those that pass; a refusal is a problem. */
static void try_api(struct place *p, unsigned *granted, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
try_api(struct place *p, unsigned *granted, const char *fmt, ...)
{
	char verb[SUBJECT_MAX], subject[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verb, sizeof verb, fmt, ap);
	va_end(ap);
	if (jsapi_subject(subject, sizeof subject, p->group->domain, "%s", verb) < 0)
		return;
	if (session_try_publish(p->session, subject, "", REFUSED_BODY, &e) == 0)
		(*granted)++;
	else
		connect_problem(&p->problems, "%s", e.text);
}

static void
try_key(struct place *p, unsigned *granted)
{
	char subject[SUBJECT_MAX];
	struct error e = ERROR_INIT;
	struct strbuf reply;

	if (election_bucket_subject(subject, sizeof subject, p->group->domain, p->election->bucket,
				    p->group->names[0].key) < 0)
		return;
	strbuf_init(&reply);
	/* Without a bucket nobody answers: that it may be published is all that is asked. */
	if (session_publish(p->session, subject, NEVER_STORED, &reply, &e) != 0 && e.code == ERR_DENIED)
		connect_problem(&p->problems, "%s (writing key %s)", e.text, p->group->names[0].key);
	else
		(*granted)++;
	strbuf_fini(&reply);
}

/* Not having these leaves elections as they are, but nothing is balanced. */
static void
try_announcing(struct place *p, unsigned *granted)
{
	char subject[SUBJECT_MAX];
	struct error e = ERROR_INIT;

	election_bucket_announce_subject(subject, sizeof subject, p->election->bucket);
	if (session_try_publish(p->session, subject, "", "", &e) != 0) {
		connect_problem(&p->problems, "%s; without it nodes do not see each other", e.text);
		return;
	}
	if (session_try_subscribe(p->session, subject, &e) != 0)
		connect_problem(&p->problems, "%s; without it nodes do not see each other", e.text);
	else
		(*granted)++;
}

static void
try_rights(struct place *p)
{
	unsigned granted = 0, before = p->problems;

	try_api(p, &granted, "CONSUMER.CREATE.%s", p->stream);
	try_api(p, &granted, "STREAM.MSG.GET.%s", p->stream);
	if (!p->there && p->election->create)
		try_api(p, &granted, "STREAM.CREATE.%s", p->stream);
	try_key(p, &granted);
	try_announcing(p, &granted);
	if (p->problems == before)
		connect_say("bucket", "rights: all %u that were tried", granted);
}

/* ---- who leads ----------------------------------------------------------------------------------- */

static void
say_leader(struct place *p, const struct election_name *name, const struct jsapi_stored *m)
{
	char since[RFC3339_SIZE], release[32];
	struct election_value v;

	if (election_bucket_is_marker(m->headers, m->headers_len, release, sizeof release)) {
		connect_say("leader", "%s: nobody", name->name);
		return;
	}
	election_value_read(m->data, m->data_len, &v);
	if (!v.known) {
		connect_say("leader", "%s: another program, which writes \"%s\"", name->name, v.node);
		return;
	}
	connect_say("leader", "%s: %s, site %s, pid %u, since %s%s", name->name, v.node, v.site, v.pid,
		    rfc3339_format(since, sizeof since, v.since_ms),
		    v.has_map && v.map == name->map ? "" : ", with other settings of its topics than here");
	if (strcmp(v.site, p->conf->name) != 0)
		connect_problem(
		    &p->problems,
		    "%s: its leader has site name \"%s\" and this node \"%s\": what one copied the "
		    "other would not know for its own; give both the same name",
		    name->name, v.site, p->conf->name);
}

static void
see_leader(struct place *p, const struct election_name *name)
{
	struct jsapi_stored m = {0};
	struct jsapi_error err = {0};
	struct error e = ERROR_INIT;
	char subject[SUBJECT_MAX];
	int read;

	if (election_bucket_subject(subject, sizeof subject, "", p->election->bucket, name->key) < 0)
		return;
	read = session_message(p->session, p->stream, 0, subject, &m, &err, &e);
	if (read == 0) {
		say_leader(p, name, &m);
		jsapi_stored_fini(&m);
	} else if (read == 1 && err.err_code == JSAPI_MESSAGE_NOT_FOUND) {
		connect_say("leader", "%s: nobody", name->name);
	} else {
		connect_problem(&p->problems, "%s: who leads cannot be read: %s", name->name,
				read == 1 ? err.description : e.text);
	}
}

/* ---- the run ------------------------------------------------------------------------------------- */

static void
check_place(struct place *p, struct event_base *base)
{
	const struct election_group *g = p->group;
	const struct nats_server_info *info;
	struct error e = ERROR_INIT;

	election_bucket_stream(p->stream, sizeof p->stream, p->election->bucket);
	p->session = session_open_at(base, SESSION_NAME, g->url, g->tls, g->domain, &e);
	if (p->session == NULL) {
		connect_problem(&p->problems, "%s", e.text);
		return;
	}
	info = nats_conn_info(session_end(p->session)->conn);
	connect_say("bucket", "%s: server %s, version %s", info->url, info->name, info->version);
	if (see_bucket(p))
		try_rights(p);
	for (size_t i = 0; p->there && i < g->name_count; i++)
		see_leader(p, &g->names[i]);
	session_free(&p->session);
}

bool
connect_elections(const struct conf *conf, struct event_base *base)
{
	struct election_plan plan;
	bool fine = true;

	election_plan_make(conf, &plan);
	for (size_t i = 0; i < plan.group_count; i++) {
		struct place p = {
		    .conf = conf, .group = &plan.groups[i], .election = plan.groups[i].election};

		printf("%s\n", p.group->id);
		check_place(&p, base);
		if (p.problems == 0)
			connect_say("fine", "nothing stands in its way");
		fflush(stdout);
		fine &= p.problems == 0;
	}
	election_plan_fini(&plan);
	return fine;
}
