/* A token bucket. Pure code of the supervisor: it keeps one worker's noise from filling the log. */
#include "supervisor/throttle.h"

void
throttle_init(struct throttle *t, double burst, double per_second, struct mono now)
{
	*t = (struct throttle){.burst = burst, .per_second = per_second, .left = burst, .at = now};
}

bool
throttle_pass(struct throttle *t, struct mono now, uint64_t *held_back)
{
	t->left += (double)(now.ns - t->at.ns) / 1e9 * t->per_second;
	if (t->left > t->burst)
		t->left = t->burst;
	t->at = now;
	if (t->left < 1) {
		t->held_back++;
		return false;
	}
	t->left -= 1;
	*held_back = t->held_back;
	t->held_back = 0;
	return true;
}
