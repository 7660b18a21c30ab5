/* The verb `step-down`: leadership of an election goes to another node. */
#ifndef SR_ADMIN_STEP_DOWN_H
#define SR_ADMIN_STEP_DOWN_H

#include <jansson.h>

#include "admin/command.h"

/* What the status says of an election that was to go elsewhere. */
enum step_down_seen {
	STEP_DOWN_STILL_LEADS, /* this node has not given it up yet */
	STEP_DOWN_FREE,        /* nobody leads, as far as is known here */
	STEP_DOWN_TAKEN,       /* another node leads */
	STEP_DOWN_BACK,        /* this node leads again, with a new term */
	STEP_DOWN_UNKNOWN,     /* the election is not in the status any more */
};

/* Of the election's entry in the status, NULL for none. term: that which was given up, as a number. */
enum step_down_seen step_down_look(const json_t *entry, double term);

/* Returns the exit code: 0 if another node leads. What is wrong goes to stderr, with --json to stdout. */
int admin_step_down(const struct command *c);

#endif
