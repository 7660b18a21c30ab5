/*
 * The elector's life: one connection, one bucket, the names of one group. Runs in an elector process.
 *
 * It survives whatever happens to connection and bucket: both are tried again for ever, and meanwhile leases
 * run out by the clock. It holds nothing on disk. If the process dies, the supervisor tells the workers that
 * they lost, and the next elector has the same nonce: it finds its own keys and takes them over as new terms.
 *
 * Its state, as the supervisor shows it: connecting; standby when all is well, whether it leads or not, since
 * what is led is told for each name; holding, with the reason, when the bucket or a key cannot be used as it
 * should, which passes by itself once the cause is gone.
 */
#include "worker/elector.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/nats/election_bucket.h"
#include "common/text.h"
#include "common/xalloc.h"
#include "worker/elector_internal.h"

_Static_assert(ELECTION_TTL_MIN_MS == LEASE_TTL_MIN_MS && ELECTION_TTL_MAX_MS == LEASE_TTL_MAX_MS,
	       "a bucket that is taken for usable must be one for the lease");

enum { GONE_MS = 50 }; /* for the last announcement to leave */

static void
arm(struct event *timer, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(timer, &after);
}

/* ---- telling ------------------------------------------------------------------------------------- */

/* Why not all is well: the most general reason first. */
static const char *
reason_to_hold(const struct elector *el)
{
	if (el->unusable[0] != '\0')
		return el->unusable;
	if (el->doubt[0] != '\0')
		return el->doubt;
	for (size_t i = 0; i < el->name_count; i++)
		if (el->names[i].refused[0] != '\0')
			return el->names[i].refused;
	for (size_t i = 0; i < el->name_count; i++)
		if (el->names[i].unanswered[0] != '\0')
			return el->names[i].unanswered;
	return "";
}

void
elector_tell_state(struct elector *el)
{
	enum worker_state state = WORKER_CONNECTING;
	const char *reason = el->connecting;

	if (nats_conn_is_up(el->conn)) {
		reason = reason_to_hold(el);
		state = reason[0] != '\0' ? WORKER_HOLDING : WORKER_STANDBY;
	}
	if (el->told && el->told_state == state && strcmp(el->told_reason, reason) == 0)
		return;
	el->told = true;
	el->told_state = state;
	snprintf(el->told_reason, sizeof el->told_reason, "%s", reason);
	el->reports.state(el->arg, state, el->told_reason);
	elector_names_changed(el);
}

void
elector_incident(struct elector *el, const char *kind, const char *fmt, ...)
{
	char detail[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	el->reports.incident(el->arg, kind, detail);
}

static void
check_supervisor(struct elector *el, struct mono now)
{
	if (el->silent || el->alive.ns == 0 || mono_ms_between(el->alive, now) < PROTO_SILENT_MS)
		return;
	el->silent = true;
	elector_names_reachable(el, el->usable);
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	struct elector *el = arg;

	(void)fd;
	(void)what;
	check_supervisor(el, mono_now());
	elector_balance(el);
	if (++el->ticks % REPORT_TICKS == 0)
		elector_names_report(el, true);
}

static void
report_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	elector_names_report(arg, false);
}

/* ---- the bucket ---------------------------------------------------------------------------------- */

static void
bucket_gone(struct elector *el)
{
	if (el->bucket_gone_told)
		return;
	el->bucket_gone_told = true;
	elector_incident(
	    el, "election_bucket_gone",
	    "bucket \"%s\" was deleted; what it knew of who leads is lost, leaders create their keys "
	    "again while their leases last",
	    el->group->election->bucket);
}

static void
bucket_usable(void *arg, int64_t ttl_ms, bool anew)
{
	struct elector *el = arg;
	struct mono now = mono_now();

	el->unusable[0] = el->doubt[0] = '\0';
	if (anew)
		bucket_gone(el);
	el->bucket_gone_told = false;
	for (size_t i = 0; i < el->name_count; i++) {
		if (ttl_ms != el->ttl_ms)
			lease_set_ttl(el->names[i].lease, now, ttl_ms);
		if (anew)
			lease_bucket_anew(el->names[i].lease, now);
	}
	el->ttl_ms = ttl_ms;
	elector_names_reachable(el, true);
	elector_announce(el);
	elector_tell_state(el);
}

static void
bucket_unusable(void *arg, const char *words, bool gone)
{
	struct elector *el = arg;

	snprintf(el->unusable, sizeof el->unusable, "%s", words);
	elector_names_reachable(el, false);
	if (gone)
		bucket_gone(el);
	elector_tell_state(el);
}

static void
bucket_doubt(void *arg, const char *words)
{
	struct elector *el = arg;

	snprintf(el->doubt, sizeof el->doubt, "%s", words);
	elector_tell_state(el);
}

