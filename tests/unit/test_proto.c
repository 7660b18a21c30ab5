/* Frames and payloads of the pipe: round trips, and refusal of everything else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "tests/unit/unit.h"

static struct strbuf buf;

static void
setup(void)
{
	strbuf_init(&buf);
}

static void
teardown(void)
{
	strbuf_fini(&buf);
}

static const uint8_t *
bytes(void)
{
	return (const uint8_t *)buf.data;
}

static enum proto_result
decode(enum proto_side sender, struct proto_frame *f, struct error *e)
{
	size_t used = 0;
	enum proto_result r = proto_frame_decode(bytes(), buf.len, sender, f, &used, e);

	if (r == PROTO_FRAME)
		ck_assert_uint_eq(used, PROTO_HEADER_SIZE + f->len);
	return r;
}

START_TEST(frame_round_trip)
{
	struct error e = ERROR_INIT;
	struct proto_frame f;

	proto_frame_encode(&buf, PROTO_CONFIG, 0x1122334455667788, "abc", 3);
	ck_assert_uint_eq(buf.len, PROTO_HEADER_SIZE + 3);
	ck_assert_int_eq(decode(PROTO_SUPERVISOR, &f, &e), PROTO_FRAME);
	ck_assert_int_eq(f.type, PROTO_CONFIG);
	ck_assert(f.generation == 0x1122334455667788);
	ck_assert_mem_eq(f.payload, "abc", 3);
}
END_TEST

START_TEST(frame_in_pieces_is_more)
{
	struct error e = ERROR_INIT;
	struct proto_frame f;
	size_t used, whole;

	proto_frame_encode(&buf, PROTO_CONFIG, 1, "abc", 3);
	whole = buf.len;
	for (size_t len = 0; len < whole; len++)
		ck_assert_int_eq(proto_frame_decode(bytes(), len, PROTO_SUPERVISOR, &f, &used, &e),
				 PROTO_MORE);
}
END_TEST

/* Two frames in one buffer: the first alone is taken. */
START_TEST(frame_takes_its_own_bytes)
{
	struct error e = ERROR_INIT;
	struct proto_frame f;
	size_t used;

	proto_frame_encode(&buf, PROTO_READY, 1, NULL, 0);
	proto_frame_encode(&buf, PROTO_READY, 1, NULL, 0);
	ck_assert_int_eq(proto_frame_decode(bytes(), buf.len, PROTO_CHILD, &f, &used, &e), PROTO_FRAME);
	ck_assert_uint_eq(used, PROTO_HEADER_SIZE);
}
END_TEST

static void
refused(enum proto_side sender, const char *word)
{
	struct error e = ERROR_INIT;
	struct proto_frame f;

	ck_assert_int_eq(decode(sender, &f, &e), PROTO_BROKEN);
	ck_assert_int_eq(e.code, ERR_PROTOCOL);
	ck_assert_msg(strstr(e.text, word) != NULL, "\"%s\" has no \"%s\"", e.text, word);
}

START_TEST(refuses_wrong_version)
{
	proto_frame_encode(&buf, PROTO_READY, 1, NULL, 0);
	buf.data[0]++;
	refused(PROTO_CHILD, "version");
}
END_TEST

START_TEST(refuses_unknown_type)
{
	proto_frame_encode(&buf, PROTO_TYPE_END, 1, NULL, 0);
	refused(PROTO_CHILD, "unknown type");
	buf.data[2] = 0;
	refused(PROTO_CHILD, "unknown type");
}
END_TEST

START_TEST(refuses_wrong_sender)
{
	proto_frame_encode(&buf, PROTO_READY, 1, NULL, 0);
	refused(PROTO_SUPERVISOR, "may not send");
	strbuf_reset(&buf);
	proto_frame_encode(&buf, PROTO_DRAIN, 1, NULL, 0);
	refused(PROTO_CHILD, "may not send");
}
END_TEST

START_TEST(refuses_wrong_length)
{
	proto_frame_encode(&buf, PROTO_READY, 1, "x", 1);
	refused(PROTO_CHILD, "1 bytes");
	strbuf_reset(&buf);
	proto_frame_encode(&buf, PROTO_STATS, 1, "short", 5);
	refused(PROTO_CHILD, "5 bytes");
	strbuf_reset(&buf);
	proto_frame_encode(&buf, PROTO_LOG, 1, NULL, 0);
	refused(PROTO_CHILD, "0 bytes");
}
END_TEST

