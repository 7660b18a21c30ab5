/* Telling the service manager that started us how we are (the protocol of sd_notify). */
#ifndef SR_SUPERVISOR_NOTIFY_H
#define SR_SUPERVISOR_NOTIFY_H

/* Takes NOTIFY_SOCKET out of the environment, so that no worker speaks for us. Call it once, first. */
void notify_init(void);
/* All of these do nothing where there is no such manager. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
