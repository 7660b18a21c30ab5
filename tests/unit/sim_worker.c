/*
 * The worker of the simulation. The order of things is that of the replicator: after any doubt a barrier,
 * then the position is proven, then the source starts just behind it.
 */
#include "tests/unit/sim_worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/refusal.h"

enum { ACK_TIMEOUT_MS = 5000, READ_AT_ONCE = 7, WRITE_DELAY_MSGS = 32768 };

static char site[] = "SITE", topic_key[] = "topic", source_name[] = "SOURCE", target_name[] = "TARGET",
	    nothing[] = "";
static const struct conf conf = {.name = site};

static void locate_begin(struct sim_worker *w);
static void rewind_now(struct sim_worker *w, bool fault);
static void go_back(struct sim_worker *w);
static void send_letter_into_target(struct sim_worker *w, uint64_t seq);

/* With SIM_TRACE in the environment: what the worker does, for whoever repeats a finding. */
static void trace(const struct sim_worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
trace(const struct sim_worker *w, const char *fmt, ...)
{
	static int wanted = -1;
	va_list ap;

	if (wanted < 0)
		wanted = getenv("SIM_TRACE") != NULL;
	if (!wanted)
		return;
	fprintf(stderr, "%lld conn %d: ", (long long)w->world->now_ms, w->conn);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* Three settings of filter_subject. */
bool
sim_matches(uint32_t filter, uint32_t subject)
{
	return filter == 0 || (filter == 1 ? subject % 2 == 0 : subject % 3 != 0);
}

uint64_t
sim_map_hash(const struct sim_settings *settings)
{
	return POSITION_DOUBT_MAX + 1 + settings->filter * 10 + (settings->on_reject == REJECT_HALT ? 0 : 1);
}

static void
enter(struct sim_worker *w, enum sim_phase phase)
{
	w->phase = phase;
	if (phase != SIM_COPYING && phase != SIM_STARTING && phase != SIM_DEAD) {
		w->letter_seq = 0;
		w->letter_sent = false;
	}
}

static bool
takes_answers(const struct sim_worker *w)
{
	return w->phase == SIM_STARTING || w->phase == SIM_COPYING || w->phase == SIM_HALTED;
}

static void
halt(struct sim_worker *w, bool by_message)
{
	w->told->halts++;
	w->halted_by_message = by_message;
	enter(w, SIM_HALTED);
}

static void
hold(struct sim_worker *w)
{
	w->fault = true;
	enter(w, SIM_BACKOFF);
	w->until_ms = w->world->now_ms + 50 + sim_below(&w->world->random, 2000);
}

/* ---- settling ------------------------------------------------------------------------------------- */

static void
fill_checkpoint(const struct sim_worker *w, struct proto_checkpoint *c)
{
	const struct conf_topic topic = {.max_inflight = w->settings.max_inflight};

	*c = (struct proto_checkpoint){.source_stream = source_name,
				       .source_created_ns = 1,
				       .target_stream = target_name,
				       .target_created_ns = w->proven_created_ns};
	position_checkpoint(w->pipeline, &topic, sim_map_hash(&w->settings), c);
	/* This world's supervisor is faster, so that the promise is a tight one. */
	if (c->in_flight >= WRITE_DELAY_MSGS)
		c->in_flight -= WRITE_DELAY_MSGS - w->settings.supervisor_delay;
	if (c->in_flight > 0 && pipeline_stretch_end(w->pipeline) > c->target_seq + c->in_flight)
		c->in_flight = pipeline_stretch_end(w->pipeline) - c->target_seq;
}

static void
tell_checkpoint(struct sim_worker *w)
{
	struct proto_checkpoint c;

	if (w->presettled > 0)
		return;
	fill_checkpoint(w, &c);
	w->told_in_order = pipeline_in_order(w->pipeline);
	w->told_target_seq = pipeline_target_seq(w->pipeline);
	w->checkpoint(w->arg, &c);
}

/* Nothing is sent in another map before the checkpoint says that it may have changed. */
static void
tell_doubt(struct sim_worker *w)
{
	if (w->told_in_order && !pipeline_in_order(w->pipeline))
		tell_checkpoint(w);
}

static void
forget_settled(struct seqset *set, uint64_t settled)
{
	if (set->count > 0 && settled >= set->highest)
		seqset_clear(set);
}

static void
after_settling(struct sim_worker *w)
{
	uint64_t settled = pipeline_source_seq(w->pipeline), was = w->told_settled;

	forget_settled(&w->there, settled);
	forget_settled(&w->passed_over, settled);
	w->told_settled = settled;
	tell_doubt(w);
	if (settled > was)
		w->settled(w->arg, was, settled);
	if (sim_chance(&w->world->random, 200) && settled > w->world->source.ack_floor)
		w->world->source.ack_floor = settled;
	if (pipeline_target_seq(w->pipeline) - w->told_target_seq >= w->settings.max_inflight / 2 + 1 ||
	    sim_chance(&w->world->random, 100))
		tell_checkpoint(w);
}

/* ---- sending -------------------------------------------------------------------------------------- */

static void
publish(struct sim_worker *w, uint64_t seq, uint64_t expected_last, bool reply, uint64_t id)
{
	const bool chain = pipeline_mode(w->pipeline) == PIPELINE_CHAIN;

	w->sent_here = true;
	trace(w, "send %llu expecting %llu%s", (unsigned long long)seq, (unsigned long long)expected_last,
	      reply ? ", asks" : "");
	sim_send(w->world, w->conn,
		 &(struct sim_publish){.origin = seq,
				       .content = sim_content(seq),
				       .has_expected = chain,
				       .expected_last = expected_last,
				       .has_id = !chain,
				       .reply = reply,
				       .epoch = pipeline_epoch(w->pipeline),
				       .id = id});
}

static void
pass_over(struct sim_worker *w, uint64_t seq)
{
	w->told->rejected++;
	seqset_add(&w->passed_over, seq);
	w->refused_seq = 0;
	pipeline_skip(w->pipeline, seq);
	after_settling(w);
}

static void
send_letter(struct sim_worker *w)
{
	if (w->letter_seq == 0 || w->letter_sent || pipeline_inflight_msgs(w->pipeline) > 0)
		return;
	w->letter_sent = true;
	w->until_ms = w->world->now_ms + ACK_TIMEOUT_MS;
	sim_send(w->world, w->conn,
		 &(struct sim_publish){.letter = true,
				       .origin = w->letter_seq,
				       .reply = true,
				       .epoch = pipeline_epoch(w->pipeline)});
}

static void
reject(struct sim_worker *w, uint64_t seq)
{
	switch (w->settings.on_reject) {
	case REJECT_HALT:
		halt(w, true);
		break;
	case REJECT_SKIP:
		pass_over(w, seq);
		break;
	case REJECT_DEAD_LETTER:
		if (w->settings.letters_in_target) {
			send_letter_into_target(w, seq);
			break;
		}
		w->letter_seq = seq;
		send_letter(w);
		break;
	}
}

/* Entries that wait hold the sequence where others have their payload. */
static void
send_ready(struct sim_worker *w)
{
	uint64_t id;
	void *held;

	while (pipeline_ready(w->pipeline, sim_now(w->world), &id, &held))
		publish(w, (uint64_t)(uintptr_t)held, 0, true, id);
}

/* A dead letter for the target stream itself is a link of the chain like any other. */
static void
send_letter_into_target(struct sim_worker *w, uint64_t seq)
{
	const struct sim_source_msg *m = &w->world->source.msgs[seq];
	uint64_t expected_last = pipeline_expected_last(w->pipeline);
	struct pipeline_ticket t =
	    pipeline_send(w->pipeline, seq, m->stored_ms, 1, 0, false, sim_now(w->world));

	tell_doubt(w);
	w->told->rejected++;
	w->refused_seq = 0;
	w->sent_here = true;
	sim_send(w->world, w->conn,
		 &(struct sim_publish){.letter = true,
				       .origin = seq,
				       .has_expected = true,
				       .expected_last = expected_last,
				       .reply = t.reply,
				       .epoch = pipeline_epoch(w->pipeline),
				       .id = t.id});
}

static void
send_copy(struct sim_worker *w, uint64_t seq, bool more)
{
	const struct sim_source_msg *m = &w->world->source.msgs[seq];
	uint64_t expected_last = pipeline_expected_last(w->pipeline);
	struct pipeline_ticket t = pipeline_send(w->pipeline, seq, m->stored_ms, 1 + seq % 37,
						 (uint64_t)m->subject << 20, more, sim_now(w->world));

	tell_doubt(w);
	/* A later one is there already. */
	if (pipeline_mode(w->pipeline) == PIPELINE_CHAIN && w->there.count > 0 && seq < w->there.highest)
		w->told->missing++;
	if (t.wait)
		pipeline_hold(w->pipeline, t.id, (void *)(uintptr_t)seq);
	else
		publish(w, seq, expected_last, t.reply, t.id);
}

static void
take_message(struct sim_worker *w, uint64_t seq, bool more)
{
	const struct sim_source_msg *m = &w->world->source.msgs[seq];

	if (seq <= pipeline_offered_seq(w->pipeline))
		return;
	if (!sim_matches(w->settings.filter, m->subject) || seqset_has(&w->there, seq) ||
	    seqset_has(&w->passed_over, seq)) {
		pipeline_skip(w->pipeline, seq);
		after_settling(w);
	} else if (m->kind == SIM_UNFIT || seq == w->refused_seq) {
		reject(w, seq);
	} else if (w->presettled > 0) {
		w->presettled--;
		pipeline_skip(w->pipeline, seq);
		after_settling(w);
	} else {
		send_copy(w, seq, more);
	}
}

static uint64_t
next_of_source(const struct sim_worker *w, uint64_t seq)
{
	while (seq <= w->world->source.last && w->world->source.msgs[seq].deleted)
		seq++;
	return seq;
}

bool
sim_worker_deliver(struct sim_worker *w, bool say_more)
{
	uint64_t seq;

	if (w->phase != SIM_COPYING || w->letter_seq != 0 || !pipeline_has_room(w->pipeline))
		return false;
	seq = next_of_source(w, w->next_seq);
	if (seq > w->world->source.last)
		return false;
	w->next_seq = seq + 1;
	take_message(w, seq, say_more || next_of_source(w, seq + 1) <= w->world->source.last);
	return true;
}

bool
sim_worker_redeliver(struct sim_worker *w, uint64_t seq)
{
	if (w->phase != SIM_COPYING || w->letter_seq != 0 || seq == 0 ||
	    seq > pipeline_offered_seq(w->pipeline))
		return false;
	take_message(w, seq, true);
	return true;
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void
entry_refused(struct sim_worker *w, uint64_t seq, const struct sim_answer *a)
{
	const struct jsapi_error error = {.code = a->code, .err_code = a->err_code};

	switch (refusal_classify(&error, w->settings.on_reject != REJECT_HALT).action) {
	case REFUSAL_REWIND:
	case REFUSAL_REWIND_SLOWER:
		rewind_now(w, true);
		break;
	case REFUSAL_HOLD:
		hold(w);
		break;
	case REFUSAL_REJECT:
		w->refused_seq = w->last_refused = seq;
		rewind_now(w, true);
		break;
	}
}

static void
take_reply(struct sim_worker *w, const struct sim_answer *a)
{
	const struct pipeline_answer answer = {
	    .accepted = !a->no_responders && a->code == 0, .duplicate = a->duplicate, .seq = a->seq};
	uint64_t seq, settled = pipeline_source_seq(w->pipeline);
	const char *why;
	enum pipeline_verdict verdict = pipeline_reply(w->pipeline, a->epoch, a->id, &answer, &seq, &why);

	trace(w, "answer to %llu: error %d, sequence %llu, settled %llu", (unsigned long long)seq,
	      a->err_code, (unsigned long long)a->seq, (unsigned long long)pipeline_source_seq(w->pipeline));
	if (pipeline_source_seq(w->pipeline) != settled)
		after_settling(w);
	if (verdict == PIPELINE_GO_ON || w->phase == SIM_HALTED)
		return;
	if (a->no_responders)
		hold(w);
	else if (verdict == PIPELINE_REFUSED)
		entry_refused(w, seq, a);
	else
		rewind_now(w, true);
}

static void
take_letter_answer(struct sim_worker *w, const struct sim_answer *a)
{
	uint64_t seq = w->letter_seq;

	if (seq == 0 || !w->letter_sent || a->epoch != pipeline_epoch(w->pipeline))
		return;
	if (a->code != 0) {
		hold(w);
		return;
	}
	w->letter_seq = 0;
	w->letter_sent = false;
	pass_over(w, seq);
}

bool
sim_worker_answer(struct sim_worker *w)
{
	struct sim_answer a;

	if (w->phase == SIM_DEAD || w->conn < 0 || !sim_take_answer(w->world, w->conn, &a))
		return false;
	if (a.letter && a.id == 0) {
		take_letter_answer(w, &a);
	} else if (a.id == 0) {
		if (w->phase == SIM_BARRIER)
			locate_begin(w);
	} else if (takes_answers(w)) {
		take_reply(w, &a);
	}
	if (takes_answers(w) && w->phase != SIM_HALTED) {
		send_ready(w);
		send_letter(w);
	}
	return true;
}

/* ---- the way back --------------------------------------------------------------------------------- */

static void
go_back(struct sim_worker *w)
{
	if (w->conn < 0) {
		enter(w, SIM_CONNECTING);
		return;
	}
	if (!w->sent_here || pipeline_inflight_msgs(w->pipeline) == 0) {
		locate_begin(w);
		return;
	}
	enter(w, SIM_BARRIER);
	w->until_ms = w->world->now_ms + ACK_TIMEOUT_MS;
	sim_send(w->world, w->conn,
		 &(struct sim_publish){.barrier = true, .reply = true, .epoch = pipeline_epoch(w->pipeline)});
}

static void
rewind_now(struct sim_worker *w, bool fault)
{
	w->told->rewinds++;
	w->fault |= fault;
	if (fault && sim_chance(&w->world->random, 300))
		hold(w);
	else
		go_back(w);
}

void
sim_worker_lose_target(struct sim_worker *w, size_t arrive_late)
{
	if (w->phase == SIM_DEAD || w->conn < 0)
		return;
	sim_disconnect(w->world, w->conn, arrive_late);
	w->conn = -1;
	w->fault |= pipeline_inflight_msgs(w->pipeline) > 0;
	if (w->phase != SIM_HALTED)
		enter(w, SIM_CONNECTING);
}

void
sim_worker_lose_source(struct sim_worker *w)
{
	if (w->phase == SIM_COPYING || w->phase == SIM_STARTING)
		rewind_now(w, false);
}

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

static void
locate_begin(struct sim_worker *w)
{
	if (w->conn < 0) {
		enter(w, SIM_CONNECTING);
		return;
	}
	if (w->proven && w->presettled == 0)
		fill_checkpoint(w, &w->memory);
	w->have_memory |= w->proven;
	w->memory_is_own |= w->proven;
	enter(w, SIM_LOCATING);
	w->locate = LOCATE_INFO;
}

static void
read_infos(struct sim_worker *w)
{
	const struct sim_target *t = &w->world->target;
	bool same_target = w->proven_created_ns == t->created_ns;

	w->ack_floor = w->world->source.ack_floor;
	w->last_seq = t->last;
	w->target_info = (struct jsapi_stream){.created_ns = t->created_ns, .last_seq = t->last};
	snprintf(w->target_info.name, sizeof w->target_info.name, "%s", target_name);
	w->target_info.first_seq = sim_target_first(w->world, &w->target_info.messages);
	w->source_info =
	    (struct jsapi_stream){.created_ns = 1, .first_seq = 1, .last_seq = w->world->source.last};
	snprintf(w->source_info.name, sizeof w->source_info.name, "%s", source_name);
	w->scan_is_rewind = w->proven && same_target && t->last >= pipeline_target_seq(w->pipeline);
	if (!w->scan_is_rewind) {
		w->locate = LOCATE_FACTS;
		return;
	}
	w->slot_count = (size_t)(t->last - pipeline_target_seq(w->pipeline));
	w->locate = pipeline_mode(w->pipeline) == PIPELINE_SUBJECT ? LOCATE_SCAN : LOCATE_LAST_SLOT;
	w->position = (struct position){.outcome = POSITION_SCAN, .scan_from = pipeline_floor(w->pipeline)};
	w->position.start = (struct pipeline_start){
	    .mode = PIPELINE_SUBJECT, .source_seq = pipeline_source_seq(w->pipeline), .target_seq = t->last};
	w->slots_read = 0;
	seqset_clear(&w->seen);
	w->slots = xrealloc(w->slots, (w->slot_count + 1) * sizeof *w->slots);
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
	after_settling(w);
	tell_checkpoint(w);
	enter(w, SIM_STARTING);
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

	trace(w,
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

	for (int i = 0; i < READ_AT_ONCE && w->position.scan_from < w->last_seq; i++) {
		struct position_slot slot = read_slot(w, ++w->position.scan_from);
		uint64_t seq = (uint64_t)slot.origin.seq;

		if (slot.kind != SLOT_OURS)
			continue;
		if (seqset_has(&w->seen, seq) || is_known_repeat(w, w->position.scan_from, seq))
			w->told->repeats++;
		w->told->disordered += seq < w->seen.highest && w->position.start.mode == PIPELINE_CHAIN;
		seqset_add(&w->seen, seq);
		if (seq > after)
			seqset_add(&w->there, seq);
	}
	if (w->position.scan_from == w->last_seq)
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
					 .stream = source_name,
					 .target_stream = target_name,
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
				   .apply_resume = w->resume_seq > 0};

	seqset_clear(&w->there);
	seqset_clear(&w->seen);
	read_facts(w, &f);
	position_at_start(&f, &w->position);
	w->told->resets += w->position.incident != NULL;
	trace(w, "start: source %llu target %llu stretch %llu presettled %llu: %s",
	      (unsigned long long)w->position.start.source_seq, (unsigned long long)w->last_seq,
	      (unsigned long long)w->position.start.stretch_end, (unsigned long long)w->position.presettled,
	      w->position.text);
	w->resume_seq = 0;
	if (w->position.outcome == POSITION_HALT)
		halt(w, false);
	else if (w->position.outcome == POSITION_SCAN && w->position.scan_from < w->last_seq)
		w->locate = LOCATE_SCAN;
	else
		finish_start(w);
}

/* ---- life ----------------------------------------------------------------------------------------- */

static void
locate_step(struct sim_worker *w)
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

bool
sim_worker_step(struct sim_worker *w)
{
	switch (w->phase) {
	case SIM_CONNECTING:
		w->conn = sim_connect(w->world);
		w->sent_here = false;
		go_back(w);
		return true;
	case SIM_LOCATING:
		locate_step(w);
		return true;
	case SIM_STARTING:
		w->next_seq = pipeline_source_seq(w->pipeline) + 1;
		enter(w, SIM_COPYING);
		return true;
	default:
		return false;
	}
}

void
sim_worker_tick(struct sim_worker *w)
{
	const char *why;
	bool due = w->world->now_ms >= w->until_ms;

	if (w->phase == SIM_BARRIER && due)
		locate_begin(w);
	else if (w->phase == SIM_BACKOFF && due)
		go_back(w);
	else if (w->letter_sent && due)
		hold(w);
	else if ((w->phase == SIM_STARTING || w->phase == SIM_COPYING) &&
		 pipeline_tick(w->pipeline, sim_now(w->world), &why) == PIPELINE_REWIND)
		rewind_now(w, true);
}

void
sim_worker_start(struct sim_worker *w, const struct proto_checkpoint *checkpoint, uint64_t resume_seq)
{
	const struct pipeline_config config = {.window_max = w->settings.max_inflight,
					       .window_max_bytes = w->settings.max_inflight * 30,
					       .reply_every_msgs = w->settings.reply_every,
					       .reply_every_bytes = w->settings.reply_every * 40,
					       .ack_timeout_ms = ACK_TIMEOUT_MS};

	w->pipeline = pipeline_new(&config, NULL, NULL);
	seqset_init(&w->there);
	seqset_init(&w->passed_over);
	seqset_init(&w->seen);
	w->slots = NULL;
	w->conn = -1;
	w->fault = w->sent_here = w->proven = w->memory_is_own = w->letter_sent = false;
	w->presettled = w->told_settled = w->told_target_seq = w->letter_seq = 0;
	w->refused_seq = w->last_refused = 0;
	w->have_memory = checkpoint != NULL;
	if (checkpoint != NULL)
		w->memory = *checkpoint;
	w->resume_seq = resume_seq;
	w->proven_created_ns = 0;
	enter(w, SIM_CONNECTING);
}

void
sim_worker_kill(struct sim_worker *w, size_t arrive_late)
{
	if (w->phase == SIM_DEAD)
		return;
	if (w->conn >= 0)
		sim_disconnect(w->world, w->conn, arrive_late);
	w->conn = -1;
	pipeline_free(&w->pipeline);
	seqset_fini(&w->there);
	seqset_fini(&w->passed_over);
	seqset_fini(&w->seen);
	free(w->slots);
	w->slots = NULL;
	w->phase = SIM_DEAD;
}

bool
sim_worker_is_idle(const struct sim_worker *w)
{
	return w->phase == SIM_COPYING && w->letter_seq == 0 && pipeline_inflight_msgs(w->pipeline) == 0 &&
	       next_of_source(w, w->next_seq) > w->world->source.last;
}
