/* SPDX-License-Identifier: BSD-2-Clause */
/* The regular files of a directory, by READDIRPLUS (RFC 1813 §3.3.17). */
#include "config.h"
#include "protocols/nfs/v3.h"

#include <stdio.h>

/* What a directory may have, with all that is no regular file. */
#define ENTRIES_MAX 65536u

void
v3_list_ask (struct nfs *n)
{
  struct v3 *v = n->own;
  struct rpc_message m
      = nfs_begin (n, &nfs3_procedure[NFS3_READDIRPLUS], 0);

  nfs3_put_readdirplus (&m.b, &v->fh, v->cookie, v->cookieverf, v->list_bytes,
                        v->list_bytes);
  nfs_send (n, &m);
}

/* False: the list is full. */
static bool
add (struct nfs *n, const struct nfs3_entry *e)
{
  if (e->has_attr && e->attr.type != NF3REG)
    return true;
  if (e->name_bytes > NFS_NAME_MAX_BYTES) /* nor could it be opened */
    return true;
  if (!e->has_attr && (e->name_bytes == 0 || e->name[0] == '.'))
    return true;
  return listing_add (&n->listing, e->name, e->name_bytes,
                      e->has_attr ? e->attr.size : LISTING_SIZE_UNKNOWN,
                      "")
         == ERR_OK;
}

enum err
v3_list_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
               enum nfs3_status *ret_status, struct fault *f)
{
  struct v3 *v = n->own;
  struct nfs3_entry entry;
  unsigned before = v->entries;
  bool eof = false, room = true;
  enum nfs3_status s;
  enum err e;

  s = nfs3_take_readdirplus (&r->x, v->cookieverf);
  if (s == NFS3_OK && !r->x.bad)
    while (nfs3_take_entry (&r->x, &entry, &eof)) {
      room = room && add (n, &entry);
      v->cookie = entry.cookie;
      v->entries++;
    }
  e = xdr_fault (&r->x, call->procedure->name, f);
  if (e)
    return e;
  *ret_status = s;
  if (s != NFS3_OK)
    return ERR_OK;
  if (!eof && v->entries == before)
    return fault_set (f, ERR_PEER,
                      "the server's answer to %s has no entry and is not the "
                      "end (field eof, RFC 1813 §3.3.17)",
                      call->procedure->name);
  if (!eof && room && v->entries < ENTRIES_MAX) {
    v3_list_ask (n);
    return ERR_OK;
  }
  if (!eof || !room)
    snprintf (n->info.remarks, sizeof n->info.remarks,
              "the directory has more files than can be listed");
  nfs_ready (n);
  return ERR_OK;
}
