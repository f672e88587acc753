"""Registries that widen rights, in a house of production: taken after two people's word, who gain nothing; over restarts, and never by default."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from stagewarden import config as configuration
from stagewarden.app import running as starting
from stagewarden.errors import ConfigError, Conflict, NotAllowed, NotFound
from stagewarden.gate import RegistryWaits
from stagewarden.identity.people import Caller
from stagewarden.store import Revisions
from stagewarden.store.tables import revisions
from tests.product import HOUSE, house, rulings, until

NOWHERE = "http://127.0.0.1:9"
MORE = ("stages: [generate, edit], workflows: [newsletter]}\n  briefer", "stages: [generate, edit, queue], workflows: [newsletter]}\n  briefer")
LESS = ("stages: [generate, edit], workflows: [newsletter]}\n  briefer", "stages: [generate], workflows: [newsletter]}\n  briefer")


def person(name):
    """Somebody who signed in."""
    return Caller(name, None, frozenset(), "session")


PROGRAM = Caller(None, "robot", frozenset({"read"}), "token")


@pytest.fixture
def made(tmp_path):
    """A house of production, not started; nobody can sign in there by a token."""
    source = tmp_path / "source"
    source.mkdir()
    for path in HOUSE.iterdir():
        (source / path.name).write_text(path.read_text())
    config = source / "stagewarden.yaml"
    text = config.read_text().replace("environment: sandbox", "environment: production")
    text = text.replace('  people: {bind: "127.0.0.1:0"}\n', "").replace('  people:\n    - {kind: token, tokens: "file:people-tokens.yaml"}\n', "")
    config.write_text(text)
    return house(tmp_path / "house", NOWHERE, source=source)


@asynccontextmanager
async def started(made):
    """It runs until the block is left."""
    async with starting(configuration.load(made.config)) as sidecar:
        yield sidecar


def write(made, before, after):
    """Another registry.yaml."""
    path = made.folder / "registry.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def entries(made):
    """What the log says of registries that waited."""
    found = [entry for entry in rulings(made.folder) if entry["kind"] == "registry" and "digest" in entry]
    return [(entry["result"], entry["by"]) for entry in found]


def stages(sidecar):
    """What the drafter may do, as it is in force."""
    return [str(stage) for stage in sidecar.rooms.registry.data.agents["drafter"].stages]


async def waiting(sidecar):
    """The one that waits."""
    (view,) = await sidecar.acts.waiting_revisions(person("ines"))
    return view


async def offered(made, sidecar, change=MORE):
    """A registry that widens, refused for now; its view."""
    write(made, *change)
    with pytest.raises(RegistryWaits):
        await sidecar.reload()
    return await waiting(sidecar)


async def test_the_first_is_exempt_and_what_narrows_passes(made):
    """The first is in force without anybody's word, and so is the next that gives nobody more; a restart changes nothing."""
    async with started(made) as sidecar:
        assert await sidecar.acts.waiting_revisions(person("ines")) == []
        write(made, *LESS)
        await sidecar.reload()
        assert stages(sidecar) == ["generate"]
    async with started(made) as sidecar:
        assert (stages(sidecar), await sidecar.acts.waiting_revisions(person("ines"))) == (["generate"], [])
        write(made, LESS[1], LESS[0])
        with pytest.raises(RegistryWaits):
            await sidecar.reload()
        assert stages(sidecar) == ["generate"]
    assert entries(made) == [("waits", "not_applicable")]


async def test_two_people_who_gain_nothing_confirm_it(made):
    """One is not enough, the second is; it is in force within a second, recorded by name, and the next is compared with it."""
    async with started(made) as sidecar:
        write(made, *MORE)
        sidecar.request_reload()
        await until(lambda: sidecar.watch.details()["registry_waits"])
        view = await waiting(sidecar)
        assert view.revision.id in str(sidecar.watch.details()["registry_waits"])
        assert [one.place for one in view.widens] == ["agents.drafter.stages"]
        await sidecar.acts.confirm_revision(person("ines"), view.revision.id, view.revision.digest)
        with pytest.raises(RegistryWaits):
            await sidecar.reload()
        assert stages(sidecar) == ["generate", "edit"]
        await sidecar.acts.confirm_revision(person("lena"), view.revision.id, view.revision.digest)
        await until(lambda: stages(sidecar) == ["generate", "edit", "queue"])
        await until(lambda: sidecar.watch.details()["registry_waits"] is None)
        assert await sidecar.acts.waiting_revisions(person("ines")) == []
    assert entries(made) == [("waits", "not_applicable"), ("confirmed", "ines"), ("confirmed", "lena")]
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit", "queue"]


