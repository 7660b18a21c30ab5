/*
 * The model of sampling for its simulation: the rules of doc/sampling.md, as plainly as they can be written.
 * Nothing is remembered but the stream; each answer is found by going through what happened. What a crash or
 * a hand-over loses is not its business: the simulation says what of it counts.
 */
#include "tests/unit/sampler_sim.h"

#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"

void
ss_record_add(struct ss_record *r, int64_t from, int64_t to)
{
	if (from >= to)
		return;
	if (r->count > 0 && r->span[r->count - 1].to == from) {
		r->span[r->count - 1].to = to;
		return;
	}
	if (r->count == SS_SPANS)
		abort();
	r->span[r->count].from = from;
	r->span[r->count++].to = to;
}

int64_t
ss_record_sum(const struct ss_record *r, int64_t since, int64_t until)
{
	int64_t sum = 0;

	for (int i = 0; i < r->count; i++) {
		int64_t from = r->span[i].from > since ? r->span[i].from : since;
		int64_t to = r->span[i].to < until ? r->span[i].to : until;

		if (to > from)
			sum += to - from;
	}
	return sum;
}

int64_t
ss_record_end(const struct ss_record *r)
{
	return r->count > 0 ? r->span[r->count - 1].to : 0;
}

/* ---- copies ---------------------------------------------------------------------------------------- */

int64_t
ss_due_ms(const struct ss_model *m, int v)
{
	uint64_t hash = sample_value_hash(m->names[v], strlen(m->names[v]));

	return m->rules.duration_ms - (int64_t)(hash % ((uint64_t)m->rules.duration_ms / 10 + 1));
}

const struct ss_message *
ss_last(const struct ss_model *m, int v, uint64_t seq)
{
	for (; seq > 0; seq--)
		if (m->stream->m[seq - 1].v == v)
			return &m->stream->m[seq - 1];
	return NULL;
}

static int64_t
last_copied(const struct ss_model *m, int v, uint64_t seq)
{
	int64_t last = 0;

	for (uint64_t i = 0; i < seq; i++) {
		const struct ss_message *x = &m->stream->m[i];

		if (x->v == v && m->copy[i] && !x->rejects && x->stored_ms > last)
			last = x->stored_ms;
	}
	return last;
}

static bool
decide(const struct ss_model *m, uint32_t i)
{
	const struct ss_message *x = &m->stream->m[i], *before = ss_last(m, x->v, i);
	int64_t copied_ms = last_copied(m, x->v, i);
	int64_t grown = before == NULL ? 0 : (int64_t)x->size - (int64_t)before->size;

	if (copied_ms == 0 || x->forced || x->stored_ms - copied_ms >= ss_due_ms(m, x->v))
		return true;
	return m->rules.size_trigger > 0 && llabs(grown) >= (int64_t)m->rules.size_trigger;
}

bool
ss_copies(struct ss_model *m, uint64_t seq)
{
	for (; m->decided < seq; m->decided++)
		m->copy[m->decided] = decide(m, m->decided);
	return m->copy[seq - 1];
}

int64_t
ss_last_copied(struct ss_model *m, int v, uint64_t seq)
{
	if (seq > 0)
		ss_copies(m, seq);
	return last_copied(m, v, seq);
}

/* ---- events ---------------------------------------------------------------------------------------- */

struct ss_event *
ss_find(struct ss_model *m, enum advisory_event event, int v, int64_t at_ms)
{
	for (int i = m->event_count; i > 0; i--) {
		struct ss_event *x = &m->events[i - 1];

		if (x->event == event && x->v == v && x->at_ms == at_ms)
			return x;
	}
	return NULL;
}

static void
expect(struct ss_model *m, enum advisory_event event, int v, int64_t at_ms)
{
	if (ss_find(m, event, v, at_ms) != NULL)
		return;
	if (m->event_count == SS_EVENTS)
		abort();
	m->events[m->event_count++] = (struct ss_event){event, v, at_ms, false, 0};
}

static void
expire(struct ss_model *m, int v)
{
	struct ss_sender *s = &m->senders[v];

	if (!s->advised)
		expect(m, ADVISORY_EVENT_TIMEOUT, v, s->seen_ms + m->rules.warn_ms);
	expect(m, ADVISORY_EVENT_EXPIRE, v, s->seen_ms + m->rules.duration_ms);
	*s = (struct ss_sender){false, false, 0};
}

static void
tell(struct ss_model *m, int v, int64_t at_ms)
{
	m->told[v].at_ms = at_ms;
	m->told[v].node = m->leader;
}

void
ss_hear(struct ss_model *m, uint64_t seq)
{
	const struct ss_message *x = &m->stream->m[seq - 1];
	struct ss_sender *s = &m->senders[x->v];

	if (m->told[x->v].disputed == UINT64_MAX)
		m->told[x->v].disputed = seq;
	if (s->known && ss_record_sum(&m->record, s->seen_ms, x->stored_ms) >= m->rules.duration_ms) {
		expire(m, x->v);
		tell(m, x->v, x->stored_ms);
	}
	if (!s->known)
		expect(m, ADVISORY_EVENT_NEW, x->v, x->stored_ms);
	else if (s->advised && x->stored_ms > s->seen_ms)
		expect(m, ADVISORY_EVENT_RECOVER, x->v, x->stored_ms);
	if (!s->known || x->stored_ms > s->seen_ms) {
		s->seen_ms = x->stored_ms;
		s->advised = false;
	}
	s->known = true;
}

void
ss_settle(struct ss_model *m, uint64_t seq)
{
	while (m->settled < seq)
		ss_hear(m, ++m->settled);
}

void
ss_tick(struct ss_model *m, int64_t now_ms, bool (*pending)(void *arg, int v), void *arg)
{
	for (int v = 0; v < SS_VALUES; v++) {
		struct ss_sender *s = &m->senders[v];
		int64_t age = ss_record_sum(&m->record, s->seen_ms, now_ms);

		if (!s->known || pending(arg, v) || age < m->rules.warn_ms ||
		    (s->advised && age < m->rules.duration_ms + SS_LATE_MS))
			continue;
		if (age >= m->rules.duration_ms + SS_LATE_MS) {
			expire(m, v);
		} else {
			expect(m, ADVISORY_EVENT_TIMEOUT, v, s->seen_ms + m->rules.warn_ms);
			s->advised = true;
		}
		tell(m, v, now_ms);
	}
}
