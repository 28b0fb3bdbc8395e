/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into nbdkit by ./run, in AddressSanitizer builds only.
 *
 * nbdkit is linked with p11-kit, which frees a locale in a destructor. With the
 * sanitizer's runtime preloaded, and after any strerror, glibc 2.36 waits there
 * forever for its locale lock: nbdkit does not end. (A plugin of five lines
 * shows it.) Nobody needs that memory back when a process ends.
 */
#include <locale.h>

void
freelocale (locale_t locale)
{
  (void)locale;
}
