/*
 * What a rewind finds: the target's slots behind the settled one beside what was in flight. Runs in a
 * replicating worker, and in its tests. What is there counts, not what was answered; what cannot be read
 * counts only where nothing says that somebody else put it there.
 */
#include "worker/position.h"

/*
 * Whether each slot holds what the chain would put there, as far as it can be read. Behind the entries
 * there may be what was sent before an earlier restart and not offered again yet. A message that is gone
 * was ours if nothing says otherwise, nobody else can have put it there, and we have sent so far.
 */
static bool
slots_in_order(const struct pipeline *p, const struct position_slot *slots, size_t count)
{
	uint64_t settled = pipeline_target_seq(p), last = pipeline_offered_seq(p);
	struct pipeline_entry_view entry;

	if (pipeline_stretch_end(p) > settled)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint64_t seq = (uint64_t)slots[i].origin.seq;

		if (slots[i].kind == SLOT_FOREIGN)
			return false;
		if (slots[i].kind == SLOT_GONE) {
			if (settled + 1 + i > pipeline_used_end(p))
				return false;
		} else if (pipeline_entry(p, i, &entry)) {
			if (seq != entry.seq)
				return false;
		} else if (seq <= last) {
			return false;
		} else {
			last = seq;
		}
	}
	return true;
}

static void
settle_in_order(const struct pipeline *p, const struct position_slot *slots, size_t count,
		struct position_rewind *out)
{
	struct pipeline_entry_view entry;

	out->found = count;
	for (size_t i = 0; i < count; i++) {
		if (pipeline_entry(p, i, &entry)) {
			out->source_seq = entry.cover_seq;
		} else if (slots[i].kind == SLOT_OURS) {
			out->source_seq = (uint64_t)slots[i].origin.seq;
			out->presettled = 0;
			out->presettled_anew = true;
		} else {
			out->presettled++;
		}
	}
}

static void
take_slot(const struct pipeline *p, const struct position_slot *slot, struct seqset *there,
	  struct position_rewind *out)
{
	uint64_t seq = (uint64_t)slot->origin.seq;

	if (slot->kind == SLOT_GONE) {
		out->uncertain++;
	} else if (slot->kind == SLOT_FOREIGN) {
		out->foreign++;
	} else if (seq <= pipeline_source_seq(p) || seqset_has(there, seq)) {
		out->repeats++;
		if (out->first_repeat == 0)
			out->first_repeat = seq;
	} else {
		out->disordered += seq < there->highest;
		out->found++;
		seqset_add(there, seq);
	}
}

/* Entries that are not there although `highest`, which was sent later, is. */
static void
count_missing(const struct pipeline *p, size_t first, uint64_t highest, const struct seqset *there,
	      struct position_rewind *out)
{
	struct pipeline_entry_view entry;

	for (size_t i = first; pipeline_entry(p, i, &entry) && entry.seq < highest; i++) {
		if (seqset_has(there, entry.seq))
			continue;
		out->missing++;
		if (out->first_missing == 0)
			out->first_missing = entry.seq;
	}
}

static uint64_t
highest_of(const struct position_slot *slots, size_t count)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < count; i++)
		if (slots[i].kind == SLOT_OURS && (uint64_t)slots[i].origin.seq > highest)
			highest = (uint64_t)slots[i].origin.seq;
	return highest;
}

static void
settle_what_is_there(const struct pipeline *p, const struct position_slot *slots, size_t count,
		     struct seqset *there, struct position_rewind *out)
{
	struct pipeline_entry_view entry;
	size_t settled = 0;

	for (size_t i = 0; i < count; i++)
		take_slot(p, &slots[i], there, out);
	while (pipeline_entry(p, settled, &entry) && seqset_remove(there, entry.seq)) {
		out->source_seq = entry.cover_seq;
		settled++;
	}
	count_missing(p, settled, highest_of(slots, count), there, out);
}

void
position_rewind(const struct pipeline *p, const struct position_slot *slots, size_t count,
		struct seqset *there, struct position_rewind *out)
{
	*out = (struct position_rewind){.source_seq = pipeline_source_seq(p)};
	if (slots_in_order(p, slots, count))
		settle_in_order(p, slots, count, out);
	else
		settle_what_is_there(p, slots, count, there, out);
}

bool
position_rewind_by_last(const struct pipeline *p, const struct conf_topic *topic,
			const struct position_slot *last, size_t count, struct position_rewind *out)
{
	struct pipeline_entry_view entry;

	if (topic->target_writers != TARGET_WRITERS_EXCLUSIVE || pipeline_is_broken(p) ||
	    pipeline_stretch_end(p) > pipeline_target_seq(p))
		return false;
	if (count == 0 || last->kind != SLOT_OURS || !pipeline_entry(p, count - 1, &entry) ||
	    (uint64_t)last->origin.seq != entry.seq)
		return false;
	*out = (struct position_rewind){.source_seq = entry.cover_seq, .found = count};
	return true;
}
