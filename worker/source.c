/*
 * The source for a JetStream stream; runs in a replicating worker. One durable pull consumer a topic,
 * ack policy all (explicit where the stream's retention wants it).
 *
 * Steps of a start: CONSUMER.INFO; on limits streams CONSUMER.DELETE unless the consumer stands exactly
 * where we go on; CONSUMER.CREATE; pull. When it is taken over from another process: DELETE, CREATE, pull. On
 * work-queue and interest streams the consumer is never deleted (an interest stream would be emptied):
 * deliveries that were lost on their way come again when the server's ack wait has passed, so the start waits
 * for that. They come before anything newer, but in no order among themselves (what the server could not
 * deliver it queues at once, the rest when its time is over): they are held until all are there, and then
 * handed on in the stream's order. A delivery that is newer while older ones are due would break the order:
 * it is trouble, and the start begins again.
 *
 * What the server keeps: the acknowledged floor, which only ever covers what is settled at the target.
 * If we die here, everything above it is delivered again.
 */
#include "worker/source_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "common/nats/ask.h"

#define SECOND_NS INT64_C(1000000000)

enum {
	ACK_WAIT_S = 30,
	ACK_WAIT_EXPLICIT_S = 5,
	EPHEMERAL_IDLE_S = 60,
	/* Credit for the puller: enough for the round trip to grow through, little more, since the server
	 * keeps a record of each delivery that is not acknowledged yet. */
	CREDIT_MS = 50,
	CREDIT_ROUND_TRIPS = 6,
	NEAR = 10000,  /* a consumer so little behind is not made anew */
	LOOK_MS = 100, /* how often it is asked whether deliveries are due still */
	DUE_MS = ACK_WAIT_EXPLICIT_S * 1000 + 250, /* then they come again */
	SAY_MS = 500,                              /* acknowledgements on their way are no loss */
	QUIET_MS = 2000,                           /* so long nothing came of what is due */
	JSAPI_CONSUMER_LIMIT = 10121,              /* max ack pending above the limit of stream or account */
};

static void wait_over(evutil_socket_t fd, short what, void *arg);
static void ask_for_consumer(struct source *s);
static void create_consumer(struct source *s);

struct source *
source_new(struct event_base *base, struct nats_conn *conn, const struct source_config *config,
	   const struct source_callbacks *callbacks, void *arg)
{
	struct source *s = xcalloc(1, sizeof *s);

	s->base = base;
	s->conn = conn;
	s->config = *config;
	s->callbacks = *callbacks;
	s->arg = arg;
	s->max_unacked = config->max_unacked;
	s->wait_timer = evtimer_new(base, wait_over, s);
	acklist_init(&s->unacked);
	if (config->topic->ephemeral)
		snprintf(s->consumer, sizeof s->consumer, "%.200s_%ld_%llx", config->topic->name,
			 (long)getpid(), (unsigned long long)wall_ms());
	else
		snprintf(s->consumer, sizeof s->consumer, "%s", config->topic->name);
	return s;
}

void
source_free(struct source **sp)
{
	struct source *s = *sp;

	if (s == NULL)
		return;
	source_stop(s);
	if (s->ack_timer != NULL)
		event_free(s->ack_timer);
	event_free(s->wait_timer);
	free(s->waiting);
	acklist_fini(&s->unacked);
	free(s);
	*sp = NULL;
}

static void
trouble(struct source *s, bool permanent, const char *text)
{
	char kept[sizeof(struct error)];

	snprintf(kept, sizeof kept, "%s", text);
	source_stop(s);
	s->callbacks.trouble(s->arg, permanent, kept);
}

/* ---- delivering ---------------------------------------------------------------------------------- */

