/*
 * Raw access to header blocks, by public pointers only: the library keeps a received message in one
 * allocation, "subject\0[reply\0]headers\0data\0", and sends a header set by natsMsgHeader_Set as
 * "key: value\r\n" with whatever the key holds. Whether the first holds is looked at until a message with
 * headers has proven it: the library tells the size of what waits in a subscription. In a worker's loop.
 */
#include "common/nats/rawmsg.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

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
void
raw_repair(char *block, size_t len)
{
	char *end = block + len;
	char *at = line_end(block, end);

	if (at == NULL || at[-1] == '\r')
		return;
	at[-1] = '\r';
	for (at++; at != NULL && at < end && *at != '\r';)
		at = repair_line(at, end);
}

/* The block as the library's messages are laid out, or NULL without headers. */
static const char *
laid_out(const struct nats_message *m, size_t *len)
{
	const char *block = m->reply != NULL ? m->reply : m->subject;

	block += strlen(block) + 1;
	*len = 0;
	if (m->data <= block)
		return NULL;
	*len = (size_t)(m->data - 1 - block);
	return block;
}

/* The library turns the server's own status, which stands on the first line, into headers. */
static bool
write_status_line(natsMsg *msg, struct strbuf *b)
{
	const char *status = NULL, *description = NULL;
	bool inlined = natsMsg_GetReply(msg) == NULL && natsMsgHeader_Get(msg, "Status", &status) == NATS_OK;

	strbuf_adds(b, STATUS_LINE);
	if (inlined)
		strbuf_addf(b, " %s", status);
	if (inlined && natsMsgHeader_Get(msg, "Description", &description) == NATS_OK)
		strbuf_addf(b, " %s", description);
	strbuf_adds(b, "\r\n");
	return inlined;
}

static void
write_values(natsMsg *msg, const char *name, struct strbuf *b)
{
	const char **values = NULL;
	int count = 0, i;

	if (natsMsgHeader_Values(msg, name, &values, &count) != NATS_OK)
		return;
	for (i = 0; i < count; i++)
		strbuf_addf(b, "%s: %s\r\n", name, values[i]);
	free(values);
}

/* The block by the library's own calls: the order of names is lost, and blanks. NULL without headers. */
static char *
write_block(natsMsg *msg, size_t *len)
{
	const char **names = NULL;
	struct strbuf b;
	bool inlined;
	int count = 0, i;

	*len = 0;
	if (natsMsgHeader_Keys(msg, &names, &count) != NATS_OK)
		return NULL;
	strbuf_init(&b);
	inlined = write_status_line(msg, &b);
	for (i = 0; i < count; i++)
		if (!inlined || (strcmp(names[i], "Status") != 0 && strcmp(names[i], "Description") != 0))
			write_values(msg, names[i], &b);
	free(names);
	strbuf_adds(&b, "\r\n");
	*len = b.len;
	return strbuf_take(&b);
}

/* What is known of the layout in this process. */
static enum { LAYOUT_UNPROVEN, LAYOUT_KNOWN, LAYOUT_OTHER } layout;

/* size: headers and data, as the library counts them. */
static void
learn_layout(const struct nats_message *m, size_t size)
{
	size_t len;
	const char *block = laid_out(m, &len);
	bool as_expected = len + m->data_len == size;

	if (block != NULL && as_expected)
		as_expected = len >= STATUS_LINE_LEN && memcmp(block, STATUS_LINE, STATUS_LINE_LEN) == 0;
	if (!as_expected) {
		layout = LAYOUT_OTHER;
		log_warn(
		    "nats",
		    "NATS client library %s lays messages out in a way that is not known here: the order of "
		    "header names and the blanks around values will be lost",
		    nats_GetVersion());
	} else if (block != NULL) {
		layout = LAYOUT_KNOWN;
	}
}

/* ---- receiving -------------------------------------------------------------------------------------- */

static void
fill(struct raw_message *r)
{
	struct nats_message *m = &r->view;

	if (layout == LAYOUT_OTHER) {
		m->headers = r->own = write_block(r->msg, &m->headers_len);
		return;
	}
	m->headers = laid_out(m, &m->headers_len);
	if (m->data_len == 0 && m->headers != NULL)
		raw_repair((char *)(uintptr_t)m->headers, m->headers_len);
}

static void
fill_no_responders(struct raw_message *r, const char *subject)
{
	static const char block[] = STATUS_LINE " 503\r\n\r\n";

	r->own = xstrdup(subject);
	r->view = (struct nats_message){.subject = r->own, .headers = block, .data = ""};
	r->view.headers_len = sizeof block - 1;
}

