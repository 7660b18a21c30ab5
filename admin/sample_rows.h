/* Rows of `state` and `gossip`: last-seen values for people and for programs. Pure. */
#ifndef SR_ADMIN_SAMPLE_ROWS_H
#define SR_ADMIN_SAMPLE_ROWS_H

#include "admin/listing.h"
#include "common/proto.h"

/* The columns that both have; `gossip` has one more in front, the time at which it was heard. */
enum sample_column {
	SAMPLE_HEARD,
	SAMPLE_TOPIC,
	SAMPLE_SEEN,
	SAMPLE_COPIED,
	SAMPLE_SIZE,
	SAMPLE_ADVISED,
	SAMPLE_VALUE,
	SAMPLE_COLUMNS
};
/* topic_width: of the longest name. */
void sample_columns(struct listing_column columns[SAMPLE_COLUMNS], size_t topic_width);

/* heard_ms: 0 for `state`, whose listing has the columns from SAMPLE_TOPIC on. As listing_cells(). */
bool sample_row(struct listing *l, int64_t heard_ms, const char *topic, const struct proto_sample *row);

#endif