/* Whether the delivery is the next one that the consumer made. */
static bool
in_order(struct source *s, const struct jsack *ack)
{
	char text[160];

	/* A new leader of the consumer may number anew what the old one had not told the others of. */
	if (ack->consumer_seq == s->next_consumer_seq ||
	    (s->keep && ack->consumer_seq < s->next_consumer_seq)) {
		s->next_consumer_seq = ack->consumer_seq + 1;
		return true;
	}
	snprintf(text, sizeof text, "delivery %llu of the consumer came where %llu was due",
		 (unsigned long long)ack->consumer_seq, (unsigned long long)s->next_consumer_seq);
	trouble(s, false, text);
	return false;
}

static void
hand_on(struct source *s, const struct nats_message *m, const struct jsack *ack)
{
	acklist_add(&s->unacked, ack);
	s->callbacks.message(s->arg, m, ack);
}

/* ---- deliveries that were due -------------------------------------------------------------------- */

static void
drop_waiting(struct source *s)
{
	for (; s->waiting_next < s->waiting_count; s->waiting_next++)
		nats_held_free(&s->waiting[s->waiting_next].held);
	s->waiting_count = s->waiting_next = 0;
}

/* Hands on what waited, until the owner pauses or stops us. True if nothing waits any more. */
static bool
hand_on_waiting(struct source *s)
{
	while (s->waiting_next < s->waiting_count && !s->paused) {
		struct waiting next = s->waiting[s->waiting_next++];

		hand_on(s, nats_held_message(next.held), &next.ack);
		nats_held_free(&next.held);
	}
	if (s->waiting_next < s->waiting_count)
		return false;
	drop_waiting(s);
	return true;
}

static int
by_sequence(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	return (x->ack.stream_seq > y->ack.stream_seq) - (x->ack.stream_seq < y->ack.stream_seq);
}

/* Puts what waits in order; one that came more than once counts once. */
static void
sort_waiting(struct source *s)
{
	size_t kept = 0;

	qsort(s->waiting, s->waiting_count, sizeof *s->waiting, by_sequence);
	for (size_t i = 0; i < s->waiting_count; i++) {
		if (kept > 0 && s->waiting[kept - 1].ack.stream_seq == s->waiting[i].ack.stream_seq)
			nats_held_free(&s->waiting[i].held);
		else
			s->waiting[kept++] = s->waiting[i];
	}
	s->waiting_count = kept;
}

/* While older deliveries are due: keeps those, and takes nothing newer. */
static void
collect(struct source *s, const struct nats_message *m, const struct jsack *ack)
{
	char text[160];

	if (ack->stream_seq > s->due_up_to) {
		snprintf(text, sizeof text, "%llu earlier deliveries are due before message %llu",
			 (unsigned long long)(s->due - s->waiting_count),
			 (unsigned long long)ack->stream_seq);
		trouble(s, false, text);
		return;
	}
	if (s->waiting_count == s->waiting_cap) {
		s->waiting_cap = s->waiting_cap > 0 ? s->waiting_cap * 2 : 256;
		s->waiting = xrealloc(s->waiting, s->waiting_cap * sizeof *s->waiting);
	}
	s->waiting[s->waiting_count++] = (struct waiting){nats_message_hold(m), *ack};
	if (s->waiting_count < s->due)
		return;
	sort_waiting(s);
	if (s->waiting_count < s->due)
		return;
	s->due = 0;
	evtimer_del(s->wait_timer);
	hand_on_waiting(s);
}

static void
message_arrived(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct source *s = arg;

	if (s->ack_prefix[0] == '\0')
		source_learn_ack_subject(s, m->reply);
	if (!in_order(s, ack))
		return;
	if (s->due > 0)
		collect(s, m, ack);
	else
		hand_on(s, m, ack);
}

static void
puller_reported(void *arg, enum puller_event event, const char *text)
{
	struct source *s = arg;

	if (event == PULLER_LEADER_CHANGED) {
		log_debug("source", "%s", text);
		return;
	}
	trouble(s, false, text);
}

