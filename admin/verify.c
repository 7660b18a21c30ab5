/*
 * The command `verify`. Runs in the user's shell; reads both streams through short-lived consumers, and
 * needs neither supervisor nor state (the incidents of state.db are read if they can be: they name the
 * messages that were rejected for good).
 *
 * The order of the first questions matters: the target's last sequence is asked for before the source's,
 * so that a copy that was there can only be of a message that the source had. What the source gets later
 * is not compared. While the daemon runs, the last messages may not be copied yet: at the end the target is
 * read on until it has given nothing that was waited for in two seconds.
 */
#include "admin/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/compare.h"
#include "admin/load.h"
#include "admin/session.h"
#include "admin/stream_reader.h"
#include "admin/verify_report.h"
#include "common/clock.h"
#include "common/nats/fit.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "state/reader.h"

enum { TAIL_MS = 2000, TICK_MS = 200 };

struct verify {
	const struct conf *conf;
	const struct conf_topic *topic;
	struct event_base *base;
	struct session *source, *target;
	struct jsapi_stream source_stream, target_stream;
	struct verify_subject what;
	bool whole; /* no --to that ends before the source does */
	struct compare *compare;
	struct stream_reader *source_reader, *target_reader;
	char target_filter[SUBJECT_MAX];
	const char *target_filters[1];
	bool source_ended, target_ended, failed;
	size_t waiting;            /* at the last look */
	struct mono waiting_since; /* for so many */
	struct mono started;
	bool bar; /* standard error is a terminal */
	struct error error;
};

/* ---- reading ------------------------------------------------------------------------------------- */

static void
finish(struct verify *v)
{
	event_base_loopbreak(v->base);
}

static void
set_pace(struct verify *v)
{
	if (v->source_reader != NULL)
		(compare_wants_source(v->compare) ? stream_reader_resume
						  : stream_reader_pause)(v->source_reader);
	(compare_wants_target(v->compare) ? stream_reader_resume : stream_reader_pause)(v->target_reader);
}

static void
end_if_complete(struct verify *v)
{
	if (v->source_ended && compare_waiting(v->compare) == 0 && (v->target_ended || !v->whole))
		finish(v);
}

static void
fill(struct compare_message *out, const struct nats_message *m, const struct jsack *ack)
{
	*out = (struct compare_message){.subject = m->subject,
					.headers = m->headers,
					.headers_len = m->headers_len,
					.data = m->data,
					.data_len = m->data_len,
					.seq = ack->stream_seq,
					.stored_ms = ack->stored_ns / 1000000};
}

static void
source_message(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct verify *v = arg;
	struct compare_message message;

	fill(&message, m, ack);
	compare_source(v->compare, &message);
	set_pace(v);
}

static void
target_message(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct verify *v = arg;
	struct compare_message message;

	fill(&message, m, ack);
	compare_target(v->compare, &message);
	set_pace(v);
	end_if_complete(v);
}

static void
source_ended(void *arg)
{
	struct verify *v = arg;

	v->source_ended = true;
	compare_source_ended(v->compare);
	set_pace(v);
	end_if_complete(v);
}

static void
target_ended(void *arg)
{
	struct verify *v = arg;

	v->target_ended = true;
	compare_target_ended(v->compare);
	set_pace(v);
	end_if_complete(v);
}

static void
reading_failed(void *arg, const char *text)
{
	struct verify *v = arg;

	v->failed = true;
	error_set(&v->error, ERR_IO, "%s", text);
	finish(v);
}

static void
show_bar(struct verify *v, struct mono now)
{
	uint64_t total = v->what.to - v->what.from + 1, known;
	struct strbuf line;

	known = v->source_reader != NULL ? stream_reader_total(v->source_reader) : 0;
	if (known > 0 && known < total)
		total = known;
	strbuf_init(&line);
	verify_report_bar(&line, compare_progress(v->compare)->source_msgs, total,
			  mono_ms_between(v->started, now));
	fprintf(stderr, "\r\033[K%s", line.data);
	strbuf_fini(&line);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct verify *v = arg;
	struct mono now = mono_now();
	size_t waiting = compare_waiting(v->compare);

	(void)fd;
	(void)what;
	if (v->bar && v->what.to >= v->what.from)
		show_bar(v, now);
	if (waiting != v->waiting || !v->source_ended || !v->target_ended) {
		v->waiting = waiting;
		v->waiting_since = now;
	} else if (mono_ms_between(v->waiting_since, now) >= TAIL_MS) {
		finish(v);
	}
}

/* ---- what to read -------------------------------------------------------------------------------- */

