"""`/metrics` in the text form of Prometheus, made anew at each look from figures that exist anyway.

No outlet, session or person is ever a label. Strangers get 404.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from api.auth import bearer_of
from api.failures import sorry
from api.services import Services, services_of
from controller.figures import Figure, Histogram, Kind

PREFIX = "anchong_"
LOOPBACK = ("127.0.0.1", "::1")
# whoever comes through a proxy on this machine is not on this machine
BY_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    services = services_of(request)
    if not may_watch(request, services):
        return sorry(request, 404, "not_found", "Not Found")
    text = exposed([*request.app.state.traffic.figures(), *(services.watch.figures() if services.watch else ())])
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def may_watch(request: Request, services: Services) -> bool:
    """Programs on this very machine, and who brings the token of the settings."""
    token, wanted = bearer_of(request), services.metrics_token
    if token is not None:
        return bool(wanted) and hmac.compare_digest(token.encode(), wanted.encode())
    here = request.client is not None and request.client.host in LOOPBACK
    return here and not any(name in request.headers for name in BY_PROXY)


def exposed(figures: Iterable[Figure]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(figures))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return (_family(figure) for figure in self._figures)


def _family(figure: Figure) -> Metric:
    names = tuple(figure.samples[0].labels) if figure.samples else ()
    family: Any = _FAMILIES[figure.kind](PREFIX + figure.name, figure.about, labels=names)
    for sample in figure.samples:
        labels = [sample.labels[name] for name in names]
        if isinstance(sample.value, Histogram):
            family.add_metric(labels, sample.value.buckets(), sample.value.sum)
        else:
            family.add_metric(labels, sample.value)
    found: Metric = family
    return found


_FAMILIES: dict[Kind, Callable[..., Metric]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}
