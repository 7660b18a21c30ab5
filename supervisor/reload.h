/* Taking over a changed configuration file while everything runs. */
#ifndef SR_SUPERVISOR_RELOAD_H
#define SR_SUPERVISOR_RELOAD_H

#include <jansson.h>

#include "supervisor/supervisor.h"

/*
 * Parses, validates, acquires what the new file needs, compares, and commits. If anything is wrong before
 * the commit, all errors are logged and everything goes on as it was. Returns the answer for the control
 * socket: {"ok": true, "added": [names], "removed": [...], "changed": [...], "retried": [...],
 * "untouched": n} or {"ok": false, "error": text, "errors": [texts]}.
 */
json_t *reload_run(struct supervisor *s);

#endif
