/*
 * The elections of a status: one row a name with who leads it, since when and until when, who else stands
 * for it, and what is wrong below it; then how many names each node leads. Pure code of the user's commands.
 *
 * The leader's name comes out of the bucket: with the value of another program it may be any text.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/status_table.h"
#include "admin/values.h"
#include "admin/table.h"
#include "common/clock.h"
#include "common/text.h"
#include "common/xalloc.h"

enum column { NAME, ROLE, LEADER, SINCE, TERM, LEASE, OTHERS, COLUMNS };

static const struct table_column columns[COLUMNS] = {
    [NAME] = {"ELECTION", false, 0, 0},    [ROLE] = {"HERE", false, 0, 0},
    [LEADER] = {"LEADER", false, 0, 32},   [SINCE] = {"SINCE", true, 3, 0},
    [TERM] = {"TERM", true, 2, 0},         [LEASE] = {"LEASE", true, 0, 0},
    [OTHERS] = {"STAND BY", false, 1, 48},
};

/* Seconds since a time of the status; -1 if it is none. */
static double
age(const json_t *o, const char *key, int64_t now_ms)
{
	int64_t ns;

	if (rfc3339_parse(values_text(o, key), &ns) != 0)
		return -1;
	return ns / 1000000 < now_ms ? (double)(now_ms - ns / 1000000) / 1000 : 0;
}

/* ---- nodes ---- */

static bool
is_same_node(const json_t *a, const char *a_name, const json_t *b, const char *b_name)
{
	return strcmp(values_text(a, a_name), values_text(b, b_name)) == 0 &&
	       strcmp(values_text(a, "site"), values_text(b, "site")) == 0 &&
	       values_number(a, "pid") == values_number(b, "pid");
}

static bool
is_led_by(const json_t *election, const json_t *node)
{
	return is_same_node(election, "leader", node, "node");
}

/* "node2", "node2 (US)" of another site, "node1 [77]" where two have the same name on one machine. */
static void
add_node(struct strbuf *out, const char *name, const json_t *o, const char *own_site, bool with_pid)
{
	const char *site = values_text(o, "site");

	strbuf_adds(out, name[0] != '\0' ? name : "-");
	if (site[0] != '\0' && strcmp(site, own_site) != 0)
		strbuf_addf(out, " (%s)", site);
	if (with_pid)
		strbuf_addf(out, " [%.0f]", values_number(o, "pid"));
}

/* Whether another of those present has the same name. */
static bool
is_ambiguous(const json_t *present, const char *name)
{
	const json_t *node;
	size_t i, count = 0;

	json_array_foreach(present, i, node) count += strcmp(values_text(node, "node"), name) == 0;
	return count > 1;
}

/* ---- one election ---- */

static void
leader_cell(struct table *t, const json_t *election, const char *own_site, bool color)
{
	const char *leader = values_text(election, "leader");
	struct strbuf text;

	if (leader[0] == '\0') {
		table_cell(t, LEADER, color ? "\033[33m" : "", "nobody");
		return;
	}
	strbuf_init(&text);
	add_node(&text, leader, election, own_site,
		 is_ambiguous(json_object_get(election, "present"), leader));
	table_cell(t, LEADER, "", "%s", text.data);
	strbuf_fini(&text);
}

static void
others_cell(struct table *t, const json_t *election, const char *own_site)
{
	const json_t *present = json_object_get(election, "present"), *node;
	struct strbuf text;
	size_t i;

	strbuf_init(&text);
	json_array_foreach(present, i, node)
	{
		const char *name = values_text(node, "node");

		if (is_led_by(election, node))
			continue;
		if (text.len > 0)
			strbuf_adds(&text, ", ");
		add_node(&text, name, node, own_site, is_ambiguous(present, name));
	}
	table_cell(t, OTHERS, "", "%s", text.len > 0 ? text.data : "nobody");
	strbuf_fini(&text);
}

static void
add_election(struct table *t, const json_t *election, const char *own_site, const struct status_look *look)
{
	const char *role = values_shown(election, "role"), *problem = values_text(election, "problem");
	double lease_ms = values_number(election, "lease_ms");
	char buf[40];

	table_row(t);
	table_cell(t, NAME, "", "%s", values_shown(election, "name"));
	table_cell(t, ROLE, look->color && strcmp(role, "leader") == 0 ? "\033[32m" : "", "%s",
		   strcmp(role, "none") == 0 ? "-" : role);
	leader_cell(t, election, own_site, look->color);
	table_cell(t, SINCE, "", "%s",
		   values_duration(age(election, "since", look->now_ms), buf, sizeof buf));
	if (values_number(election, "term") > 0)
		table_cell(t, TERM, "", "%.0f", values_number(election, "term"));
	if (json_is_number(json_object_get(election, "lease_ms")))
		table_cell(t, LEASE, "", "%s",
			   values_duration(lease_ms > 0 ? lease_ms / 1000 : 0, buf, sizeof buf));
	others_cell(t, election, own_site);
	if (problem[0] != '\0')
		table_below(t, "%s", problem);
}

