/* Presence: announcements from outside, who is there, and balance in a small model of several nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"
#include "worker/presence.h"

enum { TTL_MS = 10000 };

static struct presence *p;
static struct mono now;
static struct error e;
static bool changed;

static void
setup(void)
{
	now.ns = INT64_C(1000000000000);
	p = presence_new("aaaa", "one", "SITE", 11);
}

static void
teardown(void)
{
	presence_free(&p);
	ck_assert_ptr_null(p);
}

static void
pass(int64_t ms)
{
	now = mono_add_ms(now, ms);
}

static int
hear(const char *text)
{
	changed = false;
	return presence_heard(p, now, text, strlen(text), &changed, &e);
}

static int
hear_node(const char *nonce, const char *names)
{
	char text[8192];

	snprintf(text, sizeof text,
		 "{\"v\":1,\"nonce\":\"%s\",\"node\":\"n%s\",\"site\":\"SITE\",\"pid\":7,\"gone\":false,"
		 "\"names\":[%s]}",
		 nonce, nonce, names);
	return hear(text);
}

#define NAME(key, leads, able) "{\"key\":\"" key "\",\"leads\":" leads ",\"able\":" able "}"
#define X_ABLE                 NAME("x", "false", "true")

static size_t
candidates(const char *key)
{
	struct proto_candidate out[8];

	return presence_candidates(p, key, out, array_len(out));
}

/* ---- announcements ---------------------------------------------------------------------------------- */

START_TEST(nodes_hear_each_other)
{
	struct presence *other = presence_new("bbbb", "two \"2\"", "SITE", 22);
	struct proto_candidate out[4];
	struct strbuf text;

	presence_set_own(other, "x", false, true, now, false);
	presence_set_own(other, "y", true, false, now, false);
	presence_set_own(p, "x", true, true, now, false);
	strbuf_init(&text);
	presence_write(other, false, &text);
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, &changed, &e), 0);
	ck_assert(changed);
	ck_assert_uint_eq(presence_candidates(p, "x", out, 4), 2);
	ck_assert(out[0].self && !out[1].self);
	ck_assert_str_eq(out[0].node, "one");
	ck_assert_uint_eq(out[0].leads, 1);
	ck_assert_str_eq(out[1].node, "two \"2\"");
	ck_assert_str_eq(out[1].site, "SITE");
	ck_assert_uint_eq(out[1].pid, 22);
	ck_assert_uint_eq(out[1].leads, 1);
	ck_assert_uint_eq(presence_candidates(p, "x", out, 1), 1);
	ck_assert_uint_eq(presence_candidates(p, "y", out, 4), 1);
	ck_assert(!out[0].self);
	ck_assert_uint_eq(candidates("z"), 0);
	ck_assert(presence_other_stands(p, "x", true));
	ck_assert(presence_other_stands(p, "y", false));
	ck_assert(!presence_other_stands(p, "y", true));
	ck_assert(!presence_other_stands(p, "z", false));

	/* Its own announcement, as the subject brings it back. */
	ck_assert_int_eq(presence_heard(other, now, text.data, text.len, &changed, &e), 0);
	ck_assert(!changed);
	ck_assert(!presence_other_stands(other, "x", false));

	strbuf_reset(&text);
	presence_write(other, true, &text);
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, &changed, &e), 0);
	ck_assert(changed);
	ck_assert(!presence_other_stands(p, "x", false));
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, NULL, &e), 0);
	strbuf_fini(&text);
	presence_free(&other);
}
END_TEST