/* Others may hold elections of their own in the same bucket. */
static void
bucket_entry(void *arg, const struct bucket_entry *entry)
{
	struct elector_name *n = elector_name_find(arg, entry->key);

	if (n != NULL)
		elector_name_saw(n, entry);
}

/* ---- the connection ------------------------------------------------------------------------------ */

static void
conn_up(void *arg)
{
	struct elector *el = arg;
	const struct nats_server_info *info = nats_conn_info(el->conn);

	log_info("elector", "connected: %s, server %s", info->url, info->version);
	el->connecting[0] = '\0';
	snprintf(el->unusable, sizeof el->unusable, "bucket \"%s\": asking for it",
		 el->group->election->bucket);
	elector_presence_up(el);
	bucket_up(el->bucket);
}

static void
conn_down(void *arg, bool was_up, const char *reason)
{
	struct elector *el = arg;

	if (was_up)
		el->connections_lost++;
	else
		el->connection_errors++;
	snprintf(el->connecting, sizeof el->connecting, "bucket \"%s\" is out of reach: %s",
		 el->group->election->bucket, reason);
	el->unusable[0] = el->doubt[0] = '\0';
	bucket_down(el->bucket);
	elector_presence_down(el);
	if (was_up)
		elector_names_reachable(el, false);
	elector_tell_state(el);
}

static void
conn_error(void *arg, const char *text)
{
	struct elector *el = arg;

	bucket_async_error(el->bucket, text);
	elector_presence_async_error(el, text);
}

static struct nats_conn *
connection(struct elector *el, struct error *e)
{
	static const struct nats_conn_callbacks callbacks = {conn_up, conn_down, NULL, conn_error};
	struct endpoint ep;
	struct nats_conn *conn;
	char name[320];

	if (endpoint_parse(el->group->url, el->group->tls, &ep, e) != 0) {
		error_prefix(e, "election: url");
		return NULL;
	}
	ep.no_echo = true; /* our own announcements */
	snprintf(name, sizeof name, "stream-replicator elector %s", el->conf->name);
	conn = nats_conn_new(el->base, &ep, "election", name, &callbacks, el);
	endpoint_fini(&ep);
	return conn;
}

/* ---- making and freeing -------------------------------------------------------------------------- */

/* A host name is no more than bytes; it goes into JSON. */
static void
take_self(struct elector *el, const struct proto_elect *elect)
{
	struct strbuf clean;

	el->self = *elect;
	strbuf_init(&clean);
	text_clean(&clean, elect->node, strlen(elect->node));
	snprintf(el->self.node, sizeof el->self.node, "%.*s",
		 (int)text_cut(clean.data, clean.len, sizeof el->self.node - 1), clean.data);
	strbuf_fini(&clean);
	if (el->self.node[0] == '\0')
		snprintf(el->self.node, sizeof el->self.node, "unknown");
	el->pid = (uint32_t)getppid();
}

static void drain_over(evutil_socket_t fd, short what, void *arg);

static void
make_parts(struct elector *el)
{
	static const struct bucket_callbacks callbacks = {bucket_usable, bucket_unusable, bucket_doubt,
							  bucket_entry};

	el->bucket = bucket_new(el->base, el->conn, el->group->election, el->group->domain, &callbacks, el);
	election_bucket_announce_subject(el->announce_subject, sizeof el->announce_subject,
					 el->group->election->bucket);
	el->presence = presence_new(el->self.nonce, el->self.node, el->conf->name, el->pid);
	el->announce_timer = evtimer_new(el->base, elector_announce_timer, el);
	el->report_timer = evtimer_new(el->base, report_due, el);
	el->drain_timer = evtimer_new(el->base, drain_over, el);
	el->tick = event_new(el->base, -1, EV_PERSIST, tick, el);
	el->ttl_ms = el->group->election->ttl_ms;
	elector_names_init(el);
}

struct elector *
elector_new(struct event_base *base, const struct conf *conf, const struct proto_elect *elect,
	    const struct elector_reports *reports, void *arg, struct error *e)
{
	struct elector *el = xcalloc(1, sizeof *el);

	el->base = base;
	el->conf = conf;
	el->reports = *reports;
	el->arg = arg;
	election_plan_make(conf, &el->plan);
	if (el->plan.group_count != 1) {
		error_set(e, ERR_CONFIG, "elections: the configuration of one bucket is wanted, this has %zu",
			  el->plan.group_count);
		elector_free(&el);
		return NULL;
	}
	el->group = &el->plan.groups[0];
	take_self(el, elect);
	el->conn = connection(el, e);
	if (el->conn != NULL)
		make_parts(el);
	else
		elector_free(&el);
	return el;
}

