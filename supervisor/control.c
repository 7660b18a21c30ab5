/*
 * The control socket. Runs in the supervisor.
 *
 * Invariants: at most CONTROL_MAX_CLIENTS connections, each with at most one line's worth of input and a
 * bounded output; a client that sends nonsense, too much, or does not read is dropped and nothing else
 * happens; one line a wake-up is answered, so that no client holds the loop.
 */
#include "supervisor/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xalloc.h"

/* Replies of this size and more wait for a client that does not take them: enough for thousands of topics. */
#define MAX_OUTPUT_BYTES (16 * 1024 * 1024)

struct client {
	struct control *control;
	struct bufferevent *bev;
	struct event *deadline; /* of its next whole line */
	bool closing;           /* nothing more is read; ends when its output is written */
	struct client *next;
};

struct listener {
	char *path;
	int fd; /* -1 for none */
	struct event *acceptable;
	dev_t dev; /* of the socket file, to know it again */
	ino_t ino;
};

struct control {
	struct event_base *base;
	struct listener listener;
	int reserve; /* given up for a moment when fds run out, so that a client can be turned away */
	struct timeval idle;
	struct timeval slow;
	control_answer_fn *answer;
	void *arg;
	struct client *clients;
	unsigned client_count;
};

/* ---- clients ---- */

static void
client_drop(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->control->client_count--;
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
}

static void
expect_line(struct client *c)
{
	evtimer_add(c->deadline, &c->control->idle);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_drop(arg);
}

static void
send_reply(struct client *c, json_t *reply)
{
	char *text = json_dumps(reply, JSON_COMPACT);

	if (text != NULL) {
		bufferevent_write(c->bev, text, strlen(text));
		bufferevent_write(c->bev, "\n", 1);
	}
	free(text);
	json_decref(reply);
}

/* Says why, and ends the connection once that is written. */
static void
refuse_client(struct client *c, const char *why)
{
	log_warn("supervisor", "control: a client is dropped: %s", why);
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
	send_reply(c, request_refusal("%s", why));
}

static void
answer_line(struct client *c, const char *line, size_t len)
{
	struct request request;
	struct error e = ERROR_INIT;

	if (request_parse(line, len, &request, &e) != 0)
		refuse_client(c, e.text);
	else if (request.verb == REQUEST_UNKNOWN)
		send_reply(c, request_refusal("verb \"%.100s\" is not known", request.name));
	else
		send_reply(c, c->control->answer(c->control->arg, &request));
	/* Who asked for the end waits for it. */
	if (request.verb == REQUEST_STOP)
		evtimer_del(c->deadline);
	else
		expect_line(c);
	request_fini(&request);
}

/* Answers one line of the input; false if there is none. */
static bool
answer_next(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len;
	char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);

	if (line != NULL)
		answer_line(c, line, len);
	else if (evbuffer_get_length(in) > REQUEST_MAX_BYTES)
		refuse_client(c, "line is too long");
	if (c->closing)
		evbuffer_drain(in, evbuffer_get_length(in));
	free(line);
	return line != NULL && evbuffer_get_length(in) > 0;
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	bool more = answer_next(c);

	if (evbuffer_get_length(bufferevent_get_output(bev)) > MAX_OUTPUT_BYTES)
		client_drop(c);
	else if (more)
		/* Each line has a turn of the loop of its own. */
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->closing)
		client_drop(c);
}

/* A client that has shut down its sending side still gets the answers to what it sent. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	struct client *c = arg;

	if ((what & BEV_EVENT_EOF) != 0 && !c->closing)
		while (evbuffer_get_length(out) <= MAX_OUTPUT_BYTES && answer_next(c))
			;
	if ((what & BEV_EVENT_EOF) != 0 && evbuffer_get_length(out) > 0)
		c->closing = true;
	else
		client_drop(c);
}

static void
client_new(struct control *control, int fd)
{
	struct client *c = xcalloc(1, sizeof *c);

	c->control = control;
	c->bev = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		close(fd);
		free(c);
		return;
	}
	c->deadline = evtimer_new(control->base, on_deadline, c);
	if (c->deadline == NULL)
		abort();
	expect_line(c);
	c->next = control->clients;
	control->clients = c;
	control->client_count++;
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 2 * REQUEST_MAX_BYTES);
	bufferevent_set_timeouts(c->bev, NULL, &control->slow);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* Out of fds: turns the client away, for a listener that stays readable would spin. */
static void
turn_away(struct control *control)
{
	int fd;

	close(control->reserve);
	fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	control->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warn("supervisor", "control: a client is dropped: no file descriptors left");
}

