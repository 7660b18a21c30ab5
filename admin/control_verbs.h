/* The user's verbs that a running supervisor carries out. */
#ifndef SR_ADMIN_CONTROL_VERBS_H
#define SR_ADMIN_CONTROL_VERBS_H

#include "admin/command.h"

/* pause, resume, restart, reload, stop. Returns the exit code; what is wrong goes to stderr. */
int admin_control(const struct command *c);

#endif
