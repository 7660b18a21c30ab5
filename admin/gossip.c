/*
 * The verb `gossip`. Runs in the user's shell; listens at the sources of all sampled topics and says nothing
 * there. Needs neither supervisor nor state. What makes no sense is counted, as workers do.
 *
 * Subscriptions end with their connection and are made again with each new one; what was said meanwhile is
 * missed, which people are told.
 */
#include "admin/gossip.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/far_ends.h"
#include "admin/load.h"
#include "admin/sample_rows.h"
#include "admin/table.h"
#include "common/clock.h"
#include "common/gossip.h"
#include "common/xalloc.h"

#define TICK_MS 200

struct gossip;

struct listened {
	struct gossip *gossip;
	const struct conf_topic *topic;
	struct nats_sub *sub;
};

struct listened_end {
	struct gossip *gossip;
	struct far_end end;
	struct session *session;
	struct listened *topics; /* topic_count of them; they do not move */
	size_t topic_count;
};

struct gossip {
	const struct command *command;
	const struct conf *conf;
	struct event_base *base;
	struct listened_end *ends;
	size_t end_count;
	struct listing_column columns[SAMPLE_COLUMNS];
	struct listing listing;
	uint64_t senseless;
	struct error error;
};

static void
stop(struct gossip *g)
{
	event_base_loopbreak(g->base);
}

static void
on_interrupt(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	stop(arg);
}

/* ---- listening ------------------------------------------------------------------------------------- */

static void
heard(void *arg, const struct nats_message *m)
{
	struct listened *l = arg;
	struct sample_value value;
	struct proto_sample row;
	struct error e;

	if (gossip_item_read(m->data, m->data_len, &row, &value, &e) != 0)
		l->gossip->senseless++;
	else if (!sample_row(&l->gossip->listing, wall_ms(), l->topic->key, &row))
		stop(l->gossip);
}

/* The servers answer a refused subscription later: see on_tick(). */
static int
listen_to(struct listened_end *end, struct listened *l, struct error *e)
{
	struct strbuf subject;

	nats_unsubscribe(&l->sub);
	strbuf_init(&subject);
	gossip_subject(l->topic->stream, l->topic->key, "", &subject);
	l->sub = nats_conn_subscribe(session_end(end->session)->conn, subject.data, heard, l, e);
	strbuf_fini(&subject);
	return l->sub != NULL ? 0 : error_prefix(e, "topic \"%s\": source", l->topic->key);
}

static int
listen_at(struct listened_end *end, struct error *e)
{
	for (size_t i = 0; i < end->topic_count; i++)
		if (listen_to(end, &end->topics[i], e) != 0)
			return -1;
	return 0;
}

static void
connection_changed(void *arg, bool up, const char *reason)
{
	struct listened_end *end = arg;
	struct error e = ERROR_INIT;

	if (!up)
		fprintf(stderr, "stream-replicator: topic \"%s\": source: connection lost: %s\n",
			end->end.topic->key, reason);
	else if (listen_at(end, &e) != 0)
		fprintf(stderr, "stream-replicator: %s\n", e.text); /* lost again: it comes back here */
	else
		fprintf(stderr, "stream-replicator: topic \"%s\": source: connected again\n",
			end->end.topic->key);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct gossip *g = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < g->end_count && g->error.code == ERR_NONE; i++) {
		const char *violation = session_violation(g->ends[i].session);

		if (violation[0] == '\0')
			continue;
		error_set(&g->error, ERR_DENIED, "topic \"%s\": source: %s", g->ends[i].end.topic->key,
			  violation);
		stop(g);
	}
}

/* ---- whole ----------------------------------------------------------------------------------------- */

static int
open_end(struct listened_end *end, struct error *e)
{
	end->session = session_open(end->gossip->base, end->end.topic, end->end.side, e);
	if (end->session == NULL)
		return error_prefix(e, "topic \"%s\"", end->end.topic->key);
	session_watch(end->session, connection_changed, end);
	return listen_at(end, e);
}

static int
open_all(struct gossip *g)
{
	if (g->end_count == 0)
		return error_set(&g->error, ERR_NOT_FOUND,
				 "%s has no sampled topic, so there is nothing to listen to",
				 g->command->config);
	for (size_t i = 0; i < g->end_count; i++)
		if (open_end(&g->ends[i], &g->error) != 0)
			return -1;
	return 0;
}

