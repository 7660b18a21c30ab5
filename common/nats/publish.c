/*
 * Publishing, in a worker's loop. What is published waits in a buffer until the end of the turn: on a
 * plain connection as frames of our own, under TLS, where only the client library can write, in its write
 * buffer. SUB, UNSUB and PONG are the library's in either case, so on a plain connection two buffers go to
 * one socket: one is written only while the other is at the end of a frame. The library's goes first, so
 * that a subscription is there before what is answered to it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/nats/conn_impl.h"
#include "common/nats/rawmsg.h"

#define WRITE_BUFFER_MAX (1024 * 1024)
#define ROOM_AGAIN       (WRITE_BUFFER_MAX / 2) /* so little waits that callers are told */
/* What the relay's side takes at once, so that writing does not have to wait for its thread. */
#define TLS_TURN_MAX     (128 * 1024)
#define CONTROL_LINE_MAX 4096 /* the server's default max_control_line: it hangs up beyond */
#define NUMBERS_MAX      48   /* verb, sizes and blanks of a control line */

size_t
nats_publish_size(size_t header_lines_len, size_t data_len)
{
	return data_len + (header_lines_len > 0 ? header_lines_len + sizeof "NATS/1.0\r\n\r\n" - 1 : 0);
}

/* ---- room and writing ------------------------------------------------------------------------------ */

static size_t
in_library(const struct nats_conn *c)
{
	int buffered = natsConnection_Buffered(c->link->nc);

	return buffered > 0 ? (size_t)buffered : 0;
}

/* Bytes that wait to be written, wherever. */
static size_t
waiting(const struct nats_conn *c)
{
	return in_library(c) + (c->link->plain ? frames_left(&c->frames) : tls_relay_waiting(c->link->relay));
}

static size_t
left(size_t max, size_t used)
{
	return used < max ? max - used : 0;
}

static size_t
room(const struct nats_conn *c)
{
	size_t all = left(WRITE_BUFFER_MAX, waiting(c)), turn;

	if (c->link->plain)
		return all;
	turn = left(TLS_TURN_MAX, in_library(c));
	return turn < all ? turn : all;
}

/* Has the relay tell when it has written most of what it has; the rest the bridge sees by itself. */
static void
ask_relay(struct nats_conn *c)
{
	if (!c->link->plain && tls_relay_waiting(c->link->relay) > ROOM_AGAIN)
		tls_relay_tell(c->link->relay, ROOM_AGAIN);
}

size_t
nats_conn_room(struct nats_conn *c)
{
	size_t bytes;

	if (!c->up)
		return 0;
	bytes = room(c);
	if (bytes > 0)
		return bytes;
	c->wants_room = true;
	ask_relay(c);
	return 0;
}

bool
publish_room_again(struct nats_conn *c)
{
	if (waiting(c) <= ROOM_AGAIN && room(c) > 0)
		return true;
	ask_relay(c);
	return false;
}

/* Writes frames that are there. True if none are left. */
static bool
write_frames(struct nats_conn *c)
{
	char reason[128];
	int result = frames_write(&c->frames, c->link->fd);

	if (result >= 0)
		return result > 0;
	snprintf(reason, sizeof reason, "connection lost: %s", strerror(errno));
	conn_lost(c, reason);
	return false;
}

/* Whether bytes are left over at the end of the right to write; the connection is lost then. */
static bool
is_over(struct nats_conn *c)
{
	if (c->write_end.ns == 0 || !mono_reached(mono_now(), c->write_end) || waiting(c) == 0)
		return false;
	conn_lost(c, "the time to write was over before all was written");
	return true;
}

bool
publish_flush(struct nats_conn *c)
{
	if (is_over(c))
		return false;
	/* In the middle of a frame nothing may come between. */
	if (c->frames.sent > 0 && !write_frames(c))
		return false;
	if (natsConnection_Buffered(c->link->nc) > 0) {
		natsConnection_ProcessWriteEvent(c->link->nc);
		if (bridge_found_closed(c) || natsConnection_Buffered(c->link->nc) > 0)
			return false;
	}
	return write_frames(c);
}

/* ---- publishing ------------------------------------------------------------------------------------ */

static int
check(struct nats_conn *c, const char *subject, const char *reply, size_t size, struct error *e)
{
	uint64_t max;

	if (!c->up)
		return error_set(e, ERR_IO, "publish to \"%s\": the %s is not connected", subject,
				 c->settings->label);
	max = nats_conn_info(c)->max_payload;
	if (size > max)
		return error_set(e, ERR_CONFLICT,
				 "publish to \"%s\": %zu bytes with headers are more than the server's "
				 "max_payload of %llu",
				 subject, size, (unsigned long long)max);
	if (strlen(subject) + (reply != NULL ? strlen(reply) : 0) + NUMBERS_MAX > CONTROL_LINE_MAX)
		return error_set(e, ERR_CONFLICT, "publish: subject of %zu bytes is too long for the server",
				 strlen(subject));
	return 0;
}

static int
publish_by_library(struct nats_conn *c, const char *subject, const char *reply, const char *header_lines,
		   size_t header_lines_len, const void *data, size_t data_len, struct error *e)
{
	natsConnection *nc = c->link->nc;
	natsStatus status;
	natsMsg *msg;

	if (header_lines_len == 0 && reply == NULL) {
		status = natsConnection_Publish(nc, subject, data, (int)data_len);
	} else if (header_lines_len == 0) {
		status = natsConnection_PublishRequest(nc, subject, reply, data, (int)data_len);
	} else {
		if (raw_message_write(&msg, subject, reply, header_lines, header_lines_len, data, data_len,
				      e) < 0)
			return -1;
		status = natsConnection_PublishMsg(nc, msg);
		natsMsg_Destroy(msg);
	}
	if (status == NATS_OK)
		return 0;
	return error_set(e, ERR_IO, "publish to \"%s\": %s", subject, nats_GetLastError(NULL));
}

int
nats_conn_publish(struct nats_conn *c, const char *subject, const char *reply, const char *header_lines,
		  size_t header_lines_len, const void *data, size_t data_len, struct error *e)
{
	if (check(c, subject, reply, nats_publish_size(header_lines_len, data_len), e) < 0)
		return -1;
	if (!c->link->plain)
		return publish_by_library(c, subject, reply, header_lines, header_lines_len, data, data_len,
					  e);
	if (frames_message(&c->frames, subject, reply, header_lines, header_lines_len, data, data_len) < 0)
		return error_set(e, ERR_CONFLICT, "publish: \"%s\" is no subject", subject);
	bridge_schedule_flush(c);
	return 0;
}

void
publish_ping(struct nats_conn *c)
{
	/*
	 * The library has no call that only sends a ping. This one waits for the answer, too, a
	 * millisecond here; the answer comes later as something to read.
	 */
	if (!c->link->plain) {
		(void)natsConnection_FlushTimeout(c->link->nc, 1);
		return;
	}
	frames_ping(&c->frames);
	bridge_schedule_flush(c);
}
