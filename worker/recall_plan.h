/*
 * What a sampled topic has to read back before it goes on: rules over the position that was proven and over
 * notes that say up to where the table of values is whole. Pure.
 *
 *   own      of state.db at a start, of this process's earlier work later on
 *   heard    of another node's gossip, if this one was in step with it
 *
 * A note is good for the target if it names the stream that is there now, for the source likewise; the better
 * of two is the one that knows more of the target.
 */
#ifndef SR_WORKER_RECALL_PLAN_H
#define SR_WORKER_RECALL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/nats/jsapi.h"
#include "common/sample_note.h"

struct recall_facts {
	const struct sample_note *own, *heard; /* NULL for none */
	/* Of the target that a table without note belongs to; 0 if not known either. */
	int64_t target_created_ns;
	const struct jsapi_stream *source, *target;
	uint64_t position; /* all messages of the source up to here are settled */
	/* The position was not proven from what was copied but chosen: by a person, or as a first start. */
	bool chosen;
	/* Other writers may have displaced what was settled. */
	bool displaced;
	bool elected; /* others may have led since own was true */
	int64_t duration_ms, now_ms;
};

struct recall_plan {
	const struct sample_note *note; /* the better one; NULL for none that is of use */
	/* The target is another one than the table is of, or has lost what it had: no value counts as copied
	 * but for what is read there. */
	bool copies_lost;

	/* The target is to be read, behind a sequence, or (not 0) since a time. */
	bool read;
	uint64_t after;
	int64_t since_ms;
	bool raise; /* nobody has advised of what is found */

	/* Messages beyond the position and up to here are in the table already: skipped by who led before. */
	uint64_t known_until;
	/* Messages behind here and up to the position are to be read again, to be seen. The position itself:
	 * none. */
	uint64_t replay_after;
	/* And what the rules say of them is what was done: the target gives away what it held. */
	bool replay_judges;
	/* What was said since the note cannot be heard any more: nobody is silent for longer than from now.
	 */
	bool silence_from_now;
};

void recall_make_plan(const struct recall_facts *facts, struct recall_plan *plan);

#endif
