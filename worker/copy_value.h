/*
 * The value of a sampled topic's message, read from its copy at the target. Subject and headers of a copy are
 * not those of its source message; where the copy does not show the value, it carries it in a header of its
 * own (ORIGIN_VALUE_HEADER). Pure.
 */
#ifndef SR_WORKER_COPY_VALUE_H
#define SR_WORKER_COPY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/error.h"
#include "common/nats/conn.h"
#include "common/sample_value.h"

/* Whether copies of the topic carry the header: parts of the subject are removed, or the header that names
 * the value is not carried over. */
bool copy_value_needs_line(const struct conf_topic *topic);

struct copy_value;

/* topic is borrowed. NULL with *e if its inspection cannot be set up. */
struct copy_value *copy_value_new(const struct conf_topic *topic, struct error *e);
void copy_value_free(struct copy_value **v);

/* Whether it needs the bodies of copies. */
bool copy_value_wants_body(const struct copy_value *v);
/* Length 0 for none. size: of the body, also of one that was left out for want_body false. */
void copy_value_read(const struct copy_value *v, const struct nats_message *m, struct sample_value *value,
		     uint64_t *size);

#endif
