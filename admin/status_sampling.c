/* What sampling does, in a status for people: a row for each sampled topic, and below it what is odd. Pure
 * code of the user's commands. */
#include "admin/status_table.h"

#include "admin/table.h"
#include "admin/values.h"
#include "common/array.h"

enum column { NAME, TRACKED, ADVISED, COPIED, SKIPPED, SAVED, FORCED, WITHOUT, COLUMNS };

static const struct table_column columns[COLUMNS] = {
    [NAME] = {"SAMPLED", false, 0, 0},   [TRACKED] = {"VALUES", true, 0, 0},
    [ADVISED] = {"ADVISED", true, 0, 0}, [COPIED] = {"COPIED", true, 0, 0},
    [SKIPPED] = {"SKIPPED", true, 0, 0}, [SAVED] = {"SAVED", true, 2, 0},
    [FORCED] = {"FORCED", true, 3, 0},   [WITHOUT] = {"NO VALUE", true, 1, 0},
};

/* Which part of what came was not copied. */
static void
saved_cell(struct table *t, const json_t *sampling)
{
	double copied = values_number(sampling, "copied"), skipped = values_number(sampling, "skipped");

	if (copied >= 0 && skipped >= 0 && copied + skipped > 0)
		table_cell(t, SAVED, "", "%.1f %%", skipped * 100 / (copied + skipped));
}

static void
add_remark(struct table *t, const json_t *o, const char *key, const char *text)
{
	char buf[40];

	if (values_number(o, key) > 0)
		table_below(t, "%s %s", values_count_of(o, key, buf, sizeof buf), text);
}

/* What waits for a moment is no news; tries that failed have a reason. */
static void
add_waiting(struct table *t, const json_t *advisories)
{
	bool failed = values_number(advisories, "errors") > 0;

	add_remark(t, advisories, "waiting",
		   failed ? "advisories wait to be delivered, and tries have failed: the log has why"
			  : "advisories wait to be delivered");
}

static void
add_remarks(struct table *t, const json_t *sampling)
{
	const json_t *advisories = json_object_get(sampling, "advisories");

	add_remark(t, sampling, "untracked",
		   "copied without being sampled: there are more values than inspect_max_values");
	add_waiting(t, advisories);
	add_remark(t, advisories, "dropped", "advisories were given up: the log has why");
}

static void
add_topic(struct table *t, const json_t *topic, const json_t *sampling)
{
	static const struct {
		enum column column;
		const char *key;
	} counts[] = {{TRACKED, "tracked"}, {ADVISED, "advised"}, {COPIED, "copied"},
		      {SKIPPED, "skipped"}, {FORCED, "forced"},   {WITHOUT, "without_value"}};
	char buf[40];

	table_row(t);
	table_cell(t, NAME, "", "%s", values_shown(topic, "name"));
	for (size_t i = 0; i < array_len(counts); i++)
		table_cell(t, counts[i].column, "", "%s",
			   values_count_of(sampling, counts[i].key, buf, sizeof buf));
	saved_cell(t, sampling);
	add_remarks(t, sampling);
}

void
status_table_sampling(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	const json_t *topics = json_object_get(status, "topics"), *topic;
	struct table *t = table_new(columns, COLUMNS);
	bool any = false;
	size_t i;

	json_array_foreach(topics, i, topic)
	{
		const json_t *sampling = json_object_get(topic, "sampling");

		if (!json_is_object(sampling))
			continue;
		add_topic(t, topic, sampling);
		any = true;
	}
	if (any) {
		strbuf_adds(out, "\n");
		table_print(t, look->width, out);
	}
	table_free(&t);
}
