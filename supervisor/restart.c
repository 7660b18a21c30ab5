/* The restart policy (see the header). Pure code of the supervisor; calls nothing. */
#include "supervisor/restart.h"

void
restart_init(struct restart *r)
{
	*r = (struct restart){0};
}

void
restart_forgive(struct restart *r)
{
	restart_init(r);
}

void
restart_ready(struct restart *r, struct mono now)
{
	r->at_work = true;
	r->ready = now;
}

/* Back-off of the n-th end in a row, n from 1. */
static int64_t
backoff_ms(uint32_t n)
{
	int64_t ms = RESTART_FIRST_MS;

	while (--n > 0 && ms < RESTART_MAX_MS)
		ms *= 2;
	return ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS;
}

/* ms less up to a quarter of it. */
static int64_t
jitter(int64_t ms, uint32_t random)
{
	return ms - (int64_t)((uint64_t)(ms / 4) * random / UINT32_MAX);
}

void
restart_ended(struct restart *r, struct mono now, bool permanent, uint32_t random)
{
	bool was_at_work = r->at_work;
	int64_t delay;

	if (was_at_work && mono_ms_between(r->ready, now) >= RESTART_HEALTHY_MS)
		restart_init(r);
	r->at_work = false;
	r->permanent = permanent;
	if (was_at_work && !r->quick_taken && r->steps == 0) {
		delay = RESTART_QUICK_MS;
		r->quick_taken = true;
	} else {
		if (r->steps < UINT32_MAX)
			r->steps++;
		delay = backoff_ms(r->steps);
	}
	r->next = mono_add_ms(now, jitter(delay, random));
}
