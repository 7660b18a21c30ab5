/* What goes wrong in the simulation of elections, one function each; true if it could be done. */
#include "tests/unit/election_sim.h"

/* Who leads is more often hit. */
static struct es_node *
victim(struct es *es)
{
	struct es_node *n = &es->nodes[es_below(es, (uint32_t)es->node_count)];

	for (int i = 0; i < es->node_count && es_chance(es, 600); i++)
		if (es_elector_leads(&es->nodes[i], 0))
			return &es->nodes[i];
	return n;
}

static int64_t
a_while(struct es *es)
{
	uint32_t ttl = (uint32_t)es->bucket.ttl_ms;

	return es_now(es) + 20 + es_below(es, es_chance(es, 500) ? ttl / 2 : ttl * 5 / 2);
}

static void
stop(struct es *es, int64_t until_ms, int64_t *stopped_until_ms, int64_t *stopped_ms)
{
	if (es_now(es) < *stopped_until_ms)
		return;
	*stopped_until_ms = until_ms;
	*stopped_ms = es_now(es);
}

static bool
stop_some(struct es *es, bool elector, bool supervisor, bool worker)
{
	struct es_node *n = victim(es);
	int64_t until_ms = a_while(es), ignored;

	if (!n->up)
		return false;
	es_trace(es, "node %d: elector %d supervisor %d worker %d stopped until %lld", n->index, elector,
		 supervisor, worker, (long long)until_ms);
	if (elector)
		stop(es, until_ms, &n->elector.stopped_until_ms, &n->elector.stopped_ms);
	if (supervisor)
		stop(es, until_ms, &n->supervisor.stopped_until_ms, &ignored);
	if (worker)
		stop(es, until_ms, &n->worker.stopped_until_ms, &n->worker.stopped_ms);
	return true;
}

static bool
cut_bucket(struct es *es)
{
	struct es_node *n = victim(es);

	n->cut_loses = es_chance(es, 600);
	n->cut_bucket_until_ms = a_while(es);
	es_trace(es, "node %d: cut from the bucket until %lld", n->index, (long long)n->cut_bucket_until_ms);
	return true;
}

static bool
crash_elector(struct es *es)
{
	struct es_node *n = victim(es);

	if (!n->up || !n->elector.up)
		return false;
	es_trace(es, "node %d: its elector crashes", n->index);
	es_elector_end(n);
	n->elector.restart_at_ms = es_now(es) + es_below(es, 500);
	return true;
}

static bool
crash_worker(struct es *es)
{
	struct es_node *n = victim(es);

	if (!n->up || !n->worker.up)
		return false;
	es_worker_end(n);
	n->worker.restart_at_ms = es_now(es) + es_below(es, 500);
	return true;
}

static bool
crash_node(struct es *es)
{
	struct es_node *n = victim(es);

	es_trace(es, "node %d: crashes", n->index);
	es_node_crash(n);
	return true;
}

static bool
end_node(struct es *es)
{
	struct es_node *n = victim(es);

	if (!es_elector_acts(n) || n->elector.draining)
		return false;
	es_elector_drain(n);
	return true;
}

static bool
break_watch(struct es *es)
{
	struct es_node *n = victim(es);

	n->elector.watches = false;
	n->elector.watch_back_ms = a_while(es);
	return true;
}

static bool
late_watch(struct es *es)
{
	struct es_node *n = victim(es);

	n->elector.watch_at_ms = es_now(es) + es_below(es, 3000);
	return true;
}

/* It may be that nobody is there to let the worker settle. */
static bool
step_down(struct es *es)
{
	struct es_node *n = victim(es);

	if (!es_elector_step_down(n, 0))
		return false;
	if (es_chance(es, 300))
		n->supervisor.stopped_until_ms = a_while(es);
	else if (es_chance(es, 300))
		n->cut_target_until_ms = a_while(es);
	return true;
}

/* From another server's clock on. */
static bool
other_leader(struct es *es)
{
	es->bucket.leader = (int)es_below(es, ES_SERVERS);
	es->bucket.leaderless_until_ms = es_now(es) + es_below(es, 300);
	return true;
}

/* ---- by an operator --------------------------------------------------------------------------------- */

