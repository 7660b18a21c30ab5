/*
 * Reads back from the target which values were copied, and when: what is stored there and not known here. Our
 * copies count, also under adopted names, and those of the existing tool that do not say their sequence.
 */
#ifndef SR_WORKER_RECALL_H
#define SR_WORKER_RECALL_H

#include <stdint.h>

#include "common/nats/ask.h"
#include "common/nats/jsapi.h"
#include "common/sample_value.h"
#include "worker/copy_value.h"

struct recall;

struct recall_request {
	const struct conf *conf;
	const struct conf_topic *topic;
	const struct copy_value *values;
	const struct jsapi_stream *source, *target;
	uint64_t after;   /* target sequence behind which it is read, */
	int64_t since_ms; /* or if not 0, a time: what was stored since (epoch) */
	uint64_t up_to;   /* copies of later messages of the source are left out: these come again */
};
struct recall_callbacks {
	/* stored_ms: when the source stored the message; of a copy that does not say it, when the target
	 * stored the copy. size: of the body. */
	void (*copied)(void *arg, const struct sample_value *value, int64_t stored_ms, uint64_t size);
	/* Now and then: so many messages were read, so many are left. */
	void (*progress)(void *arg, uint64_t read, uint64_t left);
	/* Once, never from within recall_start; failure NULL: all was read. The recall is gone. */
	void (*done)(void *arg, const char *failure, uint64_t copies);
};

/* What request points at is borrowed until the end. NULL with *e while the connection is down. */
struct recall *recall_start(const struct ask_end *end, const struct recall_request *request,
			    const struct recall_callbacks *callbacks, void *arg, struct error *e);
void recall_cancel(struct recall **r);

#endif
