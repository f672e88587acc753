"""What stands before every handler of the people's listener: Host, Origin, the credential, and the headers of every answer.

(1) Host is one of ours (DNS rebinding). (2) Origin is ours wherever a browser sends one, and a write from a browser proves where it
comes from (cross-site requests). (3) The API takes a bearer credential only, the console its cookie only: a cookie never
authorizes an API call. (4) What no route names is refused, to strangers as 401. Never decides who may do what: that is the gate.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from stagewarden.errors import BadCredential, NotAllowed, Refused
from stagewarden.identity.bearer import bearer_token
from stagewarden.wire.headers import parse_host

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.identity.people import Caller, People
    from stagewarden.web.people.ports import Settings

_SAFE = frozenset({"GET", "HEAD"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
    "Server": "stagewarden",  # instead of the library's name and version
}
# For a page that frames one of ours; everything else stays as it is.
FRAMING = {"Content-Security-Policy": f"{HEADERS['Content-Security-Policy']}; frame-src 'self'"}
STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="stagewarden"'}


class Guard:
    """The checks, and the console's cookie and form tokens."""

    def __init__(self, people: People, settings: Settings) -> None:
        self.people = people
        self._settings = settings
        self._seal = secrets.token_bytes(32)
        self._hosts = settings.hosts if settings.url is None else settings.hosts | {parse_host(_origin(settings.url).partition("://")[2])}
        self.cookie = "__Host-stagewarden" if settings.secure else "stagewarden"
        self.door_cookie = f"{self.cookie}-door"
        self.away_cookie = f"{self.cookie}-away"

    def check_source(self, request: web.Request) -> None:
        """Steps 1 and 2; raises Refused (misdirected) or NotAllowed."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or parse_host(hosts[0]) not in self._hosts:
            raise Refused("misdirected", "this listener does not answer to that Host")
        origins = request.headers.getall("Origin", [])
        site = request.headers.get("Sec-Fetch-Site")
        if origins and not self._is_ours(origins, hosts[0], site):
            raise NotAllowed("Origin: this request was made by another site")
        if request.method not in _SAFE and site not in {None, "same-origin"}:
            raise NotAllowed("Sec-Fetch-Site: this request was made by another site")

    @staticmethod
    def check_own(request: web.Request) -> None:
        """What only our own pages ask for; another port of this machine is the same site to a cookie, not the same origin. Raises NotAllowed."""
        if request.headers.get("Sec-Fetch-Site") not in {None, "same-origin"}:
            raise NotAllowed("Sec-Fetch-Site: this request was made by another site")

    @staticmethod
    def check_body(request: web.Request) -> None:
        """Bodies are read as they are: nothing is decompressed for anybody (decompression bombs). Raises Refused."""
        if "Content-Encoding" in request.headers:
            raise Refused("unsupported_body", "Content-Encoding: send the body as it is")

    def check_form(self, request: web.Request, token: str) -> None:
        """A form of this session, sent by a browser that says where from; raises NotAllowed."""
        self._from_a_page(request)
        if not self.people.csrf_holds(request.cookies.get(self.cookie, ""), token):
            raise NotAllowed("this form is not of your session; open the page again")

    def check_door_form(self, request: web.Request, token: str) -> None:
        """The sign-in form, opened in this browser (login CSRF); raises NotAllowed."""
        self._from_a_page(request)
        door = request.cookies.get(self.door_cookie, "")
        if not door or not hmac.compare_digest(self.door_token(door).encode(), token.encode(errors="surrogatepass")):
            raise NotAllowed("this form was not opened in this browser, or long ago; open the page again")

    def form_token(self, request: web.Request) -> str:
        """The token of this session's forms."""
        return self.people.csrf(request.cookies.get(self.cookie, "")) or ""

    def new_door(self) -> str:
        """A fresh cookie value for a browser that is not signed in."""
        return secrets.token_urlsafe(32)

    def set_cookie(self, response: web.StreamResponse, name: str, value: str) -> None:
        """A cookie of this host alone, for this browser session, never sent with another site's request."""
        response.set_cookie(name, value, path="/", httponly=True, secure=self._settings.secure, samesite="Strict")

    def send_away(self, response: web.StreamResponse, value: str) -> None:
        """What ties this browser to its question at the identity provider: the way back comes from another site, so it cannot be Strict."""
        response.set_cookie(self.away_cookie, value, path="/", httponly=True, secure=self._settings.secure, samesite="Lax", max_age=600)

    def drop_cookie(self, response: web.StreamResponse, name: str) -> None:
        """Take a cookie back."""
        response.del_cookie(name, path="/", httponly=True, secure=self._settings.secure, samesite="Strict")

    def door_token(self, door: str) -> str:
        """The token of the sign-in form, bound to a cookie given with it: only we can make it."""
        return hmac.new(self._seal, door.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    def by_cookie(self, request: web.Request, *, used: bool = True) -> Caller | None:
        """Who is signed in to the console. `used` False: only whether the session still holds, which does not keep it alive."""
        cookie = request.cookies.get(self.cookie)
        return self.people.by_session(cookie, used=used) if cookie else None

    def by_bearer(self, request: web.Request, *, used: bool = True) -> Caller:
        """Whose credential the API call carries; raises BadCredential. `used` False: only whether it still holds, which keeps no session alive."""
        values = request.headers.getall("Authorization", [])
        if len(values) != 1:
            raise BadCredential("one Authorization: Bearer is needed")
        token = bearer_token(values[0])
        caller = None if token is None else self.people.by_bearer(token, used=used)
        if caller is None:
            raise BadCredential("this credential is not known, or is over")
        return caller

    def answer_headers(self, response: web.StreamResponse) -> None:
        """What every answer carries; a handler may only have narrowed caching."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if self._settings.secure:
            response.headers.setdefault(*STRICT_TRANSPORT)

    @staticmethod
    def _from_a_page(request: web.Request) -> None:
        if "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers:
            raise NotAllowed("this form came from nowhere: the browser sent no Origin")

    def _is_ours(self, origins: list[str], host: str, site: str | None) -> bool:
        if len(origins) != 1:
            return False
        # Under `Referrer-Policy: no-referrer` a browser sends `null` with our own forms (Fetch, "append a request Origin header").
        if origins[0] == "null":
            return site == "same-origin"
        ours = {f"http://{host}", f"https://{host}"} if self._settings.url is None else {_origin(self._settings.url), f"http://{host}"}
        if self._settings.secure:
            ours = {_origin(self._settings.url or "")}
        return origins[0].lower() in {origin.lower() for origin in ours}


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
