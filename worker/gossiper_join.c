/*
 * Asking for all that others know: when the gossiper joins, and when it missed something. Whoever has a table
 * answers with an offer; the leader's is taken if it comes within a moment, else the first. Then page after
 * page is asked for, and read a few items a turn.
 *
 * What an answer may name is a token, never a subject, so that nobody makes us publish elsewhere. An answer
 * that makes no sense, or none, ends it; what came until then is merged and stays. It is tried again where a
 * leader's positions show that something is missing, less and less often while that brings nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/log.h"
#include "worker/gossiper_internal.h"

enum {
	OFFERS_MS = 1000,
	LEADER_MS = 250, /* by which the leader's offer may be later than another one */
	PAGE_MS = 5000,
	WHOLE_MS = 300000, /* of all pages; a million values take half a minute */
	ITEMS_A_TURN = 250,
	AGAIN_MS = 10000,      /* between two snapshots at least */
	AGAIN_MAX_MS = 300000, /* while they bring nothing */
	NOBODY_MS = 1000,      /* after nobody answered */
	ROWS_SLACK = 10000,
};

static void
arm(struct gossiper *g, int64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	event_add(g->join.timer, &tv);
}

void
gossiper_join_stop(struct gossiper *g)
{
	struct gossip_join *j = &g->join;

	event_del(j->timer);
	nats_unsubscribe(&j->offers);
	if (j->request != NULL)
		nats_request_cancel(&j->request);
	nats_held_free(&j->held);
	j->phase = JOIN_IDLE;
}

static void
give_up(struct gossiper *g, const char *why)
{
	log_debug("gossip", "snapshot: %s", why);
	gossiper_join_stop(g);
}

/* ---- pages ------------------------------------------------------------------------------------------ */

static nats_reply_fn on_page;

static void
ask_page(struct gossiper *g, const char *token)
{
	struct gossip_join *j = &g->join;
	struct error e = ERROR_INIT;
	struct strbuf subject;

	strbuf_init(&subject);
	strbuf_addf(&subject, "%s.%s.%s", g->snapshot_subject, j->page.from.nonce.text, token);
	j->request = nats_conn_request(g->conn, subject.data, NULL, 0, "", 0, PAGE_MS, on_page, g, &e);
	strbuf_fini(&subject);
	if (j->request == NULL) {
		give_up(g, e.text);
		return;
	}
	j->phase = JOIN_PAGE;
}

/* All pages have come. */
static void
finish(struct gossiper *g)
{
	struct gossip_join *j = &g->join;
	const struct gossip_position *from = &j->from.from;
	struct mono now = mono_now();

	log_info("gossip", "took a snapshot of %llu values from another node%s", (unsigned long long)j->rows,
		 j->from.leader ? " that leads" : "");
	g->figures.taken++;
	gossiper_join_stop(g);
	if (j->from.leader)
		gossip_peers_snapshot(&g->peers, from, now);
	else if (from->has_note && gossip_peers_alone(&g->peers, &from->nonce, now))
		gossiper_adopt(g, &from->note);
	gossiper_adopt_reached(g);
}

static void
page_is_read(struct gossiper *g)
{
	struct gossip_join *j = &g->join;
	char next[sizeof j->page.next];

	nats_held_free(&j->held);
	memcpy(next, j->page.next, sizeof next);
	if (next[0] == '\0')
		finish(g);
	else if (j->page_rows == 0)
		give_up(g, "a page without values");
	else if (j->rows > (uint64_t)g->topic->sampling.max_values + ROWS_SLACK)
		give_up(g, "more values than inspect_max_values");
	else if (mono_ms_between(j->asked_at, mono_now()) > WHOLE_MS)
		give_up(g, "it does not end");
	else
		ask_page(g, next);
}

/* A few items of the page. */
static void
read_items(struct gossiper *g)
{
	struct gossip_join *j = &g->join;
	const struct nats_message *m = nats_held_message(j->held);
	int64_t now_ms = wall_ms();

	for (unsigned i = 0; i < ITEMS_A_TURN && j->offset < m->data_len; i++) {
		const char *line = m->data + j->offset;
		size_t left = m->data_len - j->offset;
		const char *end = memchr(line, '\n', left);
		size_t len = end != NULL ? (size_t)(end - line) : left;

		gossiper_take_item(g, line, len, now_ms);
		j->offset += len + 1;
		j->page_rows++;
		j->rows++;
	}
	if (j->offset < m->data_len)
		arm(g, 0);
	else
		page_is_read(g);
}

static int
read_head(struct gossiper *g, const struct nats_message *m, struct error *e)
{
	struct gossip_join *j = &g->join;
	struct gossip_page page;

	if (m->data_len > GOSSIP_PAGE_READ)
		return error_set(e, ERR_PROTOCOL, "page: too long, %zu bytes", m->data_len);
	if (gossip_page_read(m->data, m->data_len, &page, &j->offset, e) != 0)
		return -1;
	if (!gossip_nonce_equal(&page.from.nonce, &j->page.from.nonce))
		return error_set(e, ERR_PROTOCOL, "page: of another node");
	j->page = page;
	if (!j->has_from)
		j->from = page;
	j->has_from = true;
	return 0;
}

