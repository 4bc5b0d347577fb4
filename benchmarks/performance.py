#!/usr/bin/env python3
"""Everything that docs/performance.md shows, in one command:

    benchmarks/performance.py --ponder BUILD --llama-bench PATH [--llama-bench PATH ...] --work FOLDER [--quick] [--preliminary]

Makes the model files that FOLDER lacks (random weights of official geometries; up to 22 GB), measures programs and
kernels, and writes tables and plots. --quick: one small model, two rounds. The specs are those of compare.py.
"""
import argparse
import os
import subprocess
import sys

from engines import split_spec

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGS = os.path.join(HERE, "model", "configs")
# File name, geometry, layers (0: all), type.
MODELS = [("v2lite6", "deepseek-v2-lite.json", 6, ["q4_k_m", "q8_0", "q4_0", "bf16"]),
          ("qwen1.5b", "deepseek-r1-distill-qwen-1.5b.json", 0, ["q4_k_m", "q8_0", "bf16"])]
KERNELS = [("blocks_bench", "(q4_0|q5_0|q8_0|q4_k|q6_k).*/(avx2|avx512.*)/(V2-Lite|R1-Distill).*tokens:(1|16|512)$"),
           ("int8_bench", "(q4_0|q5_0|q8_0|q4_k|q6_k).*/(V2-Lite|R1-Distill).*tokens:(1|4|512)$"),
           ("matmul_bf16_bench", "/(avx2|avx512.*)/V2-Lite.*tokens:(1|16|512)$")]


def run(command):
    print("+ " + " ".join(command), flush=True)
    subprocess.run(command, check=True)


def make_models(build, work, quick):
    paths = []
    for name, config, layers, types in MODELS[:1] if quick else MODELS:
        source = os.path.join(work, "%s-bf16.gguf" % name)
        for kind in types[:1] if quick else types:
            path = os.path.join(work, "%s-%s.gguf" % (name, kind))
            paths.append(path)
            if os.path.exists(path):
                continue
            if not os.path.exists(source):
                run([os.path.join(build, "benchmarks", "model", "ponder_random_gguf"), os.path.join(CONFIGS, config), str(layers), source])
            if kind != "bf16":
                run([os.path.join(build, "examples", "cli", "ponder"), "quantize", "-m", source, "-o", path, "--type", kind])
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ponder", action="append", required=True)
    parser.add_argument("--llama-bench", action="append", default=[])
    parser.add_argument("--work", required=True)
    parser.add_argument("--page", default=os.path.join(os.path.dirname(HERE), "docs", "performance.md"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preliminary", action="store_true")
    args, more = parser.parse_known_args()  # the rest is for compare.py: -t, --depths, --batches, ...
    os.makedirs(args.work, exist_ok=True)
    build = split_spec(args.ponder[0])[1]
    models = make_models(build, args.work, args.quick)
    kernels = []
    for program, which in KERNELS:
        out = os.path.join(args.work, program + ".json")
        quick = ["--benchmark_min_time=0.05"] if args.quick else []
        run([os.path.join(build, "benchmarks", "kernels", program), "--benchmark_filter=" + which, "--benchmark_out=" + out,
             "--benchmark_out_format=json"] + quick)
        kernels.append(out)
    compare = os.path.join(args.work, "compare.json")
    cores = os.cpu_count()
    depths = [] if args.quick else ["--depths", "0,4096,16384", "--batches", "4,8,16", "--scaling",
                                    ",".join(str(n) for n in sorted({1, cores, 2 * cores, 4 * cores}))]
    run([sys.executable, os.path.join(HERE, "compare.py"), "--out", compare, "--rounds", str(2 if args.quick else args.rounds)] + depths +
        [word for spec in args.ponder for word in ("--ponder", spec)] +
        [word for spec in args.llama_bench for word in ("--llama-bench", spec)] +
        [word for path in models for word in ("--model", path)] + more)
    run([sys.executable, os.path.join(HERE, "report.py"), "--compare", compare, "--page", args.page, "--kernels"] + kernels +
        (["--preliminary"] if args.preliminary else []))


if __name__ == "__main__":
    main()
