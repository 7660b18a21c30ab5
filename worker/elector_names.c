/*
 * Names and their leases; part of the elector.
 *
 * A lease decides, this file carries out: writes and reads go to the bucket, gains and losses to the
 * supervisor. LOST is told the moment that the lease says it, before anything else is done for the name.
 * What is shown of a name (who holds it, since when) comes from the key's value; nothing is decided by it but
 * whose it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/array.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "worker/elector_internal.h"

enum { REPORT_SOON_MS = 20 };

static const char *const release_names[] = {
    [LEASE_WHY_UNKNOWN] = "unknown",
    [LEASE_WHY_STOP] = "stop",
    [LEASE_WHY_STEP_DOWN] = "step-down",
    [LEASE_WHY_BALANCE] = "balance",
};

static enum lease_why
release_why(const char *text)
{
	for (size_t i = 0; i < array_len(release_names); i++)
		if (strcmp(text, release_names[i]) == 0)
			return (enum lease_why)i;
	return LEASE_WHY_UNKNOWN;
}

/* ---- writing and reading ------------------------------------------------------------------------- */

/* It holds for as long as it is not known to be wrong: a refusal until a write is taken, a question without
 * answer until one is answered. */
static void
note_answer(struct elector_name *n, enum lease_answer answer, const char *words)
{
	n->unanswered[0] = '\0';
	if (answer == LEASE_APPLIED || answer == LEASE_CONFLICT)
		n->refused[0] = '\0';
	else if (answer == LEASE_REFUSED)
		snprintf(n->refused, sizeof n->refused, "%s", words);
	else
		snprintf(n->unanswered, sizeof n->unanswered, "%s", words);
}

static void
written(void *arg, uint64_t op, enum lease_answer answer, uint64_t revision, const char *words)
{
	struct elector_name *n = arg;

	log_debug("elector", "%s: write %llu: answer %d, revision %llu %s", n->key, (unsigned long long)op,
		  (int)answer, (unsigned long long)revision, words);
	note_answer(n, answer, words);
	lease_answered(n->lease, mono_now(), op, answer, revision);
	elector_name_pump(n);
	elector_tell_state(n->el);
}

static void
put(struct elector_name *n, const struct lease_output *out)
{
	struct elector *el = n->el;
	struct election_value v = {.known = true, .pid = el->pid, .has_map = true, .map = n->map};
	struct lease_view view;
	struct strbuf text;

	lease_view(n->lease, mono_now(), &view);
	if (!view.leads)
		n->since_ms = wall_ms();
	v.term = view.leads ? view.term : 0;
	v.since_ms = n->since_ms;
	snprintf(v.node, sizeof v.node, "%s", el->self.node);
	snprintf(v.site, sizeof v.site, "%s", el->conf->name);
	snprintf(v.nonce, sizeof v.nonce, "%s", el->self.nonce);
	strbuf_init(&text);
	election_value_write(&v, &text);
	bucket_put(el->bucket, n->key, out->revision, text.data, text.len, lease_timeout_ms(n->lease),
		   written, n, out->op);
	strbuf_fini(&text);
}

/* Returns what the entry is to the lease, and keeps what is shown of it. */
static struct lease_entry
take_entry(struct elector_name *n, const struct bucket_entry *entry)
{
	struct lease_entry e = {.holder = LEASE_FREE, .revision = entry->revision};
	struct election_value v;

	if (entry->marker) {
		e.why = release_why(entry->release);
		if (n->held)
			elector_name_changed(n);
		n->held = false;
		return e;
	}
	election_value_read(entry->data, entry->len, &v);
	e.holder = v.known && strcmp(v.nonce, n->el->self.nonce) == 0 ? LEASE_OURS : LEASE_OTHER;
	e.other_map = e.holder == LEASE_OTHER && (!v.has_map || v.map != n->map);
	if (!n->held || strcmp(n->holder.nonce, v.nonce) != 0 || strcmp(n->holder.node, v.node) != 0 ||
	    n->holder.since_ms != v.since_ms) {
		n->holder_first = entry->revision;
		elector_name_changed(n);
	}
	n->held = true;
	n->gave_up &= e.holder == LEASE_OURS; /* a late delivery of ours */
	n->holder = v;
	return e;
}

