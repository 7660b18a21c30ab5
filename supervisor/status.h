/* The status as JSON, the one source for the command, the control socket and the log. */
#ifndef SR_SUPERVISOR_STATUS_H
#define SR_SUPERVISOR_STATUS_H

#include <jansson.h>

#include "supervisor/supervisor.h"

/* A new object in the form that the manual promises, with "ok" saying whether all is well. */
json_t *status_build(const struct supervisor *s);
/* One line a topic into the log, and one for the whole. */
void status_log(const struct supervisor *s);

#endif
