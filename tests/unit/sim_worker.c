/*
 * The worker of the simulation. The order of things is that of the replicator: after any doubt a barrier,
 * then the position is proven, then the source starts just behind it.
 */
#include "tests/unit/sim_worker_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/refusal.h"

char sim_source_name[] = "SOURCE", sim_target_name[] = "TARGET";

enum { ACK_TIMEOUT_MS = 5000, WRITE_DELAY_MSGS = 32768 };

static void rewind_now(struct sim_worker *w, bool fault);
static void go_back(struct sim_worker *w);
static void send_letter_into_target(struct sim_worker *w, uint64_t seq);

/* With SIM_TRACE in the environment: what the worker does, for whoever repeats a finding. */
void
sim_trace(const struct sim_worker *w, const char *fmt, ...)
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

void
sim_enter(struct sim_worker *w, enum sim_phase phase)
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

void
sim_halt(struct sim_worker *w, bool by_message)
{
	w->told->halts++;
	w->halted_by_message = by_message;
	sim_enter(w, SIM_HALTED);
}

static void
hold(struct sim_worker *w)
{
	w->fault = true;
	sim_enter(w, SIM_BACKOFF);
	w->until_ms = w->world->now_ms + 50 + sim_below(&w->world->random, 2000);
}

/* ---- settling ------------------------------------------------------------------------------------- */

void
sim_fill_checkpoint(const struct sim_worker *w, struct proto_checkpoint *c)
{
	const struct conf_topic topic = {.max_inflight = w->settings.max_inflight};

	*c = (struct proto_checkpoint){.source_stream = sim_source_name,
				       .source_created_ns = 1,
				       .target_stream = sim_target_name,
				       .target_created_ns = w->proven_created_ns};
	position_checkpoint(w->pipeline, &topic, sim_map_hash(&w->settings), c);
	/* This world's supervisor is faster, so that the promise is a tight one. */
	if (c->in_flight >= WRITE_DELAY_MSGS)
		c->in_flight -= WRITE_DELAY_MSGS - w->settings.supervisor_delay;
	if (c->in_flight > 0 && pipeline_stretch_end(w->pipeline) > c->target_seq + c->in_flight)
		c->in_flight = pipeline_stretch_end(w->pipeline) - c->target_seq;
}

void
sim_tell_checkpoint(struct sim_worker *w)
{
	struct proto_checkpoint c;

	if (w->presettled > 0)
		return;
	sim_fill_checkpoint(w, &c);
	w->told_in_order = pipeline_in_order(w->pipeline);
	w->told_target_seq = pipeline_target_seq(w->pipeline);
	w->checkpoint(w->arg, &c);
}

/* Nothing is sent in another map before the checkpoint says that it may have changed. */
static void
tell_doubt(struct sim_worker *w)
{
	if (w->told_in_order && !pipeline_in_order(w->pipeline))
		sim_tell_checkpoint(w);
}

static void
forget_settled(struct seqset *set, uint64_t settled)
{
	if (set->count > 0 && settled >= set->highest)
		seqset_clear(set);
}

void
sim_after_settling(struct sim_worker *w)
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
		sim_tell_checkpoint(w);
}

/* ---- sending -------------------------------------------------------------------------------------- */

static void
publish(struct sim_worker *w, uint64_t seq, uint64_t expected_last, bool reply, uint64_t id)
{
	const bool chain = pipeline_mode(w->pipeline) == PIPELINE_CHAIN;

	w->sent_here = true;
	sim_trace(w, "send %llu expecting %llu%s", (unsigned long long)seq, (unsigned long long)expected_last,
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
	sim_after_settling(w);
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
		sim_halt(w, true);
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
		sim_after_settling(w);
	} else if (m->kind == SIM_UNFIT || seq == w->refused_seq) {
		reject(w, seq);
	} else if (w->presettled > 0) {
		w->presettled--;
		pipeline_skip(w->pipeline, seq);
		sim_after_settling(w);
	} else {
		send_copy(w, seq, more);
	}
}

uint64_t
sim_next_of_source(const struct sim_worker *w, uint64_t seq)
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
	seq = sim_next_of_source(w, w->next_seq);
	if (seq > w->world->source.last)
		return false;
	w->next_seq = seq + 1;
	take_message(w, seq, say_more || sim_next_of_source(w, seq + 1) <= w->world->source.last);
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

	sim_trace(w, "answer to %llu: error %d, sequence %llu, settled %llu", (unsigned long long)seq,
		  a->err_code, (unsigned long long)a->seq,
		  (unsigned long long)pipeline_source_seq(w->pipeline));
	if (pipeline_source_seq(w->pipeline) != settled)
		sim_after_settling(w);
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
			sim_locate_begin(w);
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
		sim_enter(w, SIM_CONNECTING);
		return;
	}
	if (!w->sent_here || pipeline_inflight_msgs(w->pipeline) == 0) {
		sim_locate_begin(w);
		return;
	}
	sim_enter(w, SIM_BARRIER);
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
		sim_enter(w, SIM_CONNECTING);
}

void
sim_worker_lose_source(struct sim_worker *w)
{
	if (w->phase == SIM_COPYING || w->phase == SIM_STARTING)
		rewind_now(w, false);
}

/* ---- life ----------------------------------------------------------------------------------------- */

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
		sim_locate_step(w);
		return true;
	case SIM_STARTING:
		w->next_seq = pipeline_source_seq(w->pipeline) + 1;
		sim_enter(w, SIM_COPYING);
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
		sim_locate_begin(w);
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
	sim_enter(w, SIM_CONNECTING);
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
	       sim_next_of_source(w, w->next_seq) > w->world->source.last;
}
