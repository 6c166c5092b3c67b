"""Letters: what they say, that they say no secret, and that nothing leaves this machine in clear."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.mail import Mail, MailSettings, is_address, masked
from controller.ports import Sent
from tests.api.post_office import PostOffice, certified, opened
from tests.house import free_port

ADDRESS = "wang.li@example.com"
SENDER = "charge@garden.example"
ENDED: dict[str, object] = {
    "party": "p1",
    "what": "ended",
    "lang": "en",
    "session": "5e55a0b19c34",
    "order": "order-1",
    "site": "翠园小区",
    "zone": "Asia/Shanghai",
    "outlet": "03",
    "hold_fen": 200,
    "reason": "finished",
    "rule": "low",
    "evidence": {"power_w": 3.0, "percent_of_peak": 3.0, "low_s": 720.0},
    "energy_wh": 347.0,
    "bill_fen": 29,
    "back_fen": 171,
}


def mail(office: PostOffice, **changes: object) -> Mail:
    values = {"host": "127.0.0.1", "port": office.port, "sender": SENDER, "tls": "none", **changes}
    return Mail(MailSettings(**values), "https://charge.example")  # type: ignore[arg-type]


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    with opened() as made:
        yield made


def test_a_letter_says_why_what_it_cost_and_where_to_look(post_office: PostOffice) -> None:
    assert mail(post_office).send(ADDRESS, "notify:S1:ended", ENDED) is Sent.DONE
    (letter,) = post_office.letters
    text = letter.get_content()

    assert (letter["To"], letter["From"]) == (ADDRESS, SENDER)
    assert letter["Subject"] == "Outlet 03: charging has ended, ¥1.71 comes back"
    assert "The power fell to 3 W, 3 % of its peak, and stayed there for 12 min" in text
    assert "Used 0.34 kWh, ¥0.29. Paid ¥2.00, ¥1.71 comes back." in text
    assert "https://charge.example/paid/order-1" in text
    assert "翠园小区" in text


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("what", ["question", "empty", "mains", "turn", "shared", "ended"])
def test_every_notice_has_its_letter_in_both_languages(post_office: PostOffice, what: str, lang: str) -> None:
    assert mail(post_office).send(ADDRESS, f"notify:S1:{what}", {**ENDED, "what": what, "lang": lang}) is Sent.DONE
    (letter,) = post_office.letters

    assert letter["Subject"]
    assert "{" not in letter["Subject"] + letter.get_content()
    assert ("插座" in letter.get_content()) is (lang == "zh")


def test_the_same_notice_is_the_same_letter(post_office: PostOffice) -> None:
    for _ in range(2):
        mail(post_office).send(ADDRESS, "notify:S1:ended", ENDED)
    first, second = post_office.letters

    assert first["Message-ID"] == second["Message-ID"] == "<notify.S1.ended@garden.example>"


def test_no_secret_of_the_order_is_in_a_letter(post_office: PostOffice) -> None:
    mail(post_office).send(ADDRESS, "notify:S1:ended", ENDED)

    assert "/O/" not in post_office.letters[0].as_string()
    assert "p1" not in post_office.letters[0].get_content()


def test_an_address_that_does_not_exist_is_not_tried_again(post_office: PostOffice) -> None:
    post_office.refuse_rcpt = "550 nobody here"

    assert mail(post_office).send(ADDRESS, "n", ENDED) is Sent.NEVER


@pytest.mark.parametrize("answer", ["450 later", "451 too busy"])
def test_a_server_that_is_busy_is_asked_again(post_office: PostOffice, answer: str) -> None:
    post_office.refuse_rcpt = answer

    assert mail(post_office).send(ADDRESS, "n", ENDED) is Sent.LATER


def test_a_letter_that_is_not_taken_is_sent_again(post_office: PostOffice) -> None:
    post_office.refuse_data = "451 disk full"
    assert mail(post_office).send(ADDRESS, "n", ENDED) is Sent.LATER
    post_office.refuse_data = ""

    assert mail(post_office).send(ADDRESS, "n", ENDED) is Sent.DONE


def test_a_server_that_is_not_there_is_asked_again() -> None:
    settings = MailSettings(host="127.0.0.1", port=free_port(), sender=SENDER, tls="none")

    assert Mail(settings, "https://x.example").send(ADDRESS, "n", ENDED) is Sent.LATER


def test_a_password_leaves_only_by_tls_and_only_to_who_can_prove_who_it_is(tmp_path: Path) -> None:
    certificate = certified(tmp_path)
    safe = {"tls": "starttls", "user": "anchong", "password": "a password", "ca_file": str(certificate)}
    with opened(certificate) as office:
        assert mail(office, **safe).send(ADDRESS, "n", ENDED) is Sent.DONE
        assert len(office.letters) == 1
        assert not [line for line in office.clear if not line.upper().startswith(("EHLO", "STARTTLS"))]
        assert mail(office, **{**safe, "ca_file": ""}).send(ADDRESS, "n", ENDED) is Sent.LATER, "an unknown certificate"
        assert len(office.letters) == 1


def test_T90_a_server_that_offers_no_tls_gets_neither_password_nor_letter(post_office: PostOffice) -> None:
    answer = mail(post_office, tls="starttls", user="anchong", password="a password").send(ADDRESS, "n", ENDED)

    assert answer is Sent.LATER
    assert post_office.letters == []
    assert not [line for line in post_office.words if line.startswith("AUTH")]


def test_T91_in_clear_it_writes_to_this_machine_alone() -> None:
    with pytest.raises(ValueError, match="TLS"):
        Mail(MailSettings(host="mail.example", port=25, sender=SENDER, tls="none"), "https://x.example")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "wang",
        "wang@",
        "@example.com",
        "=?utf-8?q?a=40evil.example=2Cb?=@example.com",  # an encoded word: one address would be two
        "=?utf-8?b?YUBlLmNvLA==?=@example.com",
        "wang@example",
        "wang@example.com\nBcc: all@example.com",
        "wang@example.com, li@example.com",
        '"wang li"@example.com',
        "wang@-example.com",
        "wäng@example.com",
        "a" * 65 + "@example.com",
        "<wang@example.com>",
    ],
)
def test_T92_what_could_become_a_header_or_a_second_receiver_is_no_address(post_office: PostOffice, bad: str) -> None:
    assert not is_address(bad)
    assert mail(post_office).send(bad, "n", ENDED) is Sent.NEVER
    assert post_office.to == []


def test_usual_addresses_are_addresses_and_are_shown_masked() -> None:
    assert all(is_address(good) for good in (ADDRESS, "10086@qq.com", "a+b@mail.example.com.cn", "o'x@example.org"))
    assert masked(ADDRESS) == "w…@example.com"
