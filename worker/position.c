/*
 * Proving the position; runs in a replicating worker, and in its tests over made-up facts.
 *
 * What is stored decides. A target that only we write to grows by one a copied message in source order,
 * so its last message tells where we are; if that message is gone, counting from a pair that is known
 * tells the same. What cannot be proven is not guessed: the topic halts with both numbers and the
 * choices. A fault between two steps costs nothing: every start begins here again.
 */
#include "worker/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/header.h"
#include "worker/compose.h"

void
position_classify(const struct conf *conf, const struct conf_topic *topic, const char *headers,
		  size_t headers_len, struct position_slot *slot)
{
	struct header_line line;

	slot->kind = SLOT_FOREIGN;
	slot->unordered = false;
	if (headers == NULL || origin_from_headers(headers, headers_len, &slot->origin) != 0 ||
	    !origin_is_ours(&slot->origin, topic->stream, conf->name, topic->key, topic->adopt))
		return;
	slot->kind = SLOT_OURS;
	slot->unordered = header_find(headers, headers_len, "Nats-Msg-Id", &line) &&
			  !header_find(headers, headers_len, COMPOSE_REJECT_REASON_HEADER, &line);
}

uint64_t
position_configured_start(const struct conf_topic *topic, const struct jsapi_stream *source, int64_t now_ms,
			  int64_t *by_time_ms)
{
	*by_time_ms = 0;
	switch (topic->start) {
	case START_ALL:
		return 0;
	case START_SEQUENCE:
		return topic->start_sequence > 0 ? topic->start_sequence - 1 : 0;
	case START_TIME:
		*by_time_ms = topic->start_time_ms;
		return 0;
	case START_DELTA:
		*by_time_ms = now_ms - topic->start_delta_ms;
		return 0;
	case START_AT_END:
		return source->last_seq;
	}
	return 0;
}

void
position_take_start(struct position *position, uint64_t source_seq)
{
	position->start.source_seq =
	    source_seq < position->start_at_most ? source_seq : position->start_at_most;
}

static void
incident(struct position *out, const char *kind, const char *text)
{
	out->incident = kind;
	snprintf(out->incident_text, sizeof out->incident_text, "%s", text);
}

static void
go_from(struct position *out, uint64_t source_seq, const char *how)
{
	out->outcome = POSITION_GO;
	out->start.source_seq = source_seq;
	snprintf(out->text, sizeof out->text, "%s", how);
}

static bool
memory_of_this_target(const struct position_facts *f)
{
	return f->have_memory && f->memory.target_created_ns == f->target->created_ns &&
	       strcmp(f->memory.target_stream, f->target->name) == 0;
}

static bool
memory_of_this_source(const struct position_facts *f)
{
	return f->have_memory && f->memory.source_created_ns == f->source->created_ns &&
	       strcmp(f->memory.source_stream, f->source->name) == 0;
}

/* The newest message of ours at the target, if one is known. */
static const struct position_slot *
newest_of_ours(const struct position_facts *f, uint64_t *at)
{
	if (f->last.kind == SLOT_OURS) {
		*at = f->target->last_seq;
		return &f->last;
	}
	if (f->newest_seq > 0 && f->newest.kind == SLOT_OURS) {
		*at = f->newest_seq;
		return &f->newest;
	}
	return NULL;
}

/*
 * AUTO: shared once a foreign message is seen, and from then on, as our own messages and the checkpoint
 * of such a target tell.
 */
static bool
is_shared(const struct position_facts *f)
{
	const struct position_slot *newest = f->newest_seq > 0 ? &f->newest : &f->last;

	if (f->topic->target_writers != TARGET_WRITERS_AUTO)
		return f->topic->target_writers == TARGET_WRITERS_SHARED;
	if (f->others_seen)
		return true;
	if (f->last.kind != SLOT_GONE)
		newest = &f->last;
	if (newest->kind != SLOT_GONE)
		return newest->kind == SLOT_FOREIGN || newest->unordered;
	if (f->have_memory)
		return memory_of_this_target(f) && !f->memory_is_own && f->memory.map_hash == 0;
	return f->others_expected;
}

