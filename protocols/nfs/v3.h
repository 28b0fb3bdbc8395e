/* SPDX-License-Identifier: BSD-2-Clause */
/* NFSv3's own state, shared by v3.c (requests), v3_start.c (the way to the
 * file), v3_list.c (a directory's names) and v3_probe.c (has it changed?).
 */
#ifndef BH_PROTOCOLS_NFS_V3_H
#define BH_PROTOCOLS_NFS_V3_H

#include "protocols/nfs/dialect.h"
#include "protocols/nfs/mount.h"
#include "protocols/nfs/nfs3_codec.h"
#include "protocols/nfs/walk.h"

enum v3_step {
  V3_FSINFO,
  V3_PATHCONF,
  V3_LOOKUP,
  V3_READLINK,
  V3_GETATTR,
  V3_ACCESS,
  V3_RESIZE,
  V3_LIST,
  V3_PROBE, /* not a step of the way */
};

struct v3 {
  enum v3_step step;
  struct nfs3_fh root; /* of the export, */
  size_t root_bytes;   /* which is that much of options.path */
  struct nfs3_fh fh;   /* along the path, then of the file */
  struct nfs_walk walk;
  size_t walk_at;      /* in walk.path: behind what is looked up, or was */
  const char *name;    /* that is looked up: its last part */
  size_t name_bytes;
  uint32_t name_max; /* 0: not known */
  uint64_t maxfilesize;
  unsigned resizes; /* that were tried */
  bool resized;     /* SETATTR has worked */
  uint32_t list_bytes;
  struct nfs3_attr attr;

  /* The server is not ready (JUKEBOX): until then. */
  uint64_t wake_ns; /* 0: it is */
  uint64_t give_up_ns;
  unsigned waits;

  /* The probe: not before, or an answer by then; 0: none is due. */
  uint64_t probe_wake_ns, probe_by_ns;
  uint64_t probe_give_up_ns;
  unsigned probe_waits;

  /* The list */
  uint64_t cookie;
  uint8_t cookieverf[NFS3_COOKIEVERF_BYTES];
  unsigned entries;
};

/* v3_start.c: as nfs_dialect. */
enum err
v3_start (struct nfs *n, uint64_t now_ns, struct fault *f);
enum err
v3_start_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
                uint64_t now_ns, struct fault *f);
uint64_t
v3_start_deadline_ns (const struct nfs *n);
enum err
v3_start_tick (struct nfs *n, uint64_t now_ns, struct fault *f);
/* "the server says about PATH: …" */
enum err
v3_path_fault (const struct nfs *n, const struct rpc_call *call,
               enum nfs3_status s, struct fault *f);

/* A file as large as a volume can be. ERR_PEER. */
enum err
v3_check_size (const struct nfs *n, const struct nfs3_attr *a,
               struct fault *f);
/* A volume_info's change. */
uint64_t
v3_change (const struct nfs3_attr *a);

/* v3_probe.c: as nfs_dialect */
bool
v3_probe (struct nfs *n);
enum err
v3_probe_reply (struct nfs *n, const struct rpc_call *call,
                struct rpc_reply *r, uint64_t now_ns, struct fault *f);
uint64_t
v3_probe_deadline_ns (const struct nfs *n);
enum err
v3_probe_tick (struct nfs *n, uint64_t now_ns, struct fault *f);

/* v3_list.c */
void
v3_list_ask (struct nfs *n);
enum err
v3_list_reply (struct nfs *n, const struct rpc_call *call, struct rpc_reply *r,
               enum nfs3_status *ret_status, struct fault *f);

#endif
