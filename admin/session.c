/*
 * Sessions; in the user's commands that connect. The loop runs only while something is waited for, so that
 * the commands read from top to bottom. Nothing here is used by the daemon.
 */
#include "admin/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/header.h"
#include "common/subject.h"
#include "common/xalloc.h"

#define TRY_MS     4000  /* a refused connection may be a server that is just starting */
#define CONNECT_MS 15000 /* one that takes its time */

#define VIOLATION_MS 30

struct session {
	struct event_base *base;
	struct event *tick;
	struct nats_conn *conn;
	struct ask_end end;
	const char *label;
	char reason[512];             /* why it is down */
	char violation[512];          /* a right we lack, by the server's first word since we asked */
	char marker[SUBJECT_MAX + 2]; /* in quotes, while it is asked: see ask_info() */
	bool marker_refused;
	session_watch_fn *watch;
	void *watch_arg;

	bool waiting; /* for the answer to a request */
	enum nats_request_result result;
	struct strbuf *reply;
};

/* ---- the connection ------------------------------------------------------------------------------ */

static void
went_up(void *arg)
{
	struct session *s = arg;

	s->reason[0] = '\0';
	if (s->watch != NULL)
		s->watch(s->watch_arg, true, "");
}

static void
went_down(void *arg, bool was_up, const char *reason)
{
	struct session *s = arg;

	snprintf(s->reason, sizeof s->reason, "%s", reason);
	if (was_up && s->watch != NULL)
		s->watch(s->watch_arg, false, reason);
}

static void
got_error(void *arg, const char *text)
{
	struct session *s = arg;

	if (s->marker[0] != '\0' && strstr(text, s->marker) != NULL)
		s->marker_refused = true;
	else if (s->violation[0] == '\0')
		snprintf(s->violation, sizeof s->violation, "%s", text);
}

static void
wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* One turn of the loop, of at most 100 ms. */
static void
turn(struct session *s)
{
	const struct timeval most = {0, 100000};

	evtimer_add(s->tick, &most);
	event_base_loop(s->base, EVLOOP_ONCE);
}

static int
wait_until_up(struct session *s, struct error *e)
{
	struct mono start = mono_now();
	int64_t waited;

	while (!nats_conn_is_up(s->conn)) {
		turn(s);
		waited = mono_ms_between(start, mono_now());
		if (waited > CONNECT_MS || (waited > TRY_MS && s->reason[0] != '\0'))
			return error_set(e, ERR_IO, "%s: cannot connect: %s", s->label,
					 s->reason[0] != '\0' ? s->reason : "no answer");
	}
	return 0;
}

struct session *
session_open_at(struct event_base *base, const char *label, const char *url, const struct conf_tls *tls,
		const char *domain, struct error *e)
{
	static const struct nats_conn_callbacks callbacks = {
	    .up = went_up, .down = went_down, .async_error = got_error};
	struct session *s = xcalloc(1, sizeof *s);
	struct endpoint ep;

	s->base = base;
	s->tick = evtimer_new(base, wake, NULL);
	s->label = label;
	s->end.domain = domain;
	if (endpoint_parse(url, tls, &ep, e) != 0) {
		error_prefix(e, "%s_url", label);
		session_free(&s);
		return NULL;
	}
	s->conn = nats_conn_new(base, &ep, label, "stream-replicator command", &callbacks, s);
	endpoint_fini(&ep);
	s->end.conn = s->conn;
	nats_conn_start(s->conn);
	if (wait_until_up(s, e) != 0)
		session_free(&s);
	return s;
}

struct session *
session_open(struct event_base *base, const struct conf_topic *topic, enum session_side side, struct error *e)
{
	if (side == SESSION_SOURCE)
		return session_open_at(base, "source", topic->source_url, &topic->source_tls,
				       topic->source_domain, e);
	return session_open_at(base, "target", topic->target_url, &topic->target_tls, topic->target_domain,
			       e);
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (s->conn != NULL)
		nats_conn_free(&s->conn);
	event_free(s->tick);
	free(s);
}

