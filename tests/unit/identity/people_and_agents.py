"""A small newsroom for identity's tests: a registry, request heads and a clock that stands still until told."""

from __future__ import annotations

from dataclasses import dataclass

from stagewarden.model import Head, Target
from stagewarden.registry import Agent, AgentIdentity, AgentOwners, Person, PersonIdentity, Registry, RegistryData

ISSUER = "https://issuer.example"


@dataclass
class StillClock:
    """Both clocks, moved by hand; `jump` moves the wall clock alone."""

    wall_ns: int = 1_795_251_600_000_000_000
    mono: float = 1000.0

    def now_ns(self) -> int:
        """Wall clock."""
        return self.wall_ns

    def monotonic(self) -> float:
        """Monotonic clock."""
        return self.mono

    def pass_(self, seconds: float) -> None:
        """Time passes, on both."""
        self.mono += seconds
        self.wall_ns += int(seconds * 1_000_000_000)

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall_ns += int(seconds * 1_000_000_000)


def head(*authorization: str | None) -> Head:
    """A request head with these `Authorization` values."""
    headers = tuple(("Authorization", value) for value in authorization if value is not None)
    return Head(
        "r_0",
        "POST",
        Target("/cms/x", "/cms/x", ("cms", "x")),
        "localhost",
        headers,
        {name.lower(): value for name, value in reversed(headers)},
        "127.0.0.1",
        0,
    )


def agent(**identity: str) -> Agent:
    """An agent with this identity."""
    return Agent(identity=AgentIdentity(**identity), owners=AgentOwners(human="olga"), stages=("generate",), workflows=("newsletter",))


def registry(**people: Person) -> Registry:
    """Agents by key and by token; alice and olga with a sign-in, bob without, zoe has left."""
    return Registry.of(
        RegistryData(
            people={
                "alice": Person(functions=("business",), identity=PersonIdentity(issuer=ISSUER, subject="idp-alice")),
                "olga": Person(functions=("technical",), identity=PersonIdentity(issuer=ISSUER, subject="idp-olga")),
                "bob": Person(functions=("legal",)),
                "zoe": Person(functions=("security",), identity=PersonIdentity(issuer=ISSUER, subject="idp-zoe"), active=False),
                **people,
            },
            agents={
                "drafter-7": agent(key="drafter-key"),
                "publisher-1": agent(issuer=ISSUER, subject="system:serviceaccount:news:publisher"),
                "relay-1": agent(issuer=ISSUER, subject="relay"),
            },
        )
    )
