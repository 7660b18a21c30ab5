/*
 * The advisor: what is raised goes the core or the reliable way, both of which send only while this node
 * leads and the connection is there. One timer, in the loop of a replicating worker, drives both: it is set
 * to the next moment at which something falls due. Never sends from within a callback of the connection, and
 * never calls the owner back from within advisor_raise(), but for the row of the outbox, which comes first.
 */
#include "worker/advisor.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/advisor_internal.h"

enum { NO_ROOM_MS = 20 }; /* a server that does not read is looked at so often */

const struct advisor_limits advisor_default_limits = {
    .answer_ms = 5000,
    .backoff_first_ms = 1000,
    .backoff_max_ms = 60000,
    .tries = 10,
    .out_max = 256,
    .waiting_max = 100000,
    .core_max = 10000,
    .core_wait_ms = 60000,
    .tell_every_ms = 60000,
};

bool
advisor_may_send(const struct advisor *a)
{
	return a->leads && nats_conn_is_up(a->conn);
}

/* ---- telling ------------------------------------------------------------------------------------- */

void
advisor_warn(struct advisor *a, const char *subject, const char *reason)
{
	struct mono now = mono_now();

	a->warned = true;
	if (a->warned_ever && !mono_reached(now, mono_add_ms(a->warned_at, a->limits.tell_every_ms)))
		return;
	a->warned_ever = true;
	a->warned_at = now;
	log_warn(a->topic->key, "advisory to \"%s\": %s", subject, reason);
}

void
advisor_went_well(struct advisor *a)
{
	if (a->warned)
		log_info(a->topic->key, "advisories are sent again");
	a->warned = false;
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* When there is something to do next; false if nothing waits for time. */
static bool
next_moment(const struct advisor *a, struct mono *when)
{
	struct mono now = mono_now(), due = {INT64_MAX};
	bool stuck = advisor_may_send(a) && nats_conn_room(a->conn) == 0;

	when->ns = INT64_MAX;
	if (!STAILQ_EMPTY(&a->core))
		*when = STAILQ_FIRST(&a->core)->until;
	if (advisor_may_send(a) && outbox_out(a->outbox) < a->limits.out_max &&
	    outbox_next_due(a->outbox, &due) && due.ns < when->ns)
		*when = due;
	if (stuck && (due.ns != INT64_MAX || !STAILQ_EMPTY(&a->core)))
		*when = mono_add_ms(now, NO_ROOM_MS);
	due = mono_add_ms(a->given_up_told_at, a->limits.tell_every_ms);
	if (a->given_up > 0 && due.ns < when->ns)
		*when = due;
	return when->ns != INT64_MAX;
}

static void
arm(struct advisor *a, int64_t wait_ns)
{
	struct timeval after = {0, 0};

	if (wait_ns > 0) {
		after.tv_sec = (time_t)(wait_ns / 1000000000);
		after.tv_usec = (suseconds_t)(wait_ns % 1000000000 / 1000 + 1);
	}
	evtimer_add(a->timer, &after);
}

static void
pump(evutil_socket_t fd, short what, void *arg)
{
	struct advisor *a = arg;
	struct mono when;

	(void)fd;
	(void)what;
	core_pump(a);
	reliable_pump(a);
	reliable_tell(a);
	if (next_moment(a, &when))
		arm(a, when.ns - mono_now().ns);
}

void
advisor_wake(struct advisor *a)
{
	arm(a, 0);
}

/* ---- what the owner says ------------------------------------------------------------------------- */

bool
advisor_raise(struct advisor *a, const struct advisory *advisory, int64_t now_ms)
{
	struct advisory said = *advisory;
	struct strbuf subject, body;
	bool follows = false;

	said.now_ms = now_ms;
	strbuf_init(&subject);
	strbuf_init(&body);
	advisory_subject(a->topic->sampling.advisory.subject, &said, &subject);
	advisory_body(a->conf, a->topic, &said, &body);
	if (a->topic->sampling.advisory.reliable) {
		follows = reliable_raise(a, &said, subject.data, &body);
	} else {
		a->figures.raised[said.event]++;
		core_raise(a, subject.data, &body);
	}
	strbuf_fini(&subject);
	strbuf_fini(&body);
	return follows;
}

void
advisor_lead(struct advisor *a, bool leads)
{
	a->leads = leads;
	advisor_wake(a);
}

void
advisor_up(struct advisor *a)
{
	advisor_wake(a);
}

void
advisor_down(struct advisor *a)
{
	/* What is out comes back by itself, each as a lost request. */
	advisor_wake(a);
}

void
advisor_figures(const struct advisor *a, struct advisor_figures *out)
{
	*out = a->figures;
	out->waiting = a->core_count + outbox_count(a->outbox);
}

/* ---- life ---------------------------------------------------------------------------------------- */

struct advisor *
advisor_new(struct event_base *base, struct nats_conn *conn, const struct conf *conf,
	    const struct conf_topic *topic, const struct advisor_callbacks *callbacks, void *arg)
{
	struct advisor *a = xcalloc(1, sizeof *a);

	a->conn = conn;
	a->conf = conf;
	a->topic = topic;
	a->callbacks = *callbacks;
	a->arg = arg;
	a->limits = advisor_default_limits;
	a->outbox = outbox_new();
	STAILQ_INIT(&a->core);
	a->timer = evtimer_new(base, pump, a);
	return a;
}

void
advisor_set_limits(struct advisor *a, const struct advisor_limits *limits)
{
	a->limits = *limits;
}

void
advisor_free(struct advisor **ap)
{
	struct advisor *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	event_free(a->timer);
	core_free(a);
	reliable_free(a);
	free(a);
}
