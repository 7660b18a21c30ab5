/*
 * Acknowledging to the source; runs in a replicating worker, part of the source for a JetStream stream.
 *
 * With ack policy all one acknowledgement covers what is below it, so they go out seldom; on work-queue and
 * interest streams each message has its own, at once. What is acknowledged is settled at the target. One that
 * is lost costs a redelivery, which is dropped and acknowledged again.
 */
#include <stdio.h>
#include <string.h>

#include "worker/source_internal.h"

enum { ACK_EVERY_MSGS = 1000, ACK_EVERY_MS = 250 };

/* The n-th dot of text, counted from 1; NULL if there are fewer. */
static const char *
nth_dot(const char *text, int n)
{
	const char *dot = text;

	for (int i = 0; i < n; i++) {
		dot = strchr(i == 0 ? text : dot + 1, '.');
		if (dot == NULL)
			return NULL;
	}
	return dot;
}

/* Learns what all acknowledgement subjects of this consumer have in common (forms: common/jsack.h). */
void
source_learn_ack_subject(struct source *s, const char *reply)
{
	const char *long_end = nth_dot(reply, 10), *head_end, *tail;

	head_end = nth_dot(reply, long_end != NULL ? 6 : 4);
	if (head_end == NULL)
		return;
	tail = nth_dot(reply, long_end != NULL ? 11 : 9);
	snprintf(s->ack_prefix, sizeof s->ack_prefix, "%.*s", (int)(head_end - reply), reply);
	snprintf(s->ack_suffix, sizeof s->ack_suffix, "%s", tail != NULL ? tail : "");
}

static void
publish_ack(struct source *s, const char *subject, const char *body)
{
	struct error e;

	if (nats_conn_publish(s->conn, subject, NULL, NULL, 0, body, strlen(body), &e) != 0)
		s->acks_failed++;
}

static void
publish_ack_of(struct source *s, const struct jsack *ack, const char *body)
{
	char subject[ACK_SUBJECT_MAX];

	snprintf(subject, sizeof subject, "%s.%llu.%llu.%llu.%lld.%llu%s", s->ack_prefix,
		 (unsigned long long)ack->delivered, (unsigned long long)ack->stream_seq,
		 (unsigned long long)ack->consumer_seq, (long long)ack->stored_ns,
		 (unsigned long long)ack->pending, s->ack_suffix);
	publish_ack(s, subject, body);
}

void
source_flush_acks(struct source *s)
{
	if (s->last_settled.delivered == 0)
		return;
	if (nats_conn_is_up(s->conn))
		publish_ack_of(s, &s->last_settled, "+ACK");
	s->last_settled.delivered = 0;
	s->settled_count = 0;
}

void
source_forget(struct source *s)
{
	acklist_clear(&s->unacked);
	s->last_settled.delivered = 0;
	s->settled_count = 0;
	if (s->ack_timer != NULL)
		evtimer_del(s->ack_timer);
}

static void
ack_timer_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	source_flush_acks(arg);
}

static void
arm_ack_timer(struct source *s)
{
	const struct timeval after = {0, ACK_EVERY_MS * 1000};

	if (s->ack_timer == NULL)
		s->ack_timer = evtimer_new(s->base, ack_timer_fired, s);
	if (!evtimer_pending(s->ack_timer, NULL))
		evtimer_add(s->ack_timer, &after);
}

/* With a small limit on what may be unacknowledged, acknowledgements must not wait for a thousand. */
static uint32_t
ack_every(const struct source *s)
{
	uint32_t quarter = s->granted / 4;

	if (s->granted == 0 || quarter > ACK_EVERY_MSGS)
		return ACK_EVERY_MSGS;
	return quarter > 0 ? quarter : 1;
}

void
source_settled(struct source *s, uint64_t seq)
{
	struct jsack ack;
	bool any = false;

	while (acklist_take(&s->unacked, seq, &ack)) {
		if (s->keep) {
			publish_ack_of(s, &ack, "+ACK");
			continue;
		}
		if (s->last_settled.delivered == 0 || ack.consumer_seq > s->last_settled.consumer_seq)
			s->last_settled = ack;
		s->settled_count++;
		any = true;
	}
	if (!any)
		return;
	if (s->settled_count >= ack_every(s))
		source_flush_acks(s);
	else
		arm_ack_timer(s);
}

uint64_t
source_acks_failed(const struct source *s)
{
	return s->acks_failed;
}
