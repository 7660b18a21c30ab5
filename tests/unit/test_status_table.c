/* The tables of `status`, as they stand on the screen. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/status_table.h"
#include "admin/values.h"
#include "admin/table.h"
#include "tests/unit/unit.h"

/* 2026-03-01T10:00:00Z */
#define NOW_MS INT64_C(1772359200000)

static struct strbuf out;

static void
setup(void)
{
	strbuf_init(&out);
}

static void
teardown(void)
{
	strbuf_fini(&out);
}

static const char *
show(const char *text, size_t width, bool color)
{
	const struct status_look look = {.color = color, .width = width, .now_ms = NOW_MS};
	json_error_t fault;
	json_t *status = json_loads(text, 0, &fault);

	ck_assert_msg(status != NULL, "%s at %d", fault.text, fault.position);
	strbuf_reset(&out);
	status_table(&out, status, &look);
	json_decref(status);
	return out.data;
}

static size_t
widest_line(const char *text)
{
	size_t widest = 0;
	char line[4096];

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		snprintf(line, sizeof line, "%.*s", (int)len, text);
		if (table_width(line) > widest)
			widest = table_width(line);
		text += len + (text[len] == '\n');
	}
	return widest;
}

#define HEAD "\"name\":\"US-EAST\",\"node\":\"node1\",\"version\":\"1.0\",\"pid\":7,\"uptime_s\":61,"
#define SAID "US-EAST on node1, stream-replicator 1.0, pid 7, up 1 m 1 s: "

START_TEST(numbers_for_people)
{
	char buf[40];

	ck_assert_str_eq(values_count(0, buf, sizeof buf), "0");
	ck_assert_str_eq(values_count(999, buf, sizeof buf), "999");
	ck_assert_str_eq(values_count(1000, buf, sizeof buf), "1,000");
	ck_assert_str_eq(values_count(12345678, buf, sizeof buf), "12,345,678");
	ck_assert_str_eq(values_duration(-1, buf, sizeof buf), "-");
	ck_assert_str_eq(values_duration(0.25, buf, sizeof buf), "0.2 s");
	ck_assert_str_eq(values_duration(59, buf, sizeof buf), "59 s");
	ck_assert_str_eq(values_duration(61, buf, sizeof buf), "1 m 1 s");
	ck_assert_str_eq(values_duration(7500, buf, sizeof buf), "2 h 5 m");
	ck_assert_str_eq(values_duration(100000, buf, sizeof buf), "1 d 3 h");
}
END_TEST

/* ---- topics --------------------------------------------------------------------------------------- */

static const char two_topics[] =
    "{" HEAD "\"ok\":false,\"elections\":[],\"topics\":["
    "{\"name\":\"cmdb\",\"role\":\"none\",\"term\":null,\"state\":\"copying\",\"reason\":\"\","
    "\"committed_seq\":1000000,\"source_last_seq\":4000000,\"lag_msgs\":3000000,\"lag_seconds\":7500.5,"
    "\"rate_msgs\":30000.4,\"eta_s\":100,\"restarts\":0},"
    "{\"name\":\"quiet\",\"role\":\"none\",\"state\":\"halted\",\"reason\":\"message 7 is too large\","
    "\"committed_seq\":6,\"source_last_seq\":7,\"lag_msgs\":1,\"lag_seconds\":null,\"rate_msgs\":0.5,"
    "\"eta_s\":null,\"restarts\":3}]}";

START_TEST(topics_are_aligned_and_tell_why)
{
	ck_assert_str_eq(show(two_topics, 0, false),
			 SAID "not all is well\n"
			      "\n"
			      "TOPIC  STATE    COMMITTED     SOURCE        LAG   BEHIND   MSG/S  RESTARTS\n"
			      "cmdb   copying  1,000,000  4,000,000  3,000,000  2 h 5 m  30,000         0\n"
			      "       [#######.......................]  25 %, done in 1 m 40 s\n"
			      "quiet  halted           6          7          1        -     0.5         3\n"
			      "       message 7 is too large\n");
	ck_assert_ptr_nonnull(strstr(show(two_topics, 0, true), "\033[31mhalted\033[0m"));
}
END_TEST

