/* SPDX-License-Identifier: BSD-2-Clause */
/* From the first byte to an open file:
 *
 *   INIT → VERSION → [limits@openssh.com] → STAT → [probe] → OPEN → FSTAT
 *   → done
 *
 * For a list of files only INIT → done; list.h has the rest.
 *
 * One request at a time. The file is never created or truncated. STAT comes
 * first because some servers open a directory happily. If the server does not
 * let us write, or cannot keep a FLUSH, the file is opened for reading.
 *
 * There are servers that take every OPEN for writing for one that creates and
 * truncates, whatever its flags say: rclone 1.60 does, and the disk image would
 * be gone. None of them offers fsync@openssh.com, so that they matter only to
 * those who insist on writing without. There, probe opens a name for writing
 * that does not exist, without SSH_FXF_CREAT. A server that does not refuse it
 * with SSH_FX_NO_SUCH_FILE is not trusted with an OPEN for writing of a file
 * that does exist; and what it has made is removed.
 */
#ifndef BH_PROTOCOLS_SFTP_STARTUP_H
#define BH_PROTOCOLS_SFTP_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "protocols/sftp/codec.h"
#include "protocols/outbox.h"

/* How long one request may stay without an answer. */
#define STARTUP_TIMEOUT_NS (15ull * 1000 * 1000 * 1000)

/* Of the name of the file that does not exist, with its NUL. */
#define STARTUP_PROBE_NAME_BYTES 32u

enum startup_step {
  STARTUP_INIT,
  STARTUP_LIMITS,
  STARTUP_STAT,
  STARTUP_PROBE, /* OPEN of what is not there */
  STARTUP_PROBE_CLOSE,
  STARTUP_PROBE_REMOVE,
  STARTUP_OPEN, /* for reading and writing */
  STARTUP_OPEN_READ_ONLY,
  STARTUP_FSTAT,
  STARTUP_DONE,
};

struct startup {
  enum startup_step step;
  uint32_t id;          /* of the request that is out; not in INIT */
  uint64_t deadline_ns; /* 0: a tick is needed that tells the time */
  bool allow_unsafe_flush;
  bool list; /* asked for is not the file, but the files below it */
  char path[SFTP_PATH_MAX_BYTES + 1];
  char probe_path[SFTP_PATH_MAX_BYTES + STARTUP_PROBE_NAME_BYTES];

  /* found out */
  struct sftp_version version;
  struct sftp_handle handle; /* of the probe's file before the real one's */
  uint64_t size_bytes;
  uint64_t change; /* of volume_info */
  uint32_t read_max_bytes, write_max_bytes;
  bool limits; /* are the server's own */
  bool writable;
  char readonly_why[160];
};

/* path: as it stands in the URL, see bulkhead-sftp(1). ERR_INVAL with f. */
enum err
startup_init (struct startup *s, const char *path, bool allow_unsafe_flush,
              uint32_t first_id, struct outbox *o, struct fault *f);

/* The first byte was sent: time runs from the next tick on. */
void
startup_sent (struct startup *s);
/* ERR_TIMEOUT with f when nothing has come. */
enum err
startup_tick (struct startup *s, uint64_t now_ns, struct fault *f);

/* True if a packet of this type may come now. */
bool
startup_expects (const struct startup *s, uint8_t type);
/* What we have asked, for messages: "SSH_FXP_STAT". */
const char *
startup_request_name (const struct startup *s);

/* What users should know of the server once all is done: what it lacks, and
 * how large requests are. One line.
 */
void
startup_remarks (const struct startup *s, char *dst, size_t dst_bytes);

/* One whole packet of a type that is expected; w stands behind the type. Asks
 * the next question, or gets to STARTUP_DONE. Any error is final.
 */
enum err
startup_packet (struct startup *s, uint8_t type, struct wire *w,
                uint64_t now_ns, struct outbox *o, struct fault *f);

#endif