static size_t
bytes_waiting(natsSubscription *sub)
{
	int msgs, bytes = 0;

	return natsSubscription_GetPending(sub, &msgs, &bytes) == NATS_OK && bytes > 0 ? (size_t)bytes : 0;
}

bool
raw_message_next(struct raw_message *r, natsSubscription *sub, const char *subject)
{
	uint64_t queued = 0;
	natsStatus status;
	size_t before;

	/* Asked first: an empty NextMsg sets an error, which costs more. */
	if (natsSubscription_QueuedMsgs(sub, &queued) != NATS_OK || queued == 0)
		return false;
	memset(r, 0, sizeof *r);
	before = layout == LAYOUT_UNPROVEN ? bytes_waiting(sub) : 0;
	status = natsSubscription_NextMsg(&r->msg, sub, 0);
	if (status == NATS_NO_RESPONDERS)
		fill_no_responders(r, subject);
	if (status != NATS_OK)
		return status == NATS_NO_RESPONDERS;
	r->view.subject = natsMsg_GetSubject(r->msg);
	r->view.reply = natsMsg_GetReply(r->msg);
	r->view.data = natsMsg_GetData(r->msg);
	r->view.data_len = (size_t)natsMsg_GetDataLength(r->msg);
	if (layout == LAYOUT_UNPROVEN)
		learn_layout(&r->view, before - bytes_waiting(sub));
	fill(r);
	return true;
}

void
raw_message_fini(struct raw_message *r)
{
	natsMsg_Destroy(r->msg);
	free(r->own);
	r->msg = NULL;
	r->own = NULL;
}

/* ---- sending ---------------------------------------------------------------------------------------- */

/* A line as the library writes the one header it knows: name, ": ", value. */
struct last_line {
	const char *name, *value;
	size_t name_len, value_len;
};

static bool
has_line_end(const char *text, size_t len)
{
	return memchr(text, '\r', len) != NULL || memchr(text, '\n', len) != NULL;
}

/* Whether the line of len bytes with its CR LF can be that header; any text before the first ": " will do
 * as its name. */
static bool
read_line(const char *line, size_t len, struct last_line *out)
{
	const char *blank;

	if (len < 2 || memcmp(line + len - 2, "\r\n", 2) != 0)
		return false;
	len -= 2;
	blank = memmem(line, len, ": ", 2);
	/* In a value the library makes blanks of these. */
	if (blank == NULL || has_line_end(blank, len - (size_t)(blank - line)))
		return false;
	*out = (struct last_line){line, blank + 2, (size_t)(blank - line), len - (size_t)(blank + 2 - line)};
	return true;
}

/* The end of the line that starts at from, behind its CR LF. */
static const char *
next_line(const char *from, const char *end)
{
	const char *lf = memmem(from, (size_t)(end - from), "\r\n", 2);

	return lf != NULL ? lf + 2 : end;
}

static const char *
start_of_last(const char *lines, const char *end)
{
	const char *at, *start = lines;

	for (at = lines; at < end; at = next_line(at, end))
		start = at;
	return start;
}

/*
 * Writes all lines as one header: name and value with a NUL behind each, the value at *value. The last
 * line becomes the value's. Where it has no ": ", the second line goes to the end and does it: it is the
 * caller's own, and so is the first, which must stay first. False if that does not help either.
 */
static bool
fold_lines(const char *lines, size_t len, struct strbuf *out, size_t *value)
{
	const char *end = lines + len, *last = start_of_last(lines, end);
	const char *second = next_line(lines, end), *third = next_line(second, end);
	struct last_line l;

	if (read_line(last, (size_t)(end - last), &l)) {
		strbuf_add(out, lines, (size_t)(last - lines));
	} else if (read_line(second, (size_t)(third - second), &l)) {
		strbuf_add(out, lines, (size_t)(second - lines));
		strbuf_add(out, third, (size_t)(end - third));
	} else {
		return false;
	}
	strbuf_add(out, l.name, l.name_len);
	strbuf_add(out, "", 1);
	*value = out->len;
	strbuf_add(out, l.value, l.value_len);
	return true;
}

static int
set_headers(natsMsg *msg, const char *lines, size_t len, struct error *e)
{
	struct strbuf header;
	size_t value = 0;
	int result = 0;

	strbuf_init(&header);
	if (!fold_lines(lines, len, &header, &value))
		result = error_set(e, ERR_CONFLICT,
				   "publish: neither the second nor the last header line is \"name: value\"");
	else if (natsMsgHeader_Set(msg, header.data, header.data + value) != NATS_OK)
		result = error_set(e, ERR_MEMORY, "publish: %s", nats_GetLastError(NULL));
	strbuf_fini(&header);
	return result;
}

int
raw_message_write(natsMsg **msg, const char *subject, const char *reply, const char *lines, size_t lines_len,
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
