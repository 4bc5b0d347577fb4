#!/usr/bin/env python3
"""Tables and plots of docs/performance.md from what compare.py and the kernel benchmarks wrote.

    benchmarks/report.py --compare compare.json [--kernels kernels.json ...] --page docs/performance.md [--preliminary]

The tables replace what stands between the page's lines "<!-- tables -->" and "<!-- end of tables -->"; the plots go into a
folder beside the page. Shares are of the limits that were measured in the same rounds, medians of medians.
"""
import argparse
import json
import os
import statistics

import svg


def median(values):
    return statistics.median(values) if values else None


class Results:
    def __init__(self, data):
        self.data = data
        self.limits = {key: median([round_[key] for round_ in data["limits"]])
                       for key in ("read_bytes_per_s", "f32_flops_per_s", "bf16_flops_per_s", "int8_ops_per_s")}
        self.engines = [engine["name"] for engine in data["engines"]]
        self.rows = data["results"]
        self.models = list(dict.fromkeys(row["model"] for row in self.rows))

    def tests(self, model):
        return list(dict.fromkeys(key_of(row) for row in self.rows if row["model"] == model))

    def row(self, model, engine, test):
        for row in self.rows:
            if row["model"] == model and row["engine"] == engine and key_of(row) == test:
                return row
        return None

    def speed(self, model, engine, test):
        row = self.row(model, engine, test)
        return median(row["values"]) if row else None

    def peak(self, model):
        """Of the arithmetic that its weights allow: name and operations per second."""
        kind = model.rsplit("-", 1)[-1].split(".")[0]
        if kind in ("bf16", "f16", "f32"):
            return ("bf16", self.limits["bf16_flops_per_s"]) if kind == "bf16" and self.limits["bf16_flops_per_s"] > self.limits["f32_flops_per_s"] \
                else ("f32", self.limits["f32_flops_per_s"])
        return ("int8", self.limits["int8_ops_per_s"])

    def ideal(self, model, test):
        """Tokens per second at the limit, and what limits them; from what ponder's benchmark counted."""
        row = self.row(model, self.engines[0], test)
        if not row or not row["details"]:
            return None, ""
        kind, size, depth, batch = test
        details = row["details"]
        if kind == "prefill":
            name, peak = self.peak(model)
            return size * peak / details["flops"], name
        read = self.limits["read_bytes_per_s"]
        attention_peak = self.limits["f32_flops_per_s"]
        if details["compute"] != "exact":
            attention_peak = max(attention_peak, self.limits["bf16_flops_per_s"])
        kv = batch * details["kv_bytes_per_sequence"] / read
        attention = batch * details["attention_flops_per_sequence"] / attention_peak
        seconds = details["weight_bytes_per_pass"] / read + max(kv, attention)
        return batch / seconds, "read" if kv >= attention or attention < 0.05 * seconds else "read, attention"


def key_of(row):
    return (row["kind"], row["size"], row["depth"], row["batch"])


def name_of(test):
    kind, size, depth, batch = test
    if kind == "prefill":
        return "prefill %d" % size
    return "decode, %d sequences" % batch if batch > 1 else "decode at %d" % depth


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] +
                     ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def cell(row):
    if not row:
        return "-"
    values = row["values"]
    middle = median(values)
    text = "%.1f" % middle if middle < 100 else "%.0f" % middle
    return text + (" ± %.0f %%" % (100 * (max(values) - min(values)) / 2 / middle) if len(values) > 1 else "")


def model_table(results, model):
    first, others = results.engines[0], results.engines[1:]
    rows = []
    for test in results.tests(model):
        ours = results.speed(model, first, test)
        rivals = [speed for speed in (results.speed(model, other, test) for other in others) if speed]
        ideal, limit = results.ideal(model, test)
        rows.append([name_of(test)] + [cell(results.row(model, engine, test)) for engine in results.engines] +
                    ["%.2f" % (ours / max(rivals)) if ours and rivals else "-",
                     "%.0f %% (%s)" % (100 * ours / ideal, limit) if ours and ideal else "-"])
    return table(["tokens/s"] + results.engines + ["ratio to the best", "share of the limit"], rows)


def limits_table(results):
    l = results.limits
    return table(["threads", "sustained read", "f32", "bf16", "int8"],
                 [[results.data["threads"], "%.1f GB/s" % (l["read_bytes_per_s"] * 1e-9), "%.0f GFLOP/s" % (l["f32_flops_per_s"] * 1e-9),
                   "%.0f GFLOP/s" % (l["bf16_flops_per_s"] * 1e-9), "%.0f Gop/s" % (l["int8_ops_per_s"] * 1e-9)]])


def first_token_table(results):
    rows = []
    for model, runs in results.data["first_token"].items():
        file_bytes = runs[0]["file_bytes"]
        shares = [row["details"]["peak_rss_bytes"] / (file_bytes + row["details"]["kv_reserved_bytes"])
                  for row in results.rows if row["model"] == model and row["engine"] == results.engines[0] and row["details"]]
        rows.append([model, "%.2f s" % median([run["wall_s"] for run in runs]), "%.2f s" % median([run["first_token_s"] for run in runs]),
                     "%.0f MB" % (median([run["peak_rss_bytes"] for run in runs]) * 1e-6), "%.0f MB" % (file_bytes * 1e-6),
                     "%.2f" % max(shares) if shares else "-"])
    return table(["model", "whole process", "first token after", "peak RSS", "file", "largest peak RSS of all tests / (file + cache)"], rows)


