/*
 * The bucket's life: looked at, made, judged, watched. Runs in an elector's process.
 *
 * What is believed of it comes from STREAM.INFO alone. An answer that it does not exist, or that it is such
 * that no election can be held in it, makes it unusable; that there is no answer says nothing, so a bucket
 * that was usable stays so, and the leases find out by their writes. A creation that failed half-way leaves
 * nothing or a whole bucket: the next look tells. One that another node makes at the same time is found by
 * the same look.
 */
#include "worker/bucket_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/units.h"
#include "common/xalloc.h"

enum {
	LOOK_MS = 10000,
	LOOK_DOUBT_MS = 2000,
	LOOK_SOON_MS = 100,
	LOOK_AGAIN_MS = 1000, /* at the earliest, where it is trouble that asks for it */
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MAX_MS = 5000,
	PATIENCE_MS = 5000, /* with a cluster that lacks servers for as many replicas as there might be */
};

#define SAME_MOMENT_NS INT64_C(700000000)

static void look(struct bucket *b);

/* ---- timing -------------------------------------------------------------------------------------- */

static void
look_after(struct bucket *b, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	b->look_at = mono_add_ms(mono_now(), ms);
	evtimer_add(b->look_timer, &after);
}

static void
look_with_backoff(struct bucket *b)
{
	b->backoff_ms = b->backoff_ms == 0 ? BACKOFF_FIRST_MS : b->backoff_ms * 2;
	if (b->backoff_ms > BACKOFF_MAX_MS)
		b->backoff_ms = BACKOFF_MAX_MS;
	look_after(b, b->backoff_ms);
}

/* Unless it is due before that anyway: where many ask again and again it would be put off for ever. */
static void
look_within(struct bucket *b, int64_t ms)
{
	struct mono at = mono_add_ms(mono_now(), ms);

	if (!evtimer_pending(b->look_timer, NULL) || at.ns < b->look_at.ns)
		look_after(b, ms);
}

void
bucket_look_soon(struct bucket *b)
{
	int64_t since = mono_ms_between(b->looked, mono_now());

	if (b->phase == BUCKET_USABLE && b->request == NULL)
		look_within(b, since >= LOOK_AGAIN_MS ? LOOK_SOON_MS : LOOK_AGAIN_MS - since);
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct bucket *b = arg;

	(void)fd;
	(void)what;
	if (b->phase != BUCKET_DOWN && b->request == NULL)
		look(b);
}

/* ---- telling ------------------------------------------------------------------------------------- */

static void
tell_doubt(struct bucket *b)
{
	const char *words = b->look_doubt[0] != '\0' ? b->look_doubt : b->watch_doubt;

	if (b->phase != BUCKET_USABLE || strcmp(words, b->told_doubt) == 0)
		return;
	snprintf(b->told_doubt, sizeof b->told_doubt, "%s", words);
	b->callbacks.doubt(b->arg, b->told_doubt);
}

static void
set_doubt(struct bucket *b, char *which, size_t size, const char *words)
{
	if (*words == '\0')
		which[0] = '\0';
	else
		snprintf(which, size, "bucket \"%s\": %.500s", b->election->bucket, words);
	tell_doubt(b);
}

static void
forget_doubts(struct bucket *b)
{
	b->look_doubt[0] = b->watch_doubt[0] = b->told_doubt[0] = '\0';
}

static void
become_unusable(struct bucket *b, const char *words, bool gone)
{
	char text[sizeof(struct error)];

	snprintf(text, sizeof text, "%s", words);
	b->phase = BUCKET_UNUSABLE;
	bucket_watch_stop(&b->watch);
	forget_doubts(b);
	b->callbacks.unusable(b->arg, text, gone);
}

/* No answer, or none that says what the bucket is. */
static void
look_failed(struct bucket *b, const char *words)
{
	char text[640];

	if (b->phase == BUCKET_USABLE) {
		look_after(b, LOOK_DOUBT_MS);
		set_doubt(b, b->look_doubt, sizeof b->look_doubt, words);
		return;
	}
	snprintf(text, sizeof text, "bucket \"%s\": %.500s", b->election->bucket, words);
	look_with_backoff(b);
	become_unusable(b, text, false);
}

/* ---- watching ------------------------------------------------------------------------------------ */

static void
message_arrived(void *arg, const struct nats_message *m, uint64_t seq)
{
	struct bucket *b = arg;
	struct bucket_entry entry = {.revision = seq, .data = m->data, .len = m->data_len};

	if (seq > b->highest)
		b->highest = seq;
	entry.key = election_bucket_key(b->election->bucket, m->subject);
	if (entry.key == NULL)
		return;
	entry.marker =
	    election_bucket_is_marker(m->headers, m->headers_len, entry.release, sizeof entry.release);
	b->callbacks.entry(b->arg, &entry);
}

static void
watch_lost(void *arg)
{
	bucket_look_soon(arg);
}

