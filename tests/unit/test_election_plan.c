/*
 * Election plans: which groups and names a configuration makes, what an elector is sent, and that it reads
 * the same out of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/election_plan.h"
#include "common/subject.h"
#include "tests/unit/unit.h"

static struct conf *
load(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_load_text(text, strlen(text), &errors);

	ck_assert_msg(c != NULL, "%s: %s", text, errors.count > 0 ? errors.text[0] : "");
	conf_errors_fini(&errors);
	return c;
}

#define TOPIC(key, source, more)                                                                             \
	"topic " key " { stream = S name = " key " source_url = \"" source                                   \
	"\" target_url = \"nats://t\" target_stream = \"T" key "\" " more " } "

/* "id url: name=key(topics…)" of each group, as one text. */
static void
write_plan(const struct election_plan *plan, struct strbuf *out)
{
	for (size_t i = 0; i < plan->group_count; i++) {
		const struct election_group *g = &plan->groups[i];

		strbuf_addf(out, "%s%s %s/%s:", i > 0 ? "; " : "", g->id, g->url, g->domain);
		for (size_t k = 0; k < g->name_count; k++) {
			const struct election_name *n = &g->names[k];

			strbuf_addf(out, " %s=%s(", n->name, n->key);
			for (size_t m = 0; m < n->topic_count; m++)
				strbuf_addf(out, "%s%s", m > 0 ? " " : "", n->topics[m]->key);
			strbuf_addf(out, "%s)", n->heartbeat ? "+hb" : "");
		}
	}
}

static void
ck_plan(const char *text, const char *want)
{
	struct conf *c = load(text);
	struct election_plan plan;
	struct strbuf got;

	strbuf_init(&got);
	election_plan_make(c, &plan);
	write_plan(&plan, &got);
	ck_assert_str_eq(got.data, want);
	strbuf_fini(&got);
	election_plan_fini(&plan);
	ck_assert_uint_eq(plan.group_count, 0);
	conf_free(&c);
}

#define ELECTED "leader_election_name = L "

START_TEST(groups_by_system_and_login)
{
	ck_plan("name = x " TOPIC("a", "nats://a", ""), "");
	ck_plan("name = x " TOPIC("a", "nats://a", ELECTED) TOPIC("b", "nats://a", ELECTED)
		    TOPIC("c", "nats://a", "leader_election_name = M election_key = K "),
		"election nats://a/: L=L(a b) M=K(c)");
	ck_plan("name = x " TOPIC("a", "nats://a,nats://b", ELECTED)
		    TOPIC("b", "nats://c,nats://b", "leader_election_name = M "),
		"election nats://a,nats://b/: L=L(a) M=M(b)");
	ck_plan("name = x " TOPIC("a", "nats://a", ELECTED)
		    TOPIC("b", "nats://joe@a", "leader_election_name = M ")
			TOPIC("c", "nats://a?credentials=/c", "leader_election_name = N ")
			    TOPIC("d", "nats://b", "leader_election_name = O ")
				TOPIC("e", "nats://joe@a", "leader_election_name = P "),
		"election nats://a/: L=L(a); election-2 nats://joe@a/: M=M(b) P=P(e); "
		"election-3 nats://a?credentials=/c/: N=N(c); election-4 nats://b/: O=O(d)");
	ck_plan("name = x " TOPIC("a", "nats://a", ELECTED "source_domain = hub ")
		    TOPIC("b", "nats://a", "leader_election_name = M ")
			TOPIC("c", "nats://a", "leader_election_name = N source_tls { ca = /x }"),
		"election nats://a/hub: L=L(a); election-2 nats://a/: M=M(b); election-3 nats://a/: N=N(c)");
}
END_TEST

