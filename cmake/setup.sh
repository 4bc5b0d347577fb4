# Sourced by ./run and ./test: installs the Debian packages that the build needs and are not there yet.
# ponder_packages PACKAGE...: says what it installs and why; does nothing when all are installed.
ponder_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "Installing the build tools and libraries that ponder is compiled with: ${missing[*]}"
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Compiler and generator; fmt, nlohmann-json and PCRE2 go into the library, CLI11 into the ponder program.
ponder_build_packages=(g++ cmake ninja-build pkg-config libfmt-dev nlohmann-json3-dev libpcre2-dev libcli11-dev)
