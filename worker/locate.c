/*
 * Reading the facts for a position; runs in a replicating worker. The steps, each one request, in order:
 *
 *   source STREAM.INFO, target STREAM.INFO (made if missing), judgement of both;
 *   rewind of the same streams: the slots behind the settled one (one is enough where the chain holds);
 *   else: the target's last message, the newest under the mapped filter if that one is gone, the source's
 *   message that its origin names (and its info again if it had not got so far), the ack floor of the
 *   source's consumer, the rules, and then a scan of a shared target or the sequence of a start by time.
 *
 * Nothing is changed here but for making a missing target stream. If anything fails, the run ends and
 * the next one begins anew.
 */
#include "worker/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nats/ask.h"
#include "common/nats/fit.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "worker/go_consumer.h"
#include "worker/provision.h"
#include "worker/scan.h"
#include "worker/slots.h"

enum { MAX_SLOTS = 200000 };

struct locate {
	struct locate_inputs in;
	struct seqset *there;
	struct locate_callbacks callbacks;
	void *arg;
	struct ask_end source_end, target_end;
	struct nats_request *request;
	struct provision *provision;
	struct slots *slots;
	struct scan *scan;
	struct position_facts facts;
	struct locate_result result;
	bool have_source, have_target;
	bool source_again; /* its info was asked for again */
	size_t newest_asked;
	unsigned int scans;
	uint64_t scan_begin; /* of the last one */
};

static void step_target_info(struct locate *l);
static void step_last_message(struct locate *l);
static void step_origin_check(struct locate *l);
static void step_floor(struct locate *l);
static void step_decide(struct locate *l);

struct locate *
locate_new(const struct locate_inputs *inputs, struct seqset *there, const struct locate_callbacks *callbacks,
	   void *arg)
{
	struct locate *l = xcalloc(1, sizeof *l);

	l->in = *inputs;
	l->there = there;
	l->callbacks = *callbacks;
	l->arg = arg;
	l->source_end = (struct ask_end){inputs->source, inputs->topic->source_domain};
	l->target_end = (struct ask_end){inputs->target, inputs->topic->target_domain};
	return l;
}

void
locate_free(struct locate **lp)
{
	struct locate *l = *lp;

	if (l == NULL)
		return;
	nats_request_cancel(&l->request);
	provision_cancel(&l->provision);
	slots_cancel(&l->slots);
	scan_cancel(&l->scan);
	if (l->have_source)
		jsapi_stream_fini(&l->result.source);
	if (l->have_target)
		jsapi_stream_fini(&l->result.target);
	free(l);
	*lp = NULL;
}

static void fail(struct locate *l, enum locate_failure failure, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
fail(struct locate *l, enum locate_failure failure, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->callbacks.failed(l->arg, failure, text);
}

static void
succeed(struct locate *l)
{
	l->have_source = l->have_target = false; /* the receiver's now */
	l->callbacks.done(l->arg, &l->result);
}

/* Asks; false if the run has ended. */
static bool
ask(struct locate *l, const struct ask_end *end, const char *body, nats_reply_fn *fn, const char *verb,
    const char *name)
{
	struct error e;

	l->request = ask_api(end, body, strlen(body), fn, l, &e, "%s.%s", verb, name);
	if (l->request != NULL)
		return true;
	fail(l, LOCATE_AGAIN, "%s", e.text);
	return false;
}

/* False if there is no answer and the run has ended. */
static bool
answered(struct locate *l, enum nats_request_result result, const char *which)
{
	l->request = NULL;
	if (result == NATS_REPLY)
		return true;
	fail(l, result == NATS_NO_RESPONDERS_REPLY ? LOCATE_HOLD : LOCATE_AGAIN, "%s: %s", which,
	     ask_failure_text(result));
	return false;
}

static enum locate_failure
kind_of(const struct jsapi_error *err)
{
	return err->code == 503 ? LOCATE_AGAIN : LOCATE_HOLD;
}

/* ---- streams ------------------------------------------------------------------------------------- */

static void
source_info(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(l, result, "source"))
		return;
	read = jsapi_read_stream(m->data, m->data_len, &l->result.source, &err, &e);
	l->have_source = read == 0;
	if (read == 0)
		step_target_info(l);
	else if (read == 1 && err.err_code == JSAPI_STREAM_NOT_FOUND)
		fail(l, LOCATE_HOLD, "stream %s does not exist at the source", l->in.topic->stream);
	else if (read == 1)
		fail(l, kind_of(&err), "stream %s at the source: %s", l->in.topic->stream, err.description);
	else
		fail(l, LOCATE_AGAIN, "source: %s", e.text);
}

