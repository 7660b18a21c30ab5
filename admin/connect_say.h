/* What `check --connect` prints: lines with what they are about in front, and problems, which are counted. */
#ifndef SR_ADMIN_CONNECT_SAY_H
#define SR_ADMIN_CONNECT_SAY_H

void connect_say(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void connect_problem(unsigned *problems, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