START_TEST(what_changes_is_told)
{
	ck_assert_int_eq(hear_node("b", X_ABLE), 0);
	ck_assert(changed);
	ck_assert_int_eq(hear_node("b", X_ABLE), 0);
	ck_assert(!changed);
	ck_assert_int_eq(hear_node("b", NAME("x", "true", "false")), 0);
	ck_assert(!changed);
	ck_assert(!presence_other_stands(p, "x", true));
	ck_assert_int_eq(hear_node("b", X_ABLE "," NAME("y", "false", "true")), 0);
	ck_assert(changed);
	ck_assert_int_eq(hear_node("b", X_ABLE "," NAME("z", "false", "true")), 0);
	ck_assert(changed);
	ck_assert(!presence_other_stands(p, "y", false));
	ck_assert_int_eq(hear_node("b", ""), 0);
	ck_assert(changed);
	ck_assert(!presence_other_stands(p, "x", false));
}
END_TEST

START_TEST(own_changes_are_worth_an_announcement)
{
	ck_assert(presence_set_own(p, "x", false, false, now, false));
	ck_assert(!presence_set_own(p, "x", false, false, now, false));
	ck_assert(presence_set_own(p, "x", true, false, now, false));
	pass(1);
	ck_assert(!presence_set_own(p, "x", true, false, now, true));
	ck_assert(presence_set_own(p, "x", true, true, now, false));
}
END_TEST

START_TEST(silent_nodes_are_gone_after_two_ttls)
{
	hear_node("b", X_ABLE);
	pass(5000);
	hear_node("c", X_ABLE);
	pass(TTL_MS);
	hear_node("c", X_ABLE);
	pass(4999);
	ck_assert(!presence_expire(p, now, TTL_MS));
	ck_assert_uint_eq(candidates("x"), 2);
	pass(1);
	ck_assert(presence_expire(p, now, TTL_MS));
	ck_assert_uint_eq(candidates("x"), 1);
	ck_assert(!presence_expire(p, now, TTL_MS));
	pass(15000);
	ck_assert(presence_expire(p, now, TTL_MS));
	ck_assert_uint_eq(candidates("x"), 0);
}
END_TEST

#define HEAD "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":"

static const char *const senseless[] = {
    "",
    "null",
    "[]",
    "7",
    "{}",
    "{\"v\":1}",
    "\"text\"",
    HEAD "[]",
    HEAD "[]} trailing",
    HEAD "{}}",
    HEAD "null}",
    HEAD "[7]}",
    HEAD "[{}]}",
    HEAD "[{\"key\":\"x\"}]}",
    HEAD "[{\"key\":\"x\",\"leads\":1,\"able\":true}]}",
    HEAD "[{\"key\":\"x\",\"leads\":true,\"able\":\"yes\"}]}",
    HEAD "[{\"key\":\"\",\"leads\":true,\"able\":true}]}",
    HEAD "[{\"key\":\"a\\nb\",\"leads\":true,\"able\":true}]}",
    HEAD "[{\"key\":\"a\\u0000b\",\"leads\":true,\"able\":true}]}",
    HEAD "[{\"key\":\"a\\u007fb\",\"leads\":true,\"able\":true}]}",
    HEAD "[{\"key\":\"\xff\",\"leads\":true,\"able\":true}]}",
    HEAD "[" X_ABLE "," X_ABLE "]}",
    HEAD "[],\"v\":1}",
    "{\"v\":2,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":\"1\",\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":7,\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"\\u001b[2J\",\"site\":\"S\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"pid\":7,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":-1,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":4294967296,\"gone\":false,\"names\":[]"
    "}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7.5,\"gone\":false,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"names\":[]}",
    "{\"v\":1,\"nonce\":\"b\",\"node\":\"two\",\"site\":\"S\",\"pid\":7,\"gone\":0,\"names\":[]}",
};

START_TEST(what_makes_no_sense_is_dropped)
{
	hear_node("b", X_ABLE);
	e.text[0] = '\0';
	ck_assert_int_eq(hear(senseless[_i]), -1);
	ck_assert_int_eq(e.code, ERR_PROTOCOL);
	ck_assert_str_ne(e.text, "");
	ck_assert(!changed);
	ck_assert_uint_eq(candidates("x"), 1);
}
END_TEST

