/*
 * The world of the simulation: streams and connections. The target's checks come in the server's order:
 * size and sequence (which of them first differs between a single server and a cluster), message id,
 * sequence, room. A connection keeps its order, as TCP does.
 */
#include "tests/unit/sim_model.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

uint32_t
sim_below(struct sim_random *r, uint32_t below)
{
	uint64_t x = r->state;

	/* xorshift64* */
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return below > 0 ? (uint32_t)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % below : 0;
}

bool
sim_chance(struct sim_random *r, uint32_t in_thousand)
{
	return sim_below(r, 1000) < in_thousand;
}

uint64_t
sim_content(uint64_t seq)
{
	return seq * UINT64_C(0x9E3779B97F4A7C15) ^ 0x5151;
}

void
sim_world_init(struct sim_world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random.state = seed * UINT64_C(0xD1342543DE82EF95) + 1;
	for (int i = 0; i < 8; i++)
		sim_below(&w->random, 1);
	w->now_ms = 1000000;
	w->target.created_ns = 1;
	w->target.size_before_sequence = sim_chance(&w->random, 500);
}

void
sim_world_fini(struct sim_world *w)
{
	for (size_t i = 0; i < SIM_CONNS; i++) {
		free(w->conns[i].out);
		free(w->conns[i].in);
	}
	free(w->source.msgs);
	free(w->target.msgs);
	free(w->copies);
	free(w->letters);
	free(w->id_ms);
	free(w->id_seq);
}

struct mono
sim_now(const struct sim_world *w)
{
	return (struct mono){w->now_ms * 1000000};
}

/* ---- source --------------------------------------------------------------------------------------- */

static void
make_room_by_seq(struct sim_world *w, uint64_t seq)
{
	size_t old = w->by_seq_cap;

	if (seq < old)
		return;
	w->by_seq_cap = (size_t)seq * 2 + 64;
	w->copies = xrealloc(w->copies, w->by_seq_cap * sizeof *w->copies);
	w->letters = xrealloc(w->letters, w->by_seq_cap * sizeof *w->letters);
	w->id_ms = xrealloc(w->id_ms, w->by_seq_cap * sizeof *w->id_ms);
	w->id_seq = xrealloc(w->id_seq, w->by_seq_cap * sizeof *w->id_seq);
	for (size_t i = old; i < w->by_seq_cap; i++) {
		w->copies[i] = w->letters[i] = 0;
		w->id_seq[i] = 0;
		w->id_ms[i] = 0;
	}
}

void
sim_source_publish(struct sim_world *w, uint32_t subject, enum sim_kind kind)
{
	struct sim_source *s = &w->source;

	if (s->last + 1 >= s->cap) {
		s->cap = s->cap * 2 + 64;
		s->msgs = xrealloc(s->msgs, s->cap * sizeof *s->msgs);
	}
	s->msgs[++s->last] =
	    (struct sim_source_msg){.subject = subject, .kind = kind, .stored_ms = w->now_ms};
	make_room_by_seq(w, s->last);
}

/* ---- target --------------------------------------------------------------------------------------- */

static uint64_t
store(struct sim_world *w, const struct sim_stored *m)
{
	struct sim_target *t = &w->target;

	if (t->last + 1 >= t->cap) {
		t->cap = t->cap * 2 + 64;
		t->msgs = xrealloc(t->msgs, t->cap * sizeof *t->msgs);
	}
	t->msgs[++t->last] = *m;
	if (m->letter)
		w->letters[m->origin]++;
	else if (m->origin > 0)
		w->copies[m->origin]++;
	return t->last;
}

