/* An owner of a connection, what it gets, and odd messages. */
#include "tests/unit/nats_owner.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/odd_headers.h"

static void
on_up(void *arg)
{
	struct owner *o = arg;

	o->ups++;
}

static void
on_down(void *arg, bool was_up, const char *reason)
{
	struct owner *o = arg;

	if (was_up)
		o->downs++;
	else
		o->failures++;
	snprintf(o->reason, sizeof o->reason, "%s", reason);
}

static void
on_writable(void *arg)
{
	struct owner *o = arg;

	o->writables++;
}

static void
on_async_error(void *arg, const char *text)
{
	struct owner *o = arg;

	o->async_errors++;
	snprintf(o->async_error, sizeof o->async_error, "%s", text);
}

static const struct nats_conn_callbacks callbacks = {on_up, on_down, on_writable, on_async_error};

void
owner_new(struct owner *o, struct event_base *base, const char *url, const struct conf_tls *tls)
{
	struct endpoint ep;
	struct error e = ERROR_INIT;

	memset(o, 0, sizeof *o);
	o->base = base;
	ck_assert_msg(endpoint_parse(url, tls, &ep, &e) == 0, "%s", e.text);
	o->conn = nats_conn_new(base, &ep, "source", "unit test", &callbacks, o);
	endpoint_fini(&ep);
	nats_conn_start(o->conn);
}

void
owner_connect(struct owner *o, struct event_base *base, const char *url, const struct conf_tls *tls)
{
	owner_new(o, base, url, tls);
	ck_assert_msg(RUN_UNTIL(base, 10000, o->ups == 1), "%s", o->reason);
}

void
got_init(struct got *g)
{
	g->count = 0;
	strbuf_init(&g->subject);
	strbuf_init(&g->reply);
	strbuf_init(&g->headers);
	strbuf_init(&g->data);
}

void
got_fini(struct got *g)
{
	strbuf_fini(&g->subject);
	strbuf_fini(&g->reply);
	strbuf_fini(&g->headers);
	strbuf_fini(&g->data);
}

void
got_message(void *arg, const struct nats_message *m)
{
	struct got *g = arg;

	g->count++;
	strbuf_reset(&g->subject);
	strbuf_adds(&g->subject, m->subject);
	strbuf_reset(&g->reply);
	strbuf_adds(&g->reply, m->reply != NULL ? m->reply : "");
	strbuf_reset(&g->headers);
	strbuf_add(&g->headers, m->headers != NULL ? m->headers : "", m->headers_len);
	strbuf_reset(&g->data);
	strbuf_add(&g->data, m->data, m->data_len);
	g->had_headers = m->headers != NULL;
	g->had_reply = m->reply != NULL;
}

int
raw_client(int port)
{
	static const char hello[] = "CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n";
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char greeting[4096];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_gt(read(fd, greeting, sizeof greeting), 0);
	ck_assert_int_eq(write(fd, hello, sizeof hello - 1), sizeof hello - 1);
	return fd;
}

void
raw_publish(int fd, const char *subject, const char *reply, const char *block, size_t block_len,
	    const char *data, size_t data_len)
{
	struct strbuf b;

	strbuf_init(&b);
	strbuf_addf(&b, "HPUB %s %s %zu %zu\r\n", subject, reply, block_len, block_len + data_len);
	strbuf_add(&b, block, block_len);
	strbuf_add(&b, data, data_len);
	strbuf_adds(&b, "\r\n");
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	strbuf_fini(&b);
}

void
assert_bytes(const struct strbuf *have, const char *want, size_t len, size_t kind)
{
	ck_assert_msg(have->len == len && memcmp(have->data, want, len) == 0,
		      "kind %zu: \"%s\" is not \"%s\"", kind, have->data, want);
}

/* In from a foreign client, and out again by our own publish. */
static void
odd_message_through(struct owner *o, int fd, struct got *in, struct got *out, size_t kind, const char *reply,
		    const char *data)
{
	const char *lines = odd_headers[kind];
	struct strbuf block;
	struct error e = ERROR_INIT;
	int before = in->count, before_out = out->count;

	strbuf_init(&block);
	strbuf_addf(&block, "NATS/1.0\r\n%s\r\n", lines);
	raw_publish(fd, "in", reply, block.data, block.len, data, strlen(data));
	ck_assert_msg(RUN_UNTIL(o->base, 2000, in->count > before), "kind %zu does not arrive", kind);
	assert_bytes(&in->headers, block.data, block.len, kind);
	assert_bytes(&in->data, data, strlen(data), kind);
	ck_assert_str_eq(in->reply.data, reply);

	strbuf_reset(&block);
	strbuf_addf(&block, "Own-First: 1\r\nOwn-Second: 2\r\n%s", lines);
	ck_assert_msg(nats_conn_publish(o->conn, "out", *reply != '\0' ? reply : NULL, block.data, block.len,
					data, strlen(data), &e) == 0,
		      "%s", e.text);
	ck_assert_msg(RUN_UNTIL(o->base, 2000, out->count > before_out), "kind %zu is not sent", kind);
	strbuf_reset(&block);
	/* Where the last line has no blank behind a colon and only the library can write, our second line
	 * goes to the end. */
	if (memcmp(out->headers.data, "NATS/1.0\r\nOwn-First: 1\r\nOwn-Second", 34) == 0)
		strbuf_addf(&block, "NATS/1.0\r\nOwn-First: 1\r\nOwn-Second: 2\r\n%s\r\n", lines);
	else
		strbuf_addf(&block, "NATS/1.0\r\nOwn-First: 1\r\n%sOwn-Second: 2\r\n\r\n", lines);
	assert_bytes(&out->headers, block.data, block.len, kind);
	assert_bytes(&out->data, data, strlen(data), kind);
	strbuf_fini(&block);
}

void
odd_messages_through(struct owner *o, int port)
{
	struct nats_sub *in_sub, *out_sub;
	struct got in, out;
	size_t kind;
	int fd;

	got_init(&in);
	got_init(&out);
	in_sub = nats_conn_subscribe(o->conn, "in", got_message, &in, NULL);
	out_sub = nats_conn_subscribe(o->conn, "out", got_message, &out, NULL);
	ck_assert(in_sub != NULL && out_sub != NULL);
	RUN_UNTIL(o->base, 50, false);
	fd = raw_client(port);
	for (kind = 0; kind < sizeof odd_headers / sizeof odd_headers[0]; kind++) {
		odd_message_through(o, fd, &in, &out, kind, "", "body");
		odd_message_through(o, fd, &in, &out, kind, "", "");
		odd_message_through(o, fd, &in, &out, kind, "re.ply", "");
		odd_message_through(o, fd, &in, &out, kind, "re.ply", "NATS/1.0");
	}
	close(fd);
	nats_unsubscribe(&in_sub);
	nats_unsubscribe(&out_sub);
	got_fini(&in);
	got_fini(&out);
}
