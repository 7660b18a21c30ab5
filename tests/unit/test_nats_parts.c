/* The parts of a connection that need no server: list of servers, greeting, frames, reasons. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nats/frames.h"
#include "common/nats/greeting.h"
#include "common/nats/rawmsg.h"
#include "common/nats/reason.h"
#include "common/nats/servers.h"
#include "common/nats/settings.h"
#include "tests/unit/unit.h"

static char url_a[] = "nats://a:1", url_b[] = "nats://b:1", url_c[] = "nats://c:1";
static char *urls[] = {url_a, url_b, url_c};

START_TEST(tries_each_server_in_turn)
{
	struct nats_servers s;
	char first[32];

	nats_servers_init(&s, urls, 3, 1);
	snprintf(first, sizeof first, "%s", nats_servers_next(&s));
	ck_assert_str_eq(first, "nats://b:1");
	ck_assert(!nats_servers_all_tried(&s));
	ck_assert_str_eq(nats_servers_next(&s), "nats://c:1");
	ck_assert_str_eq(nats_servers_next(&s), "nats://a:1");
	ck_assert(nats_servers_all_tried(&s));
	nats_servers_connected(&s);
	ck_assert(!nats_servers_all_tried(&s));
	ck_assert_str_eq(nats_servers_next(&s), first);
	nats_servers_fini(&s);
	nats_servers_init(&s, NULL, 0, 7);
	ck_assert_ptr_null(nats_servers_next(&s));
	nats_servers_fini(&s);
}
END_TEST

START_TEST(learns_and_forgets_servers)
{
	char a1[] = "a:1", x2[] = "x:2", y3[] = "y:3";
	char *one[] = {a1, x2}, *two[] = {y3};
	struct nats_servers s;

	nats_servers_init(&s, urls, 1, 0);
	ck_assert_str_eq(nats_servers_next(&s), "nats://a:1");
	nats_servers_announced(&s, one, 2, false);
	ck_assert_uint_eq(s.count, 2);
	/* a new one is next, the one we have is last */
	ck_assert_str_eq(nats_servers_next(&s), "nats://x:2");
	nats_servers_announced(&s, one, 0, false);
	ck_assert_uint_eq(s.count, 2);
	nats_servers_announced(&s, two, 1, true);
	ck_assert_uint_eq(s.count, 2);
	ck_assert_str_eq(nats_servers_next(&s), "tls://y:3");
	ck_assert_str_eq(nats_servers_next(&s), "nats://a:1");
	nats_servers_fini(&s);
}
END_TEST

START_TEST(reads_greetings)
{
	static const char text[] =
	    "{\"server_id\":\"ID\",\"server_name\":\"n1\",\"version\":\"2.10.7-beta.1\",\"domain\":\"hub\","
	    "\"jetstream\":true,\"headers\":true,\"tls_required\":true,\"max_payload\":8388608,"
	    "\"connect_urls\":[\"1.2.3.4:5\",7,\"[::1]:6\"]}\r\nmore";
	struct nats_greeting g;

	nats_greeting_init(&g);
	ck_assert_int_eq(nats_greeting_parse(&g, text, strlen(text), NULL), 0);
	ck_assert_str_eq(g.server_id, "ID");
	ck_assert_str_eq(g.info.name, "n1");
	ck_assert_str_eq(g.info.version, "2.10.7-beta.1");
	ck_assert_int_eq(g.info.major, 2);
	ck_assert_int_eq(g.info.minor, 10);
	ck_assert_int_eq(g.info.patch, 7);
	ck_assert_str_eq(g.info.domain, "hub");
	ck_assert(g.info.jetstream && g.info.headers && g.tls_required);
	ck_assert_uint_eq(g.info.max_payload, 8388608);
	ck_assert_uint_eq(g.announced_count, 2);
	ck_assert_str_eq(g.announced[1], "[::1]:6");
	nats_greeting_fini(&g);
}
END_TEST

START_TEST(takes_strange_greetings)
{
	static const char *const none[] = {"", "x", "[]", "{", "null"};
	static const char *const odd[] = {"{}", "{\"version\":7,\"max_payload\":-1,\"connect_urls\":{}}",
					  "{\"version\":\"new\"}", "{\"version\":\"3\"}"};
	struct nats_greeting g;
	size_t i;

	for (i = 0; i < sizeof none / sizeof none[0]; i++) {
		nats_greeting_init(&g);
		ck_assert_int_eq(nats_greeting_parse(&g, none[i], strlen(none[i]), NULL), -1);
		nats_greeting_fini(&g);
	}
	for (i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		nats_greeting_init(&g);
		ck_assert_int_eq(nats_greeting_parse(&g, odd[i], strlen(odd[i]), NULL), 0);
		ck_assert_str_eq(g.info.version, "0.0.0");
		ck_assert_int_eq(g.info.major, 0);
		nats_greeting_fini(&g);
	}
}
END_TEST

