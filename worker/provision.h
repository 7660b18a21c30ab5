/* The target stream: what about it makes it unfit, and making it where it is missing. */
#ifndef SR_WORKER_PROVISION_H
#define SR_WORKER_PROVISION_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/header.h"
#include "worker/ask.h"
#include "common/nats/jsapi.h"

/*
 * Words for what makes source and target unfit for each other: the same stream, a target that never
 * answers, counts, mirrors or is sealed, one whose subjects take nothing of the topic. NULL if they fit;
 * else text in buf.
 */
const char *provision_refusal(const struct conf_topic *topic, const struct jsapi_stream *source,
			      const struct jsapi_stream *target, char *buf, size_t size);

/* Whether the target stream takes that subject. */
bool provision_takes_subject(const struct jsapi_stream *target, const char *subject);
/* Whether it takes every subject that the topic's filters map to. */
bool provision_takes_all(const struct conf_topic *topic, const struct jsapi_stream *source,
			 const struct jsapi_stream *target);
/* The one mapped filter that covers the topic's copies, "" if there is no single one. */
void provision_mapped_filter(const struct conf_topic *topic, char *out, size_t size);
/* What copies may carry, given the target. */
void provision_header_policy(const struct conf_topic *topic, const struct jsapi_stream *target,
			     struct header_policy *policy);

struct provision;
/* failure NULL: the stream exists now. Called once, never from within. */
typedef void provision_done_fn(void *arg, const char *failure);
/* Makes the target from the source's configuration, with as many replicas as the cluster can hold. */
struct provision *provision_start(const struct ask_end *end, const struct conf_topic *topic,
				  const struct jsapi_stream *source, provision_done_fn *done, void *arg,
				  struct error *e);
void provision_cancel(struct provision **p);

#endif
