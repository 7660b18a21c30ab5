/* The part of `check --connect` that is about elections. */
#ifndef SR_ADMIN_CONNECT_ELECTION_H
#define SR_ADMIN_CONNECT_ELECTION_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/conf.h"

/* Reaches the bucket of every election group and prints what it finds: the bucket or what would be made,
 * whether elections can be held in it, rights that lack, who leads each name. Stores nothing. True if nothing
 * stands in the way. */
bool connect_elections(const struct conf *conf, struct event_base *base);

#endif
