/*
 * Writes the parts of the manual that the code knows best: a tool of the build and of doc/check-manual, not
 * installed. Reads nothing, opens nothing.
 *
 *     gen_manual settings    reference of all settings, for stream-replicator.conf(5)
 *     gen_manual options     `now` or `later` and the name of each setting and section
 *     gen_manual headers     the header table, as a table of doc/delivery.md
 *     gen_manual states      a word for each state of a topic
 *     gen_manual counters    the names of counters
 *     gen_manual exits       exit codes of workers with their words, separated by a tab
 */
#include <stdio.h>
#include <string.h>

#include "common/array.h"
#include "common/conf.h"
#include "common/conf_options.h"
#include "common/header.h"
#include "common/proto.h"

static void
write_settings(void)
{
	struct strbuf out;

	strbuf_init(&out);
	conf_write_manual(&out);
	fputs(out.data, stdout);
	strbuf_fini(&out);
}

/* What stands in a section of a later version is not told of: the section is. */
static void
write_options(void)
{
	for (size_t i = 0; i < conf_option_count; i++)
		if (conf_options[i].kind < CONF_KIND_LATER)
			printf("%s %s\n", (conf_options[i].flags & CONF_LATER) != 0 ? "later" : "now",
			       conf_options[i].name);
	for (size_t i = 0; i < conf_section_count; i++)
		if (conf_sections[i].parent < CONF_KIND_LATER)
			printf("%s %s\n", conf_sections[i].later ? "later" : "now", conf_sections[i].name);
}

/* Angle brackets are HTML in Markdown. */
static void
write_cell(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", stdout);
		else if (*text == '>')
			fputs("&gt;", stdout);
		else
			putchar(*text);
	}
}

static void
write_headers(void)
{
	const char *names, *action, *why;

	for (size_t i = 0; header_rule_row(i, &names, &action, &why); i++) {
		printf("| `%s` | ", names);
		write_cell(action);
		fputs(" | ", stdout);
		write_cell(why);
		fputs(" |\n", stdout);
	}
}

static void
write_states(void)
{
	for (int i = 0; i < WORKER_STATE_END; i++)
		puts(worker_state_name((enum worker_state)i));
}

static void
write_counters(void)
{
	for (int i = 0; i < COUNTER_END; i++)
		puts(proto_counter_name((enum proto_counter)i));
}

static void
write_exits(void)
{
	static const enum proto_exit codes[] = {PROTO_EXIT_OK,     PROTO_EXIT_FAILED, PROTO_EXIT_USAGE,
						PROTO_EXIT_ORPHAN, PROTO_EXIT_BUG,    PROTO_EXIT_PERMANENT,
						PROTO_EXIT_EXEC};

	for (size_t i = 0; i < array_len(codes); i++)
		printf("%d\t%s\n", (int)codes[i], proto_exit_text((int)codes[i]));
}

static const struct {
	const char *name;
	void (*write)(void);
} parts[] = {
    {"settings", write_settings}, {"options", write_options},   {"headers", write_headers},
    {"states", write_states},     {"counters", write_counters}, {"exits", write_exits},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < array_len(parts); i++) {
		if (strcmp(argv[1], parts[i].name) != 0)
			continue;
		parts[i].write();
		return fflush(stdout) == 0 ? 0 : 1;
	}
	fprintf(stderr, "usage: gen_manual");
	for (size_t i = 0; i < array_len(parts); i++)
		fprintf(stderr, "%s %s", i > 0 ? " |" : "", parts[i].name);
	fprintf(stderr, "\n");
	return 2;
}
