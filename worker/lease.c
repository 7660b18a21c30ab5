/*
 * A name's election as one node sees it; pure, runs in an elector. Every entry point looks at the clock first
 * (tick()), so that a process that was stopped learns that its lease has ended before it does anything else.
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
#include "worker/lease.h"

#include <stdlib.h>

#include "common/proto.h"
#include "common/xalloc.h"

enum {
	OPERATION_MAX_MS = 2000,
	OWNER_SLACK_MS = 1000, /* after which an operation counts as given up, whatever the owner does */
	BACKOFF_MIN_MS = 250,
	BACKOFF_MAX_MS = 2000,
	REFUSED_MIN_MS = 1000,
	REFUSED_MAX_MS = 30000,
	EXPIRED_MIN_MS = 750, /* after the end of a key's TTL */
	EXPIRED_MAX_MS = 1000,
	FREE_LONG_MS = 1000, /* a key that was handed over and that nobody took */
};

struct lease {
	int64_t ttl_ms, reserve_ms;
	uint64_t random, campaigns;
	bool reachable, retired;

	/* The key as seen last. */
	bool known; /* seen holds what is there, in this bucket */
	struct lease_entry seen;
	bool held;               /* somebody's, or it was before it went missing without a marker */
	struct mono held_until;  /* it will have expired then */
	struct mono free_since;  /* with LEASE_FREE */
	struct mono open_at;     /* campaign from then on, plus the reserve */
	struct mono leave_until; /* we handed it over */
	bool prior_other_map;    /* of who held it last and has not given it up in order */
	bool overtaken;          /* the watch told something while a read was out */

	/* The operation that is out. */
	bool out;
	enum lease_output_kind kind;
	uint64_t op, op_epoch;
	struct mono asked, deadline;
	uint64_t epoch; /* counts losses and buckets: answers to writes from before say nothing any more */

	/* The next one. */
	bool must_read, probe; /* probe: read instead of another try to win */
	bool failed;           /* to win, and nothing has changed since */
	struct mono retry_at, refused_until;
	int64_t backoff_ms, refused_ms;

	bool leads, yielding, unconfirmed, releasing, anew;
	enum lease_why why; /* yielding, unconfirmed, releasing */
	uint64_t term;
	uint64_t revision;   /* our key's: leading, unconfirmed, releasing */
	struct mono applied; /* when the newest write known to be applied was asked for */
	struct mono end, renew_at, yield_until;
	bool in_doubt; /* leading: writes on `revision` without a clear answer, the earliest at doubt_since */
	struct mono doubt_since;
	bool create_in_doubt;              /* not leading */
	bool claim_moved, claim_other_map; /* of the create asked for last */

	/* What is still to be told. */
	bool tell_lost, tell_won, tell_yield, tell_renewed;
	uint64_t lost_term;
	const char *lost_reason;
};

/* ---- times ----------------------------------------------------------------------------------------- */

static struct mono
later(struct mono a, struct mono b)
{
	return a.ns > b.ns ? a : b;
}

static struct mono
earlier(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}