const char *
session_label(const struct session *s)
{
	return s->label;
}

const struct ask_end *
session_end(const struct session *s)
{
	return &s->end;
}

struct event_base *
session_base(const struct session *s)
{
	return s->base;
}

const char *
session_violation(const struct session *s)
{
	return s->violation;
}

void
session_watch(struct session *s, session_watch_fn *fn, void *arg)
{
	s->watch = fn;
	s->watch_arg = arg;
}

/* ---- questions ----------------------------------------------------------------------------------- */

static void
answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct session *s = arg;

	s->waiting = false;
	s->result = result;
	if (result == NATS_REPLY)
		strbuf_add(s->reply, m->data, m->data_len);
}

static int
await(struct session *s, struct nats_request *request, struct error *e)
{
	while (s->waiting && s->violation[0] == '\0')
		turn(s);
	if (s->waiting) {
		s->waiting = false;
		nats_request_cancel(&request);
		return error_set(e, ERR_DENIED, "%s: %s", s->label, s->violation);
	}
	if (s->result == NATS_REPLY)
		return 0;
	return error_set(e, s->result == NATS_NO_RESPONDERS_REPLY ? ERR_NOT_FOUND : ERR_IO, "%s: %s",
			 s->label, ask_failure_text(s->result));
}

static void
begin(struct session *s, struct strbuf *reply)
{
	strbuf_reset(reply);
	s->reply = reply;
	s->violation[0] = '\0';
	s->waiting = true;
}

int
session_ask(struct session *s, const char *body, struct strbuf *reply, struct error *e, const char *fmt, ...)
{
	struct nats_request *request;
	char verb[SUBJECT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verb, sizeof verb, fmt, ap);
	va_end(ap);
	begin(s, reply);
	request = ask_api(&s->end, body, strlen(body), answered, s, e, "%s", verb);
	return request != NULL ? await(s, request, e) : -1;
}

int
session_publish(struct session *s, const char *subject, const char *header_lines, struct strbuf *reply,
		struct error *e)
{
	struct nats_request *request;

	begin(s, reply);
	request = nats_conn_request(s->conn, subject, header_lines, strlen(header_lines), "", 0,
				    ASK_TIMEOUT_MS, answered, s, e);
	return request != NULL ? await(s, request, e) : -1;
}

/*
 * Asks something harmless: the server answers in order, so that all that was published before is read when
 * the answer comes, and refused if it was to be. The right to ask this is one of those that a user may lack,
 * and a refusal is as good as an answer; it is waited for, so that it is not taken for that of the next.
 */
static void
ask_info(struct session *s)
{
	struct error e = ERROR_INIT;
	struct nats_request *request;
	struct strbuf reply;
	char subject[SUBJECT_MAX];

	jsapi_subject(subject, sizeof subject, s->end.domain, "INFO");
	snprintf(s->marker, sizeof s->marker, "\"%s\"", subject);
	s->marker_refused = false;
	strbuf_init(&reply);
	s->reply = &reply;
	s->waiting = true;
	request = ask_api(&s->end, "", 0, answered, s, &e, "INFO");
	while (request != NULL && s->waiting && !s->marker_refused)
		turn(s);
	if (request != NULL && s->waiting)
		nats_request_cancel(&request);
	s->waiting = false;
	s->marker[0] = '\0';
	strbuf_fini(&reply);
}