static void
watch_trouble(void *arg, const char *words)
{
	struct bucket *b = arg;

	if (*words != '\0')
		bucket_look_soon(b); /* it may be gone */
	set_doubt(b, b->watch_doubt, sizeof b->watch_doubt, words);
}

static void
start_watch(struct bucket *b)
{
	static const struct bucket_watch_callbacks callbacks = {message_arrived, watch_lost, watch_trouble};
	char filter[SUBJECT_MAX];

	if (b->watch != NULL)
		return;
	election_bucket_subject(filter, sizeof filter, "", b->election->bucket, ">");
	b->watch = bucket_watch_start(b->base, &b->end, b->stream, filter, &callbacks, b);
}

/* ---- looking ------------------------------------------------------------------------------------- */

static void
say_ttl(struct bucket *b)
{
	char is[UNITS_SIZE], configured[UNITS_SIZE];

	if (b->ttl_ms == b->election->ttl_ms)
		return;
	log_info("elector", "bucket \"%s\" has a TTL of %s, which is used; configured is %s",
		 b->election->bucket, units_format_duration(is, sizeof is, b->ttl_ms),
		 units_format_duration(configured, sizeof configured, b->election->ttl_ms));
}

/*
 * Where two nodes make it in the same moment, a cluster's servers tell first of one time of creation and then
 * of the other (seen on 2.9): it is the same bucket as long as all that was seen in it is there.
 */
static bool
is_another(const struct bucket *b, const struct jsapi_stream *s)
{
	int64_t apart = s->created_ns - b->created_ns;

	if (b->created_ns == 0 || apart == 0)
		return false;
	return b->gone_told || s->last_seq < b->highest || apart > SAME_MOMENT_NS || apart < -SAME_MOMENT_NS;
}

static void
use(struct bucket *b, const struct jsapi_stream *s)
{
	bool anew = is_another(b, s);
	int64_t ttl_ms = election_bucket_ttl_ms(s);
	bool news = b->phase != BUCKET_USABLE || anew || ttl_ms != b->ttl_ms;

	if (ttl_ms != b->ttl_ms) {
		b->ttl_ms = ttl_ms;
		say_ttl(b);
	}
	if (anew)
		b->highest = 0;
	b->created_ns = s->created_ns;
	b->phase = BUCKET_USABLE;
	b->backoff_ms = 0;
	b->gone_told = false;
	b->short_since.ns = 0;
	look_after(b, LOOK_MS);
	if (anew)
		bucket_watch_stop(&b->watch); /* of the other one */
	if (news)
		b->callbacks.usable(b->arg, b->ttl_ms, anew);
	set_doubt(b, b->look_doubt, sizeof b->look_doubt, "");
	start_watch(b);
}

/* Takes what the server said the bucket is; s is freed. */
static void
judge(struct bucket *b, struct jsapi_stream *s)
{
	struct error e = ERROR_INIT;

	if (election_bucket_check(b->election, s, &e) == 0) {
		use(b, s);
	} else {
		look_with_backoff(b);
		become_unusable(b, e.text, false);
	}
	jsapi_stream_fini(s);
}

/* ---- making -------------------------------------------------------------------------------------- */

static void create(struct bucket *b);

static void
not_created(struct bucket *b, const char *why)
{
	char text[sizeof(struct error)];

	look_with_backoff(b);
	snprintf(text, sizeof text,
		 "bucket \"%s\": it does not exist and cannot be made with %u replica%s: %.400s; make it "
		 "by hand, or correct the section election",
		 b->election->bucket, b->replicas, b->replicas == 1 ? "" : "s", why);
	become_unusable(b, text, false);
}

/*
 * Fewer replicas, where it is not said how many there shall be. A cluster that is just starting, or one of
 * whose servers is away for a moment, has a while to become complete: the bucket will stay as it is made.
 */
static bool
may_lower(struct bucket *b, const struct jsapi_error *err)
{
	if (b->election->replicas > 0 || b->replicas <= 1 || !election_bucket_refused_replicas(err))
		return false;
	if (!election_bucket_lacks_servers(err))
		return true;
	if (b->short_since.ns == 0)
		b->short_since = mono_now();
	return mono_ms_between(b->short_since, mono_now()) >= PATIENCE_MS;
}

static void
create_answered(struct bucket *b, const struct nats_message *m)
{
	struct jsapi_stream s = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	int read = jsapi_read_stream(m->data, m->data_len, &s, &err, &e);

	if (read == 0) {
		log_info("elector", "bucket \"%s\" was missing and is made, with %d replica%s",
			 b->election->bucket, s.replicas, s.replicas == 1 ? "" : "s");
		judge(b, &s);
	} else if (read == 1 && err.err_code == JSAPI_STREAM_NAME_EXISTS) {
		look(b); /* another node was faster, with other settings */
	} else if (read == 1 && may_lower(b, &err)) {
		b->replicas--;
		create(b);
	} else {
		not_created(b, read == 1 ? err.description : e.text);
	}
}