START_TEST(one_url_is_one_group)
{
	ck_plan(
	    "name = x election { url = \"nats://e\" } " TOPIC("a", "nats://a", ELECTED "source_domain = hub ")
		TOPIC("b", "nats://b", "leader_election_name = M "),
	    "election nats://e/: L=L(a) M=M(b)");
	ck_plan("name = x election { domain = d } " TOPIC("a", "nats://a", ELECTED "source_domain = hub ")
		    TOPIC("b", "nats://a", "leader_election_name = M "),
		"election nats://a/d: L=L(a) M=M(b)");
}
END_TEST

#define HEARTBEAT "heartbeat { url = \"nats://h\" leader_election = true subject s { } } "

START_TEST(heartbeat_has_a_name)
{
	ck_plan("name = x heartbeat { url = \"nats://h\" subject s { } } ", "");
	ck_plan("name = x " HEARTBEAT, "election nats://h/: SR_x_HB=SR_x_HB(+hb)");
	ck_plan("name = x " HEARTBEAT TOPIC("a", "nats://a", ELECTED),
		"election nats://a/: L=L(a); election-2 nats://h/: SR_x_HB=SR_x_HB(+hb)");
	ck_plan("name = x election { url = \"nats://e\" } " HEARTBEAT TOPIC("a", "nats://a", ELECTED),
		"election nats://e/: L=L(a) SR_x_HB=SR_x_HB(+hb)");
	ck_plan("name = x " HEARTBEAT TOPIC("a", "nats://h", "leader_election_name = SR_x_HB "),
		"election nats://h/: SR_x_HB=SR_x_HB(a+hb)");
}
END_TEST

START_TEST(heartbeat_key_is_cut_not_overrun)
{
	struct conf *c = load("name = site");
	char out[SUBJECT_MAX], small[6];

	election_heartbeat_key(c, out, sizeof out);
	ck_assert_str_eq(out, "SR_site_HB");
	election_heartbeat_key(c, small, sizeof small);
	ck_assert_str_eq(small, "SR_si");
	conf_free(&c);
}
END_TEST

START_TEST(finds_the_election_of_a_topic)
{
	struct conf *c = load("name = x " HEARTBEAT TOPIC("a", "nats://a", ELECTED) TOPIC("b", "nats://b", "")
				  TOPIC("c", "nats://b", "leader_election_name = M election_key = K "));
	const struct election_group *group = NULL;
	struct election_plan plan;

	election_plan_make(c, &plan);
	ck_assert_ptr_eq(election_plan_of_topic(&plan, &c->topics[2], &group), &plan.groups[1].names[0]);
	ck_assert_ptr_eq(group, &plan.groups[1]);
	ck_assert_ptr_eq(group->tls, &c->topics[2].source_tls);
	ck_assert_ptr_eq(group->election, &c->election);
	ck_assert_ptr_null(election_plan_of_topic(&plan, &c->topics[1], &group));
	ck_assert_ptr_eq(group, &plan.groups[1]); /* as it was */
	election_plan_fini(&plan);
	conf_free(&c);
}
END_TEST

/* ---- maps ------------------------------------------------------------------------------------------ */

static uint64_t
map_of(const char *text)
{
	struct conf *c = load(text);
	struct election_plan plan;
	uint64_t map;

	election_plan_make(c, &plan);
	map = plan.groups[0].names[0].map;
	election_plan_fini(&plan);
	conf_free(&c);
	return map;
}

#define A TOPIC("a", "nats://a", ELECTED)
#define B TOPIC("b", "nats://a", ELECTED)

START_TEST(map_is_that_of_its_topics)
{
	uint64_t plain = map_of("name = x " A B);

	ck_assert(map_of("name = x " B A) == plain);
	ck_assert(map_of("name = x " A B TOPIC("c", "nats://a", "leader_election_name = M ")) == plain);
	ck_assert(map_of("name = x election { ttl = 1m } " A TOPIC("b", "nats://a",
								   ELECTED "rate_limit = 5 ")) == plain);
	ck_assert(map_of("name = x " A) != plain);
	ck_assert(map_of("name = y " A B) != plain);
	ck_assert(map_of("name = x " A TOPIC("b", "nats://a", ELECTED "max_age = 1h ")) != plain);
	ck_assert(map_of("name = x " A TOPIC("b", "nats://a", ELECTED "filter_subject = f ")) != plain);
}
END_TEST

