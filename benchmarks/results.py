"""The file that results are kept in: one report a benchmark, the latest."""

from __future__ import annotations

import json
from pathlib import Path

from .report import Report


def load(file: Path) -> dict[str, Report]:
    """The reports in ``file``, by benchmark; none where there is no such file."""
    if not file.exists():
        return {}
    return {name: Report.from_json(data) for name, data in json.loads(file.read_text())["reports"].items()}


def keep(file: Path, report: Report) -> None:
    """Put a report in the place of the one that ``file`` has of its benchmark; those of others stay."""
    reports = load(file) | {report.benchmark: report}
    # A name is what json.dumps sorts by; the file is to change only where a figure does.
    data = {"reports": {name: reports[name].as_json() for name in sorted(reports)}}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
