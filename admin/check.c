/* The command `check`: loads the configuration and shows it or its problems. Runs in the user's shell, opens
 * nothing but the configuration. */
#include "admin/check.h"

#include <stdio.h>

#include "admin/load.h"
#include "common/proto.h"

static int
show(const struct conf *c, const char *config_path, bool print)
{
	struct strbuf out;

	strbuf_init(&out);
	if (print)
		conf_print(c, NULL, CONF_PRINT_MASKED, &out);
	else
		strbuf_addf(&out, "%s: fine, %zu topic%s\n", config_path, c->topic_count,
			    c->topic_count == 1 ? "" : "s");
	fputs(out.data, stdout);
	strbuf_fini(&out);
	return fflush(stdout) == 0 ? PROTO_EXIT_OK : PROTO_EXIT_FAILED;
}

int
admin_check(const char *config_path, bool print)
{
	struct conf *c = load_conf(config_path);
	int rc = c != NULL ? show(c, config_path, print) : PROTO_EXIT_PERMANENT;

	conf_free(&c);
	return rc;
}
