"""Whatever the OpenAPI page allows is sent to the running program, and what it does not: no 5xx, no answer that the
page does not know. Seeded and short here; docs/api.md has the command for a night of it (ANCHONG_EXAMPLES)."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.api.document import operations
from tests.api.office import Office, office
from tests.api.served import served

EXAMPLES = int(os.environ.get("ANCHONG_EXAMPLES", "4"))
CASES = [(each.id, GenerationMode.POSITIVE) for each in operations()]
CASES += [(each.id, GenerationMode.NEGATIVE) for each in operations() if each.body() or each.spec.get("parameters")]
BEYOND_SCHEMAS = [positive_data_acceptance]  # bands that overlap, a cursor made up: right by the schema, and refused
NAMED = {
    "site": "s1",
    "merchant": "m",
    "tariff": "t1",
    "pile": "p1",
    "outlet": "o1",
    "card": "c1",
    "staff": "s-manager",
    "session": "S1",
    "order": "O1",
    "payment": "O1",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, str]]:
    made = office(tmp_path_factory.mktemp("schemathesis"))
    made.rig.charging()
    with served(made.app) as web:
        yield made, f"http://127.0.0.1:{web.port}"
    made.close()


@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode.name.lower()}" for name, mode in CASES])
def test_no_answer_is_unexpected(running: tuple[Office, str], name: str, mode: GenerationMode) -> None:
    real, url = running
    schema = schemathesis.openapi.from_dict(real.app.openapi())
    schema.config.update(base_url=url)
    operation = schema.find_operation_by_id(name)

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        for part in case.path_parameters or {}:
            if mode is GenerationMode.POSITIVE and part in NAMED:
                case.path_parameters[part] = NAMED[part]
        case.call_and_validate(headers=headers(real), excluded_checks=BEYOND_SCHEMAS)

    check()


def headers(real: Office) -> dict[str, str]:
    """Of an owner who is logged in, whatever the case before has done; a wrong token of before is forgiven."""
    real.clock.advance(600)
    return {"Authorization": real.as_role("owner").headers["authorization"]}
