/*
 * Elections and heartbeats in the status. Runs in the supervisor. Facts about ourselves are the broker's, for
 * an elector's report may be a second old; those about others are what the elector said last.
 */
#include "supervisor/status_elections.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "supervisor/elections.h"
#include "supervisor/status_json.h"

/* So long may a new elector take to connect without that being a trouble. */
#define CONNECTING_MS 10000

static int64_t
lease_left_ms(const struct election_view *view, struct mono now)
{
	int64_t left = (view->lease_end_ns - now.ns) / 1000000;

	return left > 0 ? left : 0;
}

static json_t *
present(const struct leader *n)
{
	json_t *all = json_array();

	for (size_t i = 0; n->have_report && i < n->report.present_count; i++) {
		const struct proto_candidate *c = &n->report.present[i];
		json_t *o = json_object();

		json_object_set_new(o, "node", status_text(c->node));
		json_object_set_new(o, "site", status_text(c->site));
		json_object_set_new(o, "pid", json_integer(c->pid));
		json_object_set_new(o, "leads", json_integer(c->leads));
		json_object_set_new(o, "self", json_boolean(c->self));
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *
topic_names(const struct election_name *name)
{
	json_t *all = json_array();

	for (size_t i = 0; i < name->topic_count; i++)
		json_array_append_new(all, status_text(name->topics[i]->key));
	return all;
}

static void
add_leader(json_t *o, const struct election_view *view, struct mono now)
{
	json_object_set_new(o, "role", json_string(view->role));
	json_object_set_new(o, "term", status_number_or_null(view->term));
	json_object_set_new(o, "leader", status_text_or_null(view->leader));
	json_object_set_new(o, "site", status_text_or_null(view->site));
	json_object_set_new(o, "pid", status_number_or_null(view->pid));
	json_object_set_new(o, "since", status_time(view->since_ms));
	json_object_set_new(o, "lease_ms",
			    view->lease_end_ns != 0 ? json_integer(lease_left_ms(view, now)) : json_null());
}

static json_t *
election(const struct supervisor *s, const struct election_group *g, const struct election_name *name,
	 struct mono now)
{
	const struct elections *e = s->children.elections;
	const struct leader *n = leaders_find(elections_leaders(e), g->id, name->key);
	struct election_view view;
	json_t *o = json_object();

	elections_view(e, n, now, &view);
	json_object_set_new(o, "name", status_text(n->name));
	add_leader(o, &view, now);
	json_object_set_new(o, "present", present(n));
	json_object_set_new(o, "yielding", json_boolean(n->role == LEADER_YIELDS));
	json_object_set_new(o, "key", status_text(n->key));
	json_object_set_new(o, "bucket", status_text(g->election->bucket));
	json_object_set_new(o, "elector", status_text(g->id));
	json_object_set_new(o, "problem",
			    n->have_report ? status_text_or_null(n->report.problem) : json_null());
	json_object_set_new(o, "campaigns",
			    n->have_report ? status_number(n->report.campaigns) : json_null());
	json_object_set_new(o, "topics", topic_names(name));
	json_object_set_new(o, "heartbeat", json_boolean(name->heartbeat));
	return o;
}

json_t *
status_elections(const struct supervisor *s, struct mono now)
{
	json_t *all = json_array();

	for (size_t i = 0; i < s->jobs.plan.group_count; i++) {
		const struct election_group *g = &s->jobs.plan.groups[i];

		for (size_t k = 0; k < g->name_count; k++)
			json_array_append_new(all, election(s, g, &g->names[k], now));
	}
	return all;
}

void
status_add_role(json_t *o, const struct supervisor *s, const struct child *c)
{
	const struct leader *n = elections_of(s->children.elections, c);
	bool leads = n != NULL && n->role != LEADER_STANDBY;

	json_object_set_new(o, "role", json_string(n == NULL ? "none" : leads ? "leader" : "standby"));
	json_object_set_new(o, "term", leads ? status_number(n->term) : json_null());
}

/* ---- heartbeat -------------------------------------------------------------------------------------- */

static const struct child *
heartbeat_child(const struct supervisor *s)
{
	for (size_t i = 0; i < s->children.count; i++)
		if (s->children.list[i]->kind == JOB_HEARTBEAT && !s->children.list[i]->gone)
			return s->children.list[i];
	return NULL;
}

json_t *
status_heartbeat(const struct supervisor *s, struct mono now)
{
	const struct child *c = heartbeat_child(s);
	char reason[PROTO_MAX_TEXT + 256];
	enum worker_state state;
	json_t *o;

	if (c == NULL)
		return json_null();
	state = child_shown_state(c, now, reason, sizeof reason);
	o = json_object();
	json_object_set_new(o, "state", json_string(worker_state_name(state)));
	json_object_set_new(o, "reason", status_text(reason));
	status_add_role(o, s, c);
	json_object_set_new(o, "pid", child_has_process(c) ? json_integer(c->pid) : json_null());
	json_object_set_new(o, "restarts", json_integer(c->starts > 0 ? c->starts - 1 : 0));
	json_object_set_new(o, "published",
			    status_number(totals_counter(&c->totals, COUNTER_HEARTBEAT_PUBLISHED)));
	json_object_set_new(o, "errors", status_number(totals_counter(&c->totals, COUNTER_HEARTBEAT_ERRORS)));
	return o;
}

/* ---- what is wrong ---------------------------------------------------------------------------------- */

static const char *
problem_of(const struct leader *n)
{
	return n->wanted && n->have_report ? n->report.problem : "";
}

/* Told by an earlier name of the same elector. */
static bool
told_before(const struct leaders *l, size_t at)
{
	const struct leader *n = leaders_at(l, at);

	for (size_t i = 0; i < at; i++)
		if (strcmp(leaders_at(l, i)->elector, n->elector) == 0 &&
		    strcmp(problem_of(leaders_at(l, i)), problem_of(n)) == 0)
			return true;
	return false;
}

static size_t
count_same(const struct leaders *l, size_t at)
{
	size_t count = 0;

	for (size_t i = at; i < leaders_count(l); i++)
		if (strcmp(leaders_at(l, i)->elector, leaders_at(l, at)->elector) == 0 &&
		    strcmp(problem_of(leaders_at(l, i)), problem_of(leaders_at(l, at))) == 0)
			count++;
	return count;
}

/*
 * Not worth telling: the elector has just been started and connects, or it says the same as a process.
 */
static bool
is_covered(const struct supervisor *s, const struct leader *n, struct mono now)
{
	const struct child *c = children_find(&s->children, JOB_ELECT, n->elector);
	struct strbuf words;
	bool covered;

	if (c == NULL)
		return false;
	if (c->reported == WORKER_CONNECTING && mono_ms_between(c->started, now) < CONNECTING_MS)
		return true;
	strbuf_init(&words);
	covered = strcmp(c->reason, n->report.problem) == 0 && status_child_problem(c, "", now, &words);
	strbuf_fini(&words);
	return covered;
}

/* A bucket's trouble is that of all its names: told once. */
static void
name_problems(const struct supervisor *s, struct mono now, json_t *all)
{
	const struct leaders *l = elections_leaders(s->children.elections);
	struct strbuf words;

	strbuf_init(&words);
	for (size_t i = 0; i < leaders_count(l); i++) {
		const struct leader *n = leaders_at(l, i);
		size_t more;

		if (problem_of(n)[0] == '\0' || told_before(l, i) || is_covered(s, n, now))
			continue;
		more = count_same(l, i) - 1;
		strbuf_reset(&words);
		strbuf_addf(&words, "election \"%s\"", n->name);
		if (more > 0)
			strbuf_addf(&words, " and %zu more", more);
		strbuf_addf(&words, ": %s", n->report.problem);
		json_array_append_new(all, status_text(words.data));
	}
	strbuf_fini(&words);
}

void
status_election_problems(const struct supervisor *s, struct mono now, json_t *all)
{
	struct strbuf words;
	char label[128];

	strbuf_init(&words);
	for (size_t i = 0; i < s->children.count; i++) {
		const struct child *c = s->children.list[i];

		if (c->gone || c->kind == JOB_REPLICATE)
			continue;
		strbuf_reset(&words);
		if (c->kind == JOB_ELECT)
			snprintf(label, sizeof label, "elector \"%.64s\"", c->key);
		else
			snprintf(label, sizeof label, "heartbeat");
		if (status_child_problem(c, label, now, &words))
			json_array_append_new(all, status_text(words.data));
	}
	strbuf_fini(&words);
	name_problems(s, now, all);
}

/* ---- the log ---------------------------------------------------------------------------------------- */

static void
log_name(const struct supervisor *s, const struct leader *n, struct mono now)
{
	struct election_view view;

	elections_view(s->children.elections, n, now, &view);
	log_info(n->elector,
		 "status: \"%s\": %s; led by %s%s%s, term %" PRIu64 ", lease %.1f s, %zu present%s%s",
		 n->name, view.role, view.leader[0] != '\0' ? view.leader : "nobody known",
		 view.site[0] != '\0' ? " of " : "", view.site, view.term,
		 view.lease_end_ns != 0 ? (double)lease_left_ms(&view, now) / 1000 : 0.0,
		 n->have_report ? n->report.present_count : 0, problem_of(n)[0] != '\0' ? "; " : "",
		 problem_of(n));
}

void
status_log_elections(const struct supervisor *s, struct mono now)
{
	const struct leaders *l = elections_leaders(s->children.elections);
	const struct child *heart = heartbeat_child(s);
	char reason[PROTO_MAX_TEXT + 256];

	for (size_t i = 0; i < leaders_count(l); i++)
		if (leaders_at(l, i)->wanted)
			log_name(s, leaders_at(l, i), now);
	if (heart == NULL)
		return;
	log_info(heart->key, "status: %s%s%s; %" PRIu64 " published, %" PRIu64 " errors",
		 worker_state_name(child_shown_state(heart, now, reason, sizeof reason)),
		 reason[0] != '\0' ? ": " : "", reason,
		 totals_counter(&heart->totals, COUNTER_HEARTBEAT_PUBLISHED),
		 totals_counter(&heart->totals, COUNTER_HEARTBEAT_ERRORS));
}
