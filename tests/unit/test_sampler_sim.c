/*
 * The sampler under faults: hundreds of seeded runs of two nodes that sample one stream, one leading at a
 * time. Messages come with times that go back a little, sizes, force flags, refusals; the target takes copies
 * late, in or out of order, or not at all for a while; nodes rewind, crash, pause, hand over with or without
 * a word; gossip is lost, state.db gets rows in small batches and is lost too. A plain model of the rules
 * (sampler_sim_model.c) says what must come out of it.
 *
 * What must hold: each message is judged as the model says, the first time and each time after, by whoever
 * leads. No value is copied twice within its duration but for size or force, none goes on sending for longer
 * without a copy. Each event of the model is raised and no other one, by identity (a crash may repeat one, a
 * life does not), at the tick or settlement that it is due at. In the end the rows of state.db say what the
 * model does. What is not known to anybody any more does not count: silence that a leader told of after the
 * last word that its successor had of it.
 *
 * Breaks of the sampler that this was seen to find: what was sent counted as settled; the log dropped at a
 * rewind, or kept at a loss of the lead; a refused message counted as copied; size compared with what was
 * copied last; no splay, due a millisecond late; seen going back, recovery by an older message; a value in
 * flight timing out; times not set anew after recovery or a change of lead; values forgotten at their
 * duration, or by a standby as soon; what was heard too late not expired before; of what is read back, copies
 * settled at once, or not read, or what was seen not read; rows of others that bring back older times, or do
 * not say that a silence was advised of; marks that do not wait for held, delivered or popped rows, or for
 * the walk of all rows; rows of silence that wait for the next batch; forgotten values not told; gaps counted
 * as heard, records not adopted. The rest is left to test_sampler.c: what comes of messages that the source
 * has lost, and snapshots that leave out held rows under a mark.
 *
 * SIM_SEED is the first seed, SIM_RUNS how many follow from it (one, with a seed given): `make sampler-sim
 * RUNS=… SEED=…`. SIM_TRACE shows what happens.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sampler_sim.h"
#include "tests/unit/unit.h"
#include "worker/sampler.h"

#define EPOCH_MS INT64_C(1767225600000)

enum {
	RUNS_DEFAULT = 1200,
	STEPS = 2400, /* of a run: ten minutes */
	NODES = 2,
	GAPS_MAX = 55, /* more would be joined: then ages are not exact */
	FLIGHT_MAX = 4000,
	SOURCE_ID = 11,
	TARGET_ID = 22,
};

static const char *const names[SS_VALUES] = {"a", "b.example.net", "c", "d-4711", "e", "f f"};

struct row {
	bool there, advised;
	int64_t seen_ms, copied_ms;
	uint32_t size;
};
/* state.db of a node; what it took from a worker is kept. */
struct db {
	struct row rows[SS_VALUES];
	bool has_note;
	struct sample_note note;
	struct ss_record record; /* as of the note */
};
struct flight {
	uint64_t seq;
	bool copies, landed;
};
struct node {
	int index;
	struct sampler *s; /* NULL: dead */
	bool leads, listens;
	int64_t paused_until, dead_until, batch_at;
	struct db db;
	struct ss_record record; /* what it knows of listening */
	struct ss_record marked[TRACKER_QUEUES];
	struct ss_sender view[SS_VALUES]; /* what it was told, while it does not lead */
	/* while leading */
	uint64_t settled, offered, high;
	struct flight flight[FLIGHT_MAX];
	int flight_count;
	/* gossip */
	uint64_t number, expects;
	bool in_step, has_gossip_note;
	struct sample_note gossip_note;
	int64_t snapshot_at;
};
struct world {
	uint64_t random;
	uint32_t seed;
	int64_t now;
	struct ss_stream stream;
	struct ss_model model;
	struct node nodes[NODES];
	struct node *leader;
	int term;
	int64_t free_at; /* from then on somebody may lead */
	bool out_of_order, reliable, calm;
	int64_t target_out_until;
	/* senders */
	int64_t every[SS_VALUES], next[SS_VALUES];
	uint32_t size[SS_VALUES];
	/* target */
	uint64_t copies[SS_MESSAGES]; /* source sequences */
	uint32_t copy_count;
	bool landed[SS_MESSAGES + 1];
	struct {
		int node, v;
		int64_t at;
	} advisories[SS_EVENTS];
	int advisory_count;
	struct ss_event raised[SS_EVENTS]; /* in this step */
	int raised_count;
	char failure[300];
};

