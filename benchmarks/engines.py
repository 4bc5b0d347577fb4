"""The programs that compare.py runs: how each is asked for one test, and where its answer holds the tokens per second.

A test is (kind, size, depth, batch): ("prefill", 512, 0, 1), ("decode", 64, 4096, 1), ("decode", 32, 128, 8).
"""
import json
import os
import shlex
import subprocess
import tempfile
import time


class Failed(Exception):
    pass


def run(command, with_errors=False):
    """What it prints; in another folder, as some leave a log behind."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tempfile.gettempdir())
    if done.returncode != 0:
        raise Failed("%s: ended with %d\n%s" % (shlex.join(command), done.returncode, done.stderr[-2000:]))
    return done.stdout + (done.stderr if with_errors else "")


def split_spec(spec):
    """'NAME=PATH ARGS' or 'PATH ARGS' to (name or None, path, [args])."""
    words = shlex.split(spec)
    name, equals, path = words[0].partition("=")
    return (name, os.path.abspath(path), words[1:]) if equals else (None, os.path.abspath(words[0]), words[1:])


class Ponder:
    def __init__(self, spec, threads):
        name, build, args = split_spec(spec)
        self.name = name or "ponder"
        self.build, self.args, self.threads = build, args, threads
        self.program = os.path.join(build, "benchmarks", "model", "ponder_model_bench")

    def can(self, test):
        return True

    def measure(self, model, test, threads=None):
        """Tokens per second, and what the benchmark says of bytes and operations."""
        kind, size, depth, batch = test
        sizes = ["-p", str(size), "-n", "0"] if kind == "prefill" else ["-p", "0", "-n", str(size)]
        out = json.loads(run([self.program, "-m", model, "-t", str(threads or self.threads), "-r", "1", "-d", str(depth), "--batch",
                              str(batch), "--no-limits", "--json"] + sizes + self.args))
        part = out[kind]
        details = {key: out[key] for key in ("isa", "kv", "compute", "peak_rss_bytes", "kv_reserved_bytes")}
        return batch * size / part["seconds"][0], dict(part, **details)

    def first_token(self, model):
        """Seconds from the start of the process to its end behind the first token, and its peak RSS."""
        start = time.monotonic()
        out = json.loads(run([self.program, "-m", model, "-t", str(self.threads), "--first-token", "--no-limits", "--json"]
                             + self.args))
        return {"wall_s": time.monotonic() - start, "first_token_s": out["first_token_s"],
                "peak_rss_bytes": out["peak_rss_bytes"], "file_bytes": os.path.getsize(model)}

    def limits(self):
        avx2 = ["--avx2"] if "avx2" in self.args else []
        return json.loads(run([os.path.join(self.build, "benchmarks", "limits", "ponder_limits"), "--json", "-t",
                               str(self.threads)] + avx2))[0]


class LlamaBench:
    """llama-bench of llama.cpp or of a program that descends from it, and llama-batched-bench beside it."""

    def __init__(self, spec, threads):
        name, self.program, self.args = split_spec(spec)
        self.name = name or os.path.basename(os.path.dirname(os.path.dirname(self.program)))
        self.threads = threads
        self.batched = os.path.join(os.path.dirname(self.program), "llama-batched-bench")
        usage = subprocess.run([self.program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        self.has_depth = "--n-depth" in usage  # else -gp PROMPT,DECODE

    def can(self, test):
        return test[3] == 1 or os.path.exists(self.batched)

    def measure(self, model, test):
        kind, size, depth, batch = test
        if batch > 1:
            return self.measure_batched(model, test), {}
        if kind == "prefill":
            what = ["-p", str(size), "-n", "0"]
        elif self.has_depth or depth == 0:
            what = ["-p", "0", "-n", str(size)]
        else:
            what = ["-p", "0", "-n", "0", "-gp", "%d,%d" % (depth, size)]
        if self.has_depth:
            what += ["-d", str(depth)]
        elif kind == "prefill" and depth > 0:
            raise Failed(self.name + " cannot measure prefill at a depth")
        out = run([self.program, "-m", model, "-t", str(self.threads), "-r", "1", "-o", "json"] + what + self.args)
        begin = out.find("[\n")  # some say other things first
        try:
            return json.loads(out[begin:out.rfind("]") + 1])[-1]["avg_ts"], {}
        except (ValueError, IndexError, KeyError):
            raise Failed("%s: no result in\n%s" % (self.program, out[-2000:]))

    def measure_batched(self, model, test):
        _, size, depth, batch = test
        out = run([self.batched, "-m", model, "-t", str(self.threads), "-c", str(batch * (depth + size) + 64), "-npp",
                   str(depth), "-ntg", str(size), "-npl", str(batch)] + batched_args(self.args), with_errors=True)
        for line in out.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) >= 8 and cells[:3] == [str(depth), str(size), str(batch)]:
                return float(cells[7])
        raise Failed("%s: no row for a batch of %d in\n%s" % (self.batched, batch, out[-2000:]))


def batched_args(args):
    """llama-batched-bench has switches where llama-bench has "-rtr 1"."""
    kept, i = [], 0
    while i < len(args):
        name, value = args[i], args[i + 1] if i + 1 < len(args) else ""
        if name in ("-rtr", "-thp", "-mqkv", "-muge"):
            kept += [name] if value == "1" else []
            i += 2
        elif name == "-fmoe":  # on unless it is told off
            kept += ["-no-fmoe"] if value == "0" else []
            i += 2
        elif name == "-fa":
            kept += ["-fa", {"1": "on", "0": "off"}.get(value, value)]
            i += 2
        else:
            kept.append(name)
            i += 1
    return kept
