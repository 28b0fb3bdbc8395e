/* SPDX-License-Identifier: BSD-2-Clause */
/* What workers say for the log (CONTROL_NOTE): bounded, as a worker may lie.
 *
 * Of each NOTES_WINDOW_NS the first NOTES_LOGGED are logged, the others
 * counted; whoever says more than NOTES_FLOOD breaks the rules.
 *
 * Pure; with the link's lock held.
 */
#ifndef BH_GATEWAY_NOTES_H
#define BH_GATEWAY_NOTES_H

#include <stdint.h>

#define NOTES_WINDOW_NS 10000000000ull
#define NOTES_LOGGED 10u
#define NOTES_FLOOD 1000u

struct notes {
  uint64_t since_ns;
  unsigned heard, hidden; /* hidden: since one was logged */
};

enum notes_verdict { NOTES_LOG, NOTES_HIDE, NOTES_DISTRUST };

/* One more was said. NOTES_LOG: *ret_hidden were not logged before it. */
enum notes_verdict
notes_judge (struct notes *n, uint64_t now_ns, unsigned *ret_hidden);

#endif
