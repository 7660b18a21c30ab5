/*
 * From the hash of a value to the ids that have it. The hash is keyed (siphash.h), for values are hostile.
 *
 * At least 256 parts, chosen by the highest bits of the hash, each a table of its own with linear probing
 * that grows by half when it is full to 4/5: a part of a table of 2 million values has 8,000 ids, so no
 * growth holds up the loop. The hash stands beside the id: growing and passing by touch no entry. Removal
 * closes the gap; there are no graves. Pure.
 */
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/tracker_internal.h"

#define PARTS_BITS_MIN 8
#define PARTS_BITS_MAX 14
#define PART_IDS       8192 /* so many ids a part is meant to have at most */
#define PART_CAP_MIN   8

static uint32_t
home_of(const struct tracker_part *part, unsigned bits, uint32_t hash)
{
	return (uint32_t)((uint64_t)(uint32_t)(hash << bits) * part->cap >> 32);
}

static uint32_t
slot_after(const struct tracker_part *part, uint32_t slot)
{
	return slot + 1 == part->cap ? 0 : slot + 1;
}

static struct tracker_part *
part_of(const struct tracker_index *x, uint32_t hash)
{
	return &x->parts[hash >> (32 - x->bits)];
}

void
tracker_index_init(struct tracker_index *x, uint32_t max)
{
	x->bits = PARTS_BITS_MIN;
	while (x->bits < PARTS_BITS_MAX && max >> x->bits > PART_IDS)
		x->bits++;
	x->parts = xcalloc((size_t)1 << x->bits, sizeof *x->parts);
}

void
tracker_index_fini(struct tracker_index *x)
{
	for (size_t i = 0; i < (size_t)1 << x->bits; i++)
		free(x->parts[i].slots);
	free(x->parts);
}

static void
part_put(struct tracker_part *part, unsigned bits, struct tracker_slot new)
{
	uint32_t slot = home_of(part, bits, new.hash);

	while (part->slots[slot].id != TRACKER_NONE)
		slot = slot_after(part, slot);
	part->slots[slot] = new;
}

static void
part_grow(struct tracker_part *part, unsigned bits)
{
	struct tracker_part old = *part;

	part->cap = old.cap == 0 ? PART_CAP_MIN : old.cap + old.cap / 2;
	part->slots = xmalloc(part->cap * sizeof *part->slots);
	for (uint32_t i = 0; i < part->cap; i++)
		part->slots[i] = (struct tracker_slot){0, TRACKER_NONE};
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i].id != TRACKER_NONE)
			part_put(part, bits, old.slots[i]);
	free(old.slots);
}

void
tracker_index_add(struct tracker_index *x, uint32_t hash, uint32_t id)
{
	struct tracker_part *part = part_of(x, hash);

	if ((uint64_t)(part->used + 1) * 5 > (uint64_t)part->cap * 4)
		part_grow(part, x->bits);
	part_put(part, x->bits, (struct tracker_slot){hash, id});
	part->used++;
}

/* Whether what has its home there may not stand before `slot`: home is behind gap, on the way to slot. */
static bool
must_stay(uint32_t home, uint32_t gap, uint32_t slot)
{
	return gap <= slot ? gap < home && home <= slot : gap < home || home <= slot;
}

void
tracker_index_remove(struct tracker_index *x, uint32_t hash, uint32_t id)
{
	struct tracker_part *part = part_of(x, hash);
	uint32_t gap = home_of(part, x->bits, hash);

	while (part->slots[gap].id != id)
		gap = slot_after(part, gap);
	for (uint32_t slot = slot_after(part, gap); part->slots[slot].id != TRACKER_NONE;
	     slot = slot_after(part, slot)) {
		if (must_stay(home_of(part, x->bits, part->slots[slot].hash), gap, slot))
			continue;
		part->slots[gap] = part->slots[slot];
		gap = slot;
	}
	part->slots[gap].id = TRACKER_NONE;
	part->used--;
}

struct tracker_probe
tracker_index_probe(const struct tracker_index *x, uint32_t hash)
{
	const struct tracker_part *part = part_of(x, hash);

	return (struct tracker_probe){part, hash, home_of(part, x->bits, hash)};
}

uint32_t
tracker_index_next(struct tracker_probe *probe)
{
	const struct tracker_part *part = probe->part;

	if (part->cap == 0)
		return TRACKER_NONE;
	for (;;) {
		struct tracker_slot found = part->slots[probe->slot];

		if (found.id == TRACKER_NONE)
			return TRACKER_NONE;
		probe->slot = slot_after(part, probe->slot);
		if (found.hash == probe->hash)
			return found.id;
	}
}

size_t
tracker_index_bytes(const struct tracker_index *x)
{
	size_t bytes = ((size_t)1 << x->bits) * sizeof *x->parts;

	for (size_t i = 0; i < (size_t)1 << x->bits; i++)
		bytes += x->parts[i].cap == 0 ? 0 : x->parts[i].cap * sizeof(struct tracker_slot) + 16;
	return bytes;
}
