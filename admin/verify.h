/* `stream-replicator verify`: source and target compared message by message. */
#ifndef SR_ADMIN_VERIFY_H
#define SR_ADMIN_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Compares what the source holds now, in the given source sequences (0: from its first, to its last), with
 * the copies of the topic at the target, and prints what differs, as text or JSON. Needs no running
 * supervisor and changes nothing. Returns the exit code: 0 only if all is equal, 1, or 78 if the
 * configuration cannot be used.
 */
int admin_verify(const char *config_path, const char *topic, uint64_t from, uint64_t to, bool json);

#endif