static void
start_pulling(struct source *s)
{
	const struct puller_callbacks callbacks = {message_arrived, puller_reported};
	struct puller_config config = {
	    .domain = s->config.topic->source_domain,
	    .stream = s->stream,
	    .consumer = s->consumer,
	    .max_msgs = s->config.credit_msgs,
	    .max_bytes = s->config.credit_bytes,
	    .credit_ms = CREDIT_MS + CREDIT_ROUND_TRIPS * s->round_trip_ms,
	};
	struct error e;

	if (s->granted > 0 && s->granted < config.max_msgs)
		config.max_msgs = s->granted;
	s->puller = puller_start(s->conn, &config, &callbacks, s, &e);
	if (s->puller == NULL) {
		trouble(s, false, e.text);
		return;
	}
	s->step = SOURCE_RUNNING;
	s->callbacks.ready(s->arg, s->filters_here, s->granted);
}

static void
arm_wait(struct source *s, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(s->wait_timer, &after);
}

static void
wait_over(evutil_socket_t fd, short what, void *arg)
{
	struct source *s = arg;

	(void)fd;
	(void)what;
	if (s->step == SOURCE_WAITING) {
		ask_for_consumer(s);
	} else if (s->waiting_count > s->waiting_seen) {
		s->waiting_seen = s->waiting_count;
		arm_wait(s, QUIET_MS);
	} else {
		trouble(s, false, "deliveries that are due do not come");
	}
}

/* Deliveries that nobody has acknowledged come again when their ack wait is over; or they are acknowledged
 * already, and the server did not know it yet. */
static void
wait_for_redeliveries(struct source *s)
{
	int64_t waited_ms = s->due_since.ns != 0 ? mono_ms_between(s->due_since, mono_now()) : 0;

	if (waited_ms >= DUE_MS) {
		s->waiting_seen = 0;
		arm_wait(s, QUIET_MS);
		start_pulling(s);
		return;
	}
	if (s->due_since.ns == 0)
		s->due_since = mono_now();
	if (waited_ms >= SAY_MS && !s->due_said) {
		s->due_said = true;
		log_info("source",
			 "%llu deliveries were lost on their way; waiting %d s until the server repeats them",
			 (unsigned long long)s->due, ACK_WAIT_EXPLICIT_S);
	}
	s->step = SOURCE_WAITING;
	arm_wait(s, LOOK_MS);
}

/* ---- the consumer -------------------------------------------------------------------------------- */

static void
fill_request(const struct source *s, struct jsapi_consumer_request *r)
{
	const struct conf_topic *topic = s->config.topic;

	*r = (struct jsapi_consumer_request){
	    .stream = s->stream,
	    .name = s->consumer,
	    .durable = !topic->ephemeral,
	    .ack_explicit = s->keep,
	    .filters = (const char *const *)topic->filter_subjects,
	    .filter_count = topic->filter_count,
	    .start_seq = s->keep ? 0 : s->after_seq + 1,
	    .max_ack_pending = s->max_unacked,
	    .ack_wait_ns = (s->keep ? ACK_WAIT_EXPLICIT_S : ACK_WAIT_S) * SECOND_NS,
	    .inactive_threshold_ns = topic->ephemeral ? EPHEMERAL_IDLE_S * SECOND_NS : 0,
	};
}

/* Sends body to the API; the answer comes to fn. */
static void
ask(struct source *s, const char *verb, const char *body, size_t len, nats_reply_fn *fn)
{
	const struct ask_end end = {s->conn, s->config.topic->source_domain};
	struct error e;

	s->request = ask_api(&end, body, len, fn, s, &e, "%s.%s.%s", verb, s->stream, s->consumer);
	if (s->request == NULL)
		trouble(s, false, e.text);
}

/* False (and trouble) if there is no answer to read. */
static bool
answered(struct source *s, enum nats_request_result result, const char *what)
{
	char text[160];

	s->request = NULL;
	if (result == NATS_REPLY)
		return true;
	snprintf(text, sizeof text, "%s: %s", what, ask_failure_text(result));
	trouble(s, false, text);
	return false;
}

static void
take_granted(struct source *s, const struct jsapi_consumer *c)
{
	s->granted = c->max_ack_pending > 0 ? (uint32_t)c->max_ack_pending : 0;
	s->next_consumer_seq = c->delivered_consumer_seq + 1;
}