void
locate_run(struct locate *l)
{
	ask(l, &l->source_end, "", source_info, "STREAM.INFO", l->in.topic->stream);
}

static void
target_made(void *arg, const char *failure)
{
	struct locate *l = arg;

	l->provision = NULL;
	if (failure != NULL) {
		fail(l, LOCATE_HOLD, "target stream %s could not be made: %s", l->in.topic->target_stream,
		     failure);
		return;
	}
	l->result.target_made = true;
	step_target_info(l);
}

static void
make_target(struct locate *l)
{
	struct error e;

	if (l->in.topic->no_target_create) {
		fail(l, LOCATE_HOLD,
		     "target stream %s does not exist; make it, or leave no_target_create out of the "
		     "configuration",
		     l->in.topic->target_stream);
		return;
	}
	l->provision = provision_start(&l->target_end, l->in.topic, &l->result.source, target_made, l, &e);
	if (l->provision == NULL)
		fail(l, LOCATE_HOLD, "target stream %s: %s", l->in.topic->target_stream, e.text);
}

/* The same two streams as those of which something is in flight. */
static bool
same_streams(const struct locate *l)
{
	const struct proto_checkpoint *memory = l->in.memory;

	return l->in.pipeline != NULL && memory != NULL &&
	       memory->source_created_ns == l->result.source.created_ns &&
	       memory->target_created_ns == l->result.target.created_ns &&
	       l->result.source.last_seq >= pipeline_source_seq(l->in.pipeline);
}

static void step_slots(struct locate *l);

static void
judge(struct locate *l)
{
	char text[512];

	if (fit_refusal(l->in.topic, &l->result.source, &l->result.target, text, sizeof text) != NULL)
		fail(l, LOCATE_HALT, "%s", text);
	else if (same_streams(l) && l->result.target.last_seq >= pipeline_target_seq(l->in.pipeline))
		step_slots(l);
	else
		step_last_message(l);
}

static void
target_info(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(l, result, "target"))
		return;
	read = jsapi_read_stream(m->data, m->data_len, &l->result.target, &err, &e);
	l->have_target = read == 0;
	if (read == 0)
		judge(l);
	else if (read == 1 && err.err_code == JSAPI_STREAM_NOT_FOUND && !l->result.target_made)
		make_target(l);
	else if (read == 1)
		fail(l, kind_of(&err), "stream %s at the target: %s", l->in.topic->target_stream,
		     err.description);
	else
		fail(l, LOCATE_AGAIN, "target: %s", e.text);
}

static void
step_target_info(struct locate *l)
{
	ask(l, &l->target_end, "", target_info, "STREAM.INFO", l->in.topic->target_stream);
}

/* ---- a rewind of the same streams ---------------------------------------------------------------- */

static void
rewound(struct locate *l)
{
	struct position *position = &l->result.position;
	bool shared = l->in.topic->target_writers != TARGET_WRITERS_EXCLUSIVE && l->result.rewind.foreign > 0;

	l->result.rewound = true;
	position->outcome = POSITION_GO;
	position->start = (struct pipeline_start){
	    .mode = shared && l->in.topic->target_writers == TARGET_WRITERS_AUTO ? PIPELINE_SUBJECT
										 : PIPELINE_CHAIN,
	    .source_seq = l->result.rewind.source_seq,
	    .target_seq = l->result.target.last_seq,
	    .stretch_end = pipeline_stretch_end(l->in.pipeline),
	};
	snprintf(position->text, sizeof position->text, "from the target's last messages");
	succeed(l);
}

static void
slots_arrived(void *arg, const struct position_slot *slots, size_t count, const char *failure)
{
	struct locate *l = arg;

	l->slots = NULL;
	if (failure != NULL) {
		fail(l, LOCATE_AGAIN, "%s", failure);
		return;
	}
	position_rewind(l->in.pipeline, slots, count, l->there, &l->result.rewind);
	rewound(l);
}

