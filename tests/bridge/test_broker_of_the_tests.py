"""The broker that the other tests lean on keeps its promises."""

import subprocess
from collections.abc import Callable

from tests.house import Broker, answers, eventually, needs

PER_DEVICE = "pattern readwrite tele/%u/#\n"


def test_a_device_speaks_under_its_own_name_only(mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto(
        users={"plug1": "one", "plug2": "two", "gateway": "g"}, acl=f"user gateway\ntopic #\n\n{PER_DEVICE}"
    )
    listener = subprocess.Popen(
        _client("mosquitto_sub", broker, "gateway", "g", "-t", "tele/#", "-C", "1", "-W", "10"),
        stdout=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: "Sending SUBACK" in broker.log.read_text(encoding="utf-8"))

    subprocess.run(_client("mosquitto_pub", broker, "plug2", "two", "-t", "tele/plug1/LWT", "-m", "forged"), check=True)
    subprocess.run(_client("mosquitto_pub", broker, "plug1", "one", "-t", "tele/plug1/LWT", "-m", "true"), check=True)

    said, _ = listener.communicate(timeout=10)
    assert said == "true\n"


def test_a_wrong_password_is_refused(mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto(users={"plug1": "one"})

    run = subprocess.run(
        _client("mosquitto_pub", broker, "plug1", "wrong", "-t", "t", "-m", "m"), check=False, capture_output=True
    )

    assert run.returncode != 0


def test_it_comes_back_on_the_same_port(mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto()

    broker.kill()
    assert not answers(broker.port)
    broker.start()

    assert answers(broker.port)


def _client(program: str, broker: Broker, user: str, word: str, *rest: str) -> list[str]:
    return [needs(program), "-h", broker.host, "-p", str(broker.port), "-u", user, "-P", word, *rest]