/* A consumer just made; false (and trouble) if it is not what was asked for. */
static bool
accept_new(struct source *s, const struct jsapi_consumer *c)
{
	struct jsapi_consumer_request r;
	struct error e;

	fill_request(s, &r);
	s->filters_here = false;
	if (jsapi_check_consumer(&r, c, &s->filters_here, &e) != 0 && !s->filters_here) {
		trouble(s, false, e.text);
		return false;
	}
	take_granted(s, c);
	return true;
}

/* "consumer max ack pending exceeds system limit of 100": asks for that. False if it says no other. */
static bool
lower_limit(struct source *s, const char *text)
{
	const char *digits = text + strcspn(text, "0123456789");
	unsigned long limit = strtoul(digits, NULL, 10);

	if (limit == 0 || limit >= s->max_unacked)
		return false;
	s->max_unacked = (uint32_t)limit;
	return true;
}

static void
consumer_created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct source *s = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(s, result, "making the consumer"))
		return;
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read == 0) {
		s->made = true;
		if (accept_new(s, &c))
			start_pulling(s);
		jsapi_consumer_fini(&c);
	} else if (read == 1 && err.err_code == JSAPI_CONSUMER_LIMIT && lower_limit(s, err.description)) {
		create_consumer(s);
	} else {
		char text[512];

		snprintf(text, sizeof text, "consumer %s: %s", s->consumer,
			 read == 1 ? err.description : e.text);
		trouble(s, false, text);
	}
}

static void
create_consumer(struct source *s)
{
	struct jsapi_consumer_request r;
	struct strbuf body;

	/* A new consumer numbers its deliveries anew: what an older one delivered cannot be acknowledged. */
	acklist_clear(&s->unacked);
	s->last_settled.delivered = 0;
	s->settled_count = 0;
	fill_request(s, &r);
	strbuf_init(&body);
	jsapi_write_consumer(&r, &body);
	ask(s, r.durable ? "CONSUMER.DURABLE.CREATE" : "CONSUMER.CREATE", body.data, body.len,
	    consumer_created);
	strbuf_fini(&body);
}

/* Deleted, or not there any more: both are what we want. */
static void
consumer_deleted(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct source *s = arg;

	(void)m;
	if (!answered(s, result, "deleting the consumer"))
		return;
	if (s->take_over)
		s->round_trip_ms = mono_ms_between(s->asked, mono_now());
	create_consumer(s);
}

/* Whether a consumer that exists acknowledges and filters as ours does. */
static bool
is_like_ours(struct source *s, const struct jsapi_consumer *c)
{
	const char *ack = json_string_value(json_object_get(c->config, "ack_policy"));
	struct jsapi_consumer_request r;
	struct error ignored;
	bool filters_differ = false;

	fill_request(s, &r);
	jsapi_check_consumer(&r, c, &filters_differ, &ignored);
	/* A server before 2.10 dropped a list of filters when the consumer was made. */
	if (filters_differ && r.filter_count > 1 && !nats_conn_server_at_least(s->conn, 2, 10)) {
		s->filters_here = true;
		filters_differ = false;
	}
	return ack != NULL && strcmp(ack, s->keep ? "explicit" : "all") == 0 && !filters_differ;
}

/* Limits streams: nothing is on its way, and what comes next is what we want next. */
static bool
stands_there(struct source *s, const struct jsapi_consumer *c)
{
	return is_like_ours(s, c) && c->num_ack_pending <= acklist_count(&s->unacked) &&
	       c->delivered_stream_seq <= s->after_seq && s->after_seq - c->delivered_stream_seq < NEAR;
}