static void
halt_between(const struct position_facts *f, uint64_t seq, uint64_t at, struct position *out)
{
	out->outcome = POSITION_HALT;
	snprintf(out->text, sizeof out->text,
		 "the position is not certain: the target's last sequence is %" PRIu64
		 ", but its message is gone, and message %" PRIu64
		 " of the source is the newest known to be there, as %" PRIu64
		 "; set resume_from = target, checkpoint or SEQUENCE for one start",
		 f->target->last_seq, seq, at);
}

/* ---- is the source the one we knew? -------------------------------------------------------------- */

bool
position_wants_origin_check(const struct position_facts *f, uint64_t *seq)
{
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);

	if (ours == NULL || ours->origin.stored_ms < 0 || (uint64_t)ours->origin.seq > f->source->last_seq ||
	    (uint64_t)ours->origin.seq < f->source->first_seq)
		return false;
	*seq = (uint64_t)ours->origin.seq;
	return true;
}

/* A start anew that is remembered as such explains what an older source left at the target. */
static bool
left_by_an_older_one(const struct position_facts *f, const struct position_slot *ours, uint64_t at)
{
	if (!memory_of_this_source(f) || !memory_of_this_target(f) || f->memory.target_seq < at)
		return false;
	return (uint64_t)ours->origin.seq > f->memory.source_seq ||
	       ours->origin.stored_ms < f->source->created_ns / 1000000;
}

/* Whether the target's last message was copied from the source as it is now. */
static bool
last_is_of_this_source(const struct position_facts *f)
{
	return f->last.kind == SLOT_OURS && !f->last.unordered && f->have_origin_check &&
	       f->origin_check_ms != 0 && f->origin_check_ms == f->last.origin.stored_ms;
}

/* Words for why the source is not the one that was copied before; false if it is. */
static bool
source_is_another(const struct position_facts *f, char *text, size_t size)
{
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);
	bool known = memory_of_this_source(f);

	if (f->have_memory && strcmp(f->memory.source_stream, f->source->name) == 0 && !known) {
		snprintf(text, size, "stream %s was deleted and created again since message %" PRIu64,
			 f->source->name, f->memory.source_seq);
		return true;
	}
	if (known && f->memory.source_seq > f->source->last_seq) {
		snprintf(text, size,
			 "stream %s went back: message %" PRIu64 " was copied, its last one is %" PRIu64,
			 f->source->name, f->memory.source_seq, f->source->last_seq);
		return true;
	}
	if (ours == NULL || left_by_an_older_one(f, ours, at))
		return false;
	if ((uint64_t)ours->origin.seq > f->source->last_seq) {
		snprintf(text, size,
			 "stream %s went back or was made anew: the target holds its message %" PRId64
			 ", its last one is %" PRIu64,
			 f->source->name, ours->origin.seq, f->source->last_seq);
		return true;
	}
	if (f->have_origin_check && f->origin_check_ms != 0 && ours->origin.stored_ms >= 0 &&
	    f->origin_check_ms != ours->origin.stored_ms) {
		snprintf(text, size,
			 "message %" PRId64
			 " of stream %s is not the one that was copied (stored at other times: %" PRId64
			 " and %" PRId64 " ms)",
			 ours->origin.seq, f->source->name, f->origin_check_ms, ours->origin.stored_ms);
		return true;
	}
	return false;
}

static void
begin_anew(const struct position_facts *f, struct position *out)
{
	out->configured_start = true;
	out->scan_from = f->target->last_seq;
	go_from(out, 0, "from the configured start");
}

/* The target lost what it had: what was not copied yet must not be passed over with it. */
static void
fill_again(const struct position_facts *f, struct position *out)
{
	begin_anew(f, out);
	out->scan_from = 0;
	if (memory_of_this_source(f))
		out->start_at_most = f->memory.source_seq;
}

