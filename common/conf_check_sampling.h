/* Checks of a topic's settings of sampling against each other. */
#ifndef SR_COMMON_CONF_CHECK_SAMPLING_H
#define SR_COMMON_CONF_CHECK_SAMPLING_H

#include "common/conf_build.h"

/* Of topic i of the configuration. Reports each problem at its setting. */
void conf_check_sampling(const struct conf_build *b, size_t i);

#endif
