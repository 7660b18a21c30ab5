/*
 * Replies from the target, what they settle, and what is told of it: acknowledgements to the source,
 * checkpoints to the supervisor. Runs in a replicating worker.
 *
 * A checkpoint is only written for what is settled. It promises that no slot above
 * target_seq + in_flight is taken before the next one (position_checkpoint).
 */
#include "worker/replicator_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/xalloc.h"
#include "worker/sampling.h"
#include "worker/slots.h"

enum {
	TICK_MS = 100,
	CHECKPOINT_MS = 250,
	READBACK_MAX = 4096,
};

/* ---- replies ------------------------------------------------------------------------------------- */

static bool
takes_replies(const struct replicator *r)
{
	switch (r->phase) {
	case PHASE_CONNECTING: /* the source may be the end that is lost */
	case PHASE_STARTING:
	case PHASE_COPYING:
	case PHASE_SETTLING:
	case PHASE_PAUSED:
	case PHASE_HALTED:
		return true;
	default:
		return false;
	}
}

/* The oldest entry was refused by itself: its true cause is known. */
static void
entry_refused(struct replicator *r, uint64_t seq, const struct jsapi_error *error)
{
	struct refusal refusal = refusal_classify(error, r->topic->on_reject != REJECT_HALT);

	switch (refusal.action) {
	case REFUSAL_REWIND:
	case REFUSAL_REWIND_SLOWER:
		replicator_rewind(r, true, error->description);
		break;
	case REFUSAL_HOLD:
		r->stats.counter[COUNTER_FAILED_MSGS]++;
		replicator_hold(r, WORKER_HOLDING, "the target refuses message %llu: %s (%d); %s",
				(unsigned long long)seq, error->description, error->err_code, refusal.cure);
		break;
	case REFUSAL_REJECT:
		r->stats.counter[COUNTER_FAILED_MSGS]++;
		r->refused_seq = seq;
		r->refused = *error;
		replicator_rewind(r, true, error->description);
		break;
	}
}

static void
act_on(struct replicator *r, enum pipeline_verdict verdict, uint64_t seq, const char *why,
       const struct sink_answer *answer)
{
	if (verdict == PIPELINE_GO_ON)
		return;
	if (answer->no_responders) {
		replicator_hold(r, WORKER_COPYING, "no stream leader answers at the target");
		return;
	}
	if (verdict == PIPELINE_REFUSED)
		entry_refused(r, seq, &answer->ack.error);
	else
		replicator_rewind(r, true, why);
}

/* What a reply has settled, compared with what it was before. */
static void
count_settled(struct replicator *r, uint64_t settled, uint32_t inflight, uint64_t bytes)
{
	r->stats.counter[COUNTER_COPIED_MSGS] += inflight - pipeline_inflight_msgs(r->pipeline);
	r->stats.counter[COUNTER_COPIED_BYTES] += bytes - pipeline_inflight_bytes(r->pipeline);
	if (pipeline_source_seq(r->pipeline) == settled)
		return;
	r->backoff_ms = 0;
	if (r->phase == PHASE_COPYING)
		replicator_tell(r, WORKER_COPYING, "%s", "");
	progress_settled(r);
}

void
progress_reply(void *arg, uint32_t epoch, uint64_t id, const struct sink_answer *answer)
{
	struct replicator *r = arg;
	struct pipeline_answer a = {
	    .accepted =
		!answer->no_responders && answer->ack.error.code == 0 && answer->ack.error.err_code == 0,
	    .duplicate = answer->ack.duplicate,
	    .seq = answer->ack.seq,
	};
	const char *why = "";
	uint64_t seq, settled = pipeline_source_seq(r->pipeline);
	uint32_t inflight = pipeline_inflight_msgs(r->pipeline);
	uint64_t bytes = pipeline_inflight_bytes(r->pipeline);
	enum pipeline_verdict verdict;

	if (id == 0) {
		r->barrier_answered = true;
		if (r->phase == PHASE_BARRIER)
			replicator_rewind(r, false, NULL);
		return;
	}
	if (!takes_replies(r))
		return;
	verdict = pipeline_reply(r->pipeline, epoch, id, &a, &seq, &why);
	if (a.duplicate && a.accepted)
		r->stats.counter[COUNTER_DUPLICATE_MSGS]++;
	count_settled(r, settled, inflight, bytes);
	act_on(r, verdict, seq, why, answer);
}

