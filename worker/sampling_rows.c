/*
 * What a sampled topic's table tells the supervisor, for state.db; part of the replicator.
 *
 * One batch is on its way at a time, so a disk that is slow slows nothing here: rows that change again
 * meanwhile are sent once. When the process is about to end all that is left goes at once, in as many batches
 * as it takes. A note is marked after a checkpoint was told, so that the position that a later start finds is
 * never before it, and goes with the batch that holds the last row of before the mark.
 */
#include <stdlib.h>

#include "common/log.h"
#include "worker/replicator_internal.h"
#include "worker/sampling.h"

enum {
	BATCH_ROWS = 16384,
	BATCH_BYTES = 900 * 1024,
	MANY_ROWS = 10000,
};

/* A standby is whole up to what its leader said. */
static bool
whole_of(const struct replicator *r, struct sample_note *note)
{
	if (r->sampling->ready) {
		note->source_created_ns = r->source_stream.created_ns;
		note->target_created_ns = r->target_stream.created_ns;
		return true;
	}
	return !r->lead.leads && r->sampling->gossiper != NULL &&
	       gossiper_position(r->sampling->gossiper, note);
}

static void
mark(struct replicator *r)
{
	struct sampling *s = r->sampling;
	struct sample_note note;

	if (sampler_has_mark(s->sampler, TRACKER_STATE_DB) || !whole_of(r, &note))
		return;
	progress_checkpoint_now(r);
	sampler_mark(s->sampler, TRACKER_STATE_DB, note.source_created_ns, note.target_created_ns);
}

static uint32_t
take_rows(struct sampling *s, struct strbuf *rows)
{
	struct proto_sample row;
	uint32_t count = 0;

	while (count < BATCH_ROWS && rows->len < BATCH_BYTES &&
	       sampler_take(s->sampler, TRACKER_STATE_DB, &row)) {
		proto_sample_encode(rows, &row);
		count++;
	}
	return count;
}

/* The note that goes with what was taken, "" for none, or if it says nothing new. */
static void
take_note(struct sampling *s, uint32_t rows, struct strbuf *note)
{
	struct sample_note marked;

	if (!sampler_marked(s->sampler, TRACKER_STATE_DB, &marked))
		return;
	marked.inspector = s->inspector_id;
	sample_note_write(&marked, note);
	if (rows == 0 && strbuf_equal(note, &s->last_note)) {
		strbuf_reset(note);
		return;
	}
	strbuf_reset(&s->last_note);
	strbuf_add(&s->last_note, note->data, note->len);
}

/* True if a batch was sent. */
static bool
send_batch(struct replicator *r)
{
	struct sampling *s = r->sampling;
	struct strbuf rows, note;
	uint32_t count;
	bool sends;

	strbuf_init(&rows);
	strbuf_init(&note);
	count = take_rows(s, &rows);
	take_note(s, count, &note);
	sends = count > 0 || note.len > 0;
	if (sends) {
		const struct proto_samples batch = {
		    .serial = ++s->serial,
		    .note = note.data,
		    .rows = (const uint8_t *)rows.data,
		    .rows_len = rows.len,
		};

		r->reports.samples(r->arg, &batch);
		s->outstanding = true;
	}
	strbuf_fini(&rows);
	strbuf_fini(&note);
	return sends;
}

void
sampling_rows_send(struct replicator *r)
{
	if (r->sampling->outstanding)
		return;
	mark(r);
	send_batch(r);
}

void
sampling_rows_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sampling_rows_send(arg);
}

void
sampling_rows_look(struct replicator *r)
{
	const struct sampler *sampler = r->sampling->sampler;

	if (sampler_waiting(sampler, TRACKER_STATE_DB) >= MANY_ROWS ||
	    sampler_urgent(sampler, TRACKER_STATE_DB))
		sampling_rows_send(r);
}

void
sampling_rows_flush(struct replicator *r)
{
	/* Twice: a mark of a while ago may be reached first, and then there is one of now. */
	for (int i = 0; i < 2; i++) {
		mark(r);
		while (send_batch(r))
			continue;
	}
}

void
replicator_samples_stored(struct replicator *r, const struct proto_samples_stored *stored)
{
	struct sampling *s = r->sampling;

	if (s == NULL)
		return;
	if (stored->serial >= s->serial)
		s->outstanding = false;
	if (stored->again) {
		log_info("replicator", "state.db was lost: all values are told anew");
		sampler_queue_all(s->sampler, TRACKER_STATE_DB);
		strbuf_reset(&s->last_note);
	}
	if (stored->again || sampler_has_mark(s->sampler, TRACKER_STATE_DB))
		sampling_rows_send(r); /* the rest of what was there at the mark */
}
