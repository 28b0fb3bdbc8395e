/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of a directory, for VOLUME_IS_LIST: regular files with their size,
 * and directories, as the pseudo-root (RFC 8881 §7.3) is made of nothing else.
 */
#include "config.h"
#include "protocols/nfs/v4.h"

#include <stdio.h>
#include <string.h>

#define DIRCOUNT_BYTES (16u * 1024)
#define MAXCOUNT_BYTES (64u * 1024)
/* What a directory may have, with all that is not listed. */
#define ENTRIES_MAX 65536u
#define ATTRS                                                                  \
  (V4_ATTR (FATTR4_TYPE) | V4_ATTR (FATTR4_SIZE)                               \
   | V4_ATTR (FATTR4_RDATTR_ERROR))

void
v4_put_list (struct nfs *n, struct v4_call *c)
{
  static const uint32_t mask[2] = {ATTRS, 0};
  struct v4 *v = v4_of (n);
  uint32_t max = v->memory.maxresponsesize - V4_DATA_OVERHEAD_BYTES;
  struct v4_readdir r = {
      .cookie = v->cookie,
      .dircount = max < DIRCOUNT_BYTES ? max : DIRCOUNT_BYTES,
      .maxcount = max < MAXCOUNT_BYTES ? max : MAXCOUNT_BYTES,
      .mask = mask,
  };

  memcpy (r.verifier, v->cookie_verifier, sizeof r.verifier);
  v4_put_putfh (c, &v->memory.fh);
  v4_put_readdir (c, &r);
}

/* ERR_LIMIT: the list is long enough. */
static enum err
add (struct nfs *n, const uint8_t *name, size_t name_bytes,
     const struct v4_attrs *attrs)
{
  bool directory = attrs->type == NF4DIR;

  if (!(attrs->have & V4_ATTR (FATTR4_TYPE))
      || (!directory && attrs->type != NF4REG))
    return ERR_OK;
  if (name_bytes <= 2 && memcmp (name, "..", name_bytes) == 0)
    return ERR_OK;
  return listing_add (&n->listing, (const char *)name, name_bytes,
                      directory || !(attrs->have & V4_ATTR (FATTR4_SIZE))
                          ? LISTING_SIZE_UNKNOWN
                          : attrs->size,
                      directory ? "directory" : "");
}

static void
take_entries (struct nfs *n, struct xdr *x, unsigned *ret_entries,
              enum err *ret_error)
{
  struct v4 *v = v4_of (n);
  struct v4_attrs attrs;

  while (xdr_bool (x, "dirlist4.entries, RFC 8881 §18.23.2")) {
    size_t name_bytes;
    const uint8_t *name;
    uint64_t cookie = xdr_u64 (x, "entry4.cookie, RFC 8881 §18.23.2");

    name = xdr_opaque (x, LISTING_NAME_BYTES, &name_bytes,
                       "entry4.name, RFC 8881 §18.23.2");
    v4_get_attrs (x, ATTRS, &attrs);
    if (!name || x->bad)
      return;
    v->cookie = cookie;
    ++*ret_entries;
    if (!*ret_error)
      *ret_error = add (n, name, name_bytes, &attrs);
  }
}

enum err
v4_got_list (struct nfs *n, struct v4_answer *a, bool *ret_eof,
             struct fault *f)
{
  struct v4 *v = v4_of (n);
  enum err e, added = ERR_OK;
  unsigned entries = 0;
  const uint8_t *verifier;

  if (v4_take (a, OP_PUTFH) && v4_take (a, OP_READDIR)) {
    verifier = xdr_fixed (a->x, NFS4_VERIFIER_SIZE,
                          "READDIR4resok.cookieverf, RFC 8881 §18.23.2");
    if (verifier)
      memcpy (v->cookie_verifier, verifier, NFS4_VERIFIER_SIZE);
    take_entries (n, a->x, &entries, &added);
    *ret_eof = xdr_bool (a->x, "dirlist4.eof, RFC 8881 §18.23.2");
    if (!*ret_eof && entries == 0)
      xdr_reject (a->x, "dirlist4: neither entries nor the end, RFC 8881 "
                        "§18.23.3");
  }
  e = v4_close_answer (a, "READDIR", f);
  if (e)
    return e;
  if (added == ERR_NOMEM)
    return fault_set (f, ERR_NOMEM, "out of memory");
  v->entries += entries;
  if (*ret_eof && added != ERR_LIMIT)
    return ERR_OK;
  if (added == ERR_LIMIT || v->entries >= ENTRIES_MAX) {
    *ret_eof = true;
    snprintf (n->info.remarks, sizeof n->info.remarks,
              "the directory has more files than can be listed");
  }
  return ERR_OK;
}
