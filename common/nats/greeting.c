/*
 * Reads a server's INFO line over a TCP connection of its own, in the helper thread of a worker. The line
 * comes in the clear before any TLS handshake, unless the server is set to handshake first. What it says
 * is taken as unproven: it serves to decide what to ask for, never to trust anyone.
 */
#include "common/nats/greeting.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"

#define GREETING_MAX 65536 /* a cluster of hundreds announces some KiB */

void
nats_greeting_init(struct nats_greeting *g)
{
	memset(g, 0, sizeof *g);
	snprintf(g->info.version, sizeof g->info.version, "0.0.0");
}

void
nats_greeting_fini(struct nats_greeting *g)
{
	size_t i;

	for (i = 0; i < g->announced_count; i++)
		free(g->announced[i]);
	free(g->announced);
	nats_greeting_init(g);
}

static void
copy_text(const json_t *root, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(root, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

static bool
is_true(const json_t *root, const char *key)
{
	return json_is_true(json_object_get(root, key));
}

static void
copy_version(const json_t *root, struct nats_server_info *info)
{
	copy_text(root, "version", info->version, sizeof info->version);
	if (sscanf(info->version, "%d.%d.%d", &info->major, &info->minor, &info->patch) < 2) {
		info->major = info->minor = info->patch = 0;
		snprintf(info->version, sizeof info->version, "0.0.0");
	}
}

static void
copy_announced(const json_t *root, struct nats_greeting *g)
{
	const json_t *urls = json_object_get(root, "connect_urls");
	const json_t *url;
	size_t i;

	json_array_foreach(urls, i, url)
	{
		if (!json_is_string(url))
			continue;
		g->announced = xrealloc(g->announced, (g->announced_count + 1) * sizeof *g->announced);
		g->announced[g->announced_count++] = xstrdup(json_string_value(url));
	}
}

int
nats_greeting_parse(struct nats_greeting *g, const char *json, size_t len, struct error *e)
{
	json_error_t why;
	json_t *root = json_loadb(json, len, JSON_DISABLE_EOF_CHECK, &why);
	json_int_t max_payload;

	if (!json_is_object(root)) {
		json_decref(root);
		return error_set(e, ERR_PROTOCOL, "the server's first line is no INFO of a NATS server");
	}
	copy_text(root, "server_id", g->server_id, sizeof g->server_id);
	copy_text(root, "server_name", g->info.name, sizeof g->info.name);
	copy_text(root, "domain", g->info.domain, sizeof g->info.domain);
	copy_version(root, &g->info);
	max_payload = json_integer_value(json_object_get(root, "max_payload"));
	g->info.max_payload = max_payload > 0 ? (uint64_t)max_payload : 0;
	g->info.jetstream = is_true(root, "jetstream");
	g->info.headers = is_true(root, "headers");
	g->tls_required = is_true(root, "tls_required");
	copy_announced(root, g);
	json_decref(root);
	return 0;
}

/* Waits for events until the deadline. 0, or -1 with *e. */
static int
wait_for(int fd, short events, struct mono deadline, struct error *e)
{
	struct pollfd p = {fd, events, 0};
	int64_t left;
	int n;

	do {
		left = mono_ms_between(mono_now(), deadline);
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set_errno(e, ERR_SYSTEM, "poll");
	if (n == 0)
		return error_set(e, ERR_IO, "no answer in time");
	return 0;
}

static int
connect_to(const struct sockaddr *address, socklen_t len, struct mono deadline, struct error *e)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int why = 0;
	socklen_t why_len = sizeof why;

	if (fd < 0)
		return error_set_errno(e, ERR_SYSTEM, "socket");
	if (connect(fd, address, len) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		if (wait_for(fd, POLLOUT, deadline, e) < 0)
			goto fail;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &why_len) == 0 && why == 0)
			return fd;
		errno = why;
	}
	error_set_errno(e, ERR_IO, "cannot connect");
fail:
	close(fd);
	return -1;
}

/* Reads up to the end of the first line. */
static int
read_line(struct nats_greeting *g, int fd, struct mono deadline, struct error *e)
{
	char *line = xmalloc(GREETING_MAX);
	size_t used = 0;
	ssize_t n;
	int result = -1;

	for (;;) {
		if (wait_for(fd, POLLIN, deadline, e) < 0)
			break;
		n = recv(fd, line + used, GREETING_MAX - used, 0);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0) {
			error_set(e, ERR_IO, "the server closed the connection without a greeting");
			break;
		}
		used += (size_t)n;
		if (memchr(line, '\n', used) == NULL && used < GREETING_MAX)
			continue;
		if (used < 5 || strncasecmp(line, "INFO ", 5) != 0)
			error_set(e, ERR_PROTOCOL, "what answers there is no NATS server");
		else
			result = nats_greeting_parse(g, line + 5, used - 5, e);
		break;
	}
	free(line);
	return result;
}

static int
read_from(struct nats_greeting *g, const struct sockaddr *address, socklen_t len, struct mono deadline,
	  struct error *e)
{
	int fd = connect_to(address, len, deadline, e);
	int result;

	if (fd < 0)
		return -1;
	result = read_line(g, fd, deadline, e);
	close(fd);
	return result;
}

/* Host and port of an URL without user; brackets of an IPv6 address taken off. */
static void
split_url(const char *url, char *host, size_t host_size, char *port, size_t port_size)
{
	const char *at = strstr(url, "://");
	const char *colon;

	at = at != NULL ? at + 3 : url;
	colon = strrchr(at, ':');
	snprintf(port, port_size, "%s", colon != NULL ? colon + 1 : "4222");
	if (*at == '[' && strchr(at, ']') != NULL)
		snprintf(host, host_size, "%.*s", (int)(strchr(at, ']') - at - 1), at + 1);
	else
		snprintf(host, host_size, "%.*s", colon != NULL ? (int)(colon - at) : (int)strlen(at), at);
}

int
nats_greeting_read(struct nats_greeting *g, const char *url, int64_t timeout_ms, struct error *e)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL, *a;
	char host[256], port[16];
	int why, left = 0, result = -1;

	split_url(url, host, sizeof host, port, sizeof port);
	why = getaddrinfo(host, port, &hints, &list);
	if (why != 0)
		return error_set(e, ERR_IO, "cannot find the address of \"%s\": %s", host, gai_strerror(why));
	for (a = list; a != NULL; a = a->ai_next)
		left++;
	/* Each address gets its share of what is left, so that a silent one does not use it all up. */
	for (a = list; a != NULL && result < 0; a = a->ai_next, left--)
		result = read_from(g, a->ai_addr, a->ai_addrlen,
				   mono_add_ms(mono_now(), mono_ms_between(mono_now(), deadline) / left), e);
	freeaddrinfo(list);
	return result;
}

int
nats_greeting_read_peer(struct nats_greeting *g, int fd, int64_t timeout_ms, struct error *e)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;

	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return error_set_errno(e, ERR_SYSTEM, "getpeername");
	return read_from(g, (struct sockaddr *)&address, len, mono_add_ms(mono_now(), timeout_ms), e);
}
