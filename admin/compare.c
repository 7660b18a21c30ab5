/*
 * The comparison of `verify`. Pure.
 *
 * A source message and its copy meet by the copy's origin: sequence and stored time (the time tells a
 * stream that was deleted and made again from the one it was). Whichever comes first waits. A copy is late
 * (out of order) if an earlier one of the target has a later origin; of a target that others write to as
 * well order is kept within a subject, and only that is looked at.
 *
 * Invariants: every source message in range is decided exactly once: paired, skipped for a reason, or
 * missing; every copy too: paired, doubled (extra), of a source message that is gone. Waiting entries are
 * bounded: the side that is ahead is not read on, and where both are (a stretch is missing on one of
 * them), the oldest source messages are decided.
 */
#include "admin/compare.h"

#include <stdlib.h>
#include <string.h>

#include "admin/pairing.h"
#include "admin/seqmap.h"
#include "common/header.h"
#include "common/origin.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "worker/inspect.h"

/* Ahead: so many may wait on a side before it is not read on. Most: so many at all. */
#define AHEAD_MSGS  8192
#define AHEAD_BYTES (8 * 1024 * 1024)
#define MOST_MSGS   200000
#define MOST_BYTES  (64 * 1024 * 1024)

#define SUBJECT_SLOTS 65536

#define REJECT_HEADER "Choria-SR-Reject-Reason" /* a dead letter, not a copy */

struct subject_slot {
	uint64_t hash, last;
	int64_t last_ms;
};

struct compare {
	struct compare_config config;
	struct compare_report report;
	struct pairing source, target;
	size_t waiting; /* of source, those that need a copy */
	struct seqmap marks;
	struct inspector *inspector; /* of a sampled topic */
	uint64_t *rejected;          /* sorted */
	size_t rejected_count, rejected_room;
	uint64_t source_at; /* sequence of the last source message */
	bool source_ended, target_ended;

	uint64_t first_origin;   /* of the first copy; 0: none yet */
	uint64_t highest_origin; /* of copies in stream order */
	int64_t highest_ms;
	struct subject_slot *subjects; /* newest origin by subject; a collision forgets one */
	bool shared_seen;              /* a copy says that it was written beside other writers */
	struct compare_list strangers; /* target sequences of other writers' messages */
};

/* ---- lists --------------------------------------------------------------------------------------- */

static void
list_add(struct compare_list *l, uint64_t seq, uint8_t what)
{
	l->count++;
	if (l->listed == COMPARE_LIST_MAX)
		return;
	if ((l->listed & (l->listed - 1)) == 0) /* the room is the next power of two, or more */
		l->items = xrealloc(l->items, (l->listed == 0 ? 1 : l->listed * 2) * sizeof *l->items);
	l->items[l->listed++] = (struct compare_item){seq, what};
}

static void
list_remove(struct compare_list *l, uint64_t seq)
{
	l->count--;
	for (size_t i = 0; i < l->listed; i++) {
		if (l->items[i].seq == seq) {
			l->listed--;
			memmove(&l->items[i], &l->items[i + 1], (l->listed - i) * sizeof *l->items);
			break;
		}
	}
}

