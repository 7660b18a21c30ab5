/*
 * Makes and ends connections of the client library, in a worker. natsConnection_Connect blocks, so a
 * helper thread calls it; the library's own threads call back with news. Both meet the loop in one place:
 * a lock, a list of the links that are alive, and the owner's eventfd. They touch nothing else of the
 * owner, so a link can be given up at any time. Must not call libevent.
 */
#include "common/nats/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/nats/helper.h"
#include "common/nats/options.h"
#include "common/nats/reason.h"
#include "common/nats/socket.h"
#include "common/xalloc.h"

#define GREETING_TRIES 4 /* behind one address may stand several servers */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nats_link *alive; /* by id, for the library's callbacks */
static uint64_t last_id;

static void
wake(const struct nats_link *link)
{
	uint64_t one = 1;

	/* Full means that it is readable already. */
	if (write(link->wake_fd, &one, sizeof one) < 0)
		return;
}

/* ---- callbacks of the library --------------------------------------------------------------------- */

static natsStatus
on_attach(void **user_data, void *loop, natsConnection *nc, natsSock fd)
{
	struct nats_link *link = loop;

	(void)nc;
	link->fd = fd;
	*user_data = link;
	return NATS_OK;
}

static natsStatus
on_read(void *user_data, bool add)
{
	(void)user_data;
	(void)add;
	return NATS_OK;
}

static natsStatus
on_write(void *user_data, bool add)
{
	struct nats_link *link = user_data;

	if (add && link->write_wanted != NULL)
		link->write_wanted(link->arg);
	return NATS_OK;
}

static natsStatus
on_detach(void *user_data)
{
	(void)user_data;
	return NATS_OK;
}

/* The link with that id if it is alive; the lock is held. */
static struct nats_link *
find(const void *id)
{
	struct nats_link *link;

	for (link = alive; link != NULL; link = link->next)
		if (link->id == (uint64_t)(uintptr_t)id)
			return link;
	return NULL;
}

static void
on_lame_duck(natsConnection *nc, void *id)
{
	struct nats_link *link;

	(void)nc;
	pthread_mutex_lock(&lock);
	link = find(id);
	if (link != NULL) {
		link->news.lame_duck = true;
		wake(link);
	}
	pthread_mutex_unlock(&lock);
}

static void
on_servers_changed(natsConnection *nc, void *id)
{
	struct nats_link *link;

	(void)nc;
	pthread_mutex_lock(&lock);
	link = find(id);
	if (link != NULL) {
		link->news.servers_changed = true;
		wake(link);
	}
	pthread_mutex_unlock(&lock);
}

/* Errors come in bunches: a server refuses each right that is asked for one by one. */
static void
add_error(struct nats_link_news *news, const char *text)
{
	size_t at = news->error_count;

	if (at < array_len(news->errors))
		news->error_count++;
	else
		at--;
	snprintf(news->errors[at], sizeof news->errors[at], "%s", text);
}