static struct world w;

/* ---- chance and words ------------------------------------------------------------------------------ */

static uint32_t
below(uint32_t n)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return (uint32_t)(w.random >> 32) % n;
}

static bool
chance(uint32_t in_thousand)
{
	return below(1000) < in_thousand;
}

static void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void
trace(const char *fmt, ...)
{
	static int wanted = -1;
	va_list ap;

	if (wanted < 0)
		wanted = getenv("SIM_TRACE") != NULL;
	if (!wanted)
		return;
	fprintf(stderr, "%lld ", (long long)(w.now - EPOCH_MS));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void
wrong(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (w.failure[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	snprintf(w.failure, sizeof w.failure, "seed %u at %lld ms: %s", w.seed, (long long)(w.now - EPOCH_MS),
		 text);
	trace("FAILURE: %s", text);
}

static int
value_of(const char *name)
{
	for (int v = 0; v < SS_VALUES; v++)
		if (strcmp(names[v], name) == 0)
			return v;
	wrong("unknown value");
	return 0;
}

static struct sample_value
sample_of(int v)
{
	struct sample_value out;

	sample_value_make(names[v], strlen(names[v]), &out);
	return out;
}

/* ---- advisories ------------------------------------------------------------------------------------ */

static bool
advise(void *arg, const struct advisory *a)
{
	const struct node *n = arg;

	trace("node %d raises %s %s at %lld", n->index, advisory_event_name(a->event), a->value,
	      (long long)(a->at_ms - EPOCH_MS));
	if (n != w.leader)
		wrong("node %d does not lead and raises", n->index);
	w.raised[w.raised_count++] = (struct ss_event){a->event, value_of(a->value), a->at_ms, true, 0};
	if (!w.reliable)
		return false;
	w.advisories[w.advisory_count].node = n->index;
	w.advisories[w.advisory_count].v = value_of(a->value);
	w.advisories[w.advisory_count++].at = w.now + (int64_t)below(3000);
	return true;
}

static void
deliver_advisories(void)
{
	for (int i = 0; i < w.advisory_count; i++) {
		const struct node *n = &w.nodes[w.advisories[i].node];
		const char *name = names[w.advisories[i].v];

		if (w.advisories[i].at > w.now)
			continue;
		if (n->s != NULL)
			sampler_delivered(n->s, name, strlen(name));
		w.advisories[i--] = w.advisories[--w.advisory_count];
	}
}

/* The outbox survives a crash, but the next process has no entries that are held. */
static void
forget_advisories(const struct node *n)
{
	for (int i = 0; i < w.advisory_count; i++)
		if (w.advisories[i].node == n->index)
			w.advisories[i--] = w.advisories[--w.advisory_count];
}

/* At the end of a step: what was raised was to be, and nothing else was. */
static void
check_events(void)
{
	for (int i = 0; i < w.raised_count; i++) {
		const struct ss_event *r = &w.raised[i];
		struct ss_event *e = ss_find(&w.model, r->event, r->v, r->at_ms);

		if (e == NULL) {
			wrong("%s %s at %lld is raised", advisory_event_name(r->event), names[r->v],
			      (long long)(r->at_ms - EPOCH_MS));
			break;
		}
		if (e->raised && e->term == w.term)
			wrong("%s %s is raised twice", advisory_event_name(r->event), names[r->v]);
		e->raised = true;
		e->term = w.term;
	}
	w.raised_count = 0;
	for (int i = 0; w.leader != NULL && i < w.model.event_count; i++) {
		const struct ss_event *e = &w.model.events[i];

		if (!e->raised)
			wrong("%s %s at %lld is not raised", advisory_event_name(e->event), names[e->v],
			      (long long)(e->at_ms - EPOCH_MS));
	}
}

/* ---- the source ------------------------------------------------------------------------------------ */

static void
send_message(int v)
{
	struct ss_message *m = &w.stream.m[w.stream.count];

	if (w.stream.count == SS_MESSAGES)
		return;
	w.stream.count++;
	if (chance(60))
		w.size[v] = 100 + below(200);
	*m = (struct ss_message){v, w.now - (int64_t)below(100), w.size[v], chance(20), chance(15)};
	if (chance(20))
		m->stored_ms -= (int64_t)below(2000);
}

static void
produce(void)
{
	for (int v = 0; v < SS_VALUES; v++) {
		if (w.next[v] > w.now)
			continue;
		send_message(v);
		w.next[v] = w.now + w.every[v] / 2 + (int64_t)below((uint32_t)w.every[v]);
		if (chance(60)) /* falls silent */
			w.next[v] += (int64_t)below((uint32_t)(2 * w.model.rules.duration_ms));
	}
}

/* ---- the target ------------------------------------------------------------------------------------ */

static void
land_one(struct flight *f)
{
	if (w.landed[f->seq])
		wrong("message %llu is copied twice", (unsigned long long)f->seq);
	w.landed[f->seq] = true;
	w.copies[w.copy_count++] = f->seq;
	f->landed = true;
}

/* Up to so many copies reach the target. */
static void
land(struct node *n, uint32_t count)
{
	for (int i = 0; i < n->flight_count && count > 0; i++) {
		struct flight *f = &n->flight[i];

		if (!f->copies || f->landed || (w.out_of_order && chance(300)))
			continue;
		land_one(f);
		count--;
	}
}

/* Up to here all copies at the target are of messages up to seq. */
static uint64_t
floor_of(uint64_t seq)
{
	uint64_t t = 0;

	while (t < w.copy_count && w.copies[t] <= seq)
		t++;
	return t;
}

/* ---- a leader's messages --------------------------------------------------------------------------- */

static void
offer_one(struct node *n)
{
	uint64_t seq = ++n->offered;
	const struct ss_message *x = &w.stream.m[seq - 1];
	const struct sampler_message m = {seq, x->stored_ms, x->size, x->forced, w.landed[seq]};
	struct sample_value value = sample_of(x->v);
	bool copies = sampler_offer(n->s, &value, &m, w.now) != SAMPLER_SKIP;

	/* One that was refused before is known to be so, in the same process. */
	if (copies != ss_copies(&w.model, seq) && !(x->rejects && !copies && seq <= n->high))
		wrong("message %llu (%s): %s", (unsigned long long)seq, names[x->v],
		      copies ? "copied" : "skipped");
	if (copies && x->rejects)
		sampler_not_copied(n->s, seq);
	if (n->flight_count == FLIGHT_MAX)
		abort();
	n->flight[n->flight_count++] = (struct flight){seq, copies && !x->rejects, w.landed[seq]};
	if (seq > n->high)
		n->high = seq;
}

/* The last sequence up to which nothing is on its way, but no further than to the limit-th message. */
static uint64_t
proven(const struct node *n, uint32_t limit)
{
	uint64_t seq = n->settled;

	for (int i = 0; i < n->flight_count && (uint32_t)i < limit; i++) {
		if (n->flight[i].copies && !n->flight[i].landed)
			break;
		seq = n->flight[i].seq;
	}
	return seq;
}

static void
pass_to(struct node *n, uint64_t seq)
{
	int gone = 0;

	while (gone < n->flight_count && n->flight[gone].seq <= seq)
		gone++;
	n->flight_count -= gone;
	memmove(n->flight, n->flight + gone, (size_t)n->flight_count * sizeof n->flight[0]);
	n->settled = seq;
	ss_settle(&w.model, seq);
}

static void
settle(struct node *n, uint32_t limit)
{
	uint64_t seq = proven(n, limit);

	sampler_settled(n->s, seq, floor_of(seq));
	pass_to(n, seq);
}

static void
rewind_once(struct node *n)
{
	uint64_t seq = proven(n, below(30));

	sampler_rewind(n->s, seq, floor_of(seq));
	pass_to(n, seq);
	n->offered = seq;
}

/* What was sent before may still land as long as nothing is sent again. */
static void
rewind_node(struct node *n)
{
	trace("node %d rewinds", n->index);
	rewind_once(n);
	if (chance(300)) {
		land(n, below(5));
		rewind_once(n);
	}
	n->flight_count = 0;
}

static bool
is_pending(void *arg, int v)
{
	const struct node *n = arg;

	for (uint64_t seq = n->settled + 1; seq <= n->high; seq++)
		if (w.stream.m[seq - 1].v == v)
			return true;
	return false;
}

/* ---- state.db -------------------------------------------------------------------------------------- */

static void
store_row(struct db *db, const struct proto_sample *row)
{
	struct row *r = &db->rows[value_of(row->value)];

	*r = (struct row){!row->forgotten, row->advised, row->seen_ms, row->copied_ms, row->size};
}

static void
set_mark(struct node *n, enum tracker_queue q)
{
	if (sampler_has_mark(n->s, q))
		return;
	sampler_mark(n->s, q, SOURCE_ID, TARGET_ID);
	n->marked[q] = n->record;
}

static void
batch(struct node *n, uint32_t rows)
{
	struct proto_sample row;

	set_mark(n, TRACKER_STATE_DB);
	for (; rows > 0 && sampler_take(n->s, TRACKER_STATE_DB, &row); rows--)
		store_row(&n->db, &row);
	if (sampler_marked(n->s, TRACKER_STATE_DB, &n->db.note)) {
		n->db.has_note = true;
		n->db.record = n->marked[TRACKER_STATE_DB];
	}
}

static void
keep_db(struct node *n)
{
	while (sampler_urgent(n->s, TRACKER_STATE_DB))
		batch(n, 1);
	if (n->batch_at > w.now)
		return;
	n->batch_at = w.now + (int64_t)below(6000);
	batch(n, 1 + below(8));
	if (n->db.has_note && chance(20) && !w.calm) {
		trace("node %d loses its state.db", n->index);
		memset(&n->db, 0, sizeof n->db);
		sampler_queue_all(n->s, TRACKER_STATE_DB);
	}
}

/* ---- gossip ---------------------------------------------------------------------------------------- */

static void
view_row(struct node *n, const struct proto_sample *row)
{
	struct ss_sender *x = &n->view[value_of(row->value)];

	/* Old news of what was forgotten. */
	if (!x->known && ss_record_sum(&n->record, row->seen_ms, w.now) >= w.model.rules.duration_ms)
		return;
	if (!x->known || row->seen_ms > x->seen_ms)
		*x = (struct ss_sender){true, row->advised, row->seen_ms};
	else if (row->seen_ms == x->seen_ms)
		x->advised = x->advised || row->advised;
}

static void
merge_row(struct node *n, const struct proto_sample *row)
{
	if (!sampler_merge(n->s, row, w.now))
		wrong("a row is refused");
	view_row(n, row);
}

/* False if it is lost on its way. */
static bool
hears(struct node *n, uint64_t number)
{
	if (n->s == NULL || n == w.leader || (!w.calm && chance(10)))
		return false;
	if (number != n->expects && n->in_step) {
		n->in_step = false;
		n->snapshot_at = w.now + (int64_t)below(15000);
	}
	n->expects = number + 1;
	return true;
}

static void
send_row(struct node *from, const struct proto_sample *row)
{
	if (row->forgotten)
		return;
	from->number++;
	for (int i = 0; i < NODES; i++)
		if (hears(&w.nodes[i], from->number)) {
			merge_row(&w.nodes[i], row);
			if (chance(50)) /* comes twice */
				merge_row(&w.nodes[i], row);
		}
}

static void
send_position(const struct node *from, const struct sample_note *note)
{
	for (int i = 0; i < NODES; i++) {
		struct node *n = &w.nodes[i];

		if (n->s == NULL || n == from || !n->in_step || n->expects != from->number + 1)
			continue;
		sampler_adopt(n->s, note);
		n->record = from->marked[TRACKER_GOSSIP];
		n->gossip_note = *note;
		n->has_gossip_note = true;
	}
}

static void
gossip(struct node *n, uint32_t rows)
{
	struct proto_sample row;
	struct sample_note note;

	set_mark(n, TRACKER_GOSSIP);
	for (; rows > 0 && sampler_take(n->s, TRACKER_GOSSIP, &row); rows--)
		send_row(n, &row);
	if (sampler_marked(n->s, TRACKER_GOSSIP, &note))
		send_position(n, &note);
}

static void
ask_for_snapshot(struct node *n)
{
	struct proto_sample row;
	uint64_t cursor = 0;

	if (n->in_step || n->snapshot_at > w.now || w.leader == NULL || w.leader == n)
		return;
	trace("node %d gets a snapshot", n->index);
	while (sampler_next(w.leader->s, &cursor, &row))
		merge_row(n, &row);
	n->in_step = true;
	n->expects = w.leader->number + 1;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void
load_row(struct node *n, int v)
{
	const struct row *r = &n->db.rows[v];
	const struct proto_sample row = {names[v], strlen(names[v]), r->seen_ms, r->copied_ms,
					 r->size,  r->advised,       false};

	n->view[v] = (struct ss_sender){r->there, r->advised, r->seen_ms};
	if (r->there)
		sampler_load(n->s, &row);
}

static void
start_node(struct node *n)
{
	const struct sampler_rules rules = {w.model.rules.duration_ms, w.model.rules.warn_ms,
					    w.model.rules.size_trigger, 100, true};
	const struct sampler_callbacks callbacks = {advise};

	trace("node %d starts", n->index);
	n->s = sampler_new(&rules, w.random, &callbacks, n);
	for (int v = 0; v < SS_VALUES; v++)
		load_row(n, v);
	n->record = n->db.record;
	if (n->db.has_note)
		sampler_adopt(n->s, &n->db.note);
	n->in_step = n->has_gossip_note = false;
	n->snapshot_at = w.now + (int64_t)below(3000);
	n->number = n->number / 1000 * 1000 + 1000;
}

/* What was sent may still land, some of it. */
static void
lead_ends(struct node *n)
{
	land(n, below(8));
	n->flight_count = 0;
	n->leads = n->listens = false;
	n->in_step = false;
	n->snapshot_at = w.now + (int64_t)below(3000);
	w.leader = NULL;
	w.free_at = w.now + (int64_t)below(8000);
}

static void
crash(struct node *n)
{
	trace("node %d crashes", n->index);
	if (n == w.leader)
		lead_ends(n);
	forget_advisories(n);
	sampler_free(&n->s);
	n->dead_until = w.now + (int64_t)below(20000);
}

static void
lose_lead(struct node *n, bool graceful)
{
	trace("node %d loses the lead%s", n->index, graceful ? " with a word" : "");
	if (graceful) {
		land(n, FLIGHT_MAX);
		settle(n, FLIGHT_MAX);
		gossip(n, 1000);
		batch(n, 1000);
	}
	if (n->listens)
		ss_record_add(&n->record, w.now - SS_STEP_MS, w.now);
	listening_set(sampler_listening(n->s), false, w.now, (struct mono){w.now * 1000000});
	sampler_drop(n->s);
	memcpy(n->view, w.model.senders, sizeof n->view);
	lead_ends(n);
}

/* The best note that it has; NULL for none. */
static const struct sample_note *
best_note(const struct node *n)
{
	if (n->has_gossip_note && (!n->db.has_note || n->gossip_note.target_seq > n->db.note.target_seq))
		return &n->gossip_note;
	return n->db.has_note ? &n->db.note : NULL;
}

/*
 * What its predecessor told of silence after the last word to this node does not count: it goes by what it
 * was told. Whatever else it does not know of silence is a fault.
 */
static void
reckon_with(const struct node *n, int v, uint64_t from, uint64_t to)
{
	struct ss_sender *x = &w.model.senders[v];
	const struct ss_sender *view = &n->view[v];
	bool fog = w.model.told[v].at_ms > ss_record_end(&n->record) && w.model.told[v].node != n->index;
	int64_t age = ss_record_sum(&n->record, view->seen_ms, w.now);

	fog = fog || w.model.told[v].disputed > from || age >= w.model.rules.duration_ms;
	if (!fog) {
		if (x->known && x->advised && x->seen_ms <= view->seen_ms && !view->advised)
			wrong("node %d does not know of the timeout of %s", n->index, names[v]);
		if (!x->known && view->known)
			wrong("node %d does not know that %s has expired", n->index, names[v]);
		return;
	}
	trace("node %d goes by what it knows of %s", n->index, names[v]);
	*x = *view;
	for (uint64_t seq = from + 1; seq <= to; seq++)
		if (w.stream.m[seq - 1].v == v)
			ss_hear(&w.model, seq);
	w.model.told[v].disputed = UINT64_MAX;
}

/* True if the recall was cut short. */
static bool
recall(struct node *n, const struct sample_note *note, uint64_t position)
{
	uint64_t copies_from = note != NULL ? note->target_seq : 0;
	uint64_t seen_from = note != NULL ? note->source_seq : 0;

	sampler_recall_begin(n->s, note != NULL);
	for (uint64_t t = copies_from; t < w.copy_count; t++) {
		const struct ss_message *x = &w.stream.m[w.copies[t] - 1];
		struct sample_value value = sample_of(x->v);

		if (w.copies[t] <= position)
			sampler_recall_copied(n->s, &value, x->stored_ms, x->size, w.now);
	}
	for (uint64_t seq = seen_from + 1; seq <= position; seq++) {
		const struct ss_message *x = &w.stream.m[seq - 1];
		struct sample_value value = sample_of(x->v);

		sampler_recall_seen(n->s, &value, x->stored_ms, x->size, w.now);
		if (chance(5) && !w.calm)
			return true;
		if (chance(30))
			sampler_rewind(n->s, position, floor_of(position));
		if (chance(30))
			sampler_tick(n->s, true, w.now);
	}
	sampler_recall_end(n->s, w.now);
	return false;
}

/* The last position up to which everything is at the target that belongs there. */
static uint64_t
proven_anew(void)
{
	uint64_t seq = w.model.settled, last = seq;

	while (seq < w.stream.count) {
		seq++;
		if (!ss_copies(&w.model, seq) || w.stream.m[seq - 1].rejects)
			continue;
		if (!w.landed[seq])
			break;
		last = seq;
	}
	return last;
}

/* A gain that did not come to its end: what was raised was raised, the rest is the next leader's. */
static void
go_back(const struct ss_model *before)
{
	struct ss_model *m = &w.model;

	check_events();
	for (int i = before->event_count; i < m->event_count; i++)
		if (!m->events[i].raised)
			m->events[i--] = m->events[--m->event_count];
	memcpy(m->senders, before->senders, sizeof m->senders);
	memcpy(m->told, before->told, sizeof m->told);
	m->settled = before->settled;
}

static void
gain(struct node *n)
{
	const struct sample_note *best = best_note(n);
	static struct sample_note note;
	uint64_t position = proven_anew(), from;
	static struct ss_model before;

	before = w.model;
	if (best != NULL)
		note = *best;
	from = best != NULL ? note.source_seq : 0;
	trace("node %d leads from %llu, knows all to %llu", n->index, (unsigned long long)position,
	      (unsigned long long)from);
	w.leader = n;
	w.term++;
	n->leads = true;
	n->settled = n->offered = n->high = position;
	w.model.record = n->record;
	w.model.leader = n->index;
	for (int v = 0; v < SS_VALUES; v++)
		reckon_with(n, v, from, w.model.settled);
	sampler_rewind(n->s, position, floor_of(position));
	ss_settle(&w.model, position);
	if (recall(n, best != NULL ? &note : NULL, position)) {
		crash(n);
		go_back(&before);
		return;
	}
	batch(n, 1000);
}

static void
elect(void)
{
	struct node *n = &w.nodes[below(NODES)];

	if (w.leader != NULL || w.free_at > w.now)
		return;
	/* Without a note nothing is raised of what was missed: that is another test's. */
	if (n->s != NULL && n->paused_until <= w.now &&
	    (best_note(n) != NULL || w.stream.count == 0 || w.term == 0))
		gain(n);
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static void
faults(struct node *n)
{
	if (n->s == NULL || w.calm)
		return;
	if (n == w.leader && chance(30))
		rewind_node(n);
	/* What is nowhere any more cannot be known: only who has a note ends. */
	if (chance(2) && n->db.has_note)
		crash(n);
	else if (n == w.leader && n->db.has_note && chance(3))
		lose_lead(n, chance(500));
	else if (n == w.leader && chance(2))
		n->paused_until = w.now + (int64_t)below(30000);
	if (chance(2))
		w.target_out_until = w.now + (int64_t)below(20000);
}

static void
work(struct node *n)
{
	uint32_t count = 1 + below(20);

	if (n->paused_until > w.now)
		return;
	while (count-- > 0 && n->offered < w.stream.count && sampler_has_room(n->s))
		offer_one(n);
	if (w.target_out_until <= w.now)
		land(n, below(8));
	if (chance(700))
		settle(n, chance(700) ? FLIGHT_MAX : below(5));
	if (chance(600))
		gossip(n, below(6));
}

static void
listen_and_tick(struct node *n)
{
	bool behind = n->offered < w.stream.count && w.stream.m[n->offered].stored_ms < w.now - 2000;
	bool on = n->paused_until <= w.now && w.target_out_until <= w.now && !behind;

	if (n->listens)
		ss_record_add(&n->record, w.now - SS_STEP_MS, w.now);
	listening_set(sampler_listening(n->s), on, w.now, (struct mono){w.now * 1000000});
	n->listens = on;
	w.model.record = n->record;
	while (sampler_tick(n->s, true, w.now))
		;
	ss_tick(&w.model, w.now, is_pending, n);
}

static void
follow(struct node *n)
{
	ask_for_snapshot(n);
	while (sampler_tick(n->s, false, w.now))
		;
	for (int v = 0; v < SS_VALUES; v++)
		if (ss_record_sum(&n->record, n->view[v].seen_ms, w.now) >=
		    w.model.rules.duration_ms + SS_LATE_MS + 5000)
			n->view[v].known = n->view[v].advised = false;
}

static void
step_node(struct node *n)
{
	faults(n);
	if (n->s == NULL) {
		if (n->dead_until <= w.now)
			start_node(n);
		return;
	}
	if (n == w.leader) {
		work(n);
		listen_and_tick(n);
	} else {
		follow(n);
	}
	keep_db(n);
}

static bool
has_many_gaps(void)
{
	for (int i = 0; i < NODES; i++)
		if (w.nodes[i].s != NULL && sampler_listening(w.nodes[i].s)->gap_count > GAPS_MAX)
			return true;
	return false;
}

static void
step(void)
{
	w.now += SS_STEP_MS;
	produce();
	deliver_advisories();
	elect();
	for (int i = 0; i < NODES; i++)
		step_node(&w.nodes[i]);
	check_events();
}

/* ---- the end --------------------------------------------------------------------------------------- */

static bool
is_quiet(void)
{
	return w.leader != NULL && w.leader->settled == w.stream.count && w.advisory_count == 0;
}

/* Nobody sends any more, nothing fails. */
static void
calm_down(void)
{
	w.calm = true;
	w.target_out_until = 0;
	for (int i = 0; i < NODES; i++)
		w.nodes[i].paused_until = 0;
	for (int v = 0; v < SS_VALUES; v++)
		w.next[v] = INT64_MAX;
	for (int i = 0; i < 800 && !is_quiet() && w.failure[0] == '\0'; i++)
		step();
	if (!is_quiet())
		wrong("it does not come to rest");
}

static void
check_rows(void)
{
	for (int v = 0; v < SS_VALUES; v++) {
		const struct row *r = &w.leader->db.rows[v];
		const struct ss_sender *x = &w.model.senders[v];
		const struct ss_message *last = ss_last(&w.model, v, w.stream.count);
		int64_t copied = ss_last_copied(&w.model, v, w.stream.count);

		if (r->there != x->known) {
			wrong("the row of %s is %s", names[v], r->there ? "there" : "not there");
		} else if (x->known) {
			/* What it had copied before it expired is forgotten. */
			bool forgot = r->copied_ms == 0 && x->seen_ms - copied >= ss_due_ms(&w.model, v);

			if (r->seen_ms != x->seen_ms || r->advised != x->advised || r->size != last->size ||
			    (r->copied_ms != copied && !forgot))
				wrong("the row of %s is another: seen %lld %lld copied %lld %lld size %u %u",
				      names[v], (long long)(r->seen_ms - EPOCH_MS),
				      (long long)(x->seen_ms - EPOCH_MS),
				      (long long)(r->copied_ms - EPOCH_MS), (long long)(copied - EPOCH_MS),
				      r->size, last->size);
		}
	}
}

/* By what stands at the target alone. */
static void
check_copies(void)
{
	int64_t copied[SS_VALUES] = {0};
	uint32_t size[SS_VALUES] = {0};

	for (uint32_t i = 0; i < w.stream.count; i++) {
		const struct ss_message *x = &w.stream.m[i];
		int64_t since = x->stored_ms - copied[x->v];
		int64_t grown = llabs((int64_t)x->size - (int64_t)size[x->v]);
		bool sized = w.model.rules.size_trigger > 0 && grown >= (int64_t)w.model.rules.size_trigger;

		if (w.landed[i + 1] && since < ss_due_ms(&w.model, x->v) && !x->forced && !sized)
			wrong("message %u is copied too soon", i + 1);
		if (!w.landed[i + 1] && since >= w.model.rules.duration_ms && !x->rejects)
			wrong("message %u is not copied", i + 1);
		size[x->v] = x->size;
		if (w.landed[i + 1] && x->stored_ms > copied[x->v])
			copied[x->v] = x->stored_ms;
	}
}

static void
prepare(uint32_t seed)
{
	memset(&w, 0, sizeof w);
	w.seed = seed;
	w.random = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < 10; i++)
		below(2);
	w.now = EPOCH_MS;
	w.model.rules.duration_ms = 10000 + (int64_t)below(60) * 1000;
	w.model.rules.warn_ms = 1000 + (int64_t)below((uint32_t)w.model.rules.duration_ms - 1000);
	w.model.rules.size_trigger = chance(500) ? 0 : 60;
	w.model.stream = &w.stream;
	w.model.names = names;
	w.out_of_order = chance(300);
	w.reliable = chance(400);
	for (int v = 0; v < SS_VALUES; v++) {
		w.every[v] = 500 + (int64_t)below(8000);
		w.size[v] = 100;
	}
	for (int i = 0; i < NODES; i++)
		w.nodes[i].index = i;
}

static void
run(uint32_t seed)
{
	prepare(seed);
	for (int i = 0; i < STEPS && w.failure[0] == '\0' && !has_many_gaps(); i++)
		step();
	if (w.failure[0] == '\0')
		calm_down();
	if (w.failure[0] == '\0') {
		batch(w.leader, 1000);
		check_rows();
		check_copies();
	}
	for (int i = 0; i < NODES; i++)
		sampler_free(&w.nodes[i].s);
}

static uint32_t
setting(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(samples_are_right_whatever_happens)
{
	uint32_t seed = setting("SIM_SEED", 1), one = setting("SIM_SEED", 0) != 0;
	uint32_t runs = setting("SIM_RUNS", one ? 1 : RUNS_DEFAULT);

	for (uint32_t i = 0; i < runs; i++) {
		run(seed + i);
		ck_assert_msg(w.failure[0] == '\0', "%s", w.failure);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sampler_sim");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, samples_are_right_whatever_happens);
	suite_add_tcase(s, tc);
	return s;
}