/* A status of another version may lack anything. */
START_TEST(tables_of_nothing)
{
	ck_assert_ptr_nonnull(strstr(
	    show("{\"topics\":[{},{\"name\":7,\"lag_msgs\":\"x\"}],\"elections\":[{},7,{\"present\":[{},3]}],"
		 "\"heartbeat\":{}}",
		 0, false),
	    "TOPIC"));
	show("{\"topics\":7,\"elections\":\"x\",\"heartbeat\":null}", 20, true);
	show("{}", 1, true);
	show("[]", 0, true);
}
END_TEST

/* ---- sampling ------------------------------------------------------------------------------------- */

static const char sampled[] =
    "{" HEAD "\"ok\":true,\"topics\":["
    "{\"name\":\"all\",\"state\":\"copying\",\"sampling\":null},"
    "{\"name\":\"registration\",\"state\":\"copying\",\"sampling\":{\"tracked\":1000000,\"advised\":12,"
    "\"seen\":4000000,\"copied\":1000000,\"skipped\":3000000,\"forced\":7,\"size_triggered\":8,"
    "\"without_value\":9,\"untracked\":0,\"advisories\":{\"waiting\":0,\"dropped\":0}}},"
    "{\"name\":\"odd\",\"state\":\"copying\",\"sampling\":{\"tracked\":null,\"advised\":null,\"copied\":0,"
    "\"skipped\":0,\"forced\":0,\"without_value\":0,\"untracked\":5000,"
    "\"advisories\":{\"waiting\":3,\"errors\":4,\"dropped\":2}}},"
    "{\"name\":\"busy\",\"state\":\"copying\",\"sampling\":{\"tracked\":1,\"advised\":0,\"copied\":1,"
    "\"skipped\":0,\"forced\":0,\"without_value\":0,\"advisories\":{\"waiting\":5,\"errors\":0}}}]}";

START_TEST(sampling_has_a_table)
{
	const char *said = strstr(show(sampled, 0, false), "SAMPLED");

	ck_assert_ptr_nonnull(said);
	ck_assert_str_eq(
	    said, "SAMPLED          VALUES  ADVISED     COPIED    SKIPPED   SAVED  FORCED  NO VALUE\n"
		  "registration  1,000,000       12  1,000,000  3,000,000  75.0 %       7         9\n"
		  "odd                   -        -          0          0       -       0         0\n"
		  "              5,000 copied without being sampled: there are more values than "
		  "inspect_max_values\n"
		  "              3 advisories wait to be delivered, and tries have failed: the log has why\n"
		  "              2 advisories were given up: the log has why\n"
		  "busy                  1        0          1          0   0.0 %       0         0\n"
		  "              5 advisories wait to be delivered\n");
	ck_assert_uint_le(widest_line(strstr(show(sampled, 70, false), "SAMPLED")), 70);
	ck_assert_ptr_null(strstr(show(two_topics, 0, false), "SAMPLED"));
	show("{\"topics\":[{\"sampling\":{}},{\"sampling\":{\"advisories\":7,\"copied\":\"x\"}}]}", 0, true);
}
END_TEST

/* ---- elections ------------------------------------------------------------------------------------ */

#define PRESENT                                                                                              \
	"\"present\":[{\"node\":\"node1\",\"site\":\"US-EAST\",\"pid\":8,\"leads\":2},"                      \
	"{\"node\":\"node2\",\"site\":\"US-EAST\",\"pid\":9,\"leads\":1}]"

