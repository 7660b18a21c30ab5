/*
 * Reading slots of the target; runs in a replicating worker during a rewind and at the end of a stretch.
 * MSG.GET without `direct` is answered by the stream's leader alone: a follower may be behind.
 */
#include "worker/slots.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/nats/jsapi.h"
#include "common/xalloc.h"

enum { PARALLEL = 64 };

struct slot_request {
	struct slots *owner;
	struct nats_request *request;
	size_t index;
};

struct slots {
	struct ask_end end;
	const struct conf *conf;
	const struct conf_topic *topic;
	char stream[256];
	uint64_t first;
	size_t count, asked, answered;
	struct position_slot *slots;
	struct slot_request requests[PARALLEL];
	slots_done_fn *done;
	void *arg;
};

static int ask_next(struct slots *s, struct slot_request *r, struct error *e);

static void
finish(struct slots *s, const char *failure)
{
	slots_done_fn *done = s->done;
	void *arg = s->arg;
	struct position_slot *slots = s->slots;
	size_t count = s->count;

	s->slots = NULL;
	slots_cancel(&s);
	done(arg, failure == NULL ? slots : NULL, count, failure);
	free(slots);
}

/* 0, or -1 if the answer makes no sense. */
static int
take_answer(struct slots *s, size_t index, const struct nats_message *m, char *text, size_t size)
{
	struct position_slot *slot = &s->slots[index];
	struct jsapi_stored stored = {0};
	struct jsapi_error err;
	struct error e;
	int read = jsapi_read_stored(m->data, m->data_len, &stored, &err, &e);

	if (read == 0) {
		position_classify(s->conf, s->topic, stored.headers, stored.headers_len, slot);
		jsapi_stored_fini(&stored);
		return 0;
	}
	slot->kind = SLOT_GONE;
	if (read == 1 && (err.err_code == JSAPI_MESSAGE_NOT_FOUND || err.code == 404))
		return 0;
	snprintf(text, size, "reading message %llu of the target: %s", (unsigned long long)(s->first + index),
		 read == 1 ? err.description : e.text);
	return -1;
}

static void
answer_arrived(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct slot_request *r = arg;
	struct slots *s = r->owner;
	char text[1024];
	struct error e;

	r->request = NULL;
	if (result != NATS_REPLY) {
		snprintf(text, sizeof text, "reading the target: %s", ask_failure_text(result));
		finish(s, text);
		return;
	}
	if (take_answer(s, r->index, m, text, sizeof text) != 0) {
		finish(s, text);
		return;
	}
	if (++s->answered == s->count)
		finish(s, NULL);
	else if (ask_next(s, r, &e) != 0)
		finish(s, e.text);
}

static int
ask_next(struct slots *s, struct slot_request *r, struct error *e)
{
	char body[64];
	int len;

	if (s->asked == s->count)
		return 0;
	r->owner = s;
	r->index = s->asked++;
	len = snprintf(body, sizeof body, "{\"seq\":%llu}", (unsigned long long)(s->first + r->index));
	r->request =
	    ask_api(&s->end, body, (size_t)len, answer_arrived, r, e, "STREAM.MSG.GET.%s", s->stream);
	return r->request != NULL ? 0 : -1;
}

struct slots *
slots_read(const struct ask_end *end, const struct conf *conf, const struct conf_topic *topic,
	   const char *stream, uint64_t first, size_t count, slots_done_fn *done, void *arg, struct error *e)
{
	struct slots *s = xcalloc(1, sizeof *s);

	s->end = *end;
	s->conf = conf;
	s->topic = topic;
	snprintf(s->stream, sizeof s->stream, "%s", stream);
	s->first = first;
	s->count = count;
	s->slots = xcalloc(count, sizeof *s->slots);
	s->done = done;
	s->arg = arg;
	for (size_t i = 0; i < PARALLEL && i < count; i++)
		if (ask_next(s, &s->requests[i], e) != 0) {
			slots_cancel(&s);
			return NULL;
		}
	return s;
}

void
slots_cancel(struct slots **sp)
{
	struct slots *s = *sp;

	if (s == NULL)
		return;
	for (size_t i = 0; i < PARALLEL; i++)
		nats_request_cancel(&s->requests[i].request);
	free(s->slots);
	free(s);
	*sp = NULL;
}
