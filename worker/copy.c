/*
 * One message from the source to the target: the hot path of a replicating worker.
 *
 * Every delivery ends in exactly one of: dropped as delivered before, passed over with a counter, sent,
 * made to wait for its subject, or rejected. What is passed over moves the position only through the
 * pipeline, in order. Once the target takes no more, the source is paused: messages then wait in the
 * client library and in the sockets, which are bounded.
 */
#include "worker/replicator_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/nats/fit.h"
#include "common/subject.h"
#include "worker/sampling.h"

enum {
	ROOM_RETRY_MS = 20,
	LONGEST_SUBJECT = 3800, /* with reply and sizes it must fit the server's control line of 4,096 */
};

/* FNV-1a; a collision of two subjects costs parallelism, nothing else. */
static uint64_t
hash_subject(const char *subject)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *subject != '\0'; subject++)
		hash = (hash ^ (unsigned char)*subject) * UINT64_C(0x100000001b3);
	return hash;
}

/* ---- policy -------------------------------------------------------------------------------------- */

static bool
matches_filters(const struct replicator *r, const char *subject)
{
	for (size_t i = 0; i < r->topic->filter_count; i++)
		if (subject_matches(r->topic->filter_subjects[i], subject))
			return true;
	return false;
}

static bool
too_old(struct replicator *r, uint64_t seq, int64_t stored_ms)
{
	if (r->topic->max_age_ms == 0 || wall_ms() - stored_ms <= r->topic->max_age_ms)
		return false;
	return !seqset_has(&r->decided, seq);
}

bool
copy_is_none(const struct replicator *r, const struct nats_message *m, enum proto_counter *why)
{
	if (r->filters_here && !matches_filters(r, m->subject))
		*why = COUNTER_FILTERED_MSGS;
	else if (compose_is_loop(r->composer, m->headers, m->headers_len))
		*why = COUNTER_LOOP_MSGS;
	else
		return false;
	return true;
}

/* Whether policy passes the message over, with the counter that says why. */
static bool
passes_over(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms)
{
	enum proto_counter why = COUNTER_TOO_OLD_MSGS;

	if (!copy_is_none(r, m, &why) && !too_old(r, seq, stored_ms))
		return false;
	r->stats.counter[why]++;
	r->stats.counter[COUNTER_SKIPPED_MSGS]++;
	return true;
}

/* Whether the target has the message already, or it has been dealt with in another way. */
static bool
is_done_already(struct replicator *r, uint64_t seq)
{
	if (seqset_has(&r->passed_over, seq))
		return true;
	if (!seqset_has(&r->there, seq)) {
		if (r->presettled == 0)
			return false;
		r->presettled--;
	}
	r->stats.counter[COUNTER_COPIED_MSGS]++; /* it was not known to be settled until now */
	return true;
}

/* ---- room ---------------------------------------------------------------------------------------- */

static bool
has_room_for(struct replicator *r, size_t size)
{
	if (r->room <= 0)
		r->room = (int64_t)nats_conn_room(r->target_conn);
	return r->room - (int64_t)size > 0;
}

static void
pause_source(struct replicator *r)
{
	if (!r->paused_for_room)
		source_pause(r->source);
	r->paused_for_room = true;
}

static void
arm_room_timer(struct replicator *r, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(r->room_timer, &after);
}

/* After a message: pauses the source if the next one could not go at once. True if it did. */
static bool
pause_if_full(struct replicator *r, struct mono now)
{
	int64_t wait_ms = throttle_wait_ms(&r->throttle, now);

	if (wait_ms > 0)
		arm_room_timer(r, wait_ms);
	else if (r->room <= 0 && nats_conn_room(r->target_conn) == 0)
		arm_room_timer(r, ROOM_RETRY_MS);
	else if (pipeline_has_room(r->pipeline) && r->phase == PHASE_COPYING &&
		 (r->sampling == NULL || sampler_has_room(r->sampling->sampler)))
		return false;
	pause_source(r);
	return true;
}

/* ---- sending ------------------------------------------------------------------------------------- */

struct copy {
	const struct nats_message *m;
	uint64_t seq;
	int64_t stored_ms;
	struct sink_message out;
};

