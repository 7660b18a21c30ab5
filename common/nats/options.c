/*
 * Turns settings into options of the client library, in the helper thread of a worker. The library is
 * told to do nothing by itself: no reconnecting, no pings, no flushing thread, no other server than the
 * one it is given. May block on files.
 */
#include "common/nats/options.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Size of one read. Under TLS it must hold a whole record (16 KiB). */
#define READ_SIZE (64 * 1024)

static int
fail(struct error *e, enum error_code code, const char *what, const char *value)
{
	const char *text = nats_GetLastError(NULL);

	return error_set(e, code, "%s \"%s\": %s", what, value, text != NULL ? text : "cannot be used");
}

/* The library's own words for a missing file are numbers of OpenSSL. */
static int
check_readable(const char *what, const char *path, struct error *e)
{
	if (access(path, R_OK) < 0)
		return error_set_errno(e, ERR_CONFIG, "%s \"%s\" cannot be read", what, path);
	return 0;
}

static int
set_identity(natsOptions *o, const struct nats_settings *s, struct error *e)
{
	if (*s->user != '\0' && natsOptions_SetUserInfo(o, s->user, s->password) != NATS_OK)
		return fail(e, ERR_CONFIG, "user", s->user);
	if (*s->token != '\0' && natsOptions_SetToken(o, s->token) != NATS_OK)
		return error_set(e, ERR_CONFIG, "token cannot be used beside user and password");
	if (*s->credentials != '\0') {
		if (check_readable("credentials file", s->credentials, e) < 0)
			return -1;
		if (natsOptions_SetUserCredentialsFromFiles(o, s->credentials, NULL) != NATS_OK)
			return fail(e, ERR_CONFIG, "credentials file", s->credentials);
	}
	if (*s->jwt != '\0') {
		if (check_readable("jwt file", s->jwt, e) < 0 || check_readable("nkey file", s->nkey, e) < 0)
			return -1;
		if (natsOptions_SetUserCredentialsFromFiles(o, s->jwt, s->nkey) != NATS_OK)
			return fail(e, ERR_CONFIG, "jwt file", s->jwt);
	}
	return 0;
}

static int
set_handshake_first(natsOptions *o, const struct nats_settings *s, struct error *e)
{
	if (!s->tls_handshake_first)
		return 0;
#ifdef HAVE_NATSOPTIONS_TLSHANDSHAKEFIRST
	if (natsOptions_TLSHandshakeFirst(o) == NATS_OK)
		return 0;
	return fail(e, ERR_CONFIG, "option", "tls_handshake_first");
#else
	(void)o;
	return error_set(e, ERR_CONFIG, "tls_handshake_first: this build's NATS client library cannot do it");
#endif
}

static int
set_tls(natsOptions *o, const struct nats_settings *s, const char *tls_name, struct error *e)
{
	if (s->tls && natsOptions_SetSecure(o, true) != NATS_OK)
		return fail(e, ERR_CONFIG, "TLS", "on");
	if (*s->ca != '\0') {
		if (check_readable("ca", s->ca, e) < 0)
			return -1;
		if (natsOptions_LoadCATrustedCertificates(o, s->ca) != NATS_OK)
			return fail(e, ERR_CONFIG, "ca", s->ca);
	}
	if (*s->cert != '\0') {
		if (check_readable("cert", s->cert, e) < 0 || check_readable("key", s->key, e) < 0)
			return -1;
		if (natsOptions_LoadCertificatesChain(o, s->cert, s->key) != NATS_OK)
			return fail(e, ERR_CONFIG, "cert", s->cert);
	}
	if (s->insecure && natsOptions_SkipServerVerification(o, true) != NATS_OK)
		return fail(e, ERR_CONFIG, "option", "insecure");
	if (tls_name != NULL && natsOptions_SetExpectedHostname(o, tls_name) != NATS_OK)
		return fail(e, ERR_CONFIG, "server name", tls_name);
	return set_handshake_first(o, s, e);
}

static natsStatus
set_behaviour(natsOptions *o, const struct nats_settings *s, const char *server)
{
	natsStatus status = natsOptions_SetURL(o, server);

	if (status == NATS_OK)
		status = natsOptions_SetName(o, s->client_name);
	if (status == NATS_OK)
		status = natsOptions_SetNoEcho(o, s->no_echo);
	if (status == NATS_OK)
		status = natsOptions_SetTimeout(o, s->connect_timeout_ms);
	if (status == NATS_OK)
		status = natsOptions_SetAllowReconnect(o, false);
	if (status == NATS_OK)
		status = natsOptions_SetPingInterval(o, 0);
	if (status == NATS_OK)
		status = natsOptions_SetSendAsap(o, true);
	if (status == NATS_OK)
		status = natsOptions_SetNoRandomize(o, true);
	if (status == NATS_OK)
		status = natsOptions_SetIOBufSize(o, READ_SIZE);
	return status;
}

natsOptions *
nats_options_new(const struct nats_settings *s, const char *server, const char *tls_name, struct error *e)
{
	natsOptions *o = NULL;

	if (natsOptions_Create(&o) != NATS_OK || set_behaviour(o, s, server) != NATS_OK) {
		fail(e, ERR_CONFIG, "server", server);
	} else if (set_identity(o, s, e) == 0 && set_tls(o, s, tls_name, e) == 0) {
		return o;
	}
	natsOptions_Destroy(o);
	return NULL;
}