/* A length out of bounds is refused from the header alone: no reader waits for such a payload. */
START_TEST(refuses_endless_length)
{
	proto_frame_encode(&buf, PROTO_LOG, 1, "x", 1);
	memset(buf.data + 4, 0xff, 4);
	refused(PROTO_CHILD, "4294967295 bytes");
}
END_TEST

START_TEST(every_type_has_a_rule)
{
	for (int t = PROTO_CONFIG; t < PROTO_TYPE_END; t++)
		ck_assert_str_ne(proto_type_name((enum proto_type)t), "unknown");
	for (int s = 0; s < WORKER_STATE_END; s++)
		ck_assert_ptr_nonnull(worker_state_name((enum worker_state)s));
	ck_assert_str_eq(proto_counter_name(COUNTER_COPIED_MSGS), "copied_msgs");
	ck_assert_str_eq(proto_gauge_name(GAUGE_LAG_MS), "lag_ms");
	ck_assert_str_eq(proto_gauge_name(GAUGE_END), "unknown");
}
END_TEST

typedef int decode_fn(const uint8_t *data, size_t len, void *v, struct error *e);

/* Every prefix of the payload, and the payload with a byte more, must be refused without a leak. */
static void
refuses_other_lengths(decode_fn *decode_payload, void *v)
{
	size_t whole = buf.len;

	for (size_t len = 0; len < whole; len++) {
		struct error e = ERROR_INIT;
		uint8_t *exact = malloc(len + 1); /* so that a sanitizer sees a read behind it */

		memcpy(exact, buf.data, len);
		exact[len] = 0xee;
		ck_assert_int_eq(decode_payload(exact, len, v, &e), -1);
		ck_assert_int_eq(e.code, ERR_PROTOCOL);
		free(exact);
	}
	strbuf_add(&buf, "", 1);
	ck_assert_int_eq(decode_payload(bytes(), buf.len, v, NULL), -1);
	buf.len = whole;
}

#define DECODER(name)                                                                                        \
	static int decode_##name(const uint8_t *data, size_t len, void *v, struct error *e)                  \
	{                                                                                                    \
		return proto_##name##_decode(data, len, v, e);                                               \
	}
DECODER(hello)
DECODER(position)
DECODER(checkpoint)
DECODER(stats)
DECODER(state)
DECODER(log)
DECODER(incident)
DECODER(role)
DECODER(elect)
DECODER(name)
DECODER(able)
DECODER(term)
DECODER(won)
DECODER(lost)
DECODER(election)

