/*
 * Judging the two streams of a topic by what their servers say of them; runs in replicating workers and in
 * `check --connect` and `verify`. Pure: asks nobody.
 */
#include "common/nats/fit.h"

#include <stdio.h>
#include <string.h>

#include "common/subject.h"

static const char *
subject_at(const struct jsapi_stream *stream, size_t i)
{
	return json_string_value(json_array_get(json_object_get(stream->config, "subjects"), i));
}

bool
fit_takes_subject(const struct jsapi_stream *target, const char *subject)
{
	const char *filter;

	for (size_t i = 0; (filter = subject_at(target, i)) != NULL; i++)
		if (subject_matches(filter, subject))
			return true;
	return false;
}

static bool
contained(const struct jsapi_stream *target, const struct conf_topic *topic, const char *filter)
{
	char mapped[SUBJECT_MAX];
	const char *have;

	if (subject_map(topic->target_subject_prefix, topic->target_subject_remove, filter, mapped,
			sizeof mapped) < 0)
		return false;
	for (size_t i = 0; (have = subject_at(target, i)) != NULL; i++)
		if (subject_filter_contains(have, mapped))
			return true;
	return false;
}

static bool
has_transform(const struct jsapi_stream *source)
{
	return source->has_subject_transform || source->mirror || source->has_sources;
}

bool
fit_takes_all(const struct conf_topic *topic, const struct jsapi_stream *source,
	      const struct jsapi_stream *target)
{
	const char *subject;
	size_t i;

	for (i = 0; i < topic->filter_count; i++)
		if (!contained(target, topic, topic->filter_subjects[i]))
			return false;
	if (i > 0)
		return true;
	if (has_transform(source) || subject_at(source, 0) == NULL)
		return contained(target, topic, ">");
	for (i = 0; (subject = subject_at(source, i)) != NULL; i++)
		if (!contained(target, topic, subject))
			return false;
	return true;
}

void
fit_mapped_filter(const struct conf_topic *topic, char *out, size_t size)
{
	const char *filter = topic->filter_count == 1 ? topic->filter_subjects[0] : ">";

	out[0] = '\0';
	if (topic->filter_count > 1 ||
	    (topic->filter_count == 0 && topic->target_subject_prefix[0] == '\0') ||
	    topic->target_subject_remove[0] != '\0')
		return;
	if (subject_map(topic->target_subject_prefix, "", filter, out, size) < 0)
		out[0] = '\0';
}

void
fit_header_policy(const struct conf_topic *topic, const struct jsapi_stream *target,
		  struct header_policy *policy)
{
	*policy = (struct header_policy){
	    .pass_rollup = topic->pass_rollup && target->allow_rollup,
	    .accept_ttl = target->allow_msg_ttl,
	};
}

static const char *
unfit(const struct jsapi_stream *t)
{
	if (t->no_ack)
		return "it has no_ack set, so that no copy could ever be proven; set no_ack to false";
	if (t->allow_msg_counter)
		return "it counts (allow_msg_counter), so that copies would change; name another stream";
	if (t->mirror)
		return "it is a mirror, which takes no messages; name another stream";
	if (t->sealed)
		return "it is sealed, which takes no messages; name another stream";
	return NULL;
}

const char *
fit_refusal(const struct conf_topic *topic, const struct jsapi_stream *source,
	    const struct jsapi_stream *target, char *buf, size_t size)
{
	const char *why = unfit(target);

	if (source->created_ns == target->created_ns && strcmp(source->name, target->name) == 0) {
		snprintf(buf, size,
			 "source_url and target_url reach the same stream %s; name another target_stream or "
			 "target_url",
			 source->name);
		return buf;
	}
	if (why != NULL) {
		snprintf(buf, size, "target stream %s cannot be used: %s", topic->target_stream, why);
		return buf;
	}
	return NULL;
}
