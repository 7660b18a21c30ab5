/*
 * Starts and counts helper threads, in a worker. They are few and short, or as long as a connection. What
 * they may touch is said where they are started. Must not call libevent.
 */
#include "common/nats/helper.h"

#include <errno.h>
#include <nats/nats.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/xalloc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned running;

struct helper {
	void (*fn)(void *arg);
	void *arg;
};

static void
count_out(void)
{
	pthread_mutex_lock(&lock);
	running--;
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&lock);
}

static void *
helper_main(void *arg)
{
	struct helper h = *(struct helper *)arg;

	free(arg);
	h.fn(h.arg);
	/* What the library keeps for each thread that called it. */
	nats_ReleaseThreadMemory();
	count_out();
	return NULL;
}

int
helper_start(void (*fn)(void *arg), void *arg, struct error *e)
{
	struct helper *h = xmalloc(sizeof *h);
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, before;
	int why;

	*h = (struct helper){fn, arg};
	pthread_mutex_lock(&lock);
	running++;
	pthread_mutex_unlock(&lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	why = pthread_create(&thread, &attr, helper_main, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (why == 0)
		return 0;
	free(h);
	count_out();
	errno = why;
	return error_set_errno(e, ERR_SYSTEM, "cannot start a thread");
}

unsigned
helper_running(void)
{
	unsigned count;

	pthread_mutex_lock(&lock);
	count = running;
	pthread_mutex_unlock(&lock);
	return count;
}

bool
helper_wait_all(int64_t timeout_ms)
{
	struct timespec until;
	bool none;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (running > 0 && pthread_cond_timedwait(&ended, &lock, &until) == 0)
		;
	none = running == 0;
	pthread_mutex_unlock(&lock);
	return none;
}
