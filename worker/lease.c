/*
 * A name's election as one node sees it; pure, runs in an elector. Every entry point looks at the clock first
 * (lease_tick()), so that a process that was stopped learns that its lease has ended before it does anything
 * else.
 *
 * What follows from each fault:
 *   - A leader's write without a clear answer is in doubt from the moment it was asked for until the key has
 *     another revision. All such writes are conditional on the same revision, so one of them at most is
 *     applied; which one is not known, hence the lease counts from the earliest.
 *   - A candidate never counts a lease from a write in doubt: an elector of the same supervisor that was
 *     killed may have left such a write under way too, with the same nonce. It updates the key that it finds
 *     in its name, and leads when that was answered.
 *   - The key is given up only when the workers are known to have stopped (lease_release()).
 */
#include "worker/lease_internal.h"

#include <stdlib.h>

#include "common/proto.h"
#include "common/xalloc.h"

/* ---- the clock ------------------------------------------------------------------------------------- */

void
lease_tick(struct lease *l, struct mono now)
{
	if (l->leads && mono_reached(now, l->end))
		lease_lose(l, now, "the lease has ended without a renewal", NULL);
	else if (l->yielding && mono_reached(now, l->yield_until))
		lease_lose_unconfirmed(l, now);
	if (l->unconfirmed && mono_reached(now, l->end))
		l->unconfirmed = false;
	if (l->releasing && mono_reached(now, l->end))
		lease_end_release(l, now, NULL);
	if (l->out && mono_reached(now, mono_add_ms(l->deadline, OWNER_SLACK_MS)))
		lease_give_up(l, now);
}

/* ---- what the owner tells -------------------------------------------------------------------------- */

/* Our own writes come back by the watch before or after their answers; only what is not ours matters. */
static void
leader_saw(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	if (entry->revision == 0 || entry->holder == LEASE_OURS)
		l->must_read |= !l->out;
	else
		lease_lose(l, now, entry->holder == LEASE_FREE ? "its key is gone" : "its key is another's",
			   entry);
}

void
lease_saw(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	uint64_t known;

	lease_tick(l, now);
	/* That there is nothing is only a hint, the watch may have begun before the newest write. */
	if (entry->revision == 0 && !l->leads) {
		l->must_read |= l->known && l->seen.holder == LEASE_FREE && l->seen.revision > 0;
		return;
	}
	known = l->leads || l->releasing ? l->revision : l->seen.revision;
	if (entry->revision > 0 && l->known && entry->revision <= known)
		return;
	l->overtaken |= l->out && l->kind == LEASE_READ;
	if (l->leads)
		leader_saw(l, now, entry);
	else if (l->releasing && entry->holder != LEASE_OURS)
		lease_end_release(l, now, entry);
	else if (!l->releasing)
		lease_observe(l, now, entry);
}

void
lease_reachable(struct lease *l, struct mono now, bool reachable)
{
	lease_tick(l, now);
	if (l->reachable == reachable)
		return;
	l->reachable = reachable;
	if (!reachable)
		return;
	l->must_read = true;
	l->retry_at = l->refused_until = now;
	l->backoff_ms = l->refused_ms = 0;
}

void
lease_set_ttl(struct lease *l, struct mono now, int64_t ttl_ms)
{
	struct mono end;

	lease_tick(l, now);
	if (ttl_ms == l->ttl_ms)
		return;
	l->ttl_ms = ttl_ms;
	if (!l->leads)
		return;
	l->renew_at = earlier(l->renew_at, now);
	end = lease_right_end(l, l->applied);
	if (end.ns < l->end.ns) {
		l->end = end;
		l->tell_renewed = true;
	}
	lease_tick(l, now);
}

void
lease_bucket_anew(struct lease *l, struct mono now)
{
	lease_tick(l, now);
	l->epoch++;
	l->known = false;
	l->must_read = true;
	l->retry_at = l->refused_until = now;
	l->revision = 0;
	l->anew = l->leads;
}

void
lease_set_reserve(struct lease *l, int64_t ms)
{
	l->reserve_ms = ms;
}

void
lease_yield(struct lease *l, struct mono now, enum lease_why why)
{
	lease_tick(l, now);
	if (!l->leads || l->yielding)
		return;
	l->yielding = l->tell_yield = true;
	l->yield_until = mono_add_ms(now, PROTO_SETTLE_MS);
	l->why = why;
}

void
lease_release(struct lease *l, struct mono now, enum lease_why why)
{
	lease_tick(l, now);
	if (l->leads || (l->unconfirmed && l->seen.holder == LEASE_OURS))
		lease_begin_release(l, now, why);
}

void
lease_retire(struct lease *l)
{
	l->retired = true;
}

/* ---- what comes next ------------------------------------------------------------------------------- */

/* What we handed over is left alone, unless it has been free for a while. */
static struct mono
campaign_at(const struct lease *l)
{
	struct mono at = mono_add_ms(l->open_at, l->reserve_ms);

	if (at.ns < l->leave_until.ns)
		at = earlier(mono_add_ms(at, FREE_LONG_MS), l->leave_until);
	return at;
}

static enum lease_output_kind
plan_candidate(const struct lease *l, struct mono *at)
{
	if (l->must_read)
		return LEASE_READ;
	if (l->seen.holder == LEASE_OURS) {
		*at = later(*at, l->open_at);
		return l->probe ? LEASE_READ : LEASE_UPDATE;
	}
	*at = later(*at, campaign_at(l));
	return l->probe ? LEASE_READ : LEASE_CREATE;
}

