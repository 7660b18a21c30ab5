/*
 * Who is there: the nodes that stand for the names of one bucket, by what they announce, and what follows for
 * balance. Pure. Announcements are hostile input: everything is bounded and checked, and nothing here
 * decides who leads.
 *
 * An announcement is a core message on "choria.stream-replicator.election.<bucket>", JSON:
 *   {"v":1, "nonce":"…", "node":"…", "site":"…", "pid":N, "gone":false,
 *    "names":[{"key":"…", "leads":true, "able":true}, …]}
 * sent every TTL/2 and at each change; "gone":true is the last word of a node that stops. One that was not
 * heard for two TTLs is gone.
 */
#ifndef SR_WORKER_PRESENCE_H
#define SR_WORKER_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/proto.h"
#include "common/strbuf.h"

enum {
	PRESENCE_MAX_NODES = 256,
	PRESENCE_MAX_NAMES = 4096,      /* of a node */
	PRESENCE_MAX_BYTES = 512 * 1024 /* of an announcement */
};

struct presence;

/* nonce, node, site, pid: of this node. */
struct presence *presence_new(const char *nonce, const char *node, const char *site, uint32_t pid);
void presence_free(struct presence **p);

/* Of this node: adds a name or changes it. since: when we began to lead it; moved: it came for balance.
 * Returns true if something changed that is worth an announcement at once. */
bool presence_set_own(struct presence *p, const char *key, bool leads, bool able, struct mono since,
		      bool moved);
void presence_write(const struct presence *p, bool gone, struct strbuf *out);
/* 0, or -1 with *e: it makes no sense and is dropped. Our own is ignored. *changed (may be NULL): who is
 * there for which name has changed. */
int presence_heard(struct presence *p, struct mono now, const char *data, size_t len, bool *changed,
		   struct error *e);
/* Forgets nodes that were not heard for two TTLs; true if there were any. */
bool presence_expire(struct presence *p, struct mono now, int64_t ttl_ms);

/* Nodes that stand for the name, this one first if it does; returns how many were written. Strings are
 * borrowed until the next call that takes p without const. */
size_t presence_candidates(const struct presence *p, const char *key, struct proto_candidate *out,
			   size_t max);
/* Another node is there that stands for the name (able: and could work on it). */
bool presence_other_stands(const struct presence *p, const char *key, bool able);

/* ---- balance --------------------------------------------------------------------------------------- */

/* Leads fewer than its fair share: the sum of 1 / (nodes that stand for it) over the names that this node
 * stands for, rounded up. */
bool presence_wants_more(const struct presence *p);
/*
 * The name to hand over now for balance, or NULL: we lead more than our fair share, another able node that
 * stands for it leads fewer than its own and would still lead fewer than we do then, and the name did not
 * come to us for balance within the last ten TTLs. At most one a second, and faster in
 * proportion where more than five are to go; the caller says when it was done.
 */
const char *presence_hand_over(const struct presence *p, struct mono now, int64_t ttl_ms);
void presence_handed_over(struct presence *p, struct mono now);

#endif
