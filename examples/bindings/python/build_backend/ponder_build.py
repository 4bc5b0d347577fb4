"""
The PEP 517 backend of the ponder package: Python's standard library and CMake, nothing to download.

PONDER_LIBRARY   a built libponder to put into the wheel; "system": none, the package uses the one of the system
PONDER_CMAKE_ARGS  more options for CMake, as a shell would split them
PONDER_WHEEL_PLATFORM  the platform tag, where "linux_x86_64" and the like is not wanted
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# What the library is built from, for a source distribution.
SOURCES = ["CMakeLists.txt", "LICENSE", "cmake", "include", "kernels", "lib", "capi"]
NAMES = {"win32": "ponder.dll", "darwin": "libponder.dylib"}


def _source() -> Path:
    """ponder's own tree: around this one, or inside a source distribution."""
    for folder in (HERE / "ponder_source", HERE.parents[2]):
        if (folder / "include/ponder/version.h").is_file():
            return folder
    raise SystemExit(f"ponder's sources are neither in {HERE / 'ponder_source'} nor around {HERE}")


def _version() -> str:
    text = (_source() / "include/ponder/version.h").read_text()
    match = re.search(r'PONDER_VERSION_STRING "([0-9.]+)"', text)
    assert match, "version.h has no PONDER_VERSION_STRING"
    return match[1]


def _run(*command: str) -> None:
    print("+", shlex.join(command), flush=True)
    subprocess.run(command, check=True)


def _build_library() -> Path:
    """libponder alone, with the C++ runtime inside: it then needs the C library only."""
    source = _source()
    build = (source if source.name != "ponder_source" else HERE) / "build/python"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DPONDER_BUILD_TESTS=OFF", "-DPONDER_BUILD_EXAMPLES=OFF",
               "-DPONDER_ONEDNN=OFF"]  # fmt: skip
    if sys.platform not in ("win32", "darwin"):
        options.append("-DCMAKE_SHARED_LINKER_FLAGS=-static-libstdc++ -static-libgcc")
    if shutil.which("ninja"):
        options += ["-G", "Ninja"]
    options += shlex.split(os.environ.get("PONDER_CMAKE_ARGS", ""))
    cmake = shutil.which("cmake")
    if not cmake:
        raise SystemExit("CMake is needed to build ponder; or set PONDER_LIBRARY to a libponder that is built already")
    _run(cmake, "-S", str(source), "-B", str(build), *options)
    _run(cmake, "--build", str(build), "--config", "Release", "--target", "ponder", "--parallel", str(os.cpu_count() or 1))
    for pattern in ("capi/libponder.so", "capi/libponder.dylib", "capi/*ponder.dll", "capi/Release/*ponder.dll"):
        for path in build.glob(pattern):
            return path.resolve()
    raise SystemExit(f"no library was built in {build}/capi")


def _library() -> Path | None:
    given = os.environ.get("PONDER_LIBRARY", "")
    if given == "system":
        return None
    path = Path(given).resolve() if given else _build_library()
    if not path.is_file():
        raise SystemExit(f"PONDER_LIBRARY is {given}, which is no file")
    return path


def _metadata() -> str:
    return "\n".join([
        "Metadata-Version: 2.1",
        "Name: ponder",
        f"Version: {_version()}",
        "Summary: DeepSeek models inside your program",
        "License: MIT",
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Typing :: Typed",
        "Requires-Python: >=3.9",
        "Provides-Extra: numpy",
        "Requires-Dist: numpy; extra == 'numpy'",
        "Description-Content-Type: text/markdown",
        "",
        (HERE / "README.md").read_text(encoding="utf-8"),
    ])  # fmt: skip


def _glibc_of(library: Path) -> tuple[int, int] | None:
    """The oldest glibc that a 64-bit ELF library runs with; None when it needs more than the C library (PEP 600)."""
    data = library.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":  # 64 bits, little endian
        return None
    (table,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]

    def offset_of(address: int) -> int:
        for kind, _, offset, start, _, n_bytes in segments:
            if kind == 1 and start <= address < start + n_bytes:  # PT_LOAD
                return offset + address - start
        raise SystemExit(f"{library}: address {address:#x} is in no segment")

    entries: list[tuple[int, int]] = []
    for kind, _, offset, _, _, n_bytes in segments:
        if kind == 2:  # PT_DYNAMIC
            entries = [struct.unpack_from("<QQ", data, at) for at in range(offset, offset + n_bytes, 16)]  # type: ignore[misc]
    first = dict(reversed(entries))
    strings = offset_of(first[5])  # DT_STRTAB

    def text(at: int) -> str:
        return data[strings + at : data.index(b"\0", strings + at)].decode()

    needed = {text(value) for tag, value in entries if tag == 1}  # DT_NEEDED
    if any(not re.match(r"(libc|libm|libpthread|libdl|librt|ld-linux-[a-z0-9-]+)\.so\.", name) for name in needed):
        return None
    versions = [(2, 17)]  # manylinux2014: no pip looks for older ones
    at = offset_of(first[0x6FFFFFFE]) if 0x6FFFFFFE in first else 0  # DT_VERNEED
    for _ in range(first.get(0x6FFFFFFF, 0)):  # DT_VERNEEDNUM
        _, n_versions, _, to_versions, to_next = struct.unpack_from("<HHIII", data, at)
        name_at = at + to_versions
        for _ in range(n_versions):
            name, to_name = struct.unpack_from("<II", data, name_at + 8)
            if match := re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", text(name)):
                versions.append((int(match[1]), int(match[2])))
            name_at += to_name
        at += to_next
    return max(versions)


