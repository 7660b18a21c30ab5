/*
 * A status for people: a head line, one row a topic with what is wrong below it, and a bar for a topic that
 * has a long way to go. Pure code of the user's commands.
 */
#include "admin/status_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

/* A bar is drawn from so many messages and seconds on. */
#define BAR_MIN_LAG   1000
#define BAR_MIN_ETA_S 5
#define BAR_WIDTH     30

enum column { NAME, ROLE, STATE, COMMITTED, SOURCE, LAG, BEHIND, RATE, RESTARTS, COLUMNS };

static const char *const heads[COLUMNS] = {
    [NAME] = "TOPIC", [ROLE] = "ROLE",     [STATE] = "STATE", [COMMITTED] = "COMMITTED", [SOURCE] = "SOURCE",
    [LAG] = "LAG",    [BEHIND] = "BEHIND", [RATE] = "MSG/S",  [RESTARTS] = "RESTARTS",
};

struct row {
	char *cell[COLUMNS];
};

/* ---- values ---- */

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "-";
}

/* -1 for what is not known */
static double
number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : -1;
}

const char *
status_count(json_int_t value, char *buf, size_t size)
{
	char digits[32];
	size_t len, out = 0;

	snprintf(digits, sizeof digits, "%lld", (long long)value);
	len = strlen(digits);
	for (size_t i = 0; i < len && out + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

const char *
status_duration(double seconds, char *buf, size_t size)
{
	static const struct {
		double seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

	if (seconds < 0) {
		snprintf(buf, size, "-");
		return buf;
	}
	if (seconds < 60) {
		snprintf(buf, size, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
		return buf;
	}
	for (size_t i = 0; i + 1 < sizeof units / sizeof units[0]; i++) {
		double whole = floor(seconds / units[i].seconds);

		if (whole < 1)
			continue;
		snprintf(buf, size, "%.0f %c %.0f %c", whole, units[i].unit,
			 floor((seconds - whole * units[i].seconds) / units[i + 1].seconds),
			 units[i + 1].unit);
		break;
	}
	return buf;
}

static char *
count_cell(const json_t *topic, const char *key)
{
	const json_t *v = json_object_get(topic, key);
	char buf[40];

	return xstrdup(json_is_integer(v) ? status_count(json_integer_value(v), buf, sizeof buf) : "-");
}

static char *
duration_cell(const json_t *topic, const char *key)
{
	char buf[40];

	return xstrdup(status_duration(number_of(topic, key), buf, sizeof buf));
}

static char *
rate_cell(const json_t *topic)
{
	double rate = number_of(topic, "rate_msgs");
	char buf[40];

	if (rate < 0)
		return xstrdup("-");
	if (rate > 0 && rate < 10)
		return xasprintf("%.1f", rate);
	return xstrdup(status_count((json_int_t)round(rate), buf, sizeof buf));
}

static void
fill_row(struct row *row, const json_t *topic)
{
	const char *role = text_of(topic, "role");

	row->cell[NAME] = xstrdup(text_of(topic, "name"));
	row->cell[ROLE] = xstrdup(strcmp(role, "none") == 0 ? "-" : role);
	row->cell[STATE] = xstrdup(text_of(topic, "state"));
	row->cell[COMMITTED] = count_cell(topic, "committed_seq");
	row->cell[SOURCE] = count_cell(topic, "source_last_seq");
	row->cell[LAG] = count_cell(topic, "lag_msgs");
	row->cell[BEHIND] = duration_cell(topic, "lag_seconds");
	row->cell[RATE] = rate_cell(topic);
	row->cell[RESTARTS] = count_cell(topic, "restarts");
}

/* ---- layout ---- */

/* Columns on a terminal: characters, not bytes. */
static size_t
width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
add_cell(struct strbuf *out, const char *text, size_t to_width, bool right, const char *color)
{
	size_t pad = to_width > width(text) ? to_width - width(text) : 0;

	if (right)
		strbuf_addf(out, "%*s", (int)pad, "");
	strbuf_addf(out, "%s%s%s", color, text, color[0] != '\0' ? "\033[0m" : "");
	if (!right)
		strbuf_addf(out, "%*s", (int)pad, "");
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

static void
add_row(struct strbuf *out, const char *const *cells, const size_t *widths, bool color)
{
	for (int c = 0; c < COLUMNS; c++) {
		if (c > 0)
			strbuf_adds(out, "  ");
		add_cell(out, cells[c], widths[c], c > STATE,
			 color && c == STATE ? state_color(cells[c]) : "");
	}
	strbuf_adds(out, "\n");
}

/* How far a backfill has come, and when it will be done. */
static void
add_bar(struct strbuf *out, const json_t *topic, size_t indent)
{
	double lag = number_of(topic, "lag_msgs"), eta = number_of(topic, "eta_s");
	double committed = number_of(topic, "committed_seq"), last = number_of(topic, "source_last_seq");
	double part = last > 0 && committed >= 0 ? committed / last : 0;
	char buf[40];
	int full;

	if (lag < BAR_MIN_LAG || (eta >= 0 && eta < BAR_MIN_ETA_S))
		return;
	if (part > 1)
		part = 1;
	full = (int)(part * BAR_WIDTH);
	strbuf_addf(out, "%*s  [", (int)indent, "");
	for (int i = 0; i < BAR_WIDTH; i++)
		strbuf_adds(out, i < full ? "#" : ".");
	strbuf_addf(out, "] %3.0f %%, ", floor(part * 100));
	if (eta >= 0)
		strbuf_addf(out, "done in %s\n", status_duration(eta, buf, sizeof buf));
	else
		strbuf_adds(out, "standing still\n");
}

static void
add_below(struct strbuf *out, const json_t *topic, size_t indent)
{
	const char *reason = json_string_value(json_object_get(topic, "reason"));

	if (reason != NULL && reason[0] != '\0')
		strbuf_addf(out, "%*s  %s\n", (int)indent, "", reason);
	add_bar(out, topic, indent);
}

static void
add_head(struct strbuf *out, const json_t *status, bool color)
{
	const json_t *problem = json_object_get(status, "state_problem");
	bool ok = json_is_true(json_object_get(status, "ok"));
	char up[40];

	strbuf_addf(out, "%s on %s, stream-replicator %s, pid %.0f, up %s: ", text_of(status, "name"),
		    text_of(status, "node"), text_of(status, "version"), number_of(status, "pid"),
		    status_duration(number_of(status, "uptime_s"), up, sizeof up));
	strbuf_addf(out, "%s%s%s%s\n", color ? (ok ? "\033[32m" : "\033[31m") : "",
		    ok ? "all is well" : "not all is well", color ? "\033[0m" : "",
		    json_is_true(json_object_get(status, "stopping")) ? ", stopping" : "");
	if (json_is_string(problem))
		strbuf_addf(out, "state: %s\n", json_string_value(problem));
}

static void
add_elections(struct strbuf *out, const json_t *status)
{
	const json_t *elections = json_object_get(status, "elections"), *election;
	size_t i;

	json_array_foreach(elections, i, election)
	    strbuf_addf(out, "election %s: %s, led by %s\n", text_of(election, "name"),
			text_of(election, "role"), text_of(election, "leader"));
}

void
status_table(struct strbuf *out, const json_t *status, bool color)
{
	const json_t *topics = json_object_get(status, "topics");
	size_t count = json_array_size(topics), widths[COLUMNS];
	struct row *rows = xcalloc(count + 1, sizeof *rows);

	add_head(out, status, color);
	for (int c = 0; c < COLUMNS; c++)
		widths[c] = width(heads[c]);
	for (size_t i = 0; i < count; i++) {
		fill_row(&rows[i], json_array_get(topics, i));
		for (int c = 0; c < COLUMNS; c++)
			if (width(rows[i].cell[c]) > widths[c])
				widths[c] = width(rows[i].cell[c]);
	}
	strbuf_adds(out, "\n");
	add_row(out, heads, widths, false);
	for (size_t i = 0; i < count; i++) {
		add_row(out, (const char *const *)rows[i].cell, widths, color);
		add_below(out, json_array_get(topics, i), widths[NAME]);
		for (int c = 0; c < COLUMNS; c++)
			free(rows[i].cell[c]);
	}
	add_elections(out, status);
	free(rows);
}
