"""Changes to a house before it is started: one file edited, replaced or taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.product import House

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


def edit(name: str, old: str, new: str) -> Callable[[House], None]:
    """A change of one file: the first `old` becomes `new`."""

    def change(made: House) -> None:
        path = made.folder / name
        before = path.read_text()
        assert old in before, old
        path.write_text(before.replace(old, new, 1))

    return change


def put(name: str, content: bytes | None, mode: int = 0o600) -> Callable[[House], None]:
    """A file with other content, or without it."""

    def change(made: House) -> None:
        path = made.folder / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
            path.chmod(mode)

    return change
