/*
 * A TCP link of the tests: delay (a real delay line, not a throttle), bandwidth, cuts, silence, and TLS
 * records of which half is held back. One process a link, one thread, epoll; told what to do by lines
 * on stdin, each answered by one line on stdout; ends with its stdin.
 *
 *     delay_proxy TARGET_PORT      listens on a free port of 127.0.0.1 and prints it
 *
 *     delay MS            each way, for bytes read from now on
 *     rate BYTES          a second and way, all connections of a way together; 0 for no limit
 *     freeze up|down|both silence: bytes, and the ends of connections, wait (up: towards the target)
 *     freeze-now …        the same for the connections that are there; new ones pass
 *     thaw                what waited goes on
 *     hold up|down        the next application record of TLS stops in the middle
 *     cut                 all connections are reset; what waited is gone
 *     refuse on|off       new connections are reset
 *     stats               connections, bytes passed up and down, connections made so far
 *
 * A chunk is stamped when it is read and leaves when it is due, so that any number of bytes can be on
 * their way; QUEUE_MAX bounds the memory of a way (at 100 ms each way, above 600 MB/s).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_MAX (64 * 1024)
#define QUEUE_MAX (64 * 1024 * 1024)
#define LINE_SIZE 256

enum { UP, DOWN, WAYS };

struct chunk {
	struct chunk *next;
	int64_t due_ns;
	size_t len, done;
	uint8_t data[];
};

/* Finds the borders of TLS records in a way's bytes; NATS says one line in the clear first (down). */
struct records {
	bool in_clear;
	uint8_t head[5];
	size_t head_len;
	size_t left; /* of the record's body */
};

/* One direction of a connection. */
struct way {
	int from, to; /* not owned: of struct conn */
	int side;     /* UP or DOWN: where it leads */
	bool frozen;
	bool eof;      /* nothing more will be read; passed on once the queue is empty */
	bool reset;    /* … as a reset */
	bool finished; /* its end was passed on, or nobody is there to take anything */
	bool blocked;  /* `to` takes no more now */
	struct chunk *first, **last;
	size_t queued;
	struct records records;
	size_t pass; /* bytes that may leave before a held record's second half; SIZE_MAX without one */
};

/* fd[UP] is the target's and fd[DOWN] the client's: way[UP] reads fd[DOWN] and writes fd[UP]. */
struct conn {
	struct conn *next;
	int fd[WAYS];
	uint32_t watched[WAYS];
	bool gone[WAYS]; /* that peer has reset the connection */
	bool connecting, dead;
	struct way way[WAYS];
};