static int
get_stream(struct session *s, const char *name, struct jsapi_stream *out, struct error *e)
{
	struct jsapi_error err = {0};
	int read = session_stream(s, name, out, &err, e);

	if (read > 0)
		error_set(e, ERR_NOT_FOUND, "%s: stream %s: %s", session_label(s), name, err.description);
	return read == 0 ? 0 : -1;
}

static int
check_retention(const struct session *s, const struct jsapi_stream *stream, struct error *e)
{
	if (stream->retention == RETENTION_LIMITS)
		return 0;
	return error_set(
	    e, ERR_CONFLICT,
	    "%s: stream %s keeps its messages only until they are taken, so that there is nothing to "
	    "compare; verify needs streams with retention by limits",
	    session_label(s), stream->name);
}

/* The sequences that are compared: of what the source holds, from where the topic was to begin. */
static void
set_range(struct verify *v, uint64_t from, uint64_t to)
{
	const struct jsapi_stream *s = &v->source_stream;
	uint64_t first = from;

	if (from == 0 && v->topic->start == START_SEQUENCE)
		first = v->topic->start_sequence;
	if (first < s->first_seq)
		first = s->first_seq;
	v->whole = to == 0 || to >= s->last_seq;
	v->what = (struct verify_subject){.topic = v->topic->key,
					  .source_stream = s->name,
					  .target_stream = v->target_stream.name,
					  .from = first > 0 ? first : 1,
					  .to = v->whole ? s->last_seq : to};
	if (s->messages == 0)
		v->what.to = v->what.from - 1;
}

/* The topic's own ordered copy at a target sequence: its source sequence, 0 if it is none. */
static uint64_t
origin_at(struct verify *v, uint64_t target_seq)
{
	struct error e;
	struct origin o;
	bool ordered;

	if (session_origin(v->target, v->conf, v->topic, target_seq, NULL, &o, &ordered, &e) != 0)
		return 0;
	return ordered ? (uint64_t)o.seq : 0;
}

/*
 * Where at the target to begin. A target that only this topic writes to grows by at most one a source
 * sequence, so the copy of `from` stands no further from the end than that; if what stands there says
 * otherwise, everything is read.
 */
static uint64_t
target_start(struct verify *v)
{
	const struct jsapi_stream *t = &v->target_stream;
	uint64_t first = t->first_seq > 0 ? t->first_seq : 1, last_origin, start;

	if (v->what.from <= v->source_stream.first_seq || v->topic->target_writers == TARGET_WRITERS_SHARED ||
	    v->topic->ephemeral || t->messages == 0)
		return first;
	last_origin = origin_at(v, t->last_seq);
	if (last_origin < v->what.from || t->last_seq < last_origin - v->what.from + first)
		return first;
	start = t->last_seq - (last_origin - v->what.from);
	last_origin = origin_at(v, start);
	return last_origin > 0 && last_origin <= v->what.from ? start : first;
}

static void
add_incident(void *arg, const struct state_incident *incident)
{
	struct compare *c = arg;
	uint64_t seq;

	/* the words of the worker's reject.c */
	if ((strcmp(incident->kind, "reject") == 0 || strcmp(incident->kind, "dead_letter") == 0) &&
	    sscanf(incident->detail, "message %" SCNu64, &seq) == 1)
		compare_add_rejected(c, seq);
}

/* Messages that were passed over for good. Without the incidents they count as missing. */
static void
add_rejected(struct verify *v)
{
	struct state_reader *r;
	struct error e = ERROR_INIT;

	if (v->topic->on_reject == REJECT_HALT)
		return;
	r = state_reader_open(v->conf->state_dir, &e);
	if (r == NULL || state_reader_incidents(r, v->topic->key, add_incident, v->compare, &e) != 0)
		fprintf(
		    stderr,
		    "stream-replicator: %s; messages that were rejected count as missing, if there are any\n",
		    e.text);
	state_reader_close(&r);
}

/* ---- the run ------------------------------------------------------------------------------------- */

static int
open_ends(struct verify *v, struct error *e)
{
	v->target = session_open(v->base, v->topic, SESSION_TARGET, e);
	if (v->target == NULL || get_stream(v->target, v->topic->target_stream, &v->target_stream, e) != 0)
		return -1;
	v->source = session_open(v->base, v->topic, SESSION_SOURCE, e);
	if (v->source == NULL || get_stream(v->source, v->topic->stream, &v->source_stream, e) != 0)
		return -1;
	if (check_retention(v->target, &v->target_stream, e) != 0)
		return -1;
	return check_retention(v->source, &v->source_stream, e);
}

