/*
 * The schedule: a wheel of wheels. The slots of the first are 250 ms, those of the second 64 s: these two
 * hold all times within 3 days, so that no more has to move at once than falls due within a minute. The
 * others hold any time that can be said.
 *
 * A time is a count of ticks of 250 ms. An entry hangs in the lowest level that goes far enough from the
 * wheel's tick. When the wheel comes to a slot of a higher level, what is in it moves down; what is in a slot
 * of the lowest is due. Slots with nothing in them are passed by their bits, not one by one. An entry that
 * was put off keeps its slot until that comes up. Pure.
 */
#include <string.h>

#include "worker/tracker_internal.h"

#define TICK_MS  250
#define HEAD_BIT (UINT32_C(1) << 31) /* in prev: not an id but a slot */

/* Each level goes on where the one below ends. */
static const struct level {
	unsigned shift;        /* log2 of the ticks of a slot */
	uint32_t first, slots; /* in heads; slots is a power of 2 */
} levels[TRACKER_WHEEL_LEVELS] = {
    {0, 0, 256},     {8, 256, 4096},  {20, 4352, 256}, {28, 4608, 256},
    {36, 4864, 256}, {44, 5120, 256}, {52, 5376, 256},
};

/* Rounds up or down, below 0 too; counts from a time before all that int64_t has. */
static uint64_t
tick_of(int64_t ms, bool up)
{
	int64_t tick = ms / TICK_MS;

	if (ms % TICK_MS > 0 && up)
		tick++;
	else if (ms % TICK_MS < 0 && !up)
		tick--;
	return (uint64_t)tick + (UINT64_C(1) << 56);
}

static uint32_t
slot_of(const struct level *level, uint64_t tick)
{
	return level->first + (uint32_t)(tick >> level->shift & (level->slots - 1));
}

void
tracker_wheel_init(struct tracker_wheel *w)
{
	memset(w, 0, sizeof *w);
	for (size_t i = 0; i < TRACKER_WHEEL_SLOTS; i++)
		w->heads[i] = TRACKER_NONE;
}

void
tracker_wheel_link(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e)
{
	uint64_t tick = tick_of(e->at_ms, true);
	const struct level *level = levels;

	if (tick < w->tick)
		tick = w->tick;
	while ((tick >> level->shift) - (w->tick >> level->shift) >= level->slots)
		level++;
	uint32_t slot = slot_of(level, tick), *head = &w->heads[slot];

	e->prev = HEAD_BIT | slot;
	e->next = *head;
	if (*head != TRACKER_NONE)
		tracker_pages_get(p, *head)->prev = e->id;
	*head = e->id;
	w->taken[slot / 64] |= UINT64_C(1) << slot % 64;
	e->scheduled = true;
}

void
tracker_wheel_unlink(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e)
{
	uint32_t slot = e->prev & ~HEAD_BIT;

	if (e->next != TRACKER_NONE)
		tracker_pages_get(p, e->next)->prev = e->prev;
	if (!(e->prev & HEAD_BIT))
		tracker_pages_get(p, e->prev)->next = e->next;
	else if ((w->heads[slot] = e->next) == TRACKER_NONE)
		w->taken[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	e->scheduled = false;
}

/* How many slots behind that of the wheel's tick the next one with something in it is; 0: there is none. The
 * level is a ring; all its sizes are of whole words. */
static uint32_t
next_taken(const struct tracker_wheel *w, const struct level *level)
{
	const uint64_t *taken = &w->taken[level->first / 64];
	uint32_t here = slot_of(level, w->tick) - level->first, mask = level->slots - 1;

	for (uint32_t ahead = 1; ahead < level->slots; ahead += 64 - ((here + ahead) & 63)) {
		uint32_t slot = (here + ahead) & mask;
		uint64_t bits = taken[slot / 64] >> slot % 64;

		if (bits != 0)
			return (ahead + (uint32_t)__builtin_ctzll(bits)) & mask;
	}
	return 0;
}

/* When something is to be done next, after the tick of now: the start of the next slot that has something.
 * UINT64_MAX if there is none. */
static uint64_t
next_tick(const struct tracker_wheel *w)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < TRACKER_WHEEL_LEVELS; i++) {
		uint32_t ahead = next_taken(w, &levels[i]);
		uint64_t start = ((w->tick >> levels[i].shift) + ahead) << levels[i].shift;

		if (ahead > 0 && start < first)
			first = start;
	}
	return first;
}

/* An entry of the slots in which the wheel stands, the highest level first: what moves down passes all. */
static uint32_t
first_here(const struct tracker_wheel *w)
{
	for (size_t i = TRACKER_WHEEL_LEVELS; i-- > 0;) {
		uint32_t head = w->heads[slot_of(&levels[i], w->tick)];

		if (head != TRACKER_NONE)
			return head;
	}
	return TRACKER_NONE;
}

struct tracker_entry *
tracker_wheel_due(struct tracker_wheel *w, const struct tracker_pages *p, int64_t now_ms, uint32_t max_steps,
		  bool *more)
{
	uint64_t now = tick_of(now_ms, false);

	*more = true;
	for (uint32_t steps = 0; w->tick <= now && steps < max_steps; steps++) {
		uint32_t id = first_here(w);

		if (id == TRACKER_NONE) {
			uint64_t next = next_tick(w);

			w->tick = next < now ? next : now;
			if (next <= now)
				continue;
			*more = false;
			return NULL;
		}
		struct tracker_entry *e = tracker_pages_get(p, id);

		tracker_wheel_unlink(w, p, e);
		if (tick_of(e->at_ms, true) <= w->tick)
			return e;
		tracker_wheel_link(w, p, e);
	}
	*more = w->tick <= now;
	return NULL;
}
