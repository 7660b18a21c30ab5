/*
 * pause, resume, restart, reload, stop: asks the supervisor, waits until it is done, and says what happened.
 * Runs in the user's commands.
 */
#include "admin/control_verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/client.h"
#include "admin/socket_path.h"
#include "common/clock.h"

/* Longer than any sane stop_timeout. */
#define DONE_MS 120000
#define LOOK_MS 50

static int
fail(const char *text)
{
	fprintf(stderr, "stream-replicator: %s\n", text);
	return COMMAND_EXIT_FAILED;
}

static const char *
string_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

static void
pause_a_moment(void)
{
	struct timespec t = {0, LOOK_MS * 1000000L};

	nanosleep(&t, NULL);
}

/* Returns the entry of the topic out of a new status, which the caller owns; NULL with *e. */
static json_t *
look_at_topic(struct client *client, const char *topic, struct error *e)
{
	json_t *status = client_ask(client, "status", NULL, e), *entry, *found = NULL;
	size_t i;

	if (status == NULL)
		return NULL;
	json_array_foreach(json_object_get(status, "topics"), i,
			   entry) if (strcmp(string_of(entry, "name"), topic) == 0) found =
	    json_incref(entry);
	json_decref(status);
	if (found == NULL)
		error_set(e, ERR_NOT_FOUND, "topic \"%s\" is gone", topic);
	return found;
}

/* Paused, or without a process that could copy. */
static bool
is_paused(const json_t *entry)
{
	return strcmp(string_of(entry, "state"), "paused") == 0 ||
	       json_is_null(json_object_get(entry, "pid"));
}

static int
wait_until_paused(struct client *client, const char *topic)
{
	struct mono deadline = mono_add_ms(mono_now(), DONE_MS);
	struct error e = ERROR_INIT;
	json_t *entry;
	bool done;

	do {
		entry = look_at_topic(client, topic, &e);
		if (entry == NULL)
			return fail(e.text);
		done = is_paused(entry);
		json_decref(entry);
		if (done)
			return COMMAND_EXIT_OK;
		pause_a_moment();
	} while (!mono_reached(mono_now(), deadline));
	return fail("the topic will pause, but has not settled yet: see status");
}

static void
print_names(const json_t *answer, const char *key)
{
	const json_t *names = json_object_get(answer, key), *name;
	size_t i;

	if (json_array_size(names) == 0)
		return;
	printf("%s:", key);
	json_array_foreach(names, i, name) printf(" %s", json_string_value(name));
	printf("\n");
}

static int
tell_reload(const json_t *answer)
{
	print_names(answer, "added");
	print_names(answer, "removed");
	print_names(answer, "changed");
	print_names(answer, "retried");
	printf("untouched: %lld\n", (long long)json_integer_value(json_object_get(answer, "untouched")));
	return COMMAND_EXIT_OK;
}

static int
tell_refusal(const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors"), *text;
	size_t i;

	json_array_foreach(errors, i, text) fprintf(stderr, "%s\n", json_string_value(text));
	fail(string_of(answer, "error"));
	return errors != NULL ? COMMAND_EXIT_CONFIG : COMMAND_EXIT_FAILED;
}

static int
follow_up(const struct command *c, struct client *client, const json_t *answer)
{
	if (!json_is_true(json_object_get(answer, "ok")))
		return tell_refusal(answer);
	switch (c->verb) {
	case COMMAND_PAUSE:
		return wait_until_paused(client, c->topic);
	case COMMAND_RELOAD:
		return tell_reload(answer);
	case COMMAND_STOP:
		return client_wait_end(client, DONE_MS) ? COMMAND_EXIT_OK
							: fail("it is stopping, but has not ended yet");
	default:
		return COMMAND_EXIT_OK;
	}
}

int
admin_control(const struct command *c)
{
	struct error e = ERROR_INIT;
	char *path = socket_path_find(c->config, c->socket, &e);
	struct client *client = path != NULL ? client_connect(path, &e) : NULL;
	json_t *answer = client != NULL ? client_ask(client, command_verb_name(c->verb), c->topic, &e) : NULL;
	int rc;

	if (answer != NULL) {
		rc = follow_up(c, client, answer);
	} else {
		rc = fail(e.text);
		if (e.code == ERR_CONFIG)
			rc = COMMAND_EXIT_CONFIG;
	}
	json_decref(answer);
	client_close(&client);
	free(path);
	return rc;
}
