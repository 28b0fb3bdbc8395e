/* SPDX-License-Identifier: BSD-2-Clause */
/* Results of NFSv3, MOUNT and portmap procedures. The first byte says which. */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/nfs/mount_codec.h"
#include "protocols/nfs/nfs3_codec.h"

static void
readdirplus (struct xdr *x)
{
  uint8_t verifier[NFS3_COOKIEVERF_BYTES];
  const uint8_t *end = x->w.end;
  struct nfs3_entry e;
  bool eof;

  if (nfs3_take_readdirplus (x, verifier) != NFS3_OK)
    return;
  while (nfs3_take_entry (x, &e, &eof))
    MUST ((const uint8_t *)e.name + e.name_bytes <= end);
}

static void
exports (struct xdr *x)
{
  const uint8_t *end = x->w.end;
  const char *path;
  size_t n;

  while (mount_take_export (x, &path, &n))
    MUST ((const uint8_t *)path + n <= end && n <= MOUNT_PATH_MAX_BYTES);
}

static void
mnt (struct xdr *x)
{
  struct nfs3_fh fh = {0};
  bool sys, none;
  enum mount_status s = mount_take_mnt (x, &fh, &sys, &none);

  if (x->bad)
    return;
  MUST (mount_status_name (s) && mount_status_text (s));
  MUST ((s == MNT3_OK) == (mount_status_err (s) == ERR_OK));
  MUST (fh.length_bytes <= NFS3_FHSIZE);
}

/* A procedure whose results nothing follows. */
static enum nfs3_status
plain (struct xdr *x, uint8_t which)
{
  union {
    struct nfs3_attr attr;
    struct nfs3_fh fh;
    struct nfs3_fsinfo fsinfo;
    struct nfs3_pathconf pathconf;
    struct nfs3_write write;
    struct nfs3_read read;
    uint32_t access;
    uint8_t verifier[NFS3_VERIFIER_BYTES];
    char target[300];
  } u;
  struct nfs3_attr attr;
  enum nfs3_status s;
  bool has_attr;

  memset (&u, 0, sizeof u);
  switch (which) {
  case NFS3_GETATTR:
    return nfs3_take_getattr (x, &u.attr);
  case NFS3_SETATTR:
    return nfs3_take_setattr (x);
  case NFS3_LOOKUP:
    s = nfs3_take_lookup (x, &u.fh, &has_attr, &attr);
    MUST (u.fh.length_bytes <= NFS3_FHSIZE);
    return s;
  case NFS3_READLINK:
    s = nfs3_take_readlink (x, u.target, sizeof u.target);
    if (!x->bad && s == NFS3_OK)
      MUST (strlen (u.target) < sizeof u.target);
    return s;
  case NFS3_ACCESS:
    return nfs3_take_access (x, &u.access);
  case NFS3_READ:
    return nfs3_take_read (x, &u.read);
  case NFS3_WRITE:
    return nfs3_take_write (x, &u.write);
  case NFS3_FSINFO:
    return nfs3_take_fsinfo (x, &u.fsinfo);
  case NFS3_PATHCONF:
    return nfs3_take_pathconf (x, &u.pathconf);
  default:
    return nfs3_take_commit (x, u.verifier);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct xdr x = xdr_init (data + 1, size ? size - 1 : 0);
  struct fault f = {0};
  enum nfs3_status s;

  if (!size)
    return 0;
  switch (data[0]) {
  case NFS3_READDIRPLUS:
    readdirplus (&x);
    break;
  case 'p':
    portmap_take_getport (&x);
    break;
  case 'm':
    mnt (&x);
    break;
  case 'e':
    exports (&x);
    break;
  default:
    s = plain (&x, data[0]);
    if (!x.bad)
      MUST (nfs3_status_name (s) && nfs3_status_text (s)
            && (s == NFS3_OK) == (nfs3_status_err (s) == ERR_OK));
  }
  MUST (!x.bad == !xdr_fault (&x, "it", &f) && (!x.bad || f.text[0]));
  return 0;
}
