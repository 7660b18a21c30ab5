/*
 * Processes: starting a worker with its pipe, and what the end of one means in words.
 */
#ifndef SR_SUPERVISOR_SPAWN_H
#define SR_SUPERVISOR_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/proto.h"

/*
 * The worker program: $STREAM_REPLICATOR_WORKER, else (for a supervisor that is not installed) `worker`
 * beside our own program, else the installed one. The caller frees it. NULL with *e if it cannot be
 * executed.
 */
char *spawn_worker_path(struct error *e);

/*
 * Starts `path <generation> <worker> <role>` in a session of its own with fds 0 to 2 and its end of the pipe
 * on PROTO_FD; nothing else of ours is open in it, all signals are at their default. *fd is our end, for the
 * caller to close. If the program cannot be executed, the child says so with a LOG frame and ends with
 * PROTO_EXIT_EXEC. Returns 0, or -1 with *e.
 */
int spawn_worker(const char *path, uint64_t generation, const char *worker, enum proto_job job, pid_t *pid,
		 int *fd, struct error *e);

/* A status of waitpid() in words, "killed by signal 9 (Killed)"; returns buf. */
const char *spawn_status_text(int status, char *buf, size_t size);

#endif
