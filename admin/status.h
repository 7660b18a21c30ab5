/* The verb `status`. */
#ifndef SR_ADMIN_STATUS_H
#define SR_ADMIN_STATUS_H

#include "admin/command.h"

/* Returns the exit code: 0 only if all is well. */
int admin_status(const struct command *c);

#endif
