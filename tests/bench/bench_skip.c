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
#include "worker/sampler.h"

#define START_MS INT64_C(1767323045000)

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

/* A topic with messages of VALUES senders. */
struct topic {
	struct conf_sampling conf;
	struct inspector *inspector;
	char *payload, *digits;
	struct inspect_message message;
	unsigned sender;
};

static void
topic_init(struct topic *t, char *force_field)
{
	*t = (struct topic){
	    .conf = {.inspect = INSPECT_FIELD, .field = field, .header = none, .force_field = force_field}};
	t->inspector = inspect_new(&t->conf, NULL);
	t->payload = make_payload(&t->digits);
	t->message =
	    (struct inspect_message){.subject = "s", .data = t->payload, .data_len = strlen(t->payload)};
}

static void
topic_fini(struct topic *t)
{
	inspect_free(&t->inspector);
	free(t->payload);
}

/* Looks into the next message: of another sender each time, in no order that a cache would know. */
static void
topic_next(struct topic *t, struct inspect_result *r)
{
	t->sender = (t->sender + 611953) % VALUES;
	write_number(t->digits, t->sender);
	inspect_message(t->inspector, &t->message, r);
	if (r->value.len != 23 || r->forced || r->broken) {
		fprintf(stderr, "bench_skip: a message had no value\n");
		exit(1);
	}
}

static void
bench_inspect(const char *what, char *force_field, unsigned count)
{
	struct inspect_result r;
	struct topic t;
	double start;

	topic_init(&t, force_field);
	start = cpu_seconds();
	for (unsigned i = 0; i < count; i++)
		topic_next(&t, &r);
	say(what, cpu_seconds() - start, count, t.message.data_len);
	topic_fini(&t);
}

/* Judges one message as the worker does, with settling in steps. */
static enum sampler_verdict
offer(struct sampler *s, const struct topic *t, const struct inspect_result *r, uint64_t seq)
{
	const struct sampler_message m = {
	    .seq = seq, .stored_ms = START_MS + (int64_t)(seq / 10000), .size = t->message.data_len};
	enum sampler_verdict verdict = sampler_offer(s, &r->value, &m, START_MS + 3600000);

	if (seq % 500 == 0)
		sampler_settled(s, seq, 0);
	return verdict;
}

/* What state.db and gossip have an end of: so that what is seen again is queued again. */
static void
take_all(struct sampler *s)
{
	struct proto_sample row;

	for (int q = 0; q < TRACKER_QUEUES; q++)
		while (sampler_take(s, (enum tracker_queue)q, &row))
			;
}

static bool
advise(void *arg, const struct advisory *advisory)
{
	(void)arg;
	(void)advisory;
	return false;
}

static void
bench_skip(unsigned count)
{
	const struct sampler_rules rules = {
	    .duration_ms = 3600000, .warn_ms = 1800000, .max_values = 2 * VALUES};
	const struct sampler_callbacks callbacks = {advise};
	struct sampler *s = sampler_new(&rules, 42, &callbacks, NULL);
	struct inspect_result r;
	struct topic t;
	unsigned skipped = 0;
	double start;

	topic_init(&t, force);
	start = cpu_seconds();
	for (uint64_t seq = 1; seq <= VALUES; seq++) {
		topic_next(&t, &r);
		offer(s, &t, &r, seq);
	}
	say("inspect and judge, all new", cpu_seconds() - start, VALUES, t.message.data_len);
	take_all(s);
	start = cpu_seconds();
	for (uint64_t seq = VALUES + 1; seq <= VALUES + count; seq++) {
		topic_next(&t, &r);
		skipped += offer(s, &t, &r, seq) == SAMPLER_SKIP;
	}
	say("inspect and judge, all skipped", cpu_seconds() - start, count, t.message.data_len);
	if (skipped != count) {
		fprintf(stderr, "bench_skip: %u of %u messages were skipped\n", skipped, count);
		exit(1);
	}
	topic_fini(&t);
	sampler_free(&s);
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
	bench_skip((unsigned)count);
	bench_scan("scan numbers", "12", (unsigned)count / 4);
	bench_scan("scan short strings", "\"ab\"", (unsigned)count / 4);
	bench_scan("scan long strings", "\"0123456789012345678901234567890123456789\"", (unsigned)count / 4);
	bench_scan("scan escapes", "\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"", (unsigned)count / 4);
	bench_scan("scan brackets", "[{}]", (unsigned)count / 4);
	bench_scan("scan objects", "{\"a\":1,\"b\":\"x\"}", (unsigned)count / 4);
	return 0;
}
