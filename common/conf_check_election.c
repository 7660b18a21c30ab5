/*
 * Checks of what is elected: a name stands for one key on one system, and a key for one name, or two machines
 * could each take one of them for its own. Part of the configuration's checks; from the file alone.
 */
#include "common/conf_check_election.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_sections.h"
#include "common/election_plan.h"
#include "common/nats/endpoint.h"
#include "common/proto.h"
#include "common/subject.h"
#include "common/text.h"
#include "common/xalloc.h"

/* Reports at the setting if it is set, else at the section. */
#define PROBLEM(b, section, option, ...)                                                                     \
	do {                                                                                                 \
		size_t place_ = conf_build_place(b, section, option);                                        \
		if (place_ != CONF_NONE)                                                                     \
			conf_scan_problem((b)->scan, place_, __VA_ARGS__);                                   \
		else                                                                                         \
			conf_scan_section_problem((b)->scan, section, __VA_ARGS__);                          \
	} while (0)

/* Who stands for a name: a topic, or the heartbeat. */
struct candidate {
	size_t section;
	const char *title; /* topic's, "" for the heartbeat */
	const char *name, *key;
	uint64_t name_hash, key_hash; /* thousands are compared each with each */
	const struct election_group *group;
	bool refused; /* a problem is reported already */
};

/* The section that fills base, 0 if there is none. */
static size_t
section_of(const struct conf_build *b, const void *base)
{
	for (size_t i = 1; i < b->scan->section_count; i++)
		if (b->sections[i].base == base)
			return i;
	return 0;
}

/* ---- sections -------------------------------------------------------------------------------------- */

static void
check_url(const struct conf_build *b, size_t section, const char *url, const struct conf_tls *tls)
{
	struct endpoint ep;

	if (section == 0 || *url == '\0' || endpoint_parse(url, tls, &ep, NULL) != 0)
		return;
	if (ep.tls_handshake_first && !ep.tls)
		PROBLEM(b, section, "url", "url: option tls_handshake_first without TLS, want tls://");
	endpoint_fini(&ep);
}

/* Files that nothing would use. */
static void
check_tls(const struct conf_build *b)
{
	size_t section = section_of(b, &b->conf->election.tls), election = section_of(b, &b->conf->election);

	if (section != 0 && conf_build_place(b, election, "url") == CONF_NONE)
		conf_scan_section_problem(
		    b->scan, section,
		    "without url, elections are held with the TLS files of each topic's "
		    "source, set url or leave this section out");
}

static void
check_subject_headers(const struct conf_build *b, const struct conf_heartbeat_subject *s)
{
	if (s->header_count > CONF_HEADERS_MAX)
		conf_scan_section_problem(b->scan, section_of(b, s),
					  "more than %d headers, with those of the heartbeat section, leave "
					  "some out",
					  CONF_HEADERS_MAX);
}

static void
check_heartbeat_key(const struct conf_build *b, size_t section)
{
	char key[SUBJECT_MAX];

	election_heartbeat_key(b->conf, key, sizeof key);
	if (*b->conf->name != '\0' && !subject_key_valid(key))
		PROBLEM(b, section, "leader_election",
			"leader_election: its key would be \"%.300s\", which is no valid key, use letters, "
			"digits and any of - _ / = . for the site's name",
			key);
}

static void
check_heartbeat_size(const struct conf_build *b, size_t section)
{
	struct strbuf out;

	strbuf_init(&out);
	conf_print_heartbeat(b->conf, &out);
	if (out.len > PROTO_MAX_PAYLOAD)
		conf_scan_section_problem(b->scan, section, "larger than %d bytes, use fewer subjects",
					  PROTO_MAX_PAYLOAD);
	strbuf_fini(&out);
}

static void
check_heartbeat(const struct conf_build *b)
{
	const struct conf_heartbeat *h = &b->conf->heartbeat;
	size_t section = section_of(b, h);

	if (section == 0)
		return;
	if (h->subject_count == 0 && b->parsed->complete[section])
		conf_scan_section_problem(b->scan, section, "no section subject, want at least one");
	check_url(b, section, h->url, &h->tls);
	for (size_t i = 0; i < h->subject_count; i++)
		check_subject_headers(b, &h->subjects[i]);
	if (h->leader_election)
		check_heartbeat_key(b, section);
	check_heartbeat_size(b, section);
}

/* ---- names and keys -------------------------------------------------------------------------------- */

/* A topic that has a key and no name would silently work at all times. */
static void
check_key_alone(const struct conf_build *b)
{
	for (size_t i = 0; i < b->scan->section_count; i++) {
		size_t place;

		if (b->sections[i].base == NULL || b->sections[i].kind != CONF_TOPIC)
			continue;
		place = conf_build_place(b, i, "election_key");
		if (place != CONF_NONE && conf_build_place(b, i, "leader_election_name") == CONF_NONE)
			conf_scan_problem(b->scan, place,
					  "election_key: set without leader_election_name, set that too");
	}
}

static const char *
topic_key(const struct conf_topic *t)
{
	return *t->election_key != '\0' ? t->election_key : t->leader_election_name;
}

static struct candidate
candidate_of(size_t section, const char *title, const char *name, const char *key,
	     const struct election_group *group)
{
	return (struct candidate){
	    section, title, name, key, text_hash(name, strlen(name)), text_hash(key, strlen(key)),
	    group,   false};
}

