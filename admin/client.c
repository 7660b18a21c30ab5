/* A client of the control socket: blocking, one line out, one line in. Runs in the user's commands. */
#include "admin/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

/* A supervisor answers within milliseconds; a stopped one never does. */
#define ANSWER_MS       15000
#define MAX_REPLY_BYTES (64 * 1024 * 1024)

struct client {
	int fd;
	char *path;
	struct strbuf in;
};

static int
connect_to(const char *path, struct error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(e, ERR_USAGE, "socket \"%s\": the path is too long", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set_errno(e, ERR_SYSTEM, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		error_set(e, ERR_NOT_FOUND, "no stream-replicator listens on %s: is it running?", path);
	else
		error_set_errno(e, ERR_SYSTEM, "socket \"%s\"", path);
	close(fd);
	return -1;
}

struct client *
client_connect(const char *path, struct error *e)
{
	int fd = connect_to(path, e);
	struct client *c;

	if (fd < 0)
		return NULL;
	c = xcalloc(1, sizeof *c);
	c->fd = fd;
	c->path = xstrdup(path);
	strbuf_init(&c->in);
	return c;
}

void
client_close(struct client **client)
{
	struct client *c = *client;

	*client = NULL;
	if (c == NULL)
		return;
	close(c->fd);
	free(c->path);
	strbuf_fini(&c->in);
	free(c);
}

static int
send_request(struct client *c, const char *verb, const char *field, const char *value, struct error *e)
{
	json_t *o = json_pack("{s:s}", "verb", verb);
	char *text = NULL;
	struct strbuf line;
	bool sent;

	/* Setting it fails for what is no UTF-8. */
	if (value == NULL || json_object_set_new(o, field, json_string(value)) == 0)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text == NULL)
		return error_set(e, ERR_USAGE, "the %s that was given is no UTF-8 text", field);
	strbuf_init(&line);
	strbuf_addf(&line, "%s\n", text);
	free(text);
	sent = send(c->fd, line.data, line.len, MSG_NOSIGNAL) == (ssize_t)line.len;
	if (!sent)
		error_set_errno(e, ERR_IO, "control socket %s", c->path);
	strbuf_fini(&line);
	return sent ? 0 : -1;
}

/* Reads more within the time that is left; 1 if there was more, 0 at the end, -1 with *e. */
static int
read_more(struct client *c, struct mono deadline, struct error *e)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int64_t left = mono_ms_between(mono_now(), deadline);
	char buf[65536];
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return error_set(e, ERR_IO, "no answer from the stream-replicator on %s within the time",
				 c->path);
	n = recv(c->fd, buf, sizeof buf, 0);
	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0)
		return error_set_errno(e, ERR_IO, "control socket %s", c->path);
	if (c->in.len + (size_t)n > MAX_REPLY_BYTES)
		return error_set(e, ERR_PROTOCOL, "control socket %s: endless answer", c->path);
	strbuf_add(&c->in, buf, (size_t)n);
	return n > 0;
}

static json_t *
parse_reply(const char *text, size_t len, struct error *e)
{
	json_error_t fault;
	json_t *o = json_loadb(text, len, 0, &fault);

	if (o == NULL || !json_is_object(o)) {
		error_set(e, ERR_PROTOCOL, "the answer makes no sense: %s", fault.text);
		json_decref(o);
		return NULL;
	}
	return o;
}

json_t *
client_ask_about(struct client *c, const char *verb, const char *field, const char *value, struct error *e)
{
	struct mono deadline = mono_add_ms(mono_now(), ANSWER_MS);
	const char *end;
	int more;

	strbuf_reset(&c->in);
	if (send_request(c, verb, field, value, e) != 0)
		return NULL;
	while ((end = memchr(c->in.data, '\n', c->in.len)) == NULL) {
		more = read_more(c, deadline, e);
		if (more == 0)
			error_set(e, ERR_IO, "the stream-replicator on %s closed the connection", c->path);
		if (more <= 0)
			return NULL;
	}
	return parse_reply(c->in.data, (size_t)(end - c->in.data), e);
}

json_t *
client_ask(struct client *c, const char *verb, const char *topic, struct error *e)
{
	return client_ask_about(c, verb, "topic", topic, e);
}

bool
client_wait_end(struct client *c, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);
	struct error e = ERROR_INIT;
	int more;

	do {
		strbuf_reset(&c->in);
		more = read_more(c, deadline, &e);
	} while (more > 0);
	/* A connection that broke has ended too. */
	return mono_ms_between(mono_now(), deadline) > 0 || more == 0;
}
