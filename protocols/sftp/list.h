/* SPDX-License-Identifier: BSD-2-Clause */
/* The regular files of a directory as a volume: its content is the text of
 * common/listing.h.
 *
 *   STAT → OPENDIR → READDIR … → [STAT of names of unknown kind …] → CLOSE
 *   → done
 *
 * One request at a time. Symbolic links are followed by asking about them, as
 * READDIR tells what lstat does. Whatever a server sends, the list ends: after
 * LISTING_ENTRIES names that count, LIST_NAMES_MAX names of any kind or
 * LIST_REPLIES_MAX answers; what is left out then, remarks tell.
 */
#ifndef BH_PROTOCOLS_SFTP_LIST_H
#define BH_PROTOCOLS_SFTP_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/listing.h"
#include "protocols/outbox.h"
#include "protocols/proto.h"
#include "protocols/sftp/codec.h"

#define LIST_NAMES_MAX 65536u
#define LIST_REPLIES_MAX 8192u
/* More names of unknown kind are listed without being asked about. */
#define LIST_FOLLOW_MAX 256u

enum list_step {
  LIST_STAT, /* of the directory */
  LIST_OPENDIR,
  LIST_READDIR,
  LIST_FOLLOW, /* STAT of a name */
  LIST_CLOSE,
  LIST_DONE,
};

struct list {
  enum list_step step;
  uint32_t id; /* of the request that is out */
  uint64_t deadline_ns;
  char path[SFTP_PATH_MAX_BYTES + 1];
  struct sftp_handle handle;
  unsigned replies, names; /* so far, of READDIR */
  bool cut;                /* the server has more */
  struct listing listing;
  struct listing unknown; /* names to ask about */
  size_t unknown_offset;  /* of the next one */
  const char *asked;      /* in LIST_FOLLOW */
  /* requests of our user that are answered already */
  unsigned first_done, done;
  uint64_t done_id[PROTO_REQUESTS];
};

/* Asks the first question; path as the server takes it. */
void
list_begin (struct list *l, const char *path, uint32_t first_id,
            uint64_t now_ns, struct outbox *o);
void
list_fini (struct list *l);

/* As those of startup.h. */
bool
list_expects (const struct list *l, uint8_t type);
const char *
list_request_name (const struct list *l);
enum err
list_packet (struct list *l, uint8_t type, struct wire *w, uint64_t now_ns,
             struct outbox *o, struct fault *f);
enum err
list_tick (const struct list *l, uint64_t now_ns, struct fault *f);

/* In LIST_DONE. */
void
list_info (const struct list *l, struct volume_info *ret);
enum err
list_submit (struct list *l, const struct proto_request *r);
bool
list_reap (struct list *l, struct proto_completion *ret);

#endif
