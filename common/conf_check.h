/* Settings against each other: combinations that cannot work are refused, each with the reason. */
#ifndef SR_COMMON_CONF_CHECK_H
#define SR_COMMON_CONF_CHECK_H

#include "common/conf_build.h"

/* Problems go to the scan's report, at the lines of the settings concerned. */
void conf_check(const struct conf_build *b);

#endif
