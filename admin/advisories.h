/* `stream-replicator advisories`: what a stream holds of advisories. */
#ifndef SR_ADMIN_ADVISORIES_H
#define SR_ADMIN_ADVISORIES_H

#include "admin/command.h"

/* Returns the exit code: 0; 1 if the stream is nowhere or cannot be read; 78 if the configuration cannot be
 * used. */
int admin_advisories(const struct command *c);

#endif
