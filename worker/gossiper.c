/*
 * The gossiper: its life, its subscriptions, and what it hears; in a replicating worker, on the source
 * connection's loop. Sending, asking and answering have files of their own.
 *
 * Faults: nothing is kept over a lost connection. What was not sent shows to peers as numbers that are
 * missing, what was not heard shows to us so, and a snapshot makes up for it. All that comes in is checked
 * and bounded: the length before it is read, so many items and requests a second, the rest is dropped unread
 * and counted. A position is adopted only while one leader speaks, and never while we lead ourselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/gossiper_internal.h"
#include "worker/inspect.h"

enum {
	WATCH_MS = 500,
	ITEM_WINDOW_MS = 100,
	ITEMS_A_WINDOW = 5000,
	HEAD_WINDOW_MS = 1000,
	HEADS_A_WINDOW = 50,   /* positions */
	RECONNECTED_MS = 2500, /* in which a leader's position tells whether we missed something */
	FOLLOW_MS = 3000,      /* in which the next leader's first position should come */
	MUTE_MS = 60000,
};

bool
gossip_budget_take(struct gossip_budget *b, struct mono now, int64_t window_ms, uint32_t max)
{
	if (mono_reached(now, mono_add_ms(b->since, window_ms)))
		*b = (struct gossip_budget){now, 0};
	if (b->used >= max)
		return false;
	b->used++;
	return true;
}

void
gossip_random_name(char out[GOSSIP_NONCE_MAX + 1])
{
	uint64_t random[2];

	/* Cannot fail for so few bytes, once the machine has started. */
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		random[0] = random[1] = (uint64_t)mono_now().ns;
	snprintf(out, GOSSIP_NONCE_MAX + 1, "%016llx%016llx", (unsigned long long)random[0],
		 (unsigned long long)random[1]);
}

/* ---- adopting --------------------------------------------------------------------------------------- */

static bool
same_streams(const struct sample_note *a, const struct sample_note *b)
{
	return a->source_created_ns == b->source_created_ns && a->target_created_ns == b->target_created_ns;
}

static bool
newer(const struct sample_note *have, const struct sample_note *note)
{
	if (!same_streams(have, note))
		return note->heard_ms > have->heard_ms;
	if (note->target_seq != have->target_seq)
		return note->target_seq > have->target_seq;
	if (note->source_seq != have->source_seq)
		return note->source_seq > have->source_seq;
	return note->heard_ms > have->heard_ms;
}

static bool
sane(const struct sample_note *note, int64_t now_ms)
{
	int64_t end = 0;

	if (note->source_created_ns <= 0 || note->target_created_ns <= 0 || note->heard_ms < 0 ||
	    note->heard_ms > now_ms + GOSSIP_FUTURE_MS || note->gap_count > LISTENING_GAPS)
		return false;
	for (size_t i = 0; i < note->gap_count; i++) {
		if (note->gaps[i].from_ms < end || note->gaps[i].to_ms < note->gaps[i].from_ms)
			return false;
		end = note->gaps[i].to_ms;
	}
	return end <= note->heard_ms;
}

/* Another machine's clock may be ahead a little; nobody has listened in our future. */
static void
bound_by_now(struct sample_note *note, int64_t now_ms)
{
	if (note->heard_ms > now_ms)
		note->heard_ms = now_ms;
	while (note->gap_count > 0 && note->gaps[note->gap_count - 1].from_ms >= note->heard_ms)
		note->gap_count--;
	if (note->gap_count > 0 && note->gaps[note->gap_count - 1].to_ms > note->heard_ms)
		note->gaps[note->gap_count - 1].to_ms = note->heard_ms;
}

void
gossiper_adopt(struct gossiper *g, const struct sample_note *said)
{
	struct sample_note note = *said;
	int64_t now_ms = wall_ms();

	if (g->leads)
		return;
	if (!sane(&note, now_ms)) {
		g->figures.rejected++;
		return;
	}
	if (note.inspector != 0 && note.inspector != g->inspector)
		return;
	bound_by_now(&note, now_ms);
	if (note.heard_ms >= sampler_listening(g->sampler)->heard_ms)
		sampler_adopt(g->sampler, &note);
	if (g->has_adopted && !newer(&g->adopted, &note))
		return;
	g->adopted = note;
	g->has_adopted = true;
}

