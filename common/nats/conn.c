/*
 * The life of a connection, in a worker's loop: connecting by helper threads, back-off, up and down,
 * pings. One function takes it up, one takes it down. Must not wait for anything.
 */
#include "common/nats/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nats/conn_impl.h"
#include "common/nats/helper.h"
#include "common/nats/overrides.h"
#include "common/xalloc.h"

#define BACKOFF_FIRST_MS  100
#define BACKOFF_MAX_MS    5000
#define BACKOFF_FORGET_MS 5000 /* up for so long: the next loss is a new one */
#define HANGING_MAX       16   /* threads that a half-dead server may hold in a handshake */
#define EXIT_WAIT_MS      200
#define PING_EVERY_MS     2000
#define PINGS_UNANSWERED  3

static void start_link(struct nats_conn *c);

void
conn_enter(struct nats_conn *c)
{
	c->busy++;
}

static void
conn_destroy(struct nats_conn *c)
{
	bridge_fini(c);
	request_table_free(&c->requests);
	event_free(c->wake_event);
	event_free(c->retry_event);
	event_free(c->ping_event);
	close(c->wake_fd);
	nats_servers_fini(&c->servers);
	nats_settings_unref(&c->settings);
	free(c);
}

bool
conn_leave(struct nats_conn *c)
{
	if (--c->busy > 0 || !c->freed)
		return !c->freed;
	conn_destroy(c);
	return false;
}

static struct timeval
timeval_of(int64_t ms)
{
	return (struct timeval){ms / 1000, (ms % 1000) * 1000};
}

static void
arm(struct event *event, int64_t ms)
{
	struct timeval tv = timeval_of(ms);

	evtimer_add(event, &tv);
}

/* ---- trying --------------------------------------------------------------------------------------- */

static uint64_t
random_number(void)
{
	uint64_t number = 0;

	/* Short reads do not happen for so little; 0 would do, too: it only spreads. */
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0)
		number = (uint64_t)mono_now().ns;
	return number;
}

/* The next server at once; after each of them was tried, a pause that doubles, a quarter of it random. */
static void
schedule_retry(struct nats_conn *c)
{
	int64_t pause = 0;

	if (nats_servers_all_tried(&c->servers)) {
		nats_servers_connected(&c->servers);
		pause = c->backoff_ms == 0 ? BACKOFF_FIRST_MS : c->backoff_ms;
		c->backoff_ms = pause * 2 < BACKOFF_MAX_MS ? pause * 2 : BACKOFF_MAX_MS;
		pause -= (int64_t)(random_number() % (uint64_t)(pause / 4 + 1));
	}
	arm(c->retry_event, pause);
}

static void
attempt_failed(struct nats_conn *c, const char *reason)
{
	char text[1024];

	snprintf(text, sizeof text, "%s: %s", c->link->server, reason);
	nats_link_close(&c->link);
	schedule_retry(c);
	if (c->callbacks.down != NULL)
		c->callbacks.down(c->arg, false, text);
}

/* The helper thread hangs: a server that froze inside a TLS handshake. */
static void
attempt_hangs(struct nats_conn *c)
{
	conn_enter(c);
	attempt_failed(c, "no answer during connecting");
	conn_leave(c);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->link == NULL)
		start_link(c);
	else if (!c->up)
		attempt_hangs(c);
}

/* Announced servers come as addresses; their certificates have names: that of a configured server. */
static const char *
tls_name_for(const struct nats_conn *c, const char *url, char *buf, size_t size)
{
	const char *host;
	size_t i;

	for (i = 0; i < c->servers.count; i++)
		if (c->servers.list[i].configured && strcmp(c->servers.list[i].url, url) == 0)
			return NULL;
	for (i = 0; i < c->servers.count; i++) {
		if (!c->servers.list[i].configured)
			continue;
		host = strstr(c->servers.list[i].url, "://");
		host = host != NULL ? host + 3 : c->servers.list[i].url;
		snprintf(buf, size, "%.*s", (int)strcspn(host, ":"), host);
		/* An address is no better than the announced one. */
		if (strspn(buf, "0123456789.[") != strlen(buf))
			return buf;
	}
	return NULL;
}

static void
start_link(struct nats_conn *c)
{
	const char *server = nats_servers_next(&c->servers);
	struct error e = ERROR_INIT;
	char tls_name[256];

	if (server == NULL)
		return;
	if (helper_running() > HANGING_MAX)
		error_set(&e, ERR_SYSTEM, "%s: too many earlier attempts still hang", server);
	else
		c->link = nats_link_start(c->settings, server,
					  tls_name_for(c, server, tls_name, sizeof tls_name), c->wake_fd, &e);
	if (c->link != NULL) {
		/* Greeting, login and a second greeting each have their time. */
		arm(c->retry_event, 3 * c->settings->connect_timeout_ms + 1000);
		return;
	}
	conn_enter(c);
	schedule_retry(c);
	if (c->callbacks.down != NULL)
		c->callbacks.down(c->arg, false, e.text);
	conn_leave(c);
}

