/* SPDX-License-Identifier: BSD-2-Clause */
/* Network addresses, and the answer of the resolver helper:
 *
 *   u32 magic, u8 1, u8 count, count × { u8 4 or 6, address, u32 scope id }
 *   u32 magic, u8 0, fault
 *
 * The helper parses network bytes, so its answer is checked like a peer's.
 */
#ifndef BH_CACHE_ADDRESS_H
#define BH_CACHE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

#define ADDRESSES 16u
/* One write to a pipe that is not torn (PIPE_BUF). */
#define ADDRESS_ANSWER_BYTES 4096u
#define ADDRESS_TEXT_BYTES 80

struct address {
  int family; /* AF_INET, AF_INET6 */
  uint8_t bytes[16];
  uint32_t scope_id;
};

struct address_list {
  unsigned count;
  struct address a[ADDRESSES];
};

/* "192.0.2.1", "2001:db8::1": true if text is a literal address. */
bool
address_parse (const char *text, struct address *ret);
/* False for families that we do not dial. */
bool
address_from_sockaddr (const struct sockaddr *sa, struct address *ret);
socklen_t
address_to_sockaddr (const struct address *a, uint16_t port,
                     struct sockaddr_storage *ret);
/* "192.0.2.1:22", "[2001:db8::1]:22" */
void
address_text (const struct address *a, uint16_t port,
              char dst[ADDRESS_TEXT_BYTES]);

/* Returns the answer's length in bytes; list or fault is NULL. */
size_t
address_answer_put (const struct address_list *list, const struct fault *fault,
                    uint8_t dst[ADDRESS_ANSWER_BYTES]);
/* ERR_OK and at least one address; the helper's own fault in *f; or ERR_PEER
 * for what is no answer, with *f filled as well.
 */
enum err
address_answer_take (const uint8_t *bytes, size_t length_bytes,
                     struct address_list *ret, struct fault *f);

#endif
