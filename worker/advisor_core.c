/*
 * Core advisories, in a worker: published at once, with no word from anybody that they arrived.
 *
 * What cannot be sent now (no connection, a server that does not read, a moment without leadership) waits in
 * memory for a minute, and in a bounded number: longer would tell of a past that later ones tell of too. It
 * ends with the process.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/advisor_internal.h"

static bool
can_send(const struct advisor *a)
{
	return advisor_may_send(a) && nats_conn_room(a->conn) > 0;
}

static void
drop(struct advisor *a, const char *subject, const char *reason)
{
	a->figures.dropped++;
	advisor_warn(a, subject, reason);
}

static void
publish(struct advisor *a, const char *subject, const char *body, size_t body_len)
{
	struct error e = ERROR_INIT;

	if (nats_conn_publish(a->conn, subject, NULL, NULL, 0, body, body_len, &e) == 0) {
		advisor_went_well(a);
		return;
	}
	a->figures.errors++;
	drop(a, subject, e.text);
}

static void
queue(struct advisor *a, const char *subject, const struct strbuf *body)
{
	struct core_item *item = xcalloc(1, sizeof *item);

	item->until = mono_add_ms(mono_now(), a->limits.core_wait_ms);
	item->subject = xstrdup(subject);
	item->body = xstrdup(body->data);
	item->body_len = body->len;
	STAILQ_INSERT_TAIL(&a->core, item, next);
	a->core_count++;
	/* Only the first has set a time that is nearer than what the timer knows. */
	if (a->core_count == 1)
		advisor_wake(a);
}

void
core_raise(struct advisor *a, const char *subject, const struct strbuf *body)
{
	if (STAILQ_EMPTY(&a->core) && can_send(a))
		publish(a, subject, body->data, body->len);
	else if (a->core_count < a->limits.core_max)
		queue(a, subject, body);
	else
		drop(a, subject, "dropped, for too many wait to be sent");
}

static void
remove_first(struct advisor *a)
{
	struct core_item *item = STAILQ_FIRST(&a->core);

	STAILQ_REMOVE_HEAD(&a->core, next);
	a->core_count--;
	free(item->subject);
	free(item->body);
	free(item);
}

void
core_pump(struct advisor *a)
{
	struct mono now = mono_now();
	struct core_item *item;

	while ((item = STAILQ_FIRST(&a->core)) != NULL) {
		if (mono_reached(now, item->until))
			drop(a, item->subject, "dropped, for it could not be sent for too long");
		else if (can_send(a))
			publish(a, item->subject, item->body, item->body_len);
		else
			return;
		remove_first(a);
	}
}

void
core_free(struct advisor *a)
{
	while (!STAILQ_EMPTY(&a->core))
		remove_first(a);
}