/* True if that settled the matter. */
static bool
source_reset(const struct position_facts *f, struct position *out)
{
	char text[384];

	if (!source_is_another(f, text, sizeof text))
		return false;
	incident(out, "source_reset", text);
	if (f->topic->on_source_reset == SOURCE_RESET_RESTART) {
		if (last_is_of_this_source(f))
			go_from(out, (uint64_t)f->last.origin.seq,
				"behind what was copied of the new source");
		else
			begin_anew(f, out);
		return true;
	}
	out->outcome = POSITION_HALT;
	snprintf(
	    out->text, sizeof out->text,
	    "%s; set on_source_reset = restart to copy it from its start, or resume_from = SEQUENCE to go on "
	    "from a sequence",
	    text);
	return true;
}

/* ---- is the target the one we knew? -------------------------------------------------------------- */

/* A target stream that is not the checkpoint's. What is ours there was copied since it was made. */
static void
at_another_target(const struct position_facts *f, struct position *out)
{
	bool go_on = f->topic->on_target_reset == TARGET_RESET_CONTINUE && memory_of_this_source(f);
	uint64_t at;
	const struct position_slot *ours = is_shared(f) ? NULL : newest_of_ours(f, &at);

	if (ours != NULL && at < f->target->last_seq)
		halt_between(f, (uint64_t)ours->origin.seq, at, out);
	else if (ours != NULL && !(go_on && f->memory.source_seq > (uint64_t)ours->origin.seq))
		go_from(out, (uint64_t)ours->origin.seq, "from the last message of a new target stream");
	else if (go_on)
		go_from(out, f->memory.source_seq, "from the checkpoint, at a new target stream");
	else
		fill_again(f, out);
}

static bool
target_reset(const struct position_facts *f, struct position *out)
{
	char text[384];

	if (!f->have_memory || memory_of_this_target(f))
		return false;
	snprintf(text, sizeof text,
		 "target stream %s is another one than message %" PRIu64 " was copied to as %" PRIu64,
		 f->target->name, f->memory.source_seq, f->memory.target_seq);
	incident(out, "target_reset", text);
	if (f->topic->on_target_reset == TARGET_RESET_HALT) {
		out->outcome = POSITION_HALT;
		snprintf(out->text, sizeof out->text,
			 "%s; set on_target_reset = restart to fill it again, or continue to go on", text);
	} else {
		at_another_target(f, out);
	}
	return true;
}

/* The target has fewer messages than were proven to be there. */
static bool
target_went_back(const struct position_facts *f, struct position *out)
{
	char text[384];

	if (!memory_of_this_target(f) || f->target->last_seq >= f->memory.target_seq)
		return false;
	snprintf(text, sizeof text,
		 "target stream %s went back from sequence %" PRIu64 " to %" PRIu64
		 "; what it lost is copied again",
		 f->target->name, f->memory.target_seq, f->target->last_seq);
	incident(out, "target_went_back", text);
	if (f->last.kind == SLOT_OURS && !is_shared(f)) {
		go_from(out, (uint64_t)f->last.origin.seq, "from the last message that the target kept");
	} else if (f->target->last_seq == 0) {
		fill_again(f, out);
	} else {
		out->outcome = POSITION_HALT;
		snprintf(
		    out->text, sizeof out->text,
		    "target stream %s went back from sequence %" PRIu64 " to %" PRIu64
		    ", and the message there tells no position; set resume_from = SEQUENCE for one start",
		    f->target->name, f->memory.target_seq, f->target->last_seq);
	}
	return true;
}

/* ---- the usual case ------------------------------------------------------------------------------ */

/* Whether the target has grown by our copies alone, as far as anybody can tell. */
static bool
growth_is_ours(const struct position_facts *f, uint64_t at)
{
	const struct jsapi_stream *t = f->target;

	if (f->newest_seq > at && f->newest.kind == SLOT_FOREIGN)
		return false;
	if (f->newest_seq > 0 && f->newest_seq >= at && f->newest.unordered)
		return false;
	return !t->subject_delete_markers && !t->allow_msg_schedules && !t->allow_msg_counter &&
	       !t->has_sources && !t->mirror;
}

