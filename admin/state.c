/*
 * The verb `state`. Runs in the user's shell and needs no supervisor: it reads state.db, row by row, so that
 * a million values take no memory; nothing is written there. What the running worker saw in the last seconds
 * is not in it yet.
 */
#include "admin/state.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/load.h"
#include "admin/sample_rows.h"
#include "admin/table.h"
#include "state/reader.h"

struct state {
	const struct command *command;
	const struct conf *conf;
	regex_t regex; /* with command->value */
	struct listing_column columns[SAMPLE_COLUMNS];
	struct listing listing;
};

/* ---- which rows ---------------------------------------------------------------------------------- */

static bool
value_matches(const struct state *s, const struct proto_sample *row)
{
	char text[PROTO_MAX_VALUE + 1];
	size_t len = row->value_len < sizeof text ? row->value_len : sizeof text - 1;

	if (s->command->value == NULL)
		return true;
	memcpy(text, row->value, len);
	text[len] = '\0';
	return regexec(&s->regex, text, 0, NULL, 0) == 0;
}

static bool
add_row(void *arg, const char *topic, const struct proto_sample *row)
{
	struct state *s = arg;

	if ((s->command->advised && !row->advised) || row->seen_ms < s->command->since_ms ||
	    !value_matches(s, row))
		return true;
	return sample_row(&s->listing, 0, topic, row);
}

/* A topic by its name, or all partitions of one by its title. */
static bool
is_named(const struct conf_topic *t, const char *name)
{
	return strcmp(t->key, name) == 0 || strcmp(t->group, name) == 0;
}

static int
list_topic(struct state *s, struct state_reader *r, const char *name, struct error *e)
{
	for (size_t i = 0; i < s->conf->topic_count; i++)
		if (is_named(&s->conf->topics[i], name) &&
		    state_reader_samples(r, s->conf->topics[i].key, add_row, s, e) != 0)
			return -1;
	return 0;
}

static int
list_all(struct state *s, struct error *e)
{
	const struct command *c = s->command;
	struct state_reader *r = state_reader_open(s->conf->state_dir, e);
	int rc = r == NULL ? -1 : 0;

	if (r == NULL && e->code == ERR_NOT_FOUND)
		error_set(e, ERR_NOT_FOUND,
			  "%s/state.db is not there: it is made at the first start, in state_dir",
			  s->conf->state_dir);
	if (rc == 0 && c->topic_count == 0)
		rc = state_reader_samples(r, NULL, add_row, s, e);
	for (size_t i = 0; i < c->topic_count && rc == 0; i++)
		rc = list_topic(s, r, c->topics[i], e);
	state_reader_close(&r);
	return rc;
}

/* ---- what was asked for -------------------------------------------------------------------------- */

static int
check_topics(const struct state *s)
{
	for (size_t i = 0; i < s->command->topic_count; i++) {
		const char *name = s->command->topics[i];
		size_t k = 0;

		while (k < s->conf->topic_count && !is_named(&s->conf->topics[k], name))
			k++;
		if (k == s->conf->topic_count) {
			fprintf(stderr, "stream-replicator: %s has no topic \"%s\"\n", s->command->config,
				name);
			return -1;
		}
	}
	return 0;
}

/* Topics that are not in the configuration any more may still have rows: what is longer pushes its line. */
static size_t
topic_width(const struct conf *conf)
{
	size_t widest = 0;

	for (size_t i = 0; i < conf->topic_count; i++) {
		size_t width = table_width(conf->topics[i].key);

		if (conf->topics[i].sampling.inspect != INSPECT_NONE && width > widest)
			widest = width;
	}
	return widest;
}

static int
show(struct state *s)
{
	const struct command *c = s->command;
	struct error e = ERROR_INIT;
	bool complete = true;

	if (check_topics(s) != 0)
		return COMMAND_EXIT_FAILED;
	sample_columns(s->columns, topic_width(s->conf));
	listing_init(&s->listing, stdout, c->json ? LISTING_ARRAY : LISTING_TABLE, s->columns + SAMPLE_TOPIC,
		     SAMPLE_COLUMNS - SAMPLE_TOPIC);
	if (list_all(s, &e) == 0 || s->listing.rows > 0)
		complete = listing_end(&s->listing, "no values");
	if (!complete && e.code == ERR_NONE)
		error_set(&e, ERR_IO, "not all could be written");
	if (e.code != ERR_NONE)
		fprintf(stderr, "stream-replicator: %s\n", e.text);
	return e.code == ERR_NONE ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

static int
load_and_show(struct state *s)
{
	struct conf *conf = load_conf(s->command->config);
	int rc = COMMAND_EXIT_CONFIG;

	s->conf = conf;
	if (conf != NULL)
		rc = show(s);
	conf_free(&conf);
	return rc;
}

int
admin_state(const struct command *c)
{
	struct state s = {.command = c};
	char reason[256];
	int rc;

	if (c->value == NULL)
		return load_and_show(&s);
	rc = regcomp(&s.regex, c->value, REG_EXTENDED | REG_NOSUB);
	if (rc != 0) {
		regerror(rc, &s.regex, reason, sizeof reason);
		fprintf(stderr, "stream-replicator: --value \"%s\": no extended regular expression: %s\n",
			c->value, reason);
		return COMMAND_EXIT_USAGE;
	}
	rc = load_and_show(&s);
	regfree(&s.regex);
	return rc;
}
