/*
 * The elector of the simulation: carries out what the leases ask for, as elector.c does, and balances. It may
 * be stopped between any two steps, and finds then what came meanwhile in any order with its timers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/election_sim.h"

enum { SHARE_RESERVE_MS = 150, DRAIN_MS = 5000 };

static const char *const keys[ES_KEYS] = {"a", "b", "c"};

static struct mono
mono_of(const struct es *es)
{
	return sim_now(&es->world);
}

static int64_t
ms_of(struct mono t)
{
	return t.ns / 1000000;
}

bool
es_elector_acts(const struct es_node *n)
{
	return n->up && n->elector.up && es_now(n->es) >= n->elector.stopped_until_ms;
}

bool
es_elector_leads(const struct es_node *n, int key)
{
	struct lease_view view;

	if (!n->up || !n->elector.up)
		return false;
	lease_view(n->elector.names[key].lease, mono_of(n->es), &view);
	return view.leads;
}

/* ---- what a lease must keep to ---------------------------------------------------------------------- */

static void
check_operation(struct es_node *n, int key, enum lease_output_kind kind)
{
	const struct es_name *name = &n->elector.names[key];

	if (kind != LEASE_READ && name->in_doubt)
		es_fail(n->es, "node %d writes key %d and does not know what became of its last write",
			n->index, key);
	if (name->leads && es_now(n->es) >= name->end_ms)
		es_fail(n->es, "node %d: the lease of key %d has ended, and it does something else first",
			n->index, key);
}

static void
check_end(struct es_node *n, int key)
{
	const struct es_name *name = &n->elector.names[key];

	if (name->leads && es_now(n->es) >= name->end_ms)
		es_fail(n->es, "node %d: the lease of key %d has ended, and it does not say so", n->index,
			key);
}

static void
note_answer(struct es_name *name, const struct es_message *m)
{
	if (m->op.kind == LEASE_READ)
		name->in_doubt &= m->answer != LEASE_APPLIED;
	else if (name->op != name->lost_op)
		name->in_doubt = m->answer == LEASE_CONFLICT || m->answer == LEASE_UNKNOWN;
}

/* ---- carrying out ----------------------------------------------------------------------------------- */

static void
set_own(struct es_node *n, int key)
{
	struct es_name *name = &n->elector.names[key];

	if (presence_set_own(n->elector.presence, keys[key], name->leads, !n->elector.draining, name->won_at,
			     name->moved))
		n->elector.announce_at_ms = es_now(n->es) + 10;
}

static void
tell(struct es_node *n, int key, int kind, const struct lease_output *out)
{
	if (key == 0)
		es_push(n->es, &n->elector_out,
			(struct es_frame){.kind = kind, .term = out->term, .end_ms = ms_of(out->end)});
	else if (kind == ES_YIELD) /* this name has no workers */
		n->elector.names[key].release_at_ms = es_now(n->es) + es_below(n->es, 20);
}

static void
won(struct es_node *n, int key, const struct lease_output *out)
{
	struct es_name *name = &n->elector.names[key];

	es_trace(n->es, "node %d: won key %d, term %llu, end %lld", n->index, key,
		 (unsigned long long)out->term, (long long)ms_of(out->end));
	if (ms_of(out->end) <= es_now(n->es))
		es_fail(n->es, "node %d wins what has ended", n->index);
	name->leads = true;
	name->end_ms = ms_of(out->end);
	name->term = out->term;
	name->moved = out->moved;
	name->won_at = mono_of(n->es);
	n->es->terms++;
	n->es->moves += out->moved;
	tell(n, key, ES_WON, out);
	set_own(n, key);
}

static void
renewed(struct es_node *n, int key, const struct lease_output *out)
{
	n->elector.names[key].end_ms = ms_of(out->end);
	tell(n, key, ES_WON, out);
}

static void
lost(struct es_node *n, int key, const struct lease_output *out)
{
	es_trace(n->es, "node %d: lost key %d, term %llu: %s", n->index, key, (unsigned long long)out->term,
		 out->reason);
	n->elector.names[key].leads = n->elector.names[key].in_doubt = false;
	n->elector.names[key].lost_op = n->elector.names[key].op;
	tell(n, key, ES_LOST, out);
	set_own(n, key);
}

static void
begin_operation(struct es_node *n, int key, const struct lease_output *out)
{
	struct es_name *name = &n->elector.names[key];

	check_operation(n, key, out->kind);
	name->out = true;
	name->kind = out->kind;
	name->op = out->op;
	name->deadline_ms = es_now(n->es) + lease_timeout_ms(name->lease);
	es_request(n, key, out);
}

static void
pump(struct es_node *n, int key)
{
	struct lease_output out;

	while (lease_next(n->elector.names[key].lease, mono_of(n->es), &out)) {
		if (out.kind <= LEASE_READ)
			begin_operation(n, key, &out);
		else if (out.kind == LEASE_WON)
			won(n, key, &out);
		else if (out.kind == LEASE_RENEWED)
			renewed(n, key, &out);
		else if (out.kind == LEASE_LOST)
			lost(n, key, &out);
		else
			tell(n, key, ES_YIELD, &out);
	}
	check_end(n, key);
}