/* Whether the settings that decide what is copied are those under which the target was written. */
static bool
same_settings(const struct position_facts *f)
{
	return !memory_of_this_target(f) || f->memory.map_hash == f->map_hash;
}

/* The message at the last sequence is gone: count from the newest pair that is known. */
static void
count_from_pair(const struct position_facts *f, struct position *out)
{
	uint64_t at = 0, seq = 0, may_be = f->topic->max_inflight, behind;
	const struct position_slot *ours = newest_of_ours(f, &at);

	if (ours != NULL)
		seq = (uint64_t)ours->origin.seq;
	if (memory_of_this_target(f) && memory_of_this_source(f) && f->memory.target_seq >= at) {
		seq = f->memory.source_seq;
		at = f->memory.target_seq;
		may_be = f->memory.in_flight;
	}
	behind = f->target->last_seq - at;
	/* max_age: what was skipped then cannot be told from what would be skipped now. */
	if (behind > may_be ||
	    (behind > 0 && (!growth_is_ours(f, at) || !same_settings(f) || f->topic->max_age_ms > 0))) {
		halt_between(f, seq, at, out);
		return;
	}
	out->presettled = behind;
	go_from(out, seq, "counted from the newest pair that is known");
}

static void
from_nothing(const struct position_facts *f, struct position *out)
{
	if (f->have_floor && f->floor > 0) {
		go_from(out, f->floor, "from the acknowledged floor of the source's consumer");
		return;
	}
	out->configured_start = true;
	go_from(out, 0, "from the configured start");
}

/* Somebody else wrote into the target, or we did beside others: what is ours there is read back. */
static void
behind_others(const struct position_facts *f, bool remembered, struct position *out)
{
	if (f->last.kind == SLOT_FOREIGN && !f->others_seen)
		incident(out, "foreign_writer",
			 "the target's last message is not this topic's although target_writers = exclusive");
	out->scan_from = remembered ? f->memory.target_seq : 0;
	if (remembered)
		go_from(out, f->memory.source_seq, "from the checkpoint, behind other writers");
	else
		from_nothing(f, out);
	out->outcome = POSITION_SCAN;
}

/* Whether all messages behind target sequence `after` can be read. */
static bool
none_gone_behind(const struct position_facts *f, uint64_t after)
{
	const struct jsapi_stream *t = f->target;

	return t->first_seq <= after + 1 && t->messages == t->last_seq - t->first_seq + 1;
}

/*
 * The target's last message is ours. If chains with other maps have written there since the checkpoint,
 * it does not tell what is there before it: that is read, if it can be.
 */
static void
from_last_message(const struct position_facts *f, bool remembered, struct position *out)
{
	if (remembered && !same_settings(f) && none_gone_behind(f, f->memory.target_seq)) {
		out->scan_from = f->memory.target_seq;
		go_from(out, f->memory.source_seq, "from the checkpoint and what was copied since");
		out->outcome = POSITION_SCAN;
		return;
	}
	go_from(out, (uint64_t)f->last.origin.seq, "from the target's last message");
}

static void
from_exclusive_target(const struct position_facts *f, struct position *out)
{
	uint64_t at;
	bool remembered = memory_of_this_target(f) && memory_of_this_source(f);

	if (f->others_seen)
		behind_others(f, remembered, out);
	else if (remembered && f->memory.target_seq == f->target->last_seq)
		go_from(out, f->memory.source_seq, "from the checkpoint, which the target confirms");
	else if (f->last.kind == SLOT_OURS && !f->last.unordered)
		from_last_message(f, remembered, out);
	else if (f->last.kind != SLOT_GONE)
		behind_others(f, remembered, out);
	else if (remembered || newest_of_ours(f, &at) != NULL)
		count_from_pair(f, out);
	else
		from_nothing(f, out);
}

