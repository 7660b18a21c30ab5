/*
 * The schedule: a wheel of wheels with slots of 250 ms, 64 s, 4.5 h, 48 days and so on.
 *
 * A time is a count of ticks of 250 ms, a number of 8 digits of 8 bits. An entry hangs in the level of the
 * highest digit in which its time differs from that of the wheel, in the slot of that digit. When the wheel
 * comes to a slot of a higher level, what is in it moves down; what is in a slot of the lowest is due. So all
 * times, however far, cost at most a move a level, and slots with nothing in them are passed by their bits,
 * not one by one. An entry that was put off keeps its slot until that comes up. Pure.
 */
#include <string.h>

#include "worker/tracker_internal.h"

#define TICK_MS    250
#define DIGIT_BITS 8
#define HEAD_BIT   (UINT32_C(1) << 31) /* in prev: not an id but level and slot */

/* Rounds up; counts from a time before all that int64_t has. */
static uint64_t
tick_of(int64_t ms, bool up)
{
	int64_t tick = ms / TICK_MS;

	if (ms % TICK_MS > 0 && up)
		tick++;
	else if (ms % TICK_MS < 0 && !up)
		tick--;
	return (uint64_t)tick + (UINT64_C(1) << 62);
}

static uint32_t
digit_of(uint64_t tick, unsigned level)
{
	return (uint32_t)(tick >> level * DIGIT_BITS & (TRACKER_WHEEL_SLOTS - 1));
}

void
tracker_wheel_init(struct tracker_wheel *w)
{
	memset(w, 0, sizeof *w);
	for (unsigned level = 0; level < TRACKER_WHEEL_LEVELS; level++)
		for (unsigned slot = 0; slot < TRACKER_WHEEL_SLOTS; slot++)
			w->heads[level][slot] = TRACKER_NONE;
}

void
tracker_wheel_link(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e)
{
	uint64_t tick = tick_of(e->at_ms, true);
	uint64_t differs = tick > w->tick ? tick ^ w->tick : 0;
	unsigned level = differs == 0 ? 0 : (unsigned)(63 - __builtin_clzll(differs)) / DIGIT_BITS;
	uint32_t slot = digit_of(differs == 0 ? w->tick : tick, level);
	uint32_t *head = &w->heads[level][slot];

	e->prev = HEAD_BIT | level << DIGIT_BITS | slot;
	e->next = *head;
	if (*head != TRACKER_NONE)
		tracker_pages_get(p, *head)->prev = e->id;
	*head = e->id;
	w->taken[level][slot / 64] |= UINT64_C(1) << slot % 64;
	e->scheduled = true;
}

void
tracker_wheel_unlink(struct tracker_wheel *w, const struct tracker_pages *p, struct tracker_entry *e)
{
	if (e->next != TRACKER_NONE)
		tracker_pages_get(p, e->next)->prev = e->prev;
	if (e->prev & HEAD_BIT) {
		uint32_t level = (e->prev & ~HEAD_BIT) >> DIGIT_BITS;
		uint32_t slot = e->prev & (TRACKER_WHEEL_SLOTS - 1);

		w->heads[level][slot] = e->next;
		if (e->next == TRACKER_NONE)
			w->taken[level][slot / 64] &= ~(UINT64_C(1) << slot % 64);
	} else {
		tracker_pages_get(p, e->prev)->next = e->next;
	}
	e->scheduled = false;
}

/* The first slot of that level behind `slot` with something in it; TRACKER_WHEEL_SLOTS if there is none. */
static uint32_t
taken_after(const struct tracker_wheel *w, unsigned level, uint32_t slot)
{
	for (uint32_t from = slot + 1; from < TRACKER_WHEEL_SLOTS; from = (from | 63) + 1) {
		uint64_t bits = w->taken[level][from / 64] >> from % 64;

		if (bits != 0)
			return from + (uint32_t)__builtin_ctzll(bits);
	}
	return TRACKER_WHEEL_SLOTS;
}

/* When something is to be done next, after the tick of now: the start of the next slot that has something.
 * Those of a lower level all come before those of a higher. UINT64_MAX if there is none. */
static uint64_t
next_tick(const struct tracker_wheel *w)
{
	for (unsigned level = 0; level < TRACKER_WHEEL_LEVELS; level++) {
		uint32_t slot = taken_after(w, level, digit_of(w->tick, level));
		uint64_t above = level + 1 == TRACKER_WHEEL_LEVELS ? 0 : w->tick >> (level + 1) * DIGIT_BITS;

		if (slot < TRACKER_WHEEL_SLOTS)
			return (above << DIGIT_BITS | slot) << level * DIGIT_BITS;
	}
	return UINT64_MAX;
}

/* An entry of the slots in which the wheel stands, the highest level first: what moves down passes all. */
static uint32_t
first_here(const struct tracker_wheel *w)
{
	for (unsigned level = TRACKER_WHEEL_LEVELS; level-- > 0;) {
		uint32_t head = w->heads[level][digit_of(w->tick, level)];

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
