/* SPDX-License-Identifier: BSD-2-Clause */
/* An NFSv4.1/4.2 server with one file, /dir/disk.img, as a function from call
 * to reply, for tests: clients, sessions with slots that keep answers, opens,
 * a grace period. What was not committed is forgotten when it reboots. Written
 * from RFC 8881 and RFC 7862 without the engine's codec.
 */
#ifndef BH_TESTS_FAKE_NFS4_H
#define BH_TESTS_FAKE_NFS4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE4_PATH "/dir/disk.img"
#define FAKE4_SLOTS 64u /* at most */
#define FAKE4_LINKS 4u
#define FAKE4_CLIENTS 4u
#define FAKE4_SESSIONS 16u
#define FAKE4_OPENS 8u
#define FAKE4_REPLY_BYTES 1024u
#define FAKE4_CONNECTIONS 32u

/* What a READ_PLUS of a liar says. */
enum fake4_lie {
  FAKE4_HONEST,
  FAKE4_OVERLAP,     /* a segment begins in the one before it */
  FAKE4_GAP,         /* or behind it */
  FAKE4_DATA_BEYOND, /* data that nobody asked for */
  FAKE4_DATA_BEFORE,
  FAKE4_MORE,        /* another segment behind the end of what was asked */
  FAKE4_TYPE,        /* that is neither data nor hole */
  FAKE4_HOLE_BEFORE, /* and not up to what was asked for */
  FAKE4_HOLE_EMPTY,
  FAKE4_HOLE_WRAPS, /* around the end of all offsets */
  FAKE4_ENDLESS,    /* 2^32 - 1 segments */
  FAKE4_NOTHING,    /* no segment, and not the end */
  FAKE4_END,        /* no segment, and the end */
  FAKE4_SHORT,      /* eof in the middle: half of it */
};
#define FAKE4_LIES (FAKE4_SHORT + 1)

/* What a liar answers to BIND_CONN_TO_SESSION. */
enum fake4_bind {
  FAKE4_BIND_HONEST,
  FAKE4_BIND_OTHER_SESSION,
  FAKE4_BIND_BACK, /* the back channel only */
  FAKE4_BIND_RDMA,
  FAKE4_BIND_FORGOTTEN, /* bound, it says, and does not know it */
};

/* What a liar answers to a WRITE. */
enum fake4_write {
  FAKE4_WRITE_HONEST,
  FAKE4_WRITE_NONE, /* it has worked, it says, and no byte is written */
  FAKE4_WRITE_MORE, /* one byte more than there was */
  FAKE4_WRITE_WEAKER,
  FAKE4_WRITE_HOW, /* a stable_how4 of 3 */
};

struct fake4_slot {
  uint32_t sequenceid;
  bool cached;
  size_t reply_bytes;
  uint8_t reply[FAKE4_REPLY_BYTES];
};

struct fake_nfs4 {
  uint8_t *content, *committed;
  uint64_t size;
  uint64_t boot; /* write verifier, and part of all identifiers */
  uint32_t minor_max;
  uint32_t slots; /* granted: 8 */
  struct {
    bool used, confirmed;
    bool complete; /* it has said RECLAIM_COMPLETE */
    uint8_t owner[256];
    size_t owner_bytes;
    uint64_t id;
    uint32_t create_sequenceid;
    unsigned last_session;
  } client[FAKE4_CLIENTS];
  struct {
    bool used;
    uint64_t id, client;
    uint32_t bound; /* connections, a bit each */
    struct fake4_slot slot[FAKE4_SLOTS];
  } session[FAKE4_SESSIONS];
  struct {
    bool used;
    uint64_t client;
    uint8_t owner[256];
    size_t owner_bytes;
    uint32_t id, deny;
  } open[FAKE4_OPENS];
  /* Who calls: 0 … FAKE4_CONNECTIONS-1. */
  unsigned connection;
  bool strict; /* SEQUENCE on a connection that is not bound is refused */
  enum fake4_bind bind;
  unsigned sequences[FAKE4_CONNECTIONS]; /* executed there */
  unsigned unbound;                      /* refused */
  uint32_t next_id;
  uint8_t generation;  /* of the file's handle */
  uint64_t fileid;
  bool no_fileid;        /* nor do handles have more than one name: */
  bool handles_go, handles_many; /* volatile; two of a file */
  uint32_t request_max; /* ca_maxrequestsize; 0: what is asked for */
  size_t call_bytes;    /* of the call at hand */
  bool grace;          /* OPENs that reclaim nothing get GRACE */
  bool delegates;      /* though nobody wants it */
  bool ignores_setattr; /* says that it worked */
  bool read_plus;      /* it has READ_PLUS */
  bool keeps_all;      /* answers on slots, though nobody wants it */
  enum fake4_lie lie;  /* of READ_PLUS */
  enum fake4_write write;
  bool no_sparse;      /* SEEK, DEALLOCATE and ALLOCATE: NOTSUPP */
  bool no_empty_write; /* WRITE of no bytes: INVAL */
  /* Symbolic links, in the root and in the directory alike. */
  struct {
    const char *name, *target;
  } link[FAKE4_LINKS];
  bool old_notdir;     /* NOTDIR where SYMLINK is due */
  bool moved;          /* /dir is another server's now: */
  const char *moved_from, *moved_to, *moved_server; /* "a/b", "c", "host" */
  uint64_t list_names; /* in each directory, beside "sub" and disk.img */
  uint32_t list_type;  /* of those: nfs_ftype4 */
  bool list_long;      /* "sub" has a name of 300 bytes */
  uint32_t status_flags;
  uint32_t access;
  uint64_t change;
  uint64_t io_bytes; /* maxread, maxwrite */

  /* The next fail_times results of this operation. */
  uint32_t fail_op, fail_status;
  unsigned fail_times;

  unsigned executed[80]; /* by operation; not those that were replayed */
  unsigned replays;
};

void fake_nfs4_init (struct fake_nfs4 *s, uint64_t size);
void fake_nfs4_fini (struct fake_nfs4 *s);
void fake_nfs4_reboot (struct fake_nfs4 *s);
/* All state is gone, as after a lease that was not renewed. */
void fake_nfs4_expire (struct fake_nfs4 *s);
/* The connection has ended. */
void
fake_nfs4_hang_up (struct fake_nfs4 *s, unsigned connection);
/* As fake_nfs3_answer; s->connection is that of the call. */
size_t fake_nfs4_answer (struct fake_nfs4 *s, const uint8_t *call,
                         size_t call_bytes, uint8_t *reply,
                         size_t reply_size_bytes);

#endif
