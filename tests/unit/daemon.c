/* Runs the real supervisor with the fake worker for a test; kills by pid only what it started itself. */
#include "tests/unit/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin/client.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

#define BUFFERS 8

#define MAX_PATHS 64

static char paths[MAX_PATHS][256];
static char dir[] = "/tmp/sr-test-XXXXXX";
static char program[4096];
static pid_t supervisor; /* the one that runs, 0 for none */
static char content[4 * 1024 * 1024];
static char output[65536];

static char *
next_buffer(void)
{
	static char buffers[BUFFERS][2048];
	static unsigned next;

	return buffers[next++ % BUFFERS];
}

const char *
daemon_path(const char *name)
{
	size_t i;

	for (i = 0; i < MAX_PATHS && paths[i][0] != '\0'; i++)
		if (strcmp(paths[i] + strlen(dir) + 1, name) == 0)
			return paths[i];
	ck_assert_uint_lt(i, MAX_PATHS);
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

void
daemon_setup(void)
{
	char worker[4096];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_ptr_nonnull(realpath("stream-replicator", program));
	ck_assert_ptr_nonnull(realpath("fake_worker", worker));
	setenv("STREAM_REPLICATOR_WORKER", worker, 1);
	setenv("FAKE_DIR", dir, 1);
	unsetenv("TOPICS");
	unsetenv("NOTIFY_SOCKET");
}

static void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	char inner[4096];

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		if (unlink(inner) != 0)
			remove_tree(inner);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

/* A daemon in the background that a failed test left, known by its pid file and by our directory. */
static void
kill_background(void)
{
	char name[64], line[4096] = "";
	int pid = atoi(daemon_read("pid"));
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
	f = pid > 1 ? fopen(name, "re") : NULL;
	if (f == NULL)
		return;
	if (fread(line, 1, sizeof line - 1, f) > 0 && memmem(line, sizeof line, dir, strlen(dir)) != NULL)
		kill(pid, SIGKILL);
	fclose(f);
}

void
daemon_teardown(void)
{
	kill_background();
	if (supervisor > 0) {
		kill(supervisor, SIGKILL);
		waitpid(supervisor, NULL, 0);
		daemon_sleep_ms(300); /* its workers see the end of their pipes */
	}
	remove_tree(dir);
}

void
daemon_sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

/* ---- what the program reads ---- */

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(daemon_path(name), "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

void
daemon_configure(const char *top, const char *topics)
{
	size_t size = strlen(top) + strlen(topics) + 1024;
	char *text = malloc(size);

	snprintf(text, size, "name = \"TEST\"\nstate_dir = \"%s/state\"\nlogfile = \"%s/log\"\n%s\n%s", dir,
		 dir, top, topics);
	write_file("sr.conf", text);
	free(text);
}

const char *
daemon_topic(const char *key, const char *settings)
{
	char *buf = next_buffer();

	snprintf(buf, 2048,
		 "topic %s {\n\tstream = S\n\ttarget_stream = T\n\tsource_url = \"nats://127.0.0.1:1\"\n"
		 "\ttarget_url = \"nats://127.0.0.1:2\"\n\t%s\n}\n",
		 key, settings);
	return buf;
}

void
daemon_behave(const char *topic, const char *behaviour)
{
	write_file(topic, behaviour);
}

const char *
daemon_read(const char *file)
{
	FILE *f = fopen(daemon_path(file), "re");
	size_t n = 0;

	if (f != NULL) {
		n = fread(content, 1, sizeof content - 1, f);
		fclose(f);
	}
	content[n] = '\0';
	return content;
}

/* ---- processes ---- */

static pid_t
launch(const char *const *argv, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (out >= 0) {
			dup2(out, STDOUT_FILENO);
			dup2(out, STDERR_FILENO);
		}
		execv(program, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

pid_t
daemon_start(const char *const *extra)
{
	const char *argv[32] = {program, "run", "--config", daemon_path("sr.conf")};
	struct mono deadline = mono_add_ms(mono_now(), 10000);
	json_t *version;

	for (size_t i = 0; extra != NULL && extra[i] != NULL; i++)
		argv[4 + i] = extra[i];
	supervisor = launch(argv, -1);
	while ((version = daemon_ask("version", NULL)) == NULL) {
		ck_assert_msg(waitpid(supervisor, NULL, WNOHANG) == 0, "the supervisor did not start");
		ck_assert(!mono_reached(mono_now(), deadline));
		daemon_sleep_ms(10);
	}
	json_decref(version);
	return supervisor;
}

int
daemon_wait_exit(pid_t pid, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (mono_reached(mono_now(), deadline))
			return -1;
		daemon_sleep_ms(10);
	}
	if (pid == supervisor)
		supervisor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reads to the end, which is there only when nobody has the other side open any more. */
static void
read_output(int fd)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof output - 1 && (n = read(fd, output + len, sizeof output - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
}

int
daemon_command(const char *const *argv)
{
	const char *all[32] = {program};
	int out[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	for (size_t i = 0; argv[i] != NULL; i++)
		all[1 + i] = argv[i];
	pid = launch(all, out[1]);
	close(out[1]);
	read_output(out[0]);
	close(out[0]);
	return daemon_wait_exit(pid, 60000);
}

const char *
daemon_output(void)
{
	return output;
}

/* ---- what it says ---- */

json_t *
daemon_ask(const char *verb, const char *topic)
{
	struct error e = ERROR_INIT;
	struct client *client = client_connect(daemon_path("state/control.sock"), &e);
	json_t *reply = client != NULL ? client_ask(client, verb, topic, &e) : NULL;

	client_close(&client);
	return reply;
}

const char *
daemon_value(const char *topic, const char *key)
{
	json_t *status = daemon_ask("status", NULL), *entry;
	char *buf = next_buffer();
	size_t i;

	snprintf(buf, 2048, "(none)");
	json_array_foreach(json_object_get(status, "topics"), i, entry)
	{
		const json_t *v = json_object_get(entry, key);

		if (strcmp(json_string_value(json_object_get(entry, "name")), topic) != 0)
			continue;
		if (json_is_string(v))
			snprintf(buf, 2048, "%s", json_string_value(v));
		else if (json_is_boolean(v))
			snprintf(buf, 2048, "%s", json_is_true(v) ? "true" : "false");
		else if (json_is_number(v))
			snprintf(buf, 2048, "%.0f", json_number_value(v));
		else
			snprintf(buf, 2048, "null");
	}
	json_decref(status);
	return buf;
}

long long
daemon_number(const char *topic, const char *key)
{
	return atoll(daemon_value(topic, key));
}

void
daemon_await(const char *topic, const char *key, const char *value, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);
	const char *last;

	for (;;) {
		last = daemon_value(topic, key);
		if (strcmp(last, value) == 0)
			return;
		ck_assert_msg(!mono_reached(mono_now(), deadline),
			      "%s of %s is \"%s\", want \"%s\"; log:\n%s", key, topic, last, value,
			      daemon_read("log"));
		daemon_sleep_ms(20);
	}
}

void
daemon_await_number(const char *topic, const char *key, long long least, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);

	while (daemon_number(topic, key) < least) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "%s of %s is %lld, want %lld; log:\n%s",
			      key, topic, daemon_number(topic, key), least, daemon_read("log"));
		daemon_sleep_ms(20);
	}
}

void
daemon_await_text(const char *file, const char *text, int timeout_ms)
{
	struct mono deadline = mono_add_ms(mono_now(), timeout_ms);

	while (access(daemon_path(file), F_OK) != 0 || strstr(daemon_read(file), text) == NULL) {
		ck_assert_msg(!mono_reached(mono_now(), deadline), "%s has no \"%s\" but:\n%s", file, text,
			      daemon_read(file));
		daemon_sleep_ms(20);
	}
}