START_TEST(unknown_fields_are_let_be)
{
	ck_assert_int_eq(
	    hear(HEAD "[{\"key\":\"x\",\"leads\":false,\"able\":true,\"more\":{}}],\"new\":[1]}"), 0);
	ck_assert_uint_eq(candidates("x"), 1);
}
END_TEST

static char *
long_announcement(const char *nonce, size_t names, size_t key_len)
{
	struct strbuf b;
	char *key = xmalloc(key_len + 1);

	memset(key, 'k', key_len);
	key[key_len] = '\0';
	strbuf_init(&b);
	strbuf_addf(&b, "{\"v\":1,\"nonce\":\"%s\",\"node\":\"n\",\"site\":\"\",\"pid\":7,\"gone\":false,",
		    nonce);
	strbuf_adds(&b, "\"names\":[");
	for (size_t i = 0; i < names; i++)
		strbuf_addf(&b, "%s{\"key\":\"%s%zu\",\"leads\":false,\"able\":true}", i > 0 ? "," : "", key,
			    i);
	strbuf_adds(&b, "]}");
	free(key);
	return strbuf_take(&b);
}

START_TEST(sizes_are_bounded)
{
	static const struct {
		size_t names, key_len;
		int result;
	} cases[] = {{PRESENCE_MAX_NAMES, 20, 0},
		     {PRESENCE_MAX_NAMES + 1, 20, -1},
		     {2, 1000, 0},
		     {2, 1100, -1},
		     {3000, 200, -1}};

	for (size_t i = 0; i < array_len(cases); i++) {
		char *text = long_announcement("b", cases[i].names, cases[i].key_len);

		ck_assert_msg(hear(text) == cases[i].result, "%zu names, %zu bytes: %s", cases[i].names,
			      strlen(text), e.text);
		free(text);
	}
}
END_TEST

START_TEST(nodes_are_bounded)
{
	char nonce[16];

	for (int i = 0; i <= PRESENCE_MAX_NODES; i++) {
		snprintf(nonce, sizeof nonce, "n%d", i);
		ck_assert_int_eq(hear_node(nonce, X_ABLE), i < PRESENCE_MAX_NODES ? 0 : -1);
	}
	/* Those that are there still are heard. */
	ck_assert_int_eq(hear_node("n0", X_ABLE), 0);
	ck_assert_uint_eq(candidates("x"), 8);
}
END_TEST

START_TEST(all_announcements_together_are_bounded)
{
	char nonce[16];
	int taken = 0;

	for (int i = 0; i < 40; i++) {
		char *text;

		snprintf(nonce, sizeof nonce, "n%d", i);
		text = long_announcement(nonce, 4000, 40);
		taken += hear(text) == 0;
		free(text);
	}
	ck_assert_int_gt(taken, 5);
	ck_assert_int_lt(taken, 20);
	pass(2 * TTL_MS);
	ck_assert(presence_expire(p, now, TTL_MS));
	for (int i = 0; i < 5; i++) {
		char *text;

		snprintf(nonce, sizeof nonce, "m%d", i);
		text = long_announcement(nonce, 4000, 40);
		ck_assert_int_eq(hear(text), 0);
		free(text);
	}
}
END_TEST

START_TEST(own_names_without_number_are_written_within_bounds)
{
	struct presence *other = presence_new("bbbb", "two", "SITE", 22);
	struct strbuf text;
	char key[1100];

	strbuf_init(&text);
	for (int i = 0; i < 700; i++) {
		snprintf(key, sizeof key, "%01000d", i);
		presence_set_own(other, key, false, true, now, false);
	}
	presence_write(other, false, &text);
	ck_assert_uint_le(text.len, PRESENCE_MAX_BYTES);
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, &changed, &e), 0);
	strbuf_fini(&text);
	presence_free(&other);
}
END_TEST