/* ---- up and down ---------------------------------------------------------------------------------- */

static void
go_up(struct nats_conn *c)
{
	event_del(c->retry_event);
	c->up = true;
	c->up_since = c->last_read = mono_now();
	c->unanswered = 0;
	nats_servers_connected(&c->servers);
	nats_servers_announced(&c->servers, c->link->greeting.announced, c->link->greeting.announced_count,
			       c->settings->tls);
	bridge_start(c);
	nats_conn_write_until(c, c->write_end); /* its relay is new */
	arm(c->ping_event, PING_EVERY_MS);
	if (c->callbacks.up != NULL)
		c->callbacks.up(c->arg);
}

/* Takes the connection down without telling anybody but its own parts. */
static void
go_down(struct nats_conn *c)
{
	c->up = false;
	event_del(c->ping_event);
	bridge_stop(c);
	subscribe_lost(c);
	nats_link_close(&c->link);
}

void
conn_lost(struct nats_conn *c, const char *reason)
{
	char text[1024];

	if (!c->up)
		return;
	snprintf(text, sizeof text, "%s: %s", c->link->server, reason);
	if (mono_ms_between(c->up_since, mono_now()) >= BACKOFF_FORGET_MS)
		c->backoff_ms = 0;
	go_down(c);
	conn_enter(c);
	if (c->backoff_ms == 0) {
		c->backoff_ms = BACKOFF_FIRST_MS;
		arm(c->retry_event, 0);
	} else {
		/* It was up for a moment only: that counts as a failed round. */
		c->servers.tried = c->servers.count;
		schedule_retry(c);
	}
	request_table_lost(c->requests);
	if (c->started && c->callbacks.down != NULL)
		c->callbacks.down(c->arg, true, text);
	conn_leave(c);
}

/* ---- news ----------------------------------------------------------------------------------------- */

static void
take_announced(struct nats_conn *c)
{
	char **urls = NULL;
	char **hosts;
	int i, count = 0;

	if (natsConnection_GetDiscoveredServers(c->link->nc, &urls, &count) != NATS_OK || count <= 0)
		return;
	hosts = xcalloc((size_t)count, sizeof *hosts);
	for (i = 0; i < count; i++)
		hosts[i] = strstr(urls[i], "://") != NULL ? strstr(urls[i], "://") + 3 : urls[i];
	nats_servers_announced(&c->servers, hosts, (size_t)count, c->settings->tls);
	free(hosts);
	for (i = 0; i < count; i++)
		free(urls[i]);
	free(urls);
}

static void
take_news(struct nats_conn *c)
{
	struct nats_link *link = c->link;
	struct nats_link_news news;

	nats_link_news(link, &news);
	/* What is announced grows stale without the callback telling: look whenever there is a reason. */
	if (news.servers_changed || news.lame_duck)
		take_announced(c);
	for (size_t i = 0; i < news.error_count && c->callbacks.async_error != NULL; i++)
		if (!c->freed && c->link == link) /* a callback may end it */
			c->callbacks.async_error(c->arg, news.errors[i]);
	if (news.lame_duck && !c->freed && c->link == link)
		conn_lost(c, "the server is about to shut down (lame duck): moving to another one");
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0 || c->link == NULL)
		return;
	conn_enter(c);
	if (c->up) {
		take_news(c);
		if (c->up)
			bridge_tell_writable(c);
	} else if (nats_link_done(c->link) && c->link->failed)
		attempt_failed(c, c->link->error.text);
	else if (nats_link_done(c->link))
		go_up(c);
	conn_leave(c);
}

/* ---- signs of life -------------------------------------------------------------------------------- */

static void
on_ping_timer(evutil_socket_t fd, short what, void *arg)
{
	struct nats_conn *c = arg;
	int64_t quiet = mono_ms_between(c->last_read, mono_now());

	(void)fd;
	(void)what;
	if (!c->up)
		return;
	if (c->reading_stopped || quiet < PING_EVERY_MS) {
		/* We do not read: that no answer came says nothing. */
		c->unanswered = 0;
		arm(c->ping_event, c->reading_stopped ? PING_EVERY_MS : PING_EVERY_MS - quiet);
	} else if (c->unanswered >= PINGS_UNANSWERED) {
		conn_lost(c, "the server did not answer three pings");
	} else {
		c->unanswered++;
		publish_ping(c);
		arm(c->ping_event, PING_EVERY_MS);
	}
}