static int
compare_items(const void *a, const void *b)
{
	const struct compare_item *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
list_sort(struct compare_list *l)
{
	if (l->listed > 1)
		qsort(l->items, l->listed, sizeof *l->items, compare_items);
}

/* ---- deciding ------------------------------------------------------------------------------------ */

static void
wait_for_copy(struct compare *c, struct half *source)
{
	pairing_add(&c->source, source);
	c->waiting += source->skipped == NULL;
}

static void
wait_no_more(struct compare *c, struct half *source)
{
	pairing_take(&c->source, source);
	c->waiting -= source->skipped == NULL;
}

/* A source message for which no copy was found. Frees it. */
static void
decide_alone(struct compare *c, struct half *h)
{
	if (h->skipped == NULL && c->config.topic->start >= START_DELTA && h->seq < c->first_origin)
		h->skipped = &c->report.before_start; /* where it began is known from the first copy alone */
	if (h->skipped != NULL) {
		(*h->skipped)++;
		seqmap_done(&c->marks, h->seq);
	} else {
		list_add(&c->report.missing, h->seq, 0);
	}
	half_free(&h);
}

/* A copy and its source message. Frees both. */
static void
decide_pair(struct compare *c, struct half *source, struct half *copy)
{
	uint8_t what = half_difference(source, copy);

	seqmap_done(&c->marks, source->seq);
	if (what != 0)
		list_add(&c->report.changed, source->seq, what);
	if (copy->late)
		list_add(&c->report.reordered, source->seq, 0);
	half_free(&source);
	half_free(&copy);
}

/* A copy of a message that has another one. */
static void
decide_doubled(struct compare *c, uint64_t target_seq)
{
	if (c->config.topic->ephemeral)
		c->report.repeats++;
	else
		list_add(&c->report.extra, target_seq, 0);
}

static bool
same_message(const struct half *source, const struct half *copy)
{
	return copy->stored_ms == -1 || copy->stored_ms == source->stored_ms;
}

/* ---- source -------------------------------------------------------------------------------------- */

static bool
is_rejected(const struct compare *c, uint64_t seq)
{
	size_t low = 0, high = c->rejected_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->rejected[middle] == seq)
			return true;
		if (c->rejected[middle] < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Whether its sender's path has a site that it would come back to. */
static bool
is_loop(const struct compare *c, const struct compare_message *m)
{
	const char *target = c->config.topic->target_name;

	return header_path_has(m->headers, m->headers_len, c->config.conf->name) ||
	       (target[0] != '\0' && header_path_has(m->headers, m->headers_len, target));
}

/* What has a value, and does not have to be copied for any other reason, may have been passed over. */
static bool
is_sampled(const struct compare *c, const struct compare_message *m)
{
	const struct inspect_message in = {m->subject, m->headers, m->headers_len, m->data, m->data_len};
	struct inspect_result found;

	if (c->inspector == NULL)
		return false;
	inspect_message(c->inspector, &in, &found);
	return found.value.len > 0 && !found.forced;
}

/* The counter of the reason for which the topic may have passed the message over; NULL: it must be there. */
static uint64_t *
reason_to_skip(struct compare *c, const struct compare_message *m)
{
	const struct conf_topic *topic = c->config.topic;

	if (is_loop(c, m))
		return &c->report.loops;
	if (is_rejected(c, m->seq))
		return &c->report.rejected;
	if (topic->start == START_TIME && m->stored_ms < topic->start_time_ms)
		return &c->report.before_start;
	if (topic->max_age_ms > 0 && m->stored_ms < c->config.now_ms - topic->max_age_ms)
		return &c->report.too_old;
	return is_sampled(c, m) ? &c->report.sampled : NULL;
}

/* A copy of it may have come before it; copies of an earlier stream of that name are none of it. */
static struct half *
take_waiting_copy(struct compare *c, const struct half *source)
{
	struct half *copy = NULL, *found = NULL, *next;

	for (copy = pairing_find(&c->target, source->seq, NULL); copy != NULL; copy = next) {
		next = pairing_find(&c->target, source->seq, copy);
		pairing_take(&c->target, copy);
		if (found == NULL && same_message(source, copy)) {
			found = copy;
			continue;
		}
		if (same_message(source, copy))
			decide_doubled(c, copy->target_seq);
		else
			c->report.source_gone++;
		half_free(&copy);
	}
	return found;
}

static void
bound_source(struct compare *c)
{
	while (c->source.count > MOST_MSGS || c->source.bytes > MOST_BYTES) {
		struct half *oldest = c->source.oldest;

		wait_no_more(c, oldest);
		decide_alone(c, oldest);
	}
}

void
compare_source(struct compare *c, const struct compare_message *m)
{
	char mapped[SUBJECT_MAX];
	struct half *source, *copy;
	const char *subject = mapped;

	if (m->seq < c->config.from || m->seq > c->config.to || m->seq <= c->source_at)
		return;
	c->source_at = m->seq;
	c->report.source_msgs++;
	seqmap_see(&c->marks, m->seq);
	if (subject_map(c->config.topic->target_subject_prefix, c->config.topic->target_subject_remove,
			m->subject, mapped, sizeof mapped) < 0)
		subject = "";
	source = half_new(m->seq, subject, m);
	source->skipped = reason_to_skip(c, m);
	copy = take_waiting_copy(c, source);
	if (copy != NULL) {
		decide_pair(c, source, copy);
	} else {
		wait_for_copy(c, source);
		bound_source(c);
	}
}

void
compare_source_ended(struct compare *c)
{
	c->source_ended = true;
	while (c->target.oldest != NULL) {
		struct half *copy = c->target.oldest;

		pairing_take(&c->target, copy);
		c->report.source_gone++;
		half_free(&copy);
	}
}

/* ---- target -------------------------------------------------------------------------------------- */

static bool
has_header(const struct compare_message *m, const char *name)
{
	struct header_line line;

	return header_find(m->headers, m->headers_len, name, &line);
}

/* Written by this topic beside other writers (not by another program whose names were adopted). */
static bool
is_unordered(const struct compare *c, const struct compare_message *m, const struct origin *o)
{
	return has_header(m, "Nats-Msg-Id") && strcmp(o->site, c->config.conf->name) == 0 &&
	       strcmp(o->topic, c->config.topic->key) == 0;
}

static uint64_t
hash_subject(const char *subject)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *subject != '\0'; subject++)
		hash = (hash ^ (unsigned char)*subject) * UINT64_C(0x100000001b3);
	return hash;
}

