/* SPDX-License-Identifier: BSD-2-Clause */
/* Which host keys the user trusts: the known_hosts format of OpenSSH (sshd(8),
 * "SSH_KNOWN_HOSTS FILE FORMAT"): plain names, patterns with * ? and !, hashed
 * names, [host]:port, @revoked. @cert-authority lines are ignored, as host
 * certificates are not offered. Lines that cannot be read are skipped.
 *
 * Used by the daemon on text that it read from fds of the gateway. Pure; any
 * thread.
 */
#ifndef BH_CACHE_KNOWN_HOSTS_H
#define BH_CACHE_KNOWN_HOSTS_H

#include <stddef.h>
#include <stdint.h>

/* "SHA256:" and 43 characters */
#define HOSTKEY_FINGERPRINT_BYTES 64
#define HOSTKEY_TYPE_BYTES 64
#define HOSTKEY_BLOB_BYTES 8192
#define HOSTKEY_TYPES_BYTES 128

struct known_hosts_file {
  const char *name; /* for messages */
  const char *text; /* not NUL-terminated */
  size_t length_bytes;
};

enum known_hosts_verdict {
  KNOWN_HOSTS_MATCH,
  KNOWN_HOSTS_UNKNOWN, /* no entry of this host has a key of this type */
  KNOWN_HOSTS_CHANGED, /* an entry of this host has another key of this type */
  KNOWN_HOSTS_REVOKED, /* this very key is marked @revoked */
};

/* Where the verdict comes from; of UNKNOWN nothing is filled. */
struct known_hosts_found {
  const char *file;                            /* its name */
  unsigned line;                               /* from 1 */
  char fingerprint[HOSTKEY_FINGERPRINT_BYTES]; /* of the entry's key */
};

/* Looks for the key (RFC 4253 §6.6) of host at port in all files. As ssh(1)
 * does, a key that stands under the plain name is also a match for a port
 * other than 22 that has no entries of its own.
 */
enum known_hosts_verdict
known_hosts_check (const struct known_hosts_file *files, unsigned count,
                   const char *host, uint16_t port, const uint8_t *blob,
                   size_t blob_bytes, struct known_hosts_found *ret);

/* The types of the keys that the files have for this host, most wanted first,
 * as a name-list: what to ask the server for, so that of several keys it shows
 * one that can be checked. "" if the host is unknown.
 */
void
known_hosts_types (const struct known_hosts_file *files, unsigned count,
                   const char *host, uint16_t port,
                   char dst[HOSTKEY_TYPES_BYTES]);

/* As ssh-keygen -l prints it. */
void
hostkey_fingerprint (const uint8_t *blob, size_t blob_bytes,
                     char dst[HOSTKEY_FINGERPRINT_BYTES]);
/* The key's type as the blob says it; "?" if it says nothing printable. */
void
hostkey_type (const uint8_t *blob, size_t blob_bytes,
              char dst[HOSTKEY_TYPE_BYTES]);

#endif
