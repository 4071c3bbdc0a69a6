"""Listings as HTML: one file that needs nothing else, and tables for notebooks.

The file's style and scripts stand in the folder ``page``; the explorer uses them too.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from vibewasm.names import escaped

from .as_json import dumps
from .model import DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import FunctionListing, Instruction

_PAGE = Path(__file__).parent / "page"
#: Runs of locals that the heading of a function shows.
_LOCALS_SHOWN = 60


def asset(name: str) -> str:
    """The text of a file of the folder ``page``."""
    return (_PAGE / name).read_text(encoding="utf-8")


def page_data(listing: FunctionListing) -> dict[str, object]:
    """A function as the scripts of ``page`` want it: short, since a module has thousands."""
    shown = listing.locals[:_LOCALS_SHOWN]
    locals_ = [(home.name, home.place if home.count == 1 else f"{home.place} … ({home.count})") for home in shown]
    if len(listing.locals) > len(shown):
        locals_.append((f"{sum(home.count for home in listing.locals[_LOCALS_SHOWN:])} more", ""))
    cold = next((g.machine[0].address for g in listing.groups if g.kind in ("cold", *DATA)), len(listing.code))
    labels = listing.labels
    return {
        "index": listing.index,
        "symbol": listing.symbol,
        "heading": listing.heading,
        "title": listing.target_title,
        "wasm_start": listing.wasm_start,
        "wasm_size": listing.wasm_size,
        "machine_size": len(listing.code),
        "frame_size": listing.frame_size,
        "spills": listing.spills,
        "reloads": listing.reloads,
        "cold": cold,
        "locals": locals_,
        "groups": [
            (group.kind, group.wasm_offset, group.depth, group.wasm, [_line(item, labels) for item in group.machine])
            for group in listing.groups
        ],
        "blocks": listing.blocks,
    }


def _line(item: Instruction, labels: dict[int, str]) -> tuple[object, ...]:
    return (
        item.address,
        item.bytes.hex(),
        item.mnemonic,
        item.operands,
        ", ".join(item.symbols),
        " or ".join(item.traps),
        item.target,
        labels.get(item.address),
    )


def document(title: str, listings: Iterable[FunctionListing]) -> Iterator[str]:
    """An HTML file, piece by piece: style, scripts and data in it, nothing from elsewhere."""
    # It may be the name of a file, which is a stranger's as well.
    title = escape(escaped(title))
    style, scripts = asset("style.css"), [asset(name) for name in ("listing.js", "graph.js", "document.js")]
    yield f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title} – vibewasm disasm</title>
<style>
{style}</style>
</head>
<body>
<div class="document">
<nav class="functions" aria-label="functions">
<div class="filter">
<strong>{title}</strong>
<input type="search" id="filter" placeholder="Filter functions ( / )" aria-label="filter functions" autocomplete="off">
<div class="bar-line"><span id="shown" class="faint"></span>
<select id="sort" aria-label="order of functions">
<option value="index">in order</option><option value="size">by size</option>
<option value="expansion">by expansion</option><option value="name">by name</option>
</select></div>
</div>
<div class="list"></div>
</nav>
<main class="main">
<div class="bar">
<input type="search" id="find" placeholder="Find in listing" aria-label="find in listing" autocomplete="off">
<span id="found" class="faint" aria-live="polite"></span>
<span class="space"></span>
<button type="button" id="bytes" aria-pressed="false">Bytes</button>
<button type="button" id="graph" aria-pressed="false">Graph</button>
<button type="button" id="theme" aria-label="light or dark">◐</button>
</div>
<div class="view"></div>
</main>
</div>
"""
    for listing in listings:
        # In a script element only "</" and "<!--" mean something, and JSON can spell the sign otherwise.
        data = dumps(page_data(listing)).replace("<", "\\u003c")
        yield (
            f'<script type="application/json" data-index="{listing.index}" data-name="{escape(listing.symbol)}" '
            f'data-size="{len(listing.code)}" data-expansion="{listing.expansion:.3f}">{data}</script>\n'
        )
    for script in scripts:
        yield f"<script>\n{script}</script>\n"
    yield "</body>\n</html>\n"


_NOTEBOOK_STYLE = """
.vw-listing { border-collapse: collapse; font: 12px/1.4 ui-monospace, monospace; margin: 4px 0 16px; }
.vw-listing caption { text-align: left; font-weight: 600; padding: 4px 0; }
.vw-listing td { text-align: left; vertical-align: top; white-space: pre; padding: 0 12px 0 4px; }
.vw-listing tr:hover { background: rgba(224, 168, 0, 0.2); }
.vw-listing td:first-child { border-right: 1px solid rgba(128, 128, 128, 0.4); }
.vw-listing i { opacity: 0.65; font-style: normal; }
"""


def notebook(listings: Iterable[FunctionListing], left_out: int = 0) -> str:
    """Functions as tables for a notebook, without scripts, which many of them do not run."""
    parts = [f"<style>{_NOTEBOOK_STYLE}</style>"]
    for listing in listings:
        caption = (
            f"{listing.heading} – {listing.wasm_size} bytes of wasm, "
            f"{len(listing.code)} bytes of {listing.target_title}"
        )
        rows = []
        for group in listing.groups:
            wasm = escape("  " * group.depth + group.wasm) if group.kind == "body" else f"<i>{group.kind}</i>"
            lines = []
            for item in group.machine:
                label = listing.labels.get(item.address)
                lines += [f"{label}:"] if label else []
                remark = f"  <i>; {escape(item.remark)}</i>" if item.remark else ""
                code_text = escape(f"{item.mnemonic + ' ':<8}{item.operands}")
                lines.append(f"<i>{item.address:5x}</i>  {code_text}{remark}")
            code = "\n".join(lines)
            rows.append(f"<tr><td>{wasm}</td><td>{code}</td></tr>")
        parts.append(f'<table class="vw-listing"><caption>{escape(caption)}</caption>{"".join(rows)}</table>')
    if left_out:
        parts.append(f"<p>… and {left_out} more functions</p>")
    return "".join(parts)


def examples() -> list[tuple[str, str]]:
    """Titles and texts of the explorer's examples; a title stands in the first line, a comment."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((_PAGE / "examples").glob("*.wat"))]
    return [(text.partition("\n")[0].removeprefix(";; "), text) for text in texts]
