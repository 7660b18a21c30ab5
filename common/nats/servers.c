/*
 * List of servers, in a worker. A small array: a cluster has a handful. The order is the order of
 * trying, and whoever was handed out last stands last.
 */
#include "common/nats/servers.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

static void
add(struct nats_servers *s, char *url, bool configured)
{
	s->list = xrealloc(s->list, (s->count + 1) * sizeof *s->list);
	s->list[s->count++] = (struct nats_server_entry){url, configured};
}

static void
add_first(struct nats_servers *s, char *url)
{
	add(s, NULL, false);
	memmove(s->list + 1, s->list, (s->count - 1) * sizeof *s->list);
	s->list[0] = (struct nats_server_entry){url, false};
}

static void
rotate(struct nats_servers *s)
{
	struct nats_server_entry first = s->list[0];

	memmove(s->list, s->list + 1, (s->count - 1) * sizeof *s->list);
	s->list[s->count - 1] = first;
}

void
nats_servers_init(struct nats_servers *s, char *const *urls, size_t count, uint64_t random)
{
	size_t i;

	memset(s, 0, sizeof *s);
	for (i = 0; i < count; i++)
		add(s, xstrdup(urls[i]), true);
	for (i = 0; count > 0 && i < random % count; i++)
		rotate(s);
}

void
nats_servers_fini(struct nats_servers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		free(s->list[i].url);
	free(s->list);
	memset(s, 0, sizeof *s);
}

const char *
nats_servers_next(struct nats_servers *s)
{
	if (s->count == 0)
		return NULL;
	rotate(s);
	s->tried++;
	return s->list[s->count - 1].url;
}

bool
nats_servers_all_tried(const struct nats_servers *s)
{
	return s->tried >= s->count;
}

void
nats_servers_connected(struct nats_servers *s)
{
	s->tried = 0;
}

/* "host:port" of an URL, which has no user in it */
static const char *
host_of(const char *url)
{
	const char *colon = strstr(url, "://");

	return colon != NULL ? colon + 3 : url;
}

static bool
announced(const struct nats_server_entry *entry, char *const *hosts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(host_of(entry->url), hosts[i]) == 0)
			return true;
	return false;
}

static void
forget_missing(struct nats_servers *s, char *const *hosts, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < s->count; i++) {
		if (s->list[i].configured || announced(&s->list[i], hosts, count))
			s->list[kept++] = s->list[i];
		else
			free(s->list[i].url);
	}
	s->count = kept;
}

static bool
known(const struct nats_servers *s, const char *host)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (strcmp(host_of(s->list[i].url), host) == 0)
			return true;
	return false;
}

void
nats_servers_announced(struct nats_servers *s, char *const *hosts, size_t count, bool tls)
{
	size_t i;

	if (count == 0)
		return;
	forget_missing(s, hosts, count);
	/* In front of the list: the last of it is the one we are connected to. */
	for (i = 0; i < count; i++) {
		if (!known(s, hosts[i]))
			add_first(s, xasprintf("%s://%s", tls ? "tls" : "nats", hosts[i]));
	}
}