static void
created(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct bucket *b = arg;

	b->request = NULL;
	b->creating = false;
	if (result == NATS_REPLY)
		create_answered(b, m);
	else
		not_created(b, ask_failure_text(result));
}

static void
create(struct bucket *b)
{
	struct error e = ERROR_INIT;
	struct strbuf body;

	strbuf_init(&body);
	election_bucket_write_create(b->election, b->replicas, &body);
	b->request = ask_api(&b->end, body.data, body.len, created, b, &e, "STREAM.CREATE.%s", b->stream);
	b->creating = b->request != NULL;
	strbuf_fini(&body);
	if (b->request == NULL)
		not_created(b, e.text);
}

static void
missing(struct bucket *b)
{
	bool gone = b->created_ns != 0 && !b->gone_told;
	char text[320];

	b->gone_told = true;
	snprintf(text, sizeof text, "bucket \"%s\": it %s%s", b->election->bucket,
		 b->created_ns != 0 ? "was deleted" : "does not exist",
		 b->election->create
		     ? ""
		     : ", and election.create is false: make it by hand, or set create = true");
	look_with_backoff(b);
	if (gone || !b->election->create)
		become_unusable(b, text, gone);
	if (!b->election->create)
		return;
	b->replicas = election_bucket_replicas(b->election);
	create(b);
}

static void
looked(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct bucket *b = arg;
	struct jsapi_stream s = {0};
	struct jsapi_error err;
	struct error e = ERROR_INIT;
	int read;

	b->request = NULL;
	if (result != NATS_REPLY) {
		look_failed(b, ask_failure_text(result));
		return;
	}
	read = jsapi_read_stream(m->data, m->data_len, &s, &err, &e);
	if (read == 0)
		judge(b, &s);
	else if (read == 1 && err.err_code == JSAPI_STREAM_NOT_FOUND)
		missing(b);
	else
		look_failed(b, read == 1 ? err.description : e.text);
}

static void
look(struct bucket *b)
{
	struct error e = ERROR_INIT;

	evtimer_del(b->look_timer);
	b->looked = mono_now();
	b->request = ask_api(&b->end, "", 0, looked, b, &e, "STREAM.INFO.%s", b->stream);
	if (b->request == NULL)
		look_failed(b, e.text);
}

/* ---- for the owner ------------------------------------------------------------------------------- */

struct bucket *
bucket_new(struct event_base *base, struct nats_conn *conn, const struct conf_election *election,
	   const char *domain, const struct bucket_callbacks *callbacks, void *arg)
{
	struct bucket *b = xcalloc(1, sizeof *b);

	b->base = base;
	b->end = (struct ask_end){conn, domain};
	b->election = election;
	b->callbacks = *callbacks;
	b->arg = arg;
	election_bucket_stream(b->stream, sizeof b->stream, election->bucket);
	b->look_timer = evtimer_new(base, timer_fired, b);
	return b;
}

void
bucket_free(struct bucket **bp)
{
	struct bucket *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	nats_request_cancel(&b->request);
	bucket_watch_stop(&b->watch);
	bucket_ops_free(b);
	event_free(b->look_timer);
	free(b);
}

void
bucket_up(struct bucket *b)
{
	b->phase = BUCKET_LOOKING;
	b->backoff_ms = 0;
	look(b);
}

/* Requests have ended by themselves when this is called. */
void
bucket_down(struct bucket *b)
{
	nats_request_cancel(&b->request);
	evtimer_del(b->look_timer);
	bucket_watch_stop(&b->watch);
	forget_doubts(b);
	b->phase = BUCKET_DOWN;
}

bool
bucket_is_usable(const struct bucket *b)
{
	return b->phase == BUCKET_USABLE;
}

bool
bucket_violates(const char *text, const char *subject)
{
	const char *at = strstr(text, subject);
	char next;

	if (at == NULL)
		return false;
	next = at[strlen(subject)];
	return next == '"' || next == '\'' || next == ' ' || next == '\0';
}

/* A look or a creation that the server refuses goes without an answer. */
static void
look_violates(struct bucket *b, const char *text)
{
	char subject[SUBJECT_MAX], words[512];

	snprintf(subject, sizeof subject, "STREAM.%s.%s", b->creating ? "CREATE" : "INFO", b->stream);
	if (b->request == NULL || !bucket_violates(text, subject))
		return;
	nats_request_cancel(&b->request);
	snprintf(words, sizeof words, "%.300s; allow the elector's user that%s", text,
		 b->creating ? ", or make the bucket by hand" : "");
	if (b->creating) {
		b->creating = false;
		not_created(b, words);
	} else {
		look_failed(b, words);
	}
}

void
bucket_async_error(struct bucket *b, const char *text)
{
	look_violates(b, text);
	bucket_ops_async_error(b, text);
	if (b->watch != NULL)
		bucket_watch_async_error(b->watch, text);
}
