/*
 * One connection of the client library, from the helper thread that makes it to its end. A struct
 * nats_conn has at most one at a time and makes a new one after each loss.
 */
#ifndef SR_COMMON_NATS_LINK_H
#define SR_COMMON_NATS_LINK_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/nats/greeting.h"
#include "common/nats/settings.h"
#include "common/nats/tls_relay.h"

/* What the library's own threads told of. */
struct nats_link_news {
	bool lame_duck, servers_changed;
	size_t error_count;
	char errors[8][256]; /* oldest first; where there were more, the last is the newest */
};

struct nats_link {
	/* read by the thread, not changed while it runs */
	uint64_t id; /* never used twice in a process */
	struct nats_settings *settings;
	char *server;
	char *tls_name; /* name the server's certificate must have, NULL: that of the URL */
	int wake_fd;    /* eventfd of the owner, written when there is news */

	/* written by the thread, read by the loop once nats_link_done */
	natsConnection *nc;
	bool failed; /* error says why; nc may be there nevertheless */
	int fd;
	struct tls_relay *relay; /* unless plain */
	bool plain;              /* known to be without TLS */
	struct nats_greeting greeting;
	struct error error;

	/* the loop's alone */
	void (*write_wanted)(void *arg); /* the library has something to write */
	void *arg;

	/* guarded by the lock in link.c */
	bool done, abandoned;
	struct nats_link_news news;
	struct nats_link *next;
};

/*
 * Starts connecting to server in a helper thread with fresh options: certificates and credentials are
 * read anew. When it ends, wake_fd (an eventfd, borrowed until nats_link_close) is written.
 * Returns NULL with *e if there is no thread to be had.
 */
struct nats_link *nats_link_start(struct nats_settings *settings, const char *server, const char *tls_name,
				  int wake_fd, struct error *e);
bool nats_link_done(struct nats_link *link);

/*
 * Ends it, whatever it is doing, without waiting; nulls *link. An open socket is reset at once: what was
 * not sent is gone. A thread that still runs throws its result away when it is done.
 */
void nats_link_close(struct nats_link **link);

/* Reads what is new, and forgets it. */
void nats_link_news(struct nats_link *link, struct nats_link_news *out);

/* What the library knows of why the connection closed, in words. */
void nats_link_reason(struct nats_link *link, char *out, size_t size);

#endif
