/* `stream-replicator check --connect`: both ends of every topic and every election bucket, and what would
 * happen there. */
#ifndef SR_ADMIN_CONNECT_H
#define SR_ADMIN_CONNECT_H

/*
 * Reaches both ends of every topic and tells what it sees: servers, streams, what would be created, which
 * rights are lacking, how much there is to copy, who leads. Stores nothing and changes nothing. Returns the
 * exit code: 0 if every topic could work, 1 if not, 78 if the configuration cannot be used.
 */
int admin_check_connect(const char *config_path);

#endif