START_TEST(names_of_any_bytes_are_announced)
{
	struct presence *other = presence_new("bbbb", "two\xff", "S\x01", 22);
	struct strbuf text;

	strbuf_init(&text);
	presence_set_own(other, "x", false, true, now, false);
	presence_write(other, false, &text);
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, &changed, &e), 0);
	ck_assert(presence_other_stands(p, "x", true));
	strbuf_fini(&text);
	presence_free(&other);
}
END_TEST

START_TEST(as_many_own_names_as_may_be_are_all_written)
{
	struct presence *other = presence_new("bbbb", "two", "SITE", 22);
	struct mono before = mono_now();
	struct strbuf text;
	char key[64];

	strbuf_init(&text);
	for (int i = PRESENCE_MAX_NAMES - 1; i >= 0; i--) {
		snprintf(key, sizeof key, "election.of.topic.with.a.long.name_P%04d", i);
		presence_set_own(other, key, false, true, now, false);
	}
	/* No elector may be held up by it. */
	ck_assert_int_lt(mono_ms_between(before, mono_now()), 2000);
	presence_write(other, false, &text);
	ck_assert_int_eq(presence_heard(p, now, text.data, text.len, &changed, &e), 0);
	for (int i = 0; i < PRESENCE_MAX_NAMES; i++) {
		snprintf(key, sizeof key, "election.of.topic.with.a.long.name_P%04d", i);
		ck_assert_msg(presence_other_stands(p, key, true), "%s", key);
	}
	strbuf_fini(&text);
	presence_free(&other);
}
END_TEST

/* ---- balance ---------------------------------------------------------------------------------------- */

START_TEST(one_name_a_second_and_not_what_was_moved_here)
{
	presence_set_own(p, "a", true, true, now, true);
	presence_set_own(p, "b", true, true, now, false);
	presence_set_own(p, "c", true, true, now, true);
	presence_set_own(p, "d", true, true, now, false);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	hear_node("b", NAME("a", "false", "true") "," NAME("b", "false", "true") "," NAME(
			   "c", "false", "true") "," NAME("d", "false", "false"));
	/* Of a node that says nothing of being able to work on it. */
	presence_set_own(p, "b", false, true, now, false);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	presence_set_own(p, "b", true, true, now, false);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "b");
	presence_handed_over(p, now);
	pass(999);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(1);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "b");
	presence_set_own(p, "b", false, true, now, false);
	/* Three against none; d is not able there, the others came for balance. */
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(10 * TTL_MS - 1001);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(1);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "a");
}
END_TEST

/* Of many names, many are on their way in a second; of few, one. */
START_TEST(many_names_go_faster)
{
	struct strbuf names;
	char key[16];

	strbuf_init(&names);
	for (int i = 0; i < 64; i++) {
		snprintf(key, sizeof key, "k%d", i);
		presence_set_own(p, key, true, true, now, false);
		strbuf_addf(&names, "%s{\"key\":\"%s\",\"leads\":false,\"able\":true}", i > 0 ? "," : "",
			    key);
	}
	hear_node("b", names.data);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "k0");
	presence_handed_over(p, now);
	presence_set_own(p, "k0", false, true, now, false);
	pass(100);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(100);
	ck_assert_ptr_nonnull(presence_hand_over(p, now, TTL_MS));
	for (int i = 1; i < 27; i++) {
		snprintf(key, sizeof key, "k%d", i);
		presence_set_own(p, key, false, true, now, false);
	}
	presence_handed_over(p, now);
	pass(999);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(1);
	ck_assert_ptr_nonnull(presence_hand_over(p, now, TTL_MS));
	strbuf_fini(&names);
}
END_TEST

