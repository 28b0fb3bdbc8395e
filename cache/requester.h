/* SPDX-License-Identifier: BSD-2-Clause */
/* Who asks, as the kernel says: the uid, gid and groups of the process at the
 * other end of a Unix socket when it connected.
 */
#ifndef BH_CACHE_REQUESTER_H
#define BH_CACHE_REQUESTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "ipc/volume.h"

#define REQUESTER_GROUPS 256u

struct requester {
  uid_t uid;
  gid_t gid;
  unsigned groups; /* 0 also if there are more than REQUESTER_GROUPS */
  gid_t group[REQUESTER_GROUPS];
};

/* ERR_IO. */
enum err requester_of (int sock, struct requester *ret);

/* To servers that believe numbers (AUTH_SYS) only root may be somebody else:
 * ERR_ACCESS, in words, if uid=, gid= or groups= name another user, or a group
 * that is not the requester's.
 */
enum err requester_check (const struct requester *r,
                          const struct volume_spec *spec, struct fault *f);

#endif