static void
warn_of_site(struct elector_name *n)
{
	const struct election_value *v = &n->holder;
	struct elector *el = n->el;
	const char *ours = el->conf->name;

	if (!n->held || !v->known || strcmp(v->site, ours) == 0 || strcmp(v->site, el->warned_site) == 0)
		return;
	snprintf(el->warned_site, sizeof el->warned_site, "%s", v->site);
	log_warn("elector",
		 "%s: %s, which leads, has site name \"%s\" and this node \"%s\": what one copied the other "
		 "would not "
		 "know for its own; give both the same name",
		 n->key, v->node, v->site, ours);
}

/* Also in the course of a change that goes from node to node: once for each leader's settings. */
static void
warn_of_map(struct elector_name *n)
{
	const struct election_value *v = &n->holder;

	if (!n->held || !v->has_map || v->map == n->map || v->map == n->warned_map ||
	    strcmp(v->site, n->el->conf->name) != 0 || strcmp(v->nonce, n->el->self.nonce) == 0)
		return;
	n->warned_map = v->map;
	log_warn("elector",
		 "%s: %s, which leads, copies with other settings than this node has; give all nodes the "
		 "same configuration",
		 n->key, v->node);
}

/* A key that we held is not ours any more, and nobody here gave it up. */
static void
note_theft(struct elector_name *n, const struct lease_view *before, const struct lease_entry *e,
	   struct mono now)
{
	struct lease_view after;

	if (!before->leads || e->holder == LEASE_OURS || mono_reached(now, before->end) ||
	    (e->holder == LEASE_FREE && e->why != LEASE_WHY_UNKNOWN))
		return;
	lease_view(n->lease, now, &after);
	if (after.leads && after.term == before->term)
		return;
	if (e->holder == LEASE_FREE)
		elector_incident(
		    n->el, "election_key_lost",
		    "key \"%s\" of bucket \"%s\" was deleted while this node led; it is campaigned "
		    "for again",
		    n->key, n->el->group->election->bucket);
	else
		elector_incident(n->el, "election_key_lost",
				 "key \"%s\" of bucket \"%s\" was overwritten while this node led, by \"%s\"",
				 n->key, n->el->group->election->bucket, n->holder.node);
}

static void
read_done(void *arg, uint64_t op, const struct bucket_entry *entry, const char *words)
{
	struct elector_name *n = arg;
	struct mono now = mono_now();
	struct lease_view before;
	struct lease_entry e;

	snprintf(n->unanswered, sizeof n->unanswered, "%s", words);
	lease_view(n->lease, now, &before);
	if (entry != NULL) {
		e = take_entry(n, entry);
		elector_set_reserve(n, e.why);
	}
	lease_read_answered(n->lease, now, op, entry != NULL ? &e : NULL);
	elector_name_pump(n);
	if (entry != NULL) {
		note_theft(n, &before, &e, now);
		warn_of_site(n);
		warn_of_map(n);
	}
	elector_tell_state(n->el);
}

void
elector_name_saw(struct elector_name *n, const struct bucket_entry *entry)
{
	struct mono now = mono_now();
	struct lease_view before;
	struct lease_entry e;

	lease_view(n->lease, now, &before);
	e = take_entry(n, entry);
	log_debug("elector", "%s: revision %llu: %s", n->key, (unsigned long long)entry->revision,
		  e.holder == LEASE_FREE ? "free" : n->holder.node);
	elector_set_reserve(n, e.why);
	lease_saw(n->lease, now, &e);
	elector_name_pump(n);
	note_theft(n, &before, &e, now);
	warn_of_site(n);
	warn_of_map(n);
}

/* ---- gains and losses ---------------------------------------------------------------------------- */

static void
tell_won(struct elector_name *n, const struct lease_output *out)
{
	struct proto_won won = {
	    .key = n->key, .term = out->term, .lease_end_ns = out->end.ns, .map_in_doubt = n->map_in_doubt};

	n->el->reports.won(n->el->arg, &won);
}

