"""One small tree of errors, each with a stable `code`.

An exception means "could not tell" or "this input is not acceptable"; a no of the policy is a value
(`model.Deny`). Only the gate turns an error into a verdict, and it becomes a no. No error here may carry a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class StagewardenError(Exception):
    """Base of every error of ours; `code` is stable and may stand in problem bodies, logs and metrics."""

    code: ClassVar[str] = "internal"


class Refused(StagewardenError):
    """The request itself is not acceptable; the agent can mend it. `code` differs by instance."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code  # type: ignore[misc]  # an instance narrows the class's code
        self.detail = detail


class Ambiguous(Refused):
    """Something in the request could be read in two ways, or is malformed: refused, never repaired (law 2)."""

    def __init__(self, part: str, detail: str) -> None:
        super().__init__("ambiguous_request", f"{part}: {detail}")
        self.part = part


class BadCredential(Refused):
    """A credential of a kind we know, and it does not hold ("mine and bad"); `detail` must not echo it."""

    def __init__(self, detail: str) -> None:
        super().__init__("unauthenticated", detail)


class TooMuch(StagewardenError):
    """More than a limit allows just now: nobody was asked, nothing happened. `limit` is the key of that limit in the configuration.

    `overloaded` is about the one who asks (`agent`, where it is known), `busy` about all together; asking again is worth it after
    `retry_after` seconds.
    """

    code = "overloaded"

    def __init__(self, detail: str, limit: str, agent: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.limit = limit
        self.agent = agent
        self.retry_after = retry_after
        if limit == "inflight":
            self.code = "busy"  # type: ignore[misc]  # an instance narrows the class's code


class CannotTell(StagewardenError):
    """We could not find out; the gate answers no."""

    code = "cannot_tell"


class PolicyUnavailable(CannotTell):
    """The engine was down, slow, ran away or answered what is not understood.

    `cause` is one of `undefined`, `timeout`, `error`, `breaker_open` (metric label of opa_requests_total).
    """

    def __init__(self, detail: str, *, cause: str = "error") -> None:
        super().__init__(detail)
        self.cause = cause


class StateUnavailable(CannotTell):
    """The state database could not answer."""


class AuditUnavailable(CannotTell):
    """The record could not be made durable, so nothing happens (law 6)."""

    code = "audit_unavailable"


class UpstreamFailed(StagewardenError):
    """No answer from the upstream."""


class UpstreamUnavailable(UpstreamFailed):
    """No byte of the request left: refused, unreachable, name or certificate check failed."""

    code = "upstream_unavailable"


class UpstreamTimeout(UpstreamFailed):
    """Bytes left, no answer inside the deadline: the outcome is unknown to us."""

    code = "upstream_timeout"


class OutcomeUnknown(UpstreamFailed):
    """Bytes left and the connection broke before a whole answer head came back."""

    code = "outcome_unknown"


class ClientGone(UpstreamFailed):
    """The agent left while the upstream's answer was on its way to it: the upstream was let go of."""

    code = "client_gone"


class Severed(UpstreamFailed):
    """A stop was engaged while the upstream's answer was on its way to the agent; `code` is the stop's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # an instance narrows the class's code


class AnswerWithheld(UpstreamFailed):
    """The upstream answered, and its answer could not be reduced to what the agent may read; `status` is the upstream's."""

    code = "answer_withheld"

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"the upstream answered {status}, and what happened there stands; the answer is withheld: {why}")
        self.status = status


class Conflict(StagewardenError):
    """The thing acted on is not (any longer) in the state the act was meant for."""

    code = "conflict"


class NotAllowed(StagewardenError):
    """This person or program may not do that; the message says why."""

    code = "not_allowed"


class StepUp(NotAllowed):
    """The person may, once they have signed in freshly, and as strictly as is asked."""

    code = "step_up"


class Invalid(StagewardenError):
    """A body of the people's API that is well-formed but not acceptable; the message names the member."""

    code = "invalid"


class NotFound(StagewardenError):
    """No such thing, or not for this caller: the two are not told apart."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a configuration or registry: where, what and how to mend it."""

    file: str
    line: int  # 1-based; 0 where the finding concerns the whole file
    key: str  # dotted path, e.g. `upstreams.cms.routes[2].stage`
    message: str
    remedy: str
    severity: str = "error"  # or "warning"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message} ({self.remedy})" if self.key else f"{where}: {self.message} ({self.remedy})"


class ConfigError(StagewardenError):
    """Configuration, registry or policy that must not run; carries every problem found."""

    code = "config_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
