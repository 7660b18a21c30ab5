/*
 * Words for failures of the client library; used in a worker, by the loop and by the helper thread.
 * The library's texts are kept where they tell something, its riddles are solved.
 */
#include "common/nats/reason.h"

#include <stdio.h>
#include <string.h>

static bool
says(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

/* Without the place in the library's source that its texts begin with: "(conn.c:1905): ". */
static const char *
or_status(const char *text, natsStatus status)
{
	const char *end;

	if (text == NULL || *text == '\0')
		return natsStatus_GetText(status);
	end = *text == '(' ? strstr(text, "): ") : NULL;
	return end != NULL ? end + 3 : text;
}

/* The server hangs up after our CONNECT without a word. */
static void
hung_up(struct error *e, bool tls, const struct nats_settings *s)
{
	if (tls && *s->cert == '\0')
		error_set(e, ERR_DENIED,
			  "the server closed the connection after the TLS handshake: it wants a client "
			  "certificate; set cert and key in the tls section");
	else if (tls)
		error_set(
		    e, ERR_DENIED,
		    "the server closed the connection after the TLS handshake: it does not accept the client "
		    "certificate \"%s\"",
		    s->cert);
	else
		error_set(e, ERR_IO, "the server closed the connection during the login");
}

void
nats_reason_connect(struct error *e, natsStatus status, const char *text, bool tls,
		    const struct nats_settings *s)
{
	text = or_status(text, status);
	if (says(text, "Expected 'PONG', got ''") || (tls && status == NATS_CONNECTION_CLOSED))
		hung_up(e, tls, s);
	else if (tls && says(text, "certificate required"))
		hung_up(e, tls, s);
	else if (status == NATS_CONNECTION_AUTH_FAILED || says(text, "uthoriz") || says(text, "uthentic"))
		error_set(e, ERR_DENIED, "the server refused the login: %s; check user, token or credentials",
			  text);
	else if (status == NATS_SECURE_CONNECTION_WANTED)
		error_set(e, ERR_DENIED,
			  "TLS is wanted and the server does not offer it; use nats:// and no "
			  "tls section, or switch TLS on at the server");
	else if (status == NATS_SSL_ERROR)
		error_set(e, ERR_DENIED, "TLS: %s", text);
	else if (status == NATS_TIMEOUT)
		error_set(e, ERR_IO, "the server did not answer the login in time");
	else
		error_set(e, ERR_IO, "%s", text);
}

void
nats_reason_closed(natsStatus status, const char *text, char *out, size_t size)
{
	if (says(text, "xpired"))
		snprintf(out, size, "the server ended the connection: %s; renew the credentials", text);
	else if (says(text, "tale"))
		snprintf(out, size, "the server ended the connection: %s", text);
	else if (status == NATS_CONNECTION_CLOSED || status == NATS_OK)
		snprintf(out, size, "the server closed the connection%s%s",
			 text != NULL && *text != '\0' && !says(text, "onnection Closed") ? ": " : "",
			 text != NULL && !says(text, "onnection Closed") ? text : "");
	else
		snprintf(out, size, "connection lost: %s", or_status(text, status));
}
