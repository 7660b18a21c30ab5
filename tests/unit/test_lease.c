/*
 * lease.c over a clock of its own. Each case is a script: what the owner tells, what has to come out and
 * when. The seeds differ, so that jitter is not what a script depends on.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/array.h"
#include "common/proto.h"
#include "tests/unit/unit.h"
#include "worker/lease.h"

enum what {
	END,
	PASS,      /* a: milliseconds */
	WANT,      /* a: what comes out now; b: revision of a write, term of the rest */
	WITHIN,    /* a: what comes out next, nothing before it; b, c: after so many milliseconds */
	QUIET,     /* nothing comes out now */
	QUIET_FOR, /* a: milliseconds in which nothing comes out */
	ANSWER,    /* a: answer to the write that is out; b: revision */
	LATE,      /* the same, to the write before */
	READS,     /* a: holder; b: revision; c: why or other_map */
	NO_READ,   /* no answer to the read */
	SEES,      /* as READS, by the watch */
	REACH,     /* a: bool */
	TTL,       /* a: milliseconds */
	ANEW,
	RESERVE, /* a: milliseconds */
	YIELDS,  /* a: why */
	RELEASE, /* a: why */
	RETIRE,
	ENDS_IN,   /* a: the lease, after so many milliseconds */
	LEADS,     /* a: bool */
	MAP_MOVED, /* of the last WON: a: other_map; b: moved */
	WHY,       /* of the last DELETE */
	TIMEOUT,   /* a: milliseconds for what came out last */
	PENDING,   /* a: bool: giving_up */
};

struct step {
	enum what what;
	int64_t a, b, c;
};

struct script {
	const char *name;
	int64_t ttl_ms;
	struct step steps[48];
};

static struct lease *lease;
static struct mono now;
static struct lease_output last;
static uint64_t op, op_before;

static const char *
kind_name(int64_t kind)
{
	static const char *const names[] = {"CREATE", "UPDATE",  "DELETE", "READ",
					    "WON",    "RENEWED", "LOST",   "YIELDED"};

	return names[kind];
}

static struct lease_entry
entry_of(const struct step *s)
{
	struct lease_entry entry = {.holder = (enum lease_holder)s->a, .revision = (uint64_t)s->b};

	if (entry.holder == LEASE_FREE)
		entry.why = (enum lease_why)s->c;
	else
		entry.other_map = s->c != 0;
	return entry;
}

static void
want(const char *where, int64_t kind, int64_t number)
{
	if (!lease_next(lease, now, &last))
		ck_abort_msg("%s: nothing comes out, wanted %s", where, kind_name(kind));
	if (last.kind != (enum lease_output_kind)kind)
		ck_abort_msg("%s: %s comes out, wanted %s", where, kind_name(last.kind), kind_name(kind));
	if (last.kind <= LEASE_READ) {
		ck_assert_msg(last.op == op + 1, "%s: operation %" PRIu64 " after %" PRIu64, where, last.op,
			      op);
		op_before = op;
		op = last.op;
	}
	if (last.kind < LEASE_READ)
		ck_assert_msg(last.revision == (uint64_t)number, "%s: %s of revision %" PRIu64, where,
			      kind_name(kind), last.revision);
	if (last.kind > LEASE_READ)
		ck_assert_msg(last.term == (uint64_t)number, "%s: %s of term %" PRIu64, where,
			      kind_name(kind), last.term);
	if (last.kind == LEASE_LOST || last.kind == LEASE_YIELDED)
		ck_assert_msg(last.reason != NULL && last.reason[0] != '\0', "%s: no reason", where);
}

static void
quiet(const char *where)
{
	if (lease_next(lease, now, &last))
		ck_abort_msg("%s: %s comes out", where, kind_name(last.kind));
}

static void
quiet_until(const char *where, struct mono end)
{
	struct mono wake = lease_wake(lease);

	while (wake.ns <= end.ns) {
		now = wake.ns > now.ns ? wake : mono_add_ms(now, 1);
		quiet(where);
		wake = lease_wake(lease);
	}
	now = end;
	quiet(where);
}

