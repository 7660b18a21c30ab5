/* Two channels over a socketpair: frames, order, ends, faults, and a peer that does not read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

/* What one side has seen. */
struct side {
	struct channel *channel;
	struct strbuf got; /* payloads, one behind the other */
	unsigned frames;
	unsigned closed;
	char why[768];
	bool free_on_frame;
	bool free_on_close;
};

static struct event_base *base;
static struct side supervisor, child;
static int fds[2];

static void
on_frame(void *arg, const struct proto_frame *f)
{
	struct side *s = arg;

	s->frames++;
	strbuf_add(&s->got, f->payload, f->len);
	if (s->free_on_frame)
		channel_free(&s->channel);
}

static void
on_closed(void *arg, const struct error *e)
{
	struct side *s = arg;

	s->closed++;
	strcpy(s->why, e != NULL ? e->text : "");
	if (s->free_on_close)
		channel_free(&s->channel);
}

static const struct channel_callbacks callbacks = {on_frame, on_closed};

static struct channel *
make(int fd, enum proto_side peer, uint64_t generation, struct side *s)
{
	struct error e = ERROR_INIT;
	struct channel *c = channel_new(base, fd, peer, generation, &callbacks, s, &e);

	ck_assert_msg(c != NULL, "%s", e.text);
	return c;
}

static void
setup(void)
{
	base = event_base_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	memset(&supervisor, 0, sizeof supervisor);
	memset(&child, 0, sizeof child);
	strbuf_init(&supervisor.got);
	strbuf_init(&child.got);
	supervisor.channel = make(fds[0], PROTO_CHILD, 7, &supervisor);
	child.channel = make(fds[1], PROTO_SUPERVISOR, 7, &child);
}

static void
teardown(void)
{
	channel_free(&supervisor.channel);
	channel_free(&child.channel);
	strbuf_fini(&supervisor.got);
	strbuf_fini(&child.got);
	event_base_free(base);
}