static int64_t
limited(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

/* Evenly from min to max. */
static int64_t
random_between(struct lease *l, int64_t min, int64_t max)
{
	uint64_t x;

	l->random += UINT64_C(0x9E3779B97F4A7C15);
	x = l->random;
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	x ^= x >> 31;
	return min + (int64_t)(x % (uint64_t)(max - min + 1));
}

static struct mono
after_jitter(struct lease *l, struct mono from, int64_t ms, int64_t percent)
{
	return mono_add_ms(from, random_between(l, ms - ms * percent / 100, ms + ms * percent / 100));
}

int64_t
lease_margin_ms(int64_t ttl_ms)
{
	return limited(ttl_ms / 10, 100, 1000);
}

static struct mono
right_end(const struct lease *l, struct mono asked)
{
	return mono_add_ms(asked, l->ttl_ms - lease_margin_ms(l->ttl_ms));
}

static struct mono
after_expiry(struct lease *l, struct mono expiry)
{
	return mono_add_ms(expiry, random_between(l, EXPIRED_MIN_MS, EXPIRED_MAX_MS));
}

/* A leader has no time for long pauses. */
static void
back_off(struct lease *l, struct mono now)
{
	int64_t max = l->leads || l->releasing ? limited(l->ttl_ms / 8, 1, BACKOFF_MAX_MS) : BACKOFF_MAX_MS;

	l->backoff_ms = limited(l->backoff_ms * 2, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	l->retry_at = after_jitter(l, now, limited(l->backoff_ms, 1, max), 20);
}

static void
back_off_refused(struct lease *l, struct mono now)
{
	int64_t max = l->leads || l->releasing ? limited(l->ttl_ms / 4, 1, REFUSED_MAX_MS) : REFUSED_MAX_MS;

	l->refused_ms = limited(l->refused_ms * 2, REFUSED_MIN_MS, REFUSED_MAX_MS);
	l->refused_until = after_jitter(l, now, limited(l->refused_ms, 1, max), 20);
}

/* ---- what the key is ------------------------------------------------------------------------------- */

/* Not a delete, which leaves a marker: it has expired, or the stream was purged. */
static void
observe_missing(struct lease *l, struct mono now, enum lease_holder before)
{
	if (!l->held)
		l->open_at = now;
	else if (before == LEASE_OURS)
		l->open_at = later(after_expiry(l, now), l->open_at);
	else
		l->open_at = later(now, l->open_at);
}

static void
observe_holder(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	l->held = true;
	l->held_until = mono_add_ms(now, l->ttl_ms);
	l->open_at = after_expiry(l, l->held_until);
	l->prior_other_map = entry->holder == LEASE_OTHER && entry->other_map;
	/* What we handed over was taken: if that node gives it up or dies, it is as open as any. */
	if (entry->holder == LEASE_OTHER)
		l->leave_until = now;
	/* A key in our name is taken over at once, unless we have just handed it over. */
	if (entry->holder == LEASE_OURS && mono_reached(now, l->leave_until))
		l->open_at = now;
}

static void
observe(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	enum lease_holder before = l->seen.holder;

	l->seen = *entry;
	l->known = true;
	l->failed = l->probe = false;
	l->backoff_ms = 0;
	l->retry_at = now;
	if (entry->holder != LEASE_FREE) {
		observe_holder(l, now, entry);
		return;
	}
	l->free_since = now;
	if (entry->revision == 0) {
		observe_missing(l, now, before);
		return;
	}
	l->open_at = now;
	l->held = false;
	if (entry->why != LEASE_WHY_UNKNOWN)
		l->prior_other_map = false;
}

static void
observe_ours(struct lease *l, struct mono now, uint64_t revision)
{
	observe(l, now, &(struct lease_entry){.holder = LEASE_OURS, .revision = revision});
}

/* ---- gain and loss --------------------------------------------------------------------------------- */

static void
forget_failures(struct lease *l, struct mono now)
{
	l->backoff_ms = l->refused_ms = 0;
	l->retry_at = l->refused_until = now;
	l->must_read = l->probe = l->failed = false;
	l->in_doubt = l->create_in_doubt = false;
}

static void
count_from(struct lease *l, struct mono asked)
{
	l->applied = asked;
	l->end = right_end(l, asked);
	l->renew_at = after_jitter(l, asked, l->ttl_ms / 4, 10);
}

static void
win(struct lease *l, struct mono now, uint64_t revision)
{
	observe_ours(l, now, revision);
	forget_failures(l, now);
	l->leads = true;
	l->yielding = l->unconfirmed = l->anew = false;
	l->leave_until = now;
	l->term = l->revision = revision;
	count_from(l, l->asked);
	l->tell_won = true;
}

static void
stop_leading(struct lease *l)
{
	l->leads = l->yielding = l->anew = false;
	l->tell_yield = l->tell_renewed = false;
}

/* A gain that nobody was told of needs no loss. entry: what is there now, NULL if that is not known. */
static void
lose(struct lease *l, struct mono now, const char *reason, const struct lease_entry *entry)
{
	if (!l->tell_won && !l->tell_lost) {
		l->tell_lost = true;
		l->lost_term = l->term;
		l->lost_reason = reason;
	}
	l->tell_won = false;
	stop_leading(l);
	forget_failures(l, now);
	l->epoch++;
	l->claim_moved = l->claim_other_map = false;
	if (entry != NULL)
		observe(l, now, entry);
	else
		l->must_read = true;
}

/* It was to be handed over, and nobody says that the workers have stopped: the key may not be given up. */
static void
lose_unconfirmed(struct lease *l, struct mono now)
{
	uint64_t revision = l->revision;
	bool anew = l->anew;

	l->leave_until = mono_add_ms(now, 2 * l->ttl_ms);
	lose(l, now, "its workers did not settle in time", NULL);
	observe_ours(l, now, anew ? 0 : revision);
	l->unconfirmed = true;
}

static void
begin_release(struct lease *l, struct mono now, enum lease_why why)
{
	bool moves = why == LEASE_WHY_STEP_DOWN || why == LEASE_WHY_BALANCE;

	l->must_read |= l->in_doubt || l->anew;
	l->in_doubt = false;
	stop_leading(l);
	l->tell_won = l->unconfirmed = false;
	l->releasing = true;
	l->why = why;
	l->backoff_ms = 0;
	l->retry_at = now;
	l->leave_until = moves ? mono_add_ms(now, 2 * l->ttl_ms) : now;
	l->held_until = mono_add_ms(now, l->ttl_ms);
	l->open_at = after_expiry(l, l->held_until);
}

/* By itself the key expires soon enough now. */
static void
end_release(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	l->releasing = false;
	l->epoch++;
	if (entry != NULL)
		observe(l, now, entry);
	else
		l->must_read = true;
}

/* ---- the clock ------------------------------------------------------------------------------------- */

static void write_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision);
static void read_answered(struct lease *l, struct mono now, const struct lease_entry *entry);

static void
tick(struct lease *l, struct mono now)
{
	if (l->leads && mono_reached(now, l->end))
		lose(l, now, "the lease has ended without a renewal", NULL);
	else if (l->yielding && mono_reached(now, l->yield_until))
		lose_unconfirmed(l, now);
	if (l->unconfirmed && mono_reached(now, l->end))
		l->unconfirmed = false;
	if (l->releasing && mono_reached(now, l->end))
		end_release(l, now, NULL);
	if (!l->out || !mono_reached(now, mono_add_ms(l->deadline, OWNER_SLACK_MS)))
		return;
	if (l->kind == LEASE_READ)
		read_answered(l, now, NULL);
	else
		write_answered(l, now, LEASE_UNKNOWN, 0);
}

/* ---- answers to writes ----------------------------------------------------------------------------- */

static void
renewal_answered(struct lease *l, struct mono now, enum lease_answer answer, uint64_t revision)
{
	switch (answer) {
	case LEASE_APPLIED:
		forget_failures(l, now);
		l->anew = false;
		l->known = true;
		l->revision = l->seen.revision = revision;
		l->held_until = mono_add_ms(now, l->ttl_ms);
		count_from(l, l->asked);
		l->tell_renewed = true;
		break;
	case LEASE_REFUSED:
		back_off_refused(l, now);
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
	observe_ours(l, now, revision);
	if (!l->retired)
		return;
	l->revision = revision;
	l->end = right_end(l, l->asked);
	begin_release(l, now, LEASE_WHY_STOP);
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
		if (l->retired || revision == l->term || mono_reached(now, right_end(l, l->asked)))
			won_in_vain(l, now, revision);
		else
			win(l, now, revision);
		break;
	case LEASE_REFUSED:
		back_off_refused(l, now);
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
		back_off_refused(l, now);
	else if (answer != LEASE_APPLIED)
		l->must_read = l->failed = true;
	else if (l->kind == LEASE_DELETE)
		end_release(l, now, &marker);
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
	tick(l, now);
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

	forget_failures(l, now);
	l->anew = false;
	l->known = true;
	l->revision = l->seen.revision = revision;
	if (counts) {
		count_from(l, since);
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
			back_off(l, now);
		else if (l->failed)
			l->backoff_ms = BACKOFF_MIN_MS / 2;
	} else {
		lose(l, now, entry->holder == LEASE_FREE ? "its key is gone" : "its key is another's", entry);
	}
}

static void
releaser_read(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	if (entry->holder != LEASE_OURS) {
		end_release(l, now, entry);
		return;
	}
	if (entry->revision == l->revision && l->failed)
		back_off(l, now);
	l->revision = l->seen.revision = entry->revision;
}

static void
candidate_read(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	bool changed = !l->known || entry->revision != l->seen.revision || entry->holder != l->seen.holder;
	/* Its TTL is over by our count, but not by the server's. */
	bool overdue = entry->holder == LEASE_OTHER && mono_reached(now, l->open_at);

	if (changed) {
		observe(l, now, entry);
	} else if (l->failed || overdue) {
		l->probe = overdue;
		back_off(l, now);
	}
	if (entry->holder == LEASE_OURS) {
		l->revision = entry->revision;
		if (l->retired && l->create_in_doubt) {
			l->end = mono_add_ms(now, l->ttl_ms);
			begin_release(l, now, LEASE_WHY_STOP);
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
			back_off(l, now);
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
	tick(l, now);
	if (l->out && l->op == op && l->kind == LEASE_READ)
		read_answered(l, now, entry);
}

/* ---- what the owner tells else --------------------------------------------------------------------- */

/* Our own writes come back by the watch before or after their answers; only what is not ours matters. */
static void
leader_saw(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	if (entry->revision == 0 || entry->holder == LEASE_OURS)
		l->must_read |= !l->out;
	else
		lose(l, now, entry->holder == LEASE_FREE ? "its key is gone" : "its key is another's", entry);
}

void
lease_saw(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	uint64_t known;

	tick(l, now);
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
		end_release(l, now, entry);
	else if (!l->releasing)
		observe(l, now, entry);
}

void
lease_reachable(struct lease *l, struct mono now, bool reachable)
{
	tick(l, now);
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

	tick(l, now);
	if (ttl_ms == l->ttl_ms)
		return;
	l->ttl_ms = ttl_ms;
	if (!l->leads)
		return;
	l->renew_at = earlier(l->renew_at, now);
	end = right_end(l, l->applied);
	if (end.ns < l->end.ns) {
		l->end = end;
		l->tell_renewed = true;
	}
	tick(l, now);
}

void
lease_bucket_anew(struct lease *l, struct mono now)
{
	tick(l, now);
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
	tick(l, now);
	if (!l->leads || l->yielding)
		return;
	l->yielding = l->tell_yield = true;
	l->yield_until = mono_add_ms(now, PROTO_SETTLE_MS);
	l->why = why;
}

void
lease_release(struct lease *l, struct mono now, enum lease_why why)
{
	tick(l, now);
	if (l->leads || l->unconfirmed)
		begin_release(l, now, why);
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
	l->claim_moved =
	    l->seen.holder == LEASE_FREE && l->seen.revision > 0 && l->seen.why == LEASE_WHY_BALANCE;
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

	tick(l, now);
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
