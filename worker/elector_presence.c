/*
 * Who else is there, and what follows from it: balance, hand-overs of names that cannot be worked on, and
 * how eager this node campaigns; part of the elector. Nothing here decides who leads.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "worker/elector_internal.h"

enum {
	ANNOUNCE_SOON_MS = 10,
	ANNOUNCE_BACK_MS = 1000, /* what others announced is answered no more often than so */
	UNABLE_TTLS = 2,
	RESERVE_SHARE_MS = 150,
	RESERVE_UNABLE_MS = 1000,
};

/* ---- announcing ---------------------------------------------------------------------------------- */

static void
arm_announce(struct elector *el, int64_t ms)
{
	const struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	el->announce_at = mono_add_ms(mono_now(), ms);
	evtimer_add(el->announce_timer, &after);
}

/* Unless it is due before that anyway. */
static void
announce_within(struct elector *el, int64_t ms)
{
	if (!nats_conn_is_up(el->conn) || el->drained)
		return;
	if (mono_ms_between(mono_now(), el->announce_at) <= ms && evtimer_pending(el->announce_timer, NULL))
		return;
	arm_announce(el, ms);
}

static void
announce_soon(struct elector *el)
{
	announce_within(el, ANNOUNCE_SOON_MS);
}

static void
announce(struct elector *el, bool gone)
{
	struct strbuf text;
	struct error e = ERROR_INIT;

	if (!nats_conn_is_up(el->conn))
		return;
	strbuf_init(&text);
	presence_write(el->presence, gone, &text);
	if (nats_conn_publish(el->conn, el->announce_subject, NULL, NULL, 0, text.data, text.len, &e) != 0 &&
	    !el->announce_warned) {
		el->announce_warned = true;
		log_warn("elector", "this node cannot announce itself, so that nothing is balanced: %s",
			 e.text);
	}
	strbuf_fini(&text);
	el->announced = mono_now();
}

void
elector_announce(struct elector *el)
{
	if (el->drained)
		return; /* the last word was said */
	announce(el, false);
	arm_announce(el, el->ttl_ms / 2);
}

void
elector_announce_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	elector_announce(arg);
}

void
elector_presence_gone(struct elector *el)
{
	evtimer_del(el->announce_timer);
	announce(el, true);
}

/* While draining this node is there, but not for others to hand names to. */
void
elector_presence_of_name(struct elector_name *n)
{
	struct elector *el = n->el;

	if (presence_set_own(el->presence, n->key, n->leads, n->able && !el->draining, n->won_at, n->moved))
		announce_soon(el);
}

/* ---- hearing others ------------------------------------------------------------------------------ */

static void
set_reserves(struct elector *el)
{
	for (size_t i = 0; i < el->name_count; i++) {
		elector_set_reserve(&el->names[i], LEASE_WHY_UNKNOWN);
		elector_name_pump(&el->names[i]);
	}
}

static void
heard(void *arg, const struct nats_message *m)
{
	struct elector *el = arg;
	struct error e = ERROR_INIT;
	bool changed = false;
	int64_t ago;

	if (presence_heard(el->presence, mono_now(), m->data, m->data_len, &changed, &e) != 0) {
		log_debug("elector", "an announcement makes no sense: %s", e.text);
		return;
	}
	if (!changed)
		return;
	/* Who is new here need not wait for our next announcement. */
	ago = mono_ms_between(el->announced, mono_now());
	announce_within(el, ago >= ANNOUNCE_BACK_MS ? ANNOUNCE_SOON_MS : ANNOUNCE_BACK_MS - ago);
	set_reserves(el);
	elector_names_changed(el);
}

void
elector_presence_up(struct elector *el)
{
	struct error e = ERROR_INIT;

	el->announce_warned = false;
	nats_unsubscribe(&el->heard);
	el->heard = nats_conn_subscribe(el->conn, el->announce_subject, heard, el, &e);
	if (el->heard == NULL)
		log_warn("elector", "other nodes cannot be heard, so that nothing is balanced: %s", e.text);
	announce_soon(el);
}

void
elector_presence_down(struct elector *el)
{
	nats_unsubscribe(&el->heard);
	evtimer_del(el->announce_timer);
}

void
elector_presence_async_error(struct elector *el, const char *text)
{
	if (strstr(text, el->announce_subject) == NULL || el->announce_warned)
		return;
	el->announce_warned = true;
	log_warn(
	    "elector",
	    "%s: nodes do not see each other, so that nothing is balanced and step-down is refused; allow "
	    "the elector's user to publish and subscribe to %s",
	    text, el->announce_subject);
}

/* ---- eagerness ----------------------------------------------------------------------------------- */

/* A key that was given up on stop or by a person goes to whoever is first, so that the gap is short; balance
 * sees to the rest. Who gave it up himself comes last. */
void
elector_set_reserve(struct elector_name *n, enum lease_why why)
{
	struct elector *el = n->el;
	int64_t reserve = 0;

	if (!n->able)
		reserve = RESERVE_UNABLE_MS;
	else if (n->gave_up)
		reserve = RESERVE_SHARE_MS;
	else if (why != LEASE_WHY_STOP && why != LEASE_WHY_STEP_DOWN && !presence_wants_more(el->presence) &&
		 presence_other_stands(el->presence, n->key, true))
		reserve = RESERVE_SHARE_MS;
	lease_set_reserve(n->lease, reserve);
}

/* ---- handing over -------------------------------------------------------------------------------- */

static bool
any_yielding(const struct elector *el, struct mono now)
{
	struct lease_view view;

	for (size_t i = 0; i < el->name_count; i++) {
		lease_view(el->names[i].lease, now, &view);
		if (view.yielding)
			return true;
	}
	return false;
}

/* A name that is led here and that its workers could not work on for two TTLs, though others could. */
static struct elector_name *
find_unable(struct elector *el, struct mono now)
{
	for (size_t i = 0; i < el->name_count; i++) {
		struct elector_name *n = &el->names[i];
		struct mono since = n->able_since.ns > n->won_at.ns ? n->able_since : n->won_at;

		if (n->leads && !n->able && mono_ms_between(since, now) >= UNABLE_TTLS * el->ttl_ms &&
		    presence_other_stands(el->presence, n->key, true))
			return n;
	}
	return NULL;
}

static void
hand_over_one(struct elector *el, struct mono now)
{
	struct elector_name *n = find_unable(el, now);
	const char *key;

	if (n != NULL) {
		elector_name_hand_over(n, LEASE_WHY_BALANCE,
				       "its workers here could not connect, and another node's have");
		return;
	}
	key = presence_hand_over(el->presence, now, el->ttl_ms);
	n = key != NULL ? elector_name_find(el, key) : NULL;
	if (n == NULL)
		return;
	presence_handed_over(el->presence, now);
	elector_name_hand_over(n, LEASE_WHY_BALANCE, "for balance");
}

/* One at a time: as long as one is on its way it counts for both. */
void
elector_balance(struct elector *el)
{
	struct mono now = mono_now();

	if (presence_expire(el->presence, now, el->ttl_ms))
		elector_names_changed(el);
	set_reserves(el);
	if (!el->draining && bucket_is_usable(el->bucket) && !any_yielding(el, now))
		hand_over_one(el, now);
}
