/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/v4_attr.h"

#define BITMAP_WORDS_MAX 8u
/* All of the above with their longest values have far less. */
#define ATTRLIST_MAX_BYTES 1024u

static bool
get_bool (struct xdr *y)
{
  return xdr_bool (y,
                   "fattr4.attr_vals (link_support, symlink_support, "
                   "named_attr, unique_handles), RFC 8881 §5.8.1");
}

static void
get_supported (struct xdr *y)
{
  uint32_t words = xdr_count (y, BITMAP_WORDS_MAX,
                              "fattr4_supported_attrs, RFC 8881 §5.8.1.1");

  while (words-- > 0 && !y->bad)
    xdr_u32 (y, "fattr4_supported_attrs, RFC 8881 §5.8.1.1");
}

static void
get_type (struct xdr *y, struct v4_attrs *ret)
{
  ret->type = xdr_u32 (y, "fattr4_type, RFC 8881 §5.8.1.2");
  if (ret->type < NF4REG || ret->type > NF4NAMEDATTR)
    xdr_reject (y, "fattr4_type: no nfs_ftype4, RFC 8881 §3.2");
}

static void
get_value (struct xdr *y, enum v4_attr attr, struct v4_attrs *ret)
{
  switch (attr) {
  case FATTR4_SUPPORTED_ATTRS:
    get_supported (y);
    break;
  case FATTR4_TYPE:
    get_type (y, ret);
    break;
  case FATTR4_FH_EXPIRE_TYPE:
    ret->fh_expire_type
        = xdr_u32 (y, "fattr4_fh_expire_type, RFC 8881 §5.8.1.3");
    break;
  case FATTR4_CHANGE:
    ret->change = xdr_u64 (y, "fattr4_change, RFC 8881 §5.8.1.4");
    break;
  case FATTR4_SIZE:
    ret->size = xdr_u64 (y, "fattr4_size, RFC 8881 §5.8.1.5");
    break;
  case FATTR4_LINK_SUPPORT:
  case FATTR4_SYMLINK_SUPPORT:
  case FATTR4_NAMED_ATTR:
    get_bool (y);
    break;
  case FATTR4_UNIQUE_HANDLES:
    ret->unique_handles = get_bool (y);
    break;
  case FATTR4_FSID:
    ret->fsid_major = xdr_u64 (y, "fattr4_fsid.major, RFC 8881 §5.8.1.9");
    ret->fsid_minor = xdr_u64 (y, "fattr4_fsid.minor, RFC 8881 §5.8.1.9");
    break;
  case FATTR4_LEASE_TIME:
    ret->lease_time_s = xdr_u32 (y, "fattr4_lease_time, RFC 8881 §5.8.1.11");
    break;
  case FATTR4_RDATTR_ERROR:
    xdr_u32 (y, "fattr4_rdattr_error, RFC 8881 §5.8.1.12");
    break;
  case FATTR4_FILEID:
    ret->fileid = xdr_u64 (y, "fattr4_fileid, RFC 8881 §5.8.2.7");
    break;
  case FATTR4_FS_LOCATIONS:
    xdr_reject (y, "fattr4.attrmask: attributes that were not asked for, RFC "
                   "8881 §18.7.3");
    break;
  case FATTR4_MAXREAD:
    ret->maxread = xdr_u64 (y, "fattr4_maxread, RFC 8881 §5.8.2.20");
    break;
  case FATTR4_MAXWRITE:
    ret->maxwrite = xdr_u64 (y, "fattr4_maxwrite, RFC 8881 §5.8.2.21");
    break;
  }
}

void
v4_get_attrs (struct xdr *x, uint32_t asked, struct v4_attrs *ret)
{
  uint32_t words = xdr_count (x, BITMAP_WORDS_MAX,
                              "fattr4.attrmask, RFC 8881 §3.3.7");
  const uint8_t *values;
  struct xdr y;
  size_t n;

  *ret = (struct v4_attrs){0};
  for (uint32_t i = 0; i < words && !x->bad; i++) {
    uint32_t mask = xdr_u32 (x, "fattr4.attrmask, RFC 8881 §3.3.7");

    if (mask & ~(i == 0 ? asked : 0))
      xdr_reject (x, "fattr4.attrmask: attributes that were not asked for, RFC "
                     "8881 §18.7.3");
    if (i == 0)
      ret->have = mask;
  }
  values = xdr_opaque (x, ATTRLIST_MAX_BYTES, &n,
                       "fattr4.attr_vals, RFC 8881 §3.3.7");
  if (!values)
    return;
  y = xdr_init (values, n);
  for (unsigned bit = 0; bit < 32 && !y.bad; bit++)
    if (ret->have & V4_ATTR (bit))
      get_value (&y, (enum v4_attr)bit, ret);
  xdr_end (&y, "fattr4.attr_vals: bytes are left over, RFC 8881 §3.3.7");
  if (y.bad)
    xdr_reject (x, y.bad);
}