void
gossiper_adopt_reached(struct gossiper *g)
{
	struct sample_note note;

	while (gossip_peers_take(&g->peers, mono_now(), &note))
		gossiper_adopt(g, &note);
}

bool
gossiper_position(const struct gossiper *g, struct sample_note *note)
{
	if (g->has_adopted)
		*note = g->adopted;
	return g->has_adopted;
}

/* ---- hearing ---------------------------------------------------------------------------------------- */

void
gossiper_take_item(struct gossiper *g, const char *text, size_t len, int64_t now_ms)
{
	struct sample_value value;
	struct proto_sample row;

	if (gossip_item_read(text, len, &row, &value, NULL) == 0 && sampler_merge(g->sampler, &row, now_ms))
		g->figures.received++;
	else
		g->figures.rejected++;
}

static void
on_item(void *arg, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct mono now = mono_now();
	struct gossip_nonce nonce;
	uint64_t number;
	enum gossip_numbered numbered;

	if (m->data_len == 0) /* somebody tries whether he may: `check --connect` */
		return;
	/* What is dropped here is missing from its sender's numbers. */
	if (!gossip_budget_take(&g->item_budget, now, ITEM_WINDOW_MS, ITEMS_A_WINDOW) ||
	    m->data_len > GOSSIP_ITEM_MAX || m->headers_len > GOSSIP_ITEM_MAX) {
		g->figures.rejected++;
		return;
	}
	numbered = gossip_number_read(m->headers, m->headers_len, &nonce, &number);
	if (numbered == GOSSIP_NUMBERED && gossip_nonce_equal(&nonce, &g->nonce))
		return;
	if (numbered == GOSSIP_NUMBER_ODD) {
		g->figures.rejected++;
		return;
	}
	gossiper_take_item(g, m->data, m->data_len, wall_ms());
	if (numbered != GOSSIP_NUMBERED)
		return;
	gossip_peers_item(&g->peers, &nonce, number, now);
	gossiper_adopt_reached(g);
}

static void
on_position(void *arg, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct mono now = mono_now();
	struct gossip_position position;

	if (m->data_len == 0) /* as above */
		return;
	if (!gossip_budget_take(&g->position_budget, now, HEAD_WINDOW_MS, HEADS_A_WINDOW) ||
	    gossip_position_read(m->data, m->data_len, &position, NULL) != 0) {
		g->figures.rejected++;
		return;
	}
	if (gossip_nonce_equal(&position.nonce, &g->nonce))
		return;
	if (position.note_refused)
		g->figures.rejected++;
	gossip_peers_position(&g->peers, &position, now);
	gossiper_adopt_reached(g);
	gossiper_join_look(g);
}

/* ---- connection ------------------------------------------------------------------------------------- */

static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct gossiper *g = arg;

	(void)fd;
	(void)what;
	gossiper_join_look(g);
}

static void
unsubscribe_all(struct gossiper *g)
{
	nats_unsubscribe(&g->items);
	nats_unsubscribe(&g->positions);
	nats_unsubscribe(&g->requests);
	nats_unsubscribe(&g->page_requests);
}

static struct nats_sub *
subscribe(struct gossiper *g, const char *subject, nats_message_fn *fn)
{
	struct error e = ERROR_INIT;
	struct nats_sub *s = nats_conn_subscribe(g->conn, subject, fn, g, &e);

	if (s == NULL)
		log_warn("gossip", "%s", e.text);
	return s;
}

static void
subscribe_all(struct gossiper *g)
{
	struct strbuf pages;

	strbuf_init(&pages);
	strbuf_addf(&pages, "%s.%s.*", g->snapshot_subject, g->nonce.text);
	g->items = subscribe(g, g->subject, on_item);
	g->positions = subscribe(g, g->position_subject, on_position);
	g->requests = subscribe(g, g->snapshot_subject, gossiper_serve_request);
	g->page_requests = subscribe(g, pages.data, gossiper_serve_page);
	strbuf_fini(&pages);
}