/* Whether an earlier copy has a later origin. A lower sequence of a later time begins a new source. */
static bool
late_behind(const struct origin *o, uint64_t *highest, int64_t *highest_ms)
{
	uint64_t seq = (uint64_t)o->seq;

	if (seq < *highest && o->stored_ms <= *highest_ms)
		return true;
	*highest = seq;
	if (o->stored_ms > *highest_ms)
		*highest_ms = o->stored_ms;
	return false;
}

static bool
late_on_subject(struct compare *c, const char *subject, const struct origin *o)
{
	uint64_t hash = hash_subject(subject);
	struct subject_slot *slot = &c->subjects[hash % SUBJECT_SLOTS];

	if (slot->hash != hash)
		*slot = (struct subject_slot){.hash = hash};
	return late_behind(o, &slot->last, &slot->last_ms);
}

static bool
is_late(struct compare *c, const struct compare_message *m, const struct origin *o)
{
	bool unordered = is_unordered(c, m, o);
	bool on_subject = late_on_subject(c, m->subject, o);

	if (unordered)
		c->shared_seen = true;
	if (c->config.topic->ephemeral)
		return false;
	return unordered ? on_subject : late_behind(o, &c->highest_origin, &c->highest_ms);
}

/* A copy whose source message was read before it and does not wait any more. */
static void
decide_behind(struct compare *c, uint64_t seq, const struct half *copy)
{
	switch (seqmap_look(&c->marks, seq)) {
	case SEQMAP_NONE:
		c->report.source_gone++;
		break;
	case SEQMAP_SEEN: /* it waited too long, and was decided to be missing */
		seqmap_done(&c->marks, seq);
		list_remove(&c->report.missing, seq);
		list_add(&c->report.reordered, seq, 0);
		c->report.not_compared++;
		break;
	case SEQMAP_DONE:
	case SEQMAP_FORGOTTEN:
		decide_doubled(c, copy->target_seq);
		break;
	}
}

static void
pair_copy(struct compare *c, struct half *copy)
{
	struct half *source = pairing_find(&c->source, copy->seq, NULL);

	if (source != NULL && same_message(source, copy)) {
		wait_no_more(c, source);
		decide_pair(c, source, copy);
		return;
	}
	if (source == NULL && copy->seq > c->source_at && !c->source_ended) {
		pairing_add(&c->target, copy);
		return;
	}
	if (source != NULL || copy->seq > c->source_at)
		c->report.source_gone++;
	else
		decide_behind(c, copy->seq, copy);
	half_free(&copy);
}

/* A dead letter in the target stream itself: its message is not missing. */
static void
dead_letter(struct compare *c, uint64_t seq)
{
	struct half *source = pairing_find(&c->source, seq, NULL);

	if (source == NULL && seq > c->source_at)
		compare_add_rejected(c, seq);
	if (source != NULL && source->skipped == NULL) {
		source->skipped = &c->report.rejected;
		c->waiting--;
	}
}

