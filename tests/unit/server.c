/* Starts and ends real NATS servers for the unit tests. */
#include "tests/unit/server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

static char base[128];

void
test_servers_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base, sizeof base, "%s/sr-unit-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(base) == NULL) {
		perror(base);
		exit(1);
	}
}

void
test_servers_end(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", base, (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

void
test_directory(char *out, size_t size)
{
	snprintf(out, size, "%s/XXXXXX", base);
	ck_assert_ptr_nonnull(mkdtemp(out));
}

const char *
test_server_program(void)
{
	static const char *const places[] = {"/usr/sbin/nats-server", "/usr/local/sbin/nats-server",
					     "/usr/bin/nats-server", "/usr/local/bin/nats-server"};
	const char *named = getenv("NATS_SERVER");
	size_t i;

	if (named != NULL && *named == '/')
		return named;
	for (i = 0; i < sizeof places / sizeof places[0]; i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return "nats-server";
}

bool
test_server_at_least(int major, int minor)
{
	char command[512];
	int have_major = 0, have_minor = 0;
	FILE *f;

	snprintf(command, sizeof command, "%s --version", test_server_program());
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "nats-server: v%d.%d", &have_major, &have_minor), 2);
	pclose(f);
	return have_major != major ? have_major > major : have_minor >= minor;
}

static struct sockaddr_in
loopback(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

int
test_free_port(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void
write_config(const struct test_server *s, bool jetstream, const char *config)
{
	FILE *f = fopen(s->conf, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "listen: 127.0.0.1:%d\nlog_file: \"%s/log\"\n", s->port, s->dir);
	if (jetstream)
		fprintf(f, "jetstream { store_dir: \"%s/store\" }\n", s->dir);
	if (config != NULL)
		fputs(config, f);
	fclose(f);
}

static void
run(struct test_server *s)
{
	pid_t parent = getpid();
	int out;

	s->pid = fork();
	ck_assert_int_ge(s->pid, 0);
	if (s->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	out = open("/dev/null", O_RDWR);
	dup2(out, 0);
	dup2(out, 1);
	dup2(out, 2);
	execlp(test_server_program(), "nats-server", "-c", s->conf, (char *)NULL);
	_exit(127);
}

/* Waits until it greets. */
static void
wait_ready(const struct test_server *s)
{
	struct mono deadline = mono_add_ms(mono_now(), 10000);
	struct sockaddr_in a = loopback(s->port);
	char byte;
	int fd, status;

	while (!mono_reached(mono_now(), deadline)) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && read(fd, &byte, 1) == 1) {
			close(fd);
			return;
		}
		close(fd);
		if (waitpid(s->pid, &status, WNOHANG) == s->pid)
			ck_abort_msg("nats-server ended at once, see %s/log", s->dir);
		usleep(10000);
	}
	ck_abort_msg("nats-server is not ready after 10 s");
}

void
test_server_start_at(struct test_server *s, int port, bool jetstream, const char *config)
{
	s->port = port;
	test_directory(s->dir, sizeof s->dir);
	snprintf(s->conf, sizeof s->conf, "%s/conf", s->dir);
	snprintf(s->url, sizeof s->url, "nats://127.0.0.1:%d", s->port);
	write_config(s, jetstream, config);
	run(s);
	wait_ready(s);
}

void
test_server_start(struct test_server *s, const char *config)
{
	test_server_start_at(s, test_free_port(), true, config);
}

void
test_server_restart(struct test_server *s, const char *config)
{
	test_server_stop(s);
	if (config != NULL)
		write_config(s, true, config);
	run(s);
	wait_ready(s);
}

void
test_server_kill(struct test_server *s, int signal)
{
	int status;

	ck_assert_int_eq(kill(s->pid, signal), 0);
	/* Not before all its threads stand still: on a busy machine they answer for a while yet. */
	if (signal == SIGSTOP)
		ck_assert(waitpid(s->pid, &status, WUNTRACED) == s->pid && WIFSTOPPED(status));
}

void
test_server_stop(struct test_server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}
