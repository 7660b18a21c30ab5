/*
 * The broker of elections (see the header). Pure code of the supervisor: calls nothing but its io.
 *
 * What is stored: nothing; an elector and its names begin anew when either process does. What is known when
 * an elector ends: no name is ours any more, for nobody renews. When a member ends: it has stopped. When
 * frames cross: a term that was released is never taken up again by a renewal that was on its way.
 */
#include "supervisor/leaders.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

/* From RELEASE to the end of an elector that is replaced: the key's delete has left by then. */
#define DELETE_MS 300

struct leaders {
	const struct leaders_io *io;
	void *arg;
	struct leader **names; /* count of them; wanted ones in the order of the plan, then the others */
	size_t count;
	char **ready; /* ids of electors that are ready, ready_count of them */
	size_t ready_count;
};

/* ---- names ------------------------------------------------------------------------------------------ */

static struct leader *
find(const struct leaders *l, const char *elector, const char *key)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->names[i]->key, key) == 0 && strcmp(l->names[i]->elector, elector) == 0)
			return l->names[i];
	return NULL;
}

static struct leader *
must_find(const struct leaders *l, const char *elector, const char *key, const char *frame, struct error *e)
{
	struct leader *n = find(l, elector, key);

	if (n == NULL)
		error_set(e, ERR_PROTOCOL, "%s for key \"%s\", which is none of its names", frame, key);
	return n;
}

static void
drop_report(struct leader *n)
{
	if (n->have_report)
		proto_election_fini(&n->report);
	n->have_report = false;
}

static void
name_free(struct leader *n)
{
	drop_report(n);
	free(n->elector);
	free(n->key);
	free(n->name);
	free(n->members);
	free(n);
}

static size_t
ready_index(const struct leaders *l, const char *elector)
{
	size_t i = 0;

	while (i < l->ready_count && strcmp(l->ready[i], elector) != 0)
		i++;
	return i;
}

static bool
is_ready(const struct leaders *l, const char *elector)
{
	return ready_index(l, elector) < l->ready_count;
}

struct leaders *
leaders_new(const struct leaders_io *io, void *arg)
{
	struct leaders *l = xcalloc(1, sizeof *l);

	l->io = io;
	l->arg = arg;
	return l;
}

void
leaders_free(struct leaders **leaders)
{
	struct leaders *l = *leaders;

	*leaders = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		name_free(l->names[i]);
	for (size_t i = 0; i < l->ready_count; i++)
		free(l->ready[i]);
	free(l->ready);
	free(l->names);
	free(l);
}

/* ---- telling ---------------------------------------------------------------------------------------- */

static void
send_role(struct leaders *l, const struct leader *n, struct leader_member *m, bool settle)
{
	struct proto_role role = {.serial = ++m->sent};

	if (n->role == LEADER_LEADS) {
		role.leader = true;
		role.term = n->term;
		role.lease_end_ns = n->lease_end_ns;
		role.map_in_doubt = n->map_in_doubt;
	} else {
		role.settle = settle;
	}
	l->io->role(l->arg, m->child, &role);
}

static void
send_roles(struct leaders *l, const struct leader *n, bool settle)
{
	for (size_t i = 0; i < n->member_count; i++)
		send_role(l, n, &n->members[i], settle);
}

static bool
is_able(const struct leader *n)
{
	if (!n->wanted || n->member_count < n->expected)
		return false;
	for (size_t i = 0; i < n->member_count; i++)
		if (!n->members[i].able)
			return false;
	return true;
}

static void
tell_able(struct leaders *l, struct leader *n)
{
	bool able = is_able(n);

	if (!is_ready(l, n->elector) || able == n->told_able)
		return;
	n->told_able = able;
	l->io->able(l->arg, n, able);
}

static void
happened(struct leaders *l, const struct leader *n, enum leader_event event, const char *reason)
{
	l->io->happened(l->arg, n, event, reason);
}

/* ---- changes of role -------------------------------------------------------------------------------- */

static void
demote(struct leaders *l, struct leader *n, const char *reason, struct mono now)
{
	enum leader_role before = n->role;

	n->role = LEADER_STANDBY;
	n->stopped = now;
	/* This first: every moment counts. */
	send_roles(l, n, false);
	happened(l, n, before == LEADER_YIELDS ? LEADER_ENDED : LEADER_LOST, reason);
}

static bool
all_settled(const struct leader *n)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (n->members[i].done < n->members[i].sent)
			return false;
	return true;
}

static void
release_if_settled(struct leaders *l, struct leader *n, struct mono now)
{
	if (n->role != LEADER_YIELDS || !all_settled(n))
		return;
	n->role = LEADER_STANDBY;
	n->released = true;
	n->stopped = now;
	l->io->release(l->arg, n, n->term);
	happened(l, n, LEADER_RELEASED, "");
}

static void
hand_over(struct leaders *l, struct leader *n, const char *reason, struct mono now)
{
	n->role = LEADER_YIELDS;
	send_roles(l, n, true);
	happened(l, n, LEADER_YIELD, reason);
	release_if_settled(l, n, now);
}