static struct conn *conns;
static int epoll_fd, timer_fd, listen_fd, target_port;
static int64_t delay_ns, rate;
static int64_t free_ns[WAYS]; /* when a way is free again, at the rate */
static bool freeze_new[WAYS], hold_armed[WAYS], refuse;
static uint64_t passed[WAYS], made;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void
die(const char *what)
{
	fprintf(stderr, "delay_proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(int fd, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data = {.fd = fd}};

	if (epoll_ctl(epoll_fd, op, fd, &ev) != 0)
		die("epoll_ctl");
}

static void
drop_chunks(struct way *w)
{
	struct chunk *c;

	while ((c = w->first) != NULL) {
		w->first = c->next;
		free(c);
	}
	w->last = &w->first;
	w->queued = 0;
}

/* The peers of a dead connection see a reset. Freed at the end of the loop turn. */
static void
conn_reset(struct conn *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	int i;

	if (c->dead)
		return;
	c->dead = true;
	for (i = 0; i < WAYS; i++) {
		(void)setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(c->fd[i]);
		drop_chunks(&c->way[i]);
	}
}

static void
free_dead(void)
{
	struct conn **p = &conns, *c;

	while ((c = *p) != NULL) {
		if (c->way[UP].finished && c->way[DOWN].finished)
			conn_reset(c);
		if (!c->dead) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		free(c);
	}
}

/*
 * Walks data from *at to behind the next head of an application record (then true; records.left is the
 * length of its body) or to the end.
 */
static bool
next_record(struct records *r, const uint8_t *data, size_t len, size_t *at)
{
	size_t step;

	while (*at < len) {
		if (r->in_clear) {
			r->in_clear = data[(*at)++] != '\n';
		} else if (r->left > 0) {
			step = len - *at < r->left ? len - *at : r->left;
			r->left -= step;
			*at += step;
		} else {
			r->head[r->head_len++] = data[(*at)++];
			if (r->head_len < sizeof(r->head))
				continue;
			r->head_len = 0;
			r->left = (size_t)r->head[3] << 8 | r->head[4];
			if (r->head[0] == 23)
				return true;
		}
	}
	return false;
}

/* Follows the records also while nothing is to be held, so that their borders are known when it is. */
static void
look_for_record(struct way *w, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (next_record(&w->records, data, len, &at)) {
		if (!hold_armed[w->side] || w->pass != SIZE_MAX)
			continue;
		w->pass = w->queued + at + w->records.left / 2;
		hold_armed[w->side] = false;
	}
}

/* The peer has reset the connection: what it sent before still arrives, then the other side sees it. */
static void
peer_gone(struct conn *c, int side)
{
	struct way *from = &c->way[side == UP ? DOWN : UP], *to = &c->way[side];

	if (c->gone[side])
		return;
	c->gone[side] = true;
	watch(c->fd[side], 0, EPOLL_CTL_DEL);
	from->eof = from->reset = true;
	drop_chunks(to);
	to->eof = to->finished = true;
}

/* True if there may be more. */
static bool
way_read(struct conn *c, struct way *w)
{
	struct chunk *k;
	ssize_t n;

	if (w->eof || w->queued >= QUEUE_MAX)
		return false;
	if ((k = malloc(sizeof(*k) + CHUNK_MAX)) == NULL)
		die("malloc");
	n = recv(w->from, k->data, CHUNK_MAX, MSG_DONTWAIT);
	if (n <= 0) {
		free(k);
		if (n == 0)
			w->eof = true;
		else if (errno != EAGAIN && errno != EINTR)
			peer_gone(c, w->side == UP ? DOWN : UP);
		return false;
	}
	look_for_record(w, k->data, (size_t)n);
	if ((k = realloc(k, sizeof(*k) + (size_t)n)) == NULL)
		die("realloc");
	k->next = NULL;
	k->len = (size_t)n;
	k->done = 0;
	k->due_ns = now_ns() + delay_ns;
	*w->last = k;
	w->last = &k->next;
	w->queued += k->len;
	return true;
}

/* How much of the first chunk may leave now; 0 and an earlier *wake_ns if it is a matter of time. */
static size_t
allowed(const struct way *w, int64_t now, int64_t *wake_ns)
{
	const struct chunk *k = w->first;
	int64_t due = k->due_ns;
	size_t len = k->len - k->done;

	if (w->frozen)
		return 0;
	if (rate > 0 && free_ns[w->side] > due)
		due = free_ns[w->side];
	if (due > now) {
		if (due < *wake_ns)
			*wake_ns = due;
		return 0;
	}
	/* at a rate, slices of about 5 ms */
	if (rate > 0 && (int64_t)len > rate / 200 + 1)
		len = (size_t)(rate / 200 + 1);
	return len < w->pass ? len : w->pass;
}

static void
account(struct way *w, size_t n, int64_t now)
{
	passed[w->side] += n;
	w->queued -= n;
	if (w->pass != SIZE_MAX)
		w->pass -= n;
	if (rate == 0)
		return;
	if (free_ns[w->side] < now)
		free_ns[w->side] = now;
	free_ns[w->side] += (int64_t)n * 1000000000 / rate;
}

static void
remove_first(struct way *w)
{
	struct chunk *k = w->first;

	if ((w->first = k->next) == NULL)
		w->last = &w->first;
	free(k);
}

static void
pass_end(struct conn *c, struct way *w)
{
	if (w->reset) {
		conn_reset(c);
		return;
	}
	(void)shutdown(w->to, SHUT_WR);
	w->finished = true;
}

static void
way_write(struct conn *c, struct way *w, int64_t now, int64_t *wake_ns)
{
	struct chunk *k;
	size_t len;
	ssize_t n;

	while ((k = w->first) != NULL && !w->blocked && (len = allowed(w, now, wake_ns)) > 0) {
		n = send(w->to, k->data + k->done, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			w->blocked = errno == EAGAIN || errno == EINTR;
			if (!w->blocked)
				peer_gone(c, w->side);
			return;
		}
		account(w, (size_t)n, now);
		k->done += (size_t)n;
		if (k->done == k->len)
			remove_first(w);
	}
	if (w->eof && w->first == NULL && !w->finished && !w->frozen)
		pass_end(c, w);
}

static void
conn_watch(struct conn *c)
{
	int side;

	for (side = 0; side < WAYS; side++) {
		const struct way *reads = &c->way[side == UP ? DOWN : UP], *writes = &c->way[side];
		uint32_t events = 0;

		if (!reads->eof && reads->queued < QUEUE_MAX)
			events |= EPOLLIN;
		if (writes->blocked || (side == UP && c->connecting))
			events |= EPOLLOUT;
		if (c->gone[side] || c->watched[side] == events)
			continue;
		c->watched[side] = events;
		watch(c->fd[side], events, EPOLL_CTL_MOD);
	}
}

static int64_t
move_all(void)
{
	int64_t wake = INT64_MAX, now = now_ns();
	struct conn *c;
	int i;

	for (c = conns; c != NULL; c = c->next) {
		for (i = 0; i < WAYS && !c->dead && !c->connecting; i++)
			way_write(c, &c->way[i], now, &wake);
		if (!c->dead)
			conn_watch(c);
	}
	return wake;
}

static void
way_init(struct way *w, int from, int to, int side)
{
	w->from = from;
	w->to = to;
	w->side = side;
	w->frozen = freeze_new[side];
	w->last = &w->first;
	w->records.in_clear = side == DOWN;
	w->pass = SIZE_MAX;
}

static void
accept_one(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target_port)};
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	struct conn *c;
	int one = 1, in, out;

	if ((in = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
		return;
	if (refuse) {
		(void)setsockopt(in, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(in);
		return;
	}
	if ((out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		die("socket");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)connect(out, (struct sockaddr *)&to, sizeof(to));
	if ((c = calloc(1, sizeof(*c))) == NULL)
		die("calloc");
	c->fd[UP] = out;
	c->fd[DOWN] = in;
	c->connecting = true;
	way_init(&c->way[UP], in, out, UP);
	way_init(&c->way[DOWN], out, in, DOWN);
	c->next = conns;
	conns = c;
	made++;
	watch(in, 0, EPOLL_CTL_ADD);
	watch(out, 0, EPOLL_CTL_ADD);
}

static void
conn_event(struct conn *c, int side, uint32_t events)
{
	struct way *reads = &c->way[side == UP ? DOWN : UP];
	int error = 0;
	socklen_t len = sizeof(error);

	if (side == UP && c->connecting) {
		(void)getsockopt(c->fd[UP], SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			conn_reset(c);
			return;
		}
		c->connecting = (events & EPOLLOUT) == 0;
	}
	if (events & EPOLLOUT)
		c->way[side].blocked = false;
	/* What came before a reset can still be read. */
	while ((events & (EPOLLIN | EPOLLERR)) && way_read(c, reads) && (events & EPOLLERR))
		continue;
	if (events & EPOLLERR)
		peer_gone(c, side);
	else if ((events & EPOLLHUP) && reads->eof && !c->gone[side]) {
		/* Both directions have ended in order; epoll would report it for ever. */
		c->gone[side] = true;
		watch(c->fd[side], 0, EPOLL_CTL_DEL);
	}
}

static bool
set_ways(const char *which, bool *up, bool *down)
{
	*up = strcmp(which, "up") == 0 || strcmp(which, "both") == 0;
	*down = strcmp(which, "down") == 0 || strcmp(which, "both") == 0;
	return *up || *down;
}

static void
freeze_all(bool up, bool down, bool thaw)
{
	struct conn *c;

	for (c = conns; c != NULL; c = c->next) {
		c->way[UP].frozen = !thaw && (c->way[UP].frozen || up);
		c->way[DOWN].frozen = !thaw && (c->way[DOWN].frozen || down);
		if (thaw)
			c->way[UP].pass = c->way[DOWN].pass = SIZE_MAX;
	}
}

static void
print_stats(void)
{
	struct conn *c;
	unsigned n = 0;

	for (c = conns; c != NULL; c = c->next)
		n += !c->dead;
	printf("%u %llu %llu %llu\n", n, (unsigned long long)passed[UP], (unsigned long long)passed[DOWN],
	       (unsigned long long)made);
}

/* Returns false for a line that makes no sense. */
static bool
obey(char *line)
{
	char verb[32] = "", arg[64] = "";
	bool up = false, down = false;
	struct conn *c;

	if (sscanf(line, "%31s %63s", verb, arg) < 1)
		return false;
	if (strcmp(verb, "delay") == 0) {
		delay_ns = (int64_t)(strtod(arg, NULL) * 1e6);
	} else if (strcmp(verb, "rate") == 0) {
		rate = strtoll(arg, NULL, 10);
	} else if (strcmp(verb, "freeze") == 0 && set_ways(arg, &up, &down)) {
		freeze_all(up, down, false);
		freeze_new[UP] = freeze_new[UP] || up;
		freeze_new[DOWN] = freeze_new[DOWN] || down;
	} else if (strcmp(verb, "freeze-now") == 0 && set_ways(arg, &up, &down)) {
		freeze_all(up, down, false);
	} else if (strcmp(verb, "thaw") == 0) {
		freeze_new[UP] = freeze_new[DOWN] = hold_armed[UP] = hold_armed[DOWN] = false;
		freeze_all(false, false, true);
	} else if (strcmp(verb, "hold") == 0 && set_ways(arg, &up, &down)) {
		hold_armed[UP] = hold_armed[UP] || up;
		hold_armed[DOWN] = hold_armed[DOWN] || down;
	} else if (strcmp(verb, "cut") == 0) {
		for (c = conns; c != NULL; c = c->next)
			conn_reset(c);
	} else if (strcmp(verb, "refuse") == 0) {
		refuse = strcmp(arg, "on") == 0;
	} else if (strcmp(verb, "stats") != 0) {
		return false;
	}
	if (strcmp(verb, "stats") == 0)
		print_stats();
	else
		puts("ok");
	return true;
}

static void
read_commands(void)
{
	static char line[LINE_SIZE];
	static size_t len;
	char c;
	ssize_t n;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1) {
		if (c != '\n' && len < sizeof(line) - 1) {
			line[len++] = c;
			continue;
		}
		line[len] = '\0';
		len = 0;
		if (!obey(line))
			puts("what?");
		fflush(stdout);
	}
	if (n == 0)
		exit(0);
}

static void
open_listener(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(listen_fd, 128) != 0 || getsockname(listen_fd, (struct sockaddr *)&at, &len) != 0)
		die("listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
}

static void
dispatch(int fd, uint32_t events)
{
	struct conn *c;
	int side;

	if (fd == STDIN_FILENO) {
		read_commands();
		return;
	}
	if (fd == listen_fd) {
		accept_one();
		return;
	}
	for (c = conns; c != NULL; c = c->next)
		for (side = 0; side < WAYS && !c->dead; side++)
			if (c->fd[side] == fd) {
				conn_event(c, side, events);
				return;
			}
}

static void
set_timer(int64_t wake_ns)
{
	struct itimerspec t = {{0, 0}, {0, 0}};

	if (wake_ns != INT64_MAX) {
		t.it_value.tv_sec = wake_ns / 1000000000;
		t.it_value.tv_nsec = wake_ns % 1000000000;
	}
	(void)timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

int
main(int argc, char **argv)
{
	struct epoll_event ev[64];
	uint64_t ticks;
	int i, n;

	if (argc != 2 || (target_port = atoi(argv[1])) <= 0) {
		fprintf(stderr, "usage: delay_proxy TARGET_PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	(void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	open_listener();
	watch(listen_fd, EPOLLIN, EPOLL_CTL_ADD);
	watch(timer_fd, EPOLLIN, EPOLL_CTL_ADD);
	watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
	for (;;) {
		set_timer(move_all());
		free_dead();
		n = epoll_wait(epoll_fd, ev, 64, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.fd == timer_fd)
				(void)!read(timer_fd, &ticks, sizeof(ticks));
			else
				dispatch(ev[i].data.fd, ev[i].events);
		}
	}
}