static void
within(const char *where, const struct step *s)
{
	struct mono first = mono_add_ms(now, s->b), end = mono_add_ms(now, s->c), wake;

	if (s->b > 0)
		quiet_until(where, mono_add_ms(now, s->b - 1));
	wake = lease_wake(lease);
	if (wake.ns < first.ns)
		wake = first;
	ck_assert_msg(wake.ns <= end.ns, "%s: wakes %" PRId64 " ms too late", where,
		      mono_ms_between(end, wake));
	now = wake;
	/* A write's revision is checked where it matters, by WANT. */
	if (!lease_next(lease, now, &last) || last.kind != (enum lease_output_kind)s->a)
		ck_abort_msg("%s: %s does not come out in time", where, kind_name(s->a));
	if (last.kind <= LEASE_READ) {
		op_before = op;
		op = last.op;
	}
}

static void
check(const char *where, const struct step *s)
{
	struct lease_view view;

	lease_view(lease, now, &view);
	switch (s->what) {
	case ENDS_IN:
		ck_assert_msg(view.leads, "%s: does not lead", where);
		ck_assert_msg(mono_ms_between(now, view.end) == s->a, "%s: ends in %" PRId64, where,
			      mono_ms_between(now, view.end));
		break;
	case LEADS:
		ck_assert_msg(view.leads == (s->a != 0), "%s: leads: %d", where, view.leads);
		break;
	case PENDING:
		ck_assert_msg(view.giving_up == (s->a != 0), "%s: giving up: %d", where, view.giving_up);
		break;
	case MAP_MOVED:
		ck_assert_msg(last.kind == LEASE_WON && last.other_map == (s->a != 0) &&
				  last.moved == (s->b != 0),
			      "%s: other map %d, moved %d", where, last.other_map, last.moved);
		break;
	case WHY:
		ck_assert_msg(last.kind == LEASE_DELETE && last.why == (enum lease_why)s->a, "%s: why %d",
			      where, last.why);
		break;
	default:
		ck_assert_msg(lease_timeout_ms(lease) == s->a, "%s: time-out %" PRId64, where,
			      lease_timeout_ms(lease));
		break;
	}
}

static void
tell(const char *where, const struct step *s)
{
	struct lease_entry entry = entry_of(s);

	switch (s->what) {
	case ANSWER:
	case LATE:
		lease_answered(lease, now, s->what == LATE ? op_before : op, (enum lease_answer)s->a,
			       (uint64_t)s->b);
		break;
	case READS:
		lease_read_answered(lease, now, op, &entry);
		break;
	case NO_READ:
		lease_read_answered(lease, now, op, NULL);
		break;
	case SEES:
		lease_saw(lease, now, &entry);
		break;
	case REACH:
		lease_reachable(lease, now, s->a != 0);
		break;
	case TTL:
		lease_set_ttl(lease, now, s->a);
		break;
	case ANEW:
		lease_bucket_anew(lease, now);
		break;
	case RESERVE:
		lease_set_reserve(lease, s->a);
		break;
	case YIELDS:
		lease_yield(lease, now, (enum lease_why)s->a);
		break;
	case RELEASE:
		lease_release(lease, now, (enum lease_why)s->a);
		break;
	case RETIRE:
		lease_retire(lease);
		break;
	default:
		check(where, s);
		break;
	}
}

static void
perform(const struct script *script, uint64_t seed)
{
	char where[120];

	lease = lease_new(script->ttl_ms > 0 ? script->ttl_ms : 10000, seed);
	now.ns = INT64_C(5000000000000);
	op = op_before = 0;
	for (size_t i = 0; script->steps[i].what != END; i++) {
		const struct step *s = &script->steps[i];

		snprintf(where, sizeof where, "%s, step %zu, seed %" PRIu64, script->name, i + 1, seed);
		switch (s->what) {
		case PASS:
			now = mono_add_ms(now, s->a);
			break;
		case WANT:
			want(where, s->a, s->b);
			break;
		case WITHIN:
			within(where, s);
			break;
		case QUIET:
			quiet(where);
			break;
		case QUIET_FOR:
			quiet_until(where, mono_add_ms(now, s->a));
			break;
		default:
			tell(where, s);
			break;
		}
	}
	lease_free(&lease);
}

/* Steps name what they need and no more. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* ---- scripts ---------------------------------------------------------------------------------------- */