/* ---- the elector's text ---------------------------------------------------------------------------- */

static void
print_group(const char *text, size_t group, struct strbuf *out)
{
	struct conf *c = load(text);
	struct election_plan plan;

	strbuf_init(out);
	election_plan_make(c, &plan);
	ck_assert_uint_lt(group, plan.group_count);
	election_plan_print(c, &plan.groups[group], out);
	election_plan_fini(&plan);
	conf_free(&c);
}

static void
ck_same_names(const struct election_group *a, const struct election_group *b)
{
	ck_assert_str_eq(a->url, b->url);
	ck_assert_str_eq(a->domain, b->domain);
	ck_assert_str_eq(a->tls->ca, b->tls->ca);
	ck_assert_str_eq(a->election->bucket, b->election->bucket);
	ck_assert_int_eq(a->election->ttl_ms, b->election->ttl_ms);
	ck_assert_uint_eq(a->election->replicas, b->election->replicas);
	ck_assert(a->election->create == b->election->create);
	ck_assert_uint_eq(a->name_count, b->name_count);
	for (size_t i = 0; i < a->name_count; i++) {
		ck_assert_str_eq(a->names[i].name, b->names[i].name);
		ck_assert_str_eq(a->names[i].key, b->names[i].key);
		ck_assert_uint_eq(a->names[i].map, b->names[i].map);
		ck_assert_uint_eq(a->names[i].topic_count, b->names[i].topic_count);
		ck_assert(a->names[i].heartbeat == b->names[i].heartbeat);
	}
}

/* Each group's text makes that one group, and its text is the same. */
static void
ck_texts(const char *text)
{
	struct conf *c = load(text), *back;
	struct election_plan plan, own;
	struct strbuf first, second;

	election_plan_make(c, &plan);
	ck_assert_uint_gt(plan.group_count, 0);
	for (size_t i = 0; i < plan.group_count; i++) {
		strbuf_init(&first);
		strbuf_init(&second);
		election_plan_print(c, &plan.groups[i], &first);
		back = load(first.data);
		election_plan_make(back, &own);
		ck_assert_uint_eq(own.group_count, 1);
		ck_same_names(&plan.groups[i], &own.groups[0]);
		election_plan_print(back, &own.groups[0], &second);
		ck_assert_str_eq(first.data, second.data);
		election_plan_fini(&own);
		conf_free(&back);
		strbuf_fini(&first);
		strbuf_fini(&second);
	}
	election_plan_fini(&plan);
	conf_free(&c);
}

START_TEST(text_makes_the_same_group)
{
	ck_texts("name = x " A B TOPIC("c", "nats://c", "leader_election_name = M election_key = K ")
		     TOPIC("d", "nats://d", ""));
	ck_texts("name = x-y " HEARTBEAT);
	ck_texts(
	    "name = x tls { ca = /top } election { url = \"nats://u:p@e\" bucket = B ttl = 1h replicas = 5 "
	    "create = no domain = d tls { ca = /e } } " HEARTBEAT A B);
	ck_texts("name = x tls { ca = /top } election { url = \"nats://e\" } " HEARTBEAT A);
	ck_texts("name = x tls { ca = /top } " HEARTBEAT A);
	ck_texts("name = x " HEARTBEAT TOPIC("a", "nats://h", "leader_election_name = SR_x_HB "));
	ck_texts(
	    "name = x topic p { partitions = 3 filter_subject = \"p.{{partition}}\" stream = S source_url = "
	    "\"nats://a\" target_url = \"nats://t\" " ELECTED "}");
	ck_texts(
	    "name = x topic p { partitions = 3 filter_subject = \"p.{{partition}}\" stream = S source_url = "
	    "\"nats://a\" target_url = \"nats://t\" leader_election_name = \"L{{partition}}\" }");
}
END_TEST

