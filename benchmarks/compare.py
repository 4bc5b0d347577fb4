#!/usr/bin/env python3
"""Runs ponder and other programs on the same GGUF files, interleaved, and prints medians, spread and ratios.

    benchmarks/compare.py --ponder BUILD --llama-bench PATH [--llama-bench PATH ...] --model FILE.gguf [--model ...]

BUILD is a build folder with ponder_model_bench; PATH a llama-bench (of llama.cpp or ik_llama.cpp; a llama-batched-bench
beside it is used for batched decode). Both may carry a name and arguments: --llama-bench "ik=/peers/llama-bench -rtr 1",
--ponder "exact=build --compute exact". Every round runs every program once per test, in turn, so that a slow minute of the
machine meets all of them; the limits of the machine are measured in every round too. Decode at 0 tokens and prefill use
an empty cache. Same threads for all. Results go to --out as JSON, and beside it as CSV.
"""
import argparse
import csv
import json
import os
import statistics
import sys
import time

from engines import Failed, LlamaBench, Ponder

BATCH_DEPTH = 128  # tokens in the cache of each sequence of batched decode
SCALING_TESTS = [("prefill", 512, 0, 1), ("decode", 32, 0, 1)]


def cpu_model():
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown CPU"


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def tests_of(args):
    tests = [("prefill", n, 0, 1) for n in args.prefill]
    for depth in args.depths:
        tests.append(("decode", args.decode if depth < 4096 else max(args.decode // 2, 8), depth, 1))
    return tests + [("decode", max(args.decode // 2, 8), BATCH_DEPTH, n) for n in args.batches]


def name_of(test):
    kind, size, depth, batch = test
    if kind == "prefill":
        return "prefill %d" % size
    return "decode x%d" % batch if batch > 1 else "decode at %d" % depth


def spread(values):
    """Half of the range, as a share of the median."""
    return (max(values) - min(values)) / 2 / statistics.median(values)


def print_table(model, tests, engines, results):
    print("\n%s, tokens/s, median of %d rounds (half the range)" % (model, len(results[(model, engines[0].name, tests[0])]["values"])))
    names = [engine.name for engine in engines]
    print("%-18s" % "test" + "".join("%22s" % name for name in names) + "%22s" % (names[0] + " / best other"))
    for test in tests:
        cells, medians = "", []
        for name in names:
            values = results.get((model, name, test), {}).get("values")
            medians.append(statistics.median(values) if values else None)
            cells += "%22s" % ("%.1f (%.0f %%)" % (medians[-1], 100 * spread(values)) if values else "-")
        others = [m for m in medians[1:] if m]
        ratio = "%.2f" % (medians[0] / max(others)) if others and medians[0] else "-"
        print("%-18s" % name_of(test) + cells + "%22s" % ratio)


def write(path, header, results):
    rows = [dict(model=model, engine=engine, kind=test[0], size=test[1], depth=test[2], batch=test[3], **result)
            for (model, engine, test), result in results.items()]
    with open(path, "w") as out:
        json.dump(dict(header, results=rows), out, indent=1)
        out.write("\n")
    with open(os.path.splitext(path)[0] + ".csv", "w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["model", "engine", "kind", "size", "depth", "batch", "round", "tokens_per_s"])
        for row in rows:
            for i, value in enumerate(row["values"]):
                table.writerow([row[key] for key in ("model", "engine", "kind", "size", "depth", "batch")] + [i, "%.3f" % value])


def measure(args, engines, tests, models, header, results):
    first = engines[0]
    for i in range(args.rounds):
        header["limits"].append(first.limits())
        for threads in args.scaling:
            for test in SCALING_TESTS:
                value, _ = first.measure(models[0], test, threads)
                header["scaling"].setdefault(name_of(test), {}).setdefault(threads, []).append(value)
        for model in models:
            name = os.path.basename(model)
            header["first_token"].setdefault(name, []).append(first.first_token(model))
            for test in tests:
                if test[2] > args.deep and i >= args.deep_rounds:
                    continue
                for k in range(len(engines)):
                    engine = engines[(k + i) % len(engines)]
                    if not engine.can(test) or (name, engine.name, test) in header["failed"]:
                        continue
                    try:
                        value, details = engine.measure(model, test)
                    except Failed as failure:
                        print("failed: %s" % failure, file=sys.stderr)
                        header["failed"].append((name, engine.name, test))
                        continue
                    result = results.setdefault((name, engine.name, test), {"values": [], "details": {}})
                    result["values"].append(value)
                    result["details"] = details
                    print("round %d  %-28s %-16s %-16s %9.2f tokens/s" % (i, name, name_of(test), engine.name, value), flush=True)
            header["seconds"] = round(time.monotonic() - header["start"])
            write(args.out, header, results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ponder", action="append", required=True)
    parser.add_argument("--llama-bench", action="append", default=[])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prefill", type=numbers, default="512,2048", help="token counts")
    parser.add_argument("--depths", type=numbers, default="0,4096", help="of decode of one sequence")
    parser.add_argument("--batches", type=numbers, default="4,8", help="sequences that decode together")
    parser.add_argument("--decode", type=int, default=64, help="tokens; half as many where they are slow")
    parser.add_argument("--deep", type=int, default=8192, help="depths above it get --deep-rounds rounds only")
    parser.add_argument("--deep-rounds", type=int, default=3)
    parser.add_argument("--scaling", type=numbers, default="", help="thread counts to run the first program with, on the first model")
    parser.add_argument("--out", default="compare.json")
    args = parser.parse_args()
    args.model = [os.path.abspath(path) for path in args.model]
    engines = [Ponder(spec, args.threads) for spec in args.ponder] + [LlamaBench(spec, args.threads) for spec in args.llama_bench]
    if len({engine.name for engine in engines}) != len(engines):
        parser.error("two programs have one name: give them others, NAME=PATH")
    tests = tests_of(args)
    header = {"cpu": cpu_model(), "threads": args.threads, "limits": [], "first_token": {}, "scaling": {}, "failed": [], "start": time.monotonic(),
              "engines": [{"name": engine.name, "args": engine.args} for engine in engines]}
    results = {}
    measure(args, engines, tests, args.model, header, results)
    for model in args.model:
        print_table(os.path.basename(model), tests, engines, results)
    print("\n%d s, written to %s" % (header["seconds"], args.out))


if __name__ == "__main__":
    main()
