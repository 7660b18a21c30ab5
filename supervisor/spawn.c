/*
 * Processes of the supervisor: fork, exec, and the words for how one ended.
 *
 * Invariants: every fd of the supervisor is CLOEXEC from birth, and the child closes what is open above
 * its pipe besides, because the shell that started us may have left fds open; signals are blocked around
 * the fork, so that no handler of the event loop runs in the child. Must not call the event loop.
 */
#include "supervisor/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xalloc.h"

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The worker of a build tree, or beside our own program; NULL for an installed program. */
static char *
path_beside_us(void)
{
	static const char *const places[] = {"worker/worker", "worker"};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *folder, *path;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	folder = dirname(self);
	if (strcmp(folder, SR_SBINDIR) == 0)
		return NULL;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		path = xasprintf("%s/%s", folder, places[i]);
		if (is_program(path))
			return path;
		free(path);
	}
	return NULL;
}

char *
spawn_worker_path(struct error *e)
{
	const char *given = getenv("STREAM_REPLICATOR_WORKER");
	char *path = given != NULL && given[0] != '\0' ? xstrdup(given) : path_beside_us();

	if (path == NULL)
		path = xstrdup(SR_LIBEXECDIR "/worker");
	if (is_program(path))
		return path;
	error_set(e, ERR_SYSTEM,
		  "worker program \"%s\" is missing or cannot be executed; install it, or name it in "
		  "STREAM_REPLICATOR_WORKER",
		  path);
	free(path);
	return NULL;
}

/* ---- in the child, between fork and exec ---- */

static void
reset_signals(void)
{
	struct sigaction def = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &def, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Closes all fds above keep. */
static void
close_above(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (dir == NULL) {
		for (int fd = keep + 1; fd < 65536; fd++)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);

		if (fd > keep && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
}

static int
place_pipe(int fd)
{
	if (fd == PROTO_FD)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, PROTO_FD) < 0 ? -1 : 0;
}

static void
empty_stdin(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/* The last words of a child that cannot become a worker. */
static void
report_failure(const char *path, uint64_t generation)
{
	struct proto_log log = {.level = LOG_LEVEL_ERROR};
	struct strbuf payload, frame;

	log.text = xasprintf("cannot execute \"%s\": %s", path, strerror(errno));
	strbuf_init(&payload);
	strbuf_init(&frame);
	proto_log_encode(&payload, &log);
	proto_frame_encode(&frame, PROTO_LOG, generation, payload.data, payload.len);
	if (write(PROTO_FD, frame.data, frame.len) < 0)
		_exit(PROTO_EXIT_EXEC);
}

static void __attribute__((noreturn))
become_worker(const char *path, uint64_t generation, const char *worker, enum proto_job job, int fd)
{
	char number[24];

	/* A session of its own: the terminal's Ctrl-C is for the supervisor alone. */
	setsid();
	reset_signals();
	snprintf(number, sizeof number, "%" PRIu64, generation);
	if (place_pipe(fd) == 0) {
		empty_stdin();
		close_above(PROTO_FD);
		execl(path, path, number, worker, proto_job_name(job), (char *)NULL);
	}
	report_failure(path, generation);
	_exit(PROTO_EXIT_EXEC);
}

/* ---- in the supervisor ---- */

static pid_t
fork_with_signals_blocked(void)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	/* The child unblocks them itself, after it has reset the handlers. */
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int
spawn_worker(const char *path, uint64_t generation, const char *worker, enum proto_job job, pid_t *pid,
	     int *fd, struct error *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return error_set_errno(e, ERR_SYSTEM, "cannot make a pipe to the worker");
	*pid = fork_with_signals_blocked();
	if (*pid == 0)
		become_worker(path, generation, worker, job, pair[1]);
	close(pair[1]);
	if (*pid < 0) {
		close(pair[0]);
		return error_set_errno(e, ERR_SYSTEM, "cannot fork");
	}
	*fd = pair[0];
	return 0;
}

const char *
spawn_status_text(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "ended with code %d: %s", WEXITSTATUS(status),
			 proto_exit_text(WEXITSTATUS(status)));
	return buf;
}