/* Turns the loop until nothing more is ready. */
static void
settle(void)
{
	for (int i = 0; i < 200; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

START_TEST(frames_arrive_in_order)
{
	for (char c = 'a'; c <= 'z'; c++)
		ck_assert_int_eq(channel_send(supervisor.channel, PROTO_CONFIG, &c, 1), 0);
	settle();
	ck_assert_uint_eq(child.frames, 26);
	ck_assert_str_eq(child.got.data, "abcdefghijklmnopqrstuvwxyz");
	ck_assert_uint_eq(child.closed, 0);
}
END_TEST

START_TEST(largest_frame_passes)
{
	char *big = xcalloc(1, PROTO_MAX_PAYLOAD);

	memset(big, 'x', PROTO_MAX_PAYLOAD);
	ck_assert_int_eq(channel_send(supervisor.channel, PROTO_CONFIG, big, PROTO_MAX_PAYLOAD), 0);
	ck_assert_uint_gt(channel_pending(supervisor.channel), 0);
	settle();
	ck_assert_uint_eq(child.got.len, PROTO_MAX_PAYLOAD);
	ck_assert_mem_eq(child.got.data, big, PROTO_MAX_PAYLOAD);
	ck_assert_uint_eq(channel_pending(supervisor.channel), 0);
	free(big);
}
END_TEST

START_TEST(both_pipe_ends_are_closed_on_exec)
{
	ck_assert_int_ne(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

/* What a dying child sent last still arrives, then its end, once. */
START_TEST(last_words_before_the_end)
{
	ck_assert_int_eq(channel_send(child.channel, PROTO_LOG, "bye", 3), 0);
	channel_free(&child.channel);
	settle();
	ck_assert_str_eq(supervisor.got.data, "bye");
	ck_assert_uint_eq(supervisor.closed, 1);
	ck_assert_str_eq(supervisor.why, "");
	ck_assert_int_eq(channel_send(supervisor.channel, PROTO_DRAIN, NULL, 0), -1);
}
END_TEST

/* Writing to a child that has just died: no signal, and its last words are still read. */
START_TEST(write_to_a_dead_peer_keeps_its_last_words)
{
	ck_assert_int_eq(channel_send(child.channel, PROTO_LOG, "bye", 3), 0);
	channel_free(&child.channel);
	channel_send(supervisor.channel, PROTO_DRAIN, NULL, 0);
	channel_send(supervisor.channel, PROTO_DRAIN, NULL, 0);
	settle();
	ck_assert_str_eq(supervisor.got.data, "bye");
	ck_assert_uint_eq(supervisor.closed, 1);
}
END_TEST

START_TEST(garbage_closes_with_a_reason)
{
	ck_assert_int_eq(write(fds[1], "this is no frame at all", 23), 23);
	settle();
	ck_assert_uint_eq(supervisor.frames, 0);
	ck_assert_uint_eq(supervisor.closed, 1);
	ck_assert_ptr_nonnull(strstr(supervisor.why, "version"));
}
END_TEST

START_TEST(nothing_is_delivered_after_garbage)
{
	struct strbuf b;

	strbuf_init(&b);
	proto_frame_encode(&b, PROTO_LOG, 7, "one", 3);
	strbuf_adds(&b, "garbage, sixteen bytes and more");
	proto_frame_encode(&b, PROTO_LOG, 7, "two", 3);
	ck_assert_int_eq(write(fds[1], b.data, b.len), (ssize_t)b.len);
	strbuf_fini(&b);
	settle();
	ck_assert_str_eq(supervisor.got.data, "one");
	ck_assert_uint_eq(supervisor.closed, 1);
}
END_TEST

START_TEST(another_generation_is_dropped)
{
	struct strbuf b;

	strbuf_init(&b);
	proto_frame_encode(&b, PROTO_LOG, 6, "late", 4);
	proto_frame_encode(&b, PROTO_LOG, 7, "now", 3);
	ck_assert_int_eq(write(fds[1], b.data, b.len), (ssize_t)b.len);
	strbuf_fini(&b);
	settle();
	ck_assert_str_eq(supervisor.got.data, "now");
	ck_assert_uint_eq(supervisor.closed, 0);
}
END_TEST

START_TEST(may_be_freed_in_its_callbacks)
{
	supervisor.free_on_frame = true;
	channel_send(child.channel, PROTO_LOG, "one", 3);
	channel_send(child.channel, PROTO_LOG, "two", 3);
	child.free_on_close = true;
	settle();
	ck_assert_uint_eq(supervisor.frames, 1);
	ck_assert_ptr_null(supervisor.channel);
	ck_assert_uint_eq(supervisor.closed, 0);
	ck_assert_uint_eq(child.closed, 1);
	ck_assert_ptr_null(child.channel);
}
END_TEST

START_TEST(peer_that_does_not_read_is_stuck)
{
	static char block[65536];
	unsigned sent = 0;

	while (!channel_stuck(supervisor.channel) && sent < 1000) {
		ck_assert_int_eq(channel_send(supervisor.channel, PROTO_CONFIG, block, sizeof block), 0);
		sent++;
	}
	ck_assert(channel_stuck(supervisor.channel));
	ck_assert_uint_gt(channel_pending(supervisor.channel), CHANNEL_HIGH_BYTES);
	while (child.frames < sent)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert(!channel_stuck(supervisor.channel));
}
END_TEST

START_TEST(flush_writes_without_the_loop)
{
	static char block[65536];

	channel_send(child.channel, PROTO_LOG, block, sizeof block);
	channel_flush(child.channel, 1000);
	ck_assert_uint_eq(channel_pending(child.channel), 0);
	/* A peer that does not read costs the given time and no more. */
	for (int i = 0; i < 50; i++)
		channel_send(child.channel, PROTO_LOG, block, sizeof block);
	channel_flush(child.channel, 20);
	ck_assert_uint_gt(channel_pending(child.channel), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("channel");
	TCase *tc = tcase_create("socketpair");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, frames_arrive_in_order);
	tcase_add_test(tc, largest_frame_passes);
	tcase_add_test(tc, both_pipe_ends_are_closed_on_exec);
	tcase_add_test(tc, last_words_before_the_end);
	tcase_add_test(tc, write_to_a_dead_peer_keeps_its_last_words);
	tcase_add_test(tc, garbage_closes_with_a_reason);
	tcase_add_test(tc, nothing_is_delivered_after_garbage);
	tcase_add_test(tc, another_generation_is_dropped);
	tcase_add_test(tc, may_be_freed_in_its_callbacks);
	tcase_add_test(tc, peer_that_does_not_read_is_stuck);
	tcase_add_test(tc, flush_writes_without_the_loop);
	suite_add_tcase(s, tc);
	return s;
}