static void
start_readers(struct verify *v)
{
	static const struct stream_reader_callbacks of_source = {source_message, source_ended,
								 reading_failed};
	static const struct stream_reader_callbacks of_target = {target_message, target_ended,
								 reading_failed};
	struct stream_reader_config config = {.stream = v->target_stream.name,
					      .filters = v->target_filters,
					      .start = target_start(v),
					      .last = v->target_stream.last_seq};

	v->target_filters[0] = v->target_filter;
	if (v->topic->target_writers != TARGET_WRITERS_EXCLUSIVE)
		fit_mapped_filter(v->topic, &v->source_stream, &v->target_stream, v->target_filter,
				  sizeof v->target_filter);
	config.filter_count = v->target_filter[0] != '\0' ? 1 : 0;
	v->target_reader = stream_reader_new(v->target, &config, &of_target, v);
	if (v->what.to < v->what.from) {
		source_ended(v);
		return;
	}
	config = (struct stream_reader_config){.stream = v->source_stream.name,
					       .filters = (const char *const *)v->topic->filter_subjects,
					       .filter_count = v->topic->filter_count,
					       .start = v->what.from,
					       .last = v->what.to};
	v->source_reader = stream_reader_new(v->source, &config, &of_source, v);
}

static int
run(struct verify *v, struct error *e)
{
	static const struct timeval every = {0, TICK_MS * 1000};
	const struct compare_config config = {.conf = v->conf,
					      .topic = v->topic,
					      .from = v->what.from,
					      .to = v->what.to,
					      .source_last = v->source_stream.last_seq,
					      .target_last = v->target_stream.last_seq,
					      .now_ms = wall_ms()};
	struct event *tick = event_new(v->base, -1, EV_PERSIST, on_tick, v);

	v->compare = compare_new(&config);
	add_rejected(v);
	v->started = v->waiting_since = mono_now();
	v->bar = isatty(STDERR_FILENO) != 0;
	event_add(tick, &every);
	start_readers(v);
	event_base_dispatch(v->base);
	event_free(tick);
	if (v->bar)
		fprintf(stderr, "\r\033[K");
	if (v->failed)
		*e = v->error;
	return v->failed ? -1 : 0;
}

static int
print_report(struct verify *v, bool json)
{
	const struct compare_report *report = compare_finish(v->compare);
	struct strbuf out;

	strbuf_init(&out);
	(json ? verify_report_json : verify_report_text)(&out, &v->what, report);
	fputs(out.data, stdout);
	strbuf_fini(&out);
	return fflush(stdout) == 0 && report->equal ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

static void
close_all(struct verify *v)
{
	stream_reader_free(&v->source_reader);
	stream_reader_free(&v->target_reader);
	if (v->source != NULL && v->compare != NULL)
		session_flush(v->source); /* so that the consumers are gone */
	if (v->target != NULL && v->compare != NULL)
		session_flush(v->target);
	session_free(&v->source);
	session_free(&v->target);
	jsapi_stream_fini(&v->source_stream);
	jsapi_stream_fini(&v->target_stream);
	compare_free(&v->compare);
}

static int
verify_topic(const struct conf *conf, const struct conf_topic *topic, uint64_t from, uint64_t to, bool json)
{
	struct verify v = {.conf = conf, .topic = topic, .base = event_base_new()};
	struct error e = ERROR_INIT;
	int rc = COMMAND_EXIT_FAILED;

	if (nats_library_start(&e) == 0 && open_ends(&v, &e) == 0) {
		set_range(&v, from, to);
		if (run(&v, &e) == 0)
			rc = print_report(&v, json);
	}
	if (e.code != ERR_NONE)
		fprintf(stderr, "stream-replicator: topic \"%s\": %s\n", topic->key, e.text);
	close_all(&v);
	event_base_free(v.base);
	nats_library_stop();
	return rc;
}

int
admin_verify(const char *config_path, const char *topic, uint64_t from, uint64_t to, bool json)
{
	struct conf *conf = load_conf(config_path);
	const struct conf_topic *found = conf != NULL ? conf_find_topic(conf, topic) : NULL;
	int rc = COMMAND_EXIT_CONFIG;

	if (found != NULL) {
		rc = verify_topic(conf, found, from, to, json);
	} else if (conf != NULL) {
		fprintf(stderr, "stream-replicator: %s has no topic \"%s\"\n", config_path, topic);
		rc = COMMAND_EXIT_FAILED;
	}
	conf_free(&conf);
	return rc;
}