/* What the frames hold, as text. */
static void
assert_frames(struct frames *f, const char *want)
{
	ck_assert_msg(f->len == strlen(want) && memcmp(f->data, want, f->len) == 0, "%.*s", (int)f->len,
		      f->data);
	frames_reset(f);
}

START_TEST(builds_frames)
{
	struct frames f;

	frames_init(&f);
	ck_assert_int_eq(frames_message(&f, "a.b", NULL, NULL, 0, "xyz", 3), 0);
	assert_frames(&f, "PUB a.b 3\r\nxyz\r\n");
	ck_assert_int_eq(frames_message(&f, "a.b", "r", NULL, 0, NULL, 0), 0);
	assert_frames(&f, "PUB a.b r 0\r\n\r\n");
	ck_assert_int_eq(frames_message(&f, "a", NULL, "A: 1\r\nB:\r\n", 10, "xyz", 3), 0);
	assert_frames(&f, "HPUB a 22 25\r\nNATS/1.0\r\nA: 1\r\nB:\r\n\r\nxyz\r\n");
	ck_assert_int_eq(frames_message(&f, "a", "r.1", "A: 1\r\n", 6, "", 0), 0);
	frames_ping(&f);
	assert_frames(&f, "HPUB a r.1 18 18\r\nNATS/1.0\r\nA: 1\r\n\r\n\r\nPING\r\n");
	ck_assert_int_eq(frames_message(&f, "", NULL, NULL, 0, "x", 1), -1);
	ck_assert_int_eq(frames_message(&f, "a b", NULL, NULL, 0, "x", 1), -1);
	ck_assert_int_eq(frames_message(&f, "a\r\nPUB b", NULL, NULL, 0, "x", 1), -1);
	ck_assert_int_eq(frames_message(&f, "a", "r\n", NULL, 0, "x", 1), -1);
	ck_assert_int_eq(frames_message(&f, "a", "", NULL, 0, "x", 1), -1);
	ck_assert_uint_eq(frames_left(&f), 0);
	frames_fini(&f);
}
END_TEST

START_TEST(writes_frames_piece_by_piece)
{
	enum { COUNT = 20000 };
	static char data[200], in[65536];
	struct frames f;
	size_t sent = 0, read_bytes = 0;
	int pair[2], i = 0, result;
	ssize_t n;

	memset(data, 'd', sizeof data);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	frames_init(&f);
	while (i < COUNT || frames_left(&f) > 0) {
		for (; i < COUNT && frames_left(&f) < 1000000; i++) {
			frames_message(&f, "subject", NULL, NULL, 0, data, sizeof data);
			sent += strlen("PUB subject 200\r\n") + sizeof data + 2;
		}
		result = frames_write(&f, pair[0]);
		ck_assert_int_ge(result, 0);
		while ((n = read(pair[1], in, sizeof in)) > 0)
			read_bytes += (size_t)n;
		/* what was written is not kept */
		ck_assert_uint_le(f.cap, 4000000);
	}
	ck_assert_uint_eq(read_bytes, sent);
	close(pair[1]);
	frames_ping(&f);
	ck_assert_int_eq(frames_write(&f, pair[0]), -1);
	close(pair[0]);
	frames_fini(&f);
}
END_TEST

static void
assert_connect_reason(natsStatus status, const char *text, bool tls, const struct nats_settings *s,
		      enum error_code code, const char *want)
{
	struct error e = ERROR_INIT;

	nats_reason_connect(&e, status, text, tls, s);
	ck_assert_int_eq(e.code, code);
	ck_assert_msg(strstr(e.text, want) != NULL, "%s", e.text);
	ck_assert_msg(strstr(e.text, "conn.c") == NULL, "%s", e.text);
}

