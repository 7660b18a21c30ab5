/*
 * The model: an array of values that may be in or not, each with its entry's pointer and id, its time, and
 * its index in the list of everything that was ever pushed to a queue. Nothing in it is clever; it walks all
 * to answer a question. Phases favour adding or removing, and change the values that are used, so that the
 * table fills up, runs empty and has other lengths of values.
 */
#include "tests/unit/tracker_model.h"

#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"
#include "worker/tracker.h"

#define VALUES     6000
#define TABLE_MAX  3000
#define PLACES     8
#define NOT_QUEUED UINT32_MAX

struct model_value {
	char text[SAMPLE_VALUE_MAX + 1];
	size_t len;
	struct tracker_entry *e; /* NULL: not in */
	uint32_t id, size;
	bool scheduled;
	int64_t at_ms;
	uint32_t pushed[TRACKER_QUEUES]; /* index in the queue's list, NOT_QUEUED */
	unsigned met;                    /* times in the walk that is on */
	bool walk_had;                   /* it has been in since that began */
};
struct model_queue {
	uint32_t *list; /* values by number; NOT_QUEUED: taken or removed */
	uint32_t head, tail, live;
	struct {
		uint64_t place;
		uint32_t index;
	} places[PLACES];
};
struct model {
	uint64_t random;
	struct tracker *t;
	struct model_value *values;
	struct model_queue queues[TRACKER_QUEUES];
	uint32_t first, range; /* of the values used in this phase */
	unsigned add_percent;
	uint32_t count;
	int64_t now_ms;
	uint64_t cursor;
};

static uint64_t
draw(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13; /* xorshift64 */
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % below;
}

static struct model_value *
draw_value(struct model *m)
{
	return &m->values[m->first + draw(m, m->range)];
}

static struct model_value *
value_of(const struct model *m, const struct tracker_entry *e)
{
	size_t len;
	uint32_t number;

	/* Each text begins with the value's number. */
	memcpy(&number, tracker_value(e, &len), sizeof number);
	MUST(number < VALUES);
	struct model_value *v = &m->values[number];

	MUST(v->e == e);
	MUST(len == v->len);
	MUST(memcmp(tracker_value(e, &len), v->text, len) == 0);
	return v;
}

static void
do_add(struct model *m, struct model_value *v)
{
	if (v->e)
		return;
	struct tracker_entry *e = tracker_add(m->t, v->text, v->len);

	if (m->count == TABLE_MAX) {
		MUST(!e);
		return;
	}
	MUST(e);
	MUST(e->offered.size == 0 && e->settled.seen_ms == 0 && e->pending == 0 && !e->advised);
	m->count++;
	v->e = e;
	v->id = tracker_id(m->t, e);
	e->offered.size = v->size = (uint32_t)draw(m, UINT32_MAX);
	e->settled.seen_ms = v->size;
	e->advised = true;
	e->held = true;
	v->walk_had = false;
}

static void
drop_from_queue(struct model *m, struct model_value *v, enum tracker_queue q)
{
	if (v->pushed[q] == NOT_QUEUED)
		return;
	m->queues[q].list[v->pushed[q]] = NOT_QUEUED;
	m->queues[q].live--;
	v->pushed[q] = NOT_QUEUED;
}

static void
do_remove(struct model *m, struct model_value *v)
{
	if (!v->e)
		return;
	tracker_remove(m->t, v->e);
	m->count--;
	v->e = NULL;
	v->scheduled = false;
	v->walk_had = false;
	for (enum tracker_queue q = 0; q < TRACKER_QUEUES; q++)
		drop_from_queue(m, v, q);
	MUST(!tracker_at(m->t, v->id));
}

static void
do_push(struct model *m, struct model_value *v, enum tracker_queue q)
{
	struct model_queue *queue = &m->queues[q];

	if (!v->e)
		return;
	tracker_push(m->t, q, v->e);
	if (v->pushed[q] != NOT_QUEUED)
		return;
	queue->list[queue->tail] = (uint32_t)(v - m->values);
	v->pushed[q] = queue->tail++;
	queue->live++;
}

