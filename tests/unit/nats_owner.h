/*
 * An owner of a connection for tests: it writes down what it is told. And what arrives at a subscription,
 * and odd messages sent through both.
 */
#ifndef SR_TESTS_NATS_OWNER_H
#define SR_TESTS_NATS_OWNER_H

#include "common/nats/conn.h"
#include "common/strbuf.h"
#include "tests/unit/loop.h"

struct owner {
	struct event_base *base;
	struct nats_conn *conn;
	int ups, downs, failures, writables;
	char reason[1024], async_error[512]; /* the last one */
	int async_errors;
};

/* Makes a connection and starts it. */
void owner_new(struct owner *o, struct event_base *base, const char *url, const struct conf_tls *tls);
/* The same, and waits until it is up. */
void owner_connect(struct owner *o, struct event_base *base, const char *url, const struct conf_tls *tls);

/* The last message that came to a subscription, copied. */
struct got {
	int count;
	struct strbuf subject, reply, headers, data;
	bool had_headers, had_reply;
};

void got_init(struct got *g);
void got_fini(struct got *g);
void got_message(void *arg, const struct nats_message *m); /* arg: struct got */

/* A client that speaks the protocol by hand, to send what no library would. */
int raw_client(int port);
void raw_publish(int fd, const char *subject, const char *reply, const char *block, size_t block_len,
		 const char *data, size_t data_len);
void assert_bytes(const struct strbuf *have, const char *want, size_t len, size_t kind);

/* Each kind of odd_headers.h from a foreign client at that port to o, and by o's own publish back. */
void odd_messages_through(struct owner *o, int port);

#endif
