/* URLs with options, and URLs without their secrets. */
#include "build-config.h"

#include <stdlib.h>
#include <string.h>

#include "common/nats/endpoint.h"
#include "tests/unit/unit.h"

static struct endpoint ep;
static struct error err;

static void
parse(const char *url)
{
	struct error e = ERROR_INIT;

	ck_assert_msg(endpoint_parse(url, NULL, &ep, &e) == 0, "%s: %s", url, e.text);
}

static void
ck_refused(const char *url, const char *reason)
{
	err = (struct error)ERROR_INIT;
	ck_assert_msg(endpoint_parse(url, NULL, &ep, &err) == -1, "%s", url);
	ck_assert_msg(strstr(err.text, reason) != NULL, "%s: %s", url, err.text);
}

START_TEST(reads_servers)
{
	parse("nats://one, tls://Two.example.com:4333,nats://[::1]:5000,nats://[fe80::1]/");
	ck_assert_uint_eq(ep.server_count, 4);
	ck_assert_str_eq(ep.servers[0], "nats://one:4222");
	ck_assert_str_eq(ep.servers[1], "tls://Two.example.com:4333");
	ck_assert_str_eq(ep.servers[2], "nats://[::1]:5000");
	ck_assert_str_eq(ep.servers[3], "nats://[fe80::1]:4222");
	ck_assert(ep.tls);
	ck_assert_int_eq(ep.connect_timeout_ms, 5000);
	endpoint_fini(&ep);
}
END_TEST

START_TEST(reads_credentials)
{
	parse("nats://joe:p%40ss%2C%3A@one,nats://two");
	ck_assert_str_eq(ep.user, "joe");
	ck_assert_str_eq(ep.password, "p@ss,:");
	ck_assert(!ep.tls);
	endpoint_fini(&ep);
	parse("nats://s3cret@one");
	ck_assert_str_eq(ep.token, "s3cret");
	ck_assert_str_eq(ep.user, "");
	endpoint_fini(&ep);
	parse("nats://one?jwt=/a%20b.jwt&nkey=/k.nk");
	ck_assert_str_eq(ep.jwt, "/a b.jwt");
	ck_assert_str_eq(ep.nkey, "/k.nk");
	endpoint_fini(&ep);
}
END_TEST

START_TEST(options_hold_for_all_servers)
{
	parse("tls://one?credentials=/a.creds,tls://two?insecure=true&connect_timeout=2s");
	ck_assert_str_eq(ep.credentials, "/a.creds");
	ck_assert(ep.insecure);
	ck_assert_int_eq(ep.connect_timeout_ms, 2000);
	endpoint_fini(&ep);
	ck_refused("nats://a?token=x,nats://b?token=y", "token given twice");
	ck_refused("nats://u:p@a,nats://v:p@b", "user given twice");
}
END_TEST

START_TEST(takes_tls_files)
{
	struct conf_tls tls = {.set = true, .ca = strdup("/ca"), .cert = strdup("/c"), .key = strdup("/k")};
	struct error e;

	ck_assert_int_eq(endpoint_parse("nats://one", &tls, &ep, &e), 0);
	ck_assert(ep.tls && ep.tls_files.set);
	ck_assert_str_eq(ep.tls_files.ca, "/ca");
	endpoint_fini(&ep);
	free(tls.ca);
	free(tls.cert);
	free(tls.key);
}
END_TEST

START_TEST(refuses)
{
	ck_refused("foo", "no scheme, want nats:// or tls://");
	ck_refused("", "no server");
	ck_refused("nats://a,", "no server");
	ck_refused("http://a", "unknown scheme");
	ck_refused("nats://", "no host");
	ck_refused("nats://:4222", "no host");
	ck_refused("nats://a:", "bad port");
	ck_refused("nats://a:0", "bad port");
	ck_refused("nats://a:65536", "bad port");
	ck_refused("nats://a:99999999999999999999", "bad port");
	ck_refused("nats://a:1x", "bad port");
	ck_refused("nats://::1:4222", "no host");
	ck_refused("nats://fe80::1", "more than one \":\"");
	ck_refused("nats://[::1", "no \"]\"");
	ck_refused("nats://[zz]", "bad IPv6");
	ck_refused("nats://[::1]4222", "bad port");
	ck_refused("nats://a b", "bad character");
	ck_refused("nats://a/path", "only options");
	ck_refused("nats://a#x", "only options");
	ck_refused("nats://@a", "no user");
	ck_refused("nats://u:%zz@a", "percent-encoding");
	ck_refused("nats://u:%00@a", "percent-encoding");
	ck_refused("nats://u:p%4@a", "percent-encoding");
}
END_TEST

