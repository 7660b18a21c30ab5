/* `stream-replicator state`: the last-seen values of sampled topics, from state.db. */
#ifndef SR_ADMIN_STATE_H
#define SR_ADMIN_STATE_H

#include "admin/command.h"

/* Returns the exit code: 0; 1 if the file cannot be read or a topic is not known; 2 for a regular expression
 * that is none; 78 if the configuration cannot be used. */
int admin_state(const struct command *c);

#endif