START_TEST(explains_failures)
{
	char user[] = "me", password[] = "sesame", token[] = "t0ken";
	struct endpoint ep = {.user = user, .password = password, .token = token};
	struct nats_settings *s = nats_settings_new(&ep, "source", "test");
	char text[200];

	assert_connect_reason(NATS_PROTOCOL_ERROR, "(conn.c:1905): Expected 'PONG', got ''", true, s,
			      ERR_DENIED, "wants a client certificate");
	assert_connect_reason(NATS_CONNECTION_AUTH_FAILED, "(conn.c:1905): Authorization Violation", false, s,
			      ERR_DENIED, "refused the login: Authorization Violation");
	assert_connect_reason(NATS_SECURE_CONNECTION_WANTED, NULL, true, s, ERR_DENIED, "does not offer it");
	assert_connect_reason(NATS_TIMEOUT, NULL, false, s, ERR_IO, "in time");
	assert_connect_reason(NATS_ERR, "(conn.c:1): maximum connections exceeded", false, s, ERR_IO,
			      "maximum connections exceeded");
	nats_reason_closed(NATS_CONNECTION_CLOSED, "Connection Closed", text, sizeof text);
	ck_assert_str_eq(text, "the server closed the connection");
	nats_reason_closed(NATS_CONNECTION_CLOSED, "User Authentication Expired", text, sizeof text);
	ck_assert_msg(strstr(text, "renew") != NULL, "%s", text);
	snprintf(text, sizeof text, "said sesame and t0ken and sesame");
	nats_settings_mask(s, text);
	ck_assert_str_eq(text, "said ****** and ***** and ******");
	nats_settings_unref(&s);
}
END_TEST

/* The block of a message without body as the library leaves it behind, with NULs in it. */
static void
assert_repaired(const char *left, size_t len, const char *want)
{
	char block[256];

	memcpy(block, left, len);
	raw_repair(block, len);
	ck_assert_msg(memcmp(block, want, len) == 0, "%.*s is not %s", (int)len, block, want);
}

#define REPAIRS(left, want)                                                                                  \
	do {                                                                                                 \
		_Static_assert(sizeof left == sizeof want, "a NUL takes the place of one byte");             \
		assert_repaired(left, sizeof left - 1, want);                                                \
	} while (0)

START_TEST(repairs_what_the_library_wrote)
{
	REPAIRS("NATS/1.0\0\nA\0 1\0\nB\0\0\n\r\n", "NATS/1.0\r\nA: 1\r\nB:\r\n\r\n");
	REPAIRS("NATS/1.0\0\nA\0 1 \0  \r\n\r\n", "NATS/1.0\r\nA: 1    \r\n\r\n");
	REPAIRS("NATS/1.0\0\nA\0 v\0\n folded\0\n\r\n", "NATS/1.0\r\nA: v\r\n folded\r\n\r\n");
	/* an empty value: the library took the next line for it */
	REPAIRS("NATS/1.0\0\nE\0 \r\nN: n\0\n\r\n", "NATS/1.0\r\nE: \r\nN: n\r\n\r\n");
	/* it gave up at the first and at the last */
	REPAIRS("NATS/1.0\0\nE\0\r\n\r\n", "NATS/1.0\r\nE:\r\n\r\n");
	REPAIRS("NATS/1.0\0\nA\0 1\0\nnone\r\n\r\n", "NATS/1.0\r\nA: 1\r\nnone\r\n\r\n");
	/* untouched ones */
	REPAIRS("NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\n\r\n");
	REPAIRS("NATS/1.0\r\nA: \0\r\n\r\n", "NATS/1.0\r\nA: \0\r\n\r\n");
	/* NULs that the sender wrote stay: in a name, where the library gave up, and in a value */
	REPAIRS("NATS/1.0\0\nn\0me: v\r\n\r\n", "NATS/1.0\r\nn\0me: v\r\n\r\n");
	REPAIRS("NATS/1.0\0\nA\0 v\0w\0\n\r\n", "NATS/1.0\r\nA: v\0w\r\n\r\n");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("nats_parts");
	TCase *tc = tcase_create("parts");

	tcase_add_test(tc, tries_each_server_in_turn);
	tcase_add_test(tc, learns_and_forgets_servers);
	tcase_add_test(tc, reads_greetings);
	tcase_add_test(tc, takes_strange_greetings);
	tcase_add_test(tc, builds_frames);
	tcase_add_test(tc, writes_frames_piece_by_piece);
	tcase_add_test(tc, explains_failures);
	tcase_add_test(tc, repairs_what_the_library_wrote);
	suite_add_tcase(s, tc);
	return s;
}