static void
publish(struct replicator *r, const struct sink_message *out, bool reply, uint64_t id)
{
	struct error e;
	int sent;

	sent = reply ? sink_publish_asking(r->sink, out, pipeline_epoch(r->pipeline), id, &e)
		     : sink_publish(r->sink, out, &e);
	/* A publish that fails leaves its slot empty: the chain breaks there, and a reply is late. */
	if (sent != 0)
		r->stats.counter[COUNTER_FAILED_MSGS]++;
	r->room -= (int64_t)(out->lines_len + out->data_len + 64);
	r->sent_on_this_connection = true;
}

/* Composes the copy; false if the message was rejected. */
static bool
compose(struct replicator *r, struct copy *c)
{
	struct inspect_result found;
	const struct compose_source source = {
	    c->m->subject, c->m->headers, c->m->headers_len,
	    c->seq,        c->stored_ms,  r->sampling != NULL ? sampling_value_line(r, c->m, &found) : NULL,
	};
	size_t size;

	c->out.subject = compose_subject(r->composer, c->m->subject);
	if (c->out.subject == NULL) {
		reject_message(r, c->m, c->seq, c->stored_ms, 0, "its subject maps to no valid subject",
			       "change target_subject_prefix or target_subject_remove, or set on_reject");
		return false;
	}
	if (!r->takes_all && !fit_takes_subject(&r->target_stream, c->out.subject)) {
		reject_message(r, c->m, c->seq, c->stored_ms, 0, "the target stream takes no such subject",
			       "add the mapped subject to the target stream, or set on_reject");
		return false;
	}
	if (strlen(c->out.subject) > LONGEST_SUBJECT) {
		reject_message(r, c->m, c->seq, c->stored_ms, 0,
			       "its subject is too long for the target's server",
			       "shorten target_subject_prefix, or set on_reject");
		return false;
	}
	c->out.lines = compose_headers(r->composer, &source, r->mode, pipeline_expected_last(r->pipeline),
				       &c->out.lines_len);
	if (c->out.lines == NULL) {
		reject_message(r, c->m, c->seq, c->stored_ms, 0, "its header block is not well-formed",
			       "set on_reject");
		return false;
	}
	c->out.data = c->m->data;
	c->out.data_len = c->m->data_len;
	size = nats_publish_size(c->out.lines_len, c->out.data_len);
	if (size > nats_conn_info(r->target_conn)->max_payload) {
		reject_message(r, c->m, c->seq, c->stored_ms, 10054,
			       "with its headers it is larger than max_payload of the target's server",
			       "raise max_payload there, or set on_reject");
		return false;
	}
	if (r->target_stream.max_msg_size > 0 && size > (uint64_t)r->target_stream.max_msg_size) {
		reject_message(r, c->m, c->seq, c->stored_ms, 10054,
			       "with its headers it is larger than max_msg_size of the target stream",
			       "raise max_msg_size there, or set on_reject");
		return false;
	}
	return true;
}

static void
send_copy(struct replicator *r, struct copy *c, bool more, struct mono now)
{
	size_t size = c->out.lines_len + c->out.data_len;
	uint64_t slot = pipeline_expected_last(r->pipeline) + 1;
	struct pipeline_ticket ticket;

	throttle_take(&r->throttle, size);
	if (throttle_wait_ms(&r->throttle, now) > 0 || !has_room_for(r, size))
		more = false;
	if (r->sampling != NULL && sampling_wants_reply(r, now))
		more = false;
	ticket =
	    pipeline_send(r->pipeline, c->seq, c->stored_ms, size, hash_subject(c->out.subject), more, now);
	if (ticket.wait) {
		pipeline_hold(r->pipeline, ticket.id, nats_message_hold(c->m));
		return;
	}
	publish(r, &c->out, ticket.reply, ticket.id);
	if (ticket.reply)
		progress_arm_tick(r);
	if (ticket.reply && r->sampling != NULL)
		r->sampling->asked = now;
	if (slot <= pipeline_stretch_end(r->pipeline))
		progress_stretch_note(r, slot, c->seq);
}

