/* What the files of the gossiper share: gossiper.c hears, gossiper_send.c sends, gossiper_join.c asks for
 * snapshots, gossiper_serve.c answers. For nobody else. */
#ifndef SR_WORKER_GOSSIPER_INTERNAL_H
#define SR_WORKER_GOSSIPER_INTERNAL_H

#include "common/gossip.h"
#include "worker/gossip_peers.h"
#include "worker/gossiper.h"

enum {
	GOSSIP_PAGE_BYTES = 256 * 1024, /* written at most */
	GOSSIP_PAGE_READ = 512 * 1024,  /* read at most */
	GOSSIP_PAGE_ROWS = 1000,
	GOSSIP_SNAPSHOTS = 4, /* served at a time */
};
#define GOSSIP_FUTURE_MS (5 * 60 * 1000)

/* So many a window of time. */
struct gossip_budget {
	struct mono since;
	uint32_t used;
};
bool gossip_budget_take(struct gossip_budget *b, struct mono now, int64_t window_ms, uint32_t max);

enum join_phase { JOIN_IDLE, JOIN_OFFERS, JOIN_PAGE, JOIN_ITEMS };

struct gossip_join {
	enum join_phase phase;
	struct event *timer;
	struct nats_sub *offers;
	struct nats_request *request;
	bool has_offer;
	struct gossip_page page; /* the best offer, then the page that is read */
	struct gossip_page from; /* the first page with items */
	bool has_from;
	struct nats_held *held; /* that page */
	size_t offset;
	uint64_t rows, page_rows;
	bool wanted; /* at `due`, unless in step by then */
	struct mono due;
	bool asked_ever;
	struct mono asked_at;
	int64_t wait_ms; /* between two; grows while they bring nothing */
};

struct gossip_snapshot {
	char token[GOSSIP_NONCE_MAX + 1]; /* of the page that may be asked for; "" : free */
	uint64_t cursor;
	bool first;
	char *reply; /* somebody waits for it */
	struct mono used;
};

struct gossiper {
	struct event_base *base;
	struct nats_conn *conn;
	const struct conf_topic *topic;
	struct sampler *sampler;
	uint32_t inspector; /* of notes: who takes values from elsewhere speaks of others */
	struct gossip_nonce nonce;
	char *subject, *position_subject, *snapshot_subject;
	struct nats_sub *items, *positions, *requests, *page_requests;
	struct gossip_peers peers;
	struct gossiper_figures figures;
	bool up;
	struct gossip_budget item_budget, position_budget, request_budget;
	struct event *watch; /* each half second while up */
	bool warned_send, warned_hear;

	/* sending */
	bool leads, has_led;
	int64_t source_created_ns, target_created_ns;
	uint64_t number; /* of the item sent last */
	uint64_t round;  /* marks that were made */
	struct event *send_timer;
	struct mono round_at, spoke_at; /* when a round began, when a position was sent */
	bool draining;                  /* the round is not through */
	bool muted;                     /* until muted_until: we may not publish */
	struct mono muted_until;
	struct sample_note sent_note; /* the last that was sent */
	bool has_sent_note;
	struct strbuf line, text, page;

	/* what we know that our own table holds */
	struct sample_note adopted;
	bool has_adopted;

	struct gossip_join join;
	struct gossip_snapshot snapshots[GOSSIP_SNAPSHOTS];
	struct event *serve_timer;
	size_t serve_next;
};

void gossip_random_name(char out[GOSSIP_NONCE_MAX + 1]);
/* A row from outside into the table; counts it. */
void gossiper_take_item(struct gossiper *g, const char *text, size_t len, int64_t now_ms);
/* Takes the note for our own if it makes sense and is newer. */
void gossiper_adopt(struct gossiper *g, const struct sample_note *note);
void gossiper_adopt_reached(struct gossiper *g);

void gossiper_send_init(struct gossiper *g);
void gossiper_send_fini(struct gossiper *g);
/* Rounds go on, or stop. */
void gossiper_send_start(struct gossiper *g);
void gossiper_send_stop(struct gossiper *g);

void gossiper_join_init(struct gossiper *g);
void gossiper_join_fini(struct gossiper *g);
void gossiper_join_want(struct gossiper *g, int64_t in_ms);
/* Looks whether a snapshot is wanted now. */
void gossiper_join_look(struct gossiper *g);
/* Ends what is under way. */
void gossiper_join_stop(struct gossiper *g);

void gossiper_serve_init(struct gossiper *g);
void gossiper_serve_fini(struct gossiper *g);
void gossiper_serve_stop(struct gossiper *g);
nats_message_fn gossiper_serve_request, gossiper_serve_page;

#endif
