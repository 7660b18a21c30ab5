/*
 * Reading a stream, for `verify` and `advisories`. The consumer is ephemeral, in memory and without
 * acknowledgements: it leaves nothing behind and takes nothing from anybody. Its sequence must rise by one
 * with each message, so that a lost one is noticed; then, as after any other trouble, it is made anew.
 *
 * Invariant: every message at or above `next` is still to come, every one below it was delivered once.
 */
#include "admin/stream_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/puller.h"
#include "common/subject.h"
#include "common/xalloc.h"

enum {
	CREDIT_MSGS = 8192,
	CREDIT_BYTES = 8 * 1024 * 1024,
	RETRY_MS = 500,
	LOOK_MS = 1000, /* between two looks at whether anything is still to come */
	TRY_MS = 30000, /* so long without a message, and with trouble all the time: it fails */
};
#define IDLE_NS INT64_C(300000000000)

struct stream_reader {
	struct session *session;
	struct stream_reader_config config;
	struct stream_reader_callbacks callbacks;
	void *arg;

	char consumer[64];
	unsigned consumers;
	struct nats_request *request;
	struct puller *puller;
	struct event *retry;
	struct event *look;
	uint64_t next; /* sequence behind the last message that was delivered; 0: by the time to start at */
	uint64_t consumer_seq;   /* of the last message */
	uint64_t looked_at_next; /* at the last look */
	uint64_t total;
	bool in_trouble;
	struct mono trouble_since;
	bool filter_here;
	bool paused, ended, failed;
};

static void make_consumer(struct stream_reader *r);

/* ---- trouble ------------------------------------------------------------------------------------- */

static void
drop_consumer(struct stream_reader *r)
{
	char subject[SUBJECT_MAX];

	nats_request_cancel(&r->request);
	if (r->puller != NULL)
		puller_stop(&r->puller);
	if (r->consumer[0] == '\0')
		return;
	if (nats_conn_is_up(session_end(r->session)->conn) &&
	    jsapi_subject(subject, sizeof subject, session_end(r->session)->domain, "CONSUMER.DELETE.%s.%s",
			  r->config.stream, r->consumer) > 0)
		(void)nats_conn_publish(session_end(r->session)->conn, subject, NULL, NULL, 0, "", 0, NULL);
	r->consumer[0] = '\0';
}

static void
arm(struct event *timer, int ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(timer, &after);
}

static void
fail(struct stream_reader *r, const char *reason)
{
	char text[1024];

	if (r->failed)
		return;
	r->failed = true;
	snprintf(text, sizeof text, "%s: stream %s: %s", session_label(r->session), r->config.stream, reason);
	drop_consumer(r);
	r->callbacks.failed(r->arg, text);
}

/* Something went wrong that may pass: again in a moment. */
static void
trouble(struct stream_reader *r, const char *reason)
{
	struct mono now = mono_now();

	drop_consumer(r);
	if (!r->in_trouble)
		r->trouble_since = now;
	r->in_trouble = true;
	if (!r->config.patient && mono_ms_between(r->trouble_since, now) > TRY_MS)
		fail(r, reason);
	else
		arm(r->retry, RETRY_MS);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct stream_reader *r = arg;

	(void)fd;
	(void)what;
	if (r->failed || r->puller != NULL || r->request != NULL)
		return;
	if (nats_conn_is_up(session_end(r->session)->conn))
		make_consumer(r);
	else
		trouble(r, "connection lost");
}

static void
connection_changed(void *arg, bool up, const char *reason)
{
	struct stream_reader *r = arg;

	if (!up && !r->failed)
		trouble(r, reason);
}

/* ---- messages ------------------------------------------------------------------------------------ */

static bool
wanted(const struct stream_reader *r, const char *subject)
{
	if (!r->filter_here)
		return true;
	for (size_t i = 0; i < r->config.filter_count; i++)
		if (subject_matches(r->config.filters[i], subject))
			return true;
	return false;
}

static void
end(struct stream_reader *r)
{
	if (r->ended || r->failed)
		return;
	r->ended = true;
	r->callbacks.ended(r->arg);
}

static void
message_arrived(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct stream_reader *r = arg;

	if (ack->stream_seq < r->next)
		return;
	if (ack->consumer_seq != r->consumer_seq + 1) {
		trouble(r, "a message was lost on its way");
		return;
	}
	r->consumer_seq = ack->consumer_seq;
	r->next = ack->stream_seq + 1;
	r->in_trouble = false;
	if (wanted(r, m->subject))
		r->callbacks.message(r->arg, m, ack);
	if (ack->pending == 0 || ack->stream_seq >= r->config.last)
		end(r);
}

static void
puller_reported(void *arg, enum puller_event event, const char *text)
{
	if (event != PULLER_LEADER_CHANGED)
		trouble(arg, text);
}

/* ---- the consumer -------------------------------------------------------------------------------- */

