/*
 * The inside of a connection, for the files that make it up and nobody else:
 *
 *   conn.c       life: connecting, back-off, up and down, pings
 *   bridge.c     the library on the loop: reading, delivering, one write a loop turn
 *   publish.c    what goes out
 *   subscribe.c  what comes in
 *   request.c    one question, one answer
 *
 * Invariants: link is the one being made or the one that is up; events for reading and writing exist
 * while up. No callback of the owner runs inside a call of the client library, so callbacks may end the
 * connection; whoever calls them goes on only if the link is still the same (conn_enter, conn_leave).
 */
#ifndef SR_COMMON_NATS_CONN_IMPL_H
#define SR_COMMON_NATS_CONN_IMPL_H

#include "common/clock.h"
#include "common/nats/conn.h"
#include "common/nats/frames.h"
#include "common/nats/link.h"
#include "common/nats/rawmsg.h"
#include "common/nats/servers.h"
#include "common/nats/settings.h"

struct request_table;

struct nats_sub {
	struct nats_conn *conn; /* NULL once the connection is freed */
	struct nats_sub *next, *prev;
	natsSubscription *sub; /* NULL after a loss */
	char *subject;
	nats_message_fn *fn;
	void *arg;
	struct raw_message ahead; /* fetched, not delivered */
	bool has_ahead;
	bool paused, delivering, ended;
	bool bounded; /* whoever subscribed bounds what can wait: never a reason to stop reading */
};

struct nats_conn {
	struct event_base *base;
	struct nats_settings *settings;
	struct nats_conn_callbacks callbacks;
	void *arg;
	char inbox[64]; /* "_INBOX.<random>" */
	uint64_t next_inbox;

	struct nats_servers servers;
	struct nats_link *link;
	bool started, up;
	int64_t backoff_ms; /* before the next round of servers; 0: at once */
	struct mono up_since;
	int wake_fd;
	struct event *wake_event, *retry_event, *ping_event;
	unsigned unanswered; /* pings */
	struct mono last_read;
	struct mono write_end; /* 0: none */

	struct event *read_event, *write_event, *flush_event, *more_event;
	struct frames frames; /* of a plain connection */
	bool flush_wanted, backlog, reading_stopped, wants_room;

	struct mono reading_since; /* unless stopped */

	struct nats_sub *subs;
	bool subs_changed; /* one was taken out of the list */
	struct request_table *requests;
	int busy; /* depth of conn_enter */
	bool freed;
};

/* conn.c */
void conn_enter(struct nats_conn *c);
/* False if the connection was freed meanwhile. */
bool conn_leave(struct nats_conn *c);
void conn_lost(struct nats_conn *c, const char *reason);

/* bridge.c */
void bridge_init(struct nats_conn *c);
void bridge_fini(struct nats_conn *c);
void bridge_start(struct nats_conn *c);
void bridge_stop(struct nats_conn *c);
/* Tells whoever waits for room that there is some, if so. */
void bridge_tell_writable(struct nats_conn *c);
/* Writes at the end of this turn. */
void bridge_schedule_flush(struct nats_conn *c);
/* True if the library found the connection closed; then it is down now. */
bool bridge_found_closed(struct nats_conn *c);
/* Delivers what waits, soon. */
void bridge_schedule_delivery(struct nats_conn *c);

/* publish.c */
/* Writes what waits. False if something is left or the connection was lost. */
bool publish_flush(struct nats_conn *c);
void publish_ping(struct nats_conn *c);
/* Whether there is room enough to tell whoever waits for it; if not, it will be looked at again. */
bool publish_room_again(struct nats_conn *c);

/* subscribe.c */
/* The connection is gone: subscriptions end. */
void subscribe_lost(struct nats_conn *c);
/* Delivers until nothing waits or the deadline. False if something may be left. */
bool subscribe_deliver(struct nats_conn *c, struct mono deadline);
/* Whether so much waits in paused subscriptions that nothing more should be read. */
bool subscribe_overfull(const struct nats_conn *c);

/* request.c */
struct request_table *request_table_new(struct nats_conn *c);
void request_table_free(struct request_table **t);
/* Ends its subscription if nothing is out. */
void request_table_release(struct request_table *t);
/* Ends all with NATS_REQUEST_LOST. */
void request_table_lost(struct request_table *t);

#endif
