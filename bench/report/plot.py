"""The results as one SVG: a panel per workload, a bar per peer, a whisker from the smallest to the largest round."""

from xml.sax.saxutils import escape

import peers

COLUMNS, PANEL_WIDTH, BAR, GAP, MARGIN = 2, 470, 17, 6, 24
LABEL_WIDTH, VALUE_WIDTH, TITLE_HEIGHT = 66, 96, 46

# Told apart by people who see few colours, on white and on black (Okabe and Ito).
COLOURS = {
    "direct": "#999999", "apus": "#D55E00", "nginx": "#009E73", "haproxy": "#0072B2", "envoy": "#CC79A7", "traefik": "#E69F00",
}

STYLE = """
  text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px } .unit { fill: #59636e } .head { font-size: 18px; font-weight: 600 }
  .back { fill: #ffffff } .axis { stroke: #59636e } .whisker { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .unit { fill: #9198a1 }
    .back { fill: #0d1117 } .axis { stroke: #9198a1 } .whisker { stroke: #f0f6fc }
  }
"""


def text(x, y, content, attributes=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(content)}</text>'


def wrapped(title, limit=58):
    """At most two lines."""
    if len(title) <= limit:
        return [title]
    cut = title.rfind(" ", 0, limit)
    return [title[:cut], title[cut + 1:]]


def bar(name, spread, metric, scale, y):
    """A label, a bar from zero, a whisker, the median in figures. A value below zero (noise of a difference) has no bar."""
    left, middle = LABEL_WIDTH + 6, y + BAR / 2
    low, median, high = (max(0.0, spread[key]) * scale for key in ("min", "median", "max"))
    digits = metric["digits"]
    return [
        text(LABEL_WIDTH, y + BAR - 4, peers.KINDS[name].title, 'text-anchor="end"'),
        f'<rect x="{left}" y="{y}" width="{median:.1f}" height="{BAR}" fill="{COLOURS[name]}"/>',
        f'<path class="whisker" fill="none" d="M{left + low:.1f} {middle - 3}v6m0 -3H{left + high:.1f}m0 -3v6"/>',
        text(left + max(high, median) + 6, y + BAR - 4, f"{spread['median']:,.{digits}f}"),
    ]


def panel(workload):
    """The panel's elements and its height."""
    metric = workload["metrics"][0]
    better = "less" if metric["is_better_low"] else "more"
    lines = wrapped(f"({workload['letter']}) {workload['title']}")
    out = [text(0, 14 + 15 * index, line, 'class="title"') for index, line in enumerate(lines)]
    out.append(text(0, 14 + 15 * len(lines), f"{metric['heading']}, {better} is better", 'class="unit"'))
    rows = {name: row[metric["key"]] for name, row in workload["peers"].items() if metric["key"] in row}
    largest = max((spread["max"] for spread in rows.values()), default=0)
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / largest if largest > 0 else 0
    y = top = TITLE_HEIGHT + 8
    for name, spread in rows.items():
        out += bar(name, spread, metric, scale, y)
        y += BAR + GAP
    out.append(f'<path class="axis" d="M{LABEL_WIDTH + 6} {top - 4}V{y}"/>')
    return out, y + MARGIN


def draw(summary):
    panels = [panel(workload) for workload in summary["workloads"].values() if workload["peers"]]
    body, y = [], 64
    for start in range(0, len(panels), COLUMNS):
        row = panels[start:start + COLUMNS]
        for column, (elements, _) in enumerate(row):
            x = MARGIN + column * (PANEL_WIDTH + MARGIN)
            body.append(f'<g transform="translate({x} {y})">' + "".join(elements) + "</g>")
        y += max(height for _, height in row)
    width = COLUMNS * PANEL_WIDTH + (COLUMNS + 1) * MARGIN
    where = summary["machine"]
    caption = (f"{summary['date'][:10]}, commit {summary['versions']['commit']}, {where['cores']} cores {where['processor']}, "
               f"Linux {where['kernel']}; medians of {summary['rounds']} rounds, whiskers from the least to the largest")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" role="img">',
        "<title>Apus and its peers</title>", f"<style>{STYLE}</style>", f'<rect class="back" width="{width}" height="{y}"/>',
        text(MARGIN, 32, "Apus and its peers", 'class="head"'), text(MARGIN, 50, caption, 'class="unit"'), *body, "</svg>", "",
    ])