static void
start_pulling(struct stream_reader *r)
{
	const struct puller_callbacks callbacks = {message_arrived, puller_reported};
	const struct puller_config config = {.domain = session_end(r->session)->domain,
					     .stream = r->config.stream,
					     .consumer = r->consumer,
					     .max_msgs = CREDIT_MSGS,
					     .max_bytes = CREDIT_BYTES};
	struct error e = ERROR_INIT;

	r->consumer_seq = 0;
	r->puller = puller_start(session_end(r->session)->conn, &config, &callbacks, r, &e);
	if (r->puller == NULL)
		trouble(r, e.text);
	else if (r->paused)
		puller_pause(r->puller);
}

static void
fill_request(const struct stream_reader *r, struct jsapi_consumer_request *request)
{
	*request =
	    (struct jsapi_consumer_request){.stream = r->config.stream,
					    .name = r->consumer,
					    .ack_none = true,
					    .memory = true,
					    .filters = r->config.filters,
					    .filter_count = r->config.filter_count,
					    .start_seq = r->next,
					    .start_time_ns = r->next == 0 ? r->config.start_time_ns : 0,
					    .max_ack_pending = -1,
					    .inactive_threshold_ns = IDLE_NS};
}

static void
consumer_made(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct stream_reader *r = arg;
	struct jsapi_consumer_request asked;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	uint64_t pending;
	int read;

	r->request = NULL;
	if (result == NATS_REQUEST_TIMEOUT && session_violation(r->session)[0] != '\0') {
		fail(r, session_violation(r->session));
		return;
	}
	if (result != NATS_REPLY) {
		trouble(r, ask_failure_text(result));
		return;
	}
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read != 0) {
		if (read == 1 && err.code >= 400 && err.code < 500)
			fail(r, err.description);
		else
			trouble(r, read == 1 ? err.description : e.text);
		return;
	}
	fill_request(r, &asked);
	(void)jsapi_check_consumer(&asked, &c, &r->filter_here, NULL);
	pending = c.num_pending;
	jsapi_consumer_fini(&c);
	if (r->total == 0)
		r->total = pending;
	start_pulling(r);
	if (pending == 0)
		end(r);
}

static void
make_consumer(struct stream_reader *r)
{
	struct jsapi_consumer_request request;
	struct error e = ERROR_INIT;
	struct strbuf body;

	snprintf(r->consumer, sizeof r->consumer, "sr_read_%ld_%llx_%u", (long)getpid(),
		 (unsigned long long)mono_now().ns, r->consumers++);
	fill_request(r, &request);
	strbuf_init(&body);
	jsapi_write_consumer(&request, &body);
	r->request = ask_api(session_end(r->session), body.data, body.len, consumer_made, r, &e,
			     "CONSUMER.CREATE.%s.%s", r->config.stream, r->consumer);
	strbuf_fini(&body);
	if (r->request == NULL)
		trouble(r, e.text);
}

/* ---- the end that nobody announces --------------------------------------------------------------- */

/* Messages that were still to come can vanish (a limit, a purge): then none says that it is the last. */
static void
looked(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct stream_reader *r = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	bool all;

	r->request = NULL;
	if (result != NATS_REPLY || jsapi_read_consumer(m->data, m->data_len, &c, &err, &e) != 0)
		return;
	all = c.num_pending == 0 && c.delivered_consumer_seq == r->consumer_seq;
	jsapi_consumer_fini(&c);
	if (all)
		end(r);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct stream_reader *r = arg;
	bool still = r->looked_at_next == r->next;
	struct error e;

	(void)fd;
	(void)what;
	r->looked_at_next = r->next;
	if (still && !r->ended && !r->failed && !r->paused && r->puller != NULL && r->request == NULL)
		r->request = ask_api(session_end(r->session), "", 0, looked, r, &e, "CONSUMER.INFO.%s.%s",
				     r->config.stream, r->consumer);
}

/* ---- stream_reader.h ----------------------------------------------------------------------------- */

struct stream_reader *
stream_reader_new(struct session *s, const struct stream_reader_config *config,
		  const struct stream_reader_callbacks *callbacks, void *arg)
{
	static const struct timeval every = {LOOK_MS / 1000, (LOOK_MS % 1000) * 1000};
	struct stream_reader *r = xcalloc(1, sizeof *r);

	r->session = s;
	r->config = *config;
	r->callbacks = *callbacks;
	r->arg = arg;
	r->next = config->start;
	r->retry = evtimer_new(session_base(s), on_retry, r);
	r->look = event_new(session_base(s), -1, EV_PERSIST, on_look, r);
	event_add(r->look, &every);
	session_watch(s, connection_changed, r);
	arm(r->retry, 0);
	return r;
}

void
stream_reader_free(struct stream_reader **rp)
{
	struct stream_reader *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	session_watch(r->session, NULL, NULL);
	drop_consumer(r);
	event_free(r->retry);
	event_free(r->look);
	free(r);
}

void
stream_reader_pause(struct stream_reader *r)
{
	if (!r->paused && r->puller != NULL)
		puller_pause(r->puller);
	r->paused = true;
}

void
stream_reader_resume(struct stream_reader *r)
{
	if (r->paused && r->puller != NULL)
		puller_resume(r->puller);
	r->paused = false;
}

uint64_t
stream_reader_total(const struct stream_reader *r)
{
	return r->total;
}
