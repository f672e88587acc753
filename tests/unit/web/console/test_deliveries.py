"""The page of notifications: what was given up first, sending again for security and technical alone, and nothing of an agent's on it."""

from __future__ import annotations

import re

import pytest

from tests.people_listener import PASSWORD


async def signed_in(served, http, who):
    """Sign in as somebody; the headers their browser sends with a form."""
    async with http.get(f"{served.url}/sign-in") as door:
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', await door.text())[1]
    sent = {"csrf": csrf, "person": who, "password": PASSWORD}
    async with http.post(f"{served.url}/sign-in", data=sent, headers={"Origin": served.url}, allow_redirects=False) as answer:
        assert answer.status == 303


async def page(served, http, path):
    """One page."""
    async with http.get(f"{served.url}{path}") as answer:
        return await answer.text()


async def test_what_was_given_up_stands_first(served, http):
    """With its channel, what the last attempt came to and a link to the hold; the other tabs have the others."""
    dead, arrived = served.gate.notify("dead"), served.gate.notify("delivered", target="rita")
    await signed_in(served, http, "aiko")
    first = await page(served, http, "/deliveries")
    assert f'href="/holds/{dead.subject}"' in first
    assert "http_500" in first
    assert arrived.subject not in first
    assert "to rita" in await page(served, http, "/deliveries?tab=delivered")
    everything = await page(served, http, "/deliveries?tab=all")
    assert all(one.subject in everything for one in (dead, arrived))
    assert "Nothing waits" in await page(served, http, "/deliveries?tab=waiting")
    assert f'href="/holds/{dead.subject}"' in await page(served, http, "/deliveries?tab=%3Cscript%3E")


async def test_sending_again(served, http):
    """One form for each; it is due again, and the page says who."""
    dead = served.gate.notify("dead")
    await signed_in(served, http, "aiko")
    shown = await page(served, http, "/deliveries")
    csrf, key = (re.search(rf'name="{name}" value="([^"]+)"', shown)[1] for name in ("csrf", "key"))
    where, form = f"{served.url}/deliveries/{dead.id}/resend", {"csrf": csrf, "key": key}
    async with http.post(where, data=form, headers={"Origin": served.url}) as answer:
        assert (answer.status, "It is sent again." in (said := await answer.text())) == (200, True)
    assert "sent again by aiko" in said
    assert [one.state for one in served.gate.deliveries] == ["waiting"]
    async with http.post(f"{served.url}/deliveries/n_0/resend", data={"csrf": csrf}, headers={"Origin": served.url}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("how", ["without the function", "a form of nobody's"])
async def test_not_everybody_sends_again(served, http, how):
    """Refused, and nothing changed; who may not is told so instead of a button."""
    dead = served.gate.notify("dead")
    await signed_in(served, http, "ines" if how == "without the function" else "aiko")
    shown = await page(served, http, "/deliveries")
    assert ("Send again" in shown) == (how != "without the function")
    csrf = re.search(r'name="csrf" value="([^"]+)"', shown)[1] if how == "without the function" else "0" * 64
    async with http.post(f"{served.url}/deliveries/{dead.id}/resend", data={"csrf": csrf}, headers={"Origin": served.url}) as answer:
        assert answer.status == 403
    assert [one.state for one in served.gate.deliveries] == ["dead"]
