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
takes_filter(const struct jsapi_stream *stream, const char *filter)
{
	const char *have;

	for (size_t i = 0; (have = subject_at(stream, i)) != NULL; i++)
		if (subject_filter_contains(have, filter))
			return true;
	return false;
}

static bool
has_transform(const struct jsapi_stream *source)
{
	return source->has_subject_transform || source->mirror || source->has_sources;
}

/* The i-th filter of what the topic reads: its own filters, else the source's subjects, else ">" where
 * those are not known. NULL behind the last. */
static const char *
read_filter(const struct conf_topic *topic, const struct jsapi_stream *source, size_t i)
{
	if (topic->filter_count > 0)
		return i < topic->filter_count ? topic->filter_subjects[i] : NULL;
	if (has_transform(source) || subject_at(source, 0) == NULL)
		return i == 0 ? ">" : NULL;
	return subject_at(source, i);
}

/* The same, as it is written at the target. 1 there, 0 behind the last, -1 if it maps to nothing. */
static int
written_filter(const struct conf_topic *topic, const struct jsapi_stream *source, size_t i, char *out,
	       size_t size)
{
	const char *filter = read_filter(topic, source, i);

	if (filter == NULL)
		return 0;
	return subject_map(topic->target_subject_prefix, topic->target_subject_remove, filter, out, size) < 0
		   ? -1
		   : 1;
}

bool
fit_takes_all(const struct conf_topic *topic, const struct jsapi_stream *source,
	      const struct jsapi_stream *target)
{
	char mapped[SUBJECT_MAX];
	int there = 0;

	for (size_t i = 0; (there = written_filter(topic, source, i, mapped, sizeof mapped)) > 0; i++)
		if (!takes_filter(target, mapped))
			return false;
	return there == 0;
}

static bool
is_written(const struct conf_topic *topic, const struct jsapi_stream *source, const char *subject)
{
	char mapped[SUBJECT_MAX];

	for (size_t i = 0; written_filter(topic, source, i, mapped, sizeof mapped) > 0; i++)
		if (subject_filter_contains(mapped, subject))
			return true;
	return false;
}

bool
fit_takes_nothing_else(const struct conf_topic *topic, const struct jsapi_stream *source,
		       const struct jsapi_stream *target)
{
	const char *subject;

	for (size_t i = 0; (subject = subject_at(target, i)) != NULL; i++)
		if (!is_written(topic, source, subject))
			return false;
	return true;
}

void
fit_mapped_filter(const struct conf_topic *topic, const struct jsapi_stream *source,
		  const struct jsapi_stream *target, char *out, size_t size)
{
	/* What is removed may stand inside a wildcard: then the filter would say too little. */
	if (topic->target_subject_remove[0] != '\0' || read_filter(topic, source, 1) != NULL ||
	    written_filter(topic, source, 0, out, size) <= 0 || strcmp(out, ">") == 0 ||
	    !takes_filter(target, out))
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
