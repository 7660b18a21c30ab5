/*
 * The bucket of the simulation and the network to it. Each server lets keys expire by its own clock; writes
 * may be applied long after they were asked for, and replies may be lost, late or doubled.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "tests/unit/election_sim.h"

static int64_t
usual_delay(struct es *es)
{
	return 1 + es_below(es, 4) + (es_chance(es, 20) ? es_below(es, 60) : 0);
}

/* Still in time for whoever waits for it, too late for that, or beyond the TTL. */
static int64_t
long_delay(struct es *es)
{
	uint32_t ttl = (uint32_t)es->bucket.ttl_ms, pick = es_below(es, 10);

	return ttl / 10 + es_below(es, pick < 5 ? ttl / 6 : pick < 8 ? ttl / 2 : ttl * 3 / 2);
}

bool
es_bucket_is_cut(const struct es_node *n)
{
	return es_now(n->es) < n->cut_bucket_until_ms;
}

static struct es_message *
add_message(struct es *es, int kind, const struct es_node *n, int64_t delay_ms)
{
	struct es_message *m;

	if (es->message_count == es->message_cap) {
		es->message_cap = es->message_cap * 2 + 64;
		es->messages = xrealloc(es->messages, es->message_cap * sizeof *es->messages);
	}
	m = &es->messages[es->message_count++];
	memset(m, 0, sizeof *m);
	m->kind = kind;
	m->node = n->index;
	m->incarnation = n->elector.incarnation;
	m->at_ms = es_now(es) + delay_ms;
	return m;
}

/* ---- the servers ------------------------------------------------------------------------------------ */

static int64_t
server_clock(const struct es *es)
{
	return es_now(es) + es->bucket.skew_ms[es->bucket.leader];
}

static void
watch_event(struct es_node *n, int key)
{
	struct es *es = n->es;
	struct es_message *m;

	if (!n->up || !n->elector.up || !n->elector.watches || (es_bucket_is_cut(n) && n->cut_loses))
		return;
	m = add_message(es, ES_WATCH, n, usual_delay(es));
	m->watch = n->elector.watch;
	m->key = key;
	m->entry = es->bucket.keys[key].entry;
	if (m->at_ms <= n->elector.watch_at_ms)
		m->at_ms = n->elector.watch_at_ms + 1;
	n->elector.watch_at_ms = m->at_ms;
}

static uint64_t
store(struct es *es, int key, struct es_entry entry)
{
	struct es_bucket *b = &es->bucket;

	b->last += 1 + es_below(es, 3);
	entry.revision = b->last;
	b->keys[key].entry = entry;
	b->keys[key].stored_ms = server_clock(es);
	for (int i = 0; i < es->node_count; i++)
		watch_event(&es->nodes[i], key);
	return b->last;
}

void
es_bucket_init(struct es *es)
{
	static const int64_t ttls[] = {1000, 2000, 5000, 10000};
	struct es_bucket *b = &es->bucket;
	int64_t most;

	b->id = 1;
	b->exists = true;
	b->ttl_ms = ttls[es_below(es, 4)];
	b->expiry_markers = es_chance(es, 500);
	/* Any two differ by less than the margin, also if the TTL is cut. */
	most = lease_margin_ms(es->operates ? LEASE_TTL_MIN_MS : b->ttl_ms) * 9 / 10;
	for (int i = 0; i < ES_SERVERS; i++)
		b->skew_ms[i] = es_below(es, (uint32_t)most);
}

static void
expire(struct es *es, int key)
{
	struct es_entry *entry = &es->bucket.keys[key].entry;
	int64_t age_ms = server_clock(es) - es->bucket.keys[key].stored_ms;

	if (entry->revision == 0 || age_ms < es->bucket.ttl_ms || es_chance(es, 700))
		return;
	es_trace(es, "bucket: key %d revision %llu expires", key, (unsigned long long)entry->revision);
	if (es->bucket.expiry_markers && !entry->marker)
		store(es, key, (struct es_entry){.marker = true});
	else
		*entry = (struct es_entry){0};
}

void
es_bucket_step(struct es *es)
{
	struct es_bucket *b = &es->bucket;

	if (!b->exists && es_now(es) >= b->back_at_ms) {
		b->exists = true;
		b->id++;
	}
	if (!b->exists || es_now(es) < b->leaderless_until_ms)
		return;
	for (int key = 0; key < es->key_count; key++)
		expire(es, key);
}

void
es_exempt(struct es *es)
{
	int64_t until_ms = es_now(es) + es->bucket.ttl_ms;

	if (until_ms > es->exempt_until_ms)
		es->exempt_until_ms = until_ms;
}

void
es_delete_key(struct es *es, int key)
{
	store(es, key, (struct es_entry){.marker = true});
}

void
es_delete_bucket(struct es *es)
{
	struct es_bucket *b = &es->bucket;

	b->exists = false;
	b->back_at_ms = es_now(es) + 50 + es_below(es, (uint32_t)b->ttl_ms);
	b->last = es_below(es, 3);
	memset(b->keys, 0, sizeof b->keys);
	for (int i = 0; i < es->node_count; i++)
		es_elector_forget(&es->nodes[i]);
}

/* ---- requests --------------------------------------------------------------------------------------- */