static const char elected[] =
    "{" HEAD "\"ok\":false,\"topics\":["
    "{\"name\":\"registration\",\"role\":\"leader\",\"term\":123,\"state\":\"copying\",\"reason\":\"\","
    "\"committed_seq\":12345678,\"source_last_seq\":12345679,\"lag_msgs\":1,\"lag_seconds\":0.1,"
    "\"rate_msgs\":1234,\"restarts\":0},"
    "{\"name\":\"data_P0\",\"role\":\"standby\",\"term\":77,\"state\":\"standby\",\"reason\":\"\","
    "\"committed_seq\":5000,\"source_last_seq\":10000,\"lag_msgs\":5000,\"lag_seconds\":null,"
    "\"rate_msgs\":0,\"eta_s\":null,\"restarts\":0},"
    "{\"name\":\"cmdb\",\"role\":\"none\",\"term\":null,\"state\":\"copying\",\"reason\":\"\","
    "\"committed_seq\":3,\"source_last_seq\":3,\"lag_msgs\":0,\"lag_seconds\":0,\"rate_msgs\":0,"
    "\"restarts\":0}],"
    "\"elections\":["
    "{\"name\":\"REGISTRATION\",\"key\":\"REGISTRATION\",\"bucket\":\"CHORIA_LEADER_ELECTION\","
    "\"role\":\"leader\",\"term\":123,\"leader\":\"node1\",\"site\":\"US-EAST\",\"pid\":8,"
    "\"since\":\"2026-03-01T07:55:00.000Z\",\"lease_ms\":7420,\"problem\":\"\",\"campaigns\":1," PRESENT "},"
    "{\"name\":\"DATA_0\",\"key\":\"DATA_0\",\"bucket\":\"CHORIA_LEADER_ELECTION\","
    "\"role\":\"standby\",\"term\":77,\"leader\":\"node2\",\"site\":\"US-EAST\",\"pid\":9,"
    "\"since\":\"2026-02-26T06:00:00Z\",\"lease_ms\":6100,\"problem\":null," PRESENT "},"
    "{\"name\":\"DATA_1\",\"key\":\"DATA_1\",\"bucket\":\"CHORIA_LEADER_ELECTION\","
    "\"role\":\"standby\",\"term\":null,\"leader\":null,\"site\":null,\"pid\":null,\"since\":null,"
    "\"lease_ms\":null,\"problem\":\"the bucket cannot be reached: connection refused by "
    "nats://source1:4222, "
    "trying again\"," PRESENT "}],"
    "\"heartbeat\":{\"state\":\"copying\",\"reason\":\"\",\"role\":\"leader\",\"term\":12,\"pid\":9,"
    "\"published\":1234,\"errors\":0}}";

START_TEST(elections_at_120_columns)
{
	ck_assert_str_eq(
	    show(elected, 120, false), SAID
	    "not all is well\n"
	    "\n"
	    "TOPIC         ROLE     TERM  STATE     COMMITTED      SOURCE    LAG  BEHIND  MSG/S  RESTARTS\n"
	    "registration  leader    123  copying  12,345,678  12,345,679      1   0.1 s  1,234         0\n"
	    "data_P0       standby    77  standby       5,000      10,000  5,000       -      0         0\n"
	    "cmdb          -           -  copying           3           3      0   0.0 s      0         0\n"
	    "\n"
	    "ELECTION      HERE     LEADER    SINCE  TERM  LEASE  STAND BY\n"
	    "REGISTRATION  leader   node1   2 h 5 m   123  7.4 s  node2\n"
	    "DATA_0        standby  node2   3 d 4 h    77  6.1 s  node1\n"
	    "DATA_1        standby  nobody        -     -      -  node1, node2\n"
	    "              the bucket cannot be reached: connection refused by nats://source1:4222, trying "
	    "again\n"
	    "in bucket CHORIA_LEADER_ELECTION: node1 leads 2, node2 leads 1\n"
	    "\n"
	    "heartbeat: publishing (leader, term 12), 1,234 published, 0 errors\n");
}
END_TEST

