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

/* So many messages are read within seconds. */
#define OLD_DOUBT_MAX 262144
/* What whoever led before may have sent and not settled, unless our own window is larger. */
#define LARGEST_WINDOW 32768

/* Our message id, "SITE:TOPIC:CREATED:SEQ". The existing tool keeps the ids that the source's messages had.
 */
static bool
is_our_id(const struct header_line *line, const struct origin *o)
{
	char head[sizeof o->site + sizeof o->topic + 2], tail[32];
	int head_len = snprintf(head, sizeof head, "%s:%s:", o->site, o->topic);
	int tail_len = snprintf(tail, sizeof tail, ":%" PRId64, o->seq);

	return line->value_len > (size_t)(head_len + tail_len) &&
	       memcmp(line->value, head, (size_t)head_len) == 0 &&
	       memcmp(line->value + line->value_len - tail_len, tail, (size_t)tail_len) == 0;
}

void
position_classify(const struct conf *conf, const struct conf_topic *topic, const char *headers,
		  size_t headers_len, struct position_slot *slot)
{
	struct header_line line;

	slot->kind = SLOT_FOREIGN;
	slot->unordered = slot->unnumbered = false;
	if (headers == NULL || origin_from_headers(headers, headers_len, &slot->origin) != 0)
		return;
	if (slot->origin.seq < 0) {
		slot->origin.seq = 1;
		slot->unnumbered =
		    origin_is_ours(&slot->origin, topic->stream, conf->name, topic->key, topic->adopt);
		return;
	}
	if (!origin_is_ours(&slot->origin, topic->stream, conf->name, topic->key, topic->adopt))
		return;
	slot->kind = SLOT_OURS;
	slot->unordered = header_find(headers, headers_len, "Nats-Msg-Id", &line) &&
			  is_our_id(&line, &slot->origin) &&
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

/* Others may have led, and copied, since. */
static bool
memory_is_old(const struct position_facts *f)
{
	return f->elected && f->have_memory && !f->memory_is_own;
}

/* In a map_hash that says doubt: others write too. */
#define DOUBT_SHARED UINT64_C(0x80000000)

/* The checkpoint was written while the target's last message did not tell the position. */
static bool
in_doubt(const struct position_facts *f)
{
	return f->memory.map_hash <= POSITION_DOUBT_MAX;
}

/* What is ours beyond the checkpoint's source sequence lies behind this target sequence. */
static uint64_t
memory_floor(const struct position_facts *f)
{
	uint64_t behind = in_doubt(f) ? f->memory.map_hash & ~DOUBT_SHARED : 0;

	return behind < f->memory.target_seq ? f->memory.target_seq - behind : 0;
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
		return (newest->kind == SLOT_FOREIGN && !newest->unnumbered) || newest->unordered;
	if (f->have_memory)
		return memory_of_this_target(f) && in_doubt(f) && (f->memory.map_hash & DOUBT_SHARED) != 0;
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

/* Whether a copy was made of the source as it is now, as far as the source can still tell. */
static bool
is_of_this_source(const struct position_facts *f, const struct position_slot *ours)
{
	if ((uint64_t)ours->origin.seq > f->source->last_seq)
		return false;
	if (ours->origin.stored_ms < 0)
		return true;
	if (f->have_origin_check && f->origin_check_ms != 0)
		return f->origin_check_ms == ours->origin.stored_ms;
	return ours->origin.stored_ms >= f->source->created_ns / 1000000;
}

/* An old checkpoint of other streams than these, while the target has a copy that was made since. */
static bool
memory_is_outdated(const struct position_facts *f)
{
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);

	if (!memory_is_old(f) || ours == NULL || !is_of_this_source(f, ours))
		return false;
	return !memory_of_this_source(f) || !memory_of_this_target(f) ||
	       f->memory.source_seq > f->source->last_seq;
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

bool
position_is_ahead_of_source(const struct position_facts *f)
{
	uint64_t at;
	const struct position_slot *ours = newest_of_ours(f, &at);

	return ours != NULL && (uint64_t)ours->origin.seq > f->source->last_seq;
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

/* Whether the checkpoint's source sequence is the position at its target sequence. */
static bool
is_pair(const struct position_facts *f)
{
	return !memory_of_this_target(f) || memory_floor(f) == f->memory.target_seq;
}

bool
position_map_varies(const struct conf_topic *topic)
{
	return topic->max_age_ms > 0 || topic->sampling.inspect != INSPECT_NONE;
}

/* Nobody can count so far; but if the source's consumer has no answer outstanding, it knows. */
static bool
from_whole_floor(const struct position_facts *f, uint64_t seq, struct position *out)
{
	bool others = f->elected && !f->memory_is_own, sampled = f->topic->sampling.inspect != INSPECT_NONE;

	if ((!others && !sampled) || !f->have_floor || !f->floor_is_all || f->floor < seq)
		return false;
	go_from(out, f->floor, "from the source's consumer, all of which is acknowledged");
	return true;
}

/* The message at the last sequence is gone: count from the newest pair that is known. */
static void
count_from_pair(const struct position_facts *f, struct position *out)
{
	uint64_t at = 0, seq = 0, end, behind;
	const struct position_slot *ours = newest_of_ours(f, &at);

	if (ours != NULL)
		seq = (uint64_t)ours->origin.seq;
	end = ours != NULL ? at + f->topic->max_inflight : 0;
	if (memory_of_this_target(f) && f->memory.target_seq + f->memory.in_flight > end)
		end = f->memory.target_seq + f->memory.in_flight;
	if (memory_of_this_target(f) && memory_of_this_source(f) && f->memory.target_seq >= at) {
		seq = f->memory.source_seq;
		at = f->memory.target_seq;
		end = at + f->memory.in_flight;
	}
	behind = f->target->last_seq - at;
	/* What was skipped then cannot be told from what would be skipped now. */
	if (f->target->last_seq > end ||
	    ((behind > 0 || !is_pair(f)) &&
	     (!growth_is_ours(f, at) || !same_settings(f) || position_map_varies(f->topic)))) {
		if (!from_whole_floor(f, seq, out))
			halt_between(f, seq, at, out);
		return;
	}
	out->presettled = out->start.presettled = behind;
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
	out->scan_from = remembered ? memory_floor(f) : 0;
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
 * Chains with different maps may have written behind the checkpoint: the last message does not tell what
 * is there before it. What is there is read, if all of it can be.
 */
static bool
from_doubt(const struct position_facts *f, struct position *out)
{
	uint64_t floor = memory_floor(f);

	if (!in_doubt(f) || floor >= f->target->last_seq || !none_gone_behind(f, floor))
		return false;
	if (memory_is_old(f) && f->target->last_seq - floor > OLD_DOUBT_MAX)
		return false;
	out->scan_from = floor;
	go_from(out, f->memory.source_seq, "from the checkpoint and what was copied since");
	out->outcome = POSITION_SCAN;
	return true;
}

static void
from_last_message(const struct position_facts *f, bool remembered, struct position *out)
{
	uint64_t seq = (uint64_t)f->last.origin.seq;

	if (remembered && f->memory.target_seq == f->target->last_seq && f->memory.source_seq > seq)
		seq = f->memory.source_seq;
	go_from(out, seq, "from the target's last message");
}

/* The last copy is one of the existing tool's that does not say of what: its consumer may. */
static bool
from_unnumbered(const struct position_facts *f, struct position *out)
{
	bool confirmed =
	    memory_of_this_target(f) && memory_of_this_source(f) && memory_floor(f) == f->target->last_seq;

	if (!f->last.unnumbered || confirmed || f->others_seen)
		return false;
	if (f->have_tool_floor && f->tool_floor_is_all) {
		go_from(out, f->tool_floor, "from the consumer of the tool that copied the last message");
		return true;
	}
	out->outcome = POSITION_HALT;
	snprintf(
	    out->text, sizeof out->text,
	    "the target's last message, %" PRIu64 ", was copied by a tool that did not know its sequence "
	    "at the source (its Choria-SR-Source says -1), and %s; set resume_from = SEQUENCE for one start",
	    f->target->last_seq,
	    f->have_tool_floor ? "that tool's consumer has a message that is not acknowledged"
			       : "that tool's consumer is not there");
	return true;
}

static void
from_exclusive_target(const struct position_facts *f, struct position *out)
{
	uint64_t at;
	bool remembered = memory_of_this_target(f) && memory_of_this_source(f);

	if (!f->others_seen && remembered && from_doubt(f, out))
		return;
	if (f->others_seen)
		behind_others(f, remembered, out);
	else if (remembered && memory_floor(f) == f->target->last_seq)
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

static uint64_t
largest_window(const struct position_facts *f)
{
	return f->topic->max_inflight > LARGEST_WINDOW ? f->topic->max_inflight : LARGEST_WINDOW;
}

static void
from_shared_target(const struct position_facts *f, struct position *out)
{
	bool further = memory_is_old(f) && f->have_floor && f->floor > f->memory.source_seq;

	if (memory_of_this_source(f)) {
		out->scan_from = memory_of_this_target(f) ? memory_floor(f) : 0;
		go_from(out, further ? f->floor : f->memory.source_seq, "from the checkpoint");
	} else {
		from_nothing(f, out);
	}
	if (!out->configured_start)
		out->scan_enough = largest_window(f);
}

uint64_t
position_scan_begin(const struct position *position, uint64_t last, unsigned int attempt)
{
	uint64_t span = position->scan_enough * 3 / 2;

	for (unsigned int i = 0; i < attempt && span < last; i++)
		span *= 4;
	return position->scan_enough > 0 && last > span && last - span > position->scan_from
		   ? last - span
		   : position->scan_from;
}

bool
position_scan_is_whole(const struct position *position, uint64_t from, uint64_t settled)
{
	return from == position->scan_from || settled >= position->scan_enough;
}

static void
resume_from_checkpoint(const struct position_facts *f, struct position *out)
{
	if (memory_of_this_target(f))
		out->scan_from = memory_floor(f);
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

/* Of an elected topic: the one who led before may have sent so far, whatever our checkpoint says. */
static uint64_t
used_by_others(const struct position_facts *f)
{
	if (!f->elected || f->memory_is_own || (f->target->last_seq == 0 && !f->map_in_doubt))
		return 0;
	return f->target->last_seq + largest_window(f);
}

/* The highest slot that an old chain of this node could still take. */
static uint64_t
used_by_us(const struct position_facts *f)
{
	uint64_t last = f->target->last_seq;

	if (last == 0 && !f->have_memory)
		return 0;
	if (memory_of_this_target(f) && f->memory.target_seq + f->memory.in_flight >= last)
		return f->memory.target_seq + f->memory.in_flight;
	/* no checkpoint, or one that was kept from being written */
	return last + f->topic->max_inflight;
}

static uint64_t
used_end(const struct position_facts *f)
{
	uint64_t ours = used_by_us(f), others = used_by_others(f);

	return ours > others ? ours : others;
}

/*
 * With the same settings and a checkpoint the map is the same: a late publish fills its own slot or fails. Of
 * an elected topic it is that of the one who led before, unless he is known to have had another.
 */
static bool
same_map(const struct position_facts *f, const struct position *out)
{
	bool others_same = f->elected && !f->memory_is_own && !f->map_in_doubt;

	if (f->elected && !f->memory_is_own && f->map_in_doubt)
		return false;
	return (memory_of_this_target(f) || others_same) && same_settings(f) &&
	       !position_map_varies(f->topic) && !f->topic->ephemeral && !f->apply_resume &&
	       out->incident == NULL;
}

/* Copies beyond the position are behind scan_from, and are of what the source holds now. */
static void
read_back(const struct position_facts *f, struct position *out)
{
	out->start.floor = out->scan_from;
	out->start.floor_until = out->start.late_until = f->source->last_seq;
}

static void
decide(const struct position_facts *f, struct position *out)
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
	} else if (from_unnumbered(f, out)) {
		/* decided */
	} else if (shared) {
		from_shared_target(f, out);
	} else {
		from_exclusive_target(f, out);
	}
	if (shared && out->outcome == POSITION_GO)
		out->outcome = POSITION_SCAN;
	if (shared) {
		out->start.mode = PIPELINE_SUBJECT;
	} else {
		out->start.used_end = used_end(f);
		out->start.contiguous = f->topic->filter_count == 0;
		out->start.stretch_end = same_map(f, out) ? 0 : out->start.used_end;
	}
	if (out->outcome == POSITION_SCAN)
		read_back(f, out);
}

void
position_at_start(const struct position_facts *f, struct position *out)
{
	struct position_facts without = *f;

	without.have_memory = false;
	decide(memory_is_outdated(f) ? &without : f, out);
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

/* The supervisor writes a checkpoint when as many messages have been settled since the last one. */
enum { WRITE_DELAY_MSGS = 32768 };

void
position_checkpoint(const struct pipeline *p, const struct conf_topic *topic, uint64_t map_hash,
		    struct proto_checkpoint *checkpoint)
{
	uint64_t settled = pipeline_target_seq(p), stretch = pipeline_stretch_end(p);

	checkpoint->source_seq = pipeline_source_seq(p);
	checkpoint->target_seq = settled;
	checkpoint->map_hash = pipeline_in_order(p) ? map_hash : settled - pipeline_floor(p);
	checkpoint->in_flight = 0;
	if (pipeline_mode(p) == PIPELINE_SUBJECT) {
		checkpoint->map_hash |= DOUBT_SHARED;
		return;
	}
	/* One is given at the latest when half a window has been settled; a window is in flight then. */
	checkpoint->in_flight = (uint64_t)topic->max_inflight * 3 / 2 + WRITE_DELAY_MSGS;
	if (stretch > settled + checkpoint->in_flight)
		checkpoint->in_flight = stretch - settled;
}