#define BEGIN                                                                                                \
	{REACH, true},                                                                                       \
	{                                                                                                    \
		WANT, LEASE_READ                                                                             \
	}
/* With revision 5 and a TTL of 10 s; the answer takes 100 ms. */
#define WIN                                                                                                  \
	BEGIN, {READS, LEASE_FREE, 0}, {WANT, LEASE_CREATE, 0}, {PASS, 100}, {ANSWER, LEASE_APPLIED, 5},     \
	{                                                                                                    \
		WANT, LEASE_WON, 5                                                                           \
	}
#define FOLLOW                                                                                               \
	BEGIN,                                                                                               \
	{                                                                                                    \
		READS, LEASE_OTHER, 5                                                                        \
	}
#define RENEWAL_DUE                                                                                          \
	{                                                                                                    \
		WITHIN, LEASE_UPDATE, 2150, 2650                                                             \
	}

static const struct script scripts[] = {
    {"a free key is campaigned for at once",
     0,
     {{QUIET_FOR, 60000}, WIN, {MAP_MOVED, false, false}, {ENDS_IN, 8900}, {QUIET}, {LEADS, true}}},
    {"renewals have the revision of the one before",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000},
      {WITHIN, LEASE_UPDATE, 2250, 2750},
      {PASS, 50},
      {ANSWER, LEASE_APPLIED, 9},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 8950},
      {QUIET}}},
    {"the end counts from when a renewal was asked for",
     0,
     {WIN,
      RENEWAL_DUE,
      {PASS, 1999},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000 - 1999}}},
    {"without renewals it ends in time",
     0,
     {WIN, {REACH, false}, {QUIET_FOR, 8899}, {LEADS, true}, {WITHIN, LEASE_LOST, 0, 1}, {LEADS, false}}},
    {"after a stop beyond the lease the loss comes first",
     0,
     {WIN,
      RENEWAL_DUE,
      {PASS, 60000},
      {LEADS, false},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_LOST, 5},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 9},
      {QUIET}}},
    {"after a stop beyond the lease a yield or release finds it lost",
     0,
     {WIN,
      {PASS, 60000},
      {YIELDS, LEASE_WHY_BALANCE},
      {RELEASE, LEASE_WHY_BALANCE},
      {WANT, LEASE_LOST, 5},
      {WANT, LEASE_READ},
      {QUIET}}},
    {"after a stop within the lease it goes on",
     0,
     {WIN,
      {PASS, 8000},
      {WANT, LEASE_UPDATE, 5},
      {TIMEOUT, 900},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000}}},
    {"a renewal that was applied, reply lost, counts from when it was asked for",
     0,
     {WIN,
      RENEWAL_DUE,
      {TIMEOUT, 2000},
      {PASS, 2000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {PASS, 200},
      {READS, LEASE_OURS, 8},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000 - 2200},
      {WITHIN, LEASE_UPDATE, 50, 550},
      {ANSWER, LEASE_APPLIED, 9},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000}}},
    {"a renewal that was not applied is written again",
     0,
     {WIN,
      RENEWAL_DUE,
      {PASS, 2000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000}}},
    {"of two in doubt the earlier counts",
     0,
     {WIN,
      RENEWAL_DUE,
      {PASS, 2000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {PASS, 1000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000 - 3000}}},
    {"the first was applied late, the second conflicts",
     0,
     {WIN,
      RENEWAL_DUE,
      {PASS, 2000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {PASS, 100},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000 - 2100},
      {WITHIN, LEASE_UPDATE, 150, 650}}},
    {"our key with a revision that none of our writes made extends nothing",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WANT, LEASE_UPDATE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000}}},
    {"a conflict with another's key is a loss",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 6},
      {WANT, LEASE_LOST, 5},
      {QUIET_FOR, 10749},
      {WITHIN, LEASE_CREATE, 0, 252}}},
    {"a key that is gone is a loss",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_LOST, 5},
      {QUIET_FOR, 749},
      {WITHIN, LEASE_CREATE, 0, 252},
      {ANSWER, LEASE_APPLIED, 9},
      {WANT, LEASE_WON, 9}}},
    {"conflicts without an end are not repeated without a pause",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WITHIN, LEASE_UPDATE, 200, 300},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WITHIN, LEASE_UPDATE, 400, 600}}},
    {"reads are repeated with pauses, and the lease ends in between",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {NO_READ},
      {WITHIN, LEASE_READ, 200, 300},
      {NO_READ},
      {WITHIN, LEASE_READ, 400, 600},
      {PASS, 8000},
      {WANT, LEASE_LOST, 5},
      {WITHIN, LEASE_READ, 200, 300},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_WON, 6},
      {ENDS_IN, 9000}}},
    {"a refused renewal is tried again with pauses, the lease ends",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_UPDATE, 800, 1200},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_UPDATE, 1600, 2400},
      {ANSWER, LEASE_REFUSED},
      {PASS, 9000},
      {WANT, LEASE_LOST, 5}}},
    {"another's key in the watch is a loss at once",
     0,
     {WIN, {SEES, LEASE_OTHER, 6}, {WANT, LEASE_LOST, 5}, {LEADS, false}, {QUIET}}},
    {"a delete in the watch is a loss at once, and free",
     0,
     {WIN,
      {SEES, LEASE_FREE, 6},
      {WANT, LEASE_LOST, 5},
      {WITHIN, LEASE_CREATE, 100, 250},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7}}},
    {"the watch tells what is known",
     0,
     {WIN,
      {SEES, LEASE_OURS, 5},
      {SEES, LEASE_OTHER, 4},
      {SEES, LEASE_FREE, 3},
      {QUIET},
      RENEWAL_DUE,
      {SEES, LEASE_OURS, 6},
      {QUIET},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {SEES, LEASE_OURS, 6},
      {QUIET}}},
    {"a renewal that is out at a loss says nothing any more",
     0,
     {WIN,
      RENEWAL_DUE,
      {SEES, LEASE_OTHER, 6},
      {WANT, LEASE_LOST, 5},
      {QUIET},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 6},
      {LEADS, false},
      {QUIET_FOR, 10000}}},
    {"an answer that comes twice, or to what nobody asked",
     0,
     {WIN,
      RENEWAL_DUE,
      {LATE, LEASE_APPLIED, 6},
      {QUIET},
      {ANSWER, LEASE_APPLIED, 6},
      {ANSWER, LEASE_APPLIED, 66},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_RENEWED, 5},
      {QUIET},
      {WITHIN, LEASE_UPDATE, 2250, 2750},
      {LATE, LEASE_APPLIED, 6},
      {QUIET},
      {ANSWER, LEASE_UNKNOWN},
      {ANSWER, LEASE_APPLIED, 8},
      {WANT, LEASE_READ},
      {QUIET}}},
    {"an operation that the owner forgets is given up",
     0,
     {WIN,
      RENEWAL_DUE,
      {QUIET_FOR, 2999},
      {WITHIN, LEASE_READ, 0, 1},
      {QUIET_FOR, 2000},
      {PASS, 5000},
      {WANT, LEASE_LOST, 5}}},
    {"unreachable and back: the key is read first",
     0,
     {WIN,
      {REACH, false},
      {PASS, 4000},
      {QUIET},
      {REACH, true},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5}}},

    /* ---- candidates */
    {"a silent key is campaigned for some time after its end, once, and then with pauses",
     0,
     {FOLLOW,
      {QUIET_FOR, 10749},
      {WITHIN, LEASE_CREATE, 0, 252},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 200, 300},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 400, 600},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 800, 1200},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 1600, 2400},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 1600, 2400},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_APPLIED, 9},
      {WANT, LEASE_WON, 9}}},
    {"a free key that cannot be had is tried with pauses",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WITHIN, LEASE_CREATE, 200, 300},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WITHIN, LEASE_CREATE, 400, 600},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WITHIN, LEASE_CREATE, 800, 1200}}},
    {"a renewal that is seen puts it off",
     0,
     {FOLLOW,
      {PASS, 9000},
      {SEES, LEASE_OTHER, 6},
      {QUIET_FOR, 10749},
      {WITHIN, LEASE_CREATE, 0, 252},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 7},
      {QUIET_FOR, 10749},
      {WITHIN, LEASE_CREATE, 0, 252}}},
    {"a key overdue when it is read again is not written to",
     0,
     {FOLLOW,
      {REACH, false},
      {PASS, 60000},
      {REACH, true},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 5},
      {WITHIN, LEASE_READ, 200, 300}}},
    {"a marker is campaigned for at once, with its revision",
     0,
     {FOLLOW,
      {SEES, LEASE_FREE, 6, LEASE_WHY_STOP},
      {WANT, LEASE_CREATE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, false, false}}},
    {"a marker that has itself expired",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 6},
      {WANT, LEASE_CREATE, 6},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0}}},
    {"a name given for balance is known as such, also when the watch is faster than the answer",
     0,
     {FOLLOW,
      {SEES, LEASE_FREE, 6, LEASE_WHY_BALANCE},
      {WANT, LEASE_CREATE, 6},
      {SEES, LEASE_OURS, 7},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, false, true}}},
    {"a reserve waits, unless somebody takes it",
     0,
     {{RESERVE, 1000},
      FOLLOW,
      {SEES, LEASE_FREE, 6, LEASE_WHY_STOP},
      {QUIET_FOR, 500},
      {SEES, LEASE_OTHER, 7},
      {QUIET_FOR, 11749},
      {WITHIN, LEASE_CREATE, 0, 252}}},
    {"a reserve that is over",
     0,
     {{RESERVE, 1000},
      FOLLOW,
      {SEES, LEASE_FREE, 6, LEASE_WHY_STOP},
      {QUIET_FOR, 500},
      {RESERVE, 0},
      {WANT, LEASE_CREATE, 6}}},
    {"another map that expired is told",
     0,
     {BEGIN,
      {READS, LEASE_OTHER, 5, true},
      {WITHIN, LEASE_CREATE, 10750, 11000},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, true, false}}},
    {"another map that was deleted without a reason is told",
     0,
     {BEGIN,
      {READS, LEASE_OTHER, 5, true},
      {SEES, LEASE_FREE, 6},
      {WITHIN, LEASE_CREATE, 100, 250},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, true, false}}},
    {"another map that stopped in order is not",
     0,
     {BEGIN,
      {READS, LEASE_OTHER, 5, true},
      {SEES, LEASE_FREE, 6, LEASE_WHY_STOP},
      {WANT, LEASE_CREATE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, false, false}}},
    {"a create in doubt that was applied is taken over",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {PASS, 2000},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 3},
      {LEADS, false},
      {WANT, LEASE_UPDATE, 3},
      {PASS, 10},
      {ANSWER, LEASE_APPLIED, 4},
      {WANT, LEASE_WON, 4},
      {ENDS_IN, 8990}}},
    {"a create that is answered after its lease would have ended",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {PASS, 9000},
      {ANSWER, LEASE_APPLIED, 3},
      {LEADS, false},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 3},
      {WANT, LEASE_UPDATE, 3}}},
    {"a key in our name is taken over, and again if the answer is lost",
     0,
     {BEGIN,
      {READS, LEASE_OURS, 3},
      {WANT, LEASE_UPDATE, 3},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 4},
      {WANT, LEASE_UPDATE, 4},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 4},
      {WITHIN, LEASE_UPDATE, 200, 300},
      {ANSWER, LEASE_APPLIED, 5},
      {WANT, LEASE_WON, 5},
      {ENDS_IN, 9000}}},
    {"what the watch tells during a read counts more",
     0,
     {BEGIN,
      {SEES, LEASE_OTHER, 8},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 8},
      {QUIET_FOR, 10749}}},
    {"refusals of a candidate have long pauses",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 800, 1200},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 1600, 2400},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 3200, 4800},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 6400, 9600},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 12800, 19200},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 24000, 36000},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_CREATE, 24000, 36000}}},

    /* ---- giving up */
    {"a yield goes on renewing until the release, and the key is deleted",
     0,
     {WIN,
      {YIELDS, LEASE_WHY_STEP_DOWN},
      {WANT, LEASE_YIELDED, 5},
      {QUIET},
      RENEWAL_DUE,
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {LEADS, true},
      {RELEASE, LEASE_WHY_STEP_DOWN},
      {LEADS, false},
      {PENDING, true},
      {WANT, LEASE_DELETE, 6},
      {WHY, LEASE_WHY_STEP_DOWN},
      {ANSWER, LEASE_APPLIED, 7},
      {PENDING, false},
      {QUIET}}},
    {"what was handed over is left alone, unless nobody takes it",
     0,
     {WIN,
      {RELEASE, LEASE_WHY_BALANCE},
      {WANT, LEASE_DELETE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {QUIET_FOR, 999},
      {WITHIN, LEASE_CREATE, 0, 1}}},
    {"what was handed over and taken is campaigned for as ever",
     0,
     {WIN,
      {RELEASE, LEASE_WHY_BALANCE},
      {WANT, LEASE_DELETE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {SEES, LEASE_OTHER, 7},
      {PASS, 1000},
      {SEES, LEASE_FREE, 8, LEASE_WHY_STOP},
      {WANT, LEASE_CREATE, 8},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 9},
      {PASS, 5000},
      {SEES, LEASE_OTHER, 10},
      {PASS, 5000},
      {SEES, LEASE_OTHER, 11},
      {PASS, 8000},
      {SEES, LEASE_FREE, 12, LEASE_WHY_STOP},
      {WANT, LEASE_CREATE, 12}}},
    {"workers that do not settle: lost, and the key is left to expire",
     0,
     {WIN,
      {YIELDS, LEASE_WHY_STEP_DOWN},
      {WANT, LEASE_YIELDED, 5},
      RENEWAL_DUE,
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {PASS, PROTO_SETTLE_MS},
      {WANT, LEASE_LOST, 5},
      {LEADS, false},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {QUIET_FOR, 10000}}},
    {"workers that settle too late: deleted then",
     0,
     {WIN,
      {YIELDS, LEASE_WHY_STEP_DOWN},
      {WANT, LEASE_YIELDED, 5},
      RENEWAL_DUE,
      {PASS, PROTO_SETTLE_MS},
      {WANT, LEASE_LOST, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {QUIET},
      {RELEASE, LEASE_WHY_STEP_DOWN},
      {WANT, LEASE_DELETE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {RELEASE, LEASE_WHY_STEP_DOWN},
      {QUIET}}},
    {"workers that settle when the key is gone: nothing to delete",
     0,
     {WIN,
      {YIELDS, LEASE_WHY_STEP_DOWN},
      {WANT, LEASE_YIELDED, 5},
      {PASS, PROTO_SETTLE_MS},
      {WANT, LEASE_LOST, 5},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {RELEASE, LEASE_WHY_STEP_DOWN},
      {PENDING, false},
      {QUIET}}},
    {"a release beyond the end of the lease deletes nothing",
     0,
     {WIN,
      {YIELDS, LEASE_WHY_STOP},
      {WANT, LEASE_YIELDED, 5},
      {PASS, PROTO_SETTLE_MS},
      {WANT, LEASE_LOST, 5},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {PASS, 4000},
      {RELEASE, LEASE_WHY_STOP},
      {PENDING, false},
      {QUIET}}},
    {"a write in doubt is resolved before the key is deleted",
     0,
     {WIN,
      RENEWAL_DUE,
      {RELEASE, LEASE_WHY_STOP},
      {QUIET},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WANT, LEASE_DELETE, 6},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WITHIN, LEASE_DELETE, 200, 300},
      {ANSWER, LEASE_CONFLICT},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 7, LEASE_WHY_STOP},
      {PENDING, false}}},
    {"a renewal answered after the release gives the revision to delete",
     0,
     {WIN,
      RENEWAL_DUE,
      {RELEASE, LEASE_WHY_STOP},
      {QUIET},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_DELETE, 6}}},
    {"doubt from before the release",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_UNKNOWN},
      {RELEASE, LEASE_WHY_STOP},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 9},
      {PENDING, false},
      {QUIET_FOR, 9000}}},
    {"deletion is tried until the lease ends, without a word",
     0,
     {WIN,
      {RETIRE},
      {RELEASE, LEASE_WHY_STOP},
      {WANT, LEASE_DELETE, 5},
      {ANSWER, LEASE_REFUSED},
      {WITHIN, LEASE_DELETE, 800, 1200},
      {PASS, 10000},
      {PENDING, false},
      {ANSWER, LEASE_UNKNOWN},
      {QUIET_FOR, 60000}}},
    {"who retires campaigns no more",
     0,
     {FOLLOW, {RETIRE}, {SEES, LEASE_FREE, 6}, {PENDING, false}, {QUIET_FOR, 60000}}},
    {"who retires gives up what it wins yet",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {RETIRE},
      {PENDING, true},
      {ANSWER, LEASE_APPLIED, 5},
      {WANT, LEASE_DELETE, 5},
      {WHY, LEASE_WHY_STOP},
      {ANSWER, LEASE_APPLIED, 6},
      {PENDING, false},
      {QUIET_FOR, 60000}}},
    {"also when that was in doubt",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {RETIRE},
      {ANSWER, LEASE_UNKNOWN},
      {PENDING, true},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_DELETE, 5}}},
    {"but not what an elector before it has left",
     0,
     {BEGIN, {RETIRE}, {READS, LEASE_OURS, 5}, {PENDING, false}, {QUIET_FOR, 60000}}},

    {"doubt that a read did not end",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 5},
      {RELEASE, LEASE_WHY_STOP},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 6},
      {WANT, LEASE_DELETE, 6}}},
    {"a release in a new bucket deletes nothing there",
     0,
     {WIN,
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {RELEASE, LEASE_WHY_STOP},
      {RETIRE},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {PENDING, false},
      {QUIET}}},
    {"a gain that was not told needs no loss",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_APPLIED, 5},
      {SEES, LEASE_OTHER, 6},
      {LEADS, false},
      {QUIET}}},
    {"nor does one that is given up",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_APPLIED, 5},
      {RELEASE, LEASE_WHY_STOP},
      {WANT, LEASE_DELETE, 5}}},
    {"a create that was applied, but another has written since",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {SEES, LEASE_OTHER, 9},
      {ANSWER, LEASE_APPLIED, 7},
      {LEADS, false},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 9},
      {QUIET}}},
    {"a create that is answered too late, with a short TTL",
     1000,
     {BEGIN,
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {PASS, 900},
      {ANSWER, LEASE_APPLIED, 3},
      {LEADS, false},
      {WANT, LEASE_UPDATE, 3},
      {PASS, 899},
      {ANSWER, LEASE_APPLIED, 4},
      {WANT, LEASE_WON, 4},
      {ENDS_IN, 1}}},
    {"what was moved here and is won again was not moved",
     0,
     {FOLLOW,
      {SEES, LEASE_FREE, 6, LEASE_WHY_BALANCE},
      {WANT, LEASE_CREATE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, false, true},
      {PASS, 9000},
      {WANT, LEASE_LOST, 7},
      {WANT, LEASE_READ},
      {READS, LEASE_OURS, 7},
      {WANT, LEASE_UPDATE, 7},
      {ANSWER, LEASE_APPLIED, 8},
      {WANT, LEASE_WON, 8},
      {MAP_MOVED, false, false}}},
    {"what came back is campaigned for as ever",
     0,
     {WIN,
      {RELEASE, LEASE_WHY_BALANCE},
      {WANT, LEASE_DELETE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {PASS, 1000},
      {WANT, LEASE_CREATE, 6},
      {ANSWER, LEASE_APPLIED, 7},
      {WANT, LEASE_WON, 7},
      {MAP_MOVED, false, true},
      {SEES, LEASE_FREE, 8},
      {WANT, LEASE_LOST, 7},
      {WITHIN, LEASE_CREATE, 100, 250}}},

    /* ---- the bucket */
    {"a shorter TTL cuts the lease",
     0,
     {WIN,
      {PASS, 900},
      {TTL, 3000},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 1700},
      {WANT, LEASE_UPDATE, 5},
      {TIMEOUT, 750},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 2700},
      {WITHIN, LEASE_UPDATE, 675, 825}}},
    {"a much shorter TTL ends it", 0, {WIN, {PASS, 2000}, {TTL, 1000}, {WANT, LEASE_LOST, 5}}},
    {"a longer TTL counts from the next write",
     1000,
     {WIN,
      {ENDS_IN, 800},
      {TTL, 10000},
      {ENDS_IN, 800},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000}}},
    {"a candidate lets go by the TTL under which it saw the key",
     0,
     {FOLLOW, {TTL, 1000}, {QUIET_FOR, 10749}, {WITHIN, LEASE_CREATE, 0, 252}}},
    {"in a new bucket a leader makes its key anew",
     0,
     {WIN,
      {PASS, 900},
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_APPLIED, 1},
      {WANT, LEASE_RENEWED, 5},
      {ENDS_IN, 9000},
      {SEES, LEASE_OURS, 1},
      {QUIET},
      {WITHIN, LEASE_UPDATE, 2250, 2750},
      {ANSWER, LEASE_APPLIED, 2},
      {WANT, LEASE_RENEWED, 5}}},
    {"unless another has the key there",
     0,
     {WIN, {ANEW}, {WANT, LEASE_READ}, {READS, LEASE_OTHER, 1}, {WANT, LEASE_LOST, 5}}},
    {"or had it, and gave it up",
     0,
     {WIN, {ANEW}, {WANT, LEASE_READ}, {READS, LEASE_FREE, 2, LEASE_WHY_STOP}, {WANT, LEASE_LOST, 5}}},
    {"an answer from the old bucket says nothing",
     0,
     {WIN,
      RENEWAL_DUE,
      {ANEW},
      {QUIET},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0}}},
    {"a candidate waits in a new bucket until the holder it knew must have stopped",
     0,
     {FOLLOW,
      {PASS, 4000},
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {QUIET_FOR, 6749},
      {WITHIN, LEASE_CREATE, 0, 252},
      {ANSWER, LEASE_APPLIED, 1},
      {WANT, LEASE_WON, 1}}},
    {"a candidate that knew of nobody does not",
     0,
     {BEGIN,
      {READS, LEASE_FREE, 6},
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {WANT, LEASE_CREATE, 0}}},
    {"small revisions of a new bucket are not old ones",
     0,
     {FOLLOW,
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_OTHER, 1},
      {SEES, LEASE_FREE, 2, LEASE_WHY_STOP},
      {WANT, LEASE_CREATE, 2}}},
    {"terms differ, also if revisions do not",
     0,
     {WIN,
      {SEES, LEASE_FREE, 6},
      {WANT, LEASE_LOST, 5},
      {RESERVE, 1000},
      {ANEW},
      {WANT, LEASE_READ},
      {READS, LEASE_FREE, 0},
      {PASS, 1000},
      {WANT, LEASE_CREATE, 0},
      {ANSWER, LEASE_APPLIED, 5},
      {WANT, LEASE_UPDATE, 5},
      {ANSWER, LEASE_APPLIED, 6},
      {WANT, LEASE_WON, 6}}},
    {"a TTL of a second",
     1000,
     {WIN,
      {ENDS_IN, 800},
      {WITHIN, LEASE_UPDATE, 125, 175},
      {TIMEOUT, 250},
      {PASS, 250},
      {ANSWER, LEASE_UNKNOWN},
      {WANT, LEASE_READ},
      {TIMEOUT, 250}}},
};

