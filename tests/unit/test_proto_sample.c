/* Payloads of sampled topics: round trips, and refusal of everything else. */
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/proto_bytes.h"
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

/* The payload so far, in a block of exactly its size, so that a sanitizer sees a read behind it. */
static int
decode_len(size_t len, struct proto_samples *v, uint8_t **block)
{
	struct error e = ERROR_INIT;
	int rc;

	*block = malloc(len + 1);
	memcpy(*block, buf.data, len);
	*block = realloc(*block, len > 0 ? len : 1);
	rc = proto_samples_decode(*block, len, v, &e);
	ck_assert_int_eq(e.code, rc == 0 ? ERR_NONE : ERR_PROTOCOL);
	return rc;
}

static bool
decodes(void)
{
	struct proto_samples v;
	uint8_t *block;
	int rc = decode_len(buf.len, &v, &block);

	if (rc == 0)
		proto_samples_fini(&v);
	free(block);
	return rc == 0;
}

static void
expect_row(struct proto_samples *v, const struct proto_sample *want)
{
	struct proto_sample row;

	ck_assert(proto_sample_decode(&v->rows, &v->rows_len, &row));
	ck_assert_uint_eq(row.value_len, want->value_len);
	ck_assert_mem_eq(row.value, want->value, want->value_len);
	ck_assert(row.seen_ms == want->seen_ms && row.copied_ms == want->copied_ms);
	ck_assert_uint_eq(row.size, want->size);
	ck_assert(row.advised == want->advised && row.forgotten == want->forgotten);
}

START_TEST(samples_round_trip)
{
	char longest[PROTO_MAX_VALUE];
	const struct proto_sample rows[] = {
	    {"a", 1, 1767323045678, 1767323045000, 1024, true, false},
	    {longest, sizeof longest, INT64_MAX, 0, UINT32_MAX, false, true},
	    {"web1.example.net", 16, -1, INT64_MIN, 0, true, true},
	    {"b", 1, 0, 0, 0, false, false},
	};
	struct proto_samples v;
	uint8_t *block;

	memset(longest, 'x', sizeof longest);
	proto_samples_encode(&buf, UINT64_MAX, "{\"seq\":1}");
	for (size_t i = 0; i < 4; i++)
		proto_sample_encode(&buf, &rows[i]);
	ck_assert_int_eq(decode_len(buf.len, &v, &block), 0);
	ck_assert(v.serial == UINT64_MAX);
	ck_assert_str_eq(v.note, "{\"seq\":1}");
	ck_assert_uint_eq(v.row_count, 4);
	for (size_t i = 0; i < 4; i++)
		expect_row(&v, &rows[i]);
	ck_assert(!proto_sample_decode(&v.rows, &v.rows_len, &(struct proto_sample){0}));
	proto_samples_fini(&v);
	free(block);
}
END_TEST

/* A note may come alone, and rows without one. */
START_TEST(samples_without_rows_or_note)
{
	struct proto_samples v;
	uint8_t *block;

	proto_samples_encode(&buf, 1, "note");
	ck_assert_int_eq(decode_len(buf.len, &v, &block), 0);
	ck_assert(v.row_count == 0 && v.rows_len == 0);
	proto_samples_fini(&v);
	free(block);
	strbuf_reset(&buf);
	proto_samples_encode(&buf, 1, NULL);
	ck_assert_int_eq(decode_len(buf.len, &v, &block), 0);
	ck_assert_str_eq(v.note, "");
	proto_samples_fini(&v);
	free(block);
}
END_TEST

START_TEST(samples_refuse_other_lengths)
{
	struct proto_sample row = {"value", 5, 1, 2, 3, false, false};
	struct proto_samples v;
	uint8_t *block;
	size_t head, first;

	proto_samples_encode(&buf, 1, "note");
	head = buf.len;
	proto_sample_encode(&buf, &row);
	first = buf.len;
	proto_sample_encode(&buf, &row);
	for (size_t len = 0; len < buf.len; len++) {
		if (len == head || len == first)
			continue;
		ck_assert_int_eq(decode_len(len, &v, &block), -1);
		free(block);
	}
}
END_TEST

START_TEST(samples_refuse_bad_rows)
{
	struct proto_sample row = {"value", 5, 1, 2, 3, false, false};
	size_t head;

	proto_samples_encode(&buf, 1, "");
	head = buf.len;
	proto_sample_encode(&buf, &row);
	ck_assert(decodes());
	buf.data[head] = 4; /* a flag that is none */
	ck_assert(!decodes());
	buf.data[head] = 3;
	ck_assert(decodes());
	buf.data[head + 3] = '\0'; /* inside the value */
	ck_assert(!decodes());
	/* no value */
	buf.len = head;
	row.value_len = 0;
	proto_sample_encode(&buf, &row);
	ck_assert(!decodes());
}
END_TEST

