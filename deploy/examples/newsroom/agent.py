# ruff: noqa: INP001  # a script to copy, in no package
"""An agent that knows nothing of Stagewarden: plain HTTP to a base URL. It drafts, edits, asks to publish, and reads the answer.

Environment: STAGEWARDEN_URL (base URL, the sidecar plus the mount), STAGEWARDEN_KEY_FILE (its key). Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

BASE = os.environ.get("STAGEWARDEN_URL", "http://127.0.0.1:8080/newsroom")
KEY_FILE = Path(os.environ.get("STAGEWARDEN_KEY_FILE", "/agent/keys/drafter.key"))


def ask(key: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """One request; whatever the answer, its status and JSON."""
    headers = {"Authorization": f"Bearer {key}"}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(BASE + path, data, headers, method=method)  # noqa: S310  # the base URL is the operator's
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def tell(act: str, status: int, answer: dict[str, object]) -> None:
    """One line: what was asked, what came back, and why not."""
    reasons = answer.get("reasons")
    why = ", ".join(reason["code"] for reason in reasons) if isinstance(reasons, list) else ""
    sys.stdout.write(f"{act:<8} {status} {why}\n")


def main() -> None:
    """Draft, edit, ask to publish; publishing is for people to finish."""
    key = KEY_FILE.read_text(encoding="utf-8").strip()
    status, article = ask(key, "POST", "/articles", {"title": "Winter opening hours", "body": "From December we open at ten."})
    tell("draft", status, article)
    if "id" not in article:
        sys.exit(1)
    tell("edit", *ask(key, "PATCH", f"/articles/{article['id']}", {"body": "From December we open at ten, on Sundays at noon."}))
    tell("publish", *ask(key, "POST", f"/articles/{article['id']}/publish"))
    tell("delete", *ask(key, "DELETE", f"/articles/{article['id']}"))


if __name__ == "__main__":
    main()