static void
on_acceptable(evutil_socket_t listening, short what, void *arg)
{
	struct control *control = arg;
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(control);
	} else if (control->client_count >= CONTROL_MAX_CLIENTS) {
		log_warn("supervisor", "control: a client is dropped: %d are connected", CONTROL_MAX_CLIENTS);
		close(fd);
	} else {
		client_new(control, fd);
	}
}

/* ---- the socket ---- */

static int
make_address(const char *path, struct sockaddr_un *address, struct error *e)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof address->sun_path)
		return error_set(
		    e, ERR_CONFIG,
		    "control_socket \"%s\": path of %zu bytes, the system allows %zu; set a shorter one",
		    path, strlen(path), sizeof address->sun_path - 1);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Removes the socket file of a process that is gone. */
static int
clear_stale(const char *path, const struct sockaddr_un *address, struct error *e)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, ERR_CONFLICT, "control_socket \"%s\": a file of that name is in the way",
				 path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set_errno(e, ERR_SYSTEM, "control_socket");
	rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
	if (rc == 0 || errno == EAGAIN)
		rc = error_set(e, ERR_CONFLICT,
			       "control_socket \"%s\": another stream-replicator is running on it", path);
	else if (errno != ECONNREFUSED || unlink(path) != 0)
		rc = error_set_errno(e, ERR_SYSTEM, "control_socket \"%s\"", path);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int
listen_on(const char *path, struct error *e)
{
	struct sockaddr_un address;
	mode_t old;
	int fd, rc;

	if (make_address(path, &address, e) != 0 || clear_stale(path, &address, e) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set_errno(e, ERR_SYSTEM, "control_socket");
	/* From its birth nobody else may connect to it. */
	old = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(old);
	if (rc != 0 || listen(fd, CONTROL_MAX_CLIENTS) != 0) {
		error_set_errno(e, ERR_SYSTEM, "control_socket \"%s\"", path);
		if (rc == 0)
			unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}

/* Closes it and removes its file, if that is still ours. */
static void
listener_fini(struct listener *l)
{
	struct stat st;

	if (l->acceptable != NULL)
		event_free(l->acceptable);
	if (l->fd >= 0)
		close(l->fd);
	if (l->fd >= 0 && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	free(l->path);
	*l = (struct listener){.fd = -1};
}

static int
listener_init(struct listener *l, struct control *c, const char *path, struct error *e)
{
	struct stat st;

	*l = (struct listener){.fd = listen_on(path, e)};
	if (l->fd < 0)
		return -1;
	l->path = xstrdup(path);
	if (lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	l->acceptable = event_new(c->base, l->fd, EV_READ | EV_PERSIST, on_acceptable, c);
	if (l->acceptable != NULL && event_add(l->acceptable, NULL) == 0)
		return 0;
	listener_fini(l);
	return error_set(e, ERR_SYSTEM, "control_socket \"%s\": cannot watch it", path);
}

struct control *
control_new(struct event_base *base, const char *path, control_answer_fn *answer, void *arg, struct error *e)
{
	struct control *c = xcalloc(1, sizeof *c);

	c->base = base;
	c->answer = answer;
	c->arg = arg;
	c->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	control_set_patience(c, CONTROL_IDLE_MS, CONTROL_SLOW_MS);
	if (listener_init(&c->listener, c, path, e) != 0)
		control_free(&c);
	return c;
}

int
control_move(struct control *c, const char *path, struct error *e)
{
	struct listener moved;

	if (strcmp(path, c->listener.path) == 0)
		return 0;
	if (listener_init(&moved, c, path, e) != 0)
		return -1;
	listener_fini(&c->listener);
	c->listener = moved;
	return 0;
}

/* The loop does not run any more: what the socket takes at once. The bufferevent keeps its buffer closed for
 * others. */
static void
write_last(struct client *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_unfreeze(out, 1);
	evbuffer_write(out, bufferevent_getfd(c->bev));
	evbuffer_freeze(out, 1);
}

void
control_free(struct control **control)
{
	struct control *c = *control;

	*control = NULL;
	if (c == NULL)
		return;
	while (c->clients != NULL) {
		write_last(c->clients);
		client_drop(c->clients);
	}
	listener_fini(&c->listener);
	close(c->reserve);
	free(c);
}

void
control_set_patience(struct control *c, int idle_ms, int slow_ms)
{
	c->idle = (struct timeval){idle_ms / 1000, idle_ms % 1000 * 1000};
	c->slow = (struct timeval){slow_ms / 1000, slow_ms % 1000 * 1000};
}