START_TEST(elections_at_80_columns)
{
	ck_assert_str_eq(show(elected, 80, false),
			 SAID "not all is well\n"
			      "\n"
			      "TOPIC         ROLE     STATE     COMMITTED      SOURCE    LAG  BEHIND  MSG/S\n"
			      "registration  leader   copying  12,345,678  12,345,679      1   0.1 s  1,234\n"
			      "data_P0       standby  standby       5,000      10,000  5,000       -      0\n"
			      "cmdb          -        copying           3           3      0   0.0 s      0\n"
			      "\n"
			      "ELECTION      HERE     LEADER    SINCE  TERM  LEASE  STAND BY\n"
			      "REGISTRATION  leader   node1   2 h 5 m   123  7.4 s  node2\n"
			      "DATA_0        standby  node2   3 d 4 h    77  6.1 s  node1\n"
			      "DATA_1        standby  nobody        -     -      -  node1, node2\n"
			      "              the bucket cannot be reached: connection refused by\n"
			      "              nats://source1:4222, trying again\n"
			      "in bucket CHORIA_LEADER_ELECTION: node1 leads 2, node2 leads 1\n"
			      "\n"
			      "heartbeat: publishing (leader, term 12), 1,234 published, 0 errors\n");
	/* narrower still: all but the head */
	ck_assert_uint_le(widest_line(strchr(show(elected, 60, false), '\n')), 60);
}
END_TEST

START_TEST(nodes_of_one_name_and_of_other_sites)
{
	ck_assert_str_eq(
	    show("{" HEAD "\"ok\":true,\"topics\":[],\"elections\":["
		 "{\"name\":\"A\",\"bucket\":\"B1\",\"role\":\"standby\",\"term\":5,\"leader\":\"host\","
		 "\"site\":\"US-EAST\",\"pid\":10,\"since\":\"2026-03-01T09:59:59Z\",\"lease_ms\":-5,"
		 "\"present\":[{\"node\":\"host\",\"site\":\"US-EAST\",\"pid\":10,\"leads\":1},"
		 "{\"node\":\"host\",\"site\":\"US-EAST\",\"pid\":11,\"leads\":0},"
		 "{\"node\":\"far\",\"site\":\"EU\",\"pid\":12,\"leads\":0}]},"
		 "{\"name\":\"B\",\"bucket\":\"B2\",\"role\":\"none\",\"leader\":\"\",\"present\":[]},"
		 "{\"name\":\"C\",\"bucket\":\"B2\",\"role\":\"leader\",\"leader\":\"far\",\"site\":\"EU\","
		 "\"pid\":12,"
		 "\"present\":[{\"node\":\"far\",\"site\":\"EU\",\"pid\":12,\"leads\":1}]},"
		 "{\"name\":\"D\",\"bucket\":\"B1\",\"role\":\"standby\","
		 "\"present\":[{\"node\":\"x\",\"site\":\"EU\",\"pid\":1,\"leads\":0}]}]}",
		 0, false),
	    SAID "all is well\n"
		 "\n"
		 "TOPIC  STATE  COMMITTED  SOURCE  LAG  BEHIND  MSG/S  RESTARTS\n"
		 "\n"
		 "ELECTION  HERE     LEADER     SINCE  TERM  LEASE  STAND BY\n"
		 "A         standby  host [10]  1.0 s     5  0.0 s  host [11], far (EU)\n"
		 "B         -        nobody         -     -      -  nobody\n"
		 "C         leader   far (EU)       -     -      -  nobody\n"
		 "D         standby  nobody         -     -      -  x (EU)\n"
		 "in bucket B1: host [10] leads 1, host [11] leads 0, far (EU) leads 0, x (EU) leads 0\n"
		 "in bucket B2: far (EU) leads 1\n");
}
END_TEST

