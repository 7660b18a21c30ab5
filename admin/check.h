/* `stream-replicator check`: the configuration, without running anything. */
#ifndef SR_ADMIN_CHECK_H
#define SR_ADMIN_CHECK_H

#include <stdbool.h>

/*
 * Reads and checks the file. All problems go to standard error; print: the effective configuration goes to
 * standard output, secrets masked; else a line that says what was found there. Returns the exit code:
 * 0, 78 if the configuration cannot be used, or 1 if standard output cannot be written.
 */
int admin_check(const char *config_path, bool print);

#endif
