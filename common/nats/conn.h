/*
 * A connection to one NATS system, on a libevent loop, in one thread: the only users of nats.h are the
 * files of this folder.
 *
 * The client library is driven by our own bridge: it reads and writes when the loop says so, does not
 * reconnect, ping or flush by itself. Connecting blocks inside the library, so a short helper thread
 * does it with fresh options each time (certificates and credentials are read anew) and hands the
 * connection over. After a loss, connecting is tried again with back-off (first at once, 100 ms doubling
 * to 5 s, with jitter) until nats_conn_stop(); wrong credentials do not end the trying. Servers that the
 * cluster told us of are used too, servers it no longer has are forgotten; on lame duck the connection
 * moves to another server.
 *
 * Nothing here blocks the loop for more than 10 ms, also under TLS, where a thread moves the bytes between
 * the library and the network (doc/internals.md). Owners see one thread, the loop's.
 *
 * While nothing arrives the connection asks the server for a sign of life every 2 s and is lost after
 * three without an answer.
 *
 * Publishes are never kept over a reconnect: what was not sent when the connection broke is gone, and
 * `down` tells the owner. Sockets close with linger 0 and have a user timeout of 10 s, so that a dead
 * process leaves no bytes that arrive later.
 */
#ifndef SR_COMMON_NATS_CONN_H
#define SR_COMMON_NATS_CONN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/nats/endpoint.h"

struct nats_conn;
struct nats_sub;
struct nats_held;

/* A received message: borrowed pointers, valid until the callback returns. */
struct nats_message {
	const char *subject;
	const char *reply;   /* NULL for none */
	const char *headers; /* raw block as on the wire, NULL for none */
	size_t headers_len;
	const char *data; /* never NULL */
	size_t data_len;
	void *handle; /* for nats_message_hold */
};

struct nats_conn_callbacks {
	/* Connected (again). Subscriptions of an earlier connection are gone. */
	void (*up)(void *arg);
	/* The connection was lost, or an attempt failed (was_up false); reason in words. Held messages stay
	 * valid; subscriptions end without another callback. Trying goes on by itself. */
	void (*down)(void *arg, bool was_up, const char *reason);
	/* nats_conn_room() was below what a caller wanted and has grown again. */
	void (*writable)(void *arg);
	/* The server reported an error that does not end the connection (a permission violation); text is
	 * the server's. May be NULL. */
	void (*async_error)(void *arg, const char *text);
};

struct nats_server_info {
	char name[128];
	char version[32];
	int major, minor, patch;
	char url[256];        /* without secrets */
	char domain[128];     /* as announced, "" if not */
	uint64_t max_payload; /* bytes, headers included */
	bool jetstream;
	bool headers;
};

/*
 * label: "source" or "target", for texts. client_name is shown by the server's monitoring. Copies the
 * endpoint. Nothing happens before nats_conn_start.
 */
struct nats_conn *nats_conn_new(struct event_base *base, const struct endpoint *ep, const char *label,
				const char *client_name, const struct nats_conn_callbacks *callbacks,
				void *arg);
void nats_conn_start(struct nats_conn *c);
/* Closes and stops trying; no callback of the connection follows. Requests that are out end now, with
 * NATS_REQUEST_LOST. */
void nats_conn_stop(struct nats_conn *c);
/* Closes if open, and `down` is called with reason; connects anew at once. */
void nats_conn_reconnect(struct nats_conn *c, const char *reason);
/* Stops and frees it; requests that are out end without a callback. May be called from a callback. */
void nats_conn_free(struct nats_conn **c);

/*
 * From that moment on nothing is written any more: a connection that has bytes to write then is lost, with
 * what was unsent. Stands over reconnects until it is set anew; {0} for no end. Looked at when bytes are
 * written, so it holds for a process that was stopped meanwhile, too.
 */
void nats_conn_write_until(struct nats_conn *c, struct mono end);
/* Ends the subscription that answers come to, if no request is out; the next request makes it again. */
void nats_conn_release_inbox(struct nats_conn *c);

/* For timers of whoever works on the connection. */
struct event_base *nats_conn_base(const struct nats_conn *c);

bool nats_conn_is_up(const struct nats_conn *c);
const struct nats_server_info *nats_conn_info(const struct nats_conn *c); /* valid while up */
/* Server at least this version; false while down. */
bool nats_conn_server_at_least(const struct nats_conn *c, int major, int minor);

