/*
 * Builds and writes frames of the NATS protocol; in a worker's loop, for plain connections. The client
 * library needs seven allocations, and its collecting thread as many frees, for each message with
 * headers, twenty times the work of this, and it cannot send every header block byte by byte. Everything
 * else of the protocol stays with the library. Must not block.
 */
#include "common/nats/frames.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/xalloc.h"

#define STATUS_LINE "NATS/1.0\r\n"
#define CRLF        "\r\n"
#define NUMBER_MAX  20
/* Around subject, reply, headers and data: "HPUB ", blanks, two numbers, line ends, status line. */
#define AROUND_MAX (sizeof "HPUB    " CRLF STATUS_LINE CRLF CRLF + 2 * NUMBER_MAX)
#define COMPACT_AT (256 * 1024)

void
frames_init(struct frames *f)
{
	memset(f, 0, sizeof *f);
}

void
frames_fini(struct frames *f)
{
	free(f->data);
	frames_init(f);
}

void
frames_reset(struct frames *f)
{
	f->len = f->sent = 0;
}

static void
reserve(struct frames *f, size_t extra)
{
	/* What was sent makes room first, if that moves little. */
	if (f->sent >= COMPACT_AT && f->sent >= f->len / 2) {
		memmove(f->data, f->data + f->sent, f->len - f->sent);
		f->len -= f->sent;
		f->sent = 0;
	}
	if (f->len + extra <= f->cap)
		return;
	f->cap = f->cap * 2 > f->len + extra ? f->cap * 2 : f->len + extra;
	f->data = xrealloc(f->data, f->cap);
}

static char *
put(char *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

static char *
put_number(char *at, size_t number)
{
	char digits[NUMBER_MAX];
	size_t n = sizeof digits;

	do
		digits[--n] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return put(at, digits + n, sizeof digits - n);
}

/* Length of a subject, 0 if it is none that can stand in a line. */
static size_t
word_length(const char *word)
{
	const unsigned char *at = (const unsigned char *)word;

	while (*at > ' ')
		at++;
	return *at == '\0' ? (size_t)((const char *)at - word) : 0;
}

int
frames_message(struct frames *f, const char *subject, const char *reply, const char *header_lines,
	       size_t header_lines_len, const void *data, size_t data_len)
{
	size_t subject_len = word_length(subject);
	size_t reply_len = reply != NULL ? word_length(reply) : 0;
	size_t block_len = sizeof STATUS_LINE - 1 + header_lines_len + sizeof CRLF - 1;
	bool headers = header_lines_len > 0;
	char *at;

	if (subject_len == 0 || (reply != NULL && reply_len == 0))
		return -1;
	reserve(f, AROUND_MAX + subject_len + reply_len + header_lines_len + data_len);
	at = f->data + f->len;
	at = headers ? put(at, "HPUB ", 5) : put(at, "PUB ", 4);
	at = put(at, subject, subject_len);
	*at++ = ' ';
	if (reply_len > 0) {
		at = put(at, reply, reply_len);
		*at++ = ' ';
	}
	if (headers) {
		at = put_number(at, block_len);
		*at++ = ' ';
		at = put_number(at, block_len + data_len);
		at = put(at, CRLF STATUS_LINE, sizeof CRLF STATUS_LINE - 1);
		at = put(at, header_lines, header_lines_len);
	} else {
		at = put_number(at, data_len);
	}
	at = put(at, CRLF, sizeof CRLF - 1);
	if (data_len > 0)
		at = put(at, data, data_len);
	at = put(at, CRLF, sizeof CRLF - 1);
	f->len = (size_t)(at - f->data);
	return 0;
}

void
frames_ping(struct frames *f)
{
	static const char ping[] = "PING\r\n";

	reserve(f, sizeof ping);
	put(f->data + f->len, ping, sizeof ping - 1);
	f->len += sizeof ping - 1;
}

int
frames_write(struct frames *f, int fd)
{
	ssize_t n;

	if (f->sent == f->len)
		return 1;
	n = send(fd, f->data + f->sent, f->len - f->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	f->sent += (size_t)n;
	if (f->sent < f->len)
		return 0;
	frames_reset(f);
	return 1;
}
