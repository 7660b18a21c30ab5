/* Elections and heartbeat: what of them cannot work. */
#ifndef SR_COMMON_CONF_CHECK_ELECTION_H
#define SR_COMMON_CONF_CHECK_ELECTION_H

#include "common/conf_build.h"

/* Problems go to the scan's report, at the lines of the settings concerned. */
void conf_check_election(const struct conf_build *b);

#endif