static void
tell_lost(struct elector_name *n, const struct lease_output *out,
	  void (*report)(void *arg, const struct proto_lost *lost))
{
	struct proto_lost lost = {.key = n->key, .term = out->term};

	lost.reason = xstrdup(out->reason != NULL ? out->reason : "");
	report(n->el->arg, &lost);
	free(lost.reason);
}

static void
won(struct elector_name *n, const struct lease_output *out)
{
	n->leads = true;
	n->map_in_doubt = out->other_map;
	n->moved = out->moved;
	n->won_at = mono_now();
	n->yield_why = LEASE_WHY_STOP;
	n->yield_words = NULL;
	n->gave_up = false;
	tell_won(n, out);
	log_debug("elector", "%s: won, term %llu%s", n->key, (unsigned long long)out->term,
		  out->other_map ? "; who led before may not have settled what it had sent" : "");
}

static void
lost(struct elector_name *n, const struct lease_output *out)
{
	tell_lost(n, out, n->el->reports.lost);
	log_debug("elector", "%s: lost, term %llu: %s", n->key, (unsigned long long)out->term,
		  out->reason != NULL ? out->reason : "");
	n->leads = false;
}

static void
yielded(struct elector_name *n, const struct lease_output *out)
{
	struct lease_output told = *out;

	n->yield_term = out->term;
	if (n->yield_words != NULL)
		told.reason = n->yield_words;
	tell_lost(n, &told, n->el->reports.yield);
}

static void
carry_out(struct elector_name *n, const struct lease_output *out)
{
	struct elector *el = n->el;

	switch (out->kind) {
	case LEASE_CREATE:
	case LEASE_UPDATE:
		put(n, out);
		return;
	case LEASE_DELETE:
		bucket_delete(el->bucket, n->key, out->revision, release_names[out->why],
			      lease_timeout_ms(n->lease), written, n, out->op);
		return;
	case LEASE_READ:
		bucket_read(el->bucket, n->key, lease_timeout_ms(n->lease), read_done, n, out->op);
		return;
	case LEASE_RENEWED:
		tell_won(n, out);
		return;
	case LEASE_WON:
		won(n, out);
		break;
	case LEASE_LOST:
		lost(n, out);
		break;
	case LEASE_YIELDED:
		yielded(n, out);
		break;
	}
	elector_presence_of_name(n);
	elector_name_changed(n);
}

static void
arm_wake(struct elector_name *n)
{
	int64_t us = (lease_wake(n->lease).ns - mono_now().ns + 999) / 1000;
	struct timeval after;

	if (us < 0)
		us = 0;
	if (us > INT64_C(3600) * 1000000)
		us = INT64_C(3600) * 1000000;
	after = (struct timeval){us / 1000000, us % 1000000};
	evtimer_add(n->wake, &after);
}

/* A key that was given up is not led any more, which nobody has to be told. */
static void
note_release(struct elector_name *n)
{
	struct lease_view view;

	lease_view(n->lease, mono_now(), &view);
	if (!n->leads || view.leads)
		return;
	n->leads = false;
	n->gave_up = true;
	log_debug("elector", "%s: given up", n->key);
	elector_presence_of_name(n);
	elector_name_changed(n);
}

/* Reports that call back into the elector may make the lease say more: the loop takes that too. */
void
elector_name_pump(struct elector_name *n)
{
	struct lease_output out;

	if (n->pumping)
		return;
	n->pumping = true;
	while (lease_next(n->lease, mono_now(), &out))
		carry_out(n, &out);
	n->pumping = false;
	note_release(n);
	arm_wake(n);
	elector_check_drained(n->el);
}

static void
wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	elector_name_pump(arg);
}

void
elector_name_hand_over(struct elector_name *n, enum lease_why why, const char *words)
{
	n->yield_why = why;
	n->yield_words = words;
	lease_yield(n->lease, mono_now(), why);
	elector_name_pump(n);
}

