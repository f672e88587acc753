"""The operators' tables of configuration and registry keys against the shapes they are read into: both ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml
from msgspec import inspect

from stagewarden import config as configuration
from stagewarden.config import later, shapes
from stagewarden.config.rules import identity, notify, values
from stagewarden.config.units import PARSERS, Bind, Bytes, File, Rate, Seconds, Secret, TimeOfDay
from stagewarden.errors import ConfigError
from stagewarden.model import Stage
from stagewarden.registry import shapes as registry_shapes
from stagewarden.registry.later import REGISTRY
from tests.unit.config.parts import SMALL
from tests.unit.shipping.manuals import OPERATORS, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = {key.strip("`"): (default, form, limit) for key, default, form, limit in table(OPERATORS, "key", "default", "form", "meaning and limit")}
_FORMS = {Seconds: "duration", Bytes: "size", Rate: "rate", Secret: "secret", File: "file", Bind: "HOST:PORT", Stage: "stage", TimeOfDay: "HH:MM"}
_PLAIN = {
    inspect.IntType: "number", inspect.FloatType: "number", inspect.BoolType: "true, false", inspect.StrType: "text", inspect.VarTupleType: "list",
    inspect.DictType: "mapping",
}  # fmt: skip


def leaves(shape: inspect.Type, path: str) -> Iterator[tuple[str, inspect.Type, object]]:
    """(dotted key, type, default) of everything that can be written below `shape`."""
    for field in shape.fields:  # type: ignore[attr-defined]
        key = f"{path}{field.encode_name}"
        if key not in shapes.INTERNAL:
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            yield from below(field.type, key, default)


def below(shape: inspect.Type, key: str, default: object) -> Iterator[tuple[str, inspect.Type, object]]:
    """The leaves of one key: sections of names get NAME (stages STAGE), lists of sections [] or [kind]."""
    if isinstance(shape, inspect.UnionType) and any(isinstance(one, inspect.NoneType) for one in shape.types):
        (shape,) = (one for one in shape.types if not isinstance(one, inspect.NoneType))
    match shape:
        case inspect.VarTupleType(item_type=inspect.StructType() | inspect.UnionType() as item) if getattr(item, "cls", None) not in PARSERS:
            for one in item.types if isinstance(item, inspect.UnionType) else (item,):
                yield from leaves(one, f"{key}[{one.tag or ''}].")  # type: ignore[attr-defined]
        case inspect.DictType(value_type=inspect.StructType() as value):
            yield from leaves(value, f"{key}.{'STAGE' if key.endswith('credentials') else 'NAME'}.")
        case inspect.StructType(cls=cls) if cls not in PARSERS:
            place = "listen.LISTENER" if cls is shapes.Listener else key
            yield from leaves(shape, f"{place}.")
        case _:
            yield key, shape, default


CONFIGURATION = {key: (shape, default) for key, shape, default in leaves(inspect.type_info(shapes.Config), "")}


def test_every_key_stands_in_the_table_and_no_other() -> None:
    """Nothing can be written that is not described, nothing described that cannot be written."""
    assert ROWS.keys() == CONFIGURATION.keys()


@pytest.mark.parametrize("key", CONFIGURATION)
def test_its_default_and_form(key: str) -> None:
    """The default is the shape's, in the unit the file would have it; the form is the shape's type."""
    shape, default = CONFIGURATION[key]
    written, form, _ = ROWS[key]
    assert _same(written, default), f"{key}: {written} is not {default!r}"
    assert set(form.split(", ")) == set(_form(shape).split(", "))


def _same(written: str, default: object) -> bool:
    text = written.strip("`")
    if default is msgspec.NODEFAULT:
        return written == "required"
    if isinstance(default, TimeOfDay):
        return yaml.safe_load(text) == str(default)
    if isinstance(default, Seconds | Bytes | Secret):
        return PARSERS[type(default)](text) == default
    plain = list(default) if isinstance(default, tuple) else default.value if isinstance(default, Stage) else default
    return bool(yaml.safe_load(text) == plain)


def _form(shape: inspect.Type) -> str:
    if isinstance(shape, inspect.LiteralType):
        return ", ".join(map(str, shape.values))
    return _FORMS.get(getattr(shape, "cls", object)) or _PLAIN[type(shape)]


WHOLE = {"`triggers`", "`grants`", "`signals`"}  # sections without names
LIMITS = {
    "identity.agents[jwt].leeway": f"at most {identity.MAX_LEEWAY / 60:.0f}m",
    "policy.deadline": f"at most {values.MAX_POLICY_DEADLINE:.0f}s",
    "policy.cache.entries": f"at most {values.MAX_CACHED}",
    "policy.cache.age": f"at most {values.MAX_CACHE_AGE:.0f}s",
    "policy.memory": f"at least {values.MIN_WASM_MEMORY >> 20}MiB",
    "holds.settle": f"at most {values.MAX_SETTLE / 86_400:.0f}d",
    "people.session.terminal": f"at most {values.MAX_TERMINAL / 3600:.0f}h",
    "holds.wait": f"at most {values.MAX_WAIT:.0f}s",
    "limits.body": f"at most {values.MAX_BODY >> 20}MiB",
    "limits.spool": f"at most {values.MAX_SPOOL >> 30}GiB",
    "people.adapters.NAME.max_age": f"at most {identity.MAX_VOTE_AGE / 60:.0f}m",
    "notify[webhook].secrets": f"at most {notify.MOST_SECRETS}",
    **{f"notify[{kind}].timeout": f"at most {notify.LONGEST:.0f}s" for kind in ("webhook", "slack", "email")},
    "limits.json_depth": f"at most {values.MAX_JSON_DEPTH}",
}


def test_limits_are_the_checks() -> None:
    """Each number the check knows stands in its row, and no other number is called a limit."""
    assert {
        key
        for key, (_, _, limit) in ROWS.items()
        if any(f"{word} " in limit and limit.split(f"{word} ")[1][:1].isdigit() for word in ("at most", "at least"))
    } == LIMITS.keys()
    assert [key for key, limit in LIMITS.items() if limit not in ROWS[key][2]] == []


def test_registry_sections_and_keys() -> None:
    """The registry's table, flattened, is its shapes."""
    told = {
        f"{section.strip('`')}.{'' if section in WHOLE else 'NAME.'}{key}"
        for section, keys in table(OPERATORS, "section", "keys of an entry")
        for key in keys.replace("`", "").split()
    }
    assert told == {key for key, _, _ in leaves(inspect.type_info(registry_shapes.RegistryData), "")}


