/* The configuration for a user's command. */
#ifndef SR_ADMIN_LOAD_H
#define SR_ADMIN_LOAD_H

#include "common/conf.h"

/* Reads it, and says on stderr what is wrong with it, a line each. The caller frees it with conf_free(); NULL
 * if it cannot be used, for COMMAND_EXIT_CONFIG. */
struct conf *load_conf(const char *path);

#endif