def scaling_table(results):
    scaling = results.data["scaling"]
    threads = list(dict.fromkeys(n for of in scaling.values() for n in of))
    return table(["tokens/s, %s" % results.models[0]] + ["%s threads" % n for n in threads],
                 [[name] + [cell({"values": of[n]}) if n in of else "-" for n in threads] for name, of in scaling.items()])


def kernel_table(paths):
    rows = []
    for path in paths:
        with open(path) as file:
            for run in json.load(file)["benchmarks"]:
                shares = ["%.0f %% of %s" % (100 * run[key], key[3:]) for key in ("of_read", "of_f32", "of_bf16", "of_int8") if key in run]
                rows.append([run["name"], "%.1f GB/s" % (run.get("bytes_per_second", 0) * 1e-9),
                             "%.1f GFLOP/s" % (run["FLOP/s"] * 1e-9) if "FLOP/s" in run else "-", ", ".join(shares)])
    return table(["kernel, one thread", "weights", "operations", "shares of the limits"], rows)


def write_plots(results, folder):
    os.makedirs(folder, exist_ok=True)
    names = []

    def write(name, content):
        with open(os.path.join(folder, name), "w") as out:
            out.write(content)
        names.append(name)

    short = lambda model: model.rsplit(".", 1)[0]
    for test in dict.fromkeys(test for model in results.models for test in results.tests(model) if test[0] == "prefill"):
        groups = [(short(model), {engine: results.speed(model, engine, test) for engine in results.engines if results.speed(model, engine, test)})
                  for model in results.models]
        write("prefill-%d.svg" % test[1], svg.bars("Prefill of %d tokens" % test[1], "tokens/s", [g for g in groups if g[1]], results.engines))
    for model in results.models:
        tests = [test for test in results.tests(model) if test[0] == "decode"]
        for title, file, chosen, x_of, x_name in (
                ("decode behind a context", "depth", [t for t in tests if t[3] == 1], lambda t: t[2], "tokens in the cache"),
                ("batched decode, sum over the sequences", "batch", [t for t in tests if t[3] > 1], lambda t: t[3], "sequences")):
            if len(chosen) < 2:
                continue
            series = [(engine, [(x_of(t), results.speed(model, engine, t)) for t in chosen if results.speed(model, engine, t)], "line")
                      for engine in results.engines]
            series.append(("limit", [(x_of(t), results.ideal(model, t)[0]) for t in chosen if results.ideal(model, t)[0]], "dashed"))
            write("%s-%s.svg" % (file, short(model)), svg.lines("%s: %s" % (short(model), title), x_name, "tokens/s", [s for s in series if s[1]]))
    write("roofline.svg", roofline(results))
    return names


def roofline(results):
    read, series = results.limits["read_bytes_per_s"], []
    for name, peak in (("int8", results.limits["int8_ops_per_s"]), ("bf16", results.limits["bf16_flops_per_s"]), ("f32", results.limits["f32_flops_per_s"])):
        if peak > 0:
            xs = [0.5, peak / read, 4000]
            series.append(("%s and read" % name, [(x, min(peak, x * read) * 1e-9) for x in xs], "dashed"))
    for kind in ("prefill", "decode"):
        points = []
        for row in results.rows:
            if row["engine"] != results.engines[0] or row["kind"] != kind or not row["details"]:
                continue
            d, speed = row["details"], median(row["values"])
            if kind == "prefill":
                flops, n_bytes, per_s = d["flops"], d["weight_bytes"], speed / row["size"]
            else:
                flops, n_bytes = d["flops_per_pass"], d["weight_bytes_per_pass"] + row["batch"] * d["kv_bytes_per_sequence"]
                per_s = speed / row["batch"]
            points.append((flops / n_bytes, flops * per_s * 1e-9))
        if points:
            series.append((results.engines[0] + " " + kind, points, "points"))
    return svg.lines("Roofline of whole passes", "operations per byte of weights and cache", "Gop/s", series, log=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", required=True)
    parser.add_argument("--kernels", nargs="*", default=[])
    parser.add_argument("--page", required=True)
    parser.add_argument("--preliminary", action="store_true", help="says that the machine was busy")
    args = parser.parse_args()
    with open(args.compare) as file:
        results = Results(json.load(file))
    plots = os.path.splitext(args.page)[0]
    names = write_plots(results, plots)
    rounds = max(len(row["values"]) for row in results.rows)
    parts = ["%s, %d threads; rounds: %d, minutes: %d. Medians ± half the range." %
             (results.data["cpu"], results.data["threads"], rounds, results.data.get("seconds", 0) // 60)]
    if args.preliminary:
        parts.append("**Preliminary: other programs ran on the machine at the same time. Ratios are a hint (threads that spin at barriers lose most "
                     "then), tokens/s and shares less than that.**")
    parts += ["Arguments: " + "; ".join("%s `%s`" % (engine["name"], " ".join(engine["args"]) or "-") for engine in results.data["engines"]) + ".",
              "### Limits\n\n" + limits_table(results)]
    parts += ["### %s\n\n%s" % (model, model_table(results, model)) for model in results.models]
    parts.append("### First token and memory\n\n" + first_token_table(results))
    if results.data["scaling"]:
        parts.append("### Threads\n\n" + scaling_table(results))
    if args.kernels:
        parts.append("### Kernels\n\n" + kernel_table(args.kernels))
    parts += ["![%s](%s/%s)" % (name.rsplit(".", 1)[0], os.path.basename(plots), name) for name in names]
    with open(args.page) as file:
        page = file.read()
    begin, end = "<!-- tables -->\n", "<!-- end of tables -->"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    with open(args.page, "w") as out:
        out.write(before + begin + "\n" + "\n\n".join(part.rstrip("\n") for part in parts) + "\n\n" + end + after)


if __name__ == "__main__":
    main()
