/*
 * What looking into a message costs that is then skipped: the processor time of the inspector for each
 * message, with payloads of 1 KiB as registrations have them, the value near the end, and for plain scanning
 * of other shapes.
 *
 *     make tests/bench/bench_skip && tests/bench/bench_skip [messages]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json_scan.h"
#include "common/strbuf.h"
#include "worker/inspect.h"

enum { VALUES = 1000000, PAYLOAD = 1024 };

static const char head[] =
    "{\"protocol\":\"io.choria.registration.v1\",\"timestamp\":1767323045,\"version\":\"0.29.4\","
    "\"host\":{\"os\":\"linux\",\"family\":\"debian\",\"release\":\"12.4\",\"kernel\":\"6.1.0-17-amd64\","
    "\"cpus\":8,\"memory_mb\":32012,\"uptime\":1209600,\"load\":[0.42,0.38,0.35],\"virtual\":true},"
    "\"network\":{\"ip\":\"10.21.44.17\",\"mac\":\"52:54:00:ab:cd:ef\",\"interfaces\":[\"eth0\",\"lo\"],"
    "\"mtu\":1500},\"collectives\":[\"mcollective\",\"eu_west\",\"web\"],\"agents\":[\"choria_util\","
    "\"discovery\",\"package\",\"puppet\",\"rpcutil\",\"scout\",\"service\"],\"classes\":[";
static const char class[] = "\"profile::monitoring::agent\",";
static const char tail[] =
    "\"roles::web\"],\"status\":\"ok \\\"green\\\"\",\"checks\":{\"disk\":0,\"ntp\":0},"
    "\"sender\":\"node0000000.example.net\",\"ttl\":3600}";

/* The text of PAYLOAD bytes; *digits is where the number of the sender stands. */
static char *
make_payload(char **digits)
{
	struct strbuf b;

	strbuf_init(&b);
	strbuf_adds(&b, head);
	while (b.len + sizeof class - 1 + sizeof tail - 1 <= PAYLOAD)
		strbuf_adds(&b, class);
	strbuf_adds(&b, tail);
	while (b.len < PAYLOAD)
		strbuf_adds(&b, "\n");
	*digits = strstr(b.data, "node0000000") + 4;
	return strbuf_take(&b);
}

static void
write_number(char *digits, unsigned n)
{
	for (int i = 6; i >= 0; i--, n /= 10)
		digits[i] = (char)('0' + n % 10);
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
say(const char *what, double seconds, unsigned count, size_t bytes)
{
	printf("%-34s %6.0f ns each, %9.0f messages/s, %5.2f GB/s\n", what, seconds * 1e9 / count,
	       count / seconds, (double)bytes * count / seconds / 1e9);
	fflush(stdout);
}

static char field[] = "sender", force[] = "changed", none[] = "";

static void
bench_inspect(const char *what, char *force_field, unsigned count)
{
	struct conf_sampling conf = {
	    .inspect = INSPECT_FIELD, .field = field, .header = none, .force_field = force_field};
	struct inspector *inspector = inspect_new(&conf, NULL);
	char *digits, *payload = make_payload(&digits);
	const struct inspect_message m = {.subject = "s", .data = payload, .data_len = strlen(payload)};
	struct inspect_result r;
	unsigned n = 0, met = 0;
	double start = cpu_seconds();

	for (unsigned i = 0; i < count; i++, n = (n + 7919) % VALUES) {
		write_number(digits, n);
		inspect_message(inspector, &m, &r);
		met += r.value.len == 23 && !r.forced;
	}
	say(what, cpu_seconds() - start, count, m.data_len);
	if (met != count) {
		fprintf(stderr, "bench_skip: %u of %u messages had a value\n", met, count);
		exit(1);
	}
	inspect_free(&inspector);
	free(payload);
}

/* A field that is not there: all of {"x":[part,part,...]} is scanned. */
static void
bench_scan(const char *what, const char *part, unsigned count)
{
	struct json_path *path = json_path_new("sender");
	const struct json_path *const paths[] = {path};
	struct json_found found;
	struct strbuf b;
	double start;

	strbuf_init(&b);
	strbuf_adds(&b, "{\"x\":[");
	while (b.len < PAYLOAD)
		strbuf_addf(&b, "%s,", part);
	strbuf_adds(&b, "0]}");
	start = cpu_seconds();
	for (unsigned i = 0; i < count; i++)
		if (!json_scan(b.data, b.len, paths, 1, &found) || found.kind != JSON_KIND_NONE)
			exit(1);
	say(what, cpu_seconds() - start, count, b.len);
	strbuf_fini(&b);
	json_path_free(&path);
}

int
main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 2000000;

	if (count <= 0 || count > 100000000) {
		fprintf(stderr, "usage: bench_skip [messages]\n");
		return 2;
	}
	bench_inspect("inspect", none, (unsigned)count);
	bench_inspect("inspect, force field not there", force, (unsigned)count);
	bench_scan("scan numbers", "12", (unsigned)count / 4);
	bench_scan("scan short strings", "\"ab\"", (unsigned)count / 4);
	bench_scan("scan long strings", "\"0123456789012345678901234567890123456789\"", (unsigned)count / 4);
	bench_scan("scan escapes", "\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"", (unsigned)count / 4);
	bench_scan("scan brackets", "[{}]", (unsigned)count / 4);
	bench_scan("scan objects", "{\"a\":1,\"b\":\"x\"}", (unsigned)count / 4);
	return 0;
}