START_TEST(samples_refuse_a_bad_head)
{
	proto_samples_encode(&buf, 0, "note");
	ck_assert(!decodes());
	strbuf_reset(&buf);
	proto_samples_encode(&buf, 1, "note");
	buf.data[buf.len - 1] = '\0';
	ck_assert(!decodes());
	strbuf_reset(&buf);
	bytes_put_u64(&buf, 1);
	bytes_put_u32(&buf, UINT32_MAX);
	ck_assert(!decodes());
}
END_TEST

START_TEST(stored_round_trip)
{
	struct proto_samples_stored in = {UINT64_MAX - 1, true}, out;

	proto_samples_stored_encode(&buf, &in);
	ck_assert_int_eq(proto_samples_stored_decode((uint8_t *)buf.data, buf.len, &out, NULL), 0);
	ck_assert(out.serial == UINT64_MAX - 1 && out.again);
	for (size_t len = 0; len < buf.len; len++)
		ck_assert_int_eq(proto_samples_stored_decode((uint8_t *)buf.data, len, &out, NULL), -1);
	buf.data[8] = 2; /* no boolean */
	ck_assert_int_eq(proto_samples_stored_decode((uint8_t *)buf.data, buf.len, &out, NULL), -1);
}
END_TEST

static bool
advisory_decodes(const struct proto_advisory *in)
{
	struct proto_advisory out;
	int rc;

	strbuf_reset(&buf);
	proto_advisory_encode(&buf, in);
	rc = proto_advisory_decode((uint8_t *)buf.data, buf.len, &out, NULL);
	if (rc == 0)
		proto_advisory_fini(&out);
	return rc == 0;
}

START_TEST(advisory_round_trip)
{
	char id[] = "2ABCdefGHIjklMNOpqrSTUvwxYZ", subject[] = "ADV.new.web1",
	     body[] = "{\"value\":\"web1\"}";
	struct proto_advisory in = {ADVISORY_PUT, id, subject, body, 9, 1767323045678}, out;

	proto_advisory_encode(&buf, &in);
	ck_assert_int_eq(proto_advisory_decode((uint8_t *)buf.data, buf.len, &out, NULL), 0);
	ck_assert_int_eq(out.op, ADVISORY_PUT);
	ck_assert_str_eq(out.id, id);
	ck_assert_str_eq(out.subject, subject);
	ck_assert_str_eq(out.body, body);
	ck_assert(out.tries == 9 && out.next_try_ms == 1767323045678);
	proto_advisory_fini(&out);
	for (size_t len = 0; len < buf.len; len++)
		ck_assert_int_eq(proto_advisory_decode((uint8_t *)buf.data, len, &out, NULL), -1);
	strbuf_add(&buf, "", 1);
	ck_assert_int_eq(proto_advisory_decode((uint8_t *)buf.data, buf.len, &out, NULL), -1);
}
END_TEST

/* Of what is done only the id goes over the pipe. */
START_TEST(done_advisory_is_its_id)
{
	char id[] = "ID", text[] = "text";
	struct proto_advisory in = {ADVISORY_DONE, id, text, text, 9, 9}, out;

	proto_advisory_encode(&buf, &in);
	ck_assert_int_eq(proto_advisory_decode((uint8_t *)buf.data, buf.len, &out, NULL), 0);
	ck_assert_int_eq(out.op, ADVISORY_DONE);
	ck_assert_str_eq(out.id, id);
	ck_assert(out.subject[0] == '\0' && out.body[0] == '\0' && out.tries == 0 && out.next_try_ms == 0);
	proto_advisory_fini(&out);
	in = (struct proto_advisory){.op = ADVISORY_DONE, .id = id};
	ck_assert(advisory_decodes(&in));
	buf.data[buf.len - 1] = 1; /* next_try of what is done */
	ck_assert_int_eq(proto_advisory_decode((uint8_t *)buf.data, buf.len, &out, NULL), -1);
}
END_TEST

START_TEST(advisory_refuses_nonsense)
{
	char id[] = "ID", subject[] = "S", none[] = "";
	struct proto_advisory in = {ADVISORY_PUT, id, subject, none, 0, 0};

	ck_assert(advisory_decodes(&in));
	in.subject = none;
	ck_assert(!advisory_decodes(&in));
	in.subject = subject;
	in.id = none;
	ck_assert(!advisory_decodes(&in));
	in.id = id;
	in.op = ADVISORY_OP_END;
	ck_assert(!advisory_decodes(&in));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("proto_sample");
	TCase *tc = tcase_create("payloads");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, samples_round_trip);
	tcase_add_test(tc, samples_without_rows_or_note);
	tcase_add_test(tc, samples_refuse_other_lengths);
	tcase_add_test(tc, samples_refuse_bad_rows);
	tcase_add_test(tc, samples_refuse_a_bad_head);
	tcase_add_test(tc, stored_round_trip);
	tcase_add_test(tc, advisory_round_trip);
	tcase_add_test(tc, done_advisory_is_its_id);
	tcase_add_test(tc, advisory_refuses_nonsense);
	suite_add_tcase(s, tc);
	return s;
}
