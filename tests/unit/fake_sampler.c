/*
 * What the fake worker says of samples, by its behaviour:
 *
 *   samples   each beat a batch of three rows, once the one before is stored; a note with every second
 *   hasty     two batches at once
 *   nonsense  a batch with a row that is none
 *   advises   at the start two advisories, of which one is done at once, and one more row that says so
 *   lastwords at DRAIN three batches and a note, and then the end
 *
 * $FAKE_DIR/<topic>.stored has a line for each answer: pid, serial, and " again".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/fake_worker.h"

static uint64_t serial, outstanding;
static bool advised;

static void
add_row(struct strbuf *payload, const char *value)
{
	struct proto_sample row = {.value = value,
				   .value_len = strlen(value),
				   .seen_ms = INT64_C(1767323045000) + (int64_t)serial,
				   .copied_ms = INT64_C(1767323045000),
				   .size = (uint32_t)serial};

	proto_sample_encode(payload, &row);
}

static void
send_batch(const char *note)
{
	char number[32];
	struct strbuf payload;

	snprintf(number, sizeof number, "number %" PRIu64, ++serial);
	strbuf_init(&payload);
	proto_samples_encode(&payload, serial, note);
	add_row(&payload, "first");
	add_row(&payload, "second");
	add_row(&payload, number);
	if (fake_behaves("nonsense"))
		strbuf_add(&payload, "\4", 1);
	outstanding = serial;
	fake_send(PROTO_SAMPLES, &payload);
}

static void
send_advisory(enum proto_advisory_op op, const char *id)
{
	char subject[] = "ADVISORY.new", body[] = "{}", name[32];
	struct proto_advisory a = {
	    .op = op, .id = name, .subject = subject, .body = body, .tries = 1, .next_try_ms = 2};
	struct strbuf payload;

	snprintf(name, sizeof name, "%s", id);
	strbuf_init(&payload);
	proto_advisory_encode(&payload, &a);
	fake_send(PROTO_ADVISORY, &payload);
}

static void
advise(void)
{
	if (advised)
		return;
	advised = true;
	send_advisory(ADVISORY_PUT, "one");
	send_advisory(ADVISORY_PUT, "two");
	send_advisory(ADVISORY_DONE, "one");
	send_batch("");
}

void
fake_sampler_beat(void)
{
	char note[32];

	if (fake_behaves("advises"))
		advise();
	if (outstanding != 0)
		return;
	snprintf(note, sizeof note, "note %" PRIu64, serial + 1);
	if (fake_behaves("samples"))
		send_batch(serial % 2 == 1 ? note : "");
	if (fake_behaves("hasty")) {
		send_batch("");
		send_batch("");
	}
	if (fake_behaves("nonsense"))
		send_batch("");
}

void
fake_sampler_drain(void)
{
	if (!fake_behaves("lastwords"))
		return;
	send_batch("");
	send_batch("before");
	send_batch("the last");
}

void
fake_sampler_frame(const struct proto_frame *f)
{
	struct proto_samples_stored stored;

	if (proto_samples_stored_decode(f->payload, f->len, &stored, NULL) != 0)
		abort();
	if (stored.serial != 0 && stored.serial != outstanding)
		abort();
	if (stored.serial != 0)
		outstanding = 0;
	fake_trace(".stored", "ae", "%d %" PRIu64 "%s\n", (int)getpid(), stored.serial,
		   stored.again ? " again" : "");
}
