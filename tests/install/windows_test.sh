#!/usr/bin/env bash
# windows_test.sh BUILD: a mingw-w64 build: what ponder.dll exports and needs, no aligned vector moves, and its programs
# under wine. Run from the root of the tree.
set -euo pipefail
build=$1
fail() { echo "$*" >&2; exit 1; }
wine=$(PATH=/usr/lib/wine:$PATH command -v wine64)  # Debian's place
export WINEDEBUG=-all WINEPREFIX=$PWD/$build/wine

objdump=x86_64-w64-mingw32-objdump
exports=$($objdump -p "$build/capi/ponder.dll" | awk '/\[Ordinal\/Name Pointer\] Table/ {on = 1; next} NF == 0 {on = 0} on {print $NF}' | sort)
diff <(sort capi/abi/ponder.symbols) <(echo "$exports") || fail "ponder.dll exports something else than ponder.symbols lists"
needs=$($objdump -p "$build/capi/ponder.dll" | awk '/DLL Name:/ {print tolower($3)}' | sort)
echo "ponder.dll needs" $needs
grep -qvE '^(kernel32|msvcrt|api-ms-.*|ucrtbase)\.dll$' <<<"$needs" && fail "ponder.dll needs more than the system"

# GCC bug 54412: a move to a stack that is aligned to 16 bytes only.
aligned=$(find "$build" -path '*ponder_kernels_avx*' -name '*.obj' -exec $objdump -d {} + |
  grep -E 'vmov(aps|apd|dqa|dqa32|dqa64) ' | grep -E '%[yz]mm' | grep -F '(' || true)
[ -z "$aligned" ] || fail "aligned vector moves: $(head -n 3 <<<"$aligned")"

$wine "$build/examples/cli/ponder.exe" run -p "What is 347+85?" >"$build/answer.txt" 2>"$build/errors.txt" || { cat "$build/errors.txt"; exit 1; }
grep -F '\boxed{432}' "$build/answer.txt" || fail "no answer: $(cat "$build/answer.txt")"
for tests in base io text kernels golden; do
  echo "$tests"
  $wine "$build/tests/${tests}_tests.exe" 2>/dev/null | tail -n 3 | tee "$build/result.txt"
  grep -q 'Status: SUCCESS' "$build/result.txt" || fail "$tests: failed"
done
