/* The worker program: started by the supervisor with generation, name and role, the pipe on PROTO_FD. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/proto.h"
#include "worker/worker.h"

int
main(int argc, char **argv)
{
	char *end;
	unsigned long long generation;
	enum proto_job job;

	if (argc != 4) {
		fputs("stream-replicator's worker is started by stream-replicator, not by hand\n", stderr);
		return PROTO_EXIT_USAGE;
	}
	errno = 0;
	generation = strtoull(argv[1], &end, 10);
	if (errno != 0 || *end != '\0') {
		fprintf(stderr, "worker: generation %s: not a number\n", argv[1]);
		return PROTO_EXIT_USAGE;
	}
	job = proto_job_find(argv[3]);
	if (job == JOB_END) {
		fprintf(stderr, "worker: role %s: not known\n", argv[3]);
		return PROTO_EXIT_USAGE;
	}
	return worker_run(generation, argv[2], job);
}