START_TEST(what_nobody_took_is_not_handed_over_again_at_once)
{
	presence_set_own(p, "a", true, true, now, false);
	presence_set_own(p, "b", true, true, now, false);
	hear_node("b", NAME("a", "false", "true") "," NAME("b", "false", "true"));
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "a");
	presence_handed_over(p, now);
	presence_set_own(p, "a", false, true, now, false);
	pass(1500);
	presence_set_own(p, "a", true, true, now, false);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "b");
	presence_handed_over(p, now);
	presence_set_own(p, "b", false, true, now, false);
	pass(1500);
	presence_set_own(p, "b", true, true, now, false);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	pass(10 * TTL_MS);
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "a");
}
END_TEST

START_TEST(more_is_wanted_up_to_the_share)
{
	char key[2] = "a";

	ck_assert(!presence_wants_more(p));
	for (int i = 0; i < 5; i++, key[0]++)
		presence_set_own(p, key, false, true, now, false);
	hear_node("b", NAME("a", "true", "true") "," NAME("b", "true", "true") "," NAME(
			   "c", "true", "true") "," NAME("d", "true", "true"));
	/* Four halves and one of its own. */
	presence_set_own(p, "a", true, true, now, false);
	presence_set_own(p, "b", true, true, now, false);
	ck_assert(presence_wants_more(p));
	presence_set_own(p, "c", true, true, now, false);
	ck_assert(!presence_wants_more(p));
}
END_TEST

START_TEST(nothing_moves_that_need_not)
{
	ck_assert(presence_set_own(p, "a", true, true, now, false));
	ck_assert(presence_set_own(p, "b", true, true, now, false));
	ck_assert(!presence_wants_more(p));
	presence_set_own(p, "b", false, true, now, false);
	ck_assert(presence_wants_more(p));
	presence_set_own(p, "b", true, true, now, false);

	/* Its share is large, but it leads only one fewer. */
	hear_node("b", NAME("a", "false", "true") "," NAME("b", "false", "true") "," NAME(
			   "c", "true", "true") "," NAME("d", "false", "true"));
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	hear_node("b", NAME("a", "false", "true") "," NAME("b", "false", "true") "," NAME(
			   "c", "false", "true") "," NAME("d", "false", "true"));
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "a");

	/* Our share is as large as what we lead, with what is ours alone. */
	presence_set_own(p, "y", true, true, now, false);
	presence_set_own(p, "z", true, true, now, false);
	presence_set_own(p, "b", false, true, now, false);
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
}
END_TEST

START_TEST(who_has_its_share_gets_no_more)
{
	presence_set_own(p, "a", true, true, now, false);
	presence_set_own(p, "b", true, true, now, false);
	presence_set_own(p, "c", true, true, now, false);
	hear_node(
	    "c", NAME("a", "false", "false") "," NAME("b", "false", "false") "," NAME("c", "false", "false"));
	hear_node("b",
		  NAME("a", "false", "true") "," NAME("b", "false", "true") "," NAME("c", "true", "true"));
	ck_assert_ptr_null(presence_hand_over(p, now, TTL_MS));
	hear_node("b",
		  NAME("a", "false", "true") "," NAME("b", "false", "true") "," NAME("c", "false", "true"));
	ck_assert_str_eq(presence_hand_over(p, now, TTL_MS), "a");
}
END_TEST

/* ---- a model of several nodes ------------------------------------------------------------------------ */

enum { MODEL_NODES = 5, MODEL_NAMES = 64 };

struct balance {
	const char *name;
	int nodes, names;
	uint64_t stands[MODEL_NODES]; /* by bit */
	int begins[MODEL_NODES];      /* names led at the beginning, the rest by the first that may */
	int ends_min[MODEL_NODES], ends_max[MODEL_NODES];
	int seconds_max, moves_max;
};

struct model {
	const struct balance *b;
	struct presence *nodes[MODEL_NODES];
	int leader[MODEL_NAMES];
	uint64_t random;
	int moves, last_move;
};

static const char *
model_key(int name)
{
	static char key[8];

	snprintf(key, sizeof key, "P%02d", name);
	return key;
}