/* True if the server answers before it looks at the message; *answer is its answer, if it gives one. */
static bool
has_trouble(struct sim_world *w, const struct sim_publish *p, struct sim_answer *answer, bool *answers)
{
	struct sim_target *t = &w->target;

	*answers = true;
	if (t->drop_publishes > 0) {
		t->drop_publishes--;
		*answers = false;
	} else if (w->now_ms < t->silent_until_ms) {
		answer->no_responders = sim_chance(&w->random, 300);
		*answers = answer->no_responders;
	} else if (w->now_ms < t->quorumless_until_ms) {
		if (p->has_id && sim_chance(&w->random, 500)) {
			answer->duplicate = true; /* and sequence 0, as server 2.10 does */
		} else {
			answer->code = p->has_id ? 409 : 503;
			answer->err_code = p->has_id ? 10158 : 10008;
			*answers = sim_chance(&w->random, 500);
		}
	} else if (w->now_ms < t->busy_until_ms) {
		answer->code = 429;
		answer->err_code = 10167;
	} else {
		return false;
	}
	return true;
}

static bool
is_duplicate(struct sim_world *w, const struct sim_publish *p, struct sim_answer *answer)
{
	if (!p->has_id || w->id_seq[p->origin] == 0 ||
	    w->now_ms - w->id_ms[p->origin] >= SIM_DUPLICATE_WINDOW_MS)
		return false;
	answer->duplicate = true;
	answer->seq = w->id_seq[p->origin];
	return true;
}

static bool
refuse(struct sim_answer *answer, int code, int err_code)
{
	answer->code = code;
	answer->err_code = err_code;
	return true;
}

static bool
is_refused(struct sim_world *w, const struct sim_publish *p, struct sim_answer *answer)
{
	struct sim_target *t = &w->target;
	bool wrong = p->barrier || (p->has_expected && p->expected_last != t->last);
	bool large = !p->barrier && !p->letter && w->source.msgs[p->origin].kind == SIM_TOO_LARGE;

	if (large && (t->size_before_sequence || !wrong))
		return refuse(answer, 400, 10054);
	if (wrong)
		return refuse(answer, 400, 10071);
	if (w->now_ms < t->full_until_ms)
		return refuse(answer, 503, 10077);
	return false;
}

/* Into another stream, where its message id keeps it single. */
static bool
take_letter(struct sim_world *w, const struct sim_publish *p, struct sim_answer *answer)
{
	if (w->letters_lost)
		return w->letters_lost = false;
	w->letters[p->origin] = 1;
	answer->seq = 1;
	return true;
}

/* What the target makes of a publish; true if it answers. */
static bool
take_publish(struct sim_world *w, const struct sim_publish *p, struct sim_answer *answer)
{
	bool answers;

	if (p->letter && !p->has_expected)
		return take_letter(w, p, answer);
	if (has_trouble(w, p, answer, &answers))
		return answers;
	if (is_duplicate(w, p, answer) || is_refused(w, p, answer))
		return true;
	answer->seq = store(w, &(struct sim_stored){.origin = p->origin,
						    .content = p->content,
						    .subject = w->source.msgs[p->origin].subject,
						    .unordered = p->has_id,
						    .letter = p->letter});
	if (p->has_id) {
		w->id_seq[p->origin] = answer->seq;
		w->id_ms[p->origin] = w->now_ms;
	}
	return true;
}

void
sim_target_foreign(struct sim_world *w, uint32_t subject)
{
	store(w, &(struct sim_stored){.subject = subject});
}

void
sim_target_go_back(struct sim_world *w, uint64_t last)
{
	struct sim_target *t = &w->target;

	for (; t->last > last; t->last--) {
		uint64_t origin = t->msgs[t->last].origin;

		if (origin == 0)
			continue;
		if (t->msgs[t->last].letter)
			w->letters[origin]--;
		else
			w->copies[origin]--;
		if (w->id_seq[origin] == t->last)
			w->id_seq[origin] = 0;
	}
}

void
sim_target_make_anew(struct sim_world *w)
{
	sim_target_go_back(w, 0);
	w->target.created_ns++;
}