/* ---- publishing ---------------------------------------------------------------------------------- */

/*
 * Bytes that may be published now: what waits to be written is bounded at 1 MiB. 0 while down. A caller
 * publishes while room is above 0 and then waits for `writable`. Cheap: may be asked for each message.
 */
size_t nats_conn_room(struct nats_conn *c);

/*
 * Publishes. reply may be NULL. header_lines are whole lines "name: value\r\n" without status line and
 * without the final empty line, NULL or empty for a message without headers. Written by the end of the
 * loop turn, in one piece with all else that was published in it.
 * Under TLS, if the last line has no ": " in it, the second line is sent behind it: callers put two lines
 * of their own, "name: value", in front of lines that are not theirs, or none.
 * Returns 0, or -1 with *e: ERR_IO while down; ERR_CONFLICT if the server would refuse it for its size
 * (max_payload, headers included, or a subject beyond the control line): checked before it is sent.
 */
int nats_conn_publish(struct nats_conn *c, const char *subject, const char *reply, const char *header_lines,
		      size_t header_lines_len, const void *data, size_t data_len, struct error *e);

/* What counts against max_payload for such a message: headers as they will stand on the wire, and data. */
size_t nats_publish_size(size_t header_lines_len, size_t data_len);

/* ---- subscribing --------------------------------------------------------------------------------- */

typedef void nats_message_fn(void *arg, const struct nats_message *m);

/*
 * Delivers from the loop, in order. Messages that arrived and were not delivered yet wait inside;
 * NULL with *e while down. The callback may unsubscribe, publish, and stop the connection. That nobody
 * listens where a publish with a reply subject went (503) comes as a message of that status with the
 * subscription's own subject: the library does not say to which reply subject it belonged.
 */
struct nats_sub *nats_conn_subscribe(struct nats_conn *c, const char *subject, nats_message_fn *fn, void *arg,
				     struct error *e);
/* Ends it and drops what waits; nulls *s. Fine after a loss of the connection. */
void nats_unsubscribe(struct nats_sub **s);
/*
 * Stops and resumes delivery. While a subscription is paused and has more than 1 MiB or 8,192 messages
 * waiting, the connection's socket is not read either (so use connections of their own for source and
 * target); then unanswered pings do not count, and requests wait. A puller's subscription is no reason for
 * that: its credit bounds what can wait. May be called from within the callback: the message being
 * delivered counts as delivered.
 */
void nats_sub_pause(struct nats_sub *s);
void nats_sub_resume(struct nats_sub *s);
/* True if another message is waiting behind the one being delivered. */
bool nats_sub_has_more(const struct nats_sub *s);

/* Keeps a message past its callback, without copying: m's pointers stay valid until nats_held_free. */
struct nats_held *nats_message_hold(const struct nats_message *m);
const struct nats_message *nats_held_message(const struct nats_held *h);
void nats_held_free(struct nats_held **h);

/* A fresh subject of our own inbox ("_INBOX.…"); out_size 128 is enough. */
void nats_conn_new_inbox(struct nats_conn *c, char *out, size_t out_size);

/* ---- asking -------------------------------------------------------------------------------------- */

enum nats_request_result {
	NATS_REPLY,               /* m is the answer */
	NATS_NO_RESPONDERS_REPLY, /* nobody listens there: 503 */
	NATS_REQUEST_TIMEOUT,
	NATS_REQUEST_LOST, /* connection lost or stopped before the answer */
};
typedef void nats_reply_fn(void *arg, enum nats_request_result result, const struct nats_message *m);

struct nats_request;
/*
 * One request, one answer; fn is called exactly once, never from within this call, unless cancelled. The
 * handle may be kept to cancel; it is invalid after fn ran. NULL with *e while down.
 */
struct nats_request *nats_conn_request(struct nats_conn *c, const char *subject, const char *header_lines,
				       size_t header_lines_len, const void *data, size_t data_len,
				       int64_t timeout_ms, nats_reply_fn *fn, void *arg, struct error *e);
void nats_request_cancel(struct nats_request **r);

/* Called once, before the first connection, and once at the end of the process. */
int nats_library_start(struct error *e);
void nats_library_stop(void);

#endif