/* Topics that stand beside each other by settings that have no part in elections or maps. */
START_TEST(text_passes_the_checks)
{
	ck_texts(
	    "name = x topic a.b { stream = S source_url = \"nats://a\" target_url = \"nats://t\" " ELECTED
	    "} topic a_b { stream = S source_url = \"nats://a\" target_url = \"nats://t\" name = "
	    "other " ELECTED "}");
	ck_texts("name = x topic a { stream = S source_url = \"nats://a\" target_url = \"nats://a\" "
		 "target_domain = d " ELECTED "}");
	ck_texts(
	    "name = x topic a { stream = S source_url = \"nats://a\" target_url = \"nats://t\" on_reject = "
	    "dead_letter dead_letter_subject = dl " ELECTED "}");
	ck_texts("name = x topic a { stream = S source_url = \"nats://a\" target_url = "
		 "\"nats://t?insecure=true\" target_tls { ca = /t } source_tls { ca = /s } " ELECTED "}");
}
END_TEST

static bool
same_text(const char *a, const char *b)
{
	struct strbuf text_a, text_b;
	bool same;

	print_group(a, 0, &text_a);
	print_group(b, 0, &text_b);
	same = strbuf_equal(&text_a, &text_b);
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
	return same;
}

/* A reload replaces an elector, and ends its leases, only for what concerns it. */
START_TEST(text_is_of_elections_alone)
{
	const char *plain = "name = x " A B HEARTBEAT;

	ck_assert(
	    same_text(plain, "name = x loglevel = debug stop_timeout = 1s state_dir = /s " A B HEARTBEAT));
	ck_assert(
	    same_text(plain, "name = x " A TOPIC("b", "nats://a", ELECTED "rate_limit = 5 ") HEARTBEAT));
	ck_assert(same_text(plain, "name = x " A B HEARTBEAT TOPIC("c", "nats://a", "")));
	ck_assert(same_text(plain, "name = x " A B));
	ck_assert(!same_text(plain, "name = y " A B));
	ck_assert(!same_text(plain, "name = x " A));
	ck_assert(!same_text(plain, "name = x election { ttl = 11s } " A B));
	ck_assert(!same_text(plain, "name = x " A TOPIC("b", "nats://a", "leader_election_name = M ")));
	ck_assert(!same_text(plain, "name = x " A TOPIC("b", "nats://a", ELECTED "max_age = 1h ")));
	ck_assert(
	    same_text("name = x " HEARTBEAT,
		      "name = x heartbeat { url = \"nats://h\" leader_election = true interval = 1m header "
		      "h { value = v } subject s { interval = 1s } subject t { } }"));
}
END_TEST

START_TEST(text_holds_its_group_alone)
{
	const char *text = "name = x " HEARTBEAT TOPIC("a", "nats://u:secret1@a", ELECTED)
	    TOPIC("b", "nats://u:secret2@b", "leader_election_name = M ")
		TOPIC("c", "nats://u:secret1@a", "");
	struct strbuf out;

	print_group(text, 0, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "secret1"));
	ck_assert_ptr_null(strstr(out.data, "secret2"));
	ck_assert_ptr_null(strstr(out.data, "heartbeat"));
	ck_assert_ptr_null(strstr(out.data, "topic \"c\""));
	strbuf_fini(&out);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_plan");
	TCase *tc = tcase_create("election_plan");

	tcase_add_test(tc, groups_by_system_and_login);
	tcase_add_test(tc, one_url_is_one_group);
	tcase_add_test(tc, heartbeat_has_a_name);
	tcase_add_test(tc, heartbeat_key_is_cut_not_overrun);
	tcase_add_test(tc, finds_the_election_of_a_topic);
	tcase_add_test(tc, map_is_that_of_its_topics);
	tcase_add_test(tc, text_makes_the_same_group);
	tcase_add_test(tc, text_passes_the_checks);
	tcase_add_test(tc, text_is_of_elections_alone);
	tcase_add_test(tc, text_holds_its_group_alone);
	suite_add_tcase(s, tc);
	return s;
}
