/*
 * The thread between the client library and the network of a TLS connection, in a worker. It owns both of
 * its sockets; the loop touches them only to reset the connection. Shared with the loop: the number of
 * bytes that wait, the mark below which to tell, and whether it is over. Must not call libevent, the
 * library, or the log.
 */
#include "common/nats/tls_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nats/helper.h"
#include "common/nats/socket.h"
#include "common/xalloc.h"

#define READ_SIZE     (64 * 1024)
#define INWARD_MAX    (256 * 1024) /* several of the largest records */
#define PAIR_BUFFER   (2 * 1024 * 1024)
#define RECORD_HEADER 5

/* Bytes on their way in one direction: len of them from start on. */
struct bytes {
	char *data;
	size_t start, len, cap;
};

struct tls_relay {
	int network, library; /* the thread's; network stays valid as long as there is a reference */
	struct bytes inward, outward;
	size_t whole;                                     /* so much of inward is the rest of whole records */
	enum { KIND_UNKNOWN, KIND_TLS, KIND_PLAIN } kind; /* by the first byte that came */
	size_t waiting;                                   /* atomic: outward.len */
	int64_t write_end_ns;                             /* atomic; 0: none */

	pthread_mutex_t lock;
	int wake_fd;      /* -1 once it is over */
	size_t tell_mark; /* SIZE_MAX: nobody asked */
	int refs;
};

/* ---- bytes ------------------------------------------------------------------------------------------ */

static void
bytes_reserve(struct bytes *b, size_t extra)
{
	if (b->start + b->len + extra <= b->cap)
		return;
	if (b->start > 0)
		memmove(b->data, b->data + b->start, b->len);
	b->start = 0;
	if (b->len + extra <= b->cap)
		return;
	b->cap = b->len + extra > 2 * b->cap ? b->len + extra : 2 * b->cap;
	b->data = xrealloc(b->data, b->cap);
}

