/*
 * How the worker of the simulation proves its position: the facts as locate.c reads them, one step at a
 * time, and the rules of position.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "tests/unit/sim_worker_internal.h"

enum { READ_AT_ONCE = 7 };

static char site[] = "SITE", topic_key[] = "topic", nothing[] = "";
static const struct conf conf = {.name = site};

/* ---- reading the target --------------------------------------------------------------------------- */

static struct position_slot
read_slot(const struct sim_worker *w, uint64_t target_seq)
{
	const struct sim_target *t = &w->world->target;
	struct position_slot slot = {.kind = SLOT_GONE};

	if (target_seq == 0 || target_seq > t->last || t->msgs[target_seq].gone)
		return slot;
	slot.kind = t->msgs[target_seq].origin > 0 ? SLOT_OURS : SLOT_FOREIGN;
	slot.unordered = t->msgs[target_seq].unordered;
	slot.origin.seq = (int64_t)t->msgs[target_seq].origin;
	if (slot.kind == SLOT_OURS)
		slot.origin.stored_ms = w->world->source.msgs[t->msgs[target_seq].origin].stored_ms;
	return slot;
}

void
sim_locate_begin(struct sim_worker *w)
{
	if (w->conn < 0) {
		sim_enter(w, SIM_CONNECTING);
		return;
	}
	if (w->proven && w->presettled == 0)
		sim_fill_checkpoint(w, &w->memory);
	w->have_memory |= w->proven;
	w->memory_is_own |= w->proven;
	sim_enter(w, SIM_LOCATING);
	w->locate = LOCATE_INFO;
}

/* Not before the position is decided. */
static void
begin_scan(struct sim_worker *w)
{
	w->scan_begin = w->scan_at = position_scan_begin(&w->position, w->last_seq, w->scans++);
	w->scan_settled = 0;
	w->locate = LOCATE_SCAN;
}

static void
read_infos(struct sim_worker *w)
{
	const struct sim_target *t = &w->world->target;
	bool same_target = w->proven_created_ns == t->created_ns;

	w->ack_floor = w->world->source.ack_floor;
	w->last_seq = t->last;
	w->target_info = (struct jsapi_stream){.created_ns = t->created_ns, .last_seq = t->last};
	snprintf(w->target_info.name, sizeof w->target_info.name, "%s", sim_target_name);
	w->target_info.first_seq = sim_target_first(w->world, &w->target_info.messages);
	w->source_info =
	    (struct jsapi_stream){.created_ns = 1, .first_seq = 1, .last_seq = w->world->source.last};
	snprintf(w->source_info.name, sizeof w->source_info.name, "%s", sim_source_name);
	w->scan_is_rewind = w->proven && same_target && t->last >= pipeline_target_seq(w->pipeline);
	if (!w->scan_is_rewind) {
		w->locate = LOCATE_FACTS;
		return;
	}
	w->slot_count = (size_t)(t->last - pipeline_target_seq(w->pipeline));
	w->position = (struct position){.outcome = POSITION_SCAN, .scan_from = pipeline_floor(w->pipeline)};
	w->position.start = (struct pipeline_start){
	    .mode = PIPELINE_SUBJECT, .source_seq = pipeline_source_seq(w->pipeline), .target_seq = t->last};
	w->slots_read = 0;
	seqset_clear(&w->seen);
	w->slots = xrealloc(w->slots, (w->slot_count + 1) * sizeof *w->slots);
	w->scans = 0;
	w->locate = LOCATE_LAST_SLOT;
	if (pipeline_mode(w->pipeline) == PIPELINE_SUBJECT)
		begin_scan(w);
}

static void
begin_copying(struct sim_worker *w, struct pipeline_start *start, bool rewound)
{
	pipeline_stop(w->pipeline, rewound ? &w->there : NULL, w->fault);
	pipeline_restart(w->pipeline, start);
	if (!rewound) {
		w->presettled = w->position.presettled;
		w->told_settled = 0; /* all of it is looked at again */
	}
	w->proven = true;
	w->proven_created_ns = w->target_info.created_ns;
	w->fault = false;
	sim_after_settling(w);
	sim_tell_checkpoint(w);
	sim_enter(w, SIM_STARTING);
}

static void
finish_rewind(struct sim_worker *w)
{
	struct pipeline_start start = {
	    .mode = PIPELINE_CHAIN,
	    .source_seq = w->rewind.source_seq,
	    .target_seq = w->last_seq,
	    .stretch_end = pipeline_stretch_end(w->pipeline),
	    .presettled = w->rewind.presettled + (w->rewind.presettled_anew ? 0 : w->presettled),
	};

	sim_trace(
	    w,
	    "rewind: source %llu target %llu (%zu slots) stretch %llu repeats %llu missing %llu uncertain "
	    "%llu",
	    (unsigned long long)start.source_seq, (unsigned long long)w->last_seq, w->slot_count,
	    (unsigned long long)start.stretch_end, (unsigned long long)w->rewind.repeats,
	    (unsigned long long)w->rewind.missing, (unsigned long long)w->rewind.uncertain);
	w->told->repeats += w->rewind.repeats;
	w->told->missing += w->rewind.missing;
	w->told->uncertain += w->rewind.uncertain;
	w->told->disordered += w->rewind.disordered;
	w->told->foreign += w->rewind.foreign;
	if (w->settings.writers == TARGET_WRITERS_AUTO && w->rewind.foreign > 0)
		start.mode = PIPELINE_SUBJECT;
	w->presettled = start.presettled;
	begin_copying(w, &start, true);
}

