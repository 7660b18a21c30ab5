/* The sections of a file and what they fill. */
#ifndef SR_COMMON_CONF_SECTIONS_H
#define SR_COMMON_CONF_SECTIONS_H

#include "common/conf_build.h"

#define CONF_HEADERS_MAX 100 /* of one heartbeat */

/* Fills b->sections and makes topics, headers and subjects, all with their defaults. */
void conf_sections_open(struct conf_build *b);

#endif
