/*
 * Pull requests on one consumer, overlapping, in a worker's loop.
 *
 * The server hands its messages out to the waiting requests in turn and says nothing when a request is
 * filled, so what is kept is one balance for all of them: asked for, less what came, less what a status
 * gave back. A request that ended unseen (a server forgot it) leaves the balance too high; it is cut to
 * what the younger requests have asked for, so nothing stalls for longer than a request lives. Status
 * messages are those without an ack subject: a stored message may look like one.
 */
#include "common/nats/puller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/header.h"
#include "common/nats/conn_impl.h"
#include "common/nats/jsapi.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

#define CREDIT_MIN_MSGS   2000
#define CREDIT_MIN_BYTES  (1024 * 1024)
#define EXPIRES_MS        30000
#define FORGET_MS         25000 /* replaced before it expires: a message never finds nobody waiting */
#define MEASURE_MS        20
#define DEFAULT_HEARTBEAT 1000
#define DEFAULT_CREDIT_MS 1000
#define AFTER_CHANGE_MS   100  /* a new leader has to be elected */
#define AFTER_REFUSAL_MS  1000 /* so that a refusal cannot make a storm */

struct pull {
	uint64_t number; /* last part of its reply subject */
	uint64_t msgs, bytes;
	bool large; /* one message of any size */
	struct mono sent;
};

struct puller {
	struct nats_conn *conn;
	struct nats_sub *sub;
	struct puller_callbacks callbacks;
	void *arg;
	char *request_subject;
	char inbox[128];
	size_t inbox_len;
	uint64_t max_msgs, max_bytes;
	int64_t heartbeat_ms, credit_ms;

	struct pull *pulls; /* pull_count of them, oldest first */
	size_t pull_count, pull_cap;
	uint64_t last_number;
	uint64_t out_msgs, out_bytes; /* the balance */

	uint64_t credit_msgs, credit_bytes;
	uint64_t got_msgs, got_bytes; /* since measured */
	struct mono measured;
	double msgs_per_s, bytes_per_s;

	bool paused, halted;
	bool large; /* a message did not fit into a whole request: one request without a limit is out */
	bool delivering, ended;
	struct mono last_seen, quiet_until;
	struct event *timer;
};

/* ---- the balance ----------------------------------------------------------------------------------- */

static uint64_t
less(uint64_t from, uint64_t amount)
{
	return from > amount ? from - amount : 0;
}

static uint64_t
between(uint64_t low, uint64_t value, uint64_t high)
{
	if (value < low)
		value = low;
	return value < high ? value : high;
}

static void
forget_all(struct puller *p)
{
	p->pull_count = 0;
	p->out_msgs = p->out_bytes = 0;
	p->large = false;
}

/* Drops requests that are about to expire, if they still live, and cuts the balance to what the others
 * asked for. */
static void
forget_old(struct puller *p, struct mono now)
{
	uint64_t msgs = 0, bytes = 0;
	size_t i, kept = 0;

	for (i = 0; i < p->pull_count; i++) {
		if (mono_ms_between(p->pulls[i].sent, now) >= FORGET_MS)
			continue;
		msgs += p->pulls[i].msgs;
		bytes += p->pulls[i].bytes;
		p->pulls[kept++] = p->pulls[i];
	}
	p->pull_count = kept;
	if (p->out_msgs > msgs)
		p->out_msgs = msgs;
	if (p->out_bytes > bytes)
		p->out_bytes = bytes;
	if (p->out_msgs == 0)
		forget_all(p);
}

static void
add_pull(struct puller *p, uint64_t msgs, uint64_t bytes)
{
	if (p->pull_count == p->pull_cap) {
		p->pull_cap = p->pull_cap > 0 ? p->pull_cap * 2 : 16;
		p->pulls = xrealloc(p->pulls, p->pull_cap * sizeof *p->pulls);
	}
	p->pulls[p->pull_count++] = (struct pull){
	    .number = ++p->last_number,
	    .msgs = msgs,
	    .bytes = bytes,
	    .large = p->large,
	    .sent = mono_now(),
	};
	p->out_msgs += msgs;
	p->out_bytes += bytes;
}