def _tag(library: Path | None) -> str:
    """No part of the package is bound to a version of Python; with the library inside it is bound to a platform."""
    if library is None:
        return "py3-none-any"
    platform = os.environ.get("PONDER_WHEEL_PLATFORM") or re.sub(r"[-.]", "_", sysconfig.get_platform())
    glibc = _glibc_of(library) if platform.startswith("linux_") else None
    if glibc:
        platform = platform.replace("linux_", f"manylinux_{glibc[0]}_{glibc[1]}_", 1)
    return f"py3-none-{platform}"


class _Wheel:
    def __init__(self, folder: str, tag: str) -> None:
        self.dist_info = f"ponder-{_version()}.dist-info"
        self.name = f"ponder-{_version()}-{tag}.whl"
        self.tag = tag
        self.records: list[str] = []
        self.zip = zipfile.ZipFile(Path(folder) / self.name, "w", zipfile.ZIP_DEFLATED)

    def add(self, name: str, data: bytes, mode: int = 0o644) -> None:
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes from the same sources
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (0o100000 | mode) << 16
        self.zip.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.records.append(f"{name},sha256={digest},{len(data)}")

    def close(self) -> str:
        self.add(f"{self.dist_info}/METADATA", _metadata().encode())
        self.add(
            f"{self.dist_info}/WHEEL",
            f"Wheel-Version: 1.0\nGenerator: ponder_build\nRoot-Is-Purelib: {str(self.tag.endswith('any')).lower()}\n"
            f"Tag: {self.tag}\n".encode(),
        )
        self.add(f"{self.dist_info}/LICENSE", (_source() / "LICENSE").read_bytes())
        record = f"{self.dist_info}/RECORD"
        self.zip.writestr(zipfile.ZipInfo(record, (1980, 1, 1, 0, 0, 0)), "\n".join([*self.records, f"{record},,", ""]))
        self.zip.close()
        return self.name


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None) -> str:
    library = _library()
    wheel = _Wheel(wheel_directory, _tag(library))
    for path in sorted((HERE / "ponder").iterdir()):
        if path.suffix == ".py" or path.name == "py.typed":
            wheel.add(f"ponder/{path.name}", path.read_bytes())
    if library is not None:
        wheel.add(f"ponder/{NAMES.get(sys.platform, 'libponder.so')}", library.read_bytes(), 0o755)
    return wheel.close()


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    """Without it a frontend builds the wheel twice."""
    folder = Path(metadata_directory) / f"ponder-{_version()}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(_metadata(), encoding="utf-8")
    return folder.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_editable(wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None) -> str:
    """The package stays where it is; the library is copied beside it."""
    library = _library()
    if library is not None:
        shutil.copyfile(library, HERE / "ponder" / NAMES.get(sys.platform, "libponder.so"))
    wheel = _Wheel(wheel_directory, _tag(library))
    wheel.add("ponder.pth", f"{HERE}\n".encode())
    return wheel.close()


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    base = f"ponder-{_version()}"
    source = _source()

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if "__pycache__" in info.name or info.name.endswith((".pyc", "libponder.so", ".dylib", ".dll")):
            return None
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(Path(sdist_directory) / f"{base}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        data = _metadata().encode()
        info = tarfile.TarInfo(f"{base}/PKG-INFO")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
        for name in ("pyproject.toml", "README.md", "build_backend", "ponder"):
            archive.add(HERE / name, f"{base}/{name}", filter=plain)
        for name in SOURCES:
            archive.add(source / name, f"{base}/ponder_source/{name}", filter=plain)
    return f"{base}.tar.gz"


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    return []


get_requires_for_build_sdist = get_requires_for_build_editable = get_requires_for_build_wheel
