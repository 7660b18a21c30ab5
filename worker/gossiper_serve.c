/*
 * Answering those who join: an offer at once, which costs nothing, then a page of the table for each request.
 * A few snapshots at a time.
 *
 * Requests come from the network: they are counted and bounded, a page is made only while the connection has
 * room, one at a time with a pause, and answers go to inboxes alone: whoever may ask must not have us publish
 * wherever he likes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/gossiper_internal.h"

enum {
	WINDOW_MS = 1000,
	REQUESTS_A_WINDOW = 200,
	PAUSE_MS = 5,
	IDLE_MS = 5000, /* one that nobody asks on gives its place to the next */
	HEAD_BYTES = 6 * 1024,
	ROOM_MIN = 64 * 1024,
};
static const char start[] = "start";
static const char inbox_prefix[] = "_INBOX.";

static bool
acceptable(struct gossiper *g, const struct nats_message *m)
{
	if (m->reply != NULL && strncmp(m->reply, inbox_prefix, sizeof inbox_prefix - 1) == 0 &&
	    m->data_len <= GOSSIP_HEAD_MAX &&
	    gossip_budget_take(&g->request_budget, mono_now(), WINDOW_MS, REQUESTS_A_WINDOW))
		return true;
	g->figures.rejected++;
	return false;
}

/* What we know, as of now: before any row is read. */
static void
describe(const struct gossiper *g, bool with_note, struct gossip_page *page)
{
	memset(page, 0, sizeof *page);
	page->from.nonce = g->nonce;
	page->from.number = g->number;
	page->from.round = g->round;
	page->leader = g->leads;
	/* Who leads, or did, may have rows that wait for advisories: they are in no snapshot. */
	page->from.has_note = with_note && !g->has_led && g->has_adopted;
	if (page->from.has_note)
		page->from.note = g->adopted;
}

static void
answer(struct gossiper *g, const char *reply, const struct strbuf *text)
{
	struct error e = ERROR_INIT;

	if (nats_conn_publish(g->conn, reply, NULL, NULL, 0, text->data, text->len, &e) != 0)
		log_debug("gossip", "%s", e.text);
}

/* ---- offers ----------------------------------------------------------------------------------------- */

static bool
has_something(const struct gossiper *g)
{
	struct sampler_figures figures;

	sampler_figures(g->sampler, &figures);
	return g->leads || figures.tracked > 0;
}

void
gossiper_serve_request(void *arg, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct gossip_position who;
	struct gossip_page offer;

	if (m->data_len == 0) /* somebody tries whether he may: `check --connect` */
		return;
	if (!acceptable(g, m))
		return;
	if (gossip_position_read(m->data, m->data_len, &who, NULL) != 0) {
		g->figures.rejected++;
		return;
	}
	if (gossip_nonce_equal(&who.nonce, &g->nonce) || !has_something(g))
		return;
	describe(g, false, &offer);
	memcpy(offer.next, start, sizeof start);
	strbuf_reset(&g->text);
	gossip_page_write(&offer, &g->text);
	answer(g, m->reply, &g->text);
}

/* ---- pages ------------------------------------------------------------------------------------------ */

static void
arm(struct gossiper *g, int64_t ms)
{
	struct timeval tv = {0, (suseconds_t)(ms * 1000)};

	if (!event_pending(g->serve_timer, EV_TIMEOUT, NULL))
		event_add(g->serve_timer, &tv);
}

static void
end(struct gossip_snapshot *s)
{
	free(s->reply);
	memset(s, 0, sizeof *s);
}

static struct gossip_snapshot *
free_place(struct gossiper *g, struct mono now)
{
	for (size_t i = 0; i < GOSSIP_SNAPSHOTS; i++) {
		struct gossip_snapshot *s = &g->snapshots[i];

		if (s->token[0] != '\0' && s->reply == NULL &&
		    mono_reached(now, mono_add_ms(s->used, IDLE_MS)))
			end(s);
		if (s->token[0] == '\0')
			return s;
	}
	return NULL;
}