def places(root: type, prefix: str = "") -> dict[type, str]:
    """Section → its dotted place."""
    found: dict[type, str] = {root: prefix}

    def walk(shape: inspect.Type, path: str) -> None:
        for field in shape.fields:  # type: ignore[attr-defined]
            for kind, place in _sections(field.type, f"{path}{field.encode_name}"):
                if kind.cls not in PARSERS and f"{path}{field.encode_name}" not in shapes.INTERNAL:
                    found.setdefault(kind.cls, f"{place}.")
                    walk(kind, f"{place}.")

    walk(inspect.type_info(root), prefix)
    return found


def _sections(shape: inspect.Type, place: str) -> Iterator[tuple[inspect.StructType, str]]:
    match shape:
        case inspect.StructType():
            yield shape, "listen.LISTENER" if shape.cls is shapes.Listener else place
        case inspect.UnionType():
            for one in shape.types:
                yield from _sections(one, place)
        case inspect.DictType():
            yield from _sections(shape.value_type, f"{place}.NAME")
        case inspect.VarTupleType():
            yield from _sections(shape.item_type, f"{place}[]")


def test_what_is_not_in_this_release() -> None:
    """The table is what the loader refuses by name, and says what the loader says."""
    ours, registry = places(shapes.Config), places(registry_shapes.RegistryData)
    wanted = {f"`{ours[cls]}{key}`": one.feature for (cls, key), one in later.CONFIGURATION.items()}
    wanted |= {f"the word `{word}`": one.feature for word, one in later.LATER_WORDS.items()}
    wanted |= {f"registry: `{registry[cls]}{key}`": one.feature for (cls, key), one in REGISTRY.items()}
    assert dict(table(OPERATORS, "where", "not yet")) == wanted


def test_a_later_key_is_refused_by_name(tmp_path: Path) -> None:
    """As the manual says: refused, and named."""
    path = tmp_path / "stagewarden.yaml"
    path.write_text("version: 1\nname: x\nregistry: registry.yaml\nupstreams: {}\naudit: {key: 'file:k'}\n")
    with pytest.raises(ConfigError, match="not in this release: signed checkpoints"):
        configuration.load(path)


def test_the_example_of_tls_loads(tmp_path: Path) -> None:
    """What an operator copies from the manual is understood, and needs nothing beside it but a house."""
    (example,) = [block for block in re.findall(r"```yaml\n(.*?)```", OPERATORS, re.DOTALL) if block.startswith("listen:")]
    document = yaml.safe_load(example)
    cms = SMALL["upstreams"]["cms"] | document["upstreams"]["cms"]
    path = tmp_path / "stagewarden.yaml"
    path.write_text(yaml.safe_dump(SMALL | document | {"upstreams": {"cms": cms}, "environment": "production"}))
    loaded = configuration.load(path)
    assert loaded.listen.agents is not None
    assert loaded.listen.agents.tls is not None
    assert isinstance(loaded.identity.agents[0], configuration.MtlsIdentity)
