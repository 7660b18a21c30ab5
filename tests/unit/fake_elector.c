/*
 * An elector without a bucket: it says what a test has it say. Each datagram to $FAKE_DIR/<id>.ctl is one
 * message, as the test wants it, well or badly:
 *
 *   won KEY TERM MS [doubt]      lease of so many milliseconds from now
 *   lost KEY TERM REASON
 *   yield KEY TERM REASON
 *   sees KEY TERM NODE OTHERS PROBLEM    a report; NODE "-" for nobody, PROBLEM may be missing
 *
 * What it hears goes to $FAKE_DIR/<id>.heard, a line a frame, but for ALIVE, which goes to .alive. Told to
 * drain it yields what it has won, and ends when all of that is released.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "tests/unit/fake_worker.h"

#define MAX_KEYS 64

static struct {
	struct {
		char key[64];
		uint64_t term; /* 0: not led */
	} led[MAX_KEYS];
	bool draining;
	struct event *event;
	int fd;
} fake;

static void
set_led(const char *key, uint64_t term)
{
	size_t i = 0;

	while (fake.led[i].key[0] != '\0' && strcmp(fake.led[i].key, key) != 0)
		if (++i == MAX_KEYS)
			abort();
	snprintf(fake.led[i].key, sizeof fake.led[i].key, "%s", key);
	fake.led[i].term = term;
}

static void
end_if_drained(void)
{
	for (size_t i = 0; i < MAX_KEYS; i++)
		if (fake.led[i].term != 0)
			return;
	if (fake.draining && !fake_behaves("nodrain"))
		fake_end(PROTO_EXIT_OK);
}

/* ---- saying ---- */

static void
say_won(const char *key, uint64_t term, int64_t ms, bool in_doubt)
{
	struct proto_won won = {xstrdup(key), term, mono_add_ms(mono_now(), ms).ns, in_doubt};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_won_encode(&payload, &won);
	fake_send(PROTO_WON, &payload);
	proto_won_fini(&won);
	set_led(key, term);
}

static void
say_lost(enum proto_type type, const char *key, uint64_t term, const char *reason)
{
	struct proto_lost lost = {xstrdup(key), term, xstrdup(reason)};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_lost_encode(&payload, &lost);
	fake_send(type, &payload);
	proto_lost_fini(&lost);
	if (type == PROTO_LOST)
		set_led(key, 0);
}

static void
say_sees(const char *key, uint64_t term, const char *node, size_t others, const char *problem)
{
	char self[] = "here", other[] = "other", site[] = "TEST";
	struct proto_candidate present[4] = {{self, site, 1, 0, true},
					     {other, site, 2, 1, false},
					     {other, site, 3, 1, false},
					     {other, site, 4, 1, false}};
	bool nobody = strcmp(node, "-") == 0;
	struct proto_election report = {.key = xstrdup(key),
					.term = term,
					.leader = xstrdup(nobody ? "" : node),
					.site = xstrdup(nobody ? "" : "FAR"),
					.pid = nobody ? 0 : 77,
					.since_ms = nobody ? 0 : 1700000000000,
					.lease_end_ns = nobody ? 0 : mono_add_ms(mono_now(), 5000).ns,
					.problem = xstrdup(problem),
					.campaigns = 3,
					.present = present,
					.present_count = 1 + others};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_election_encode(&payload, &report);
	fake_send(PROTO_ELECTION, &payload);
	report.present = NULL;
	report.present_count = 0;
	proto_election_fini(&report);
}

