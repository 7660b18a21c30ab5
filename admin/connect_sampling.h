/* Sampling in `check --connect`: what gossip and advisories of a topic need at its ends. */
#ifndef SR_ADMIN_CONNECT_SAMPLING_H
#define SR_ADMIN_CONNECT_SAMPLING_H

#include "admin/session.h"
#include "common/conf.h"

/* Tells, and counts problems. Sessions are NULL where an end cannot be reached, the source's stream where it
 * is not there, which is told already. Stores nothing and changes nothing. */
void connect_sampling(const struct conf_topic *topic, struct session *source,
		      const struct jsapi_stream *stream, struct session *target, unsigned *problems);

#endif