static void
from_shared_target(const struct position_facts *f, struct position *out)
{
	if (memory_of_this_source(f)) {
		out->scan_from = memory_of_this_target(f) ? f->memory.target_seq : 0;
		go_from(out, f->memory.source_seq, "from the checkpoint");
	} else {
		from_nothing(f, out);
	}
}

static void
resume_from_checkpoint(const struct position_facts *f, struct position *out)
{
	if (memory_of_this_target(f))
		out->scan_from = f->memory.target_seq;
	go_from(out, f->memory.source_seq, "from the checkpoint, as resume_from says");
}

/* resume_from, for one start; false if the setting does not decide here. */
static bool
resume_as_told(const struct position_facts *f, struct position *out)
{
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);

	if (!f->apply_resume)
		return false;
	out->scan_from = f->target->last_seq;
	if (f->topic->resume_from == RESUME_SEQUENCE)
		go_from(out, f->topic->resume_sequence > 0 ? f->topic->resume_sequence - 1 : 0,
			"from resume_from");
	else if (f->topic->resume_from == RESUME_CHECKPOINT && f->have_memory)
		resume_from_checkpoint(f, out);
	else if (f->topic->resume_from == RESUME_TARGET && ours != NULL)
		go_from(out, (uint64_t)ours->origin.seq,
			"from the target's newest copy, as resume_from says");
	else
		return false;
	incident(out, "resume", out->text);
	return true;
}

/*
 * Slots that an old chain could still take. With the same settings and a checkpoint the map is the same,
 * and a late publish fills its own slot or fails.
 */
static uint64_t
stretch_end(const struct position_facts *f, const struct position *out)
{
	uint64_t last = f->target->last_seq, end = last;
	bool same_map = memory_of_this_target(f) && same_settings(f) && f->topic->max_age_ms == 0 &&
			!f->topic->ephemeral && !f->apply_resume && out->incident == NULL;

	if (same_map || (last == 0 && !f->have_memory))
		return 0;
	if (memory_of_this_target(f))
		end = f->memory.target_seq + f->memory.in_flight;
	/* no checkpoint, or one that was kept from being written */
	return end > last ? end : last + f->topic->max_inflight;
}

/* Copies beyond the position are behind scan_from, and are of what the source holds now. */
static void
read_back(const struct position_facts *f, struct position *out)
{
	out->start.floor = out->scan_from;
	out->start.floor_until = f->source->last_seq;
}