/* Takes a request that a status ended out of the list. False if it is not one of those that count. */
static bool
take_pull(struct puller *p, uint64_t number, struct pull *pull)
{
	size_t i;

	for (i = 0; i < p->pull_count; i++) {
		if (p->pulls[i].number != number)
			continue;
		*pull = p->pulls[i];
		memmove(p->pulls + i, p->pulls + i + 1, (p->pull_count - i - 1) * sizeof *p->pulls);
		p->pull_count--;
		return true;
	}
	return false;
}

/* The subscription ends with its connection; the owner then starts another puller. */
static bool
is_alive(const struct puller *p)
{
	return p->sub->conn != NULL && p->sub->sub != NULL;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

/* Grows at once with the rate, shrinks slowly: a pause says little about the next second. */
static double
follow(double rate, double now)
{
	return now > rate ? now : rate * 0.8 + now * 0.2;
}

static void
measure(struct puller *p, struct mono now)
{
	int64_t ms = mono_ms_between(p->measured, now);
	double seconds;

	if (ms < MEASURE_MS)
		return;
	p->msgs_per_s = follow(p->msgs_per_s, (double)p->got_msgs * 1000.0 / (double)ms);
	p->bytes_per_s = follow(p->bytes_per_s, (double)p->got_bytes * 1000.0 / (double)ms);
	p->got_msgs = p->got_bytes = 0;
	p->measured = now;
	seconds = (double)p->credit_ms / 1000.0;
	p->credit_msgs = between(CREDIT_MIN_MSGS, (uint64_t)(p->msgs_per_s * seconds), p->max_msgs);
	p->credit_bytes = between(CREDIT_MIN_BYTES, (uint64_t)(p->bytes_per_s * seconds), p->max_bytes);
}

static void
send_pull(struct puller *p, uint64_t msgs, uint64_t bytes)
{
	char reply[160];
	struct strbuf body;

	strbuf_init(&body);
	jsapi_write_pull(&body, msgs, bytes, (int64_t)EXPIRES_MS * 1000000, p->heartbeat_ms * 1000000);
	snprintf(reply, sizeof reply, "%s.%llu", p->inbox, (unsigned long long)p->last_number + 1);
	/* While down nothing is asked; the owner hears of the loss from the connection. */
	if (nats_conn_publish(p->conn, p->request_subject, reply, NULL, 0, body.data, body.len, NULL) == 0)
		add_pull(p, msgs, bytes > 0 ? bytes : p->credit_bytes);
	strbuf_fini(&body);
}

/* Asks for more where half of the credit is used up: so two requests at least overlap. */
static void
top_up(struct puller *p)
{
	uint64_t half_msgs, half_bytes;
	struct mono now;

	if (p->paused || p->halted || p->large || !is_alive(p))
		return;
	if (p->out_msgs > p->credit_msgs / 2 && p->out_bytes > p->credit_bytes / 2)
		return;
	now = mono_now();
	if (!mono_reached(now, p->quiet_until))
		return;
	measure(p, now);
	half_msgs = (p->credit_msgs + 1) / 2;
	half_bytes = (p->credit_bytes + 1) / 2;
	while (p->out_msgs <= p->credit_msgs - half_msgs || p->out_bytes <= p->credit_bytes - half_bytes) {
		uint64_t before = p->last_number;

		send_pull(p, half_msgs, half_bytes);
		if (p->last_number == before)
			return;
	}
}

/* ---- messages and statuses ------------------------------------------------------------------------- */

static void
report(struct puller *p, enum puller_event event, const char *text)
{
	if (p->callbacks.event != NULL)
		p->callbacks.event(p->arg, event, text);
}

static void
on_stored_message(struct puller *p, const struct nats_message *m, const struct jsack *ack)
{
	/* As the server counts it against max_bytes. */
	uint64_t size = strlen(m->subject) + strlen(m->reply) + m->headers_len + m->data_len;

	p->out_msgs = less(p->out_msgs, 1);
	p->out_bytes = less(p->out_bytes, size);
	if (p->out_msgs == 0)
		forget_all(p);
	p->large = false;
	p->got_msgs++;
	p->got_bytes += size;
	top_up(p);
	p->callbacks.message(p->arg, m, ack);
}

/* A request ended; what it did not deliver goes back. True if it delivered nothing at all. */
static bool
give_back(struct puller *p, const struct nats_message *m)
{
	uint64_t number, msgs = header_number(m->headers, m->headers_len, "Nats-Pending-Messages");
	struct pull pull;

	if (strncmp(m->subject, p->inbox, p->inbox_len) != 0)
		return false;
	number = strtoull(m->subject + p->inbox_len + 1, NULL, 10);
	if (!take_pull(p, number, &pull))
		return false;
	p->out_msgs = less(p->out_msgs, msgs);
	p->out_bytes = less(p->out_bytes, header_number(m->headers, m->headers_len, "Nats-Pending-Bytes"));
	if (pull.large)
		p->large = false;
	if (p->pull_count == 0)
		forget_all(p);
	return msgs == pull.msgs;
}

static bool
begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

static void
be_quiet(struct puller *p, int64_t ms)
{
	p->quiet_until = mono_add_ms(mono_now(), ms);
}

/* The server has a limit of its own for a request: stay within it from now on. */
static bool
learn_limit(struct puller *p, const char *text)
{
	const char *digits = strpbrk(text, "0123456789");
	uint64_t limit = digits != NULL ? strtoull(digits, NULL, 10) : 0;

	if (limit == 0)
		return false;
	/* A request asks for half of the credit. */
	if (begins(text, "Exceeded MaxRequestBatch"))
		p->max_msgs = p->credit_msgs = limit;
	else if (begins(text, "Exceeded MaxRequestMaxBytes"))
		p->max_bytes = p->credit_bytes = limit;
	else
		return false;
	forget_all(p);
	return true;
}

static void
on_conflict(struct puller *p, const struct nats_message *m, const char *text)
{
	char words[256];
	bool nothing;

	if (begins(text, "Leadership Change")) {
		forget_all(p);
		be_quiet(p, AFTER_CHANGE_MS);
		report(p, PULLER_LEADER_CHANGED, "the consumer's leader changed (409)");
	} else if (begins(text, "Consumer Deleted")) {
		forget_all(p);
		p->halted = true;
		report(p, PULLER_CONSUMER_GONE, "the consumer was deleted (409)");
	} else if (begins(text, "Message Size Exceeds MaxBytes") || begins(text, "Batch Completed")) {
		nothing = give_back(p, m);
		/* It alone is larger than a request: ask for it without a limit, and for nothing beside. */
		if (nothing && begins(text, "Message") && !p->large) {
			p->large = true;
			send_pull(p, 1, 0);
		}
	} else if (!learn_limit(p, text)) {
		give_back(p, m);
		be_quiet(p, AFTER_REFUSAL_MS);
		snprintf(words, sizeof words, "pull request refused: 409 %s", text);
		report(p, PULLER_REFUSED, words);
	}
}

static void
on_status(struct puller *p, const struct nats_message *m)
{
	const char *description = "";
	size_t len = 0;
	int status = header_inline_status(m->headers, m->headers_len, &description, &len);
	char text[200], words[256];

	snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), description);
	switch (status) {
	case 100: /* idle heartbeat */
		return;
	case 408: /* expired */
		give_back(p, m);
		return;
	case 409:
		on_conflict(p, m, text);
		return;
	case 404:
	case 503:
		forget_all(p);
		p->halted = true;
		snprintf(words, sizeof words, "nobody serves the consumer: %d %s", status,
			 status == 503 ? "no responders" : text);
		report(p, PULLER_CONSUMER_GONE, words);
		return;
	default:
		give_back(p, m);
		be_quiet(p, AFTER_REFUSAL_MS);
		snprintf(words, sizeof words, "pull request refused: %d %s", status, text);
		report(p, PULLER_REFUSED, words);
	}
}

