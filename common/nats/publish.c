/*
 * Publishing, in a worker. The client library appends to its write buffer, which the bridge writes at the
 * end of the loop turn.
 */
#include <string.h>

#include "common/nats/conn_impl.h"
#include "common/nats/rawmsg.h"

#define WRITE_BUFFER_MAX (1024 * 1024)
#define CONTROL_LINE_MAX 4096 /* the server's default max_control_line: it hangs up beyond */
#define NUMBERS_MAX      32   /* verb and sizes of a control line */

#define FRAME_LINES "NATS/1.0\r\n\r\n"

size_t
nats_publish_size(size_t header_lines_len, size_t data_len)
{
	return data_len + (header_lines_len > 0 ? header_lines_len + sizeof FRAME_LINES - 1 : 0);
}

size_t
nats_conn_room(struct nats_conn *c)
{
	int buffered;

	if (!c->up)
		return 0;
	buffered = natsConnection_Buffered(c->link->nc);
	if (buffered >= 0 && buffered < WRITE_BUFFER_MAX)
		return (size_t)(WRITE_BUFFER_MAX - buffered);
	c->wants_room = true;
	return 0;
}

bool
publish_has_room(const struct nats_conn *c)
{
	return natsConnection_Buffered(c->link->nc) < WRITE_BUFFER_MAX / 2;
}

static int
check(struct nats_conn *c, const char *subject, const char *reply, size_t size, struct error *e)
{
	uint64_t max;

	if (!c->up)
		return error_set(e, ERR_IO, "publish to \"%s\": not connected", subject);
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

int
nats_conn_publish(struct nats_conn *c, const char *subject, const char *reply, const char *header_lines,
		  size_t header_lines_len, const void *data, size_t data_len, struct error *e)
{
	natsStatus status;
	natsMsg *msg;

	if (check(c, subject, reply, nats_publish_size(header_lines_len, data_len), e) < 0)
		return -1;
	if (header_lines_len == 0 && reply == NULL) {
		status = natsConnection_Publish(c->link->nc, subject, data, (int)data_len);
	} else if (header_lines_len == 0) {
		status = natsConnection_PublishRequest(c->link->nc, subject, reply, data, (int)data_len);
	} else {
		if (nats_raw_message(&msg, subject, reply, header_lines, header_lines_len, data, data_len,
				     e) < 0)
			return -1;
		status = natsConnection_PublishMsg(c->link->nc, msg);
		natsMsg_Destroy(msg);
	}
	if (status == NATS_OK)
		return 0;
	return error_set(e, status == NATS_MAX_PAYLOAD ? ERR_CONFLICT : ERR_IO, "publish to \"%s\": %s",
			 subject, nats_GetLastError(NULL));
}