/* Work-queue and interest streams: an own consumer that does otherwise is a person's to delete. */
static void
use_kept(struct source *s, const struct jsapi_consumer *c)
{
	char text[512];

	if (!is_like_ours(s, c)) {
		snprintf(
		    text, sizeof text,
		    "consumer %s exists with another ack policy or other filters and is not deleted, as that "
		    "could lose messages; delete it, or give the topic another name",
		    s->consumer);
		trouble(s, true, text);
		return;
	}
	take_granted(s, c);
	s->due = c->num_ack_pending;
	s->due_up_to = c->delivered_stream_seq;
	if (s->due > 0)
		wait_for_redeliveries(s);
	else
		start_pulling(s);
}

static void
consumer_found(struct source *s, const struct jsapi_consumer *c)
{
	if (s->keep) {
		use_kept(s, c);
	} else if (stands_there(s, c)) {
		take_granted(s, c);
		start_pulling(s);
	} else {
		ask(s, "CONSUMER.DELETE", "", 0, consumer_deleted);
	}
}

static void
consumer_asked(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct source *s = arg;
	struct jsapi_consumer c = {0};
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(s, result, "asking for the consumer"))
		return;
	s->round_trip_ms = mono_ms_between(s->asked, mono_now());
	read = jsapi_read_consumer(m->data, m->data_len, &c, &err, &e);
	if (read == 0) {
		consumer_found(s, &c);
		jsapi_consumer_fini(&c);
	} else if (read == 1 && err.err_code == JSAPI_CONSUMER_NOT_FOUND) {
		s->due = 0;
		create_consumer(s);
	} else {
		trouble(s, false, read == 1 ? err.description : e.text);
	}
}

static void
ask_for_consumer(struct source *s)
{
	s->step = SOURCE_ASKING;
	s->asked = mono_now();
	if (s->take_over && !s->keep && !s->config.topic->ephemeral)
		ask(s, "CONSUMER.DELETE", "", 0, consumer_deleted);
	else
		ask(s, "CONSUMER.INFO", "", 0, consumer_asked);
}

/* ---- starting and stopping ----------------------------------------------------------------------- */

void
source_start(struct source *s, const struct jsapi_stream *stream, uint64_t after_seq, bool take_over)
{
	source_stop(s);
	s->take_over = take_over;
	s->keep = stream->retention != RETENTION_LIMITS;
	snprintf(s->stream, sizeof s->stream, "%s", stream->name);
	s->after_seq = after_seq;
	s->due = 0;
	s->due_since.ns = 0;
	s->due_said = false;
	if (s->keep) {
		/* What is settled is acknowledged; all else comes again. */
		source_settled(s, after_seq);
		acklist_clear(&s->unacked);
	}
	s->ack_prefix[0] = '\0';
	s->filters_here = false;
	ask_for_consumer(s);
}

void
source_stop(struct source *s)
{
	nats_request_cancel(&s->request);
	puller_stop(&s->puller);
	evtimer_del(s->wait_timer);
	drop_waiting(s);
	s->paused = false;
	s->step = SOURCE_IDLE;
}

void
source_leave(struct source *s)
{
	char subject[SUBJECT_MAX];
	struct error e;

	source_flush_acks(s);
	if (!s->config.topic->ephemeral || !s->made)
		return;
	if (jsapi_subject(subject, sizeof subject, s->config.topic->source_domain, "CONSUMER.DELETE.%s.%s",
			  s->stream, s->consumer) > 0)
		nats_conn_publish(s->conn, subject, NULL, NULL, 0, "", 0, &e);
	s->made = false;
}

void
source_pause(struct source *s)
{
	s->paused = true;
	if (s->puller != NULL)
		puller_pause(s->puller);
}

void
source_resume(struct source *s)
{
	s->paused = false;
	if (s->due == 0 && !hand_on_waiting(s))
		return; /* paused again, or stopped */
	if (s->puller != NULL && !s->paused)
		puller_resume(s->puller);
}

bool
source_has_more(const struct source *s)
{
	return s->waiting_next < s->waiting_count || (s->puller != NULL && puller_has_more(s->puller));
}

void
source_repull(struct source *s)
{
	if (s->puller != NULL)
		puller_repull(s->puller);
}
