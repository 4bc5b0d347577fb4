#!/usr/bin/env python3
"""Writes nfc_tables.inc, the constant tables of nfc.cpp, from this Python's unicodedata:
    python3 lib/text/nfc_tables.py > lib/text/nfc_tables.inc
Python 3.11 carries Unicode 14.0, the version of Debian 12's PCRE2 10.42, so that all of a tokenizer's pipeline speaks of
the same characters. Hangul syllables are composed by rule (The Unicode Standard, section 3.12) and are in no table."""
import unicodedata

hangul = range(0xAC00, 0xD7A4)
pairs, others, classes = [], [], []
for code in range(0x110000):
    c = chr(code)
    if code in hangul:
        continue
    if canonical_class := unicodedata.combining(c):
        if classes and classes[-1][1] == code - 1 and classes[-1][2] == canonical_class:
            classes[-1][1] = code
        else:
            classes.append([code, code, canonical_class])
    mapping = unicodedata.decomposition(c)
    if not mapping or mapping.startswith("<"):
        continue
    parts = [int(part, 16) for part in mapping.split()]
    first, second = parts[0], parts[1] if len(parts) == 2 else 0
    composes = second and unicodedata.normalize("NFC", "".join(map(chr, parts))) == c
    (pairs if composes else others).append((code, first, second))

# Blocks of 32 characters in which some character is not its own NFC form, may combine with what stands before it, or
# has a combining class: everything else needs no further look.
busy = set()
for first, last, _ in classes:
    busy |= {code >> 5 for code in range(first, last + 1)}
busy |= {code >> 5 for code, _, _ in others}
busy |= {second >> 5 for _, _, second in pairs}
busy |= set(range(0x1160 >> 5, (0x11FF >> 5) + 1))  # Hangul vowels and trailing consonants


def rows(items):
    line = " "
    for item in items:
        if len(line) + 1 + len(item) > 119:
            print(line)
            line = " "
        line += " " + item
    print(line)


def table(name, element, items):
    print(f"constexpr {element} {name}[] = {{")
    rows(items)
    print("};")


pairs.sort(key=lambda pair: (pair[1], pair[2]))
by_code = sorted(range(len(pairs)), key=lambda i: pairs[i][0])
words = [0] * ((max(busy) >> 6) + 1)
for block in busy:
    words[block >> 6] |= 1 << (block & 63)

print(f"// Unicode {unicodedata.unidata_version}, written by nfc_tables.py; do not edit.")
print(f'constexpr char kUnicodeVersion[] = "{unicodedata.unidata_version}";')
print("// {composed, first, second}: decompose and compose; by first, then second.")
table("kPairs", "Decomposition", (f"{{0x{c:x},0x{a:x},0x{b:x}}}," for c, a, b in pairs))
print("// Indices into kPairs, by composed character.")
table("kPairsByCode", "std::uint16_t", (f"{i}," for i in by_code))
print("// The second characters of kPairs.")
table("kSeconds", "std::uint32_t", (f"0x{second:x}," for second in sorted({second for _, _, second in pairs})))
print("// {character, first, second or 0}: decompose only (singletons and composition exclusions); by character.")
table("kOthers", "Decomposition", (f"{{0x{c:x},0x{a:x},0x{b:x}}}," for c, a, b in others))
print("// {first, last, canonical combining class}, other than 0.")
table("kClasses", "ClassRange", (f"{{0x{a:x},0x{b:x},{k}}}," for a, b, k in classes))
print("// Bit b of word w: block 64 w + b of 32 characters needs a closer look.")
table("kBusyBlocks", "std::uint64_t", (f"0x{word:x}u," for word in words))