static void
on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *id)
{
	const char *text = nats_GetLastError(NULL);
	struct nats_link *link;

	(void)nc;
	(void)sub;
	pthread_mutex_lock(&lock);
	link = find(id);
	if (link != NULL) {
		add_error(&link->news, text != NULL && *text != '\0' ? text : natsStatus_GetText(status));
		wake(link);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- the helper thread ---------------------------------------------------------------------------- */

/* Whether the greeting is that of the server we are connected to; with several behind one address it may
 * be another's, then the version and the rest must not be taken from it. */
static bool
greeting_matches(struct nats_link *link)
{
	char id[128] = "";

	if (natsConnection_GetConnectedServerId(link->nc, id, sizeof id) != NATS_OK)
		return false;
	return link->greeting.server_id[0] != '\0' && strcmp(id, link->greeting.server_id) == 0;
}

static void
complete_greeting(struct nats_link *link)
{
	struct nats_server_info *info = &link->greeting.info;
	int tries = 0;

	while (!greeting_matches(link)) {
		nats_greeting_fini(&link->greeting);
		if (link->settings->tls_handshake_first || ++tries > GREETING_TRIES)
			break;
		(void)nats_greeting_read_peer(&link->greeting, link->fd, link->settings->connect_timeout_ms,
					      NULL);
	}
	/* Not known: then nobody is refused for it. */
	if (link->greeting.server_id[0] == '\0')
		info->jetstream = true;
	info->max_payload = (uint64_t)natsConnection_GetMaxPayload(link->nc);
	info->headers = natsConnection_HasHeaderSupport(link->nc) == NATS_OK;
	snprintf(info->url, sizeof info->url, "%s", link->server);
}

static int
connect_link(struct nats_link *link)
{
	struct nats_settings *s = link->settings;
	natsOptions *options;
	natsStatus status;
	bool tls;

	if (!s->tls_handshake_first &&
	    nats_greeting_read(&link->greeting, link->server, s->connect_timeout_ms, &link->error) < 0)
		return -1;
	tls = s->tls || link->greeting.tls_required;
	options = nats_options_new(s, link->server, link->tls_name, &link->error);
	if (options == NULL)
		return -1;
	void *id = (void *)(uintptr_t)link->id;

	natsOptions_SetEventLoop(options, link, on_attach, on_read, on_write, on_detach);
	natsOptions_SetLameDuckModeCB(options, on_lame_duck, id);
	natsOptions_SetDiscoveredServersCB(options, on_servers_changed, id);
	natsOptions_SetErrorHandler(options, on_error, id);
	status = natsConnection_Connect(&link->nc, options);
	if (status != NATS_OK) {
		link->nc = NULL;
		nats_reason_connect(&link->error, status, nats_GetLastError(NULL), tls, s);
	}
	natsOptions_Destroy(options);
	if (link->nc == NULL)
		return -1;
	socket_set_options(link->fd);
	complete_greeting(link);
	link->plain = !s->tls && link->greeting.server_id[0] != '\0' && !link->greeting.tls_required;
	if (!link->plain)
		link->relay = tls_relay_start(link->fd, link->wake_fd, &link->error);
	return link->plain || link->relay != NULL ? 0 : -1;
}

static void link_free(struct nats_link *link);

static void
thread_main(void *arg)
{
	struct nats_link *link = arg;
	bool abandoned;

	link->failed = connect_link(link) < 0;
	nats_settings_mask(link->settings, link->error.text);
	pthread_mutex_lock(&lock);
	link->done = true;
	abandoned = link->abandoned;
	if (!abandoned)
		wake(link);
	pthread_mutex_unlock(&lock);
	if (abandoned)
		link_free(link);
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct nats_link *
nats_link_start(struct nats_settings *settings, const char *server, const char *tls_name, int wake_fd,
		struct error *e)
{
	struct nats_link *link = xcalloc(1, sizeof *link);

	link->settings = nats_settings_ref(settings);
	link->server = xstrdup(server);
	link->tls_name = tls_name != NULL ? xstrdup(tls_name) : NULL;
	link->wake_fd = wake_fd;
	link->fd = -1;
	nats_greeting_init(&link->greeting);
	pthread_mutex_lock(&lock);
	link->id = ++last_id;
	link->next = alive;
	alive = link;
	pthread_mutex_unlock(&lock);
	if (helper_start(thread_main, link, e) == 0)
		return link;
	link->done = true;
	nats_link_close(&link);
	return NULL;
}

bool
nats_link_done(struct nats_link *link)
{
	bool done;

	pthread_mutex_lock(&lock);
	done = link->done;
	pthread_mutex_unlock(&lock);
	return done;
}

/*
 * Destroying an open connection with unsent data waits half a second for the server. So the socket is
 * reset first, and the library is let find that out.
 */
static void
cut(struct nats_link *link)
{
	int tries;

	tls_relay_end(&link->relay);
	socket_reset(link->fd);
	/* More than once: under TLS records that are there come first. */
	for (tries = 0; tries < 64 && !natsConnection_IsClosed(link->nc); tries++) {
		errno = 0;
		natsConnection_ProcessReadEvent(link->nc);
	}
}

static void
link_free(struct nats_link *link)
{
	if (link->nc != NULL) {
		if (!natsConnection_IsClosed(link->nc))
			cut(link);
		natsConnection_Destroy(link->nc);
	}
	tls_relay_end(&link->relay);
	nats_greeting_fini(&link->greeting);
	nats_settings_unref(&link->settings);
	free(link->server);
	free(link->tls_name);
	free(link);
}

void
nats_link_close(struct nats_link **linkp)
{
	struct nats_link *link = *linkp;
	struct nats_link **at;
	bool done;

	*linkp = NULL;
	if (link == NULL)
		return;
	pthread_mutex_lock(&lock);
	for (at = &alive; *at != link; at = &(*at)->next)
		;
	*at = link->next;
	done = link->done;
	link->abandoned = true;
	pthread_mutex_unlock(&lock);
	if (!done)
		return;
	link->write_wanted = NULL;
	link_free(link);
}

void
nats_link_news(struct nats_link *link, struct nats_link_news *out)
{
	pthread_mutex_lock(&lock);
	*out = link->news;
	link->news = (struct nats_link_news){0};
	pthread_mutex_unlock(&lock);
}

void
nats_link_reason(struct nats_link *link, char *out, size_t size)
{
	const char *text = NULL;
	natsStatus status = natsConnection_GetLastError(link->nc, &text);

	nats_reason_closed(status, text, out, size);
	nats_settings_mask(link->settings, out);
}
