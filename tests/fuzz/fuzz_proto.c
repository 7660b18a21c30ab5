/*
 * Fuzz target: bytes of the pipe, as one side would read them. The first byte says which side wrote them;
 * every frame that is let through is decoded, and what decodes is encoded again and must be the same bytes.
 */
#include <string.h>

#include "common/proto.h"
#include "tests/fuzz/fuzz.h"

/* What was decoded says the same as the bytes did. */
static void
same(struct strbuf *again, const struct proto_frame *f)
{
	REQUIRE(again->len == f->len && (f->len == 0 || memcmp(again->data, f->payload, f->len) == 0));
}

#define ROUND_TRIP(name, f, out, fini)                                                                       \
	do {                                                                                                 \
		struct proto_##name v;                                                                       \
		if (proto_##name##_decode((f)->payload, (f)->len, &v, NULL) == 0) {                          \
			proto_##name##_encode((out), &v);                                                    \
			same((out), (f));                                                                    \
			fini;                                                                                \
		}                                                                                            \
	} while (0)

static void
samples_again(const struct proto_frame *f, struct strbuf *out)
{
	struct proto_samples v;
	struct proto_sample row;
	size_t count = 0;

	if (proto_samples_decode(f->payload, f->len, &v, NULL) != 0)
		return;
	proto_samples_encode(out, v.serial, v.note);
	for (; proto_sample_decode(&v.rows, &v.rows_len, &row); count++)
		proto_sample_encode(out, &row);
	REQUIRE(count == v.row_count && v.rows_len == 0);
	same(out, f);
	proto_samples_fini(&v);
}

static void
decode_payload(const struct proto_frame *f, struct strbuf *out)
{
	enum log_level level;

	switch (f->type) {
	case PROTO_HELLO: {
		/* Its text goes through a fixed buffer. */
		struct proto_hello v;

		if (proto_hello_decode(f->payload, f->len, &v, NULL) == 0)
			REQUIRE(memchr(v.version, '\0', sizeof v.version) != NULL);
		break;
	}
	case PROTO_POSITION:
		ROUND_TRIP(position, f, out, proto_position_fini(&v));
		break;
	case PROTO_CHECKPOINT:
		ROUND_TRIP(checkpoint, f, out, proto_checkpoint_fini(&v));
		break;
	case PROTO_STATS:
		ROUND_TRIP(stats, f, out, (void)0);
		break;
	case PROTO_STATE:
		ROUND_TRIP(state, f, out, proto_state_fini(&v));
		break;
	case PROTO_LOG:
		ROUND_TRIP(log, f, out, proto_log_fini(&v));
		break;
	case PROTO_INCIDENT:
		ROUND_TRIP(incident, f, out, proto_incident_fini(&v));
		break;
	case PROTO_ROLE:
		ROUND_TRIP(role, f, out, (void)0);
		break;
	case PROTO_ELECT: {
		/* Its texts go through fixed buffers. */
		struct proto_elect v;

		if (proto_elect_decode(f->payload, f->len, &v, NULL) == 0)
			REQUIRE(memchr(v.node, '\0', sizeof v.node) != NULL);
		break;
	}
	case PROTO_ABLE:
		ROUND_TRIP(able, f, out, proto_able_fini(&v));
		break;
	case PROTO_STEP_DOWN:
		ROUND_TRIP(name, f, out, proto_name_fini(&v));
		break;
	case PROTO_RELEASE:
		ROUND_TRIP(term, f, out, proto_term_fini(&v));
		break;
	case PROTO_WON:
		ROUND_TRIP(won, f, out, proto_won_fini(&v));
		break;
	case PROTO_LOST:
	case PROTO_YIELD:
		ROUND_TRIP(lost, f, out, proto_lost_fini(&v));
		break;
	case PROTO_ELECTION:
		ROUND_TRIP(election, f, out, proto_election_fini(&v));
		break;
	case PROTO_SAMPLES:
		samples_again(f, out);
		break;
	case PROTO_SAMPLES_STORED:
		ROUND_TRIP(samples_stored, f, out, (void)0);
		break;
	case PROTO_ADVISORY:
		ROUND_TRIP(advisory, f, out, proto_advisory_fini(&v));
		break;
	case PROTO_LOG_LEVEL:
		if (proto_log_level_decode(f->payload, f->len, &level, NULL) == 0) {
			proto_log_level_encode(out, level);
			same(out, f);
		}
		break;
	default:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum proto_side sender;
	struct error e = ERROR_INIT;
	struct proto_frame f;
	struct strbuf out;
	size_t used = 0;

	if (size == 0)
		return 0;
	sender = (data[0] & 1) != 0 ? PROTO_CHILD : PROTO_SUPERVISOR;
	data++;
	size--;
	strbuf_init(&out);
	while (proto_frame_decode(data, size, sender, &f, &used, &e) == PROTO_FRAME) {
		strbuf_reset(&out);
		decode_payload(&f, &out);
		REQUIRE(used > 0 && used <= size);
		data += used;
		size -= used;
	}
	strbuf_fini(&out);
	return 0;
}
