#!/usr/bin/env python3
"""Writes category_tables.inc, the general categories of all characters, from this Python's unicodedata:
    python3 lib/text/category_tables.py > lib/text/category_tables.inc
Python 3.11 carries Unicode 14.0, the version of Debian 12's PCRE2 10.42."""
import unicodedata

# The order of kCategoryNames in unicode_category.h.
names = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
runs, last = [], None
for code in range(0x110000):
    category = names.index(unicodedata.category(chr(code)))
    if category != last:
        runs.append(code << 5 | category)
        last = category
print(f"// Unicode {unicodedata.unidata_version}, written by category_tables.py; do not edit.")
print(f'constexpr char kCategoryVersion[] = "{unicodedata.unidata_version}";')
print("// First character of a run, times 32, plus its category; ascending.")
print("constexpr std::uint32_t kCategoryRuns[] = {")
line = " "
for run in runs:
    item = f" {run:#x},"
    if len(line) + len(item) > 120:
        print(line)
        line = " "
    line += item
print(line)
print("};")
