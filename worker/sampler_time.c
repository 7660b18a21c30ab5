/*
 * Silence: what falls due by the listening clock, and the advisories of it. Part of the sampler; pure.
 *
 * An entry's time in the schedule may be earlier than what it waits for (it was heard since): it is looked at
 * again then. It is never later: whatever makes something due earlier (recovery, another past, a change of
 * lead) sets the time anew. An entry with messages in flight is not silent; settling gives it a time.
 */
#include "worker/sampler_internal.h"

enum {
	/* A value is forgotten so much after its time: a message that was stored in time may still be on its
	 * way, and is judged by what was copied before it. */
	LATE_MS = 3000,
	FOLLOW_MS = 5000, /* a standby forgets so much later than its leader */
	WALK_STEPS = 2048,
	DUE_STEPS = 1024,
};

int64_t
sampler_age(const struct sampler *s, int64_t seen_ms)
{
	return listening_now(&s->listening) - listening_at(&s->listening, seen_ms);
}

static int64_t
limit_of(const struct sampler *s, const struct tracker_entry *e)
{
	if (s->leads && !e->advised)
		return s->rules.warn_ms;
	return s->rules.duration_ms + LATE_MS + (s->leads ? 0 : FOLLOW_MS);
}

void
sampler_schedule(struct sampler *s, struct tracker_entry *e, bool anew)
{
	if (!sampler_known(e) || (e->scheduled ? !anew : e->pending > 0))
		return;
	tracker_schedule(s->table, e, listening_at(&s->listening, e->settled.seen_ms) + limit_of(s, e));
}

void
sampler_raise(struct sampler *s, struct tracker_entry *e, enum advisory_event event, int64_t at_ms)
{
	struct advisory a = {.event = event, .seen_ms = e->settled.seen_ms, .at_ms = at_ms};
	size_t len;

	a.value = tracker_value(e, &len);
	if (event == ADVISORY_EVENT_NEW || event == ADVISORY_EVENT_RECOVER)
		a.seen_ms = at_ms;
	if (s->callbacks.advise != NULL && s->callbacks.advise(s->arg, &a))
		sampler_hold(s, e);
}

static void
time_out(struct sampler *s, struct tracker_entry *e)
{
	sampler_set_advised(s, e, true);
	sampler_raise(s, e, ADVISORY_EVENT_TIMEOUT, e->settled.seen_ms + s->rules.warn_ms);
	sampler_tell(s, e);
	sampler_is_urgent(s);
}

/* Nothing is known of it any more but that its queues must hear so. */
static void
forget(struct sampler *s, struct tracker_entry *e, bool raise)
{
	if (raise)
		sampler_raise(s, e, ADVISORY_EVENT_EXPIRE, e->settled.seen_ms + s->rules.duration_ms);
	sampler_set_advised(s, e, false);
	e->settled = (struct tracker_state){0, 0, 0};
	if (e->pending == 0)
		e->offered = e->settled;
	e->forgotten = true;
	s->known--;
	if (raise) {
		sampler_tell(s, e);
		sampler_is_urgent(s);
	} else {
		sampler_tell_here(s, e);
	}
}

void
sampler_lapse(struct sampler *s, struct tracker_entry *e, int64_t heard_ms, bool raise)
{
	int64_t seen_ms = e->settled.seen_ms;

	/* By the wall clock first: it is the cheaper question. */
	if (!sampler_known(e) || heard_ms - seen_ms < s->rules.duration_ms ||
	    listening_at(&s->listening, heard_ms) - listening_at(&s->listening, seen_ms) <
		s->rules.duration_ms)
		return;
	if (raise && !e->advised)
		time_out(s, e);
	forget(s, e, raise);
}

static void
fall_due(struct sampler *s, struct tracker_entry *e, int64_t now_ms)
{
	int64_t age;

	if (e->pending > 0 || !sampler_known(e))
		return;
	sampler_repair(s, e, now_ms);
	age = sampler_age(s, e->settled.seen_ms);
	/* Whoever expires has timed out before, also when both fall due at once. */
	if (s->leads && !e->advised && age >= s->rules.warn_ms)
		time_out(s, e);
	if (age >= s->rules.duration_ms + LATE_MS + (s->leads ? 0 : FOLLOW_MS))
		forget(s, e, s->leads);
	else
		sampler_schedule(s, e, true);
}

/* Sets all times anew, some at a time. False once that is done. */
static bool
walk(struct sampler *s)
{
	struct tracker_entry *e;

	for (int i = 0; s->walking && i < WALK_STEPS; i++) {
		e = tracker_next(s->table, &s->cursor);
		if (e == NULL)
			s->walking = false;
		else
			sampler_schedule(s, e, true);
	}
	return s->walking;
}

static void
start_walk(struct sampler *s, bool leads)
{
	if (leads == s->leads && s->edition == s->listening.edition)
		return;
	s->leads = leads;
	s->edition = s->listening.edition;
	s->walking = true;
	s->cursor = 0;
}

bool
sampler_tick(struct sampler *s, bool leads, int64_t now_ms)
{
	struct tracker_entry *e;
	bool more = false, walks;
	int64_t now;

	if (s->recalling)
		return false;
	start_walk(s, leads);
	walks = walk(s);
	now = listening_now(&s->listening);
	for (int i = 0; i < DUE_STEPS; i++) {
		e = tracker_due(s->table, now, DUE_STEPS, &more);
		if (e == NULL)
			break;
		fall_due(s, e, now_ms);
	}
	return walks || more;
}

struct listening *
sampler_listening(struct sampler *s)
{
	return &s->listening;
}
