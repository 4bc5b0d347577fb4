"""
Compares the low-level layers of the bindings with include/ponder/ponder.h: every function with its result and arguments,
every constant with its value, every struct with its fields in order. What is missing or differs is listed.

usage: check_coverage.py python|rust|go...
The Python layer is imported (PONDER_LIBRARY and PYTHONPATH as usual); Rust's and Go's are read as text. cgo itself
compares Go's calls with the header, so there only the names are looked for.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "include/ponder/ponder.h"
Type = str  # as in the header, without spaces around '*' and PONDER_CALL


class Header:
    def __init__(self):
        text = HEADER.read_text()
        self.constants = {}
        for name, value in re.findall(r"^#define (PONDER_[A-Z0-9_]+) (-?\d+)u?\b", text, re.M):
            self.constants[name] = int(value)
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        text = re.sub(r"\s+", " ", text)
        self.functions = {}
        for result, name, args in re.findall(r"PONDER_API (.+?)\bPONDER_CALL (\w+)\((.*?)\) PONDER_NOEXCEPT;", text):
            self.functions[name] = (self.type(result), [self.field(a)[0] for a in args.split(",")] if args != "void" else [])
        self.structs = {}
        for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text):
            self.structs[name] = [self.field(f) for f in body.split(";") if f.strip()]
        self.callbacks = {}
        for result, name, args in re.findall(r"typedef ([\w ]+\*?)\(PONDER_CALL\* (\w+)\)\((.*?)\);", text):
            self.callbacks[name] = (self.type(result), [self.field(a)[0] for a in args.split(",")])
        self.integers = set(re.findall(r"typedef int32_t (\w+);", text))
        self.handles = set(re.findall(r"typedef struct (\w+) \1;", text))

    @staticmethod
    def type(text) -> Type:
        return re.sub(r"\s*\*\s*", "*", re.sub(r"\s+", " ", text)).strip()

    @classmethod
    def field(cls, text):
        """(type, name) of a field or argument; "char message[508]" gives ("char[508]", "message")."""
        match = re.fullmatch(r"\s*(.*?)(\w+)(\[\d+\])?\s*", text)
        return cls.type(match[1]) + (match[3] or ""), match[2]


class Report:
    def __init__(self, binding):
        self.binding = binding
        self.problems = []

    def add(self, text):
        self.problems.append(f"{self.binding}: {text}")


def check_python(header):
    import ctypes

    from ponder import _native

    report = Report("python")
    numbers = {
        "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64,
        "size_t": ctypes.c_size_t, "float": ctypes.c_float, "double": ctypes.c_double, "void": None,
        "char[508]": ctypes.c_char * 508,
    }  # fmt: skip

    def accepted(c_type):
        """The ctypes types that are right for it."""
        if c_type in numbers:
            return [numbers[c_type]]
        if c_type in header.integers:
            return [ctypes.c_int32]
        if c_type in header.callbacks:
            return [getattr(_native, c_type, "missing")]
        target = re.sub(r"\bconst\b|\s", "", c_type)[:-1]
        if target in ("char", "void"):
            return [ctypes.c_char_p, ctypes.c_void_p]
        if target in header.handles and target not in header.structs:
            return [ctypes.c_void_p]
        if target in header.structs:
            return [ctypes.POINTER(getattr(_native, target))]
        if target in numbers or target in header.integers:
            return [ctypes.POINTER(accepted(target)[0])]
        if target.endswith("*"):  # char** and handles
            return [ctypes.POINTER(ctypes.c_void_p)]
        raise SystemExit(f"{HEADER.name}: a type that this script does not know: {c_type}")

    def agrees(found, c_type):
        return found in accepted(c_type)

    for name, (result, args) in header.functions.items():
        if name not in _native.FUNCTIONS:
            report.add(f"{name} is missing")
            continue
        found_result, found_args = _native.FUNCTIONS[name]
        if not agrees(found_result, result):
            report.add(f"{name} returns {found_result}, the header says {result}")
        if len(found_args) != len(args):
            report.add(f"{name} has {len(found_args)} arguments, the header {len(args)}")
        for i, (found, wanted) in enumerate(zip(found_args, args)):
            if not agrees(found, wanted):
                report.add(f"{name}, argument {i + 1}: {found.__name__}, the header says {wanted}")
    for name in _native.FUNCTIONS.keys() - header.functions.keys():
        report.add(f"{name} is not in the header")
    for name, value in header.constants.items():
        if getattr(_native, name, None) != value:
            report.add(f"{name} is {getattr(_native, name, 'missing')}, the header says {value}")
    for name, fields in header.structs.items():
        struct = getattr(_native, name, None)
        if struct is None:
            report.add(f"struct {name} is missing")
            continue
        if [n for n, _ in struct._fields_] != [n for _, n in fields]:
            report.add(f"struct {name} has other fields: {[n for n, _ in struct._fields_]}")
            continue
        for (_, found), (wanted, field) in zip(struct._fields_, fields):
            if not agrees(found, wanted):
                report.add(f"{name}.{field} is {found.__name__}, the header says {wanted}")
    for name, (result, args) in header.callbacks.items():
        function = getattr(_native, name, None)
        if function is None:
            report.add(f"{name} is missing")
        elif not agrees(function._restype_, result) or len(function._argtypes_) != len(args) or not all(
            agrees(found, wanted) for found, wanted in zip(function._argtypes_, args)
        ):
            report.add(f"{name} differs from the header")
    return report


def check_rust(header):
    report = Report("rust")
    path = HERE / "rust/ponder-sys/src/lib.rs"
    text = re.sub(r"//.*$", "", path.read_text(), flags=re.M)
    text = re.sub(r"\s+", " ", text)
    numbers = {
        "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64", "uint64_t": "u64", "size_t": "usize", "float": "f32",
        "double": "f64", "char": "c_char", "void": "c_void", "char[508]": "[c_char; 508]",
    }  # fmt: skip

    def rust(c_type):
        if c_type in header.callbacks:
            return f"Option<{c_type}>"
        if c_type.endswith("*const*"):  # T* const*
            return "*const *mut " + rust(c_type[: -len("*const*")])
        if c_type.endswith("*"):
            target = c_type[:-1]
            if target.startswith("const ") and not target.endswith("*"):
                return "*const " + rust(target[len("const ") :])
            return "*mut " + rust(target)
        return numbers.get(c_type, c_type)

    def result_of(c_type):
        return "" if c_type == "void" else f" -> {rust(c_type)}"

    found = dict(re.findall(r"pub fn (ponder_\w+)\((.*?);", text))
    for name, (result, args) in header.functions.items():
        if name not in found:
            report.add(f"{name} is missing")
            continue
        inside, _, found_result = found[name].rpartition(")")
        types = [a.split(":", 1)[1].strip() for a in inside.split(",") if a.strip()]
        wanted = [rust(a) for a in args]
        if types != wanted or found_result.rstrip() != result_of(result):
            report.add(f"{name} is ({', '.join(types)}){found_result}, the header says ({', '.join(wanted)}){result_of(result)}")
    for name in found.keys() - header.functions.keys():
        report.add(f"{name} is not in the header")
    constants = {n: int(v) for n, v in re.findall(r"pub const (PONDER_\w+): \w+ = (-?\d+);", text)}
    for name, value in header.constants.items():
        if constants.get(name) != value:
            report.add(f"{name} is {constants.get(name, 'missing')}, the header says {value}")
    structs = {n: re.findall(r"pub (\w+): ([^,]+?)(?:,|$)", body.strip()) for n, body in re.findall(r"#\[repr\(C\)\] (?:#\[[^\]]*\] )*pub struct (\w+) \{(.*?)\}", text)}
    for name, fields in header.structs.items():
        wanted = [(n, rust(t)) for t, n in fields]
        have = [(n.replace("type_", "type"), t.strip()) for n, t in structs.get(name, [])]
        if have != wanted:
            report.add(f"struct {name} is {have}, the header says {wanted}")
    callbacks = dict(re.findall(r"pub type (\w+) = unsafe extern \"C\" fn\((.*?);", text))
    for name, (result, args) in header.callbacks.items():
        inside, _, found_result = callbacks.get(name, "").rpartition(")")
        types = [a.split(":", 1)[1].strip() for a in inside.split(",") if a.strip()]
        wanted = [rust(a) for a in args]
        # An argument of a function type is never NULL there.
        types = [f"Option<{t}>" if t in header.callbacks else t for t in types]
        if types != wanted or found_result.rstrip() != result_of(result):
            report.add(f"{name} is ({', '.join(types)}){found_result}, the header says ({', '.join(wanted)}){result_of(result)}")
    return report


def check_go(header):
    report = Report("go")
    text = "".join(path.read_text() for path in sorted((HERE / "go").glob("*.go")) if not path.name.endswith("_test.go"))
    text += "".join(path.read_text() for path in sorted((HERE / "go").glob("*.[ch]")))
    for name in header.functions:
        if not re.search(rf"\b{name}\(", text):
            report.add(f"{name} is missing")
    fields = {field for name, fields in header.structs.items() if name.endswith("_params") for _, field in fields}
    for field in sorted(fields):
        if field not in ("struct_size", "reserved") and not re.search(rf"(\.|->)_?{field}\b|\b{field}:", text):
            report.add(f"no params field {field} is set")
    return report


def main():
    header = Header()
    assert len(header.functions) > 60 and len(header.structs) > 15 and len(header.callbacks) > 10, "the header was not understood"
    checks = {"python": check_python, "rust": check_rust, "go": check_go}
    problems = [problem for name in sys.argv[1:] for problem in checks[name](header).problems]
    print("\n".join(problems) or f"{', '.join(sys.argv[1:])}: all of {len(header.functions)} functions, "
          f"{len(header.structs)} structs and {len(header.constants)} constants")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
