/*
 * The heartbeat role: one connection, and for each subject a timer that publishes the Unix time there and
 * waits for the answer of the stream that stores it. Runs in a process of its own.
 *
 * A beat is worth something only when it is sent: nothing is kept over a loss, a pause or a time on standby,
 * and nothing is made up for. Beats keep to a grid (the planned time of the last one + interval), so that
 * they do not drift; each subject has its own place in it, so that they do not come all at once.
 *
 * Faults: nothing is stored. What has no answer by a stream within ANSWER_MS counts as an error, also a beat
 * that could not be sent because the connection is down; the state is `holding` until the subject's next good
 * answer, and publishing goes on. An elected one sends only while it leads and stops by itself at the lease
 * end that it was told last; what is unsent then goes with the connection.
 */
#include "worker/heartbeat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/nats/conn.h"
#include "common/nats/jsapi.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "common/xalloc.h"

enum {
	ANSWER_MS = 2000,
	SPREAD_MS = 5000,        /* the first beats of all subjects come within this time, or an interval */
	WARN_EVERY_MS = 60000,   /* a subject's trouble is logged at most this often */
	VIOLATION_FOR_MS = 3000, /* what the server refused explains a missing answer for so long */
	REASON_SIZE = 512,
};

static const char log_name[] = "heartbeat";

struct beat {
	struct heartbeat *owner;
	const struct conf_heartbeat_subject *conf;
	struct strbuf headers;
	struct event *timer;
	struct mono planned;
	char trouble[REASON_SIZE]; /* why the last beat was not stored, "" if it was */
	bool warned;               /* the log has the present trouble */
	bool warned_ever;
	struct mono warned_at;
	uint64_t lost; /* beats since the trouble began */
};

struct heartbeat {
	struct event_base *base;
	const struct conf *conf;
	struct heartbeat_reports reports;
	void *arg;
	struct nats_conn *conn;
	struct beat *beats; /* beat_count of them */
	size_t beat_count;
	struct event *lease_timer;
	struct proto_stats stats;
	size_t unanswered; /* beats that are out */

	bool beating; /* the timers run */
	bool was_up;  /* a first connection has been made */
	bool want_pause, want_drain, drained;
	bool leads; /* elected: told so, and the lease has not ended */
	uint64_t term;
	struct mono lease_end;
	bool settling; /* standby as soon as all beats that are out are answered */
	uint64_t serial;

	char violation[256]; /* what the server refused last */
	struct mono violation_at;
	char down_reason[REASON_SIZE];
	enum worker_state told_state;
	char told_reason[REASON_SIZE];
};

/* ---- telling ------------------------------------------------------------------------------------- */