void
elector_start(struct elector *el)
{
	const struct timeval every = {TICK_MS / 1000, (TICK_MS % 1000) * 1000};

	snprintf(el->connecting, sizeof el->connecting, "bucket \"%s\" is not connected to yet",
		 el->group->election->bucket);
	elector_tell_state(el);
	event_add(el->tick, &every);
	nats_conn_start(el->conn);
}

static void
free_timer(struct event *timer)
{
	if (timer != NULL)
		event_free(timer);
}

void
elector_free(struct elector **elp)
{
	struct elector *el = *elp;

	*elp = NULL;
	if (el == NULL)
		return;
	nats_unsubscribe(&el->heard);
	bucket_free(&el->bucket);
	nats_conn_free(&el->conn);
	elector_names_fini(el);
	presence_free(&el->presence);
	free_timer(el->announce_timer);
	free_timer(el->report_timer);
	free_timer(el->drain_timer);
	free_timer(el->tick);
	election_plan_fini(&el->plan);
	free(el);
}

/* ---- what the supervisor says -------------------------------------------------------------------- */

void
elector_supervisor_alive(struct elector *el)
{
	struct mono now = mono_now();
	int64_t ms = mono_ms_between(el->alive, now);

	el->alive = now;
	if (!el->silent)
		return;
	el->silent = false;
	log_warn("elector",
		 "the supervisor was silent for %.1f s; nothing was campaigned for or renewed meanwhile",
		 (double)ms / 1000);
	elector_names_reachable(el, el->usable);
}

void
elector_able(struct elector *el, const struct proto_able *able)
{
	struct elector_name *n = elector_name_find(el, able->key);

	if (n == NULL || n->able == able->able)
		return;
	n->able = able->able;
	n->able_since = mono_now();
	elector_set_reserve(n, LEASE_WHY_UNKNOWN);
	elector_presence_of_name(n);
	elector_name_changed(n);
	elector_name_pump(n);
}

void
elector_step_down(struct elector *el, const char *key)
{
	struct elector_name *n = elector_name_find(el, key);

	if (n == NULL || !n->leads)
		return;
	if (!presence_other_stands(el->presence, key, false)) {
		log_warn("elector", "%s: no step-down: no other node is there that stands for it", key);
		return;
	}
	elector_name_hand_over(n, LEASE_WHY_STEP_DOWN, NULL);
}

/* A late word about an earlier term changes nothing. */
void
elector_release(struct elector *el, const struct proto_term *term)
{
	struct elector_name *n = elector_name_find(el, term->key);
	struct mono now = mono_now();
	struct lease_view view;

	if (n == NULL)
		return;
	lease_view(n->lease, now, &view);
	if (term->term != (view.leads ? view.term : n->yield_term))
		return;
	lease_release(n->lease, now, n->yield_why);
	elector_name_pump(n);
}

/* ---- draining ------------------------------------------------------------------------------------ */

static void
drain_over(evutil_socket_t fd, short what, void *arg)
{
	struct elector *el = arg;

	(void)fd;
	(void)what;
	if (!el->drained) {
		el->drained = true;
		elector_presence_gone(el);
		arm(el->drain_timer, GONE_MS);
		return;
	}
	el->reports.drained(el->arg);
}

/* Nothing is led, and every key that was given up is known to be. */
void
elector_check_drained(struct elector *el)
{
	struct mono now = mono_now();
	struct lease_view view;

	if (!el->draining || el->drained)
		return;
	for (size_t i = 0; i < el->name_count; i++) {
		lease_view(el->names[i].lease, now, &view);
		if (el->names[i].leads || view.giving_up)
			return;
	}
	drain_over(-1, 0, el);
}

void
elector_drain(struct elector *el)
{
	if (el->draining)
		return;
	el->draining = true;
	arm(el->drain_timer, PROTO_SETTLE_MS);
	for (size_t i = 0; i < el->name_count; i++) {
		lease_retire(el->names[i].lease);
		elector_presence_of_name(&el->names[i]);
	}
	for (size_t i = 0; i < el->name_count; i++)
		if (el->names[i].leads)
			elector_name_hand_over(&el->names[i], LEASE_WHY_STOP, NULL);
	elector_check_drained(el);
}

void
elector_stats(const struct elector *el, struct proto_stats *stats)
{
	memset(stats, 0, sizeof *stats);
	for (size_t i = 0; i < GAUGE_END; i++)
		stats->gauge[i] = PROTO_UNKNOWN;
	stats->counter[COUNTER_RECONNECTIONS] = el->connections_lost;
	stats->counter[COUNTER_CONNECTION_CLOSED] = el->connections_lost;
	stats->counter[COUNTER_CONNECTION_ERRORS] = el->connection_errors;
}