static bool
model_stands(const struct model *m, int node, int name)
{
	return (m->b->stands[node] >> name & 1) != 0;
}

static uint32_t
model_below(struct model *m, uint32_t below)
{
	m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(m->random >> 33) % below;
}

static void
model_set(struct model *m, int name, int leader, bool moved)
{
	m->leader[name] = leader;
	for (int i = 0; i < m->b->nodes; i++)
		if (model_stands(m, i, name))
			presence_set_own(m->nodes[i], model_key(name), i == leader, true, now, moved);
}

static void
model_announce(struct model *m)
{
	struct strbuf text;

	strbuf_init(&text);
	for (int i = 0; i < m->b->nodes; i++) {
		strbuf_reset(&text);
		presence_write(m->nodes[i], false, &text);
		for (int k = 0; k < m->b->nodes; k++)
			ck_assert_int_eq(presence_heard(m->nodes[k], now, text.data, text.len, NULL, &e), 0);
	}
	strbuf_fini(&text);
}

/* Who has not its share is first; else whoever is. */
static void
model_campaign(struct model *m, int name, int but)
{
	int first = (int)model_below(m, (uint32_t)m->b->nodes), winner = -1;

	for (int i = 0; i < m->b->nodes; i++) {
		int node = (first + i) % m->b->nodes;

		if (node == but || !model_stands(m, node, name))
			continue;
		if (winner < 0 ||
		    (presence_wants_more(m->nodes[node]) && !presence_wants_more(m->nodes[winner])))
			winner = node;
	}
	model_set(m, name, winner, true);
}

/* Announcements take a second now and then. */
static void
model_second(struct model *m, int second)
{
	pass(1000);
	for (int i = 0; i < m->b->nodes; i++) {
		const char *key = presence_hand_over(m->nodes[i], now, TTL_MS);
		int name = key != NULL ? atoi(key + 1) : -1;

		if (key == NULL)
			continue;
		ck_assert_int_eq(m->leader[name], i);
		presence_handed_over(m->nodes[i], now);
		m->moves++;
		m->last_move = second;
		model_campaign(m, name, i);
		if (model_below(m, 4) > 0)
			model_announce(m);
	}
	model_announce(m);
}

static int
model_leads(const struct model *m, int node)
{
	int count = 0;

	for (int name = 0; name < m->b->names; name++)
		count += m->leader[name] == node;
	return count;
}

static int
model_first_leader(const struct model *m, int name)
{
	for (int i = 1; i < m->b->nodes; i++)
		if (model_stands(m, i, name) && model_leads(m, i) < m->b->begins[i])
			return i;
	return model_stands(m, 0, name) ? 0 : 1;
}

static void
model_begin(struct model *m)
{
	char nonce[8];

	for (int i = 0; i < m->b->nodes; i++) {
		snprintf(nonce, sizeof nonce, "n%d", i);
		m->nodes[i] = presence_new(nonce, nonce, "SITE", (uint32_t)i);
	}
	for (int name = 0; name < m->b->names; name++)
		m->leader[name] = -1;
	for (int name = 0; name < m->b->names; name++)
		model_set(m, name, model_first_leader(m, name), false);
	model_announce(m);
}

#define ALL UINT64_MAX

