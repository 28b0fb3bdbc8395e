/* SPDX-License-Identifier: BSD-2-Clause */
/* The link of one gateway process to a volume: the daemon's connection, one
 * path or several (each a channel with a worker at its other end), and the
 * threads that wait for them.
 *
 * Thread rule: link_open before any thread exists (nbdkit has not forked yet);
 * link_start once afterwards, in the serving process; then link_read,
 * link_write and link_plain from any number of threads; link_close when all of
 * these have returned.
 *
 * Among the threads that wait, one at a time leads: it sleeps on the workers'
 * eventfd, takes completions out of the rings and wakes whose they are. So a
 * single request costs a single wake-up, and no thread of its own sits in
 * between. A control thread does the rare things: workers that die and come.
 *
 * Inside, request logic is inflight.c's (pure); this file and wait.c have the
 * locks, the clock and the system calls.
 */
#ifndef BH_GATEWAY_LINK_H
#define BH_GATEWAY_LINK_H

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "ipc/channel.h"
#include "ipc/volume.h"

struct link;

/* What the user chose; times in ns. */
struct link_options {
  unsigned connections;    /* 1 … CHANNEL_PATHS, each with a worker */
  const char *program;     /* for the daemon; NULL: it is the plugin */
  bool readonly;           /* nobody will write; only told */
  bool cached;             /* answer reads from the shared cache */
  uint64_t outage_fail_ns; /* without a worker for so long, requests fail;
                              UINT64_MAX: they wait */
  uint64_t revalidate_ns; /* how often to look for writes of others; 0: never */
  uint32_t prefetch_bytes; /* of a sequential stream at most; 0: none */
  uint32_t retain_bytes;   /* of the log of retained writes; 0: none */
  uint64_t request_ns; /* a request unanswered for so long ends the session */
  /* The object's size is another one; may be NULL. By the control thread, with
   * the lock held: it must neither wait nor call anything of this.
   */
  void (*resized) (uint64_t size_bytes);
};

/* fds: files that spec names by index; the link takes them over, and closes
 * them in link_close. interrupted () is asked at least every 100 ms by each
 * waiting thread, without a lock held: true ends the wait with ERR_SHUTDOWN.
 * Waits until the volume can be used. On an error *f says why, in words for
 * the user.
 */
enum err link_open (const struct volume_spec *spec, int *fds, unsigned nfds,
                    const struct link_options *options, const struct log *log,
                    bool (*interrupted) (void), struct link **ret,
                    struct fault *f);
/* Starts the control thread; tells the daemon which process serves. */
enum err link_start (struct link *l, struct fault *f);
void link_close (struct link *l);
/* Ends the waits of all threads in here, for link_close; any thread. */
void link_stop (struct link *l);

/* Returns when all that was acknowledged before is proven: 0,
 * or why not: a positive errno. internal: not one of nbdkit's threads.
 */
int link_prove (struct link *l, bool internal);
/* Whether nothing was written that the server has not proven to be stable. */
bool link_is_proven (struct link *l);

/* Of its size use link_size. */
const struct volume_info *link_info (const struct link *l);
/* In bytes. It may grow, when others make the object longer and the server is
 * asked (revalidate_ns), or when a session begins; it never shrinks.
 */
uint64_t link_size (const struct link *l);

/* Pages answered from the cache, not found there, offered to it. */
struct link_stats {
  uint64_t hits, misses, fills, wakes;
  uint64_t joined;    /* parts of reads that joined another one's request */
  uint64_t takeovers; /* workers that came after another one had gone */
  uint64_t retained, resent; /* writes: now in the log; sent again, ever */
  uint64_t doubts;           /* of those in the log: the server may have lost */
  unsigned paths;
  uint64_t requests[CHANNEL_PATHS]; /* sent to the workers of each path */
};
void link_stats (struct link *l, struct link_stats *ret);

/* offset and length_bytes in bytes, any length. The return value is 0 or a
 * positive errno. After an error the contents of buf (read) or of the range
 * (write) are undefined.
 */
int link_read (struct link *l, void *buf, uint32_t length_bytes,
               uint64_t offset);
int link_write (struct link *l, const void *buf, uint32_t length_bytes,
                uint64_t offset, uint32_t flags);
/* FLUSH (offset 0, length 0), TRIM, ZERO. What a FLUSH has answered is stable:
 * what the server may have lost was sent again before.
 */
int link_plain (struct link *l, enum io_op op, uint32_t length_bytes,
                uint64_t offset, uint32_t flags);
/* Block status from offset on: ret_extents has room for IO_EXTENTS_MAX; *ret_n
 * of them, at least one, follow each other and cover length_bytes or less.
 */
int link_status (struct link *l, uint32_t length_bytes, uint64_t offset,
                 struct io_extent *ret_extents, uint32_t *ret_n);

#endif
