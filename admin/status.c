/* The verb `status`: once, as JSON, or over and over. Runs in the user's commands. */
#include "admin/status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "admin/client.h"
#include "admin/socket_path.h"
#include "admin/status_table.h"
#include "common/clock.h"

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static json_t *
get_status(const char *path, struct error *e)
{
	struct client *client = client_connect(path, e);
	json_t *status = client != NULL ? client_ask(client, "status", NULL, e) : NULL;

	client_close(&client);
	/* A refusal has no topics; a status that is not ok has. */
	if (status != NULL && !json_is_array(json_object_get(status, "topics"))) {
		error_set(e, ERR_PROTOCOL, "the answer is no status");
		json_decref(status);
		status = NULL;
	}
	return status;
}

/* The screen, as far as it is one. */
static struct winsize
screen(void)
{
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		size = (struct winsize){0};
	return size;
}

static bool
want_color(void)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

static void
write_table(struct strbuf *out, const json_t *status)
{
	const struct status_look look = {
	    .color = want_color(), .width = screen().ws_col, .now_ms = wall_ms()};

	status_table(out, status, &look);
}

static void
print_json(const json_t *status)
{
	json_dumpf(status, stdout, JSON_INDENT(2));
	printf("\n");
}

/* One screen: what was there is overwritten, so that nothing flickers; what does not fit would make it roll.
 */
static void
print_screen(const char *text, bool in_place)
{
	size_t rows = screen().ws_row, printed = 0;

	if (!in_place) {
		printf("%s\n", text);
		fflush(stdout);
		return;
	}
	printf("\033[H");
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (rows > 2 && ++printed == rows - 1 && line[len] != '\0' && line[len + 1] != '\0') {
			printf("... the screen is too low for the rest\033[K\n");
			break;
		}
		printf("%.*s\033[K\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	printf("\033[J");
	fflush(stdout);
}

static int
show_once(const char *path, bool json)
{
	struct error e = ERROR_INIT;
	json_t *status = get_status(path, &e);
	struct strbuf out;
	bool ok;

	if (status == NULL) {
		fprintf(stderr, "stream-replicator: %s\n", e.text);
		return COMMAND_EXIT_FAILED;
	}
	strbuf_init(&out);
	write_table(&out, status);
	if (json)
		print_json(status);
	else
		fputs(out.data, stdout);
	strbuf_fini(&out);
	ok = json_is_true(json_object_get(status, "ok"));
	json_decref(status);
	return ok ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

/* One look; a supervisor that is gone may be back at the next. */
static bool
watch_once(const char *path, bool in_place)
{
	struct error e = ERROR_INIT;
	json_t *status = get_status(path, &e);
	bool ok = json_is_true(json_object_get(status, "ok"));
	struct strbuf out;

	strbuf_init(&out);
	if (status != NULL)
		write_table(&out, status);
	else
		strbuf_addf(&out, "%s\n", e.text);
	print_screen(out.data, in_place);
	strbuf_fini(&out);
	json_decref(status);
	return ok;
}

static int
watch(const char *path)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	struct timespec second = {1, 0};
	bool in_place = isatty(STDOUT_FILENO), ok = false;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (in_place)
		printf("\033[2J");
	while (!interrupted && !ferror(stdout)) {
		ok = watch_once(path, in_place);
		if (!interrupted)
			nanosleep(&second, NULL);
	}
	return ok ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

int
admin_status(const struct command *c)
{
	struct error e = ERROR_INIT;
	char *path = socket_path_find(c->config, c->socket, &e);
	int rc;

	if (path == NULL) {
		fprintf(stderr, "stream-replicator: %s\n", e.text);
		return e.code == ERR_CONFIG ? COMMAND_EXIT_CONFIG : COMMAND_EXIT_FAILED;
	}
	rc = c->watch ? watch(path) : show_once(path, c->json);
	free(path);
	return rc;
}