/* The next write or read and when it is due; false if there is none. */
static bool
plan(const struct lease *l, enum lease_output_kind *kind, struct mono *at)
{
	if (!l->reachable || l->out)
		return false;
	*at = later(l->retry_at, l->refused_until);
	if (l->leads) {
		*kind = l->must_read ? LEASE_READ : l->anew ? LEASE_CREATE : LEASE_UPDATE;
		if (*kind == LEASE_UPDATE)
			*at = later(*at, l->renew_at);
		return true;
	}
	if (l->releasing) {
		*kind = l->must_read ? LEASE_READ : LEASE_DELETE;
		return true;
	}
	*kind = plan_candidate(l, at);
	return !l->retired || (*kind == LEASE_READ && l->create_in_doubt);
}

static bool
tell(struct lease *l, struct lease_output *out)
{
	static const char *const reasons[] = {
	    [LEASE_WHY_UNKNOWN] = "it is given up",
	    [LEASE_WHY_STOP] = "this node stops",
	    [LEASE_WHY_STEP_DOWN] = "it was asked to step down",
	    [LEASE_WHY_BALANCE] = "it is handed over for balance",
	};

	if (l->tell_lost) {
		l->tell_lost = false;
		*out =
		    (struct lease_output){.kind = LEASE_LOST, .term = l->lost_term, .reason = l->lost_reason};
	} else if (l->tell_won) {
		l->tell_won = l->tell_renewed = false;
		*out = (struct lease_output){.kind = LEASE_WON,
					     .term = l->term,
					     .end = l->end,
					     .other_map = l->claim_other_map,
					     .moved = l->claim_moved};
	} else if (l->tell_renewed) {
		l->tell_renewed = false;
		*out = (struct lease_output){.kind = LEASE_RENEWED, .term = l->term, .end = l->end};
	} else if (l->tell_yield) {
		l->tell_yield = false;
		*out =
		    (struct lease_output){.kind = LEASE_YIELDED, .term = l->term, .reason = reasons[l->why]};
	} else {
		return false;
	}
	return true;
}

/* Time enough for an answer, but never beyond the end of our right. */
static int64_t
operation_ms(const struct lease *l, struct mono now)
{
	int64_t ms = limited(l->ttl_ms / 4, 1, OPERATION_MAX_MS);

	if (l->leads || l->releasing)
		ms = limited(mono_ms_between(now, l->end), 1, ms);
	return ms;
}

static void
claim(struct lease *l)
{
	l->campaigns++;
	l->claim_other_map = l->prior_other_map;
	l->claim_moved = l->seen.holder == LEASE_FREE && l->seen.revision > 0 &&
			 (l->seen.why == LEASE_WHY_BALANCE || l->seen.why == LEASE_WHY_STEP_DOWN);
}

static void
begin_operation(struct lease *l, struct mono now, enum lease_output_kind kind, struct lease_output *out)
{
	bool ours = l->leads || l->releasing;

	l->out = true;
	l->overtaken = false;
	l->kind = kind;
	l->op++;
	l->op_epoch = l->epoch;
	l->asked = now;
	l->deadline = mono_add_ms(now, operation_ms(l, now));
	if (kind == LEASE_CREATE && !ours)
		claim(l);
	*out = (struct lease_output){.kind = kind, .op = l->op, .term = l->term, .why = l->why};
	if (kind == LEASE_UPDATE || kind == LEASE_DELETE)
		out->revision = ours ? l->revision : l->seen.revision;
	else if (kind == LEASE_CREATE && !ours && l->seen.holder == LEASE_FREE)
		out->revision = l->seen.revision;
}

bool
lease_next(struct lease *l, struct mono now, struct lease_output *out)
{
	enum lease_output_kind kind;
	struct mono at;

	lease_tick(l, now);
	if (tell(l, out))
		return true;
	if (!plan(l, &kind, &at) || !mono_reached(now, at))
		return false;
	begin_operation(l, now, kind, out);
	return true;
}

struct mono
lease_wake(const struct lease *l)
{
	enum lease_output_kind kind;
	struct mono wake = {INT64_MAX}, at;

	if (l->tell_lost || l->tell_won || l->tell_yield || l->tell_renewed)
		return (struct mono){0};
	if (plan(l, &kind, &at))
		wake = at;
	if (l->leads || l->releasing || l->unconfirmed)
		wake = earlier(wake, l->end);
	if (l->yielding)
		wake = earlier(wake, l->yield_until);
	if (l->out)
		wake = earlier(wake, mono_add_ms(l->deadline, OWNER_SLACK_MS));
	return wake;
}

int64_t
lease_timeout_ms(const struct lease *l)
{
	return l->out ? mono_ms_between(l->asked, l->deadline) : limited(l->ttl_ms / 4, 1, OPERATION_MAX_MS);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

struct lease *
lease_new(int64_t ttl_ms, uint64_t seed)
{
	struct lease *l = xcalloc(1, sizeof *l);

	l->ttl_ms = ttl_ms;
	l->random = seed;
	return l;
}

void
lease_free(struct lease **l)
{
	free(*l);
	*l = NULL;
}

static bool
may_win_in_vain(const struct lease *l)
{
	return l->retired && !l->leads && (l->create_in_doubt || (l->out && l->kind == LEASE_CREATE));
}

void
lease_view(const struct lease *l, struct mono now, struct lease_view *view)
{
	bool leads = l->leads && !mono_reached(now, l->end);

	*view = (struct lease_view){
	    .leads = leads,
	    .yielding = leads && l->yielding,
	    .giving_up = (l->releasing && !mono_reached(now, l->end)) || may_win_in_vain(l),
	    .term = leads ? l->term : 0,
	    .end = leads ? l->end : l->held_until,
	    .holder = l->seen.holder,
	    .campaigns = l->campaigns,
	    .free_since = l->free_since,
	};
}
