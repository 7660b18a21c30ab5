/*
 * What a sampled topic does between a position that was proven and its first new message; part of the
 * replicator.
 *
 * - forget: the times of copies, where the target is another one;
 * - recall: the copies behind the note are read back from the target (phase RECALLING);
 * - replay: the source is started behind the note; messages up to the position are seen and nothing else, or
 *   judged once more where the target cannot be read;
 * - ready: the table is whole up to the position.
 *
 * A rewind on the way changes nothing of that: what was read counts, the rest is read when the source is
 * started again. A failure begins the recall again, which finds the same. Until it is ready nothing is
 * advised but what the recall finds, nothing is gossiped, and no note is written: the old one stays good.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"

enum { REPLAY_QUIET_MS = 10000 };

static bool
replays(const struct replicator *r)
{
	return r->sampling->replay_at < pipeline_source_seq(r->pipeline);
}

void
sampling_remember(struct replicator *r)
{
	struct sampling *s = r->sampling;

	if (!s->ready || !r->proven_before || !r->have_streams)
		return;
	s->have_known = true;
	s->known = (struct sample_note){
	    .source_created_ns = r->source_stream.created_ns,
	    .source_seq = pipeline_source_seq(r->pipeline),
	    .target_created_ns = r->target_stream.created_ns,
	    .target_seq = pipeline_floor(r->pipeline),
	};
	listening_save(sampler_listening(s->sampler), &s->known);
}

/* Somebody said where to go on, for once or by a setting. */
static bool
is_chosen(const char *incident)
{
	return incident != NULL &&
	       (strcmp(incident, "resume") == 0 || strcmp(incident, "source_reset") == 0 ||
		strcmp(incident, "target_reset") == 0);
}

static void
make_plan(struct replicator *r, const struct locate_result *result)
{
	const struct position *position = &result->position;
	struct sampling *s = r->sampling;
	struct sample_note heard;
	bool have_heard = s->gossiper != NULL && gossiper_position(s->gossiper, &heard);
	const struct recall_facts facts = {
	    .own = s->have_known ? &s->known : NULL,
	    .heard = have_heard ? &heard : NULL,
	    .target_created_ns = r->have_told ? r->told.target_created_ns : 0,
	    .source = &r->source_stream,
	    .target = &r->target_stream,
	    .position = pipeline_source_seq(r->pipeline),
	    .chosen = position->configured_start || r->topic->ephemeral || is_chosen(position->incident),
	    .displaced = r->others_seen,
	    .elected = r->lead.elected,
	    .duration_ms = r->topic->sampling.duration_ms,
	    .now_ms = wall_ms(),
	};

	recall_make_plan(&facts, &s->plan);
	s->plan.note = NULL; /* it is not looked at any more */
	s->replay_at = s->plan.replay_after;
}

void
sampling_located(struct replicator *r, const struct locate_result *result)
{
	struct sampling *s = r->sampling;

	if (!result->rewound && s->have_known && s->known.source_created_ns != r->source_stream.created_ns)
		sampler_drop(s->sampler); /* its sequences are of another stream */
	sampler_rewind(s->sampler, pipeline_source_seq(r->pipeline), pipeline_floor(r->pipeline));
	if (result->rewound)
		return;
	make_plan(r, result);
	s->ready = false;
	s->wanted = true;
}

/* ---- recall -------------------------------------------------------------------------------------- */

static void
copy_recalled(void *arg, const struct sample_value *value, int64_t stored_ms, uint64_t size)
{
	struct replicator *r = arg;

	sampler_recall_copied(r->sampling->sampler, value, stored_ms, size, wall_ms());
}

static void
recall_progress(void *arg, uint64_t read, uint64_t left)
{
	struct replicator *r = arg;

	replicator_tell(r, WORKER_CONNECTING,
			"reading back what was copied: %" PRIu64 " of %" PRIu64 " messages of the target",
			read, read + left);
}

static void
recall_done(void *arg, const char *failure, uint64_t copies)
{
	struct replicator *r = arg;

	r->sampling->recall = NULL;
	if (failure != NULL) {
		replicator_hold(r, WORKER_COPYING, "reading back what was copied: %s", failure);
		return;
	}
	log_info("replicator", "read back %" PRIu64 " copies with a value from the target", copies);
	r->sampling->wanted = false;
	replicator_recalled(r);
}

static void
read_target(struct replicator *r)
{
	static const struct recall_callbacks callbacks = {copy_recalled, recall_progress, recall_done};
	const struct ask_end end = {r->target_conn, r->topic->target_domain};
	struct sampling *s = r->sampling;
	const struct recall_request request = {
	    .conf = r->conf,
	    .topic = r->topic,
	    .values = s->values,
	    .source = &r->source_stream,
	    .target = &r->target_stream,
	    .after = s->plan.after,
	    .since_ms = s->plan.since_ms,
	    .up_to = pipeline_source_seq(r->pipeline),
	};
	struct error e;

	s->recall = recall_start(&end, &request, &callbacks, r, &e);
	if (s->recall == NULL)
		replicator_hold(r, WORKER_COPYING, "reading back what was copied: %s", e.text);
}

/* The first message to be judged may have waited for long, while others wrote to the target: what was copied
 * within a duration before it counts. */
