/*
 * Connection settings shared between the loop and the helper threads of a worker. Immutable after
 * nats_settings_new; only the reference count changes, atomically. Must not touch the network.
 */
#include "common/nats/settings.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

static char *
copy(const char *text)
{
	return xstrdup(text != NULL ? text : "");
}

struct nats_settings *
nats_settings_new(const struct endpoint *ep, const char *label, const char *client_name)
{
	struct nats_settings *s = xcalloc(1, sizeof *s);

	s->refs = 1;
	s->label = copy(label);
	s->client_name = copy(client_name);
	s->user = copy(ep->user);
	s->password = copy(ep->password);
	s->token = copy(ep->token);
	s->credentials = copy(ep->credentials);
	s->jwt = copy(ep->jwt);
	s->nkey = copy(ep->nkey);
	s->ca = copy(ep->tls_files.ca);
	s->cert = copy(ep->tls_files.cert);
	s->key = copy(ep->tls_files.key);
	s->connect_timeout_ms = ep->connect_timeout_ms > 0 ? ep->connect_timeout_ms : 5000;
	s->insecure = ep->insecure;
	s->tls = ep->tls;
	s->tls_handshake_first = ep->tls_handshake_first;
	s->no_echo = ep->no_echo;
	return s;
}

struct nats_settings *
nats_settings_ref(struct nats_settings *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_SEQ_CST);
	return s;
}

void
nats_settings_unref(struct nats_settings **sp)
{
	struct nats_settings *s = *sp;
	size_t i;

	*sp = NULL;
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_SEQ_CST) > 0)
		return;
	char *texts[] = {s->label, s->client_name, s->user, s->password, s->token, s->credentials,
			 s->jwt,   s->nkey,        s->ca,   s->cert,     s->key};

	for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	free(s);
}

static void
mask_word(const char *secret, char *text)
{
	size_t len = strlen(secret);
	char *at;

	/* Below four letters a match is more likely part of a word than the secret. */
	if (len < 4)
		return;
	while ((at = strstr(text, secret)) != NULL)
		memset(at, '*', len);
}

void
nats_settings_mask(const struct nats_settings *s, char *text)
{
	mask_word(s->password, text);
	mask_word(s->token, text);
}
