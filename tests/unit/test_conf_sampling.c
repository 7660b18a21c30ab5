/*
 * Settings of sampling as values: what they fill, what is inherited, what decides the map, and what an
 * elector is sent. How they are printed, and errors by line, are in the golden files.
 */
#include <stdio.h>

#include "common/conf.h"
#include "tests/unit/unit.h"

#define TOPIC    "stream = S source_url = \"nats://a\" target_url = \"nats://b\" "
#define SAMPLED  TOPIC "inspect_field = f inspect_duration = 1h "
#define OF(body) "name = x topic a { " body " }"

static struct conf *
load(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_load_text(text, strlen(text), &errors);

	ck_assert_msg(c != NULL, "%s: %s", text, errors.count > 0 ? errors.text[0] : "no reason");
	conf_errors_fini(&errors);
	return c;
}

START_TEST(nothing_is_sampled_by_default)
{
	struct conf *c = load(OF(TOPIC));
	const struct conf_sampling *s = &c->topics[0].sampling;

	ck_assert_int_eq(s->inspect, INSPECT_NONE);
	ck_assert_str_eq(s->field, "");
	ck_assert_str_eq(s->header, "");
	ck_assert_str_eq(s->force_field, "");
	ck_assert(!s->gossip && !s->advisory.set);
	ck_assert_str_eq(s->advisory.subject, "");
	conf_free(&c);
	c = load(OF(TOPIC "leader_election_name = L"));
	ck_assert(!c->topics[0].sampling.gossip);
	conf_free(&c);
}
END_TEST

START_TEST(fills_all)
{
	struct conf *c = load(
	    OF(TOPIC "inspect_field = a.b inspect_force_field = c inspect_duration = 1h warn_duration = 12m "
		     "size_trigger = 1KiB inspect_max_values = 7 gossip = true "
		     "advisory { subject = \"s.%s.%v\" cluster = target reliable = true schema = v1 }"));
	const struct conf_sampling *s = &c->topics[0].sampling;

	ck_assert_int_eq(s->inspect, INSPECT_FIELD);
	ck_assert_str_eq(s->field, "a.b");
	ck_assert_str_eq(s->force_field, "c");
	ck_assert_int_eq(s->duration_ms, 3600000);
	ck_assert_int_eq(s->warn_ms, 720000);
	ck_assert_uint_eq(s->size_trigger, 1024);
	ck_assert_uint_eq(s->max_values, 7);
	ck_assert(s->gossip && s->advisory.set && s->advisory.reliable);
	ck_assert_str_eq(s->advisory.subject, "s.%s.%v");
	ck_assert_int_eq(s->advisory.cluster, ADVISORY_TARGET);
	ck_assert_int_eq(s->advisory.schema, ADVISORY_V1);
	conf_free(&c);
}
END_TEST

START_TEST(has_defaults)
{
	struct conf *c = load(OF(SAMPLED "advisory { subject = s }"));
	const struct conf_sampling *s = &c->topics[0].sampling;

	ck_assert_int_eq(s->warn_ms, 1800000);
	ck_assert_uint_eq(s->size_trigger, 0);
	ck_assert_uint_eq(s->max_values, 2000000);
	ck_assert(!s->gossip && !s->advisory.reliable);
	ck_assert_int_eq(s->advisory.cluster, ADVISORY_SOURCE);
	ck_assert_int_eq(s->advisory.schema, ADVISORY_V2);
	conf_free(&c);
}
END_TEST

/* Those who take turns have to tell each other, whatever the setting says. */
START_TEST(elected_topics_gossip)
{
	struct conf *c = load(OF(SAMPLED "gossip = false leader_election_name = L"));

	ck_assert(c->topics[0].sampling.gossip);
	conf_free(&c);
}
END_TEST

START_TEST(takes_the_other_inspectors)
{
	struct conf *c = load(OF(TOPIC "inspect_header = \"X-Sender\" inspect_duration = 1h"));

	ck_assert_int_eq(c->topics[0].sampling.inspect, INSPECT_HEADER);
	ck_assert_str_eq(c->topics[0].sampling.header, "X-Sender");
	conf_free(&c);
	c = load(OF(TOPIC "inspect_subject_token = 2 inspect_duration = 1h"));
	ck_assert_int_eq(c->topics[0].sampling.inspect, INSPECT_SUBJECT);
	ck_assert_int_eq(c->topics[0].sampling.subject_token, 2);
	conf_free(&c);
	c = load(OF(TOPIC "inspect_subject_token = \"-1\" inspect_duration = 1h inspect_force_field = now"));
	ck_assert_int_eq(c->topics[0].sampling.subject_token, -1);
	ck_assert_str_eq(c->topics[0].sampling.force_field, "now");
	conf_free(&c);
}
END_TEST