/* ---- how many each node leads ---- */

struct node {
	const json_t *entry;
	const char *bucket;
};

static bool
is_listed(const struct node *nodes, size_t count, const json_t *entry, const char *bucket)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(nodes[i].bucket, bucket) == 0 &&
		    is_same_node(nodes[i].entry, "node", entry, "node"))
			return true;
	return false;
}

static size_t
list_nodes(const json_t *elections, struct node **nodes)
{
	const json_t *election, *entry;
	size_t i, j, count = 0;

	*nodes = NULL;
	json_array_foreach(elections, i, election)
	{
		const char *bucket = values_text(election, "bucket");

		json_array_foreach(json_object_get(election, "present"), j, entry)
		{
			if (is_listed(*nodes, count, entry, bucket))
				continue;
			*nodes = xrealloc(*nodes, (count + 1) * sizeof **nodes);
			(*nodes)[count++] = (struct node){entry, bucket};
		}
	}
	return count;
}

static bool
shares_name(const struct node *nodes, size_t count, size_t which)
{
	for (size_t i = 0; i < count; i++)
		if (i != which && strcmp(nodes[i].bucket, nodes[which].bucket) == 0 &&
		    strcmp(values_text(nodes[i].entry, "node"), values_text(nodes[which].entry, "node")) == 0)
			return true;
	return false;
}

static bool
is_first_of_bucket(const struct node *nodes, size_t which)
{
	for (size_t i = 0; i < which; i++)
		if (strcmp(nodes[i].bucket, nodes[which].bucket) == 0)
			return false;
	return true;
}

/* The line of the bucket of nodes[first]. */
static void
add_share(struct strbuf *out, const struct node *nodes, size_t count, size_t first, const char *own_site)
{
	const char *bucket = nodes[first].bucket;
	char leads[40];

	strbuf_addf(out, "in bucket %s: ", bucket[0] != '\0' ? bucket : "-");
	for (size_t i = first; i < count; i++) {
		if (strcmp(nodes[i].bucket, bucket) != 0)
			continue;
		if (i > first)
			strbuf_adds(out, ", ");
		add_node(out, values_text(nodes[i].entry, "node"), nodes[i].entry, own_site,
			 shares_name(nodes, count, i));
		strbuf_addf(out, " leads %s", values_count_of(nodes[i].entry, "leads", leads, sizeof leads));
	}
}

static void
add_shares(struct strbuf *out, const json_t *elections, const char *own_site, size_t width)
{
	struct node *nodes;
	struct strbuf line, clean;
	size_t count = list_nodes(elections, &nodes);

	strbuf_init(&line);
	strbuf_init(&clean);
	for (size_t i = 0; i < count; i++) {
		if (!is_first_of_bucket(nodes, i))
			continue;
		strbuf_reset(&line);
		strbuf_reset(&clean);
		add_share(&line, nodes, count, i, own_site);
		text_clean(&clean, line.data, line.len);
		table_wrap(out, clean.data, 0, width);
	}
	strbuf_fini(&line);
	strbuf_fini(&clean);
	free(nodes);
}

void
status_table_elections(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	const json_t *elections = json_object_get(status, "elections"), *election;
	const char *own_site = values_text(status, "name");
	struct table *t;
	size_t i;

	if (json_array_size(elections) == 0)
		return;
	t = table_new(columns, COLUMNS);
	json_array_foreach(elections, i, election) add_election(t, election, own_site, look);
	strbuf_adds(out, "\n");
	table_print(t, look->width, out);
	table_free(&t);
	add_shares(out, elections, own_site, look->width);
}

/* ---- heartbeats ---- */

void
status_table_heartbeat(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	const json_t *beat = json_object_get(status, "heartbeat");
	const char *state = values_shown(beat, "state"), *role = values_text(beat, "role");
	struct strbuf line, clean;
	char stored[40], errors[40];

	if (!json_is_object(beat))
		return;
	strbuf_init(&line);
	strbuf_init(&clean);
	strbuf_addf(&line, "heartbeat: %s", strcmp(state, "copying") == 0 ? "publishing" : state);
	if (strcmp(role, "leader") == 0 && values_number(beat, "term") > 0)
		strbuf_addf(&line, " (leader, term %.0f)", values_number(beat, "term"));
	strbuf_addf(&line, ", %s published, %s errors",
		    values_count_of(beat, "published", stored, sizeof stored),
		    values_count_of(beat, "errors", errors, sizeof errors));
	if (values_text(beat, "reason")[0] != '\0')
		strbuf_addf(&line, ": %s", values_text(beat, "reason"));
	text_clean(&clean, line.data, line.len);
	strbuf_adds(out, "\n");
	table_wrap(out, clean.data, 0, look->width);
	strbuf_fini(&line);
	strbuf_fini(&clean);
}
