#!/usr/bin/env bash
# debian_test.sh BUILD SOURCE WORK: the Debian packages and the archive of a build whose prefix is /usr, put into a root of
# their own, used there and removed again.
set -euo pipefail
build=$1 source=$2 work=$3
model=$source/examples/models/ponder-tiny-r1
fail() { echo "$*" >&2; exit 1; }
answers() { "$@" >"$work/answer" 2>&1 && grep -qF '\boxed{432}' "$work/answer" || fail "$*: no answer"; }

rm -rf "$work"
mkdir -p "$work/packages"
(cd "$build" && cpack -G "DEB;TGZ" -B "$work/packages") >"$work/cpack.log" 2>&1 || { cat "$work/cpack.log"; exit 1; }
cd "$work/packages"
ls -- *.deb *.tar.gz

# What is in which package.
for package in *.deb; do dpkg-deb -c "$package" >"../${package%%_*}.contents"; done
contents() { cat "../$1.contents"; }
has() { grep "$@" >/dev/null; }  # reads to the end, where grep -q breaks the pipe
field() { dpkg-deb -f "$1"_[0-9]*.deb "$2"; }
version=$(field libponder0 Version)
contents libponder0 | has '/libponder\.so\.0 -> libponder\.so\.' || fail "libponder0: no libponder.so.0"
contents libponder0 | has -E '/include/|/bin/|\.a$|libponder\.so( |$)' && fail "libponder0 holds more than the library"
for file in include/ponder/ponder.h include/ponder/ponder.hpp libponder.a 'libponder.so ' ponder.pc ponder-static.pc ponder-config.cmake; do
  contents libponder-dev | has -F "$file" || fail "libponder-dev: no $file"
done
for file in bin/ponder man/man1/ponder.1.gz bash-completion/completions/ponder zsh/vendor-completions/_ponder fish/vendor_completions.d/ponder.fish; do
  contents ponder | has -F "$file" || fail "ponder: no $file"
done
for package in libponder0 libponder-dev ponder; do
  contents "$package" | has "/usr/share/doc/$package/copyright" || fail "$package: no copyright"
  contents "$package" | awk '$2 != "root/root" || $6 !~ /^\.\/usr\/|^\.\/$/ {exit 1}' || fail "$package: not root's, or outside of /usr"
done
field libponder0 Depends | has 'libc6 (>= .*libstdc++6 (>= ' || fail "libponder0: Depends: $(field libponder0 Depends)"
field libponder-dev Depends | has -F "libponder0 (= $version)" || fail "libponder-dev: Depends: $(field libponder-dev Depends)"
field ponder Depends | has 'libc6 (>= ' || fail "ponder: Depends: $(field ponder Depends)"
dpkg-deb --ctrl-tarfile libponder0_*.deb | tar -xO ./shlibs | has "^libponder 0 libponder0" || fail "libponder0: no shlibs"
dpkg-deb --ctrl-tarfile libponder0_*.deb | tar -xO ./triggers | has ldconfig || fail "libponder0: no ldconfig"

# A root of its own that believes to have what this machine has: dependencies are checked, nothing here is touched.
root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
cp /var/lib/dpkg/status "$root/var/lib/dpkg/status"
in_root() { dpkg --root="$root" --force-not-root --force-script-chrootless "$@" >>"$work/dpkg.log" 2>&1 || { tail -n 20 "$work/dpkg.log"; exit 1; }; }
in_root -i -- *.deb
folder=$(dirname "$(find "$root/usr/lib" -name libponder.a)")
answers "$root/usr/bin/ponder" run -p "What is 347+85?"
readelf -d "$folder/libponder.so.0" | has -F 'soname: [libponder.so.0]' || fail "the soname is not libponder.so.0"
(cd "$root" && md5sum --quiet -c) <<<"$(for p in *.deb; do dpkg-deb --ctrl-tarfile "$p" | tar -xO ./md5sums; done)"

# Hosts against the packages, then against the archive.
hosts() {  # hosts PREFIX LIBRARY_FOLDER
  cmake -S "$source/tests/install/package" -B "$work/hosts" --fresh -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$1" >"$work/hosts.log"
  cmake --build "$work/hosts" >>"$work/hosts.log"
  for host in c_ponder c_ponder_static cpp_ponder cpp_ponder_static; do "$work/hosts/$host" "$model"; done
  export PKG_CONFIG_PATH=$2/pkgconfig
  # shellcheck disable=SC2046
  cc "$source/tests/install/consumer.c" -o "$work/static_host" $(pkg-config --cflags --libs ponder-static)
  answers "$work/static_host" "$model"
  readelf -d "$work/static_host" | has libponder && fail "ponder-static links the shared library"
  return 0
}
hosts "$root/usr" "$folder"
mkdir "$work/archive"
tar -xzf ponder-*.tar.gz -C "$work/archive" --strip-components=1
hosts "$work/archive" "$(dirname "$(find "$work/archive" -name libponder.a)")"
answers "$work/archive/bin/ponder" run -p "What is 347+85?"

# lintian where it is; no errors. Who publishes the packages gives them an address (PONDER_PACKAGE_CONTACT).
if command -v lintian >/dev/null; then
  lintian --allow-root --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog --tag-display-limit 0 -- *.deb || fail "lintian"
fi

in_root --purge $(for p in *.deb; do dpkg-deb -f "$p" Package; done)
left=$([ ! -e "$root/usr" ] || find "$root/usr" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
echo "installed, used and removed: version $version"
