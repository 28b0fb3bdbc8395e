/* SPDX-License-Identifier: BSD-2-Clause */
/* File attributes of NFSv4 (RFC 8881 §5, §5.8): a bitmap and the values of its
 * bits in order. Only attributes that were asked for may come back.
 */
#ifndef BH_PROTOCOLS_NFS_V4_ATTR_H
#define BH_PROTOCOLS_NFS_V4_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols/nfs/v4_compound.h"

/* Numbers of attributes (§5.8). Those that v4_get_attrs knows. */
enum v4_attr {
  FATTR4_SUPPORTED_ATTRS = 0,
  FATTR4_TYPE = 1,
  FATTR4_FH_EXPIRE_TYPE = 2,
  FATTR4_CHANGE = 3,
  FATTR4_SIZE = 4,
  FATTR4_LINK_SUPPORT = 5,
  FATTR4_SYMLINK_SUPPORT = 6,
  FATTR4_NAMED_ATTR = 7,
  FATTR4_FSID = 8,
  FATTR4_UNIQUE_HANDLES = 9,
  FATTR4_LEASE_TIME = 10,
  FATTR4_RDATTR_ERROR = 11,
  FATTR4_FILEID = 20,
  FATTR4_FS_LOCATIONS = 24, /* v4_get_locations alone */
  FATTR4_MAXREAD = 30,
  FATTR4_MAXWRITE = 31,
};

#define V4_ATTR(a) (1u << (a))
/* §5.6: every server has them, for every object. */
#define V4_ATTRS_REQUIRED                                                      \
  (V4_ATTR (FATTR4_TYPE) | V4_ATTR (FATTR4_FH_EXPIRE_TYPE)                     \
   | V4_ATTR (FATTR4_CHANGE) | V4_ATTR (FATTR4_SIZE)                           \
   | V4_ATTR (FATTR4_LINK_SUPPORT) | V4_ATTR (FATTR4_SYMLINK_SUPPORT)          \
   | V4_ATTR (FATTR4_NAMED_ATTR) | V4_ATTR (FATTR4_FSID)                       \
   | V4_ATTR (FATTR4_UNIQUE_HANDLES) | V4_ATTR (FATTR4_LEASE_TIME))

/* What tells whether somebody has changed the file. */
#define V4_ATTRS_LOOK (V4_ATTR (FATTR4_CHANGE) | V4_ATTR (FATTR4_SIZE))

/* Values of attributes of no interest are checked and dropped. */
struct v4_attrs {
  uint32_t have; /* V4_ATTR bits */
  uint32_t type; /* NF4REG … */
  uint32_t fh_expire_type; /* 0: FH4_PERSISTENT (§4.2.3) */
  bool unique_handles;
  uint64_t change, size, fileid;
  uint64_t fsid_major, fsid_minor;
  uint32_t lease_time_s;
  uint64_t maxread, maxwrite;
};

/* fattr4: of GETATTR, and of READDIR's entries. asked: V4_ATTR bits. */
void
v4_get_attrs (struct xdr *x, uint32_t asked, struct v4_attrs *ret);

#endif
