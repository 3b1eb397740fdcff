"""A behavioural Alma: several institutions, staff and patrons, served over real HTTP.

    from reconciler.sandbox import sample_world, serve

    with serve(sample_world()) as alma:
        headers = {"Authorization": "apikey KEY-uni-b", "Accept": "application/json"}
        httpx.get(f"{alma.base_url}/almaws/v1/users/reader-b1", headers=headers)
        alma.sandbox["uni-a"].scan_in("A0001", "MAIN")

Parts: `rules` (what Alma does), `acts` (what people do), `payloads` (what Alma shows), `api` (its
endpoints), `http` (gateway, faults, control side, server).

Built from the contract (alma-api.md), not from what a client would like; what the contract leaves
open is a switch of `Dialect`. Nothing outside `cli` and tests may import this package.
"""

from reconciler.sandbox.acts.log import Act, ActRefused
from reconciler.sandbox.clocks import Clock
from reconciler.sandbox.dialect import Dialect
from reconciler.sandbox.errors import AlmaError
from reconciler.sandbox.http.calls import Received
from reconciler.sandbox.http.channel import Dropped
from reconciler.sandbox.http.faults import Fault
from reconciler.sandbox.http.server import Serving, run, serve
from reconciler.sandbox.institution import Institution
from reconciler.sandbox.sandbox import Sandbox
from reconciler.sandbox.seed import add_code_tables, add_ordinary_institution, sample_world

__all__ = [
    "Act",
    "ActRefused",
    "AlmaError",
    "Clock",
    "Dialect",
    "Dropped",
    "Fault",
    "Institution",
    "Received",
    "Sandbox",
    "Serving",
    "add_code_tables",
    "add_ordinary_institution",
    "run",
    "sample_world",
    "serve",
]