/* ---- for the owner -------------------------------------------------------------------------------- */

static void
make_inbox(char *out, size_t size)
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t used = (size_t)snprintf(out, size, "_INBOX.");
	uint64_t number = 0;
	int i;

	for (i = 0; i < 22; i++) {
		if (i % 10 == 0)
			number = random_number();
		out[used++] = letters[number % (sizeof letters - 1)];
		number /= sizeof letters - 1;
	}
	out[used] = '\0';
}

/* A process without eventfds to be had can do nothing; its supervisor starts it again. */
static int
make_wake_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0) {
		perror("eventfd");
		abort();
	}
	return fd;
}

struct nats_conn *
nats_conn_new(struct event_base *base, const struct endpoint *ep, const char *label, const char *client_name,
	      const struct nats_conn_callbacks *callbacks, void *arg)
{
	struct nats_conn *c = xcalloc(1, sizeof *c);

	c->base = base;
	c->settings = nats_settings_new(ep, label, client_name);
	c->callbacks = *callbacks;
	c->arg = arg;
	make_inbox(c->inbox, sizeof c->inbox);
	nats_servers_init(&c->servers, ep->servers, ep->server_count, random_number());
	c->wake_fd = make_wake_fd();
	c->wake_event = event_new(base, c->wake_fd, EV_READ | EV_PERSIST, on_wake, c);
	event_add(c->wake_event, NULL);
	c->retry_event = evtimer_new(base, on_retry, c);
	c->ping_event = evtimer_new(base, on_ping_timer, c);
	bridge_init(c);
	c->requests = request_table_new(c);
	return c;
}

void
nats_conn_start(struct nats_conn *c)
{
	if (c->started)
		return;
	c->started = true;
	c->backoff_ms = 0;
	nats_servers_connected(&c->servers);
	arm(c->retry_event, 0);
}

void
nats_conn_stop(struct nats_conn *c)
{
	c->started = false;
	event_del(c->retry_event);
	if (c->up)
		go_down(c);
	else
		nats_link_close(&c->link);
	conn_enter(c);
	request_table_lost(c->requests);
	conn_leave(c);
}

void
nats_conn_reconnect(struct nats_conn *c, const char *reason)
{
	if (c->up)
		conn_lost(c, reason);
	else if (c->started && c->link == NULL)
		arm(c->retry_event, 0);
}

void
nats_conn_write_until(struct nats_conn *c, struct mono end)
{
	c->write_end = end;
	if (c->up && c->link->relay != NULL)
		tls_relay_write_until(c->link->relay, end);
}

void
nats_conn_release_inbox(struct nats_conn *c)
{
	request_table_release(c->requests);
}

void
nats_conn_free(struct nats_conn **cp)
{
	struct nats_conn *c = *cp;
	struct nats_sub *s;

	*cp = NULL;
	if (c == NULL)
		return;
	memset(&c->callbacks, 0, sizeof c->callbacks);
	request_table_free(&c->requests);
	nats_conn_stop(c);
	for (s = c->subs; s != NULL; s = s->next)
		s->conn = NULL;
	c->subs = NULL;
	conn_enter(c);
	c->freed = true;
	conn_leave(c);
}

struct event_base *
nats_conn_base(const struct nats_conn *c)
{
	return c->base;
}

bool
nats_conn_is_up(const struct nats_conn *c)
{
	return c->up;
}

const struct nats_server_info *
nats_conn_info(const struct nats_conn *c)
{
	return &c->link->greeting.info;
}

bool
nats_conn_server_at_least(const struct nats_conn *c, int major, int minor)
{
	const struct nats_server_info *info;

	if (!c->up)
		return false;
	info = nats_conn_info(c);
	return info->major != major ? info->major > major : info->minor >= minor;
}

void
nats_conn_new_inbox(struct nats_conn *c, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s.%llu", c->inbox, (unsigned long long)++c->next_inbox);
}

int
nats_library_start(struct error *e)
{
	natsStatus status = nats_Open(0);

	if (status != NATS_OK)
		return error_set(e, ERR_SYSTEM, "NATS client library: %s", natsStatus_GetText(status));
	if (!overrides_work())
		log_warn(
		    "nats",
		    "NATS client library %s was linked so that nothing of it can be replaced: it is slower, "
		    "a "
		    "message without body and with a header \"Status: 503\" cannot be copied, and questions "
		    "that nobody answers take their whole time",
		    nats_GetVersion());
	return 0;
}

void
nats_library_stop(void)
{
	/* A helper thread that hangs in a handshake ends with the process. */
	if (helper_wait_all(EXIT_WAIT_MS))
		nats_Close();
}
