/*
 * Watching for other writers at a target that is used as ours alone; part of the replicator.
 *
 * The chain fences slots, not contents. If somebody else's message takes slot N, our message for N is
 * refused, unheard if it asked for no reply, and our message for N + 1 fits again: one of ours is missing
 * and every reply is in order. So while the chain is used, this connection subscribes to the target
 * stream's subjects. It asked the server not to echo (its own publishes do not come back), so it hears
 * others alone, and nothing while there are none. On the first message the position is taken back to a
 * pair of sequences that was proven a while before, and what of ours is behind it is read back from the
 * target: what is missing is sent again.
 *
 * A writer whose subjects the replicator may not subscribe to is not heard here; it is found at the next
 * rewind or start, by the origins of the target's last messages.
 */
#include "worker/replicator_internal.h"

#include "common/array.h"

enum { PROVEN_BEFORE_MS = 2000 };

/* ---- pairs that were proven ---------------------------------------------------------------------- */

void
others_note_pair(struct replicator *r)
{
	struct proven_pair *pair = &r->pairs[r->pair_next % array_len(r->pairs)];

	*pair =
	    (struct proven_pair){mono_now(), pipeline_source_seq(r->pipeline), pipeline_floor(r->pipeline)};
	r->pair_next++;
}

void
others_forget_pairs(struct replicator *r)
{
	r->pair_next = 0;
}

/* The newest pair that is old enough, or the oldest there is. */
static const struct proven_pair *
old_pair(const struct replicator *r)
{
	struct mono now = mono_now();
	size_t kept = r->pair_next < array_len(r->pairs) ? r->pair_next : array_len(r->pairs);
	const struct proven_pair *pair = NULL;

	for (size_t i = 1; i <= kept; i++) {
		pair = &r->pairs[(r->pair_next - i) % array_len(r->pairs)];
		if (mono_ms_between(pair->at, now) >= PROVEN_BEFORE_MS)
			break;
	}
	return pair;
}

void
others_go_back(struct replicator *r)
{
	const struct proven_pair *pair = old_pair(r);

	if (pair == NULL)
		return;
	r->memory.source_seq = pair->source_seq;
	r->memory.target_seq = pair->target_seq;
}

/* ---- hearing them -------------------------------------------------------------------------------- */

static void
heard(void *arg, const struct nats_message *m)
{
	struct replicator *r = arg;
	struct position_slot slot;

	if (pipeline_mode(r->pipeline) != PIPELINE_CHAIN || r->others_seen)
		return;
	position_classify(r->conf, r->topic, m->headers, m->headers_len, &slot);
	if (slot.kind == SLOT_OURS)
		return; /* another instance of this topic: the chain refuses it */
	if (sink_is_barrier(m->headers, m->headers_len))
		return; /* of another instance: it is never stored */
	if (r->phase != PHASE_COPYING && r->phase != PHASE_STARTING && r->phase != PHASE_SETTLING)
		return; /* the position is about to be proven */
	r->others_seen = true;
	replicator_incident(
	    r, "foreign_writer", "somebody else publishes to target stream %s (subject %s)%s",
	    r->target_stream.name, m->subject,
	    r->topic->target_writers == TARGET_WRITERS_AUTO
		? "; what it displaced is sent again, and the target is used as shared from now on"
		: " although target_writers = exclusive");
	replicator_rewind(r, true, "another writer at the target");
}

void
others_unwatch(struct replicator *r)
{
	for (size_t i = 0; i < r->watch_count; i++)
		nats_unsubscribe(&r->watches[i]);
	r->watch_count = 0;
}

void
others_watch(struct replicator *r)
{
	const json_t *subjects = json_object_get(r->target_stream.config, "subjects");
	const char *subject;
	struct error e;

	others_unwatch(r);
	if (pipeline_mode(r->pipeline) != PIPELINE_CHAIN)
		return;
	for (size_t i = 0; i < array_len(r->watches); i++) {
		subject = json_string_value(json_array_get(subjects, i));
		if (subject == NULL)
			break;
		r->watches[r->watch_count] = nats_conn_subscribe(r->target_conn, subject, heard, r, &e);
		if (r->watches[r->watch_count] == NULL)
			return;
		r->watch_count++;
	}
}
