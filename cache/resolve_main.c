/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-resolve: one getaddrinfo in a sandbox. Started by bulkheadd; the
 * answer (address.h) goes to RESOLVER_FD_RESULT in one write.
 */
#include "config.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/address.h"
#include "sandbox/sandbox.h"

static int
answer (const struct address_list *list, const struct fault *f)
{
  uint8_t bytes[ADDRESS_ANSWER_BYTES];
  size_t n = address_answer_put (list, f, bytes);

  return write (RESOLVER_FD_RESULT, bytes, n) == (ssize_t)n ? EXIT_SUCCESS
                                                            : EXIT_FAILURE;
}

static void
resolve_fault (const char *host, int gai, struct fault *f)
{
  fault_set (f, ERR_RESOLVE, "cannot resolve %s: %s", host, gai_strerror (gai));
  if (gai == EAI_NONAME || gai == EAI_NODATA)
    fault_hint (f, "check the host name in the URL");
  else
    fault_hint (f, "check the name servers in /etc/resolv.conf");
}

static enum err
resolve (const char *host, struct address_list *ret, struct fault *f)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *all = NULL;
  struct address_list list = {0};
  int gai = getaddrinfo (host, NULL, &hints, &all);

  /* A host with nothing but loopback has no configured address: then
   * AI_ADDRCONFIG hides even the names of /etc/hosts.
   */
  if (gai == EAI_NONAME || gai == EAI_ADDRFAMILY || gai == EAI_NODATA) {
    hints.ai_flags = 0;
    gai = getaddrinfo (host, NULL, &hints, &all);
  }
  if (gai) {
    resolve_fault (host, gai, f);
    return ERR_RESOLVE;
  }
  for (struct addrinfo *a = all; a && list.count < ADDRESSES; a = a->ai_next)
    if (address_from_sockaddr (a->ai_addr, &list.a[list.count]))
      list.count++;
  freeaddrinfo (all);
  if (list.count == 0) {
    resolve_fault (host, EAI_NODATA, f);
    return ERR_RESOLVE;
  }
  *ret = list;
  return ERR_OK;
}

int
main (int argc, char **argv)
{
  struct address_list list;
  struct fault f = {0};
  struct stat st;
  uint32_t layers;

  if (argc != 3 || strcmp (argv[1], "--") != 0
      || fstat (RESOLVER_FD_RESULT, &st) < 0) {
    fputs ("bulkhead-resolve is started by bulkheadd, not by hand\n", stderr);
    return EXIT_FAILURE;
  }
  if (sbx_seal (SBX_RESOLVER, NULL, &layers, &f)
      || resolve (argv[2], &list, &f))
    return answer (NULL, &f);
  return answer (&list, NULL);
}