/* Which topics are heard of at which end. */
static void
find_ends(struct gossip *g)
{
	size_t most = g->conf->topic_count + 1;
	struct far_end *found = xcalloc(most, sizeof *found);

	g->ends = xcalloc(most, sizeof *g->ends);
	g->end_count = far_ends_of_gossip(g->conf, found);
	for (size_t i = 0; i < g->end_count; i++) {
		struct listened_end *end = &g->ends[i];

		*end = (struct listened_end){.gossip = g, .end = found[i]};
		end->topics = xcalloc(most, sizeof *end->topics);
		for (size_t k = 0; k < g->conf->topic_count; k++) {
			const struct far_end other = {&g->conf->topics[k], SESSION_SOURCE};

			if (other.topic->sampling.inspect != INSPECT_NONE && far_end_equal(&other, &found[i]))
				end->topics[end->topic_count++] = (struct listened){g, other.topic, NULL};
		}
	}
	free(found);
}

/* Nodes of such a topic keep what they know to themselves, which would look like silence here. */
static void
tell_of_quiet_topics(const struct conf *conf)
{
	const char *told = NULL;

	for (size_t i = 0; i < conf->topic_count; i++) {
		const struct conf_topic *t = &conf->topics[i];

		if (t->sampling.inspect == INSPECT_NONE || t->sampling.gossip ||
		    (told != NULL && strcmp(told, t->group) == 0))
			continue;
		told = t->group; /* its partitions follow */
		fprintf(stderr,
			"stream-replicator: topic \"%s\" is told of only with gossip = true or "
			"leader_election_name\n",
			told);
	}
}

static void
begin_listing(struct gossip *g)
{
	size_t widest = 0;

	for (size_t i = 0; i < g->end_count; i++)
		for (size_t k = 0; k < g->ends[i].topic_count; k++)
			if (table_width(g->ends[i].topics[k].topic->key) > widest)
				widest = table_width(g->ends[i].topics[k].topic->key);
	sample_columns(g->columns, widest);
	listing_init(&g->listing, stdout, g->command->json ? LISTING_LINES : LISTING_TABLE, g->columns,
		     SAMPLE_COLUMNS);
	g->listing.live = true;
}

static void
listen_until_stopped(struct gossip *g)
{
	static const struct timeval every = {0, TICK_MS * 1000};
	struct event *interrupt = evsignal_new(g->base, SIGINT, on_interrupt, g);
	struct event *terminate = evsignal_new(g->base, SIGTERM, on_interrupt, g);
	struct event *tick = event_new(g->base, -1, EV_PERSIST, on_tick, g);

	evsignal_add(interrupt, NULL);
	evsignal_add(terminate, NULL);
	event_add(tick, &every);
	event_base_dispatch(g->base);
	event_free(interrupt);
	event_free(terminate);
	event_free(tick);
	if (g->error.code == ERR_NONE && !listing_end(&g->listing, "nothing was said"))
		error_set(&g->error, ERR_IO, "not all could be written");
	if (g->senseless > 0)
		fprintf(stderr, "stream-replicator: %" PRIu64 " message%s made no sense\n", g->senseless,
			g->senseless == 1 ? "" : "s");
}

static void
close_all(struct gossip *g)
{
	for (size_t i = 0; i < g->end_count; i++) {
		for (size_t k = 0; k < g->ends[i].topic_count; k++)
			nats_unsubscribe(&g->ends[i].topics[k].sub);
		session_free(&g->ends[i].session);
		free(g->ends[i].topics);
	}
	free(g->ends);
}

static int
run(struct gossip *g)
{
	g->base = event_base_new();
	find_ends(g);
	begin_listing(g);
	tell_of_quiet_topics(g->conf);
	if (nats_library_start(&g->error) == 0 && open_all(g) == 0)
		listen_until_stopped(g);
	if (g->error.code != ERR_NONE)
		fprintf(stderr, "stream-replicator: %s\n", g->error.text);
	close_all(g);
	event_base_free(g->base);
	nats_library_stop();
	return g->error.code == ERR_NONE ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

int
admin_gossip(const struct command *c)
{
	struct conf *conf = load_conf(c->config);
	struct gossip g = {.command = c, .conf = conf};
	int rc = conf != NULL ? run(&g) : COMMAND_EXIT_CONFIG;

	conf_free(&conf);
	return rc;
}
