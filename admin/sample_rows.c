/* Last-seen values as rows of a listing. The JSON's fields are a contract: added to, never renamed. Pure but
 * for the listing that it writes to; in the user's commands. */
#include "admin/sample_rows.h"

#include <stdlib.h>
#include <string.h>

#include "admin/values.h"
#include "common/xalloc.h"

#define TIME_WIDTH 19

void
sample_columns(struct listing_column columns[SAMPLE_COLUMNS], size_t topic_width)
{
	columns[SAMPLE_HEARD] = (struct listing_column){"TIME", TIME_WIDTH, false};
	columns[SAMPLE_TOPIC] = (struct listing_column){"TOPIC", topic_width > 5 ? topic_width : 5, false};
	columns[SAMPLE_SEEN] = (struct listing_column){"SEEN", TIME_WIDTH, false};
	columns[SAMPLE_COPIED] = (struct listing_column){"COPIED", TIME_WIDTH, false};
	columns[SAMPLE_SIZE] = (struct listing_column){"SIZE", 7, true};
	columns[SAMPLE_ADVISED] = (struct listing_column){"ADVISED", 7, false};
	columns[SAMPLE_VALUE] = (struct listing_column){"VALUE", 0, false};
}

static json_t *
make_object(int64_t heard_ms, const char *topic, const struct proto_sample *row)
{
	json_t *o = json_object();

	if (heard_ms != 0)
		json_object_set_new(o, "time", values_json_time(heard_ms));
	json_object_set_new(o, "topic", values_json_text(topic, strlen(topic)));
	json_object_set_new(o, "value", values_json_text(row->value, row->value_len));
	json_object_set_new(o, "seen", values_json_time(row->seen_ms));
	json_object_set_new(o, "copied", values_json_time(row->copied_ms));
	json_object_set_new(o, "size", json_integer((json_int_t)row->size));
	json_object_set_new(o, "advised", json_boolean(row->advised));
	return o;
}

static bool
write_cells(struct listing *l, int64_t heard_ms, const char *topic, const struct proto_sample *row)
{
	char heard[VALUES_TIME_SIZE], seen[VALUES_TIME_SIZE], copied[VALUES_TIME_SIZE], size[24];
	char *value = xstrndup(row->value, row->value_len);
	const char *cells[SAMPLE_COLUMNS] = {
	    [SAMPLE_HEARD] = values_time(heard_ms, heard, sizeof heard),
	    [SAMPLE_TOPIC] = topic,
	    [SAMPLE_SEEN] = values_time(row->seen_ms, seen, sizeof seen),
	    [SAMPLE_COPIED] = values_time(row->copied_ms, copied, sizeof copied),
	    [SAMPLE_SIZE] = values_count((json_int_t)row->size, size, sizeof size),
	    [SAMPLE_ADVISED] = row->advised ? "silent" : "-",
	    [SAMPLE_VALUE] = value};
	bool more = listing_cells(l, heard_ms != 0 ? cells : cells + SAMPLE_TOPIC);

	free(value);
	return more;
}

bool
sample_row(struct listing *l, int64_t heard_ms, const char *topic, const struct proto_sample *row)
{
	if (l->form == LISTING_TABLE)
		return write_cells(l, heard_ms, topic, row);
	return listing_object(l, make_object(heard_ms, topic, row));
}
