/* For tests that run the real stream-replicator with the fake worker, in a directory of their own. */
#ifndef SR_TESTS_DAEMON_H
#define SR_TESTS_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* Fixture: makes the directory, and afterwards kills the supervisor that a test left, and removes it. */
void daemon_setup(void);
void daemon_teardown(void);
/* "<directory>/<name>"; stays valid. */
const char *daemon_path(const char *name);

/* Writes the configuration: extra lines at the top, then the text of the topics. */
void daemon_configure(const char *top, const char *topics);
/* Text of a topic: key and any settings besides the necessary ones; in one of a few static buffers. */
const char *daemon_topic(const char *key, const char *settings);
/* How the fake worker of a topic behaves from its next start on; "" is well. */
void daemon_behave(const char *topic, const char *behaviour);

/* Starts `stream-replicator run --config … extra`, extra ending with NULL; it must answer. */
pid_t daemon_start(const char *const *extra);
/* Runs the program with arguments, ending with NULL, and gives its exit code; output in daemon_output(). */
int daemon_command(const char *const *argv);
const char *daemon_output(void);
/* Exit code of the supervisor that was started last, waiting at most so long; -1 if it still runs, 128 +
 * signal if one killed it. */
int daemon_wait_exit(pid_t pid, int timeout_ms);

/* A whole reply; the caller frees it. NULL if nobody answers. */
json_t *daemon_ask(const char *verb, const char *topic);
/* One value of a topic's status as text, in one of a few static buffers; "(none)" if there is no such topic.
 */
const char *daemon_value(const char *topic, const char *key);
long long daemon_number(const char *topic, const char *key);

/* Waits until the value is as given, at most so long; the test fails if it never is. */
void daemon_await(const char *topic, const char *key, const char *value, int timeout_ms);
/* The same for a number that has reached at least so much. */
void daemon_await_number(const char *topic, const char *key, long long least, int timeout_ms);
/* Waits until the file in the directory exists and holds text. */
void daemon_await_text(const char *file, const char *text, int timeout_ms);
/* Content of a file of the directory, "" if there is none; in a static buffer. */
const char *daemon_read(const char *file);
void daemon_sleep_ms(int ms);

#endif
