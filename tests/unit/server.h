/*
 * Real NATS servers for tests: the program named by NATS_SERVER, else nats-server in the usual places.
 * They listen on loopback only, die with the test that started them, and leave nothing behind.
 */
#ifndef SR_TESTS_SERVER_H
#define SR_TESTS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct test_server {
	pid_t pid;
	int port;
	char url[64];  /* nats://127.0.0.1:port */
	char dir[256]; /* its own; configuration, log and store */
	char conf[300];
};

/* Unchecked fixtures: the directory that holds all others of this program. */
void test_servers_begin(void);
void test_servers_end(void);
/* A fresh directory in it. */
void test_directory(char *out, size_t size);

/* Starts one with JetStream; config is added to its configuration, NULL for none. Ends the test if it
 * cannot be started. */
void test_server_start(struct test_server *s, const char *config);
/* The same with another port than a random one, and without JetStream if so wanted. */
void test_server_start_at(struct test_server *s, int port, bool jetstream, const char *config);
/* Starts it again with its port, its store and, if not NULL, another configuration. */
void test_server_restart(struct test_server *s, const char *config);
/* Sends it a signal; SIGSTOP returns when it has stopped. */
void test_server_kill(struct test_server *s, int signal);
/* Kills it and waits for its end. */
void test_server_stop(struct test_server *s);

int test_free_port(void);
/* Whether a server at least that new is tested. */
bool test_server_at_least(int major, int minor);
const char *test_server_program(void);

#endif