static void
check_places(const struct model *m, enum tracker_queue q)
{
	const struct model_queue *queue = &m->queues[q];

	for (size_t i = 0; i < PLACES; i++)
		MUST(tracker_passed(m->t, q, queue->places[i].place) ==
		     (queue->head >= queue->places[i].index));
}

static void
do_pop(struct model *m, enum tracker_queue q)
{
	struct model_queue *queue = &m->queues[q];
	struct tracker_entry *e = tracker_pop(m->t, q);

	while (queue->head < queue->tail && queue->list[queue->head] == NOT_QUEUED)
		queue->head++;
	if (queue->head == queue->tail) {
		MUST(!e);
	} else {
		MUST(e);
		MUST(value_of(m, e)->pushed[q] == queue->head);
		drop_from_queue(m, value_of(m, e), q);
	}
	while (queue->head < queue->tail && queue->list[queue->head] == NOT_QUEUED)
		queue->head++;
	check_places(m, q);
}

static void
do_place(struct model *m, enum tracker_queue q)
{
	struct model_queue *queue = &m->queues[q];
	size_t i = draw(m, PLACES);

	while (queue->head < queue->tail && queue->list[queue->head] == NOT_QUEUED)
		queue->head++;
	queue->places[i].place = tracker_tail(m->t, q);
	queue->places[i].index = queue->tail;
	check_places(m, q);
	MUST(tracker_queued(m->t, q) == queue->live);
}

static int64_t
draw_ms(struct model *m)
{
	static const int64_t spans[] = {300,      2000,       70000,       3600000,
					18000000, 4300000000, 30000000000, 10000000000000};

	return (int64_t)draw(m, (uint64_t)spans[draw(m, sizeof spans / sizeof spans[0])]);
}

static void
do_schedule(struct model *m, struct model_value *v)
{
	if (!v->e)
		return;
	v->at_ms = m->now_ms + draw_ms(m) - (draw(m, 10) == 0 ? draw_ms(m) : 0);
	v->scheduled = true;
	tracker_schedule(m->t, v->e, v->at_ms);
}

static void
check_none_due(const struct model *m)
{
	for (uint32_t i = 0; i < VALUES; i++)
		if (m->values[i].e && m->values[i].scheduled)
			MUST(m->values[i].at_ms > m->now_ms - 250);
}

static void
do_due(struct model *m)
{
	int64_t before_ms = m->now_ms, last_ms = INT64_MIN;
	unsigned calls = 0;
	bool more = true;

	m->now_ms += draw(m, 50) == 0 ? draw_ms(m) / 1000 : (int64_t)draw(m, 1500);
	while (more) {
		struct tracker_entry *e = tracker_due(m->t, m->now_ms, (uint32_t)draw(m, 20), &more);

		MUST(++calls < 1000000);
		if (!e)
			continue;
		struct model_value *v = value_of(m, e);

		MUST(more && v->scheduled);
		MUST(v->at_ms <= m->now_ms);
		/* In order, but for those that were set to a time of the past. */
		if (v->at_ms > before_ms) {
			MUST(v->at_ms + 250 > last_ms);
			last_ms = v->at_ms;
		}
		v->scheduled = false;
	}
	check_none_due(m);
}

static void
walk_begin(struct model *m)
{
	m->cursor = 0;
	for (uint32_t i = 0; i < VALUES; i++) {
		m->values[i].met = 0;
		m->values[i].walk_had = m->values[i].e != NULL;
	}
}

static void
do_walk(struct model *m)
{
	for (uint64_t n = draw(m, 300); n > 0; n--) {
		struct tracker_entry *e = tracker_next(m->t, &m->cursor);

		if (e) {
			value_of(m, e)->met++;
			continue;
		}
		for (uint32_t i = 0; i < VALUES; i++)
			if (m->values[i].walk_had)
				MUST(m->values[i].met == 1);
		walk_begin(m);
	}
}

