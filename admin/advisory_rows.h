/* Rows of `advisories`, for people and for programs. Pure. */
#ifndef SR_ADMIN_ADVISORY_ROWS_H
#define SR_ADMIN_ADVISORY_ROWS_H

#include "admin/listing.h"
#include "common/advisory.h"

/* Starts a listing of advisories. */
void advisory_rows_init(struct listing *l, FILE *out, enum listing_form form);
/* As listing_cells(). */
bool advisory_row(struct listing *l, const struct advisory_read *a);

#endif
