/*
 * Going into the background, and the pid file. Runs in the supervisor, before it has children. Invariant:
 * the exit status of the process that was started says whether the daemon works.
 */
#include "supervisor/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xalloc.h"

static int report_fd = -1; /* to the process that was started */
static int pidfile_fd = -1;
static char *pidfile_path;

void
daemon_secure_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* In the process that was started: one byte is the exit code, what follows is for its stderr. */
static void __attribute__((noreturn)) wait_for_report(int fd, pid_t child)
{
	char text[1024];
	ssize_t n, len = 0;

	while (len < (ssize_t)sizeof text &&
	       ((n = read(fd, text + len, sizeof text - (size_t)len)) > 0 || (n < 0 && errno == EINTR)))
		len += n > 0 ? n : 0;
	waitpid(child, NULL, 0);
	if (len == 0) {
		fprintf(stderr, "stream-replicator: the daemon ended before it was started\n");
		_exit(EXIT_FAILURE);
	}
	if (len > 1)
		fprintf(stderr, "%.*s\n", (int)len - 1, text + 1);
	_exit(text[0]);
}

static pid_t
fork_or_exit(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("stream-replicator: cannot fork");
		_exit(EXIT_FAILURE);
	}
	return pid;
}

void
daemon_fork(void)
{
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) != 0) {
		perror("stream-replicator: cannot make a pipe");
		_exit(EXIT_FAILURE);
	}
	fflush(NULL);
	pid = fork_or_exit();
	if (pid > 0) {
		close(report[1]);
		wait_for_report(report[0], pid);
	}
	close(report[0]);
	setsid();
	/* No session leader: it can never get a controlling terminal again. */
	if (fork_or_exit() > 0)
		_exit(EXIT_SUCCESS);
	/* The working directory stays: relative paths mean the same at a reload as at the start. */
	report_fd = report[1];
}

void
daemon_started(int code, const char *text)
{
	char message[1024];
	size_t len = strlen(text);
	int null;

	if (report_fd < 0)
		return;
	if (len > sizeof message - 1)
		len = sizeof message - 1;
	message[0] = (char)code;
	memcpy(message + 1, text, len);
	if (write(report_fd, message, len + 1) < 0)
		perror("stream-replicator: cannot report the start");
	close(report_fd);
	report_fd = -1;
	null = code == 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	if (null < 0)
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
}

static int
held_by_another(int fd, const char *path, struct error *e)
{
	char text[32];
	ssize_t n = read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return error_set(e, ERR_CONFLICT,
			 "pidfile \"%s\": process %s holds it; is stream-replicator running already?", path,
			 text[0] != '\0' ? text : "unknown");
}

/* Opens and locks the file; the one we locked must still be the one of that name. */
static int
lock_pidfile(const char *path, struct error *e)
{
	struct stat ours, named;
	int fd;

	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0644);
		if (fd < 0)
			return error_set_errno(e, ERR_SYSTEM, "pidfile \"%s\": cannot write it", path);
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			held_by_another(fd, path, e);
			close(fd);
			return -1;
		}
		if (fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
		    ours.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
}

int
daemon_write_pidfile(const char *path, struct error *e)
{
	int fd = lock_pidfile(path, e);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		error_set_errno(e, ERR_SYSTEM, "pidfile \"%s\": cannot write it", path);
		close(fd);
		return -1;
	}
	pidfile_fd = fd;
	pidfile_path = realpath(path, NULL);
	if (pidfile_path == NULL)
		pidfile_path = xstrdup(path);
	return 0;
}

void
daemon_remove_pidfile(void)
{
	if (pidfile_fd < 0)
		return;
	unlink(pidfile_path);
	close(pidfile_fd);
	free(pidfile_path);
	pidfile_fd = -1;
	pidfile_path = NULL;
}
