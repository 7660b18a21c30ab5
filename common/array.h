/* Number of elements of an array, so that no count is kept by hand. */
#ifndef SR_COMMON_ARRAY_H
#define SR_COMMON_ARRAY_H

#define array_len(a) (sizeof(a) / sizeof((a)[0]))

#endif