static const struct balance balances[] = {
    {"two nodes, ten names", 2, 10, {ALL, ALL}, {0, 0}, {5, 5}, {5, 5}, 20, 5},
    {"two nodes, ten names, nearly even", 2, 10, {ALL, ALL}, {6, 4}, {5, 5}, {5, 5}, 20, 1},
    {"two nodes, five names: a difference of one", 2, 5, {ALL, ALL}, {3, 2}, {3, 2}, {3, 2}, 0, 0},
    {"the same the other way", 2, 5, {ALL, ALL}, {2, 3}, {2, 3}, {2, 3}, 0, 0},
    {"two nodes, one name", 2, 1, {ALL, ALL}, {1, 0}, {1, 0}, {1, 0}, 0, 0},
    {"two nodes, 64 names", 2, 64, {ALL, ALL}, {64, 0}, {32, 32}, {32, 32}, 60, 32},
    {"three nodes, five names", 3, 5, {ALL, ALL, ALL}, {5, 0, 0}, {1, 1, 1}, {2, 2, 2}, 20, 4},
    {"three nodes, nine names", 3, 9, {ALL, ALL, ALL}, {9, 0, 0}, {3, 3, 3}, {3, 3, 3}, 20, 6},
    {"five nodes, 64 names",
     5,
     64,
     {ALL, ALL, ALL, ALL, ALL},
     {64, 0, 0, 0, 0},
     {9, 9, 9, 9, 9},
     {13, 13, 13, 13, 13},
     90,
     60},
    {"one stands for two of ten names only", 2, 10, {ALL, 3}, {10, 0}, {9, 1}, {9, 1}, 20, 1},
    {"nothing in common", 2, 10, {0x1f, 0x3e0}, {5, 5}, {5, 5}, {5, 5}, 0, 0},
    {"three nodes in a chain", 3, 9, {0x3f, 0x1f8, 0x1c7}, {6, 3, 0}, {2, 2, 2}, {4, 4, 4}, 150, 9},
    {"one that stands for nothing", 3, 4, {ALL, ALL, 0}, {4, 0, 0}, {2, 2, 0}, {2, 2, 0}, 20, 2},
};

static void
model_run(const struct balance *b, uint64_t seed)
{
	struct model m = {.b = b, .random = seed};

	model_begin(&m);
	for (int second = 1; second <= 400; second++)
		model_second(&m, second);
	ck_assert_msg(m.last_move <= b->seconds_max && m.moves <= b->moves_max,
		      "%s, seed %d: %d moves, the last after %d s", b->name, (int)seed, m.moves, m.last_move);
	for (int i = 0; i < b->nodes; i++) {
		int leads = model_leads(&m, i);

		ck_assert_msg(leads >= b->ends_min[i] && leads <= b->ends_max[i],
			      "%s, seed %d: node %d leads %d", b->name, (int)seed, i, leads);
		presence_free(&m.nodes[i]);
	}
}

START_TEST(nodes_come_to_balance_and_to_rest)
{
	for (uint64_t seed = 1; seed <= 8; seed++)
		model_run(&balances[_i], seed);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("presence");
	TCase *tc = tcase_create("presence");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nodes_hear_each_other);
	tcase_add_test(tc, what_changes_is_told);
	tcase_add_test(tc, own_changes_are_worth_an_announcement);
	tcase_add_test(tc, silent_nodes_are_gone_after_two_ttls);
	tcase_add_loop_test(tc, what_makes_no_sense_is_dropped, 0, (int)array_len(senseless));
	tcase_add_test(tc, unknown_fields_are_let_be);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_test(tc, nodes_are_bounded);
	tcase_add_test(tc, all_announcements_together_are_bounded);
	tcase_add_test(tc, names_of_any_bytes_are_announced);
	tcase_add_test(tc, as_many_own_names_as_may_be_are_all_written);
	tcase_add_test(tc, own_names_without_number_are_written_within_bounds);
	tcase_add_test(tc, one_name_a_second_and_not_what_was_moved_here);
	tcase_add_test(tc, many_names_go_faster);
	tcase_add_test(tc, what_nobody_took_is_not_handed_over_again_at_once);
	tcase_add_test(tc, nothing_moves_that_need_not);
	tcase_add_test(tc, who_has_its_share_gets_no_more);
	tcase_add_test(tc, more_is_wanted_up_to_the_share);
	tcase_add_loop_test(tc, nodes_come_to_balance_and_to_rest, 0, (int)array_len(balances));
	suite_add_tcase(s, tc);
	return s;
}
