/* Making a target stream that is missing. common/nats/fit.h judges one that is there. */
#ifndef SR_WORKER_PROVISION_H
#define SR_WORKER_PROVISION_H

#include "common/conf.h"
#include "common/nats/ask.h"
#include "common/nats/jsapi.h"

struct provision;
/* failure NULL: the stream exists now. Called once, never from within. */
typedef void provision_done_fn(void *arg, const char *failure);
/* Makes the target from the source's configuration, with as many replicas as the cluster can hold. */
struct provision *provision_start(const struct ask_end *end, const struct conf_topic *topic,
				  const struct jsapi_stream *source, provision_done_fn *done, void *arg,
				  struct error *e);
void provision_cancel(struct provision **p);

#endif