void
position_at_start(const struct position_facts *f, struct position *out)
{
	bool shared = is_shared(f);

	memset(out, 0, sizeof *out);
	out->start.target_seq = f->target->last_seq;
	out->start_at_most = UINT64_MAX;
	if (resume_as_told(f, out)) {
		/* decided */
	} else if (f->topic->ephemeral && !f->memory_is_own) {
		begin_anew(f, out);
	} else if (source_reset(f, out) || target_reset(f, out) || target_went_back(f, out)) {
		/* decided */
	} else if (shared) {
		from_shared_target(f, out);
	} else {
		from_exclusive_target(f, out);
	}
	if (shared && out->outcome == POSITION_GO)
		out->outcome = POSITION_SCAN;
	if (shared)
		out->start.mode = PIPELINE_SUBJECT;
	else
		out->start.stretch_end = stretch_end(f, out);
	if (out->outcome == POSITION_SCAN)
		read_back(f, out);
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

/* The supervisor writes a checkpoint when as many messages have been settled since the last one. */
enum { WRITE_DELAY_MSGS = 32768 };

void
position_checkpoint(const struct pipeline *p, const struct conf_topic *topic, uint64_t map_hash,
		    struct proto_checkpoint *checkpoint)
{
	uint64_t floor = pipeline_floor(p), stretch = pipeline_stretch_end(p);

	checkpoint->source_seq = pipeline_source_seq(p);
	checkpoint->target_seq = floor;
	checkpoint->map_hash = pipeline_in_order(p) ? map_hash : 0;
	checkpoint->in_flight = 0;
	if (pipeline_mode(p) == PIPELINE_SUBJECT)
		return;
	/* One is given at the latest when half a window has been settled; a window is in flight then. */
	checkpoint->in_flight =
	    pipeline_target_seq(p) - floor + (uint64_t)topic->max_inflight * 3 / 2 + WRITE_DELAY_MSGS;
	if (stretch > floor + checkpoint->in_flight)
		checkpoint->in_flight = stretch - floor;
}

/* ---- rewinds ------------------------------------------------------------------------------------- */

/*
 * How many of the first slots hold what was sent into them, as far as can be read: a message that is in
 * its slot proves all slots before it. A message that is gone proves itself only if nothing that can be
 * read says otherwise, and no old chain could have put another one there.
 */
static size_t
slots_in_order(const struct pipeline *p, const struct position_slot *slots, size_t count)
{
	struct pipeline_entry_view entry;
	bool doubt = pipeline_stretch_end(p) > pipeline_target_seq(p);
	size_t proven = 0;

	for (size_t i = 0; i < count; i++) {
		if (slots[i].kind == SLOT_GONE)
			continue;
		if (slots[i].kind == SLOT_OURS && pipeline_entry(p, i, &entry) &&
		    (uint64_t)slots[i].origin.seq == entry.seq)
			proven = i + 1;
		else
			doubt = true;
	}
	return doubt ? proven : count;
}

static void
take_gone(const struct pipeline *p, size_t i, bool in_order, struct seqset *there,
	  struct position_rewind *out)
{
	struct pipeline_entry_view entry;

	if (in_order && pipeline_entry(p, i, &entry)) {
		seqset_add(there, entry.seq);
		out->found++;
	} else {
		out->uncertain++;
	}
}

static void
take_slot(const struct pipeline *p, const struct position_slot *slot, struct seqset *there,
	  struct position_rewind *out)
{
	uint64_t seq = (uint64_t)slot->origin.seq;

	if (slot->kind == SLOT_FOREIGN) {
		out->foreign++;
	} else if (seq <= pipeline_source_seq(p) || seqset_has(there, seq)) {
		out->repeats++;
		if (out->first_repeat == 0)
			out->first_repeat = seq;
	} else {
		seqset_add(there, seq);
		out->found++;
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

void
position_rewind(const struct pipeline *p, const struct position_slot *slots, size_t count,
		struct seqset *there, struct position_rewind *out)
{
	struct pipeline_entry_view entry;
	size_t in_order = slots_in_order(p, slots, count), settled = 0;
	uint64_t old_end = pipeline_target_seq(p) + pipeline_inflight_msgs(p);

	memset(out, 0, sizeof *out);
	out->source_seq = pipeline_source_seq(p);
	out->stretch_end = pipeline_stretch_end(p);
	for (size_t i = 0; i < count; i++) {
		if (slots[i].kind == SLOT_GONE)
			take_gone(p, i, i < in_order, there, out);
		else
			take_slot(p, &slots[i], there, out);
	}
	while (pipeline_entry(p, settled, &entry) && seqset_remove(there, entry.seq)) {
		out->source_seq = entry.cover_seq;
		settled++;
	}
	count_missing(p, settled, highest_of(slots, count), there, out);
	if (settled != count && old_end > out->stretch_end)
		out->stretch_end = old_end;
}

bool
position_rewind_by_last(const struct pipeline *p, const struct position_slot *last, size_t count,
			struct position_rewind *out)
{
	struct pipeline_entry_view entry;

	if (pipeline_stretch_end(p) > pipeline_target_seq(p) || count == 0 || last->kind != SLOT_OURS ||
	    !pipeline_entry(p, count - 1, &entry) || (uint64_t)last->origin.seq != entry.seq)
		return false;
	*out = (struct position_rewind){
	    .source_seq = entry.cover_seq, .stretch_end = pipeline_stretch_end(p), .found = count};
	return true;
}
