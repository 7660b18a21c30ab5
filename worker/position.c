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
	slot->unordered = header_find(headers, headers_len, "Nats-Msg-Id", &line);
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
	/* A start anew that is remembered as such explains what an older source left at the target. */
	if (ours == NULL || (known && f->memory.target_seq >= at && memory_of_this_target(f)))
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

/* True if that settled the matter. */
static bool
source_reset(const struct position_facts *f, struct position *out)
{
	char text[384];

	if (!source_is_another(f, text, sizeof text))
		return false;
	incident(out, "source_reset", text);
	if (f->topic->on_source_reset == SOURCE_RESET_RESTART) {
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

static bool
target_reset(const struct position_facts *f, struct position *out)
{
	char text[384];
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);

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
	} else if (f->topic->on_target_reset == TARGET_RESET_CONTINUE && memory_of_this_source(f)) {
		go_from(out, f->memory.source_seq, "from the checkpoint, at a new target stream");
	} else if (ours != NULL && at == f->target->last_seq) {
		go_from(out, (uint64_t)ours->origin.seq, "from the last message of a new target stream");
	} else {
		begin_anew(f, out);
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
	if (f->last.kind == SLOT_OURS) {
		go_from(out, (uint64_t)f->last.origin.seq, "from the last message that the target kept");
	} else if (f->target->last_seq == 0) {
		begin_anew(f, out);
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

/* Whether the target can only grow by our copies. */
static bool
growth_is_ours(const struct jsapi_stream *t)
{
	return !t->subject_delete_markers && !t->allow_msg_schedules && !t->allow_msg_counter &&
	       !t->has_sources && !t->mirror;
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
	if (behind > may_be || (behind > 0 && !growth_is_ours(f->target))) {
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
	if (f->last.kind == SLOT_FOREIGN)
		incident(out, "foreign_writer",
			 "the target's last message is not this topic's although target_writers = exclusive");
	out->scan_from = remembered ? f->memory.target_seq : 0;
	if (remembered)
		go_from(out, f->memory.source_seq, "from the checkpoint, behind other writers");
	else
		from_nothing(f, out);
	out->outcome = POSITION_SCAN;
}

static void
from_exclusive_target(const struct position_facts *f, struct position *out)
{
	uint64_t at;
	bool remembered = memory_of_this_target(f) && memory_of_this_source(f);

	if (remembered && f->memory.target_seq == f->target->last_seq) {
		go_from(out, f->memory.source_seq, "from the checkpoint, which the target confirms");
		if (f->last.kind == SLOT_OURS && (uint64_t)f->last.origin.seq > out->start.source_seq)
			out->start.source_seq = (uint64_t)f->last.origin.seq;
	} else if (f->last.kind == SLOT_OURS && !f->last.unordered) {
		go_from(out, (uint64_t)f->last.origin.seq, "from the target's last message");
	} else if (f->last.kind != SLOT_GONE) {
		behind_others(f, remembered, out);
	} else if (remembered || newest_of_ours(f, &at) != NULL) {
		count_from_pair(f, out);
	} else {
		from_nothing(f, out);
	}
}

static void
from_shared_target(const struct position_facts *f, struct position *out)
{
	out->start.mode = PIPELINE_SUBJECT;
	if (memory_of_this_source(f)) {
		out->scan_from = memory_of_this_target(f) ? f->memory.target_seq : 0;
		go_from(out, f->memory.source_seq, "from the checkpoint");
	} else {
		from_nothing(f, out);
	}
	out->outcome = POSITION_SCAN;
}

static bool
is_shared(const struct position_facts *f)
{
	if (f->topic->target_writers != TARGET_WRITERS_AUTO)
		return f->topic->target_writers == TARGET_WRITERS_SHARED;
	return f->last.kind == SLOT_FOREIGN || (f->last.kind == SLOT_OURS && f->last.unordered) ||
	       (f->newest_seq > 0 && f->newest.kind == SLOT_OURS && f->newest.unordered);
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
		go_from(out, f->memory.source_seq, "from the checkpoint, as resume_from says");
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
	uint64_t window = f->topic->max_inflight, last = f->target->last_seq, end;
	bool same_map = memory_of_this_target(f) && f->memory.map_hash == f->map_hash &&
			f->topic->max_age_ms == 0 && !f->topic->ephemeral && !f->apply_resume &&
			out->incident == NULL;

	if (same_map || (last == 0 && !f->have_memory))
		return 0;
	end = last + window;
	if (memory_of_this_target(f))
		end = f->memory.target_seq + f->memory.in_flight;
	return end > last ? end : 0;
}

void
position_at_start(const struct position_facts *f, struct position *out)
{
	memset(out, 0, sizeof *out);
	out->start.target_seq = f->target->last_seq;
	if (resume_as_told(f, out)) {
		/* decided */
	} else if (f->topic->ephemeral && !f->memory_is_own) {
		begin_anew(f, out);
	} else if (source_reset(f, out) || target_reset(f, out)) {
		/* decided */
	} else if (is_shared(f)) {
		from_shared_target(f, out);
		return;
	} else if (!target_went_back(f, out)) {
		from_exclusive_target(f, out);
	}
	if (is_shared(f) && out->outcome == POSITION_GO) {
		out->start.mode = PIPELINE_SUBJECT;
		out->outcome = POSITION_SCAN;
		return;
	}
	out->start.stretch_end = stretch_end(f, out);
}

/* ---- rewinds ------------------------------------------------------------------------------------- */

static void
take_slot(const struct pipeline *p, const struct position_slot *slot, size_t i, struct seqset *there,
	  struct position_rewind *out)
{
	struct pipeline_entry_view entry;
	uint64_t seq = (uint64_t)slot->origin.seq;

	if (slot->kind == SLOT_FOREIGN) {
		out->foreign++;
	} else if (slot->kind == SLOT_GONE) {
		/* only our copies are put there, in their order */
		if (pipeline_entry(p, i, &entry)) {
			seqset_add(there, entry.seq);
			out->found++;
		}
	} else if (seq <= pipeline_source_seq(p) || seqset_has(there, seq)) {
		out->repeats++;
		if (out->first_repeat == 0)
			out->first_repeat = seq;
	} else {
		seqset_add(there, seq);
		out->found++;
	}
}

void
position_rewind(const struct pipeline *p, const struct position_slot *slots, size_t count,
		struct seqset *there, struct position_rewind *out)
{
	struct pipeline_entry_view entry;
	bool prefix = true;
	uint64_t beyond;

	memset(out, 0, sizeof *out);
	out->source_seq = pipeline_source_seq(p);
	for (size_t i = 0; i < count; i++)
		take_slot(p, &slots[i], i, there, out);
	beyond = out->found;
	for (size_t i = 0; pipeline_entry(p, i, &entry); i++) {
		if (prefix && seqset_remove(there, entry.seq)) {
			out->source_seq = entry.cover_seq;
			beyond--;
			continue;
		}
		prefix = false;
		if (beyond > 0 && seqset_has(there, entry.seq)) {
			beyond--;
		} else if (beyond > 0) {
			out->missing++;
			if (out->first_missing == 0)
				out->first_missing = entry.seq;
		}
	}
}
