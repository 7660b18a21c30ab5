/* The progress watchdog's policy; runs in a replicating worker. */
#include "worker/watchdog.h"

#include <stddef.h>

#include "common/array.h"

/* Milliseconds without progress after which each step is due. */
static const struct {
	enum watchdog_step step;
	int64_t after_ms;
} steps[] = {
    {WATCHDOG_REPULL, 5000},     {WATCHDOG_RESUBSCRIBE, 10000}, {WATCHDOG_RECREATE, 15000},
    {WATCHDOG_RECONNECT, 25000}, {WATCHDOG_UNHEALTHY, 40000},
};
enum { AGAIN_AFTER_MS = 70000, RECREATE_STEP = 2 };

void
watchdog_init(struct watchdog *w, struct mono now)
{
	w->progress_at = now;
	w->step = WATCHDOG_FINE;
}

enum watchdog_step
watchdog_look(struct watchdog *w, uint64_t progress, bool has_work, struct mono now)
{
	int64_t still_ms;

	if (!has_work || progress != w->progress) {
		w->progress = progress;
		watchdog_init(w, now);
		return WATCHDOG_FINE;
	}
	still_ms = mono_ms_between(w->progress_at, now);
	for (size_t i = 0; i < array_len(steps); i++)
		if (steps[i].step > w->step && still_ms >= steps[i].after_ms) {
			w->step = steps[i].step;
			return w->step;
		}
	if (still_ms >= AGAIN_AFTER_MS) {
		w->progress_at = mono_add_ms(now, -steps[RECREATE_STEP].after_ms);
		w->step = steps[RECREATE_STEP].step;
		return w->step;
	}
	return WATCHDOG_FINE;
}