void
progress_replies_done(void *arg)
{
	struct replicator *r = arg;

	if (!takes_replies(r))
		return;
	copy_go_on(r);
	replicator_check_settled(r);
}

/* ---- the tail ------------------------------------------------------------------------------------ */

/* The chain's last entry was read from its slot: it is as good as a reply. */
static void
tail_read(void *arg, const struct position_slot *slots, size_t count, const char *failure)
{
	struct replicator *r = arg;
	uint64_t settled = pipeline_source_seq(r->pipeline);
	uint32_t inflight = pipeline_inflight_msgs(r->pipeline);
	uint64_t bytes = pipeline_inflight_bytes(r->pipeline), seq;
	struct pipeline_answer answer = {.accepted = true};
	struct pipeline_entry_view entry;
	const char *why;

	(void)count;
	r->tail = NULL;
	if (failure != NULL || !takes_replies(r) || r->tail_epoch != pipeline_epoch(r->pipeline) ||
	    slots[0].kind != SLOT_OURS)
		return; /* the next tick looks again, or finds that it is late */
	for (size_t i = 0; pipeline_entry(r->pipeline, i, &entry); i++)
		if (entry.slot == r->tail_slot && entry.seq == (uint64_t)slots[0].origin.seq) {
			answer.seq = entry.slot;
			break;
		}
	if (answer.seq == 0)
		return;
	pipeline_reply(r->pipeline, r->tail_epoch, r->tail_id, &answer, &seq, &why);
	count_settled(r, settled, inflight, bytes);
	progress_replies_done(r);
}

/*
 * Nothing more is sent behind the last entry, and its reply was not asked for: the source said that more
 * was at hand and it did not come, or reading has stopped. Its slot is read instead.
 */
static void
prove_tail(struct replicator *r)
{
	const struct ask_end end = {r->target_conn, r->topic->target_domain};
	bool asked;
	uint64_t id = pipeline_last_id(r->pipeline, &asked);
	struct error e;

	if (id == 0 || asked || r->tail != NULL || pipeline_mode(r->pipeline) != PIPELINE_CHAIN)
		return;
	r->tail_id = id;
	r->tail_epoch = pipeline_epoch(r->pipeline);
	r->tail_slot = pipeline_expected_last(r->pipeline);
	r->tail =
	    slots_read(&end, r->conf, r->topic, r->target_stream.name, r->tail_slot, 1, tail_read, r, &e);
}

/* ---- lateness ------------------------------------------------------------------------------------ */

void
progress_arm_tick(struct replicator *r)
{
	const struct timeval after = {0, TICK_MS * 1000};

	if (!evtimer_pending(r->tick_timer, NULL))
		evtimer_add(r->tick_timer, &after);
}

void
progress_tick(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;
	const char *why;
	bool asked;

	(void)fd;
	(void)what;
	if (!takes_replies(r))
		return;
	if (pipeline_tick(r->pipeline, mono_now(), &why) == PIPELINE_REWIND) {
		replicator_rewind(r, true, why);
		return;
	}
	progress_stretch_check(r);
	if (pipeline_last_id(r->pipeline, &asked) == r->tick_last_id)
		prove_tail(r); /* nothing was sent since the last tick */
	r->tick_last_id = pipeline_last_id(r->pipeline, &asked);
	if (pipeline_inflight_msgs(r->pipeline) > 0)
		progress_arm_tick(r);
}

/* ---- settling ------------------------------------------------------------------------------------ */

/* Sets that only serve messages above the settled sequence are forgotten once it has passed them. */
static void
forget_settled(struct replicator *r, uint64_t settled)
{
	struct seqset *sets[] = {&r->there, &r->passed_over, &r->decided};

	for (size_t i = 0; i < array_len(sets); i++)
		if (sets[i]->count > 0 && settled >= sets[i]->highest)
			seqset_clear(sets[i]);
}

