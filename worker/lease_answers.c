/*
 * What becomes of a lease by the answers to its writes and reads, each in the role that it has when the
 * answer comes: leader, one that gives its key up, candidate. Pure; part of the lease, see lease.c for what
 * follows from writes in doubt. Answers to writes from before a loss, or to another bucket, say nothing any
 * more.
 */
#include "worker/lease_internal.h"

/* ---- answers to writes ----------------------------------------------------------------------------- */

static void
renewal_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision)
{
	switch (answer) {
	case LEASE_APPLIED:
		lease_forget_failures(l, now);
		l->anew = false;
		l->known = true;
		l->revision = l->seen.revision = revision;
		l->held_until = mono_add_ms(now, l->ttl_ms);
		lease_count_from(l, l->asked);
		l->tell_renewed = true;
		break;
	case LEASE_REFUSED:
		lease_back_off_refused(l, now);
		break;
	case LEASE_UNKNOWN:
		if (!l->in_doubt)
			l->doubt_since = l->asked;
		l->in_doubt = true;
		l->must_read = l->failed = true;
		break;
	case LEASE_CONFLICT:
		l->must_read = l->failed = true;
		break;
	}
}

/*
 * Applied, but the answer came when that does not help any more, or nobody wants it any more, or the revision
 * is that of the term before, of another bucket: terms must differ. Another write follows.
 */
static void
won_in_vain(struct lease *l, struct mono now, uint64_t revision)
{
	lease_observe_ours(l, now, revision);
	if (!l->retired)
		return;
	l->revision = revision;
	l->end = lease_right_end(l, l->asked);
	lease_begin_release(l, now, LEASE_WHY_STOP);
}

static void
campaign_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision)
{
	/* Somebody else has written the key since. */
	if (answer == LEASE_APPLIED && l->known && l->seen.holder != LEASE_OURS &&
	    revision < l->seen.revision)
		answer = LEASE_UNKNOWN;
	switch (answer) {
	case LEASE_APPLIED:
		if (l->retired || revision == l->term || mono_reached(now, lease_right_end(l, l->asked)))
			won_in_vain(l, now, revision);
		else
			lease_win(l, now, revision);
		break;
	case LEASE_REFUSED:
		lease_back_off_refused(l, now);
		break;
	case LEASE_UNKNOWN:
	case LEASE_CONFLICT:
		l->create_in_doubt |= l->kind == LEASE_CREATE && answer == LEASE_UNKNOWN;
		l->must_read = l->failed = true;
		break;
	}
}

/* Also of a renewal that was out when the release was asked for. */
static void
release_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision)
{
	const struct lease_entry marker = {.holder = LEASE_FREE, .revision = revision, .why = l->why};

	if (answer == LEASE_REFUSED)
		lease_back_off_refused(l, now);
	else if (answer != LEASE_APPLIED)
		l->must_read = l->failed = true;
	else if (l->kind == LEASE_DELETE)
		lease_end_release(l, now, &marker);
	else
		l->revision = l->seen.revision = revision;
}

static void
write_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision)
{
	l->out = false;
	if (l->op_epoch != l->epoch && !l->leads)
		l->must_read = true;
	else if (l->op_epoch != l->epoch)
		renewal_answered(l, now, LEASE_UNKNOWN, 0);
	else if (l->leads)
		renewal_answered(l, now, answer, revision);
	else if (l->releasing)
		release_answered(l, now, answer, revision);
	else
		campaign_answered(l, now, answer, revision);
}

void
lease_answered(struct lease *l, struct mono now, uint64_t op, enum lease_answer answer, uint64_t revision)
{
	lease_tick(l, now);
	if (l->out && l->op == op && l->kind != LEASE_READ)
		write_answered(l, now, answer, revision);
}

/* ---- answers to reads ------------------------------------------------------------------------------ */

/* A write of ours was applied after all, and none of the others on the same revision can be any more. */
static void
adopt(struct lease *l, struct mono now, uint64_t revision)
{
	struct mono since = l->doubt_since, due = l->renew_at;
	bool counts = l->in_doubt;

	lease_forget_failures(l, now);
	l->anew = false;
	l->known = true;
	l->revision = l->seen.revision = revision;
	if (counts) {
		lease_count_from(l, since);
		l->tell_renewed = true;
	} else {
		l->renew_at = earlier(due, now);
	}
}

static void
leader_read(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	if (entry->holder == LEASE_OURS && entry->revision != l->revision) {
		adopt(l, now, entry->revision);
	} else if (entry->holder == LEASE_OURS || (l->anew && entry->revision == 0)) {
		/* Once more at once; after that with pauses. */
		if (l->failed && l->backoff_ms > 0)
			lease_back_off(l, now);
		else if (l->failed)
			l->backoff_ms = BACKOFF_MIN_MS / 2;
	} else {
		lease_lose(l, now, entry->holder == LEASE_FREE ? "its key is gone" : "its key is another's",
			   entry);
	}
}

static void
releaser_read(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	if (entry->holder != LEASE_OURS) {
		lease_end_release(l, now, entry);
		return;
	}
	if (entry->revision == l->revision && l->failed)
		lease_back_off(l, now);
	l->revision = l->seen.revision = entry->revision;
}

static void
candidate_read(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	bool changed = !l->known || entry->revision != l->seen.revision || entry->holder != l->seen.holder;
	/* Its TTL is over by our count, but not by the server's. */
	bool overdue = entry->holder == LEASE_OTHER && mono_reached(now, l->open_at);

	if (changed) {
		lease_observe(l, now, entry);
	} else if (l->failed || overdue) {
		l->probe = overdue;
		lease_back_off(l, now);
	}
	if (entry->holder == LEASE_OURS) {
		l->revision = entry->revision;
		if (l->retired && l->create_in_doubt) {
			l->end = mono_add_ms(now, l->ttl_ms);
			lease_begin_release(l, now, LEASE_WHY_STOP);
		}
	}
	l->create_in_doubt = false;
}

static void
read_answered(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	l->out = false;
	if (entry == NULL || l->op_epoch != l->epoch || l->overtaken) {
		l->must_read = true;
		if (entry == NULL)
			lease_back_off(l, now);
		return;
	}
	l->must_read = l->probe = false;
	if (l->leads)
		leader_read(l, now, entry);
	else if (l->releasing)
		releaser_read(l, now, entry);
	else
		candidate_read(l, now, entry);
}

void
lease_read_answered(struct lease *l, struct mono now, uint64_t op, const struct lease_entry *entry)
{
	lease_tick(l, now);
	if (l->out && l->op == op && l->kind == LEASE_READ)
		read_answered(l, now, entry);
}

void
lease_give_up(struct lease *l, struct mono now)
{
	if (l->kind == LEASE_READ)
		read_answered(l, now, NULL);
	else
		write_answered(l, now, LEASE_UNKNOWN, 0);
}