/* A source that says more is at hand may be wrong; then the last messages' reply is missing until the
 * next one. Only what is here already, or surely on its way, counts. */
static bool
more_at_hand(const struct replicator *r, const struct jsack *ack)
{
	return ack->pending > 0 && (source_has_more(r->source) || ack->pending > 1);
}

static void
remember_subject(struct replicator *r, const char *subject)
{
	if (!r->sent_on_this_connection)
		snprintf(r->last_subject, sizeof r->last_subject, "%s", subject);
}

/* What was offered before: settled, or in flight. */
static void
came_again(struct replicator *r, const struct nats_message *m, const struct jsack *ack)
{
	r->stats.counter[COUNTER_REDELIVERED_MSGS]++;
	if (r->sampling != NULL)
		sampling_replay(r, m, ack);
	source_settled(r->source, pipeline_source_seq(r->pipeline));
}

static void
note_delivery(struct replicator *r, const struct jsack *ack, int64_t stored_ms)
{
	poll_gap(r, ack);
	r->pending = ack->pending;
	r->pending_known = true;
	r->last_stored_ms = stored_ms;
	if (ack->stream_seq > r->source_last)
		r->source_last = ack->stream_seq;
}

void
copy_message(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct replicator *r = arg;
	struct copy c = {.m = m, .seq = ack->stream_seq, .stored_ms = ack->stored_ns / 1000000};
	struct mono now;

	r->stats.counter[COUNTER_RECEIVED_MSGS]++;
	r->stats.counter[COUNTER_RECEIVED_BYTES] += m->headers_len + m->data_len;
	if (c.seq <= pipeline_offered_seq(r->pipeline)) {
		came_again(r, m, ack);
		return;
	}
	note_delivery(r, ack, c.stored_ms);
	if (passes_over(r, m, c.seq, c.stored_ms) ||
	    (r->sampling != NULL && sampling_skips(r, m, c.seq, c.stored_ms)) || is_done_already(r, c.seq)) {
		pipeline_skip(r->pipeline, c.seq);
		progress_settled(r);
		if (r->sampling != NULL && !sampler_has_room(r->sampling->sampler))
			pause_source(r); /* goes on with the next reply */
		return;
	}
	if (c.seq == r->refused_seq) {
		struct refusal refusal = refusal_classify(&r->refused, true);

		reject_message(r, m, c.seq, c.stored_ms, r->refused.err_code, r->refused.description,
			       refusal.cure);
		return;
	}
	if (!compose(r, &c))
		return;
	now = mono_now();
	if (lead_is_over(r, now))
		return;
	remember_subject(r, c.out.subject);
	send_copy(r, &c, more_at_hand(r, ack), now);
	pause_if_full(r, now);
}

/* ---- going on ------------------------------------------------------------------------------------ */

void
copy_drop_held(void *owner, void *held)
{
	struct nats_held *h = held;

	(void)owner;
	nats_held_free(&h);
}

/* SUBJECT: a message whose subject has become free. What was good when it was taken is good now. */
static void
send_waiting(struct replicator *r, uint64_t id, struct nats_held *held)
{
	const struct nats_message *m = nats_held_message(held);
	struct copy c = {.m = m};
	struct jsack ack;

	if (jsack_parse(m->reply, &ack) == 0) {
		c.seq = ack.stream_seq;
		c.stored_ms = ack.stored_ns / 1000000;
		if (compose(r, &c))
			publish(r, &c.out, true, id);
	}
	nats_held_free(&held);
}

void
copy_go_on(struct replicator *r)
{
	struct mono now = mono_now();
	uint64_t id;
	void *held;

	if (lead_is_over(r, now))
		return;
	while (pipeline_ready(r->pipeline, now, &id, &held))
		send_waiting(r, id, held);
	if (r->phase != PHASE_COPYING || !r->paused_for_room || r->letter != NULL)
		return;
	if (pause_if_full(r, now))
		return;
	r->paused_for_room = false;
	source_resume(r->source);
}

void
copy_room_timer(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;

	(void)fd;
	(void)what;
	r->room = 0;
	copy_go_on(r);
}
