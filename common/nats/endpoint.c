/*
 * URLs with options into struct endpoint, and URLs without their secrets. Every process uses it; it opens
 * nothing and includes nothing of the client library, so that the supervisor can check URLs.
 *
 * Error texts here never quote the URL: what looks like a port or an option may be a piece of a password
 * that should have been written percent-encoded. The caller shows the URL through endpoint_mask().
 */
#include "common/nats/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"
#include "common/strbuf.h"
#include "common/units.h"
#include "common/xalloc.h"

#define DEFAULT_PORT               4222
#define DEFAULT_CONNECT_TIMEOUT_MS 5000
#define MIN_CONNECT_TIMEOUT_MS     100
#define MAX_CONNECT_TIMEOUT_MS     300000
#define MASK                       "********"

/* ---- the parts of one server's URL, as pointers into the text ------------------------------------- */

struct span {
	const char *start;
	size_t len;
};

struct url_parts {
	bool tls;
	struct span userinfo; /* start NULL: none */
	struct span hostport;
	struct span query; /* start NULL: none */
};

static struct span
span_between(const char *start, const char *end)
{
	return (struct span){start, (size_t)(end - start)};
}

static bool
span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.start, text, s.len) == 0;
}

static struct span
span_trim(struct span s)
{
	while (s.len > 0 && isspace((unsigned char)s.start[0]))
		s = (struct span){s.start + 1, s.len - 1};
	while (s.len > 0 && isspace((unsigned char)s.start[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts the text up to the next separator off the front of *rest. False when nothing is left. */
static bool
span_next(struct span *rest, char separator, struct span *part)
{
	const char *hit;

	if (rest->start == NULL)
		return false;
	hit = memchr(rest->start, separator, rest->len);
	if (hit == NULL) {
		*part = *rest;
		rest->start = NULL;
		return true;
	}
	*part = span_between(rest->start, hit);
	*rest = span_between(hit + 1, rest->start + rest->len);
	return true;
}

static int
split_scheme(struct span *item, struct url_parts *parts, struct error *e)
{
	const char *mark = memmem(item->start, item->len, "://", 3);
	struct span scheme;

	if (item->len == 0)
		return error_set(e, ERR_CONFIG, "no server, want nats://host:port or tls://host:port");
	if (mark == NULL)
		return error_set(e, ERR_CONFIG, "no scheme, want nats:// or tls://");
	scheme = span_between(item->start, mark);
	parts->tls = span_is(scheme, "tls");
	if (!parts->tls && !span_is(scheme, "nats"))
		return error_set(e, ERR_CONFIG, "unknown scheme, want nats:// or tls://");
	*item = span_between(mark + 3, item->start + item->len);
	return 0;
}

static int
split_url(struct span item, struct url_parts *parts, struct error *e)
{
	const char *end, *p, *at = NULL;

	memset(parts, 0, sizeof *parts);
	if (split_scheme(&item, parts, e) != 0)
		return -1;
	end = item.start + item.len;
	for (p = item.start; p < end && strchr("/?#", *p) == NULL; p++)
		if (*p == '@')
			at = p;
	if (at != NULL)
		parts->userinfo = span_between(item.start, at);
	parts->hostport = span_between(at == NULL ? item.start : at + 1, p);
	if (p < end && *p == '/')
		p++;
	if (p < end && *p == '?')
		parts->query = span_between(p + 1, end);
	else if (p < end)
		return error_set(e, ERR_CONFIG,
				 "only options after \"?\" may follow host and port (write / ? # @ in a "
				 "password as %%2F %%3F %%23 %%40)");
	return 0;
}

/* ---- values ---------------------------------------------------------------------------------------- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes percent-encoding; the caller frees the text. NULL with *e if it makes no sense. */
static char *
decode(struct span s, struct error *e)
{
	char *out = xmalloc(s.len + 1), *to = out;

	for (size_t i = 0; i < s.len; i++) {
		int high, low;

		if (s.start[i] != '%') {
			*to++ = s.start[i];
			continue;
		}
		high = i + 2 < s.len ? hex_digit(s.start[i + 1]) : -1;
		low = high >= 0 ? hex_digit(s.start[i + 2]) : -1;
		if (low < 0 || high * 16 + low == 0) {
			error_set(e, ERR_CONFIG, "bad percent-encoding, write a %% sign as %%25");
			free(out);
			return NULL;
		}
		*to++ = (char)(high * 16 + low);
		i += 2;
	}
	*to = '\0';
	return out;
}

/* Sets a field that may be given with several servers, as long as it is always the same. Takes value. */
static int
set_once(char **field, char *value, const char *what, struct error *e)
{
	if (**field != '\0' && strcmp(*field, value) != 0) {
		free(value);
		return error_set(e, ERR_CONFIG, "%s given twice and differently, it holds for all servers",
				 what);
	}
	free(*field);
	*field = value;
	return 0;
}

static int
parse_userinfo(struct span userinfo, struct endpoint *ep, struct error *e)
{
	struct span rest = userinfo, user;
	char *value;

	span_next(&rest, ':', &user);
	if (user.len == 0)
		return error_set(e, ERR_CONFIG, "no user before \"@\", want user:password@");
	if ((value = decode(user, e)) == NULL)
		return -1;
	if (rest.start == NULL) /* nats://secret@host is a token in the world of NATS */
		return set_once(&ep->token, value, "token", e);
	if (set_once(&ep->user, value, "user", e) != 0)
		return -1;
	if ((value = decode(rest, e)) == NULL)
		return -1;
	return set_once(&ep->password, value, "password", e);
}

static int
parse_port(struct span s, unsigned int *port, struct error *e)
{
	unsigned int v = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.start[i]) || v > 65535)
			v = 65536;
		else
			v = v * 10 + (unsigned int)(s.start[i] - '0');
	}
	if (s.len == 0 || v == 0 || v > 65535)
		return error_set(e, ERR_CONFIG, "bad port, want a number from 1 to 65535");
	*port = v;
	return 0;
}

/* "[::1]" with what follows it, brackets kept. */
static int
split_ipv6(struct span s, struct span *host, struct span *port, struct error *e)
{
	const char *end = memchr(s.start, ']', s.len);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (end == NULL)
		return error_set(e, ERR_CONFIG, "no \"]\" after the IPv6 address, want [::1]:4222");
	*host = span_between(s.start, end + 1);
	*port = span_between(end + 1, s.start + s.len);
	if (host->len - 2 >= sizeof text)
		return error_set(e, ERR_CONFIG, "bad IPv6 address, want [::1]:4222");
	memcpy(text, host->start + 1, host->len - 2);
	text[host->len - 2] = '\0';
	if (inet_pton(AF_INET6, text, &address) != 1)
		return error_set(e, ERR_CONFIG, "bad IPv6 address, want [::1]:4222");
	if (port->len > 0 && port->start[0] != ':')
		return error_set(e, ERR_CONFIG, "bad port, want a number from 1 to 65535");
	return 0;
}

static int
split_name(struct span s, struct span *host, struct span *port, struct error *e)
{
	size_t len = 0;

	while (len < s.len && (isalnum((unsigned char)s.start[len]) || strchr(".-_", s.start[len]) != NULL))
		len++;
	*host = (struct span){s.start, len};
	*port = (struct span){s.start + len, s.len - len};
	if (len == 0)
		return error_set(e, ERR_CONFIG, "no host, want nats://host:port");
	if (port->len > 0 && memchr(port->start + 1, ':', port->len - 1) != NULL)
		return error_set(e, ERR_CONFIG,
				 "more than one \":\" after the host, write an IPv6 address in []");
	if (port->len > 0 && port->start[0] != ':')
		return error_set(e, ERR_CONFIG, "bad character in the host");
	return 0;
}

static int
add_server(struct endpoint *ep, const struct url_parts *parts, struct error *e)
{
	struct span host = {NULL, 0}, rest = {NULL, 0};
	unsigned int port = DEFAULT_PORT;
	int rc;

	if (parts->hostport.len > 0 && parts->hostport.start[0] == '[')
		rc = split_ipv6(parts->hostport, &host, &rest, e);
	else
		rc = split_name(parts->hostport, &host, &rest, e);
	if (rc != 0)
		return -1;
	if (rest.len > 0 && parse_port((struct span){rest.start + 1, rest.len - 1}, &port, e) != 0)
		return -1;
	ep->servers = xrealloc(ep->servers, (ep->server_count + 1) * sizeof *ep->servers);
	ep->servers[ep->server_count++] =
	    xasprintf("%s://%.*s:%u", parts->tls ? "tls" : "nats", (int)host.len, host.start, port);
	ep->tls = ep->tls || parts->tls;
	return 0;
}

/* ---- options --------------------------------------------------------------------------------------- */

enum option_type { OPTION_TEXT, OPTION_BOOL, OPTION_TIMEOUT };

static const struct url_option {
	const char *name;
	enum option_type type;
	bool secret;
	size_t offset;
} url_options[] = {
    {"credentials", OPTION_TEXT, false, offsetof(struct endpoint, credentials)},
    {"jwt", OPTION_TEXT, false, offsetof(struct endpoint, jwt)},
    {"nkey", OPTION_TEXT, false, offsetof(struct endpoint, nkey)},
    {"token", OPTION_TEXT, true, offsetof(struct endpoint, token)},
    {"connect_timeout", OPTION_TIMEOUT, false, offsetof(struct endpoint, connect_timeout_ms)},
    {"insecure", OPTION_BOOL, false, offsetof(struct endpoint, insecure)},
    {"tls_handshake_first", OPTION_BOOL, false, offsetof(struct endpoint, tls_handshake_first)},
};

static const struct url_option *
find_option(struct span name)
{
	for (size_t i = 0; i < array_len(url_options); i++)
		if (span_is(name, url_options[i].name))
			return &url_options[i];
	return NULL;
}

static int
unknown_option(struct span query, struct span name, struct error *e)
{
	/* an "@" behind the "?" means that this may be the rest of a password */
	if (memchr(query.start, '@', query.len) != NULL || name.len > 64)
		return error_set(
		    e, ERR_CONFIG,
		    "unknown option after \"?\" (write / ? # @ in a password as %%2F %%3F %%23 %%40)");
	return error_set(
	    e, ERR_CONFIG,
	    "unknown option \"%.*s\", want credentials, jwt, nkey, token, connect_timeout, insecure or "
	    "tls_handshake_first",
	    (int)name.len, name.start);
}

static int
set_timeout(int64_t *field, const char *value, struct error *e)
{
	if (units_parse_duration(value, field, e) != 0)
		return error_prefix(e, "connect_timeout");
	if (*field < MIN_CONNECT_TIMEOUT_MS || *field > MAX_CONNECT_TIMEOUT_MS)
		return error_set(e, ERR_CONFIG, "connect_timeout: out of bounds, want 100ms to 5m");
	return 0;
}

/* Takes value. */
static int
set_option(struct endpoint *ep, const struct url_option *option, char *value, struct error *e)
{
	void *field = (char *)ep + option->offset;
	int rc = 0;

	if (*value == '\0')
		rc = error_set(e, ERR_CONFIG, "option %s has no value", option->name);
	else if (option->type == OPTION_TEXT)
		return set_once(field, value, option->name, e);
	else if (option->type == OPTION_TIMEOUT)
		rc = set_timeout(field, value, e);
	else if (units_parse_bool(value, field, e) != 0)
		rc = error_prefix(e, "option %s", option->name);
	free(value);
	return rc;
}

static int
parse_query(struct span query, struct endpoint *ep, struct error *e)
{
	struct span rest = query, pair, name;

	while (span_next(&rest, '&', &pair)) {
		const struct url_option *option;
		char *value;

		span_next(&pair, '=', &name);
		option = find_option(name);
		if (option == NULL)
			return unknown_option(query, name, e);
		if (pair.start == NULL)
			return error_set(e, ERR_CONFIG, "option %s has no value", option->name);
		value = decode(pair, e);
		if (value == NULL || set_option(ep, option, value, e) != 0)
			return -1;
	}
	return 0;
}

static int
check_combination(const struct endpoint *ep, struct error *e)
{
	if ((*ep->jwt == '\0') != (*ep->nkey == '\0'))
		return error_set(e, ERR_CONFIG, "option %s without %s, want both",
				 *ep->jwt != '\0' ? "jwt" : "nkey", *ep->jwt != '\0' ? "nkey" : "jwt");
	if (*ep->credentials != '\0' && *ep->jwt != '\0')
		return error_set(e, ERR_CONFIG, "both credentials and jwt, want one of them");
	if (*ep->user != '\0' && *ep->token != '\0')
		return error_set(e, ERR_CONFIG, "both user and token, want one of them");
#ifndef HAVE_NATSOPTIONS_TLSHANDSHAKEFIRST
	if (ep->tls_handshake_first)
		return error_set(e, ERR_CONFIG,
				 "option tls_handshake_first: the NATS client library of this system cannot "
				 "do it, leave it out");
#endif
	return 0;
}

/* ---- whole ----------------------------------------------------------------------------------------- */

static void
endpoint_init(struct endpoint *ep, const struct conf_tls *tls)
{
	bool set = tls != NULL && tls->set;

	memset(ep, 0, sizeof *ep);
	ep->user = xstrdup("");
	ep->password = xstrdup("");
	ep->token = xstrdup("");
	ep->credentials = xstrdup("");
	ep->jwt = xstrdup("");
	ep->nkey = xstrdup("");
	ep->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	ep->tls = set;
	ep->tls_files.set = set;
	ep->tls_files.ca = xstrdup(set ? tls->ca : "");
	ep->tls_files.cert = xstrdup(set ? tls->cert : "");
	ep->tls_files.key = xstrdup(set ? tls->key : "");
}

void
endpoint_fini(struct endpoint *ep)
{
	for (size_t i = 0; i < ep->server_count; i++)
		free(ep->servers[i]);
	free(ep->servers);
	free(ep->user);
	free(ep->password);
	free(ep->token);
	free(ep->credentials);
	free(ep->jwt);
	free(ep->nkey);
	free(ep->tls_files.ca);
	free(ep->tls_files.cert);
	free(ep->tls_files.key);
	memset(ep, 0, sizeof *ep);
}

static int
parse_server(struct span item, struct endpoint *ep, struct error *e)
{
	struct url_parts parts;

	if (split_url(item, &parts, e) != 0)
		return -1;
	if (parts.userinfo.start != NULL && parse_userinfo(parts.userinfo, ep, e) != 0)
		return -1;
	if (add_server(ep, &parts, e) != 0)
		return -1;
	return parts.query.start == NULL ? 0 : parse_query(parts.query, ep, e);
}

int
endpoint_parse(const char *url, const struct conf_tls *tls, struct endpoint *ep, struct error *e)
{
	struct span rest = {url, strlen(url)}, item;

	endpoint_init(ep, tls);
	while (span_next(&rest, ',', &item))
		if (parse_server(span_trim(item), ep, e) != 0)
			goto fail;
	if (check_combination(ep, e) != 0)
		goto fail;
	return 0;
fail:
	endpoint_fini(ep);
	return -1;
}

static bool
is_loopback(const char *host, size_t len)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < array_len(names); i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
			return true;
	return false;
}

