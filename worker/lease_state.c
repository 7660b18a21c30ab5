/*
 * A lease's state: its times and back-offs, what the key was seen to be, and the ways to gain, lose and give
 * it up. Pure; part of the lease, see lease.c.
 */
#include "worker/lease_internal.h"

/* ---- times ----------------------------------------------------------------------------------------- */

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

struct mono
lease_right_end(const struct lease *l, struct mono asked)
{
	return mono_add_ms(asked, l->ttl_ms - lease_margin_ms(l->ttl_ms));
}

static struct mono
after_expiry(struct lease *l, struct mono expiry)
{
	return mono_add_ms(expiry, random_between(l, EXPIRED_MIN_MS, EXPIRED_MAX_MS));
}

/* A leader has no time for long pauses. */
void
lease_back_off(struct lease *l, struct mono now)
{
	int64_t max = l->leads || l->releasing ? limited(l->ttl_ms / 8, 1, BACKOFF_MAX_MS) : BACKOFF_MAX_MS;

	l->backoff_ms = limited(l->backoff_ms * 2, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	l->retry_at = after_jitter(l, now, limited(l->backoff_ms, 1, max), 20);
}

void
lease_back_off_refused(struct lease *l, struct mono now)
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

void
lease_observe(struct lease *l, struct mono now, const struct lease_entry *entry)
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
	/* Deleted by hand as a rule: its holder may not have heard of it yet. */
	if (entry->why == LEASE_WHY_UNKNOWN && l->held && !mono_reached(now, l->held_until))
		l->open_at = mono_add_ms(now, random_between(l, TAKEN_MIN_MS, TAKEN_MAX_MS));
	l->held = false;
	if (entry->why != LEASE_WHY_UNKNOWN)
		l->prior_other_map = false;
}

void
lease_observe_ours(struct lease *l, struct mono now, uint64_t revision)
{
	lease_observe(l, now, &(struct lease_entry){.holder = LEASE_OURS, .revision = revision});
}

/* ---- gain and loss --------------------------------------------------------------------------------- */

void
lease_forget_failures(struct lease *l, struct mono now)
{
	l->backoff_ms = l->refused_ms = 0;
	l->retry_at = l->refused_until = now;
	l->must_read = l->probe = l->failed = false;
	l->in_doubt = l->create_in_doubt = false;
}

void
lease_count_from(struct lease *l, struct mono asked)
{
	l->applied = asked;
	l->end = lease_right_end(l, asked);
	l->renew_at = after_jitter(l, asked, l->ttl_ms / 4, 10);
}

void
lease_win(struct lease *l, struct mono now, uint64_t revision)
{
	lease_observe_ours(l, now, revision);
	lease_forget_failures(l, now);
	l->leads = true;
	l->yielding = l->unconfirmed = l->anew = false;
	l->leave_until = now;
	l->term = l->revision = revision;
	lease_count_from(l, l->asked);
	l->tell_won = true;
}

static void
stop_leading(struct lease *l)
{
	l->leads = l->yielding = l->anew = false;
	l->tell_yield = l->tell_renewed = false;
}

/* A gain that nobody was told of needs no loss. entry: what is there now, NULL if that is not known. */
void
lease_lose(struct lease *l, struct mono now, const char *reason, const struct lease_entry *entry)
{
	if (!l->tell_won && !l->tell_lost) {
		l->tell_lost = true;
		l->lost_term = l->term;
		l->lost_reason = reason;
	}
	l->tell_won = false;
	stop_leading(l);
	lease_forget_failures(l, now);
	l->epoch++;
	l->claim_moved = l->claim_other_map = false;
	if (entry != NULL)
		lease_observe(l, now, entry);
	else
		l->must_read = true;
}

/* It was to be handed over, and nobody says that the workers have stopped: the key may not be given up. */
void
lease_lose_unconfirmed(struct lease *l, struct mono now)
{
	uint64_t revision = l->revision;
	bool anew = l->anew;

	l->leave_until = mono_add_ms(now, 2 * l->ttl_ms);
	lease_lose(l, now, "its workers did not settle in time", NULL);
	lease_observe_ours(l, now, anew ? 0 : revision);
	l->unconfirmed = true;
}

void
lease_begin_release(struct lease *l, struct mono now, enum lease_why why)
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
void
lease_end_release(struct lease *l, struct mono now, const struct lease_entry *entry)
{
	l->releasing = false;
	l->epoch++;
	if (entry != NULL)
		lease_observe(l, now, entry);
	else
		l->must_read = true;
}