/* A refusal comes by way of a thread of the client library, which may be a little behind the answer. */
static void
wait_for_violation(struct session *s)
{
	struct mono start = mono_now();

	while (s->violation[0] == '\0' && mono_ms_between(start, mono_now()) < VIOLATION_MS) {
		event_base_loop(s->base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

/* 0 if the server has read all that was sent, and did not refuse what concerns that subject. */
static int
await_refusal(struct session *s, const char *subject, struct error *e)
{
	ask_info(s);
	wait_for_violation(s);
	if (strstr(s->violation, subject) == NULL)
		return 0;
	return error_set(e, ERR_DENIED, "%s: %s", s->label, s->violation);
}

int
session_try_publish(struct session *s, const char *subject, const char *header_lines, const char *body,
		    struct error *e)
{
	s->violation[0] = '\0';
	if (nats_conn_publish(s->conn, subject, NULL, header_lines, strlen(header_lines), body, strlen(body),
			      e) != 0)
		return -1;
	return await_refusal(s, subject, e);
}

static void
pass_over(void *arg, const struct nats_message *m)
{
	(void)arg;
	(void)m;
}

int
session_try_subscribe(struct session *s, const char *subject, struct error *e)
{
	struct nats_sub *sub;
	int rc;

	s->violation[0] = '\0';
	sub = nats_conn_subscribe(s->conn, subject, pass_over, NULL, e);
	if (sub == NULL)
		return -1;
	rc = await_refusal(s, subject, e);
	nats_unsubscribe(&sub);
	return rc;
}

void
session_flush(struct session *s)
{
	s->violation[0] = '\0';
	if (nats_conn_is_up(s->conn))
		ask_info(s);
}

int
session_stream(struct session *s, const char *stream, struct jsapi_stream *out, struct jsapi_error *err,
	       struct error *e)
{
	struct strbuf reply;
	int read;

	strbuf_init(&reply);
	read = session_ask(s, "", &reply, e, "STREAM.INFO.%s", stream);
	if (read == 0)
		read = jsapi_read_stream(reply.data, reply.len, out, err, e);
	strbuf_fini(&reply);
	return read;
}

int
session_message(struct session *s, const char *stream, uint64_t seq, const char *filter,
		struct jsapi_stored *out, struct jsapi_error *err, struct error *e)
{
	json_t *body =
	    seq > 0 ? json_pack("{s:I}", "seq", (json_int_t)seq) : json_pack("{s:s}", "last_by_subj", filter);
	char *text = json_dumps(body, JSON_COMPACT);
	struct strbuf reply;
	int read;

	json_decref(body);
	strbuf_init(&reply);
	read = session_ask(s, text != NULL ? text : "", &reply, e, "STREAM.MSG.GET.%s", stream);
	if (read == 0)
		read = jsapi_read_stored(reply.data, reply.len, out, err, e);
	strbuf_fini(&reply);
	free(text);
	return read;
}

int
session_origin(struct session *s, const struct conf *conf, const struct conf_topic *topic, uint64_t seq,
	       const char *filter, struct origin *o, bool *ordered, struct error *e)
{
	struct jsapi_stored m = {0};
	struct jsapi_error err;
	struct header_line line;
	int read = session_message(s, topic->target_stream, seq, filter, &m, &err, e);

	if (read != 0)
		return read;
	if (origin_from_headers(m.headers, m.headers_len, o) != 0 ||
	    !origin_is_ours(o, topic->stream, conf->name, topic->key, topic->adopt))
		read = 1;
	*ordered = !header_find(m.headers, m.headers_len, "Nats-Msg-Id", &line);
	jsapi_stored_fini(&m);
	return read;
}

int
session_consumer(struct session *s, const struct jsapi_consumer_request *request, struct jsapi_consumer *out,
		 struct jsapi_error *err, struct error *e)
{
	struct strbuf body, reply;
	int read;

	strbuf_init(&body);
	strbuf_init(&reply);
	jsapi_write_consumer(request, &body);
	read = session_ask(s, body.data, &reply, e, "CONSUMER.CREATE.%s.%s", request->stream, request->name);
	if (read == 0)
		read = jsapi_read_consumer(reply.data, reply.len, out, err, e);
	strbuf_fini(&body);
	strbuf_fini(&reply);
	return read;
}