static void
check_value(const struct model *m, const struct model_value *v)
{
	MUST(tracker_find(m->t, v->text, v->len) == v->e);
	if (!v->e)
		return;
	MUST(tracker_at(m->t, v->id) == v->e);
	MUST(tracker_id(m->t, v->e) == v->id);
	MUST(v->e->offered.size == v->size && v->e->settled.seen_ms == v->size);
	MUST(v->e->advised && v->e->held && v->e->scheduled == v->scheduled);
}

static void
new_phase(struct model *m)
{
	static const unsigned percents[] = {10, 35, 50, 65, 95};

	m->add_percent = percents[draw(m, sizeof percents / sizeof percents[0])];
	m->range = (uint32_t)draw(m, 3) == 0 ? 20 : VALUES / 3;
	m->first = (uint32_t)draw(m, VALUES - m->range);
}

static void
step(struct model *m)
{
	enum tracker_queue q = (enum tracker_queue)draw(m, TRACKER_QUEUES);
	struct model_value *v = draw_value(m);

	switch (draw(m, 8)) {
	case 0:
	case 1:
	case 2:
		if (draw(m, 100) < m->add_percent)
			do_add(m, v);
		else
			do_remove(m, v);
		break;
	case 3:
		do_push(m, v, q);
		break;
	case 4:
		if (draw(m, 100) > m->add_percent)
			do_pop(m, q);
		break;
	case 5:
		do_schedule(m, v);
		break;
	default:
		check_value(m, v);
	}
	if (draw(m, 200) == 0)
		do_due(m);
	if (draw(m, 100) == 0)
		do_walk(m);
	if (draw(m, 100) == 0)
		do_place(m, q);
	if (draw(m, 20000) == 0)
		new_phase(m);
}

/* Values of lengths that go up with their number, so that a phase has about one length; the last have all. */
static void
make_values(struct model *m)
{
	m->values = xcalloc(VALUES, sizeof *m->values);
	for (uint32_t i = 0; i < VALUES; i++) {
		struct model_value *v = &m->values[i];

		v->len = i < VALUES / 2 ? 4 + i / 40 : 4 + draw(m, SAMPLE_VALUE_MAX - 3);
		memset(v->text, 'x', v->len);
		memcpy(v->text, &i, sizeof i);
		for (enum tracker_queue q = 0; q < TRACKER_QUEUES; q++)
			v->pushed[q] = NOT_QUEUED;
	}
}

void
tracker_model_run(uint64_t seed, unsigned steps)
{
	static const int64_t begins[] = {0, INT64_C(1767323045678), -5000, INT64_C(250) << 24};
	struct model m = {.random = seed * UINT64_C(0x9e3779b97f4a7c15), .t = tracker_new(TABLE_MAX, seed)};

	make_values(&m);
	for (enum tracker_queue q = 0; q < TRACKER_QUEUES; q++)
		m.queues[q].list = xcalloc(steps, sizeof *m.queues[q].list);
	m.now_ms = begins[seed % (sizeof begins / sizeof begins[0])];
	new_phase(&m);
	for (unsigned i = 0; i < steps; i++) {
		step(&m);
		MUST(tracker_count(m.t) == m.count);
	}
	for (uint32_t i = 0; i < VALUES; i++)
		check_value(&m, &m.values[i]);
	for (uint32_t i = 0; i < VALUES; i++)
		do_remove(&m, &m.values[i]);
	MUST(tracker_count(m.t) == 0);
	for (enum tracker_queue q = 0; q < TRACKER_QUEUES; q++) {
		do_pop(&m, q);
		free(m.queues[q].list);
	}
	tracker_free(&m.t);
	free(m.values);
}
