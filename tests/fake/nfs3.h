/* SPDX-License-Identifier: BSD-2-Clause */
/* An NFSv3 server with one file, as a function from call to reply, for tests:
 * portmap, MOUNT and NFS, whichever program is called. What was not committed
 * is forgotten when it reboots, which no server on this machine's kernel does.
 * Written from RFC 1813 without the engine's codec.
 */
#ifndef BH_TESTS_FAKE_NFS3_H
#define BH_TESTS_FAKE_NFS3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_PATH "/srv/export/dir/disk.img"
#define FAKE_EXPORT "/srv/export"
#define FAKE3_LINKS 4u

struct fake_nfs3 {
  uint8_t *content;   /* what clients see */
  uint8_t *committed; /* what survives a reboot */
  uint64_t size;      /* of both */
  uint64_t verifier;
  uint32_t mountd_port, nfs_port;
  uint32_t rtmax, wtmax;
  uint32_t most_bytes; /* of a READ or WRITE that is done at once; 0: all */
  uint32_t committed_how; /* least: 0 UNSTABLE … 2 FILE_SYNC */
  uint32_t access;        /* bits that ACCESS grants */
  uint32_t mtime, ctime_ahead; /* in seconds */
  uint32_t root_type, dir_type, file_type; /* NF3REG … */
  unsigned jukebox;       /* so many next answers are JUKEBOX */
  uint32_t status;        /* of every next READ, WRITE and COMMIT */
  uint32_t mount_status;
  bool no_export_list;    /* EXPORT is empty */
  bool stale;             /* old handles */
  uint8_t generation;     /* of handles */
  bool no_attributes;     /* post_op_attr: none */
  bool ignores_setattr;   /* says that it worked */
  unsigned list_names;    /* in the directory, beside disk.img */
  bool list_long;         /* ".." has a name of 300 bytes, and is a file */
  /* Symbolic links, in the export's root and in its directory alike. */
  struct {
    const char *name, *target;
  } link[FAKE3_LINKS];
  unsigned calls[22];     /* of each NFS procedure */
  uint32_t last_write_xid, last_uid, last_gid, last_flavor;
};

/* content and committed: size zeroes; free with fini. */
void fake_nfs3_init (struct fake_nfs3 *s, uint64_t size);
void fake_nfs3_fini (struct fake_nfs3 *s);
/* Its content and size; what it gets is zeroes. */
void fake_nfs3_resize (struct fake_nfs3 *s, uint64_t size);
void fake_nfs3_reboot (struct fake_nfs3 *s);
/* call: a record without its mark. Returns the reply's length, without mark;
 * 0: it is no call that makes sense.
 */
size_t fake_nfs3_answer (struct fake_nfs3 *s, const uint8_t *call,
                         size_t call_bytes, uint8_t *reply,
                         size_t reply_size_bytes);

#endif
