"""The cost of finding a route among many."""

from __future__ import annotations

from ..bench import Bench, Sample, Samples, compare, cpu_sample, measured_alone
from ..load import Load, wrk, wrk_script
from ..peers import Running
from ..processes import Stage
from ..report import Row
from ..site import Site
from .claim import Claim
from .requests import WARMUP_SECONDS

FEW = 10
MANY = 10_000
CONNECTIONS = 64
#: "Does not grow" within what rounds differ by themselves.
BOUND = 1.10


def measure_all(bench: Bench) -> list[Row]:
    """The same load over 10 and over 10,000 host names; a round's figure is the growth."""
    with Stage() as stage:
        few = bench.start_all(stage, Site(hosts=FEW))
        with Stage() as other:
            many = {one.name: one for one in bench.start_all(other, Site(hosts=MANY), "-many")}
            scripts = {}
            for count in (FEW, MANY):
                scripts[count] = stage.path(f"hosts-{count}.lua")
                scripts[count].write_text(wrk_script(Site(hosts=count).host_names(), ["/100"], {}))

            def cost(one: Running, count: int) -> Sample:
                def load(seconds: float) -> Load:
                    return wrk(one.port, "/100", CONNECTIONS, seconds, scripts[count])

                load(WARMUP_SECONDS)
                return cpu_sample(one, lambda: load(bench.seconds))

            def measure(one: Running) -> Sample:
                few_cost, many_cost = cost(one, FEW), cost(many[one.name], MANY)
                return {
                    "growth": many_cost["cpu"] / few_cost["cpu"],
                    "few": few_cost["cpu"],
                    "many": many_cost["cpu"],
                    "others": max(few_cost["others"], many_cost["others"]),
                }

            samples: Samples = bench.interleave("many-hosts", few, measure)
    rows = measured_alone(
        "many-hosts", "growth from 10 to 10,000 hosts", "times", samples, "growth", BOUND
    )
    rows += compare("many-hosts", "processor time per request, 10 hosts", "µs", samples, "few")
    return rows + compare("many-hosts", "the same, 10,000 hosts", "µs", samples, "many")


CLAIMS = [
    Claim(
        "many-hosts",
        "10,000 hosts",
        "wrk, one thread, 64 keep-alive connections, {seconds} s a round, 100-byte bodies, "
        "host names asked for in turn. HAProxy finds its host in a map of strings, nginx in its "
        "hash of server names.",
        measure_all,
    )
]
