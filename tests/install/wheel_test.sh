#!/usr/bin/env bash
# wheel_test.sh SOURCE WORK: the Python wheel built as `pip install` builds it, what its library needs and exports, and an
# answer in a fresh environment without anything else of ponder.
set -euo pipefail
source=$1 work=$2
fail() { echo "$*" >&2; exit 1; }

rm -rf "$work"
mkdir -p "$work/wheel"
python3 -m venv "$work/venv"
unset PONDER_LIBRARY PYTHONPATH
"$work/venv/bin/pip" wheel --quiet --no-index --no-deps -w "$work/wheel" "$source/examples/bindings/python"
ls -- "$work/wheel"
"$work/venv/bin/pip" install --quiet --no-index "$work"/wheel/ponder-*.whl
library=$(find "$work/venv" -name 'libponder.so')
[ -n "$library" ] || fail "no library in the wheel"

needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
echo "needs" $needed
grep -vE '^(libc|libm|libpthread|libdl|ld-linux-[a-z0-9-]+)\.so\.[0-9]+$' <<<"$needed" && fail "the wheel's library needs more than the C library"
nm -D --defined-only "$library" | sed -n 's/.* [A-Z] \(ponder_[a-z_0-9]*\)@@.*/\1/p' | sort | diff <(sort "$source/capi/abi/ponder.symbols") - ||
  fail "the wheel's library exports something else than ponder.symbols lists"
nm -D --defined-only "$library" | grep -vE ' (A PONDER_0|[A-Z] ponder_[a-z_0-9]+@@PONDER_0)' && fail "the wheel's library exports more"

# The platform tag says the oldest glibc (PEP 600) that the library's symbols need, 2.17 at least.
glibc=$( (objdump -T "$library" | grep -o 'GLIBC_2\.[0-9]*'; echo GLIBC_2.17) | sort -uV | tail -n 1)
ls "$work"/wheel/ponder-*-py3-none-manylinux_2_"${glibc#GLIBC_2.}"_"$(uname -m)".whl || fail "the wheel's tag is not that of $glibc"

cd /
answer=$("$work/venv/bin/python" -I - "$source/examples/models/ponder-tiny-r1" <<'PYTHON'
import sys

import ponder

with ponder.Model(sys.argv[1]) as model, model.session() as session:
    print("".join(event.text for event in session.chat("What is 347+85?") if not event.thinking).strip())
PYTHON
)
[ "$answer" = '\boxed{432}' ] || fail "the answer is '$answer'"
echo "answered: $answer"
