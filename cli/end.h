/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a copy: a volume (by the gateway's code), a local file or block
 * device, or an NBD server (by libnbd).
 *
 * Thread rule: end_take, end_open and end_close by the main thread; the rest by
 * any, at the same time.
 */
#ifndef BH_CLI_END_H
#define BH_CLI_END_H

#include <pthread.h>

#include "cli/session.h"

#define END_CONNECTIONS 8u /* with an NBD server that allows several */
#define END_ID_BYTES 256u

enum end_kind { END_VOLUME, END_FILE, END_NBD };

struct nbd_handle;

struct end {
  enum end_kind kind;
  const struct cli *cli;
  char name[600]; /* for people; no secret */
  bool writes;
  uint64_t size;
  uint32_t block_min; /* what writes keep to */
  bool can_zero;
  /* What tells it from another one of its name; "" if nothing does. changed:
   * differs after somebody wrote to it, if that is known.
   */
  char identity[END_ID_BYTES], changed[64];
  struct session session;
  bool has_session;
  int fd;
  bool is_new; /* a file that was just made: it reads as zeroes */
  bool has_grown; /* a file that was too short: no copy has been here */
  struct {
    struct nbd_handle *handle;
    pthread_mutex_t lock;
  } nbd[END_CONNECTIONS];
  unsigned connections;
};

/* Looks at c->arg[first], and the KEY=VALUE words behind it if it is a volume;
 * *ret_next: the first argument that is not its. Opens nothing. end_close also
 * after an error.
 */
enum err end_take (struct end *e, const struct cli *c, unsigned first,
                   bool writes, unsigned *ret_next, struct fault *f);
/* size: what a file that is written must hold; a file is made if there is none.
 * A volume is used without the cache.
 */
enum err end_open (struct end *e, uint64_t size, struct fault *f);
void end_close (struct end *e);

/* Any length within the size; 0 or a positive errno. thread: any number, to
 * spread the connections.
 */
int end_read (struct end *e, unsigned thread, void *buf, uint32_t n,
              uint64_t at);
int end_write (struct end *e, unsigned thread, const void *buf, uint32_t n,
               uint64_t at);
/* EOPNOTSUPP: write zeroes. */
int end_zero (struct end *e, unsigned thread, uint32_t n, uint64_t at);
int end_flush (struct end *e);

#endif
