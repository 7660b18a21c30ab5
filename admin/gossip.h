/* `stream-replicator gossip`: what replicators tell each other of sampled topics. */
#ifndef SR_ADMIN_GOSSIP_H
#define SR_ADMIN_GOSSIP_H

#include "admin/command.h"

/* Runs until it is interrupted. Returns the exit code: 0; 1 if no topic is sampled, a source cannot be
 * reached or refuses the right to listen; 78 if the configuration cannot be used. */
int admin_gossip(const struct command *c);

#endif