/* Whoever may write to the bucket or announce itself decides what stands there. */
START_TEST(hostile_texts_are_tamed)
{
	const char *shown = show(
	    "{\"name\":\"S\\u001b[2J\",\"node\":\"\\u0007\",\"state_problem\":\"\\u001b]0;x\",\"topics\":["
	    "{\"name\":\"t\\u001b[1m\",\"role\":\"leader\",\"state\":\"\\u009b2J\","
	    "\"reason\":\"a\\nb\\u001b[31m\"}],"
	    "\"elections\":[{\"name\":\"n\\tm\",\"bucket\":\"\\u001bb\",\"role\":\"\\u001br\","
	    "\"leader\":\"{\\u001b[2J a text of another program that is longer than any name of a node "
	    "should be\",\"site\":\"\\r\\n\",\"problem\":\"p\\u001b\\n\","
	    "\"present\":[{\"node\":\"\\u001bn\",\"site\":\"\\u0001\",\"pid\":-1,\"leads\":\"x\"}]}],"
	    "\"heartbeat\":{\"state\":\"\\u001b\",\"reason\":\"\\u001b[0m\\n\",\"role\":\"leader\"}}",
	    80, false);
	size_t lines = 0;

	for (const char *p = shown; *p != '\0'; p++) {
		ck_assert_msg((unsigned char)*p >= 0x20 || *p == '\n', "%s", shown);
		ck_assert_msg((unsigned char)*p != 0xc2, "%s", shown);
		lines += *p == '\n';
	}
	/* head, state, blank, two of topics with a reason, blank, two of elections with a problem, nodes,
	 * blank, heartbeat */
	ck_assert_msg(lines == 13, "%s", shown);
	ck_assert_ptr_nonnull(strstr(shown, "{\\x1b[2J a text of another prog…"));
}
END_TEST

/* ---- layout --------------------------------------------------------------------------------------- */

START_TEST(columns_give_way_in_their_order)
{
	static const struct table_column columns[] = {
	    {"NAME", false, 0, 6}, {"AA", true, 2, 0}, {"BB", false, 1, 0}, {"CC", true, 0, 0}};
	struct table *t = table_new(columns, 4);

	table_row(t);
	table_cell(t, 0, "", "%s", "äöü");
	table_cell(t, 1, "", "1");
	table_cell(t, 2, "", "22");
	table_cell(t, 3, "", "333");
	table_below(t, "%s", "several words are broken and averyverylongwordistoo");
	table_row(t);
	table_cell(t, 0, "", "long name");
	table_print(t, 0, &out);
	ck_assert_str_eq(out.data, "NAME    AA  BB   CC\n"
				   "äöü      1  22  333\n"
				   "        several words are broken and averyverylongwordistoo\n"
				   "long …   -  -     -\n");
	strbuf_reset(&out);
	table_print(t, 18, &out);
	ck_assert_str_eq(out.data, "NAME    AA   CC\n"
				   "äöü      1  333\n"
				   "        several words are\n"
				   "        broken and\n"
				   "        averyverylongwordist\n"
				   "        oo\n"
				   "long …   -    -\n");
	strbuf_reset(&out);
	table_print(t, 5, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "NAME     CC\n"));
	table_free(&t);
	ck_assert_ptr_null(t);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("status_table");
	TCase *tc = tcase_create("tables");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, numbers_for_people);
	tcase_add_test(tc, topics_are_aligned_and_tell_why);
	tcase_add_test(tc, tables_of_nothing);
	tcase_add_test(tc, sampling_has_a_table);
	tcase_add_test(tc, elections_at_120_columns);
	tcase_add_test(tc, elections_at_80_columns);
	tcase_add_test(tc, nodes_of_one_name_and_of_other_sites);
	tcase_add_test(tc, hostile_texts_are_tamed);
	tcase_add_test(tc, columns_give_way_in_their_order);
	suite_add_tcase(s, tc);
	return s;
}