static void
release(struct es_node *n, int key, uint64_t term)
{
	struct es_name *name = &n->elector.names[key];

	if (term != name->term)
		return;
	es_trace(n->es, "node %d: releases key %d, term %llu", n->index, key, (unsigned long long)term);
	lease_release(name->lease, mono_of(n->es), name->why);
	name->leads = false;
	set_own(n, key);
	pump(n, key);
}

static void
yield_name(struct es_node *n, int key, enum lease_why why)
{
	n->elector.names[key].why = why;
	lease_yield(n->elector.names[key].lease, mono_of(n->es), why);
	pump(n, key);
}

/* ---- messages --------------------------------------------------------------------------------------- */

static struct lease_entry
entry_of(const struct es_node *n, const struct es_entry *e)
{
	struct lease_entry entry = {.holder = LEASE_FREE, .revision = e->revision, .why = e->why};

	if (e->revision > 0 && !e->marker)
		entry.holder = e->nonce == n->nonce ? LEASE_OURS : LEASE_OTHER;
	return entry;
}

static void
set_reserve(struct es_node *n, int key, enum lease_why why)
{
	bool waits = why != LEASE_WHY_STOP && why != LEASE_WHY_STEP_DOWN &&
		     !presence_wants_more(n->elector.presence) &&
		     presence_other_stands(n->elector.presence, keys[key], true);

	lease_set_reserve(n->elector.names[key].lease, waits ? SHARE_RESERVE_MS : 0);
}

static void
take_reply(struct es_node *n, const struct es_message *m)
{
	struct es_name *name = &n->elector.names[m->key];
	struct lease_entry entry = entry_of(n, &m->entry);
	bool answered = m->answer == LEASE_APPLIED;

	if (name->op == m->op.op && name->out) {
		name->out = false;
		note_answer(name, m);
	}
	if (m->op.kind == LEASE_READ)
		lease_read_answered(name->lease, mono_of(n->es), m->op.op, answered ? &entry : NULL);
	else
		lease_answered(name->lease, mono_of(n->es), m->op.op, m->answer, m->entry.revision);
}

bool
es_elector_message(struct es_node *n, const struct es_message *m)
{
	struct lease_entry entry;
	bool changed = false;

	if (!es_elector_acts(n))
		return false;
	if (m->kind == ES_ANNOUNCEMENT) {
		if (presence_heard(n->elector.presence, mono_of(n->es), m->text, strlen(m->text), &changed,
				   NULL) != 0)
			es_fail(n->es, "an announcement is refused: %s", m->text);
		if (changed)
			n->elector.announce_at_ms = es_now(n->es) + 10;
		return true;
	}
	if (m->kind == ES_WATCH && (!n->elector.watches || m->watch != n->elector.watch))
		return true;
	if (m->kind == ES_REPLY) {
		take_reply(n, m);
	} else {
		entry = entry_of(n, &m->entry);
		set_reserve(n, m->key, entry.why);
		lease_saw(n->elector.names[m->key].lease, mono_of(n->es), &entry);
	}
	pump(n, m->key);
	return true;
}

/* ---- what it notices -------------------------------------------------------------------------------- */

static void
set_reachable(struct es_node *n, bool reachable)
{
	struct es_elector *el = &n->elector;

	el->reachable = reachable;
	el->watches = false;
	for (int key = 0; key < n->es->key_count; key++) {
		if (reachable && el->bucket != n->es->bucket.id)
			lease_bucket_anew(el->names[key].lease, mono_of(n->es));
		lease_reachable(el->names[key].lease, mono_of(n->es), reachable);
		pump(n, key);
	}
	if (!reachable)
		return;
	el->bucket = n->es->bucket.id;
	es_watch(n);
}

void
es_elector_forget(struct es_node *n)
{
	n->elector.watches = false;
	n->elector.watch++;
}

static void
notice_bucket(struct es_node *n)
{
	struct es_elector *el = &n->elector;
	struct es *es = n->es;
	bool is = es->bucket.exists && !es_bucket_is_cut(n);
	bool wrong = is != el->reachable || (is && el->bucket != es->bucket.id);

	if (wrong && el->notice_at_ms == 0) {
		el->notice_at_ms = es_now(es) + es_below(es, is ? 300 : 2500);
	} else if (!wrong) {
		el->notice_at_ms = 0;
	} else if (es_now(es) >= el->notice_at_ms) {
		el->notice_at_ms = 0;
		if (el->reachable)
			set_reachable(n, false);
		else
			set_reachable(n, is);
	}
	if (el->reachable && !wrong && !el->watches && es_now(es) >= el->watch_back_ms)
		es_watch(n);
}

