"""Where a sign-in leads: only to pages of ours; every page that has one can be come back to. No open redirect."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.web.console import onward
from tests.unit.web.console.test_pages import ELSEWHERE

ID = "01JRS8AAAAAAAAAAAAAAAAAAAA"
PAGES = (
    "/", "/?tab=all&tier=high", f"/holds/h_{ID}", f"/holds/h_{ID}/edit", f"/holds/h_{ID}?undone=yes", "/stop", f"/stop/k_{ID}", "/grants",
    "/grants/ask?agent=drafter-7&workflow=newsletter", f"/grants/g_{ID}", "/registry", f"/registry/c_{ID}", "/agents", "/agents/drafter-7",
    "/agents/svc%20mail/history", "/agents/a..b", "/agents/...", "/workflows/news@house.example", "/rulings?effect=deny", f"/rulings/r_{ID}",
    "/timeline?upstream=cms&asset=42", "/insights", "/access", "/deliveries?tab=all", "/keys",
)  # fmt: skip


@pytest.mark.parametrize("then", ELSEWHERE)
def test_nothing_else_is_followed(then: str) -> None:
    """Other hosts, schemes, acts, paths that a browser reads as another one."""
    assert onward.known(then) is None


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_followed_as_it_stands(page: str) -> None:
    """And with the mark that nothing was done, which is seen there and nowhere else."""
    assert onward.leads(onward.known(page)) == page
    marked = onward.back(page)
    assert (onward.known(marked), onward.undone(marked), onward.undone(page)) == (marked, True, "undone" in page)


@given(st.lists(st.sampled_from([*"/\\.%?#&=:@; \t\n", "%2f", "%2E", "%5c", "stop", "agents", "holds", "evil.example", "http", "x"]), max_size=8))
def test_whatever_is_followed_stays_here(parts: list[str]) -> None:
    """As a browser resolves it: our own origin, and the very path, with nothing taken out of it."""
    then = "".join(parts)
    if (followed := onward.known(then)) is not None:
        place = urlsplit(urljoin("https://warden.example/sign-in", onward.leads(followed)))
        assert (place.scheme, place.netloc, place.fragment) == ("https", "warden.example", "")
        assert place.path == then.partition("?")[0]
