/*
 * Scanning a shared target for our copies; runs in a replicating worker at a start and at a rewind. Reads
 * headers alone (reader.c), or where that cannot be, message by message (slots.c); what a message is to the
 * topic is position_classify()'s.
 */
#include "worker/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/reader.h"
#include "worker/slots.h"

enum { SINGLY_MSGS = 4096 };

struct scan {
	const struct conf *conf;
	const struct conf_topic *topic;
	uint64_t after_source;
	struct seqset *there;
	struct reader *reader;
	struct slots *slots; /* instead of a reader */
	struct ask_end end;
	char stream[256];
	uint64_t next, last;
	struct scan_result result;
	scan_done_fn *done;
	void *arg;
};

static void
take(struct scan *s, const struct position_slot *slot)
{
	uint64_t seq = (uint64_t)slot->origin.seq;

	if (slot->kind != SLOT_OURS)
		return;
	s->result.found++;
	if (seq > s->result.highest)
		s->result.highest = seq;
	if (seq > s->after_source)
		seqset_add(s->there, seq);
	else
		s->result.settled++;
}

static void
message_read(void *arg, const struct nats_message *m, const struct jsack *ack)
{
	struct scan *s = arg;
	struct position_slot slot;

	(void)ack;
	position_classify(s->conf, s->topic, m->headers, m->headers_len, &slot);
	take(s, &slot);
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

/* ---- one by one ---------------------------------------------------------------------------------- */

static int read_some(struct scan *s, struct error *e);

static void
some_read(void *arg, const struct position_slot *slots, size_t count, const char *failure)
{
	struct scan *s = arg;
	struct error e;

	s->slots = NULL;
	for (size_t i = 0; failure == NULL && i < count; i++)
		take(s, &slots[i]);
	if (failure != NULL || s->next > s->last)
		all_read(s, failure);
	else if (read_some(s, &e) != 0)
		all_read(s, e.text);
}

static int
read_some(struct scan *s, struct error *e)
{
	uint64_t first = s->next, count = s->last - first + 1;

	if (count > SINGLY_MSGS)
		count = SINGLY_MSGS;
	s->next += count;
	s->slots = slots_read(&s->end, s->conf, s->topic, s->stream, first, (size_t)count, some_read, s, e);
	return s->slots != NULL ? 0 : -1;
}

/* ---- starting ------------------------------------------------------------------------------------ */

struct scan *
scan_start(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
	   const char *stream, const char *filter, bool singly, uint64_t after, uint64_t last,
	   uint64_t after_source, struct seqset *there, scan_done_fn *done, void *arg, struct error *e)
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
	s->end = *end;
	s->next = after + 1;
	s->last = last;
	snprintf(s->stream, sizeof s->stream, "%s", stream);
	if (!singly)
		s->reader = reader_start(end, &request, &callbacks, s, e);
	else if (read_some(s, e) != 0)
		s->slots = NULL;
	if (s->reader == NULL && s->slots == NULL)
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
	slots_cancel(&s->slots);
	free(s);
	*sp = NULL;
}