static void puller_free(struct puller *p);

static void
on_message(void *arg, const struct nats_message *m)
{
	struct puller *p = arg;
	struct jsack ack;

	if (p->last_seen.ns < p->conn->last_read.ns)
		p->last_seen = p->conn->last_read;
	p->delivering = true;
	if (jsack_parse(m->reply, &ack) == 0)
		on_stored_message(p, m, &ack);
	else if (m->headers != NULL)
		on_status(p, m);
	p->delivering = false;
	if (p->ended)
		puller_free(p);
	else
		top_up(p);
}

/* ---- time ------------------------------------------------------------------------------------------ */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct puller *p = arg;
	struct mono now = mono_now();

	(void)fd;
	(void)what;
	if (p->paused || !is_alive(p))
		return;
	forget_old(p, now);
	top_up(p);
	if (p->halted || p->pull_count == 0)
		return;
	if (mono_ms_between(p->last_seen, now) < 2 * p->heartbeat_ms + p->heartbeat_ms / 2)
		return;
	p->last_seen = now;
	p->delivering = true;
	report(p, PULLER_MISSED_HEARTBEAT,
	       "the server sends neither messages nor heartbeats although it was asked for messages");
	p->delivering = false;
	if (p->ended)
		puller_free(p);
}

static void
start_timer(struct puller *p)
{
	/* Twice a heartbeat, so that one that is missed is noticed soon; the quiet times end here, too. */
	int64_t ms = p->heartbeat_ms / 2 < AFTER_CHANGE_MS ? p->heartbeat_ms / 2 : AFTER_CHANGE_MS;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	p->timer = event_new(p->conn->base, -1, EV_PERSIST, on_timer, p);
	event_add(p->timer, &tv);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void
puller_free(struct puller *p)
{
	event_free(p->timer);
	free(p->pulls);
	free(p->request_subject);
	free(p);
}

struct puller *
puller_start(struct nats_conn *c, const struct puller_config *config,
	     const struct puller_callbacks *callbacks, void *arg, struct error *e)
{
	struct puller *p = xcalloc(1, sizeof *p);
	char subject[1024], replies[160];

	if (jsapi_subject(subject, sizeof subject, config->domain, "CONSUMER.MSG.NEXT.%s.%s", config->stream,
			  config->consumer) < 0) {
		error_set(e, ERR_USAGE, "consumer \"%s\" of stream \"%s\": the names are too long",
			  config->consumer, config->stream);
		free(p);
		return NULL;
	}
	nats_conn_new_inbox(c, p->inbox, sizeof p->inbox);
	p->inbox_len = strlen(p->inbox);
	snprintf(replies, sizeof replies, "%s.*", p->inbox);
	p->sub = nats_conn_subscribe(c, replies, on_message, p, e);
	if (p->sub == NULL) {
		free(p);
		return NULL;
	}
	p->sub->bounded = true;
	p->conn = c;
	p->callbacks = *callbacks;
	p->arg = arg;
	p->request_subject = xstrdup(subject);
	p->max_msgs = config->max_msgs > 0 ? config->max_msgs : CREDIT_MIN_MSGS;
	p->max_bytes = config->max_bytes > 0 ? config->max_bytes : CREDIT_MIN_BYTES;
	p->heartbeat_ms = config->heartbeat_ms > 0 ? config->heartbeat_ms : DEFAULT_HEARTBEAT;
	p->credit_ms = config->credit_ms > 0 ? config->credit_ms : DEFAULT_CREDIT_MS;
	p->credit_msgs = between(1, CREDIT_MIN_MSGS, p->max_msgs);
	p->credit_bytes = between(1, CREDIT_MIN_BYTES, p->max_bytes);
	p->last_seen = p->measured = p->quiet_until = mono_now();
	start_timer(p);
	top_up(p);
	return p;
}

void
puller_stop(struct puller **pp)
{
	struct puller *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	nats_unsubscribe(&p->sub);
	event_del(p->timer);
	p->ended = true;
	if (!p->delivering)
		puller_free(p);
}

void
puller_pause(struct puller *p)
{
	p->paused = true;
	nats_sub_pause(p->sub);
}

void
puller_resume(struct puller *p)
{
	if (!p->paused)
		return;
	p->paused = false;
	p->last_seen = mono_now();
	p->got_msgs = p->got_bytes = 0;
	p->measured = p->last_seen;
	nats_sub_resume(p->sub);
	top_up(p);
}

bool
puller_has_more(const struct puller *p)
{
	return nats_sub_has_more(p->sub);
}

void
puller_repull(struct puller *p)
{
	forget_all(p);
	p->halted = false;
	p->quiet_until = p->last_seen = mono_now();
	top_up(p);
}

struct mono
puller_last_seen(const struct puller *p)
{
	return p->last_seen;
}