void
gossiper_up(struct gossiper *g)
{
	static const struct timeval each = {WATCH_MS / 1000, WATCH_MS % 1000 * 1000};

	gossiper_down(g);
	g->up = true;
	subscribe_all(g);
	event_add(g->watch, &each);
	if (!g->join.asked_ever)
		gossiper_join_want(g, 0);
	else if (!g->leads)
		gossiper_join_want(g, RECONNECTED_MS);
	gossiper_join_look(g);
	if (g->leads)
		gossiper_send_start(g);
}

void
gossiper_down(struct gossiper *g)
{
	g->up = false;
	event_del(g->watch);
	gossiper_send_stop(g);
	gossiper_join_stop(g);
	gossiper_serve_stop(g);
	unsubscribe_all(g);
}

void
gossiper_async_error(struct gossiper *g, const char *text)
{
	bool send = strstr(text, "Publish") != NULL || strstr(text, "publish") != NULL;

	if (strstr(text, g->subject) == NULL)
		return;
	if (send) {
		g->muted = true;
		g->muted_until = mono_add_ms(mono_now(), MUTE_MS);
	}
	if (send ? g->warned_send : g->warned_hear)
		return;
	*(send ? &g->warned_send : &g->warned_hear) = true;
	log_warn(
	    "gossip",
	    "the source refuses it: %.300s; allow its user to publish and subscribe to \"%s\" and \"%s.>\"",
	    text, g->subject, g->subject);
}

/* ---- life ------------------------------------------------------------------------------------------- */

static char *
subject_of(const struct conf_topic *topic, const char *suffix)
{
	struct strbuf b;

	strbuf_init(&b);
	gossip_subject(topic->stream, topic->key, suffix, &b);
	return strbuf_take(&b);
}

struct gossiper *
gossiper_new(struct event_base *base, struct nats_conn *source, const struct conf_topic *topic,
	     struct sampler *sampler)
{
	struct gossiper *g = xcalloc(1, sizeof *g);

	g->base = base;
	g->conn = source;
	g->topic = topic;
	g->sampler = sampler;
	g->inspector = inspect_identity(&topic->sampling);
	g->subject = subject_of(topic, "");
	g->position_subject = subject_of(topic, ".position");
	g->snapshot_subject = subject_of(topic, ".snapshot");
	gossip_random_name(g->nonce.text);
	gossip_peers_init(&g->peers);
	g->watch = event_new(base, -1, EV_PERSIST, on_watch, g);
	gossiper_send_init(g);
	gossiper_join_init(g);
	gossiper_serve_init(g);
	return g;
}

void
gossiper_free(struct gossiper **gp)
{
	struct gossiper *g = *gp;

	*gp = NULL;
	if (g == NULL)
		return;
	gossiper_down(g);
	event_free(g->watch);
	gossiper_send_fini(g);
	gossiper_join_fini(g);
	gossiper_serve_fini(g);
	free(g->subject);
	free(g->position_subject);
	free(g->snapshot_subject);
	free(g);
}

void
gossiper_lead(struct gossiper *g, int64_t source_created_ns, int64_t target_created_ns)
{
	g->source_created_ns = source_created_ns;
	g->target_created_ns = target_created_ns;
	g->has_adopted = false;
	if (g->leads)
		return;
	g->leads = g->has_led = true;
	g->has_sent_note = false;
	if (g->up)
		gossiper_send_start(g);
}

void
gossiper_follow(struct gossiper *g)
{
	if (!g->leads)
		return;
	g->leads = false;
	gossiper_send_stop(g);
	/* What we told is in our own table. */
	g->has_adopted = g->has_sent_note;
	g->adopted = g->sent_note;
	if (g->up)
		gossiper_join_want(g, FOLLOW_MS);
}

void
gossiper_figures(const struct gossiper *g, struct gossiper_figures *out)
{
	*out = g->figures;
	out->in_step = g->leads || (g->up && gossip_peers_in_step(&g->peers, mono_now()));
}
