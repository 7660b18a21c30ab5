/* Going into the background, and the file that says which process is the daemon. */
#ifndef SR_SUPERVISOR_DAEMON_H
#define SR_SUPERVISOR_DAEMON_H

#include "common/error.h"

/* Has fds 0 to 2 open, on /dev/null if the starter left them closed: no socket may ever get such a number. */
void daemon_secure_stdio(void);

/*
 * Forks twice. Returns in the daemon alone, which must call daemon_started() exactly once. The process
 * that was started waits for that, prints the text, and exits with the code.
 */
void daemon_fork(void);
/* code 0: the start worked; stdin, stdout and stderr go to /dev/null from now on. Does nothing in a process
 * that never called daemon_fork(). */
void daemon_started(int code, const char *text);

/* Writes our pid to path and keeps it locked. 0, or -1 with *e: ERR_CONFLICT if a live process holds it. */
int daemon_write_pidfile(const char *path, struct error *e);
/* Removes the file; nothing if none was written. */
void daemon_remove_pidfile(void);

#endif
