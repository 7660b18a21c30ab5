/* Connections under TLS: certificates, and that nothing stops the loop. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "tests/unit/nats_owner.h"
#include "tests/unit/server.h"
#include "tests/unit/unit.h"

#define MS INT64_C(1000000)

static struct event_base *base;
static char certs[200];
static char ca_path[256], cert_path[256], key_path[256], other_ca_path[256], empty[] = "";
static struct conf_tls client_tls;

static void
run(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* A CA, a certificate for localhost, one for a client, and a CA that has nothing to do with them. */
static void
make_certificates(void)
{
	char command[2048];

	test_servers_begin();
	test_directory(certs, sizeof certs);
	snprintf(command, sizeof command,
		 "cd %s && exec >log 2>&1 && "
		 "new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 10' && "
		 "$new -x509 -keyout ca.key -out ca.pem -subj /CN=ca && "
		 "$new -x509 -keyout other.key -out other.pem -subj /CN=other && "
		 "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >san && "
		 "for who in server client; do "
		 "$new -keyout $who.key -out $who.csr -subj /CN=$who && "
		 "openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 10 "
		 "-extfile san -out $who.pem || exit 1; done",
		 certs);
	run(command);
	snprintf(ca_path, sizeof ca_path, "%s/ca.pem", certs);
	snprintf(other_ca_path, sizeof other_ca_path, "%s/other.pem", certs);
	snprintf(cert_path, sizeof cert_path, "%s/client.pem", certs);
	snprintf(key_path, sizeof key_path, "%s/client.key", certs);
	client_tls = (struct conf_tls){.set = true, .ca = ca_path, .cert = cert_path, .key = key_path};
}

static void
setup(void)
{
	struct error e = ERROR_INIT;

	ck_assert_int_eq(nats_library_start(&e), 0);
	base = event_base_new();
	worst_block_ns = 0;
}

static void
teardown(void)
{
	event_base_free(base);
	nats_library_stop();
}

/* A server that wants client certificates; more is added to its configuration. */
static void
start_server(struct test_server *s, const char *more, char *url, size_t size)
{
	char config[2048];

	snprintf(config, sizeof config,
		 "tls { cert_file: \"%s/server.pem\", key_file: \"%s/server.key\", ca_file: \"%s/ca.pem\", "
		 "verify: true }\n%s",
		 certs, certs, certs, more);
	test_server_start(s, config);
	snprintf(url, size, "tls://localhost:%d", s->port);
}

START_TEST(connects_with_certificates)
{
	struct test_server server;
	struct nats_sub *sub;
	struct got g;
	struct owner o;
	char url[64], *data = xcalloc(1, 1000001);
	int i;

	start_server(&server, "", url, sizeof url);
	owner_connect(&o, base, url, &client_tls);
	ck_assert_int_eq(nats_conn_info(o.conn)->major, 2);
	got_init(&g);
	sub = nats_conn_subscribe(o.conn, "x", got_message, &g, NULL);
	for (i = 0; i < 20; i++) {
		memset(data, 'a' + i, 1000000);
		ck_assert(RUN_UNTIL(base, 5000, nats_conn_room(o.conn) > 0));
		ck_assert_int_eq(nats_conn_publish(o.conn, "x", NULL, NULL, 0, data, 1000000, NULL), 0);
	}
	ck_assert(RUN_UNTIL(base, 10000, g.count == 20));
	ck_assert_uint_eq(g.data.len, 1000000);
	ck_assert_str_eq(g.data.data, data);
	nats_unsubscribe(&sub);
	got_fini(&g);
	nats_conn_free(&o.conn);
	/* These are larger than what the relay takes at once: its thread must get its turn in between. */
	ck_assert_int_lt(worst_block_ns, 100 * MS);
	test_server_stop(&server);
	free(data);
}
END_TEST

