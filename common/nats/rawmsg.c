/*
 * Raw access to header blocks, by public pointers only: the library keeps a received message in one
 * allocation, "subject\0[reply\0]headers\0data\0", and sends a header set by natsMsgHeader_Set as
 * "key: value\r\n" with whatever the key holds. Both are checked at start (rawmsg_check.c). In a worker;
 * pure but for the library's messages.
 */
#include "common/nats/rawmsg.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/strbuf.h"

#define STATUS_LINE     "NATS/1.0"
#define STATUS_LINE_LEN (sizeof STATUS_LINE - 1)

/* End of the line that starts at from: its LF, with a CR in front or the NUL that was put over the CR. */
static char *
line_end(char *from, char *end)
{
	char *at;

	for (at = from; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		if (at > from && (at[-1] == '\r' || at[-1] == '\0'))
			return at;
	return NULL;
}

/* Undoes the NUL that ended the value in front of lf. False if the library put none there. */
static bool
repair_value(char *value, char *lf)
{
	char *at = lf - 1;

	if (*at == '\0') {
		*at = '\r';
		return true;
	}
	while (at > value && isspace((unsigned char)at[-1]))
		at--;
	if (at == value || at[-1] != '\0')
		return false;
	at[-1] = ' ';
	return true;
}

/* One header. Returns the start of the next one, NULL where the library stopped: from there on nothing
 * was changed, and a NUL is the sender's. */
static char *
repair_line(char *line, char *end)
{
	char *colon = NULL, *value = line, *lf;

	if (!isspace((unsigned char)*line)) {
		for (colon = line; colon < end && *colon != '\0'; colon++)
			if (*colon == ':')
				return NULL;
		value = colon + 1;
	}
	while (value < end && isspace((unsigned char)*value))
		value++;
	if (value >= end) {
		if (colon != NULL && colon < end)
			*colon = ':';
		return NULL;
	}
	lf = line_end(value, end);
	if (lf == NULL || !repair_value(value, lf))
		return NULL;
	if (colon != NULL)
		*colon = ':';
	return lf + 1;
}

/*
 * natsSubscription_NextMsg parses a message without body in place: it puts a NUL over the colon behind a
 * name, and over the CR behind a value or the first of the blanks in front of that. This follows the same
 * steps and puts back what stood there (a tab that ended a value comes back as a blank).
 */
static void
repair(char *block, size_t len)
{
	char *end = block + len;
	char *at = line_end(block, end);

	if (at == NULL || at[-1] == '\r')
		return;
	at[-1] = '\r';
	for (at++; at != NULL && at < end && *at != '\r';)
		at = repair_line(at, end);
}

const char *
nats_raw_headers(const char *subject, const char *reply, const char *data, size_t data_len, size_t *len)
{
	const char *block = reply != NULL ? reply : subject;

	*len = 0;
	block += strlen(block) + 1;
	if (data <= block + STATUS_LINE_LEN || memcmp(block, STATUS_LINE, STATUS_LINE_LEN) != 0)
		return NULL;
	*len = (size_t)(data - 1 - block);
	if (data_len == 0)
		repair((char *)(uintptr_t)block, *len);
	return block;
}

/* Splits the lines before the value of the last one: the key ends before ": ", the value before CR LF.
 * Returns the length of the key or 0. */
static size_t
split_last(const char *lines, size_t len, const char **value, size_t *value_len)
{
	const char *last, *colon;

	if (len < 4 || memcmp(lines + len - 2, "\r\n", 2) != 0)
		return 0;
	len -= 2;
	last = memrchr(lines, '\n', len);
	last = last != NULL ? last + 1 : lines;
	colon = memchr(last, ':', len - (size_t)(last - lines));
	if (colon == NULL || colon + 1 >= lines + len || colon[1] != ' ')
		return 0;
	*value = colon + 2;
	*value_len = (size_t)(lines + len - *value);
	return (size_t)(colon - lines);
}

static int
set_headers(natsMsg *msg, const char *lines, size_t len, struct error *e)
{
	static struct strbuf scratch; /* of the one thread that publishes */
	const char *value;
	size_t value_len = 0, key_len = split_last(lines, len, &value, &value_len);

	if (key_len == 0)
		return error_set(e, ERR_USAGE, "publish: the last header line is not \"name: value\"");
	if (scratch.data == NULL)
		strbuf_init(&scratch);
	strbuf_reset(&scratch);
	strbuf_add(&scratch, lines, key_len);
	strbuf_add(&scratch, "", 1);
	strbuf_add(&scratch, value, value_len);
	if (natsMsgHeader_Set(msg, scratch.data, scratch.data + key_len + 1) != NATS_OK)
		return error_set(e, ERR_MEMORY, "publish: %s", nats_GetLastError(NULL));
	return 0;
}

int
nats_raw_message(natsMsg **msg, const char *subject, const char *reply, const char *lines, size_t lines_len,
		 const void *data, size_t data_len, struct error *e)
{
	if (natsMsg_Create(msg, subject, reply, data, (int)data_len) != NATS_OK)
		return error_set(e, ERR_MEMORY, "publish to \"%s\": %s", subject, nats_GetLastError(NULL));
	if (set_headers(*msg, lines, lines_len, e) == 0)
		return 0;
	natsMsg_Destroy(*msg);
	*msg = NULL;
	return -1;
}