static struct gossip_snapshot *
snapshot_of(struct gossiper *g, const char *token, struct mono now)
{
	struct gossip_snapshot *s;

	if (strcmp(token, start) == 0) {
		s = free_place(g, now);
		if (s != NULL) {
			memcpy(s->token, start, sizeof start);
			s->first = true;
		}
		return s;
	}
	for (size_t i = 0; i < GOSSIP_SNAPSHOTS; i++) {
		s = &g->snapshots[i];
		if (!s->first && s->token[0] != '\0' && strcmp(s->token, token) == 0)
			return s;
	}
	return NULL;
}

void
gossiper_serve_page(void *arg, const struct nats_message *m)
{
	struct gossiper *g = arg;
	struct mono now = mono_now();
	const char *token = strrchr(m->subject, '.') + 1;
	struct gossip_snapshot *s;

	if (!acceptable(g, m))
		return;
	s = snapshot_of(g, token, now);
	/* Somebody else's, an old one, too many, or the same page twice. */
	if (s == NULL || s->reply != NULL)
		return;
	s->reply = xstrdup(m->reply);
	s->used = now;
	arm(g, 0);
}

static size_t
page_limit(struct gossiper *g)
{
	size_t limit = GOSSIP_PAGE_BYTES, room = nats_conn_room(g->conn);
	uint64_t max_payload = nats_conn_info(g->conn)->max_payload;

	if (room < limit)
		limit = room;
	if (max_payload > 0 && max_payload < limit)
		limit = (size_t)max_payload;
	return limit > 2 * HEAD_BYTES ? limit - HEAD_BYTES : limit / 2;
}

/* Rows up to that many bytes; true if there may be more. */
static bool
add_rows(struct gossiper *g, struct gossip_snapshot *s, size_t limit)
{
	struct proto_sample row;
	uint64_t cursor;

	for (unsigned n = 0; n < GOSSIP_PAGE_ROWS; n++) {
		size_t before = g->page.len;

		cursor = s->cursor;
		if (!sampler_next(g->sampler, &s->cursor, &row))
			return false;
		if (row.forgotten)
			continue;
		gossip_item_write(&row, &g->page);
		strbuf_adds(&g->page, "\n");
		if (g->page.len > limit && before > 0) {
			g->page.len = before;
			s->cursor = cursor;
			return true;
		}
		g->figures.sent++;
	}
	return true;
}

static void
serve(struct gossiper *g, struct gossip_snapshot *s)
{
	struct gossip_page head;
	bool more;

	describe(g, s->first, &head);
	strbuf_reset(&g->page);
	more = add_rows(g, s, page_limit(g));
	if (more)
		gossip_random_name(head.next);
	strbuf_reset(&g->text);
	gossip_page_write(&head, &g->text);
	strbuf_add(&g->text, g->page.data, g->page.len);
	answer(g, s->reply, &g->text);
	free(s->reply);
	s->reply = NULL;
	s->first = false;
	memcpy(s->token, head.next, sizeof s->token);
	if (!more)
		end(s);
}

/* The next one that waits, in turn. */
static struct gossip_snapshot *
next_waiting(struct gossiper *g)
{
	for (size_t i = 0; i < GOSSIP_SNAPSHOTS; i++) {
		size_t at = (g->serve_next + i) % GOSSIP_SNAPSHOTS;

		if (g->snapshots[at].reply == NULL)
			continue;
		g->serve_next = at + 1;
		return &g->snapshots[at];
	}
	return NULL;
}

static void
on_serve(evutil_socket_t fd, short what, void *arg)
{
	struct gossiper *g = arg;
	struct gossip_snapshot *s = next_waiting(g);

	(void)fd;
	(void)what;
	if (s == NULL || !g->up || !nats_conn_is_up(g->conn))
		return;
	if (nats_conn_room(g->conn) >= ROOM_MIN)
		serve(g, s);
	arm(g, PAUSE_MS);
}

/* ---- life ------------------------------------------------------------------------------------------- */

void
gossiper_serve_init(struct gossiper *g)
{
	strbuf_init(&g->page);
	g->serve_timer = event_new(g->base, -1, 0, on_serve, g);
}

void
gossiper_serve_stop(struct gossiper *g)
{
	event_del(g->serve_timer);
	for (size_t i = 0; i < GOSSIP_SNAPSHOTS; i++)
		end(&g->snapshots[i]);
}

void
gossiper_serve_fini(struct gossiper *g)
{
	gossiper_serve_stop(g);
	event_free(g->serve_timer);
	strbuf_fini(&g->page);
}
