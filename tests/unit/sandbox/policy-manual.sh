#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual's policy section says what the table says, and SECURITY.md how many
# calls there are.
#
#   policy-manual.sh            compares
#   policy-manual.sh --update   writes the section anew (in the source tree)

pod=${srcdir:-.}/docs/bulkhead-worker.pod
begin='=for comment begin of the policy'
end='=for comment end of the policy'

section () {
  echo
  ./tests/fake/policy-print
  echo
}

if [ "$1" = --update ]; then
  section >policy-section.tmp || exit 1
  sed -i -e "/^$begin/,/^$end/{/^$begin/{p;r policy-section.tmp
};/^$end/p;d}" "$pod"
  rm policy-section.tmp
  exit 0
fi

in_manual=$(sed -n "/^$begin/,/^$end/p" "$pod" | grep -v '^=for comment')
[ -n "$in_manual" ] || { echo "no policy section in $pod"; exit 1; }
if [ "$in_manual" != "$(section)" ]; then
  echo "$pod is out of step with sandbox/policy.c; run, in the build directory:"
  echo "srcdir=$srcdir $0 --update"
  exit 1
fi

# "plain TCP has N calls in some form, one that speaks SSH N, one … TLS N"
counts=$(section | sed '/^=head2/q' | tr '\n' ' ' | tr -cd '0-9 ' | tr -s ' ')
set -- $counts
text="all but $1 system calls ($2 with SSH, $3 with TLS)"
grep -Fq "$text" "${srcdir:-.}/SECURITY.md" \
  || { echo "SECURITY.md does not say: $text"; exit 1; }
