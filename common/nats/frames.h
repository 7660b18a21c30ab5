/*
 * Messages in the form of the wire, waiting to be written to a plain connection. What is written is the
 * protocol of every NATS client: PUB and HPUB lines, the header block as given, the data.
 */
#ifndef SR_COMMON_NATS_FRAMES_H
#define SR_COMMON_NATS_FRAMES_H

#include <stddef.h>

struct frames {
	char *data;
	size_t len, sent, cap;
};

void frames_init(struct frames *f);
void frames_fini(struct frames *f);
/* Drops all of it. */
void frames_reset(struct frames *f);

/*
 * Appends a message; reply may be NULL, header_lines are whole lines or nothing. Returns 0, or -1 if
 * subject or reply are empty or hold a blank or a control character: those would end the line.
 */
int frames_message(struct frames *f, const char *subject, const char *reply, const char *header_lines,
		   size_t header_lines_len, const void *data, size_t data_len);
void frames_ping(struct frames *f);

/* Bytes that wait. */
static inline size_t
frames_left(const struct frames *f)
{
	return f->len - f->sent;
}

/* Writes to the socket what it takes at once. 1: nothing is left, 0: something is, -1 with errno. */
int frames_write(struct frames *f, int fd);

#endif