void
compare_target(struct compare *c, const struct compare_message *m)
{
	bool recent = m->seq > c->config.target_last;
	struct compare_message copy_of = *m;
	struct half *copy;
	struct origin o;
	uint64_t seq;

	if (origin_from_headers(m->headers, m->headers_len, &o) != 0 ||
	    !origin_is_ours(&o, c->config.topic->stream, c->config.conf->name, c->config.topic->key,
			    c->config.topic->adopt)) {
		if (!recent)
			list_add(&c->strangers, m->seq, 0);
		return;
	}
	seq = (uint64_t)o.seq;
	if (has_header(m, REJECT_HEADER)) {
		dead_letter(c, seq);
		return;
	}
	if (seq > c->config.source_last && !recent)
		list_add(&c->report.extra, m->seq, 0);
	if (seq < c->config.from || seq > c->config.to)
		return;
	c->report.target_msgs++;
	if (c->first_origin == 0)
		c->first_origin = seq;
	copy_of.stored_ms = o.stored_ms;
	copy = half_new(seq, m->subject, &copy_of);
	copy->late = is_late(c, m, &o);
	pair_copy(c, copy);
}

void
compare_target_ended(struct compare *c)
{
	c->target_ended = true;
}

/* ---- pace ---------------------------------------------------------------------------------------- */

static bool
is_ahead(const struct pairing *p)
{
	return p->count > AHEAD_MSGS || p->bytes > AHEAD_BYTES;
}

bool
compare_wants_source(const struct compare *c)
{
	return !is_ahead(&c->source) || c->target_ended || is_ahead(&c->target);
}

bool
compare_wants_target(const struct compare *c)
{
	return !is_ahead(&c->target) || c->source_ended;
}

size_t
compare_waiting(const struct compare *c)
{
	return c->waiting;
}

/* ---- begin and end ------------------------------------------------------------------------------- */

struct compare *
compare_new(const struct compare_config *config)
{
	struct compare *c = xcalloc(1, sizeof *c);

	c->config = *config;
	pairing_init(&c->source);
	pairing_init(&c->target);
	c->subjects = xcalloc(SUBJECT_SLOTS, sizeof *c->subjects);
	if (config->topic->sampling.inspect != INSPECT_NONE)
		c->inspector = inspect_new(&config->topic->sampling, NULL);
	return c;
}

void
compare_free(struct compare **cp)
{
	struct compare *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	pairing_fini(&c->source);
	pairing_fini(&c->target);
	seqmap_fini(&c->marks);
	if (c->inspector != NULL)
		inspect_free(&c->inspector);
	free(c->rejected);
	free(c->subjects);
	free(c->strangers.items);
	free(c->report.missing.items);
	free(c->report.extra.items);
	free(c->report.changed.items);
	free(c->report.reordered.items);
	free(c);
}

void
compare_add_rejected(struct compare *c, uint64_t seq)
{
	size_t at;

	if (c->rejected_count == c->rejected_room) {
		c->rejected_room = c->rejected_room == 0 ? 64 : c->rejected_room * 2;
		c->rejected = xrealloc(c->rejected, c->rejected_room * sizeof *c->rejected);
	}
	for (at = c->rejected_count++; at > 0 && c->rejected[at - 1] > seq; at--)
		c->rejected[at] = c->rejected[at - 1];
	c->rejected[at] = seq;
}

/* Other writers' messages are extra unless the target is known to have other writers. */
static void
decide_strangers(struct compare *c)
{
	enum conf_target_writers writers = c->config.topic->target_writers;

	if (writers == TARGET_WRITERS_SHARED || (writers == TARGET_WRITERS_AUTO && c->shared_seen)) {
		c->report.foreign = c->strangers.count;
		return;
	}
	for (size_t i = 0; i < c->strangers.listed; i++)
		list_add(&c->report.extra, c->strangers.items[i].seq, 0);
	c->report.extra.count += c->strangers.count - c->strangers.listed;
}

const struct compare_report *
compare_finish(struct compare *c)
{
	struct compare_report *r = &c->report;

	compare_source_ended(c);
	while (c->source.oldest != NULL) {
		struct half *h = c->source.oldest;

		wait_no_more(c, h);
		decide_alone(c, h);
	}
	decide_strangers(c);
	list_sort(&r->missing);
	list_sort(&r->extra);
	list_sort(&r->changed);
	list_sort(&r->reordered);
	r->equal =
	    r->missing.count == 0 && r->extra.count == 0 && r->changed.count == 0 && r->reordered.count == 0;
	return r;
}

const struct compare_report *
compare_progress(const struct compare *c)
{
	return &c->report;
}