/* ---- the configuration ------------------------------------------------------------------------------ */

static struct leader *
take_name(struct leaders *l, const struct election_group *g, const struct election_name *name)
{
	struct leader *n = find(l, g->id, name->key);

	if (n == NULL) {
		n = xcalloc(1, sizeof *n);
		n->elector = xstrdup(g->id);
		n->key = xstrdup(name->key);
		n->name = xstrdup(name->name);
		l->names = xrealloc(l->names, (l->count + 1) * sizeof(struct leader *));
		l->names[l->count++] = n;
	} else if (strcmp(n->name, name->name) != 0) {
		free(n->name);
		n->name = xstrdup(name->name);
	}
	n->wanted = true;
	n->expected = name->topic_count + (name->heartbeat ? 1 : 0);
	return n;
}

/* The order of the plan; those that are on their way out come last. */
static void
order(struct leaders *l, const struct election_plan *plan)
{
	struct leader **ordered = xcalloc(l->count + 1, sizeof(struct leader *));
	size_t n = 0;

	for (size_t g = 0; g < plan->group_count; g++)
		for (size_t i = 0; i < plan->groups[g].name_count; i++)
			ordered[n++] = find(l, plan->groups[g].id, plan->groups[g].names[i].key);
	for (size_t i = 0; i < l->count; i++)
		if (!l->names[i]->wanted)
			ordered[n++] = l->names[i];
	free(l->names);
	l->names = ordered;
}

/* Forgets names that are not wanted and that no running elector can speak of. */
static void
sweep(struct leaders *l, const char *elector)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct leader *n = l->names[i];

		if (!n->wanted && strcmp(n->elector, elector) == 0)
			name_free(n);
		else
			l->names[kept++] = n;
	}
	l->count = kept;
}

void
leaders_set_plan(struct leaders *l, const struct election_plan *plan, struct mono now)
{
	for (size_t i = 0; i < l->count; i++)
		l->names[i]->wanted = false;
	for (size_t g = 0; g < plan->group_count; g++)
		for (size_t i = 0; i < plan->groups[g].name_count; i++)
			take_name(l, &plan->groups[g], &plan->groups[g].names[i]);
	order(l, plan);
	for (size_t i = 0; i < l->count; i++) {
		struct leader *n = l->names[i];

		tell_able(l, n);
		if (!n->wanted && n->role == LEADER_LEADS)
			hand_over(l, n, "it is no longer configured here", now);
	}
}

/* ---- electors --------------------------------------------------------------------------------------- */

void
leaders_elector_ready(struct leaders *l, const char *elector)
{
	if (!is_ready(l, elector)) {
		l->ready = xrealloc(l->ready, (l->ready_count + 1) * sizeof(char *));
		l->ready[l->ready_count++] = xstrdup(elector);
	}
	for (size_t i = 0; i < l->count; i++) {
		struct leader *n = l->names[i];

		if (!n->wanted || strcmp(n->elector, elector) != 0)
			continue;
		n->told_able = is_able(n);
		l->io->able(l->arg, n, n->told_able);
	}
}

void
leaders_elector_ended(struct leaders *l, const char *elector, const char *why, struct mono now)
{
	size_t at = ready_index(l, elector);

	if (at < l->ready_count) {
		free(l->ready[at]);
		l->ready[at] = l->ready[--l->ready_count];
	}
	for (size_t i = 0; i < l->count; i++) {
		struct leader *n = l->names[i];

		if (strcmp(n->elector, elector) != 0)
			continue;
		drop_report(n);
		n->released = false;
		if (n->role != LEADER_STANDBY)
			demote(l, n, why, now);
		else
			happened(l, n, LEADER_SEEN, why);
	}
	sweep(l, elector);
}

static void
gain(struct leaders *l, struct leader *n, const struct proto_won *won, struct mono now)
{
	n->role = LEADER_LEADS;
	n->term = won->term;
	n->lease_end_ns = won->lease_end_ns;
	n->map_in_doubt = won->map_in_doubt;
	n->released = false;
	n->since = now;
	send_roles(l, n, false);
	happened(l, n, LEADER_WON, "");
}

int
leaders_won(struct leaders *l, const char *elector, const struct proto_won *won, struct mono now,
	    struct error *e)
{
	struct leader *n = must_find(l, elector, won->key, "WON", e);

	if (n == NULL)
		return -1;
	/* A renewal that crossed our RELEASE; or a lease that has ended on the way, of which LOST follows. */
	if ((n->released && won->term == n->term) || won->lease_end_ns <= now.ns)
		return 0;
	if (!n->wanted && n->role == LEADER_STANDBY) {
		l->io->release(l->arg, n, won->term);
	} else if (n->role == LEADER_STANDBY || won->term != n->term) {
		gain(l, n, won, now);
	} else {
		n->lease_end_ns = won->lease_end_ns;
		if (n->role == LEADER_LEADS)
			send_roles(l, n, false);
	}
	return 0;
}

int
leaders_lost(struct leaders *l, const char *elector, const struct proto_lost *lost, struct mono now,
	     struct error *e)
{
	struct leader *n = must_find(l, elector, lost->key, "LOST", e);

