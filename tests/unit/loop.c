/* Turns of an event loop, one at a time, each measured. */
#include "tests/unit/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int64_t worst_block_ns;

/* Time that this thread computed or waited for a processor. */
static int64_t
scheduled_ns(void)
{
	static int fd = -1;
	static pid_t owner;
	char text[128] = "";
	long long in_queue = 0;
	struct timespec on_cpu;

	if (owner != getpid()) {
		owner = getpid();
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &on_cpu);
	if (fd >= 0 && pread(fd, text, sizeof text - 1, 0) > 0)
		sscanf(text, "%*d %lld", &in_queue);
	return (int64_t)on_cpu.tv_sec * 1000000000 + on_cpu.tv_nsec + in_queue;
}

void
loop_turn(struct event_base *base)
{
	int64_t scheduled = scheduled_ns();
	struct mono before = mono_now();
	int64_t blocked;

	event_base_loop(base, EVLOOP_NONBLOCK);
	blocked = mono_now().ns - before.ns - (scheduled_ns() - scheduled);
	if (blocked > worst_block_ns)
		worst_block_ns = blocked;
	usleep(100);
}
