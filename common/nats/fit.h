/* Whether a topic's source and target streams fit each other, and what copies may carry. */
#ifndef SR_COMMON_NATS_FIT_H
#define SR_COMMON_NATS_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/header.h"
#include "common/nats/jsapi.h"

/*
 * Words for what makes source and target unfit for each other: the same stream, a target that never
 * answers, counts, mirrors or is sealed. NULL if they fit;
 * else text in buf.
 */
const char *fit_refusal(const struct conf_topic *topic, const struct jsapi_stream *source,
			const struct jsapi_stream *target, char *buf, size_t size);

/* Whether the target stream takes that subject. */
bool fit_takes_subject(const struct jsapi_stream *target, const char *subject);
/* Whether it takes every subject that the topic's filters map to. */
bool fit_takes_all(const struct conf_topic *topic, const struct jsapi_stream *source,
		   const struct jsapi_stream *target);
/* Whether every subject that the target takes is one that the topic writes. */
bool fit_takes_nothing_else(const struct conf_topic *topic, const struct jsapi_stream *source,
			    const struct jsapi_stream *target);
/* The one filter under which all of the topic's copies are at the target, "" if there is no single one
 * (servers take a consumer's filter only if the stream has such subjects). */
void fit_mapped_filter(const struct conf_topic *topic, const struct jsapi_stream *source,
		       const struct jsapi_stream *target, char *out, size_t size);
/* What copies may carry, given the target. */
void fit_header_policy(const struct conf_topic *topic, const struct jsapi_stream *target,
		       struct header_policy *policy);

#endif