static void
first_arrived(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct replicator *r = arg;
	struct sampling *s = r->sampling;
	struct jsapi_stored stored = {0};
	struct jsapi_error err;
	struct error e;
	int64_t since_ms;

	s->first_request = NULL;
	if (result != NATS_REPLY) {
		replicator_hold(r, WORKER_COPYING, "reading the source's next message: %s",
				ask_failure_text(result));
		return;
	}
	if (jsapi_read_stored(m->data, m->data_len, &stored, &err, &e) == 0) { /* else there is none */
		since_ms = stored.stored_ns / 1000000 - r->topic->sampling.duration_ms;
		if (since_ms < s->plan.since_ms)
			s->plan.since_ms = since_ms > 0 ? since_ms : 1;
		jsapi_stored_fini(&stored);
	}
	read_target(r);
}

static void
ask_first(struct replicator *r)
{
	const struct ask_end end = {r->source_conn, r->topic->source_domain};
	char body[80];
	struct error e;
	int len;

	len = snprintf(body, sizeof body, "{\"seq\":%" PRIu64 ",\"next_by_subj\":\">\"}",
		       pipeline_source_seq(r->pipeline) + 1);
	r->sampling->first_request =
	    ask_api(&end, body, (size_t)len, first_arrived, r, &e, "STREAM.MSG.GET.%s", r->topic->stream);
	if (r->sampling->first_request == NULL)
		replicator_hold(r, WORKER_COPYING, "reading the source's next message: %s", e.text);
}

static void
begin_recall(struct replicator *r)
{
	struct sampling *s = r->sampling;

	if (!s->plan.read) {
		s->wanted = false;
		replicator_recalled(r);
	} else if (s->plan.since_ms != 0) {
		ask_first(r);
	} else {
		read_target(r);
	}
}

/* All that was ever heard was heard now. */
static void
forget_silence(struct replicator *r)
{
	int64_t now_ms = wall_ms();
	const struct sample_note note = {.heard_ms = now_ms, .gaps = {{0, now_ms}}, .gap_count = 1};

	listening_restore(sampler_listening(r->sampling->sampler), &note);
}

void
sampling_recall(struct replicator *r)
{
	struct sampling *s = r->sampling;

	if (s->advisor != NULL)
		advisor_lead(s->advisor, true);
	if (!s->wanted) {
		replicator_recalled(r);
		return;
	}
	if (s->plan.silence_from_now)
		forget_silence(r);
	if (s->plan.copies_lost)
		sampler_copies_lost(s->sampler, 0);
	if (s->plan.read || replays(r))
		sampler_recall_begin(s->sampler, s->plan.raise);
	begin_recall(r);
}

/* ---- replay -------------------------------------------------------------------------------------- */

uint64_t
sampling_start_after(const struct replicator *r)
{
	return replays(r) ? r->sampling->replay_at : pipeline_source_seq(r->pipeline);
}

static void
be_ready(struct replicator *r)
{
	struct sampling *s = r->sampling;

	sampler_recall_end(s->sampler, wall_ms());
	s->ready = true;
	s->replay_at = pipeline_source_seq(r->pipeline);
	if (s->gossiper != NULL)
		gossiper_lead(s->gossiper, r->source_stream.created_ns, r->target_stream.created_ns);
	sampling_listen(r);
	sampling_rows_send(r); /* also if nothing is known yet: what comes is behind this note */
}

void
sampling_source_ready(struct replicator *r)
{
	struct sampling *s = r->sampling;

	s->replayed = mono_now();
	if (!s->ready && !replays(r))
		be_ready(r);
}

/* Judged as it was then; the copy is settled. */
static void
judge_again(struct replicator *r, const struct sample_value *value, const struct sampler_message *m)
{
	(void)sampler_offer(r->sampling->sampler, value, m, wall_ms());
	sampler_settled(r->sampling->sampler, m->seq, pipeline_floor(r->pipeline));
}

static void
see_again(struct replicator *r, const struct nats_message *m, const struct jsack *ack)
{
	struct sampling *s = r->sampling;
	struct sampler_message message = {
	    .seq = ack->stream_seq,
	    .stored_ms = ack->stored_ns / 1000000,
	    .size = m->data_len,
	};
	struct inspect_result found;

	sampling_inspect(r, m, &found);
	message.forced = found.forced;
	if (found.value.len == 0)
		return;
	if (s->plan.replay_judges)
		judge_again(r, &found.value, &message);
	else
		sampler_recall_seen(s->sampler, &found.value, message.stored_ms, message.size, wall_ms());
}

void
sampling_replay(struct replicator *r, const struct nats_message *m, const struct jsack *ack)
{
	struct sampling *s = r->sampling;
	enum proto_counter why;

	if (s->ready || ack->stream_seq <= s->replay_at)
		return;
	s->replay_at = ack->stream_seq;
	s->replayed = mono_now();
	if (!copy_is_none(r, m, &why))
		see_again(r, m, ack);
	if (ack->pending == 0 || !replays(r))
		be_ready(r);
}

void
sampling_replayed(struct replicator *r)
{
	be_ready(r);
}

/* What was to be replayed is gone, and nothing newer is there to say so. */
void
sampling_replay_tick(struct replicator *r)
{
	struct sampling *s = r->sampling;

	if (!s->ready && r->phase == PHASE_COPYING && !r->paused_for_room &&
	    mono_ms_between(s->replayed, mono_now()) > REPLAY_QUIET_MS)
		be_ready(r);
}
