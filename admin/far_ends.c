/* Ends of topics without those that are the same. Pure code of the user's commands. */
#include "admin/far_ends.h"

#include <string.h>

static bool
same_tls(const struct conf_tls *a, const struct conf_tls *b)
{
	return a->set == b->set && strcmp(a->ca, b->ca) == 0 && strcmp(a->cert, b->cert) == 0 &&
	       strcmp(a->key, b->key) == 0;
}

bool
far_end_equal(const struct far_end *a, const struct far_end *b)
{
	const struct conf_topic *s = a->topic, *t = b->topic;
	bool from = a->side == SESSION_SOURCE, to = b->side == SESSION_SOURCE;

	return strcmp(from ? s->source_url : s->target_url, to ? t->source_url : t->target_url) == 0 &&
	       strcmp(from ? s->source_domain : s->target_domain, to ? t->source_domain : t->target_domain) ==
		   0 &&
	       same_tls(from ? &s->source_tls : &s->target_tls, to ? &t->source_tls : &t->target_tls);
}

static size_t
add(struct far_end *out, size_t count, struct far_end end)
{
	for (size_t i = 0; i < count; i++)
		if (far_end_equal(&out[i], &end))
			return count;
	out[count] = end;
	return count + 1;
}

size_t
far_ends_of_advisories(const struct conf *conf, struct far_end *out)
{
	size_t count = 0;

	for (size_t i = 0; i < conf->topic_count; i++) {
		const struct conf_topic *t = &conf->topics[i];
		bool source = t->sampling.advisory.cluster == ADVISORY_SOURCE;

		if (t->sampling.advisory.set)
			count =
			    add(out, count, (struct far_end){t, source ? SESSION_SOURCE : SESSION_TARGET});
	}
	return count;
}

size_t
far_ends_of_gossip(const struct conf *conf, struct far_end *out)
{
	size_t count = 0;

	for (size_t i = 0; i < conf->topic_count; i++)
		if (conf->topics[i].sampling.inspect != INSPECT_NONE)
			count = add(out, count, (struct far_end){&conf->topics[i], SESSION_SOURCE});
	return count;
}