/* Sizes and contents that follow from a number. */
static size_t
bulk_size(int i)
{
	return (size_t)(i * 7919 % 60000) + 1;
}

static void
check_bulk(void *arg, const struct nats_message *m)
{
	int *count = arg;
	size_t i = 0;

	ck_assert_uint_eq(m->data_len, bulk_size(*count));
	while (i < m->data_len && m->data[i] == (char)*count)
		i++;
	ck_assert_uint_eq(i, m->data_len);
	++*count;
}

START_TEST(moves_much_both_ways)
{
	enum { COUNT = 3000 };
	static char data[60001];
	struct test_server server;
	struct nats_sub *sub;
	struct owner o;
	int count = 0, i;
	char url[64];

	start_server(&server, "", url, sizeof url);
	owner_connect(&o, base, url, &client_tls);
	sub = nats_conn_subscribe(o.conn, "x", check_bulk, &count, NULL);
	for (i = 0; i < COUNT; i++) {
		memset(data, i, bulk_size(i));
		ck_assert(RUN_UNTIL(base, 5000, nats_conn_room(o.conn) > 0));
		nats_conn_publish(o.conn, "x", NULL, NULL, 0, data, bulk_size(i), NULL);
		/* now and then the loop is late, and everything fills up */
		if (i % 500 == 0)
			usleep(100000);
	}
	ck_assert(RUN_UNTIL(base, 20000, count == COUNT));
	nats_unsubscribe(&sub);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(switches_to_tls_when_the_server_wants_it)
{
	struct test_server server;
	struct owner o;
	char url[64];

	start_server(&server, "", url, sizeof url);
	snprintf(url, sizeof url, "nats://localhost:%d", server.port);
	owner_connect(&o, base, url, &client_tls);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

static void
assert_fails(const char *url, const struct conf_tls *tls, const char *want)
{
	struct owner o;

	owner_new(&o, base, url, tls);
	ck_assert(RUN_UNTIL(base, 5000, o.failures > 0));
	ck_assert_msg(strstr(o.reason, want) != NULL, "%s", o.reason);
	ck_assert_int_eq(o.ups, 0);
	nats_conn_free(&o.conn);
}

START_TEST(explains_refusals)
{
	struct conf_tls no_cert = {.set = true, .ca = ca_path, .cert = empty, .key = empty};
	struct conf_tls other_ca = {.set = true, .ca = other_ca_path, .cert = cert_path, .key = key_path};
	struct conf_tls missing = {.set = true, .ca = ca_path, .cert = cert_path, .key = certs};
	struct test_server server, plain;
	struct owner o;
	char url[128], missing_key[256];

	start_server(&server, "", url, sizeof url);
	assert_fails(url, &no_cert, "wants a client certificate");
	assert_fails(url, &other_ca, "certificate");
	snprintf(missing_key, sizeof missing_key, "%s/nothing", certs);
	missing.key = missing_key;
	assert_fails(url, &missing, "cannot be read");
	test_server_start(&plain, NULL);
	snprintf(url, sizeof url, "tls://127.0.0.1:%d", plain.port);
	assert_fails(url, &client_tls, "does not offer it");
	/* whoever does not want to know who the server is gets through */
	snprintf(url, sizeof url, "tls://localhost:%d?insecure=true", server.port);
	owner_connect(&o, base, url, &other_ca);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
	test_server_stop(&plain);
}
END_TEST

START_TEST(keeps_odd_headers_under_tls)
{
	struct test_server server, plain;
	struct owner o;
	char config[512], url[64];
	int route_a = test_free_port(), route_b = test_free_port();

	/* What a foreign client sends in the clear comes by way of a second server. */
	snprintf(config, sizeof config,
		 "server_name: a\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: "
		 "[\"nats-route://127.0.0.1:%d\"] }\n",
		 route_a, route_b);
	test_server_start_at(&plain, test_free_port(), false, config);
	snprintf(config, sizeof config,
		 "tls { cert_file: \"%s/server.pem\", key_file: \"%s/server.key\" }\n"
		 "server_name: b\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: "
		 "[\"nats-route://127.0.0.1:%d\"] }\n",
		 certs, certs, route_b, route_a);
	test_server_start_at(&server, test_free_port(), false, config);
	snprintf(url, sizeof url, "tls://localhost:%d", server.port);
	RUN_UNTIL(base, 1500, false);
	owner_connect(&o, base, url, &client_tls);
	odd_messages_through(&o, plain.port);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
	test_server_stop(&plain);
}
END_TEST

START_TEST(asks_nobody_under_tls)
{
	struct test_server server;
	struct nats_sub *sub;
	struct got g;
	struct owner o;
	char url[64], inbox[128];

	start_server(&server, "", url, sizeof url);
	owner_connect(&o, base, url, &client_tls);
	got_init(&g);
	nats_conn_new_inbox(o.conn, inbox, sizeof inbox);
	sub = nats_conn_subscribe(o.conn, inbox, got_message, &g, NULL);
	nats_conn_publish(o.conn, "nobody", inbox, NULL, 0, "x", 1, NULL);
	ck_assert(RUN_UNTIL(base, 2000, g.count == 1));
	ck_assert_str_eq(g.subject.data, inbox);
	ck_assert_int_eq(strncmp(g.headers.data, "NATS/1.0 503", 12), 0);
	nats_unsubscribe(&sub);
	got_fini(&g);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

START_TEST(a_frozen_server_does_not_stop_the_loop)
{
	struct test_server server;
	struct mono before;
	struct owner o;
	char url[64], *data = xcalloc(1, 1000000);
	size_t sent = 0;

	start_server(&server, "", url, sizeof url);
	owner_connect(&o, base, url, &client_tls);
	test_server_kill(&server, SIGSTOP);
	before = mono_now();
	while (nats_conn_room(o.conn) > 0 || RUN_UNTIL(base, 100, nats_conn_room(o.conn) > 0)) {
		ck_assert_int_eq(nats_conn_publish(o.conn, "x", NULL, "A: 1\r\n", 6, data, 10000, NULL), 0);
		sent += 10000;
		ck_assert_uint_lt(sent, 200 * 1000 * 1000);
	}
	ck_assert_uint_gt(sent, 1000 * 1000);
	ck_assert_int_lt(worst_block_ns, 10 * MS);
	/* also one large message beyond */
	ck_assert_int_eq(nats_conn_publish(o.conn, "x", NULL, NULL, 0, data, 1000000, NULL), 0);
	ck_assert(RUN_UNTIL(base, 12000, o.downs == 1));
	ck_assert_msg(strstr(o.reason, "pings") != NULL, "%s", o.reason);
	ck_assert_int_lt(mono_ms_between(before, mono_now()), 10000);
	test_server_kill(&server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 20000, o.ups == 2));
	ck_assert_int_lt(worst_block_ns, 100 * MS);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
	free(data);
}
END_TEST

START_TEST(tells_of_room_under_tls)
{
	struct test_server server;
	struct owner o;
	char url[64];
	static char data[10000];

	start_server(&server, "", url, sizeof url);
	owner_connect(&o, base, url, &client_tls);
	test_server_kill(&server, SIGSTOP);
	while (nats_conn_room(o.conn) > 0 || RUN_UNTIL(base, 100, nats_conn_room(o.conn) > 0))
		ck_assert_int_eq(nats_conn_publish(o.conn, "x", NULL, NULL, 0, data, sizeof data, NULL), 0);
	o.writables = 0;
	ck_assert(!RUN_UNTIL(base, 200, o.writables > 0));
	test_server_kill(&server, SIGCONT);
	ck_assert(RUN_UNTIL(base, 3000, o.writables > 0));
	ck_assert_uint_gt(nats_conn_room(o.conn), 0);
	nats_conn_free(&o.conn);
	test_server_stop(&server);
}
END_TEST

/* ---- half a record ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t hold;

static void
hold_next(int signal)
{
	(void)signal;
	hold = 1;
}

static int
dial(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		_exit(1);
	return fd;
}

/* Moves one piece; from the server, when told to, half of it comes three seconds after the other. */
static bool
move(int from, int to, bool may_hold)
{
	static char data[65536];
	ssize_t n = read(from, data, sizeof data), half;

	if (n <= 0)
		return false;
	half = may_hold && hold && n > 1000 ? n / 2 : n;
	if (write(to, data, (size_t)half) != half)
		return false;
	if (half == n)
		return true;
	hold = 0;
	sleep(3);
	return write(to, data + half, (size_t)(n - half)) == n - half;
}

static void
proxy_connection(int client, int port)
{
	int server = dial(port);
	struct pollfd fds[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0 && !move(client, server, false))
			_exit(0);
		if (fds[1].revents != 0 && !move(server, client, true))
			_exit(0);
	}
}

/* A proxy in a process of its own, one more for each connection, all of one group. */
static pid_t
start_proxy(int listen_port, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)listen_port)};
	int on = 1, client, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	pid = fork();
	if (pid != 0) {
		close(fd);
		setpgid(pid, pid);
		return pid;
	}
	setpgid(0, 0);
	signal(SIGUSR1, hold_next);
	signal(SIGCHLD, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		client = accept(fd, NULL, NULL);
		if (client < 0 || fork() != 0) {
			close(client);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		proxy_connection(client, port);
	}
}

