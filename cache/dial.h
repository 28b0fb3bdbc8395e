/* SPDX-License-Identifier: BSD-2-Clause */
/* Dialling: connects to the first address of a list that answers, and fencing:
 * resetting a connection that a dead worker may have left busy.
 */
#ifndef BH_CACHE_DIAL_H
#define BH_CACHE_DIAL_H

#include "cache/address.h"
#include "cache/daemon.h"

#define DIAL_TIMEOUT_S 10.0

struct dialer;

/* Called once. fd: a connected socket, non-blocking, close-on-exec, the
 * caller's; index: its address in the list; or -1 and f says why. The dialer
 * is gone when it is called.
 */
typedef void
dialer_done (void *ctx, int fd, unsigned index, const struct fault *f);

/* The port to dial from. Each is a wish: else it is the kernel's choice. */
struct dial_from {
  uint16_t port; /* this one; 0: any */
  bool reserved; /* one below 1024, if the daemon may */
  uid_t uid;     /* whose socket it is to firewalls; 0: the daemon's */
};

/* Tries the addresses in turn, DIAL_TIMEOUT_S in total: each gets its share of
 * what is left. host is for messages. done is never called before this
 * returns. list is copied, and so is from.
 */
enum err
dialer_start (struct daemon *d, const char *host,
              const struct address_list *list, uint16_t port,
              const struct dial_from *from, dialer_done *done, void *ctx,
              struct dialer **ret, struct fault *f);
void
dialer_cancel (struct dialer *x); /* NULL is allowed */

/* Acknowledges now what was received. sshd leaves Nagle's algorithm on until a
 * session starts, and so holds its next packet back until the last one is
 * acknowledged: with delayed acknowledgements that costs 40 ms in each login.
 */
void
dial_acknowledge (int fd);

/* The port that a connection was dialled from; 0: none. */
uint16_t
dial_source_port (int fd);

/* Resets the connection and drops what is queued, although other dups of the
 * socket live. Best effort: a connection that is gone already is fenced.
 */
void
dial_fence (int fd);

/* All of a worker's of this user. The gateway has them, too, and can hold a
 * socket's lock for as long as it likes (by sending from memory whose pages do
 * not come): apart, a process of its own does it, which is waited for shortly.
 */
void
dial_fence_all (struct daemon *d, uid_t uid, const int *fd, unsigned n,
                bool apart);
/* One of this user's is not done yet. */
bool
dial_fence_is_late (const struct daemon *d, uid_t uid);

/* In a child that was forked: closes all but these and the first three. Sockets
 * and locks of the daemon must not live as long as it does.
 */
void
dial_close_others (const int *fd, unsigned n);

#endif
