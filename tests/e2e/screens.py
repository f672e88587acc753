"""Takes a picture of every page of the gallery, at both widths and in both themes: python -m tests.e2e.screens [--only NAME,…].

They lie in tests/e2e/screens/, the newest set only; people look at them beside the reference, nothing compares them.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.e2e.chromium import chromium, page_of
from tests.e2e.gallery import gallery

SCREENS = Path(__file__).parent / "screens"
WIDTHS = {"wide": 1440, "phone": 390}
THEMES = {"light": False, "dark": True}


async def main(only: set[str]) -> None:
    """All of them, or those named."""
    SCREENS.mkdir(exist_ok=True)
    for picture in SCREENS.glob("*.png"):
        if not only or picture.name.rsplit("-", 2)[0] in only:
            picture.unlink()
    with tempfile.TemporaryDirectory() as folder:
        async with gallery(Path(folder)) as filled, chromium() as browser:
            for theme, dark in THEMES.items():
                async with page_of(browser, dark=dark) as page:
                    for shown in filled.pages:
                        if only and shown.name not in only:
                            continue
                        await filled.open(page, shown)
                        for width, pixels in WIDTHS.items():
                            await page.set_viewport_size({"width": pixels, "height": 900})
                            await page.screenshot(path=SCREENS / f"{shown.name}-{width}-{theme}.png", full_page=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.screens", description=__doc__)
    parser.add_argument("--only", default="")
    asyncio.run(main({name for name in parser.parse_args().only.split(",") if name}))