static void
read_all_slots(struct locate *l)
{
	uint64_t settled = pipeline_target_seq(l->in.pipeline);
	uint64_t count = l->result.target.last_seq - settled;
	struct error e;

	if (count == 0) {
		slots_arrived(l, NULL, 0, NULL);
		return;
	}
	if (count > MAX_SLOTS) {
		step_last_message(l);
		return;
	}
	l->slots = slots_read(&l->target_end, l->in.conf, l->in.topic, l->result.target.name, settled + 1,
			      (size_t)count, slots_arrived, l, &e);
	if (l->slots == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

/* The entry that belongs into the target's last slot, if it is one of those in flight. */
static bool
entry_at_end(const struct locate *l, struct pipeline_entry_view *entry)
{
	uint64_t count = l->result.target.last_seq - pipeline_target_seq(l->in.pipeline);

	return count > 0 && pipeline_entry(l->in.pipeline, (size_t)(count - 1), entry);
}

/* If the last slot holds the message that belongs there, the chain has proven all before it. */
static void
last_slot_arrived(void *arg, const struct position_slot *slots, size_t count, const char *failure)
{
	struct locate *l = arg;
	struct pipeline_entry_view entry;

	(void)count;
	l->slots = NULL;
	if (failure != NULL) {
		fail(l, LOCATE_AGAIN, "%s", failure);
		return;
	}
	if (entry_at_end(l, &entry) && slots[0].kind == SLOT_OURS &&
	    (uint64_t)slots[0].origin.seq == entry.seq) {
		l->result.rewind.source_seq = entry.cover_seq;
		rewound(l);
		return;
	}
	read_all_slots(l);
}

/* A shared target settles in no order: its position is the settled prefix, and a scan of what is beyond. */
static void step_scan_behind_pipeline(struct locate *l);

static void
step_slots(struct locate *l)
{
	struct pipeline_entry_view entry;
	struct error e;

	if (pipeline_mode(l->in.pipeline) == PIPELINE_SUBJECT) {
		step_scan_behind_pipeline(l);
		return;
	}
	if (l->in.read_all_slots || !entry_at_end(l, &entry)) {
		read_all_slots(l);
		return;
	}
	l->slots = slots_read(&l->target_end, l->in.conf, l->in.topic, l->result.target.name,
			      l->result.target.last_seq, 1, last_slot_arrived, l, &e);
	if (l->slots == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

/* ---- a start ------------------------------------------------------------------------------------- */

/* Reads a stored message; 0 there, 1 gone, -1 the run has ended. */
static int
read_stored(struct locate *l, const struct nats_message *m, struct jsapi_stored *stored)
{
	struct jsapi_error err;
	struct error e;
	int read = jsapi_read_stored(m->data, m->data_len, stored, &err, &e);

	if (read == 0)
		return 0;
	if (read == 1 && (err.err_code == JSAPI_MESSAGE_NOT_FOUND || err.code == 404))
		return 1;
	fail(l, LOCATE_AGAIN, "reading a message: %s", read == 1 ? err.description : e.text);
	return -1;
}

/* The subjects under which our newest copy may be: the mapped filter, else each of the stream's own (the
 * server answers ">" with the last sequence alone). NULL behind the last. */
static const char *
newest_filter(const struct locate *l, size_t i, char *buf, size_t size)
{
	fit_mapped_filter(l->in.topic, &l->result.source, &l->result.target, buf, size);
	if (buf[0] != '\0')
		return i == 0 ? buf : NULL;
	return json_string_value(json_array_get(json_object_get(l->result.target.config, "subjects"), i));
}

static void step_newest_message(struct locate *l);

static void
newest_message(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_stored stored = {0};
	int read;

	if (!answered(l, result, "target"))
		return;
	read = read_stored(l, m, &stored);
	if (read < 0)
		return;
	if (read == 0) {
		if (stored.seq > l->facts.newest_seq) {
			l->facts.newest_seq = stored.seq;
			position_classify(l->in.conf, l->in.topic, stored.headers, stored.headers_len,
					  &l->facts.newest);
		}
		jsapi_stored_fini(&stored);
	}
	l->newest_asked++;
	step_newest_message(l);
}

static void
step_newest_message(struct locate *l)
{
	char buf[SUBJECT_MAX], body[SUBJECT_MAX + 32];
	const char *filter = newest_filter(l, l->newest_asked, buf, sizeof buf);

	if (filter == NULL || l->result.target.messages == 0) {
		step_origin_check(l);
		return;
	}
	snprintf(body, sizeof body, "{\"last_by_subj\":\"%s\"}", filter);
	ask(l, &l->target_end, body, newest_message, "STREAM.MSG.GET", l->in.topic->target_stream);
}

static void
last_message(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_stored stored = {0};
	int read;

	if (!answered(l, result, "target"))
		return;
	read = read_stored(l, m, &stored);
	if (read < 0)
		return;
	if (read == 1) {
		step_newest_message(l);
		return;
	}
	position_classify(l->in.conf, l->in.topic, stored.headers, stored.headers_len, &l->facts.last);
	jsapi_stored_fini(&stored);
	step_origin_check(l);
}

static void
step_last_message(struct locate *l)
{
	char body[64];

	seqset_clear(l->there); /* what it says was of the streams as they were */
	l->facts = (struct position_facts){
	    .conf = l->in.conf,
	    .topic = l->in.topic,
	    .source = &l->result.source,
	    .target = &l->result.target,
	    .map_hash = l->in.map_hash,
	    .have_memory = l->in.memory != NULL,
	    .memory_is_own = l->in.memory_is_own,
	    .elected = l->in.elected,
	    .map_in_doubt = l->in.map_in_doubt,
	    .apply_resume = l->in.apply_resume,
	    .others_seen = l->in.others_seen,
	    .others_expected = l->in.topic->target_name[0] != '\0' ||
			       !fit_takes_nothing_else(l->in.topic, &l->result.source, &l->result.target),
	};
	if (l->in.memory != NULL)
		l->facts.memory = *l->in.memory; /* strings stay borrowed */
	if (l->result.target.last_seq == 0) {
		step_floor(l);
		return;
	}
	snprintf(body, sizeof body, "{\"seq\":%llu}", (unsigned long long)l->result.target.last_seq);
	ask(l, &l->target_end, body, last_message, "STREAM.MSG.GET", l->in.topic->target_stream);
}

static void
origin_message(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_stored stored = {0};
	int read;

	if (!answered(l, result, "source"))
		return;
	read = read_stored(l, m, &stored);
	if (read < 0)
		return;
	l->facts.have_origin_check = true;
	if (read == 0) {
		l->facts.origin_check_ms = stored.stored_ns / 1000000;
		jsapi_stored_fini(&stored);
	}
	step_floor(l);
}

/* The source as it is now: it had not heard of what the target has a copy of. */
static void
source_info_again(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_stream now = {0};
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(l, result, "source"))
		return;
	read = jsapi_read_stream(m->data, m->data_len, &now, &err, &e);
	if (read != 0) {
		fail(l, LOCATE_AGAIN, "source: %s", read == 1 ? err.description : e.text);
		return;
	}
	jsapi_stream_fini(&l->result.source);
	l->result.source = now;
	step_origin_check(l);
}

static void
step_origin_check(struct locate *l)
{
	char body[64];
	uint64_t seq;

	/* Another instance may have copied what came since we asked; one that leads no more, but was not told
	 * yet, or has messages on their way. */
	if (!l->source_again && position_is_ahead_of_source(&l->facts)) {
		l->source_again = true;
		ask(l, &l->source_end, "", source_info_again, "STREAM.INFO", l->in.topic->stream);
		return;
	}
	if (!position_wants_origin_check(&l->facts, &seq)) {
		step_floor(l);
		return;
	}
	snprintf(body, sizeof body, "{\"seq\":%llu}", (unsigned long long)seq);
	ask(l, &l->source_end, body, origin_message, "STREAM.MSG.GET", l->in.topic->stream);
}

/* How far a consumer is acknowledged, if it is there. False: what was answered says neither. */
static bool
read_floor(struct locate *l, const struct nats_message *m, bool *have, uint64_t *floor, bool *is_all)
{
	struct jsapi_consumer consumer = {0};
	struct jsapi_error err;
	struct error e;
	int read = jsapi_read_consumer(m->data, m->data_len, &consumer, &err, &e);

	if (read != 0 && (read != 1 || err.err_code != JSAPI_CONSUMER_NOT_FOUND)) {
		fail(l, LOCATE_AGAIN, "source: %s", read == 1 ? err.description : e.text);
		return false;
	}
	if (read == 0) {
		*have = true;
		*floor = consumer.ack_floor_stream_seq;
		*is_all = consumer.num_ack_pending == 0;
		jsapi_consumer_fini(&consumer);
	}
	return true;
}

static void
consumer_info(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct position_facts *f = &l->facts;

	if (answered(l, result, "source") && read_floor(l, m, &f->have_floor, &f->floor, &f->floor_is_all))
		step_decide(l);
}

static void step_own_floor(struct locate *l);

static void
tool_consumer_info(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct position_facts *f = &l->facts;

	if (answered(l, result, "source") &&
	    read_floor(l, m, &f->have_tool_floor, &f->tool_floor, &f->tool_floor_is_all))
		step_own_floor(l);
}

static void
step_floor(struct locate *l)
{
	char name[GO_CONSUMER_NAME];
	struct error e;

	if (!l->facts.last.unnumbered) {
		step_own_floor(l);
		return;
	}
	go_consumer_name(l->in.topic->key, name, sizeof name);
	l->request = ask_api(&l->source_end, "", 0, tool_consumer_info, l, &e, "CONSUMER.INFO.%s.%s",
			     l->in.topic->stream, name);
	if (l->request == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

static void
step_own_floor(struct locate *l)
{
	struct error e;

	if (l->in.topic->ephemeral) {
		step_decide(l);
		return;
	}
	l->request = ask_api(&l->source_end, "", 0, consumer_info, l, &e, "CONSUMER.INFO.%s.%s",
			     l->in.topic->stream, l->in.topic->name);
	if (l->request == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

/* ---- deciding ------------------------------------------------------------------------------------ */

static void scan_target(struct locate *l);

static void
scan_done(void *arg, const struct scan_result *result)
{
	struct locate *l = arg;
	struct position *position = &l->result.position;

	l->scan = NULL;
	if (result->failure != NULL) {
		fail(l, LOCATE_AGAIN, "%s", result->failure);
		return;
	}
	if (!position_scan_is_whole(position, l->scan_begin, result->settled)) {
		seqset_clear(l->there);
		scan_target(l);
		return;
	}
	if (position->start.floor == position->scan_from)
		position->start.floor = l->scan_begin;
	position->outcome = POSITION_GO;
	succeed(l);
}

static void
scan_target(struct locate *l)
{
	const struct position *position = &l->result.position;
	char filter[SUBJECT_MAX];
	struct error e;

	l->scan_begin = position_scan_begin(position, l->result.target.last_seq, l->scans++);
	if (l->scan_begin >= l->result.target.last_seq) {
		scan_done(l, &(struct scan_result){0});
		return;
	}
	fit_mapped_filter(l->in.topic, &l->result.source, &l->result.target, filter, sizeof filter);
	l->scan =
	    scan_start(&l->target_end, l->in.conf, l->in.topic, l->result.target.name, filter,
		       l->result.target.retention == RETENTION_WORKQUEUE, l->scan_begin,
		       l->result.target.last_seq, position->start.source_seq, l->there, scan_done, l, &e);
	if (l->scan == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

static void
step_scan_behind_pipeline(struct locate *l)
{
	struct position *position = &l->result.position;

	position->start.mode = PIPELINE_SUBJECT;
	position->start.source_seq = pipeline_source_seq(l->in.pipeline);
	position->start.target_seq = l->result.target.last_seq;
	position->scan_from = pipeline_floor(l->in.pipeline);
	snprintf(position->text, sizeof position->text, "from what is settled");
	l->result.rewound = true;
	l->result.rewind.source_seq = position->start.source_seq;
	scan_target(l);
}

static void
finish_decided(struct locate *l)
{
	if (l->result.position.outcome == POSITION_SCAN)
		scan_target(l);
	else
		succeed(l);
}

/* The server finds the sequence of a time: a consumer made to start there says what lies before it. */
static void
time_consumer_made(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct locate *l = arg;
	struct jsapi_consumer consumer = {0};
	struct jsapi_error err;
	struct error e;
	int read;

	if (!answered(l, result, "source"))
		return;
	read = jsapi_read_consumer(m->data, m->data_len, &consumer, &err, &e);
	if (read != 0) {
		fail(l, LOCATE_HOLD, "finding the start by time: %s", read == 1 ? err.description : e.text);
		return;
	}
	l->result.position.start.source_seq = consumer.delivered_stream_seq;
	jsapi_consumer_fini(&consumer);
	finish_decided(l);
}

static void
find_start_time(struct locate *l, int64_t time_ms)
{
	char name[64];
	const struct jsapi_consumer_request request = {
	    .stream = l->in.topic->stream,
	    .name = name,
	    .ack_none = true,
	    .memory = true,
	    .start_time_ns = time_ms * 1000000,
	    .max_ack_pending = -1,
	    .inactive_threshold_ns = INT64_C(1000000000),
	};
	struct strbuf body;
	struct error e;

	snprintf(name, sizeof name, "sr_start_%ld_%llx", (long)getpid(), (unsigned long long)mono_now().ns);
	strbuf_init(&body);
	jsapi_write_consumer(&request, &body);
	l->request = ask_api(&l->source_end, body.data, body.len, time_consumer_made, l, &e,
			     "CONSUMER.CREATE.%s.%s", l->in.topic->stream, name);
	strbuf_fini(&body);
	if (l->request == NULL)
		fail(l, LOCATE_AGAIN, "%s", e.text);
}

static void
step_decide(struct locate *l)
{
	struct position *position = &l->result.position;
	int64_t by_time_ms = 0;

	position_at_start(&l->facts, position);
	if (position->outcome != POSITION_HALT && position->configured_start)
		position->start.source_seq =
		    position_configured_start(l->in.topic, &l->result.source, wall_ms(), &by_time_ms);
	if (by_time_ms > 0)
		find_start_time(l, by_time_ms);
	else
		finish_decided(l);
}
