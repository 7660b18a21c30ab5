/*
 * The record of listening: of a replicating worker, owned by its sampler. Pure: times in, times out.
 *
 * Invariants: gaps are in order, do not touch, and lie before heard_ms; once anything was heard, the first
 * one begins at 0 unless a note said otherwise. listening_now() never goes back. In every doubt time counts
 * as not listened to: an advisory comes late then, but no sender is called silent that nobody could hear.
 */
#include "worker/listening.h"

#include <string.h>

enum {
	JUMP_MS = 500,             /* between two calls, wall against monotonic clock: more is no drift */
	CLOCK_BACK_MS = 5 * 60000, /* a record that is more ahead is of a clock that was wrong */
};

void
listening_init(struct listening *l)
{
	memset(l, 0, sizeof *l);
}

/* The sum of gaps before that moment. */
static int64_t
gone_before(const struct listening *l, int64_t wall_ms)
{
	int64_t gone = 0;

	for (size_t i = 0; i < l->gap_count && l->gaps[i].from_ms < wall_ms; i++)
		gone += (l->gaps[i].to_ms < wall_ms ? l->gaps[i].to_ms : wall_ms) - l->gaps[i].from_ms;
	return gone;
}

int64_t
listening_at(const struct listening *l, int64_t wall_ms)
{
	if (wall_ms > l->heard_ms)
		wall_ms = l->heard_ms;
	return wall_ms - gone_before(l, wall_ms) - l->offset_ms;
}

int64_t
listening_now(const struct listening *l)
{
	return listening_at(l, l->heard_ms);
}

/* By how much senders seen about the gaps i and i + 1 get younger if these are joined. */
static int64_t
cost_of_joining(const struct listening *l, size_t i)
{
	int64_t gap = l->gaps[i].to_ms - l->gaps[i].from_ms;
	int64_t between = l->gaps[i + 1].from_ms - l->gaps[i].to_ms;

	return gap < between ? gap : between;
}

/*
 * Makes room by joining two gaps: the first one is moved up to the second. So ages stay what they are but of
 * what was seen about the first gap, which gets younger, never older. Taken where that is least, against how
 * long ago it was.
 */
static void
join_two(struct listening *l)
{
	struct listening_gap *joined;
	size_t best = 0;
	double best_cost = 0;

	for (size_t i = 0; i + 1 < l->gap_count; i++) {
		double ago = (double)(l->heard_ms - l->gaps[i + 1].from_ms) + 1;
		double cost = (double)cost_of_joining(l, i) / ago;

		if (i == 0 || cost < best_cost) {
			best = i;
			best_cost = cost;
		}
	}
	joined = &l->gaps[best];
	joined->from_ms += joined[1].from_ms - joined->to_ms;
	joined->to_ms = joined[1].to_ms;
	l->gap_count--;
	memmove(joined + 1, joined + 2, (l->gap_count - best - 1) * sizeof *joined);
}

/* A gap from heard_ms to there; heard_ms moves there. */
static void
add_gap(struct listening *l, int64_t to_ms)
{
	if (to_ms <= l->heard_ms)
		return;
	if (l->gap_count > 0 && l->gaps[l->gap_count - 1].to_ms == l->heard_ms) {
		l->gaps[l->gap_count - 1].to_ms = to_ms;
	} else {
		if (l->gap_count == LISTENING_GAPS)
			join_two(l);
		l->gaps[l->gap_count++] = (struct listening_gap){l->heard_ms, to_ms};
	}
	l->heard_ms = to_ms;
}

/* The record is of a clock that was wrong: nothing before now counts as heard. */
static void
start_anew(struct listening *l, int64_t wall_ms)
{
	int64_t now = listening_now(l);

	l->gaps[0] = (struct listening_gap){0, wall_ms};
	l->gap_count = 1;
	l->heard_ms = wall_ms;
	l->offset_ms = -now;
	l->edition++;
}

/* Time has passed while on. */
static void
go_on(struct listening *l, int64_t wall_ms, struct mono now)
{
	int64_t passed = mono_ms_between(l->mono, now);
	int64_t jump = wall_ms - l->heard_ms - passed;

	if (passed < 0 || passed > LISTENING_CALL_MAX_MS)
		add_gap(l, wall_ms);
	else if (jump > JUMP_MS)
		add_gap(l, wall_ms - passed);
	if (wall_ms > l->heard_ms)
		l->heard_ms = wall_ms;
}

void
listening_set(struct listening *l, bool on, int64_t wall_ms, struct mono now)
{
	if (on && wall_ms < l->heard_ms - CLOCK_BACK_MS)
		start_anew(l, wall_ms);
	else if (l->on)
		go_on(l, wall_ms, now);
	else if (on)
		add_gap(l, wall_ms);
	l->on = on;
	l->mono = now;
}

/* Whether the note says the same of all the time up to heard_ms. */
static bool
goes_on(const struct listening *l, const struct sample_note *note)
{
	if (l->heard_ms == 0 || note->heard_ms < l->heard_ms || note->gap_count < l->gap_count)
		return false;
	for (size_t i = 0; i < l->gap_count; i++) {
		const struct listening_gap *a = &l->gaps[i], *b = &note->gaps[i];
		bool grown = a->to_ms == l->heard_ms && b->to_ms > a->to_ms;

		if (a->from_ms != b->from_ms || (a->to_ms != b->to_ms && !grown))
			return false;
	}
	return note->gap_count == l->gap_count || note->gaps[l->gap_count].from_ms >= l->heard_ms;
}

void
listening_restore(struct listening *l, const struct sample_note *note)
{
	bool same = goes_on(l, note);
	int64_t now = listening_now(l);

	memcpy(l->gaps, note->gaps, note->gap_count * sizeof l->gaps[0]);
	l->gap_count = note->gap_count;
	l->heard_ms = note->heard_ms;
	l->on = false;
	if (same)
		return;
	l->offset_ms = 0;
	l->offset_ms = listening_now(l) - now;
	l->edition++;
}

void
listening_save(const struct listening *l, struct sample_note *note)
{
	note->heard_ms = l->heard_ms;
	note->gap_count = l->gap_count;
	memcpy(note->gaps, l->gaps, l->gap_count * sizeof l->gaps[0]);
}
