/* A status for people. Pure: JSON in, text out. */
#ifndef SR_ADMIN_STATUS_TABLE_H
#define SR_ADMIN_STATUS_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"

struct status_look {
	bool color;
	size_t width;   /* of the screen in characters, 0 for any: columns that matter less give way */
	int64_t now_ms; /* since the epoch: times of the status are shown as ages */
};

/* Appends the tables. Whatever is missing or of another type is shown as "-". */
void status_table(struct strbuf *out, const json_t *status, const struct status_look *look);

/* The part about sampling, nothing without a sampled topic. */
void status_table_sampling(struct strbuf *out, const json_t *status, const struct status_look *look);

/* The part about elections, nothing without one; and the line about the heartbeats, nothing without them. */
void status_table_elections(struct strbuf *out, const json_t *status, const struct status_look *look);
void status_table_heartbeat(struct strbuf *out, const json_t *status, const struct status_look *look);

#endif
