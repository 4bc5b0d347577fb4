#!/usr/bin/env python3
"""Writes ../tokenizer/cases.json: small tokenizers with what the Rust library `tokenizers` makes of texts.

Run by hand (needs the tokenizers package; 0.23.3 was used); with --check, compares against the file instead. "base" is a
tokenizer.json of the 256 bytes and a few merges. "splits": {steps: pre-tokenizers in front of a ByteLevel that does nothing
else, results: [pieces of each of texts]}. "tokenizers": {parts: members that replace those of base, results: [{text, ids,
decoded, skipped}]}.
"""
import copy
import json
import os
import sys

from tokenizers import Tokenizer

BYTES = [b for b in range(256) if 0x21 <= b <= 0x7e or 0xa1 <= b <= 0xac or b >= 0xae]
SPELLING = {b: chr(b) for b in BYTES}
SPELLING.update({b: chr(0x100 + i) for i, b in enumerate(b for b in range(256) if b not in BYTES)})
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
MERGES = [["a", "b"], ["Ġ", "a"], ["Ġ", "Ġ"], ["ab", "c"], ["Ġ", "ab"], ["c", "c"], ["x", "y"], ["xy", "z"]]


def base():
    vocab = {SPELLING[b]: b for b in range(256)}
    for left, right in MERGES:
        vocab[left + right] = len(vocab)
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": BYTE_LEVEL, "post_processor": None, "decoder": BYTE_LEVEL,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": MERGES}}


SPLIT_TEXTS = ["", "--the-final--countdown-", "Hey, friend!  ½ 12345 ٣٤", " don't I'LL we'VE\n\n x \t", "日本語、テスト é_e\u200cf\u00a0",
               "abab-12-ab"]
BEHAVIORS = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]


def split(kind, pattern, behavior, invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


SPLITS = [[split("String", "-", b, i)] for b in BEHAVIORS for i in (False, True)]
SPLITS += [[split("Regex", r"\p{N}|ab?", b, i)] for b in BEHAVIORS for i in (False, True)]
SPLITS += [[split("Regex", r"-|$|", "Isolated")], [split("Regex", "(?=-)", "Isolated")], [split("String", "", "Isolated")]]
SPLITS += [[{"type": "Punctuation", "behavior": b}] for b in BEHAVIORS]
SPLITS += [[{"type": "Digits", "individual_digits": d}] for d in (False, True)]
SPLITS += [[{"type": "Whitespace"}], [{"type": "WhitespaceSplit"}]]
SPLITS += [[dict(BYTE_LEVEL, use_regex=r, add_prefix_space=p)] for r in (False, True) for p in (False, True)]
SPLITS += [[{"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Removed"}],
           [{"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": False}]}, split("String", "t", "MergedWithNext")],
           [split("Regex", r"\s+", "Removed"), dict(BYTE_LEVEL, use_regex=True, add_prefix_space=True)], []]

# The Rust library numbers what the vocabulary lacks from its end on, so the ids here are those that it gives.
FLAGS = ["single_word", "lstrip", "rstrip", "normalized", "special"]


def token(id, content, *flags):
    return dict({"id": id, "content": content}, **{f: f in flags for f in FLAGS})


ADDED_TEXTS = ["ab<x>c", "  <x> \n a", "a<x>b <x> _<x> é<x>. <x>", "<x><x>", "<x", "<x>>", "cafe\u0301<x>", "<xy><x>y>", "\u00a0<x>\u3000ab"]
PREFIXED = {"type": "Sequence", "pretokenizers": [dict(BYTE_LEVEL, add_prefix_space=True)]}
TOKENIZERS = [({"added_tokens": [token(264, "<x>", *flags)]}, ADDED_TEXTS) for flags in
              [(), ("special",), ("single_word",), ("lstrip",), ("rstrip",), ("lstrip", "rstrip"), ("normalized",),
               ("single_word", "lstrip", "rstrip", "normalized", "special")]]
TOKENIZERS += [
    # The longest wins, from the left.
    ({"added_tokens": [token(99, "c"), token(256, "ab"), token(259, "abc"), token(264, "bcc")]}, ["abcc", "aabcbcc", "bccab", "cab"]),
    # Tokens that are not normalised come first, even where a normalised one starts before them.
    ({"added_tokens": [token(256, "ab", "normalized"), token(264, "bc")]}, ["abc", "abab bc"]),
    ({"normalizer": {"type": "NFC"}, "added_tokens": [token(264, "\u1e69", "normalized"), token(265, "o\u0301"), token(266, "\u00f3o")]},
     ["s\u0323\u0307 \u1e69 s\u0307\u0323", "o\u0301 \u00f3o", "cafe\u0301s\u0323\u0307", "o\u0301\u0323"]),
    # Of the vocabulary, with its id, and spelled in the table of bytes.
    ({"added_tokens": [token(32, "Ġ"), token(248, "\u00f8"), token(256, "ab")]}, ["abab", "a b Ġ \u00f8"]),
    ({"added_tokens": [token(264, "<x>")], "pre_tokenizer": PREFIXED}, ["ab<x>ab", "<x>", " ab <x> ab", ""]),
    ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}, ["cafe\u0301", "\u1100\u1161", "\u212b"]),
    ({"model": {"ignore_merges": True}}, ["xyz abc", "abab"]),
    ({"model": {"merges": [" ".join(m) for m in MERGES]}}, ["xyz abc  ab", "cccc"]),
    # Of equal pairs the leftmost first; ranks decide, not lengths.
    ({"model": {"merges": [["x", "y"], ["y", "z"], ["xy", "z"]], "vocab": {"yz": 264}}}, ["xyz", "yzz xxyz", "xyzxyz"]),
]


def results(name, texts):
    t = Tokenizer.from_str(json.dumps(name))
    for text in texts:
        ids = t.encode(text, add_special_tokens=False).ids
        yield {"text": text, "ids": ids, "decoded": t.decode(ids, skip_special_tokens=False), "skipped": t.decode(ids)}


def main():
    out = {"base": base(), "texts": SPLIT_TEXTS, "splits": [], "tokenizers": []}
    for steps in SPLITS:
        whole = dict(base(), pre_tokenizer={"type": "Sequence", "pretokenizers": steps + [BYTE_LEVEL] * (not steps or steps[-1]["type"] != "ByteLevel")})
        pre = Tokenizer.from_str(json.dumps(whole)).pre_tokenizer
        out["splits"].append({"steps": whole["pre_tokenizer"],
                              "results": [[piece for piece, _ in pre.pre_tokenize_str(text)] for text in SPLIT_TEXTS]})
    for parts, texts in TOKENIZERS:
        whole = copy.deepcopy(base())
        for key, value in parts.items():
            if key != "model":
                whole[key] = value
                continue
            for name, member in value.items():
                if name == "vocab":
                    whole["model"]["vocab"].update(member)
                else:
                    whole["model"][name] = member
        out["tokenizers"].append({"parts": parts, "results": list(results(whole, texts))})
    text = json.dumps(out, ensure_ascii=False, indent=None, separators=(",", ":"))
    text = text.replace('{"steps"', '\n{"steps"').replace('{"parts"', '\n{"parts"').replace('"splits"', '\n"splits"') + "\n"
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tokenizer", "cases.json")
    if "--check" in sys.argv:
        with open(path, encoding="utf-8") as file:
            sys.exit(0 if file.read() == text else "cases.json differs")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(len(SPLITS), "splits,", len(TOKENIZERS), "tokenizers")


if __name__ == "__main__":
    main()
