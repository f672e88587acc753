"""What is asked: the route table and body facts turn a request into an Action. Pure: it fetches nothing and decides nothing.

What is not listed has no stage, and so can be allowed by no policy.
"""

from stagewarden.classify.action import classify
from stagewarden.classify.lookup import Looked, read_lookup
from stagewarden.classify.routes import CompiledRoute, Match, RouteTable, UpstreamRoutes

__all__ = ["CompiledRoute", "Looked", "Match", "RouteTable", "UpstreamRoutes", "classify", "read_lookup"]
