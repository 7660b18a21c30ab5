/*
 * Finding the control socket. Runs in the user's commands. The supervisor that is asked runs with a
 * configuration that was good; the file may have become bad since, and that is when `reload` and `status`
 * are wanted most.
 */
#include "admin/socket_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/xalloc.h"

/* The value if line sets key to a plain text, else NULL; the caller frees it. */
static char *
value_of(const char *line, const char *key)
{
	size_t len = strlen(key);

	line += strspn(line, " \t");
	if (strncmp(line, key, len) != 0)
		return NULL;
	line += len;
	line += strspn(line, " \t");
	if (*line++ != '=')
		return NULL;
	line += strspn(line, " \t\"'");
	len = strcspn(line, "\"'# \t\r\n");
	return len > 0 && line[0] == '/' ? xstrndup(line, len) : NULL;
}

/* Keeps the newer of two values: in a file the last one counts. */
static void
take(char **kept, char *value)
{
	if (value == NULL)
		return;
	free(*kept);
	*kept = value;
}

/* What the lines of a file that does not parse say; "" for nothing. */
static char *
guess(const char *config_path)
{
	FILE *f = fopen(config_path, "re");
	char line[4096], *socket = NULL, *state_dir = NULL;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		take(&socket, value_of(line, "control_socket"));
		take(&state_dir, value_of(line, "state_dir"));
	}
	if (f != NULL)
		fclose(f);
	if (socket == NULL && state_dir != NULL)
		socket = xasprintf("%s/control.sock", state_dir);
	free(state_dir);
	return socket != NULL ? socket : xstrdup("");
}

static char *
find_in_bad_file(const char *config_path, const struct conf_errors *errors, struct error *e)
{
	const char *first = errors->count > 0 ? errors->text[0] : config_path;
	char *path = guess(config_path);

	if (path[0] != '\0' && access(path, F_OK) == 0) {
		fprintf(stderr, "%s\n", first);
		return path;
	}
	free(path);
	error_set(e, ERR_CONFIG,
		  "%s\nThe configuration says where the control socket is; --socket PATH does as well",
		  first);
	return NULL;
}

char *
socket_path_find(const char *config_path, const char *socket, struct error *e)
{
	struct conf_errors errors = {0};
	struct conf *conf;
	char *path;

	if (socket != NULL)
		return xstrdup(socket);
	conf = conf_load(config_path, &errors);
	if (conf != NULL)
		path = xstrdup(conf->control_socket);
	else
		path = find_in_bad_file(config_path, &errors, e);
	conf_free(&conf);
	conf_errors_fini(&errors);
	return path;
}
