/* Where the control socket of a running supervisor is. */
#ifndef SR_ADMIN_SOCKET_PATH_H
#define SR_ADMIN_SOCKET_PATH_H

#include "common/error.h"

/*
 * socket if it is not NULL, else what the configuration at config_path says. A file that is being edited and
 * has errors still tells: then the first error goes to stderr, and the socket is the one that its lines
 * name, if there is one. The caller frees the path. NULL with *e: ERR_CONFIG if the configuration cannot be
 * used and names no socket that exists.
 */
char *socket_path_find(const char *config_path, const char *socket, struct error *e);

#endif