static bool
equal(const char *text_a, const char *text_b)
{
	struct conf *a = load(text_a), *b = load(text_b);
	bool same = conf_topic_equal(a, &a->topics[0], b, &b->topics[0]) &&
		    conf_map_hash(a, &a->topics[0]) == conf_map_hash(b, &b->topics[0]);

	conf_free(&a);
	conf_free(&b);
	return same;
}

START_TEST(old_names_mean_the_same)
{
	ck_assert(equal(OF(TOPIC "inspect = f age = 1h update_flag = u advisory { target = s age = 5m }"),
			OF(TOPIC "inspect_field = f inspect_duration = 1h inspect_force_field = u "
				 "warn_duration = 5m advisory { subject = s }")));
	ck_assert(equal(OF(SAMPLED "advisory { warn_duration = 5m subject = s }"),
			OF(SAMPLED "warn_duration = 5m advisory { subject = s }")));
}
END_TEST

START_TEST(partitions_have_their_own_subjects)
{
	struct conf *c = load(OF(SAMPLED "partitions = 2 filter_subject = \"a.{{partition}}\" "
					 "advisory { subject = \"s.{{partition}}.%s\" age = 5m }"));

	for (size_t i = 0; i < 2; i++) {
		ck_assert(c->topics[i].sampling.advisory.set);
		ck_assert_int_eq(c->topics[i].sampling.warn_ms, 300000);
	}
	ck_assert_str_eq(c->topics[0].sampling.advisory.subject, "s.0.%s");
	ck_assert_str_eq(c->topics[1].sampling.advisory.subject, "s.1.%s");
	conf_free(&c);
}
END_TEST

static void
compare(const char *setting, bool *same, bool *same_map)
{
	struct conf *plain = load(OF(SAMPLED)), *c;
	char text[512];

	snprintf(text, sizeof text, "name = x topic a { %s %s }", SAMPLED, setting);
	c = load(text);
	*same = conf_topic_equal(plain, &plain->topics[0], c, &c->topics[0]);
	*same_map = conf_map_hash(plain, &plain->topics[0]) == conf_map_hash(c, &c->topics[0]);
	conf_free(&plain);
	conf_free(&c);
}

START_TEST(changes_are_noticed)
{
	static const struct {
		const char *setting;
		bool decides; /* which messages are copied */
	} cases[] = {{"inspect_force_field = u", true}, {"size_trigger = 5", true},
		     {"inspect_max_values = 5", true},  {"warn_duration = 5m", false},
		     {"gossip = true", false},          {"advisory { subject = s }", false}};
	bool same, same_map;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		compare(cases[i].setting, &same, &same_map);
		ck_assert_msg(!same, "%s", cases[i].setting);
		ck_assert_msg(same_map != cases[i].decides, "%s", cases[i].setting);
	}
	ck_assert(!equal(OF(SAMPLED "advisory { subject = s }"), OF(SAMPLED "advisory { subject = t }")));
	ck_assert(!equal(OF(TOPIC), OF(SAMPLED)));
	ck_assert(!equal(OF(TOPIC "inspect_field = f inspect_duration = 1h"),
			 OF(TOPIC "inspect_header = f inspect_duration = 1h")));
	ck_assert(!equal(OF(TOPIC "inspect_field = f inspect_duration = 1h"),
			 OF(TOPIC "inspect_field = f inspect_duration = 2h")));
}
END_TEST

/* It gets what decides the map, in a text that it can read, and no more. */
START_TEST(elector_is_sent_what_decides)
{
	struct conf *c = load(OF(SAMPLED "size_trigger = 5 warn_duration = 59m leader_election_name = L "
					 "advisory { subject = s }"));
	const struct conf_topic *topic = &c->topics[0];
	struct strbuf text;
	struct conf *again;

	strbuf_init(&text);
	conf_print_elections(c, &topic, 1, false, &text);
	ck_assert_ptr_nonnull(strstr(text.data, "size_trigger"));
	ck_assert_ptr_null(strstr(text.data, "advisory"));
	ck_assert_ptr_null(strstr(text.data, "warn_duration"));
	strbuf_adds(&text, "\n");
	again = load(text.data);
	ck_assert_uint_eq(conf_map_hash(c, topic), conf_map_hash(again, &again->topics[0]));
	conf_free(&again);
	conf_free(&c);
	strbuf_fini(&text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("conf_sampling");
	TCase *t = tcase_create("conf_sampling");

	tcase_add_test(t, nothing_is_sampled_by_default);
	tcase_add_test(t, fills_all);
	tcase_add_test(t, has_defaults);
	tcase_add_test(t, elected_topics_gossip);
	tcase_add_test(t, takes_the_other_inspectors);
	tcase_add_test(t, old_names_mean_the_same);
	tcase_add_test(t, partitions_have_their_own_subjects);
	tcase_add_test(t, changes_are_noticed);
	tcase_add_test(t, elector_is_sent_what_decides);
	suite_add_tcase(s, t);
	return s;
}