void
progress_settled(struct replicator *r)
{
	const struct timeval after = {0, CHECKPOINT_MS * 1000};
	uint64_t settled = pipeline_source_seq(r->pipeline);

	source_settled(r->source, settled);
	go_consumer_settled(r->go_consumer, settled);
	if (r->sampling != NULL)
		sampling_settled(r);
	forget_settled(r, settled);
	r->checkpoint_dirty = true;
	if (pipeline_target_seq(r->pipeline) - r->checkpoint_target_seq >= r->topic->max_inflight / 2 + 1)
		progress_checkpoint_now(r);
	else if (!evtimer_pending(r->checkpoint_timer, NULL))
		evtimer_add(r->checkpoint_timer, &after);
}

void
progress_checkpoint_now(struct replicator *r)
{
	/* Counting from a pair: S has not caught up with T yet, so the two are no pair. */
	if (!r->checkpoint_dirty || !r->have_streams || r->presettled > 0)
		return;
	r->checkpoint_dirty = false;
	r->checkpoint_target_seq = pipeline_target_seq(r->pipeline);
	position_checkpoint(r->pipeline, r->topic, r->map_hash, &r->memory);
	if (r->phase == PHASE_DRAINED && pipeline_inflight_msgs(r->pipeline) == 0 && !r->lead.elected)
		r->memory.in_flight = 0; /* nothing is sent any more, also by nobody else */
	r->memory.updated_ms = wall_ms();
	replicator_remember(&r->told, &r->memory);
	r->have_told = true;
	others_note_pair(r);
	r->reports.checkpoint(r->arg, &r->memory);
}

void
progress_checkpoint_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	progress_checkpoint_now(arg);
}

/* ---- the stretch --------------------------------------------------------------------------------- */

void
progress_stretch_begin(struct replicator *r, uint64_t first_slot)
{
	slots_cancel(&r->readback);
	r->stretch_first = r->stretch_checked = first_slot;
	r->stretch_count = 0;
}

void
progress_stretch_note(struct replicator *r, uint64_t slot, uint64_t seq)
{
	if (r->stretch_first == 0 || slot != r->stretch_first + r->stretch_count)
		return;
	if (r->stretch_count == r->stretch_cap) {
		r->stretch_cap = r->stretch_cap > 0 ? r->stretch_cap * 2 : 256;
		r->stretch_seqs = xrealloc(r->stretch_seqs, r->stretch_cap * sizeof *r->stretch_seqs);
	}
	r->stretch_seqs[r->stretch_count++] = seq;
}

/*
 * A slot of the stretch that does not hold what was sent into it: a late publish took it. The reply that
 * was asked for each message has broken the chain there, so what it displaced was sent again in order;
 * what is left to say is that something is there twice.
 */
static void
readback_arrived(void *arg, const struct position_slot *slots, size_t count, const char *failure)
{
	struct replicator *r = arg;

	r->readback = NULL;
	if (failure != NULL)
		return; /* the next look reads them again */
	for (size_t i = 0; i < count; i++) {
		uint64_t want = r->stretch_seqs[r->stretch_checked - r->stretch_first + i];

		if (slots[i].kind == SLOT_OURS && (uint64_t)slots[i].origin.seq != want) {
			replicator_incident(
			    r, "late_publish",
			    "target sequence %llu holds message %lld where message %llu was sent",
			    (unsigned long long)(r->stretch_checked + i), (long long)slots[i].origin.seq,
			    (unsigned long long)want);
			replicator_rewind(r, true, "a late publish of an old connection");
			return;
		}
	}
	r->stretch_checked += count;
}

void
progress_stretch_check(struct replicator *r)
{
	const struct ask_end end = {r->target_conn, r->topic->target_domain};
	uint64_t settled = pipeline_target_seq(r->pipeline);
	size_t count;
	struct error e;

	if (r->stretch_first == 0 || r->readback != NULL || settled < r->stretch_checked)
		return;
	count = (size_t)(settled - r->stretch_checked + 1);
	if (count > r->stretch_count - (r->stretch_checked - r->stretch_first))
		count = r->stretch_count - (size_t)(r->stretch_checked - r->stretch_first);
	if (count == 0) {
		if (settled >= pipeline_stretch_end(r->pipeline))
			r->stretch_first = 0;
		return;
	}
	if (count > READBACK_MAX)
		count = READBACK_MAX;
	r->readback = slots_read(&end, r->conf, r->topic, r->target_stream.name, r->stretch_checked, count,
				 readback_arrived, r, &e);
}
