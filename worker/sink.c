/*
 * The sink for a JetStream stream; runs in a replicating worker.
 *
 * Replies come to <inbox>.<epoch>.<id>, one subscription for all. What is not known stays unknown here:
 * a publish without reply, or one whose connection was lost, is settled by the chain or by reading the
 * target, never by this file.
 */
#include "worker/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/xalloc.h"

/* A sequence that no stream has: the largest that the server takes (it parses a signed 64-bit number). */
#define EXPECTED_LAST   "Nats-Expected-Last-Sequence"
#define IMPOSSIBLE      "9223372036854775807"
#define IMPOSSIBLE_LAST EXPECTED_LAST ": " IMPOSSIBLE "\r\n"

enum { INBOX_MAX = 128, REPLY_MAX = INBOX_MAX + 40 };

struct sink {
	struct nats_conn *conn;
	struct sink_callbacks callbacks;
	void *arg;
	struct nats_sub *replies;
	char inbox[INBOX_MAX];
	size_t inbox_len;
};

struct sink *
sink_new(struct nats_conn *conn, const struct sink_callbacks *callbacks, void *arg)
{
	struct sink *s = xcalloc(1, sizeof *s);

	s->conn = conn;
	s->callbacks = *callbacks;
	s->arg = arg;
	return s;
}

void
sink_free(struct sink **sp)
{
	if (*sp == NULL)
		return;
	sink_close(*sp);
	free(*sp);
	*sp = NULL;
}

void
sink_close(struct sink *s)
{
	nats_unsubscribe(&s->replies);
}

/* A decimal number at *p that ends with end; moves *p behind it. */
static int
take_number(const char **p, char end, uint64_t *n)
{
	const char *start = *p;

	*n = 0;
	while (**p >= '0' && **p <= '9' && *p - start < 19)
		*n = *n * 10 + (uint64_t)(*(*p)++ - '0');
	if (*p == start || **p != end)
		return -1;
	if (end != '\0')
		(*p)++;
	return 0;
}

/* A reply whose subject is not ours, or whose body makes no sense, is dropped: the one we wait for is
 * then late, and that is dealt with. */
static void
reply_arrived(void *arg, const struct nats_message *m)
{
	struct sink *s = arg;
	struct sink_answer answer = {0};
	const char *p = m->subject + s->inbox_len + 1;
	uint64_t epoch, id;

	if (strlen(m->subject) <= s->inbox_len || take_number(&p, '.', &epoch) != 0 ||
	    take_number(&p, '\0', &id) != 0)
		return;
	if (header_inline_status(m->headers, m->headers_len, NULL, NULL) == 503)
		answer.no_responders = true;
	else if (jsapi_read_puback(m->data, m->data_len, &answer.ack) != 0)
		return;
	s->callbacks.reply(s->arg, (uint32_t)epoch, id, &answer);
	if (s->replies != NULL && !nats_sub_has_more(s->replies))
		s->callbacks.replies_done(s->arg);
}

int
sink_open(struct sink *s, struct error *e)
{
	char wildcard[REPLY_MAX];

	sink_close(s);
	nats_conn_new_inbox(s->conn, s->inbox, sizeof s->inbox);
	s->inbox_len = strlen(s->inbox);
	snprintf(wildcard, sizeof wildcard, "%s.*.*", s->inbox);
	s->replies = nats_conn_subscribe(s->conn, wildcard, reply_arrived, s, e);
	return s->replies != NULL ? 0 : -1;
}

int
sink_publish(struct sink *s, const struct sink_message *m, struct error *e)
{
	return nats_conn_publish(s->conn, m->subject, NULL, m->lines, m->lines_len, m->data, m->data_len, e);
}

int
sink_publish_asking(struct sink *s, const struct sink_message *m, uint32_t epoch, uint64_t id,
		    struct error *e)
{
	char reply[REPLY_MAX];

	snprintf(reply, sizeof reply, "%s.%u.%llu", s->inbox, epoch, (unsigned long long)id);
	return nats_conn_publish(s->conn, m->subject, reply, m->lines, m->lines_len, m->data, m->data_len, e);
}

int
sink_barrier(struct sink *s, const char *subject, uint32_t epoch, uint64_t id, struct error *e)
{
	struct sink_message m = {
	    .subject = subject,
	    .lines = IMPOSSIBLE_LAST,
	    .lines_len = sizeof IMPOSSIBLE_LAST - 1,
	    .data = "",
	};

	return sink_publish_asking(s, &m, epoch, id, e);
}

bool
sink_is_barrier(const char *headers, size_t headers_len)
{
	struct header_line line;

	return headers != NULL && header_find(headers, headers_len, EXPECTED_LAST, &line) &&
	       line.value_len == sizeof IMPOSSIBLE - 1 && memcmp(line.value, IMPOSSIBLE, line.value_len) == 0;
}