/* Reads what is there. False at the end of the stream or on failure. */
static bool
bytes_read(struct bytes *b, int fd)
{
	ssize_t n;

	bytes_reserve(b, READ_SIZE);
	n = recv(fd, b->data + b->start + b->len, READ_SIZE, 0);
	if (n > 0)
		b->len += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Writes the first len bytes as far as they go. False on failure. */
static bool
bytes_write(struct bytes *b, size_t len, int fd)
{
	ssize_t n = send(fd, b->data + b->start, len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	b->len -= (size_t)n;
	b->start = b->len > 0 ? b->start + (size_t)n : 0;
	return true;
}

/* How far whole records reach, of which those up to done are known. */
static size_t
whole_records(const struct bytes *b, size_t done)
{
	const unsigned char *at = (const unsigned char *)b->data + b->start;
	size_t len;

	while (b->len - done >= RECORD_HEADER) {
		len = RECORD_HEADER + (size_t)(at[done + 3] << 8 | at[done + 4]);
		if (b->len - done < len)
			break;
		done += len;
	}
	return done;
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static void
unref(struct tls_relay *r)
{
	bool last;

	pthread_mutex_lock(&r->lock);
	last = --r->refs == 0;
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	close(r->network);
	pthread_mutex_destroy(&r->lock);
	free(r->inward.data);
	free(r->outward.data);
	free(r);
}

/* Tells whoever asked for it if so little waits; the lock is held. */
static void
tell(struct tls_relay *r)
{
	uint64_t one = 1;

	if (r->tell_mark == SIZE_MAX || tls_relay_waiting(r) > r->tell_mark || r->wake_fd < 0)
		return;
	r->tell_mark = SIZE_MAX;
	/* Full means that it is readable already. */
	if (write(r->wake_fd, &one, sizeof one) < 0)
		errno = 0;
}

static void
account(struct tls_relay *r)
{
	__atomic_store_n(&r->waiting, r->outward.len, __ATOMIC_RELEASE);
	pthread_mutex_lock(&r->lock);
	tell(r);
	pthread_mutex_unlock(&r->lock);
}

/* Looks how much may go to the library. Whether the server speaks TLS is not always known beforehand; no
 * line of the plain protocol begins like a record. */
static void
judge(struct tls_relay *r)
{
	const unsigned char *first = (const unsigned char *)r->inward.data + r->inward.start;

	if (r->inward.len > 0 && r->kind == KIND_UNKNOWN)
		r->kind = *first >= 20 && *first <= 24 ? KIND_TLS : KIND_PLAIN;
	r->whole = r->kind == KIND_TLS ? whole_records(&r->inward, r->whole) : r->inward.len;
}

static bool
pass_inward(struct tls_relay *r)
{
	size_t before = r->inward.len;

	if (r->whole == 0)
		return true;
	if (!bytes_write(&r->inward, r->whole, r->library))
		return false;
	r->whole -= before - r->inward.len;
	return true;
}

/* Writes what waits for the network. False on failure, or if the time for it is over. */
static bool
pass_outward(struct tls_relay *r)
{
	int64_t end = __atomic_load_n(&r->write_end_ns, __ATOMIC_ACQUIRE);

	if (r->outward.len == 0)
		return true;
	if (end != 0 && mono_now().ns >= end)
		return false;
	return bytes_write(&r->outward, r->outward.len, r->network);
}

/* Moves what can be moved without waiting. False when it is over. */
static bool
move(struct tls_relay *r, const struct pollfd *network, const struct pollfd *library)
{
	if ((library->revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !bytes_read(&r->outward, r->library))
		return false;
	if (!pass_outward(r))
		return false;
	if ((network->revents & (POLLIN | POLLHUP | POLLERR)) != 0 && r->inward.len < INWARD_MAX &&
	    !bytes_read(&r->inward, r->network))
		return false;
	judge(r);
	return pass_inward(r);
}

static short
events(bool read, bool write)
{
	return (short)((read ? POLLIN : 0) | (write ? POLLOUT : 0));
}

static void
relay_main(void *arg)
{
	struct tls_relay *r = arg;
	struct pollfd fds[2] = {{r->network, 0, 0}, {r->library, 0, 0}};
	bool going = true;

	while (going) {
		fds[0].events = events(r->inward.len<INWARD_MAX, r->outward.len> 0);
		fds[1].events = events(true, r->whole > 0);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		going = move(r, &fds[0], &fds[1]);
		account(r);
	}
	/* The library reads the end of the stream, the server a reset. */
	close(r->library);
	socket_reset(r->network);
	unref(r);
}

/* ---- for the loop ----------------------------------------------------------------------------------- */

static struct tls_relay *
relay_new(int network, int library, int wake_fd)
{
	struct tls_relay *r = xcalloc(1, sizeof *r);

	r->network = network;
	r->library = library;
	r->wake_fd = wake_fd;
	r->tell_mark = SIZE_MAX;
	r->refs = 2;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

/* The system cuts it to what it allows. */
static void
enlarge(int fd)
{
	int size = PAIR_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

struct tls_relay *
tls_relay_start(int fd, int wake_fd, struct error *e)
{
	struct tls_relay *r;
	int pair[2], network = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (network < 0) {
		error_set_errno(e, ERR_SYSTEM, "TLS: dup");
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		error_set_errno(e, ERR_SYSTEM, "TLS: socketpair");
		close(network);
		return NULL;
	}
	enlarge(pair[0]);
	enlarge(pair[1]);
	dup3(pair[0], fd, O_CLOEXEC);
	close(pair[0]);
	r = relay_new(network, pair[1], wake_fd);
	if (helper_start(relay_main, r, e) == 0)
		return r;
	close(pair[1]);
	r->refs = 1;
	unref(r);
	return NULL;
}

size_t
tls_relay_waiting(struct tls_relay *r)
{
	return __atomic_load_n(&r->waiting, __ATOMIC_ACQUIRE);
}

void
tls_relay_write_until(struct tls_relay *r, struct mono end)
{
	__atomic_store_n(&r->write_end_ns, end.ns, __ATOMIC_RELEASE);
}

void
tls_relay_tell(struct tls_relay *r, size_t bytes)
{
	pthread_mutex_lock(&r->lock);
	r->tell_mark = bytes;
	tell(r);
	pthread_mutex_unlock(&r->lock);
}

void
tls_relay_end(struct tls_relay **rp)
{
	struct tls_relay *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->wake_fd = -1;
	pthread_mutex_unlock(&r->lock);
	/* Now, not when the thread gets to it. */
	socket_reset(r->network);
	unref(r);
}