	if (n == NULL)
		return -1;
	n->released = false;
	if (n->role != LEADER_STANDBY)
		demote(l, n, lost->reason, now);
	return 0;
}

int
leaders_yield(struct leaders *l, const char *elector, const struct proto_lost *yield, struct mono now,
	      struct error *e)
{
	struct leader *n = must_find(l, elector, yield->key, "YIELD", e);

	if (n == NULL)
		return -1;
	if (n->role == LEADER_LEADS)
		hand_over(l, n, yield->reason, now);
	else if (n->role == LEADER_STANDBY)
		/* Nobody works for it here: nothing to wait for. */
		l->io->release(l->arg, n, yield->term);
	return 0;
}

/* Whether others would want to know the difference. */
static bool
same_leader(const struct proto_election *a, const struct proto_election *b)
{
	return a->term == b->term && a->leads == b->leads && a->pid == b->pid && a->since_ms == b->since_ms &&
	       strcmp(a->leader, b->leader) == 0 && strcmp(a->site, b->site) == 0;
}

int
leaders_report(struct leaders *l, const char *elector, struct proto_election *report, struct error *e)
{
	struct leader *n = must_find(l, elector, report->key, "ELECTION", e);
	bool same;

	if (n == NULL) {
		proto_election_fini(report);
		return -1;
	}
	/* It has given the key up: no renewal of that term is on its way any more. The term may come again,
	 * in a bucket that was made anew. */
	if (!report->leads)
		n->released = false;
	same = n->have_report && same_leader(&n->report, report);
	drop_report(n);
	n->report = *report;
	n->have_report = true;
	if (!same)
		happened(l, n, LEADER_SEEN, "");
	return 0;
}

/* ---- members ---------------------------------------------------------------------------------------- */

static struct leader_member *
find_member(const struct leaders *l, const void *child, struct leader **of)
{
	for (size_t i = 0; i < l->count; i++) {
		struct leader *n = l->names[i];

		for (size_t k = 0; k < n->member_count; k++) {
			if (n->members[k].child == child) {
				*of = n;
				return &n->members[k];
			}
		}
	}
	return NULL;
}

void
leaders_child_started(struct leaders *l, const char *elector, const char *key, void *child)
{
	struct leader *n = find(l, elector, key);
	struct leader_member *m;

	if (n == NULL)
		return;
	n->members = xrealloc(n->members, (n->member_count + 1) * sizeof *n->members);
	m = &n->members[n->member_count++];
	*m = (struct leader_member){.child = child};
	if (n->role == LEADER_LEADS)
		send_role(l, n, m, false);
	tell_able(l, n);
}

void
leaders_child_ended(struct leaders *l, const void *child, struct mono now)
{
	struct leader *n;
	struct leader_member *m = find_member(l, child, &n);

	if (m == NULL)
		return;
	*m = n->members[--n->member_count];
	tell_able(l, n);
	release_if_settled(l, n, now);
}

void
leaders_child_able(struct leaders *l, const void *child, bool able)
{
	struct leader *n;
	struct leader_member *m = find_member(l, child, &n);

	if (m == NULL || m->able == able)
		return;
	m->able = able;
	tell_able(l, n);
}

int
leaders_role_done(struct leaders *l, const void *child, uint64_t serial, struct mono now, struct error *e)
{
	struct leader *n;
	struct leader_member *m = find_member(l, child, &n);

	if (m == NULL)
		return 0; /* its name is gone */
	if (serial > m->sent)
		return error_set(e, ERR_PROTOCOL,
				 "ROLE_DONE for ROLE %" PRIu64 ", %" PRIu64 " was the last sent", serial,
				 m->sent);
	if (serial > m->done)
		m->done = serial;
	release_if_settled(l, n, now);
	return 0;
}

/* ---- time ------------------------------------------------------------------------------------------- */

void
leaders_tick(struct leaders *l, struct mono now)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->names[i]->role != LEADER_STANDBY && l->names[i]->lease_end_ns <= now.ns)
			demote(l, l->names[i], "the lease ended without renewal", now);
}

/* ---- for others ------------------------------------------------------------------------------------- */

size_t
leaders_count(const struct leaders *l)
{
	return l->count;
}

const struct leader *
leaders_at(const struct leaders *l, size_t i)
{
	return l->names[i];
}

const struct leader *
leaders_find(const struct leaders *l, const char *elector, const char *key)
{
	return find(l, elector, key);
}

const struct leader *
leaders_find_name(const struct leaders *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->names[i]->wanted && strcmp(l->names[i]->name, name) == 0)
			return l->names[i];
	return NULL;
}

bool
leaders_may_replace(const struct leaders *l, const char *elector, struct mono now)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct leader *n = l->names[i];

		if (n->wanted || n->term == 0 || strcmp(n->elector, elector) != 0)
			continue;
		if (n->role != LEADER_STANDBY || mono_ms_between(n->stopped, now) < DELETE_MS)
			return false;
	}
	return true;
}
