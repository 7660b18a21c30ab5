/*
 * Gossip about last-seen values: its subjects, and the item that existing peers read and write. Pure.
 *
 *     choria.stream-replicator.sync.<stream>.<topic>            items, one JSON object a message
 *     choria.stream-replicator.sync.<stream>.<topic>.position   what this program says of itself besides
 *     choria.stream-replicator.sync.<stream>.<topic>.snapshot   requests of nodes that join
 *
 * Everything that comes from the network is checked; unknown fields are passed over.
 */
#ifndef SR_COMMON_GOSSIP_H
#define SR_COMMON_GOSSIP_H

#include "common/error.h"
#include "common/proto.h"
#include "common/sample_value.h"
#include "common/strbuf.h"

#define GOSSIP_SUBJECT_PREFIX "choria.stream-replicator.sync."
#define GOSSIP_ITEM_MAX       8192 /* bytes of a message; a longer one is refused unread */

/* suffix: "", ".position", ".snapshot". What a subject cannot hold of the names becomes '_'. */
void gossip_subject(const char *stream, const char *topic, const char *suffix, struct strbuf *out);

/* {"seen":…,"copied":…,"advised":…,"size":…,"value":…}, RFC 3339 times; never copied is 0001-01-01T00:00:00Z,
 * as existing peers write it. Written by hand, with the escapes of JSON: it is the hot path of gossip. */
void gossip_item_write(const struct proto_sample *row, struct strbuf *out);
/* 0 with *row, whose value points into *value; -1 with *e: it makes no sense. */
int gossip_item_read(const char *text, size_t len, struct proto_sample *row, struct sample_value *value,
		     struct error *e);

#endif