START_TEST(refuses_options)
{
	ck_refused("nats://a?colour=red", "unknown option \"colour\"");
	ck_refused("nats://a?", "unknown option \"\"");
	ck_refused("nats://a?token", "no value");
	ck_refused("nats://a?token=", "no value");
	ck_refused("nats://a?insecure=maybe", "option insecure: want true or false");
	ck_refused("nats://a?connect_timeout=5", "no unit");
	ck_refused("nats://a?connect_timeout=1ms", "out of bounds");
	ck_refused("nats://a?jwt=/j", "jwt without nkey");
	ck_refused("nats://a?nkey=/j", "nkey without jwt");
	ck_refused("nats://a?jwt=/j&nkey=/n&credentials=/c", "both credentials and jwt");
	ck_refused("nats://u:p@a?token=t", "both user and token");
#ifndef HAVE_NATSOPTIONS_TLSHANDSHAKEFIRST
	ck_refused("tls://a?tls_handshake_first=true", "client library of this system cannot");
#endif
}
END_TEST

static void
ck_mask(const char *url, const char *masked)
{
	char *out = endpoint_mask(url);

	ck_assert_str_eq(out, masked);
	free(out);
}

START_TEST(masks)
{
	ck_mask("nats://a:4222,tls://b?credentials=/c@d", "nats://a:4222,tls://b?credentials=/c@d");
	ck_mask("nats://joe:secret@a, nats://b", "nats://joe:********@a,nats://b");
	ck_mask("nats://secret@a", "nats://********@a");
	ck_mask("nats://a/?token=secret&insecure=true", "nats://a?token=********&insecure=true");
	ck_mask("nats://joe:********@a", "nats://joe:********@a");
}
END_TEST

START_TEST(masks_what_is_no_url)
{
	ck_mask("joe:secret@a", "********@a");
	ck_mask("nats://joe:sec/ret@a", "nats://********@a");
	ck_mask("nats://joe:12?secret@a", "nats://********@a");
	ck_mask("nats://a?password=secret", "nats://a?password=********");
	ck_mask("nats://joe:sec,ret@a", "nats://********@a");
	ck_mask("nats://joe:se@cret@a:x", "nats://********@a:x");
	ck_mask("foo", "foo");
}
END_TEST

START_TEST(error_texts_hold_no_secret)
{
	static const char *const urls[] = {
	    "nats://joe:sekret/x@a",    "nats://joe:12?sekret@a",  "nats://joe:sekret",
	    "nats://joe:p#sekret@a",    "nats://joe:p,sekret@a:x", "joe:sekret@a",
	    "nats://joe:12?sekret=x@a", "nats://joe:%sekret@a",    "nats://a?tokem=sekret"};

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		ck_refused(urls[i], "");
		ck_assert_msg(strstr(err.text, "sekret") == NULL, "%s: %s", urls[i], err.text);
	}
}
END_TEST

static bool
same(const char *a, const char *b)
{
	struct endpoint ea, eb;
	struct error e;
	bool result;

	ck_assert_int_eq(endpoint_parse(a, NULL, &ea, &e), 0);
	ck_assert_int_eq(endpoint_parse(b, NULL, &eb, &e), 0);
	result = endpoint_same_system(&ea, &eb);
	endpoint_fini(&ea);
	endpoint_fini(&eb);
	return result;
}

START_TEST(knows_the_same_system)
{
	ck_assert(same("nats://a,nats://b", "tls://B:4222?insecure=true"));
	ck_assert(same("nats://localhost", "nats://127.0.0.1:4222"));
	ck_assert(same("nats://[::1]", "nats://localhost"));
	ck_assert(!same("nats://a:4222", "nats://a:4223"));
	ck_assert(!same("nats://a", "nats://b"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("endpoint");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, reads_servers);
	tcase_add_test(tc, reads_credentials);
	tcase_add_test(tc, options_hold_for_all_servers);
	tcase_add_test(tc, takes_tls_files);
	tcase_add_test(tc, refuses);
	tcase_add_test(tc, refuses_options);
	tcase_add_test(tc, masks);
	tcase_add_test(tc, masks_what_is_no_url);
	tcase_add_test(tc, error_texts_hold_no_secret);
	tcase_add_test(tc, knows_the_same_system);
	suite_add_tcase(s, tc);
	return s;
}