START_TEST(half_a_record_does_not_stop_the_loop)
{
	struct test_server server;
	struct nats_sub *sub;
	struct mono before;
	struct got g;
	struct owner o;
	char url[64], *data = xcalloc(1, 10001);
	int port = test_free_port();
	pid_t proxy;

	start_server(&server, "", url, sizeof url);
	proxy = start_proxy(port, server.port);
	snprintf(url, sizeof url, "tls://localhost:%d", port);
	owner_connect(&o, base, url, &client_tls);
	got_init(&g);
	sub = nats_conn_subscribe(o.conn, "x", got_message, &g, NULL);
	memset(data, 'd', 10000);
	RUN_UNTIL(base, 200, false);
	kill(-proxy, SIGUSR1);
	RUN_UNTIL(base, 200, false);
	before = mono_now();
	nats_conn_publish(o.conn, "x", NULL, NULL, 0, data, 10000, NULL);
	ck_assert(RUN_UNTIL(base, 6000, g.count == 1));
	ck_assert_int_ge(mono_ms_between(before, mono_now()), 2500);
	ck_assert_int_lt(worst_block_ns, 10 * MS);
	ck_assert_str_eq(g.data.data, data);
	ck_assert_int_eq(o.downs, 0);
	nats_unsubscribe(&sub);
	got_fini(&g);
	nats_conn_free(&o.conn);
	kill(-proxy, SIGKILL);
	waitpid(proxy, NULL, 0);
	test_server_stop(&server);
	free(data);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("nats_tls");
	TCase *tc = tcase_create("tls");

	tcase_add_unchecked_fixture(tc, make_certificates, test_servers_end);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, connects_with_certificates);
	tcase_add_test(tc, moves_much_both_ways);
	tcase_add_test(tc, switches_to_tls_when_the_server_wants_it);
	tcase_add_test(tc, explains_refusals);
	tcase_add_test(tc, keeps_odd_headers_under_tls);
	tcase_add_test(tc, asks_nobody_under_tls);
	tcase_add_test(tc, a_frozen_server_does_not_stop_the_loop);
	tcase_add_test(tc, tells_of_room_under_tls);
	tcase_add_test(tc, half_a_record_does_not_stop_the_loop);
	suite_add_tcase(s, tc);
	return s;
}
