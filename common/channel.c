/*
 * One end of the pipe between supervisor and child. Used by both; the caller's loop is its only thread.
 *
 * Invariants: a wake-up reads at most READ_SIZE bytes; callbacks are called from the loop only, never from
 * within channel_send(); a channel that is freed inside its own callback is released when that callback's
 * wake-up ends. A failed write does not close the channel: the peer's last frames may still be unread, so
 * the end is what reading finds.
 */
#include "common/channel.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"

#define READ_SIZE 65536

struct channel {
	int fd;
	enum proto_side peer;
	uint64_t generation;
	struct channel_callbacks callbacks;
	void *arg;
	struct event *readable;
	struct event *writable; /* pending only while output waits */
	struct evbuffer *in;
	struct evbuffer *out;
	struct strbuf frame; /* scratch of channel_send */
	bool closed;         /* the closed callback has been called, or is about to be */
	bool write_failed;
	bool stuck;
	bool in_callback;
	bool doomed; /* freed by its owner inside a callback */
};

static void
release(struct channel *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->in != NULL)
		evbuffer_free(c->in);
	if (c->out != NULL)
		evbuffer_free(c->out);
	strbuf_fini(&c->frame);
	close(c->fd);
	free(c);
}

static void
update_stuck(struct channel *c)
{
	size_t waiting = evbuffer_get_length(c->out);

	if (waiting > CHANNEL_HIGH_BYTES)
		c->stuck = true;
	else if (waiting < CHANNEL_LOW_BYTES)
		c->stuck = false;
}

/* Writes what the socket takes now. */
static void
write_some(struct channel *c)
{
	struct evbuffer_iovec part;
	ssize_t n;

	while (!c->write_failed && evbuffer_peek(c->out, -1, NULL, &part, 1) > 0) {
		n = send(c->fd, part.iov_base, part.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			c->write_failed = true;
			evbuffer_drain(c->out, evbuffer_get_length(c->out));
			break;
		}
		evbuffer_drain(c->out, (size_t)n);
	}
	update_stuck(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;

	(void)fd;
	(void)what;
	write_some(c);
	if (evbuffer_get_length(c->out) == 0)
		event_del(c->writable);
}

static void
report_closed(struct channel *c, const struct error *e)
{
	if (c->closed || c->doomed)
		return;
	c->closed = true;
	event_del(c->readable);
	event_del(c->writable);
	c->callbacks.closed(c->arg, e);
}

/* Hands over the first whole frame of the input; false if there is none to go on with. */
static bool
deliver_one(struct channel *c)
{
	struct error e = ERROR_INIT;
	struct proto_frame frame;
	size_t len = evbuffer_get_length(c->in);
	size_t used;

	/* Contiguous bytes; an empty buffer gives NULL and is "more" to the decoder. */
	switch (proto_frame_decode(evbuffer_pullup(c->in, -1), len, c->peer, &frame, &used, &e)) {
	case PROTO_MORE:
		return false;
	case PROTO_BROKEN:
		report_closed(c, &e);
		return false;
	case PROTO_FRAME:
		break;
	}
	if (frame.generation == c->generation)
		c->callbacks.frame(c->arg, &frame);
	evbuffer_drain(c->in, used);
	return !c->doomed;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;
	int n;

	(void)what;
	n = evbuffer_read(c->in, fd, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	c->in_callback = true;
	if (n > 0) {
		while (deliver_one(c))
			;
	} else {
		/* An end, also one in the middle of a frame: that is how a killed process ends. */
		report_closed(c, NULL);
	}
	c->in_callback = false;
	if (c->doomed)
		release(c);
}

static int
prepare_fd(int fd, struct error *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set_errno(e, ERR_SYSTEM, "pipe on fd %d", fd);
	return 0;
}

struct channel *
channel_new(struct event_base *base, int fd, enum proto_side peer, uint64_t generation,
	    const struct channel_callbacks *callbacks, void *arg, struct error *e)
{
	struct channel *c = xcalloc(1, sizeof *c);

	c->fd = fd;
	c->peer = peer;
	c->generation = generation;
	c->callbacks = *callbacks;
	c->arg = arg;
	strbuf_init(&c->frame);
	if (prepare_fd(fd, e) != 0)
		goto fail;
	c->in = evbuffer_new();
	c->out = evbuffer_new();
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->in == NULL || c->out == NULL || c->readable == NULL || c->writable == NULL ||
	    event_add(c->readable, NULL) != 0) {
		error_set(e, ERR_SYSTEM, "pipe on fd %d: cannot watch it", fd);
		goto fail;
	}
	return c;
fail:
	release(c);
	return NULL;
}

void
channel_free(struct channel **c)
{
	struct channel *gone = *c;

	*c = NULL;
	if (gone == NULL)
		return;
	if (!gone->in_callback) {
		release(gone);
		return;
	}
	gone->doomed = true;
	event_del(gone->readable);
	event_del(gone->writable);
}

int
channel_send(struct channel *c, enum proto_type type, const void *payload, size_t len)
{
	bool was_empty = evbuffer_get_length(c->out) == 0;

	if (c->closed || c->write_failed)
		return -1;
	strbuf_reset(&c->frame);
	proto_frame_encode(&c->frame, type, c->generation, payload, len);
	evbuffer_add(c->out, c->frame.data, c->frame.len);
	/* Mostly the socket takes it at once: no need to wake up for it. */
	if (was_empty)
		write_some(c);
	update_stuck(c);
	if (was_empty && evbuffer_get_length(c->out) > 0)
		event_add(c->writable, NULL);
	return 0;
}

bool
channel_stuck(const struct channel *c)
{
	return c->stuck;
}

size_t
channel_pending(const struct channel *c)
{
	return evbuffer_get_length(c->out);
}

void
channel_flush(struct channel *c, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);

	for (;;) {
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		int64_t left;

		write_some(c);
		left = mono_ms_between(mono_now(), deadline);
		if (evbuffer_get_length(c->out) == 0 || left <= 0)
			return;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return;
	}
}
