/*
 * A status for people: a head line, one row a topic with what is wrong below it, and a bar for a topic that
 * has a long way to go; then sampling (status_sampling.c), elections and heartbeats (status_elections.c).
 * Pure code of the user's commands.
 */
#include "admin/status_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/values.h"
#include "admin/table.h"
#include "common/text.h"

/* A bar is drawn from so many messages and seconds on. */
#define BAR_MIN_LAG   1000
#define BAR_MIN_ETA_S 5
#define BAR_WIDTH     30

enum column { NAME, ROLE, TERM, STATE, COMMITTED, SOURCE, LAG, BEHIND, RATE, RESTARTS, COLUMNS };

/* Terms are in the table of elections, too; restarts show in the reason while they matter. */
static const struct table_column columns[COLUMNS] = {
    [NAME] = {"TOPIC", false, 0, 0},
    [ROLE] = {"ROLE", false, 0, 0},
    [TERM] = {"TERM", true, 1, 0},
    [STATE] = {"STATE", false, 0, 0},
    [COMMITTED] = {"COMMITTED", true, 4, 0},
    [SOURCE] = {"SOURCE", true, 3, 0},
    [LAG] = {"LAG", true, 0, 0},
    [BEHIND] = {"BEHIND", true, 0, 0},
    [RATE] = {"MSG/S", true, 5, 0},
    [RESTARTS] = {"RESTARTS", true, 2, 0},
};

static void
rate_cell(struct table *t, const json_t *topic)
{
	double rate = values_number(topic, "rate_msgs");
	char buf[40];

	if (rate > 0 && rate < 10)
		table_cell(t, RATE, "", "%.1f", rate);
	else if (rate >= 0)
		table_cell(t, RATE, "", "%s", values_count((json_int_t)round(rate), buf, sizeof buf));
}

static const char *
state_color(const char *state)
{
	static const char *const bad[] = {"halted"}, *const odd[] = {"holding", "waiting", "connecting",
								     "starting"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (strcmp(state, bad[i]) == 0)
			return "\033[31m";
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		if (strcmp(state, odd[i]) == 0)
			return "\033[33m";
	return strcmp(state, "copying") == 0 ? "\033[32m" : "";
}

/* How far a backfill has come, and when it will be done. */
static void
add_bar(struct table *t, const json_t *topic)
{
	double lag = values_number(topic, "lag_msgs"), eta = values_number(topic, "eta_s");
	double committed = values_number(topic, "committed_seq");
	double last = values_number(topic, "source_last_seq");
	double part = last > 0 && committed >= 0 ? committed / last : 0;
	char bar[BAR_WIDTH + 1], buf[40];

	if (lag < BAR_MIN_LAG || (eta >= 0 && eta < BAR_MIN_ETA_S))
		return;
	if (strcmp(values_text(topic, "state"), "standby") == 0)
		return; /* another node copies: see there */
	if (part > 1)
		part = 1;
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int)(part * BAR_WIDTH) ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	if (eta >= 0)
		table_below(t, "[%s] %3.0f %%, done in %s", bar, floor(part * 100),
			    values_duration(eta, buf, sizeof buf));
	else
		table_below(t, "[%s] %3.0f %%, standing still", bar, floor(part * 100));
}

static bool
is_elected(const json_t *topic)
{
	const char *role = values_text(topic, "role");

	return strcmp(role, "leader") == 0 || strcmp(role, "standby") == 0;
}

static void
add_topic(struct table *t, const json_t *topic, bool color)
{
	static const struct {
		enum column column;
		const char *key;
	} counts[] = {{COMMITTED, "committed_seq"},
		      {SOURCE, "source_last_seq"},
		      {LAG, "lag_msgs"},
		      {RESTARTS, "restarts"}};
	const char *state = values_shown(topic, "state"), *reason = values_text(topic, "reason");
	char buf[40];

	table_row(t);
	table_cell(t, NAME, "", "%s", values_shown(topic, "name"));
	if (is_elected(topic)) {
		table_cell(t, ROLE, "", "%s", values_text(topic, "role"));
		if (values_number(topic, "term") > 0)
			table_cell(t, TERM, "", "%.0f", values_number(topic, "term"));
	}
	table_cell(t, STATE, color ? state_color(state) : "", "%s", state);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		table_cell(t, counts[i].column, "", "%s",
			   values_count_of(topic, counts[i].key, buf, sizeof buf));
	table_cell(t, BEHIND, "", "%s",
		   values_duration(values_number(topic, "lag_seconds"), buf, sizeof buf));
	rate_cell(t, topic);
	if (reason[0] != '\0')
		table_below(t, "%s", reason);
	add_bar(t, topic);
}

static void
add_topics(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	const json_t *topics = json_object_get(status, "topics"), *topic;
	struct table *t = table_new(columns, COLUMNS);
	bool elected = false;
	size_t i;

	json_array_foreach(topics, i, topic)
	{
		add_topic(t, topic, look->color);
		elected = elected || is_elected(topic);
	}
	if (!elected) {
		table_hide(t, ROLE);
		table_hide(t, TERM);
	}
	table_print(t, look->width, out);
	table_free(&t);
}

static void
add_head(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	bool ok = json_is_true(json_object_get(status, "ok"));
	struct strbuf line;
	char up[40];

	strbuf_init(&line);
	strbuf_addf(&line, "%s on %s, stream-replicator %s, pid %.0f, up %s: ", values_shown(status, "name"),
		    values_shown(status, "node"), values_shown(status, "version"),
		    values_number(status, "pid"),
		    values_duration(values_number(status, "uptime_s"), up, sizeof up));
	text_clean(out, line.data, line.len);
	strbuf_fini(&line);
	strbuf_addf(out, "%s%s%s%s\n", look->color ? (ok ? "\033[32m" : "\033[31m") : "",
		    ok ? "all is well" : "not all is well", look->color ? "\033[0m" : "",
		    json_is_true(json_object_get(status, "stopping")) ? ", stopping" : "");
	if (values_text(status, "state_problem")[0] != '\0') {
		strbuf_adds(out, "state: ");
		text_clean(out, values_text(status, "state_problem"),
			   strlen(values_text(status, "state_problem")));
		strbuf_adds(out, "\n");
	}
}

void
status_table(struct strbuf *out, const json_t *status, const struct status_look *look)
{
	add_head(out, status, look);
	strbuf_adds(out, "\n");
	add_topics(out, status, look);
	status_table_sampling(out, status, look);
	status_table_elections(out, status, look);
	status_table_heartbeat(out, status, look);
}
