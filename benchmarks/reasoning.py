#!/usr/bin/env python3
"""What control of the thinking costs and brings, measured with the embedded model on problems that it was not trained on.

    benchmarks/reasoning.py --program build/examples/cli/ponder --page docs/reasoning.md [--problems 100]

Accuracy against the thinking budget, tokens saved by early exit, loops that end in an answer, votes against single answers. The
tables replace what stands between the page's lines "<!-- tables -->" and "<!-- end of tables -->"; the plot goes into a folder
beside the page. Without --page the tables are printed. All of it is computed with seeds: the same program on the same kind of processor gives the
same numbers.
"""
import argparse
import json
import os
import random
import re
import subprocess
import zlib

import svg

PROBE_TEXT = "</think>\n\n\\boxed{"  # as the model itself ends its thinking


def expression(draw):
    """One problem of the model's kinds: sums, differences, products and two steps."""
    def number(most):
        digits = draw.randint(1, most)
        return draw.randint(0 if digits == 1 else 10 ** (digits - 1), 10 ** digits - 1)
    kind = draw.random()
    if kind < 0.34:
        return "%d+%d" % (number(3), number(3))
    if kind < 0.62:
        return "%d-%d" % (number(3), number(3))
    if kind < 0.78:
        return "%d*%d" % (number(3), draw.randint(0, 9))
    if kind < 0.88:
        return "%d*%d" % (draw.randint(10, 99), draw.randint(10, 99))
    a, b, c = number(2), number(2), number(2)
    first = draw.choice("+-") if a >= b else "+"
    return "%d%s%d%s%d" % (a, first, b, draw.choice("+-"), c)


def held_out(n, seed):
    """Never seen in training: the check sum of the expression is a multiple of ten."""
    draw, found = random.Random(seed), []
    while len(found) < n:
        e = expression(draw)
        if zlib.crc32(e.encode()) % 10 == 0 and e not in found:
            found.append(e)
    return found


def too_hard(n, seed):
    """Sums of more digits than the model has ever seen: there it loses its way, and often repeats itself."""
    draw = random.Random(seed)
    return ["%d+%d" % (draw.randint(10 ** 7, 10 ** 9), draw.randint(10 ** 7, 10 ** 9)) for _ in range(n)]


class Program:
    def __init__(self, path, threads):
        self.path, self.threads = path, threads

    def ask(self, problem, *options):
        command = [self.path, "run", "--json", "--compute", "exact", "-t", str(self.threads), "-p", "What is %s?" % problem] + [str(o) for o in options]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def is_right(problem, reply):
    box = re.search(r"\\boxed\{(-?\d+)\}", reply["answer"])
    return bool(box) and int(box.group(1)) == eval(problem, {"__builtins__": {}})


def mean(values):
    values = list(values)
    return sum(values) / max(len(values), 1)


def measure(program, problems, *options):
    replies = [program.ask(p, *options) for p in problems]
    return {"right": 100 * mean(is_right(p, r) for p, r in zip(problems, replies)),
            "thinking": mean(r["usage"]["thinking_tokens"] for r in replies),
            "probes": mean(r["usage"].get("probe_tokens", 0) for r in replies),
            "tokens": mean(len(r["ids"]) for r in replies), "replies": replies}


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] +
                     ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def percent(value):
    return "%.0f %%" % value


def budgets(program, problems, folder):
    rows, points = [], []
    for budget in (0, 8, 16, 24, 32, 48, 64, 96, 128):
        result = measure(program, problems, "--think-budget", budget, "--think-grace", 8, "-n", 300)
        points.append((budget, result["right"]))
        rows.append([budget, percent(result["right"]), "%.1f" % result["thinking"]])
    if folder:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "accuracy.svg"), "w") as file:
            file.write(svg.lines("Right answers against the thinking budget", "budget, tokens", "%", [("ponder-tiny-r1, greedy", points, "line")]))
    return table(["budget (grace 8)", "right", "thinking tokens"], rows)


def early_exit(program, problems):
    plain = measure(program, problems, "-n", 300)
    rows = [["off", percent(plain["right"]), "%.1f" % plain["thinking"], "-", "0"]]
    for every, agree in ((1, 2), (1, 3), (8, 2), (8, 3)):
        result = measure(program, problems, "-n", 300, "--early-exit", "probe", "--probe-every", every, "--probe-agree", agree,
                         "--probe-text", PROBE_TEXT)
        rows.append(["every %d, %d agree" % (every, agree), percent(result["right"]), "%.1f" % result["thinking"],
                     percent(100 * (1 - result["thinking"] / plain["thinking"])), "%.1f" % result["probes"]])
    for confidence in (0.9, 0.99):
        result = measure(program, problems, "-n", 300, "--early-exit", "confidence", "--probe-every", 1, "--probe-confidence", confidence,
                         "--probe-text", PROBE_TEXT)
        rows.append(["confidence %g" % confidence, percent(result["right"]), "%.1f" % result["thinking"],
                     percent(100 * (1 - result["thinking"] / plain["thinking"])), "%.1f" % result["probes"]])
    return table(["early exit", "right", "thinking tokens", "saved", "tokens of probes"], rows)


def loops(program, n):
    rows = []
    for name, options in (("off", ["--no-loop-detection", "--answer-reserve", -1]), ("loop detection", ["--answer-reserve", -1]),
                          ("loop detection and reserve", [])):
        replies = measure(program, too_hard(n, 3), "-c", 512, "-n", 450, *options)["replies"]
        rows.append([name, sum(r["answer"].strip() != "" for r in replies), sum(r["think_end"] == "loop" for r in replies),
                     sum(r["finish_reason"] == "length" for r in replies), "%.0f" % mean(len(r["ids"]) for r in replies)])
    return table(["%d sums of 8 and 9 digits" % n, "with an answer", "loops ended", "cut off by -n", "tokens of a reply"], rows)


def votes(program, problems, temperature):
    rows = []
    options = ["--temperature", temperature, "-n", 200, "--seed", 1]
    single = measure(program, problems, *options)
    rows.append(["single", percent(single["right"]), "1"])
    for n in (3, 5, 9):
        result = measure(program, problems, *options, "--vote", n)
        rows.append(["vote of %d" % n, percent(result["right"]), "%.1f" % mean(len(r["vote"]["samples"]) for r in result["replies"])])
    return table(["temperature %g" % temperature, "right", "replies that came to an end"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--page")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    program, problems = Program(arguments.program, arguments.threads), held_out(arguments.problems, 1)
    folder = os.path.join(os.path.dirname(arguments.page), "reasoning") if arguments.page else None
    text = "\n".join([
        "%d problems that the model was not trained on (votes: the first half), exact compute.\n" % len(problems),
        budgets(program, problems, folder), "![Right answers against the thinking budget](reasoning/accuracy.svg)\n",
        early_exit(program, problems), loops(program, max(arguments.problems // 4, 5)), votes(program, problems[:max(arguments.problems // 2, 5)], 1.5)])
    if not arguments.page:
        print(text)
        return
    begin, end = "<!-- tables -->", "<!-- end of tables -->"
    with open(arguments.page) as file:
        page = file.read()
    before, rest = page.split(begin)
    with open(arguments.page, "w") as file:
        file.write(before + begin + "\n" + text + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