static void
read_last_slot(struct sim_worker *w)
{
	const struct conf_topic topic = {.target_writers = w->settings.writers};
	struct position_slot last = read_slot(w, w->last_seq);

	if (!w->settings.read_all_slots &&
	    position_rewind_by_last(w->pipeline, &topic, &last, w->slot_count, &w->rewind))
		finish_rewind(w);
	else
		w->locate = LOCATE_SLOTS;
}

static void
read_slots(struct sim_worker *w)
{
	uint64_t first = pipeline_target_seq(w->pipeline) + 1;

	for (int i = 0; i < READ_AT_ONCE && w->slots_read < w->slot_count; i++, w->slots_read++)
		w->slots[w->slots_read] = read_slot(w, first + w->slots_read);
	if (w->slots_read < w->slot_count)
		return;
	position_rewind(w->pipeline, w->slots, w->slot_count, &w->there, &w->rewind);
	finish_rewind(w);
}

static void
finish_start(struct sim_worker *w)
{
	if (w->position.outcome == POSITION_SCAN)
		w->position.start.floor_until = w->there.highest;
	begin_copying(w, &w->position.start, w->scan_is_rewind);
}

/* What was settled when the checkpoint was written is there again behind it. */
static bool
is_known_repeat(const struct sim_worker *w, uint64_t target_seq, uint64_t seq)
{
	return w->position.start.mode == PIPELINE_CHAIN && w->have_memory &&
	       w->memory.target_created_ns == w->target_info.created_ns &&
	       target_seq > w->memory.target_seq && seq <= w->memory.source_seq;
}

static void
scan(struct sim_worker *w)
{
	uint64_t after = w->position.start.source_seq;

	for (int i = 0; i < READ_AT_ONCE && w->scan_at < w->last_seq; i++) {
		struct position_slot slot = read_slot(w, ++w->scan_at);
		uint64_t seq = (uint64_t)slot.origin.seq;

		if (slot.kind != SLOT_OURS)
			continue;
		if (seqset_has(&w->seen, seq) || is_known_repeat(w, w->scan_at, seq))
			w->told->repeats++;
		w->told->disordered += seq < w->seen.highest && w->position.start.mode == PIPELINE_CHAIN;
		seqset_add(&w->seen, seq);
		if (seq > after)
			seqset_add(&w->there, seq);
		else
			w->scan_settled++;
	}
	if (w->scan_at < w->last_seq)
		return;
	if (!position_scan_is_whole(&w->position, w->scan_begin, w->scan_settled)) {
		seqset_clear(&w->there);
		seqset_clear(&w->seen);
		begin_scan(w);
		return;
	}
	if (w->position.start.floor == w->position.scan_from)
		w->position.start.floor = w->scan_begin;
	finish_start(w);
}

/* ---- a start -------------------------------------------------------------------------------------- */

static void
read_facts(struct sim_worker *w, struct position_facts *f)
{
	uint64_t seq;

	f->last = read_slot(w, w->last_seq);
	if (f->last.kind == SLOT_GONE)
		for (seq = w->last_seq; seq > 0 && f->newest_seq == 0; seq--) {
			f->newest = read_slot(w, seq);
			f->newest_seq = f->newest.kind != SLOT_GONE ? seq : 0;
		}
	if (position_wants_origin_check(f, &seq)) {
		f->have_origin_check = true;
		f->origin_check_ms =
		    w->world->source.msgs[seq].deleted ? 0 : w->world->source.msgs[seq].stored_ms;
	}
	f->have_floor = true;
	f->floor = w->ack_floor;
}

static void
decide(struct sim_worker *w)
{
	const struct conf_topic topic = {.key = topic_key,
					 .stream = sim_source_name,
					 .target_stream = sim_target_name,
					 .adopt = nothing,
					 .filter_count = w->settings.filter > 0,
					 .max_inflight = w->settings.max_inflight,
					 .target_writers = w->settings.writers,
					 .on_target_reset = w->settings.on_target_reset,
					 .on_reject = w->settings.on_reject,
					 .resume_from = w->resume_seq > 0 ? RESUME_SEQUENCE : RESUME_NONE,
					 .resume_sequence = w->resume_seq};
	struct position_facts f = {.conf = &conf,
				   .topic = &topic,
				   .source = &w->source_info,
				   .target = &w->target_info,
				   .map_hash = sim_map_hash(&w->settings),
				   .have_memory = w->have_memory,
				   .memory = w->memory,
				   .memory_is_own = w->memory_is_own,
				   .elected = w->settings.elected,
				   .apply_resume = w->resume_seq > 0};

	seqset_clear(&w->there);
	seqset_clear(&w->seen);
	read_facts(w, &f);
	position_at_start(&f, &w->position);
	w->scans = 0;
	if (w->position.scan_enough > 0)
		w->position.scan_enough = w->settings.max_inflight; /* of all workers: the bound itself */
	w->told->resets += w->position.incident != NULL;
	sim_trace(w, "start: source %llu target %llu stretch %llu presettled %llu: %s",
		  (unsigned long long)w->position.start.source_seq, (unsigned long long)w->last_seq,
		  (unsigned long long)w->position.start.stretch_end,
		  (unsigned long long)w->position.presettled, w->position.text);
	w->resume_seq = 0;
	if (w->position.outcome == POSITION_HALT)
		sim_halt(w, false);
	else if (w->position.outcome == POSITION_SCAN && w->position.scan_from < w->last_seq)
		begin_scan(w);
	else
		finish_start(w);
}

void
sim_locate_step(struct sim_worker *w)
{
	switch (w->locate) {
	case LOCATE_INFO:
		read_infos(w);
		break;
	case LOCATE_LAST_SLOT:
		read_last_slot(w);
		break;
	case LOCATE_SLOTS:
		read_slots(w);
		break;
	case LOCATE_FACTS:
		decide(w);
		break;
	case LOCATE_SCAN:
		scan(w);
		break;
	}
}
