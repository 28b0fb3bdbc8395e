/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleanup attributes, and visible hand-over of ownership.
 *
 *   CLEANUP_FREE char *s = strdup (x);      freed at the end of the scope
 *   CLEANUP_CLOSE int fd = open (…);        closed at the end of the scope
 *   *ret_fd = steal_fd (&fd);               … unless handed over
 */
#ifndef BH_COMMON_CLEANUP_H
#define BH_COMMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_free (void *pp)
{
  free (*(void **)pp);
}

static inline void
cleanup_close (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}

static inline int
steal_fd (int *fd)
{
  int r = *fd;

  *fd = -1;
  return r;
}

#define CLEANUP_FREE __attribute__ ((cleanup (cleanup_free)))
#define CLEANUP_CLOSE __attribute__ ((cleanup (cleanup_close)))

/* steal (&p): the value of p, which becomes NULL. */
#define steal(pp)                                                             \
  ({                                                                          \
    __typeof__ (*(pp)) steal_tmp = *(pp);                                     \
    *(pp) = NULL;                                                             \
    steal_tmp;                                                                \
  })

#endif
