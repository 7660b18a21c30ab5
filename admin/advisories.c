/*
 * The verb `advisories`. Runs in the user's shell; looks for the stream at the ends where the topics of the
 * configuration publish advisories, and reads it through a short-lived consumer. Needs neither supervisor nor
 * state.
 *
 * The stream may hold anything: what is no advisory is passed over and counted. With --follow it goes on,
 * over losses of the connection too, until it is interrupted.
 */
#include "admin/advisories.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/advisory_rows.h"
#include "admin/far_ends.h"
#include "admin/load.h"
#include "admin/stream_reader.h"
#include "common/header.h"
#include "common/subject.h"
#include "common/xalloc.h"

struct advisories {
	const struct command *command;
	const struct conf *conf;
	struct event_base *base;
	struct session *session;
	struct stream_reader *reader;
	struct listing listing;
	uint64_t skipped; /* messages that are no advisories */
	struct error error;
};

/* ---- reading --------------------------------------------------------------------------------------- */

static void
stop(struct advisories *a)
{
	event_base_loopbreak(a->base);
}

/* The older schema has the id in a header alone. */
static void
take_id(struct advisory_read *read, const struct nats_message *m)
{
	struct header_line line;

	if (!header_find(m->headers, m->headers_len, "Nats-Msg-Id", &line))
		return;
	free(read->event_id);
	read->event_id = xstrndup(line.value, line.value_len);
}

static void
got_message(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct advisories *a = arg;
	struct advisory_read read;
	struct error e;

	(void)ack;
	if (advisory_read(m->data, m->data_len, &read, &e) != 0) {
		a->skipped++;
		return;
	}
	if (*read.event_id == '\0')
		take_id(&read, m);
	if ((a->command->value == NULL || strcmp(a->command->value, read.value) == 0) &&
	    !advisory_row(&a->listing, &read))
		stop(a);
	advisory_read_fini(&read);
}

static void
got_all(void *arg)
{
	struct advisories *a = arg;

	if (!a->command->follow)
		stop(a);
}

static void
reading_failed(void *arg, const char *text)
{
	struct advisories *a = arg;

	error_set(&a->error, ERR_IO, "%s", text);
	stop(a);
}

static void
on_interrupt(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	stop(arg);
}

static void
read_stream(struct advisories *a)
{
	static const struct stream_reader_callbacks callbacks = {got_message, got_all, reading_failed};
	const struct stream_reader_config config = {.stream = a->command->topic,
						    .start_time_ns = a->command->since_ms * 1000000,
						    .last = UINT64_MAX,
						    .patient = a->command->follow};
	struct event *interrupt = evsignal_new(a->base, SIGINT, on_interrupt, a);
	struct event *terminate = evsignal_new(a->base, SIGTERM, on_interrupt, a);

	evsignal_add(interrupt, NULL);
	evsignal_add(terminate, NULL);
	a->reader = stream_reader_new(a->session, &config, &callbacks, a);
	event_base_dispatch(a->base);
	stream_reader_free(&a->reader);
	session_flush(a->session); /* so that the consumer is gone */
	event_free(interrupt);
	event_free(terminate);
}

/* ---- where it is ----------------------------------------------------------------------------------- */

/* 0: it is there, and the session stays open; 1: it is not; -1 with *e. */
static int
look(struct advisories *a, const struct far_end *end, struct error *e)
{
	struct jsapi_stream stream = {0};
	struct jsapi_error err = {0};
	int found;

	a->session = session_open(a->base, end->topic, end->side, e);
	if (a->session == NULL)
		return -1;
	found = session_stream(a->session, a->command->topic, &stream, &err, e);
	jsapi_stream_fini(&stream);
	if (found == 1 && err.err_code != JSAPI_STREAM_NOT_FOUND)
		found = error_set(e, ERR_IO, "%s: stream %s: %s", session_label(a->session),
				  a->command->topic, err.description);
	if (found != 0)
		session_free(&a->session);
	return found;
}

/* The first end that has it. Ends that cannot be asked are told of, and may be the one. */
static int
look_everywhere(struct advisories *a, const struct far_end *ends, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error e = ERROR_INIT;
		int found = look(a, &ends[i], &e);

		if (found == 0)
			return 0;
		if (found < 0)
			fprintf(stderr, "stream-replicator: topic \"%s\": %s\n", ends[i].topic->key, e.text);
	}
	return error_set(&a->error, ERR_NOT_FOUND,
			 "no stream \"%s\" where the topics of %s publish advisories", a->command->topic,
			 a->command->config);
}

static int
find_stream(struct advisories *a)
{
	struct far_end *ends = xcalloc(a->conf->topic_count + 1, sizeof *ends);
	size_t count = far_ends_of_advisories(a->conf, ends);
	int rc;

	if (count == 0)
		rc = error_set(&a->error, ERR_NOT_FOUND,
			       "stream \"%s\": no topic of %s has a section advisory, so it is not known "
			       "where to look for it",
			       a->command->topic, a->command->config);
	else if (!subject_name_valid(a->command->topic))
		rc = error_set(&a->error, ERR_NOT_FOUND, "stream \"%s\": no stream can have that name",
			       a->command->topic);
	else
		rc = look_everywhere(a, ends, count);
	free(ends);
	return rc;
}

/* ---- whole ----------------------------------------------------------------------------------------- */

static void
begin_listing(struct advisories *a)
{
	enum listing_form form = LISTING_TABLE;

	if (a->command->json)
		form = a->command->follow ? LISTING_LINES : LISTING_ARRAY;
	advisory_rows_init(&a->listing, stdout, form);
	a->listing.live = a->command->follow;
}

static void
show(struct advisories *a)
{
	begin_listing(a);
	read_stream(a);
	if (!listing_end(&a->listing, "no advisories") && a->error.code == ERR_NONE)
		error_set(&a->error, ERR_IO, "not all could be written");
	if (a->skipped > 0)
		fprintf(stderr, "stream-replicator: %" PRIu64 " message%s of stream %s %s\n", a->skipped,
			a->skipped == 1 ? "" : "s", a->command->topic,
			a->skipped == 1 ? "is no advisory" : "are no advisories");
}

static int
run(struct advisories *a)
{
	a->base = event_base_new();
	if (nats_library_start(&a->error) == 0 && find_stream(a) == 0)
		show(a);
	if (a->error.code != ERR_NONE)
		fprintf(stderr, "stream-replicator: %s\n", a->error.text);
	session_free(&a->session);
	event_base_free(a->base);
	nats_library_stop();
	return a->error.code == ERR_NONE ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

int
admin_advisories(const struct command *c)
{
	struct conf *conf = load_conf(c->config);
	struct advisories a = {.command = c, .conf = conf};
	int rc = conf != NULL ? run(&a) : COMMAND_EXIT_CONFIG;

	conf_free(&conf);
	return rc;
}
