/*
 * From topics and sections to groups and names. Used by the supervisor, which makes its electors from it, by
 * an elector, and by the check of the configuration. Two topics are in one group if their servers are of the
 * same system, with the same login, TLS files and domain: then they have the same bucket. Groups and
 * names are in the order of the file, the heartbeat is the last, so that the text of one group makes
 * the same group again.
 */
#include "common/election_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nats/endpoint.h"
#include "common/xalloc.h"

/* Where an election is held. */
struct place {
	const char *url;
	const char *domain;
	const struct conf_tls *tls;
};

/* What is needed while a plan is made. */
struct maker {
	const struct conf *conf;
	struct election_plan *plan;
	struct endpoint *servers; /* of each group: its url, empty if that is none */
};

static struct place
place_of(const struct conf_election *e, const char *url, const char *domain, const struct conf_tls *tls)
{
	if (*e->url != '\0')
		return (struct place){e->url, e->domain, &e->tls};
	return (struct place){url, *e->domain != '\0' ? e->domain : domain, tls};
}

static bool
same_tls(const struct conf_tls *a, const struct conf_tls *b)
{
	return a->set == b->set && strcmp(a->ca, b->ca) == 0 && strcmp(a->cert, b->cert) == 0 &&
	       strcmp(a->key, b->key) == 0;
}

static bool
same_login(const struct endpoint *a, const struct endpoint *b)
{
	return strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0 &&
	       strcmp(a->token, b->token) == 0 && strcmp(a->credentials, b->credentials) == 0 &&
	       strcmp(a->jwt, b->jwt) == 0 && strcmp(a->nkey, b->nkey) == 0;
}

/* Parses, or leaves *ep empty: a configuration that is still checked may hold anything. */
static void
parse_url(const char *url, struct endpoint *ep)
{
	if (endpoint_parse(url, NULL, ep, NULL) != 0)
		*ep = (struct endpoint){0};
}

static bool
is_place(const struct election_group *g, const struct endpoint *servers, const struct place *p,
	 const struct endpoint *wanted)
{
	if (strcmp(g->domain, p->domain) != 0 || !same_tls(g->tls, p->tls))
		return false;
	if (strcmp(g->url, p->url) == 0)
		return true;
	return servers->server_count > 0 && wanted->server_count > 0 && same_login(servers, wanted) &&
	       endpoint_same_system(servers, wanted);
}

static struct election_group *
append_group(struct maker *m, const struct place *p, const struct endpoint *servers)
{
	struct election_plan *plan = m->plan;
	size_t n = plan->group_count++;

	plan->groups = xrealloc(plan->groups, (n + 1) * sizeof *plan->groups);
	m->servers = xrealloc(m->servers, (n + 1) * sizeof *m->servers);
	m->servers[n] = *servers;
	plan->groups[n] = (struct election_group){
	    .id = n == 0 ? xstrdup("election") : xasprintf("election-%zu", n + 1),
	    .url = p->url,
	    .domain = p->domain,
	    .tls = p->tls,
	    .election = &m->conf->election,
	};
	return &plan->groups[n];
}

static struct election_group *
add_group(struct maker *m, const struct place *p)
{
	struct endpoint servers;

	parse_url(p->url, &servers);
	for (size_t i = 0; i < m->plan->group_count; i++) {
		if (!is_place(&m->plan->groups[i], &m->servers[i], p, &servers))
			continue;
		endpoint_fini(&servers);
		return &m->plan->groups[i];
	}
	return append_group(m, p, &servers);
}

static struct election_name *
add_name(struct election_group *g, const char *key, const char *name)
{
	struct election_name *n;

	for (size_t i = 0; i < g->name_count; i++)
		if (strcmp(g->names[i].key, key) == 0)
			return &g->names[i];
	g->names = xrealloc(g->names, (g->name_count + 1) * sizeof *g->names);
	n = &g->names[g->name_count++];
	*n = (struct election_name){.key = key, .name = name};
	return n;
}

/* Of 64 bits, all of which depend on all of x. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* The order of the topics does not matter to the map. */
static void
add_topic(struct maker *m, const struct conf_topic *t)
{
	struct place p = place_of(&m->conf->election, t->source_url, t->source_domain, &t->source_tls);
	const char *key = *t->election_key != '\0' ? t->election_key : t->leader_election_name;
	struct election_name *n = add_name(add_group(m, &p), key, t->leader_election_name);

	n->topics = xrealloc(n->topics, (n->topic_count + 1) * sizeof *n->topics);
	n->topics[n->topic_count++] = t;
	n->map += mix(conf_map_hash(m->conf, t));
}

static void
add_heartbeat(struct maker *m)
{
	const struct conf *c = m->conf;
	struct place p = place_of(&c->election, c->heartbeat.url, "", &c->heartbeat.tls);
	char *key = xasprintf("SR_%s_HB", c->name);

	m->plan->heartbeat_key = key;
	add_name(add_group(m, &p), key, key)->heartbeat = true;
}

void
election_plan_make(const struct conf *c, struct election_plan *plan)
{
	struct maker m = {c, plan, NULL};

	*plan = (struct election_plan){0};
	for (size_t i = 0; i < c->topic_count; i++)
		if (*c->topics[i].leader_election_name != '\0')
			add_topic(&m, &c->topics[i]);
	if (c->heartbeat.set && c->heartbeat.leader_election)
		add_heartbeat(&m);
	for (size_t i = 0; i < plan->group_count; i++)
		endpoint_fini(&m.servers[i]);
	free(m.servers);
}

void
election_plan_fini(struct election_plan *plan)
{
	for (size_t i = 0; i < plan->group_count; i++) {
		struct election_group *g = &plan->groups[i];

		for (size_t k = 0; k < g->name_count; k++)
			free(g->names[k].topics);
		free(g->names);
		free(g->id);
	}
	free(plan->groups);
	free(plan->heartbeat_key);
	*plan = (struct election_plan){0};
}

static bool
holds_topic(const struct election_name *n, const struct conf_topic *topic)
{
	for (size_t i = 0; i < n->topic_count; i++)
		if (n->topics[i] == topic)
			return true;
	return false;
}

const struct election_name *
election_plan_of_topic(const struct election_plan *plan, const struct conf_topic *topic,
		       const struct election_group **group)
{
	for (size_t i = 0; i < plan->group_count; i++) {
		const struct election_group *g = &plan->groups[i];

		for (size_t k = 0; k < g->name_count; k++) {
			if (!holds_topic(&g->names[k], topic))
				continue;
			if (group != NULL)
				*group = g;
			return &g->names[k];
		}
	}
	return NULL;
}

void
election_heartbeat_key(const struct conf *c, char *out, size_t size)
{
	snprintf(out, size, "SR_%s_HB", c->name);
}

void
election_plan_print(const struct conf *c, const struct election_group *group, struct strbuf *out)
{
	const struct conf_topic **topics = xcalloc(c->topic_count + 1, sizeof *topics);
	size_t count = 0;
	bool heartbeat = false;

	for (size_t i = 0; i < c->topic_count; i++)
		for (size_t k = 0; k < group->name_count; k++)
			if (holds_topic(&group->names[k], &c->topics[i]))
				topics[count++] = &c->topics[i];
	for (size_t k = 0; k < group->name_count; k++)
		heartbeat = heartbeat || group->names[k].heartbeat;
	conf_print_elections(c, topics, count, heartbeat, out);
	free(topics);
}