static void
reply(struct es *es, const struct es_message *request, enum lease_answer answer, uint64_t revision)
{
	struct es_node *n = &es->nodes[request->node];
	struct es_message *m;
	int64_t delay = usual_delay(es);
	int times = 1;

	if (es->bucket.lose_replies > 0) {
		es->bucket.lose_replies--;
		return;
	}
	if (es->bucket.late_replies > 0) {
		es->bucket.late_replies--;
		delay = long_delay(es);
	}
	if (es->bucket.double_replies > 0) {
		es->bucket.double_replies--;
		times = 2;
	}
	for (; times > 0; times--, delay += es_below(es, 3000)) {
		m = add_message(es, ES_REPLY, n, delay);
		m->incarnation = request->incarnation;
		m->key = request->key;
		m->op = request->op;
		m->answer = answer;
		m->entry = es->bucket.keys[request->key].entry;
		if (request->op.kind != LEASE_READ)
			m->entry.revision = revision;
	}
}

static void
take_write(struct es *es, const struct es_message *request)
{
	const struct es_entry *entry = &es->bucket.keys[request->key].entry;
	bool deletes = request->op.kind == LEASE_DELETE;
	uint64_t revision;

	if (request->op.revision != entry->revision) {
		reply(es, request, LEASE_CONFLICT, 0);
		return;
	}
	/* Meant for the bucket before, in which that revision was another one: nothing tells them apart. */
	if (request->bucket != es->bucket.id)
		es_exempt(es);
	else if (deletes && entry->nonce != request->nonce)
		es_fail(es, "node %d deletes what is not its own", request->node);
	revision = store(es, request->key,
			 (struct es_entry){.marker = deletes,
					   .nonce = deletes ? 0 : request->nonce,
					   .why = deletes ? request->op.why : LEASE_WHY_UNKNOWN});
	es_trace(es, "bucket: key %d: write of node %d (kind %d, expecting %llu) is revision %llu",
		 request->key, request->node, (int)request->op.kind, (unsigned long long)request->op.revision,
		 (unsigned long long)revision);
	reply(es, request, LEASE_APPLIED, revision);
}

/* Without a leader: lost, refused in words that leave it open, or kept until there is one. */
static void
take_leaderless(struct es *es, const struct es_message *request)
{
	uint32_t pick = es_below(es, 3);
	struct es_message *m;

	if (pick == 0)
		reply(es, request, LEASE_UNKNOWN, 0);
	if (pick != 1)
		return;
	m = add_message(es, ES_REQUEST, &es->nodes[request->node],
			es->bucket.leaderless_until_ms - es_now(es) + es_below(es, 50));
	m->incarnation = request->incarnation;
	m->key = request->key;
	m->op = request->op;
	m->nonce = request->nonce;
	m->bucket = request->bucket;
}

static void
take_request(struct es *es, const struct es_message *request)
{
	if (!es->bucket.exists)
		reply(es, request, LEASE_REFUSED, 0);
	else if (es_now(es) < es->bucket.leaderless_until_ms)
		take_leaderless(es, request);
	else if (request->op.kind == LEASE_READ)
		reply(es, request, LEASE_APPLIED, 0);
	else
		take_write(es, request);
}

void
es_request(struct es_node *n, int key, const struct lease_output *op)
{
	struct es *es = n->es;
	int64_t delay = usual_delay(es);
	struct es_message *m;

	if (es->bucket.lose_requests > 0) {
		es->bucket.lose_requests--;
		return;
	}
	if (es->bucket.late_requests > 0) {
		es->bucket.late_requests--;
		delay = long_delay(es);
	}
	if (es_bucket_is_cut(n)) {
		if (n->cut_loses)
			return;
		delay += n->cut_bucket_until_ms - es_now(es);
	}
	m = add_message(es, ES_REQUEST, n, delay);
	m->key = key;
	m->op = *op;
	m->nonce = n->nonce;
	m->bucket = n->elector.bucket;
}

/* ---- what comes without a request ------------------------------------------------------------------- */

void
es_watch(struct es_node *n)
{
	n->elector.watches = true;
	n->elector.watch++;
	for (int key = 0; key < n->es->key_count; key++)
		watch_event(n, key);
}

void
es_announce(struct es_node *n, bool gone)
{
	struct es *es = n->es;
	struct strbuf text;

	if (es_bucket_is_cut(n))
		return;
	strbuf_init(&text);
	presence_write(n->elector.presence, gone, &text);
	for (int i = 0; i < es->node_count; i++) {
		struct es_node *other = &es->nodes[i];

		if (i == n->index || !other->up || !other->elector.up || es_bucket_is_cut(other) ||
		    (!es->quiet && es_chance(es, 50)))
			continue;
		add_message(es, ES_ANNOUNCEMENT, other, usual_delay(es))->text = xstrdup(text.data);
	}
	strbuf_fini(&text);
}

/* ---- delivery --------------------------------------------------------------------------------------- */

/* true: it is dealt with. */
static bool
deliver(struct es *es, struct es_message *m)
{
	struct es_node *n = &es->nodes[m->node];

	if (m->kind == ES_REQUEST) {
		take_request(es, m);
		return true;
	}
	if (!n->up || !n->elector.up || n->elector.incarnation != m->incarnation)
		return true;
	if (es_bucket_is_cut(n) && n->cut_loses)
		return true;
	return !es_bucket_is_cut(n) && es_elector_message(n, m);
}

void
es_deliver_messages(struct es *es)
{
	for (size_t i = 0; i < es->message_count; i++) {
		struct es_message m = es->messages[i];

		if (m.at_ms > es_now(es))
			continue;
		/* What it causes is appended meanwhile. */
		if (!deliver(es, &m))
			continue;
		free(m.text);
		es->messages[i--] = es->messages[--es->message_count];
	}
}

void
es_forget_messages(struct es *es)
{
	for (size_t i = 0; i < es->message_count; i++)
		free(es->messages[i].text);
	free(es->messages);
}