static bool
same_server(const char *a, const char *b)
{
	const char *port_a = strrchr(a, ':'), *port_b = strrchr(b, ':');
	const char *host_a = strstr(a, "://") + 3, *host_b = strstr(b, "://") + 3;

	if (strcmp(port_a, port_b) != 0)
		return false;
	if (is_loopback(host_a, (size_t)(port_a - host_a)) && is_loopback(host_b, (size_t)(port_b - host_b)))
		return true;
	return strcasecmp(host_a, host_b) == 0;
}

bool
endpoint_same_system(const struct endpoint *a, const struct endpoint *b)
{
	for (size_t i = 0; i < a->server_count; i++)
		for (size_t j = 0; j < b->server_count; j++)
			if (same_server(a->servers[i], b->servers[j]))
				return true;
	return false;
}

/* ---- without secrets ------------------------------------------------------------------------------- */

static void
mask_userinfo(struct strbuf *out, struct span userinfo)
{
	const char *colon = memchr(userinfo.start, ':', userinfo.len);

	if (colon != NULL)
		strbuf_add(out, userinfo.start, (size_t)(colon + 1 - userinfo.start));
	strbuf_adds(out, MASK);
}

/* An option that is not known may be a secret in the wrong place. */
static void
mask_query(struct strbuf *out, struct span query)
{
	struct span pair, name, value;
	const struct url_option *option;
	const char *separator = "";

	while (span_next(&query, '&', &pair)) {
		value = pair;
		span_next(&value, '=', &name);
		option = find_option(name);
		strbuf_adds(out, separator);
		strbuf_add(out, name.start, name.len);
		if (value.start != NULL && (option == NULL || option->secret))
			strbuf_adds(out, "=" MASK);
		else if (value.start != NULL)
			strbuf_add(out, name.start + name.len, pair.len - name.len);
		separator = "&";
	}
}