void
sim_target_delete(struct sim_world *w, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from > 0 ? from : 1; seq <= to && seq <= w->target.last; seq++)
		w->target.msgs[seq].gone = true;
}

uint64_t
sim_target_first(const struct sim_world *w, uint64_t *messages)
{
	uint64_t first = w->target.last + 1;

	*messages = 0;
	for (uint64_t seq = w->target.last; seq > 0; seq--)
		if (!w->target.msgs[seq].gone) {
			first = seq;
			++*messages;
		}
	return first;
}

/* ---- connections ----------------------------------------------------------------------------------- */

int
sim_connect(struct sim_world *w)
{
	int oldest = -1;

	for (int i = 0; i < SIM_CONNS; i++) {
		struct sim_conn *c = &w->conns[i];

		if (c->open)
			continue;
		if (!c->used || c->out_count == 0) {
			oldest = i;
			break;
		}
		if (oldest < 0 || c->late_until_ms < w->conns[oldest].late_until_ms)
			oldest = i;
	}
	if (oldest < 0)
		abort();
	w->conns[oldest].used = w->conns[oldest].open = true;
	w->conns[oldest].out_count = w->conns[oldest].in_count = 0;
	w->conns[oldest].drop_replies = 0;
	return oldest;
}

void
sim_disconnect(struct sim_world *w, int conn, size_t arrive_late)
{
	struct sim_conn *c = &w->conns[conn];

	c->open = false;
	c->in_count = 0;
	if (c->out_count > arrive_late)
		c->out_count = arrive_late;
	c->late_until_ms = w->now_ms + SIM_LATE_MS;
}

void
sim_send(struct sim_world *w, int conn, const struct sim_publish *p)
{
	struct sim_conn *c = &w->conns[conn];

	if (c->out_count == c->out_cap) {
		c->out_cap = c->out_cap * 2 + 16;
		c->out = xrealloc(c->out, c->out_cap * sizeof *c->out);
	}
	c->out[c->out_count++] = *p;
}

static void
answer_to(struct sim_world *w, struct sim_conn *c, const struct sim_answer *answer)
{
	(void)w;
	if (!c->open)
		return;
	if (c->drop_replies > 0) {
		c->drop_replies--;
		return;
	}
	if (c->in_count == c->in_cap) {
		c->in_cap = c->in_cap * 2 + 16;
		c->in = xrealloc(c->in, c->in_cap * sizeof *c->in);
	}
	c->in[c->in_count++] = *answer;
}

bool
sim_deliver_publish(struct sim_world *w, int conn)
{
	struct sim_conn *c = &w->conns[conn];
	struct sim_answer answer = {0};
	struct sim_publish p;

	if (!c->used || c->out_count == 0)
		return false;
	p = c->out[0];
	memmove(c->out, c->out + 1, --c->out_count * sizeof *c->out);
	if (!c->open && w->now_ms > c->late_until_ms)
		return true; /* too late even for that */
	if (w->target.queue_max > 0 && c->out_count > w->target.queue_max && !p.barrier)
		return true; /* the server's queue is full: it drops without a word */
	answer.epoch = p.epoch;
	answer.id = p.id;
	answer.letter = p.letter;
	if (take_publish(w, &p, &answer) && p.reply)
		answer_to(w, c, &answer);
	return true;
}

bool
sim_take_answer(struct sim_world *w, int conn, struct sim_answer *answer)
{
	struct sim_conn *c = &w->conns[conn];

	if (!c->open || c->in_count == 0)
		return false;
	*answer = c->in[0];
	memmove(c->in, c->in + 1, --c->in_count * sizeof *c->in);
	return true;
}

void
sim_flush_late(struct sim_world *w, bool lose)
{
	for (int i = 0; i < SIM_CONNS; i++) {
		if (w->conns[i].open)
			continue;
		while (!lose && sim_deliver_publish(w, i))
			;
		w->conns[i].out_count = 0;
	}
}