void
elector_names_reachable(struct elector *el, bool reachable)
{
	el->usable = reachable;
	for (size_t i = 0; i < el->name_count; i++) {
		lease_reachable(el->names[i].lease, mono_now(), reachable && !el->silent);
		elector_name_pump(&el->names[i]);
	}
	elector_names_changed(el);
}

/* ---- reports ------------------------------------------------------------------------------------- */

void
elector_name_changed(struct elector_name *n)
{
	const struct timeval soon = {0, REPORT_SOON_MS * 1000};

	n->changed = true;
	if (!evtimer_pending(n->el->report_timer, NULL))
		evtimer_add(n->el->report_timer, &soon);
}

void
elector_names_changed(struct elector *el)
{
	for (size_t i = 0; i < el->name_count; i++)
		elector_name_changed(&el->names[i]);
}

/* Who leads, as far as is known: an entry whose time is over says nothing. */
static void
fill_leader(struct elector_name *n, const struct lease_view *view, struct mono now, struct proto_election *e)
{
	static char nobody[] = "";
	struct elector *el = n->el;

	e->leader = e->site = nobody;
	if (view->leads) {
		e->leader = el->self.node;
		e->site = el->conf->name;
		e->pid = el->pid;
		e->since_ms = n->since_ms;
		e->term = view->term;
	} else if (n->held && view->holder == LEASE_OTHER && !mono_reached(now, view->end)) {
		e->leader = n->holder.node;
		e->site = n->holder.site;
		e->pid = n->holder.pid;
		e->since_ms = n->holder.since_ms;
		e->term = n->holder.term > 0 ? n->holder.term : n->holder_first;
	} else {
		return;
	}
	e->lease_end_ns = view->end.ns;
}

static char *
problem(struct elector_name *n)
{
	struct elector *el = n->el;

	if (el->connecting[0] != '\0')
		return el->connecting;
	if (el->unusable[0] != '\0')
		return el->unusable;
	return n->refused[0] != '\0' ? n->refused : n->unanswered;
}

static void
report(struct elector_name *n, struct mono now)
{
	struct proto_candidate present[PROTO_MAX_CANDIDATES];
	struct proto_election e = {.key = n->key, .present = present};
	struct lease_view view;

	lease_view(n->lease, now, &view);
	e.leads = view.leads;
	e.campaigns = view.campaigns;
	e.problem = problem(n);
	fill_leader(n, &view, now, &e);
	e.present_count = presence_candidates(n->el->presence, n->key, present, array_len(present));
	n->changed = false;
	n->el->reports.election(n->el->arg, &e);
}

void
elector_names_report(struct elector *el, bool all)
{
	struct mono now = mono_now();

	for (size_t i = 0; i < el->name_count; i++)
		if (all || el->names[i].changed)
			report(&el->names[i], now);
}

/* ---- their life ---------------------------------------------------------------------------------- */

struct elector_name *
elector_name_find(struct elector *el, const char *key)
{
	for (size_t i = 0; i < el->name_count; i++)
		if (strcmp(el->names[i].key, key) == 0)
			return &el->names[i];
	return NULL;
}

/* Jitter that differs between nodes, names and starts. */
static uint64_t
random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		seed = (uint64_t)mono_now().ns;
	return seed;
}

void
elector_names_init(struct elector *el)
{
	const struct election_group *group = el->group;

	el->names = xcalloc(group->name_count, sizeof *el->names);
	el->name_count = group->name_count;
	for (size_t i = 0; i < el->name_count; i++) {
		struct elector_name *n = &el->names[i];

		n->el = el;
		n->key = xstrdup(group->names[i].key);
		n->map = group->names[i].map;
		n->lease = lease_new(el->ttl_ms, random_seed());
		n->wake = evtimer_new(el->base, wake, n);
		n->able_since = mono_now();
		elector_set_reserve(n, LEASE_WHY_UNKNOWN);
		elector_presence_of_name(n);
	}
}

void
elector_names_fini(struct elector *el)
{
	for (size_t i = 0; i < el->name_count; i++) {
		event_free(el->names[i].wake);
		lease_free(&el->names[i].lease);
		free(el->names[i].key);
	}
	free(el->names);
	el->names = NULL;
	el->name_count = 0;
}