static bool
delete_key(struct es *es)
{
	if (!es->operates || !es->bucket.exists)
		return false;
	es_trace(es, "the key is deleted by hand");
	es_exempt(es);
	es_delete_key(es, (int)es_below(es, (uint32_t)es->key_count));
	return true;
}

/* Whoever gets to know of it late lets its lease end in time all the same. */
static bool
delete_bucket(struct es *es)
{
	if (!es->operates || !es->bucket.exists)
		return false;
	es_trace(es, "the bucket is deleted");
	es_exempt(es);
	es_delete_bucket(es);
	return true;
}

static bool
change_ttl(struct es *es)
{
	static const int64_t ttls[] = {1000, 2000, 5000, 10000};
	int64_t ttl_ms = ttls[es_below(es, 4)];

	if (!es->operates)
		return false;
	es_trace(es, "the TTL is %lld now", (long long)ttl_ms);
	/* Electors are told within a second, and what they asked for before counts by the old one. */
	es_exempt(es);
	es->exempt_until_ms += 1000;
	es->bucket.ttl_ms = ttl_ms;
	return true;
}

/* ---- which ------------------------------------------------------------------------------------------ */

static bool
do_fault(struct es *es, enum es_fault fault)
{
	uint32_t some = 1 + es_below(es, 3);

	switch (fault) {
	case ES_CUT_BUCKET:
		return cut_bucket(es);
	case ES_CUT_TARGET:
		victim(es)->cut_target_until_ms = a_while(es);
		return true;
	case ES_STOP_NODE:
		return stop_some(es, true, true, true);
	case ES_STOP_ELECTOR:
		return stop_some(es, true, false, false);
	case ES_STOP_SUPERVISOR:
		return stop_some(es, false, true, false);
	case ES_STOP_WORKER:
		return stop_some(es, false, false, true);
	case ES_CRASH_NODE:
		return crash_node(es);
	case ES_CRASH_ELECTOR:
		return crash_elector(es);
	case ES_CRASH_WORKER:
		return crash_worker(es);
	case ES_END_NODE:
		return end_node(es);
	case ES_STEP_DOWN:
		return step_down(es);
	case ES_LEADERLESS:
		es->bucket.leaderless_until_ms = a_while(es);
		return true;
	case ES_OTHER_LEADER:
		return other_leader(es);
	case ES_LOSE_REQUESTS:
		es->bucket.lose_requests += some;
		return true;
	case ES_LOSE_REPLIES:
		es->bucket.lose_replies += some;
		return true;
	case ES_LATE_REQUESTS:
		es->bucket.late_requests += some;
		return true;
	case ES_LATE_REPLIES:
		es->bucket.late_replies += some;
		return true;
	case ES_DOUBLE_REPLIES:
		es->bucket.double_replies += some;
		return true;
	case ES_BREAK_WATCH:
		return break_watch(es);
	case ES_LATE_WATCH:
		return late_watch(es);
	case ES_DELETE_KEY:
		return delete_key(es);
	case ES_DELETE_BUCKET:
		return delete_bucket(es);
	case ES_CHANGE_TTL:
		return change_ttl(es);
	case ES_FAULTS:
		break;
	}
	return false;
}

void
es_fault(struct es *es)
{
	enum es_fault fault = (enum es_fault)es_below(es, ES_FAULTS);

	es->faults[fault] += do_fault(es, fault);
	if (es->burst == 0 && es_chance(es, 500))
		es->burst = 100;
}

void
es_heal(struct es *es)
{
	struct es_bucket *b = &es->bucket;

	es->quiet = true;
	b->leaderless_until_ms = 0;
	b->lose_requests = b->lose_replies = b->late_requests = b->late_replies = b->double_replies = 0;
	if (!b->exists)
		b->back_at_ms = es_now(es);
	for (int i = 0; i < es->node_count; i++) {
		struct es_node *n = &es->nodes[i];

		n->cut_bucket_until_ms = n->cut_target_until_ms = 0;
		n->elector.stopped_until_ms = n->supervisor.stopped_until_ms = n->worker.stopped_until_ms = 0;
		n->elector.watch_back_ms = 0;
		if (!n->up)
			n->back_at_ms = es_now(es);
	}
}
