"""Bar and line plots as SVG text, with nothing but the standard library."""
import math

COLOURS = ["#1b6ca8", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#5f6c72"]
FONT = 'font-family="sans-serif" font-size="12" fill="#222"'


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, content, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" %s %s>%s</text>' % (x, y, anchor, FONT, extra, escape(content))


def page(width, height, title, parts):
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (width, height, width, height),
                      '<rect width="100%" height="100%" fill="#fff"/>', text(width / 2, 20, title, "middle", 'font-weight="bold"')]
                     + parts + ["</svg>", ""])


def steps(top):
    """Round values from 0 to above `top`."""
    step = 10 ** math.floor(math.log10(top))
    while top / step < 4:
        step /= 2
    while top / step > 8:
        step *= 2
    return [i * step for i in range(int(math.ceil(top / step)) + 1)]


def number(value):
    return "%g" % float("%.3g" % value)


def legend(names, x, y):
    parts = []
    for i, name in enumerate(names):
        parts.append('<rect x="%.1f" y="%.1f" width="10" height="10" fill="%s"/>' % (x, y + 16 * i - 9, COLOURS[i % len(COLOURS)]))
        parts.append(text(x + 15, y + 16 * i, name))
    return parts


def bars(title, unit, groups, names):
    """groups: [(label, {name: value})]."""
    left, top, height, per_bar = 60, 40, 220, 22
    group_width = per_bar * len(names) + 24
    plot_width = group_width * len(groups)
    width = left + plot_width + 160
    values = steps(max(value for _, of in groups for value in of.values()))
    scale = height / values[-1]
    parts = [text(left - 8, top - 8, unit, "end")]
    for value in values:
        y = top + height - value * scale
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (left, left + plot_width, y, y))
        parts.append(text(left - 8, y + 4, number(value), "end"))
    for g, (label, of) in enumerate(groups):
        x = left + g * group_width + 12
        for i, name in enumerate(names):
            if name in of:
                h = of[name] * scale
                parts.append('<rect x="%.1f" y="%.1f" width="%d" height="%.1f" fill="%s"/>' %
                             (x + i * per_bar, top + height - h, per_bar - 3, h, COLOURS[i % len(COLOURS)]))
                parts.append(text(x + i * per_bar + (per_bar - 3) / 2, top + height - h - 4, number(of[name]), "middle", 'style="font-size:9px"'))
        parts.append(text(x + per_bar * len(names) / 2, top + height + 18, label, "middle"))
    return page(width, top + height + 36, title, parts + legend(names, left + plot_width + 16, top + 12))


def lines(title, x_name, unit, series, log=False):
    """series: [(name, [(x, y)], style)]; style "line", "dashed" or "points"; log: both axes."""
    left, top, width, height = 70, 40, 440, 260
    xs = [x for _, points, _ in series for x, _ in points]
    ys = [y for _, points, _ in series for _, y in points]
    if log:
        low_x, high_x = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
        low_y, high_y = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
        at_x = lambda x: left + (math.log10(x) - low_x) / max(high_x - low_x, 1) * width
        at_y = lambda y: top + height - (math.log10(y) - low_y) / max(high_y - low_y, 1) * height
        ticks_x, ticks_y = [10.0 ** i for i in range(low_x, high_x + 1)], [10.0 ** i for i in range(low_y, high_y + 1)]
    else:
        ticks_y, ticks_x = steps(max(ys)), sorted(set(xs))
        at_x = lambda x: left + x / max(max(xs), 1) * width
        at_y = lambda y: top + height - y / ticks_y[-1] * height
    parts = [text(left - 8, top - 8, unit, "end"), text(left + width / 2, top + height + 36, x_name, "middle")]
    for y in ticks_y:
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (left, left + width, at_y(y), at_y(y)))
        parts.append(text(left - 8, at_y(y) + 4, number(y), "end"))
    for x in ticks_x:
        parts.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#eee"/>' % (at_x(x), at_x(x), top, top + height))
        parts.append(text(at_x(x), top + height + 16, number(x), "middle"))
    for i, (_, points, style) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        if style != "points":
            path = " ".join("%.1f,%.1f" % (at_x(x), at_y(y)) for x, y in points)
            dash = ' stroke-dasharray="6 4"' if style == "dashed" else ""
            parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>' % (path, colour, dash))
        if style != "dashed":
            parts += ['<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>' % (at_x(x), at_y(y), colour) for x, y in points]
    return page(left + width + 190, top + height + 50, title, parts + legend([name for name, _, _ in series], left + width + 16, top + 12))
