/* How the commands that need the configuration come by it. Runs in the user's shell; what is wrong in the
 * file reads the same from each command. Opens nothing but the file and what it includes. */
#include "admin/load.h"

#include <stdio.h>

struct conf *
load_conf(const char *path)
{
	struct conf_errors errors = {0};
	struct conf *conf = conf_load(path, &errors);

	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	conf_errors_fini(&errors);
	return conf;
}
