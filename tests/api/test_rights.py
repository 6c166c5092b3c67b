"""T63, T64: who may what, on every operation that the OpenAPI page names, with what it says is a good request.

Nothing here names an operation to be covered: a new route is, or it fails for want of its rights.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.auth import ROLES
from controller.core.events import SiteCutAsked
from tests.api.document import MISSING, Operation, named, operations, request_for, url_for
from tests.api.stand import HERE, THERE, Stand

EVERY = list(operations())
GUARDED = [each for each in EVERY if each.roles]
OF_SITES = [each for each in GUARDED if each.scope == "site"]
LISTS = [each for each in OF_SITES if "site" in each.parameters("query")]
STRANGERS = {"logIn", "listProblems", "getProblem"}
BY_HAND: dict[str, str] = {  # the same once more, by hand: a slip in a route shows as a difference
    "owner manager finance maintainer auditor": """logOut whoAmI listMerchants getMerchant listSites getSite listTariffs
        getTariff getQuote listPiles getPile listOutlets getOutlet listSessions getSession listReadings getEvidence
        getEvidencePack
        getStory getOverview listAlarms getAlarm followEvents listEventKinds getFinish listChargers
        getCharger""",
    "owner manager finance auditor": """listOrders getOrder listPayments getPayment listRefunds getRefund listParties
        getParty listCards getCard listBikes""",
    "owner manager maintainer": """cutSite changePile nameOutlet lockOutlet unlockOutlet replaceSticker stopSession
        answerPlug
        suggestFinish tryFinish addCharger listReaders""",
    "owner manager": """changeBike forgetBikes setFinish approveCharger withdrawCharger
        changeSite limitSite addTariff limitPile openOutlet closeOutlet addCard changeCard listSwipes listHooks
        addHook getHook changeHook dropHook getHookSecret renewHookSecret tryHook listTokens makeToken revokeToken""",
    "owner maintainer": """listFound adopt replaceDevice listBuses scanBus getScan commission clearLatch
        releaseSite setInputs
        getLogLevel setLogLevel getDiagnostics""",
    "owner finance": """payRefundByHand topUpCard""",
    "owner auditor": """listAudit""",
    "owner": """addMerchant changeMerchant addSite listStaff addStaff getStaff changeStaff logStaffOut""",
}
NOT_OFFERED = ("id", "site_id", "merchant_id", "party_id", "state", "phase", "balance_fen", "password_hash", "epoch")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    stand = Stand(Path(tmp_path_factory.mktemp("rights")))
    stand.door.answers[SiteCutAsked] = {"outlets": 1}
    yield stand
    stand.close()


@pytest.fixture
def shared(program: Stand) -> Stand:
    program.door.events.clear()
    return program


def asked(stand: Stand, role: str, request: dict[str, Any]) -> Any:
    """By somebody fresh: what was asked before may have logged them out."""
    client = stand.as_role(role)
    return client.request(**{**request, "headers": {"accept": "application/json"}})


def test_every_operation_says_who_may_and_whose_things_it_touches() -> None:
    assert len(EVERY) > 70
    for operation in EVERY:
        if operation.id in STRANGERS:
            assert operation.spec["security"] == []
            continue
        assert operation.scope in ("site", "global", "own"), f"{operation.id}: depend on one of api/v1/scopes.py"
        assert operation.roles[0] == "owner"
        assert set(operation.roles) <= set(ROLES)
        assert operation.spec["security"] == [{"token": []}]


def test_T63_the_rights_are_those_that_were_meant() -> None:
    meant = {name: roles.split() for roles, names in BY_HAND.items() for name in names.split()}
    assert {each.id: each.roles for each in GUARDED} == meant


@pytest.mark.parametrize("operation", named(GUARDED))
def test_T63_each_role_may_what_is_said_and_a_stranger_nothing(shared: Stand, operation: Operation) -> None:
    request = request_for(operation, HERE)
    assert shared.client().request(**request).status_code == 401
    for role in ROLES:
        answer = asked(shared, role, request)
        if role in operation.roles:
            assert 200 <= answer.status_code < 300, f"{role}: {answer.status_code} {answer.text[:300]}"
            assert str(answer.status_code) in operation.spec["responses"]
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed_role"), role


@pytest.mark.parametrize("operation", named(OF_SITES))
def test_T63_what_is_foreign_is_as_missing_to_all_but_owners(shared: Stand, operation: Operation) -> None:
    for role in operation.roles:
        answer = asked(shared, role, request_for(operation, THERE))
        if role == "owner":
            assert 200 <= answer.status_code < 300, f"{answer.status_code} {answer.text[:300]}"
        elif operation.has_id:
            missing = {**request_for(operation, THERE), "url": url_for(operation, MISSING)}
            assert answer.status_code == 404, f"{role}: {answer.status_code} {answer.text[:300]}"
            assert answer.json() == asked(shared, role, missing).json()
        elif operation.method == "get":
            assert answer.status_code == 200
            assert THERE not in answer.text
        else:
            assert answer.status_code == 404, f"{role}: {answer.status_code} {answer.text[:300]}"
    changes = [event for event in shared.door.events if getattr(event, "by", "staff:s-owner") != "staff:s-owner"]
    assert changes == []


@pytest.mark.parametrize("operation", named(LISTS))
def test_T63_a_list_can_be_asked_for_own_sites_alone(shared: Stand, operation: Operation) -> None:
    request = request_for(operation, HERE)
    for role in operation.roles:
        foreign = asked(shared, role, {**request, "params": {"site": THERE}})
        assert foreign.status_code == (200 if role == "owner" else 404)
        assert asked(shared, role, {**request, "params": {"site": HERE}}).status_code == 200


@pytest.mark.parametrize("operation", named(each for each in GUARDED if each.body()))
def test_T64_a_field_that_was_not_offered_is_refused(shared: Stand, operation: Operation) -> None:
    request = request_for(operation, HERE)
    for extra in NOT_OFFERED:
        assert extra not in request["json"]
        answer = asked(shared, "owner", {**request, "json": {**request["json"], extra: "x"}})
        assert answer.status_code == 422, f"{extra}: {answer.text[:300]}"
        assert extra in answer.json()["detail"]
    assert shared.door.events == []
