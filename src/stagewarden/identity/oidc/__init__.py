"""People by OpenID Connect: authorization code with PKCE (RFC 7636), nonce, issuer check (RFC 9207), back-channel logout.

Answers who signed in and how freshly; never what that person may do. Nothing of the provider's answers reaches a page.
"""

from stagewarden.identity.oidc.claims import Proven, Strength
from stagewarden.identity.oidc.flow import Client, Flow, Wanted

__all__ = ["Client", "Flow", "Proven", "Strength", "Wanted"]
