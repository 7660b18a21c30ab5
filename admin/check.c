/* The command `check`: loads the configuration and shows it or its problems. Runs in the user's shell, opens
 * nothing but the configuration. */
#include "admin/check.h"

#include <stdio.h>

#include "common/conf.h"
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
	struct conf_errors errors = {0};
	struct conf *c = conf_load(config_path, &errors);
	int rc = PROTO_EXIT_PERMANENT;

	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	if (c != NULL)
		rc = show(c, config_path, print);
	conf_free(&c);
	conf_errors_fini(&errors);
	return rc;
}
