/*
 * step-down: asks the supervisor to hand an election over, and watches its status until another node leads.
 * Runs in the user's commands.
 *
 * That another leads is known here as soon as the elector has seen the new key in the bucket. If nobody takes
 * the key, this node does so again after a second; that, or WATCH_MS without a leader, is a failure.
 */
#include "admin/step_down.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/client.h"
#include "admin/socket_path.h"
#include "admin/values.h"
#include "common/clock.h"
#include "common/text.h"

#define WATCH_MS 10000
#define LOOK_MS  50

enum step_down_seen
step_down_look(const json_t *entry, double term)
{
	if (entry == NULL)
		return STEP_DOWN_UNKNOWN;
	if (strcmp(values_text(entry, "role"), "leader") == 0)
		return values_number(entry, "term") == term ? STEP_DOWN_STILL_LEADS : STEP_DOWN_BACK;
	if (values_text(entry, "leader")[0] == '\0' || values_number(entry, "term") == term)
		return STEP_DOWN_FREE; /* what is known of a leader is still ourselves */
	return STEP_DOWN_TAKEN;
}

/* The election's entry out of a new status, which the caller owns, or NULL; -1 with *e without a status. */
static int
look(struct client *client, const char *name, json_t **entry, struct error *e)
{
	json_t *status = client_ask(client, "status", NULL, e), *each;
	size_t i;

	*entry = NULL;
	if (status == NULL)
		return -1;
	json_array_foreach(json_object_get(status, "elections"), i,
			   each) if (*entry == NULL && strcmp(values_text(each, "name"), name) == 0) *entry =
	    json_incref(each);
	json_decref(status);
	return 0;
}

/* ---- telling ---- */

/* Setting a text fails for what is no UTF-8. */
static json_t *
clean_string(const char *text)
{
	struct strbuf clean;
	json_t *o;

	strbuf_init(&clean);
	text_clean(&clean, text, strlen(text));
	o = json_string(clean.data);
	strbuf_fini(&clean);
	return o;
}

static int
fail(const struct command *c, const char *text)
{
	json_t *o;

	if (!c->json) {
		fprintf(stderr, "stream-replicator: %s\n", text);
		return COMMAND_EXIT_FAILED;
	}
	o = json_pack("{s:b, s:o, s:o}", "ok", 0, "name", clean_string(c->topic), "error",
		      clean_string(text));
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
	return COMMAND_EXIT_FAILED;
}

static int
tell_taken(const struct command *c, const json_t *entry, double seconds)
{
	struct strbuf line;
	char took[40];
	json_t *o;

	if (c->json) {
		o = json_pack("{s:b, s:o, s:O?, s:O?, s:O?, s:O?, s:f}", "ok", 1, "name",
			      clean_string(c->topic), "leader", json_object_get(entry, "leader"), "site",
			      json_object_get(entry, "site"), "pid", json_object_get(entry, "pid"), "term",
			      json_object_get(entry, "term"), "seconds", seconds);
		json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		printf("\n");
		json_decref(o);
		return COMMAND_EXIT_OK;
	}
	strbuf_init(&line);
	text_clean(&line, values_text(entry, "leader"), strlen(values_text(entry, "leader")));
	if (values_text(entry, "site")[0] != '\0') {
		strbuf_adds(&line, " (site ");
		text_clean(&line, values_text(entry, "site"), strlen(values_text(entry, "site")));
		strbuf_adds(&line, ")");
	}
	printf("%s: %s leads now, term %.0f, %s after it was asked\n", c->topic, line.data,
	       values_number(entry, "term"), values_duration(seconds, took, sizeof took));
	strbuf_fini(&line);
	return COMMAND_EXIT_OK;
}

static int
tell_failure(const struct command *c, enum step_down_seen seen)
{
	switch (seen) {
	case STEP_DOWN_STILL_LEADS:
		return fail(c, "this node still leads: its workers have not settled yet, see status");
	case STEP_DOWN_BACK:
		return fail(c, "this node leads again: nobody took over, or gave it back at once");
	case STEP_DOWN_UNKNOWN:
		return fail(c, "the election is gone: was it taken out of the configuration?");
	default:
		return fail(c, "leadership is given up, but nobody has taken over yet");
	}
}

/* ---- doing ---- */

static bool
is_decided(enum step_down_seen seen)
{
	return seen == STEP_DOWN_TAKEN || seen == STEP_DOWN_BACK || seen == STEP_DOWN_UNKNOWN;
}

static int
watch(const struct command *c, struct client *client, double term, struct mono begun)
{
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	struct mono deadline = mono_add_ms(begun, WATCH_MS);
	struct error e = ERROR_INIT;
	enum step_down_seen seen;
	json_t *entry;
	double seconds;
	int rc;

	for (;;) {
		if (look(client, c->topic, &entry, &e) != 0)
			return fail(c, e.text);
		seconds = (double)(mono_now().ns - begun.ns) / 1e9;
		seen = step_down_look(entry, term);
		if (is_decided(seen) || mono_reached(mono_now(), deadline))
			break;
		json_decref(entry);
		nanosleep(&pause, NULL);
	}
	rc = seen == STEP_DOWN_TAKEN ? tell_taken(c, entry, seconds) : tell_failure(c, seen);
	json_decref(entry);
	return rc;
}

static int
step_down(const struct command *c, struct client *client)
{
	struct error e = ERROR_INIT;
	struct mono begun;
	json_t *entry, *answer;
	double term;
	int rc;

	if (look(client, c->topic, &entry, &e) != 0)
		return fail(c, e.text);
	term = values_number(entry, "term");
	json_decref(entry);
	begun = mono_now();
	answer = client_ask_about(client, "step-down", "name", c->topic, &e);
	if (answer == NULL)
		return fail(c, e.text);
	if (json_is_true(json_object_get(answer, "ok")))
		rc = watch(c, client, term, begun);
	else
		rc = fail(c, values_shown(answer, "error"));
	json_decref(answer);
	return rc;
}

int
admin_step_down(const struct command *c)
{
	struct error e = ERROR_INIT;
	char *path = socket_path_find(c->config, c->socket, &e);
	struct client *client = path != NULL ? client_connect(path, &e) : NULL;
	int rc;

	if (client != NULL)
		rc = step_down(c, client);
	else
		rc = fail(c, e.text);
	if (client == NULL && e.code == ERR_CONFIG)
		rc = COMMAND_EXIT_CONFIG;
	client_close(&client);
	free(path);
	return rc;
}