START_TEST(hello_round_trip)
{
	struct proto_hello in = {4711, "1.2.3"}, out;

	proto_hello_encode(&buf, &in);
	ck_assert_int_eq(proto_hello_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_uint_eq(out.pid, 4711);
	ck_assert_str_eq(out.version, "1.2.3");
	refuses_other_lengths(decode_hello, &out);
}
END_TEST

static struct proto_checkpoint
sample_checkpoint(void)
{
	static char source[] = "ORDERS", target[] = "ORDERS_COPY";
	struct proto_checkpoint c = {
	    .source_stream = source,
	    .source_created_ns = INT64_C(1767323045123456789),
	    .source_seq = 10,
	    .target_stream = target,
	    .target_created_ns = -5,
	    .target_seq = UINT64_MAX - 1,
	    .in_flight = 12,
	    .map_hash = 0xfeedfacecafebeef,
	    .updated_ms = 1767323045678,
	};

	return c;
}

static void
assert_checkpoints_equal(const struct proto_checkpoint *a, const struct proto_checkpoint *b)
{
	ck_assert_str_eq(a->source_stream, b->source_stream);
	ck_assert(a->source_created_ns == b->source_created_ns);
	ck_assert(a->source_seq == b->source_seq);
	ck_assert_str_eq(a->target_stream, b->target_stream);
	ck_assert(a->target_created_ns == b->target_created_ns);
	ck_assert(a->target_seq == b->target_seq);
	ck_assert(a->in_flight == b->in_flight);
	ck_assert(a->map_hash == b->map_hash);
	ck_assert(a->updated_ms == b->updated_ms);
}

START_TEST(checkpoint_round_trip)
{
	struct proto_checkpoint in = sample_checkpoint(), out;

	proto_checkpoint_encode(&buf, &in);
	ck_assert_int_eq(proto_checkpoint_decode(bytes(), buf.len, &out, NULL), 0);
	assert_checkpoints_equal(&in, &out);
	proto_checkpoint_fini(&out);
	refuses_other_lengths(decode_checkpoint, &out);
}
END_TEST

START_TEST(position_round_trip)
{
	struct proto_position in = {
	    .have_checkpoint = true, .checkpoint = sample_checkpoint(), .apply_resume = true, .restarts = 3};
	struct proto_position out;

	proto_position_encode(&buf, &in);
	ck_assert_int_eq(proto_position_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert(out.have_checkpoint && !out.paused && out.apply_resume);
	ck_assert_uint_eq(out.restarts, 3);
	assert_checkpoints_equal(&in.checkpoint, &out.checkpoint);
	proto_position_fini(&out);
	refuses_other_lengths(decode_position, &out);
}
END_TEST

START_TEST(position_without_checkpoint)
{
	struct proto_position in = {.paused = true}, out;

	proto_position_encode(&buf, &in);
	ck_assert_int_eq(proto_position_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert(!out.have_checkpoint && out.paused && !out.apply_resume);
	proto_position_fini(&out);
	buf.data[0] = 2; /* no boolean */
	ck_assert_int_eq(proto_position_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(stats_round_trip)
{
	struct proto_stats in, out;

	for (size_t i = 0; i < COUNTER_END; i++)
		in.counter[i] = i * 1000003;
	for (size_t i = 0; i < GAUGE_END; i++)
		in.gauge[i] = PROTO_UNKNOWN - i;
	proto_stats_encode(&buf, &in);
	ck_assert_int_eq(proto_stats_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_mem_eq(&in, &out, sizeof in);
	refuses_other_lengths(decode_stats, &out);
}
END_TEST

START_TEST(state_round_trip)
{
	char reason[] = "target is full: maximum messages exceeded";
	struct proto_state in = {WORKER_HOLDING, reason}, out;

	proto_state_encode(&buf, &in);
	ck_assert_int_eq(proto_state_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_int_eq(out.state, WORKER_HOLDING);
	ck_assert_str_eq(out.reason, reason);
	proto_state_fini(&out);
	refuses_other_lengths(decode_state, &out);
	buf.data[0] = WORKER_WAITING; /* not a child's to say */
	ck_assert_int_eq(proto_state_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(log_round_trip)
{
	char text[] = "connected to nats://source1:4222";
	struct proto_log in = {LOG_LEVEL_WARN, text}, out;

	proto_log_encode(&buf, &in);
	ck_assert_int_eq(proto_log_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_int_eq(out.level, LOG_LEVEL_WARN);
	ck_assert_str_eq(out.text, text);
	proto_log_fini(&out);
	refuses_other_lengths(decode_log, &out);
	buf.data[0] = LOG_LEVEL_ERROR + 1;
	ck_assert_int_eq(proto_log_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(log_level_round_trip)
{
	enum log_level out;

	proto_log_level_encode(&buf, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(proto_log_level_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_int_eq(out, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(proto_log_level_decode(bytes(), 0, &out, NULL), -1);
	buf.data[0] = LOG_LEVEL_ERROR + 1;
	ck_assert_int_eq(proto_log_level_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(incident_round_trip)
{
	char kind[] = "gap", detail[] = "1 to 5 expired before they were copied";
	struct proto_incident in = {kind, detail}, out;

	proto_incident_encode(&buf, &in);
	ck_assert_int_eq(proto_incident_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_str_eq(out.kind, kind);
	ck_assert_str_eq(out.detail, detail);
	proto_incident_fini(&out);
	refuses_other_lengths(decode_incident, &out);
}
END_TEST

START_TEST(role_round_trip)
{
	struct proto_role in = {7, true, 99, -5, true, false}, out;
	uint64_t serial;

	proto_role_encode(&buf, &in);
	ck_assert_int_eq(proto_role_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_uint_eq(out.serial, 7);
	ck_assert(out.leader && out.map_in_doubt && !out.settle);
	ck_assert_uint_eq(out.term, 99);
	ck_assert_int_eq(out.lease_end_ns, -5);
	refuses_other_lengths(decode_role, &out);
	strbuf_reset(&buf);
	proto_role_done_encode(&buf, 8);
	ck_assert_int_eq(proto_role_done_decode(bytes(), buf.len, &serial, NULL), 0);
	ck_assert_uint_eq(serial, 8);
	ck_assert_int_eq(proto_role_done_decode(bytes(), buf.len - 1, &serial, NULL), -1);
}
END_TEST

START_TEST(elect_round_trip)
{
	struct proto_elect in = {"0123456789abcdef", "host.example"}, out;

	proto_elect_encode(&buf, &in);
	ck_assert_int_eq(proto_elect_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_str_eq(out.nonce, in.nonce);
	ck_assert_str_eq(out.node, in.node);
	refuses_other_lengths(decode_elect, &out);
	strbuf_reset(&buf);
	snprintf(in.nonce, sizeof in.nonce, "not hexadecimal!");
	proto_elect_encode(&buf, &in);
	ck_assert_int_eq(proto_elect_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(names_round_trip)
{
	char key[] = "ORDERS", reason[] = "the lease ended";
	struct proto_name name = {key}, name_out;
	struct proto_able able = {key, true}, able_out;
	struct proto_term term = {key, 12}, term_out;
	struct proto_won won = {key, 13, 14, true}, won_out;
	struct proto_lost lost = {key, 15, reason}, lost_out;

	proto_name_encode(&buf, &name);
	ck_assert_int_eq(proto_name_decode(bytes(), buf.len, &name_out, NULL), 0);
	ck_assert_str_eq(name_out.key, key);
	proto_name_fini(&name_out);
	refuses_other_lengths(decode_name, &name_out);
	strbuf_reset(&buf);
	proto_able_encode(&buf, &able);
	ck_assert_int_eq(proto_able_decode(bytes(), buf.len, &able_out, NULL), 0);
	ck_assert(able_out.able && strcmp(able_out.key, key) == 0);
	proto_able_fini(&able_out);
	refuses_other_lengths(decode_able, &able_out);
	strbuf_reset(&buf);
	proto_term_encode(&buf, &term);
	ck_assert_int_eq(proto_term_decode(bytes(), buf.len, &term_out, NULL), 0);
	ck_assert_uint_eq(term_out.term, 12);
	proto_term_fini(&term_out);
	refuses_other_lengths(decode_term, &term_out);
	strbuf_reset(&buf);
	proto_won_encode(&buf, &won);
	ck_assert_int_eq(proto_won_decode(bytes(), buf.len, &won_out, NULL), 0);
	ck_assert(won_out.term == 13 && won_out.lease_end_ns == 14 && won_out.map_in_doubt);
	proto_won_fini(&won_out);
	refuses_other_lengths(decode_won, &won_out);
	strbuf_reset(&buf);
	proto_lost_encode(&buf, &lost);
	ck_assert_int_eq(proto_lost_decode(bytes(), buf.len, &lost_out, NULL), 0);
	ck_assert(lost_out.term == 15 && strcmp(lost_out.reason, reason) == 0);
	proto_lost_fini(&lost_out);
	refuses_other_lengths(decode_lost, &lost_out);
}
END_TEST

START_TEST(refuses_an_empty_key)
{
	char key[] = "";
	struct proto_name in = {key}, out;

	proto_name_encode(&buf, &in);
	ck_assert_int_eq(proto_name_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(election_round_trip)
{
	char key[] = "ORDERS", node[] = "b", site[] = "EAST", problem[] = "the bucket is not reachable";
	struct proto_candidate present[] = {{node, site, 1, 2, true}, {key, site, 3, 0, false}};
	struct proto_election in = {key, true, 5, node, site, 4711, 123456, 789, problem, 3, present, 2};
	struct proto_election out;

	proto_election_encode(&buf, &in);
	ck_assert_int_eq(proto_election_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert(out.leads && out.term == 5 && out.pid == 4711 && out.since_ms == 123456);
	ck_assert(out.lease_end_ns == 789 && out.campaigns == 3);
	ck_assert_str_eq(out.leader, node);
	ck_assert_str_eq(out.site, site);
	ck_assert_str_eq(out.problem, problem);
	ck_assert_uint_eq(out.present_count, 2);
	ck_assert(out.present[0].self && out.present[0].leads == 2 && !out.present[1].self);
	ck_assert_str_eq(out.present[1].node, key);
	proto_election_fini(&out);
	refuses_other_lengths(decode_election, &out);
}
END_TEST

/* More of them than are shown are left out, and a number that cannot be is refused. */
START_TEST(election_bounds_its_candidates)
{
	static struct proto_candidate present[PROTO_MAX_CANDIDATES + 1];
	char key[] = "ORDERS", text[] = "";
	struct proto_election in = {.key = key,
				    .leader = text,
				    .site = text,
				    .problem = text,
				    .present = present,
				    .present_count = PROTO_MAX_CANDIDATES + 1};
	struct proto_election out;

	proto_election_encode(&buf, &in);
	ck_assert_int_eq(proto_election_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_uint_eq(out.present_count, PROTO_MAX_CANDIDATES);
	proto_election_fini(&out);
	strbuf_reset(&buf);
	in.present_count = 0;
	proto_election_encode(&buf, &in);
	memset(buf.data + buf.len - 4, 0xff, 4);
	ck_assert_int_eq(proto_election_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(refuses_nul_inside_text)
{
	char text[] = "abc";
	struct proto_log in = {LOG_LEVEL_INFO, text}, out;

	proto_log_encode(&buf, &in);
	buf.data[buf.len - 2] = '\0';
	ck_assert_int_eq(proto_log_decode(bytes(), buf.len, &out, NULL), -1);
}
END_TEST

/* Long texts are the other side's server answers: cut, between two characters, and never refused. */
START_TEST(long_text_is_cut)
{
	struct proto_log in = {LOG_LEVEL_INFO, malloc(2 * PROTO_MAX_TEXT + 2)}, out;

	in.text[0] = 'x';
	for (size_t i = 0; i < PROTO_MAX_TEXT; i++)
		memcpy(in.text + 1 + 2 * i, "\xc3\xa4", 3);
	proto_log_encode(&buf, &in);
	ck_assert_int_eq(proto_log_decode(bytes(), buf.len, &out, NULL), 0);
	ck_assert_uint_eq(strlen(out.text), PROTO_MAX_TEXT - 1);
	proto_log_fini(&out);
	free(in.text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("proto");
	TCase *frames = tcase_create("frames"), *payloads = tcase_create("payloads");

	tcase_add_checked_fixture(frames, setup, teardown);
	tcase_add_test(frames, frame_round_trip);
	tcase_add_test(frames, frame_in_pieces_is_more);
	tcase_add_test(frames, frame_takes_its_own_bytes);
	tcase_add_test(frames, refuses_wrong_version);
	tcase_add_test(frames, refuses_unknown_type);
	tcase_add_test(frames, refuses_wrong_sender);
	tcase_add_test(frames, refuses_wrong_length);
	tcase_add_test(frames, refuses_endless_length);
	tcase_add_test(frames, every_type_has_a_rule);
	suite_add_tcase(s, frames);
	tcase_add_checked_fixture(payloads, setup, teardown);
	tcase_add_test(payloads, hello_round_trip);
	tcase_add_test(payloads, checkpoint_round_trip);
	tcase_add_test(payloads, position_round_trip);
	tcase_add_test(payloads, position_without_checkpoint);
	tcase_add_test(payloads, stats_round_trip);
	tcase_add_test(payloads, state_round_trip);
	tcase_add_test(payloads, log_round_trip);
	tcase_add_test(payloads, log_level_round_trip);
	tcase_add_test(payloads, incident_round_trip);
	tcase_add_test(payloads, role_round_trip);
	tcase_add_test(payloads, elect_round_trip);
	tcase_add_test(payloads, names_round_trip);
	tcase_add_test(payloads, refuses_an_empty_key);
	tcase_add_test(payloads, election_round_trip);
	tcase_add_test(payloads, election_bounds_its_candidates);
	tcase_add_test(payloads, refuses_nul_inside_text);
	tcase_add_test(payloads, long_text_is_cut);
	suite_add_tcase(s, payloads);
	return s;
}