REFUSED = {
    "who gains": (person("tomas"), {}, NotAllowed, "who gains"),
    "the agent's owner": (person("rita"), {}, NotAllowed, "who gains"),
    "who left": (person("gone"), {}, NotAllowed, "not an active person"),
    "nobody of the registry": (person("zoe"), {}, NotAllowed, "not an active person"),
    "a program": (PROGRAM, {}, NotAllowed, "program"),
    "another digest": (person("ines"), {"digest": "sha256:00"}, Conflict, "digest"),
    "another revision": (person("ines"), {"revision_id": "c_none"}, NotFound, "no such"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_who_may_not_confirm(made, name):
    """Refused, and nothing changed."""
    caller, change, error, says = REFUSED[name]
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        with pytest.raises(error, match=says):
            await sidecar.acts.confirm_revision(caller, **{"revision_id": view.revision.id, "digest": view.revision.digest} | change)
        assert (await waiting(sidecar)).revision.confirmations == ()
    assert entries(made) == [("waits", "not_applicable")]


async def test_one_human_being_is_one_of_the_two(made):
    """Neither twice nor under another id that either registry knows."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        await sidecar.acts.confirm_revision(person("ines"), view.revision.id, view.revision.digest)
        for again in ("ines", "ines-two"):
            with pytest.raises(NotAllowed, match="already"):
                await sidecar.acts.confirm_revision(person(again), view.revision.id, view.revision.digest)
        with pytest.raises(RegistryWaits):
            await sidecar.reload()
        assert [one.person for one in (await waiting(sidecar)).revision.confirmations] == ["ines"]


async def test_one_human_being_at_the_same_moment_is_one_of_the_two(made):
    """Under two ids, of which neither saw the other's word: it waits for somebody else, over a restart too."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        stored = Revisions(sidecar.rooms.store)
        for name in ("ines", "ines-two"):
            await stored.confirm(view.revision.id, name, sidecar.rooms.clock.now_ns())
        assert not await sidecar.acts.due(sidecar.rooms.registry)
        with pytest.raises(RegistryWaits):
            await sidecar.reload()
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit"]
        await sidecar.acts.confirm_revision(person("lena"), view.revision.id, view.revision.digest)
        await until(lambda: stages(sidecar) == ["generate", "edit", "queue"])


async def test_who_gains_a_function_does_not_confirm_it(made):
    """The person whose functions grow, under any of their ids."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar, ("ines: {functions: [reviewer, privacy]", "ines: {functions: [reviewer, privacy, legal]"))
        for gains in ("ines", "ines-two"):
            with pytest.raises(NotAllowed, match=r"people\.ines\.functions"):
                await sidecar.acts.confirm_revision(person(gains), view.revision.id, view.revision.digest)


async def test_a_restart_does_not_let_it_in(made):
    """Started with a file nobody has confirmed, the house serves by the registry that is in force, and says so; confirmed, it takes the file."""
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit"]
    write(made, *MORE)
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit"]
        assert "agents.drafter.stages" in str(sidecar.watch.details()["registry_waits"])
        view = await waiting(sidecar)
        await sidecar.acts.confirm_revision(person("ines"), view.revision.id, view.revision.digest)
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit"]
        assert [one.person for one in (await waiting(sidecar)).revision.confirmations] == ["ines"]
        await sidecar.acts.confirm_revision(person("lena"), view.revision.id, view.revision.digest)
        await until(lambda: stages(sidecar) == ["generate", "edit", "queue"])
    assert entries(made) == [("waits", "not_applicable"), ("confirmed", "ines"), ("confirmed", "lena")]


async def test_confirmed_while_down_is_taken_at_start(made):
    """The second word came by way of another process: the file's registry is in force from the first request."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        for name in ("ines", "lena"):
            sidecar._reload = None  # this process hears nothing of it any more
            await sidecar.acts.confirm_revision(person(name), view.revision.id, view.revision.digest)
    async with started(made) as sidecar:
        assert stages(sidecar) == ["generate", "edit", "queue"]


async def test_what_was_confirmed_is_this_step_alone(made):
    """Another file than the confirmed one waits by itself, and a word given for one step counts for no other."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        for name in ("ines", "lena"):
            await sidecar.acts.confirm_revision(person(name), view.revision.id, view.revision.digest)
        write(made, "queue], workflows: [newsletter]}\n  briefer", "queue, approve], workflows: [newsletter]}\n  briefer")
        with pytest.raises(RegistryWaits):
            await sidecar.reload()
        assert stages(sidecar) == ["generate", "edit"]
        assert len(await sidecar.acts.waiting_revisions(person("ines"))) == 2


async def test_words_of_before_do_not_count_once_the_ground_has_shifted(made):
    """After another registry came into force, what waited was compared with something that stands no more."""
    async with started(made) as sidecar:
        view = await offered(made, sidecar)
        write(made, MORE[1], LESS[1])
        await sidecar.reload()
        with pytest.raises(Conflict, match="does not wait"):
            await sidecar.acts.confirm_revision(person("ines"), view.revision.id, view.revision.digest)
        assert stages(sidecar) == ["generate"]


async def test_a_stored_registry_that_does_not_read_starts_nothing(made):
    """What cannot be compared is not taken."""
    async with started(made) as sidecar, sidecar.rooms.store.writing() as connection:
        await connection.execute(revisions.update().values(document="{"))
    with pytest.raises(Exception, match="not understood"):
        async with started(made):
            pytest.fail("it runs")


async def test_a_sandbox_takes_what_it_is_given(tmp_path):
    """There a registry is for trying out."""
    made = house(tmp_path / "house", NOWHERE)
    async with started(made) as sidecar:
        write(made, *MORE)
        await sidecar.reload()
        assert stages(sidecar) == ["generate", "edit", "queue"]
        assert await sidecar.acts.waiting_revisions(person("ines")) == []
    assert entries(made) == []
    await asyncio.sleep(0)


async def test_a_registry_in_force_that_no_longer_fits_the_configuration_starts_nothing(made):
    """Neither the file's, which nobody confirmed, nor the one in force, which cannot run: the start is refused with the reason."""
    async with started(made):
        pass
    write(made, *MORE)
    write(made, "  leaky-site: {channel", "  other-site: {channel")
    config = made.config.read_text().replace("destination: leaky-site", "destination: other-site")
    made.config.write_text(config)
    with pytest.raises(ConfigError, match="other-site"):
        async with started(made):
            pytest.fail("it runs")
