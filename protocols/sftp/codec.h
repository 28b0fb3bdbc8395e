/* SPDX-License-Identifier: BSD-2-Clause */
/* The packets of SFTP version 3, as far as a block device needs them:
 * draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL file for the extensions
 * fsync@openssh.com and limits@openssh.com. Pure functions; no state.
 *
 * A packet is (§3)
 *
 *   uint32 length    of what follows
 *   byte   type
 *   uint32 id        except in INIT and VERSION
 *   …
 *
 * Encoders append one whole packet to a wirebuf (whose sticky error tells that
 * it did not fit). Decoders get a cursor behind id (VERSION: behind type) that
 * ends where the packet ends; they return ERR_PEER and name field and section
 * in f (which may be NULL) if anything is missing, too long or left over.
 * Outputs are untouched on failure.
 */
#ifndef BH_PROTOCOLS_SFTP_CODEC_H
#define BH_PROTOCOLS_SFTP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/wire.h"

#define SFTP_DRAFT "draft-ietf-secsh-filexfer-02"
#define SFTP_PROTOCOL_VERSION 3u

/* §3 */
enum sftp_type {
  SSH_FXP_INIT = 1,
  SSH_FXP_VERSION = 2,
  SSH_FXP_OPEN = 3,
  SSH_FXP_CLOSE = 4,
  SSH_FXP_READ = 5,
  SSH_FXP_WRITE = 6,
  SSH_FXP_FSTAT = 8,
  SSH_FXP_OPENDIR = 11,
  SSH_FXP_READDIR = 12,
  SSH_FXP_REMOVE = 13,
  SSH_FXP_STAT = 17,
  SSH_FXP_STATUS = 101,
  SSH_FXP_HANDLE = 102,
  SSH_FXP_DATA = 103,
  SSH_FXP_NAME = 104,
  SSH_FXP_ATTRS = 105,
  SSH_FXP_EXTENDED = 200,
  SSH_FXP_EXTENDED_REPLY = 201,
};

/* §7; those from WRITE_PROTECT on belong to later drafts (filexfer-13 §9.1),
 * but servers send them in version 3 too.
 */
enum sftp_status_code {
  SSH_FX_OK = 0,
  SSH_FX_EOF = 1,
  SSH_FX_NO_SUCH_FILE = 2,
  SSH_FX_PERMISSION_DENIED = 3,
  SSH_FX_FAILURE = 4,
  SSH_FX_BAD_MESSAGE = 5,
  SSH_FX_NO_CONNECTION = 6,
  SSH_FX_CONNECTION_LOST = 7,
  SSH_FX_OP_UNSUPPORTED = 8,
  SSH_FX_WRITE_PROTECT = 12,
  SSH_FX_NO_SPACE_ON_FILESYSTEM = 14,
  SSH_FX_QUOTA_EXCEEDED = 15,
  SSH_FX_FILE_IS_A_DIRECTORY = 24,
};

/* §6.3: how to open. CREAT, TRUNC and EXCL are never sent. */
#define SSH_FXF_READ 0x1u
#define SSH_FXF_WRITE 0x2u

/* §5 */
#define SSH_FILEXFER_ATTR_SIZE 0x00000001u
#define SSH_FILEXFER_ATTR_UIDGID 0x00000002u
#define SSH_FILEXFER_ATTR_PERMISSIONS 0x00000004u
#define SSH_FILEXFER_ATTR_ACMODTIME 0x00000008u
#define SSH_FILEXFER_ATTR_EXTENDED 0x80000000u

/* length and type; and with id */
#define SFTP_HEADER_BYTES 5u
#define SFTP_ID_HEADER_BYTES 9u
/* DATA up to its payload: length, type, id, length of the string (§7) */
#define SFTP_DATA_HEADER_BYTES 13u
/* §6.3 */
#define SFTP_HANDLE_MAX_BYTES 256u
/* What one READ or WRITE carries where the server names no limit (§3). */
#define SFTP_IO_DEFAULT_BYTES 32768u
/* Requests of our user are not larger. */
#define SFTP_IO_MAX_BYTES (256u * 1024)
/* A server that takes less is refused. */
#define SFTP_IO_LEAST_BYTES 512u

/* Ours: Linux's PATH_MAX. */
#define SFTP_PATH_MAX_BYTES 4096u

