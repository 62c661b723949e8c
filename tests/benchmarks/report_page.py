"""The page of a run with 14,000 conversations: `python tests/benchmarks/report_page.py`, three minutes.

Says how long `chatbench report` takes, how large the page is, how long Chromium takes from opening the file until the
list can be used (median of three fresh browsers), to open one conversation, and to search all of them for a phrase.
Every conversation has some 400 words of English. CHROMIUM names the browser if it is not on the path.

On two cores shared with other work, Chromium 150: a page of 20.0 MB, written in 22.7 s, usable after 1.09 s, a
conversation after 0.25 s, a search of everything after 6.51 s.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from sample_runs import Writer

from lm_eval_plugin.cli.main import main as chatbench

CONVERSATIONS = 14_000
SUBJECTS = 57
OPENINGS = 3


def opened(page: Path) -> tuple[float, float, float]:
    """Seconds until the list can be used, until a conversation is shown, and until a search has ended."""
    browser_file = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        tab = browser.new_page()
        times = [time.perf_counter()]
        tab.goto(page.as_uri())
        tab.wait_for_selector(".results a")
        times.append(time.perf_counter())
        tab.click(".results li:nth-child(7) a")
        tab.wait_for_selector("#transcript .turn")
        times.append(time.perf_counter())
        tab.go_back()
        tab.fill("#search", "unlikely to stand anywhere")
        expect(tab.locator("#count")).to_have_text(re.compile("^0 of"), timeout=120_000)
        times.append(time.perf_counter())
        browser.close()
    return times[1] - times[0], times[2] - times[1], times[3] - times[2]


def main() -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = {f"subject_{place}": CONVERSATIONS // SUBJECTS for place in range(SUBJECTS)}
        tasks["subject_0"] += CONVERSATIONS % SUBJECTS
        run = Writer(Path(folder)).run("model", tasks)
        page = Path(folder) / "report.html"
        started = time.perf_counter()
        chatbench(["report", str(run), "-o", str(page)])
        print(f"report written in {time.perf_counter() - started:.1f} s, {page.stat().st_size / 1e6:.1f} MB")
        first, one, search = (median(each) for each in zip(*(opened(page) for _ in range(OPENINGS)), strict=True))
        print(
            f"usable after {first:.2f} s, a conversation after {one:.2f} s, a search of everything after {search:.2f} s"
        )


if __name__ == "__main__":
    main()
