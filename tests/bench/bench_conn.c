/*
 * What a connection costs: microseconds of processor time of this process, all threads, for each message
 * published and for each message received, at 256 bytes with headers as a copy has them.
 *
 *     make tests/bench/bench_conn && tests/bench/bench_conn nats://127.0.0.1:4222 [messages]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/nats/conn.h"

static const char lines[] = "Nats-Expected-Last-Sequence: 1234567\r\n"
			    "Choria-SR-Source: NODE_DATA 1234567 US-EAST cmdb 1700000000000\r\n"
			    "Choria-SR-Path: US-EAST\r\n"
			    "Content-Type: application/json\r\n";

struct bench {
	struct event_base *base;
	struct nats_conn *conn;
	const char *subject;
	long count, done;
	size_t bytes;
	double started;
};

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
publish_some(void *arg)
{
	static char data[256];
	struct bench *b = arg;

	while (b->done < b->count && nats_conn_room(b->conn) > 0) {
		nats_conn_publish(b->conn, b->subject, NULL, lines, sizeof lines - 1, data, sizeof data,
				  NULL);
		b->done++;
	}
	if (b->done == b->count)
		event_base_loopexit(b->base, &(struct timeval){0, 200000});
}

static void
received(void *arg, const struct nats_message *m)
{
	struct bench *b = arg;

	if (b->done == 0)
		b->started = cpu_us();
	b->bytes += m->headers_len + m->data_len;
	if (++b->done == b->count)
		event_base_loopbreak(b->base);
}

static void
publisher_up(void *arg)
{
	struct bench *b = arg;

	b->started = cpu_us();
	publish_some(b);
}

static void
subscriber_up(void *arg)
{
	struct bench *b = arg;

	nats_conn_subscribe(b->conn, b->subject, received, b, NULL);
}

static void
down(void *arg, bool was_up, const char *reason)
{
	(void)arg;
	(void)was_up;
	fprintf(stderr, "bench_conn: %s\n", reason);
	exit(1);
}

static void
run(struct bench *b, const char *url, const struct nats_conn_callbacks *callbacks)
{
	struct endpoint ep;
	struct error e = ERROR_INIT;

	if (endpoint_parse(url, NULL, &ep, &e) < 0 || nats_library_start(&e) < 0) {
		fprintf(stderr, "bench_conn: %s\n", e.text);
		exit(1);
	}
	b->base = event_base_new();
	b->conn = nats_conn_new(b->base, &ep, "bench", "bench_conn", callbacks, b);
	endpoint_fini(&ep);
	nats_conn_start(b->conn);
	event_base_dispatch(b->base);
}

static void
publish(const char *url, const char *subject, long count, const char *what)
{
	const struct nats_conn_callbacks callbacks = {publisher_up, down, publish_some, NULL};
	struct bench b = {.subject = subject, .count = count};

	run(&b, url, &callbacks);
	if (what != NULL)
		printf("%s %.2f us each\n", what, (cpu_us() - b.started) / (double)count);
	fflush(stdout);
	_exit(0);
}

static void
receive(const char *url, const char *subject, long count)
{
	const struct nats_conn_callbacks callbacks = {subscriber_up, down, NULL, NULL};
	struct bench b = {.subject = subject, .count = count};

	run(&b, url, &callbacks);
	printf("received  %.2f us each\n", (cpu_us() - b.started) / (double)count);
	fflush(stdout);
	_exit(0);
}

int
main(int argc, char **argv)
{
	long count = argc > 2 ? strtol(argv[2], NULL, 10) : 500000;
	pid_t pid;

	if (argc < 2 || count <= 0) {
		fprintf(stderr, "usage: bench_conn URL [messages]\n");
		return 2;
	}
	/* One process each: the library keeps threads. */
	pid = fork();
	if (pid == 0)
		publish(argv[1], "bench.nobody", count, "published");
	waitpid(pid, NULL, 0);
	pid = fork();
	if (pid == 0)
		receive(argv[1], "bench.somebody", count);
	sleep(1);
	if (fork() == 0)
		publish(argv[1], "bench.somebody", count, NULL);
	while (wait(NULL) > 0)
		;
	return 0;
}
