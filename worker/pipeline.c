/*
 * The ring of entries in flight; runs in a replicating worker, and in its test with no worker around.
 *
 * Invariants:
 *   - ids grow by one an entry; the ring holds ids [head, next); head is the oldest unsettled one.
 *   - S (source_seq) and T (target_seq) are what is settled. In CHAIN mode entry id has the slot
 *     T + (id − head) + 1.
 *   - an entry's cover_seq is the highest source sequence that is settled once it is: skipped messages
 *     behind an entry take no room of their own.
 *   - SUBJECT: of the entries with one subject hash, at most one is sent and unsettled: the one named in
 *     the table `subjects`; the others wait in a list that starts at it.
 *
 * What a fault means here: a reply that does not come, or comes with another sequence, says nothing
 * about what is stored. The ring does not guess: it gives the verdict REWIND, and what is really there
 * is read from the target.
 */
#include "worker/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/sentlist.h"

enum {
	WINDOW_START = 2048,
	WINDOW_MIN = 16,
	NONE = -1,
};

enum entry_state { ENTRY_WAITING, ENTRY_SENT, ENTRY_SETTLED };

struct entry {
	uint64_t seq;
	uint64_t cover_seq;
	uint64_t subject_hash;
	uint64_t floor;    /* SUBJECT: highest target sequence known when the entry was offered */
	struct mono asked; /* when a reply was asked for; 0 for none */
	int64_t stored_ms;
	void *held;
	uint32_t bytes;
	enum entry_state state;
	int64_t next_same; /* SUBJECT: id of the next entry of this subject, or NONE */
};

/* SUBJECT: hash of a subject and the last entry that has it. Open addressing, key 0 is free. */
struct subject_slot {
	uint64_t hash;
	uint64_t last_id;
};

struct pipeline {
	struct pipeline_config config;
	pipeline_drop_fn *drop;
	void *owner;
	enum pipeline_mode mode;
	uint32_t epoch;

	struct entry *ring; /* cap is a power of two */
	size_t cap;
	uint64_t head, next;

	uint64_t source_seq, target_seq; /* settled */
	uint64_t offered_seq;
	uint64_t stretch_first, stretch_end;
	struct sentlist again; /* what should come again, while the map is the same */
	uint64_t presettled;   /* of that: what need not be sent */
	bool contiguous;
	uint64_t used_end;                       /* of what was in flight before */
	uint64_t floor, floor_until, late_until; /* as in pipeline_start, until S has passed it */
	bool same_streams;                       /* at the restart, what was found before counts */
	uint32_t sent;                           /* since the restart */
	uint32_t window_most;                    /* no window was ever larger */
	uint64_t bytes;

	uint32_t window;     /* messages that may be in flight now */
	bool window_limited; /* it was full since it last grew */

	uint32_t since_reply_msgs;
	uint64_t since_reply_bytes;
	bool broken; /* a publish was refused, or stored in another slot */
	struct mono last_sent;

	struct subject_slot *subjects;
	size_t subject_cap;
	uint64_t *ready; /* ids whose subject became free, a ring of cap */
	size_t ready_head, ready_count;
};

static struct entry *
at(const struct pipeline *p, uint64_t id)
{
	return &p->ring[id & (p->cap - 1)];
}

static uint64_t
slot_of(const struct pipeline *p, uint64_t id)
{
	return p->target_seq + (id - p->head) + 1;
}

static size_t
power_of_two(size_t n)
{
	size_t cap = 64;

	while (cap < n)
		cap *= 2;
	return cap;
}

struct pipeline *
pipeline_new(const struct pipeline_config *config, pipeline_drop_fn *drop, void *owner)
{
	struct pipeline *p = xcalloc(1, sizeof *p);

	p->config = *config;
	p->drop = drop;
	p->owner = owner;
	p->cap = 64;
	p->ring = xcalloc(p->cap, sizeof *p->ring);
	p->head = p->next = 1;
	p->window = WINDOW_START < config->window_max ? WINDOW_START : config->window_max;
	p->window_most = config->window_max;
	return p;
}

