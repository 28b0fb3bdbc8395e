/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/mount_codec.h"

const struct rpc_procedure portmap_getport
    = {100000, 2, 3, "GETPORT of portmap", 0};
const struct rpc_procedure mount_mnt = {100005, 3, 1, "MNT", 0};
const struct rpc_procedure mount_export = {100005, 3, 5, "EXPORT", 0};

#define PROTOCOL_TCP 6u
/* RFC 5531 lets a server list what it likes; more is no list of flavors. */
#define FLAVORS_MAX 64u

static const struct {
  enum mount_status status;
  enum err err;
  const char *name, *text;
} statuses[] = {
#define X(name, value, err, text)                                              \
  {MNT3ERR_##name, ERR_##err, "MNT3ERR_" #name, text},
    MOUNT_STATUS_TABLE (X)
#undef X
};
#define STATUSES (sizeof statuses / sizeof statuses[0])

static unsigned
status_index (uint32_t s)
{
  unsigned i = 0;

  while (i < STATUSES && statuses[i].status != (enum mount_status)s)
    i++;
  return i;
}

const char *
mount_status_name (enum mount_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].name : "MNT3ERR_?";
}

const char *
mount_status_text (enum mount_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].text : "unknown error";
}

enum err
mount_status_err (enum mount_status s)
{
  unsigned i = status_index (s);

  return i < STATUSES ? statuses[i].err : ERR_IO;
}

void
portmap_put_getport (struct wirebuf *b, uint32_t program, uint32_t version)
{
  wirebuf_u32 (b, program);
  wirebuf_u32 (b, version);
  wirebuf_u32 (b, PROTOCOL_TCP);
  wirebuf_u32 (b, 0); /* port: ignored */
}

uint16_t
portmap_take_getport (struct xdr *x)
{
  static const char field[] = "port, RFC 1833 §3.2";
  uint32_t port = xdr_count (x, UINT16_MAX, field);

  xdr_end (x, field);
  return x->bad ? 0 : (uint16_t)port;
}

void
mount_put_mnt (struct wirebuf *b, const char *path, size_t path_bytes)
{
  xdr_put_opaque (b, path, path_bytes);
}

enum mount_status
mount_take_mnt (struct xdr *x, struct nfs3_fh *ret, bool *ret_sys,
                bool *ret_none)
{
  static const char status_field[] = "mountstat3, RFC 1813 §5.1.5";
  static const char flavor_field[] = "auth_flavors, RFC 1813 §5.2.1";
  uint32_t status = xdr_u32 (x, status_field);
  uint32_t flavors;

  if (status_index (status) == STATUSES)
    xdr_reject (x, status_field);
  if (status == MNT3_OK) {
    nfs3_take_fh (x, ret);
    flavors = xdr_count (x, FLAVORS_MAX, flavor_field);
    *ret_sys = *ret_none = flavors == 0;
    for (uint32_t i = 0; i < flavors; i++) {
      uint32_t flavor = xdr_u32 (x, flavor_field);

      *ret_sys = *ret_sys || flavor == RPC_AUTH_SYS;
      *ret_none = *ret_none || flavor == RPC_AUTH_NONE;
    }
  }
  xdr_end (x, "mountres3: bytes behind its end, RFC 1813 §5.2.1");
  return (enum mount_status)status;
}

bool
mount_take_export (struct xdr *x, const char **ret_path,
                   size_t *ret_path_bytes)
{
  static const char list_field[] = "exports, RFC 1813 §5.2.5";
  static const char group_field[] = "exportnode.ex_groups, RFC 1813 §5.2.5";
  size_t ignored;

  if (!xdr_bool (x, list_field)) {
    xdr_end (x, list_field);
    return false;
  }
  *ret_path = (const char *)xdr_opaque (
      x, MOUNT_PATH_MAX_BYTES, ret_path_bytes,
      "exportnode.ex_dir, RFC 1813 §5.2.5");
  while (xdr_bool (x, group_field))
    xdr_opaque (x, MOUNT_NAME_MAX_BYTES, &ignored, group_field);
  return !x->bad;
}
