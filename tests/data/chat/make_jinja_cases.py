#!/usr/bin/env python3
"""Writes jinja_cases.json: snippets of templates with what Jinja 3.1 makes of them, set up as transformers does.

Run by hand (needs the jinja2 package); with --check, compares against the file instead. Each case is {name?, template,
kwargs?, messages?, tools?} plus `text`, or `fails: true` where Jinja raises an error (ours must, too; the wording is ours).
"""
import json
import os
import sys

import jinja2.exceptions
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

MESSAGES = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "Hi <there> \"you\" & 'me' äöü 你好 😀"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": [True, None, 2.5]}}}]},
    {"role": "tool", "content": "42"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nDone. "},
]
TOOLS = [{"type": "function", "function": {"name": "f", "description": "d \"q\" </x> é", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "enum": [1, 2]}}, "required": ["a"]}}}]


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    def _support(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def render(env, case):
    return env.from_string(case["template"]).render(
        messages=case.get("messages", []), tools=case.get("tools"), documents=None, add_generation_prompt=True,
        bos_token="<s>", eos_token="</s>", **case.get("kwargs", {}))


# Expressions, each printed by {{ ... }}.
EXPRESSIONS = r"""
1 + 2 * 3
7 // 2, -7 // 2, 7 // -2, 7 % 3, -7 % 3, 7 % -3
7 / 2, 6 / 3
2 ** 10, 2 ** 3 ** 2, 2 ** -1, -2 ** 2
7.5 // 2, -7.5 // 2, 7.5 % 2, -7.5 % 2, 7.5 % -2
1_000 + 0x1F + 0o17 + 0b101
1e3, 1.5e-7, 1e16, 1e15, 123456789.123456789, 0.1 + 0.2, 1e22, 1.0, 100.0, 1e-5, 0.0001
1 / 3, 2 / 3
True + True, true and 1, none or 'x', not none
1 == 1.0, 1 == True, '1' == 1, none == none, [1, 2] == [1, 2], [1] == (1,), {'a': 1} == {'a': 1.0}
1 < 2 < 3, 1 < 3 < 2, 'a' < 'b', 'B' < 'a', [1, 2] < [1, 3], (1,) < (1, 2)
1 if true else 2
1 if false
(1 if false) is defined
'a' if false else 'b' if false else 'c'
'a' ~ 1 ~ none ~ true ~ 1.5 ~ undefined_name
'a' ~ 1 + 2
'x' * 3, 3 * 'x', [1] * 2, 'x' * -1, 'x' * 0
[1] + [2, 3], (1,) + (2,)
'abc'[0], 'abc'[-1], 'äöü'[1], '你好😀'[2]
'abcdef'[1:3], 'abcdef'[::-1], 'abcdef'[::2], 'abcdef'[-2:], 'abcdef'[:-2], 'abcdef'[10:], 'abcdef'[4:1:-1]
[1,2,3,4][1:], [1,2,3,4][::-1], [1,2,3,4][-1:0:-2], (1,2,3)[:2]
'äöü你好😀'[::-1], 'äöü你好😀'[1:4]
'abc'[5] is defined
[1,2][5] is defined, [1,2]['x'] is defined, {'a': 1}['b'] is defined
'a' in 'abc', 'x' not in 'abc', 1 in [1, 2], 'k' in {'k': 1}, 3 not in (1, 2), '' in 'abc'
not 'a' in 'abc'
'a' in undefined_name
undefined_name
undefined_name is defined, undefined_name is undefined, undefined_name | default('d')
undefined_name == undefined_other, undefined_name == none, undefined_name != 1
undefined_name | length, undefined_name | list, undefined_name | upper
undefined_name or 'x', not undefined_name
undefined_name.attr
undefined_name['x']
undefined_name()
undefined_name + 1
'a' + undefined_name
-undefined_name
undefined_name < 1
none.attr is defined
none.attr
none + 1
'a' + 1
1 + 'a'
1 < 'a'
none < 1
1 // 0
1 % 0
1.0 / 0
[1][none] is defined
{'a': 1}.a, {'a': 1}['a'], {'a': {'b': 2}}.a.b, {'items': 1}['items'], {1: 'x'}[1], {1: 'x'}[true]
{'a': 1, 'b': [1, 'x', none, true, 1.5]}
{'a': 1, 'a': 2}, {1: 'a', 1.0: 'b', true: 'c'}
{}, [], (), (1,), (1, 2), [[]], {'a': {}}
['it\'s', "q\"q", 'both\'"', 'tab\t', 'nl\n', 'back\\slash', 'é', '\x00', '\u200b', '😀', '\x7f', '\xa0', '\u2028']
[undefined_name], {'a': undefined_name}
'\x41\u00e9\U0001F600\101\n\t\\\'\"\a\b\f\v\r|\q|\z' | tojson
'a' 'b' "c"
[1, 2, 3][0], [[1, 2], [3]][0][1], [1, 2, 3].0, (1, 2).1
range(5) | list, range(2, 5) | list, range(5, 0, -2) | list, range(0) | list
range(3), range(1, 10, 3), range(5)[2], range(5)[-1], range(3) | length
range(100001) | length
range(100000) | length
range(1, 2, 0)
dict(a=1, b=2), dict({'x': 1}, y=2), dict([('a', 1)])
namespace(a=1).a, namespace({'a': 2}).a, namespace(a=1)
namespace(a=1).b is defined
'Hello'.upper(), 'Hello'.lower(), 'hello world'.title(), 'hello World'.capitalize(), 'aB'.swapcase()
'straße'.upper(), 'ÄÖ'.lower(), 'éa'.capitalize(), 'ΑΒΓ'.lower(), 'привет'.upper(), 'ß'.upper()
"they're bill's friends".title(), "they're bill's friends" | title, 'foo-bar (baz) {x} [y] <z> a_b' | title
'  x '.strip() ~ '|', '  x '.lstrip() ~ '|', '  x '.rstrip() ~ '|', 'xxaxx'.strip('x'), 'abcba'.strip('ab'), '\n\t x\u3000'.strip()
'ääxää'.strip('ä'), 'xyz'.lstrip('yx'), 'xyz'.rstrip('yz'), 'x'.strip(none)
'a,b,,c'.split(','), 'a b  c '.split(), 'a b  c '.split(' '), 'a,b,c'.split(',', 1), ' a b c '.split(none, 1), ''.split(), ''.split(',')
'a,b,c'.rsplit(',', 1), ' a  b c '.rsplit(none, 1), 'a b c'.rsplit(), 'aXbXc'.rsplit('X', maxsplit=1), ' '.split(), '  a'.rsplit(none, 0), 'a  '.split(none, 0)
'a</think>b</think>c'.split('</think>')[-1], 'abc'.split('x')
'abc'.split('')
'a\nb\r\nc\x0bd\u2028e\n'.splitlines(), 'a\nb'.splitlines(true), ''.splitlines(), '\n'.splitlines()
'abc'.startswith('ab'), 'abc'.endswith('bc'), 'abc'.startswith(('x', 'a')), 'abc'.startswith(''), 'abc'.endswith(('x',))
'aXbXc'.replace('X', '-'), 'aXbXc'.replace('X', '-', 1), 'abc'.replace('', '-'), 'äbc'.replace('', '-', 2), 'aaa'.replace('aa', 'b'), 'abc'.replace('x', 'y')
'abcabc'.find('c'), 'abcabc'.find('x'), 'abcabc'.rfind('c'), 'äöä'.find('ä', 1), 'abcabc'.count('bc'), 'abc'.count(''), 'abcabc'.find('a', 1, 3), 'abcabc'.find('a', -3), 'aaaa'.count('aa')
'abc'.index('b')
'abc'.index('x')
'-'.join(['a', 'b']), '-'.join('abc'), ''.join([]), ', '.join({'a': 1, 'b': 2})
'-'.join([1])
'a-b-c'.partition('-'), 'a-b-c'.rpartition('-'), 'abc'.partition('-'), 'abc'.rpartition('-')
'abc'.removeprefix('a'), 'abc'.removesuffix('c'), 'abc'.removeprefix('x'), 'aab'.removeprefix('a')
'5'.zfill(3), '-5'.zfill(4), '+5'.zfill(4), 'ab'.ljust(4) ~ '|', 'ab'.rjust(4, '.'), 'ab'.center(5, '*'), 'abc'.center(6, '*'), 'x'.center(4, '-'), 'ab'.center(1)
'123'.isdigit(), ''.isdigit(), '1a'.isalnum(), 'ab'.isalpha(), 'äö你'.isalpha(), ' \t'.isspace(), 'AB1'.isupper(), 'ab'.islower(), 'aB'.islower(), '1'.isupper(), 'é'.isascii(), 'a b'.isalpha(), '١'.isdigit(), '½'.isdigit(), '😀'.isalpha()
'{} {}'.format(1, 'a'), '{0} {1} {0}'.format('a', 'b'), '{x}'.format(x=5), '{{}}'.format(), '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c'), '{:05d} {:.2f} {:,} {:x} {:+d} {:e}'.format(42, 3.14159, 1234567, 255, 5, 12345.678), '{!r}'.format('a'), '{:*^7}'.format('x'), '{:.2}'.format('abc')
'{:5}|{:5}|{}|{}'.format(1, 'a', none, [1, 'x']), '{:.1%}'.format(0.256), '{:,.2f}'.format(1234567.891), '{:6.2f}'.format(-3.14159), '{}'.format(1.0), '{:g}'.format(1e10)
'{} {}'.format(1)
'{'.format()
'%s %d %5.2f %r %%' % ('a', 3, 2.5, 'q'), '%s' % 'x', '%s' % [1, 2], '%(k)s' % {'k': 'v'}, '%5s|%-5s|%05d|%+d|%x' % ('a', 'b', 42, 5, 255)
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%d' % 'x'
"%s and %s" | format('a', 1), "%(x)s" | format(x=3)
'abc'.nope is defined, 'abc'.upper is defined, 'abc'.upper is callable, [].append is defined, {}.update is defined, {}.get is defined, 'a'.__class__ is defined
[1].append(2)
{}.update({'a': 1})
{'a': 1}.pop('a')
''.__class__
{'a': 1}.get('a'), {'a': 1}.get('b'), {'a': 1}.get('b', 'd'), {'a': none}.get('a', 'd'), {1: 2}.get(1)
{'a': 1}.items(), {'a': 1}.keys(), {'a': 1}.values(), {'a': 1}.items() | list, {'a': 1, 'b': 2}.keys() | list, {'a': 1}.values() | sum
{'a': 1}.copy(), [1, 2].copy(), [1, 2, 1].count(1), [1, 2].index(2), (1, 2).index(2)
{'items': 3}.items() | list, {'get': 1}.get is callable
{'a': 1}.items() | length, {'a': 1}.keys() is iterable, {'a': 1}.keys() is sequence, {'a': 1}.items()[0] is defined
1 is number, 1.5 is number, true is number, '1' is number, 1 is integer, true is integer, 1.0 is float, 1 is float, true is boolean, 1 is boolean
'a' is string, 1 is string, [] is iterable, 'a' is iterable, 1 is iterable, {} is mapping, [] is mapping, [] is sequence, 'a' is sequence, {} is sequence, 1 is sequence, none is iterable, () is sequence
none is none, 1 is none, undefined_name is none, 1 is defined, none is defined
true is true, 1 is true, false is false, 0 is false, 'a' is eq 'a', 1 is ne 2, 1 is lt 2, 2 is gt 1, 1 is le 1, 1 is ge 2, 1 is equalto 1, 3 is greaterthan 2, 3 is lessthan 2
3 is odd, 4 is even, 9 is divisibleby 3, 9 is divisibleby(2), 1 is in [1, 2], 'a' is in 'abc', 5 is not in [1], 4 is not odd
'abc' is lower, 'ABC' is upper, 'a1' is lower, '1' is lower, none is sameas none, 1 is sameas 1, 'upper' is filter, 'nope' is filter, 'odd' is test
1 is not none and 2 is defined
x is defined and x.y is defined
(1, 2) is sequence, range(3) is sequence, range(3) is iterable, namespace() is mapping, undefined_name is iterable, undefined_name is sequence, undefined_name is string, undefined_name is callable
[1, 2] | tojson, {'a': 'b'} | tojson, 'a"b\\c\n\t\x01é😀</x>&\'' | tojson, none | tojson, true | tojson, 1.5 | tojson, 1e100 | tojson, (1, 2) | tojson, {} | tojson, [] | tojson
{'a': 1, 'b': [1, {'c': 2}], 'd': {}, 'e': []} | tojson(indent=2)
{'a': 1, 'b': [1]} | tojson(indent=4), {'b': 1, 'a': 2} | tojson(sort_keys=true), [1, 2] | tojson(separators=(',', ':')), 'é😀' | tojson(ensure_ascii=true), [1] | tojson(indent='--'), [1] | tojson(indent=0), {1: 2, none: 3, true: 4, 1.5: 6} | tojson
{'a': 1} | tojson(true, 2)
undefined_name | tojson
{'a': undefined_name} | tojson
range(3) | tojson
namespace(a=1) | tojson
' a ' | trim ~ '|', 'xax' | trim('x'), 5 | trim, none | trim
[1, 2, 3] | length, 'äöü' | length, {'a': 1} | count, '😀' | length
5 | length
none | length
(x for x in y)
'' | default('d'), '' | default('d', true), none | default('d'), none | default('d', boolean=true), 0 | d('z', true), undefined_name | d, undefined_name | default(1)
[1, 'a', none] | join(', '), ['a', 'b'] | join, [{'n': 'x'}, {'n': 'y'}] | join(',', attribute='n'), 'abc' | join('-'), {'a': 1} | join(','), [1.0, true] | join('|')
'aXb' | replace('X', 'Y'), 'aaa' | replace('a', 'b', 2), 5 | replace('5', 'x')
['a', 'B', 'c'] | sort, ['b', 'A'] | sort(case_sensitive=true), [3, 1, 2] | sort(reverse=true), [{'n': 2}, {'n': 1}] | sort(attribute='n'), [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}] | sort(attribute='a,b'), 'bca' | sort, {'b': 1, 'a': 2} | sort
[1, 'a'] | sort
[3, 1, 2] | min, [3, 1, 2] | max, ['b', 'A'] | min, [] | max, [{'a': 1}, {'a': 5}] | max(attribute='a'), [1, 2, 3] | sum, [] | sum, [{'a': 1}, {'a': 5}] | sum(attribute='a'), [1.5, 2] | sum(start=10)
['a', 'b'] | sum
[1, 2, 1, 'a', 'A'] | unique | list, [1, 1.0, true] | unique | list
[1, 2, 3] | reverse | list, 'abc' | reverse, [1, 2, 3] | first, [1, 2, 3] | last, [] | first, [] | last, 'abc' | first, 'abc' | last, {'a': 1} | first
[1, 2, 3] | map('string') | list, [{'a': 1}, {'b': 2}] | map(attribute='a') | list, [{'a': 1}, {'b': 2}] | map(attribute='a', default=0) | list, ['a', 'b'] | map('upper') | join, [[1, 2]] | map('first') | list, ['a'] | map('replace', 'a', 'b') | list, [{'a': {'b': 3}}] | map(attribute='a.b') | list, [[1, 2]] | map(attribute=1) | list, ['aXb'] | map('default', 'x') | list
[1, 2, 3, 4] | select('odd') | list, [1, 2, 3, 4] | reject('odd') | list, [0, 1, '', 'a'] | select | list, [0, 1] | reject | list, [1, 2, 3] | select('gt', 1) | list, [1, 2, 3] | select('in', [1, 3]) | list, [1, none] | select('none') | list, ['a', 'b'] | select('equalto', 'a') | list
[{'r': 'u', 'n': 1}, {'r': 'a', 'n': 2}] | selectattr('r', 'equalto', 'u') | list, [{'r': 'u'}, {'x': 1}] | selectattr('r', 'defined') | list, [{'r': 0}, {'r': 1}] | selectattr('r') | list, [{'r': 0}, {'r': 1}] | rejectattr('r') | list, [{'r': 'u'}, {'r': 'a'}] | rejectattr('r', 'eq', 'u') | map(attribute='r') | list, [{'r': 'u'}] | selectattr('r', 'in', ['u', 'v']) | list | length, [{'a': {'b': 1}}] | selectattr('a.b', 'eq', 1) | list
none | selectattr('a') | list, none | map('upper') | list
[1, 2] | map('upper') | length
[1, 2] | select('odd') | first, ([1, 2] | select('even') | list)[0], ([] | select and 'truthy'), [3] | select('odd') | list | length == 1
[1, 2] | map('nope') | list
[1, 2] | select('nope') | list
1 | nope
1 is nope
(1 | nope) if false else 2
{'b': 1, 'a': 2} | dictsort, {'b': 1, 'a': 2} | dictsort(by='value'), {'b': 1, 'A': 2} | dictsort, {'b': 1, 'A': 2} | dictsort(true), {'a': 1, 'b': 2} | dictsort(reverse=true), {'a': 1} | items | list, undefined_name | items | list
[{'c': 'x', 'n': 1}, {'c': 'y', 'n': 2}, {'c': 'x', 'n': 3}] | groupby('c') | map('last') | list
[1, 2, 3, 4, 5] | batch(2) | list, [1, 2, 3] | batch(2, 0) | list, [1, 2, 3, 4, 5] | slice(2) | list, [1, 2, 3] | slice(2, 'x') | list
-5 | abs, (-5) | abs, -5.5 | abs, 2.5 | round, 3.5 | round, 2.567 | round(2), 2.567 | round(1, 'floor'), 2.511 | round(1, 'ceil'), 42 | round, 1234 | round(-2), 2.5 | round | int, 0.5 | round, 1.005 | round(2)
'5' | int, '5.7' | int, 'x' | int, 'x' | int(7), 5.9 | int, -5.9 | int, '0x1f' | int(base=16), '11' | int(0, 2), none | int, true | int, ' 12 ' | int, '1_000' | int, '-3' | int, '' | int
'5' | float, '5.5e1' | float, 'x' | float, 'x' | float(1.5), none | float, 5 | float, 'inf' | float, '1_0.5' | float, ' 2 ' | float
'Hello World foo' | truncate(9), 'Hello World foo' | truncate(9, true), 'Hello World foo' | truncate(11, false, '!'), 'short' | truncate(3), 'Hello World foo' | truncate(9, leeway=0), 'Hello World' | truncate(9)
'a\nb\n\nc' | indent, 'a\nb\n\nc' | indent(2, true), 'a\n\nb' | indent(2, blank=true), 'a\nb' | indent('> '), 'a\n' | indent, '' | indent ~ '|', 'a\nb' | indent(width=1, first=true)
'Hello, World foo_bar 12' | wordcount, 'a b/ä&=' | urlencode, {'a b': 1, 'c': 'ä'} | urlencode, 'ab' | center(6) ~ '|', 1 | string ~ 2, [1] | string
'abc' | upper, 'ABC' | lower, 'aBC dEF' | capitalize, 5 | upper, none | string, true | lower
'abc' | list, {'a': 1} | list, (1, 2) | list
{'upper': 1} | attr('upper') is defined, 'abc' | attr('upper') is defined, {'a': 1} | attr('a') is defined
'a' | upper | lower | default('x')
'a b' | upper.split(' ')
('a b' | upper).split(' ')
'abc'.upper().lower().title()
[1, 2, 3] | join(', ') | upper ~ '!'
(1, 2, 3)
1, 2
'a' if 1 == 1 and not false else 'b'
1 in [1] == true
not true == false
-1 | abs
- 1
+5, -(-5), --5
3 - -2
'a' == 'a' and 'b' or 'c'
none is not none or 'z'
[] or {} or '' or 0 or 'last'
'' and 'x', 0 and 'x'
messages is defined, tools is none, documents is none, bos_token, eos_token, add_generation_prompt, pad_token is defined
[1, 2, 3][true], [1, 2, 3][-4] is defined, {'a': [1, {'b': 'c'}]}['a'][1].b
'a\
b'
'<a href="x">&\'</a>' | escape
'x<' | safe
1 .x is defined
9223372036854775807, -9223372036854775807
(lambda x: x)
a.b.c is defined
cycler('a', 'b').next(), cycler('a', 'b').current
loop is defined
caller is defined
'abc' is string and 'abc' | length > 2
'%.2f' % 3.14159, '%e' % 12345.678, '%g' % 0.0001, '%c' % 'x', '%5.1f|' % 2.25, '%i' % 5, '%o' % 8, '%#x' % 255, '%.3s' % 'abcdef', '% d' % 5
1 if none else 2 if 0 else 3
[x, y] is defined
{'a': 1, **{'b': 2}}
'a' not in ['b'] and 'c' in 'cd'
2 > 1 == 1
('ab' * 60 ~ 'c') in ('ab' * 100 ~ 'c'), ('ab' * 60 ~ 'd') in ('ab' * 100 ~ 'c'), ('ab' * 100 ~ 'c' ~ 'ab' * 99).find('ab' * 60 ~ 'c'), ('ab' * 99).rfind('ab' * 40), ('ab' * 99).count('ab' * 40), ('xy' * 99).find('ab' * 40), ('ba' * 50).rfind('ab' * 40)
('x'.join(['ab' * 40, 'c', 'd'])).split('ab' * 40), ('ab' * 40 ~ 'c' ~ 'ab' * 40).replace('ab' * 40, '-'), ('ab' * 80 ~ 'c').rsplit('ab' * 40, 1) | map('length') | list, ('ab' * 50).partition('ba' * 40) | map('length') | list
"\u4f60" == '你', '你好' | length, '你好'.find('好')
'ǆ'.upper(), 'ﬁ'.lower(), 'İ' | length
""".strip("\n").replace("\\\nb'", "\\@@b'").split("\n")

# Whole templates, with MESSAGES and TOOLS at hand.
TEMPLATES = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "  {% if true %}  \n  b\n  {% endif %}\nc",
    "x {% if true %} y {% endif %} z",
    "a\n  {{ 1 }}  \nb",
    "a\n  {{- 1 -}}  \nb",
    "a\n  {%- if true -%}  \nb  {%- endif %}  c",
    "a\n  {%+ if true %}b{% endif +%}\nc",
    "a {# c #} b\n  {# d #}\ne {#- f -#} g",
    "a\n{# multi\nline #}\nb",
    "{#{{ x }}#}{# -#}  a",
    "{% raw %}{{ x }}{% if %}{% endraw %}b",
    "a {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "a\n  {% raw %}\n x \n  {% endraw %}\nb",
    "{{ '{{' }} {{ '%}' }} {{ \"}}\" }} {{ {'a': {'b': 1}}['a']['b'] }}{{ {'a':{}}}}",
    "a\r\nb\rc\n{% if true %}\r\nd{% endif %}\r\n",
    "a\n\n",
    "{% if true %}\n\n{% endif %}\n",
    "a {{ 1 }}\n{{ 2 }}\n",
    "{%if 1%}a{%endif%}{{1}}{{-2-}} {{+3}}",
    "{% if true -%}\n\n   a   \n{%- endif %}",
    "{ {a} {% if 1 %}{%b{% endif %}",
    "{ a } % } # }",
    "{% for m in messages %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }} {{ m.role }}\n{% endfor %}",
    "{% for m in messages if m.role == 'assistant' %}{{ loop.index }}{{ loop.last }}{{ loop.length }} {% else %}none{% endfor %}",
    "{% for m in messages if m.role == 'x' %}a{% else %}none{% endfor %}",
    "{% for x in [] %}a{% else %}b{% endfor %}{% for x in none or [] %}a{% endfor %}",
    "{% for x in undefined_name %}a{% else %}empty{% endfor %}",
    "{% for x in none %}a{% endfor %}",
    "{% for x in 5 %}a{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}>{{ loop.nextitem.role if not loop.last }} {% endfor %}",
    "{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }} {{ loop.cycle('a','b') }} {% endfor %}",
    "{% for x in [1,2,3,4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1,2] %}{% for y in [1,2,3] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}={{ v }};{% endfor %}{% for k, v in {'a': 1} | items %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for (a, b) in [[1, 2]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [[1]] %}{% endfor %}",
    "{% for c in 'aé😀' %}[{{ c }}]{% endfor %}{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}",
    "{% for x in range(3) %}{% set y = x %}{% endfor %}{{ y is defined }}",
    "{% set y = 0 %}{% for x in range(3) %}{{ y }}{% set y = y + 1 %}{{ y }} {% endfor %}{{ y }}",
    "{% set ns = namespace(n=0, l=[]) %}{% for x in range(3) %}{% set ns.n = ns.n + x %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.n }}{{ ns.l }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a + 1 %}{{ ns.b }}{{ ns }}",
    "{% set x = {'a': 1} %}{% set x.a = 2 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}",
    "{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]{{ x | length }}",
    "{% set x | upper | trim %} a{{ 1 }}b {% endset %}[{{ x }}]",
    "{% if true %}{% set z = 1 %}{% endif %}{{ z }}{% if false %}{% set w = 1 %}{% endif %}{{ w is defined }}",
    "{% set x = 1 %}{% with x = 2, y = x %}{{ x }}{{ y }}{% set x = 3 %}{{ x }}{% endwith %}{{ x }}{{ y is defined }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(a=5, b=6) }} {{ m() }} {{ m(1, 2, 3) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m(a, b=a ~ '!') %}{{ a }}{{ b }}{% endmacro %}{{ m('x') }}{{ m('x', 'y') }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m() %}{{ caller() }}!{{ caller() }}{% endmacro %}{% call m() %}hi{% endcall %}",
    "{% macro m(items) %}{% for i in items %}[{{ caller(i, loop.index) }}]{% endfor %}{% endmacro %}{% call(x, n) m(['a', 'b']) %}{{ n }}{{ x }}{% endcall %}",
    "{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}hi{% endcall %}",
    "{% set g = 'G' %}{% macro m() %}{{ g }}{% set g = 'L' %}{{ g }}{% endmacro %}{{ m() }}{{ g }}{% set g = 'H' %}{{ m() }}",
    "{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(5) }}",
    "{% macro tree(n) %}({% for c in n.c %}{{ tree(c) }}{% endfor %}){% endmacro %}{{ tree({'c': [{'c': []}, {'c': [{'c': []}]}]}) }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m.name }}{{ m is callable }}{{ [1, 2] | map('string') | map('upper') | list }}",
    "{% macro m() %}\n  a\n{% endmacro %}\n[{{ m() }}]",
    "{% for x in [1, 2] %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}{% filter replace('a', 'x') | upper %}abc{% endfilter %}",
    "{% generation %}a{% set x = 1 %}{{ x }}{% endgeneration %}{{ x is defined }}",
    "{% print 1, 'a' %}",
    "{% set c = cycler('a', 'b', 'c') %}{% for x in range(4) %}{{ c.next() }}{% endfor %}{% set _ = c.reset() %}{{ c.next() }}{% set j = joiner('; ') %}{% for x in [1,2] %}{{ j() }}{{ x }}{% endfor %}",
    "{% if messages[0]['role'] == 'system' %}{% set sys = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ sys }}{{ rest | length }}",
    "{% for m in messages %}{{ m.content }}|{{ m['content'] is string }}|{{ m.name is defined }}|{{ m.tool_calls is defined and m.tool_calls }}\n{% endfor %}",
    "{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ (messages | selectattr('role', 'eq', 'user') | first).content }}",
    "{{ messages[1].content | tojson }} {{ tools | tojson }} {{ tools | tojson(indent=2) }}",
    "{{ messages[2].tool_calls[0].function.arguments | tojson }} {{ messages[2].tool_calls[0].function.arguments | items | list }} {{ messages[2] }}",
    "{{ messages[-1].content.split('</think>')[-1].lstrip('\\n') }}|{{ messages[::-1] | map(attribute='role') | list }}|{{ messages[1:3] | length }}",
    "{%- for m in messages[::-1] %}{% set i = (messages | length - 1) - loop.index0 %}{{ i }}{{ m.role }} {% endfor %}",
    "{% set ns = namespace(multi_step_tool=true, last=messages|length - 1) %}{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{% if ns.multi_step_tool and m.role == \"user\" and m.content is string and not(m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}{% set ns.multi_step_tool = false %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}",
    "{% set content = messages[4].content %}{% if '</think>' in content %}{% set r = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}[{{ r }}][{{ content }}]",
    "{{ raise_exception('bad ' ~ messages[0].role) }}",
    "{% if (messages[0].role == 'user') != (0 % 2 == 0) %}{{ raise_exception('roles') }}{% endif %}",
    "{{ '<|' + messages[1].role + '|>' + messages[1].content | trim + '<|end|>' }}",
    "{{ bos_token }}{% for m in messages %}{{ '[' ~ m.role ~ '] ' ~ (m.content or '') }}{{ eos_token if not loop.last }}{% endfor %}",
    "{% set t = tools | map(attribute='function') | map(attribute='name') | list %}{{ t }}{{ 'f' in t }}",
    "{% for t in tools %}{% set f = t.function %}{{ f.name }}({% for n, p in f.parameters.properties.items() %}{{ n }}: {{ p.type }}{% if p.enum is defined %} in {{ p.enum | join('|') }}{% endif %}{% if n in f.parameters.required %}*{% endif %}{% endfor %}){% endfor %}",
    "{% macro render(v, d=0) %}{% if v is mapping %}{% for k, x in v.items() %}{{ '  ' * d }}{{ k }}:\n{{ render(x, d + 1) }}{% endfor %}{% elif v is string %}{{ '  ' * d }}{{ v }}\n{% elif v is iterable %}{% for x in v %}{{ render(x, d) }}{% endfor %}{% else %}{{ '  ' * d }}{{ v }}\n{% endif %}{% endmacro %}{{ render(tools) }}",
    "{% if not enable_thinking is defined %}{% set enable_thinking = true %}{% endif %}{% if enable_thinking is false %}no{% else %}yes{% endif %}",
    "{% if x is defined %}{% if x %}a{% endif %}{% elif y %}b{% else %}c{% endif %}",
    "{% if false %}a{% elif 0 %}b{% elif 1 %}c{% else %}d{% endif %}",
    "{% if 1, %}t{% endif %}{% if () %}u{% endif %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in [1, 2, 3] if x > 1 if true else false %}{{ x }}{% endfor %}",
    "{% set ns = namespace(found=false) %}{% for x in [1, 2, 3, 4] if not ns.found %}{{ x }}{% if x == 2 %}{% set ns.found = true %}{% endif %}{% endfor %}",
    "{% set g = [1, 2, 3] | select('odd') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% else %}empty{% endfor %}{{ g | list }}",
    "{% set d = {'a': 1} %}{% set d = dict(d, b=2) %}{{ d }}{% set d = dict(d, **{'c': 3}) %}{{ d }}",
    "{{ dict(a=1, **{'a': 2}) }}",
    "{% macro m(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 1, 'b': 2}) }}{{ m(1, *[2]) }}",
    "{{ x }}", "{% if %}{% endif %}", "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{% for %}{% endfor %}", "{% for x %}{% endfor %}",
    "{% endif %}", "{% if true %}", "{% nope %}", "{{ 'a }}", "{{ 1 2 }}", "{# a", "{{ a", "{% else %}", "{{ a.1b }}", "{{ a..b }}",
    "{% set true = 1 %}", "{% set 1 = 1 %}", "{% set x %}", "{% break %}", "{% macro m( %}{% endmacro %}", "{{ f(a=1, 2) }}", "{{ a b }}", "{{ @ }}", "{{ a | }}", "{{ a is }}", "{% if a %}{% else %}{% elif b %}{% endif %}",
    "{{ [1, 2 }}", "{{ {'a' 1} }}", "{{ a[ }}", "{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}", "{% endfor %}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ 0777 }}", "{% for x in y recursive z %}{% endfor %}",
    "{% set x = 1 -%}   a\n{% set y = 2 +%}\nb {{ x }}",
    "  {%- set x = 1 %}\n  {%- set y = 2 %}\n  a",
    "\n\n  {{ 1 }}\n\n",
    "{{ 'a\n b' }}{{ '''a''' }}",
    "{% if 'x' in kw %}a{% endif %}{{ kw.n }}{{ kw.f }}{{ kw.l[0] }}{{ kw.none is none }}{{ kw.t }}{{ kw.missing is defined }}{{ kw }}",
    "{{ date_string if date_string is defined else 'today' }}",
    "{% if loop is defined %}x{% endif %}{% for a in [1] %}{% for b in [1,2] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for a in [1, 2] %}{% set outer = loop %}{% for b in [1, 2] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for x in [3, 1, 2] | sort %}{{ x }}{% endfor %}{% for i, x in [(0, 'a')] %}{{ i }}{{ x }}{% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.length - loop.index }}{% if loop.nextitem is defined %}>{{ loop.nextitem }}{% endif %}{% endfor %}{% for x in 'ab' | list %}{{ loop.last }}{% endfor %}",
    "{% set x = messages | length > 3 and messages[0].role in ['system', 'developer'] %}{{ x }}",
    "{{ 'a' if messages[0].role == 'system' and messages[0].content is not none else 'b' }}",
    "{{- '' }}{{ '' -}}  x  {{- '' -}} y",
]
KWARGS = {"kw": {"n": 1, "f": 1.5, "l": ["a"], "none": None, "t": True}, "x": "ctx", "enable_thinking": False}


def cases():
    for text in EXPRESSIONS:
        yield {"template": "{{ %s }}" % text.replace("@@", "\n")}
    for text in TEMPLATES:
        yield {"template": text, "messages": MESSAGES, "tools": TOOLS, "kwargs": KWARGS}


def main():
    env = environment()
    out = []
    for case in cases():
        try:
            case["text"] = render(env, case)
            case["text"].encode()
        except Exception:  # whatever Jinja raises
            case.pop("text", None)
            case["fails"] = True
        if "messages" in case:  # the reader supplies these
            for key in ("messages", "tools", "kwargs"):
                del case[key]
            case["with_chat"] = True
        out.append(case)
    text = json.dumps({"messages": MESSAGES, "tools": TOOLS, "kwargs": KWARGS, "cases": out}, ensure_ascii=False, indent=0) + "\n"
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jinja_cases.json")
    if "--check" in sys.argv:
        with open(path, encoding="utf-8") as file:
            sys.exit(0 if file.read() == text else "jinja_cases.json differs")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(len(out), "cases,", sum("fails" in case for case in out), "of them fail")


if __name__ == "__main__":
    main()