START_TEST(scripts_hold)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		perform(&scripts[_i], seed);
}
END_TEST

START_TEST(margins_have_bounds)
{
	ck_assert_int_eq(lease_margin_ms(1000), 100);
	ck_assert_int_eq(lease_margin_ms(5000), 500);
	ck_assert_int_eq(lease_margin_ms(10000), 1000);
	ck_assert_int_eq(lease_margin_ms(3600000), 1000);
}
END_TEST

/* Renewals of names that were won at the same moment do not stay together. */
START_TEST(renewals_spread)
{
	int64_t first = 0;
	int differ = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct lease *l = lease_new(10000, seed);
		struct lease_output out;

		now.ns = 1000;
		lease_reachable(l, now, true);
		ck_assert(lease_next(l, now, &out));
		lease_read_answered(l, now, out.op, &(struct lease_entry){.holder = LEASE_FREE});
		ck_assert(lease_next(l, now, &out));
		lease_answered(l, now, out.op, LEASE_APPLIED, 1);
		ck_assert(lease_next(l, now, &out));
		first = seed == 1 ? lease_wake(l).ns : first;
		differ += lease_wake(l).ns != first;
		lease_free(&l);
		ck_assert_ptr_null(l);
	}
	ck_assert_int_gt(differ, 15);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("lease");
	TCase *tc = tcase_create("lease");

	tcase_add_loop_test(tc, scripts_hold, 0, (int)array_len(scripts));
	tcase_add_test(tc, margins_have_bounds);
	tcase_add_test(tc, renewals_spread);
	suite_add_tcase(s, tc);
	return s;
}