static void
obey(const char *line)
{
	char key[64], word[64], rest[256] = "";
	uint64_t term;
	int n;

	if (sscanf(line, "won %63s %" SCNu64 " %d %63s", key, &term, &n, word) >= 3)
		say_won(key, term, n, strstr(line, "doubt") != NULL);
	else if (sscanf(line, "lost %63s %" SCNu64 " %255[^\n]", key, &term, rest) == 3)
		say_lost(PROTO_LOST, key, term, rest);
	else if (sscanf(line, "yield %63s %" SCNu64 " %255[^\n]", key, &term, rest) == 3)
		say_lost(PROTO_YIELD, key, term, rest);
	else if (sscanf(line, "sees %63s %" SCNu64 " %63s %d %255[^\n]", key, &term, word, &n, rest) >= 4)
		say_sees(key, term, word, (size_t)n, rest);
	else
		abort();
}

static void
on_datagram(evutil_socket_t fd, short what, void *arg)
{
	char line[1024];
	ssize_t n;

	(void)what;
	(void)arg;
	while ((n = recv(fd, line, sizeof line - 1, MSG_DONTWAIT)) > 0) {
		line[n] = '\0';
		obey(line);
	}
}

void
fake_elector_init(struct event_base *base, const char *topic)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.ctl", getenv("FAKE_DIR"), topic);
	unlink(address.sun_path);
	fake.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fake.fd < 0 || bind(fake.fd, (struct sockaddr *)&address, sizeof address) != 0)
		abort();
	fake.event = event_new(base, fake.fd, EV_READ | EV_PERSIST, on_datagram, NULL);
	if (fake.event == NULL || event_add(fake.event, NULL) != 0)
		abort();
}

void
fake_elector_fini(void)
{
	if (fake.event == NULL)
		return;
	event_free(fake.event);
	close(fake.fd);
}

/* ---- hearing ---- */

static void
hear_elect(const struct proto_frame *f)
{
	struct proto_elect elect;
	struct strbuf empty;

	if (proto_elect_decode(f->payload, f->len, &elect, NULL) != 0)
		abort();
	fake_trace(".heard", "ae", "elect %s %s\n", elect.nonce, elect.node);
	if (fake_behaves("mute"))
		return;
	strbuf_init(&empty);
	fake_send(PROTO_READY, &empty);
	fake_send_state(WORKER_STANDBY, "");
}

static void
hear_able(const struct proto_frame *f)
{
	struct proto_able able;

	if (proto_able_decode(f->payload, f->len, &able, NULL) != 0)
		abort();
	fake_trace(".heard", "ae", "%s %s\n", able.able ? "able" : "unable", able.key);
	proto_able_fini(&able);
}

static void
hear_step_down(const struct proto_frame *f)
{
	struct proto_name name;

	if (proto_name_decode(f->payload, f->len, &name, NULL) != 0)
		abort();
	fake_trace(".heard", "ae", "step-down %s\n", name.key);
	proto_name_fini(&name);
}

static void
hear_release(const struct proto_frame *f)
{
	struct proto_term term;

	if (proto_term_decode(f->payload, f->len, &term, NULL) != 0)
		abort();
	fake_trace(".heard", "ae", "release %s %" PRIu64 " at %" PRId64 "\n", term.key, term.term,
		   mono_now().ns);
	set_led(term.key, 0);
	proto_term_fini(&term);
	end_if_drained();
}

static void
hear_drain(void)
{
	fake_trace(".heard", "ae", "drain\n");
	fake.draining = true;
	for (size_t i = 0; i < MAX_KEYS; i++)
		if (fake.led[i].term != 0)
			say_lost(PROTO_YIELD, fake.led[i].key, fake.led[i].term, "the process ends");
	end_if_drained();
}

void
fake_elector_frame(const struct proto_frame *f)
{
	switch (f->type) {
	case PROTO_ELECT:
		hear_elect(f);
		break;
	case PROTO_ABLE:
		hear_able(f);
		break;
	case PROTO_STEP_DOWN:
		hear_step_down(f);
		break;
	case PROTO_RELEASE:
		hear_release(f);
		break;
	case PROTO_DRAIN:
		hear_drain();
		break;
	case PROTO_ALIVE:
		fake_trace(".alive", "ae", "alive\n");
		break;
	default:
		abort();
	}
}
