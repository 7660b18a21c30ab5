/* A worker process: the pipe to its supervisor, and the role that its configuration gives it. */
#ifndef SR_WORKER_WORKER_H
#define SR_WORKER_WORKER_H

#include <stdint.h>

#include "common/proto.h"

/* Runs until drained, orphaned or failed; returns the exit code (enum proto_exit). */
int worker_run(uint64_t generation, const char *name, enum proto_job job);

#endif
