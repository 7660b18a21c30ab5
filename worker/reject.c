/*
 * A message that can never be stored at the target: on_reject = halt, dead_letter or skip. Runs in a
 * replicating worker.
 *
 * Passing a message over changes the map of what goes into which slot, so it only happens here, and only
 * when the message comes in its turn. A dead letter is sent when nothing is in flight before it (it may
 * go into the target stream itself) and must be acknowledged before the message counts as settled; it
 * carries our message id, so that one sent twice because an answer was lost is stored once.
 */
#include "worker/replicator_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/subject.h"
#include "worker/sampling.h"

static void
pass_over(struct replicator *r, uint64_t seq)
{
	seqset_add(&r->passed_over, seq);
	r->refused_seq = 0;
	if (r->sampling != NULL)
		sampler_not_copied(r->sampling->sampler, seq);
	pipeline_skip(r->pipeline, seq);
	progress_settled(r);
}

void
reject_cancel(struct replicator *r)
{
	nats_request_cancel(&r->letter_request);
	nats_held_free(&r->letter);
}

static void
letter_answered(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct replicator *r = arg;
	struct jsapi_puback ack;
	uint64_t seq = r->letter_seq;

	r->letter_request = NULL;
	if (result == NATS_REPLY && jsapi_read_puback(m->data, m->data_len, &ack) == 0 &&
	    ack.error.code == 0 && ack.seq > 0) {
		r->stats.counter[COUNTER_DEAD_LETTER_MSGS]++;
		replicator_incident(r, "dead_letter", "message %llu went to %s: %s", (unsigned long long)seq,
				    r->topic->dead_letter_subject, r->letter_reason);
		nats_held_free(&r->letter);
		pass_over(r, seq);
		copy_go_on(r);
		return;
	}
	replicator_hold(
	    r, WORKER_HOLDING,
	    "message %llu is to go to dead_letter_subject %s, where %s; bind a stream to that subject",
	    (unsigned long long)seq, r->topic->dead_letter_subject,
	    result == NATS_REPLY             ? "it was not stored"
	    : result == NATS_REQUEST_TIMEOUT ? "nothing answered"
					     : "no stream takes it");
}

static void
send_letter(struct replicator *r)
{
	const struct nats_message *m = nats_held_message(r->letter);
	const struct compose_source source = {m->subject,    m->headers,          m->headers_len,
					      r->letter_seq, r->letter_stored_ms, NULL};
	uint64_t limit = nats_conn_info(r->target_conn)->max_payload;
	size_t len, data_len = m->data_len;
	const char *lines = compose_dead_letter(r->composer, &source, r->letter_reason, &len);
	struct error e;

	if (lead_is_over(r, mono_now()))
		return;
	/* Headers and body where they fit; the reason and the origin always do. */
	if (nats_publish_size(len, data_len) > limit)
		data_len = 0;
	if (nats_publish_size(len, data_len) > limit) {
		const struct compose_source bare = {m->subject,          NULL, 0, r->letter_seq,
						    r->letter_stored_ms, NULL};

		lines = compose_dead_letter(r->composer, &bare, r->letter_reason, &len);
	}
	r->letter_request =
	    nats_conn_request(r->target_conn, r->topic->dead_letter_subject, lines, len, m->data, data_len,
			      r->topic->ack_timeout_ms, letter_answered, r, &e);
	if (r->letter_request == NULL)
		replicator_hold(r, WORKER_HOLDING, "dead letter: %s", e.text);
}

static void
begin_letter(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms,
	     const char *reason)
{
	source_pause(r->source);
	r->paused_for_room = true;
	r->letter = nats_message_hold(m);
	r->letter_seq = seq;
	r->letter_stored_ms = stored_ms;
	snprintf(r->letter_reason, sizeof r->letter_reason, "%s", reason);
	send_letter(r);
}

void
reject_message(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms, int code,
	       const char *reason, const char *cure)
{
	char text[512];

	/* What is in flight before it is proven first; the message then comes again. */
	if (r->topic->on_reject != REJECT_SKIP && pipeline_inflight_msgs(r->pipeline) > 0) {
		replicator_rewind(r, false, NULL);
		return;
	}
	snprintf(text, sizeof text, "%s", reason);
	if (code != 0)
		snprintf(text, sizeof text, "%s (%d)", reason, code);
	r->stats.counter[COUNTER_REJECTED_MSGS]++;
	switch (r->topic->on_reject) {
	case REJECT_HALT:
		replicator_incident(r, "reject", "message %llu (%s): %s", (unsigned long long)seq, m->subject,
				    text);
		replicator_halt(r, "message %llu (%s) can never be stored: %s; %s", (unsigned long long)seq,
				m->subject, text, cure);
		break;
	case REJECT_SKIP:
		replicator_incident(r, "reject", "message %llu (%s) was passed over: %s",
				    (unsigned long long)seq, m->subject, text);
		r->stats.counter[COUNTER_SKIPPED_MSGS]++;
		pass_over(r, seq);
		break;
	case REJECT_DEAD_LETTER:
		begin_letter(r, m, seq, stored_ms, text);
		break;
	}
}