static void
mask_server(struct strbuf *out, struct span item)
{
	struct url_parts parts;
	const char *authority;

	if (split_url(item, &parts, NULL) != 0)
		return;
	authority = parts.userinfo.start != NULL ? parts.userinfo.start : parts.hostport.start;
	strbuf_add(out, item.start, (size_t)(authority - item.start));
	if (parts.userinfo.start != NULL) {
		mask_userinfo(out, parts.userinfo);
		strbuf_adds(out, "@");
	}
	strbuf_add(out, parts.hostport.start, parts.hostport.len);
	if (parts.query.start != NULL) {
		strbuf_adds(out, "?");
		mask_query(out, parts.query);
	}
}

/* No proper URL: nothing is kept between the first scheme and the last "@", and no value of an option. */
static void
mask_broken(struct strbuf *out, const char *url)
{
	const char *scheme = strstr(url, "://"), *at = strrchr(url, '@'), *query;
	const char *rest = url;

	if (at != NULL) {
		if (scheme != NULL && scheme < at)
			strbuf_add(out, url, (size_t)(scheme + 3 - url));
		strbuf_adds(out, MASK);
		rest = at;
	}
	query = strchr(rest, '?');
	strbuf_add(out, rest, query == NULL ? strlen(rest) : (size_t)(query - rest));
	if (query != NULL) {
		strbuf_adds(out, "?");
		mask_query(out, (struct span){query + 1, strlen(query + 1)});
	}
}

static void
mask_list(struct strbuf *out, const char *url)
{
	struct span rest = {url, strlen(url)}, item;
	const char *separator = "";

	while (span_next(&rest, ',', &item)) {
		strbuf_adds(out, separator);
		mask_server(out, span_trim(item));
		separator = ",";
	}
}

char *
endpoint_mask(const char *url)
{
	struct endpoint ep;
	struct strbuf out;
	char *masked;

	strbuf_init(&out);
	if (endpoint_parse(url, NULL, &ep, NULL) == 0) {
		endpoint_fini(&ep);
		mask_list(&out, url);
	} else {
		mask_broken(&out, url);
	}
	masked = strbuf_take(&out);
	strbuf_fini(&out);
	return masked;
}