struct sftp_handle {
  uint32_t length_bytes; /* 1 … SFTP_HANDLE_MAX_BYTES */
  uint8_t bytes[SFTP_HANDLE_MAX_BYTES];
};

/* An extension of VERSION (§4; OpenSSH PROTOCOL §3.2). */
enum sftp_offer {
  SFTP_NOT_OFFERED,
  SFTP_OTHER_VERSION, /* only with versions that we do not know */
  SFTP_OFFERED,       /* with version "1" */
};

struct sftp_version {
  uint32_t version;
  enum sftp_offer fsync;
  enum sftp_offer limits;
};

struct sftp_status {
  uint32_t code;
  char message[128]; /* printable ASCII, cut to fit */
};

struct sftp_attrs {
  uint32_t flags; /* which of the following are set */
  uint64_t size;
  uint32_t permissions;
  uint32_t mtime; /* seconds */
};

/* One of the files of a NAME (§7). name lies in the packet. */
struct sftp_name {
  const uint8_t *name;
  size_t name_bytes;
  struct sftp_attrs attrs;
};

/* limits@openssh.com, in bytes; 0: the server names no limit. */
struct sftp_limits {
  uint64_t max_packet_length;
  uint64_t max_read_length;
  uint64_t max_write_length;
  uint64_t max_open_handles;
};

/* "SSH_FXP_DATA" and so on; "packet type N" is the caller's to say when this
 * is NULL.
 */
const char *
sftp_type_name (uint8_t type);

/* ERR_OK only for SSH_FX_OK. */
enum err
sftp_status_err (uint32_t code);

void
sftp_encode_init (struct wirebuf *b);
void
sftp_encode_limits (struct wirebuf *b, uint32_t id);
void
sftp_encode_stat (struct wirebuf *b, uint32_t id, const char *path);
void
sftp_encode_open (struct wirebuf *b, uint32_t id, const char *path,
                  uint32_t pflags);
/* length, type, id; the path; pflags, and no attributes */
#define SFTP_OPEN_BYTES(path_bytes)                                            \
  (SFTP_ID_HEADER_BYTES + 4u + (path_bytes) + 8u)
void
sftp_encode_close (struct wirebuf *b, uint32_t id, const struct sftp_handle *h);
void
sftp_encode_remove (struct wirebuf *b, uint32_t id, const char *path);
void
sftp_encode_fstat (struct wirebuf *b, uint32_t id, const struct sftp_handle *h);
void
sftp_encode_fsync (struct wirebuf *b, uint32_t id, const struct sftp_handle *h);
void
sftp_encode_read (struct wirebuf *b, uint32_t id, const struct sftp_handle *h,
                  uint64_t offset, uint32_t length_bytes);
void
sftp_encode_opendir (struct wirebuf *b, uint32_t id, const char *path);
void
sftp_encode_readdir (struct wirebuf *b, uint32_t id,
                     const struct sftp_handle *h);
/* Everything but the payload, which the caller sends right behind it. */
void
sftp_encode_write_header (struct wirebuf *b, uint32_t id,
                          const struct sftp_handle *h, uint64_t offset,
                          uint32_t length_bytes);
/* What the last two and fsync occupy at most; WRITE without its payload. */
#define SFTP_REQUEST_MAX_BYTES                                                 \
  (SFTP_ID_HEADER_BYTES + 4u + 17u + 4u + SFTP_HANDLE_MAX_BYTES + 8u + 4u)

enum err
sftp_decode_version (struct wire *w, struct sftp_version *ret, struct fault *f);
enum err
sftp_decode_status (struct wire *w, struct sftp_status *ret, struct fault *f);
enum err
sftp_decode_handle (struct wire *w, struct sftp_handle *ret, struct fault *f);
enum err
sftp_decode_attrs (struct wire *w, struct sftp_attrs *ret, struct fault *f);
/* NAME: how many files it has, then one after the other; behind the last one
 * the cursor must be at its end (wire_end).
 */
enum err
sftp_decode_name_count (struct wire *w, uint32_t *ret, struct fault *f);
enum err
sftp_decode_name (struct wire *w, struct sftp_name *ret, struct fault *f);
enum err
sftp_decode_limits (struct wire *w, struct sftp_limits *ret, struct fault *f);

#endif