static void
notice_ttl(struct es_node *n)
{
	struct es_elector *el = &n->elector;
	struct es *es = n->es;

	if (el->ttl_ms == es->bucket.ttl_ms || !el->reachable)
		return;
	if (el->ttl_notice_ms == 0) {
		el->ttl_notice_ms = es_now(es) + 1 + es_below(es, 1000);
	} else if (es_now(es) >= el->ttl_notice_ms) {
		el->ttl_notice_ms = 0;
		el->ttl_ms = es->bucket.ttl_ms;
		for (int key = 0; key < es->key_count; key++)
			lease_set_ttl(el->names[key].lease, mono_of(es), el->ttl_ms);
	}
}

static void
give_up_operation(struct es_node *n, int key)
{
	struct es_name *name = &n->elector.names[key];

	if (!name->out || es_now(n->es) < name->deadline_ms)
		return;
	name->out = false;
	name->in_doubt |= name->kind != LEASE_READ && name->op != name->lost_op;
	if (name->kind == LEASE_READ)
		lease_read_answered(name->lease, mono_of(n->es), name->op, NULL);
	else
		lease_answered(name->lease, mono_of(n->es), name->op, LEASE_UNKNOWN, 0);
}

/* ---- balance ---------------------------------------------------------------------------------------- */

static void
balance(struct es_node *n)
{
	struct es_elector *el = &n->elector;
	const char *key;

	el->balance_at_ms = es_now(n->es) + 1000;
	presence_expire(el->presence, mono_of(n->es), el->ttl_ms);
	key = presence_hand_over(el->presence, mono_of(n->es), el->ttl_ms);
	if (key == NULL || el->draining || !el->reachable)
		return;
	es_trace(n->es, "node %d: hands over %s for balance", n->index, key);
	presence_handed_over(el->presence, mono_of(n->es));
	yield_name(n, key[0] - 'a', LEASE_WHY_BALANCE);
}

bool
es_elector_step_down(struct es_node *n, int key)
{
	if (!es_elector_acts(n) || !es_elector_leads(n, key) ||
	    !presence_other_stands(n->elector.presence, keys[key], false))
		return false;
	es_trace(n->es, "node %d: is asked to step down from %d", n->index, key);
	yield_name(n, key, LEASE_WHY_STEP_DOWN);
	return true;
}

/* ---- its life --------------------------------------------------------------------------------------- */

void
es_elector_drain(struct es_node *n)
{
	es_trace(n->es, "node %d: drains", n->index);
	n->elector.draining = true;
	n->elector.drain_until_ms = es_now(n->es) + DRAIN_MS;
	for (int key = 0; key < n->es->key_count; key++) {
		lease_retire(n->elector.names[key].lease);
		yield_name(n, key, LEASE_WHY_STOP);
	}
	es_announce(n, true);
}

static bool
is_drained(const struct es_node *n)
{
	struct lease_view view;

	if (es_now(n->es) >= n->elector.drain_until_ms)
		return true;
	for (int key = 0; key < n->es->key_count; key++) {
		lease_view(n->elector.names[key].lease, mono_of(n->es), &view);
		if (view.leads || view.giving_up)
			return false;
	}
	return true;
}

static void
timers(struct es_node *n)
{
	struct es_elector *el = &n->elector;

	notice_bucket(n);
	notice_ttl(n);
	for (int key = 0; key < n->es->key_count; key++) {
		struct es_name *name = &el->names[key];

		give_up_operation(n, key);
		if (name->release_at_ms > 0 && es_now(n->es) >= name->release_at_ms) {
			name->release_at_ms = 0;
			release(n, key, name->term);
		}
		pump(n, key);
	}
	if (es_now(n->es) >= el->balance_at_ms)
		balance(n);
	if (es_now(n->es) >= el->announce_at_ms && !el->draining) {
		el->announce_at_ms = es_now(n->es) + el->ttl_ms / 2;
		es_announce(n, false);
	}
}

void
es_elector_step(struct es_node *n)
{
	struct es_frame frame;

	timers(n);
	while (es_pop(n->es, &n->elector_in, &frame))
		release(n, 0, frame.term);
	if (n->elector.draining && is_drained(n)) {
		es_trace(n->es, "node %d: has drained", n->index);
		es_node_crash(n);
	}
}

void
es_elector_start(struct es_node *n)
{
	struct es_elector *el = &n->elector;
	uint32_t incarnation = el->incarnation + 1;
	char nonce[24];

	memset(el, 0, sizeof *el);
	el->up = true;
	el->incarnation = incarnation;
	el->ttl_ms = n->es->bucket.ttl_ms;
	el->bucket = n->es->bucket.id;
	snprintf(nonce, sizeof nonce, "%llu", (unsigned long long)n->nonce);
	el->presence = presence_new(nonce, nonce, "SITE", incarnation);
	for (int key = 0; key < n->es->key_count; key++) {
		el->names[key].lease = lease_new(el->ttl_ms, es_below(n->es, UINT32_MAX));
		set_own(n, key);
	}
	el->announce_at_ms = es_now(n->es);
}

void
es_elector_end(struct es_node *n)
{
	struct es_elector *el = &n->elector;

	if (!el->up)
		return;
	el->up = false;
	presence_free(&el->presence);
	for (int key = 0; key < n->es->key_count; key++)
		lease_free(&el->names[key].lease);
	n->elector_out.count = n->elector_in.count = 0;
}