/* Where the heartbeat is elected, under whatever name; NULL if it is not. */
static const struct election_group *
heartbeat_group(const struct election_plan *plan)
{
	for (size_t i = 0; i < plan->group_count; i++)
		for (size_t k = 0; k < plan->groups[i].name_count; k++)
			if (plan->groups[i].names[k].heartbeat)
				return &plan->groups[i];
	return NULL;
}

/* Whether a key that was refused has left the default in its place. */
static bool
is_key_refused(const struct conf_build *b, size_t i)
{
	return *b->conf->topics[i].election_key == '\0' &&
	       conf_build_topic_place(b, i, "election_key") != CONF_NONE;
}

/* All that stand for a name somewhere; topics whose servers or keys were refused do not. */
static size_t
find_candidates(const struct conf_build *b, const struct election_plan *plan, struct candidate *out)
{
	const struct election_group *group = NULL;
	size_t count = 0;

	for (size_t i = 0; i < b->topic_count; i++) {
		const struct conf_topic *t = &b->conf->topics[i];

		if (*t->leader_election_name == '\0' || election_plan_of_topic(plan, t, &group) == NULL ||
		    *group->url == '\0' || is_key_refused(b, i))
			continue;
		out[count++] =
		    candidate_of(b->topic_sections[i], t->key, t->leader_election_name, topic_key(t), group);
	}
	group = heartbeat_group(plan);
	if (group != NULL && *group->url != '\0')
		out[count++] = candidate_of(section_of(b, &b->conf->heartbeat), "", plan->heartbeat_key,
					    plan->heartbeat_key, group);
	return count;
}

/* `topic "x"` or `the heartbeat`. The caller frees it. */
static char *
words_for(const struct candidate *c)
{
	return *c->title == '\0' ? xstrdup("the heartbeat") : xasprintf("topic \"%.100s\"", c->title);
}

static void
report_two_systems(const struct conf_build *b, const struct candidate *c, const char *other)
{
	PROBLEM(b, c->section, *c->title == '\0' ? "leader_election" : "leader_election_name",
		"election \"%s\": %s has the same on another system, set url in section election, or another "
		"name",
		c->name, other);
}

static void
report_two_keys(const struct conf_build *b, const struct candidate *c, const struct candidate *first,
		const char *other)
{
	if (c->section == first->section)
		PROBLEM(b, c->section, "election_key",
			"election_key: partitions have different ones and leader_election_name \"%s\" alike, "
			"put {{partition}} into both or none",
			c->name);
	else
		PROBLEM(
		    b, c->section, *c->title == '\0' ? "leader_election" : "election_key",
		    "election \"%s\": its key is \"%s\" here and \"%s\" in %s, want the same or another name",
		    c->name, c->key, first->key, other);
}

static void
report_two_names(const struct conf_build *b, const struct candidate *c, const struct candidate *first,
		 const char *other)
{
	if (c->section == first->section)
		PROBLEM(b, c->section, "election_key",
			"election_key \"%s\": the same in all partitions, put {{partition}} into it", c->key);
	else
		PROBLEM(b, c->section, *c->title == '\0' ? "leader_election" : "election_key",
			"election \"%s\": its key \"%s\" is that of election \"%s\" in %s, want another",
			c->name, c->key, first->name, other);
}

/* Returns whether the two can stand beside each other. */
static bool
check_pair(const struct conf_build *b, const struct candidate *first, const struct candidate *c)
{
	bool name = first->name_hash == c->name_hash && strcmp(first->name, c->name) == 0;
	bool key = first->key_hash == c->key_hash && strcmp(first->key, c->key) == 0;
	bool group = first->group == c->group;
	char *other;

	if ((!name && !(key && group)) || (name && key && group))
		return true;
	other = words_for(first);
	if (!name)
		report_two_names(b, c, first, other);
	else if (!key)
		report_two_keys(b, c, first, other);
	else
		report_two_systems(b, c, other);
	free(other);
	return false;
}

/* One problem a section is enough: partitions have the same. */
static void
check_candidates(const struct conf_build *b, struct candidate *c, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && c[i].section == c[i - 1].section && c[i - 1].refused)
			c[i].refused = true;
		for (size_t k = 0; k < i && !c[i].refused; k++)
			c[i].refused = !c[k].refused && !check_pair(b, &c[k], &c[i]);
	}
}

/* What an elector is sent has to fit into one frame. */
static void
check_group_size(const struct conf_build *b, const struct election_group *g)
{
	size_t section = section_of(b, &b->conf->election);
	const struct election_name *n = &g->names[0];
	struct strbuf out;

	strbuf_init(&out);
	election_plan_print(b->conf, g, &out);
	if (section == 0 && n->topic_count > 0)
		section = b->topic_sections[n->topics[0] - b->conf->topics];
	if (out.len > PROTO_MAX_PAYLOAD)
		conf_scan_section_problem(b->scan, section,
					  "elections of one system need more than %d bytes, use fewer topics "
					  "and filters, or let another daemon have some",
					  PROTO_MAX_PAYLOAD);
	strbuf_fini(&out);
}

void
conf_check_election(const struct conf_build *b)
{
	struct candidate *candidates = xcalloc(b->topic_count + 1, sizeof *candidates);
	struct election_plan plan;

	check_url(b, section_of(b, &b->conf->election), b->conf->election.url, &b->conf->election.tls);
	check_tls(b);
	check_heartbeat(b);
	check_key_alone(b);
	election_plan_make(b->conf, &plan);
	check_candidates(b, candidates, find_candidates(b, &plan, candidates));
	for (size_t i = 0; i < plan.group_count; i++)
		check_group_size(b, &plan.groups[i]);
	election_plan_fini(&plan);
	free(candidates);
}
