/*
 * Scanning a shared target for our copies; runs in a replicating worker at a start and at a rewind. Reads
 * headers alone (reader.c); what a message is to the topic is position_classify()'s.
 */
#include "worker/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/reader.h"

struct scan {
	const struct conf *conf;
	const struct conf_topic *topic;
	uint64_t after_source;
	struct seqset *there;
	struct reader *reader;
	struct scan_result result;
	scan_done_fn *done;
	void *arg;
};

static void
message_read(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct scan *s = arg;
	struct position_slot slot;
	uint64_t seq;

	(void)ack;
	position_classify(s->conf, s->topic, m->headers, m->headers_len, &slot);
	if (slot.kind != SLOT_OURS)
		return;
	seq = (uint64_t)slot.origin.seq;
	s->result.found++;
	if (seq > s->result.highest)
		s->result.highest = seq;
	if (seq > s->after_source)
		seqset_add(s->there, seq);
	else
		s->result.settled++;
}

static void
all_read(void *arg, const char *failure)
{
	struct scan *s = arg;
	struct scan_result result = s->result;
	scan_done_fn *done = s->done;
	void *done_arg = s->arg;
	char text[1100];

	if (failure != NULL) {
		snprintf(text, sizeof text, "reading the target: %s", failure);
		result.failure = text;
	}
	s->reader = NULL;
	scan_cancel(&s);
	done(done_arg, &result);
}

struct scan *
scan_start(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
	   const char *stream, const char *filter, uint64_t after, uint64_t last, uint64_t after_source,
	   struct seqset *there, scan_done_fn *done, void *arg, struct error *e)
{
	const struct reader_callbacks callbacks = {message_read, all_read};
	const struct reader_request request = {
	    .stream = stream,
	    .filter = filter,
	    .headers_only = true,
	    .after = after,
	    .last = last,
	};
	struct scan *s = xcalloc(1, sizeof *s);

	s->conf = conf;
	s->topic = topic;
	s->after_source = after_source;
	s->there = there;
	s->done = done;
	s->arg = arg;
	s->reader = reader_start(end, &request, &callbacks, s, e);
	if (s->reader == NULL)
		scan_cancel(&s);
	return s;
}

void
scan_cancel(struct scan **sp)
{
	struct scan *s = *sp;

	if (s == NULL)
		return;
	reader_cancel(&s->reader);
	free(s);
	*sp = NULL;
}