static void
drop_held(struct pipeline *p, struct entry *e)
{
	if (e->held != NULL && p->drop != NULL)
		p->drop(p->owner, e->held);
	e->held = NULL;
}

void
pipeline_free(struct pipeline **pp)
{
	struct pipeline *p = *pp;

	if (p == NULL)
		return;
	for (uint64_t id = p->head; id < p->next; id++)
		drop_held(p, at(p, id));
	free(p->ring);
	free(p->subjects);
	free(p->ready);
	sentlist_fini(&p->again);
	free(p);
	*pp = NULL;
}

static uint64_t
higher(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What was sent and is not settled comes again in the same slots, or the map has changed. */
static void
keep_sent(struct pipeline *p)
{
	struct sentlist kept;

	if (p->mode != PIPELINE_CHAIN || p->head == p->next)
		return;
	sentlist_init(&kept);
	kept.slot = slot_of(p, p->head);
	for (uint64_t id = p->head; id < p->next; id++)
		sentlist_push(&kept, at(p, id)->seq);
	for (size_t i = p->again.head; i < p->again.count; i++)
		sentlist_push(&kept, p->again.seqs[i]);
	sentlist_fini(&p->again);
	p->again = kept;
}

void
pipeline_stop(struct pipeline *p, struct seqset *settled_beyond, bool fault)
{
	p->used_end = pipeline_used_end(p);
	keep_sent(p);
	p->floor = pipeline_floor(p);
	if (settled_beyond != NULL)
		p->floor_until = higher(p->floor_until, settled_beyond->highest);
	if (p->mode == PIPELINE_SUBJECT && p->head < p->next)
		p->late_until = higher(p->late_until, p->offered_seq);
	p->same_streams = settled_beyond != NULL;
	for (uint64_t id = p->head; id < p->next; id++) {
		struct entry *e = at(p, id);

		if (settled_beyond != NULL && e->state == ENTRY_SETTLED)
			seqset_add(settled_beyond, e->seq);
		drop_held(p, e);
	}
	p->head = p->next;
	p->ready_count = 0;
	p->bytes = 0;
	p->epoch++;
	p->offered_seq = p->source_seq;
	if (fault && p->window / 2 >= WINDOW_MIN)
		p->window /= 2;
}

/* The table of subjects has twice the window's slots, so that a search always meets a free one. */
static void
make_subject_tables(struct pipeline *p)
{
	size_t cap = power_of_two((size_t)p->config.window_max * 2);

	free(p->subjects);
	free(p->ready);
	p->subject_cap = cap;
	p->subjects = xcalloc(cap, sizeof *p->subjects);
	p->ready = xcalloc(cap, sizeof *p->ready);
	p->ready_head = p->ready_count = 0;
}

static bool
has_floor(const struct pipeline *p)
{
	return p->source_seq < p->floor_until || p->source_seq < p->late_until;
}

/* What was found at this restart, and what the one before had found. */
static void
keep_floor(struct pipeline *p, const struct pipeline_start *start)
{
	bool kept = p->same_streams && has_floor(p), found = start->floor_until + start->late_until > 0;

	if (!p->same_streams)
		p->floor_until = p->late_until = 0;
	if (found && (!kept || start->floor < p->floor))
		p->floor = start->floor;
	p->floor_until = higher(p->floor_until, start->floor_until);
	p->late_until = higher(p->late_until, start->late_until);
}

/*
 * The map has changed: from here on a late publish may take a slot that belongs to another message now.
 */
static void
map_has_changed(struct pipeline *p)
{
	sentlist_clear(&p->again);
	p->presettled = 0;
	if (p->stretch_end < p->target_seq)
		p->stretch_first = slot_of(p, p->next);
	p->stretch_end = pipeline_used_end(p);
}

static void
expect_again(struct pipeline *p)
{
	if (!p->same_streams || p->mode != PIPELINE_CHAIN) {
		sentlist_clear(&p->again);
		return;
	}
	sentlist_settle(&p->again, p->source_seq);
	if (p->again.head < p->again.count && p->again.slot + p->presettled != p->target_seq + 1)
		map_has_changed(p);
}

void
pipeline_restart(struct pipeline *p, const struct pipeline_start *start)
{
	p->mode = start->mode;
	p->source_seq = p->offered_seq = start->source_seq;
	p->target_seq = start->target_seq;
	p->stretch_first = start->target_seq + 1;
	p->stretch_end = start->stretch_end;
	p->presettled = start->presettled;
	p->contiguous = start->contiguous || (p->same_streams && p->contiguous);
	if (!p->same_streams || start->used_end > p->used_end)
		p->used_end = start->used_end;
	expect_again(p);
	keep_floor(p, start);
	p->sent = 0;
	p->since_reply_msgs = 0;
	p->since_reply_bytes = 0;
	p->broken = false;
	p->window_limited = false;
	if (p->mode == PIPELINE_SUBJECT)
		make_subject_tables(p);
}

void
pipeline_limit_window(struct pipeline *p, uint32_t window_max)
{
	if (window_max == 0)
		return;
	/* The table of subjects was made for the limit of before. */
	if (p->mode == PIPELINE_SUBJECT && window_max > p->subject_cap / 2 && p->subject_cap > 0)
		window_max = (uint32_t)(p->subject_cap / 2);
	p->config.window_max = window_max;
	if (window_max > p->window_most)
		p->window_most = window_max;
	if (p->window > window_max)
		p->window = window_max;
}

bool
pipeline_has_room(const struct pipeline *p)
{
	return p->next - p->head < p->window && p->bytes < p->config.window_max_bytes;
}

enum pipeline_mode
pipeline_mode(const struct pipeline *p)
{
	return p->mode;
}

uint64_t
pipeline_source_seq(const struct pipeline *p)
{
	return p->source_seq;
}

uint64_t
pipeline_target_seq(const struct pipeline *p)
{
	return p->target_seq;
}

uint64_t
pipeline_offered_seq(const struct pipeline *p)
{
	return p->offered_seq;
}

uint64_t
pipeline_floor(const struct pipeline *p)
{
	uint64_t floor = p->target_seq;

	if (p->mode == PIPELINE_SUBJECT && p->head < p->next)
		floor = at(p, p->head)->floor; /* copies of later ones were stored behind it */
	return has_floor(p) && p->floor < floor ? p->floor : floor;
}

bool
pipeline_in_order(const struct pipeline *p)
{
	return p->mode == PIPELINE_CHAIN && p->source_seq >= p->floor_until &&
	       p->target_seq >= p->stretch_end;
}

uint32_t
pipeline_epoch(const struct pipeline *p)
{
	return p->epoch;
}

uint64_t
pipeline_expected_last(const struct pipeline *p)
{
	return slot_of(p, p->next) - 1;
}

/* A message that another process may have sent does not come, where only the source can tell. */
static bool
jumps(const struct pipeline *p, uint64_t seq)
{
	return p->contiguous && p->again.head == p->again.count && seq > p->offered_seq + 1 &&
	       slot_of(p, p->next) <= p->used_end;
}

void
pipeline_skip(struct pipeline *p, uint64_t seq)
{
	if (seq <= p->offered_seq)
		return;
	if (p->presettled > 0 && sentlist_take(&p->again, seq))
		p->presettled--;
	else if (!sentlist_skip(&p->again, seq) || jumps(p, seq))
		map_has_changed(p);
	p->offered_seq = seq;
	if (p->head == p->next)
		p->source_seq = seq;
	else
		at(p, p->next - 1)->cover_seq = seq;
}

/* ---- subjects in flight -------------------------------------------------------------------------- */

static struct subject_slot *
subject_slot(struct pipeline *p, uint64_t hash)
{
	size_t i = (size_t)(hash >> 7) & (p->subject_cap - 1);

	while (p->subjects[i].hash != 0 && p->subjects[i].hash != hash)
		i = (i + 1) & (p->subject_cap - 1);
	return &p->subjects[i];
}

static void
subject_slot_clear(struct pipeline *p, struct subject_slot *slot)
{
	size_t mask = p->subject_cap - 1, hole = (size_t)(slot - p->subjects), next;

	for (next = (hole + 1) & mask; p->subjects[next].hash != 0; next = (next + 1) & mask) {
		size_t home = (size_t)(p->subjects[next].hash >> 7) & mask;

		if (((next - home) & mask) >= ((next - hole) & mask)) {
			p->subjects[hole] = p->subjects[next];
			hole = next;
		}
	}
	p->subjects[hole].hash = 0;
}

/* Puts entry id behind the others of its subject; true if it must wait for one of them. */
static bool
subject_enter(struct pipeline *p, uint64_t id)
{
	struct entry *e = at(p, id);
	struct subject_slot *slot = subject_slot(p, e->subject_hash);
	bool busy = slot->hash != 0;

	if (busy)
		at(p, slot->last_id)->next_same = (int64_t)id;
	slot->hash = e->subject_hash;
	slot->last_id = id;
	return busy;
}

/* The subject of a settled entry is free: the next entry of it is ready, or the subject is forgotten. */
static void
subject_leave(struct pipeline *p, const struct entry *e)
{
	if (e->next_same != NONE) {
		p->ready[(p->ready_head + p->ready_count++) & (p->subject_cap - 1)] = (uint64_t)e->next_same;
		return;
	}
	subject_slot_clear(p, subject_slot(p, e->subject_hash));
}

bool
pipeline_ready(struct pipeline *p, struct mono now, uint64_t *id, void **held)
{
	struct entry *e;

	if (p->mode != PIPELINE_SUBJECT || p->ready_count == 0)
		return false;
	*id = p->ready[p->ready_head];
	p->ready_head = (p->ready_head + 1) & (p->subject_cap - 1);
	p->ready_count--;
	e = at(p, *id);
	e->state = ENTRY_SENT;
	e->asked = now;
	*held = e->held;
	e->held = NULL;
	return true;
}

void
pipeline_hold(struct pipeline *p, uint64_t id, void *held)
{
	at(p, id)->held = held;
}

/* ---- sending ------------------------------------------------------------------------------------- */

static void
grow_ring(struct pipeline *p)
{
	size_t cap = p->cap * 2;
	struct entry *ring = xcalloc(cap, sizeof *ring);

	for (uint64_t id = p->head; id < p->next; id++)
		ring[id & (cap - 1)] = *at(p, id);
	free(p->ring);
	p->ring = ring;
	p->cap = cap;
}

static bool
wants_reply(struct pipeline *p, bool more)
{
	bool full = !pipeline_has_room(p), alone = p->next - p->head == 1;

	if (full)
		p->window_limited = true;
	return p->mode == PIPELINE_SUBJECT || alone || !more || full ||
	       p->since_reply_msgs >= p->config.reply_every_msgs ||
	       p->since_reply_bytes >= p->config.reply_every_bytes ||
	       slot_of(p, p->next - 1) <= p->stretch_end;
}

uint64_t
pipeline_last_id(const struct pipeline *p, bool *asked)
{
	*asked = false;
	if (p->head == p->next)
		return 0;
	*asked = at(p, p->next - 1)->asked.ns != 0;
	return p->next - 1;
}

struct pipeline_ticket
pipeline_send(struct pipeline *p, uint64_t seq, int64_t stored_ms, uint64_t bytes, uint64_t subject_hash,
	      bool more, struct mono now)
{
	struct pipeline_ticket ticket = {.id = p->next};
	struct entry *e;

	if (p->next - p->head == p->cap)
		grow_ring(p);
	if (jumps(p, seq) || !sentlist_send(&p->again, seq))
		map_has_changed(p);
	p->offered_seq = seq;
	e = at(p, p->next++);
	*e = (struct entry){
	    .seq = seq,
	    .cover_seq = seq,
	    .subject_hash = subject_hash | 1, /* 0 marks a free slot of the table */
	    .floor = p->target_seq,
	    .stored_ms = stored_ms,
	    .bytes = (uint32_t)bytes,
	    .state = ENTRY_SENT,
	    .next_same = NONE,
	};
	/* What was in flight before is no more than a window: all of it is at or below this one. */
	if (++p->sent == p->window_most && seq < p->late_until)
		p->late_until = seq;
	p->bytes += bytes;
	p->since_reply_msgs++;
	p->since_reply_bytes += bytes;
	p->last_sent = now;
	if (p->mode == PIPELINE_SUBJECT && subject_enter(p, ticket.id)) {
		e->state = ENTRY_WAITING;
		ticket.wait = true;
	}
	ticket.reply = wants_reply(p, more);
	if (ticket.reply && !ticket.wait) {
		e->asked = now;
		p->since_reply_msgs = 0;
		p->since_reply_bytes = 0;
	}
	return ticket;
}

/* ---- settling ------------------------------------------------------------------------------------ */

/* The window grows by what was settled while it was what limited: it doubles in a round trip. */
static void
grow_window(struct pipeline *p, uint32_t settled)
{
	uint32_t room = p->config.window_max - p->window;

	if (!p->window_limited)
		return;
	p->window += settled < room ? settled : room;
	if (pipeline_has_room(p) && p->next - p->head < p->window / 2)
		p->window_limited = false;
}

static void
leave_ring(struct pipeline *p)
{
	struct entry *e = at(p, p->head);

	p->source_seq = e->cover_seq;
	p->bytes -= e->bytes;
	p->head++;
}

/* Whether a reply of the stretch before that of entry id has not come. */
static bool
lacks_reply(const struct pipeline *p, uint64_t id)
{
	uint64_t first = slot_of(p, p->head);

	if (first < p->stretch_first)
		first = p->stretch_first;
	return first <= p->stretch_end && slot_of(p, id) > first;
}

static enum pipeline_verdict
settle_chain(struct pipeline *p, uint64_t id, uint64_t seq, const char **why)
{
	uint32_t count = (uint32_t)(id - p->head + 1);

	if (seq != slot_of(p, id)) {
		p->broken = true;
		*why = "the target acknowledged another sequence than the chain's";
		return PIPELINE_REWIND;
	}
	if (lacks_reply(p, id)) {
		*why = "a reply is missing where a late publish could have taken the slot";
		return PIPELINE_REWIND;
	}
	while (p->head <= id)
		leave_ring(p);
	p->target_seq = seq;
	grow_window(p, count);
	return PIPELINE_GO_ON;
}

/* A copy that was there before it was offered: an old connection or another process put it there. */
static void
lower_floor(struct pipeline *p, uint64_t below, uint64_t until)
{
	if (below >= pipeline_floor(p) || until <= p->source_seq)
		return;
	p->floor = below;
	p->floor_until = higher(p->floor_until, until);
}

static enum pipeline_verdict
settle_subject(struct pipeline *p, uint64_t id, uint64_t seq)
{
	struct entry *e = at(p, id);

	if (e->state != ENTRY_SENT)
		return PIPELINE_GO_ON;
	e->state = ENTRY_SETTLED;
	if (seq > p->target_seq)
		p->target_seq = seq;
	subject_leave(p, e);
	while (p->head < p->next && at(p, p->head)->state == ENTRY_SETTLED)
		leave_ring(p);
	lower_floor(p, seq - 1, e->seq);
	grow_window(p, 1);
	return PIPELINE_GO_ON;
}

enum pipeline_verdict
pipeline_reply(struct pipeline *p, uint32_t epoch, uint64_t id, const struct pipeline_answer *answer,
	       uint64_t *seq, const char **why)
{
	*seq = 0;
	if (epoch != p->epoch || id < p->head || id >= p->next)
		return PIPELINE_GO_ON;
	*seq = at(p, id)->seq;
	if (!answer->accepted) {
		p->broken = true;
		*why = "a publish was refused";
		return id == p->head || p->mode == PIPELINE_SUBJECT ? PIPELINE_REFUSED : PIPELINE_REWIND;
	}
	if (p->mode == PIPELINE_CHAIN)
		return settle_chain(p, id, answer->seq, why);
	if (answer->seq == 0) {
		*why = "the target does not know yet whether it has the message";
		return PIPELINE_REWIND;
	}
	return settle_subject(p, id, answer->seq);
}

/*
 * CHAIN: replies come in order, so the first one asked for tells of all. If none is on its way (the
 * source said that more was at hand and then fell silent), the entries behind the last reply are in
 * doubt as well.
 */
static bool
chain_is_late(const struct pipeline *p, struct mono now)
{
	for (uint64_t id = p->head; id < p->next; id++) {
		const struct entry *e = at(p, id);

		if (e->asked.ns != 0)
			return mono_ms_between(e->asked, now) >= p->config.ack_timeout_ms;
	}
	return p->head < p->next && mono_ms_between(p->last_sent, now) >= p->config.ack_timeout_ms;
}

static bool
subject_is_late(const struct pipeline *p, struct mono now)
{
	for (uint64_t id = p->head; id < p->next; id++) {
		const struct entry *e = at(p, id);

		if (e->state == ENTRY_SENT && mono_ms_between(e->asked, now) >= p->config.ack_timeout_ms)
			return true;
	}
	return false;
}

enum pipeline_verdict
pipeline_tick(struct pipeline *p, struct mono now, const char **why)
{
	bool late = p->mode == PIPELINE_CHAIN ? chain_is_late(p, now) : subject_is_late(p, now);

	if (!late)
		return PIPELINE_GO_ON;
	*why = "no reply from the target in time";
	return PIPELINE_REWIND;
}

bool
pipeline_is_broken(const struct pipeline *p)
{
	return p->broken;
}

/* ---- reading ------------------------------------------------------------------------------------- */

bool
pipeline_entry(const struct pipeline *p, size_t i, struct pipeline_entry_view *view)
{
	const struct entry *e;

	if (i >= p->next - p->head)
		return false;
	e = at(p, p->head + i);
	*view = (struct pipeline_entry_view){
	    .seq = e->seq,
	    .cover_seq = e->cover_seq,
	    .slot = p->mode == PIPELINE_CHAIN ? slot_of(p, p->head + i) : 0,
	    .settled = e->state == ENTRY_SETTLED,
	};
	return true;
}

uint32_t
pipeline_inflight_msgs(const struct pipeline *p)
{
	return (uint32_t)(p->next - p->head);
}

uint64_t
pipeline_inflight_bytes(const struct pipeline *p)
{
	return p->bytes;
}

uint32_t
pipeline_window(const struct pipeline *p)
{
	return p->window;
}

uint64_t
pipeline_stretch_end(const struct pipeline *p)
{
	return p->stretch_end;
}

uint64_t
pipeline_used_end(const struct pipeline *p)
{
	uint64_t end = p->target_seq + (p->next - p->head);

	if (p->mode == PIPELINE_SUBJECT || end < p->used_end)
		end = p->used_end;
	return end > p->stretch_end ? end : p->stretch_end;
}

int64_t
pipeline_oldest_stored_ms(const struct pipeline *p)
{
	return p->head < p->next ? at(p, p->head)->stored_ms : 0;
}