static void tell(struct heartbeat *h, enum worker_state state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
tell(struct heartbeat *h, enum worker_state state, const char *fmt, ...)
{
	char reason[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	if (state == h->told_state && strcmp(reason, h->told_reason) == 0)
		return;
	h->told_state = state;
	snprintf(h->told_reason, sizeof h->told_reason, "%s", reason);
	h->reports.state(h->arg, state, reason);
}

static bool
may_publish(const struct heartbeat *h)
{
	if (h->want_pause || h->want_drain)
		return false;
	return !h->conf->heartbeat.leader_election ||
	       (h->leads && !h->settling && !mono_reached(mono_now(), h->lease_end));
}

static const struct beat *
first_trouble(const struct heartbeat *h)
{
	for (size_t i = 0; i < h->beat_count; i++)
		if (h->beats[i].trouble[0] != '\0')
			return &h->beats[i];
	return NULL;
}

static void
tell_state(struct heartbeat *h)
{
	const struct beat *trouble = first_trouble(h);

	if (h->want_drain)
		return;
	if (h->want_pause)
		tell(h, WORKER_PAUSED, "%s", "");
	else if (!nats_conn_is_up(h->conn))
		tell(h, WORKER_CONNECTING, "%s", h->down_reason);
	else if (!may_publish(h))
		tell(h, WORKER_STANDBY, "%s", "");
	else if (trouble != NULL)
		tell(h, WORKER_HOLDING, "subject \"%s\": %s", trouble->conf->subject, trouble->trouble);
	else
		tell(h, WORKER_COPYING, "%s", "");
}

/* ---- what became of a beat ----------------------------------------------------------------------- */

static void
warn_of(struct beat *b, const char *reason)
{
	struct mono now = mono_now();

	if (b->warned && strcmp(b->trouble, reason) == 0)
		return;
	if (b->warned_ever && !mono_reached(now, mono_add_ms(b->warned_at, WARN_EVERY_MS)))
		return;
	b->warned = b->warned_ever = true;
	b->warned_at = now;
	log_warn(log_name, "subject \"%s\": %s; the next beat is due in %lld ms", b->conf->subject, reason,
		 (long long)b->conf->interval_ms);
}

static void beat_failed(struct beat *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
beat_failed(struct beat *b, const char *fmt, ...)
{
	struct heartbeat *h = b->owner;
	char reason[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	h->stats.counter[COUNTER_HEARTBEAT_ERRORS]++;
	b->lost++;
	warn_of(b, reason);
	snprintf(b->trouble, sizeof b->trouble, "%s", reason);
	tell_state(h);
}

static void
beat_stored(struct beat *b)
{
	struct heartbeat *h = b->owner;

	h->stats.counter[COUNTER_HEARTBEAT_PUBLISHED]++;
	if (b->warned)
		log_info(log_name, "subject \"%s\": beats are stored again, %llu were not", b->conf->subject,
			 (unsigned long long)b->lost);
	b->warned = false;
	b->lost = 0;
	b->trouble[0] = '\0';
	tell_state(h);
}

/* No answer came: what the server refused meanwhile says why. */
static void
beat_unanswered(struct beat *b)
{
	const struct heartbeat *h = b->owner;

	if (h->violation[0] != '\0' &&
	    !mono_reached(mono_now(), mono_add_ms(h->violation_at, VIOLATION_FOR_MS)))
		beat_failed(b, "%s; allow the user of heartbeat.url to publish there and to hear its inbox",
			    h->violation);
	else
		beat_failed(b, "no answer within %d ms: it may or may not be stored", ANSWER_MS);
}

static void
read_answer(struct beat *b, const struct nats_message *m)
{
	struct jsapi_puback ack;
	struct strbuf text;

	if (jsapi_read_puback(m->data, m->data_len, &ack) != 0) {
		beat_failed(b, "%s", "whatever listens there is no stream; bind a stream to the subject");
		return;
	}
	if (ack.error.code == 0 && ack.error.err_code == 0 && ack.seq > 0) {
		if (ack.duplicate)
			beat_failed(b, "%s",
				    "the stream dropped it as a duplicate; leave out the header Nats-Msg-Id");
		else
			beat_stored(b);
		return;
	}
	strbuf_init(&text);
	text_clean(&text, ack.error.description, strlen(ack.error.description));
	beat_failed(b, "the stream refused it: %s (%d)", text.data, ack.error.err_code);
	strbuf_fini(&text);
}

static void settled(struct heartbeat *h);

static void
beat_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct beat *b = arg;
	struct heartbeat *h = b->owner;

	h->unanswered--;
	switch (result) {
	case NATS_REPLY:
		read_answer(b, m);
		break;
	case NATS_NO_RESPONDERS_REPLY:
		beat_failed(b, "%s", "no stream listens there; bind a stream to the subject");
		break;
	case NATS_REQUEST_TIMEOUT:
		beat_unanswered(b);
		break;
	case NATS_REQUEST_LOST:
		beat_failed(b, "%s", "the connection was lost before the answer");
		break;
	}
	if (h->unanswered == 0)
		settled(h);
}

/* ---- the grid ------------------------------------------------------------------------------------ */

static void
arm(struct event *timer, struct mono due)
{
	int64_t wait_ns = due.ns - mono_now().ns;
	struct timeval after = {0, 0};

	if (wait_ns > 0) {
		after.tv_sec = (time_t)(wait_ns / 1000000000);
		after.tv_usec = (suseconds_t)(wait_ns % 1000000000 / 1000);
	}
	evtimer_add(timer, &after);
}

static void
publish(struct beat *b)
{
	struct heartbeat *h = b->owner;
	struct nats_request *request = NULL;
	char body[32];
	struct error e;
	int len;

	len = snprintf(body, sizeof body, "%lld", (long long)(wall_ms() / 1000));
	if (!nats_conn_is_up(h->conn)) {
		beat_failed(b, "not connected: %s", h->down_reason);
		return;
	}
	if (nats_conn_room(h->conn) == 0) {
		beat_failed(b, "%s", "the server does not read; nothing more is sent until it does");
		return;
	}
	request = nats_conn_request(h->conn, b->conf->subject, b->headers.data, b->headers.len, body,
				    (size_t)len, ANSWER_MS, beat_answered, b, &e);
	if (request == NULL)
		beat_failed(b, "%s", e.text);
	else
		h->unanswered++;
}

static void
beat_due(evutil_socket_t fd, short what, void *arg)
{
	struct beat *b = arg;
	int64_t interval = b->conf->interval_ms, late_ms;

	(void)fd;
	(void)what;
	/* A whole interval too late: the process stood still. This beat counts for all of them. */
	late_ms = mono_ms_between(b->planned, mono_now());
	b->planned = mono_add_ms(b->planned, interval + (late_ms > 0 ? late_ms / interval * interval : 0));
	arm(b->timer, b->planned);
	if (may_publish(b->owner))
		publish(b);
}

static double
random_part(void)
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0)
		number = (uint32_t)mono_now().ns;
	return (double)number / 4294967296.0;
}

/* Each subject gets its place: by its number, and by chance, as other sites have the same number of them. */
static void
begin_beats(struct heartbeat *h)
{
	struct mono now = mono_now();
	double part = random_part();

	h->beating = true;
	for (size_t i = 0; i < h->beat_count; i++) {
		struct beat *b = &h->beats[i];
		int64_t spread = b->conf->interval_ms < SPREAD_MS ? b->conf->interval_ms : (int64_t)SPREAD_MS;

		b->planned =
		    mono_add_ms(now, (int64_t)((double)spread * ((double)i + part) / (double)h->beat_count));
		arm(b->timer, b->planned);
	}
}

static void
end_beats(struct heartbeat *h)
{
	h->beating = false;
	for (size_t i = 0; i < h->beat_count; i++) {
		evtimer_del(h->beats[i].timer);
		h->beats[i].trouble[0] = '\0';
		h->beats[i].warned = false;
		h->beats[i].lost = 0;
	}
}

/* Begins once there was a connection: what could not be sent before that is no missed beat. */
static void
begin_if_due(struct heartbeat *h)
{
	if (!h->beating && h->was_up && may_publish(h))
		begin_beats(h);
	tell_state(h);
}

/* ---- connection ---------------------------------------------------------------------------------- */

static void
conn_up(void *arg)
{
	struct heartbeat *h = arg;
	const struct nats_server_info *info = nats_conn_info(h->conn);

	log_info(log_name, "connected: %s, server %s", info->url, info->version);
	h->was_up = true;
	h->violation[0] = '\0';
	begin_if_due(h);
}

static void
conn_down(void *arg, bool was_up, const char *reason)
{
	struct heartbeat *h = arg;

	h->stats.counter[was_up ? COUNTER_CONNECTION_CLOSED : COUNTER_CONNECTION_ERRORS]++;
	if (was_up) {
		h->stats.counter[COUNTER_RECONNECTIONS]++;
		log_warn(log_name, "connection lost: %s", reason);
	}
	snprintf(h->down_reason, sizeof h->down_reason, "%s", reason);
	tell_state(h);
}

static void
conn_async_error(void *arg, const char *text)
{
	struct heartbeat *h = arg;

	snprintf(h->violation, sizeof h->violation, "%s", text);
	h->violation_at = mono_now();
	log_debug(log_name, "%s", text);
}

static struct nats_conn *
make_conn(struct heartbeat *h, struct error *e)
{
	static const struct nats_conn_callbacks callbacks = {conn_up, conn_down, NULL, conn_async_error};
	const struct conf_heartbeat *c = &h->conf->heartbeat;
	struct endpoint ep;
	struct nats_conn *conn;
	char *client_name;

	if (endpoint_parse(c->url, &c->tls, &ep, e) != 0) {
		error_prefix(e, "heartbeat: url");
		return NULL;
	}
	client_name = xasprintf("%s_heartbeat", h->conf->name);
	conn = nats_conn_new(h->base, &ep, "heartbeat", client_name, &callbacks, h);
	free(client_name);
	endpoint_fini(&ep);
	return conn;
}

/* ---- roles --------------------------------------------------------------------------------------- */

static void
role_done(struct heartbeat *h)
{
	if (h->reports.role_done != NULL)
		h->reports.role_done(h->arg, h->serial);
}

static void
stand_by(struct heartbeat *h, const char *why)
{
	if (h->leads)
		log_info(log_name, "standby: %s", why);
	h->leads = false;
	h->settling = false;
	evtimer_del(h->lease_timer);
	end_beats(h);
	if (h->unanswered > 0)
		nats_conn_reconnect(h->conn, "leadership was lost with beats on their way");
	nats_conn_write_until(h->conn, (struct mono){0});
	tell_state(h);
}

static void
lease_over(evutil_socket_t fd, short what, void *arg)
{
	struct heartbeat *h = arg;
	bool was_settling = h->settling;

	(void)fd;
	(void)what;
	if (!mono_reached(mono_now(), h->lease_end)) {
		arm(h->lease_timer, h->lease_end);
		return;
	}
	stand_by(h, "the lease has ended");
	if (was_settling)
		role_done(h);
}

static void
lead(struct heartbeat *h, const struct proto_role *role)
{
	bool gained = !h->leads || h->term != role->term || h->settling;

	h->term = role->term;
	h->lease_end = (struct mono){role->lease_end_ns};
	h->settling = false;
	h->leads = true;
	arm(h->lease_timer, h->lease_end);
	nats_conn_write_until(h->conn, h->lease_end);
	if (gained) {
		log_info(log_name, "leads, term %llu", (unsigned long long)h->term);
		end_beats(h);
	}
	begin_if_due(h);
	role_done(h);
}

/* All beats that were out are answered, or their time is over. */
static void
settled(struct heartbeat *h)
{
	if (h->settling) {
		stand_by(h, "leadership is handed over");
		role_done(h);
	}
	if (h->want_drain && !h->drained) {
		h->drained = true;
		h->reports.drained(h->arg);
	}
}

void
heartbeat_set_role(struct heartbeat *h, const struct proto_role *role)
{
	if (!h->conf->heartbeat.leader_election || h->want_drain)
		return;
	h->serial = role->serial;
	if (role->leader && !mono_reached(mono_now(), (struct mono){role->lease_end_ns})) {
		lead(h, role);
	} else if (!role->leader && role->settle && h->leads && h->unanswered > 0) {
		h->settling = true;
		tell_state(h);
	} else {
		stand_by(h, role->leader ? "the lease had ended when it was told" : "leadership was lost");
		role_done(h);
	}
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void
make_headers(struct beat *b, const char *node)
{
	strbuf_init(&b->headers);
	strbuf_addf(&b->headers, "Choria-SR-Originator: %s\r\nChoria-SR-Subject: %s\r\n", node,
		    b->conf->subject);
	for (size_t i = 0; i < b->conf->header_count; i++)
		strbuf_addf(&b->headers, "%s: %s\r\n", b->conf->headers[i].name, b->conf->headers[i].value);
}

struct heartbeat *
heartbeat_new(struct event_base *base, const struct conf *conf, const char *node,
	      const struct heartbeat_reports *reports, void *arg, struct error *e)
{
	struct heartbeat *h = xcalloc(1, sizeof *h);

	h->base = base;
	h->conf = conf;
	h->reports = *reports;
	h->arg = arg;
	h->told_state = WORKER_STARTING;
	for (size_t i = 0; i < GAUGE_END; i++)
		h->stats.gauge[i] = PROTO_UNKNOWN;
	h->conn = make_conn(h, e);
	if (h->conn == NULL) {
		free(h);
		return NULL;
	}
	h->beat_count = conf->heartbeat.subject_count;
	h->beats = xcalloc(h->beat_count > 0 ? h->beat_count : 1, sizeof *h->beats);
	for (size_t i = 0; i < h->beat_count; i++) {
		h->beats[i].owner = h;
		h->beats[i].conf = &conf->heartbeat.subjects[i];
		h->beats[i].timer = evtimer_new(base, beat_due, &h->beats[i]);
		make_headers(&h->beats[i], node);
	}
	h->lease_timer = evtimer_new(base, lease_over, h);
	return h;
}

void
heartbeat_start(struct heartbeat *h)
{
	nats_conn_start(h->conn);
	tell_state(h);
}

void
heartbeat_free(struct heartbeat **h)
{
	if (*h == NULL)
		return;
	nats_conn_free(&(*h)->conn);
	for (size_t i = 0; i < (*h)->beat_count; i++) {
		event_free((*h)->beats[i].timer);
		strbuf_fini(&(*h)->beats[i].headers);
	}
	free((*h)->beats);
	event_free((*h)->lease_timer);
	free(*h);
	*h = NULL;
}

void
heartbeat_pause(struct heartbeat *h)
{
	h->want_pause = true;
	end_beats(h);
	tell_state(h);
}

void
heartbeat_resume(struct heartbeat *h)
{
	h->want_pause = false;
	begin_if_due(h);
}

void
heartbeat_drain(struct heartbeat *h)
{
	h->want_drain = true;
	end_beats(h);
	if (h->unanswered == 0)
		settled(h);
}

void
heartbeat_stats(const struct heartbeat *h, struct proto_stats *stats)
{
	*stats = h->stats;
}
