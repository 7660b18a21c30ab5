/* The part of the status that is about elections and heartbeats. */
#ifndef SR_SUPERVISOR_STATUS_ELECTIONS_H
#define SR_SUPERVISOR_STATUS_ELECTIONS_H

#include <jansson.h>

#include "supervisor/supervisor.h"

/* One entry a name, in the order of the configuration. */
json_t *status_elections(const struct supervisor *s, struct mono now);
/* null where none is configured */
json_t *status_heartbeat(const struct supervisor *s, struct mono now);
/* "role" and "term" of a child that works for a name, or for none. */
void status_add_role(json_t *o, const struct supervisor *s, const struct child *c);
/* Appends texts. */
void status_election_problems(const struct supervisor *s, struct mono now, json_t *all);
/* One line a name, and one for the heartbeat. */
void status_log_elections(const struct supervisor *s, struct mono now);

#endif