static void
on_page(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct gossip_join *j = &g->join;
	struct error e = ERROR_INIT;

	j->request = NULL;
	if (result != NATS_REPLY) {
		give_up(g, "no answer");
		return;
	}
	if (read_head(g, m, &e) != 0) {
		g->figures.rejected++;
		give_up(g, e.text);
		return;
	}
	j->held = nats_message_hold(m);
	j->phase = JOIN_ITEMS;
	j->page_rows = 0;
	arm(g, 0);
}

/* ---- offers ----------------------------------------------------------------------------------------- */

static void
take_offer(struct gossiper *g)
{
	struct gossip_join *j = &g->join;
	char next[sizeof j->page.next];

	event_del(j->timer);
	nats_unsubscribe(&j->offers);
	memcpy(next, j->page.next, sizeof next);
	if (next[0] == '\0')
		give_up(g, "an offer of nothing");
	else
		ask_page(g, next);
}

static void
consider_offer(struct gossiper *g, const struct gossip_page *offer)
{
	struct gossip_join *j = &g->join;

	if (gossip_nonce_equal(&offer->from.nonce, &g->nonce))
		return;
	if (!j->has_offer || offer->leader)
		j->page = *offer;
	if (offer->leader) {
		take_offer(g);
		return;
	}
	if (!j->has_offer)
		arm(g, LEADER_MS);
	j->has_offer = true;
}

static void
on_offer(void *arg, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct gossip_page offer;
	size_t used;

	if (m->headers != NULL && header_inline_status(m->headers, m->headers_len, NULL, NULL) == 503) {
		give_up(g, "nobody answers");
		return;
	}
	if (m->data_len > GOSSIP_HEAD_MAX || gossip_page_read(m->data, m->data_len, &offer, &used, NULL) != 0)
		g->figures.rejected++;
	else
		consider_offer(g, &offer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct gossiper *g = arg;

	(void)fd;
	(void)what;
	if (g->join.phase == JOIN_ITEMS)
		read_items(g);
	else if (g->join.phase == JOIN_OFFERS && g->join.has_offer)
		take_offer(g);
	else
		give_up(g, "nobody answers");
}

/* ---- asking ----------------------------------------------------------------------------------------- */

static int
publish_question(struct gossiper *g, struct error *e)
{
	struct gossip_position who = {.nonce = g->nonce, .number = g->number};
	char inbox[128];

	nats_conn_new_inbox(g->conn, inbox, sizeof inbox);
	g->join.offers = nats_conn_subscribe(g->conn, inbox, on_offer, g, e);
	if (g->join.offers == NULL)
		return -1;
	strbuf_reset(&g->text);
	gossip_position_write(&who, &g->text);
	return nats_conn_publish(g->conn, g->snapshot_subject, inbox, NULL, 0, g->text.data, g->text.len, e);
}

static void
ask(struct gossiper *g, struct mono now)
{
	struct gossip_join *j = &g->join;
	struct error e = ERROR_INIT;

	/* The last one was taken, and we are not in step. */
	if (j->has_from)
		j->wait_ms = j->wait_ms * 2 < AGAIN_MAX_MS ? j->wait_ms * 2 : AGAIN_MAX_MS;
	j->wanted = j->has_offer = j->has_from = false;
	j->rows = 0;
	j->asked_ever = true;
	j->asked_at = now;
	g->figures.asked++;
	if (publish_question(g, &e) != 0) {
		give_up(g, e.text);
		return;
	}
	j->phase = JOIN_OFFERS;
	arm(g, OFFERS_MS);
}

void
gossiper_join_want(struct gossiper *g, int64_t in_ms)
{
	g->join.wanted = true;
	g->join.due = mono_add_ms(mono_now(), in_ms);
}

void
gossiper_join_look(struct gossiper *g)
{
	struct gossip_join *j = &g->join;
	struct mono now = mono_now();
	bool missed = gossip_peers_missed(&g->peers, now);
	int64_t wait_ms = j->has_from ? j->wait_ms : NOBODY_MS;

	if (!g->up || j->phase != JOIN_IDLE)
		return;
	if (gossip_peers_in_step(&g->peers, now)) {
		j->wait_ms = AGAIN_MS;
		if (j->asked_ever)
			j->wanted = false;
	}
	if (j->wanted && mono_reached(now, j->due))
		ask(g, now);
	else if (missed && !g->leads && j->asked_ever && mono_reached(now, mono_add_ms(j->asked_at, wait_ms)))
		ask(g, now);
}

void
gossiper_join_init(struct gossiper *g)
{
	g->join.timer = event_new(g->base, -1, 0, on_timer, g);
	g->join.wait_ms = AGAIN_MS;
}

void
gossiper_join_fini(struct gossiper *g)
{
	gossiper_join_stop(g);
	event_free(g->join.timer);
}
